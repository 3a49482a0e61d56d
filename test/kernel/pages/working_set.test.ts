import { describe, expect, it } from 'vitest'
import { EINVAL } from '../../../src/kernel/base/errno.ts'
import { lruAddDrainCpu } from '../../../src/kernel/caches/lru.ts'
import { runDaemons } from '../../../src/kernel/kernel.ts'
import { workingSetText, writeWorkingSet } from '../../../src/procfs/pages/working_set.ts'
import { parseWorkingSet } from '../../../src/sample/parse/working_set.ts'
import { childOf, type Space, space } from '../calls/space.ts'

/** Lets so many rounds go by, which come every half a second. */
function rounds({ k }: Space, n: number): void {
  for (let i = 0; i < n; i++) {
    k.clock[0] += 6e8
    runDaemons(k, k.clock[0])
  }
}

const agesOf = ({ k, task }: Space): readonly number[] =>
  parseWorkingSet(workingSetText(k)).tasks.find(({ id }) => id === task.pid)?.pages ?? []

describe('the working-set estimator', () => {
  it('does nothing, and keeps nothing, until it is switched on', () => {
    const s = space()
    expect(parseWorkingSet(workingSetText(s.k))).toEqual({ intervalMs: 0, rounds: 0, tasks: [], cgroups: [] })
    expect(s.k.workingSet.ages).toHaveLength(0)
    expect([writeWorkingSet(s.k, '500\n'), writeWorkingSet(s.k, 'soon'), writeWorkingSet(s.k, '-1')]).toEqual([4, -EINVAL, -EINVAL])
  })

  it('tells by age which pages of each process were not used', () => {
    const s = space()
    s.map(0, 1024)
    s.write(0, 1024)
    for (const cpu of s.k.cpus) lruAddDrainCpu(s.k, cpu.id)
    const before = agesOf(s).length
    writeWorkingSet(s.k, '500')
    rounds(s, 6)
    s.read(0, 100)
    rounds(s, 1)
    const [used, ...idle] = agesOf(s)
    expect(before).toBe(0)
    expect(used).toBeGreaterThanOrEqual(100)
    expect(used).toBeLessThan(150)
    expect(idle.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(924)
    const child = childOf(s)
    child.read(200, 50)
    rounds(child, 1)
    expect(agesOf(child)[0]).toBeGreaterThanOrEqual(50)
    expect(agesOf(s)[0]).toBe(agesOf(child)[0])
  })

  it('stops when it is switched off', () => {
    const s = space()
    s.map(0, 8)
    s.write(0, 8)
    writeWorkingSet(s.k, '500')
    rounds(s, 3)
    writeWorkingSet(s.k, '0')
    const { rounds: done } = parseWorkingSet(workingSetText(s.k))
    rounds(s, 3)
    expect(parseWorkingSet(workingSetText(s.k))).toMatchObject({ intervalMs: 0, rounds: done })
  })
})
