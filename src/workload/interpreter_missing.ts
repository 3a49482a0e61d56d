/**
 * Ops that this kernel has no system call for yet: they fail with ENOSYS, and say so.
 */
import { ENOSYS } from '../kernel/base/errno.ts'
import type { Doing } from './interpreter_state.ts'

export function notYet(doing: Doing): number {
  doing.extra['text'] = `${doing.op.op}: the simulated kernel does not have this yet`
  return -ENOSYS
}
