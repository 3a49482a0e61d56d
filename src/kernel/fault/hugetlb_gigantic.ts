/**
 * Pages of 1 GiB while the machine runs: no list of free memory has blocks of that size, so a range is searched for.
 *
 *     zone     |....|#.u.|.p..|....|....|     aligned GiBs of the node's zones, lowest first
 *               ^ part     ^          ^
 *               reserved   in use by  all free
 *               by boot    pages that can be moved
 *
 * A range is passed over when boot reserved any page of it or a huge TLB page lies in it. Otherwise it is isolated, everything in use
 * is moved away, and if the range is free at last its blocks are taken.
 *
 * Source: mm/page_alloc.c (alloc_contig_pages, pfn_range_valid_contig, alloc_contig_range).
 */
import { EV } from '../base/counters.ts'
import { __GFP_THISNODE, PG_hugetlb } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Zone } from '../base/state.ts'
import { alignUp, asPfn, NO_PAGE, type NodeId, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, type Pfn } from '../base/units.ts'
import { isolateFreeBlock } from '../frames/buddy.ts'
import { hasNode } from '../frames/mempolicy.ts'
import { compoundHead, prepCompound } from '../frames/page.ts'
import { pagesIsolated, startIsolatePageRange, undoIsolatePageRange } from '../frames/page_isolation.ts'
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
  if (!startIsolatePageRange(k, zone, start, end)) return false
  const free = contigMigrateRange(k, zone, start, end) && pagesIsolated(k, start, end)
  if (free) {
    for (let pfn = start; pfn < end; ) pfn += 2 ** isolateFreeBlock(k, zone, asPfn(pfn))
    k.event[EV.compact_isolated] += end - start
  }
  undoIsolatePageRange(k, zone, start, end)
  return free
}
