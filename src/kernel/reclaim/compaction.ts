/**
 * Compaction: large free blocks out of many small ones, by moving pages.
 *
 *     zone   |p.pp..p.|.pp.p...|pp.....p|...     ...|.p..p...|p......p|
 *             migrate scanner -->                        <-- free scanner
 *     after  |........|........|........|...     ...|pppppppp|pppppppp|
 *
 * Two scanners walk towards each other: one isolates pages to move, the other free pages to move them to. A run ends when
 * they meet, or as soon as a block of the size that somebody wants is free. What a run frees goes to this CPU's list
 * and is given back when the scanner has left an aligned piece, so that it can merge; an allocation that waits gets the block
 * it merged into before anybody else can (capture).
 *
 * Whether there is a point is asked first: there must be enough free pages to move to, and for large sizes their lack must come
 * from fragmentation, not from lack of memory.
 *
 *     index = 1000 - (1000 + free pages * 1000 / size) / free blocks      0: too little memory ... 1000: all in pieces
 *
 * Source: mm/compaction.c (compact_zone, compact_finished, compaction_suitable), mm/vmstat.c fragmentation_index.
 */

import { now } from '../base/cost.ts'
import { EV, ZS } from '../base/counters.ts'
import { ENOMEM } from '../base/errno.ts'
import { ALLOC_WMARK_MASK, GFP_KERNEL } from '../base/flags.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import { asPfn, MAX_ORDER, PAGE_ALLOC_COSTLY_ORDER, PAGEBLOCK_ORDER } from '../base/units.ts'
import { freeBlocks, stealableFallback } from '../frames/buddy.ts'
import { drainPagesZone } from '../frames/pcp.ts'
import { freePages, gfpMigratetype } from '../frames/rmqueue.ts'
import { wmarkPages, zoneWatermarkOk } from '../frames/watermark.ts'
import { compactionAlloc } from './compaction_free_scanner.ts'
import { isolateMigratepages } from './compaction_migrate_scanner.ts'
import {
  blockEnd,
  blockStart,
  COMPACT,
  type CompactControl,
  type CompactResult,
  compactionRestarting,
  nodeZones,
  resetCachedPositions,
  resetIsolationSuitableZone,
  WHOLE,
  zoneEnd,
} from './compaction_state.ts'
import { type MigrateMode, migratePages, putbackMovablePages } from './migrate.ts'
import { lruAddDrain, lruAddDrainAll } from './zap.ts'

/** What is particular to a run; the rest begins the same in all. */
export interface CompactWish {
  readonly order: number
  readonly gfp: number
  readonly mode: MigrateMode
  readonly allocFlags: number
  readonly highestZoneidx: number
  readonly direct: boolean
  readonly proactive: boolean
  readonly wholeZone: boolean
  readonly ignoreSkipHint: boolean
  readonly ignoreBlockSuitable: boolean
}

/** A run of a kernel thread, or of the whole zone: what the fields are unless said otherwise. */
export const WISH: CompactWish = {
  order: WHOLE,
  gfp: GFP_KERNEL,
  mode: 'sync_light',
  allocFlags: 0,
  highestZoneidx: 0,
  direct: false,
  proactive: false,
  wholeZone: false,
  ignoreSkipHint: false,
  ignoreBlockSuitable: false,
}

export const compactControl = (zone: Zone, wish: CompactWish): CompactControl => ({
  ...wish,
  zone,
  migratetype: gfpMigratetype(wish.gfp),
  migratePfn: 0,
  freePfn: 0,
  fastStartPfn: 0,
  searchOrder: wish.order,
  fastSearchFail: 0,
  rescan: false,
  migratePages: [],
  freePages: [],
  migrateScanned: 0,
  freeScanned: 0,
})

// --- is there a point?

/** Free pages that should be there beside the watermark for a run of this order (compact_gap). */
const compactGap = (order: number) => 2 << order

/** Free pages, free blocks, and blocks of at least `order` counted in that size (contig_page_info). */
function contigPageInfo(zone: Zone, order: number): { pages: number; blocks: number; suitable: number } {
  const info = { pages: 0, blocks: 0, suitable: 0 }
  for (let o = 0; o < MAX_ORDER; o++) {
    info.pages += zone.nrFree[o] * 2 ** o
    info.blocks += zone.nrFree[o]
    if (o >= order) info.suitable += zone.nrFree[o] * 2 ** (o - order)
  }
  return info
}

