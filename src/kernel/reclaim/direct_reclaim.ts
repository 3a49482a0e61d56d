/**
 * Direct reclaim: who finds no page, or is at his group's limit, reclaims himself.
 *
 *     so few pages free that reclaim itself could starve: wait for kswapd
 *     for priority 12 ... 0, on each node he may use: one round (vmscan.ts), until 32 pages are reclaimed
 *     nothing: again with all active lists, then without regard for memory.low
 *
 * It goes on for long when most pages are in use. Kswapds and the flusher, when they have been woken, work meanwhile, on CPUs of their own or
 * in turns on this one.
 *
 * Source: mm/vmscan.c (try_to_free_pages, throttle_direct_reclaim, allow_direct_reclaim, shrink_zones, do_try_to_free_pages,
 * try_to_free_mem_cgroup_pages).
 */
import { COST, now, spend } from '../base/cost.ts'
import { ALLOCSTALL, EV, ZS } from '../base/counters.ts'
import { __GFP_IO } from '../base/flags.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import type { ScanControl } from '../base/state_reclaim.ts'
import { readyNs, runThread } from '../base/thread.ts'
import { PAGE_ALLOC_COSTLY_ORDER, ZONE_MOVABLE, ZONE_NORMAL } from '../base/units.ts'
import { runFlusher } from '../daemons/flusher.ts'
import { runKswapd } from '../daemons/kswapd.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { MAX_RECLAIM_RETRIES, zoneWatermarkOk } from '../frames/watermark.ts'
import { compactionSuitable } from './compaction.ts'
import { COMPACT } from './compaction_state.ts'
import { compactGap, shrinkNode, throttleNoProgress, zoneReclaimablePages } from './vmscan.ts'
import { DEF_PRIORITY, nodeZones, SWAP_CLUSTER_MAX, scanControl, snapshotRefaults } from './vmscan_control.ts'

/** How long it works before kswapds get their turn: how far those that run at once may be apart here. */
const SLICE_NS = 1e6
/** How long a waiter sleeps at least before he looks again. */
const NO_LESS_NS = 1e5
/** How long a request that may not enter file systems waits for kswapd at most (HZ); here nobody waits longer. */
const THROTTLE_NS = 1e9

/**
 * Lets kswapds work that want to by now, and the flusher. Each runs on a CPU that is free; where it takes this one, who reclaims waits.
 * This CPU has been busy until now.
 */
function letThreadsRun(k: Kernel): void {
  const { flusher } = k.fs.writeback
  if (readyNs(flusher) > k.clock[0] && k.nodes.every(({ kswapd }) => readyNs(kswapd) > k.clock[0])) return
  const { cpu, current } = k
  const ns = now(k)
  const { reclaiming } = k.memcg
  k.cpus[cpu].nowNs = Math.max(k.cpus[cpu].nowNs, ns)
  k.memcg.reclaiming = false
  if (readyNs(flusher) <= ns) runThread(k, { daemon: flusher, run: runFlusher })
  for (const node of k.nodes) {
    const { kswapd } = node
    const thread = { daemon: kswapd, run: (machine: Kernel) => runKswapd(machine, node) }
    while (readyNs(kswapd) <= ns) runThread(k, thread)
    while (kswapd.cpu === cpu && kswapd.wakeNs <= kswapd.endNs && kswapd.keptNs < SLICE_NS) runThread(k, thread)
  }
  k.memcg.reclaiming = reclaiming
  k.cpu = cpu
  k.current = current
  k.clock[0] = ns
  if (k.cpus[cpu].nowNs > ns) spend(k, COST.idle, k.cpus[cpu].nowNs - ns)
}

/**
 * Whether the node has more free than half of what is reserved for those who free memory; if not, kswapd is woken
 * (allow_direct_reclaim). One that has given up helps nobody.
 */
function allowsDirectReclaim(k: Kernel, node: Node): boolean {
  const { kswapd } = node
  if (kswapd.failures >= MAX_RECLAIM_RETRIES) return true
  let reserve = 0
  let free = 0
  for (const zone of nodeZones(k, node, ZONE_NORMAL)) {
    if (zoneReclaimablePages(k, zone) === 0) continue
    reserve += zone.wmarkMin + zone.watermarkBoost
    free += zone.stat[ZS.nr_free_pages]
  }
  if (reserve === 0 || free > Math.floor(reserve / 2)) return true
  if (kswapd.wakeNs > now(k)) {
    kswapd.highestZoneidx = Math.min(kswapd.highestZoneidx, ZONE_NORMAL)
    kswapd.wakeNs = now(k)
  }
  return false
}

/** Waits for kswapd while reclaim itself could starve on the first node the request may use (throttle_direct_reclaim). */
function throttleDirectReclaim(k: Kernel, { zonelist, nodemask }: ReclaimPlaces): void {
  const task = k.current
  if (task === undefined || task.killed !== 0) return
  const zone = zonelist.map(index => k.zones[index]).find(({ type, node }) => type <= ZONE_NORMAL && ((nodemask >> node) & 1) !== 0)
  if (zone === undefined || allowsDirectReclaim(k, k.nodes[zone.node])) return
  k.event[EV.pgscan_direct_throttle]++
  const node = k.nodes[zone.node]
  const endNs = now(k) + THROTTLE_NS
  while (now(k) < endNs && task.killed === 0 && !allowsDirectReclaim(k, node)) {
    letThreadsRun(k)
    spend(k, COST.idle, Math.max(NO_LESS_NS, node.kswapd.endNs - now(k)))
  }
}

