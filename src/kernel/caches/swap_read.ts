/**
 * Reading pages from swap into the swap cache, and reading ahead.
 *
 *     by slots        the 2^page-cluster slots around the one wanted, aligned; as many as hits of late make worth while
 *                     2 pages at least after a hit, else 1, or 2 for the slot next to the last one
 *     by addresses    pages around the address, before or behind it as the faults go, in the area and one page table
 *                     where no area of swap is on a disk that seeks (and vma_ra_enabled)
 *
 * A page read ahead is marked; finding the mark when the page is wanted is a hit. A page that was evicted not long ago goes to the
 * active list.
 *
 * Source: mm/swap_state.c (__read_swap_cache_async, swap_cluster_readahead, swap_vma_readahead, swap_cache_get_folio).
 */
import { memcgSwapinCharge } from '../alloc/charge.ts'
import { kmemAlloc } from '../alloc/kmem.ts'
import { allocPages, allocPagesVma } from '../alloc/page_alloc.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  __GFP_COMP,
  __GFP_FS,
  __GFP_IO,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_RECLAIM,
  GFP_HIGHUSER_MOVABLE,
  PG_locked,
  PG_readahead,
  PG_swapbacked,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'
import { localNode } from '../frames/mempolicy.ts'
import { compoundHead, isThp } from '../frames/page.ts'
import { freeCharged, freePages } from '../frames/rmqueue.ts'
import { lruAddDrain } from '../reclaim/zap.ts'
import { entryFlags, entryValue, pteIndex, pteTable } from '../spaces/pagetable.ts'
import { lruAdd } from './lru.ts'
import { swapCacheGet, swapCacheInsert, swapCacheUndo, swapEntryOf } from './swap_cache.ts'
import { swapReadpage, waitOnSwapCache } from './swap_io.ts'
import { pteToSwap, putSwapCache, swapArea, swapCacheOf, swapCount, swapcachePrepare, swpEntry, swpOffset, swpType } from './swap_map.ts'
import { workingsetRefault } from './workingset.ts'
import { xaLoad, xaShadowAge } from './xarray.ts'

const GFP_RECLAIM_MASK = __GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_NORETRY | __GFP_NOWARN
/** Most pages read ahead by addresses, as a power of two (SWAP_RA_ORDER_CEILING), and most hits counted (SWAP_RA_HITS_MAX). */
const WINDOW_ORDER = 5
const HITS_MAX = 63
/** What an area that has read nothing ahead yet begins with. */
const FIRST_HITS = 4

const byAddress = (k: Kernel) => k.swap.readahead.byAddress && k.swap.rotating === 0

/**
 * The page in the swap cache for an entry, NO_PAGE for none; one that was read ahead is a hit (swap_cache_get_folio).
 * @param vma the area that faults at page `offset` of it; undefined for memory files.
 */
export function swapCacheLookup(k: Kernel, entry: number, vma: Vma | undefined, offset: number): Pfn {
  const page = swapCacheGet(k, entry)
  if (page === NO_PAGE || isThp(k, compoundHead(k, page))) return page
  const at = page * PAGE_WORDS
  const ahead = (k.page[at] & PG_readahead) !== 0
  k.page[at] &= ~PG_readahead
  const area = vma !== undefined && byAddress(k) ? vma : undefined
  if (area !== undefined) noteAddress(area, offset, ahead)
  if (!ahead) return page
  k.event[EV.swap_ra_hit]++
  if (area === undefined) k.swap.readahead.hits++
  return page
}

/** Remembers where the area was looked at last, and whether that was a hit. */
function noteAddress(vma: Vma, offset: number, hit: boolean): void {
  const { window, hits } = vma.swapRa ?? NO_RA
  vma.swapRa = { vpn: vma.start + offset, window, hits: hit ? Math.min(hits + 1, HITS_MAX) : hits }
}

const NO_RA = { vpn: 0, window: 0, hits: FIRST_HITS }

