/**
 * Making one huge page of up to 512 single ones.
 *
 *     pmd entry ──> table ──> page, page, nothing, page, zero page, ...
 *        │                      │copy            │clear
 *     pmd entry ──────────────> huge page        the emptied table is its spare
 *
 * The pages are taken off their LRU lists first, which also makes sure that nobody else does. They go back through this
 * CPU's batch and are freed by it once their mapping is gone.
 *
 * Source: mm/khugepaged.c (collapse_huge_page, __collapse_huge_page_isolate, __collapse_huge_page_copy).
 */

import { memcgCharge } from '../alloc/charge.ts'
import { ZERO_CONTENT } from '../base/content.ts'
import { COST, COSTS, spend, spendOnMemory } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  GFP_TRANSHUGE,
  PG_locked,
  PG_referenced,
  PG_uptodate,
  PG_young,
  PTE_ACCESSED,
  PTE_PRESENT,
  PTE_RW,
  PTE_SWAP,
  PTE_UFFD_WP,
  VM_FAULT_ERROR,
  VM_FAULT_RETRY,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, NO_PAGE, type Pfn } from '../base/units.ts'
import { isolateLru, putbackLru, putPage } from '../caches/lru.ts'
import { freeSwapCache } from '../caches/swap_cache.ts'
import { mkHugePmd } from '../fault/huge_memory.ts'
import { trySwapIn } from '../fault/swapin.ts'
import { countMemcgEvent } from '../frames/memcg.ts'
import {
  compoundHead,
  compoundPages,
  markTailsTouched,
  pageContent,
  pageContentIndex,
  pageMapcount,
  pageSetContent,
} from '../frames/page.ts'
import { freeCharged } from '../frames/rmqueue.ts'
import { lruAddDrain } from '../reclaim/zap.ts'
import {
  clearEntry,
  depositTable,
  entryFlags,
  entryValue,
  forgetWalk,
  LEVEL_PMD,
  levelIndex,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PMD } from '../spaces/pt_lock.ts'
import { lruAddVma, pageAddNewAnonRmap, pageRemoveRmap } from '../spaces/rmap.ts'
import {
  allocTargetPage,
  allowsNone,
  exceedsShared,
  findPmd,
  isNoneOrZero,
  pteTableAt,
  refcountSuitable,
  type ScanResult,
} from './khugepaged_scan.ts'

/** Collapses a range of private anonymous memory that a scan found worth it (collapse_huge_page). */
export function collapseHugePage(k: Kernel, vma: Vma, vpn: number, khugepaged: boolean): ScanResult {
  const head = allocTargetPage(k, khugepaged)
  if (head === NO_PAGE) return 'alloc_huge_page_fail'
  const charged = memcgCharge(k, head, vma.mm, GFP_TRANSHUGE)
  if (charged) countMemcgEvent(k, vma.mm.memcg, EV.thp_collapse_alloc, 1)
  const result = charged ? collapseInto(k, vma, vpn, head, khugepaged) : 'cgroup_charge_fail'
  if (result !== 'succeed') freeCharged(k, head, HPAGE_PMD_ORDER)
  return result
}

/** Pages taken off their LRU lists: single ones in order of address, and huge ones of which some page is mapped here. */
interface Isolated {
  readonly singles: Pfn[]
  readonly compounds: Pfn[]
}

function collapseInto(k: Kernel, vma: Vma, vpn: number, head: Pfn, khugepaged: boolean): ScanResult {
  const found = findPmd(k, vma.mm, vpn)
  if (found !== 'succeed') return found
  const table = pteTableAt(k, vma.mm, vpn)
  const swapped = swapInRange(k, vma, vpn, table)
  if (swapped !== 'succeed') return swapped
  const isolated: Isolated = { singles: [], compounds: [] }
  const result = isolateRange(k, vma, table, isolated, khugepaged)
  if (result !== 'succeed') {
    for (const page of isolated.singles.reverse()) putbackLru(k, page)
    for (const page of isolated.compounds) putbackLru(k, page)
    return result
  }
  copyRange(k, vma, table, head)
  for (const page of isolated.compounds) putbackLru(k, page)
  mapHuge(k, vma, vpn, table, head)
  return 'succeed'
}

