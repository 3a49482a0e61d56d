/**
 * Splitting huge pages into 512 single ones, at once or when memory is short.
 *
 *     | head  tail  tail  tail ... |      one page of 512 on one LRU list, mapped by huge entries, single ones or both
 *        |     |     |     |
 *     | page  page  page  page ... |      512 pages: same flags, same place in the list, the last one first;
 *        x           x                    those that nothing maps are freed
 *
 * Private pages stay mapped, by single entries; page-cache pages are unmapped and fault back in. Only whoever splits may
 * hold a reference beside mappings and cache: a page in a batch or pinned cannot be split. On the way every page is unmapped for a moment,
 * which puts the huge page on the deferred queue (and counts it there) before it leaves it by being split, and which
 * soft-dirty tracking takes for a write to each that was ever written to.
 *
 * The deferred queue holds huge pages of which some part is no longer mapped. Shrinking it splits them, oldest first, which
 * frees those parts. Under the same pressure the huge page of zeros goes, when nobody maps it.
 *
 * Source: mm/huge_memory.c (split_huge_page_to_list, __split_huge_page, deferred_split_scan, shrink_huge_zero_page_scan).
 */
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EAGAIN, EBUSY, ENOMEM } from '../base/errno.ts'
import {
  PG_active,
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PG_idle,
  PG_isolated,
  PG_lru,
  PG_mlocked,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  PG_uptodate,
  PG_workingset,
  PG_writeback,
  PG_young,
  PTE_DIRTY,
  PTE_SOFT_DIRTY,
  VM_LOCKED,
} from '../base/flags.ts'
import { listAddTail, listDelete, listFirst, listInsertBefore, listLength, PAGE_WORDS, W_NEXT } from '../base/list.ts'
import type { Kernel, Lruvec } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, NO_PAGE, type Pfn } from '../base/units.ts'
import { lruOf, lruvecOf, putPage } from '../caches/lru.ts'
import { folioLruGen, genList, inheritGen } from '../caches/lru_gen.ts'
import { mlockFolio } from '../caches/mlock_lru.ts'
import { freeSwapCache, swapEntryOf } from '../caches/swap_cache.ts'
import { splitSwapCluster } from '../caches/swap_map.ts'
import { deferredSplitHugePage, deferredSplitRemove } from '../frames/deferred.ts'
import {
  destroyCompound,
  pageCount,
  pageIndex,
  pageMapped,
  pageMemcg,
  pageOwner,
  pageSetMemcg,
  pageSetOwner,
  totalMapcount,
  W_MAPCOUNT,
} from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { entryFlags, pteIndex, setEntry } from '../spaces/pagetable.ts'
import { rmapEntries, tableMapping } from '../spaces/rmap.ts'
import { mustVma } from '../spaces/vma.ts'
import { dropBeyondEnd, splitCached, splitHugeMapping, takeNodes, unmapFilePages } from './thp_split_file.ts'

/** A shrinker has nothing more to do (SHRINK_STOP). */
export const SHRINK_STOP = -1

/** What a write leaves in an entry. */
const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY

/** What all pages of the huge one have in common, and each keeps. */
const INHERITED =
  PG_referenced |
  PG_swapbacked |
  PG_swapcache |
  PG_mlocked |
  PG_uptodate |
  PG_active |
  PG_workingset |
  PG_unevictable |
  PG_dirty |
  PG_anon |
  PG_young |
  PG_idle

/**
 * Splits a huge page that is on its LRU list, or that the caller isolated (split_huge_page_to_list). Pages that nothing
 * maps are freed, the head too unless it is isolated.
 * @param tails gets the tails, isolated as the head is; without it they join the head's LRU list.
 * @returns 0; -EBUSY for a page that cannot be split, -EAGAIN for one that somebody else holds.
 */
