/**
 * kswapd, one a node: keeps enough pages free that nobody has to reclaim for himself.
 *
 *     woken below the low mark ──> reclaim until one zone has its high mark free ──> nap 100 ms ──> sleep
 *                                       │ not balanced: again                        │ woken early, or no longer balanced
 *                                       └────────────────────────────<───────────────┘
 *
 * A run starts at priority 12 and tries harder when it gets little. Now and then it pauses, so that the work of
 * other CPUs goes on meanwhile. A run for boosted watermarks (a block of another page
 * type was broken into) reclaims as much as the boost, but neither writes nor swaps nor tries hard, takes the boost away and
 * leaves the rest to kcompactd. Sixteen runs without a page and the node is given up; a page that
 * anybody reclaims there brings it back.
 *
 * Source: mm/vmscan.c (kswapd, kswapd_try_to_sleep, balance_pgdat, kswapd_shrink_node).
 */
import { now } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { GFP_KERNEL } from '../base/flags.ts'
import { psiMemstallEnter, psiMemstallLeave } from '../base/psi.ts'
import type { Kernel, Node } from '../base/state.ts'
import type { KswapdRun, ScanControl } from '../base/state_reclaim.ts'
import { PAGEBLOCK_ORDER } from '../base/units.ts'
import { LRU_ACTIVE_ANON, LRU_INACTIVE_ANON } from '../caches/lru.ts'
import { memcgTree, ROOT_MEMCG } from '../frames/memcg.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { MAX_RECLAIM_RETRIES, pgdatBalanced, wakeupKcompactd } from '../frames/watermark.ts'
import { resetIsolationSuitable } from '../reclaim/compaction_state.ts'
import { lruGenAgeNode } from '../reclaim/lru_gen_aging.ts'
import { outOfMemory } from '../reclaim/oom.ts'
import { compactGap, shrinkActiveList, shrinkNode } from '../reclaim/vmscan.ts'
import { DEF_PRIORITY, inactiveIsLow, nodeZones, SWAP_CLUSTER_MAX, scanControl, snapshotRefaults } from '../reclaim/vmscan_control.ts'

/** How long it naps before it sleeps (HZ / 10). */
const NAP_NS = 100e6

/**
 * How long it works at a stretch. On a node with several CPUs, where it has one of its own, that stands for no time of Linux: it is how far it
 * and those who use what it frees may be apart here. On a node with one it is its turn.
 */
const STRETCH_NS = 1e5
const TURN_NS = 1e6

/** It was woken, or its nap is over, or its run goes on. */
export function runKswapd(k: Kernel, node: Node): void {
  const { kswapd } = node
  if (kswapd.run === undefined) {
    if (kswapd.napUntilNs > 0 && !endNap(k, node)) return
    kswapd.lastOrder = kswapd.order
    if (kswapd.highestZoneidx >= 0) kswapd.lastZoneidx = kswapd.highestZoneidx
    kswapd.order = 0
    kswapd.highestZoneidx = -1
    kswapd.run = beginRun(k, node, kswapd.lastOrder, kswapd.lastZoneidx)
  }
  const { run } = kswapd
  run.sc.pauseNs = now(k) + (k.cpus.filter(cpu => cpu.online && cpu.node === node.id).length > 1 ? STRETCH_NS : TURN_NS)
  psiMemstallEnter(k)
  let outcome = round(k, node, run)
  while (outcome === 'more' && now(k) < run.sc.pauseNs) outcome = round(k, node, run)
  psiMemstallLeave(k)
  if (outcome === 'more') {
    kswapd.wakeNs = now(k)
    return
  }
  endRun(k, node, run, outcome)
  kswapd.run = undefined
  tryToSleep(k, node, run.sc.order)
}

/** The end of a nap: false when it goes to sleep now. */
function endNap(k: Kernel, node: Node): boolean {
  const { kswapd } = node
  const early = now(k) < kswapd.napUntilNs
  kswapd.napUntilNs = 0
  if (early) {
    k.event[EV.kswapd_low_wmark_hit_quickly]++
    kswapd.order = Math.max(kswapd.order, kswapd.lastOrder)
    return true
  }
  if (mayRest(k, node, kswapd.lastOrder, kswapd.lastZoneidx)) return false
  k.event[EV.kswapd_high_wmark_hit_quickly]++
  return true
}

/** Whether there is nothing to do, or nothing that helps (prepare_kswapd_sleep). */
function mayRest(k: Kernel, node: Node, order: number, zoneidx: number): boolean {
  if (node.kswapd.failures >= MAX_RECLAIM_RETRIES) return true
  if (!pgdatBalanced(k, node, order, zoneidx)) return false
  node.reclaimFlags = 0
  node.lruvecs[ROOT_MEMCG].congested = false
  return true
}

/**
 * After a run: naps if the node is balanced, else goes on at once.
 * @param reached the order that was aimed at in the end; below the one asked for, kcompactd is to make the block.
 */
