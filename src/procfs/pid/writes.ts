/**
 * Files of a process that can be written: oom_score_adj and its older form oom_adj, clear_refs, comm; and oom_score, which
 * says what the first two lead to.
 *
 * Source: fs/proc/base.c (__set_oom_adj, oom_adj_write, oom_adj_read, comm_write, proc_oom_score), fs/proc/task_mmu.c clear_refs_write.
 */
import { EINVAL } from '../../kernel/base/errno.ts'
import type { Task } from '../../kernel/base/state_mm.ts'
import { totalSwapPages } from '../../kernel/calls/account.ts'
import { CLEAR_REFS_ALL, CLEAR_REFS_MM_HIWATER_RSS, clearRefs } from '../../kernel/calls/clear_refs.ts'
import { OOM_SCORE_ADJ_MIN, oomBadness } from '../../kernel/reclaim/oom_badness.ts'
import { kstrtoint } from '../../kernel/tunables_parse.ts'
import type { Living } from './living.ts'

const OOM_SCORE_ADJ_MAX = 1000
const OOM_DISABLE = -17
const OOM_ADJUST_MIN = -16
const OOM_ADJUST_MAX = 15
/** Longest text these files look at (PROC_NUMBUF less its end). */
const NUMBER_MAX = 12
const COMM_MAX = 15

const number = (text: string, base: number) => kstrtoint(text.slice(0, NUMBER_MAX).trim(), base)
/** What write(2) says of a text that was longer than looked at. */
const taken = (text: string) => Math.min(text.length, NUMBER_MAX)

export function oomScore({ k, task }: Living): string {
  const totalPages = k.totalramPages + totalSwapPages(k)
  const badness = oomBadness(task, totalPages)
  const points = badness === undefined ? 0 : Math.trunc(((1000 + Math.trunc((badness * 1000) / totalPages)) * 2) / 3)
  return `${points}\n`
}

export const oomScoreAdj = ({ task }: Living): string => `${task.oomScoreAdj}\n`

export function setOomScoreAdj({ task }: Living, text: string): number {
  const { error, value } = number(text, 0)
  if (error < 0) return error
  if (value < OOM_SCORE_ADJ_MIN || value > OOM_SCORE_ADJ_MAX) return -EINVAL
  task.oomScoreAdj = value
  return taken(text)
}

export function oomAdj({ task }: Living): string {
  const adj = task.oomScoreAdj === OOM_SCORE_ADJ_MAX ? OOM_ADJUST_MAX : Math.trunc((task.oomScoreAdj * -OOM_DISABLE) / OOM_SCORE_ADJ_MAX)
  return `${Math.min(adj, OOM_ADJUST_MAX)}\n`
}

export function setOomAdj({ task }: Living, text: string): number {
  const { error, value } = number(text, 0)
  if (error < 0) return error
  if ((value < OOM_ADJUST_MIN || value > OOM_ADJUST_MAX) && value !== OOM_DISABLE) return -EINVAL
  task.oomScoreAdj = value === OOM_ADJUST_MAX ? OOM_SCORE_ADJ_MAX : Math.trunc((value * OOM_SCORE_ADJ_MAX) / -OOM_DISABLE)
  return taken(text)
}

export function writeClearRefs({ k, mm }: Living, text: string): number {
  const { error, value } = number(text, 10)
  if (error < 0) return error
  if (value < CLEAR_REFS_ALL || value > CLEAR_REFS_MM_HIWATER_RSS) return -EINVAL
  if (mm !== undefined) clearRefs(k, mm, value)
  return taken(text)
}

/** Only a process itself may change its name. */
export function writeComm({ task }: Living, text: string, writer: Task | undefined): number {
  if (writer !== task) return -EINVAL
  task.comm = text.slice(0, COMM_MAX)
  return text.length
}
