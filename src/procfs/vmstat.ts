/**
 * /proc/vmstat: every counter of the machine, a line each.
 *
 * Source: mm/vmstat.c (vmstat_start, vmstat_show).
 */
import { VM_EVENTS } from '../kernel/base/counters.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { dirtyLimits } from '../kernel/reclaim/dirty_limits.ts'
import { statLines } from './sums.ts'

export function vmstat(k: Kernel): string {
  const limits = dirtyLimits(k)
  return [
    ...statLines(k.zones, k.nodes),
    `nr_dirty_threshold ${limits.dirty}\n`,
    `nr_dirty_background_threshold ${limits.background}\n`,
    ...VM_EVENTS.map((name, i) => `${name} ${k.event[i]}\n`),
    'nr_unstable 0\n',
  ].join('')
}
