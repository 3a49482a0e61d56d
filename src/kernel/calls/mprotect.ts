/**
 * mprotect: another protection for a range, area by area from the bottom up; at a hole it stops, and what came before
 * stays changed.
 *
 * A private area that becomes writable is promised memory from then on, for good. Its entries do not all become writable: each
 * write to a page that others may share must still be seen. An entry is opened at once when its page is this process' own and has
 * been written before; the others, and all huge ones, wait for the next write's fault:
 *
 *     entry of                        after ro, then rw
 *     own page, dirty                 writable                 (if soft-dirty is watched: only when it is soft-dirty)
 *     clean, shared after fork, zero  read-only until written
 *     2 MiB                           read-only until written
 *
 * Entries of pages without permission stay present, marked PROTNONE. Accessed, dirty, soft-dirty and uffd-wp bits stay.
 *
 * Source: mm/mprotect.c (do_mprotect_pkey, mprotect_fixup, change_protection), mm/huge_memory.c change_huge_pmd.
 */
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EACCES, EINVAL, ENOMEM } from '../base/errno.ts'
import {
  PG_anon,
  PG_anon_exclusive,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  PTE_DIRTY,
  PTE_MARKER,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_ACCESS_FLAGS,
  VM_ACCOUNT,
  VM_HUGETLB,
  VM_LOCKED,
  VM_NORESERVE,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_UFFD_WP,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { alignUp, asPfn, HPAGE_PMD_NR, PAGE_SIZE } from '../base/units.ts'
import { changeHugePmd } from '../fault/huge_memory.ts'
import { khugepagedEnterVma } from '../fault/huge_memory_check.ts'
import { mmPopulate } from '../fault/populate.ts'
import { makeTables } from '../fault/tables.ts'
import { compoundHead } from '../frames/page.ts'
import { isHuge, splitHugePmd } from '../spaces/huge_pmd.ts'
import { hstateOfArea, hugeLevel, nextTable, unshareTable } from '../spaces/hugetlb.ts'
import {
  chunkOf,
  clearEntry,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PAGES,
  LEVEL_PMD,
  LEVEL_PTE,
  levelIndex,
  pteIndex,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'
import { changeVma, findVma, vmPageProt } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'
import { mayExpandVm, vmEnoughMemory, vmStatAccount, vmUnacctMemory } from './account.ts'
import { protBits } from './mmap.ts'
import { wraps } from './unmapped_area.ts'

/** PROT_SEM, which Linux accepts and ignores. */
const PROT_SEM = 8

/** mprotect(2). @returns 0 or a negative errno. */
export function sysMprotect(k: Kernel, task: Task, start: number, bytes: number, prot: number): number {
  const mm = task.mm
  if (mm === undefined || start % PAGE_SIZE !== 0) return -EINVAL
  if (bytes === 0) return 0
  if (wraps(start, bytes)) return -ENOMEM
  if ((prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)) !== 0) return -EINVAL
  const first = start / PAGE_SIZE
  return mprotectRange(k, task, mm, first, first + alignUp(bytes, PAGE_SIZE) / PAGE_SIZE, protBits(prot))
}

function mprotectRange(k: Kernel, task: Task, mm: Mm, start: number, end: number, access: number): number {
  for (let at = start; at < end; ) {
    const vma = findVma(mm, at)
    if (vma === undefined || vma.start > at) return -ENOMEM
    const flags = (vma.flags & ~VM_ACCESS_FLAGS) | access
    if ((flags & ~(flags >> 4) & VM_ACCESS_FLAGS) !== 0) return -EACCES
    const changed = mprotectFixup(k, task, vma, at, Math.min(end, vma.end), flags)
    if (typeof changed === 'number') return changed
    at = changed.end
  }
  return 0
}

/** Changes part of one area. @returns the area that covers it now, or a negative errno. */
function mprotectFixup(k: Kernel, task: Task, vma: Vma, start: number, end: number, wanted: number): Vma | number {
  const oldFlags = vma.flags
  if (wanted === oldFlags) return vma
  const pages = end - start
  if ((wanted & VM_WRITE) !== 0 && !mayExpandVm(task, vma.mm, wanted, pages) && mayExpandVm(task, vma.mm, oldFlags, pages)) return -ENOMEM
  const charged = (wanted & VM_WRITE) !== 0 && (oldFlags & (VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE)) === 0
  if (charged && vmEnoughMemory(k, task, vma.mm, pages) < 0) return -ENOMEM
  const flags = charged ? wanted | VM_ACCOUNT : wanted
  const area = changeVma(k, vma, start, end, { flags })
  if (typeof area === 'number') {
    if (charged) vmUnacctMemory(k, pages)
    return area
  }
  if (area !== vma) khugepagedEnterVma(k, area, flags)
  if ((flags & VM_HUGETLB) !== 0) changeHugetlb(k, area, start, end, pageProt(area))
  else changeProtection(k, area, start, end, pageProt(area))
  if ((oldFlags & (VM_WRITE | VM_SHARED | VM_LOCKED)) === VM_LOCKED && (flags & VM_WRITE) !== 0) mmPopulate(k, area.mm, start, end, true)
  vmStatAccount(area.mm, oldFlags, -pages)
  vmStatAccount(area.mm, flags, pages)
  return area
}

/** Protection bits that an entry of the area gets without a look at its page (vm_page_prot). */
function pageProt(vma: Vma): number {
  return (vma.flags & VM_ACCESS_FLAGS) === 0 ? PTE_PROTNONE : vmPageProt(vma)
}

/** Gives the entries of [start, end) the protection of their area: `prot`, or more where their page allows it. */
function changeProtection(k: Kernel, vma: Vma, start: number, end: number, prot: number): void {
  const open = (vma.flags & VM_WRITE) !== 0 && prot === 0
  let changed = false
  walkPmds(k, vma.mm, start, end, (pmd, i, from, to) => {
    changed = true
    if (isHuge(entryFlags(k, pmd, i))) {
      if (to - from === HPAGE_PMD_NR) {
        changeHugePmd(k, pmd, i, prot)
        k.event[EV.numa_huge_pte_updates]++
        return
      }
      splitHugePmd(k, vma, pmd, i)
    }
    if ((entryFlags(k, pmd, i) & PTE_TABLE) !== 0) changePteRange(k, vma, entryValue(k, pmd, i), pteIndex(from), to - from, prot, open)
  })
  if (changed) spend(k, COST.tlb_flush, 1)
}

/**
 * Write-protects what is mapped in [start, end) on behalf of a userfaultfd, or takes that back (uffd_wp_range). In files the
 * protection is remembered for pages that are not mapped, too. Taken back, private pages stay read-only until they are written.
 */
export function uffdWpRange(k: Kernel, vma: Vma, start: number, end: number, protect: boolean): void {
  const hugetlb = (vma.flags & VM_HUGETLB) !== 0
  const prot = !protect && (vma.flags & (VM_WRITE | VM_SHARED)) === (VM_WRITE | VM_SHARED) ? PTE_RW : 0
  const change: UffdWp = { protect, prot, remember: protect && vma.mapping !== undefined }
  if (hugetlb) uffdWpHugetlb(k, vma, start, end, change)
  else {
    if (change.remember) for (let at = start; at < end; at += HPAGE_PMD_NR - (at % HPAGE_PMD_NR)) makeMarkable(k, vma, at)
    walkPmds(k, vma.mm, start, end, (pmd, i, from, to) => uffdWpPmd(k, vma, pmd, i, from, to, change))
  }
  spend(k, COST.tlb_flush, 1)
}

interface UffdWp {
  readonly protect: boolean
  /** PTE_RW where an entry becomes writable at once. */
  readonly prot: number
  /** Empty entries are marked. */
  readonly remember: boolean
}

/** A table in which the protection of single pages can be remembered; a file's huge entry gives way to it. */
function makeMarkable(k: Kernel, vma: Vma, vpn: number): void {
  const pmd = walkTo(k, vma.mm, vpn, LEVEL_PMD)
  const i = levelIndex(vpn, LEVEL_PMD)
  if (pmd !== 0 && isHuge(entryFlags(k, pmd, i))) splitHugePmd(k, vma, pmd, i)
  makeTables(k, vma.mm, vpn, LEVEL_PTE)
}

function uffdWpPmd(k: Kernel, vma: Vma, pmd: number, i: number, from: number, to: number, change: UffdWp): void {
  if (isHuge(entryFlags(k, pmd, i)) && to - from < HPAGE_PMD_NR) splitHugePmd(k, vma, pmd, i)
  const flags = entryFlags(k, pmd, i)
  if (isHuge(flags)) setEntry(k, pmd, i, entryValue(k, pmd, i), uffdWpFlags(flags, change))
  else if ((flags & PTE_TABLE) !== 0) {
    const table = entryValue(k, pmd, i)
    for (let at = pteIndex(from); at < pteIndex(from) + to - from; at++) uffdWpEntry(k, table, at, change)
    spend(k, COST.pte_visit, to - from)
  }
}

function uffdWpEntry(k: Kernel, table: number, i: number, change: UffdWp): void {
  const flags = entryFlags(k, table, i)
  if (flags === 0) {
    if (change.remember) setEntry(k, table, i, 0, PTE_MARKER)
  } else if ((flags & PTE_MARKER) !== 0) {
    if (!change.protect) clearEntry(k, table, i)
  } else {
    setEntry(k, table, i, entryValue(k, table, i), uffdWpFlags(flags, change))
    spend(k, COST.pte_change, 1)
  }
}

function uffdWpFlags(flags: number, { protect, prot }: UffdWp): number {
  const marked = protect ? flags | PTE_UFFD_WP : flags & ~PTE_UFFD_WP
  return (flags & PTE_PRESENT) === 0 ? marked : (marked & ~PTE_RW) | prot
}

function uffdWpHugetlb(k: Kernel, vma: Vma, start: number, end: number, change: UffdWp): void {
  const level = hugeLevel(hstateOfArea(k, vma))
  for (let at = start; at < end; ) {
    const table = walkTo(k, vma.mm, at, level)
    if (table === 0) {
      at = nextTable(at, level)
      continue
    }
    uffdWpEntry(k, table, levelIndex(at, level), change)
    at += LEVEL_PAGES[level]
  }
}

/** A table that others share is left to them: this process' entries are made anew by its next faults. */
function changeHugetlb(k: Kernel, vma: Vma, start: number, end: number, prot: number): void {
  const level = hugeLevel(hstateOfArea(k, vma))
  for (let at = start; at < end; ) {
    const table = walkTo(k, vma.mm, at, level)
    if (table === 0 || unshareTable(k, vma.mm, at, table)) {
      at = nextTable(at, level)
      continue
    }
    const i = levelIndex(at, level)
    if ((entryFlags(k, table, i) & PTE_PRESENT) !== 0) changeHugePmd(k, table, i, prot)
    at += LEVEL_PAGES[level]
  }
  spend(k, COST.tlb_flush, 1)
}

function changePteRange(k: Kernel, vma: Vma, table: number, first: number, n: number, prot: number, open: boolean): void {
  const chunk = chunkOf(k, table)
  let changed = 0
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i) + 1
    const old = chunk[at]
    if ((old & PTE_PRESENT) === 0) continue
    const flags = (old & ~(PTE_RW | PTE_PROTNONE)) | prot
    chunk[at] = open && mayOpen(k, vma, flags, chunk[at - 1]) ? flags | PTE_RW : flags
    changed++
  }
  spend(k, COST.pte_visit, n)
  spend(k, COST.pte_change, changed)
}

/** Whether a write through the entry would change nothing but the entry, so that it need not fault (can_change_pte_writable). */
function mayOpen(k: Kernel, vma: Vma, flags: number, pfn: number): boolean {
  if ((flags & PTE_DIRTY) === 0) return false
  if ((vma.flags & VM_SOFTDIRTY) === 0 && (flags & PTE_SOFT_DIRTY) === 0) return false
  if ((vma.flags & VM_UFFD_WP) !== 0 && (flags & PTE_UFFD_WP) !== 0) return false
  if ((vma.flags & VM_SHARED) !== 0) return true
  return (
    (flags & PTE_SPECIAL) === 0 &&
    (k.page[pfn * PAGE_WORDS] & PG_anon_exclusive) !== 0 &&
    (k.page[compoundHead(k, asPfn(pfn)) * PAGE_WORDS] & PG_anon) !== 0
  )
}
