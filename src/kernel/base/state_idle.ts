/** Shape of the working-set estimator (daemons/working_set.ts). */
import type { Daemon } from './state_shared.ts'

export interface WorkingSet {
  readonly daemon: Daemon
  /** Between two rounds; 0 while it is off. */
  intervalMs: number
  rounds: number
  /** When the last round was, in nanoseconds since boot. */
  atNs: number
  /** By page frame: 0 for a page that is not tracked, else 1 and the rounds in a row that it was not used, up to 255. */
  ages: Uint8Array
}
