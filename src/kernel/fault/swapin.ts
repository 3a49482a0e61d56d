/**
 * Faults on pages that are swapped out.
 *
 *     in the swap cache     mapped; a minor fault
 *     not there             read, with what is worth reading ahead; a major fault. Waiting for a page that is being read lets go of
 *                           the address space, so the fault is tried again, and finds it
 *     zram, named once      read into a page of its own, past the swap cache
 *
 * The entry's claim on the slot ends. The page gives its slot up as well when swap is short, when it is locked in memory, and when
 * it is about to be written to and nobody else has it. A page that is this process' alone becomes writable at once if the fault is a
 * write; another is mapped read-only and then copied or reused.
 *
 * Source: mm/memory.c do_swap_page.
 */

import { memcgSwapinCharge } from '../alloc/charge.ts'
import { allocPagesVma } from '../alloc/page_alloc.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  PG_dirty,
  PG_ksm,
  PG_locked,
  PG_lru,
  PG_mlocked,
  PG_swapbacked,
  PG_swapcache,
  PG_uptodate,
  PG_writeback,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SWP_EXCLUSIVE,
  PTE_UFFD_WP,
  SWP_STABLE_WRITES,
  SWP_SYNCHRONOUS_IO,
  VM_FAULT_MAJOR,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_LOCKED,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import { NO_PAGE, type Pfn } from '../base/units.ts'
import { lruAdd, putPage } from '../caches/lru.ts'
import { folioFreeSwap } from '../caches/swap_cache.ts'
import { swapReadpage, waitOnSwapCache } from '../caches/swap_io.ts'
import {
  pteToSwap,
  putSwapCache,
  swapArea,
  swapCacheOf,
  swapCount,
  swapcachePrepare,
  swapFree,
  swpOffset,
  vmSwapFull,
} from '../caches/swap_map.ts'
import { swapCacheLookup, swapinReadahead } from '../caches/swap_read.ts'
import { workingsetRefault } from '../caches/workingset.ts'
import { xaLoad, xaShadowAge } from '../caches/xarray.ts'
import { countMemcgEvent } from '../frames/memcg.ts'
import { memcgSwapFull } from '../frames/memcg_charge.ts'
import { compoundHead, pageContent, pageContentIndex, pageCount, pageSetContent } from '../frames/page.ts'
import { freeCharged, freePages } from '../frames/rmqueue.ts'
import { lruAddDrain } from '../reclaim/zap.ts'
import { entryFlags, entryValue, setEntry } from '../spaces/pagetable.ts'
import { lruAddVma, pageAddAnonRmap, pageAddNewAnonRmap } from '../spaces/rmap.ts'
import { countSwappedIn, noteRetry } from '../spaces/rss.ts'
import { prepareAnon } from '../spaces/vma.ts'
import { allocAnon, doWpPage } from './anon.ts'
import { ksmMightNeedToCopy } from './ksm_copy.ts'

/** A fault on a page that is in swap, at the entry of k.vmf. */
export function doSwapPage(k: Kernel, vma: Vma): number {
  const first = trySwapIn(k, vma)
  if ((first & VM_FAULT_RETRY) === 0) return first
  noteRetry(k, vma.mm)
  const second = trySwapIn(k, vma)
  return k.vmf.user ? second | VM_FAULT_MAJOR : second
}

/** One try, which ends with VM_FAULT_RETRY where it had to wait. */
export function trySwapIn(k: Kernel, vma: Vma): number {
  const { table, i, offset } = k.vmf
  spend(k, COST.fault_pte, 1)
  const flags = entryFlags(k, table, i)
  const entry = pteToSwap(entryValue(k, table, i), flags)
  let page = swapCacheLookup(k, entry, vma, offset)
  if (page === NO_PAGE) {
    const area = swapArea(k, entry)
    const past = (area.flags & SWP_SYNCHRONOUS_IO) !== 0 && swapCount(k, entry) === 1
    page = past ? readPast(k, entry, vma, offset) : swapinReadahead(k, entry, vma, offset)
    if (page === NO_PAGE) return VM_FAULT_OOM
    k.event[EV.pgmajfault]++
    countMemcgEvent(k, vma.mm.memcg, EV.pgmajfault, 1)
    if (!waitFor(k, page)) return VM_FAULT_RETRY
    return mapSwappedIn(k, vma, entry, flags, page, past) | VM_FAULT_MAJOR
  }
  return waitFor(k, page) ? mapSwappedIn(k, vma, entry, flags, page, false) : VM_FAULT_RETRY
}

/** Waits until a page that is being read is there; false if it had to, so that the fault is to be tried again. */
function waitFor(k: Kernel, page: Pfn): boolean {
  if ((k.page[page * PAGE_WORDS] & PG_locked) === 0) return true
  waitOnSwapCache(k, page)
  return false
}

