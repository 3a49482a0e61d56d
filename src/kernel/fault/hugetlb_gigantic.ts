/**
 * Pages of 1 GiB while the machine runs: no list of free memory has blocks of that size, so a range is searched for.
 *
 *     zone     |....|#.u.|.p..|....|....|     aligned GiBs of the node's zones, lowest first
 *               ^ part     ^          ^
 *               reserved   in use by  all free: its page blocks are isolated, its free blocks taken
 *               by boot    pages that could be moved
 *
 * A range is passed over when boot reserved any page of it or a huge TLB page lies in it. Otherwise its page blocks are isolated one by one;
 * the first that holds a page which cannot move ends the attempt, and the blocks that had been isolated come back as movable ones. What is
 * in use and could move would have to be migrated away; without that the range is given up just as when a migration fails.
 *
 * Source: mm/page_alloc.c (alloc_contig_pages, pfn_range_valid_contig, alloc_contig_range), mm/page_isolation.c
 * (has_unmovable_pages, set_migratetype_isolate, unset_migratetype_isolate).
 */
import { EV, ZS } from '../base/counters.ts'
import { __GFP_THISNODE, PG_buddy, PG_head, PG_hugetlb, PG_lru } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Zone } from '../base/state.ts'
import {
  alignUp,
  asPfn,
  HPAGE_PMD_NR,
  HPAGE_PMD_ORDER,
  MIGRATE_ISOLATE,
  MIGRATE_MOVABLE,
  NO_PAGE,
  type NodeId,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  type Pfn,
  ZONE_MOVABLE,
} from '../base/units.ts'
import { lruAddDrainCpu } from '../caches/lru.ts'
import { mlockDrainCpu } from '../caches/mlock_lru.ts'
import { freeBlockOf, isolateFreeBlock, linkAllVirgin, moveFreepagesBlock, setBlockType } from '../frames/buddy.ts'
import { hasNode } from '../frames/mempolicy.ts'
import { compoundHead, compoundOrder, prepCompound, W_PRIVATE } from '../frames/page.ts'
import { drainAllPages, orderOf } from '../frames/pcp.ts'
import { gfpZone } from '../frames/rmqueue.ts'

/** A compound page of 2^order pages, larger than the buddy allocator has; NO_PAGE when no range of the allowed zones is free. */
export function allocContigPages(k: Kernel, order: number, gfp: number, nid: NodeId, nodemask: number): Pfn {
  const pages = 2 ** order
  const node = k.nodes[nid]
  for (const index of (gfp & __GFP_THISNODE) !== 0 ? node.ownZonelist : node.zonelist) {
    const zone = k.zones[index]
    if (zone.type > gfpZone(gfp) || !hasNode(nodemask, zone.node)) continue
    const end = zone.startPfn + zone.spannedPages
    for (let pfn = alignUp(zone.startPfn, pages); pfn + pages <= end; pfn += pages)
      if (mayTry(k, zone, pfn, pfn + pages) && takeRange(k, zone, pfn, pfn + pages)) {
        prepCompound(k, asPfn(pfn), order)
        return asPfn(pfn)
      }
  }
  return NO_PAGE
}

/** Whether all of [start, end) is the zone's, and no page of it boot's or a huge TLB page's (pfn_range_valid_contig). */
function mayTry(k: Kernel, zone: Zone, start: number, end: number): boolean {
  if (k.boot.reserved.some(run => run.start < end && run.end > start)) return false
  for (let pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) {
    if (k.blockZone[pfn >>> PAGEBLOCK_ORDER] !== zone.index) return false
    if ((k.page[compoundHead(k, asPfn(pfn)) * PAGE_WORDS] & PG_hugetlb) !== 0) return false
  }
  return true
}

