/**
 * Areas of huge TLB pages: their promises and their entries.
 *
 *     size     entry that maps a page        an area's bounds
 *     2 MiB    of the pmd level              multiples of 2 MiB
 *     1 GiB    of the pud level              multiples of 1 GiB
 *
 * Who maps huge pages privately is promised a page for each when it maps them, for life: the area's map lists the pages that have used their
 * promise up. All pieces the area is cut into have the map in common; a forked copy has none, and takes its chances. Pages of
 * shared mappings are promised to the file (caches/hugetlb_cache.ts).
 *
 * Address spaces that share a whole aligned GiB of a file in 2 MiB pages use one table for it: what one of them faults in,
 * the others find there. The table is taken apart from one of them when the GiB is no longer whole or changes its protection.
 *
 * Invariant: a table is in spaces.sharedTables with the number of pud entries beyond the first that point to it.
 *
 * Source: mm/hugetlb.c (hugetlb_vm_op_open, hugetlb_vm_op_close, hugetlb_split, __unmap_hugepage_range, huge_pmd_unshare,
 * hugetlb_unshare_pmds, move_hugetlb_page_tables), arch/x86/mm/hugetlbpage.c.
 */
import { must } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { PG_dirty, PTE_DIRTY, PTE_PRESENT, PTE_TABLE, VM_MAYSHARE } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { regionCount } from '../base/regions.ts'
import type { Kernel } from '../base/state.ts'
import type { HugetlbInode, HugetlbSubpool, Mapping } from '../base/state_fs.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { HugetlbResv, Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PUD_NR, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { hugePages, putHugePage, returnPromises, subpoolPut } from '../frames/hugetlb_pool.ts'
import { compoundMapcountAdd } from '../frames/page.ts'
import { clearEntry, entryFlags, entryValue, LEVEL_PAGES, LEVEL_PMD, LEVEL_PUD, levelIndex, setEntry, walkTo } from './pagetable.ts'

/** What is asked about an area of huge TLB pages; fallocate has no area and makes one up. */
export type HugeArea = Pick<Vma, 'flags' | 'mapping' | 'pgoff' | 'policy' | 'resv'>

const mappingOf = (area: Pick<HugeArea, 'mapping'>): Mapping => must(area.mapping, 'an area of huge TLB pages maps no file')

export const hugeInode = (area: Pick<HugeArea, 'mapping'>): HugetlbInode =>
  must(mappingOf(area).inode.hugetlb, 'an area of huge TLB pages maps another file')

export const hstateOfArea = (k: Kernel, area: HugeArea): Hstate => k.hugetlb.hstates[hugeInode(area).hstate]

/** The quota that the area's pages count in. */
export const subpoolOfArea = (area: HugeArea): HugetlbSubpool | undefined => mappingOf(area).inode.sb.hugetlb

/** Index in the file, in huge pages, of the page `offset` base pages into the area. */
export const hugeIndex = (h: Hstate, area: HugeArea, offset: number): number => Math.floor((area.pgoff + offset) / hugePages(h))

/** The private promises of an area, if it has any. */
export const privatePromises = (area: HugeArea): HugetlbResv | undefined => (typeof area.resv === 'object' ? area.resv : undefined)

/** Level of the entries that map pages of the size. */
export const hugeLevel = (h: Hstate): number => (h.gigantic ? LEVEL_PUD : LEVEL_PMD)

/** A piece is cut off an area: both have its promises. */
export function hugeAreaOpen(area: HugeArea): void {
  const resv = privatePromises(area)
  if (resv !== undefined) resv.refs++
}

/** An area goes, its pages are unmapped: promises it has not used are taken back. */
export function hugeAreaClose(k: Kernel, area: Vma): void {
  const resv = privatePromises(area)
  if (resv === undefined) return
  const h = hstateOfArea(k, area)
  const first = hugeIndex(h, area, 0)
  const end = hugeIndex(h, area, area.end - area.start)
  const unused = end - first - regionCount(resv.consumed, first, end)
  if (unused > 0) returnPromises(k, h, subpoolPut(k, subpoolOfArea(area), unused))
  resv.refs--
  area.resv = undefined
}

/** The pages of an area now belong to another one, which has its promises too (clear_vma_resv_huge_pages). */
export function hugeAreaMoved(area: Vma): void {
  const resv = privatePromises(area)
  if (resv !== undefined) resv.refs--
  area.resv = undefined
}

