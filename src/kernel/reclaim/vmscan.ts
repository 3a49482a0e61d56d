/**
 * Reclaim: making pages free by dropping what can be had again.
 *
 *     for priority 12 ... 0, until enough is reclaimed
 *       for each node
 *         of each list, size >> priority pages, 32 at a time, from its tail:
 *           inactive    reclaimed, kept or made active (vmscan_list.ts)
 *           active      made inactive, unless it is a program's code in use
 *
 * A process that needs a page reclaims 32 (direct_reclaim.ts); kswapd works in the background until every mark is met
 * (daemons/kswapd.ts). A round on a node pauses when its time is over, and goes on where it stopped. Pages of zones above the one wanted are
 * passed over (pgskip).
 *
 * The lists of the target group and of all below it are looked at in turn; for the machine's sake that is the root and so all groups.
 * Anonymous pages are left alone while there is no swap. While generations are on, they are evicted instead of these lists (lru_gen_evict.ts).
 *
 * Source: mm/vmscan.c (isolate_lru_folios, shrink_inactive_list, shrink_active_list, shrink_lruvec, shrink_node).
 */
import { COST, now, spend } from '../base/cost.ts'
import { EV, ME, NS, PGSKIP, ZS } from '../base/counters.ts'
import { __GFP_IO, PG_active, PG_workingset } from '../base/flags.ts'
import { JIFFY_NS } from '../base/jiffies.ts'
import { listAdd, listDelete, listLast, listLength, PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec, Node, Zone } from '../base/state.ts'
import type { ScanControl } from '../base/state_reclaim.ts'
import { MAX_NR_ZONES, NO_PAGE, PAGE_ALLOC_COSTLY_ORDER, type Pfn } from '../base/units.ts'
import { blockAdvance, finishPlug, pausePlug, startPlug, waitUntil } from '../caches/block.ts'
import {
  isEvictable,
  isolateLru,
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  lruNoteCost,
  putbackLru,
} from '../caches/lru.ts'
import { countReclaimEvent, memcgMemoryEvent, memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'
import { walkMemcgs } from '../frames/memcg_charge.ts'
import { compoundPages, pageMapped, pageZone } from '../frames/page.ts'
import { MAX_RECLAIM_RETRIES } from '../frames/watermark.ts'
import { compactionSuitable } from './compaction.ts'
import { COMPACT } from './compaction_state.ts'
import { lruGenShrinkLruvec } from './lru_gen_evict.ts'
import { belowLow, belowMin, calculateProtection } from './memcg_protection.ts'
import { shrinkSlab } from './shrink_slab.ts'
import {
  DEACTIVATE_ANON,
  DEACTIVATE_FILE,
  DEF_PRIORITY,
  getScanCount,
  inactiveIsLow,
  nodeZones,
  nothingFound,
  PGDAT_DIRTY,
  PGDAT_WRITEBACK,
  prepareScanCount,
  SWAP_CLUSTER_MAX,
} from './vmscan_control.ts'
import { moveToLru, reclaimStat, shrinkFolioList } from './vmscan_list.ts'
import { folioReferenced } from './vmscan_rmap.ts'
import { earliestDone, wakeFlusher } from './writeback.ts'
import { lruAddDrain } from './zap.ts'

/** How long reclaim waits at most for the disk (HZ / 10); when it made no progress, a tick. */
const WRITEBACK_WAIT_NS = 100e6

interface Isolated {
  readonly pages: Pfn[]
  /** Pages taken, huge ones counting all of theirs; and pages looked at, those passed over included. */
  taken: number
  scanned: number
}

/** Takes up to `n` pages off the tail of a list; pages of zones beyond the wanted ones go to its head (isolate_lru_folios). */
function isolateFolios(k: Kernel, lruvec: Lruvec, lru: number, n: number, sc: ScanControl): Isolated {
  const list = lruvec.lists + lru
  const isolated: Isolated = { pages: [], taken: 0, scanned: 0 }
  let scan = 0
  for (let left = listLength(k.heads, list); left > 0 && scan < n; left--) {
    const head = listLast(k.heads, list)
    if (head === NO_PAGE) break
    const pages = compoundPages(k, head)
    const zone = pageZone(k, head)
    isolated.scanned += pages
    const skip = zone.type > sc.reclaimIdx
    if (skip) k.event[PGSKIP + zone.type] += pages
    else scan += pages
    if (skip || (!sc.mayUnmap && pageMapped(k, head))) {
      listDelete(k.heads, k.page, list, head)
      listAdd(k.heads, k.page, list, head)
      continue
    }
    isolateLru(k, head)
    isolated.pages.push(head)
    isolated.taken += pages
  }
  return isolated
}

function shrinkInactiveList(k: Kernel, node: Node, lruvec: Lruvec, lru: number, n: number, sc: ScanControl): number {
  const file = lru === LRU_INACTIVE_FILE
  lruAddDrain(k)
  const { pages, taken, scanned } = isolateFolios(k, lruvec, lru, n, sc)
  countReclaimEvent(k, lruvec, sc.kswapd ? EV.pgscan_kswapd : EV.pgscan_direct, scanned, sc.cgroup)
  k.event[file ? EV.pgscan_file : EV.pgscan_anon] += scanned
  if (taken === 0) return 0
  const isolatedStat = file ? NS.nr_isolated_file : NS.nr_isolated_anon
  node.stat[isolatedStat] += taken
  const stat = reclaimStat()
  const { kept, reclaimed } = shrinkFolioList(k, node, pages, sc, stat)
  moveToLru(k, node, lruvec, kept)
  blockAdvance(k)
  node.stat[isolatedStat] -= taken
  countReclaimEvent(k, lruvec, sc.kswapd ? EV.pgsteal_kswapd : EV.pgsteal_direct, reclaimed, sc.cgroup)
  k.event[file ? EV.pgsteal_file : EV.pgsteal_anon] += reclaimed
  lruNoteCost(k, lruvec, node.id, file, stat.pageout)
  if (stat.unqueuedDirty === taken) wakeupFlusher(k)
  const { found } = sc
  found.dirty += stat.dirty
  found.congested += stat.congested
  found.unqueuedDirty += stat.unqueuedDirty
  found.writeback += stat.writeback
  found.immediate += stat.immediate
  found.taken += taken
  if (file) found.fileTaken += taken
  return reclaimed
}

/** Reclaim met nothing but dirty pages: all of them are to be written (wakeup_flusher_threads). */
function wakeupFlusher(k: Kernel): void {
  const { writeback } = k.fs
  if (writeback.dirty.size === 0) return
  writeback.startAll = true
  wakeFlusher(k)
}

/** Makes pages from the tail of an active list inactive (shrink_active_list). */
export function shrinkActiveList(k: Kernel, node: Node, lruvec: Lruvec, lru: number, n: number, sc: ScanControl): void {
  lruAddDrain(k)
  const { pages, taken, scanned } = isolateFolios(k, lruvec, lru, n, sc)
  countReclaimEvent(k, lruvec, EV.pgrefill, scanned, sc.cgroup)
  const isolatedStat = lru === LRU_ACTIVE_FILE ? NS.nr_isolated_file : NS.nr_isolated_anon
  node.stat[isolatedStat] += taken
  const active: Pfn[] = []
  const inactive: Pfn[] = []
  for (const head of pages) {
    spend(k, COST.lru_scan, 1)
    if (!isEvictable(k, head)) putbackLru(k, head)
    else if (keepsActive(k, head, lru, sc)) active.push(head)
    else {
      k.page[head * PAGE_WORDS] = (k.page[head * PAGE_WORDS] & ~PG_active) | PG_workingset
      inactive.push(head)
    }
  }
  moveToLru(k, node, lruvec, active)
  countReclaimEvent(k, lruvec, EV.pgdeactivate, moveToLru(k, node, lruvec, inactive), false)
  node.stat[isolatedStat] -= taken
}

/** Only code of programs in use stays active. */
function keepsActive(k: Kernel, head: Pfn, lru: number, sc: ScanControl): boolean {
  const { areas, exec } = folioReferenced(k, head, sc.cgroup ? sc.target : ROOT_MEMCG)
  return areas > 0 && exec && lru === LRU_ACTIVE_FILE
}

function shrinkList(k: Kernel, node: Node, lruvec: Lruvec, lru: number, n: number, sc: ScanControl): number {
  if (lru === LRU_INACTIVE_ANON || lru === LRU_INACTIVE_FILE) return shrinkInactiveList(k, node, lruvec, lru, n, sc)
  const may = lru === LRU_ACTIVE_FILE ? DEACTIVATE_FILE : DEACTIVATE_ANON
  if ((sc.mayDeactivate & may) === 0) sc.skippedDeactivate = true
  else shrinkActiveList(k, node, lruvec, lru, n, sc)
  return 0
}

/**
 * One round over the lists of one memory cgroup; when enough is reclaimed, the list with less left to do ends (shrink_lruvec).
 * It pauses when it has worked for a while: what it frees is not to be there before it has freed it. False when it did.
 */
function shrinkLruvec(k: Kernel, node: Node, memcg: number, sc: ScanControl): boolean {
  const lruvec = node.lruvecs[memcg]
  if (k.lruGen.enabled) return lruGenShrinkLruvec(k, node, lruvec, sc)
  const left = [...(sc.pause?.left ?? getScanCount(k, node, lruvec, sc))]
  const targets = sc.pause?.targets ?? [...left]
  const proportional = !sc.kswapd && !sc.cgroup && sc.priority === DEF_PRIORITY
  let reclaimed = sc.pause?.reclaimed ?? 0
  sc.pause = undefined
  while (left[LRU_INACTIVE_ANON] > 0 || left[LRU_ACTIVE_FILE] > 0 || left[LRU_INACTIVE_FILE] > 0) {
    for (let lru = LRU_INACTIVE_ANON; lru <= LRU_ACTIVE_FILE; lru++) {
      const n = Math.min(left[lru], SWAP_CLUSTER_MAX)
      left[lru] -= n
      if (n > 0) reclaimed += shrinkList(k, node, lruvec, lru, n, sc)
    }
    if (reclaimed >= sc.nrToReclaim && !proportional && !balanceLists(left, targets)) break
    if (now(k) < sc.pauseNs) continue
    sc.pause = { memcg, left, targets, reclaimed, before: 0, plug: [] }
    return false
  }
  sc.nrReclaimed += reclaimed
  if (k.swapPages > 0 && inactiveIsLow(k, lruvec, LRU_INACTIVE_ANON))
    shrinkActiveList(k, node, lruvec, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX, sc)
  return true
}

/** Enough is reclaimed: what is left of the two kinds is cut so that both end in the proportion they began in. False when one has nothing left. */
function balanceLists(left: number[], targets: readonly number[]): boolean {
  const file = left[LRU_INACTIVE_FILE] + left[LRU_ACTIVE_FILE]
  const anon = left[LRU_INACTIVE_ANON] + left[LRU_ACTIVE_ANON]
  if (file === 0 || anon === 0) return false
  const [ends, goesOn] = file > anon ? [LRU_INACTIVE_ANON, LRU_INACTIVE_FILE] : [LRU_INACTIVE_FILE, LRU_INACTIVE_ANON]
  const percent = Math.floor((Math.min(file, anon) * 100) / (targets[ends] + targets[ends + 1] + 1))
  left[ends] = 0
  left[ends + 1] = 0
  for (const lru of [goesOn, goesOn + 1]) {
    const scanned = targets[lru] - left[lru]
    left[lru] = Math.max(0, Math.floor((targets[lru] * (100 - percent)) / 100) - scanned)
  }
  return true
}

/** Waits for the disk to end a request, but not for long (reclaim_throttle VMSCAN_THROTTLE_WRITEBACK). */
function throttleWriteback(k: Kernel): void {
  const first = earliestDone(k)
  if (first !== Number.POSITIVE_INFINITY) waitUntil(k, Math.min(first, now(k) + WRITEBACK_WAIT_NS))
}

/** One round on a node (shrink_node), or its next part: sc.pause says that it is not over. */
export function shrinkNode(k: Kernel, node: Node, sc: ScanControl): void {
  blockAdvance(k)
  for (;;) {
    const before = sc.pause?.before ?? sc.nrReclaimed
    if (sc.pause === undefined) {
      sc.found = nothingFound()
      prepareScanCount(k, node, sc)
    }
    shrinkNodeMemcgs(k, node, sc)
    if (sc.pause !== undefined) {
      sc.pause.before = before
      return
    }
    noteFound(k, node, sc)
    if (sc.nrReclaimed > before) node.kswapd.failures = 0
    if (!shouldContinueReclaim(k, node, sc.nrReclaimed - before, sc)) return
  }
}

/** One round over the lists of all groups that reclaim is for, but those whose limits protect them (shrink_node_memcgs). */
function shrinkNodeMemcgs(k: Kernel, node: Node, sc: ScanControl): void {
  let over = true
  walkMemcgs(k, sc.target, id => {
    if (sc.pause !== undefined && sc.pause.memcg !== id) return true
    if (sc.pause === undefined && !mayShrink(k, sc, id)) return true
    over = shrinkMemcg(k, node, id, sc)
    return over
  })
  // The group that the pause was in may be gone.
  if (over) sc.pause = undefined
}

/** The group's lists and shrinkers; false when it paused. */
function shrinkMemcg(k: Kernel, node: Node, id: number, sc: ScanControl): boolean {
  const plugged = startPlug(k, sc.pause?.plug)
  const over = shrinkLruvec(k, node, id, sc)
  if (plugged && sc.kswapd && sc.pause !== undefined) sc.pause.plug = pausePlug(k)
  else if (plugged) finishPlug(k)
  if (over) shrinkSlab(k, node, id, sc.priority, sc.gfp)
  return over
}

/** Whether the group's limits leave reclaim anything to take. */
function mayShrink(k: Kernel, sc: ScanControl, id: number): boolean {
  const memcg = memcgOf(k, id)
  calculateProtection(k, sc.target, id)
  if (belowMin(memcg)) return false
  if (!belowLow(memcg)) return true
  if (sc.memcgLowReclaim) memcgMemoryEvent(k, id, ME.low)
  else sc.memcgLowSkipped = true
  return sc.memcgLowReclaim
}

/** Draws conclusions from what the round met: kswapd marks the node, and whoever meets nothing but writes waits. */
function noteFound(k: Kernel, node: Node, sc: ScanControl): void {
  const { found } = sc
  if (sc.kswapd) {
    if (found.writeback > 0 && found.writeback === found.taken) node.reclaimFlags |= PGDAT_WRITEBACK
    if (found.unqueuedDirty === found.fileTaken) node.reclaimFlags |= PGDAT_DIRTY
    if (found.immediate > 0) throttleWriteback(k)
  }
  const target = node.lruvecs[sc.target]
  if ((sc.kswapd || sc.cgroup) && found.dirty > 0 && found.dirty === found.congested) target.congested = true
  if (!sc.kswapd && target.congested) throttleNoProgress(k, node)
}

/** Waits a moment, unless there is more to reclaim than is being written (reclaim_throttle VMSCAN_THROTTLE_NOPROGRESS). */
export function throttleNoProgress(k: Kernel, node: Node): void {
  if (node.kswapd.failures >= MAX_RECLAIM_RETRIES) return
  const zones = nodeZones(k, node, MAX_NR_ZONES - 1)
  const pending = zones.reduce((sum, zone) => sum + zone.stat[ZS.nr_zone_write_pending], 0)
  if (2 * pending <= zones.reduce((sum, zone) => sum + zoneReclaimablePages(k, zone), 0)) return
  waitUntil(k, Math.min(earliestDone(k), now(k) + JIFFY_NS))
}

/** Pages of the zone that could be reclaimed (zone_reclaimable_pages): those of files, and while swap has room anonymous ones. */
export function zoneReclaimablePages(k: Kernel, zone: Zone): number {
  let pages = zone.stat[ZS.nr_zone_inactive_file] + zone.stat[ZS.nr_zone_active_file]
  if (k.swap.freePages > 0) pages += zone.stat[ZS.nr_zone_inactive_anon] + zone.stat[ZS.nr_zone_active_anon]
  return pages > 0 ? pages : zone.stat[ZS.nr_free_pages]
}

/** Whether reclaim for a large block goes on on this node: it got pages, but not yet enough to compact (should_continue_reclaim). */
function shouldContinueReclaim(k: Kernel, node: Node, reclaimed: number, sc: ScanControl): boolean {
  const compacts = (sc.gfp & __GFP_IO) !== 0 && sc.order > 0 && (sc.order > PAGE_ALLOC_COSTLY_ORDER || sc.priority < DEF_PRIORITY - 2)
  if (!compacts || reclaimed === 0) return false
  for (const zone of nodeZones(k, node, sc.reclaimIdx)) {
    const suitable = compactionSuitable(k, zone, sc.order, 0, sc.reclaimIdx)
    if (suitable === COMPACT.success || suitable === COMPACT.continue) return false
  }
  const anon = k.swap.freePages > 0 ? node.stat[NS.nr_inactive_anon] : 0
  return node.stat[NS.nr_inactive_file] + anon > compactGap(sc.order)
}

/** Pages that compaction for a block needs to work with. */
export const compactGap = (order: number): number => 2 << order
