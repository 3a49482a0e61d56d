/**
 * The buddy allocator: free memory in blocks of 2^order pages, on lists by order and migrate type. A block splits into
 * two buddies whose page frame numbers differ in one bit; two free buddies of one order merge.
 *
 *     order 3   |........|                        ask for one page: take the smallest block of the type, split it,
 *     order 2   |....|  the other half stays      put the upper halves back on the lists below
 *     order 1   |..|
 *     order 0   |.|  <- given out
 *
 * Page blocks of 512 pages have a migrate type, so that pages that can move stay among themselves. When a type has
 * nothing left it takes from another: the largest block there is, and with it all that is free in its page block when the
 * request may dirty the block anyway. The block changes its type when at least half of it is then of the new one. A fallback
 * below page-block order also boosts the zone's watermarks, so that kswapd makes room before more blocks mix.
 *
 * Blocks of the top order that were never used stand as ranges behind the movable list of the top order (zone.virgin)
 * and are linked when their turn comes: a machine of a terabyte boots without touching its page records.
 *
 * Invariants: a block on a list has PG_buddy on its first page, its order in the record's last word and the type of its
 * list in the index word; nr_free_pages is the sum over all blocks, isolated ones excepted; no two free buddies of an order below the
 * top are unmerged, but for blocks that different types keep apart.
 *
 * Source: mm/page_alloc.c (__free_one_page, expand, __rmqueue_smallest, __rmqueue_fallback, steal_suitable_fallback,
 * move_freepages_block, reserve_highatomic_pageblock).
 */
import { fail } from '../base/assert.ts'
import { ZS } from '../base/counters.ts'
import { ALLOC_KSWAPD, ALLOC_NOFRAGMENT, PG_buddy, PG_lru } from '../base/flags.ts'
import { listAdd, listAddTail, listDelete, listFirst, listLength, PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Zone } from '../base/state.ts'
import {
  asPfn,
  MAX_ORDER,
  MIGRATE_HIGHATOMIC,
  MIGRATE_ISOLATE,
  MIGRATE_MOVABLE,
  MIGRATE_PCPTYPES,
  MIGRATE_RECLAIMABLE,
  MIGRATE_TYPES,
  MIGRATE_UNMOVABLE,
  NO_PAGE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  type Pfn,
} from '../base/units.ts'
import { W_FLAGS, W_INDEX, W_PRIVATE } from './page.ts'

const NR_FREE_PAGES = ZS.nr_free_pages
const TOP_ORDER = MAX_ORDER - 1

/** Types to take from, in this order, when a type has nothing left. */
const FALLBACKS: readonly (readonly number[])[] = [
  [MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE],
  [MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE],
  [MIGRATE_UNMOVABLE, MIGRATE_MOVABLE],
]

export const freeList = (zone: Zone, order: number, type: number) => zone.freeLists + order * MIGRATE_TYPES + type

export const blockType = (k: Kernel, pfn: number) => k.blockType[pfn >>> PAGEBLOCK_ORDER]
export function setBlockType(k: Kernel, pfn: number, type: number): void {
  k.blockType[pfn >>> PAGEBLOCK_ORDER] = type
}

/** Free blocks of an order and type, virgin ones included. */
export function freeBlocks(k: Kernel, zone: Zone, order: number, type: number): number {
  const linked = listLength(k.heads, freeList(zone, order, type))
  return order === TOP_ORDER && type === MIGRATE_MOVABLE ? linked + virginBlocks(zone) : linked
}

export const virginBlocks = (zone: Zone) => zone.virgin.reduce((sum, range) => sum + (range.end - range.next) / (1 << TOP_ORDER), 0)

/** First block of a list: the most recently freed one. NO_PAGE when there is none. */
function firstFree(k: Kernel, zone: Zone, order: number, type: number): Pfn {
  const list = freeList(zone, order, type)
  const first = listFirst(k.heads, list)
  if (first !== NO_PAGE || order !== TOP_ORDER || type !== MIGRATE_MOVABLE || zone.virgin.length === 0) return first
  return linkVirgin(k, zone)
}

/** Puts the lowest virgin block on its list. */
function linkVirgin(k: Kernel, zone: Zone): Pfn {
  const range = zone.virgin[0]
  const pfn = asPfn(range.next)
  range.next += 1 << TOP_ORDER
  if (range.next >= range.end) zone.virgin.shift()
  markFree(k, pfn, TOP_ORDER, MIGRATE_MOVABLE)
  listAddTail(k.heads, k.page, freeList(zone, TOP_ORDER, MIGRATE_MOVABLE), pfn)
  return pfn
}