/** Reads what of the range is in swap; one that has to be waited for ends it for now (__collapse_huge_page_swapin). */
function swapInRange(k: Kernel, vma: Vma, vpn: number, table: number): ScanResult {
  let swapped = false
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    if ((entryFlags(k, table, i) & PTE_SWAP) === 0) continue
    Object.assign(k.vmf, { offset: vpn + i - vma.start, write: false, user: false, table, i })
    const ret = trySwapIn(k, vma)
    if ((ret & VM_FAULT_RETRY) !== 0) return 'page_lock'
    if ((ret & VM_FAULT_ERROR) !== 0) return 'fail'
    swapped = true
  }
  if (swapped) lruAddDrain(k)
  return 'succeed'
}

/** Takes all pages of the range off their LRU lists; checks again what may have changed (__collapse_huge_page_isolate). */
function isolateRange(k: Kernel, vma: Vma, table: number, isolated: Isolated, khugepaged: boolean): ScanResult {
  let none = 0
  let shared = 0
  let referenced = false
  let writable = false
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const flags = entryFlags(k, table, i)
    if (isNoneOrZero(flags)) {
      if (allowsNone(k, vma, ++none, khugepaged)) continue
      k.event[EV.thp_scan_exceed_none_pte]++
      return 'exceed_none_pte'
    }
    if ((flags & PTE_PRESENT) === 0) return 'pte_non_present'
    if ((flags & PTE_UFFD_WP) !== 0) return 'pte_uffd_wp'
    const pfn = asPfn(entryValue(k, table, i))
    if (pageMapcount(k, pfn) > 1 && exceedsShared(k, ++shared, khugepaged)) return 'exceed_shared_pte'
    const head = compoundHead(k, pfn)
    const result = isolateOne(k, pfn, head, isolated)
    if (result !== 'succeed') return result
    referenced ||= (flags & PTE_ACCESSED) !== 0 || (k.page[head * PAGE_WORDS] & (PG_young | PG_referenced)) !== 0
    writable ||= (flags & PTE_RW) !== 0
  }
  if (!writable) return 'page_ro'
  return khugepaged && !referenced ? 'lack_referenced_page' : 'succeed'
}

function isolateOne(k: Kernel, pfn: Pfn, head: Pfn, isolated: Isolated): ScanResult {
  const compound = compoundPages(k, head) > 1
  if (compound && isolated.compounds.includes(head)) return 'succeed'
  if ((k.page[pfn * PAGE_WORDS] & PG_locked) !== 0) return 'page_lock'
  if (!refcountSuitable(k, head)) return 'page_count'
  if (!isolateLru(k, head)) return 'del_page_lru'
  if (compound) isolated.compounds.push(head)
  else isolated.singles.push(pfn)
  return 'succeed'
}

/** Copies what the entries map into the huge page and empties them (__collapse_huge_page_copy). */
function copyRange(k: Kernel, vma: Vma, table: number, to: Pfn): void {
  let copied = 0
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const flags = entryFlags(k, table, i)
    const pfn = asPfn(entryValue(k, table, i))
    if (flags !== 0) clearEntry(k, table, i)
    if (isNoneOrZero(flags)) {
      vma.mm.rssAnon++
      continue
    }
    copied++
    copyContent(k, pfn, to, i)
    const head = compoundHead(k, pfn)
    if (compoundPages(k, head) === 1) putbackLru(k, pfn)
    pageRemoveRmap(k, pfn, vma, false)
    freeSwapCache(k, head)
    putPage(k, head)
  }
  spendOnMemory(k, COST.copy_page, copied)
  spendOnMemory(k, COST.clear_page, HPAGE_PMD_NR - copied)
}

/** Gives the i-th page of the huge one the bytes of `from`. */
export function copyContent(k: Kernel, from: Pfn, head: Pfn, i: number): void {
  const content = pageContent(k, from)
  if (content === ZERO_CONTENT) return
  if (i > 0) markTailsTouched(k, head)
  pageSetContent(k, asPfn(head + i), content, pageContentIndex(k, from))
}

function mapHuge(k: Kernel, vma: Vma, vpn: number, table: number, head: Pfn): void {
  const pmd = walkTo(k, vma.mm, vpn, LEVEL_PMD)
  k.page[head * PAGE_WORDS] |= PG_uptodate
  pageAddNewAnonRmap(k, head, vma, vpn - vma.start, true)
  lruAddVma(k, head, vma)
  depositTable(k, pmd, table)
  setEntry(k, pmd, levelIndex(vpn, LEVEL_PMD), head, mkHugePmd(vma, true))
  forgetWalk(vma.mm)
  spend(k, COST.tlb_flush, 1)
  holdPtLock(k, vma.mm, LOCK_PMD, COSTS.tlb_flush)
}
