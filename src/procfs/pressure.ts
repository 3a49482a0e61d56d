/**
 * /proc/pressure/{cpu,io,memory} and their like of cgroups. A trigger that is written lasts as long as the file is open, so one write to it
 * only says whether it is one.
 *
 * Source: kernel/sched/psi.c (psi_show, psi_trigger_create).
 */
import { EINVAL } from '../kernel/base/errno.ts'
import { PSI_SYSTEM, type PsiResource, psiText } from '../kernel/base/psi.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { File } from './file.ts'

const WINDOW_MIN_US = 500_000
const WINDOW_MAX_US = 10_000_000

/** "some 150000 1000000": stalls of so many microseconds within a window of so many. @returns bytes taken or -EINVAL. */
export function writePressure(text: string): number {
  const [, threshold, window] = /^(?:some|full)\s+(\d+)\s+(\d+)/.exec(text) ?? []
  if (threshold === undefined || Number(window) < WINDOW_MIN_US || Number(window) > WINDOW_MAX_US) return -EINVAL
  return Number(threshold) === 0 || Number(threshold) > Number(window) ? -EINVAL : text.length
}

/** Pressure on the whole machine. */
export const systemPressure = (resource: PsiResource): File => ({
  read: (k: Kernel) => psiText(k, PSI_SYSTEM, resource),
  write: (_, text) => writePressure(text),
  refuses: EINVAL,
})
