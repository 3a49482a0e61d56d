/**
 * The record of a page frame (struct page): eight 32-bit words in one typed array for the whole machine.
 *
 *     word        a page in use                            a free page
 *     0 flags     PG_*                                     PG_buddy (none on a per-CPU list)
 *     1 next      neighbours on the LRU or another list    neighbours on the free list
 *     2 prev
 *     3 mapcount  page-table entries that map it
 *     4 owner     anon_vma / mapping / cache / table (28 bits), and bits 32..35 of the index on top
 *     5 index     offset of the page in its owner, low 32 bits   migrate type of the list it is on
 *     6 content   content class (20 bits), memory cgroup (12 bits)
 *     7 private   index of the page in its content class   order
 *
 * A compound page of order 9 or more (THP, hugetlb) leaves its tails' records alone, so that filling a machine with
 * huge pages touches one cache line for each: that line, head and first tail, holds what is particular to it.
 *
 *     head + 1    word 3..: the tail's own, once split mappings exist; word 1: page-table entries of all tails and the
 *                 head (TAIL_PTES), word 2: huge entries that map the whole (compound_mapcount), word 4: the order,
 *                 word 5: 1 once any tail's record may differ from a fresh one
 *     head + 2    words 1, 2: links of the deferred split queue
 *
 * A hugetlb page that is in use keeps flags of its own and its quota in the head's words 1 and 2 (frames/hugetlb_pool.ts).
 *
 * There is no reference count: who holds a page is told by its flags and mapcount, so `pageCount` works it out and
 * nothing can drift.
 *
 * Invariants: a free page's record is all zero but for what the table shows; pages of order 1..8 in one piece have
 * PG_head on the first and PG_tail on the others.
 */
import {
  PG_anon,
  PG_BATCH_SHIFT,
  PG_gathered,
  PG_head,
  PG_hugetlb,
  PG_isolated,
  PG_lru,
  PG_private,
  PG_swapbacked,
  PG_swapcache,
  PG_tail,
} from '../base/flags.ts'
import { PAGE_WORDS, W_NEXT, W_PREV } from '../base/list.ts'
import type { Kernel, Zone } from '../base/state.ts'
import { asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, HPAGE_PUD_NR, type NodeId, PAGEBLOCK_ORDER, type Pfn } from '../base/units.ts'

export const W_FLAGS = 0
export const W_MAPCOUNT = 3
export const W_OWNER = 4
export const W_INDEX = 5
export const W_CONTENT = 6
export const W_PRIVATE = 7

const OWNER_BITS = 28
const OWNER_MASK = (1 << OWNER_BITS) - 1
const CONTENT_BITS = 20
const CONTENT_MASK = (1 << CONTENT_BITS) - 1

export const pageTest = (k: Kernel, pfn: Pfn, flags: number): boolean => (k.page[pfn * PAGE_WORDS] & flags) !== 0
export function pageSet(k: Kernel, pfn: Pfn, flags: number): void {
  k.page[pfn * PAGE_WORDS] |= flags
}
export function pageClear(k: Kernel, pfn: Pfn, flags: number): void {
  k.page[pfn * PAGE_WORDS] &= ~flags
}

/** Page-table entries that map just this page (not the huge entries that cover it). */
export const pteMapcount = (k: Kernel, pfn: Pfn): number => k.page[pfn * PAGE_WORDS + W_MAPCOUNT]

/** The anon_vma, mapping, cache or table the page belongs to. */
export const pageOwner = (k: Kernel, pfn: Pfn): number => k.page[pfn * PAGE_WORDS + W_OWNER] & OWNER_MASK

/** Offsets in an owner end here: there is no room for more in a page's record. Linux' end with a file's, at 2^51. */
export const MAX_INDEX = 2 ** 36

/** Offset in the owner: page offset of a file page, linear page index of an anonymous one. */
export function pageIndex(k: Kernel, pfn: Pfn): number {
  const at = pfn * PAGE_WORDS
  return (k.page[at + W_OWNER] >>> OWNER_BITS) * 4294967296 + (k.page[at + W_INDEX] >>> 0)
}

