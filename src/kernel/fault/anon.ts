/**
 * Faults on anonymous memory of single pages: the first touch, and the first write to a page that is shared.
 *
 *     read of nothing    the shared zero page is mapped, read-only; costs no memory
 *     write of nothing   a page of zeros, writable
 *     write to a page that may be shared (after fork, or the zero page, or a private file page)
 *          only this process maps it     made writable in place (pgreuse)
 *          others do too                 copied
 *
 * Whether others map a page is asked of its reference count; a page waiting in this CPU's LRU batch, which holds
 * a reference, is taken out of it first so that it need not be copied.
 *
 * Source: mm/memory.c (do_anonymous_page, do_wp_page, wp_page_reuse, wp_page_copy).
 */

import { memcgCharge } from '../alloc/charge.ts'
import { allocPagesVma } from '../alloc/page_alloc.ts'
import { COST, spend, spendOnPages } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  __GFP_ZERO,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  PG_anon,
  PG_anon_exclusive,
  PG_ksm,
  PG_lru,
  PG_swapbacked,
  PG_swapcache,
  PG_uptodate,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_SHARED,
  VM_UFFD_MISSING,
  VM_USERFAULT,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { putPage } from '../caches/lru.ts'
import { folioFreeSwap, freeSwapCache } from '../caches/swap_cache.ts'
import { CPUPID_UNSET, pageCpupidXchgLast } from '../frames/cpupid.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { compoundHead, pageContent, pageContentIndex, pageCount, pageSetContent } from '../frames/page.ts'
import { freeCharged, freePages } from '../frames/rmqueue.ts'
import { lruAddDrain } from '../reclaim/zap.ts'
import { entryFlags, entryValue, setEntry } from '../spaces/pagetable.ts'
import { lruAddVma, pageAddNewAnonRmap, pageMoveAnonRmap, pageRemoveRmap } from '../spaces/rmap.ts'
import { countCopied, countFaultedAnon } from '../spaces/rss.ts'
import { prepareAnon } from '../spaces/vma.ts'
import { userfault2014 } from './userfault_2014.ts'
import { handleUserfault } from './userfaultfd.ts'

const { fault_pte: COST_PTE, clear_page: COST_CLEAR, copy_page: COST_COPY } = COST
const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY

/** Entry flags of a page just mapped into an area; writable ones are dirty at once, as their first write follows. */
export const mkPte = (vma: Vma, dirty: boolean): number =>
  PTE_PRESENT | PTE_ACCESSED | (dirty && (vma.flags & VM_WRITE) !== 0 ? PTE_RW | WRITTEN : 0)

/** The first touch of a page of private anonymous memory; the entry of k.vmf is empty (do_anonymous_page). */
export function doAnonymousPage(k: Kernel, vma: Vma): number {
  const { table, i, offset } = k.vmf
  if ((vma.flags & (VM_SHARED | VM_UFFD_MISSING | VM_USERFAULT)) !== 0) return notOurs(k, vma)
  spend(k, COST_PTE, 1)
  if (!k.vmf.write) {
    setEntry(k, table, i, k.zeroPage, PTE_PRESENT | PTE_ACCESSED | PTE_SPECIAL)
    return 0
  }
  prepareAnon(k, vma)
  const pfn = allocAnon(k, vma, offset, GFP_HIGHUSER_MOVABLE | __GFP_ZERO)
  if (pfn === NO_PAGE) return VM_FAULT_OOM
  spendOnPages(k, COST_CLEAR, pfn, 1)
  k.page[pfn * PAGE_WORDS] |= PG_uptodate
  countFaultedAnon(vma.mm)
  pageAddNewAnonRmap(k, pfn, vma, offset, false)
  lruAddVma(k, pfn, vma)
  setEntry(k, table, i, pfn, mkPte(vma, true))
  return 0
}

/** Missing pages of the area are its userfaultfd's; a write finds that out only when it has its page. */
function notOurs(k: Kernel, vma: Vma): number {
  if ((vma.flags & VM_SHARED) !== 0) return VM_FAULT_SIGBUS
  spend(k, COST_PTE, 1)
  if (k.vmf.write) {
    prepareAnon(k, vma)
    const pfn = allocPagesVma(k, GFP_HIGHUSER_MOVABLE, 0, vma, k.vmf.offset)
    if (pfn === NO_PAGE) return VM_FAULT_OOM
    spendOnPages(k, COST_CLEAR, pfn, 1)
    freePages(k, pfn, 0)
  }
  return (vma.flags & VM_USERFAULT) !== 0 ? userfault2014(k, vma) : handleUserfault(k, vma, VM_UFFD_MISSING)
}