/** Links every virgin block of the zone, for walks that need each free block to be on a list. */
export function linkAllVirgin(k: Kernel, zone: Zone): void {
  while (zone.virgin.length > 0) linkVirgin(k, zone)
}

function markFree(k: Kernel, pfn: Pfn, order: number, type: number): void {
  const at = pfn * PAGE_WORDS
  k.page[at + W_FLAGS] |= PG_buddy
  k.page[at + W_PRIVATE] = order
  k.page[at + W_INDEX] = type
}

function addToFreeList(k: Kernel, zone: Zone, pfn: Pfn, order: number, type: number, tail: boolean): void {
  markFree(k, pfn, order, type)
  const list = freeList(zone, order, type)
  if (tail) listAddTail(k.heads, k.page, list, pfn)
  else listAdd(k.heads, k.page, list, pfn)
  zone.nrFree[order]++
}

/** Takes a free block off its list; its record is then that of a fresh page. */
function deleteFromFreeList(k: Kernel, zone: Zone, pfn: Pfn, order: number): void {
  const at = pfn * PAGE_WORDS
  listDelete(k.heads, k.page, freeList(zone, order, k.page[at + W_INDEX]), pfn)
  k.page[at + W_FLAGS] &= ~PG_buddy
  k.page[at + W_PRIVATE] = 0
  k.page[at + W_INDEX] = 0
  zone.nrFree[order]--
}

/** Order of the free block that starts at this page, or -1. Virgin blocks count. */
export function buddyOrder(k: Kernel, zone: Zone, pfn: number): number {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_buddy) !== 0) return k.page[at + W_PRIVATE]
  for (const range of zone.virgin) if (pfn >= range.next && pfn < range.end && pfn % (1 << TOP_ORDER) === 0) return TOP_ORDER
  return -1
}

/** First page of the free block that holds this page, or NO_PAGE when the page is not free. */
export function freeBlockOf(k: Kernel, zone: Zone, pfn: number): Pfn {
  for (let order = 0; order <= TOP_ORDER; order++) {
    const head = pfn - (pfn % (1 << order))
    if ((k.page[head * PAGE_WORDS] & PG_buddy) !== 0 && k.page[head * PAGE_WORDS + W_PRIVATE] >= order) return asPfn(head)
  }
  for (const range of zone.virgin) if (pfn >= range.next && pfn < range.end) return asPfn(pfn - (pfn % (1 << TOP_ORDER)))
  return NO_PAGE
}

/** The free buddy of a block, if it is whole, of the same order and zone; else NO_PAGE. */
function findBuddy(k: Kernel, zone: Zone, pfn: number, order: number): Pfn {
  const buddy = pfn ^ (1 << order)
  const at = buddy * PAGE_WORDS
  if ((k.page[at] & PG_buddy) === 0 || k.page[at + W_PRIVATE] !== order) return NO_PAGE
  return k.blockZone[buddy >>> PAGEBLOCK_ORDER] === zone.index ? asPfn(buddy) : NO_PAGE
}

/**
 * Gives a block back and merges it with its free buddies (__free_one_page). The page's record must be fresh.
 * @param type the list it goes to; for pages from per-CPU lists the type they had when they were freed.
 * @param toTail put it where it is used last (boot, onlining).
 */
export function freeOnePage(k: Kernel, zone: Zone, first: Pfn, firstOrder: number, type: number, toTail = false): void {
  let pfn: number = first
  let order = firstOrder
  if (type !== MIGRATE_ISOLATE) zone.stat[NR_FREE_PAGES] += 1 << order
  const { capture } = k
  while (order < TOP_ORDER) {
    if (order === capture.order && captures(k, zone, order, type)) {
      capture.pfn = asPfn(pfn)
      capture.order = -1
      zone.stat[NR_FREE_PAGES] -= 1 << order
      return
    }
    const buddy = findBuddy(k, zone, pfn, order)
    if (buddy === NO_PAGE) break
    if (order >= PAGEBLOCK_ORDER && !mayMerge(type, blockType(k, buddy))) break
    deleteFromFreeList(k, zone, buddy, order)
    pfn &= ~(1 << order)
    order++
  }
  const likely = order < TOP_ORDER - 1 && findBuddy(k, zone, pfn & ~(1 << order), order + 1) !== NO_PAGE
  if (order === TOP_ORDER && toTail && type === MIGRATE_MOVABLE) linkAllVirgin(k, zone)
  addToFreeList(k, zone, asPfn(pfn), order, type, toTail || likely)
}

