/**
 * Zones: their watermarks, what they keep from requests that could go elsewhere, and the order in which nodes' zones
 * are tried.
 *
 *     free pages
 *       |   high ─ kswapd sleeps above               low = min + gap, high = min + 2 gap
 *       |   low  ─ kswapd wakes below                gap = max(min / 4, managed * watermark_scale_factor / 10000)
 *       |   min  ─ ordinary requests reclaim         min = the zone's share of min_free_kbytes by managed pages
 *       v   0
 *
 * All three rise by `watermarkBoost` for a while after a fallback mixed page types (boost_watermark). A zone below
 * the one a request prefers also keeps lowmemReserve[preferred] pages: managed pages of the zones above it, up to the
 * preferred one, over lowmem_reserve_ratio.
 *
 * min_free_kbytes is floor(sqrt(16 * lowmem kB)), clamped to 128..262144, unless the user wrote a larger value; while
 * THP is on, khugepaged raises it so that every page block of every zone type can have a free block to mix into.
 *
 * Source: mm/page_alloc.c (__setup_per_zone_wmarks, setup_per_zone_lowmem_reserve, calculate_totalreserve_pages,
 * calculate_min_free_kbytes, zone_batchsize, zone_highsize, build_zonelists), mm/khugepaged.c
 * (set_recommended_min_free_kbytes).
 */
import type { Kernel, Node, Zone } from '../base/state.ts'
import { MAX_NR_ZONES, MIGRATE_PCPTYPES, PAGE_KB, PAGEBLOCK_PAGES, ZONE_NORMAL } from '../base/units.ts'
import { listNodes } from './zone_nodes.ts'

/** Largest multiple of a batch that a free run may grow to: batch << 5. */
export const PCP_BATCH_SCALE_MAX = 5

export const populated = (zone: Zone) => zone.presentPages > 0

export const populatedZones = (k: Kernel) => k.zones.filter(populated)

/** Pages free above the high mark that a request for zone types up to `highest` could use (nr_free_zone_pages). */
export function nrFreeZonePages(k: Kernel, highest: number): number {
  let sum = 0
  for (const zone of k.zones) {
    const high = zone.wmarkHigh + zone.watermarkBoost
    if (zone.type <= highest && zone.managedPages > high) sum += zone.managedPages - high
  }
  return sum
}

/** min_free_kbytes as the kernel works it out, unless the user asked for more (calculate_min_free_kbytes). */
export function calculateMinFreeKbytes(k: Kernel): void {
  const lowmemKb = nrFreeZonePages(k, ZONE_NORMAL) * PAGE_KB
  const computed = Math.floor(Math.sqrt(lowmemKb * 16))
  if (computed > k.userMinFreeKbytes) k.sysctl.min_free_kbytes = Math.min(Math.max(computed, 128), 262144)
}

/**
 * What khugepaged does to min_free_kbytes when it starts, stops or memory is added: raise it while THP is enabled
 * in some form, go back to the computed value when not (set_recommended_min_free_kbytes).
 */
export function setRecommendedMinFreeKbytes(k: Kernel): void {
  if (k.thp.enabled === 'never') calculateMinFreeKbytes(k)
  else {
    const zones = populatedZones(k).filter(zone => zone.type <= ZONE_NORMAL).length
    const blocks = zones * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES)
    const pages = Math.min(PAGEBLOCK_PAGES * blocks, Math.floor(nrFreeZonePages(k, ZONE_NORMAL) / 20))
    if (pages * PAGE_KB > k.sysctl.min_free_kbytes) k.sysctl.min_free_kbytes = pages * PAGE_KB
  }
  setupPerZoneWmarks(k)
}

/** All that hangs on how much memory there is, after it changed (init_per_zone_wmark_min). */
export function initPerZoneWmarkMin(k: Kernel): void {
  calculateMinFreeKbytes(k)
  setupPerZoneWmarks(k)
  setupPerZoneLowmemReserve(k)
  if (k.khugepaged.running) setRecommendedMinFreeKbytes(k)
}

