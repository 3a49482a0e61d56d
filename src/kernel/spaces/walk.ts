/**
 * Walking the tables below a range of addresses, 2 MiB at a time; holes are skipped a whole table at a time, so a
 * walk costs what is mapped, not what is spanned.
 *
 * Source: mm/pagewalk.c walk_page_range.
 */
import { turnOver } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import { entryFlags, LEVEL_PAGES, LEVEL_PMD, LEVEL_PUD, levelIndex, walkTo } from './pagetable.ts'

/** What is done with an entry in use: entry `i` of a pmd table, and the part [start, end) of the range that it covers. */
export type PmdVisit = (pmd: number, i: number, start: number, end: number) => void

/**
 * Visits every pmd entry in use below virtual pages [start, end), in address order. A visit may change or split its entry.
 * @param pauses whether the walk may stop behind an entry when its turn is over. @returns the virtual page where it stopped
 */
export function walkPmds(k: Kernel, mm: Mm, start: number, end: number, visit: PmdVisit, pauses = false): number {
  for (let at = start; at < end; ) {
    const pmd = walkTo(k, mm, at, LEVEL_PMD)
    const span = pmd !== 0 ? 512 : LEVEL_PAGES[walkTo(k, mm, at, LEVEL_PUD) === 0 ? 0 : 1]
    const next = Math.min(end, at - (at % span) + span)
    if (pmd !== 0) {
      const i = levelIndex(at, LEVEL_PMD)
      if (entryFlags(k, pmd, i) !== 0) visit(pmd, i, at, next)
    }
    at = next
    if (pauses && turnOver(k)) return at
  }
  return end
}
