import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newMemo, type Sample, toSample } from '../../src/sample/sample.ts'
import { scalarsOf } from '../../src/sample/scalars.ts'
import type { Frame } from '../../src/sample/source.ts'
import { cleanText, toInteger, toList } from '../../src/sample/text.ts'
import { busyFrame, frameOf, lastFrame } from '../fixtures/load.ts'

/** Calls every part, as all screens together would. */
function everything(sample: Sample): unknown[] {
  return Object.values(sample).map(part => (typeof part === 'function' ? part() : part))
}

describe('a sample', () => {
  it('finds nodes, pools, processes and their names in the paths of a frame', async () => {
    const sample = toSample(await busyFrame('numa-policies'))
    expect(sample.nodes().map(node => [node.node, node.distances, node.cpus])).toEqual([
      [0, [10, 21], [0, 1]],
      [1, [21, 10], [2, 3]],
    ])
    expect(sample.pools().map(pool => [pool.node, pool.sizeKb])).toEqual([
      [undefined, 2048],
      [undefined, 1048576],
      [0, 2048],
      [0, 1048576],
      [1, 2048],
      [1, 1048576],
    ])
    const [task] = sample.tasks()
    expect(task.named).toMatchObject({ name: 'D', majflt: 0 })
    expect(task.rollup?.get('Rss')).toBe(8 << 20)
    expect(task.oomScore).toBeGreaterThan(0)
    expect(sample.thp().get('khugepaged/max_ptes_none')).toBe('511')
    expect(sample.ksm().get('run')).toBe(0)
  })

  it('finds cgroups, with "max" as no limit', async () => {
    const [group] = toSample(await lastFrame('cgroup-memory-max')).cgroups()
    expect(group.name).toBe('G')
    expect(group.limits.get('memory.max')).toBe(Number.POSITIVE_INFINITY)
    expect(group.events.get('oom_kill')).toBe(1)
    expect(group.stat.get('workingset_refault_file')).toBe(32768)
  })

  it('is empty, not broken, where a machine has no file', () => {
    const sample = toSample(frameOf(5, {}))
    expect(sample.vmstat().size).toBe(0)
    expect(sample.nodes()).toEqual([])
    expect(sample.pressure()).toEqual({ some: undefined, full: undefined })
    expect(scalarsOf(sample).size).toBe(0)
  })

  it('gives every figure a flat name', async () => {
    const scalars = scalarsOf(toSample(await lastFrame('numa-policies')))
    expect(scalars.get('N1.MemTotal')).toBeGreaterThan(400 << 20)
    expect(scalars.get('N0.numa_hit')).toBeGreaterThan(0)
    expect(scalars.get('N0.DMA32.managed')).toBeGreaterThan(0)
    expect(scalars.get('N1.DMA32.order10')).toBeGreaterThan(0)
    expect(scalars.get('hugetlb_2048kB_nr_hugepages')).toBe(0)
    expect(scalars.get('N1.hugetlb_1048576kB_free_hugepages')).toBe(0)
    expect(scalars.get('khugepaged_full_scans')).toBeGreaterThanOrEqual(0)
    expect([...scalars.values()].every(Number.isFinite)).toBe(true)
  })

  it('reads what a source knows beside the files', () => {
    const sample = toSample(
      frameOf(0, {
        '/mmtop/machine': 'title tour\nseed 1\nmodel Linux 6.1\n',
        '/mmtop/activity': '101 touch heap\nx y\n',
        '/mmtop/events': '5 knob thp/enabled\n6 someday a kind of the future\nrubbish\n',
        '/mmtop/daemons': 'kswapd 0 running\nksmd - sleeping\n',
        '/proc/101/oom_score': '12\n',
      }),
    )
    expect(sample.machine().get('model')).toBe('Linux 6.1')
    expect(sample.events().map(event => event.kind)).toEqual(['knob', 'note'])
    expect(sample.daemons()).toEqual([
      { name: 'kswapd', node: '0', running: true },
      { name: 'ksmd', node: '', running: false },
    ])
    expect(sample.tasks()[0].activity).toBe('touch heap')
  })
})

