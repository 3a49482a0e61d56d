import { describe, expect, it } from 'vitest'
import type { Model } from '../../src/sample/model.ts'
import { plainLines } from '../../src/view/layout.ts'
import { DEFAULT_UI, type PanelUi } from '../../src/view/panel.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom, modelOf } from './models.ts'

const show = (name: string, model: Model, ui: Partial<PanelUi> = {}, width = 100, height = 30): string => {
  const view = VIEWS.find(each => each.name === name)
  if (view === undefined) throw new Error(name)
  return plainLines(view.panel(model, { ...DEFAULT_UI, ...ui }, { width, height }).rows).join('\n')
}

const slabLine = (name: string, active: number, objects: number, slabs: number) =>
  `${name}  ${active} ${objects} 192 21 1 : tunables 0 0 0 : slabdata ${slabs} ${slabs} 0\n`

describe('the slab panel', () => {
  it('lists caches by the memory they have, and what of it is idle', () => {
    const model = modelFrom([
      frameOf(1e9, {
        '/proc/slabinfo': slabLine('dentry', 2100, 2100, 100) + slabLine('inode', 21, 2100, 100),
        '/proc/meminfo': 'Slab: 800 kB\n',
      }),
      frameOf(2e9, {
        '/proc/slabinfo': slabLine('dentry', 2400, 2520, 120) + slabLine('inode', 21, 2100, 100),
        '/proc/meminfo': 'Slab: 800 kB\n',
      }),
    ])
    const text = show('slab', model)
    expect(text).toMatch(/800K in slabs/)
    expect(text).toMatch(/2 caches, largest dentry with 480K \(55%\)/)
    expect(text).toMatch(/dentry +480K +30\.0K +95% +2\.40k +300/)
    expect(text.indexOf('dentry  ')).toBeLessThan(text.indexOf('inode  '))
    expect(show('slab', model, { moving: true })).not.toMatch(/inode {2}/)
  })

  it('says why there is nothing to see', () => {
    const model = modelFrom([frameOf(1e9, { '/proc/meminfo': 'Slab: 8 kB\n', '/mmtop/unread': '/proc/slabinfo EACCES\n' })])
    expect(show('slab', model)).toMatch(/\/proc\/slabinfo may not be read \(EACCES\): root may/)
  })
})

describe('the swap panel', () => {
  it('shows areas and what zswap makes of memory', async () => {
    const text = show('swap', await modelOf('zswap-lzo', 5))
    expect(text).toMatch(/zswap holds [\d.]+M in [\d.]+M \(\d\.\d:1\)/)
    expect(text).toMatch(/─ areas ─/)
    expect(text).toMatch(/max_pool_percent 20/)
  })

  it('shows zram devices', () => {
    const model = modelFrom([
      frameOf(1e9, {
        '/proc/swaps': 'Filename Type Size Used Priority\n/dev/zram0 partition 1048572 1040000 100\n',
        '/sys/block/zram0/mm_stat': ' 4194304 1048576 1310720 0 1310720 12 0 3 3\n',
      }),
    ])
    const text = show('swap', model)
    expect(text).toMatch(/zram0 +4\.00M +1\.00M +1\.25M +12 +3/)
    expect(text).toMatch(/99% ▲/)
  })
})

describe('the cgroups panel', () => {
  it('names the group nearest to its limit, and opens one', async () => {
    const model = await modelOf('cgroup-memory-max', 2)
    expect(show('cgroups', model)).toMatch(/1 group; G is nearest to its limit: [\d.]+[KM] of [\d.]+M/)
    const opened = show('cgroups', model, { open: 'G' })
    expect(opened).toMatch(/^Group G has/)
    expect(opened).toMatch(/kernel +[\d.]+[KM] +█/)
  })

  it('draws what the largest groups had, and one group below its limit', () => {
    const group = (name: string, kb: number) => ({
      [`/sys/fs/cgroup/${name}/memory.current`]: `${kb * 1024}\n`,
      [`/sys/fs/cgroup/${name}/memory.max`]: `${1024 * 1024}\n`,
    })
    const model = modelFrom([1, 2].map(i => frameOf(i * 1e9, { ...group('web/db', i * 100), ...group('batch', 50) })))
    const panel = (open: string) =>
      VIEWS.find(({ name }) => name === 'cgroups')?.panel(model, { ...DEFAULT_UI, open }, { width: 100, height: 30 }).charts[0].spec
    expect(panel('')?.series.map(({ name, values }) => [name, values])).toEqual([
      ['batch', [51200, 51200]],
      ['db', [102400, 204800]],
    ])
    expect(panel('web/db')).toMatchObject({ title: 'memory, hard limit 1.00M', max: 1048576, unit: 'bytes' })
  })
})