/** Whether the block goes to the allocation that compacts this zone for it; small ones not, if they would mix page types (compaction_capture). */
const captures = (k: Kernel, zone: Zone, order: number, type: number) =>
  k.capture.zone === zone.index && type !== MIGRATE_ISOLATE && (order >= PAGEBLOCK_ORDER || type !== MIGRATE_MOVABLE)

/** Blocks larger than a page block may only hold types that fall back to each other. */
const mayMerge = (a: number, b: number) => a === b || (a < MIGRATE_PCPTYPES && b < MIGRATE_PCPTYPES)

/** Splits a block taken at `high` down to `low`, giving the upper halves back to lists of `type` (expand). */
function expand(k: Kernel, zone: Zone, pfn: number, low: number, high: number, type: number): void {
  for (let order = high - 1; order >= low; order--) addToFreeList(k, zone, asPfn(pfn + (1 << order)), order, type, false)
}

/** Takes the smallest block of the type that is large enough, or returns NO_PAGE. The caller counts nr_free_pages. */
export function rmqueueSmallest(k: Kernel, zone: Zone, order: number, type: number): Pfn {
  for (let current = order; current < MAX_ORDER; current++) {
    if (zone.nrFree[current] === 0) continue
    const pfn = firstFree(k, zone, current, type)
    if (pfn === NO_PAGE) continue
    deleteFromFreeList(k, zone, pfn, current)
    expand(k, zone, pfn, order, current, type)
    return pfn
  }
  return NO_PAGE
}

/**
 * Takes up to `want` single pages of the type in ascending order from one block, and puts the rest of the block back: what
 * as many calls of rmqueueSmallest would do, without listing each half. Writes them to `to` and returns their number; 0 when the
 * type has nothing.
 */
function rmqueueRun(k: Kernel, zone: Zone, type: number, want: number, to: Int32Array, at: number): number {
  for (let current = 0; current < MAX_ORDER; current++) {
    if (zone.nrFree[current] === 0) continue
    const first = firstFree(k, zone, current, type)
    if (first === NO_PAGE) continue
    deleteFromFreeList(k, zone, first, current)
    const taken = Math.min(want, 1 << current)
    for (let i = 0; i < taken; i++) to[at + i] = first + i
    putBackRest(k, zone, first, taken, current, type)
    return taken
  }
  return 0
}

/** Lists what is left of a block of 2^order pages after its first `taken`: the largest halves first. */
function putBackRest(k: Kernel, zone: Zone, first: number, taken: number, order: number, type: number): void {
  let start = first
  let left = taken
  for (let half = order - 1; half >= 0 && left > 0; half--) {
    const upper = start + (1 << half)
    if (left <= 1 << half) addToFreeList(k, zone, asPfn(upper), half, type, false)
    else {
      start = upper
      left -= 1 << half
    }
    if (left === 1 << half) return
  }
}

/** Takes up to `want` single pages of the type, by fallback where it has none; returns how many were written to `to`. */
export function rmqueueBulk(k: Kernel, zone: Zone, type: number, want: number, allocFlags: number, to: Int32Array): number {
  let got = 0
  while (got < want) {
    const run = rmqueueRun(k, zone, type, want - got, to, got)
    if (run === 0 && !rmqueueFallback(k, zone, 0, type, allocFlags)) break
    got += run
  }
  return got
}

/** Takes a block of the type, by fallback where there is none (__rmqueue). */
export function rmqueueType(k: Kernel, zone: Zone, order: number, type: number, allocFlags: number): Pfn {
  for (;;) {
    const pfn = rmqueueSmallest(k, zone, order, type)
    if (pfn !== NO_PAGE || !rmqueueFallback(k, zone, order, type, allocFlags)) return pfn
  }
}

/** Whether a request may take over all that is free in the page block it falls back to (can_steal_fallback). */
const canSteal = (order: number, type: number) =>
  order >= PAGEBLOCK_ORDER >> 1 || type === MIGRATE_RECLAIMABLE || type === MIGRATE_UNMOVABLE

/** The type to take a block of this order from, or -1. */
function suitableFallback(k: Kernel, zone: Zone, order: number, type: number): number {
  if (zone.nrFree[order] === 0) return -1
  for (const other of FALLBACKS[type]) if (freeBlocks(k, zone, order, other) > 0) return other
  return -1
}

/** Whether compaction for `type` could stop at this order because a fallback would take over a whole page block. */
export const stealableFallback = (k: Kernel, zone: Zone, order: number, type: number): boolean =>
  canSteal(order, type) && suitableFallback(k, zone, order, type) >= 0