/**
 * A page for the entry, in the swap cache, that is being read or has been (__read_swap_cache_async).
 * @returns the page when it was there; minus a fresh, locked one that the caller is to read; 0 for a slot that nobody names, or
 * without memory.
 */
export function takeIntoSwapCache(k: Kernel, entry: number, vma: Vma | undefined, offset: number): number {
  const there = swapCacheGet(k, entry)
  if (there !== NO_PAGE) return there
  if (swapCount(k, entry) === 0 && k.swap.slotsEnabled) return NO_PAGE
  const pfn =
    vma === undefined ? allocPages(k, GFP_HIGHUSER_MOVABLE | __GFP_COMP, 0) : allocPagesVma(k, GFP_HIGHUSER_MOVABLE, 0, vma, offset)
  if (pfn === NO_PAGE) return NO_PAGE
  if (!swapcachePrepare(k, entry)) {
    freePages(k, pfn, 0)
    return swapCacheGet(k, entry)
  }
  const index = swpOffset(entry)
  const cache = swapCacheOf(swapArea(k, entry), index)
  const shadow = xaLoad(cache, index)
  const age = shadow < 0 ? xaShadowAge(cache, index) : 0
  k.page[pfn * PAGE_WORDS] |= PG_locked | PG_swapbacked
  if (!memcgSwapinCharge(k, pfn, swapArea(k, entry).memcg[index], undefined, GFP_HIGHUSER_MOVABLE)) {
    putSwapCache(k, entry)
    freePages(k, pfn, 0)
    return NO_PAGE
  }
  const made = swapCacheInsert(k, pfn, entry, localNode(k))
  if (made > 0 && !kmemAlloc(k, 'radix_tree_node', made, GFP_HIGHUSER_MOVABLE & GFP_RECLAIM_MASK)) return dropNew(k, pfn, entry, made)
  if (shadow < 0) workingsetRefault(k, pfn, shadow, age)
  lruAdd(k, pfn)
  spend(k, COST.swap_page, 1)
  return -pfn
}

function dropNew(k: Kernel, pfn: Pfn, entry: number, made: number): Pfn {
  swapCacheUndo(k, pfn, made)
  putSwapCache(k, entry)
  k.page[pfn * PAGE_WORDS] &= ~PG_locked
  freeCharged(k, pfn, 0)
  return NO_PAGE
}

/** A page read, or being read, for the entry; `wait`: nothing else is, so it is waited for (read_swap_cache_async). */
function readIn(k: Kernel, entry: number, vma: Vma | undefined, offset: number, wait: boolean): Pfn {
  const found = takeIntoSwapCache(k, entry, vma, offset)
  if (found >= 0) return asPfn(found)
  const pfn = asPfn(-found)
  swapReadpage(k, pfn, entry)
  if (wait) waitOnSwapCache(k, pfn)
  return pfn
}

/** Takes a page in that is to be read with others, or read at once where that is done then, and marks it as one that nobody has asked for yet. */
function takeAhead(k: Kernel, entry: number, vma: Vma | undefined, offset: number, wanted: boolean, fresh: Pfn[]): void {
  const found = takeIntoSwapCache(k, entry, vma, offset)
  if (found >= 0) return
  const pfn = asPfn(-found)
  if (swapArea(k, entry).device.kind === 'zram') swapReadpage(k, pfn, entry)
  else fresh.push(pfn)
  if (wanted) return
  k.page[pfn * PAGE_WORDS] |= PG_readahead
  k.event[EV.swap_ra]++
}

/** Reads pages that were taken in: as one request as far as their slots follow each other. */
function readTogether(k: Kernel, fresh: readonly Pfn[]): void {
  for (const pfn of fresh) swapReadpage(k, pfn, swapEntryOf(k, pfn))
  lruAddDrain(k)
}

