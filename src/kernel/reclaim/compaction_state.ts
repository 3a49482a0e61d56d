/**
 * What compaction remembers of a zone from one run to the next, and the control block of a run.
 *
 *     skip marks    a page block where nothing could be isolated is not looked at again
 *     cached pfns   where the scanners go on; asynchronous and synchronous runs have their own for the migrate scanner
 *     deferral      after a run that failed, the next 1, 3, 7 ... 63 requests of that order are turned away
 *
 * Marks and pfns are reset when the scanners have met on behalf of an allocation, by kswapd as it goes to sleep or by the first run
 * after the longest deferral. A reset only clears marks of blocks where a sample of one page in eight finds a page to move, or a free one.
 *
 * Source: mm/compaction.c (__reset_isolation_suitable, update_cached_migrate, defer_compaction, compaction_deferred).
 */
import { PG_buddy, PG_lru } from '../base/flags.ts'
import { listPrev, listTurn, PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import {
  asPfn,
  HPAGE_PMD_ORDER,
  MAX_NR_ZONES,
  MIGRATE_MOVABLE,
  NO_PAGE,
  PAGE_ALLOC_COSTLY_ORDER,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  type Pfn,
} from '../base/units.ts'
import { blockType, buddyOrder } from '../frames/buddy.ts'
import { compoundHead, compoundOrder } from '../frames/page.ts'
import { populated } from '../frames/zone.ts'
import type { MigrateMode } from './migrate.ts'

/** Pages isolated before they are moved (COMPACT_CLUSTER_MAX). */
export const CLUSTER_MAX = 32
/** Requests are turned away for at most 1 << 6 times (COMPACT_MAX_DEFER_SHIFT). */
export const MAX_DEFER_SHIFT = 6
/** The order of a run on everything: /proc/sys/vm/compact_memory. */
export const WHOLE = -1

/** How a run on a zone ended; in the order of enum compact_result, so that a larger one outweighs. */
export const COMPACT = {
  not_suitable: 0,
  skipped: 1,
  deferred: 2,
  no_suitable_page: 3,
  continue: 4,
  complete: 5,
  partial_skipped: 6,
  contended: 7,
  success: 8,
} as const
export type CompactResult = (typeof COMPACT)[keyof typeof COMPACT]

/** One run on one zone (struct compact_control). */
export interface CompactControl {
  readonly zone: Zone
  /** What is wanted, or WHOLE. */
  readonly order: number
  readonly gfp: number
  readonly migratetype: number
  readonly mode: MigrateMode
  readonly allocFlags: number
  readonly highestZoneidx: number
  /** On behalf of an allocation that waits. */
  readonly direct: boolean
  readonly proactive: boolean
  readonly ignoreSkipHint: boolean
  readonly ignoreBlockSuitable: boolean
  wholeZone: boolean
  /** Where the scanners stand. */
  migratePfn: number
  freePfn: number
  /** Lowest block the quick search named; 0 none yet, -1 it is of no more use. */
  fastStartPfn: number
  searchOrder: number
  fastSearchFail: number
  /** The block is looked at again because its pages did not move. */
  rescan: boolean
  /** Isolated pages to move, in the order found; free pages to move to, the last one first. */
  readonly migratePages: Pfn[]
  readonly freePages: Pfn[]
  migrateScanned: number
  freeScanned: number
}

export const blockStart = (pfn: number, order: number = PAGEBLOCK_ORDER): number => pfn - (pfn % (1 << order))
export const blockEnd = (pfn: number, order: number = PAGEBLOCK_ORDER): number => blockStart(pfn, order) + (1 << order)
export const blockAligned = (pfn: number): boolean => pfn % PAGEBLOCK_PAGES === 0
export const zoneEnd = (zone: Zone): number => zone.startPfn + zone.spannedPages

/** Whether the block is memory of the zone (pageblock_pfn_to_page). */
export const blockInZone = (k: Kernel, zone: Zone, pfn: number): boolean => k.blockZone[pfn >>> PAGEBLOCK_ORDER] === zone.index

// --- skip marks and cached positions

export const getSkip = (k: Kernel, pfn: number): boolean => k.blockSkip[pfn >>> PAGEBLOCK_ORDER] !== 0
export function setSkip(k: Kernel, pfn: number): void {
  k.blockSkip[pfn >>> PAGEBLOCK_ORDER] = 1
}

/** Whether the block should be looked at (isolation_suitable). */
export const isolationSuitable = (k: Kernel, cc: CompactControl, pfn: number): boolean => cc.ignoreSkipHint || !getSkip(k, pfn)

/** Marks the block as seen, unless marks are ignored; returns whether somebody else has been there (test_and_set_skip). */
export function testAndSetSkip(k: Kernel, cc: CompactControl, pfn: number): boolean {
  if (cc.ignoreSkipHint || !blockAligned(pfn)) return false
  const seen = getSkip(k, pfn)
  setSkip(k, pfn)
  return seen
}

export function updateCachedMigrate(cc: CompactControl, pfn: number): void {
  const { compact } = cc.zone
  const end = blockEnd(pfn)
  compact.cachedMigrateAsyncPfn = Math.max(compact.cachedMigrateAsyncPfn, end)
  if (cc.mode !== 'async') compact.cachedMigrateSyncPfn = Math.max(compact.cachedMigrateSyncPfn, end)
}

/** The next run begins at the ends of the zone. */
export function resetCachedPositions(zone: Zone): void {
  zone.compact.cachedMigrateAsyncPfn = zone.startPfn
  zone.compact.cachedMigrateSyncPfn = zone.startPfn
  zone.compact.cachedFreePfn = blockStart(zoneEnd(zone) - 1)
}

/** A compound page of a whole block or more: neither to be moved nor moved to (pageblock_skip_persistent). */
export const skipPersistent = (k: Kernel, pfn: number): boolean => compoundOrder(k, compoundHead(k, asPfn(pfn))) >= HPAGE_PMD_ORDER

/** Clears marks where there is reason to, from both ends inwards, and lets the scanners begin at the outermost such blocks. */
export function resetIsolationSuitableZone(k: Kernel, zone: Zone): void {
  const { compact } = zone
  if (!compact.blockskipFlush) return
  compact.blockskipFlush = false
  let migrate = zone.startPfn
  let free = zoneEnd(zone) - 1
  let resetMigrate = free
  let resetFree = migrate
  let sourceSet = false
  let freeSet = false
  for (; migrate < free; migrate += PAGEBLOCK_PAGES, free -= PAGEBLOCK_PAGES) {
    if (resetBlock(k, zone, migrate, true, sourceSet) && migrate < resetMigrate) {
      sourceSet = true
      resetMigrate = migrate
      compact.initMigratePfn = migrate
      compact.cachedMigrateAsyncPfn = migrate
      compact.cachedMigrateSyncPfn = migrate
    }
    if (resetBlock(k, zone, free, freeSet, true) && free > resetFree) {
      freeSet = true
      resetFree = free
      compact.initFreePfn = free
      compact.cachedFreePfn = free
    }
  }
  if (resetMigrate < resetFree) return
  compact.cachedMigrateAsyncPfn = migrate
  compact.cachedMigrateSyncPfn = migrate
  compact.cachedFreePfn = free
}

/** Clears the mark of the page's block if a sample says it is of use (__reset_isolation_pfn). */
function resetBlock(k: Kernel, zone: Zone, pfn: number, source: boolean, target: boolean): boolean {
  if (!blockInZone(k, zone, pfn) || skipPersistent(k, pfn)) return false
  if (source && target && !getSkip(k, pfn)) return true
  if (!source && target && blockType(k, pfn) !== MIGRATE_MOVABLE) return false
  const start = Math.max(blockStart(pfn), zone.startPfn)
  const last = Math.min(blockEnd(pfn), zoneEnd(zone)) - 1
  for (let at = start; at <= last; at += 1 << PAGE_ALLOC_COSTLY_ORDER) {
    const useful = (source && (k.page[at * PAGE_WORDS] & PG_lru) !== 0) || (target && buddyOrder(k, zone, at) >= 0)
    if (!useful) continue
    k.blockSkip[pfn >>> PAGEBLOCK_ORDER] = 0
    return true
  }
  return false
}

/** Forgets marks of the node's zones where scanners have met; kswapd does it as it goes to sleep (reset_isolation_suitable). */
export function resetIsolationSuitable(k: Kernel, node: Node): void {
  for (const zone of nodeZones(k, node)) resetIsolationSuitableZone(k, zone)
}

export const nodeZones = (k: Kernel, node: Node): Zone[] =>
  k.zones.slice(node.id * MAX_NR_ZONES, (node.id + 1) * MAX_NR_ZONES).filter(populated)

// --- deferral

/** A run came to nothing: turn more requests away (defer_compaction). */
export function deferCompaction(zone: Zone, order: number): void {
  const { compact } = zone
  compact.considered = 0
  compact.deferShift = Math.min(compact.deferShift + 1, MAX_DEFER_SHIFT)
  if (order < compact.orderFailed) compact.orderFailed = order
}

/** Whether this request is turned away (compaction_deferred). */
export function compactionDeferred(zone: Zone, order: number): boolean {
  const { compact } = zone
  const limit = 1 << compact.deferShift
  if (order < compact.orderFailed) return false
  compact.considered = Math.min(compact.considered + 1, limit)
  return compact.considered < limit
}

/** A run seems to have helped, or (`success`) has (compaction_defer_reset). */
export function compactionDeferReset(zone: Zone, order: number, success: boolean): void {
  const { compact } = zone
  if (success) {
    compact.considered = 0
    compact.deferShift = 0
  }
  if (order >= compact.orderFailed) compact.orderFailed = order + 1
}

/** Whether this run is the first after the longest deferral (compaction_restarting). */
export function compactionRestarting(zone: Zone, order: number): boolean {
  const { compact } = zone
  return order >= compact.orderFailed && compact.deferShift === MAX_DEFER_SHIFT && compact.considered >= 1 << compact.deferShift
}

/** Whether the block that starts at this page is free as one piece of a page block or more. */
export const wholeBlockFree = (k: Kernel, zone: Zone, pfn: number): boolean =>
  ((k.page[pfn * PAGE_WORDS] & PG_buddy) !== 0 || zone.virgin.length > 0) && buddyOrder(k, zone, pfn) >= PAGEBLOCK_ORDER

// --- free lists turned so that the next search begins elsewhere

/** Turns a free list so that the page is the last one (move_freelist_tail). */
export const turnListPast = (k: Kernel, list: number, pfn: Pfn): void => listTurn(k.heads, k.page, list, pfn)

/** Turns a free list so that the page is the first one (move_freelist_head). */
export function turnListTo(k: Kernel, list: number, pfn: Pfn): void {
  const prev = listPrev(k.page, pfn)
  if (prev !== NO_PAGE) listTurn(k.heads, k.page, list, prev)
}
