import { describe, expect, it } from 'vitest'
import { NUMA } from '../../../src/kernel/base/counters.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { BASE, event, labOf, MIB, readFile } from '../files/lab.ts'
import { mapAnon, touch } from '../machine.ts'

/** A node half full of page cache, and a process on it that wants more than is free there; pages it got from the other node. */
function missesWith(mode: number, ratio = 1): number {
  const lab = labOf(
    [256, 256],
    { f: 80 },
    {
      cmdline: [
        ['transparent_hugepage', 'never'],
        ['numa_balancing', 'disable'],
      ],
    },
  )
  const { k, task } = lab
  k.sysctl.zone_reclaim_mode = mode
  k.sysctl.min_unmapped_ratio = ratio
  readFile(lab, '/mnt/f', 80 * MIB)
  mapAnon(k, task, BASE, 150 * MIB)
  touch(k, task, BASE, 150 * MIB, true)
  expect(verify(k)).toEqual([])
  expect(event(k, 'oom_kill')).toBe(0)
  return k.zones.reduce((sum, zone) => sum + zone.numa[NUMA.numa_miss], 0)
}

describe('zone_reclaim_mode', () => {
  it('off lets a request go to the other node as soon as its own is short', () => {
    expect(missesWith(0)).toBeGreaterThan(5000)
  })

  it('on has the node give up its page cache first', () => {
    expect(missesWith(1)).toBeLessThan(missesWith(0) / 2)
  })

  it('leaves the share of cache that min_unmapped_ratio names', () => {
    expect(missesWith(1, 100)).toBeGreaterThan(5000)
  })
})
