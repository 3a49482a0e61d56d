/**
 * Faulting pages in ahead of use: mlock, MAP_POPULATE, MADV_POPULATE_*, and the kernel's own accesses to user memory.
 *
 * Each missing page is one fault, handled as if the program had touched it; no exception is taken, so it costs less. Every
 * page reached, missing before or not, is marked accessed: populating twice makes its pages active.
 * mlock and MAP_POPULATE write where the area may be written and is private (a read would only map the zero page), and
 * stop quietly at what cannot be had. This CPU's LRU batches are worked off at the end of each area.
 *
 * Source: mm/gup.c (follow_page_mask, faultin_page, __get_user_pages, populate_vma_page_range, __mm_populate,
 * faultin_vma_page_range).
 */
import { COST, spend, turnOver } from '../base/cost.ts'
import { EFAULT, EHWPOISON, EINVAL, ENOMEM, ERESTARTNOINTR } from '../base/errno.ts'
import {
  FAULT_FLAG_ALLOW_RETRY,
  FAULT_FLAG_WRITE,
  PG_dirty,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SPECIAL,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_HUGETLB,
  VM_IO,
  VM_LOCKONFAULT,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { asPfn } from '../base/units.ts'
import { markAccessed } from '../caches/lru.ts'
import { vmaIsSecretmem } from '../caches/secretmem.ts'
import { compoundHead } from '../frames/page.ts'
import { lruAddDrain } from '../reclaim/zap.ts'
import { chunkOf, entryAt, LEVEL_PAGES, LEVEL_PMD, LEVEL_PUD, levelIndex, pteIndex, pteTable, walkTo } from '../spaces/pagetable.ts'
import { findVma } from '../spaces/vma.ts'
import { handleMmFault } from './fault.ts'

const COST_VISIT = COST.follow_page

/** Population looks at the clock before every 16th page. */
const PAUSE_MASK = 15

const usable = (flags: number, write: boolean) =>
  (flags & (PTE_PRESENT | PTE_PROTNONE)) === PTE_PRESENT && (!write || (flags & PTE_RW) !== 0)

/** Pages that the entry for `vpn` maps from there on, which are marked accessed; 0 when it takes a fault first (follow_page_mask). */
function followPage(k: Kernel, vma: Vma, vpn: number, write: boolean): number {
  const table = pteTable(k, vma.mm, vpn)
  if (table === 0) return followHuge(k, vma, vpn, write)
  const chunk = chunkOf(k, table)
  const at = entryAt(table, pteIndex(vpn))
  const flags = chunk[at + 1]
  if (!usable(flags, write)) return 0
  if ((flags & PTE_SPECIAL) !== 0) return 1
  const head = compoundHead(k, asPfn(chunk[at]))
  if (write && (flags & PTE_DIRTY) === 0) k.page[head * PAGE_WORDS] |= PG_dirty
  markAccessed(k, head)
  return 1
}

function followHuge(k: Kernel, vma: Vma, vpn: number, write: boolean): number {
  for (const level of [LEVEL_PMD, LEVEL_PUD]) {
    const table = walkTo(k, vma.mm, vpn, level)
    if (table === 0) continue
    const chunk = chunkOf(k, table)
    const at = entryAt(table, levelIndex(vpn, level))
    if ((chunk[at + 1] & PTE_HUGE) === 0 || !usable(chunk[at + 1], write)) return 0
    if ((vma.flags & VM_HUGETLB) === 0) chunk[at + 1] |= write ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED
    return LEVEL_PAGES[level] - (vpn % LEVEL_PAGES[level])
  }
  return 0
}

/**
 * Makes pages present, and writable if asked, by as many faults as that takes.
 * @returns pages from `vpn` on that are there now, at least 1; or the errno: -ENOMEM, -EFAULT (bus error), -EHWPOISON, and
 * -ERESTARTNOINTR when the task went to sleep in a fault.
 */
export function faultinPage(k: Kernel, vma: Vma, vpn: number, write: boolean): number {
  for (;;) {
    spend(k, COST_VISIT, 1)
    const pages = followPage(k, vma, vpn, write)
    if (pages > 0) return pages
    const ret = handleMmFault(k, vma, vpn, FAULT_FLAG_ALLOW_RETRY | (write ? FAULT_FLAG_WRITE : 0))
    if ((ret & VM_FAULT_ERROR) !== 0) return faultErrno(ret)
    if ((ret & VM_FAULT_RETRY) !== 0) return -ERESTARTNOINTR
  }
}

/** The errno of a failed fault (vm_fault_to_errno). */
function faultErrno(ret: number): number {
  if ((ret & VM_FAULT_OOM) !== 0) return -ENOMEM
  return (ret & VM_FAULT_HWPOISON) !== 0 ? -EHWPOISON : -EFAULT
}

/**
 * Faults pages [start, end) of one area in; stops at the first that fails and returns its errno. When the task has to sleep, or may pause and
 * its turn is over, the call is made again, and goes on where it stopped.
 */
function faultinRange(k: Kernel, vma: Vma, start: number, end: number, write: boolean, pauses: boolean): number {
  let ret = 0
  let vpn = Math.max(start, k.current?.restart?.at ?? start)
  for (; vpn < end && ret >= 0; vpn += Math.max(ret, 0)) {
    ret = faultinPage(k, vma, vpn, write)
    if (!pauses || ((vpn + ret) & PAUSE_MASK) !== 0 || ret < 0 || vpn + ret >= end || k.current === undefined || !turnOver(k)) continue
    k.current.restart = { at: vpn + ret, told: false }
    return -ERESTARTNOINTR
  }
  if (ret === -ERESTARTNOINTR && k.current !== undefined) k.current.restart = { at: vpn, told: false }
  lruAddDrain(k)
  return Math.min(ret, 0)
}

/** Areas whose pages the kernel may not look at. */
const isHidden = (vma: Vma) => (vma.flags & (VM_IO | VM_PFNMAP)) !== 0 || vmaIsSecretmem(vma)

/** Whether the kernel may read the area's pages on behalf of a program (check_vma_flags). */
export const kernelMayRead = (vma: Vma): boolean => !isHidden(vma) && (vma.flags & VM_READ) !== 0

/**
 * Faults pages [start, end) of one area in for reading or writing, as MADV_POPULATE does (faultin_vma_page_range).
 * @returns 0, -EINVAL where the area does not allow it, or the errno of the first page that failed.
 */
export function faultinVmaRange(k: Kernel, vma: Vma, start: number, end: number, write: boolean): number {
  if (isHidden(vma) || (vma.flags & (write ? VM_WRITE : VM_READ)) === 0) return -EINVAL
  return faultinRange(k, vma, start, end, write, true)
}

/**
 * Populates [start, end) across areas as mlock and MAP_POPULATE do (__mm_populate).
 * @param ignoreErrors go on with the next area after a failure; otherwise return its errno. Sleeping is no failure: -ERESTARTNOINTR.
 * @param pauses whether it may stop when its turn is over: -ERESTARTNOINTR as well.
 */
export function mmPopulate(k: Kernel, mm: Mm, start: number, end: number, ignoreErrors: boolean, pauses = false): number {
  for (let at = start; at < end; ) {
    const vma = findVma(mm, at)
    if (vma === undefined || vma.start >= end) return 0
    at = Math.max(at, vma.start)
    const stop = Math.min(end, vma.end)
    if ((vma.flags & (VM_IO | VM_PFNMAP)) === 0) {
      const errno = populateVma(k, vma, at, stop, pauses)
      if (errno === -ERESTARTNOINTR || (errno < 0 && !ignoreErrors)) return errno
    }
    at = stop
  }
  return 0
}

/**
 * Faults in what a call has just mapped, as far as it can be had, from page `start`, or from where it stopped, to `end` (mm_populate).
 * @param ret what the call returns after that. @returns it, or -ERESTARTNOINTR when the task sleeps or its turn is over: it then calls again
 */
export function populateMapped(k: Kernel, task: Task, mm: Mm, start: number, end: number, ret: number, pauses: boolean): number {
  if (mmPopulate(k, mm, start, end, true, pauses) !== -ERESTARTNOINTR) {
    task.restart = undefined
    return ret
  }
  task.restart = { at: start, told: false, ...task.restart, rest: { kind: 'populate', end, ret } }
  return -ERESTARTNOINTR
}

/** Goes on with that; undefined when the call has not come to it yet. */
export function populateRest(k: Kernel, task: Task, mm: Mm): number | undefined {
  const { at, rest } = task.restart ?? {}
  if (at === undefined || rest?.kind !== 'populate') return undefined
  return populateMapped(k, task, mm, at, rest.end, rest.ret, true)
}

/**
 * populate_vma_page_range: write-faults private writable areas, leaves areas locked on fault alone. What can only be executed cannot be
 * read here either.
 */
function populateVma(k: Kernel, vma: Vma, start: number, end: number, pauses: boolean): number {
  if ((vma.flags & VM_LOCKONFAULT) !== 0) return 0
  const write = (vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE
  const accessible = (vma.flags & (VM_READ | VM_WRITE)) !== 0
  return accessible && !isHidden(vma) ? faultinRange(k, vma, start, end, write, pauses) : -EFAULT
}
