/**
 * Memory blocks going offline and coming back.
 *
 *     offline   isolate the block, give empty slabs back | move everything in it elsewhere | dissolve free huge TLB pages | take it off the free lists
 *               no: EBUSY           other nodes first                  no: EBUSY
 *
 *     online    give it to a zone | its pages free, at the tail of the lists | per-CPU lists and zonelists, if the zone was empty
 *
 * A block with holes or of several zones cannot go (EINVAL); one that holds kernel memory is busy. After either change the zone's and
 * node's spans, min_free_kbytes, watermarks, lowmem reserves and the total are those of the memory that is left.
 *
 * `online` puts a block where it is free of doubt: into the zone that spans it; where none does or two do, into a kernel zone. With the
 * policy 'auto-movable' it becomes movable memory as long as there is at most auto_movable_ratio percent as much of it as kernel memory,
 * in the machine and, if so asked, on the node.
 *
 * Where Linux tries pages that cannot be moved until its caller is interrupted, a second attempt that gets no further is the last here,
 * and the answer that of an interrupted one (EINTR).
 *
 * Source: mm/memory_hotplug.c (offline_pages, online_pages, do_migrate_range, shrink_zone_span, zone_for_pfn_range), mm/hugetlb.c
 * dissolve_free_huge_pages, drivers/base/memory.c (memory_block_online, memory_block_offline).
 */
import { migrationTarget } from '../alloc/migration_target.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EBUSY, EINTR, EINVAL, ENOMEM } from '../base/errno.ts'
import { __GFP_MOVABLE, __GFP_RETRY_MAYFAIL, GFP_USER, PG_buddy, PG_hugetlb, PG_lru } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { KERN_INFO, printk } from '../base/log.ts'
import type { Kernel, Zone } from '../base/state.ts'
import type { MemoryBlock, OnlineType } from '../base/state_memory.ts'
import {
  asPfn,
  MAX_NR_ZONES,
  MAX_ORDER,
  MIGRATE_MOVABLE,
  MIGRATE_TYPES,
  type NodeId,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  type Pfn,
  ZONE_MOVABLE,
  ZONE_NAMES,
  ZONE_NORMAL,
} from '../base/units.ts'
import { isolateLru } from '../caches/lru.ts'
import { distinctCaches, kmemShrink } from '../caches/slab.ts'
import { migrateHugePageAway } from '../fault/hugetlb_migrate.ts'
import { vmemmapRestore } from '../fault/hugetlb_vmemmap.ts'
import { freeBootBlock, isolateFreeBlock } from '../frames/buddy.ts'
import { availableHugePages, hstateOfPage, inHugeCache, releaseHugePage, removeFreeHugePage } from '../frames/hugetlb_pool.ts'
import { memoryNodes } from '../frames/mempolicy.ts'
import { compoundHead, compoundMapcount, compoundPages, W_PRIVATE } from '../frames/page.ts'
import { pagesIsolated, startIsolatePageRange, undoIsolatePageRange } from '../frames/page_isolation.ts'
import { addPcps, resetPcps, zonePcpDisable, zonePcpEnable } from '../frames/pcp.ts'
import { buildZonelists, initPerZoneWmarkMin, nrFreeZonePages, populated } from '../frames/zone.ts'
import { migratePages, putbackMovablePages } from '../reclaim/migrate.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'

/** No memory at this block of pages. */
const NO_ZONE = 255
const TOP_ORDER = MAX_ORDER - 1

const blockOwner = (block: MemoryBlock): NodeId => block.nodes[block.nodes.length - 1]

/**
 * Takes a block away.
 * @returns 0, -EINVAL for one that never can go, -EBUSY or -EINTR for one that cannot now; its owner sees to it that it is online.
 */
export function offlineMemoryBlock(k: Kernel, block: MemoryBlock): number {
  if (block.zone < 0 || !block.whole) return -EINVAL
  const zone = k.zones[block.zone]
  const start = block.id * k.memory.blockPages
  const end = start + k.memory.blockPages
  zonePcpDisable(k, zone)
  lruAddDrainAll(k)
  const isolated = startIsolatePageRange(k, zone, start, end)
  if (isolated) for (const cache of distinctCaches(k)) kmemShrink(k, cache)
  const error = isolated ? emptyRange(k, zone, start, end) : -EBUSY
  zonePcpEnable(zone)
  if (error !== 0) return error
  removeRange(k, zone, start, end)
  block.online = false
  block.zone = -1
  return 0
}

// --- emptying

function emptyRange(k: Kernel, zone: Zone, start: number, end: number): number {
  let error = moveAll(k, zone, start, end) ? dissolveFreeHugePages(k, start, end) : -EINTR
  if (error === 0 && !pagesIsolated(k, start, end)) error = -EINTR
  if (error !== 0) undoIsolatePageRange(k, zone, start, end)
  return error
}

