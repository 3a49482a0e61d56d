/**
 * Isolating a range of page blocks, so that nobody is given a page of it: what is free there goes to lists that no request looks at, and
 * what is freed there later follows.
 *
 *     |...free....|used..free.|used.......|      each block: all pages free or able to move? then its type is ISOLATE,
 *      isolated     isolated    not yet          and its free pages no longer count as free
 *
 * Outermost blocks first: one that holds a page which cannot move ends the attempt, and blocks isolated by then come back as movable
 * ones, whatever they were. A page can move when it is on an LRU list or a huge TLB page; in the movable zone every page is taken
 * to.
 *
 * Source: mm/page_isolation.c (has_unmovable_pages, set_migratetype_isolate, unset_migratetype_isolate, start_isolate_page_range,
 * test_pages_isolated).
 */
import { ZS } from '../base/counters.ts'
import { PG_buddy, PG_head, PG_hugetlb, PG_lru } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Zone } from '../base/state.ts'
import { asPfn, MIGRATE_ISOLATE, MIGRATE_MOVABLE, NO_PAGE, PAGEBLOCK_PAGES, type Pfn, ZONE_MOVABLE } from '../base/units.ts'
import { freeBlockOf, linkAllVirgin, moveFreepagesBlock, setBlockType } from './buddy.ts'
import { compoundHead, compoundPages, W_PRIVATE } from './page.ts'
import { drainAllPages, orderOf } from './pcp.ts'

/**
 * Isolates the page blocks of [start, end), or none of them when one holds a page that cannot move. What CPUs have on their lists is
 * given back first, so that it is isolated too.
 */
export function startIsolatePageRange(k: Kernel, zone: Zone, start: number, end: number): boolean {
  linkAllVirgin(k, zone)
  const waiting = pagesOnPcps(zone)
  const blocks = [start, end - PAGEBLOCK_PAGES]
  for (let pfn = start + PAGEBLOCK_PAGES; pfn < end - PAGEBLOCK_PAGES; pfn += PAGEBLOCK_PAGES) blocks.push(pfn)
  const bad = blocks.findIndex(block => !isMovable(k, zone, block, waiting))
  if (bad < 0) drainAllPages(k, zone)
  const isolated = (bad < 0 ? blocks : blocks.slice(0, bad)).sort((a, b) => a - b)
  for (const block of isolated) isolateBlock(k, zone, block)
  if (bad >= 0) for (const block of isolated) makeMovable(k, zone, block)
  return bad < 0
}

/** Makes the isolated blocks movable ones; their free pages count as free again. */
export function undoIsolatePageRange(k: Kernel, zone: Zone, start: number, end: number): void {
  for (let pfn = start; pfn < end; pfn += PAGEBLOCK_PAGES) makeMovable(k, zone, pfn)
}

/** Whether every page of the isolated range is free. */
export function pagesIsolated(k: Kernel, start: number, end: number): boolean {
  for (let pfn = start; pfn < end; pfn += 2 ** k.page[pfn * PAGE_WORDS + W_PRIVATE])
    if ((k.page[pfn * PAGE_WORDS] & PG_buddy) === 0) return false
  return true
}

function isolateBlock(k: Kernel, zone: Zone, pfn: number): void {
  zone.stat[ZS.nr_free_pages] -= moveFreepagesBlock(k, zone, pfn, MIGRATE_ISOLATE)
  setBlockType(k, pfn, MIGRATE_ISOLATE)
}

function makeMovable(k: Kernel, zone: Zone, pfn: number): void {
  setBlockType(k, pfn, MIGRATE_MOVABLE)
  zone.stat[ZS.nr_free_pages] += moveFreepagesBlock(k, zone, pfn, MIGRATE_MOVABLE)
}

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
  const head = compoundHead(k, pfn)
  if ((k.page[head * PAGE_WORDS] & PG_hugetlb) !== 0 || (flags & (PG_lru | PG_head)) === (PG_lru | PG_head))
    return head + compoundPages(k, head) - pfn
  return (flags & PG_lru) !== 0 ? 1 : restOfFreeBlock(k, zone, pfn)
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
