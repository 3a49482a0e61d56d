/**
 * KSM's two acts on a page: putting a merged page in its place, and giving its user a page of its own again.
 *
 *     page, writable ──protect──> page, read-only ──┬── becomes the merged page itself
 *                                                   └── same bytes as a merged page: the entry maps that, the page is freed
 *
 * A page can be merged when nobody but page tables and the swap cache holds it. A part of a huge page can after the huge
 * page was split. The merged page is nobody's own: the next write to it faults, and copies.
 *
 * Taking apart is such a write by the kernel, which is why it counts as a fault of whoever asked for it.
 *
 * Source: mm/ksm.c (write_protect_page, replace_page, try_to_merge_one_page, try_to_merge_with_ksm_page, break_ksm, unmerge_ksm_pages).
 */
import { COST, COSTS, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EINTR, ENOMEM } from '../base/errno.ts'
import {
  FAULT_FLAG_WRITE,
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PG_head,
  PG_ksm,
  PG_swapcache,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SPECIAL,
  VM_FAULT_ERROR,
  VM_FAULT_OOM,
  VM_MERGEABLE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'
import { markAccessed, putPage } from '../caches/lru.ts'
import { folioFreeSwap } from '../caches/swap_cache.ts'
import { handleMmFault } from '../fault/fault.ts'
import { compoundHead, pageCount, pageIndex, pageMapped, pageSetOwner, sameContent, totalMapcount } from '../frames/page.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import { K_ANON_VMA, K_SLOT, KSM_WORDS, vpnOf } from '../spaces/ksm_records.ts'
import {
  chunkOf,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PMD,
  levelIndex,
  pteIndex,
  pteTable,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PTE } from '../spaces/pt_lock.ts'
import { pageAddAnonRmap, pageRemoveRmap } from '../spaces/rmap.ts'
import { vmaAt } from '../spaces/vma.ts'
import { leaveTree } from './ksm_nodes.ts'

/** Faults of one page before it is our bug that it stays merged. */
const MAX_TRIES = 8

/** The area at a virtual page, if it may be merged (find_mergeable_vma). */
function mergeableVma(mm: Mm, vpn: number): Vma | undefined {
  if (mm.users === 0) return undefined
  const vma = vmaAt(mm, vpn)
  return vma === undefined || (vma.flags & VM_MERGEABLE) === 0 || vma.anonVma === 0 ? undefined : vma
}

/** The address space of a record. */
const mmOf = (k: Kernel, item: number): Mm | undefined => k.ksm.slotById[k.ksm.records.words[item * KSM_WORDS + K_SLOT]]?.mm

/** The area of a record's place, if it may be merged and its process is still there. */
export function areaOf(k: Kernel, item: number): Vma | undefined {
  const mm = mmOf(k, item)
  return mm === undefined ? undefined : mergeableVma(mm, vpnOf(k.ksm.records.words, item))
}

/** The anonymous page at a record's place, part of a huge one or not; NO_PAGE when there is none any more (get_mergeable_page). */
export function mergeablePage(k: Kernel, item: number): Pfn {
  const vma = areaOf(k, item)
  const page = vma === undefined ? NO_PAGE : mappedPage(k, vma.mm, vpnOf(k.ksm.records.words, item))
  return page !== NO_PAGE && (k.page[compoundHead(k, page) * PAGE_WORDS] & PG_anon) !== 0 ? page : NO_PAGE
}

/** The page that is mapped at a virtual page, the pages of zeros excepted. */
function mappedPage(k: Kernel, mm: Mm, vpn: number): Pfn {
  const table = pteTable(k, mm, vpn)
  if (table !== 0) {
    const chunk = chunkOf(k, table)
    const at = entryAt(table, pteIndex(vpn))
    return (chunk[at + 1] & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT ? asPfn(chunk[at]) : NO_PAGE
  }
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return NO_PAGE
  const flags = entryFlags(k, pmd, levelIndex(vpn, LEVEL_PMD))
  if (!isHuge(flags) || (flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return NO_PAGE
  return asPfn(entryValue(k, pmd, levelIndex(vpn, LEVEL_PMD)) + pteIndex(vpn))
}

/** Gives the place its own copy if it maps a merged page; -ENOMEM when there is no page for it (break_ksm). */
function breakKsm(k: Kernel, vma: Vma, vpn: number): number {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const page = mappedPage(k, vma.mm, vpn)
    if (page === NO_PAGE || (k.page[page * PAGE_WORDS] & PG_ksm) === 0) return 0
    const ret = handleMmFault(k, vma, vpn, FAULT_FLAG_WRITE)
    if ((ret & VM_FAULT_OOM) !== 0) return -ENOMEM
    if ((ret & VM_FAULT_ERROR) !== 0) return 0
  }
  return 0
}

/** Undoes the merge of a record's page, which is not in the tree of merged pages yet (break_cow). */
export function breakCow(k: Kernel, item: number): void {
  const vma = areaOf(k, item)
  if (vma !== undefined) breakKsm(k, vma, vpnOf(k.ksm.records.words, item))
}

/** Gives [start, end) of the area its own pages; -ENOMEM, or -EINTR for a caller that is being killed (unmerge_ksm_pages). */
export function unmergePages(k: Kernel, vma: Vma, start: number, end: number): number {
  const { mm } = vma
  for (let at = start; at < end; ) {
    if (mm.users === 0) return 0
    if (k.current !== undefined && k.current.killed !== 0) return -EINTR
    const next = Math.min(end, at - pteIndex(at) + HPAGE_PMD_NR)
    const error = pteTable(k, mm, at) === 0 ? 0 : unmergeTable(k, vma, at, next)
    if (error < 0) return error
    at = next
  }
  return 0
}

function unmergeTable(k: Kernel, vma: Vma, start: number, end: number): number {
  const table = pteTable(k, vma.mm, start)
  const first = pteIndex(start)
  spend(k, COST.pte_visit, end - start)
  for (let i = 0; i < end - start; i++) {
    const flags = entryFlags(k, table, first + i)
    if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue
    if ((k.page[entryValue(k, table, first + i) * PAGE_WORDS] & PG_ksm) === 0) continue
    if (k.current !== undefined && k.current.killed !== 0) return -EINTR
    const error = breakKsm(k, vma, start + i)
    if (error < 0) return error
  }
  return 0
}

// --- merging

/** Changing an entry holds its table's lock until others know. */
const CHANGE_HOLD_NS = COSTS.tlb_flush + COSTS.pte_change

/**
 * Makes the page at a place of the area a merged one, or replaces it by one (try_to_merge_one_page).
 * @param into the merged page with the same bytes, or the page of zeros; NO_PAGE: the page becomes a merged page.
 * @param pinned how many of this huge page's parts the caller holds: a huge page held twice cannot be split.
 */
export function mergeOne(k: Kernel, vma: Vma, vpn: number, page: Pfn, into: Pfn, pinned = 1): boolean {
  if (page === into) return true
  const head = compoundHead(k, page)
  if ((k.page[head * PAGE_WORDS] & PG_anon) === 0) return false
  if ((k.page[head * PAGE_WORDS] & PG_head) !== 0 && !splitFor(k, head, pinned)) return false
  if ((k.page[page * PAGE_WORDS] & PG_ksm) !== 0) return false
  const table = pteTable(k, vma.mm, vpn)
  const i = pteIndex(vpn)
  if (table === 0 || entryValue(k, table, i) !== page || !writeProtect(k, vma.mm, page, table, i)) return false
  if (into === NO_PAGE) {
    k.page[page * PAGE_WORDS] |= PG_ksm | PG_dirty
    pageSetOwner(k, page, 0, pageIndex(k, page))
    markAccessed(k, page)
    return true
  }
  spend(k, COST.ksm_compare_whole, 1)
  if (!sameContent(k, page, into)) return false
  replacePage(k, vma, vpn, page, into)
  return true
}

/** Splits the huge page; one that is held more than once cannot be split, which counts as a failure. */
function splitFor(k: Kernel, head: Pfn, pinned: number): boolean {
  if (pinned === 1) return splitHugePage(k, head) === 0
  k.event[EV.thp_split_page_failed]++
  return false
}

/** Makes the one entry of the page read-only and clean; false when somebody else holds the page (write_protect_page). */
function writeProtect(k: Kernel, mm: Mm, page: Pfn, table: number, i: number): boolean {
  const flags = entryFlags(k, table, i)
  const at = page * PAGE_WORDS
  if ((flags & (PTE_RW | PTE_DIRTY)) === 0 && (k.page[at] & PG_anon_exclusive) === 0) return true
  const swapped = (k.page[at] & PG_swapcache) !== 0 ? 1 : 0
  spend(k, COST.tlb_flush, 1)
  holdPtLock(k, mm, LOCK_PTE, CHANGE_HOLD_NS)
  if (pageCount(k, page) !== totalMapcount(k, page) + swapped) return false
  k.page[at] &= ~PG_anon_exclusive
  if ((flags & PTE_DIRTY) !== 0) k.page[at] |= PG_dirty
  setEntry(k, table, i, page, flags & ~(PTE_RW | PTE_DIRTY))
  spend(k, COST.pte_change, 1)
  return true
}

/** Maps `into` in the place of the page, which is let go (replace_page). */
function replacePage(k: Kernel, vma: Vma, vpn: number, page: Pfn, into: Pfn): void {
  const table = pteTable(k, vma.mm, vpn)
  const i = pteIndex(vpn)
  const kept = PTE_PRESENT | PTE_ACCESSED | (entryFlags(k, table, i) & PTE_PROTNONE)
  if (into === k.zeroPage) {
    vma.mm.rssAnon--
    setEntry(k, table, i, into, kept | PTE_SPECIAL)
  } else {
    pageAddAnonRmap(k, into, vma, vpn - vma.start, false, false)
    setEntry(k, table, i, into, kept)
  }
  spend(k, COST.pte_change, 1)
  spend(k, COST.tlb_flush, 1)
  holdPtLock(k, vma.mm, LOCK_PTE, CHANGE_HOLD_NS)
  pageRemoveRmap(k, page, vma, false)
  if ((k.page[page * PAGE_WORDS] & PG_swapcache) !== 0 && !pageMapped(k, page)) folioFreeSwap(k, page)
  putPage(k, page)
}

/** The same at a record's place; a record whose page was merged leaves the tree of candidates (try_to_merge_with_ksm_page). */
export function mergeWith(k: Kernel, item: number, page: Pfn, into: Pfn, pinned = 1): boolean {
  const vma = areaOf(k, item)
  if (vma === undefined || !mergeOne(k, vma, vpnOf(k.ksm.records.words, item), page, into, pinned)) return false
  leaveTree(k, item)
  k.ksm.records.words[item * KSM_WORDS + K_ANON_VMA] = vma.anonVma
  return true
}

/** Makes the page a merged one and puts it in the other's place too; undone when only half of that succeeds (try_to_merge_two_pages). */
export function mergeTwo(k: Kernel, item: number, page: Pfn, otherItem: number, otherPage: Pfn): boolean {
  const held = compoundHead(k, page) === compoundHead(k, otherPage) ? 2 : 1
  if (!mergeWith(k, item, page, NO_PAGE, held)) return false
  if (mergeWith(k, otherItem, otherPage, page)) return true
  breakCow(k, item)
  return false
}
