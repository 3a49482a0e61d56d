/**
 * Huge entries: 2 MiB mapped by one entry of the pmd level, and how such a mapping turns into 512 small ones.
 *
 *     pmd entry: huge page ──split──> pmd entry: table ──> 512 entries, each the same page + i
 *
 * Splitting the mapping leaves the page whole: other processes may still map it by huge entries. The table for it was set
 * aside when the huge entry was made. A mapping of a file (shmem) is simply dropped; its pages fault back in one by one.
 *
 * Source: mm/huge_memory.c (__split_huge_pmd_locked, __split_huge_zero_page_pmd), include/linux/huge_mm.h.
 */
import { assert } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PG_referenced,
  PG_swapbacked,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_ACCESS_FLAGS,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, type Pfn } from '../base/units.ts'
import { putPage } from '../caches/lru.ts'
import { markTailsTouched, tailPtesAdd, W_MAPCOUNT } from '../frames/page.ts'
import {
  clearEntry,
  countTable,
  depositTable,
  entryFlags,
  entryValue,
  forgetWalk,
  LEVEL_PMD,
  LEVEL_PTE,
  levelIndex,
  setEntry,
  tableFree,
  walkTo,
  withdrawTable,
} from './pagetable.ts'
import { pageRemoveRmap } from './rmap.ts'

/** Resident pages of a kind, by the page that is mapped (mm_counter). */
export function countRss(k: Kernel, mm: Mm, head: Pfn, pages: number): void {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_anon) !== 0) mm.rssAnon += pages
  else if ((flags & PG_swapbacked) !== 0) mm.rssShmem += pages
  else mm.rssFile += pages
}

/** Whether the entry maps a huge page of this level (present or not accessible for now). */
export const isHuge = (flags: number) => (flags & PTE_HUGE) !== 0

/** Takes the spare table of a huge entry back and frees it (zap_deposited_table). */
export function zapDeposited(k: Kernel, mm: Mm, pmd: number): void {
  const table = withdrawTable(k, pmd)
  countTable(k, mm, LEVEL_PTE, table, -1)
  tableFree(k, table)
}

/** Sets aside a fresh table for a huge entry that is about to be made, and counts it as the process'. */
export function depositFresh(k: Kernel, mm: Mm, pmd: number, table: number): void {
  countTable(k, mm, LEVEL_PTE, table, 1)
  depositTable(k, pmd, table)
}

/** Splits the huge mapping that covers the page, if there is one (split_huge_pmd). */
export function splitHugePmdAt(k: Kernel, vma: Vma, vpn: number): void {
  const pmd = walkTo(k, vma.mm, vpn, LEVEL_PMD)
  if (pmd === 0) return
  const i = levelIndex(vpn, LEVEL_PMD)
  if (isHuge(entryFlags(k, pmd, i))) splitHugePmd(k, vma, pmd, i)
}

/** Splits the huge mapping at entry `i` of `pmd`. */
export function splitHugePmd(k: Kernel, vma: Vma, pmd: number, i: number): void {
  const flags = entryFlags(k, pmd, i)
  const head = asPfn(entryValue(k, pmd, i))
  k.event[EV.thp_split_pmd]++
  spend(k, COST.tlb_flush, 1)
  if (vma.mapping !== undefined) dropFilePmd(k, vma, pmd, i, head, flags)
  else if ((flags & PTE_SPECIAL) !== 0) splitZeroPmd(k, vma, pmd, i, flags & PTE_UFFD_WP)
  else splitAnonPmd(k, vma, pmd, i, head, flags)
  forgetWalk(vma.mm)
}

function dropFilePmd(k: Kernel, vma: Vma, pmd: number, i: number, head: Pfn, flags: number): void {
  clearEntry(k, pmd, i)
  if ((flags & PTE_DIRTY) !== 0) k.page[head * PAGE_WORDS] |= PG_dirty
  if ((flags & PTE_ACCESSED) !== 0) k.page[head * PAGE_WORDS] |= PG_referenced
  pageRemoveRmap(k, head, vma, true)
  countRss(k, vma.mm, head, -HPAGE_PMD_NR)
  putPage(k, head)
}

/** Entries made anew are inaccessible only in an area that is: a mark of NUMA balancing goes. */
const protnone = (vma: Vma) => ((vma.flags & VM_ACCESS_FLAGS) === 0 ? PTE_PROTNONE : 0)

/** The huge page of zeros becomes 512 times the small one; who handles writes to it goes on to. */
function splitZeroPmd(k: Kernel, vma: Vma, pmd: number, i: number, uffdWp: number): void {
  const table = withdrawTable(k, pmd)
  const flags = PTE_PRESENT | PTE_ACCESSED | PTE_SPECIAL | uffdWp | protnone(vma)
  for (let j = 0; j < HPAGE_PMD_NR; j++) setEntry(k, table, j, k.zeroPage, flags)
  replaceByTable(k, vma.mm, pmd, i, table)
}

function replaceByTable(k: Kernel, mm: Mm, pmd: number, i: number, table: number): void {
  assert(isHuge(entryFlags(k, pmd, i)), 'a huge entry to split is none')
  setEntry(k, pmd, i, table, PTE_TABLE)
  forgetWalk(mm)
  spend(k, COST.pte_change, HPAGE_PMD_NR)
}

function splitAnonPmd(k: Kernel, vma: Vma, pmd: number, i: number, head: Pfn, flags: number): void {
  const table = withdrawTable(k, pmd)
  const exclusive = (k.page[head * PAGE_WORDS] & PG_anon_exclusive) !== 0
  if ((flags & PTE_DIRTY) !== 0) k.page[head * PAGE_WORDS] |= PG_dirty
  const small = (flags & ~(PTE_HUGE | PTE_PROTNONE | PTE_DIRTY)) | protnone(vma)
  markTailsTouched(k, head)
  for (let j = 0; j < HPAGE_PMD_NR; j++) {
    const at = (head + j) * PAGE_WORDS
    setEntry(k, table, j, head + j, small)
    k.page[at + W_MAPCOUNT]++
    if (exclusive) k.page[at] |= PG_anon_exclusive
  }
  tailPtesAdd(k, head, HPAGE_PMD_NR)
  replaceByTable(k, vma.mm, pmd, i, table)
  pageRemoveRmap(k, head, vma, true)
}
