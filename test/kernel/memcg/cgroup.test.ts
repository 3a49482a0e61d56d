import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pageCounterMemparse } from '../../../src/kernel/calls/memcg_files.ts'
import { PAGE_COUNTER_MAX } from '../../../src/kernel/frames/memcg.ts'
import { file, run } from './lab.ts'

/** What the recorded kernel answered to writes to a group's files. */
const ANSWERS: readonly (readonly [file: string, answers: Readonly<Record<string, string>>])[] = [
  [
    'memory.max',
    {
      '64M': '',
      '64m': '',
      '1': '',
      '0x1000': '',
      '12K 3': 'EINVAL',
      abc: 'EINVAL',
      MAX: 'EINVAL',
      '-1': 'EINVAL',
      '1G1': 'EINVAL',
      '+5': 'EINVAL',
      '99999999999999999999': '',
      '10E': '',
      max: '',
    },
  ],
  ['memory.high', { '10M': '', x: 'EINVAL', '0': '', max: '' }],
  ['memory.min', { '10M': '', '-5': 'EINVAL', max: '', '0': '' }],
  ['memory.oom.group', { '1': '', '0': '', '2': 'EINVAL', '-1': 'EINVAL', x: 'EINVAL', '01': '', '0x1': '', '1 1': 'EINVAL', '+1': '' }],
  ['memory.current', { '5': 'EINVAL' }],
  ['memory.stat', { '1': 'EINVAL' }],
  ['memory.reclaim', { '1M': 'EAGAIN', x: 'EINVAL', max: 'EINVAL', '0': '' }],
  ['memory.foo', { '1': 'ENOENT' }],
  ['cgroup.procs', { '99999': 'ESRCH', abc: 'EINVAL', '-1': 'EINVAL', '1 2': 'EINVAL' }],
  ['cgroup.controllers', { '1': 'EINVAL' }],
  ['cgroup.freeze', { '1': '', '0': '', '2': 'ERANGE', x: 'EINVAL' }],
  ['cgroup.kill', { '0': 'ERANGE', '2': 'ERANGE', x: 'EINVAL', '1': '' }],
  ['cgroup.max.depth', { '5': '', x: 'EINVAL', '-1': 'ERANGE', max: '' }],
  ['cgroup.type', { domain: 'EINVAL', x: 'EINVAL' }],
  [
    'cgroup.subtree_control',
    {
      '+foo': 'EINVAL',
      memory: 'EINVAL',
      '+': 'EINVAL',
      '-memory': '',
      '+pids': 'ENOENT',
      '+memory +pids': 'ENOENT',
      '-memory +memory': '',
    },
  ],
]

describe('files of a group', () => {
  it.each(ANSWERS)('%s takes and refuses what Linux does', (name, answers) => {
    const values = Object.keys(answers)
    const { err } = run(values.map(value => `cgroup G set ${name} ${value}`).join('\n'))
    expect(values.map(value => [value, err(`cgroup G set ${name} ${value}`)])).toEqual(Object.entries(answers))
  })

  it('are fewer in the root, and none before the hierarchy is mounted', () => {
    const { err, op } = run(
      'read /sys/fs/cgroup/cgroup.procs\ncgroup G read cgroup.type\nread /sys/fs/cgroup/memory.current\nread /sys/fs/cgroup/memory.reclaim\nread /sys/fs/cgroup/cgroup.controllers\nread /sys/fs/cgroup/cgroup.subtree_control',
    )
    expect(err('read /sys/fs/cgroup/cgroup.procs')).toBe('ENOENT')
    expect(err('read /sys/fs/cgroup/memory.current')).toBe('ENOENT')
    expect(err('read /sys/fs/cgroup/memory.reclaim')).toBe('EINVAL')
    expect(op('read /sys/fs/cgroup/cgroup.controllers').fields['text']).toBe('cpuset cpu io memory hugetlb pids rdma misc\n')
    expect(op('read /sys/fs/cgroup/cgroup.subtree_control').fields['text']).toBe('cpuset memory\n')
  })
})

describe('the tree of groups', () => {
  it('has processes in leaves only, as far as memory is concerned', () => {
    const { err } = run(
      'spawn A\ncgroup P add A\ncgroup P set cgroup.subtree_control +memory\ncgroup P set cgroup.subtree_control +cpuset\ncgroup Q set cgroup.subtree_control +memory\ncgroup Q add A\ncgroup Q/x add A\ncgroup Q set cgroup.subtree_control -memory\ncgroup Q/x read memory.current',
    )
    expect(err('cgroup P set cgroup.subtree_control +memory')).toBe('EBUSY')
    expect(err('cgroup P set cgroup.subtree_control +cpuset')).toBe('')
    expect(err('cgroup Q add A')).toBe('EBUSY')
    expect(err('cgroup Q/x add A')).toBe('')
    expect(err('cgroup Q set cgroup.subtree_control -memory')).toBe('')
    expect(err('cgroup Q/x read memory.current')).toBe('ENOENT')
  })

  it('keeps groups that are in use, and counts those below', () => {
    const { err, k } = run(
      'cgroup P set memory.max max\ncgroup P/x set cgroup.max.depth 3\nspawn A\ncgroup P/x add A\ncgroup P/x remove\ncgroup P remove\ncgroup N/M read cgroup.type',
    )
    expect([err('cgroup P/x remove'), err('cgroup P remove'), err('cgroup N/M read cgroup.type')]).toEqual(['EBUSY', 'EBUSY', 'ENOENT'])
    expect(file(k, 'cgroup.stat')).toBe('nr_descendants 2\nnr_dying_descendants 0')
    expect(file(k, 'P/cgroup.events')).toBe('populated 1\nfrozen 0')
  })

  it('ends at cgroup.max.depth and cgroup.max.descendants', () => {
    const { err } = run(
      'cgroup P set cgroup.max.depth 0\ncgroup P/a read cgroup.type\ncgroup Q set cgroup.max.descendants 1\ncgroup Q/a read cgroup.type\ncgroup Q/b read cgroup.type',
    )
    expect([err('cgroup P/a read cgroup.type'), err('cgroup Q/a read cgroup.type'), err('cgroup Q/b read cgroup.type')]).toEqual([
      'EAGAIN',
      '',
      'EAGAIN',
    ])
  })

  it('has threaded groups without memory of their own, whose children are no valid domains', () => {
    const { err, k } = run('cgroup P set cgroup.type threaded\ncgroup P/c read cgroup.type\nspawn A\ncgroup P/c add A\ncgroup P add A')
    expect(file(k, 'P/cgroup.type')).toBe('threaded')
    expect(file(k, 'P/cgroup.controllers')).toBe('cpuset')
    expect(file(k, 'P/c/cgroup.type')).toBe('domain invalid')
    expect([err('cgroup P/c add A'), err('cgroup P add A')]).toEqual(['EOPNOTSUPP', ''])
  })
})

describe('a size in a file', () => {
  it('is rounded down to pages, wraps at 2^64 and never exceeds the largest counter', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 70n }), fc.constantFrom('', 'K', 'M', 'G', 'T', 'P', 'E', 'k'), (value, suffix) => {
        const shift = suffix === '' ? 0n : 10n * BigInt('KMGTPE'.indexOf(suffix.toUpperCase()) + 1)
        const bytes = ((value % 2n ** 64n) << shift) % 2n ** 64n
        const pages = bytes / 4096n
        expect(pageCounterMemparse(`${value}${suffix}`, 'max')).toBe(pages > BigInt(PAGE_COUNTER_MAX) ? PAGE_COUNTER_MAX : Number(pages))
      }),
    )
  })
})
