/**
 * Compaction's free scanner: takes free pages from the upper end of a zone downwards, for pages of the lower end to move to.
 *
 * Only movable blocks give pages, and none that is free as a whole. A search for a wanted size first asks the free lists for a piece
 * in the top quarter of what is left between the scanners (or, failing that, the top half); only when they have none are blocks
 * scanned. The lists are turned so that the next search begins with other pieces.
 *
 * Taking pages obeys the min watermark, as any allocation.
 *
 * Source: mm/compaction.c (isolate_freepages, isolate_freepages_block, fast_isolate_freepages, split_map_pages),
 * mm/page_alloc.c __isolate_free_page.
 */
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { PG_buddy, PG_head, PG_tail } from '../base/flags.ts'
import { listLast, listPrev, PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { asPfn, MAX_ORDER, MIGRATE_MOVABLE, MIGRATE_PCPTYPES, NO_PAGE, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, type Pfn } from '../base/units.ts'
import { blockType, buddyOrder, freeList, isolateFreeBlock, setBlockType } from '../frames/buddy.ts'
import { compoundOrder } from '../frames/page.ts'
import { freshenPages } from '../frames/rmqueue.ts'
import { zoneWatermarkOk } from '../frames/watermark.ts'
import { holdZoneLock } from '../frames/zone_lock.ts'
import { freelistScanLimit } from './compaction_migrate_scanner.ts'
import {
  blockEnd,
  blockInZone,
  blockStart,
  CLUSTER_MAX,
  type CompactControl,
  isolationSuitable,
  setSkip,
  turnListTo,
  wholeBlockFree,
  zoneEnd,
} from './compaction_state.ts'

/** A free page to move to, or NO_PAGE when the scanners have met (compaction_alloc). */
export function compactionAlloc(k: Kernel, cc: CompactControl): Pfn {
  if (cc.freePages.length === 0) isolateFreepages(k, cc)
  return cc.freePages.pop() ?? NO_PAGE
}

/** Fills cc.freePages: from the free lists, or by scanning downwards until there are enough or the scanners meet. */
function isolateFreepages(k: Kernel, cc: CompactControl): void {
  fastIsolateFreepages(k, cc)
  if (cc.freePages.length > 0) return
  const { zone } = cc
  const low = blockEnd(cc.migratePfn)
  let stride = cc.mode === 'async' ? CLUSTER_MAX : 1
  let at = cc.freePfn
  for (let start = blockStart(at); start >= low; start -= PAGEBLOCK_PAGES, at = start) {
    if (!blockInZone(k, zone, start) || !suitableTarget(k, cc, start) || !isolationSuitable(k, cc, start)) continue
    const end = Math.min(start + PAGEBLOCK_PAGES, zoneEnd(zone))
    const had = cc.freePages.length
    at = isolateFreepagesBlock(k, cc, at, end, stride)
    if (at === end) {
      setSkip(k, start)
      zone.compact.cachedFreePfn = Math.min(zone.compact.cachedFreePfn, start)
    }
    if (cc.freePages.length >= cc.migratePages.length) {
      cc.freePfn = at >= end ? start - PAGEBLOCK_PAGES : at
      return
    }
    if (at < end) {
      cc.freePfn = at
      return
    }
    stride = cc.freePages.length > had ? 1 : Math.min(CLUSTER_MAX, stride << 1)
  }
  cc.freePfn = at
}

/** Whether the block may take pages in: a movable one that is not free as a whole (suitable_migration_target). */
const suitableTarget = (k: Kernel, cc: CompactControl, start: number): boolean =>
  !wholeBlockFree(k, cc.zone, start) && (cc.ignoreBlockSuitable || blockType(k, start) === MIGRATE_MOVABLE)

/** Takes free pages of [start, end) until there are enough; returns where it stopped (isolate_freepages_block). */
function isolateFreepagesBlock(k: Kernel, cc: CompactControl, start: number, end: number, stride: number): number {
  let scanned = 0
  let isolated = 0
  let pfn = start
  for (; pfn < end; pfn += stride) {
    scanned++
    const flags = k.page[pfn * PAGE_WORDS]
    if ((flags & (PG_head | PG_tail)) !== 0) {
      const order = compoundOrder(k, asPfn(pfn))
      if (order < MAX_ORDER) pfn += (1 << order) - 1
      continue
    }
    if ((flags & PG_buddy) === 0) continue
    const pages = isolateFreePage(k, cc, asPfn(pfn))
    if (pages === 0) break
    scanned += pages - 1
    isolated += pages
    if (cc.migratePages.length <= cc.freePages.length) {
      pfn += pages
      break
    }
    pfn += pages - 1
  }
  countScanned(k, cc, scanned)
  k.event[EV.compact_isolated] += isolated
  return Math.min(pfn, end)
}

function countScanned(k: Kernel, cc: CompactControl, scanned: number): void {
  cc.freeScanned += scanned
  spend(k, COST.compact_scan, scanned)
}

/** Takes a free block for moving to; 0 when the zone has too little left (__isolate_free_page). */
function isolateFreePage(k: Kernel, cc: CompactControl, pfn: Pfn): number {
  const { zone } = cc
  const pages = 1 << buddyOrder(k, zone, pfn)
  if (!zoneWatermarkOk(k, zone, 0, zone.wmarkMin + pages, 0, 0)) return 0
  const order = isolateFreeBlock(k, zone, pfn)
  holdZoneLock(k, zone, 1)
  freshenPages(k, pfn, order)
  if (order >= PAGEBLOCK_ORDER - 1)
    for (let at: number = pfn; at < pfn + pages - 1; at += PAGEBLOCK_PAGES)
      if (blockType(k, at) < MIGRATE_PCPTYPES) setBlockType(k, at, MIGRATE_MOVABLE)
  for (let i = 0; i < pages; i++) cc.freePages.push(asPfn(pfn + i))
  return pages
}

// --- the quick search

/** Takes one free block from the lists that lies high enough (fast_isolate_freepages). */
function fastIsolateFreepages(k: Kernel, cc: CompactControl): void {
  if (cc.order <= 0) return
  const { zone } = cc
  const fromTop = cc.freePfn >= zone.compact.initFreePfn
  const distance = cc.freePfn - cc.migratePfn
  const search: FastSearch = {
    limit: fromTop ? PAGEBLOCK_PAGES >> 1 : Math.max(1, freelistScanLimit(cc) >> 1),
    low: blockStart(cc.freePfn - (distance >> 2)),
    min: blockStart(cc.freePfn - (distance >> 1)),
    highest: 0,
    scanned: 0,
  }
  const found = searchFreeLists(k, cc, search)
  let around: number = found
  if (found === NO_PAGE) {
    cc.fastSearchFail++
    if (fromTop) around = startFrom(k, cc, search)
  }
  if (search.highest > 0 && search.highest >= zone.compact.cachedFreePfn) zone.compact.cachedFreePfn = search.highest - PAGEBLOCK_PAGES
  countScanned(k, cc, search.scanned)
  if (around !== NO_PAGE) fastIsolateAround(k, cc, around)
}

interface FastSearch {
  limit: number
  /** A piece from here on is as wished; one from `min` on will do. */
  readonly low: number
  readonly min: number
  /** Block of the highest piece seen. */
  highest: number
  scanned: number
}

/** Asks the lists of all smaller orders, beginning with the one that had something last time. */
function searchFreeLists(k: Kernel, cc: CompactControl, search: FastSearch): Pfn {
  cc.searchOrder = Math.min(cc.order - 1, cc.searchOrder)
  for (let order = cc.searchOrder; order >= 0; order = nextSearchOrder(cc, order)) {
    if (cc.zone.nrFree[order] === 0) continue
    const found = searchList(k, cc, order, search)
    if (found === NO_PAGE) continue
    const pages = isolateFreePage(k, cc, found)
    if (pages === 0) {
      order = cc.searchOrder + 1
      continue
    }
    search.scanned += pages - 1
    k.event[EV.compact_isolated] += pages
    nextSearchOrder(cc, order)
    return found
  }
  return NO_PAGE
}

/** Looks through one list from its tail; turns it so that the piece found is first. */
function searchList(k: Kernel, cc: CompactControl, order: number, search: FastSearch): Pfn {
  const list = freeList(cc.zone, order, MIGRATE_MOVABLE)
  let found: Pfn = NO_PAGE
  let high: Pfn = NO_PAGE
  let scanned = 0
  let pfn = listLast(k.heads, list)
  for (; pfn !== NO_PAGE; pfn = listPrev(k.page, pfn)) {
    scanned++
    if (pfn >= search.highest) search.highest = Math.max(blockStart(pfn), cc.zone.startPfn)
    if (pfn >= search.low) {
      cc.fastSearchFail = 0
      cc.searchOrder = order
      found = pfn
      break
    }
    if (pfn >= search.min && pfn > high) {
      high = pfn
      search.limit >>= 1
    }
    if (scanned >= search.limit) break
  }
  search.scanned += scanned
  if (found === NO_PAGE && high !== NO_PAGE) {
    found = high
    pfn = high
  }
  if (pfn !== NO_PAGE) turnListTo(k, list, pfn)
  if (scanned >= search.limit) search.limit = Math.max(1, search.limit >> 1)
  return found
}

/** Orders are searched downwards and round; -1 when all have been, and then the next search begins one lower (next_search_order). */
function nextSearchOrder(cc: CompactControl, order: number): number {
  const next = order > 0 ? order - 1 : cc.order - 1
  if (next !== cc.searchOrder) return next
  cc.searchOrder = cc.searchOrder > 0 ? cc.searchOrder - 1 : cc.order - 1
  return -1
}

/** Where to scan from after a search in vain at the start of a run: the highest block seen, else half way for an allocation. */
function startFrom(k: Kernel, cc: CompactControl, search: FastSearch): number {
  if (search.highest >= search.min) {
    cc.freePfn = search.highest
    return search.highest
  }
  if (!cc.direct) return NO_PAGE
  cc.freePfn = search.min
  return blockInZone(k, cc.zone, search.min) ? search.min : NO_PAGE
}

/** Takes what is free around a piece that was found, if it was not enough (fast_isolate_around). */
function fastIsolateAround(k: Kernel, cc: CompactControl, pfn: number): void {
  if (cc.freePages.length >= cc.migratePages.length || (cc.direct && cc.mode === 'async')) return
  const start = Math.max(blockStart(pfn), cc.zone.startPfn)
  const end = Math.min(blockEnd(pfn), zoneEnd(cc.zone))
  if (!blockInZone(k, cc.zone, start)) return
  isolateFreepagesBlock(k, cc, start, end, 1)
  if (cc.freePages.length < cc.migratePages.length) setSkip(k, start)
}
