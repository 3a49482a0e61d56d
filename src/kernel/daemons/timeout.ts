/**
 * How long a sleep of so many milliseconds lasts: timers fire on ticks, 250 a second, and never early.
 *
 * Source: kernel/time/timer.c (schedule_timeout, calc_index), include/linux/jiffies.h msecs_to_jiffies.
 */
import { now } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'

const JIFFY_MS = 4
const JIFFY_NS = JIFFY_MS * 1_000_000

/** Ticks since boot, and the ticks of so many milliseconds, rounded up. */
export const jiffies = (k: Kernel): number => Math.floor(now(k) / JIFFY_NS)
export const millisecsToJiffies = (millisecs: number): number => Math.ceil(millisecs / JIFFY_MS)

/** When a sleep of `millisecs` that begins now is over; now itself for no sleep at all. */
export function timeoutNs(k: Kernel, millisecs: number): number {
  const ticks = millisecsToJiffies(millisecs)
  return ticks === 0 ? now(k) : (jiffies(k) + ticks + 1) * JIFFY_NS
}