/** A fresh page for a page of the area, charged to the area's memory cgroup; NO_PAGE when there is none, or none more for the group. */
export function allocAnon(k: Kernel, vma: Vma, offset: number, gfp: number): Pfn {
  const pfn = allocPagesVma(k, gfp, 0, vma, offset)
  if (vma.mm.memcg === ROOT_MEMCG || pfn === NO_PAGE || memcgCharge(k, pfn, vma.mm, GFP_KERNEL)) return pfn
  freePages(k, pfn, 0)
  return NO_PAGE
}

/** A write to a present, read-only entry of a writable private area (do_wp_page). */
export function doWpPage(k: Kernel, vma: Vma): number {
  const { table, i } = k.vmf
  spend(k, COST_PTE, 1)
  const flags = entryFlags(k, table, i)
  const pfn = asPfn(entryValue(k, table, i))
  if ((flags & PTE_SPECIAL) !== 0) return wpPageCopy(k, vma, NO_PAGE)
  if ((k.page[compoundHead(k, pfn) * PAGE_WORDS] & PG_anon) !== 0 && mayReuse(k, pfn)) {
    reuse(k, vma, pfn)
    if (k.numa.lastCpupid.length > 0) pageCpupidXchgLast(k, pfn, CPUPID_UNSET)
    k.event[EV.pgreuse]++
    setEntry(k, table, i, pfn, (flags | PTE_ACCESSED | WRITTEN | PTE_RW) & ~PTE_UFFD_WP)
    return 0
  }
  return wpPageCopy(k, vma, pfn)
}

/** Whether nobody else can see the anonymous page, so that it may be written in place. */
function mayReuse(k: Kernel, pfn: Pfn): boolean {
  if ((k.page[pfn * PAGE_WORDS] & PG_anon_exclusive) !== 0) return true
  const head = compoundHead(k, pfn)
  const at = head * PAGE_WORDS
  if ((k.page[at] & PG_ksm) !== 0 || pageCount(k, head) > 3) return false
  if ((k.page[at] & PG_lru) === 0) lruAddDrain(k)
  if ((k.page[at] & PG_swapcache) === 0) return pageCount(k, head) === 1
  return pageCount(k, head) === 2 && folioFreeSwap(k, head)
}

function reuse(k: Kernel, vma: Vma, pfn: Pfn): void {
  if ((k.page[pfn * PAGE_WORDS] & PG_anon_exclusive) !== 0) return
  prepareAnon(k, vma)
  const head = compoundHead(k, pfn)
  pageMoveAnonRmap(k, head, vma, k.vmf.offset - (pfn - head))
  k.page[pfn * PAGE_WORDS] |= PG_anon_exclusive
}

/** Gives the process its own copy of the page that the entry maps; NO_PAGE stands for the zero page (wp_page_copy). */
function wpPageCopy(k: Kernel, vma: Vma, old: Pfn): number {
  const { table, i, offset } = k.vmf
  prepareAnon(k, vma)
  const shared = entryValue(k, table, i)
  const pfn = allocAnon(k, vma, offset, old === NO_PAGE ? GFP_HIGHUSER_MOVABLE | __GFP_ZERO : GFP_HIGHUSER_MOVABLE)
  if (pfn === NO_PAGE) return VM_FAULT_OOM
  if (entryValue(k, table, i) !== shared || (entryFlags(k, table, i) & PTE_PRESENT) === 0) return lostRace(k, pfn)
  spendOnPages(k, old === NO_PAGE ? COST_CLEAR : COST_COPY, pfn, 1)
  k.page[pfn * PAGE_WORDS] |= PG_uptodate
  if (old !== NO_PAGE) {
    pageSetContent(k, pfn, pageContent(k, old), pageContentIndex(k, old))
    forgetOld(k, vma, old)
  } else countFaultedAnon(vma.mm)
  pageAddNewAnonRmap(k, pfn, vma, offset, false)
  lruAddVma(k, pfn, vma)
  setEntry(k, table, i, pfn, mkPte(vma, true))
  spend(k, COST.tlb_flush, 1)
  if (old !== NO_PAGE) {
    pageRemoveRmap(k, old, vma, false)
    freeSwapCache(k, compoundHead(k, old))
    putPage(k, compoundHead(k, old))
  }
  return 0
}

/** Getting the page has reclaimed the one to be copied: the fault is taken again. */
function lostRace(k: Kernel, pfn: Pfn): number {
  freeCharged(k, pfn, 0)
  return 0
}

/** Takes the page that is being replaced out of the process' resident set, and the new one in. */
function forgetOld(k: Kernel, vma: Vma, old: Pfn): void {
  const flags = k.page[compoundHead(k, old) * PAGE_WORDS]
  if ((flags & PG_ksm) !== 0) k.event[EV.cow_ksm]++
  if ((flags & PG_anon) !== 0) return
  countCopied(vma.mm, (flags & PG_swapbacked) !== 0)
}
