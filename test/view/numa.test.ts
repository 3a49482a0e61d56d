/** What is said of nodes: the texts of numastat and numactl, and the panels of policies and of balancing. */
import { describe, expect, it } from 'vitest'
import { toSample } from '../../src/sample/sample.ts'
import { plainLines } from '../../src/view/layout.ts'
import { hardwareLines, numastatLines, processLines, showLines } from '../../src/view/numa_tools.ts'
import { DEFAULT_UI } from '../../src/view/panel.ts'
import { policyNodes } from '../../src/view/subjects/policies.ts'
import { VIEWS } from '../../src/view/views.ts'
import { frameOf } from '../fixtures/load.ts'
import { modelFrom } from './models.ts'

const WIDE = { skipZeros: false, compress: false, width: Number.POSITIVE_INFINITY }
const node = (n: number, hit: number, freeKb: number) => ({
  [`/sys/devices/system/node/node${n}/numastat`]: `numa_hit ${hit}\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 7\nlocal_node ${hit}\nother_node 0\n`,
  [`/sys/devices/system/node/node${n}/meminfo`]: `Node ${n} MemTotal:       1048576 kB\nNode ${n} MemFree:        ${freeKb} kB\nNode ${n} Mlocked:        0 kB\nNode ${n} HugePages_Total:     4\n`,
  [`/sys/devices/system/node/node${n}/distance`]: n === 0 ? '10 21\n' : '21 10\n',
  [`/sys/devices/system/node/node${n}/cpulist`]: n === 0 ? '0-1\n' : '2-3\n',
})

const NUMA_MAPS = `00400000 default file=/bin/db mapped=10 N0=10 kernelpagesize_kB=4
01000000 default heap anon=256 dirty=256 N0=256 kernelpagesize_kB=4
200000000000 interleave:0-1 anon=512 dirty=512 N0=256 N1=256 kernelpagesize_kB=4
200000400000 bind:1 anon=512 dirty=512 N0=128 N1=384 kernelpagesize_kB=4
200000800000 default file=/anon_hugepage\\040(deleted) huge dirty=2 N1=2 kernelpagesize_kB=2048
7ffffffde000 default stack anon=3 dirty=3 N0=3 kernelpagesize_kB=4
`
const files = {
  ...node(0, 1_296_554_257, 1024),
  ...node(1, 918_014_444, 524_288),
  '/proc/meminfo': 'MemTotal: 2097152 kB\nHugepagesize: 2048 kB\n',
  '/proc/7/stat': '7 (db) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0 0\n',
  '/proc/7/status': 'Name:\tdb\nCpus_allowed_list:\t2-3\nMems_allowed_list:\t0-1\n',
  '/proc/7/numa_maps': NUMA_MAPS,
}
const sample = toSample(frameOf(1e9, files))

describe('numastat', () => {
  it('prints events as the tool has done for ever', () => {
    expect(numastatLines(sample, { what: 'events', ...WIDE }).slice(0, 3)).toEqual([
      '                           node0           node1',
      'numa_hit              1296554257       918014444',
      'numa_miss                      0               0',
    ])
  })

  it('-m prints memory in MB with totals, pages of the pool as memory, and nothing that no node has', () => {
    const lines = numastatLines(sample, { what: 'meminfo', ...WIDE })
    expect(lines).toEqual([
      '',
      'Per-node system memory usage (in MBs):',
      '                          Node 0          Node 1           Total',
      '                 --------------- --------------- ---------------',
      'MemTotal                 1024.00         1024.00         2048.00',
      'MemFree                     1.00          512.00          513.00',
      'Mlocked                     0.00            0.00            0.00',
      'HugePages_Total             8.00            8.00           16.00',
    ])
    expect(numastatLines(sample, { what: 'meminfo', ...WIDE, skipZeros: true })).not.toContainEqual(expect.stringMatching(/^Mlocked/))
  })

  it('-p prints where the memory of a process is, by kind', () => {
    const lines = processLines(sample, [7], WIDE)
    expect(lines[1]).toBe('Per-node process memory usage (in MBs) for PID 7 (db)')
    expect(lines.slice(4)).toEqual([
      'Huge                         0.00            4.00            4.00',
      'Heap                         1.00            0.00            1.00',
      'Stack                        0.01            0.00            0.01',
      'Private                      1.54            2.50            4.04',
      '----------------  --------------- --------------- ---------------',
      'Total                        2.55            6.50            9.05',
    ])
  })

  it('goes on below where the screen is too narrow, and takes less room when it is asked to', () => {
    const folded = numastatLines(sample, { what: 'meminfo', ...WIDE, width: 50 })
    expect(folded.filter(line => line.startsWith('MemTotal'))).toEqual([
      'MemTotal                 1024.00         1024.00',
      'MemTotal                 2048.00',
    ])
    expect(numastatLines(sample, { what: 'meminfo', ...WIDE, compress: true })).toContain('MemTotal           1024   1024  2048')
  })
})