/** Takes [start, end) out of the zone's free lists if all of it is free or becomes so (alloc_contig_range). */
function takeRange(k: Kernel, zone: Zone, start: number, end: number): boolean {
  linkAllVirgin(k, zone)
  const stop = firstUnmovableBlock(k, zone, start, end)
  if (stop < end) {
    for (let pfn = start; pfn < stop; pfn += PAGEBLOCK_PAGES) makeMovable(k, zone, pfn)
    return false
  }
  drainAllPages(k, zone)
  for (const cpu of k.cpus) {
    lruAddDrainCpu(k, cpu.id)
    mlockDrainCpu(k, cpu.id)
  }
  for (let pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) isolateBlock(k, zone, pfn)
  const free = allFree(k, start, end)
  if (free) {
    for (let pfn = start; pfn < end; ) pfn += 2 ** isolateFreeBlock(k, zone, asPfn(pfn))
    k.event[EV.compact_isolated] += end - start
  }
  for (let pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) zone.stat[ZS.nr_free_pages] += makeMovable(k, zone, pfn)
  return free
}

function isolateBlock(k: Kernel, zone: Zone, pfn: number): void {
  zone.stat[ZS.nr_free_pages] -= moveFreepagesBlock(k, zone, pfn, MIGRATE_ISOLATE)
  setBlockType(k, pfn, MIGRATE_ISOLATE)
}

/** Makes the block a movable one; returns its free pages. */
function makeMovable(k: Kernel, zone: Zone, pfn: number): number {
  setBlockType(k, pfn, MIGRATE_MOVABLE)
  return moveFreepagesBlock(k, zone, pfn, MIGRATE_MOVABLE)
}

function allFree(k: Kernel, start: number, end: number): boolean {
  for (let pfn = start; pfn < end; pfn += 2 ** k.page[pfn * PAGE_WORDS + W_PRIVATE])
    if ((k.page[pfn * PAGE_WORDS] & PG_buddy) === 0) return false
  return true
}

/** Start of the first page block that holds a page which cannot be moved, or `end` (has_unmovable_pages). */
function firstUnmovableBlock(k: Kernel, zone: Zone, start: number, end: number): number {
  const waiting = pagesOnPcps(zone)
  for (let block = start; block < end; block += PAGEBLOCK_PAGES)
    for (let pfn = block; pfn < block + PAGEBLOCK_PAGES; ) {
      const pages = movablePages(k, zone, asPfn(pfn), waiting)
      if (pages === 0) return block
      pfn += pages
    }
  return end
}

/** Pages from this one on that are free or can be moved; 0 when the page cannot. */
function movablePages(k: Kernel, zone: Zone, pfn: Pfn, waiting: ReadonlyMap<number, number>): number {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & PG_buddy) !== 0) return 2 ** k.page[pfn * PAGE_WORDS + W_PRIVATE]
  const onPcp = waiting.get(pfn)
  if (onPcp !== undefined) return 2 ** onPcp
  if (zone.type === ZONE_MOVABLE) return 1
  if ((flags & PG_lru) === 0) return restOfFreeBlock(k, zone, pfn)
  return (flags & PG_head) !== 0 && compoundOrder(k, pfn) === HPAGE_PMD_ORDER ? HPAGE_PMD_NR : 1
}

/** Pages from this one to the end of the free block around it; 0 when it is in use. */
function restOfFreeBlock(k: Kernel, zone: Zone, pfn: Pfn): number {
  const head = freeBlockOf(k, zone, pfn)
  return head === NO_PAGE ? 0 : head + 2 ** k.page[head * PAGE_WORDS + W_PRIVATE] - pfn
}

/** Orders of the blocks that wait on CPUs' lists, by page. */
function pagesOnPcps(zone: Zone): Map<number, number> {
  const found = new Map<number, number>()
  for (const pcp of zone.pcps)
    pcp.lists.forEach((list, index) => {
      for (let i = 0; i < list.n; i++) found.set(Math.abs(list.ring[(list.head + i) & (list.ring.length - 1)]), orderOf(index))
    })
  return found
}
