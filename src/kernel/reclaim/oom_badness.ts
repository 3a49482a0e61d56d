/**
 * Who would be killed for memory: the process with the highest badness.
 *
 *     badness = resident pages + swap entries + page-table pages + oom_score_adj * (all memory / 1000)
 *
 * Pages and entries are those that the process shows, which lag behind those it has (rss.ts).
 *
 * The first process, kernel threads and those with an adjustment of -1000 are never killed.
 *
 * Source: mm/oom_kill.c oom_badness.
 */
import type { Task } from '../base/state_mm.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { shownRssPages, shownSwap } from '../spaces/rss.ts'

export const OOM_SCORE_ADJ_MIN = -1000
export const INIT_PID = 1

/** @param totalPages memory that the processes share, swap included. @returns undefined for a process that is not to be killed. */
export function oomBadness(task: Task, totalPages: number): number | undefined {
  const { mm, oomScoreAdj } = task
  if (task.pid === INIT_PID || mm === undefined || oomScoreAdj === OOM_SCORE_ADJ_MIN) return undefined
  return shownRssPages(mm) + shownSwap(mm) + mm.pgtablesBytes / PAGE_SIZE + oomScoreAdj * Math.floor(totalPages / 1000)
}