/** Moves free memory of another type to this type's lists; false when there is none of a suitable size. */
function rmqueueFallback(k: Kernel, zone: Zone, order: number, type: number, allocFlags: number): boolean {
  const least = order < PAGEBLOCK_ORDER && (allocFlags & ALLOC_NOFRAGMENT) !== 0 ? PAGEBLOCK_ORDER : order
  for (let current = TOP_ORDER; current >= least; current--) {
    const other = suitableFallback(k, zone, current, type)
    if (other < 0) continue
    const steal = canSteal(current, type)
    if (steal || type !== MIGRATE_MOVABLE || current === order) stealSuitableFallback(k, zone, current, other, type, allocFlags, steal)
    else stealSmallest(k, zone, order, type, allocFlags)
    return true
  }
  return false
}

/** A movable request that may not take a page block over takes the smallest block instead of the largest. */
function stealSmallest(k: Kernel, zone: Zone, order: number, type: number, allocFlags: number): void {
  for (let current = order; current < MAX_ORDER; current++) {
    const other = suitableFallback(k, zone, current, type)
    if (other < 0) continue
    stealSuitableFallback(k, zone, current, other, type, allocFlags, canSteal(current, type))
    return
  }
}

function stealSuitableFallback(
  k: Kernel,
  zone: Zone,
  order: number,
  from: number,
  type: number,
  allocFlags: number,
  wholeBlock: boolean,
): void {
  const pfn = firstFree(k, zone, order, from)
  const oldType = blockType(k, pfn)
  if (oldType !== MIGRATE_HIGHATOMIC && order >= PAGEBLOCK_ORDER)
    for (let at: number = pfn; at < pfn + (1 << order); at += PAGEBLOCK_PAGES) setBlockType(k, at, type)
  if (oldType === MIGRATE_HIGHATOMIC || order >= PAGEBLOCK_ORDER) return moveToFreeList(k, zone, pfn, order, type)
  if (boostWatermark(k, zone) && (allocFlags & ALLOC_KSWAPD) !== 0) zone.boostedWatermark = true
  if (!wholeBlock) return moveToFreeList(k, zone, pfn, order, type)
  const movable = movablePages(k, zone, pfn)
  const free = moveFreepagesBlock(k, zone, pfn, type)
  const alike = type === MIGRATE_MOVABLE ? movable : oldType === MIGRATE_MOVABLE ? PAGEBLOCK_PAGES - free - movable : 0
  if (free === 0) return moveToFreeList(k, zone, pfn, order, type)
  if (free + alike >= PAGEBLOCK_PAGES / 2) setBlockType(k, pfn, type)
}

/** Moves a free block to the tail of another type's list. */
function moveToFreeList(k: Kernel, zone: Zone, pfn: Pfn, order: number, type: number): void {
  const at = pfn * PAGE_WORDS
  listDelete(k.heads, k.page, freeList(zone, order, k.page[at + W_INDEX]), pfn)
  k.page[at + W_INDEX] = type
  if (order === TOP_ORDER && type === MIGRATE_MOVABLE) linkAllVirgin(k, zone)
  listAddTail(k.heads, k.page, freeList(zone, order, type), pfn)
}

/** Raises the zone's watermarks by a page block, up to watermark_boost_factor of the high mark; false when it may not. */
function boostWatermark(k: Kernel, zone: Zone): boolean {
  const factor = k.sysctl.watermark_boost_factor
  if (factor === 0 || PAGEBLOCK_PAGES * 4 > zone.managedPages) return false
  const most = Math.floor((zone.wmarkHigh * factor) / 10000)
  if (most === 0) return false
  zone.watermarkBoost = Math.min(zone.watermarkBoost + PAGEBLOCK_PAGES, Math.max(PAGEBLOCK_PAGES, most))
  return true
}

/** Pages of the block that are in use and can be moved or reclaimed: those on LRU lists. */
function movablePages(k: Kernel, zone: Zone, pfn: number): number {
  const [start, end] = blockBounds(zone, pfn)
  let movable = 0
  for (let at = start; at < end; at++) if ((k.page[at * PAGE_WORDS] & PG_lru) !== 0) movable++
  return movable
}

