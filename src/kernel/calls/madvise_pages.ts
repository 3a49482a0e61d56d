/**
 * Advice about single pages: MADV_COLD, MADV_PAGEOUT, MADV_FREE, and MADV_WILLNEED for what is in swap.
 *
 *     COLD      accessed marks are taken off, active pages go to the head of the inactive list
 *     PAGEOUT   the same, then the pages are reclaimed at once
 *     FREE      anonymous pages lose their claim to be kept: reclaim may drop them unwritten, until the next write; what is in swap
 *               goes at once
 *     WILLNEED  pages in swap are read into the swap cache
 *
 * COLD and PAGEOUT leave alone what other processes map too. A huge page of which only part is meant is split; when that fails, or
 * others map it, the walk of its 2 MiB ends there.
 *
 * Source: mm/madvise.c (madvise_cold_or_pageout_pte_range, madvise_free_pte_range, swapin_walk_pmd_entry), mm/huge_memory.c madvise_free_huge_pmd.
 */
import { COST, spend } from '../base/cost.ts'
import {
  PG_dirty,
  PG_lru,
  PG_referenced,
  PG_swapcache,
  PG_unevictable,
  PG_young,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_SWAP,
  PTE_TABLE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, type Pfn } from '../base/units.ts'
import { finishPlug, startPlug } from '../caches/block.ts'
import { isShmem } from '../caches/filemap.ts'
import { deactivatePage, isolateLru, markPageLazyfree, putbackLru } from '../caches/lru.ts'
import { shmemEntry } from '../caches/shmem_entries.ts'
import { folioFreeSwap } from '../caches/swap_cache.ts'
import { pteToSwap } from '../caches/swap_map.ts'
import { swapinAsync } from '../caches/swap_read.ts'
import { madviseFreeHugePmd } from '../fault/huge_memory.ts'
import { compoundHead, isThp, pageMapcount, totalMapcount } from '../frames/page.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { reclaimPages } from '../reclaim/vmscan_list.ts'
import { lruAddDrain, updateHiwaterRss, zapSwapped } from '../reclaim/zap.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import { chunkOf, entryAt, entryFlags, entryValue, pteIndex } from '../spaces/pagetable.ts'
import { enterNotes } from '../spaces/rss.ts'
import { linearPageIndex } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'

/** Makes pages [start, end) of the area cold, or reclaims them. @returns the virtual page where its turn was over, or `end` */
export function coldPages(k: Kernel, vma: Vma, start: number, end: number, pageout: boolean): number {
  lruAddDrain(k)
  const plugged = startPlug(k)
  const stopped = walkPmds(
    k,
    vma.mm,
    start,
    end,
    (pmd, i, from, to) => {
      const taken: Pfn[] | undefined = pageout ? [] : undefined
      const flags = entryFlags(k, pmd, i)
      if (!isHuge(flags) || !coldHuge(k, pmd, i, to - from === HPAGE_PMD_NR, taken)) {
        if ((entryFlags(k, pmd, i) & PTE_TABLE) !== 0) coldPtes(k, entryValue(k, pmd, i), pteIndex(from), to - from, taken)
      }
      if (taken !== undefined) reclaimPages(k, taken)
    },
    true,
  )
  if (plugged) finishPlug(k)
  spend(k, COST.tlb_flush, 1)
  return stopped
}

/** A huge entry: true when nothing is left to do, false when it was split and its pages are to be looked at. */
function coldHuge(k: Kernel, pmd: number, i: number, whole: boolean, taken: Pfn[] | undefined): boolean {
  const chunk = chunkOf(k, pmd)
  const at = entryAt(pmd, i)
  const head = asPfn(chunk[at])
  if ((chunk[at + 1] & PTE_SPECIAL) !== 0 || pageMapcount(k, head) !== 1) return true
  if (!whole) return splitHugePage(k, head) !== 0
  chunk[at + 1] &= ~PTE_ACCESSED
  coldPage(k, head, taken)
  return true
}

