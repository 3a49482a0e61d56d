/**
 * Taking pages out of an address space: munmap, exit, MADV_DONTNEED, truncation.
 *
 * Entries are cleared and their pages gathered (caches/gather.ts); those of files that were written to are let go after each
 * page table, the others at the end or when the gather is full.
 *
 * A huge mapping that lies wholly in the range goes in one piece; one that is cut is split first.
 *
 * Source: mm/memory.c (unmap_page_range, zap_pte_range), mm/huge_memory.c zap_huge_pmd.
 */
import { COST, spend, turnOver } from '../base/cost.ts'
import {
  PG_anon,
  PG_dirty,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HWPOISON,
  PTE_MARKER,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_SWAP,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_HUGETLB,
  VM_SEQ_READ,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, type Pfn } from '../base/units.ts'
import { finishGather, flushGather, gatherPage, gatherPlace } from '../caches/gather.ts'
import { lruAddDrainCpu, markAccessed } from '../caches/lru.ts'
import { mlockDrainCpu } from '../caches/mlock_lru.ts'
import { freeSwapAndCache } from '../caches/swap_cache.ts'
import { pteToSwap } from '../caches/swap_map.ts'
import { compoundHead, pageMapped } from '../frames/page.ts'
import { countRss, isHuge, splitHugePmd, zapDeposited } from '../spaces/huge_pmd.ts'
import { unmapHugeRange } from '../spaces/hugetlb.ts'
import {
  chunkOf,
  clearEntry,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PMD,
  levelIndex,
  pteIndex,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'
import { pageRemoveRmap } from '../spaces/rmap.ts'
import { enterNotes, shownRssPages } from '../spaces/rss.ts'

/** Which pages of a range to take: those of an area that goes, all, or only those that a file's truncation reaches. */
export type ZapWhat = 'area' | 'all' | 'file'

/**
 * Unmaps [start, end) of the area and lets its pages go.
 * @param pauses whether it may stop when its turn is over. @returns the virtual page where it stopped, `end` when it did not
 */
export function zapPageRange(k: Kernel, vma: Vma, start: number, end: number, what: ZapWhat = 'all', pauses = false): number {
  if (start >= end) return end
  lruAddDrain(k)
  updateHiwaterRss(vma.mm)
  const stopped = unmapPageRange(k, vma, start, end, what, pauses)
  finishGather(k)
  return stopped
}

/** Remembers the resident set before it shrinks (update_hiwater_rss). */
export function updateHiwaterRss(mm: Mm): void {
  const pages = shownRssPages(mm)
  if (pages > mm.hiwaterRss) mm.hiwaterRss = pages
}

/** Works off this CPU's batches (lru_add_drain). */
export function lruAddDrain(k: Kernel): void {
  lruAddDrainCpu(k, k.cpu)
  mlockDrainCpu(k, k.cpu)
}

/** Works off every CPU's batches (lru_add_drain_all). */
export function lruAddDrainAll(k: Kernel): void {
  for (const cpu of k.cpus) {
    lruAddDrainCpu(k, cpu.id)
    mlockDrainCpu(k, cpu.id)
  }
}

/**
 * Unmaps [start, end) of the area; the pages wait in the gather until finishGather.
 * @param pauses whether it may stop behind a page table when its turn is over. @returns the virtual page where it stopped
 */
export function unmapPageRange(k: Kernel, vma: Vma, start: number, end: number, what: ZapWhat, pauses = false): number {
  if ((vma.flags & VM_HUGETLB) !== 0) {
    if (start < end) unmapHugeRange(k, vma, start, end)
    return end
  }
  let at = start
  while (at < end) {
    const next = Math.min(end, at - (at % HPAGE_PMD_NR) + HPAGE_PMD_NR)
    const pmd = walkTo(k, vma.mm, at, LEVEL_PMD)
    if (pmd === 0) {
      at = skipHole(k, vma, at, end)
      continue
    }
    zapPmd(k, vma, pmd, at, next, what)
    at = next
    if (pauses && turnOver(k)) break
  }
  return at
}

/** The next page after `at` that may have a pmd table. */
function skipHole(k: Kernel, vma: Vma, at: number, end: number): number {
  const pud = walkTo(k, vma.mm, at, LEVEL_PMD - 1)
  const span = pud === 0 ? 2 ** 27 : 2 ** 18
  return Math.min(end, at - (at % span) + span)
}

function zapPmd(k: Kernel, vma: Vma, pmd: number, start: number, end: number, what: ZapWhat): void {
  const i = levelIndex(start, LEVEL_PMD)
  if (isHuge(entryFlags(k, pmd, i))) {
    if (end - start === HPAGE_PMD_NR) {
      zapHugePmd(k, vma, pmd, i)
      return
    }
    splitHugePmd(k, vma, pmd, i)
  }
  const table = entryValue(k, pmd, i)
  const filled = (entryFlags(k, pmd, i) & PTE_TABLE) !== 0 && k.spaces.tables.used[table] > 0
  if (filled) zapPteRange(k, vma, table, pteIndex(start), end - start, what)
}

function zapHugePmd(k: Kernel, vma: Vma, pmd: number, i: number): void {
  const flags = entryFlags(k, pmd, i)
  const head = asPfn(entryValue(k, pmd, i))
  clearEntry(k, pmd, i)
  spend(k, COST.pte_change, 1)
  if ((flags & PTE_SPECIAL) !== 0) {
    zapDeposited(k, vma.mm, pmd)
    return
  }
  const anon = (k.page[head * PAGE_WORDS] & PG_anon) !== 0
  if (!anon && (flags & PTE_DIRTY) !== 0) k.page[head * PAGE_WORDS] |= PG_dirty
  countRss(k, vma.mm, head, -HPAGE_PMD_NR)
  pageRemoveRmap(k, head, vma, true)
  if (anon) zapDeposited(k, vma.mm, pmd)
  gatherPage(k, head)
}

function zapPteRange(k: Kernel, vma: Vma, table: number, first: number, n: number, what: ZapWhat): void {
  const chunk = chunkOf(k, table)
  const mm = vma.mm
  let dirty = false
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i)
    const flags = chunk[at + 1]
    if (flags === 0) continue
    if ((flags & PTE_PRESENT) === 0) {
      if ((flags & PTE_SWAP) !== 0 && what !== 'file') zapSwapped(k, mm, table, i)
      if ((flags & (what === 'area' ? PTE_MARKER | PTE_HWPOISON : what === 'all' ? PTE_HWPOISON : 0)) !== 0) clearEntry(k, table, i)
      continue
    }
    const pfn = asPfn(chunk[at])
    const special = (flags & PTE_SPECIAL) !== 0
    const head = special ? pfn : compoundHead(k, pfn)
    const anon = !special && (k.page[head * PAGE_WORDS] & PG_anon) !== 0
    if (what === 'file' && (special || anon)) continue
    clearEntry(k, table, i)
    spend(k, COST.pte_change, 1)
    if (special) continue
    if (!anon) {
      if ((flags & PTE_UFFD_WP) !== 0 && what !== 'area') setEntry(k, table, i, 0, PTE_MARKER)
      noteFileUse(k, vma, head, flags)
      dirty ||= (flags & PTE_DIRTY) !== 0
    }
    countRss(k, mm, head, -1)
    pageRemoveRmap(k, pfn, vma, false)
    if (pageMapped(k, head)) gatherPlace(k)
    else gatherPage(k, head)
  }
  enterNotes(k, mm)
  // Nobody may write to a file's page through a stale translation once its dirtiness is known.
  if (dirty) flushGather(k)
}

/** An entry of a page in swap goes. */
export function zapSwapped(k: Kernel, mm: Mm, table: number, i: number): void {
  const entry = pteToSwap(entryValue(k, table, i), entryFlags(k, table, i))
  clearEntry(k, table, i)
  mm.swapEnts--
  spend(k, COST.pte_change, 1)
  freeSwapAndCache(k, entry)
}

/** What the entry knew of a file page's use passes on to the page. */
function noteFileUse(k: Kernel, vma: Vma, head: Pfn, flags: number): void {
  if ((flags & PTE_DIRTY) !== 0) k.page[head * PAGE_WORDS] |= PG_dirty
  if ((flags & PTE_ACCESSED) !== 0 && (vma.flags & VM_SEQ_READ) === 0) markAccessed(k, head)
}
