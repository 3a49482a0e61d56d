/**
 * May this zone give a page to this request? And if not: whom to wake.
 *
 * A request passes when, after it, more is free than the mark plus what the zone keeps from requests that prefer
 * a higher zone. Callers that must not fail may go below the mark:
 *
 *     __GFP_HIGH (ALLOC_MIN_RESERVE)   half of it
 *     ... and cannot sleep             a quarter of the rest (ALLOC_NON_BLOCK)
 *     an OOM victim (ALLOC_OOM)        half of the rest
 *
 * Others also leave the whole high-atomic reserve alone. A request above order 0 needs one real block of that order
 * or more. Waking a daemon is data: its wakeNs; who runs the machine's clock acts on it.
 *
 * Source: mm/page_alloc.c (__zone_watermark_ok, zone_watermark_fast), mm/vmscan.c (pgdat_balanced, wakeup_kswapd).
 */
import { now } from '../base/cost.ts'
import { ZS } from '../base/counters.ts'
import {
  __GFP_DIRECT_RECLAIM,
  ALLOC_HIGHATOMIC,
  ALLOC_MIN_RESERVE,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MASK,
  ALLOC_WMARK_MIN,
} from '../base/flags.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import { MAX_NR_ZONES, MAX_ORDER, MIGRATE_HIGHATOMIC, MIGRATE_PCPTYPES } from '../base/units.ts'
import { freeBlocks } from './buddy.ts'

const NR_FREE_PAGES = ZS.nr_free_pages

/** Rounds of reclaim without result after which kswapd leaves a node alone. */
export const MAX_RECLAIM_RETRIES = 16

/** The mark, boost included, that the request is held against. */
export function wmarkPages(zone: Zone, allocFlags: number): number {
  const which = allocFlags & ALLOC_WMARK_MASK
  const mark = which === ALLOC_WMARK_MIN ? zone.wmarkMin : which === ALLOC_WMARK_LOW ? zone.wmarkLow : zone.wmarkHigh
  return mark + zone.watermarkBoost
}

/** Whether `free` pages of the zone would do; see the header for the rules. */
function watermarkOk(
  k: Kernel,
  zone: Zone,
  order: number,
  mark: number,
  highestZoneidx: number,
  allocFlags: number,
  free: number,
): boolean {
  const reserves = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_OOM
  const left = free - ((1 << order) - 1) - ((allocFlags & reserves) === 0 ? zone.nrReservedHighatomic : 0)
  let min = mark
  if ((allocFlags & ALLOC_MIN_RESERVE) !== 0) {
    min -= Math.floor(min / 2)
    if ((allocFlags & ALLOC_NON_BLOCK) !== 0) min -= Math.floor(min / 4)
  }
  if ((allocFlags & ALLOC_OOM) !== 0) min -= Math.floor(min / 2)
  if (left <= min + zone.lowmemReserve[highestZoneidx]) return false
  return order === 0 || hasBlock(k, zone, order, allocFlags)
}

function hasBlock(k: Kernel, zone: Zone, order: number, allocFlags: number): boolean {
  const types = (allocFlags & (ALLOC_HIGHATOMIC | ALLOC_OOM)) !== 0 ? MIGRATE_HIGHATOMIC + 1 : MIGRATE_PCPTYPES
  for (let o = order; o < MAX_ORDER; o++) {
    if (zone.nrFree[o] === 0) continue
    for (let type = 0; type < types; type++) if (freeBlocks(k, zone, o, type) > 0) return true
  }
  return false
}

/** @param free pages taken to be free; those that are, unless given. */
export const zoneWatermarkOk = (
  k: Kernel,
  zone: Zone,
  order: number,
  mark: number,
  highestZoneidx: number,
  allocFlags: number,
  free: number = zone.stat[NR_FREE_PAGES],
): boolean => watermarkOk(k, zone, order, mark, highestZoneidx, allocFlags, free)

/** The allocator's own question: the same answer, sooner in the common case of one page. */
export function zoneWatermarkFast(k: Kernel, zone: Zone, order: number, mark: number, highestZoneidx: number, allocFlags: number): boolean {
  const free = zone.stat[NR_FREE_PAGES]
  if (order === 0 && free - zone.nrReservedHighatomic > mark + zone.lowmemReserve[highestZoneidx]) return true
  return watermarkOk(k, zone, order, mark, highestZoneidx, allocFlags, free)
}

/** Whether some zone up to `highest` has its high mark free at this order: kswapd may rest (pgdat_balanced). */
export function pgdatBalanced(k: Kernel, node: Node, order: number, highest: number): boolean {
  let managed = false
  for (let i = 0; i <= highest; i++) {
    const zone = k.zones[node.id * MAX_NR_ZONES + i]
    if (zone.managedPages === 0) continue
    managed = true
    if (zoneWatermarkOk(k, zone, order, zone.wmarkHigh + zone.watermarkBoost, highest, 0)) return true
  }
  return !managed
}

function pgdatWatermarkBoosted(k: Kernel, node: Node, highest: number): boolean {
  for (let i = 0; i <= highest; i++) if (k.zones[node.id * MAX_NR_ZONES + i].watermarkBoost > 0) return true
  return false
}

/** Asks the zone's node's kswapd for free pages of this order, unless it has given up or there is no need. */
export function wakeupKswapd(k: Kernel, zone: Zone, gfp: number, order: number, highest: number): void {
  if (zone.managedPages === 0) return
  const node = k.nodes[zone.node]
  const kswapd = node.kswapd
  kswapd.highestZoneidx = Math.max(kswapd.highestZoneidx, highest)
  kswapd.order = Math.max(kswapd.order, order)
  if (kswapd.wakeNs <= now(k)) return
  const hopeless = kswapd.failures >= MAX_RECLAIM_RETRIES
  if (hopeless || (pgdatBalanced(k, node, order, highest) && !pgdatWatermarkBoosted(k, node, highest))) {
    if ((gfp & __GFP_DIRECT_RECLAIM) === 0) wakeupKcompactd(k, node, order, highest)
    return
  }
  kswapd.wakeNs = now(k)
  k.needResched = true
}

/** Wakes kswapd of every node of the zonelist that may serve the request (wake_all_kswapds). */
export function wakeAllKswapds(
  k: Kernel,
  gfp: number,
  order: number,
  highest: number,
  zonelist: readonly number[],
  nodemask: number,
): void {
  let last = -1
  for (const index of zonelist) {
    const zone = k.zones[index]
    if (zone.type > highest || ((nodemask >> zone.node) & 1) === 0 || zone.managedPages === 0 || zone.node === last) continue
    last = zone.node
    wakeupKswapd(k, zone, gfp, order, highest)
  }
}

/** Asks the node's kcompactd for a free block of this order; it decides itself whether there is a point (wakeup_kcompactd). */
export function wakeupKcompactd(k: Kernel, node: Node, order: number, highest: number): void {
  if (order === 0) return
  const kcompactd = node.kcompactd
  kcompactd.order = Math.max(kcompactd.order, order)
  kcompactd.highestZoneidx = Math.min(kcompactd.highestZoneidx, highest)
  kcompactd.wakeNs = Math.min(kcompactd.wakeNs, now(k))
}