function tryToSleep(k: Kernel, node: Node, reached: number): void {
  const { kswapd } = node
  const wanted = kswapd.lastOrder
  if (reached < wanted) kswapd.lastOrder = reached
  else {
    kswapd.lastOrder = kswapd.order
    if (kswapd.highestZoneidx >= 0) kswapd.lastZoneidx = kswapd.highestZoneidx
  }
  if (!mayRest(k, node, kswapd.lastOrder, kswapd.lastZoneidx)) {
    k.event[EV.kswapd_high_wmark_hit_quickly]++
    kswapd.wakeNs = now(k)
    return
  }
  resetIsolationSuitable(k, node)
  wakeupKcompactd(k, node, reached < wanted ? wanted : kswapd.lastOrder, kswapd.lastZoneidx)
  kswapd.napUntilNs = now(k) + NAP_NS
  kswapd.wakeNs = kswapd.napUntilNs
}

function setReclaimActive(k: Kernel, node: Node, highest: number, active: boolean): void {
  for (const zone of nodeZones(k, node, highest)) zone.reclaimActive = active
}

/** The beginning of a run: reclaims until the node is balanced, or there is no point (balance_pgdat). */
function beginRun(k: Kernel, node: Node, order: number, highest: number): KswapdRun {
  const boosts = nodeZones(k, node, highest).map(zone => zone.watermarkBoost)
  k.event[EV.pageoutrun]++
  setReclaimActive(k, node, highest, true)
  const sc = scanControl({ kswapd: true, gfp: GFP_KERNEL, order, reclaimIdx: highest })
  return { sc, highest, roundStart: 0, boosts, boostLeft: boosts.reduce((sum, boost) => sum + boost, 0) }
}

function endRun(k: Kernel, node: Node, { highest, boosts, sc }: KswapdRun, outcome: 'balanced' | 'hopeless'): void {
  if (outcome === 'hopeless' && sc.nrReclaimed === 0) node.kswapd.failures++
  setReclaimActive(k, node, highest, false)
  if (boosts.some(boost => boost > 0)) {
    nodeZones(k, node, highest).forEach((zone, i) => {
      zone.watermarkBoost -= Math.min(zone.watermarkBoost, boosts[i])
    })
    wakeupKcompactd(k, node, PAGEBLOCK_ORDER, highest)
  }
  snapshotRefaults(k, node, ROOT_MEMCG)
}

/** One round of a run, at rising priority, or a part of it: whether there is more to do, or why not. */
function round(k: Kernel, node: Node, run: KswapdRun): 'more' | 'balanced' | 'hopeless' {
  const { sc } = run
  if (sc.pause === undefined) {
    const outcome = beginRound(k, node, run)
    if (outcome !== 'more') return outcome
  }
  shrinkNode(k, node, sc)
  if (sc.pause !== undefined) return 'more'
  if (sc.order > 0 && sc.nrReclaimed >= compactGap(sc.order)) sc.order = 0
  const reclaimed = sc.nrReclaimed - run.roundStart
  const capped = run.boostLeft > 0 && sc.priority === DEF_PRIORITY - 2
  run.boostLeft -= Math.min(run.boostLeft, reclaimed)
  if (run.boostLeft > 0 && reclaimed === 0) return 'hopeless'
  if ((!capped && sc.nrScanned < sc.nrToReclaim) || reclaimed === 0) sc.priority--
  return 'more'
}

function beginRound(k: Kernel, node: Node, run: KswapdRun): 'more' | 'balanced' | 'hopeless' {
  const { sc } = run
  if (sc.priority < 1) return 'hopeless'
  const balanced = pgdatBalanced(k, node, sc.order, run.highest)
  if (!balanced && run.boostLeft > 0) {
    run.boostLeft = 0
    sc.priority = DEF_PRIORITY
  }
  if (run.boostLeft === 0 && balanced) return 'balanced'
  sc.mayWritepage = (k.sysctl.laptop_mode === 0 && run.boostLeft === 0) || sc.priority < DEF_PRIORITY - 2
  sc.maySwap = run.boostLeft === 0
  ageNode(k, node, sc)
  sc.nrScanned = 0
  sc.nrToReclaim = nodeZones(k, node, run.highest).reduce(
    (sum, zone) => sum + Math.max(zone.wmarkHigh + zone.watermarkBoost, SWAP_CLUSTER_MAX),
    0,
  )
  run.roundStart = sc.nrReclaimed
  return 'more'
}

/** Ages generations, or keeps some anonymous pages inactive while there is swap (kswapd_age_node). */
function ageNode(k: Kernel, node: Node, sc: ScanControl): void {
  if (k.lruGen.enabled) {
    if (lruGenAgeNode(k, node, sc)) outOfMemory(k, { gfp: sc.gfp, order: 0, nodemask: ALL_NODES, memcg: ROOT_MEMCG })
    return
  }
  if (k.swapPages === 0 || !inactiveIsLow(k, node.lruvecs[ROOT_MEMCG], LRU_INACTIVE_ANON)) return
  for (const id of memcgTree(k, ROOT_MEMCG)) shrinkActiveList(k, node, node.lruvecs[id], LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX, sc)
}
