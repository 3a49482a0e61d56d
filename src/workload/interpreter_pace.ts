/**
 * When an op's next access may happen, which slot of the range it goes to, and when there are none to come: what
 * `rate=`, `pattern=`, `count=`, `for=` and `repeat=` ask for when the clock is looked at between accesses.
 *
 *     access  |##|      |##|      |#####|    |##|
 *             t         t+slot    t+2slot    begin of the one before + slot: what a stall cost is not made up for
 *
 * A wait that ends within the slice is passed in place, as COST.idle: the scheduler does not charge the CPU for it.
 */
import { COST, now, spend } from '../kernel/base/cost.ts'
import type { Pacing, Run, Worker } from './interpreter_state.ts'
import { nextSlot, startWalk } from './patterns.ts'
import type { Pace } from './program.ts'

/** Whether each access is an event of its own; else an op goes over its range in runs. */
export const isPaced = (pace: Pace) => pace.checkEvery === 'access'

/** @param slots of the range, at least 1 */
export function startPacing(run: Run, worker: Worker, pace: Pace, slots: number): Pacing {
  const passes = pace.passes ?? Number.POSITIVE_INFINITY
  return {
    walk: startWalk(pace.pattern, slots, walkSeed(run, worker)),
    accessesMax: pace.count ?? passes * slots,
    accesses: 0,
    slot: -1,
    nextNs: 0,
  }
}

/** From the workload's seed, the process and how many ops it has begun: not from when anything happens. */
function walkSeed(run: Run, worker: Worker): number {
  let hash = run.k.machine.seed | 0
  for (const part of [worker.ordinal, worker.begun]) hash = Math.imul(hash ^ (hash >>> 16) ^ part, 0x45d9f3b) + 0x9e3779b9
  return hash | 0
}

/**
 * What the op does now.
 * @returns the slot to access, 'wait' (the worker's readyNs is set), or 'over'
 */
export function nextAccess(run: Run, worker: Worker, pace: Pace, pacing: Pacing, untilNs: number): number | 'wait' | 'over' {
  const { k } = run
  const endNs = pace.forNs === undefined || worker.doing === undefined ? Number.POSITIVE_INFINITY : worker.doing.startNs + pace.forNs
  if (pacing.accesses >= pacing.accessesMax || now(k) >= endNs) return 'over'
  const dueNs = Math.min(pacing.nextNs, endNs)
  if (dueNs > now(k)) {
    if (dueNs >= untilNs) {
      worker.readyNs = dueNs
      return 'wait'
    }
    spend(k, COST.idle, dueNs - now(k))
    if (now(k) >= endNs) return 'over'
  }
  if (pacing.slot < 0) pacing.slot = nextSlot(pacing.walk)
  return pacing.slot
}

/** The access that began at `startNs` is done. */
export function accessDone(pace: Pace, pacing: Pacing, startNs: number, slotBytes: number): void {
  pacing.slot = -1
  pacing.accesses++
  if (pace.rateBytesPerS !== undefined) pacing.nextNs = startNs + (slotBytes / pace.rateBytesPerS) * 1e9
}

/** After pass number `passes`: whether there is another one. For ops that are not paced. */
export const passesOver = (pace: Pace, passes: number, elapsedNs: number): boolean =>
  pace.forNs === undefined ? passes >= (pace.passes ?? 1) : elapsedNs >= pace.forNs
