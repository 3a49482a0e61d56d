/**
 * Faults where a whole 2 MiB can be mapped at once, and what system calls do to such a mapping.
 *
 *     pmd entry empty, huge pages wanted       read: the huge page of zeros     write: a huge page, zeroed
 *         no such page to be had               fall back to single pages
 *     write to a read-only huge entry          the only user: writable in place
 *         shared, or the page of zeros         split the entry, copy one page
 *
 * There is one huge page of zeros. Each address space that maps it holds one use of it until it ends; one more use is the
 * shrinker's (reclaim/thp_split.ts), which frees the page when no other is left.
 *
 * Every huge entry of private memory keeps a spare table (spaces/huge_pmd.ts) that moves with it.
 *
 * Source: mm/huge_memory.c (do_huge_pmd_anonymous_page, do_huge_pmd_wp_page, mm_get_huge_zero_page,
 * madvise_free_huge_pmd, move_huge_pmd, change_huge_pmd), mm/memory.c (__handle_mm_fault, do_set_pmd).
 */

import { memcgCharge } from '../alloc/charge.ts'
import { allocPages, allocPagesVma } from '../alloc/page_alloc.ts'
import { COST, spend, spendOnPages } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  __GFP_MOVABLE,
  __GFP_ZERO,
  GFP_TRANSHUGE,
  PG_anon_exclusive,
  PG_dirty,
  PG_uptodate,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  VM_FAULT_FALLBACK,
  VM_FAULT_OOM,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
  VM_USERFAULT,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, NO_PAGE, type Pfn } from '../base/units.ts'
import { markPageLazyfree } from '../caches/lru.ts'
import { countMemcgEvent } from '../frames/memcg.ts'
import { compoundOrder, pageCount, totalMapcount } from '../frames/page.ts'
import { freeCharged, freePages } from '../frames/rmqueue.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { countRss, depositFresh, isHuge, splitHugePmd } from '../spaces/huge_pmd.ts'
import {
  clearEntry,
  depositTable,
  entryFlags,
  entryValue,
  LEVEL_PMD,
  levelIndex,
  pteIndex,
  setEntry,
  tableAllocate,
  walkTo,
  withdrawTable,
} from '../spaces/pagetable.ts'
import { lruAddVma, pageAddFileRmap, pageAddNewAnonRmap, pageMoveAnonRmap } from '../spaces/rmap.ts'
import { prepareAnon, vmPageProt } from '../spaces/vma.ts'
import { hugepageVmaCheck, khugepagedEnterVma, transhugeVmaSuitable, vmaThpGfpMask } from './huge_memory_check.ts'
import { doNumaPage } from './numa_fault.ts'
import { makeTables, tablePage } from './tables.ts'
import { userfault2014 } from './userfault_2014.ts'
import { handleUserfault } from './userfaultfd.ts'

const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY
const { thp_fault_alloc: FAULT_ALLOC, thp_fault_fallback: FAULT_FALLBACK } = EV

/**
 * The part of a fault that concerns 2 MiB as a whole, for a page that no table of single entries covers.
 * @returns VM_FAULT_FALLBACK when the fault is to be handled for a single page, else what the fault says.
 */
export function handleHugeFault(k: Kernel, vma: Vma): number {
  const vpn = k.vmf.vpn[0]
  if (!makeTables(k, vma.mm, vpn, LEVEL_PMD)) return VM_FAULT_OOM
  const pmd = walkTo(k, vma.mm, vpn, LEVEL_PMD)
  const i = levelIndex(vpn, LEVEL_PMD)
  const flags = entryFlags(k, pmd, i)
  if (flags === 0) return hugepageVmaCheck(k, vma, vma.flags, 'fault') ? doHugePmdAnonymousPage(k, vma, pmd, i) : VM_FAULT_FALLBACK
  if (!isHuge(flags)) return VM_FAULT_FALLBACK
  if ((flags & PTE_PROTNONE) !== 0) return doNumaPage(k, vma, pmd, i, true)
  if (k.vmf.write && (flags & PTE_UFFD_WP) !== 0 && (vma.flags & VM_UFFD_WP) !== 0) return handleUserfault(k, vma, VM_UFFD_WP)
  if (k.vmf.write && (flags & PTE_RW) === 0) return wpHugePmd(k, vma, pmd, i, flags)
  setEntry(k, pmd, i, entryValue(k, pmd, i), flags | PTE_ACCESSED | (k.vmf.write ? WRITTEN : 0))
  return 0
}