describe('the userfaultfd panel', () => {
  it('shows ranges under a handler, and who waits', () => {
    const area = (start: string, flags: string) =>
      `${start}000-${start}fff rw-p 00000000 00:00 0 \nSize: 4096 kB\nRss: 1024 kB\nVmFlags: rd wr ${flags}\n`
    const model = modelFrom([
      frameOf(1e9, {
        '/proc/7/status': 'Name:\tguest\n',
        '/proc/7/smaps': area('7f0000', 'um uw') + area('7f1000', 'hg'),
        '/proc/7/fdinfo/3': 'pos:\t0\npending:\t1\ntotal:\t2\nAPI:\taa:40:0\n',
      }),
    ])
    const text = show('userfaultfd', model)
    expect(text).toMatch(/1 range of 4\.00M registered, 25% of it there; 2 threads waiting/)
    expect(text).toMatch(/guest +7f0000000 +missing, write protect +4\.00M/)
    expect(text).toMatch(/7 guest fd 3 .* 2 waiting, 1 unread ▲/)
  })
})

describe('lists of processes', () => {
  const stat = (pid: number, name: string, vsize: number) =>
    `${pid} (${name}) S 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0 ${vsize} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0\n`
  const kernelThreads = Array.from({ length: 80 }, (_, i): [string, string] => [`/proc/${i + 2}/stat`, stat(i + 2, `kworker/${i}`, 0)])
  const model = modelFrom([
    frameOf(1e9, {
      ...Object.fromEntries(kernelThreads),
      '/proc/1234567/stat': stat(1234567, 'guest', 4096),
      '/proc/1234567/smaps': '7f0000000-7f0000fff rw-p 00000000 00:00 0 \nSize: 4 kB\nVmFlags: rd um\n',
      '/proc/1234567/numa_maps': '7f0000000 bind:0 anon=1 N0=1 kernelpagesize_kB=4\n',
      '/proc/1234567/ksm_merging_pages': '3\n',
      '/sys/kernel/mm/ksm/run': '1\n',
    }),
  ])

  it('show a process id in full, however long', () => {
    for (const name of ['userfaultfd', 'policies', 'ksm']) expect(show(name, model)).toMatch(/^1234567 guest /m)
  })

  it('ask for the files of processes, and not of kernel threads before them', () => {
    for (const [name, file] of [
      ['userfaultfd', 'smaps'],
      ['policies', 'numa_maps'],
      ['ksm', 'ksm_stat'],
    ]) {
      const wants = VIEWS.find(each => each.name === name)?.panel(model, DEFAULT_UI, { width: 100, height: 30 }).wants
      expect(wants).toContain(`/proc/1234567/${file}`)
      expect(wants?.join()).not.toMatch(/proc\/2\//)
    }
  })
})

describe('the events panel', () => {
  it('has the newest first, and only what is notable on demand', () => {
    const model = modelFrom([
      frameOf(2e9, { '/mmtop/events': '1000000000 op A map x 4M\n1500000000 oom killed A\n1500000000 error A touch = EFAULT\n' }),
    ])
    const text = show('events', model)
    expect(text).toMatch(/3 events: 1 op, 1 error, 1 oom/)
    expect(text.indexOf('killed A')).toBeLessThan(text.indexOf('map x'))
    expect(show('events', model, { moving: true })).not.toMatch(/map x|EFAULT/)
  })
})
