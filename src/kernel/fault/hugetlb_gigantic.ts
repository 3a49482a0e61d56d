/**
 * Pages of 1 GiB while the machine runs: no list of free memory has blocks of that size, so a range is searched for.
 *
 *     zone     |....|#.u.|.p..|....|....|     aligned GiBs of the node's zones, lowest first
 *               ^ part     ^          ^
 *               reserved   in use by  all free
 *               by boot    pages that can be moved
 *
 * A range is passed over when boot reserved any page of it or a huge TLB page lies in it. Otherwise its page blocks are isolated one by one,
 * the outermost first; one that holds a page which cannot move ends the attempt. Then everything in use is moved away, and if the
 * range is free at last its blocks are taken. Blocks that had been isolated come back as movable ones, whatever they were.
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
import { freeBlockOf, isolateFreeBlock, linkAllVirgin, moveFreepagesBlock, setBlockType } from '../frames/buddy.ts'
import { hasNode } from '../frames/mempolicy.ts'
import { compoundHead, compoundOrder, prepCompound, W_PRIVATE } from '../frames/page.ts'
import { drainAllPages, orderOf } from '../frames/pcp.ts'
import { gfpZone } from '../frames/rmqueue.ts'
import { contigMigrateRange } from './contig_migrate.ts'

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
  if (!isolateRange(k, zone, start, end)) return false
  const free = contigMigrateRange(k, zone, start, end) && allFree(k, start, end)
  if (free) {
    for (let pfn = start; pfn < end; ) pfn += 2 ** isolateFreeBlock(k, zone, asPfn(pfn))
    k.event[EV.compact_isolated] += end - start
  }
  for (let pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) zone.stat[ZS.nr_free_pages] += makeMovable(k, zone, pfn)
  return free
}

/**
 * Isolates the page blocks of the range, or none of them when one holds a page that cannot move (start_isolate_page_range). What CPUs
 * have on their lists is given back first, so that it is isolated too.
 */
function isolateRange(k: Kernel, zone: Zone, start: number, end: number): boolean {
  const waiting = pagesOnPcps(zone)
  const blocks = [start, end - PAGEBLOCK_PAGES]
  for (let pfn = start + PAGEBLOCK_PAGES; pfn < end - PAGEBLOCK_PAGES; pfn += PAGEBLOCK_PAGES) blocks.push(pfn)
  const bad = blocks.findIndex(block => !isMovable(k, zone, block, waiting))
  if (bad < 0) drainAllPages(k, zone)
  const isolated = (bad < 0 ? blocks : blocks.slice(0, bad)).sort((a, b) => a - b)
  for (const block of isolated) isolateBlock(k, zone, block)
  if (bad >= 0) for (const block of isolated) zone.stat[ZS.nr_free_pages] += makeMovable(k, zone, block)
  return bad < 0
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

/** Whether all pages of the block are free or can be moved (has_unmovable_pages). */
function isMovable(k: Kernel, zone: Zone, block: number, waiting: ReadonlyMap<number, number>): boolean {
  for (let pfn = block; pfn < block + PAGEBLOCK_PAGES; ) {
    const pages = movablePages(k, zone, asPfn(pfn), waiting)
    if (pages === 0) return false
    pfn += pages
  }
  return true
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
