/**
 * Is a range of 2 MiB worth being made one huge page? The look that khugepaged and MADV_COLLAPSE take at its entries.
 *
 *     |pte|pte|   |pte|zero|swap|pte|...|    512 entries; the first bad one ends the scan
 *              |        |    |
 *              none or zero  swapped out     at most max_ptes_none, max_ptes_swap
 *     shared with other processes            at most max_ptes_shared
 *     at least one writable, one used lately (half of them, if any is swapped out)
 *     each page on its LRU list, and held by nobody but its mappings
 *
 * MADV_COLLAPSE knows no limits of number and use, but the others hold for it as well. The node that most of the pages
 * are on is where the huge page will come from; others with as many may help out.
 *
 * Source: mm/khugepaged.c (hpage_collapse_scan_pmd, find_pmd_or_thp_or_none, hpage_collapse_find_target_node,
 * alloc_charge_hpage, madvise_collapse_errno).
 */

import { allocPagesNode } from '../alloc/page_alloc.ts'
import { COST, COSTS, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EAGAIN, EBUSY, EINVAL, ENOMEM } from '../base/errno.ts'
import {
  GFP_TRANSHUGE,
  GFP_TRANSHUGE_LIGHT,
  PG_anon,
  PG_locked,
  PG_lru,
  PG_referenced,
  PG_swapcache,
  PG_young,
  PTE_ACCESSED,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_RW,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_UFFD_FLAGS,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asNode, asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, NO_PAGE, type NodeId, type Pfn } from '../base/units.ts'
import { compoundHead, compoundPages, pageCount, pageMapcount, pageNode, totalMapcount } from '../frames/page.ts'
import { entryFlags, entryValue, LEVEL_PMD, levelIndex, walkTo } from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PTE } from '../spaces/pt_lock.ts'

/** How a look at a range, or the attempt to collapse it, ended (enum scan_result). */
export type ScanResult =
  | 'succeed'
  | 'fail'
  | 'pmd_null'
  | 'pmd_none'
  | 'pmd_mapped'
  | 'exceed_none_pte'
  | 'exceed_swap_pte'
  | 'exceed_shared_pte'
  | 'pte_non_present'
  | 'pte_uffd_wp'
  | 'pte_mapped_hugepage'
  | 'page_ro'
  | 'lack_referenced_page'
  | 'page_null'
  | 'scan_abort'
  | 'page_count'
  | 'page_lru'
  | 'page_lock'
  | 'page_anon'
  | 'page_compound'
  | 'vma_check'
  | 'del_page_lru'
  | 'alloc_huge_page_fail'
  | 'cgroup_charge_fail'
  | 'truncated'

/** The errno by which MADV_COLLAPSE reports the last failure (madvise_collapse_errno). */
export function collapseErrno(result: ScanResult): number {
  if (result === 'alloc_huge_page_fail') return -ENOMEM
  if (result === 'cgroup_charge_fail') return -EBUSY
  const passing = result === 'page_count' || result === 'page_lock' || result === 'page_lru' || result === 'del_page_lru'
  return passing ? -EAGAIN : -EINVAL
}

/** Whether the range has a table of single entries; 'succeed' when it has (find_pmd_or_thp_or_none). */
export function findPmd(k: Kernel, mm: Mm, vpn: number): ScanResult {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return 'pmd_null'
  const flags = entryFlags(k, pmd, levelIndex(vpn, LEVEL_PMD))
  if (flags === 0) return 'pmd_none'
  if ((flags & PTE_PRESENT) !== 0 && (flags & PTE_HUGE) !== 0) return 'pmd_mapped'
  return (flags & PTE_TABLE) !== 0 ? 'succeed' : 'pmd_null'
}

/** The table of single entries of a range that findPmd found. */
export function pteTableAt(k: Kernel, mm: Mm, vpn: number): number {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  return entryValue(k, pmd, levelIndex(vpn, LEVEL_PMD))
}

/** An entry without a page of its own: empty, or the page of zeros. */
export const isNoneOrZero = (flags: number) => flags === 0 || (flags & PTE_SPECIAL) !== 0

/** Whether empty entries, and how many, may be filled in: none where a program wants to see the faults itself. */
export const allowsNone = (k: Kernel, vma: Vma, none: number, khugepaged: boolean) =>
  (vma.flags & VM_UFFD_FLAGS) === 0 && (!khugepaged || none <= k.khugepaged.maxPtesNone)

/** Whether mappings and swap cache are the only ones that hold the page (is_refcount_suitable). */
export const refcountSuitable = (k: Kernel, head: Pfn) =>
  pageCount(k, head) === totalMapcount(k, head) + ((k.page[head * PAGE_WORDS] & PG_swapcache) !== 0 ? compoundPages(k, head) : 0)

/** What a scan counts on its way over the entries. */
interface Tally {
  none: number
  swapped: number
  shared: number
  referenced: number
  writable: boolean
}

/**
 * Looks at the 512 entries of a range of private anonymous memory (hpage_collapse_scan_pmd up to the collapse itself).
 * Fills k.khugepaged.nodeLoad for findTargetNode. @returns 'succeed' when the range should be collapsed.
 */