/** Pages worth reading together (__swapin_nr_pages). */
function nrPages(last: number, at: number, hits: number, max: number, lastPages: number): number {
  let pages = hits + 2
  if (pages > 2) pages = Math.max(4, 2 ** Math.ceil(Math.log2(pages)))
  else if (at !== last + 1 && at !== last - 1) pages = 1
  return Math.max(Math.min(pages, max), Math.floor(lastPages / 2))
}

function clusterPages(k: Kernel, offset: number): number {
  const max = 2 ** k.sysctl.page_cluster
  if (max <= 1) return 1
  const ra = k.swap.readahead
  const { hits } = ra
  ra.hits = 0
  const pages = nrPages(ra.lastOffset, offset, hits, max, ra.lastPages)
  if (hits === 0) ra.lastOffset = offset
  ra.lastPages = pages
  return pages
}

/**
 * Reads the entry and slots around it. The pages come from where the policy for page `offset` of the area says, or the task's where there
 * is none (swap_cluster_readahead). @returns the entry's page, perhaps still being read; NO_PAGE when there is no memory.
 */
export function swapClusterReadahead(k: Kernel, entry: number, vma: Vma | undefined, offset: number): Pfn {
  const slot = swpOffset(entry)
  const pages = clusterPages(k, slot)
  if (pages === 1) return readIn(k, entry, vma, offset, true)
  const { max } = swapArea(k, entry)
  const first = slot - (slot % pages)
  const fresh: Pfn[] = []
  for (let at = Math.max(1, first); at < Math.min(first + pages, max); at++)
    takeAhead(k, swpEntry(swpType(entry), at), vma, offset, at === slot, fresh)
  readTogether(k, fresh)
  return readIn(k, entry, vma, offset, false)
}

/** The pages around page `offset` of the area to read, [start, end) in virtual pages; `alone` when just that page is (swap_ra_info). */
function addressWindow(k: Kernel, vma: Vma, offset: number): { readonly start: number; readonly end: number; readonly alone: boolean } {
  const max = 2 ** Math.min(k.sysctl.page_cluster, WINDOW_ORDER)
  const vpn = vma.start + offset
  if (max === 1) return { start: vpn, end: vpn, alone: true }
  const ra = vma.swapRa ?? NO_RA
  const window = nrPages(ra.vpn, vpn, ra.hits, max, ra.window)
  vma.swapRa = { vpn, window, hits: 0 }
  const left = vpn === ra.vpn + 1 ? 0 : ra.vpn === vpn + 1 ? window - 1 : Math.floor((window - 1) / 2)
  const table = vpn - pteIndex(vpn)
  const start = Math.max(vpn - left, vma.start, table)
  return { start, end: Math.min(vpn - left + window, vma.end, table + HPAGE_PMD_NR), alone: window === 1 }
}

function swapVmaReadahead(k: Kernel, entry: number, vma: Vma, offset: number): Pfn {
  const { start, end, alone } = addressWindow(k, vma, offset)
  if (alone) return readIn(k, entry, vma, offset, true)
  const table = pteTable(k, vma.mm, start)
  const fresh: Pfn[] = []
  for (let vpn = start; vpn < end; vpn++) {
    const other = pteToSwap(entryValue(k, table, pteIndex(vpn)), entryFlags(k, table, pteIndex(vpn)))
    if (other !== 0) takeAhead(k, other, vma, offset, vpn === vma.start + offset, fresh)
  }
  readTogether(k, fresh)
  return readIn(k, entry, vma, offset, false)
}

/** Reads the entry at page `offset` of an area with what is worth reading ahead (swapin_readahead). */
export const swapinReadahead = (k: Kernel, entry: number, vma: Vma, offset: number): Pfn =>
  byAddress(k) ? swapVmaReadahead(k, entry, vma, offset) : swapClusterReadahead(k, entry, vma, offset)

/** Starts to read a page for who said it will be needed; it is neither waited for nor marked (force_swapin_readahead). */
export function swapinAsync(k: Kernel, entry: number, vma: Vma | undefined, offset: number): void {
  readIn(k, entry, vma, offset, false)
}
