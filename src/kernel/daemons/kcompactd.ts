/**
 * kcompactd: a node's thread that compacts in the background.
 *
 *     woken        by kswapd, or by an allocation that may not wait, for a block of some order: works until it is free,
 *                  if there is a point, with the same deferral as allocations
 *     by itself    every 500 ms: compacts all zones when the node's fragmentation is above the score that
 *                  compaction_proactiveness says, down to ten below it; 32 s later if that did not help
 *
 * A wish that came while there was no point is remembered and looked at the next time.
 *
 * Source: mm/compaction.c (kcompactd, kcompactd_do_work, wakeup_kcompactd, proactive_compact_node).
 */
import { now } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { timeoutNs } from '../base/jiffies.ts'
import { psiMemstallEnter, psiMemstallLeave } from '../base/psi.ts'
import type { Kernel, Node } from '../base/state.ts'
import { MAX_NR_ZONES } from '../base/units.ts'
import { drainAllPages } from '../frames/pcp.ts'
import {
  compactControl,
  compactionSuitable,
  compactZone,
  fragmentationScoreNode,
  fragmentationScoreWmark,
  kswapdIsRunning,
  WISH,
} from '../reclaim/compaction.ts'
import {
  COMPACT,
  compactionDeferReset,
  compactionDeferred,
  deferCompaction,
  MAX_DEFER_SHIFT,
  nodeZones,
} from '../reclaim/compaction_state.ts'

const NEVER = Number.POSITIVE_INFINITY
/** How often a node's fragmentation is looked at (HPAGE_FRAG_CHECK_INTERVAL_MSEC). */
const CHECK_MILLISECS = 500

/** Lets the thread of each node with memory begin its waiting. */
export function startKcompactd(k: Kernel): void {
  for (const node of k.nodes) if (nodeZones(k, node).length > 0) rest(k, node, CHECK_MILLISECS)
}

/** compaction_proactiveness was set: each node's fragmentation is looked at now. */
export function triggerProactiveCompaction(k: Kernel): void {
  if (k.sysctl.compaction_proactiveness === 0) return
  for (const node of k.nodes) {
    if (node.proactiveCompactTrigger || nodeZones(k, node).length === 0) continue
    node.proactiveCompactTrigger = true
    node.kcompactd.wakeNs = Math.min(node.kcompactd.wakeNs, now(k))
  }
}

/** Does what the node's thread does when its wakeNs has come. */
export function runKcompactd(k: Kernel, node: Node): void {
  const { kcompactd } = node
  const early = now(k) < kcompactd.timeoutNs
  if (node.proactiveCompactTrigger || (kcompactd.order === 0 && !early)) compactProactively(k, node)
  else if (early && !nodeSuitable(k, node)) kcompactd.wakeNs = kcompactd.timeoutNs
  else {
    doWork(k, node)
    rest(k, node, CHECK_MILLISECS)
  }
}

/** Waits for a wish, or for the time to look by itself. */
function rest(k: Kernel, node: Node, millisecs: number): void {
  const { kcompactd } = node
  kcompactd.timeoutNs = k.sysctl.compaction_proactiveness === 0 ? NEVER : timeoutNs(k, millisecs)
  kcompactd.wakeNs = kcompactd.timeoutNs
}

/** Whether some zone could be compacted for what is wanted (kcompactd_node_suitable). */
function nodeSuitable(k: Kernel, node: Node): boolean {
  const { order, highestZoneidx } = node.kcompactd
  return (
    order > 0 &&
    nodeZones(k, node).some(
      zone => zone.type <= highestZoneidx && compactionSuitable(k, zone, order, 0, highestZoneidx) === COMPACT.continue,
    )
  )
}

/** Compacts zone by zone until a block of the order that is wanted is free (kcompactd_do_work). */
function doWork(k: Kernel, node: Node): void {
  const { kcompactd } = node
  const { order, highestZoneidx } = kcompactd
  k.event[EV.compact_daemon_wake]++
  psiMemstallEnter(k)
  for (const zone of nodeZones(k, node)) {
    if (
      zone.type > highestZoneidx ||
      compactionDeferred(zone, order) ||
      compactionSuitable(k, zone, order, 0, zone.type) !== COMPACT.continue
    )
      continue
    const cc = compactControl(zone, { ...WISH, order, highestZoneidx })
    const result = compactZone(k, cc)
    if (result === COMPACT.success) compactionDeferReset(zone, order, false)
    else if (result === COMPACT.partial_skipped || result === COMPACT.complete) {
      drainAllPages(k, zone)
      deferCompaction(zone, order)
    }
    k.event[EV.compact_daemon_migrate_scanned] += cc.migrateScanned
    k.event[EV.compact_daemon_free_scanned] += cc.freeScanned
  }
  psiMemstallLeave(k)
  kcompactd.order = 0
  kcompactd.highestZoneidx = MAX_NR_ZONES - 1
}

/** Compacts the node if it is too fragmented, and looks again later the less it helped. */
function compactProactively(k: Kernel, node: Node): void {
  let pause = CHECK_MILLISECS
  if (shouldCompact(k, node)) {
    const before = fragmentationScoreNode(k, node)
    const wish = { ...WISH, proactive: true, wholeZone: true, ignoreSkipHint: true }
    for (const zone of nodeZones(k, node)) compactZone(k, compactControl(zone, wish))
    if (fragmentationScoreNode(k, node) >= before) pause = CHECK_MILLISECS << MAX_DEFER_SHIFT
  }
  node.proactiveCompactTrigger = false
  rest(k, node, pause)
}

const shouldCompact = (k: Kernel, node: Node): boolean =>
  k.sysctl.compaction_proactiveness > 0 && !kswapdIsRunning(k, node) && fragmentationScoreNode(k, node) > fragmentationScoreWmark(k, false)
