/**
 * Pages of memory files: found, or allocated where there is none.
 *
 *     who asks      hole                      beyond the end
 *     read          nothing (zeros)           -EINVAL
 *     fault         page of zeros             -EINVAL, a bus error
 *     write         page, the writer fills    page
 *     fallocate     page, filled when used    page
 *
 * A page that is in swap is read back, with slots around it; it leaves the swap cache at once for its file.
 *
 * A page is charged to the mount and to overcommit before it is allocated, from the node the file's policy says; where a
 * huge page is wanted (shmem_is_huge) and its 512 slots are empty, one is tried first. A mount that is full splits
 * huge pages that reach beyond the end of their file, which frees what is there, and tries again.
 *
 * Source: mm/shmem.c (shmem_get_folio_gfp, shmem_alloc_and_acct_folio, shmem_add_to_page_cache, shmem_unused_huge_shrink).
 */

import { memcgCharge } from '../alloc/charge.ts'
import { allocPagesPolicy } from '../alloc/page_alloc.ts'
import { COST, spend, spendOnPages } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EINVAL, ENOMEM, ENOSPC } from '../base/errno.ts'
import {
  __GFP_COMP,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  PG_dirty,
  PG_head,
  PG_referenced,
  PG_swapbacked,
  PG_uptodate,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, Mapping } from '../base/state_fs.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, NO_PAGE, type Pfn } from '../base/units.ts'
import { shmemIsHuge, vmaThpGfpMask } from '../fault/huge_memory_check.ts'
import { countMemcgEvent } from '../frames/memcg.ts'
import { isInterleave, taskPolicy } from '../frames/mempolicy.ts'
import { compoundHead, compoundPages, MAX_INDEX } from '../frames/page.ts'
import { freeCharged, freePages } from '../frames/rmqueue.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { filePages } from './filemap.ts'
import { filemapInsert } from './filemap_add.ts'
import { lruAdd, markAccessed } from './lru.ts'
import { shmemAcctBlocks, shmemRecalc, shmemUnacctBlocks } from './shmem_account.ts'
import { shmemEntry, shmemReplaceEntry } from './shmem_entries.ts'
import { deleteFromSwapCache } from './swap_cache.ts'
import { waitOnSwapCache } from './swap_io.ts'
import { swapFree } from './swap_map.ts'
import { swapCacheLookup, swapClusterReadahead } from './swap_read.ts'
import { xaAnyInHuge, xaPage } from './xarray.ts'

/** Who asks for a page (enum sgp_type). */
export type Sgp = 'read' | 'cache' | 'write' | 'falloc'

/** Huge pages that a full mount splits at most to make room. */
const SHRINK_TRIES = 5

/**
 * The page of the file at an index, of a huge page the very one of its pages.
 * @param vma the area that faults; undefined for system calls.
 * @returns the page, NO_PAGE for a hole that is read, -EINVAL beyond the end, -ENOSPC, -ENOMEM.
 */
export function shmemGetPage(k: Kernel, inode: Inode, index: number, sgp: Sgp, vma: Vma | undefined): Pfn | number {
  const beyond = (sgp === 'read' || sgp === 'cache') && index >= filePages(inode)
  if (beyond) return -EINVAL
  const there = xaPage(inode.mapping.pages, index)
  if (there !== NO_PAGE) return touchPresent(k, there, sgp)
  const entry = shmemEntry(inode.mapping, index)
  if (entry !== 0) return shmemSwapin(k, inode.mapping, index, entry, sgp, vma)
  if (sgp === 'read') return NO_PAGE
  if (index >= MAX_INDEX) return -ENOSPC
  if (sgp !== 'falloc') spend(k, COST.page_find, 1)
  const huge = shmemIsHuge(k, vma, inode, index, false) ? allocAndAcct(k, inode, index, vmaThpGfpMask(k, vma), true) : -ENOMEM
  const whole = huge < 0 ? huge : finishNew(k, inode, asPfn(huge), index, sgp)
  if (whole >= 0) return whole
  const head = shmemAllocate(k, inode, index)
  return head < 0 ? head : finishNew(k, inode, asPfn(head), index, sgp)
}

/** Brings a page of the file back from swap; -ENOMEM when there is no memory (shmem_swapin_folio). */
export function shmemSwapin(k: Kernel, mapping: Mapping, index: number, entry: number, sgp: Sgp, vma: Vma | undefined): Pfn | number {
  let pfn = swapCacheLookup(k, entry, undefined, 0)
  if (pfn === NO_PAGE) {
    if (vma !== undefined) {
      k.vmf.major = true
      k.event[EV.pgmajfault]++
      countMemcgEvent(k, vma.mm.memcg, EV.pgmajfault, 1)
    }
    pfn = swapClusterReadahead(k, entry, vma, vma === undefined ? 0 : index - vma.pgoff)
    if (pfn === NO_PAGE) return -ENOMEM
  }
  waitOnSwapCache(k, pfn)
  shmemReplaceEntry(k, mapping, pfn, index)
  shmemRecalc(k, mapping.inode)
  if (sgp === 'write') markAccessed(k, pfn)
  deleteFromSwapCache(k, pfn)
  k.page[pfn * PAGE_WORDS] |= PG_dirty
  swapFree(k, entry)
  return pfn
}

/** A page that is there: a write is an access, and what fallocate left unfilled is filled with zeros by its first use. */
function touchPresent(k: Kernel, pfn: Pfn, sgp: Sgp): Pfn {
  const head = compoundHead(k, pfn)
  if (sgp === 'write') markAccessed(k, head)
  if ((k.page[head * PAGE_WORDS] & PG_uptodate) !== 0) return pfn
  if (sgp === 'read') return NO_PAGE
  if (sgp !== 'write') fill(k, head)
  return pfn
}