describe('hostile texts', () => {
  const paths = [
    ...['vmstat', 'meminfo', 'zoneinfo', 'buddyinfo', 'pagetypeinfo', 'swaps', 'pressure/memory', 'slabinfo'].map(name => `/proc/${name}`),
    ...['stat', 'statm', 'status', 'smaps', 'smaps_rollup', 'numa_maps', 'maps', 'oom_score'].map(name => `/proc/7/${name}`),
    ...['meminfo', 'numastat', 'vmstat', 'distance', 'cpulist', 'hugepages/hugepages-2048kB/nr_hugepages'].map(
      name => `/sys/devices/system/node/node0/${name}`,
    ),
    ...['machine', 'tasks', 'activity', 'events', 'daemons', 'costs'].map(name => `/mmtop/${name}`),
    ...['memory.current', 'memory.stat', 'memory.numa_stat', 'memory.events'].map(name => `/sys/fs/cgroup/G\x1b[2J/${name}`),
    '/sys/kernel/mm/ksm/run',
    '/sys/kernel/mm/transparent_hugepage/enabled',
  ]

  it('never make a parser throw, never give NaN, and leave no control character', () => {
    const nasty = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'Node 0, zone ',
        'pages free',
        'cpu: 0',
        'protection: (',
        '1 (',
        ') ',
        ' kB',
        ':',
        '=',
        'N0=',
        '[',
        '\x1b[31m',
        '99999999999999999999999',
        '-',
        ' ',
      ),
    )
    const content = fc.array(nasty, { maxLength: 30 }).map(parts => parts.join('\n'))
    fc.assert(
      fc.property(content, text => {
        const frame: Frame = { ns: 0, files: new Map(paths.map(path => [path, text])) }
        const sample = toSample(frame)
        const shown = JSON.stringify(
          everything({ ...sample, frame: { ns: 0, files: new Map() }, places: toSample({ ns: 0, files: new Map() }).places }),
          (_, value) => (value instanceof Map ? [...value] : value),
        )
        expect(shown.replace(/\\n|\\t/g, '')).not.toMatch(/[\p{Cc}\p{Cf}]|\\u00[01]/u)
        expect([...scalarsOf(sample).values()].some(Number.isNaN)).toBe(false)
      }),
      { numRuns: 300 },
    )
  })

  it('survive a real file with bytes changed anywhere', async () => {
    const real = await lastFrame('thp-khugepaged-none')
    fc.assert(
      fc.property(fc.constantFrom(...real.files.keys()), fc.nat(), fc.string({ unit: 'binary', maxLength: 8 }), (path, at, junk) => {
        const text = real.files.get(path) ?? ''
        const cut = at % (text.length + 1)
        everything(toSample({ ns: 0, files: new Map([...real.files, [path, text.slice(0, cut) + junk + text.slice(cut + junk.length)]]) }))
      }),
      { numRuns: 200 },
    )
  })

  it('lose controls, bidirectional marks, private use and lone surrogates, and nothing else', () => {
    expect(cleanText('a\x1b[2Jb\u202Ec\uE000d\uD800e\u200Bf\x9bg')).toBe('a?[2Jb?c?d?e?f?g')
    expect(cleanText('héé 日本 😀\tx\n')).toBe('héé 日本 😀\tx\n')
  })

  it('hold numbers only where they are numbers', () => {
    expect(toInteger('18446744073709551615')).toBe(2 ** 64)
    for (const digits of ['0', '-0', '-12', '007', '999999999999999', '9999999999999999', '18014398509481984'])
      expect(toInteger(digits)).toBe(Number(digits))
    for (const text of [' 1', '1 ', '1\n', '+1', '1.5', '-', '--1', '１']) expect(toInteger(text)).toBeUndefined()
    expect([toInteger('1e9'), toInteger('0x10'), toInteger(''), toInteger('9'.repeat(21)), toInteger('NaN')]).toEqual(
      Array(5).fill(undefined),
    )
    expect(toList('0-2,5,x,7-')).toEqual([0, 1, 2, 5, 7])
    expect(toList('0-99999999').length).toBe(4096)
  })
})

it('what was parsed of processes that are gone is forgotten', () => {
  const memo = newMemo()
  const stat = (pid: number) => `${pid} (a) S 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0 4096 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0\n`
  for (let i = 0; i < 2000; i++) {
    const pids = [1, 2, 1000 + i, 1001 + i]
    const frame = frameOf(i, Object.fromEntries(pids.map(pid => [`/proc/${pid}/stat`, stat(pid)])))
    expect(
      toSample(frame, memo)
        .tasks()
        .map(task => [task.pid, task.stat?.name]),
    ).toEqual(pids.map(pid => [pid, 'a']))
    expect(memo.tasks.size).toBe(4)
  }
})

it('a process that has done nothing is the same task again, and one that has is parsed anew where it changed', () => {
  const memo = newMemo()
  const stat = (minflt: number) => `7 (a) S 1 0 0 0 -1 0 ${minflt} 0 0 0 0 0 0 0 20 0 1 0 0 4096 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0\n`
  const taskAt = (ns: number, minflt: number, oom: string) => {
    const files = { '/proc/7/stat': stat(minflt), '/proc/7/status': 'VmRSS:\t8 kB\n', '/proc/7/oom_score': oom }
    return toSample(frameOf(ns, files), memo).tasks()[0]
  }
  const first = taskAt(1, 5, '1')
  expect([first.stat?.minflt, first.status?.bytes.get('VmRSS'), first.oomScore]).toEqual([5, 8192, 1])
  expect(taskAt(2, 5, '1')).toBe(first)
  const later = taskAt(3, 9, '1')
  expect([later.stat?.minflt, first.stat?.minflt]).toEqual([9, 5])
  expect(later.status).toBe(first.status)
  expect(taskAt(4, 9, '2').stat).toBe(later.stat)
})
