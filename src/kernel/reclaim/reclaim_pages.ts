/**
 * Reclaiming pages that somebody picked and isolated, rather than those at the end of the LRU lists: MADV_PAGEOUT.
 *
 * A page that can only go to swap stays when there is none: it is made active, so that reclaim does not try it again soon. A huge
 * page is split on the way, in the hope that its pieces would fit.
 *
 * Source: mm/vmscan.c (reclaim_pages, shrink_folio_list).
 */
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { PG_active, PG_mlocked, PG_swapbacked } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'
import { putbackLru } from '../caches/lru.ts'
import { compoundMapcount, compoundPages, isThp } from '../frames/page.ts'
import { canSplit, splitHugePage } from './thp_split.ts'

/** Reclaims isolated pages as far as that can be, and puts the others back. */
export function reclaimPages(k: Kernel, pages: Pfn[]): void {
  for (let i = 0; i < pages.length; i++) {
    spend(k, COST.lru_scan, 1)
    if ((k.page[pages[i] * PAGE_WORDS] & PG_swapbacked) !== 0) keepInMemory(k, pages[i], pages)
  }
  for (const head of pages) putbackLru(k, head)
}

/** There is no swap space for the page; the pieces of a huge one are tried next. */
function keepInMemory(k: Kernel, head: Pfn, pages: Pfn[]): void {
  if (isThp(k, head) && canSplit(k, head)) {
    const whole = compoundMapcount(k, head) > 0
    if (splitHugePage(k, head, pages) === 0 && whole) k.event[EV.thp_swpout_fallback]++
  }
  if ((k.page[head * PAGE_WORDS] & PG_mlocked) !== 0) return
  k.page[head * PAGE_WORDS] |= PG_active
  k.event[EV.pgactivate] += compoundPages(k, head)
}
