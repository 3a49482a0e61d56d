/**
 * khugepaged and MADV_COLLAPSE on memory files: the page cache's 512 pages become one huge page, and then the tables that
 * map them go, so that the next touch maps it whole.
 *
 *     cache   p p . p p ... p     copy, fill gaps     cache   H
 *             | |   | |                    ==>                |
 *     A       table of ptes                           A       nothing, or (MADV_COLLAPSE of A) one huge entry
 *     B       table of ptes                           B       nothing
 *
 * Pages of the file that are in swap are read back first, khugepaged only a few. Pages are taken out of the cache one after the other,
 * unmapped on the way; if one cannot be, those before it stay unmapped and fault back in. A table goes only if its area holds no private
 * copies and is aligned to the file; areas whose page is huge already but mapped page by page are noted and looked at when their address
 * space's turn comes.
 *
 * Differs from Linux: nr_file_pages and nr_shmem of the pages follow them when the huge page is on another node.
 *
 * Source: mm/khugepaged.c (hpage_collapse_scan_file, collapse_file, retract_page_tables, collapse_pte_mapped_thp).
 */

import { memcgCharge } from '../alloc/charge.ts'
import { must } from '../base/assert.ts'
import { COST, spend, spendOnMemory } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  GFP_TRANSHUGE,
  PG_active,
  PG_dirty,
  PG_isolated,
  PG_lru,
  PG_private,
  PG_swapbacked,
  PG_unevictable,
  PG_uptodate,
  PTE_PRESENT,
  VM_UFFD_WP,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, NO_PAGE, type Pfn } from '../base/units.ts'
import { countCached, filemapGet, freeXaNodes } from '../caches/filemap.ts'
import { isolateLru, lruAdd, putbackLru, putPage } from '../caches/lru.ts'
import { shmemAcctBlocks, shmemUnacctBlocks } from '../caches/shmem_account.ts'
import { shmemEntry } from '../caches/shmem_entries.ts'
import { shmemGetPage } from '../caches/shmem_page.ts'
import { xaJoinHuge } from '../caches/xarray.ts'
import { doSetPmd } from '../fault/huge_memory.ts'
import { hugepageVmaCheck } from '../fault/huge_memory_check.ts'
import { countMemcgEvent } from '../frames/memcg.ts'
import {
  compoundHead,
  compoundPages,
  isThp,
  pageCount,
  pageIndex,
  pageMapped,
  pageNode,
  pageSetOwner,
  totalMapcount,
} from '../frames/page.ts'
import { freeCharged, freePages } from '../frames/rmqueue.ts'
import { unmapFilePages } from '../reclaim/thp_split_file.ts'
import {
  clearEntry,
  countTable,
  entryFlags,
  entryValue,
  forgetWalk,
  LEVEL_PMD,
  LEVEL_PTE,
  levelIndex,
  tableFree,
  walkTo,
} from '../spaces/pagetable.ts'
import { pageRemoveRmap } from '../spaces/rmap.ts'
import { linearPageIndex, vmaAt } from '../spaces/vma.ts'
import { copyContent } from './khugepaged_collapse.ts'
import { allocTargetPage, findPmd, pteTableAt, type ScanResult, scanAbort } from './khugepaged_scan.ts'

/** Ranges of one address space that may wait to be looked at (MAX_PTE_MAPPED_THP). */
const MAX_PTE_MAPPED = 8

/**
 * Looks at the 2 MiB of a file that the area maps at the page, and collapses them if that is right
 * (hpage_collapse_scan_file). 'pte_mapped_hugepage': they are huge already, only this mapping may not be.
 */
export function scanFile(k: Kernel, vma: Vma, vpn: number, index: number, khugepaged: boolean): ScanResult {
  const mapping = must(vma.mapping, 'a file is scanned in an area without one')
  k.khugepaged.nodeLoad.fill(0)
  let present = 0
  let swapped = 0
  let result: ScanResult = 'succeed'
  for (let i = 0; i < HPAGE_PMD_NR && result === 'succeed'; i++) {
    const pfn = filemapGet(mapping, index + i)
    if (pfn === NO_PAGE && shmemEntry(mapping, index + i) !== 0) {
      swapped++
      if (khugepaged && swapped > k.khugepaged.maxPtesSwap) {
        k.event[EV.thp_scan_exceed_swap_pte]++
        result = 'exceed_swap_pte'
      }
    } else if (pfn !== NO_PAGE) {
      result = scanCached(k, pfn, index)
      if (result === 'succeed') present++
    }
  }
  spend(k, COST.khugepaged_pte, present + 1)
  if (result !== 'succeed') return result
  if (khugepaged && present < HPAGE_PMD_NR - k.khugepaged.maxPtesNone) {
    k.event[EV.thp_scan_exceed_none_pte]++
    return 'exceed_none_pte'
  }
  return collapseFile(k, vma, vpn, mapping, index, khugepaged)
}