export function pageSetOwner(k: Kernel, pfn: Pfn, owner: number, index: number): void {
  const at = pfn * PAGE_WORDS
  k.page[at + W_OWNER] = owner | (Math.floor(index / 4294967296) << OWNER_BITS)
  k.page[at + W_INDEX] = index | 0
}

/** Content class of the page's bytes (base/content.ts). */
export const pageContent = (k: Kernel, pfn: Pfn): number => k.page[pfn * PAGE_WORDS + W_CONTENT] & CONTENT_MASK
export const pageContentIndex = (k: Kernel, pfn: Pfn): number => k.page[pfn * PAGE_WORDS + W_PRIVATE]

export function pageSetContent(k: Kernel, pfn: Pfn, content: number, index: number): void {
  const at = pfn * PAGE_WORDS
  k.page[at + W_CONTENT] = (k.page[at + W_CONTENT] & ~CONTENT_MASK) | content
  k.page[at + W_PRIVATE] = index
}

/** Whether two pages hold the same bytes. */
export const sameContent = (k: Kernel, a: Pfn, b: Pfn): boolean =>
  pageContent(k, a) === pageContent(k, b) && pageContentIndex(k, a) === pageContentIndex(k, b)

/** The memory cgroup the page is charged to; 0 is the root, which counts nothing. */
export const pageMemcg = (k: Kernel, pfn: Pfn): number => k.page[pfn * PAGE_WORDS + W_CONTENT] >>> CONTENT_BITS
export function pageSetMemcg(k: Kernel, pfn: Pfn, memcg: number): void {
  const at = pfn * PAGE_WORDS + W_CONTENT
  k.page[at] = (k.page[at] & CONTENT_MASK) | (memcg << CONTENT_BITS)
}

export const pageZone = (k: Kernel, pfn: Pfn): Zone => k.zones[k.blockZone[pfn >>> PAGEBLOCK_ORDER]]
export const pageNode = (k: Kernel, pfn: Pfn): NodeId => k.zones[k.blockZone[pfn >>> PAGEBLOCK_ORDER]].node
/** Whether there is memory at this frame's block at all. */
export const pfnValid = (k: Kernel, pfn: number): boolean => pfn > 0 && pfn < k.maxPfn && k.blockZone[pfn >>> PAGEBLOCK_ORDER] !== 255

// --- compound pages

/** Flags that no tail ever has. */
const HEADS_ONLY = PG_head | PG_anon | PG_lru | PG_swapbacked

/** The first page of the compound page that this page is part of, or the page itself. */
export function compoundHead(k: Kernel, pfn: Pfn): Pfn {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & HEADS_ONLY) !== 0) return pfn
  if ((flags & PG_tail) !== 0) return smallHead(k, pfn)
  const huge = pfn - (pfn % HPAGE_PMD_NR)
  if ((k.page[huge * PAGE_WORDS] & PG_head) !== 0 && k.page[(huge + 1) * PAGE_WORDS + W_OWNER] >= HPAGE_PMD_ORDER) return asPfn(huge)
  const giant = pfn - (pfn % HPAGE_PUD_NR)
  const gigantic = PG_head | PG_hugetlb
  if ((k.page[giant * PAGE_WORDS] & gigantic) === gigantic && k.page[(giant + 1) * PAGE_WORDS + W_OWNER] > HPAGE_PMD_ORDER)
    return asPfn(giant)
  return pfn
}

function smallHead(k: Kernel, pfn: Pfn): Pfn {
  let head = pfn - 1
  while ((k.page[head * PAGE_WORDS] & PG_head) === 0) head--
  return asPfn(head)
}

/** Order of the compound page that starts here; 0 for a single page. */
export function compoundOrder(k: Kernel, head: Pfn): number {
  const at = head * PAGE_WORDS
  if ((k.page[at] & PG_head) === 0) return 0
  return k.page[at + PAGE_WORDS + W_OWNER] & 0xff
}

/** Pages of the compound page that starts here; 1 for a single page. */
export const compoundPages = (k: Kernel, head: Pfn): number =>
  (k.page[head * PAGE_WORDS] & PG_head) === 0 ? 1 : 1 << compoundOrder(k, head)

/** Whether this is the head of a transparent huge page (not hugetlb, not a kernel compound). */
export const isThp = (k: Kernel, head: Pfn): boolean =>
  (k.page[head * PAGE_WORDS] & (PG_head | PG_hugetlb)) === PG_head && compoundOrder(k, head) === HPAGE_PMD_ORDER

