/**
 * What a process may take: setrlimit, and setuid, which drops root's exemptions from limits.
 *
 * A limit that is set is the hard one too: only root raises it again. A process has all capabilities as user 0, none as anybody
 * else, and cannot come back.
 *
 * Source: kernel/sys.c (do_prlimit, __sys_setuid), security/commoncap.c cap_emulate_setxuid.
 */
import { EPERM } from '../base/errno.ts'
import type { Rlimits, Task } from '../base/state_mm.ts'
import { capable } from './account.ts'

export type RlimitName = keyof Rlimits

/** setrlimit(2), soft and hard limit alike. @param bytes Infinity for none. @returns 0, or -EPERM for raising one without capability. */
export function sysSetrlimit(task: Task, limit: RlimitName, bytes: number): number {
  if (bytes > task.rlimits[limit] && !capable(task)) return -EPERM
  task.rlimits[limit] = bytes
  return 0
}

/** setuid(2). @returns 0, or -EPERM for another user than one's own without capability. */
export function sysSetuid(task: Task, uid: number): number {
  if (uid !== task.uid && !capable(task)) return -EPERM
  task.uid = uid
  return 0
}
