/**
 * clear_refs: forgets which pages a process has used, or which it has written, so that a later look shows what it did since.
 *
 *     1 all, 2 anonymous, 3 file    accessed bits of entries, referenced and young marks of pages
 *     4 soft-dirty                  the soft-dirty marks of entries, and areas; entries lose the right to write, so that the
 *                                   next write faults and sets its mark
 *     5 peak                        the peak of resident memory becomes what is resident now
 *
 * Huge TLB pages are passed over, as are areas that map no pages of memory.
 *
 * Source: fs/proc/task_mmu.c (clear_refs_write, clear_refs_pte_range, clear_soft_dirty).
 */
import { COST, COSTS, spend } from '../base/cost.ts'
import {
  PG_referenced,
  PG_young,
  PTE_ACCESSED,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_TABLE,
  VM_HUGETLB,
  VM_PFNMAP,
  VM_SOFTDIRTY,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { compoundHead, pageClear } from '../frames/page.ts'
import { chunkOf, entryAt, entryFlags, entryValue, pteIndex, setEntry } from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PTE } from '../spaces/pt_lock.ts'
import { shownRssPages } from '../spaces/rss.ts'
import { eachVma } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'

export const CLEAR_REFS_ALL = 1
const CLEAR_REFS_ANON = 2
const CLEAR_REFS_MAPPED = 3
const CLEAR_REFS_SOFT_DIRTY = 4
export const CLEAR_REFS_MM_HIWATER_RSS = 5

/** Does what a valid number written to clear_refs asks for. */
export function clearRefs(k: Kernel, mm: Mm, type: number): void {
  if (type === CLEAR_REFS_MM_HIWATER_RSS) {
    mm.hiwaterRss = shownRssPages(mm)
    return
  }
  const softDirty = type === CLEAR_REFS_SOFT_DIRTY
  for (const vma of eachVma(mm)) {
    if (softDirty) vma.flags &= ~VM_SOFTDIRTY
    if ((vma.flags & (VM_PFNMAP | VM_HUGETLB)) !== 0) continue
    if (type === CLEAR_REFS_ANON && vma.mapping !== undefined) continue
    if (type === CLEAR_REFS_MAPPED && vma.mapping === undefined) continue
    clearVma(k, vma, softDirty)
  }
  if (softDirty) spend(k, COST.tlb_flush, 1)
}

function clearVma(k: Kernel, vma: Vma, softDirty: boolean): void {
  walkPmds(k, vma.mm, vma.start, vma.end, (pmd, i, start, end) => {
    const flags = entryFlags(k, pmd, i)
    if ((flags & PTE_TABLE) !== 0) clearTable(k, vma.mm, entryValue(k, pmd, i), pteIndex(start), end - start, softDirty)
    else setEntry(k, pmd, i, entryValue(k, pmd, i), cleared(k, asPfn(entryValue(k, pmd, i)), flags, softDirty))
  })
}

function clearTable(k: Kernel, mm: Mm, table: number, first: number, n: number, softDirty: boolean): void {
  const chunk = chunkOf(k, table)
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i)
    const flags = chunk[at + 1]
    if (flags !== 0) chunk[at + 1] = cleared(k, asPfn(chunk[at]), flags, softDirty)
  }
  spend(k, COST.pte_visit, n)
  holdPtLock(k, mm, LOCK_PTE, n * COSTS.pte_visit)
}

/** What an entry says afterwards; the page it maps forgets too that it was used. */
function cleared(k: Kernel, pfn: Pfn, flags: number, softDirty: boolean): number {
  const present = (flags & PTE_PRESENT) !== 0
  if (softDirty) return present ? flags & ~(PTE_SOFT_DIRTY | PTE_RW) : flags & ~PTE_SOFT_DIRTY
  if (!present || (flags & (PTE_SPECIAL | PTE_MIGRATION)) !== 0) return flags
  pageClear(k, compoundHead(k, pfn), PG_referenced | PG_young)
  return flags & ~PTE_ACCESSED
}
