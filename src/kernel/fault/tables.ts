/**
 * Page tables on demand: whoever is about to write an entry makes the tables on the way to it first.
 *
 * Source: mm/memory.c (__p4d_alloc, __pud_alloc, __pmd_alloc, __pte_alloc).
 */

import { allocPages } from '../alloc/page_alloc.ts'
import { __GFP_ZERO, GFP_KERNEL_ACCOUNT } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import { NO_PAGE, type Pfn } from '../base/units.ts'
import { linkTable, missingLevel } from '../spaces/pagetable.ts'

/** A page for a page table of a process, or NO_PAGE. */
export const tablePage = (k: Kernel): Pfn => allocPages(k, GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0)

/** Allocates the tables down to `level` that the page lacks; false when there is no memory for them. */
export function makeTables(k: Kernel, mm: Mm, vpn: number, level: number): boolean {
  for (let missing = missingLevel(k, mm, vpn, level); missing >= 0; missing = missingLevel(k, mm, vpn, level)) {
    const pfn = tablePage(k)
    if (pfn === NO_PAGE) return false
    linkTable(k, mm, vpn, missing, pfn)
  }
  return true
}