function scanCached(k: Kernel, pfn: Pfn, index: number): ScanResult {
  const head = compoundHead(k, pfn)
  if (compoundPages(k, head) > 1) return isThp(k, head) && pageIndex(k, head) === index ? 'pte_mapped_hugepage' : 'page_compound'
  const node = pageNode(k, pfn)
  if (scanAbort(k, node)) return 'scan_abort'
  k.khugepaged.nodeLoad[node]++
  if ((k.page[pfn * PAGE_WORDS] & PG_lru) === 0) return 'page_lru'
  const buffers = (k.page[pfn * PAGE_WORDS] & PG_private) !== 0 ? 1 : 0
  return pageCount(k, pfn) === 1 + totalMapcount(k, pfn) + buffers ? 'succeed' : 'page_count'
}

/** Replaces the cache's pages of the range by a huge one (collapse_file). */
function collapseFile(k: Kernel, vma: Vma, vpn: number, mapping: Mapping, index: number, khugepaged: boolean): ScanResult {
  const head = allocTargetPage(k, khugepaged)
  if (head === NO_PAGE) return 'alloc_huge_page_fail'
  if (!memcgCharge(k, head, vma.mm, GFP_TRANSHUGE)) {
    freePages(k, head, HPAGE_PMD_ORDER)
    return 'cgroup_charge_fail'
  }
  countMemcgEvent(k, vma.mm.memcg, EV.thp_collapse_alloc, 1)
  const taken: Pfn[] = []
  let gaps = 0
  let result: ScanResult = 'succeed'
  for (let i = 0; i < HPAGE_PMD_NR && result === 'succeed'; i++) {
    const pfn = readCached(k, mapping, index + i)
    if (pfn === NO_PAGE) {
      result = shmemAcctBlocks(k, mapping.inode, 1) < 0 ? 'fail' : 'succeed'
      if (result === 'succeed') gaps++
    } else result = pfn < 0 ? 'fail' : takeCached(k, asPfn(pfn), taken)
  }
  if (result === 'succeed' && taken.length === 0) result = 'truncated'
  if (result === 'succeed') {
    replaceCached(k, mapping, index, head, taken, gaps)
    return retractPageTables(k, mapping, index, vma, vpn, head, khugepaged)
  }
  for (const page of taken) putbackLru(k, page)
  shmemUnacctBlocks(k, mapping.inode, gaps)
  freeCharged(k, head, HPAGE_PMD_ORDER)
  return result
}

/** The page at an index, filled, and read back if it is in swap; NO_PAGE for a hole, or a negative errno. */
function readCached(k: Kernel, mapping: Mapping, index: number): Pfn | number {
  const pfn = filemapGet(mapping, index)
  if (pfn === NO_PAGE && shmemEntry(mapping, index) === 0) return NO_PAGE
  const filled = pfn !== NO_PAGE && (k.page[compoundHead(k, pfn) * PAGE_WORDS] & PG_uptodate) !== 0
  return filled ? pfn : shmemGetPage(k, mapping.inode, index, 'cache', undefined)
}

/** Unmaps a cached page and holds it; fails if somebody else does. */
function takeCached(k: Kernel, pfn: Pfn, taken: Pfn[]): ScanResult {
  if (!isolateLru(k, pfn)) return 'del_page_lru'
  if (pageMapped(k, pfn)) unmapFilePages(k, pfn)
  if (pageCount(k, pfn) !== 2) {
    putbackLru(k, pfn)
    return 'page_count'
  }
  taken.push(pfn)
  return 'succeed'
}

/** Puts the huge page in the place of those taken, with their bytes, and lets them go. */
function replaceCached(k: Kernel, mapping: Mapping, index: number, head: Pfn, taken: readonly Pfn[], gaps: number): void {
  for (const page of taken) {
    copyContent(k, page, head, pageIndex(k, page) - index)
    countCached(k, page, -1)
    pageSetOwner(k, page, 0, 0)
  }
  freeXaNodes(k, mapping, xaJoinHuge(mapping.pages, index, head))
  pageSetOwner(k, head, mapping.id, index)
  k.page[head * PAGE_WORDS] |= PG_swapbacked | PG_uptodate | PG_dirty
  countCached(k, head, HPAGE_PMD_NR)
  mapping.nrPages += gaps
  mapping.inode.alloced += gaps
  for (const page of taken) {
    k.page[page * PAGE_WORDS] &= ~(PG_isolated | PG_active | PG_unevictable | PG_dirty)
    putPage(k, page)
  }
  spendOnMemory(k, COST.copy_page, taken.length)
  spendOnMemory(k, COST.clear_page, gaps)
  lruAdd(k, head)
}

// --- tables

/**
 * Takes the tables of the range away from all who map it (retract_page_tables). MADV_COLLAPSE only does so for the area it was
 * asked for, `vma` at `vpn`, and maps the huge page there at once; that area's result is what counts.
 */