/** Recomputes every zone's marks from min_free_kbytes and watermark_scale_factor, and what hangs on them. */
export function setupPerZoneWmarks(k: Kernel): void {
  const pagesMin = Math.floor(k.sysctl.min_free_kbytes / PAGE_KB)
  const lowmem = k.zones.reduce((sum, zone) => sum + zone.managedPages, 0)
  for (const zone of k.zones) {
    const min = Math.floor((pagesMin * zone.managedPages) / lowmem)
    const gap = Math.max(Math.floor(min / 4), Math.floor((zone.managedPages * k.sysctl.watermark_scale_factor) / 10000))
    zone.watermarkBoost = 0
    zone.wmarkMin = min
    zone.wmarkLow = min + gap
    zone.wmarkHigh = min + 2 * gap
    zone.wmarkPromo = min + 3 * gap
    zonePcpUpdate(k, zone, 0)
  }
  calculateTotalreservePages(k)
}

export function setupPerZoneLowmemReserve(k: Kernel): void {
  for (const node of k.nodes) {
    for (let i = 0; i < MAX_NR_ZONES - 1; i++) {
      const zone = k.zones[node.id * MAX_NR_ZONES + i]
      const ratio = k.sysctl.lowmem_reserve_ratio[i]
      let above = 0
      for (let j = i + 1; j < MAX_NR_ZONES; j++) {
        above += k.zones[node.id * MAX_NR_ZONES + j].managedPages
        zone.lowmemReserve[j] = ratio === 0 || zone.managedPages === 0 ? 0 : Math.floor(above / ratio)
      }
    }
  }
  calculateTotalreservePages(k)
}

function calculateTotalreservePages(k: Kernel): void {
  k.totalreservePages = 0
  for (const node of k.nodes) {
    node.totalreserve = 0
    for (let i = 0; i < MAX_NR_ZONES; i++) {
      const zone = k.zones[node.id * MAX_NR_ZONES + i]
      const most = Math.max(0, ...zone.lowmemReserve.slice(i)) + zone.wmarkHigh + zone.watermarkBoost
      node.totalreserve += Math.min(most, zone.managedPages)
    }
    k.totalreservePages += node.totalreserve
  }
}

/** Pages moved at once between a CPU's list and the buddy lists (zone_batchsize). */
function zoneBatchsize(zone: Zone): number {
  const batch = Math.max(1, Math.floor(Math.min(zone.managedPages >> 10, 256) / 4))
  return 2 ** Math.floor(Math.log2(batch + Math.floor(batch / 2))) - 1
}

/**
 * Sets batch and high of the zone's per-CPU lists: high is the low mark (or managed / percpu_pagelist_high_fraction)
 * split over the CPUs of the zone's node, of all nodes when it has none online.
 * @param comingCpus CPUs that are about to count as the node's own (1 while one comes online).
 */
export function zonePcpUpdate(k: Kernel, zone: Zone, comingCpus: number): void {
  if (zone.pcps.length === 0) return
  const batch = Math.max(1, zoneBatchsize(zone))
  const fraction = k.sysctl.percpu_pagelist_high_fraction
  const total = fraction === 0 ? zone.wmarkLow + zone.watermarkBoost : Math.floor(zone.managedPages / fraction)
  const online = k.cpus.filter(cpu => cpu.online)
  const local = online.filter(cpu => cpu.node === zone.node).length + comingCpus
  const high = Math.max(Math.floor(total / (local === 0 ? online.length : local)), batch << 2)
  if (zone.pcpHigh === high && zone.pcpBatch === batch) return
  zone.pcpHigh = high
  zone.pcpBatch = batch
  for (const pcp of zone.pcps) {
    pcp.high = high
    pcp.batch = batch
  }
}

/**
 * Orders each node's zones for its requests: its own first, then the other nodes by distance (a node after it in
 * number before one before it, one with fewer others preferring it before one with more), in each node from the
 * highest zone type down.
 */
export function buildZonelists(k: Kernel): void {
  const load = k.nodes.map(() => 0)
  for (const node of k.nodes) {
    const order = listNodes(
      node.id,
      k.machine.distance,
      k.nodes.map(other => nodeHasMemory(k, other)),
      k.nodes.map(other => other.cpus.length > 0),
      load,
    )
    node.zonelist.length = 0
    node.ownZonelist.length = 0
    for (const id of order) node.zonelist.push(...zonesOf(k, id))
    node.ownZonelist.push(...zonesOf(k, node.id))
  }
}

const nodeHasMemory = (k: Kernel, node: Node) => zonesOf(k, node.id).length > 0

const zonesOf = (k: Kernel, node: number) =>
  k.zones
    .slice(node * MAX_NR_ZONES, (node + 1) * MAX_NR_ZONES)
    .filter(zone => zone.managedPages > 0)
    .map(zone => zone.index)
    .reverse()
