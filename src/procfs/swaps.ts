/**
 * /proc/swaps. The machine has at most the one area it was described with; nothing is swapped out to it.
 *
 * Source: mm/swapfile.c swap_show.
 */
import type { Kernel } from '../kernel/base/state.ts'
import { PAGE_KB } from '../kernel/base/units.ts'
import { totalSwapPages } from '../kernel/calls/account.ts'

interface SwapArea {
  readonly path: string
  readonly pages: number
  readonly usedPages: number
  readonly priority: number
}

/** Areas without a priority of their own get falling ones, from -2. */
const FIRST_PRIORITY = -2
/** Numbers of this many kB or more need no second tab. */
const WIDE_KB = 10_000_000

const swapAreas = (k: Kernel): SwapArea[] =>
  totalSwapPages(k) === 0 ? [] : [{ path: '/dev/vda', pages: totalSwapPages(k), usedPages: 0, priority: FIRST_PRIORITY }]

export const swapTotals = (k: Kernel): { pages: number; usedPages: number } =>
  swapAreas(k).reduce((sum, area) => ({ pages: sum.pages + area.pages, usedPages: sum.usedPages + area.usedPages }), {
    pages: 0,
    usedPages: 0,
  })

export function swaps(k: Kernel): string {
  const tabs = (kb: number) => `${kb}\t${kb < WIDE_KB ? '\t' : ''}`
  const lines = swapAreas(k).map(
    area =>
      `${area.path.padEnd(Math.max(40, area.path.length + 1))}partition\t${tabs(area.pages * PAGE_KB)}${tabs(area.usedPages * PAGE_KB)}${area.priority}\n`,
  )
  return ['Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n', ...lines].join('')
}
