/**
 * What page tables say of the use of pages, for generations: accessed marks are taken away, and the pages they were about join the
 * youngest generation.
 *
 *     a walk       over the address spaces of a group that have run since the last one, 2 MiB at a time. A table below an entry
 *                  that was not accessed itself (if upper tables' marks are used), or that the filter does not know, is passed over
 *     a look       around an accessed entry that reclaim met: up to 64 entries of the same table. It feeds the filter, too
 *
 * Only pages of the lruvec's own node and group count, anonymous ones only if they could be swapped out; locked areas and those of
 * sequential or random reads are not walked.
 *
 * An upper entry counts as accessed unless a walk has taken its mark away (PTE_TABLE_OLD) and no program has come through since.
 *
 * Source: mm/vmscan.c (walk_mm, walk_pmd_range, walk_pte_range, should_skip_vma, get_next_vma, lru_gen_look_around).
 */
import { COST, spend } from '../base/cost.ts'
import {
  PG_anon,
  PG_dirty,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE_OLD,
  VM_EXEC,
  VM_HUGETLB,
  VM_LOCKED,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SPECIAL,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, type Pfn } from '../base/units.ts'
import { isShmem } from '../caches/filemap.ts'
import { activatePage, BATCH_PAGES, lruvecOf } from '../caches/lru.ts'
import { folioLruGen, folioUpdateGen, GEN_FILE, genOf, typeOf } from '../caches/lru_gen.ts'
import { compoundHead, pageMemcg, pageNode } from '../frames/page.ts'
import {
  chunkOf,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PAGES,
  LEVEL_PMD,
  LEVEL_PUD,
  levelIndex,
  pteIndex,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'
import { eachVma, vmaNext } from '../spaces/vma.ts'
import { testFilter, updateFilter } from './lru_gen_filter.ts'
import { markDirty } from './writeback.ts'

/** Entries that a look takes in (MIN_LRU_BATCH). */
const LOOK_PAGES = 64
/** Entries of a table in a cache line: so many a used page is enough for a table to be worth a look. */
const LINE_ENTRIES = 8

const LEAF_TOTAL = 0
const LEAF_OLD = 1
const LEAF_YOUNG = 2
const NONLEAF_TOTAL = 3
const NONLEAF_FOUND = 4
const NONLEAF_ADDED = 5

/** A walk for a lruvec's youngest generation. */
export interface Walk {
  readonly nid: number
  readonly lruvec: Lruvec
  readonly maxSeq: number
  readonly canSwap: boolean
  /** Address spaces are walked whether they ran or not, and tables whatever the filter says. */
  forceScan: boolean
}

/** Walks an address space. */
export function walkMm(k: Kernel, walk: Walk, mm: Mm): void {
  let done = 0
  for (const vma of eachVma(mm)) {
    if (skipsVma(vma, walk.canSwap)) continue
    for (let at = Math.max(vma.start, done); at < vma.end; at = done) done = walkEntry(k, walk, vma, at)
  }
}

const UNWALKED = VM_LOCKED | VM_SPECIAL | VM_SEQ_READ | VM_RAND_READ | VM_HUGETLB

/** Whether nothing of an area counts (should_skip_vma). */
function skipsVma(vma: Vma, canSwap: boolean): boolean {
  if ((vma.flags & (VM_READ | VM_WRITE | VM_EXEC)) === 0 || (vma.flags & UNWALKED) !== 0) return true
  if (vma.mapping === undefined) return !canSwap
  return vma.mapping.unevictable || (isShmem(vma.mapping.inode.sb) && !canSwap)
}

/** Looks at the upper entry that covers the page, and at what is below; returns the first page behind it. */
function walkEntry(k: Kernel, walk: Walk, vma: Vma, at: number): number {
  const { mm } = vma
  const pmd = walkTo(k, mm, at, LEVEL_PMD)
  const span = pmd !== 0 ? HPAGE_PMD_NR : LEVEL_PAGES[walkTo(k, mm, at, LEVEL_PUD) === 0 ? 0 : 1]
  const end = at - (at % span) + span
  if (pmd === 0) return end
  const i = levelIndex(at, LEVEL_PMD)
  const flags = entryFlags(k, pmd, i)
  spend(k, COST.pte_visit, 1)
  if ((flags & PTE_HUGE) !== 0) walkHuge(k, walk, pmd, i)
  else if (flags === 0) walk.lruvec.gen.mm.stats[LEAF_TOTAL]++
  else walkTable(k, walk, vma, { pmd, i, at, end })
  return end
}

function walkHuge(k: Kernel, walk: Walk, pmd: number, i: number): void {
  const { stats } = walk.lruvec.gen.mm
  const flags = entryFlags(k, pmd, i)
  stats[LEAF_TOTAL]++
  if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return
  if ((flags & PTE_ACCESSED) === 0) {
    stats[LEAF_OLD]++
    return
  }
  const head = asPfn(entryValue(k, pmd, i))
  if (!counts(k, head, walk.nid, walk.lruvec.memcg, walk.canSwap)) return
  setEntry(k, pmd, i, head, flags & ~PTE_ACCESSED)
  stats[LEAF_YOUNG]++
  passDirty(k, head, flags)
  folioUpdateGen(k, walk.lruvec, head, genOf(walk.maxSeq))
}

/** An upper entry, and the part [at, end) of what it covers. */
interface Upper {
  readonly pmd: number
  readonly i: number
  readonly at: number
  readonly end: number
}

function walkTable(k: Kernel, walk: Walk, vma: Vma, { pmd, i, at, end }: Upper): void {
  const { maxSeq, forceScan } = walk
  const state = walk.lruvec.gen.mm
  const flags = entryFlags(k, pmd, i)
  state.stats[NONLEAF_TOTAL]++
  if (k.lruGen.nonleafYoung) {
    if ((flags & PTE_TABLE_OLD) !== 0) return
    setEntry(k, pmd, i, entryValue(k, pmd, i), flags | PTE_TABLE_OLD)
    k.lruGen.oldTables = true
  }
  if (!forceScan && !testFilter(k, state, maxSeq, pmd, i)) return
  state.stats[NONLEAF_FOUND]++
  if (!walkPtes(k, walk, vma, entryValue(k, pmd, i), at, end)) return
  state.stats[NONLEAF_ADDED]++
  updateFilter(k, state, maxSeq + 1, pmd, i)
}

/** Looks at a table's entries from `at` on, of this area and the next ones; returns whether it was worth it. */
function walkPtes(k: Kernel, walk: Walk, vma: Vma, table: number, at: number, end: number): boolean {
  const { stats } = walk.lruvec.gen.mm
  let total = 0
  const young = stats[LEAF_YOUNG]
  for (let area: Vma | undefined = vma; area !== undefined && area.start < end; area = vmaNext(area)) {
    if (skipsVma(area, walk.canSwap)) continue
    const first = Math.max(at, area.start)
    const n = Math.min(end, area.end) - first
    total += n
    walkArea(k, walk, table, pteIndex(first), n)
  }
  stats[LEAF_TOTAL] += total
  spend(k, COST.pte_visit, total)
  return (stats[LEAF_YOUNG] - young) * LINE_ENTRIES >= total
}

function walkArea(k: Kernel, walk: Walk, table: number, first: number, n: number): void {
  const { lruvec, nid, canSwap } = walk
  const { stats } = lruvec.gen.mm
  const chunk = chunkOf(k, table)
  const youngest = genOf(walk.maxSeq)
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i)
    const flags = chunk[at + 1]
    if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue
    if ((flags & PTE_ACCESSED) === 0) {
      stats[LEAF_OLD]++
      continue
    }
    const head = compoundHead(k, asPfn(chunk[at]))
    if (!counts(k, head, nid, lruvec.memcg, canSwap)) continue
    chunk[at + 1] = flags & ~PTE_ACCESSED
    stats[LEAF_YOUNG]++
    passDirty(k, head, flags)
    folioUpdateGen(k, lruvec, head, youngest)
  }
}