/** Moves everything out of the range that can move; false when some of it stays. */
function moveAll(k: Kernel, zone: Zone, start: number, end: number): boolean {
  let left = Number.POSITIVE_INFINITY
  for (;;) {
    const pages = movablePages(k, start, end)
    if (pages.length === 0 || pages.length >= left) return pages.length === 0
    left = pages.length
    moveAway(k, zone.node, pages)
    lruAddDrainAll(k)
  }
}

/** First pages of all that is in use and can be moved, in ascending order (scan_movable_pages). */
function movablePages(k: Kernel, start: number, end: number): Pfn[] {
  const found: Pfn[] = []
  for (let at = start; at < end; ) {
    const flags = k.page[at * PAGE_WORDS]
    if ((flags & PG_buddy) !== 0) {
      at += 2 ** k.page[at * PAGE_WORDS + W_PRIVATE]
      continue
    }
    spend(k, COST.compact_scan, 1)
    const head = compoundHead(k, asPfn(at))
    if ((k.page[head * PAGE_WORDS] & PG_lru) !== 0 || hugeInUse(k, head)) found.push(head)
    at = head + compoundPages(k, head)
  }
  return found
}

/** A huge TLB page that somebody maps or a file holds (HPageMigratable). */
const hugeInUse = (k: Kernel, head: Pfn): boolean =>
  (k.page[head * PAGE_WORDS] & PG_hugetlb) !== 0 && (compoundMapcount(k, head) > 0 || inHugeCache(k, head))

/** Moves pages to other nodes; within their own when there is no other (do_migrate_range). */
function moveAway(k: Kernel, nid: NodeId, pages: readonly Pfn[]): void {
  const others = memoryNodes(k) & ~(1 << nid)
  const mask = others === 0 ? 1 << nid : others
  const list: Pfn[] = []
  for (const page of pages)
    if ((k.page[page * PAGE_WORDS] & PG_hugetlb) !== 0) migrateHugePageAway(k, page, nid, mask)
    else if (isolateLru(k, page)) list.push(page)
  migratePages(k, list, migrationTarget(k, nid, GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL, mask), 'sync')
  putbackMovablePages(k, list)
}

/** Gives free huge TLB pages of the range back, unless all that are left were promised (dissolve_free_huge_pages). */
function dissolveFreeHugePages(k: Kernel, start: number, end: number): number {
  for (let at = start; at < end; at += PAGEBLOCK_PAGES) {
    const head = compoundHead(k, asPfn(at))
    if ((k.page[head * PAGE_WORDS] & PG_hugetlb) === 0) continue
    const h = hstateOfPage(k, head)
    if (hugeInUse(k, head) || availableHugePages(h) === 0) return -EBUSY
    if (!vmemmapRestore(k, h, head)) return -ENOMEM
    removeFreeHugePage(k, h, head)
    h.maxHugePages--
    releaseHugePage(k, h, head)
  }
  return 0
}

// --- the zone's and the machine's figures

function removeRange(k: Kernel, zone: Zone, start: number, end: number): void {
  for (let pfn = start; pfn < end; ) pfn += 2 ** isolateFreeBlock(k, zone, asPfn(pfn))
  k.blockZone.fill(NO_ZONE, start >>> PAGEBLOCK_ORDER, end >>> PAGEBLOCK_ORDER)
  k.blockType.fill(MIGRATE_MOVABLE, start >>> PAGEBLOCK_ORDER, end >>> PAGEBLOCK_ORDER)
  addPages(k, zone, start - end)
  initPerZoneWmarkMin(k)
  if (!populated(zone)) {
    resetPcps(zone)
    rebuildZonelists(k)
  }
  shrinkZone(k, zone, start, end)
}

/** A zone came or went: nodes look for help in another order, and the log says in which (build_all_zonelists). */
function rebuildZonelists(k: Kernel): void {
  buildZonelists(k)
  for (const node of k.nodes) {
    const order = [...new Set(node.zonelist.map(index => k.zones[index].node))]
    printk(k, KERN_INFO, `Fallback order for Node ${node.id}: ${order.join(' ')} `)
  }
  const pages = nrFreeZonePages(k, ZONE_MOVABLE)
  const grouping = pages < PAGEBLOCK_PAGES * MIGRATE_TYPES ? 'off' : 'on'
  printk(k, KERN_INFO, `Built ${k.nodes.length} zonelists, mobility grouping ${grouping}.  Total pages: ${pages}`)
  const highest = Math.max(...k.zones.filter(zone => populated(zone) && zone.type !== ZONE_MOVABLE).map(zone => zone.type))
  printk(k, KERN_INFO, `Policy zone: ${ZONE_NAMES[highest]}`)
}

function addPages(k: Kernel, zone: Zone, pages: number): void {
  zone.managedPages += pages
  zone.presentPages += pages
  k.totalramPages += pages
}

