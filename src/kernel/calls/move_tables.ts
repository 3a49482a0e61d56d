/**
 * Moving the entries of a range to another range of the same address space, for mremap.
 *
 * Where both ranges cover a whole 1 GiB or 2 MiB that fall together, the table moves and its entries are not looked at:
 *
 *     1 GiB      the pud entry moves, with the pmd table below it
 *     2 MiB      the pmd entry moves: its table, or the huge page it maps
 *     else       entry by entry into a table of the new range; a huge mapping is split first
 *
 * Only entries that are moved one by one, and huge ones, become soft-dirty. The old range keeps its emptied tables until it is unmapped.
 *
 * Source: mm/mremap.c (move_page_tables, get_extent, move_ptes), mm/huge_memory.c move_huge_pmd, mm/hugetlb.c move_hugetlb_page_tables.
 */
import { COST, spend, turnOver } from '../base/cost.ts'
import { PTE_SOFT_DIRTY, VM_HUGETLB } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import { moveHugePmd } from '../fault/huge_memory.ts'
import { makeTables } from '../fault/tables.ts'
import { isHuge, splitHugePmd } from '../spaces/huge_pmd.ts'
import { hstateOfArea, hugeLevel, nextTable, unshareTable } from '../spaces/hugetlb.ts'
import {
  clearEntry,
  entryFlags,
  entryValue,
  forgetWalk,
  LEVEL_PAGES,
  LEVEL_PMD,
  LEVEL_PTE,
  LEVEL_PUD,
  levelIndex,
  pteIndex,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'

const PUD_PAGES = LEVEL_PAGES[LEVEL_PUD]
const PMD_PAGES = LEVEL_PAGES[LEVEL_PMD]

/** The entries of `pages` pages from page `from` are to move to page `to`, where there are none; the first `done` have moved. */
export interface Moves {
  readonly from: number
  readonly to: number
  readonly pages: number
  readonly done: number
  /** Whether it may stop when its turn is over. */
  readonly pauses: boolean
}

/** Moves the entries. @returns the pages done: fewer when there is no memory for a table, or, after some progress, when the turn is over. */
export function movePageTables(k: Kernel, vma: Vma, moves: Moves): number {
  const done = (vma.flags & VM_HUGETLB) !== 0 ? moveHugetlb(k, vma, moves) : moveAll(k, vma, moves)
  forgetWalk(vma.mm)
  spend(k, COST.tlb_flush, 1)
  return done
}

function moveAll(k: Kernel, vma: Vma, { from, to, pages, done: before, pauses }: Moves): number {
  let done = before
  while (done < pages) {
    const step = moveStep(k, vma, from + done, to + done, pages - done)
    done += step
    if (step === 0 || (pauses && turnOver(k))) return done
  }
  return done
}

/** Pages from the start of a step to where the table entry of its old or its new place ends, at most those left (get_extent). */
function extent(span: number, from: number, to: number, left: number): number {
  return Math.min(left, span - (from % span), span - (to % span))
}

/** One step of the way: as much as one entry of the highest level that can move whole. 0 when there is no memory. */
function moveStep(k: Kernel, vma: Vma, from: number, to: number, left: number): number {
  const { mm } = vma
  const giant = extent(PUD_PAGES, from, to, left)
  const pud = walkTo(k, mm, from, LEVEL_PUD)
  if (pud === 0 || entryFlags(k, pud, levelIndex(from, LEVEL_PUD)) === 0) return giant
  if (!makeTables(k, mm, to, LEVEL_PUD)) return 0
  if (giant === PUD_PAGES && moveEntry(k, vma, from, to, LEVEL_PUD)) return giant
  const huge = extent(PMD_PAGES, from, to, left)
  const pmd = walkTo(k, mm, from, LEVEL_PMD)
  const i = levelIndex(from, LEVEL_PMD)
  if (entryFlags(k, pmd, i) === 0) return huge
  if (!makeTables(k, mm, to, LEVEL_PMD)) return 0
  if (isHuge(entryFlags(k, pmd, i))) {
    if (huge === PMD_PAGES) {
      moveHugePmd(k, vma, pmd, i, walkTo(k, mm, to, LEVEL_PMD), levelIndex(to, LEVEL_PMD))
      return huge
    }
    splitHugePmd(k, vma, pmd, i)
    if (entryFlags(k, pmd, i) === 0) return huge
  } else if (huge === PMD_PAGES && moveEntry(k, vma, from, to, LEVEL_PMD)) return huge
  if (!makeTables(k, mm, to, LEVEL_PTE)) return 0
  movePtes(k, entryValue(k, pmd, i), pteIndex(from), walkTo(k, mm, to, LEVEL_PTE), pteIndex(to), huge)
  return huge
}

/** Moves the entry of a level, with the table it points to, if its new place is empty. */
function moveEntry(k: Kernel, vma: Vma, from: number, to: number, level: number): boolean {
  const source = walkTo(k, vma.mm, from, level)
  const target = walkTo(k, vma.mm, to, level)
  const i = levelIndex(from, level)
  const j = levelIndex(to, level)
  if (entryFlags(k, target, j) !== 0) return false
  setEntry(k, target, j, entryValue(k, source, i), entryFlags(k, source, i))
  clearEntry(k, source, i)
  spend(k, COST.pte_change, 1)
  return true
}

function movePtes(k: Kernel, source: number, first: number, target: number, at: number, n: number): void {
  let moved = 0
  for (let i = 0; i < n; i++) {
    const flags = entryFlags(k, source, first + i)
    if (flags === 0) continue
    setEntry(k, target, at + i, entryValue(k, source, first + i), flags | PTE_SOFT_DIRTY)
    clearEntry(k, source, first + i)
    moved++
  }
  spend(k, COST.pte_visit, n)
  spend(k, COST.pte_change, moved)
}

/** Huge TLB pages move by their entries; a table that others share is left to them, and its pages are faulted in again. */
function moveHugetlb(k: Kernel, vma: Vma, { from, to, pages }: Moves): number {
  const level = hugeLevel(hstateOfArea(k, vma))
  for (let at = from; at < from + pages; ) {
    const table = walkTo(k, vma.mm, at, level)
    if (table === 0 || unshareTable(k, vma.mm, at, table)) {
      at = nextTable(at, level)
      continue
    }
    if (entryFlags(k, table, levelIndex(at, level)) !== 0) {
      if (!makeTables(k, vma.mm, at + to - from, level)) return at - from
      moveEntry(k, vma, at, at + to - from, level)
    }
    at += LEVEL_PAGES[level]
  }
  return pages
}