describe('numactl', () => {
  it('--hardware prints nodes, CPUs, sizes and distances', () => {
    expect(hardwareLines(sample)).toEqual([
      'available: 2 nodes (0-1)',
      'node 0 cpus: 0 1',
      'node 0 size: 1024 MB',
      'node 0 free: 1 MB',
      'node 1 cpus: 2 3',
      'node 1 size: 1024 MB',
      'node 1 free: 512 MB',
      'node distances:',
      'node   0   1 ',
      '  0:  10  21 ',
      '  1:  21  10 ',
    ])
  })

  it('--show prints what a process may do', () => {
    const [task] = sample.tasks()
    expect(showLines(sample, task)).toEqual([
      'policy: default',
      'preferred node: current',
      'physcpubind: 2 3 ',
      'cpubind: 1 ',
      'nodebind: 1 ',
      'membind: 0 1 ',
      'preferred: ',
    ])
  })
})

const show = (name: string) => {
  const view = VIEWS.find(each => each.name === name)
  const later = {
    ...files,
    '/proc/vmstat': 'numa_hint_faults 300\nnuma_hint_faults_local 150\nnuma_pages_migrated 100\n',
    '/mmtop/locks': 'pte_contended 40\npte_waited_ns 4000\n',
  }
  const model = modelFrom([
    frameOf(1e9, {
      ...later,
      '/proc/vmstat': 'numa_hint_faults 100\nnuma_hint_faults_local 50\nnuma_pages_migrated 0\n',
      '/mmtop/locks': 'pte_contended 0\n',
    }),
    frameOf(2e9, later),
  ])
  return view === undefined ? '' : plainLines(view.panel(model, DEFAULT_UI, { width: 120, height: 30 }).rows).join('\n')
}

describe('the panel of policies', () => {
  it('says whose policy governs a region, and what lies where it should not', () => {
    const text = show('policies')
    expect(text).toMatch(/512K on\s+nodes that the policy does not name/)
    expect(text).toMatch(/200000400000 bind:1 +region +2\.00M +512K/)
    expect(text).toMatch(/00400000 +default +system/)
  })

  it('knows the nodes of a policy', () => {
    expect(policyNodes('interleave=static:0-2,5')).toEqual([0, 1, 2, 5])
    expect(policyNodes('default')).toBeUndefined()
  })
})

describe('the panel of balancing', () => {
  it('says how many faults there are, how many of them local, and which locks were taken', () => {
    const text = show('balancing')
    expect(text).toMatch(/200 hinting faults\/s, 50% find their page on their own node, not settled/i)
    expect(text).toMatch(/100 pages\/s\s+moved to who uses them/)
    expect(text).toMatch(/50%\s+were local since boot/)
    expect(text).toMatch(/PTE, 2 MiB +40 +40 +4us/)
  })
})