export function splitHugePage(k: Kernel, head: Pfn, tails?: Pfn[]): number {
  if (head === k.thp.hugeZeroPage || (k.page[head * PAGE_WORDS] & PG_writeback) !== 0) return -EBUSY
  const error = trySplit(k, head, tails)
  if (error === 0) k.event[EV.thp_split_page]++
  else k.event[EV.thp_split_page_failed]++
  return error
}

function trySplit(k: Kernel, head: Pfn, tails: Pfn[] | undefined): number {
  const anon = (k.page[head * PAGE_WORDS] & PG_anon) !== 0
  const mapping = anon ? undefined : k.fs.mappings.get(pageOwner(k, head))
  if (anon ? !pageMapped(k, head) : mapping === undefined) return -EBUSY
  if (!canSplit(k, head)) return -EAGAIN
  if (mapping !== undefined && !takeNodes(k)) return -ENOMEM
  if (mapping === undefined) splitMappings(k, head)
  else {
    unmapFilePages(k, head)
    splitCached(k, mapping, head)
  }
  if (anon) deferredSplitHugePage(k, head)
  deferredSplitRemove(k, head)
  splitRecords(k, head, tails)
  if (mapping !== undefined) dropBeyondEnd(k, mapping, head)
  else lockSinglePages(k, head)
  if ((k.page[head * PAGE_WORDS] & PG_swapcache) !== 0) splitSwapped(k, head)
  for (let i = 1; i <= HPAGE_PMD_NR; i++) putPage(k, asPfn(head + (i % HPAGE_PMD_NR)))
  return 0
}

/** Each of the pages has its slot for itself now; those that nobody maps or names give it up, but for the head, which the caller holds. */
function splitSwapped(k: Kernel, head: Pfn): void {
  splitSwapCluster(k, swapEntryOf(k, head))
  for (let i = 1; i < HPAGE_PMD_NR; i++) freeSwapCache(k, asPfn(head + i))
}

/** Whether nobody but mappings, cache and the one who isolated it holds the page (can_split_folio). */
export function canSplit(k: Kernel, head: Pfn): boolean {
  const flags = k.page[head * PAGE_WORDS]
  const cached = (flags & PG_anon) === 0 || (flags & PG_swapcache) !== 0 ? HPAGE_PMD_NR : 0
  return pageCount(k, head) - cached - ((flags & PG_isolated) !== 0 ? 1 : 0) === totalMapcount(k, head)
}

/** Turns every huge entry that maps the page into 512 single ones, and marks anew what was written to (remap_page). */
function splitMappings(k: Kernel, head: Pfn): void {
  const index = pageIndex(k, head)
  for (const { mm: id, delta } of rmapEntries(k, head)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined) continue
    const written = splitHugeMapping(k, mm, index + delta, head) ? WRITTEN : 0
    for (let i = 0; i < HPAGE_PMD_NR; i++) remapSingle(k, mm, index + delta + i, asPfn(head + i), written)
  }
  spend(k, COST.rmap_unmap, HPAGE_PMD_NR)
}

/** The entry, if it maps the page, after it was out of use for the split. */
function remapSingle(k: Kernel, mm: Mm, vpn: number, pfn: Pfn, written: number): void {
  const table = tableMapping(k, mm, vpn, pfn)
  if (table === 0) return
  const i = pteIndex(vpn)
  const flags = entryFlags(k, table, i)
  setEntry(k, table, i, pfn, flags | ((flags & PTE_DIRTY) !== 0 ? WRITTEN : written))
}

