/**
 * Pages that were unmapped wait here until the TLBs are flushed, then they are let go.
 *
 *     bundle (8)      page of 510      page of 510          up to 19 such pages, kept until the unmapping is over
 *     |pppppppp| ──►  |ppppp....|  ──► ...
 *
 * Every cleared entry takes a place, whether or not others map its page; so do the page tables that are unlinked. When
 * the bundle is full a page is taken for more, on the spot and without waiting: unmapping nine pages costs one.
 * When there is no room left, all are let go at once and the places are used again.
 *
 * They go in the order of the places, part by part; in each part huge pages first, then small ones, the last one first.
 *
 * Source: mm/mmu_gather.c, mm/swap.c release_pages, mm/swap_state.c free_pages_and_swap_cache.
 */
import { COST, spend } from '../base/cost.ts'
import { GFP_NOWAIT, PG_gathered, PG_head, PG_swapcache, PG_table } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Gather, Kernel } from '../base/state.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { allocPageNowait } from '../frames/nowait.ts'
import { freePages } from '../frames/rmqueue.ts'
import { lruAddDrainCpu, putPage } from './lru.ts'
import { mlockDrainCpu } from './mlock_lru.ts'
import { freeSwapCache } from './swap_cache.ts'

const BUNDLE = 8
const PAGE_PLACES = 510
const MAX_PAGES = 19

export const emptyGather = (): Gather => ({ pages: new Int32Array(BUNDLE + MAX_PAGES * PAGE_PLACES), n: 0, places: 0, ends: [], extra: [] })

/** Takes a reference to an unmapped page, once, for the time until the TLBs are flushed. */
export function gatherPage(k: Kernel, head: Pfn): void {
  if ((k.page[head * PAGE_WORDS] & PG_gathered) === 0) {
    k.page[head * PAGE_WORDS] |= PG_gathered
    k.gather.pages[k.gather.n++] = head
  }
  gatherPlace(k)
}

/** Takes the page of an unlinked page table. */
export function gatherTable(k: Kernel, pfn: Pfn): void {
  k.gather.pages[k.gather.n++] = pfn
  gatherPlace(k)
}

/** A cleared entry takes its place (__tlb_remove_page_size). */
export function gatherPlace(k: Kernel): void {
  const gather = k.gather
  const full = BUNDLE + gather.ends.length * PAGE_PLACES
  if (++gather.places < full) return
  gather.ends.push(gather.n)
  if (gather.extra.length >= gather.ends.length) return
  const page = gather.extra.length === MAX_PAGES ? NO_PAGE : allocPageNowait(k, GFP_NOWAIT, 0)
  if (page === NO_PAGE) flushGather(k)
  else gather.extra.push(page)
}

/** Flushes the TLBs and lets the gathered pages go (tlb_flush_mmu). */
export function flushGather(k: Kernel): void {
  const gather = k.gather
  if (gather.places === 0) return
  spend(k, COST.tlb_flush, 1)
  // A page just faulted would otherwise survive its unmapping until the batch that brings it to the LRU is full.
  lruAddDrainCpu(k, k.cpu)
  mlockDrainCpu(k, k.cpu)
  let start = 0
  for (const end of gather.ends) {
    letGo(k, start, end)
    start = end
  }
  letGo(k, start, gather.n)
  gather.ends.length = 0
  gather.n = 0
  gather.places = 0
}

/** Flushes and gives back the pages that held the places (tlb_finish_mmu). */
export function finishGather(k: Kernel): void {
  flushGather(k)
  for (const page of k.gather.extra) freePages(k, page, 0)
  k.gather.extra.length = 0
}

function letGo(k: Kernel, start: number, end: number): void {
  const pages = k.gather.pages
  for (let i = start; i < end; i++) if ((k.page[pages[i] * PAGE_WORDS] & PG_head) !== 0) ungather(k, asPfn(pages[i]))
  for (let i = end - 1; i >= start; i--) {
    const flags = k.page[pages[i] * PAGE_WORDS]
    if ((flags & PG_table) !== 0) freePages(k, asPfn(pages[i]), 0)
    else if ((flags & PG_gathered) !== 0) ungather(k, asPfn(pages[i]))
  }
}

function ungather(k: Kernel, head: Pfn): void {
  k.page[head * PAGE_WORDS] &= ~PG_gathered
  if ((k.page[head * PAGE_WORDS] & PG_swapcache) !== 0) freeSwapCache(k, head)
  putPage(k, head)
}