/** The first touch of 2 MiB of private anonymous memory. */
function doHugePmdAnonymousPage(k: Kernel, vma: Vma, pmd: number, i: number): number {
  const vpn = k.vmf.vpn[0]
  if (!transhugeVmaSuitable(vma, vpn)) return VM_FAULT_FALLBACK
  prepareAnon(k, vma)
  khugepagedEnterVma(k, vma, vma.flags)
  if ((vma.flags & (VM_UFFD_MISSING | VM_USERFAULT)) !== 0) return missingHuge(k, vma)
  if (!k.vmf.write && k.thp.useZeroPage) return mapHugeZeroPage(k, vma.mm, pmd, i)
  const offset = k.vmf.offset - pteIndex(vpn)
  const head = allocPagesVma(k, vmaThpGfpMask(k, vma), HPAGE_PMD_ORDER, vma, offset)
  if (head === NO_PAGE) {
    k.event[FAULT_FALLBACK]++
    return VM_FAULT_FALLBACK
  }
  if (!memcgCharge(k, head, vma.mm, vmaThpGfpMask(k, vma))) {
    freePages(k, head, HPAGE_PMD_ORDER)
    k.event[FAULT_FALLBACK]++
    k.event[EV.thp_fault_fallback_charge]++
    return VM_FAULT_FALLBACK
  }
  const spare = tablePage(k)
  if (spare === NO_PAGE) {
    freeCharged(k, head, HPAGE_PMD_ORDER)
    return VM_FAULT_OOM
  }
  clearHugePage(k, head)
  pageAddNewAnonRmap(k, head, vma, offset, true)
  lruAddVma(k, head, vma)
  depositFresh(k, vma.mm, pmd, tableAllocate(k, spare))
  setEntry(k, pmd, i, head, mkHugePmd(vma, true))
  vma.mm.rssAnon += HPAGE_PMD_NR
  k.event[FAULT_ALLOC]++
  countMemcgEvent(k, vma.mm.memcg, FAULT_ALLOC, 1)
  return 0
}

/** Missing pages of the area are its userfaultfd's, which is found out when all that the fault needs is there. */
function missingHuge(k: Kernel, vma: Vma): number {
  const zero = !k.vmf.write && k.thp.useZeroPage
  const head = zero ? NO_PAGE : allocPagesVma(k, vmaThpGfpMask(k, vma), HPAGE_PMD_ORDER, vma, k.vmf.offset - pteIndex(k.vmf.vpn[0]))
  if (!zero && head === NO_PAGE) {
    k.event[FAULT_FALLBACK]++
    return VM_FAULT_FALLBACK
  }
  const spare = tablePage(k)
  if (spare !== NO_PAGE) freePages(k, spare, 0)
  if (zero && spare !== NO_PAGE && mmGetHugeZeroPage(k, vma.mm) === NO_PAGE) {
    k.event[FAULT_FALLBACK]++
    return VM_FAULT_FALLBACK
  }
  if (!zero) {
    if (spare !== NO_PAGE) spendOnPages(k, COST.clear_page, head, HPAGE_PMD_NR)
    freePages(k, head, HPAGE_PMD_ORDER)
  }
  if (spare === NO_PAGE) return VM_FAULT_OOM
  return (vma.flags & VM_USERFAULT) !== 0 ? userfault2014(k, vma) : handleUserfault(k, vma, VM_UFFD_MISSING)
}

/** Entry flags of a huge page just mapped into an area. */
export function mkHugePmd(vma: Vma, dirty: boolean): number {
  const present = PTE_PRESENT | PTE_HUGE | PTE_ACCESSED
  return dirty ? present | WRITTEN | ((vma.flags & VM_WRITE) !== 0 ? PTE_RW : 0) : present | vmPageProt(vma)
}

function clearHugePage(k: Kernel, head: Pfn): void {
  spendOnPages(k, COST.clear_page, head, HPAGE_PMD_NR)
  k.page[head * PAGE_WORDS] |= PG_uptodate
}

// --- the huge page of zeros

function mapHugeZeroPage(k: Kernel, mm: Mm, pmd: number, i: number): number {
  const spare = tablePage(k)
  if (spare === NO_PAGE) return VM_FAULT_OOM
  const zero = mmGetHugeZeroPage(k, mm)
  if (zero === NO_PAGE) {
    freePages(k, spare, 0)
    k.event[FAULT_FALLBACK]++
    return VM_FAULT_FALLBACK
  }
  depositFresh(k, mm, pmd, tableAllocate(k, spare))
  setEntry(k, pmd, i, zero, PTE_PRESENT | PTE_HUGE | PTE_ACCESSED | PTE_SPECIAL)
  return 0
}

/** The huge page of zeros on behalf of an address space, which holds it from now on until it ends; NO_PAGE when there is none to be had. */
export function mmGetHugeZeroPage(k: Kernel, mm: Mm): Pfn {
  const thp = k.thp
  if (mm.hugeZeroPage) return thp.hugeZeroPage
  if (thp.hugeZeroUsers === 0 && !makeHugeZeroPage(k)) return NO_PAGE
  thp.hugeZeroUsers++
  mm.hugeZeroPage = true
  return thp.hugeZeroPage
}