/** The zone could give a large block without reclaim, or would have room to be compacted at its high mark (compaction_ready). */
function compactionReady(k: Kernel, zone: Zone, sc: ScanControl): boolean {
  if ((sc.gfp & __GFP_IO) === 0) return false
  const suitable = compactionSuitable(k, zone, sc.order, 0, sc.reclaimIdx)
  if (suitable === COMPACT.success) return true
  if (suitable === COMPACT.skipped) return false
  return zoneWatermarkOk(k, zone, 0, zone.wmarkHigh + zone.watermarkBoost + compactGap(sc.order), sc.reclaimIdx, 0)
}

/** Where a direct reclaimer may reclaim: zones by distance, of the nodes allowed. */
export interface ReclaimPlaces {
  readonly zonelist: readonly number[]
  readonly nodemask: number
}

/** One round over all nodes the request may use; true when some zone had better be compacted (shrink_zones). */
function shrinkZones(k: Kernel, places: ReclaimPlaces, sc: ScanControl): boolean {
  let ready = false
  let first: Node | undefined
  let last: Node | undefined
  for (const index of places.zonelist) {
    const zone = k.zones[index]
    if (zone.type > sc.reclaimIdx || ((places.nodemask >> zone.node) & 1) === 0) continue
    if (!sc.cgroup && sc.order > PAGE_ALLOC_COSTLY_ORDER && compactionReady(k, zone, sc)) {
      ready = true
      continue
    }
    const node = k.nodes[zone.node]
    first ??= node
    if (node === last) continue
    last = node
    shrinkNodeInTurns(k, node, sc)
  }
  if (first !== undefined && !sc.cgroup && sc.priority === 1 && sc.nrReclaimed === 0) throttleNoProgress(k, first)
  return ready
}

/** One round on a node; kswapds and the flusher have their turns meanwhile. */
function shrinkNodeInTurns(k: Kernel, node: Node, sc: ScanControl): void {
  sc.pauseNs = now(k) + SLICE_NS
  shrinkNode(k, node, sc)
  while (sc.pause !== undefined) {
    letThreadsRun(k)
    sc.pauseNs = now(k) + SLICE_NS
    shrinkNode(k, node, sc)
  }
}

/**
 * Direct reclaim for a request that found no page; returns the pages reclaimed, 0 for no progress (try_to_free_pages). Who is killed while it
 * waits has no need to reclaim any more.
 */
export function tryToFreePages(k: Kernel, places: ReclaimPlaces, order: number, gfp: number, highest: number): number {
  throttleDirectReclaim(k, places)
  const sc = scanControl({ kswapd: false, gfp, order, reclaimIdx: highest, mayWritepage: k.sysctl.laptop_mode === 0 })
  return doTryToFreePages(k, places, sc)
}

/**
 * Reclaims from a memory cgroup and all below it, on all nodes; returns the pages reclaimed (try_to_free_mem_cgroup_pages).
 * @param maySwap whether anonymous pages may go, too.
 */
export function tryToFreeMemCgroupPages(k: Kernel, memcg: number, pages: number, gfp: number, maySwap: boolean): number {
  const sc = scanControl({
    kswapd: false,
    cgroup: true,
    target: memcg,
    gfp,
    order: 0,
    reclaimIdx: ZONE_MOVABLE,
    nrToReclaim: Math.max(pages, SWAP_CLUSTER_MAX),
    mayWritepage: k.sysctl.laptop_mode === 0,
    maySwap,
  })
  return doTryToFreePages(k, { zonelist: k.nodes[k.cpus[k.cpu].node].zonelist, nodemask: ALL_NODES }, sc)
}

/** Rounds at rising priority; when nothing came of them, again with all active lists, then without regard for memory.low (do_try_to_free_pages). */
function doTryToFreePages(k: Kernel, places: ReclaimPlaces, sc: ScanControl): number {
  const within = k.memcg.reclaiming
  k.memcg.reclaiming = true
  const reclaimed = reclaimWithRetries(k, places, sc)
  k.memcg.reclaiming = within
  return reclaimed
}

function reclaimWithRetries(k: Kernel, places: ReclaimPlaces, sc: ScanControl): number {
  for (;;) {
    if (!sc.cgroup) k.event[ALLOCSTALL + sc.reclaimIdx]++
    const ready = reclaimRounds(k, places, sc)
    for (const node of k.nodes) {
      if (((places.nodemask >> node.id) & 1) !== 0) snapshotRefaults(k, node, sc.target)
      if (sc.cgroup) node.lruvecs[sc.target].congested = false
    }
    if (sc.nrReclaimed > 0) return sc.nrReclaimed
    if (ready) return 1
    if (sc.skippedDeactivate) {
      sc.forceDeactivate = true
      sc.skippedDeactivate = false
    } else if (sc.memcgLowSkipped) {
      sc.forceDeactivate = false
      sc.memcgLowReclaim = true
      sc.memcgLowSkipped = false
    } else return 0
    sc.priority = DEF_PRIORITY
  }
}

function reclaimRounds(k: Kernel, places: ReclaimPlaces, sc: ScanControl): boolean {
  let ready = false
  for (; sc.priority >= 0; sc.priority--) {
    sc.nrScanned = 0
    ready = shrinkZones(k, places, sc) || ready
    if (sc.nrReclaimed >= sc.nrToReclaim || ready) break
    if (sc.priority < DEF_PRIORITY - 2) sc.mayWritepage = true
  }
  return ready
}
