/**
 * prctl(2), as far as it is about memory: a process can do without huge pages.
 *
 * Source: kernel/sys.c (PR_SET_THP_DISABLE).
 */
import { EINVAL } from '../base/errno.ts'
import type { Task } from '../base/state_mm.ts'

/** Switches huge pages off or on for the task's address space; what is huge stays so. Inherited by fork. */
export function prctlSetThpDisable(task: Task, disable: boolean): number {
  if (task.mm === undefined) return -EINVAL
  task.mm.thpDisable = disable
  return 0
}