function makeHugeZeroPage(k: Kernel): boolean {
  const head = allocPages(k, (GFP_TRANSHUGE | __GFP_ZERO) & ~__GFP_MOVABLE, HPAGE_PMD_ORDER)
  if (head === NO_PAGE) {
    k.event[EV.thp_zero_page_alloc_failed]++
    return false
  }
  clearHugePage(k, head)
  k.thp.hugeZeroPage = head
  k.thp.hugeZeroUsers = 1
  k.event[EV.thp_zero_page_alloc]++
  return true
}

/** An address space ends its use of the huge page of zeros. */
export function mmPutHugeZeroPage(k: Kernel, mm: Mm): void {
  if (mm.hugeZeroPage) k.thp.hugeZeroUsers--
  mm.hugeZeroPage = false
}

// --- writing to a read-only huge entry

/** A write to a huge entry that does not allow it, in an area that does. */
function wpHugePmd(k: Kernel, vma: Vma, pmd: number, i: number, flags: number): number {
  const head = asPfn(entryValue(k, pmd, i))
  if (vma.mapping !== undefined || (flags & PTE_SPECIAL) !== 0 || !mayReuse(k, head)) {
    splitHugePmd(k, vma, pmd, i)
    return VM_FAULT_FALLBACK
  }
  if ((k.page[head * PAGE_WORDS] & PG_anon_exclusive) === 0) {
    pageMoveAnonRmap(k, head, vma, k.vmf.offset - pteIndex(k.vmf.vpn[0]))
    k.page[head * PAGE_WORDS] |= PG_anon_exclusive
  }
  setEntry(k, pmd, i, head, flags | PTE_ACCESSED | WRITTEN | PTE_RW)
  return 0
}

/** Huge pages never wait in a batch, so the count tells at once whether anybody else has the page. */
const mayReuse = (k: Kernel, head: Pfn) => (k.page[head * PAGE_WORDS] & PG_anon_exclusive) !== 0 || pageCount(k, head) === 1

// --- page-cache pages

/**
 * Maps a huge page of a file (shmem) by one entry, which must be empty (do_set_pmd).
 * @returns 0, or VM_FAULT_FALLBACK when area or page do not fit.
 */
export function doSetPmd(k: Kernel, vma: Vma, vpn: number, head: Pfn, write: boolean): number {
  const pmd = walkTo(k, vma.mm, vpn, LEVEL_PMD)
  const i = levelIndex(vpn, LEVEL_PMD)
  if (!transhugeVmaSuitable(vma, vpn) || compoundOrder(k, head) !== HPAGE_PMD_ORDER || pmd === 0 || entryFlags(k, pmd, i) !== 0)
    return VM_FAULT_FALLBACK
  countRss(k, vma.mm, head, HPAGE_PMD_NR)
  pageAddFileRmap(k, head, vma, true)
  setEntry(k, pmd, i, head, mkHugePmd(vma, write))
  k.event[EV.thp_file_mapped]++
  return 0
}

// --- what system calls do to a huge entry

/**
 * Gives the huge entry the protection `prot`: PTE_RW, PTE_PROTNONE or neither (change_huge_pmd).
 * The caller counts numa_huge_pte_updates, which mprotect counts as well as NUMA balancing.
 */
export function changeHugePmd(k: Kernel, pmd: number, i: number, prot: number): void {
  setEntry(k, pmd, i, entryValue(k, pmd, i), (entryFlags(k, pmd, i) & ~(PTE_RW | PTE_PROTNONE)) | prot)
  spend(k, COST.pte_change, 1)
}

/** Moves a huge entry to another, empty place of the address space (move_huge_pmd). */
export function moveHugePmd(k: Kernel, vma: Vma, fromPmd: number, from: number, toPmd: number, to: number): void {
  const head = entryValue(k, fromPmd, from)
  const flags = entryFlags(k, fromPmd, from)
  clearEntry(k, fromPmd, from)
  if (vma.mapping === undefined && fromPmd !== toPmd) depositTable(k, toPmd, withdrawTable(k, fromPmd))
  setEntry(k, toPmd, to, head, flags | PTE_SOFT_DIRTY)
  spend(k, COST.pte_change, 1)
}

/**
 * MADV_FREE of 2 MiB, or of a part of them: the huge page may be dropped from now on, or is split so that its part may be.
 * @returns true when that is done; false when the caller has to look at the entry again: at its table, or not at all
 * while it is still huge.
 */
export function madviseFreeHugePmd(k: Kernel, pmd: number, i: number, whole: boolean): boolean {
  const flags = entryFlags(k, pmd, i)
  const head = asPfn(entryValue(k, pmd, i))
  if ((flags & PTE_SPECIAL) !== 0 || totalMapcount(k, head) !== 1) return false
  if (!whole) {
    splitHugePage(k, head)
    return false
  }
  k.page[head * PAGE_WORDS] &= ~PG_dirty
  setEntry(k, pmd, i, head, flags & ~(PTE_ACCESSED | PTE_DIRTY))
  spend(k, COST.pte_change, 1)
  markPageLazyfree(k, head)
  return true
}
