/**
 * Taking all entries of a page out of use for a move, and into use again for the page it moved to.
 *
 *     entry: page 17, writable, dirty  ──>  17, writable, dirty, MIGRATION  ──>  page 42, writable, dirty
 *
 * An entry being moved is not present and counts as no mapping; it keeps what it allowed, and whether the page was this
 * process' own (PTE_SWP_EXCLUSIVE, as in swap entries). A huge page may be mapped by huge and by single entries.
 *
 * The new entry of a page that was written to is marked dirty as by a write: soft-dirty tracking takes every move for one.
 *
 * Locked areas unlock the old page and lock the new one, which their counters show.
 *
 * Source: mm/rmap.c try_to_migrate_one, mm/migrate.c remove_migration_pte, mm/huge_memory.c (set_pmd_migration_entry,
 * remove_migration_pmd).
 */
import { COST, COSTS, spend } from '../base/cost.ts'
import {
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_MIGRATION,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SOFT_DIRTY,
  PTE_SWP_EXCLUSIVE,
  VM_ACCESS_FLAGS,
  VM_LOCKED,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { mlockDrainCpu } from '../caches/mlock_lru.ts'
import { compoundHead, compoundPages, pageIndex } from '../frames/page.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import { entryFlags, entryValue, LEVEL_PMD, levelIndex, pteIndex, pteTable, setEntry, walkTo } from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PMD, LOCK_PTE } from '../spaces/pt_lock.ts'
import { pageAddAnonRmap, pageAddFileRmap, pageRemoveRmap, rmapEntries } from '../spaces/rmap.ts'
import { mustVma } from '../spaces/vma.ts'
import { markDirty } from './writeback.ts'

/** What a write leaves in an entry. */
const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY

/** Turns every entry that maps the page, or a page of the huge one, into one that says it is being moved. */
export function unmapToMove(k: Kernel, head: Pfn): void {
  const pages = compoundPages(k, head)
  const index = pageIndex(k, head)
  for (const { mm: id, delta } of rmapEntries(k, head)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined) continue
    if (pages > 1) unmapHuge(k, mm, index + delta, head)
    for (let i = 0; i < pages; i++) unmapSingle(k, mm, index + delta + i, asPfn(head + i))
  }
}

/** Makes the entries that unmapToMove left for `from` map `to`. */
export function remapMoved(k: Kernel, from: Pfn, to: Pfn): void {
  const pages = compoundPages(k, to)
  const index = pageIndex(k, to)
  for (const { mm: id, delta } of rmapEntries(k, to)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined) continue
    if (pages > 1) remapHuge(k, mm, index + delta, from, to)
    for (let i = 0; i < pages; i++) remapSingle(k, mm, index + delta + i, asPfn(from + i), asPfn(to + i))
  }
}

function unmapSingle(k: Kernel, mm: Mm, vpn: number, pfn: Pfn): void {
  const table = pteTable(k, mm, vpn)
  if (table === 0) return
  const i = pteIndex(vpn)
  if ((entryFlags(k, table, i) & PTE_PRESENT) !== 0 && entryValue(k, table, i) === pfn)
    unmapEntry(k, mustVma(mm, vpn), table, i, pfn, false)
}

function unmapHuge(k: Kernel, mm: Mm, vpn: number, head: Pfn): void {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return
  const i = levelIndex(vpn, LEVEL_PMD)
  const flags = entryFlags(k, pmd, i)
  if (isHuge(flags) && (flags & PTE_PRESENT) !== 0 && entryValue(k, pmd, i) === head) unmapEntry(k, mustVma(mm, vpn), pmd, i, head, true)
}

function unmapEntry(k: Kernel, vma: Vma, table: number, i: number, pfn: Pfn, compound: boolean): void {
  const flags = entryFlags(k, table, i)
  const head = compoundHead(k, pfn)
  const anon = (k.page[head * PAGE_WORDS] & PG_anon) !== 0
  const exclusive = anon && (k.page[pfn * PAGE_WORDS] & PG_anon_exclusive) !== 0
  if ((flags & PTE_DIRTY) !== 0) {
    if (anon) k.page[head * PAGE_WORDS] |= PG_dirty
    else markDirty(k, head)
  }
  k.page[pfn * PAGE_WORDS] &= ~PG_anon_exclusive
  setEntry(k, table, i, pfn, (flags & ~PTE_PRESENT) | PTE_MIGRATION | (exclusive ? PTE_SWP_EXCLUSIVE : 0))
  pageRemoveRmap(k, pfn, vma, compound)
  if ((vma.flags & VM_LOCKED) !== 0) mlockDrainCpu(k, k.cpu)
  spend(k, COST.rmap_unmap, 1)
  holdPtLock(k, vma.mm, compound ? LOCK_PMD : LOCK_PTE, COSTS.rmap_unmap)
}

function remapSingle(k: Kernel, mm: Mm, vpn: number, from: Pfn, to: Pfn): void {
  const table = pteTable(k, mm, vpn)
  if (table === 0) return
  const i = pteIndex(vpn)
  if ((entryFlags(k, table, i) & PTE_MIGRATION) !== 0 && entryValue(k, table, i) === from)
    remapEntry(k, mustVma(mm, vpn), vpn, table, i, to, false)
}

function remapHuge(k: Kernel, mm: Mm, vpn: number, from: Pfn, to: Pfn): void {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return
  const i = levelIndex(vpn, LEVEL_PMD)
  const moving = PTE_HUGE | PTE_MIGRATION
  if ((entryFlags(k, pmd, i) & moving) === moving && entryValue(k, pmd, i) === from) remapEntry(k, mustVma(mm, vpn), vpn, pmd, i, to, true)
}

/** An entry made anew is inaccessible only in an area that is: a mark of NUMA balancing goes. */
const protnone = (vma: Vma) => ((vma.flags & VM_ACCESS_FLAGS) === 0 ? PTE_PROTNONE : 0)

function remapEntry(k: Kernel, vma: Vma, vpn: number, table: number, i: number, to: Pfn, compound: boolean): void {
  const flags = entryFlags(k, table, i)
  const head = compoundHead(k, to)
  if ((k.page[head * PAGE_WORDS] & PG_anon) !== 0) pageAddAnonRmap(k, to, vma, vpn - vma.start, compound, (flags & PTE_SWP_EXCLUSIVE) !== 0)
  else pageAddFileRmap(k, to, vma, compound)
  const written = (flags & PTE_DIRTY) !== 0 && (k.page[head * PAGE_WORDS] & PG_dirty) !== 0 ? WRITTEN : 0
  setEntry(
    k,
    table,
    i,
    to,
    (flags & ~(PTE_MIGRATION | PTE_SWP_EXCLUSIVE | PTE_PROTNONE | PTE_DIRTY)) | PTE_PRESENT | written | protnone(vma),
  )
  if ((vma.flags & VM_LOCKED) !== 0) mlockDrainCpu(k, k.cpu)
}
