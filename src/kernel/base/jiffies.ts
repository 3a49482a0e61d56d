/**
 * Ticks of the clock, 250 a second on the recorded kernel: deadlines are kept in them, and timers fire on them and never early.
 *
 * Source: include/linux/jiffies.h (msecs_to_jiffies), kernel/time/timer.c (schedule_timeout, calc_index).
 */
import { now } from './cost.ts'
import type { Kernel } from './state.ts'

export const HZ = 250
export const JIFFY_MS = 1000 / HZ
export const JIFFY_NS = JIFFY_MS * 1_000_000

/** Ticks so far, and the ticks of so many milliseconds, rounded up. */
export const jiffies = (k: Kernel): number => Math.floor(now(k) / JIFFY_NS)
export const millisecsToJiffies = (millisecs: number): number => Math.ceil(millisecs / JIFFY_MS)

/** When a sleep of `millisecs` that begins now is over; now itself for no sleep at all. */
export function timeoutNs(k: Kernel, millisecs: number): number {
  const ticks = millisecsToJiffies(millisecs)
  return ticks === 0 ? now(k) : (jiffies(k) + ticks + 1) * JIFFY_NS
}