/** Reads into a page that does not go to the swap cache: nobody else could want it there. */
function readPast(k: Kernel, entry: number, vma: Vma, offset: number): Pfn {
  if (!swapcachePrepare(k, entry)) return NO_PAGE
  const pfn = allocPagesVma(k, GFP_HIGHUSER_MOVABLE, 0, vma, offset)
  if (pfn === NO_PAGE) {
    putSwapCache(k, entry)
    return NO_PAGE
  }
  const index = swpOffset(entry)
  if (!memcgSwapinCharge(k, pfn, swapArea(k, entry).memcg[index], vma.mm, GFP_KERNEL)) {
    freePages(k, pfn, 0)
    putSwapCache(k, entry)
    return NO_PAGE
  }
  const cache = swapCacheOf(swapArea(k, entry), index)
  const shadow = xaLoad(cache, index)
  k.page[pfn * PAGE_WORDS] |= PG_locked | PG_swapbacked
  if (shadow < 0) workingsetRefault(k, pfn, shadow, xaShadowAge(cache, index))
  swapReadpage(k, pfn, entry)
  return pfn
}

/** Maps the page, which has been read, where its entry was. `past`: it is not in the swap cache. */
function mapSwappedIn(k: Kernel, vma: Vma, entry: number, flags: number, page: Pfn, past: boolean): number {
  const { table, i, offset, write } = k.vmf
  if (pteToSwap(entryValue(k, table, i), entryFlags(k, table, i)) !== entry) return backOut(k, entry, page, past)
  const head = compoundHead(k, page)
  const at = head * PAGE_WORDS
  if (!past && ksmMightNeedToCopy(k, vma, offset, head, page - head)) return mapCopy(k, vma, entry, flags, page)
  if (write && !past && (k.page[at] & (PG_ksm | PG_lru)) === 0) lruAddDrain(k)
  const alone = past || ((flags & PTE_SWP_EXCLUSIVE) !== 0 && !mustNotChange(k, entry, head))
  swapFree(k, entry)
  if (shouldFreeSwap(k, vma, head, write)) folioFreeSwap(k, head)
  countSwappedIn(vma.mm)
  const exclusive = (k.page[at] & PG_ksm) === 0 && (alone || pageCount(k, head) === 0)
  const open = exclusive && write && (flags & PTE_UFFD_WP) === 0
  pageAddAnonRmap(k, page, vma, offset, false, exclusive)
  setEntry(k, table, i, page, presentFlags(vma, flags, exclusive && write, open))
  if (past) {
    // Only now does somebody hold the page, should its batch be full.
    lruAdd(k, page)
    putSwapCache(k, entry)
  }
  return write && !exclusive ? doWpPage(k, vma) : 0
}

/** A copy of a page in the swap cache for an area that cannot use the page itself, not mapped yet; NO_PAGE when there is no memory. */
export function copySwapped(k: Kernel, vma: Vma, offset: number, page: Pfn): Pfn {
  prepareAnon(k, vma)
  const copy = allocAnon(k, vma, offset, GFP_HIGHUSER_MOVABLE)
  if (copy === NO_PAGE) return NO_PAGE
  spend(k, COST.copy_page, 1)
  k.event[EV.ksm_swpin_copy]++
  k.page[copy * PAGE_WORDS] |= PG_uptodate | PG_dirty
  pageSetContent(k, copy, pageContent(k, page), pageContentIndex(k, page))
  return copy
}

/** Maps a copy of the page, which stays in the swap cache for those that can use it. */
function mapCopy(k: Kernel, vma: Vma, entry: number, flags: number, page: Pfn): number {
  const { table, i, offset, write } = k.vmf
  const copy = copySwapped(k, vma, offset, page)
  if (copy === NO_PAGE) return VM_FAULT_OOM
  if (entryValue(k, table, i) !== swpOffset(entry) || entryFlags(k, table, i) !== flags) {
    freeCharged(k, copy, 0)
    return 0
  }
  swapFree(k, entry)
  countSwappedIn(vma.mm)
  pageAddNewAnonRmap(k, copy, vma, offset, false)
  lruAddVma(k, copy, vma)
  setEntry(k, table, i, copy, presentFlags(vma, flags, write, write && (flags & PTE_UFFD_WP) === 0))
  return 0
}

/** Getting the page has cost the process its memory: the entry is gone. */
function backOut(k: Kernel, entry: number, page: Pfn, past: boolean): number {
  if (!past) return 0
  putSwapCache(k, entry)
  putPage(k, page)
  return 0
}

function presentFlags(vma: Vma, flags: number, dirty: boolean, open: boolean): number {
  const written = dirty ? PTE_DIRTY | PTE_SOFT_DIRTY : 0
  return (
    PTE_PRESENT | PTE_ACCESSED | written | (open && (vma.flags & VM_WRITE) !== 0 ? PTE_RW : 0) | (flags & (PTE_SOFT_DIRTY | PTE_UFFD_WP))
  )
}

/** A page that is being written to a device which must not see it change. */
const mustNotChange = (k: Kernel, entry: number, head: Pfn) =>
  (k.page[head * PAGE_WORDS] & PG_writeback) !== 0 && (swapArea(k, entry).flags & SWP_STABLE_WRITES) !== 0

/** Whether the page had better give up its slot (should_try_to_free_swap). */
function shouldFreeSwap(k: Kernel, vma: Vma, head: Pfn, write: boolean): boolean {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_swapcache) === 0) return false
  if (vmSwapFull(k) || memcgSwapFull(k, head) || (vma.flags & VM_LOCKED) !== 0 || (flags & PG_mlocked) !== 0) return true
  return write && (flags & PG_ksm) === 0 && pageCount(k, head) === 1
}
