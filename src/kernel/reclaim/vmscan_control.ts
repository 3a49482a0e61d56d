/**
 * How hard reclaim tries, and where: the numbers of one run, and how much of each list it will look at.
 *
 *     priority 12 ... 0      a list of n pages: n >> priority of them are looked at in one round
 *     which lists            file pages only, while swap has no room; else both kinds, by what it has cost to reclaim each and
 *                            swappiness. The active list only when the inactive one is low, or pages keep coming back and are
 *                            activated
 *
 * Source: mm/vmscan.c (struct scan_control, prepare_scan_count, get_scan_count, inactive_is_low).
 */

import { NS, ZS } from '../base/counters.ts'
import type { Kernel, Lruvec, Node } from '../base/state.ts'
import type { Found, ScanControl } from '../base/state_reclaim.ts'
import { MAX_NR_ZONES, PAGE_SHIFT } from '../base/units.ts'
import { LRU_ACTIVE_ANON, LRU_ACTIVE_FILE, LRU_INACTIVE_ANON, LRU_INACTIVE_FILE } from '../caches/lru.ts'
import { lruvecLruSize, lruvecPageState, memcgFlushStats, memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'
import { memcgSwapPages } from '../frames/memcg_charge.ts'
import { unprotectedShare } from './memcg_protection.ts'

/** Pages looked at together, and the goal of a direct reclaimer (SWAP_CLUSTER_MAX). */
export const SWAP_CLUSTER_MAX = 32
export const DEF_PRIORITY = 12

export const DEACTIVATE_ANON = 1
export const DEACTIVATE_FILE = 2

/** Bits of Node.reclaimFlags, which kswapd sets by what it finds and clears when the node is balanced. */
export const PGDAT_DIRTY = 1
export const PGDAT_WRITEBACK = 2

export const nothingFound = (): Found => ({ dirty: 0, unqueuedDirty: 0, congested: 0, writeback: 0, immediate: 0, fileTaken: 0, taken: 0 })

/** A fresh run; `wish` says what is particular to it. */
export const scanControl = (wish: Pick<ScanControl, 'kswapd' | 'gfp' | 'order' | 'reclaimIdx'> & Partial<ScanControl>): ScanControl => ({
  target: ROOT_MEMCG,
  cgroup: false,
  memcgLowReclaim: false,
  memcgLowSkipped: false,
  nrToReclaim: SWAP_CLUSTER_MAX,
  priority: DEF_PRIORITY,
  mayWritepage: true,
  mayUnmap: true,
  maySwap: true,
  plugged: true,
  ignoreReferences: false,
  mayDeactivate: 0,
  forceDeactivate: false,
  skippedDeactivate: false,
  cacheTrimMode: false,
  fileIsTiny: false,
  anonCost: 0,
  fileCost: 0,
  nrScanned: 0,
  nrReclaimed: 0,
  lastReclaimed: 0,
  memcgsNeedAging: false,
  found: nothingFound(),
  pauseNs: Number.POSITIVE_INFINITY,
  pause: undefined,
  ...wish,
})

/** Whether a group has too few inactive pages for its active ones; the larger the lists, the more may be active. */
export function inactiveIsLow(k: Kernel, lruvec: Lruvec, inactiveLru: number): boolean {
  const inactive = lruvecPageState(k, lruvec, NS.nr_inactive_anon + inactiveLru)
  const active = lruvecPageState(k, lruvec, NS.nr_inactive_anon + inactiveLru + 1)
  const gib = Math.floor((inactive + active) / 2 ** (30 - PAGE_SHIFT))
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1
  return inactive * ratio < active
}

/** Decides for this round which active lists may be looked at, and how file and anonymous pages stand. */
export function prepareScanCount(k: Kernel, node: Node, sc: ScanControl): void {
  if (k.lruGen.enabled) return
  memcgFlushStats(k)
  const lruvec = node.lruvecs[sc.target]
  sc.anonCost = lruvec.anonCost
  sc.fileCost = lruvec.fileCost
  const deactivates = (activated: number, before: number, lru: number) =>
    sc.forceDeactivate || lruvecPageState(k, lruvec, activated) !== before || inactiveIsLow(k, lruvec, lru)
  sc.mayDeactivate =
    (deactivates(NS.workingset_activate_anon, lruvec.refaults[0], LRU_INACTIVE_ANON) ? DEACTIVATE_ANON : 0) |
    (deactivates(NS.workingset_activate_file, lruvec.refaults[1], LRU_INACTIVE_FILE) ? DEACTIVATE_FILE : 0)
  const inactiveFile = lruvecPageState(k, lruvec, NS.nr_inactive_file)
  sc.cacheTrimMode = inactiveFile >> sc.priority > 0 && (sc.mayDeactivate & DEACTIVATE_FILE) === 0
  sc.fileIsTiny = !sc.cgroup && isFileTiny(k, node, sc)
}

/** Whether there is so little file cache that dropping all of it would not help. */
function isFileTiny(k: Kernel, node: Node, sc: ScanControl): boolean {
  let free = 0
  let high = 0
  for (const zone of nodeZones(k, node, MAX_NR_ZONES - 1)) {
    free += zone.stat[ZS.nr_free_pages]
    high += zone.wmarkHigh + zone.watermarkBoost
  }
  const file = node.stat[NS.nr_active_file] + node.stat[NS.nr_inactive_file]
  return file + free <= high && (sc.mayDeactivate & DEACTIVATE_ANON) === 0 && node.stat[NS.nr_inactive_anon] >> sc.priority > 0
}

/** The node's zones with memory, up to a type. */
export const nodeZones = (k: Kernel, node: Node, highest: number) =>
  k.zones.slice(node.id * MAX_NR_ZONES, node.id * MAX_NR_ZONES + highest + 1).filter(zone => zone.managedPages > 0)

/** Remembers how many pages had come back and been activated, so that the next run sees whether there are more (snapshot_refaults). */
export function snapshotRefaults(k: Kernel, node: Node, target: number): void {
  const lruvec = node.lruvecs[target]
  lruvec.refaults[0] = lruvecPageState(k, lruvec, NS.workingset_activate_anon)
  lruvec.refaults[1] = lruvecPageState(k, lruvec, NS.workingset_activate_file)
}

/** Which of the two kinds of pages are looked at: one only, both by their size, or both as their costs and swappiness say. */
type Balance = 'file' | 'anon' | 'equal' | 'fract'

function scanBalance(k: Kernel, lruvec: Lruvec, sc: ScanControl): Balance {
  const { swappiness } = k.sysctl
  if (!sc.maySwap || memcgSwapPages(k, lruvec.memcg, k.swap.freePages) <= 0 || (sc.cgroup && swappiness === 0)) return 'file'
  if (sc.priority === 0 && swappiness > 0) return 'equal'
  if (sc.fileIsTiny) return 'anon'
  return sc.cacheTrimMode ? 'file' : 'fract'
}

/**
 * Pages to look at of each of a group's lists, by LRU_* (get_scan_count). Each kind's share falls with what it has cost to reclaim its
 * pages, but is a third at least, before swappiness weighs it: 100 is even. Of a group without directory not even the last page is left.
 */
export function getScanCount(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl): number[] {
  const balance = scanBalance(k, lruvec, sc)
  const round = memcgOf(k, lruvec.memcg).online ? Math.floor : Math.ceil
  const total = sc.anonCost + sc.fileCost
  const anonShare = Math.floor((k.sysctl.swappiness * (3 * total + 1)) / (total + sc.anonCost + 1))
  const fileShare = Math.floor(((200 - k.sysctl.swappiness) * (3 * total + 1)) / (total + sc.fileCost + 1))
  const part = (lru: number, file: boolean): number => {
    if (balance !== 'equal' && balance !== 'fract') return (balance === 'file') === file ? scanOf(k, node, lruvec, lru, sc) : 0
    const scan = scanOf(k, node, lruvec, lru, sc)
    return balance === 'equal' ? scan : round((scan * (file ? fileShare : anonShare)) / (anonShare + fileShare))
  }
  return [part(LRU_INACTIVE_ANON, false), part(LRU_ACTIVE_ANON, false), part(LRU_INACTIVE_FILE, true), part(LRU_ACTIVE_FILE, true)]
}

/** A list's share at this priority, less what the group's limits protect. */
const scanOf = (k: Kernel, node: Node, lruvec: Lruvec, lru: number, sc: ScanControl): number =>
  unprotectedShare(memcgOf(k, lruvec.memcg), lruvecLruSize(k, lruvec, node.id, lru, sc.reclaimIdx), sc.priority, sc, SWAP_CLUSTER_MAX)