/** Whether the page is one of the lruvec's, and may be reclaimed (get_pfn_folio). */
const counts = (k: Kernel, head: Pfn, nid: number, memcg: number, canSwap: boolean): boolean =>
  pageNode(k, head) === nid && pageMemcg(k, head) === memcg && (canSwap || typeOf(k, head) === GEN_FILE)

/** What the entry knows of writes passes on to a page that has a place to be written to. */
function passDirty(k: Kernel, head: Pfn, entry: number): void {
  const flags = k.page[head * PAGE_WORDS]
  if ((entry & PTE_DIRTY) === 0 || (flags & PG_dirty) !== 0) return
  if ((flags & PG_anon) === 0) markDirty(k, head)
  else if ((flags & (PG_swapbacked | PG_swapcache)) !== PG_swapbacked) k.page[head * PAGE_WORDS] |= PG_dirty
}

/** Looks at the neighbours of an accessed entry of a page that is to be reclaimed. */
export function lookAround(k: Kernel, vma: Vma, vpn: number, pfn: Pfn, table: number): void {
  if ((vma.flags & VM_SPECIAL) !== 0) return
  const head = compoundHead(k, pfn)
  const lruvec = lruvecOf(k, head)
  const nid = pageNode(k, head)
  const { walk } = k.lruGen
  const chunk = chunkOf(k, table)
  const { start, n } = lookRange(vma, vpn)
  const youngest = genOf(lruvec.gen.maxSeq)
  const raised: Pfn[] = []
  let young = 0
  spend(k, COST.pte_visit, n)
  for (let i = pteIndex(start); i < pteIndex(start) + n; i++) {
    const at = entryAt(table, i)
    const flags = chunk[at + 1]
    if ((flags & (PTE_PRESENT | PTE_SPECIAL | PTE_ACCESSED)) !== (PTE_PRESENT | PTE_ACCESSED)) continue
    const page = compoundHead(k, asPfn(chunk[at]))
    if (!counts(k, page, nid, lruvec.memcg, walk === undefined || walk.canSwap)) continue
    chunk[at + 1] = flags & ~PTE_ACCESSED
    young++
    passDirty(k, page, flags)
    const g = folioLruGen(k, page)
    if (g < 0) k.page[page * PAGE_WORDS] |= PG_referenced
    else if (g !== youngest) raised.push(page)
  }
  const pmd = walkTo(k, vma.mm, vpn, LEVEL_PMD)
  if (young * LINE_ENTRIES >= n) updateFilter(k, lruvec.gen.mm, lruvec.gen.maxSeq, pmd, levelIndex(vpn, LEVEL_PMD))
  if (walk === undefined && raised.length < BATCH_PAGES) for (const page of raised) activatePage(k, page)
  else for (const page of raised) folioUpdateGen(k, lruvec, page, youngest)
}

