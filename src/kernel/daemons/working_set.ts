/**
 * A working-set estimator as the document of idle page tracking describes one: a program in user space, which is not part of Linux, that
 *
 *     1. marks all pages as idle                      the bitmap, OR-ed with ones
 *     2. waits until the workload has used its own    intervalMs
 *     3. asks which are idle still                    the bitmap, read
 *
 * and begins again. A page that stays idle round after round grows older. What it does costs time on a CPU as it would; like a nice
 * program it keeps nobody waiting.
 *
 * Source: Documentation/admin-guide/mm/idle_page_tracking.rst.
 */
import { now } from '../base/cost.ts'
import { PG_lru } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { pageIsIdle, pageMarkIdle } from '../calls/page_idle.ts'

const NEVER = Number.POSITIVE_INFINITY
const OLDEST = 255

/** One round over all page frames; to be called when its wakeNs has come. */
export function runWorkingSet(k: Kernel): void {
  const { workingSet } = k
  if (workingSet.intervalMs === 0) return
  const { ages } = workingSet
  for (let pfn = 1; pfn < k.maxPfn; pfn++) {
    if ((k.page[pfn * PAGE_WORDS] & PG_lru) === 0) ages[pfn] = 0
    else {
      ages[pfn] = ages[pfn] > 0 && pageIsIdle(k, pfn) ? Math.min(OLDEST, ages[pfn] + 1) : 1
      pageMarkIdle(k, pfn)
    }
  }
  workingSet.rounds++
  workingSet.atNs = now(k)
  workingSet.daemon.wakeNs = now(k) + workingSet.intervalMs * 1e6
}

/** Starts it, changes its pace, or stops it with 0. */
export function setWorkingSetInterval(k: Kernel, intervalMs: number): void {
  const { workingSet } = k
  workingSet.intervalMs = intervalMs
  workingSet.daemon.wakeNs = intervalMs === 0 ? NEVER : now(k)
  if (intervalMs === 0) {
    workingSet.ages = new Uint8Array(0)
    workingSet.rounds = 0
  } else if (workingSet.ages.length === 0) workingSet.ages = new Uint8Array(k.maxPfn)
}