/** Why an allocation of this order fails: 0 for lack of memory to 1000 for fragmentation; -1000: it does not fail. */
function fragmentationIndex(zone: Zone, order: number): number {
  const { pages, blocks, suitable } = contigPageInfo(zone, order)
  if (blocks === 0) return 0
  if (suitable > 0) return -1000
  return 1000 - Math.floor((1000 + Math.floor((pages * 1000) / 2 ** order)) / blocks)
}

/** Percent of the zone's free memory that is in pieces smaller than this order (extfrag_for_order). */
function extfragForOrder(zone: Zone, order: number): number {
  const { pages, suitable } = contigPageInfo(zone, order)
  return pages === 0 ? 0 : Math.floor(((pages - suitable * 2 ** order) * 100) / pages)
}

/** Whether a run could help, with `free` pages taken to be free (__compaction_suitable): success means there is no need for one. */
export function suitableWith(k: Kernel, zone: Zone, order: number, allocFlags: number, highest: number, free: number): CompactResult {
  if (order === WHOLE) return COMPACT.continue
  if (zoneWatermarkOk(k, zone, order, wmarkPages(zone, allocFlags & ALLOC_WMARK_MASK), highest, allocFlags)) return COMPACT.success
  const mark = (order > PAGE_ALLOC_COSTLY_ORDER ? zone.wmarkLow : zone.wmarkMin) + zone.watermarkBoost
  return enough(zone, mark + compactGap(order), highest, free) ? COMPACT.continue : COMPACT.skipped
}

/** The order-0 watermark check against a supposed number of free pages. */
const enough = (zone: Zone, mark: number, highest: number, free: number) =>
  free - zone.nrReservedHighatomic > mark + zone.lowmemReserve[highest]

/** Whether a run on the zone could help now (compaction_suitable). */
export function compactionSuitable(k: Kernel, zone: Zone, order: number, allocFlags: number, highest: number): CompactResult {
  const result = suitableWith(k, zone, order, allocFlags, highest, zone.stat[ZS.nr_free_pages])
  if (result !== COMPACT.continue || order <= PAGE_ALLOC_COSTLY_ORDER) return result
  const index = fragmentationIndex(zone, order)
  return index >= 0 && index <= k.sysctl.extfrag_threshold ? COMPACT.skipped : result
}

// --- fragmentation scores

/** The order that proactive compaction is for. */
const HPAGE_ORDER = PAGEBLOCK_ORDER

/** A node's fragmentation, 0..100, its zones counting by size (fragmentation_score_node). */
export function fragmentationScoreNode(k: Kernel, node: Node): number {
  const zones = nodeZones(k, node)
  const present = zones.reduce((sum, zone) => sum + zone.presentPages, 0)
  return zones.reduce((sum, zone) => sum + Math.floor((zone.presentPages * extfragForOrder(zone, HPAGE_ORDER)) / (present + 1)), 0)
}

/** Score above which proactive compaction begins, or (`low`) down to which it goes on. */
export function fragmentationScoreWmark(k: Kernel, low: boolean): number {
  const mark = Math.max(100 - k.sysctl.compaction_proactiveness, 5)
  return low ? mark : Math.min(mark + 10, 100)
}

export const kswapdIsRunning = (k: Kernel, node: Node): boolean => node.kswapd.wakeNs <= now(k)

// --- a run

const scannersMet = (cc: CompactControl): boolean => cc.freePfn >>> PAGEBLOCK_ORDER <= cc.migratePfn >>> PAGEBLOCK_ORDER

/** How the run stands (__compact_finished). */
function compactFinished(k: Kernel, cc: CompactControl): CompactResult {
  if (scannersMet(cc)) {
    resetCachedPositions(cc.zone)
    if (cc.direct) cc.zone.compact.blockskipFlush = true
    return cc.wholeZone ? COMPACT.complete : COMPACT.partial_skipped
  }
  if (cc.proactive) {
    if (kswapdIsRunning(k, k.nodes[cc.zone.node])) return COMPACT.partial_skipped
    return extfragForOrder(cc.zone, HPAGE_ORDER) > fragmentationScoreWmark(k, true) ? COMPACT.continue : COMPACT.success
  }
  if (cc.order === WHOLE || cc.migratePfn !== blockStart(cc.migratePfn)) return COMPACT.continue
  for (let order = cc.order; order < MAX_ORDER; order++)
    if (freeBlocks(k, cc.zone, order, cc.migratetype) > 0 || stealableFallback(k, cc.zone, order, cc.migratetype)) return COMPACT.success
  return COMPACT.continue
}