function coldPtes(k: Kernel, table: number, first: number, n: number, taken: Pfn[] | undefined): void {
  const chunk = chunkOf(k, table)
  spend(k, COST.pte_visit, n)
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i)
    const flags = chunk[at + 1]
    if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue
    const pfn = asPfn(chunk[at])
    const head = compoundHead(k, pfn)
    if (isThp(k, head) && (pageMapcount(k, pfn) !== 1 || splitHugePage(k, head) !== 0)) return
    if ((k.page[pfn * PAGE_WORDS] & PG_lru) === 0 || pageMapcount(k, pfn) !== 1) continue
    chunk[at + 1] = flags & ~PTE_ACCESSED
    coldPage(k, pfn, taken)
  }
}

function coldPage(k: Kernel, head: Pfn, taken: Pfn[] | undefined): void {
  k.page[head * PAGE_WORDS] &= ~(PG_referenced | PG_young)
  if (taken === undefined) deactivatePage(k, head)
  else if (isolateLru(k, head)) {
    if ((k.page[head * PAGE_WORDS] & PG_unevictable) !== 0) putbackLru(k, head)
    else taken.push(head)
  }
}

/** Lets reclaim drop the anonymous pages [start, end) of the area. @returns the virtual page where its turn was over, or `end` */
export function freePagesLazily(k: Kernel, vma: Vma, start: number, end: number): number {
  lruAddDrain(k)
  updateHiwaterRss(vma.mm)
  const stopped = walkPmds(
    k,
    vma.mm,
    start,
    end,
    (pmd, i, from, to) => {
      if (isHuge(entryFlags(k, pmd, i)) && madviseFreeHugePmd(k, pmd, i, to - from === HPAGE_PMD_NR)) return
      if ((entryFlags(k, pmd, i) & PTE_TABLE) !== 0) freePtes(k, vma.mm, entryValue(k, pmd, i), pteIndex(from), to - from)
    },
    true,
  )
  spend(k, COST.tlb_flush, 1)
  return stopped
}

function freePtes(k: Kernel, mm: Mm, table: number, first: number, n: number): void {
  const chunk = chunkOf(k, table)
  spend(k, COST.pte_visit, n)
  const { swapEnts } = mm
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i)
    const flags = chunk[at + 1]
    if ((flags & PTE_SWAP) !== 0) zapSwapped(k, mm, table, i)
    if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue
    const pfn = asPfn(chunk[at])
    const head = compoundHead(k, pfn)
    if (isThp(k, head) && (pageMapcount(k, head) !== 1 || splitHugePage(k, head) !== 0)) break
    if ((k.page[pfn * PAGE_WORDS] & (PG_dirty | PG_swapcache)) !== 0) {
      if (totalMapcount(k, pfn) !== 1) continue
      if ((k.page[pfn * PAGE_WORDS] & PG_swapcache) !== 0 && !folioFreeSwap(k, pfn)) continue
      k.page[pfn * PAGE_WORDS] &= ~PG_dirty
    }
    chunk[at + 1] = flags & ~(PTE_ACCESSED | PTE_DIRTY)
    markPageLazyfree(k, pfn)
  }
  if (mm.swapEnts !== swapEnts) enterNotes(k, mm)
}

/** Starts to read what of pages [start, end) of the area is in swap. */
export function readFromSwap(k: Kernel, vma: Vma, start: number, end: number): void {
  if (vma.mapping !== undefined) readFileFromSwap(k, vma.mapping, linearPageIndex(vma, start), end - start)
  else
    walkPmds(k, vma.mm, start, end, (pmd, i, from, to) => {
      if ((entryFlags(k, pmd, i) & PTE_TABLE) === 0) return
      const table = entryValue(k, pmd, i)
      const first = pteIndex(from)
      spend(k, COST.pte_visit, to - from)
      for (let at = 0; at < to - from; at++) {
        const entry = pteToSwap(entryValue(k, table, first + at), entryFlags(k, table, first + at))
        if (entry !== 0) swapinAsync(k, entry, vma, from + at - vma.start)
      }
    })
  lruAddDrain(k)
}

function readFileFromSwap(k: Kernel, mapping: Mapping, first: number, pages: number): void {
  if (!isShmem(mapping.inode.sb) || mapping.inode.swapped === 0) return
  for (let index = first; index < first + pages; index++) {
    const entry = shmemEntry(mapping, index)
    if (entry !== 0) swapinAsync(k, entry, undefined, 0)
  }
}
