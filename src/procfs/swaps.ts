/**
 * /proc/swaps: the areas that are switched on.
 *
 * Source: mm/swapfile.c swap_show.
 */
import type { Kernel } from '../kernel/base/state.ts'
import { PAGE_KB } from '../kernel/base/units.ts'

/** Numbers of this many kB or more need no second tab. */
const WIDE_KB = 10_000_000

export function swaps(k: Kernel): string {
  const tabs = (kb: number) => `${kb}\t${kb < WIDE_KB ? '\t' : ''}`
  const lines = k.swap.areas.map(area =>
    area === undefined
      ? ''
      : `${area.path.padEnd(Math.max(40, area.path.length + 1))}${area.device.kind === 'file' ? 'file\t' : 'partition'}\t${tabs(area.pages * PAGE_KB)}${tabs(area.inusePages * PAGE_KB)}${area.priority}\n`,
  )
  return ['Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n', ...lines].join('')
}
