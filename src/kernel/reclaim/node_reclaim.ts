/**
 * zone_reclaim_mode: a node gives up its own page cache before a request goes to another node.
 *
 *     bits     1 on at all   2 dirty pages may be written   4 mapped pages may be unmapped, anonymous ones swapped
 *     worth    more cache that nobody maps than min_unmapped_ratio of the node (with 4: any cache; without 2 no dirty pages),
 *              or more slab that can be given back than min_slab_ratio
 *     who      one who may wait, on the node's own CPU, or for a node without CPUs
 *
 * It looks at a sixteenth of the lists, then twice as much and so on, until there are enough pages.
 *
 * Source: mm/vmscan.c (node_reclaim, __node_reclaim, node_pagecache_reclaimable), mm/page_alloc.c (setup_min_unmapped_ratio,
 * setup_min_slab_ratio).
 */
import { EV, NS } from '../base/counters.ts'
import { __GFP_DIRECT_RECLAIM } from '../base/flags.ts'
import type { Kernel, Node } from '../base/state.ts'
import { MAX_NR_ZONES } from '../base/units.ts'
import { gfpZone } from '../frames/rmqueue.ts'
import { shrinkNode } from './vmscan.ts'
import { nodeZones, SWAP_CLUSTER_MAX, scanControl } from './vmscan_control.ts'

const RECLAIM_WRITE = 2
const RECLAIM_UNMAP = 4
const NODE_RECLAIM = 1 | RECLAIM_WRITE | RECLAIM_UNMAP
/** A sixteenth. */
const NODE_RECLAIM_PRIORITY = 4
/** Nodes farther than this are not reclaimed from for others (RECLAIM_DISTANCE). */
const NODE_RECLAIM_DISTANCE = 30

export const nodeReclaimEnabled = (k: Kernel): boolean => (k.sysctl.zone_reclaim_mode & NODE_RECLAIM) !== 0

/** Whether a node near `local` is one to reclaim from (zone_allows_reclaim). */
export const allowsReclaim = (k: Kernel, local: number, node: number): boolean => k.machine.distance[local][node] <= NODE_RECLAIM_DISTANCE

/** Whether it got at least as many pages as asked for. */
export function nodeReclaim(k: Kernel, node: Node, gfp: number, order: number): boolean {
  if (!worthIt(k, node) || (gfp & __GFP_DIRECT_RECLAIM) === 0) return false
  const hasCpus = node.cpus.some(id => k.cpus[id].online)
  if (hasCpus && node.id !== k.cpus[k.cpu].node) return false
  const pages = 2 ** order
  const mode = k.sysctl.zone_reclaim_mode
  const sc = scanControl({
    kswapd: false,
    gfp,
    order,
    reclaimIdx: gfpZone(gfp),
    nrToReclaim: Math.max(pages, SWAP_CLUSTER_MAX),
    priority: NODE_RECLAIM_PRIORITY,
    mayWritepage: (mode & RECLAIM_WRITE) !== 0,
    mayUnmap: (mode & RECLAIM_UNMAP) !== 0,
  })
  for (; sc.priority >= 0 && sc.nrReclaimed < pages; sc.priority--) shrinkNode(k, node, sc)
  if (sc.nrReclaimed < pages) k.event[EV.zone_reclaim_failed]++
  return sc.nrReclaimed >= pages
}

function worthIt(k: Kernel, node: Node): boolean {
  const share = (percent: number) =>
    nodeZones(k, node, MAX_NR_ZONES - 1).reduce((pages, zone) => pages + Math.floor((zone.managedPages * percent) / 100), 0)
  return (
    pagecacheReclaimable(k, node) > share(k.sysctl.min_unmapped_ratio) || node.stat[NS.nr_slab_reclaimable] > share(k.sysctl.min_slab_ratio)
  )
}

function pagecacheReclaimable(k: Kernel, { stat }: Node): number {
  const mode = k.sysctl.zone_reclaim_mode
  const unmapped = Math.max(0, stat[NS.nr_inactive_file] + stat[NS.nr_active_file] - stat[NS.nr_mapped])
  const pages = (mode & RECLAIM_UNMAP) !== 0 ? stat[NS.nr_file_pages] : unmapped
  return (mode & RECLAIM_WRITE) !== 0 ? pages : Math.max(0, pages - stat[NS.nr_dirty])
}
