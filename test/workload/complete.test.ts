import { describe, expect, it } from 'vitest'
import { complete } from '../../src/workload/complete.ts'

const alive = { workers: ['db', 'cache'], regions: new Map([['db', ['heap', 'log']]]) }

describe('completion', () => {
  it.each<[string, string[]]>([
    ['sa', ['sample']],
    ['d', ['db', 'dmesg']],
    ['kill ', ['cache', 'db']],
    ['bg c', ['cache']],
    ['db madv', ['madvise']],
    ['db madvise ', ['heap', 'log']],
    ['db madvise heap hugep', ['hugepage']],
    ['db touch heap ', ['read', 'write']],
    ['bg db touch heap write pat', ['pattern=']],
    ['db touch heap write pattern=z', ['pattern=zipf']],
    ['db mmap x 4M flags=private,hu', ['flags=private,huge_1gb', 'flags=private,huge_2mb', 'flags=private,hugetlb']],
    ['db mmap x 4M align=', ['align=none']],
    ['db mlock heap onfault st', ['stride=']],
    ['db mlock heap onfault on', []],
    ['wait /proc/vmstat:pgfault g', ['ge', 'gt']],
    ['cgroup G ', ['add', 'read', 'remove', 'set']],
    ['cgroup G add ', ['cache', 'db']],
    ['cpu_online 1 ', ['0', '1']],
    ['expect s', ['signal', 'softdirty', 'swapped']],
    ['spawn x policy=bind:', []],
    ['nobody touch ', []],
    ['sync ', []],
  ])('of "%s"', (text, words) => {
    expect(complete(text, alive)).toEqual(words)
  })
})
