/**
 * mlock and its family: pages that stay in memory.
 *
 *     mlock          marks the areas, then faults their pages in
 *     mlock2 ONFAULT marks them, pages are locked as they are touched
 *     mlockall       CURRENT: every area; FUTURE: what is mapped from now on
 *     munlock[all]   takes the marks off
 *
 * The marks are set area by area from the bottom up; at a hole the call ends with ENOMEM and what came before stays
 * locked, but is not faulted in. Areas of huge TLB pages, secret memory and device memory are passed over. Pages
 * already there are locked or unlocked one by one through the CPU's batch; those of a huge page only when one entry maps it whole.
 *
 *     root                          no limits
 *     RLIMIT_MEMLOCK 0              EPERM, whatever is asked
 *     more than RLIMIT_MEMLOCK      ENOMEM; what is locked already is not counted twice
 *     a page cannot be faulted in   ENOMEM (no permission, behind the file's end), EAGAIN (no memory)
 *
 * Source: mm/mlock.c (do_mlock, apply_vma_lock_flags, mlock_fixup, mlock_vma_pages_range, mlock_pte_range, mlockall).
 */
import { COST, spend } from '../base/cost.ts'
import { EAGAIN, EFAULT, EINVAL, ENOMEM, EPERM } from '../base/errno.ts'
import {
  MCL_CURRENT,
  MCL_FUTURE,
  MCL_ONFAULT,
  PG_head,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKED_MASK,
  VM_LOCKONFAULT,
  VM_SPECIAL,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { alignUp, asPfn, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { mlockFolio, munlockPage } from '../caches/mlock_lru.ts'
import { vmaIsSecretmem } from '../caches/secretmem.ts'
import { khugepagedEnterVma } from '../fault/huge_memory_check.ts'
import { mmPopulate } from '../fault/populate.ts'
import { compoundHead } from '../frames/page.ts'
import { lruAddDrain } from '../reclaim/zap.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import { chunkOf, entryAt, entryFlags, entryValue, pteIndex } from '../spaces/pagetable.ts'
import { changeVma, findVma, vmasIn } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'
import { canDoMlock, memlockPages } from './mmap.ts'
import { TASK_SIZE, wraps } from './unmapped_area.ts'

/** MLOCK_ONFAULT of mlock2. */
export const MLOCK_ONFAULT = 1

/** mlock(2). @returns 0 or a negative errno. */
export const sysMlock = (k: Kernel, task: Task, start: number, bytes: number): number => doMlock(k, task, start, bytes, VM_LOCKED)

/** mlock2(2). @returns 0 or a negative errno. */
export function sysMlock2(k: Kernel, task: Task, start: number, bytes: number, flags: number): number {
  if ((flags & ~MLOCK_ONFAULT) !== 0) return -EINVAL
  return doMlock(k, task, start, bytes, flags === 0 ? VM_LOCKED : VM_LOCKED | VM_LOCKONFAULT)
}

/** munlock(2). @returns 0 or -ENOMEM for a hole. */
export function sysMunlock(k: Kernel, task: Task, start: number, bytes: number): number {
  const { first, end } = pagesOf(start, bytes)
  if (task.mm === undefined) return -ENOMEM
  return wraps(start, bytes) ? -EINVAL : applyLockFlags(k, task.mm, first, end, 0)
}

/** mlockall(2). @returns 0 or a negative errno. */
export function sysMlockall(k: Kernel, task: Task, flags: number): number {
  const mm = task.mm
  if (mm === undefined || flags === 0 || flags === MCL_ONFAULT || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0) return -EINVAL
  if (!canDoMlock(task)) return -EPERM
  if ((flags & MCL_CURRENT) !== 0 && mm.totalVm > memlockPages(task)) return -ENOMEM
  lockAll(k, mm, flags)
  if ((flags & MCL_CURRENT) !== 0) return Math.min(0, mmPopulate(k, mm, 0, TASK_SIZE / PAGE_SIZE, true, true))
  return 0
}

/** munlockall(2). */
export function sysMunlockall(k: Kernel, task: Task): number {
  if (task.mm !== undefined) lockAll(k, task.mm, 0)
  return 0
}

/** The pages that a byte range touches. */
function pagesOf(start: number, bytes: number): { readonly first: number; readonly end: number } {
  const first = Math.floor(start / PAGE_SIZE)
  return { first, end: first + alignUp(bytes + start - first * PAGE_SIZE, PAGE_SIZE) / PAGE_SIZE }
}

function doMlock(k: Kernel, task: Task, start: number, bytes: number, lock: number): number {
  const mm = task.mm
  if (mm === undefined) return -ENOMEM
  if (!canDoMlock(task)) return -EPERM
  const { first, end } = pagesOf(start, bytes)
  const limit = memlockPages(task)
  const asked = end - first + mm.lockedVm
  if (asked > limit && asked - lockedPages(mm, first, end) > limit) return -ENOMEM
  if (wraps(start, bytes)) return -EINVAL
  const marked = applyLockFlags(k, mm, first, end, lock)
  return marked < 0 ? marked : mlockErrno(mmPopulate(k, mm, first, end, false, true))
}

/** What mlock says of a page that cannot be had (__mlock_posix_error_return). */
function mlockErrno(ret: number): number {
  if (ret === -EFAULT) return -ENOMEM
  return ret === -ENOMEM ? -EAGAIN : ret
}

/** Pages of [first, end) in locked areas (count_mm_mlocked_page_nr). */
const lockedPages = (mm: Mm, first: number, end: number): number =>
  vmasIn(mm, first, end).reduce(
    (sum, vma) => ((vma.flags & VM_LOCKED) === 0 ? sum : sum + Math.min(end, vma.end) - Math.max(first, vma.start)),
    0,
  )

/** Sets the locks of all areas in the range to `lock`: 0, VM_LOCKED, or with VM_LOCKONFAULT. @returns 0 or a negative errno. */
function applyLockFlags(k: Kernel, mm: Mm, first: number, end: number, lock: number): number {
  for (let at = first; at < end; ) {
    const vma = findVma(mm, at)
    if (vma === undefined || vma.start > at) return -ENOMEM
    const area = mlockFixup(k, vma, at, Math.min(end, vma.end), lock)
    if (typeof area === 'number') return area
    at = area.end
  }
  return 0
}

/** Sets the lock of part of an area. @returns the area that covers it now, or a negative errno. */
function mlockFixup(k: Kernel, vma: Vma, start: number, end: number, lock: number): Vma | number {
  const old = vma.flags
  const flags = (old & ~VM_LOCKED_MASK) | lock
  if (flags === old || (old & (VM_SPECIAL | VM_HUGETLB)) !== 0 || vmaIsSecretmem(vma)) return vma
  const area = changeVma(k, vma, start, end, { flags })
  if (typeof area === 'number') return area
  if (area !== vma) khugepagedEnterVma(k, area, flags)
  const was = (old & VM_LOCKED) !== 0
  const is = (flags & VM_LOCKED) !== 0
  if (was === is) return area
  area.mm.lockedVm += is ? end - start : start - end
  lruAddDrain(k)
  lockPages(k, area, start, end, is)
  lruAddDrain(k)
  return area
}

/** Locks or unlocks the pages that are there (mlock_pte_range). */
function lockPages(k: Kernel, vma: Vma, start: number, end: number, lock: boolean): void {
  walkPmds(k, vma.mm, start, end, (pmd, i, from, to) => {
    const flags = entryFlags(k, pmd, i)
    if ((flags & PTE_TABLE) !== 0) lockPtes(k, entryValue(k, pmd, i), pteIndex(from), to - from, lock)
    else if (isHuge(flags) && (flags & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT) lockOne(k, asPfn(entryValue(k, pmd, i)), lock)
  })
}

function lockPtes(k: Kernel, table: number, first: number, n: number, lock: boolean): void {
  const chunk = chunkOf(k, table)
  spend(k, COST.pte_visit, n)
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i)
    if ((chunk[at + 1] & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) continue
    const pfn = asPfn(chunk[at])
    if (compoundHead(k, pfn) === pfn && (k.page[pfn * PAGE_WORDS] & PG_head) === 0) lockOne(k, pfn, lock)
  }
}

function lockOne(k: Kernel, head: Pfn, lock: boolean): void {
  if (lock) mlockFolio(k, head)
  else munlockPage(k, head)
}

/** mlockall and munlockall: marks for what is mapped and for what will be (apply_mlockall_flags). */
function lockAll(k: Kernel, mm: Mm, flags: number): void {
  const lock = (flags & MCL_ONFAULT) !== 0 ? VM_LOCKED_MASK : VM_LOCKED
  mm.defFlags = (mm.defFlags & ~VM_LOCKED_MASK) | ((flags & MCL_FUTURE) !== 0 ? lock : 0)
  if ((flags & (MCL_CURRENT | MCL_FUTURE)) === MCL_FUTURE) return
  for (let vma = findVma(mm, 0); vma !== undefined; ) {
    const area = mlockFixup(k, vma, vma.start, vma.end, (flags & MCL_CURRENT) !== 0 ? lock : 0)
    vma = findVma(mm, typeof area === 'number' ? vma.end : area.end)
  }
}