function fill(k: Kernel, head: Pfn): void {
  spendOnPages(k, COST.clear_page, head, compoundPages(k, head))
  k.page[head * PAGE_WORDS] |= PG_uptodate
}

/** A single page for the index that the mount accounts for, not yet in the file; -ENOSPC or -ENOMEM. */
function shmemAllocate(k: Kernel, inode: Inode, index: number): number {
  const page = allocAndAcct(k, inode, index, GFP_HIGHUSER_MOVABLE, false)
  if (page !== -ENOSPC) return page
  for (let tries = 0; tries < SHRINK_TRIES; tries++) {
    const split = unusedHugeShrink(k, inode)
    if (split < 0) break
    if (split > 0) return allocAndAcct(k, inode, index, GFP_HIGHUSER_MOVABLE, false)
  }
  shmemRecalc(k, inode)
  return allocAndAcct(k, inode, index, GFP_HIGHUSER_MOVABLE, false)
}

function allocAndAcct(k: Kernel, inode: Inode, index: number, gfp: number, huge: boolean): number {
  const pages = huge ? HPAGE_PMD_NR : 1
  const charged = shmemAcctBlocks(k, inode, pages)
  if (charged < 0) return charged
  const head = huge ? allocHuge(k, inode, index - (index % HPAGE_PMD_NR), gfp) : allocAt(k, inode, index, 0, gfp)
  if (head === NO_PAGE) {
    shmemUnacctBlocks(k, inode, pages)
    return -ENOMEM
  }
  k.page[head * PAGE_WORDS] |= PG_swapbacked
  return head
}

/** A single charged page for an index, not yet in the file, for who fills it himself; -ENOSPC or -ENOMEM (shmem_mfill_atomic_pte). */
export const shmemAllocPage = (k: Kernel, inode: Inode, index: number): Pfn | number =>
  allocAndAcct(k, inode, index, GFP_HIGHUSER_MOVABLE, false)

/** Puts such a page into the file; -ENOMEM, and the page freed, when there is no memory for the index. */
export const shmemAddPage = (k: Kernel, inode: Inode, page: Pfn, index: number): Pfn | number => finishNew(k, inode, page, index, 'falloc')

/** Gives such a page back. */
export function shmemFreePage(k: Kernel, inode: Inode, page: Pfn): void {
  shmemUnacctBlocks(k, inode, 1)
  freePages(k, page, 0)
}

function allocHuge(k: Kernel, inode: Inode, index: number, gfp: number): Pfn {
  if (xaAnyInHuge(inode.mapping.pages, index)) return NO_PAGE
  const head = allocAt(k, inode, index, HPAGE_PMD_ORDER, gfp)
  if (head === NO_PAGE) k.event[EV.thp_file_fallback]++
  return head
}

/** Allocates by the file's policy; interleaving counts from the file's number, so that files do not all begin on one node. */
function allocAt(k: Kernel, inode: Inode, index: number, order: number, gfp: number): Pfn {
  const policy = inode.policies.find(range => range.start <= index && index < range.end)?.policy ?? taskPolicy(k)
  return allocPagesPolicy(k, gfp | __GFP_COMP, order, policy, isInterleave(policy) ? Math.floor((index + inode.ino) / 2 ** order) : -1)
}

/** Charges the fresh page to the task's memory cgroup, puts it into the file and fills it, unless a writer is about to. */
function finishNew(k: Kernel, inode: Inode, head: Pfn, index: number, sgp: Sgp): Pfn | number {
  const pages = compoundPages(k, head)
  const first = index - (index % pages)
  if (sgp === 'write') k.page[head * PAGE_WORDS] |= PG_referenced
  if (!chargeNew(k, head, pages) || !filemapInsert(k, inode.mapping, head, first, pages, GFP_HIGHUSER_MOVABLE)) {
    shmemUnacctBlocks(k, inode, pages)
    freeCharged(k, head, pages === 1 ? 0 : HPAGE_PMD_ORDER)
    return -ENOMEM
  }
  inode.alloced += pages
  shmemRecalc(k, inode)
  if (pages > 1) noteHuge(k, inode, first)
  lruAdd(k, head)
  if (sgp === 'cache') fill(k, head)
  return asPfn(head + index - first)
}

/** A huge page that the group may not have falls back to a single one. */
function chargeNew(k: Kernel, head: Pfn, pages: number): boolean {
  if (memcgCharge(k, head, undefined, GFP_KERNEL)) return true
  if (pages > 1) k.event[EV.thp_file_fallback]++
  if (pages > 1) k.event[EV.thp_file_fallback_charge]++
  return false
}

function noteHuge(k: Kernel, inode: Inode, first: number): void {
  k.event[EV.thp_file_alloc]++
  if (filePages(inode) < first + HPAGE_PMD_NR - 1) inode.sb.shrinklist.add(inode.id)
}

/**
 * Splits the huge page at the end of one of the mount's files that reaches beyond it; what lies beyond is freed.
 * @returns huge pages split, or -1 when no file has one.
 */
function unusedHugeShrink(k: Kernel, inode: Inode): number {
  const { shrinklist } = inode.sb
  for (const id of [...shrinklist]) {
    const file = k.fs.inodes.get(id)
    shrinklist.delete(id)
    if (file === undefined || filePages(file) % HPAGE_PMD_NR === 0) continue
    const head = xaPage(file.mapping.pages, filePages(file) - (filePages(file) % HPAGE_PMD_NR))
    if (head === NO_PAGE || (k.page[head * PAGE_WORDS] & PG_head) === 0) continue
    if (splitHugePage(k, head) === 0) return 1
    shrinklist.add(id)
    return 0
  }
  return -1
}