function retractPageTables(k: Kernel, mapping: Mapping, index: number, vma: Vma, vpn: number, head: Pfn, khugepaged: boolean): ScanResult {
  let target: ScanResult = 'fail'
  for (const { mm: id, delta } of mapping.rmap) {
    const mm = k.spaces.mms.get(id)
    const area = mm === undefined ? undefined : vmaAt(mm, index + delta)
    if (mm === undefined || area === undefined || area.mapping !== mapping) continue
    const isTarget = mm === vma.mm && index + delta === vpn
    const result = retractOne(k, area, index + delta, khugepaged || isTarget)
    if (result === 'pte_mapped_hugepage' && !isTarget) khugepagedAddPteMapped(k, mm, index + delta)
    if (!isTarget) continue
    target = result === 'succeed' && !khugepaged && doSetPmd(k, area, vpn, head, false) !== 0 ? 'fail' : result
  }
  return target
}

/** Frees the table of one area if it may go; `may`: it is this caller's business. */
function retractOne(k: Kernel, vma: Vma, vpn: number, may: boolean): ScanResult {
  if (vma.anonVma !== 0) return 'page_anon'
  if (vpn % HPAGE_PMD_NR !== 0 || vma.end < vpn + HPAGE_PMD_NR) return 'vma_check'
  const found = findPmd(k, vma.mm, vpn)
  if (found !== 'succeed') return found
  if (!may) return 'pte_mapped_hugepage'
  if ((vma.flags & VM_UFFD_WP) !== 0) return 'pte_uffd_wp'
  freeTable(k, vma.mm, vpn)
  return 'succeed'
}

/** Frees the emptied table of a range (collapse_and_free_pmd). */
function freeTable(k: Kernel, mm: Mm, vpn: number): void {
  const table = pteTableAt(k, mm, vpn)
  clearEntry(k, walkTo(k, mm, vpn, LEVEL_PMD), levelIndex(vpn, LEVEL_PMD))
  forgetWalk(mm)
  countTable(k, mm, LEVEL_PTE, table, -1)
  tableFree(k, table)
  spend(k, COST.tlb_flush, 1)
}

/** Notes a range whose page is huge but mapped page by page; false when too many wait already (khugepaged_add_pte_mapped_thp). */
export function khugepagedAddPteMapped(k: Kernel, mm: Mm, vpn: number): boolean {
  const waiting = k.khugepaged.pteMapped.get(mm.id) ?? []
  if (!mm.khugepaged || waiting.length >= MAX_PTE_MAPPED) return false
  k.khugepaged.pteMapped.set(mm.id, [...waiting, vpn])
  return true
}

/** Works off the ranges noted for an address space (khugepaged_collapse_pte_mapped_thps). */
export function collapsePteMappedThps(k: Kernel, mm: Mm): void {
  const waiting = k.khugepaged.pteMapped.get(mm.id)
  if (waiting === undefined) return
  k.khugepaged.pteMapped.delete(mm.id)
  if (mm.users > 0) for (const vpn of waiting) collapsePteMappedThp(k, mm, vpn, false)
}

/**
 * Frees the table of a range whose entries all map one huge page of the file as they should, so that it can be mapped whole
 * (collapse_pte_mapped_thp).
 * @param install map it at once.
 */
export function collapsePteMappedThp(k: Kernel, mm: Mm, vpn: number, install: boolean): ScanResult {
  const found = findPmd(k, mm, vpn)
  if (found === 'pmd_mapped') return found
  const vma = vmaAt(mm, vpn)
  if (vma?.mapping === undefined || vpn + HPAGE_PMD_NR > vma.end || !hugepageVmaCheck(k, vma, vma.flags, 'collapse')) return 'vma_check'
  if ((vma.flags & VM_UFFD_WP) !== 0) return 'pte_uffd_wp'
  const head = filemapGet(vma.mapping, linearPageIndex(vma, vpn))
  if (head === NO_PAGE) return 'page_null'
  if (compoundHead(k, head) !== head) return 'fail'
  if (!isThp(k, head)) return 'page_compound'
  if (found !== 'succeed' && found !== 'pmd_none') return found
  if (found === 'succeed' && !dropEntries(k, vma, vpn, head)) return 'fail'
  if (!install) return 'succeed'
  return doSetPmd(k, vma, vpn, head, false) === 0 ? 'succeed' : 'fail'
}

/** Empties and frees the table of a range if each entry maps its very page of the huge one, or nothing. */
function dropEntries(k: Kernel, vma: Vma, vpn: number, head: Pfn): boolean {
  const table = pteTableAt(k, vma.mm, vpn)
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    const flags = entryFlags(k, table, i)
    if (flags !== 0 && ((flags & PTE_PRESENT) === 0 || entryValue(k, table, i) !== head + i)) return false
  }
  for (let i = 0; i < HPAGE_PMD_NR; i++) {
    if (entryFlags(k, table, i) === 0) continue
    pageRemoveRmap(k, asPfn(head + i), vma, false)
    clearEntry(k, table, i)
    vma.mm.rssShmem--
  }
  freeTable(k, vma.mm, vpn)
  return true
}
