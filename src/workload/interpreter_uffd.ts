/**
 * A process' ops on userfaultfd. The simulated kernel does not have it yet: all of them fail with ENOSYS.
 */
import { EINVAL, ENOSYS } from '../kernel/base/errno.ts'
import { notYet } from './interpreter_missing.ts'
import type { Outcome } from './interpreter_records.ts'
import { regionOf } from './interpreter_regions.ts'
import type { Doing, OpOf, Worker } from './interpreter_state.ts'

type UffdOp = OpOf<
  'uffd_open' | 'uffd_register' | 'uffd_unregister' | 'uffd_writeprotect' | 'uffd_copy' | 'uffd_zeropage' | 'uffd_wake' | 'uffd_handler'
>

export function uffdOp(worker: Worker, doing: Doing, op: UffdOp): number {
  return 'region' in op && regionOf(worker, op.region) === undefined ? -EINVAL : notYet(doing)
}

export const uffdEvents = (): Outcome => ({ ret: -ENOSYS, fields: { text: 'uffd_events: the simulated kernel does not have this yet' } })