/** A zone that lost its first or last part begins or ends where the rest does (shrink_zone_span). */
function shrinkZone(k: Kernel, zone: Zone, start: number, end: number): void {
  const zoneEnd = zone.startPfn + zone.spannedPages
  const inZone = (pfn: number) => k.blockZone[pfn >>> PAGEBLOCK_ORDER] === zone.index
  let [first, last] = [zone.startPfn, zoneEnd]
  if (first === start) for (first = end; first < zoneEnd && !inZone(first); ) first += PAGEBLOCK_PAGES
  else if (last === end) for (last = start; last > first && !inZone(last - 1); ) last -= PAGEBLOCK_PAGES
  setSpan(zone, first >= last ? 0 : first, Math.max(0, last - first))
  updateNodeSpan(k, zone.node)
}

function setSpan(zone: Zone, start: number, pages: number): void {
  zone.startPfn = start
  zone.spannedPages = pages
}

function updateNodeSpan(k: Kernel, nid: NodeId): void {
  const zones = k.zones.filter(zone => zone.node === nid && zone.spannedPages > 0)
  const node = k.nodes[nid]
  node.startPfn = zones.length === 0 ? 0 : Math.min(...zones.map(zone => zone.startPfn))
  node.spannedPages = zones.length === 0 ? 0 : Math.max(...zones.map(zone => zone.startPfn + zone.spannedPages)) - node.startPfn
}

// --- online

/** Puts a block back that is offline. */
export function onlineMemoryBlock(k: Kernel, block: MemoryBlock, type: OnlineType): void {
  const zone = zoneForBlock(k, block, type)
  const start = block.id * k.memory.blockPages
  const end = start + k.memory.blockPages
  const zoneEnd = zone.startPfn + zone.spannedPages
  if (zone.spannedPages === 0) setSpan(zone, start, end - start)
  else setSpan(zone, Math.min(zone.startPfn, start), Math.max(zoneEnd, end) - Math.min(zone.startPfn, start))
  updateNodeSpan(k, zone.node)
  k.blockZone.fill(zone.index, start >>> PAGEBLOCK_ORDER, end >>> PAGEBLOCK_ORDER)
  k.blockSkip.fill(0, start >>> PAGEBLOCK_ORDER, end >>> PAGEBLOCK_ORDER)
  const first = !populated(zone)
  if (first) addPcps(k, zone)
  for (let pfn = start; pfn < end; pfn += 1 << TOP_ORDER) freeBootBlock(k, zone, asPfn(pfn), TOP_ORDER, MIGRATE_MOVABLE)
  k.event[EV.pgfree] += end - start
  addPages(k, zone, end - start)
  if (first) rebuildZonelists(k)
  initPerZoneWmarkMin(k)
  block.online = true
  block.zone = zone.index
}

/** The zone that an offline block would belong to (zone_for_pfn_range). */
export function zoneForBlock(k: Kernel, block: MemoryBlock, type: OnlineType): Zone {
  const node = blockOwner(block)
  const movable = k.zones[node * MAX_NR_ZONES + ZONE_MOVABLE]
  const kernel = kernelZone(k, block, node)
  if (type !== 'online') return type === 'online_movable' ? movable : kernel
  if (k.memory.onlinePolicy === 'auto-movable') return mayBeMovable(k, node) ? movable : kernel
  return intersects(k, movable, block) && !intersects(k, kernel, block) ? movable : kernel
}

function intersects(k: Kernel, zone: Zone, block: MemoryBlock): boolean {
  const start = block.id * k.memory.blockPages
  return zone.startPfn < start + k.memory.blockPages && zone.startPfn + zone.spannedPages > start
}

/** The lowest zone of the node that spans part of the block, else the normal one (default_kernel_zone_for_pfn). */
function kernelZone(k: Kernel, block: MemoryBlock, node: NodeId): Zone {
  for (let type = 0; type < ZONE_NORMAL; type++) {
    const zone = k.zones[node * MAX_NR_ZONES + type]
    if (intersects(k, zone, block)) return zone
  }
  return k.zones[node * MAX_NR_ZONES + ZONE_NORMAL]
}

/** Whether one more block of movable memory keeps the ratio (auto_movable_zone_for_pfn). */
function mayBeMovable(k: Kernel, node: NodeId): boolean {
  const { autoMovableRatio, autoMovableNumaAware, blockPages } = k.memory
  const keeps = (zones: readonly Zone[]) => {
    const sum = (movable: boolean) =>
      zones.reduce((pages, zone) => ((zone.type === ZONE_MOVABLE) === movable ? pages + zone.presentPages : pages), 0)
    return sum(false) > 0 && sum(true) + blockPages <= Math.floor((autoMovableRatio * sum(false)) / 100)
  }
  if (autoMovableRatio === 0 || !keeps(k.zones)) return false
  return !autoMovableNumaAware || keeps(k.zones.filter(zone => zone.node === node))
}