/** Up to 64 pages of the area around one, within what its table covers. */
function lookRange(vma: Vma, vpn: number): { start: number; n: number } {
  const base = vpn - (vpn % HPAGE_PMD_NR)
  let start = Math.max(base, vma.start)
  let end = Math.min(base + HPAGE_PMD_NR, vma.end)
  if (end - start > LOOK_PAGES) {
    if (vpn - start < LOOK_PAGES / 2) end = start + LOOK_PAGES
    else if (end - vpn < LOOK_PAGES / 2) start = end - LOOK_PAGES
    else {
      start = vpn - LOOK_PAGES / 2
      end = vpn + LOOK_PAGES / 2
    }
  }
  return { start, n: end - start }
}

/** Programs have come through the upper entries that cover pages [start, end): they count as accessed again. */
export function tablesAccessed(k: Kernel, mm: Mm, start: number, end: number): void {
  for (let at = start; at < end; at += HPAGE_PMD_NR - (at % HPAGE_PMD_NR)) {
    const pmd = walkTo(k, mm, at, LEVEL_PMD)
    if (pmd === 0) continue
    const i = levelIndex(at, LEVEL_PMD)
    const flags = entryFlags(k, pmd, i)
    if ((flags & PTE_TABLE_OLD) !== 0) setEntry(k, pmd, i, entryValue(k, pmd, i), flags & ~PTE_TABLE_OLD)
  }
}
