/**
 * The swap cache: pages of memory that have a slot of swap as well.
 *
 *     page is to be swapped out ──> in the cache ──> unmapped, written ──> freed, its shadow stays in the cache
 *     page is swapped in        ──> in the cache, read ──> mapped ─┬──> stays in the cache as long as there is swap enough:
 *                                                                  │     it can go again without being written
 *                                                                  └──> leaves it when it is written to, or is let go
 *
 * An anonymous page stays its anon_vma's while it is in the cache; a page of a memory file leaves the file for it. Of a huge page
 * each of its 512 slots holds the very page. The cache counts as file pages (nr_file_pages) beside nr_swapcached.
 *
 * Invariants: a page with PG_swapcache stands in the cache at the slot that k.swap.entryOf says, and nothing else does; that slot
 * has SWAP_HAS_CACHE.
 *
 * Source: mm/swap_state.c (add_to_swap_cache, __delete_from_swap_cache, free_swap_cache), mm/swapfile.c folio_free_swap.
 */
import { NS } from '../base/counters.ts'
import { PG_dirty, PG_locked, PG_swapcache, PG_writeback, SWAP_HAS_CACHE } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'
import { modLruvecState } from '../frames/memcg.ts'
import { compoundHead, compoundPages, pageMapped, pageNode } from '../frames/page.ts'
import { putPage } from './lru.ts'
import {
  anySwapped,
  freeNodes,
  putSwapCache,
  putSwapCacheHuge,
  swapArea,
  swapCacheOf,
  swapFree,
  swpOffset,
  vmSwapFull,
} from './swap_map.ts'
import { xaClear, xaPage, xaReplace, xaSetPage, xaSetShadow } from './xarray.ts'

const { nr_file_pages: NR_FILE_PAGES, nr_swapcached: NR_SWAPCACHE } = NS

/** The page in the cache for the entry (of a huge page, the very one of its pages); NO_PAGE for none. */
export function swapCacheGet(k: Kernel, entry: number): Pfn {
  const offset = swpOffset(entry)
  return xaPage(swapCacheOf(swapArea(k, entry), offset), offset)
}

/** The entry of a page in the cache. */
export const swapEntryOf = (k: Kernel, pfn: Pfn): number => k.swap.entryOf[pfn]

/** Puts the page, or the pages of the huge one, into the cache. @returns index nodes made, which the caller is to pay for. */
export function swapCacheInsert(k: Kernel, head: Pfn, entry: number, nid: number): number {
  const pages = compoundPages(k, head)
  const first = swpOffset(entry)
  const cache = swapCacheOf(swapArea(k, entry), first)
  let made = 0
  for (let i = 0; i < pages; i++) {
    made += xaSetPage(cache, first + i, asPfn(head + i), nid)
    k.swap.entryOf[head + i] = entry + i
  }
  k.page[head * PAGE_WORDS] |= PG_swapcache
  countSwapCached(k, head, pages)
  return made
}

/** Of the file pages, which it counts among for its node, a memory cgroup has none for it. */
function countSwapCached(k: Kernel, head: Pfn, pages: number): void {
  k.nodes[pageNode(k, head)].stat[NR_FILE_PAGES] += pages
  modLruvecState(k, head, NR_SWAPCACHE, pages)
}

/**
 * Takes the page out of the cache; its slots stay its own until putSwapFolio. The caller then drops the cache's hold with putPage.
 * @param shadow what stays in the slot: 0, or a shadow and its age.
 */
export function swapCacheRemove(k: Kernel, head: Pfn, shadow: number, age: number): void {
  freeNodes(k, takeOut(k, head, shadow, age))
}

/** Undoes swapCacheInsert where there was no memory to pay for the index nodes made. */
export function swapCacheUndo(k: Kernel, head: Pfn, made: number): void {
  freeNodes(k, takeOut(k, head, 0, 0) - made)
}

/** Index nodes that became empty. */
function takeOut(k: Kernel, head: Pfn, shadow: number, age: number): number {
  const pages = compoundPages(k, head)
  const first = swpOffset(swapEntryOf(k, head))
  const cache = swapCacheOf(swapArea(k, swapEntryOf(k, head)), first)
  let emptied = 0
  for (let i = 0; i < pages; i++) {
    if (shadow < 0) xaSetShadow(cache, first + i, shadow, age)
    else emptied += xaClear(cache, first + i)
    k.swap.entryOf[head + i] = 0
  }
  k.page[head * PAGE_WORDS] &= ~PG_swapcache
  countSwapCached(k, head, -pages)
  return emptied
}

/** Puts another page, which bears the marks already, into the cache in a page's place (folio_migrate_mapping). */
export function swapCacheMove(k: Kernel, from: Pfn, to: Pfn): void {
  const pages = compoundPages(k, to)
  const first = swpOffset(swapEntryOf(k, from))
  const cache = swapCacheOf(swapArea(k, swapEntryOf(k, from)), first)
  for (let i = 0; i < pages; i++) {
    xaReplace(cache, first + i, asPfn(to + i))
    k.swap.entryOf[to + i] = k.swap.entryOf[from + i]
    k.swap.entryOf[from + i] = 0
  }
  countSwapCached(k, from, -pages)
  countSwapCached(k, to, pages)
}

/** The swap cache's hold on the slots of a page, huge or not, ends (put_swap_folio). */
export function putSwapFolio(k: Kernel, entry: number, pages: number): void {
  if (pages === HPAGE_PMD_NR) putSwapCacheHuge(k, entry)
  else putSwapCache(k, entry)
}

/** Takes the page out of the cache and gives up its slots (delete_from_swap_cache). The caller drops the cache's hold with putPage. */
export function deleteFromSwapCache(k: Kernel, head: Pfn): void {
  const entry = swapEntryOf(k, head)
  const pages = compoundPages(k, head)
  swapCacheRemove(k, head, 0, 0)
  putSwapFolio(k, entry, pages)
}

/**
 * Gives up the slots of a page that nobody else names; the page is dirty from then on, as there is no other copy of it
 * (folio_free_swap). The caller puts it. @returns whether it left the cache.
 */
export function folioFreeSwap(k: Kernel, head: Pfn): boolean {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_swapcache) === 0 || (flags & PG_writeback) !== 0 || anySwapped(k, swapEntryOf(k, head))) return false
  deleteFromSwapCache(k, head)
  k.page[head * PAGE_WORDS] |= PG_dirty
  return true
}

/** The same for a page that was just unmapped, if that was its last mapping and nobody is reading it (free_swap_cache). */
export function freeSwapCache(k: Kernel, head: Pfn): void {
  if ((k.page[head * PAGE_WORDS] & (PG_swapcache | PG_locked)) === PG_swapcache && !pageMapped(k, head)) folioFreeSwap(k, head)
}

/**
 * An entry of a page table or of a memory file that named the slot is gone; when that was the last, a page that the cache keeps for
 * it leaves it (free_swap_and_cache).
 */
export function freeSwapAndCache(k: Kernel, entry: number): void {
  if (swapFree(k, entry) !== SWAP_HAS_CACHE || anySwapped(k, entry)) return
  const page = swapCacheGet(k, entry)
  if (page === NO_PAGE) return
  const head = compoundHead(k, page)
  if ((k.page[head * PAGE_WORDS] & PG_locked) !== 0 || (pageMapped(k, head) && !vmSwapFull(k))) return
  if (folioFreeSwap(k, head)) putPage(k, head)
}