export function scanPmd(k: Kernel, vma: Vma, vpn: number, khugepaged: boolean): ScanResult {
  const found = findPmd(k, vma.mm, vpn)
  if (found !== 'succeed') return found
  const table = pteTableAt(k, vma.mm, vpn)
  const tally: Tally = { none: 0, swapped: 0, shared: 0, referenced: 0, writable: false }
  k.khugepaged.nodeLoad.fill(0)
  let i = 0
  let bad: ScanResult = 'succeed'
  for (; i < HPAGE_PMD_NR && bad === 'succeed'; i++)
    bad = scanEntry(k, vma, entryFlags(k, table, i), asPfn(entryValue(k, table, i)), tally, khugepaged)
  spend(k, COST.khugepaged_pte, i)
  holdPtLock(k, vma.mm, LOCK_PTE, i * COSTS.khugepaged_pte)
  if (bad !== 'succeed') return bad
  if (!tally.writable) return 'page_ro'
  const idle = tally.referenced === 0 || (tally.swapped > 0 && tally.referenced < HPAGE_PMD_NR / 2)
  return khugepaged && idle ? 'lack_referenced_page' : 'succeed'
}

function scanEntry(k: Kernel, vma: Vma, flags: number, pfn: Pfn, tally: Tally, khugepaged: boolean): ScanResult {
  if (flags !== 0 && (flags & PTE_PRESENT) === 0) return scanSwapped(k, flags, tally, khugepaged)
  if (isNoneOrZero(flags)) {
    tally.none++
    if (allowsNone(k, vma, tally.none, khugepaged)) return 'succeed'
    k.event[EV.thp_scan_exceed_none_pte]++
    return 'exceed_none_pte'
  }
  if ((flags & PTE_UFFD_WP) !== 0) return 'pte_uffd_wp'
  if ((flags & PTE_RW) !== 0) tally.writable = true
  return scanPage(k, pfn, (flags & PTE_ACCESSED) !== 0, tally, khugepaged)
}

function scanSwapped(k: Kernel, flags: number, tally: Tally, khugepaged: boolean): ScanResult {
  tally.swapped++
  if (khugepaged && tally.swapped > k.khugepaged.maxPtesSwap) {
    k.event[EV.thp_scan_exceed_swap_pte]++
    return 'exceed_swap_pte'
  }
  return (flags & PTE_UFFD_WP) !== 0 ? 'pte_uffd_wp' : 'succeed'
}

function scanPage(k: Kernel, pfn: Pfn, young: boolean, tally: Tally, khugepaged: boolean): ScanResult {
  const head = compoundHead(k, pfn)
  const flags = k.page[head * PAGE_WORDS]
  if (pageMapcount(k, pfn) > 1 && exceedsShared(k, ++tally.shared, khugepaged)) return 'exceed_shared_pte'
  const node = pageNode(k, head)
  if (scanAbort(k, node)) return 'scan_abort'
  k.khugepaged.nodeLoad[node]++
  if ((flags & PG_lru) === 0) return 'page_lru'
  if ((flags & PG_locked) !== 0) return 'page_lock'
  if ((flags & PG_anon) === 0) return 'page_anon'
  if (!refcountSuitable(k, head)) return 'page_count'
  if (young || (flags & (PG_young | PG_referenced)) !== 0) tally.referenced++
  return 'succeed'
}

/** Whether so many pages shared with other processes are too many; counts it if so. */
export function exceedsShared(k: Kernel, shared: number, khugepaged: boolean): boolean {
  if (!khugepaged || shared <= k.khugepaged.maxPtesShared) return false
  k.event[EV.thp_scan_exceed_share_pte]++
  return true
}

// --- where the huge page comes from

/** Bits of zone_reclaim_mode that switch it on, and the distance up to which nodes count as near (node_reclaim_distance). */
const NODE_RECLAIM = 7
const NODE_RECLAIM_DISTANCE = 30

/** With node reclaim on, a range that is spread over nodes far apart is left alone (hpage_collapse_scan_abort). */
export function scanAbort(k: Kernel, node: NodeId): boolean {
  const load = k.khugepaged.nodeLoad
  if ((k.sysctl.zone_reclaim_mode & NODE_RECLAIM) === 0 || load[node] > 0) return false
  return k.nodes.some(other => load[other.id] > 0 && k.machine.distance[node][other.id] > NODE_RECLAIM_DISTANCE)
}

/** A huge page from the node with most of the pages, or another with as many; NO_PAGE when they have none (alloc_charge_hpage). */
export function allocTargetPage(k: Kernel, khugepaged: boolean): Pfn {
  const load = k.khugepaged.nodeLoad
  const most = Math.max(...load)
  const nodes = k.nodes.filter(node => load[node.id] === most)
  const nodemask = nodes.reduce((mask, node) => mask | (1 << node.id), 0)
  const gfp = khugepaged && !k.khugepaged.defrag ? GFP_TRANSHUGE_LIGHT : GFP_TRANSHUGE
  const head = allocPagesNode(k, gfp, HPAGE_PMD_ORDER, most === 0 ? asNode(0) : nodes[0].id, nodemask)
  k.event[head === NO_PAGE ? EV.thp_collapse_alloc_failed : EV.thp_collapse_alloc]++
  return head
}
