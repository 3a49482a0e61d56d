/**
 * /proc/PID/ksm_merging_pages and ksm_stat: how much of a process KSM has merged, and how many of its pages it keeps records of.
 * A process that has ended says nothing.
 *
 * Source: fs/proc/base.c (proc_pid_ksm_merging_pages, proc_pid_ksm_stat).
 */
import type { Living } from './living.ts'

export const ksmMergingPages = ({ mm }: Living): string => (mm === undefined ? '' : `${mm.ksmMergingPages + mm.ksmForkedMergingPages}\n`)
export const ksmStat = ({ mm }: Living): string => (mm === undefined ? '' : `ksm_rmap_items ${mm.ksmRmapItems + mm.ksmForkedRmapItems}\n`)
