/**
 * The fast path of page allocation and freeing: take a page from the first zone whose mark allows it, never reclaim.
 * alloc/page_alloc.ts builds the slow path on it; rooms below reclaim that need a page use it directly.
 *
 * Zones are tried in the preferred node's order. A page from another node than the preferred one is a numa_miss there
 * and a numa_foreign here; local and other tell whether it is near the CPU that asked.
 *
 * Source: mm/page_alloc.c (get_page_from_freelist, rmqueue, zone_statistics, free_unref_page, __free_pages_ok).
 */

import { fail } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { EV, NUMA, PGALLOC, ZS } from '../base/counters.ts'
import {
  __GFP_COMP,
  __GFP_DMA,
  __GFP_DMA32,
  __GFP_HIGHMEM,
  __GFP_KSWAPD_RECLAIM,
  __GFP_MOVABLE,
  __GFP_RECLAIMABLE,
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_NO_WATERMARKS,
  ALLOC_NOFRAGMENT,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  PG_anon,
  PG_buddy,
  PG_dirty,
  PG_head,
  PG_hwpoison,
  PG_lru,
  PG_referenced,
  PG_swapbacked,
  PG_uptodate,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import {
  HPAGE_PMD_ORDER,
  MIGRATE_HIGHATOMIC,
  MIGRATE_ISOLATE,
  NO_PAGE,
  type Pfn,
  ZONE_DMA,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NORMAL,
} from '../base/units.ts'
import { blockType, freeOnePage, reserveHighatomicPageblock, rmqueueSmallest, rmqueueType } from './buddy.ts'
import { kmemUncharge, uncharge } from './memcg_charge.ts'
import {
  destroyCompound,
  pageMemcg,
  pageZone,
  prepCompound,
  tailsTouched,
  W_CONTENT,
  W_FLAGS,
  W_INDEX,
  W_MAPCOUNT,
  W_OWNER,
  W_PRIVATE,
} from './page.ts'
import { pcpAllocate, pcpAllowedOrder, pcpFree } from './pcp.ts'
import { wakeupKswapd, wmarkPages, zoneWatermarkFast } from './watermark.ts'
import { holdZoneLock } from './zone_lock.ts'

const NR_FREE_PAGES = ZS.nr_free_pages
const PGFREE = EV.pgfree
const { numa_hit: HIT, numa_miss: MISS, numa_foreign: FOREIGN, numa_local: LOCAL, numa_other: OTHER } = NUMA
const { page_alloc: COST_ALLOC, page_free: COST_FREE } = COST
const JUNK = 0x5a5a5a

/** Every node is allowed. */
export const ALL_NODES = -1

/** The highest zone type that may serve the request (gfp_zone). */
export function gfpZone(gfp: number): number {
  if ((gfp & __GFP_DMA) !== 0) return ZONE_DMA
  if ((gfp & __GFP_DMA32) !== 0) return ZONE_DMA32
  return (gfp & (__GFP_HIGHMEM | __GFP_MOVABLE)) === (__GFP_HIGHMEM | __GFP_MOVABLE) ? ZONE_MOVABLE : ZONE_NORMAL
}

export const gfpMigratetype = (gfp: number) => (gfp & (__GFP_RECLAIMABLE | __GFP_MOVABLE)) >> 3

/** The first zone of the node's order that the request may use, or undefined. */
export function preferredZone(k: Kernel, node: Node, highest: number, nodemask: number): Zone | undefined {
  for (const index of node.zonelist) {
    const zone = k.zones[index]
    if (zone.type <= highest && ((nodemask >> zone.node) & 1) !== 0) return zone
  }
  return undefined
}

/** Avoid mixing page types in a Normal zone that has a DMA32 zone to fall back to (alloc_flags_nofragment). */
export function allocFlagsNofragment(k: Kernel, preferred: Zone, gfp: number): number {
  const flags = (gfp & __GFP_KSWAPD_RECLAIM) !== 0 ? ALLOC_KSWAPD : 0
  if (preferred.type !== ZONE_NORMAL) return flags
  return k.nodes.length > 1 && k.zones[preferred.index - 1].presentPages === 0 ? flags : flags | ALLOC_NOFRAGMENT
}

/**
 * A block of 2^order pages from the first zone that may give it, or NO_PAGE.
 * @param nodemask bit per node that may serve it; ALL_NODES for any.
 * @param preferred where the search begins: preferredZone of the node asked for.
 */
export function getPageFromFreelist(
  k: Kernel,
  gfp: number,
  order: number,
  flags: number,
  preferred: Zone,
  zonelist: readonly number[],
  nodemask: number,
): Pfn {
  const highest = gfpZone(gfp)
  let allocFlags = flags
  for (let i = 0; i < zonelist.length; i++) {
    const zone = k.zones[zonelist[i]]
    if (zone.type > highest || ((nodemask >> zone.node) & 1) === 0) continue
    if ((allocFlags & ALLOC_NOFRAGMENT) !== 0 && k.nodes.length > 1 && zone.node !== preferred.node) break
    const mark = wmarkPages(zone, allocFlags)
    if ((allocFlags & ALLOC_NO_WATERMARKS) === 0 && !zoneWatermarkFast(k, zone, order, mark, highest, allocFlags)) continue
    const pfn = rmqueue(k, preferred, zone, gfp, order, allocFlags)
    if (pfn !== NO_PAGE) return pfn
  }
  if ((allocFlags & ALLOC_NOFRAGMENT) === 0) return NO_PAGE
  allocFlags &= ~ALLOC_NOFRAGMENT
  return getPageFromFreelist(k, gfp, order, allocFlags, preferred, zonelist, nodemask)
}

function rmqueue(k: Kernel, preferred: Zone, zone: Zone, gfp: number, order: number, allocFlags: number): Pfn {
  const type = gfpMigratetype(gfp)
  let pfn = pcpAllowedOrder(order) ? pcpAllocate(k, zone, order, type, allocFlags) : NO_PAGE
  if (pfn === NO_PAGE) pfn = rmqueueBuddy(k, zone, order, type, allocFlags)
  if (pfn !== NO_PAGE) {
    k.event[PGALLOC + zone.type] += 1 << order
    zoneStatistics(k, preferred, zone)
    spend(k, COST_ALLOC, 1)
    prepNewPage(k, pfn, order, gfp)
    if ((allocFlags & ALLOC_HIGHATOMIC) !== 0) reserveHighatomicPageblock(k, zone, pfn)
  }
  if (zone.boostedWatermark) {
    zone.boostedWatermark = false
    wakeupKswapd(k, zone, 0, 0, zone.type)
  }
  return pfn
}

function rmqueueBuddy(k: Kernel, zone: Zone, order: number, type: number, allocFlags: number): Pfn {
  holdZoneLock(k, zone, 1)
  let pfn = (allocFlags & ALLOC_HIGHATOMIC) !== 0 ? rmqueueSmallest(k, zone, order, MIGRATE_HIGHATOMIC) : NO_PAGE
  if (pfn === NO_PAGE) pfn = rmqueueType(k, zone, order, type, allocFlags)
  if (pfn === NO_PAGE && (allocFlags & (ALLOC_OOM | ALLOC_NON_BLOCK)) !== 0) pfn = rmqueueSmallest(k, zone, order, MIGRATE_HIGHATOMIC)
  if (pfn !== NO_PAGE) zone.stat[NR_FREE_PAGES] -= 1 << order
  return pfn
}

function zoneStatistics(k: Kernel, preferred: Zone, zone: Zone): void {
  if (k.sysctl.numa_stat === 0) return
  zone.numa[zone.node === k.cpus[k.cpu].node ? LOCAL : OTHER]++
  if (zone.node === preferred.node) zone.numa[HIT]++
  else {
    zone.numa[MISS]++
    preferred.numa[FOREIGN]++
  }
}

/** Makes what came off the free lists ready for its owner. */
export function prepNewPage(k: Kernel, pfn: Pfn, order: number, gfp: number): void {
  freshenPages(k, pfn, order)
  if (order > 0 && (gfp & __GFP_COMP) !== 0) prepCompound(k, pfn, order)
}

/** Takes the junk of freed pages off, where there is any. */
export function freshenPages(k: Kernel, pfn: Pfn, order: number): void {
  if (k.junkOnFree) for (let i = 0; i < 1 << order; i++) freshRecord(k, pfn + i)
}

function freshRecord(k: Kernel, pfn: number): void {
  k.page.fill(0, pfn * PAGE_WORDS, (pfn + 1) * PAGE_WORDS)
}

/** Whether the page was freed and not handed out again, as far as junk in its record tells (tests). */
export const isJunk = (k: Kernel, pfn: Pfn): boolean => k.junkOnFree && k.page[pfn * PAGE_WORDS + W_OWNER] === JUNK

/** Cleans what the owner left in the records, so that they are as fresh ones; asserts that nobody uses the pages. */
function freePagesPrepare(k: Kernel, pfn: Pfn, order: number): void {
  const at = pfn * PAGE_WORDS
  const flags = k.page[at + W_FLAGS]
  if ((flags & (PG_lru | PG_buddy)) !== 0) fail(`page ${pfn} is freed while on a list`)
  if (k.page[at + W_MAPCOUNT] !== 0) fail(`page ${pfn} is freed while mapped`)
  if (pageMemcg(k, pfn) !== 0) kmemUncharge(k, pfn, 1 << order)
  const compound = (flags & PG_head) !== 0
  if (order > 0 && (!compound || order < HPAGE_PMD_ORDER || tailsTouched(k, pfn))) cleanTails(k, pfn, order)
  if (compound) destroyCompound(k, pfn, order)
  k.page[at + W_FLAGS] = 0
  k.page[at + W_OWNER] = 0
  k.page[at + W_INDEX] = 0
  k.page[at + W_CONTENT] = 0
  k.page[at + W_PRIVATE] = 0
  if (k.junkOnFree) for (let i = 0; i < 1 << order; i++) k.page[(pfn + i) * PAGE_WORDS + W_OWNER] = JUNK
}

function cleanTails(k: Kernel, pfn: Pfn, order: number): void {
  for (let i = 1; i < 1 << order; i++) {
    if (k.page[(pfn + i) * PAGE_WORDS + W_MAPCOUNT] !== 0) fail(`page ${pfn + i} is freed while mapped`)
    freshTail(k, pfn, i)
  }
}

/** The first tail's words of the compound page are destroyCompound's. */
function freshTail(k: Kernel, head: Pfn, i: number): void {
  const at = (head + i) * PAGE_WORDS
  k.page[at + W_FLAGS] = 0
  if (i > 1) k.page[at + W_OWNER] = 0
  if (i > 1) k.page[at + W_INDEX] = 0
  k.page[at + W_CONTENT] = 0
  k.page[at + W_PRIVATE] = 0
}

/** A broken page is cleaned up after but never given out again; what it was still shows in those that had it. */
function keepBroken(k: Kernel, pfn: Pfn): void {
  const was = k.page[pfn * PAGE_WORDS + W_FLAGS] & (PG_anon | PG_dirty | PG_uptodate | PG_referenced | PG_swapbacked)
  freePagesPrepare(k, pfn, 0)
  k.page[pfn * PAGE_WORDS + W_FLAGS] = PG_hwpoison | was
}

/** Gives a fresh page of a user's back that was charged but came to nothing. */
export function freeCharged(k: Kernel, head: Pfn, order: number): void {
  uncharge(k, head)
  freePages(k, head, order)
}

/**
 * Frees 2^order pages: to this CPU's list, or straight to the buddy lists when there is none for the order or type. What would
 * have gone to a list but for its block being isolated counts as not freed.
 */
export function freePages(k: Kernel, pfn: Pfn, order: number): void {
  if ((k.page[pfn * PAGE_WORDS + W_FLAGS] & PG_hwpoison) !== 0 && order === 0) return keepBroken(k, pfn)
  freePagesPrepare(k, pfn, order)
  const zone = pageZone(k, pfn)
  const type = blockType(k, pfn)
  const listed = pcpAllowedOrder(order)
  if (type !== MIGRATE_ISOLATE || !listed) k.event[PGFREE] += 1 << order
  spend(k, COST_FREE, 1)
  if (listed && type !== MIGRATE_ISOLATE) return pcpFree(k, zone, pfn, order, type)
  freeOnePage(k, zone, pfn, order, type)
  holdZoneLock(k, zone, 1)
}
