/**
 * How long a sleep of so many milliseconds lasts: timers fire on ticks, 250 a second, and never early.
 *
 * Source: kernel/time/timer.c (schedule_timeout, calc_index), include/linux/jiffies.h msecs_to_jiffies.
 */
import { now } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'

const JIFFY_MS = 4
const JIFFY_NS = JIFFY_MS * 1_000_000

/** When a sleep of `millisecs` that begins now is over; now itself for no sleep at all. */
export function timeoutNs(k: Kernel, millisecs: number): number {
  const jiffies = Math.ceil(millisecs / JIFFY_MS)
  return jiffies === 0 ? now(k) : (Math.floor(now(k) / JIFFY_NS) + jiffies + 1) * JIFFY_NS
}