/** Runs compaction on the control's zone (compact_zone). */
export function compactZone(k: Kernel, cc: CompactControl): CompactResult {
  const suitable = compactionSuitable(k, cc.zone, cc.order, cc.allocFlags, cc.highestZoneidx)
  if (suitable !== COMPACT.continue) return suitable
  if (compactionRestarting(cc.zone, cc.order)) resetIsolationSuitableZone(k, cc.zone)
  startScanners(cc)
  lruAddDrain(k)
  const result = scanAndMigrate(k, cc)
  releaseFreepages(k, cc)
  k.event[EV.compact_migrate_scanned] += cc.migrateScanned
  k.event[EV.compact_free_scanned] += cc.freeScanned
  return result
}

/** Places the scanners: at the ends of the zone, or where the last run left off. */
function startScanners(cc: CompactControl): void {
  const { zone } = cc
  const { compact } = zone
  const top = blockStart(zoneEnd(zone) - 1)
  cc.fastStartPfn = 0
  if (cc.wholeZone) {
    cc.migratePfn = zone.startPfn
    cc.freePfn = top
    return
  }
  const inside = (pfn: number) => pfn >= zone.startPfn && pfn < zoneEnd(zone)
  if (!inside(compact.cachedFreePfn)) compact.cachedFreePfn = top
  const cached = cc.mode === 'async' ? compact.cachedMigrateAsyncPfn : compact.cachedMigrateSyncPfn
  if (!inside(cached)) {
    compact.cachedMigrateAsyncPfn = zone.startPfn
    compact.cachedMigrateSyncPfn = zone.startPfn
  }
  cc.freePfn = compact.cachedFreePfn
  cc.migratePfn = inside(cached) ? cached : zone.startPfn
  if (cc.migratePfn <= compact.initMigratePfn) cc.wholeZone = true
}

/** The scanners' walk until it is finished. */
function scanAndMigrate(k: Kernel, cc: CompactControl): CompactResult {
  const { compact } = cc.zone
  const target = { take: () => compactionAlloc(k, cc), giveBack: (page: number) => cc.freePages.push(asPfn(page)) }
  let keepInStep = cc.mode === 'async' && compact.cachedMigrateAsyncPfn === compact.cachedMigrateSyncPfn
  let lastMigrated = 0
  for (let result = compactFinished(k, cc); ; result = compactFinished(k, cc)) {
    if (result !== COMPACT.continue) return result
    const start = cc.migratePfn
    cc.rescan = blockStart(lastMigrated) === blockStart(start)
    if (isolateMigratepages(k, cc)) {
      keepInStep = false
      lastMigrated = start
      const error = migratePages(k, cc.migratePages.reverse(), target, cc.mode)
      putbackMovablePages(k, cc.migratePages)
      if (error === -ENOMEM && !scannersMet(cc)) return COMPACT.contended
      if (error !== 0 && cc.direct && cc.mode === 'async') {
        cc.migratePfn = blockEnd(cc.migratePfn - 1, cc.order)
        lastMigrated = 0
      }
    } else if (keepInStep) compact.cachedMigrateSyncPfn = compact.cachedMigrateAsyncPfn
    if (cc.order > 0 && lastMigrated > 0 && lastMigrated < blockStart(cc.migratePfn, cc.order)) {
      lruAddDrain(k)
      drainPagesZone(k, k.cpu, cc.zone)
      lastMigrated = 0
    }
    if (k.capture.pfn !== 0) return COMPACT.success
  }
}

/** Gives back what the free scanner took too much; the next run's may begin there again (release_freepages). */
function releaseFreepages(k: Kernel, cc: CompactControl): void {
  if (cc.freePages.length === 0) return
  const highest = blockStart(Math.max(...cc.freePages))
  for (const page of cc.freePages.reverse()) freePages(k, page, 0)
  cc.freePages.length = 0
  cc.zone.compact.cachedFreePfn = Math.max(cc.zone.compact.cachedFreePfn, highest)
}

// --- everything

/** Compacts the nodes' zones as far as that goes: a write to /proc/sys/vm/compact_memory, or to a node's `compact`. */
export function compactNodes(k: Kernel, nodes: readonly Node[]): void {
  lruAddDrainAll(k)
  const wish: CompactWish = { ...WISH, mode: 'sync', wholeZone: true, ignoreSkipHint: true }
  for (const node of nodes) for (const zone of nodeZones(k, node)) compactZone(k, compactControl(zone, wish))
}