// --- shared tables

export const isSharedTable = (k: Kernel, table: number): boolean => k.spaces.sharedTables.has(table)

/** Lets an address space use another one's table for a GiB; the entry above must be empty. */
export function shareTable(k: Kernel, mm: Mm, vpn: number, table: number): void {
  setEntry(k, walkTo(k, mm, vpn, LEVEL_PUD), levelIndex(vpn, LEVEL_PUD), table, PTE_TABLE)
  k.spaces.sharedTables.set(table, (k.spaces.sharedTables.get(table) ?? 0) + 1)
  k.spaces.tablesWereShared = true
  mm.pgtablesBytes += PAGE_SIZE
}

/** Takes a table that others use too away from this address space; false when it is its own. */
export function unshareTable(k: Kernel, mm: Mm, vpn: number, table: number): boolean {
  const others = k.spaces.sharedTables.get(table)
  if (others === undefined) return false
  clearEntry(k, walkTo(k, mm, vpn, LEVEL_PUD), levelIndex(vpn, LEVEL_PUD))
  if (others === 1) k.spaces.sharedTables.delete(table)
  else k.spaces.sharedTables.set(table, others - 1)
  mm.pgtablesBytes -= PAGE_SIZE
  spend(k, COST.tlb_flush, 1)
  return true
}

/** An area is about to be cut at a page: a table for the GiB around it that is shared can no longer be (hugetlb_split). */
export function unshareAround(k: Kernel, vma: Vma, at: number): void {
  const floor = at - (at % HPAGE_PUD_NR)
  if (floor === at || floor < vma.start || floor + HPAGE_PUD_NR > vma.end) return
  const table = walkTo(k, vma.mm, at, LEVEL_PMD)
  if (table !== 0) unshareTable(k, vma.mm, at, table)
}

/** No table of the area may be shared any more (hugetlb_unshare_all_pmds). */
export function unshareAreaTables(k: Kernel, vma: Vma): void {
  for (let at = vma.start - (vma.start % HPAGE_PUD_NR); at < vma.end; at += HPAGE_PUD_NR) {
    const table = walkTo(k, vma.mm, at, LEVEL_PMD)
    if (table !== 0) unshareTable(k, vma.mm, at, table)
  }
}

// --- entries

/** First page behind `vpn` that another table of the level covers. */
export function nextTable(vpn: number, level: number): number {
  const span = LEVEL_PAGES[level - 1]
  return vpn - (vpn % span) + span
}

/**
 * Unmaps the huge pages in [start, end) of the area; those that nobody holds any more are freed.
 * @param only unmap just this page, because its owner cannot get another: the area then may not fault any more.
 */
export function unmapHugeRange(k: Kernel, vma: Vma, start: number, end: number, only: Pfn = NO_PAGE): void {
  const h = hstateOfArea(k, vma)
  const level = hugeLevel(h)
  for (let at = start; at < end; ) {
    const table = walkTo(k, vma.mm, at, level)
    if (table === 0 || unshareTable(k, vma.mm, at, table)) {
      at = nextTable(at, level)
      continue
    }
    unmapHugeEntry(k, vma, h, table, levelIndex(at, level), only)
    at += hugePages(h)
  }
  spend(k, COST.tlb_flush, 1)
}

function unmapHugeEntry(k: Kernel, vma: Vma, h: Hstate, table: number, i: number, only: Pfn): void {
  const flags = entryFlags(k, table, i)
  if (flags === 0) return
  const head = asPfn(entryValue(k, table, i))
  const present = (flags & PTE_PRESENT) !== 0
  if (only !== NO_PAGE) {
    if (!present || head !== only) return
    vma.resv = 'lost'
  }
  clearEntry(k, table, i)
  spend(k, COST.pte_change, 1)
  if (!present) return
  if ((flags & PTE_DIRTY) !== 0) k.page[head * PAGE_WORDS] |= PG_dirty
  vma.mm.hugetlbPages -= hugePages(h)
  compoundMapcountAdd(k, head, -1)
  putHugePage(k, head)
}

/** Whether the area maps the file's own pages, and no copies. */
export const isSharedArea = (area: HugeArea): boolean => (area.flags & VM_MAYSHARE) !== 0