/** Makes 512 single pages of one: records, and places on the LRU list just before the head. */
function splitRecords(k: Kernel, head: Pfn, tails: Pfn[] | undefined): void {
  const owner = pageOwner(k, head)
  const index = pageIndex(k, head)
  const memcg = pageMemcg(k, head)
  const flags = k.page[head * PAGE_WORDS]
  const listed = tails === undefined && (flags & PG_lru) !== 0
  const common = (flags & INHERITED) | (listed ? PG_lru : 0) | (tails === undefined ? 0 : PG_isolated)
  const inGeneration = k.lruGen.enabled && folioLruGen(k, head) >= 0
  const lruvec = lruvecOf(k, head)
  const list = inGeneration ? genList(k, lruvec.gen, head) : lruvec.lists + lruOf(flags)
  destroyCompound(k, head, HPAGE_PMD_ORDER)
  for (let i = HPAGE_PMD_NR - 1; i >= 1; i--) {
    const tail = asPfn(head + i)
    const at = tail * PAGE_WORDS
    const exclusive = k.page[at + W_MAPCOUNT] > 0 ? k.page[at] & PG_anon_exclusive : 0
    k.page[at] = common | exclusive
    pageSetOwner(k, tail, owner, index + i)
    pageSetMemcg(k, tail, memcg)
    if (k.lruGen.pages.length > 0) inheritGen(k, head, tail)
    if (tails !== undefined) tails.push(tail)
    else if (listed && (flags & PG_unevictable) !== 0) k.page[at + W_NEXT] = 0
    else if (listed) listInsertBefore(k.heads, k.page, list, head, tail)
  }
  if (k.page[head * PAGE_WORDS + W_MAPCOUNT] === 0) k.page[head * PAGE_WORDS] &= ~PG_anon_exclusive
  spend(k, COST.lru_move, HPAGE_PMD_NR)
}

/** Locks the single pages in areas that are locked: as parts of a huge page mapped by single entries they were not. */
function lockSinglePages(k: Kernel, head: Pfn): void {
  const first = pageIndex(k, head)
  for (const { mm: id, delta } of rmapEntries(k, head)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined || mm.lockedVm === 0) continue
    for (let i = 0; i < HPAGE_PMD_NR; i++) {
      const vpn = first + i + delta
      if (tableMapping(k, mm, vpn, asPfn(head + i)) !== 0 && (mustVma(mm, vpn).flags & VM_LOCKED) !== 0) mlockFolio(k, asPfn(head + i))
    }
  }
}

// --- the deferred queue

/** Huge pages of a node and memory cgroup that wait to be split (deferred_split_count). */
export const deferredSplitCount = (k: Kernel, { deferredSplit }: Lruvec): number => listLength(k.heads, deferredSplit)

/**
 * Splits up to `max` of the waiting huge pages, oldest first; those that cannot be split go to the end.
 * @returns how many were split, or SHRINK_STOP when none was and none waits (deferred_split_scan).
 */
export function deferredSplitScan(k: Kernel, lruvec: Lruvec, max: number): number {
  let split = 0
  for (let left = Math.min(max, deferredSplitCount(k, lruvec)); left > 0; left--) {
    const link = listFirst(k.heads, lruvec.deferredSplit)
    if (splitHugePage(k, asPfn(link - 2)) === 0) {
      split++
      continue
    }
    listDelete(k.heads, k.page, lruvec.deferredSplit, link)
    listAddTail(k.heads, k.page, lruvec.deferredSplit, link)
  }
  return split === 0 && deferredSplitCount(k, lruvec) === 0 ? SHRINK_STOP : split
}

// --- the huge page of zeros

/** Pages that shrinkHugeZeroPageScan would free now. */
export const shrinkHugeZeroPageCount = (k: Kernel): number => (k.thp.hugeZeroUsers === 1 ? HPAGE_PMD_NR : 0)

/** Frees the huge page of zeros if nobody uses it; returns the pages freed. */
export function shrinkHugeZeroPageScan(k: Kernel): number {
  if (k.thp.hugeZeroUsers !== 1) return 0
  const head = k.thp.hugeZeroPage
  k.thp.hugeZeroPage = NO_PAGE
  k.thp.hugeZeroUsers = 0
  freePages(k, head, HPAGE_PMD_ORDER)
  return HPAGE_PMD_NR
}