/** Turns 2^order fresh pages into one compound page (prep_compound_page). */
export function prepCompound(k: Kernel, head: Pfn, order: number): void {
  const at = head * PAGE_WORDS
  k.page[at] |= PG_head
  k.page[at + PAGE_WORDS + W_OWNER] = order
  if (order >= HPAGE_PMD_ORDER) return
  for (let i = 1; i < 1 << order; i++) k.page[at + i * PAGE_WORDS] |= PG_tail
}

/** Undoes prepCompound; the pages' other words stay as they are. */
export function destroyCompound(k: Kernel, head: Pfn, order: number): void {
  const at = head * PAGE_WORDS
  k.page[at] &= ~PG_head
  k.page[at + PAGE_WORDS + W_OWNER] = 0
  k.page[at + PAGE_WORDS + W_INDEX] = 0
  k.page[at + PAGE_WORDS + W_NEXT] = 0
  k.page[at + PAGE_WORDS + W_PREV] = 0
  if (order >= HPAGE_PMD_ORDER) return
  for (let i = 1; i < 1 << order; i++) k.page[at + i * PAGE_WORDS] &= ~PG_tail
}

/** Huge entries that map the whole compound page. */
export const compoundMapcount = (k: Kernel, head: Pfn): number => k.page[(head + 1) * PAGE_WORDS + W_PREV]
export function compoundMapcountAdd(k: Kernel, head: Pfn, by: number): void {
  k.page[(head + 1) * PAGE_WORDS + W_PREV] += by
}

/** Page-table entries that map any single page of the compound page. */
export const tailPtes = (k: Kernel, head: Pfn): number => k.page[(head + 1) * PAGE_WORDS + W_NEXT]
export function tailPtesAdd(k: Kernel, head: Pfn, by: number): void {
  k.page[(head + 1) * PAGE_WORDS + W_NEXT] += by
}

/** Remembers that tails' records are no longer fresh, so that freeing must clean them. */
export function markTailsTouched(k: Kernel, head: Pfn): void {
  k.page[(head + 1) * PAGE_WORDS + W_INDEX] = 1
}
export const tailsTouched = (k: Kernel, head: Pfn): boolean => k.page[(head + 1) * PAGE_WORDS + W_INDEX] === 1

/** How often this very page is mapped, huge entries included (page_mapcount). */
export function pageMapcount(k: Kernel, pfn: Pfn): number {
  const head = compoundHead(k, pfn)
  const own = k.page[pfn * PAGE_WORDS + W_MAPCOUNT]
  return pageTest(k, head, PG_head) && compoundOrder(k, head) >= HPAGE_PMD_ORDER ? own + compoundMapcount(k, head) : own
}

/** How many entries map the page or, for a compound page, any part of it (folio_mapcount / total_mapcount). */
export function totalMapcount(k: Kernel, head: Pfn): number {
  const at = head * PAGE_WORDS
  if ((k.page[at] & PG_head) === 0 || compoundOrder(k, head) < HPAGE_PMD_ORDER) return k.page[at + W_MAPCOUNT]
  return k.page[at + PAGE_WORDS + W_PREV] + k.page[at + PAGE_WORDS + W_NEXT]
}

export const pageMapped = (k: Kernel, head: Pfn): boolean => totalMapcount(k, head) > 0

/**
 * References that Linux' page_count would show: one a mapping, one a page for the page or swap cache, one each for
 * buffers, a folio batch, a gather of unmapped pages and whoever isolated it.
 */
export function pageCount(k: Kernel, head: Pfn): number {
  const flags = k.page[head * PAGE_WORDS]
  let count = totalMapcount(k, head)
  const cached = (flags & PG_swapcache) !== 0 || ((flags & PG_anon) === 0 && pageOwner(k, head) !== 0)
  if (cached) count += (flags & PG_hugetlb) !== 0 ? 1 : compoundPages(k, head)
  if ((flags & PG_private) !== 0) count++
  count += flags >>> PG_BATCH_SHIFT
  if ((flags & PG_isolated) !== 0) count++
  if ((flags & PG_gathered) !== 0) count++
  return count
}
