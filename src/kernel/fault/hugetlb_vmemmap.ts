/**
 * Giving back the page records of huge TLB pages.
 *
 * Every page frame has a record of 64 bytes, so 64 of them fill a page. Of a huge page only the first few records say anything; those of the
 * other tails are all the same. With hugetlb_optimize_vmemmap (or hugetlb_free_vmemmap=on from boot on), when a page joins a pool, its first
 * page of records is mapped in place of all others, and their frames are free memory:
 *
 *     records of 2 MiB    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |          1 GiB: 4095 of 4096
 *                           ^   └───┴───┴───┴───┴───┴───┴──> to the buddy allocator
 *                           └── what all eight show from then on
 *
 * Frames that boot made the records of were never the buddy allocator's: the zone manages that much more from then on, and MemTotal grows.
 * Boot maps the records of a section of 128 MiB by one entry of 2 MiB; the first page to be optimized there takes a page table for that, for good.
 *
 * Before a page becomes ordinary memory again it needs its records back: pages of its own node. Where there are none it stays in the
 * pool, as surplus. Who frees a huge page in the middle of something cannot wait for memory, so that the page leaves its pool, and a
 * worker frees it a moment later.
 *
 * Invariants: a page of records has a frame unless it belongs to an optimized page and is not its first; what waits for the worker is
 * optimized, and in no pool.
 *
 * Source: mm/hugetlb_vmemmap.c, mm/hugetlb.c (__update_and_free_page, update_and_free_page, free_hpage_workfn, add_hugetlb_page).
 */
import { allocPagesNode } from '../alloc/page_alloc.ts'
import { must } from '../base/assert.ts'
import { COST, spend, spendOnPages } from '../base/cost.ts'
import { __GFP_NORETRY, __GFP_THISNODE, __GFP_ZERO, GFP_KERNEL, PG_hugetlb } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Hstate } from '../base/state_huge.ts'
import { asPfn, NO_PAGE, type NodeId, type Pfn } from '../base/units.ts'
import { enqueueHugePage, hugePages, prepNewHugePage, releaseHugePage } from '../frames/hugetlb_pool.ts'
import { compoundOrder, pageNode, pageZone } from '../frames/page.ts'
import { ALL_NODES, freePages } from '../frames/rmqueue.ts'

/** Records in a page, and pages of records that one large entry maps: a section's. */
const RECORDS = 64
const SECTION_RECORD_PAGES = 512

/** Pages of records that a huge page can do without. */
const spareRecords = (h: Hstate): number => hugePages(h) / RECORDS - 1

/** Gives back what records a page can do without, if that is wanted and possible: it is about to join the pool (hugetlb_vmemmap_optimize). */
export function vmemmapOptimize(k: Kernel, h: Hstate, head: Pfn): void {
  if (k.sysctl.hugetlb_optimize_vmemmap === 0 || !splitLargeEntries(k, h, head)) return
  const first = head / RECORDS + 1
  for (let at = first; at < first + spareRecords(h); at++) freeRecordPage(k, at)
  spend(k, COST.pte_change, spareRecords(h))
  spend(k, COST.tlb_flush, 1)
  k.hugetlb.vmemmap.optimized.add(head)
}

/** Has the page's records mapped page by page; false when there is no memory for a table (split_vmemmap_huge_pmd). */
function splitLargeEntries(k: Kernel, h: Hstate, head: Pfn): boolean {
  const { tables } = k.hugetlb.vmemmap
  const first = Math.floor(head / RECORDS / SECTION_RECORD_PAGES)
  const last = Math.floor((head / RECORDS + spareRecords(h)) / SECTION_RECORD_PAGES)
  for (let section = first; section <= last; section++) {
    if (tables.has(section)) continue
    const table = allocPagesNode(k, GFP_KERNEL | __GFP_ZERO, 0, pageNode(k, head), ALL_NODES)
    if (table === NO_PAGE) return false
    tables.set(section, table)
    spend(k, COST.pte_change, SECTION_RECORD_PAGES)
  }
  return true
}

/** The frame of a page of records goes; one of boot's is managed from now on (free_vmemmap_page). */
function freeRecordPage(k: Kernel, at: number): void {
  const { moved, frames } = k.hugetlb.vmemmap
  const own = moved.get(at)
  if (own !== undefined) {
    moved.delete(at)
    freePages(k, asPfn(own), 0)
    return
  }
  const base = must(frames.get(Math.floor(at / SECTION_RECORD_PAGES)), 'a section has no page records')
  const pfn = asPfn(base + (at % SECTION_RECORD_PAGES))
  const released = k.hugetlb.vmemmap.released.get(base / SECTION_RECORD_PAGES) ?? new Uint8Array(SECTION_RECORD_PAGES)
  k.hugetlb.vmemmap.released.set(base / SECTION_RECORD_PAGES, released)
  released[at % SECTION_RECORD_PAGES] = 1
  pageZone(k, pfn).managedPages++
  k.totalramPages++
  freePages(k, pfn, 0)
}

/** Gives an optimized page its records back; false when there is no memory for them on its node (hugetlb_vmemmap_restore). */
export function vmemmapRestore(k: Kernel, h: Hstate, head: Pfn): boolean {
  const { vmemmap } = k.hugetlb
  if (!vmemmap.optimized.has(head)) return true
  const pages = recordPages(k, spareRecords(h), pageNode(k, head))
  if (pages === undefined) return false
  pages.forEach((pfn, i) => {
    vmemmap.moved.set(head / RECORDS + 1 + i, pfn)
    spendOnPages(k, COST.copy_page, pfn, 1)
  })
  vmemmap.optimized.delete(head)
  return true
}

/** So many pages of a node, or none of them (alloc_vmemmap_page_list). */
function recordPages(k: Kernel, count: number, nid: NodeId): Pfn[] | undefined {
  const pages: Pfn[] = []
  while (pages.length < count) {
    const pfn = allocPagesNode(k, GFP_KERNEL | __GFP_NORETRY | __GFP_THISNODE, 0, nid, ALL_NODES)
    if (pfn === NO_PAGE) {
      for (const page of pages) freePages(k, page, 0)
      return undefined
    }
    pages.push(pfn)
  }
  return pages
}

/** Frees the pages that left their pools and wait for their records; those that there are none for go back, as surplus (free_hpage_workfn). */
export function freeHugePagesLeft(k: Kernel): void {
  const { leaving } = k.hugetlb.vmemmap
  for (let head = leaving.shift(); head !== undefined; head = leaving.shift()) freeLeft(k, asPfn(head))
}

/** The same as a work item, on the lists of the CPU where the first of them was freed. */
export function runFreeHugePages(k: Kernel): void {
  if (k.cpus[k.hugetlb.vmemmap.cpu].online) k.cpu = k.hugetlb.vmemmap.cpu
  freeHugePagesLeft(k)
}

function freeLeft(k: Kernel, head: Pfn): void {
  const order = compoundOrder(k, head)
  const h = must(
    k.hugetlb.hstates.find(each => each.order === order),
    'a page that is to leave its pool is of no size',
  )
  k.page[head * PAGE_WORDS] |= PG_hugetlb
  if (vmemmapRestore(k, h, head)) {
    releaseHugePage(k, h, head)
    return
  }
  prepNewHugePage(k, h, head)
  h.surplusHugePages++
  h.surplusByNode[pageNode(k, head)]++
  enqueueHugePage(k, h, head)
}
