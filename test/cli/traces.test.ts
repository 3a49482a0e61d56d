/** Real programs, replayed: what the simulator takes of their faults, and how large its processes get beside the real ones. */
import { expect, it } from 'vitest'
import { replayTraces } from '../../src/cli/fidelity_traces.ts'

it('takes the faults of real programs, and none beyond, and has resident sets as the kernel had', () => {
  for (const { faults, taken, beyond, points, largestRssPercent } of replayTraces()) {
    expect(taken / faults).toBeGreaterThan(0.99)
    expect(beyond / faults).toBeLessThan(0.01)
    expect(points).toBeGreaterThan(5)
    expect(largestRssPercent).toBeLessThan(2)
  }
})