/** Moves all that is free in a page block to a type's lists (block type unchanged); returns the pages moved. */
export function moveFreepagesBlock(k: Kernel, zone: Zone, pfn: number, type: number): number {
  const [start, end] = blockBounds(zone, pfn)
  let moved = 0
  for (let at = start; at < end; ) {
    if ((k.page[at * PAGE_WORDS] & PG_buddy) === 0) {
      at++
      continue
    }
    const order = k.page[at * PAGE_WORDS + W_PRIVATE]
    moveToFreeList(k, zone, asPfn(at), order, type)
    moved += 1 << order
    at += 1 << order
  }
  return moved
}

/** The part of a page block that lies in the zone. */
function blockBounds(zone: Zone, pfn: number): [start: number, end: number] {
  const start = pfn - (pfn % PAGEBLOCK_PAGES)
  return [Math.max(start, zone.startPfn), Math.min(start + PAGEBLOCK_PAGES, zone.startPfn + zone.spannedPages)]
}

/** Sets a page block aside for atomic requests of order > 0, as long as these have at most 1 % of the zone. */
export function reserveHighatomicPageblock(k: Kernel, zone: Zone, pfn: Pfn): void {
  const most = Math.floor(zone.managedPages / 100) + PAGEBLOCK_PAGES
  if (zone.nrReservedHighatomic >= most || blockType(k, pfn) >= MIGRATE_PCPTYPES) return
  zone.nrReservedHighatomic += PAGEBLOCK_PAGES
  setBlockType(k, pfn, MIGRATE_HIGHATOMIC)
  moveFreepagesBlock(k, zone, pfn, MIGRATE_HIGHATOMIC)
}

/** Gives one reserved page block back to ordinary use; false when nothing was freed by it. */
export function unreserveHighatomicPageblock(k: Kernel, zone: Zone, type: number, force: boolean): boolean {
  if (!force && zone.nrReservedHighatomic <= PAGEBLOCK_PAGES) return false
  for (let order = 0; order < MAX_ORDER; order++) {
    const pfn = firstFree(k, zone, order, MIGRATE_HIGHATOMIC)
    if (pfn === NO_PAGE) continue
    if (blockType(k, pfn) === MIGRATE_HIGHATOMIC) zone.nrReservedHighatomic -= Math.min(PAGEBLOCK_PAGES, zone.nrReservedHighatomic)
    setBlockType(k, pfn, type)
    if (moveFreepagesBlock(k, zone, pfn, type) > 0) return true
  }
  return false
}

/** Takes a particular free block, whole, off its list (compaction and isolation do); returns its order. */
export function isolateFreeBlock(k: Kernel, zone: Zone, pfn: Pfn): number {
  const order = k.page[pfn * PAGE_WORDS + W_PRIVATE]
  if ((k.page[pfn * PAGE_WORDS] & PG_buddy) === 0) fail(`page ${pfn} is not a free block`)
  if (k.page[pfn * PAGE_WORDS + W_INDEX] !== MIGRATE_ISOLATE) zone.stat[NR_FREE_PAGES] -= 1 << order
  deleteFromFreeList(k, zone, pfn, order)
  return order
}

/** Takes one page out of the free block that holds it and leaves the rest free; false when the page is not free (take_page_off_buddy). */
export function takePageOffBuddy(k: Kernel, zone: Zone, pfn: Pfn): boolean {
  let start: number = freeBlockOf(k, zone, pfn)
  if (start === NO_PAGE) return false
  if ((k.page[start * PAGE_WORDS] & PG_buddy) === 0) linkAllVirgin(k, zone)
  const type = k.page[start * PAGE_WORDS + W_INDEX]
  const order = k.page[start * PAGE_WORDS + W_PRIVATE]
  deleteFromFreeList(k, zone, asPfn(start), order)
  for (let half = order - 1; half >= 0; half--) {
    const upper = start + (1 << half)
    addToFreeList(k, zone, asPfn(pfn < upper ? upper : start), half, type, false)
    if (pfn >= upper) start = upper
  }
  if (type !== MIGRATE_ISOLATE) zone.stat[NR_FREE_PAGES]--
  return true
}

/** Lists one free block of boot; those of the top order become part of a virgin range (memblock_free_all). */
export function freeBootBlock(k: Kernel, zone: Zone, pfn: Pfn, order: number, type: number): void {
  if (order < TOP_ORDER || type !== MIGRATE_MOVABLE) return freeOnePage(k, zone, pfn, order, type, true)
  const last = zone.virgin[zone.virgin.length - 1]
  const end = pfn + (1 << order)
  if (last !== undefined && last.end === pfn) last.end = end
  else zone.virgin.push({ next: pfn, end })
  zone.nrFree[TOP_ORDER]++
  zone.stat[NR_FREE_PAGES] += 1 << order
}
