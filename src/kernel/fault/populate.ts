/**
 * Faulting pages in ahead of use: mlock, MAP_POPULATE, MADV_POPULATE_*, and the kernel's own accesses to user memory.
 *
 * Each missing page is one fault, handled as if the program had touched it; no exception is taken, so it costs less.
 * mlock and MAP_POPULATE write where the area may be written and is private (a read would only map the zero page), and
 * stop quietly at what cannot be had.
 *
 * Source: mm/gup.c (faultin_page, __get_user_pages, populate_vma_page_range, __mm_populate, faultin_vma_page_range).
 */
import { COST, spend } from '../base/cost.ts'
import { EFAULT, EHWPOISON, EINTR, ENOMEM } from '../base/errno.ts'
import {
  FAULT_FLAG_WRITE,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_RW,
  VM_EXEC,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_IO,
  VM_LOCKONFAULT,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { entryFlags, LEVEL_PMD, LEVEL_PUD, levelIndex, pteIndex, pteTable, walkTo } from '../spaces/pagetable.ts'
import { findVma } from '../spaces/vma.ts'
import { handleMmFault } from './fault.ts'

/** Flags of the entry that maps the page, at whatever level; 0 for none. */
export function entryOf(k: Kernel, mm: Mm, vpn: number): number {
  const table = pteTable(k, mm, vpn)
  if (table !== 0) return entryFlags(k, table, pteIndex(vpn))
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd !== 0) return hugeOnly(entryFlags(k, pmd, levelIndex(vpn, LEVEL_PMD)))
  const pud = walkTo(k, mm, vpn, LEVEL_PUD)
  return pud === 0 ? 0 : hugeOnly(entryFlags(k, pud, levelIndex(vpn, LEVEL_PUD)))
}

const hugeOnly = (flags: number) => ((flags & PTE_HUGE) !== 0 ? flags : 0)

/**
 * Makes the page present, and writable if asked, by as many faults as that takes.
 * @returns 0, or the errno: -ENOMEM, -EFAULT (bus error), -EHWPOISON; -EINTR when a fault has to wait.
 */
export function faultinPage(k: Kernel, vma: Vma, vpn: number, write: boolean): number {
  for (;;) {
    const flags = entryOf(k, vma.mm, vpn)
    spend(k, COST.pte_visit, 1)
    if ((flags & (PTE_PRESENT | PTE_PROTNONE)) === PTE_PRESENT && (!write || (flags & PTE_RW) !== 0)) return 0
    const ret = handleMmFault(k, vma, vpn, write ? FAULT_FLAG_WRITE : 0)
    if ((ret & VM_FAULT_ERROR) !== 0) return faultErrno(ret)
    if ((ret & VM_FAULT_RETRY) !== 0) return -EINTR
  }
}

/** The errno of a failed fault (vm_fault_to_errno). */
export function faultErrno(ret: number): number {
  if ((ret & VM_FAULT_OOM) !== 0) return -ENOMEM
  return (ret & VM_FAULT_HWPOISON) !== 0 ? -EHWPOISON : -EFAULT
}

/** Pages an entry maps, so that a walk need not visit each of a huge page's. */
export function entrySpan(k: Kernel, mm: Mm, vpn: number): number {
  if (pteTable(k, mm, vpn) !== 0) return 1
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd !== 0) return (entryFlags(k, pmd, levelIndex(vpn, LEVEL_PMD)) & PTE_HUGE) !== 0 ? 512 - pteIndex(vpn) : 1
  return 1
}

/** Faults pages [start, end) of one area in; stops at the first that fails and returns its errno. */
export function faultinRange(k: Kernel, vma: Vma, start: number, end: number, write: boolean): number {
  for (let vpn = start; vpn < end; vpn += entrySpan(k, vma.mm, vpn)) {
    const errno = faultinPage(k, vma, vpn, write)
    if (errno < 0) return errno
  }
  return 0
}

/**
 * Populates [start, end) across areas as mlock and MAP_POPULATE do (__mm_populate).
 * @param ignoreErrors go on with the next area after a failure; otherwise return its errno.
 */
export function mmPopulate(k: Kernel, mm: Mm, start: number, end: number, ignoreErrors: boolean): number {
  for (let at = start; at < end; ) {
    const vma = findVma(mm, at)
    if (vma === undefined || vma.start >= end) return 0
    at = Math.max(at, vma.start)
    const stop = Math.min(end, vma.end)
    if ((vma.flags & (VM_IO | VM_PFNMAP)) === 0) {
      const errno = populateVma(k, vma, at, stop)
      if (errno < 0 && !ignoreErrors) return errno
    }
    at = stop
  }
  return 0
}

/** populate_vma_page_range: write-faults private writable areas, leaves areas locked on fault alone. */
function populateVma(k: Kernel, vma: Vma, start: number, end: number): number {
  if ((vma.flags & VM_LOCKONFAULT) !== 0) return 0
  const write = (vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE
  const accessible = (vma.flags & (VM_READ | VM_WRITE | VM_EXEC)) !== 0
  return accessible ? faultinRange(k, vma, start, end, write) : -EFAULT
}

