/**
 * munmap, and the tearing down of whole address spaces.
 *
 *     |aaaaaaaaaa|  |bbbb|cccccccc|        munmap of the marked range:
 *          [===================]           a and c are split, what lies inside goes
 *     |aaaa|                  |ccc|
 *
 * Page tables that cover nothing but the hole go too: from the end of the area below to the start of the one above.
 * The two splits are made before anything is unmapped; when the second fails the first one stays.
 *
 * Source: mm/mmap.c (do_mas_munmap, do_mas_align_munmap, unmap_region, remove_mt, exit_mmap), mm/memory.c free_pgtables.
 */
import { EINVAL, ENOMEM, ERESTARTNOINTR } from '../base/errno.ts'
import { VM_HUGETLB, VM_LOCKED } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { alignUp, PAGE_SIZE } from '../base/units.ts'
import { fput } from '../caches/files.ts'
import { finishGather } from '../caches/gather.ts'
import { lruAddDrain, unmapPageRange, updateHiwaterRss } from '../reclaim/zap.ts'
import { hugeAreaClose } from '../spaces/hugetlb.ts'
import { freePgtables } from '../spaces/pagetable.ts'
import { eachVma, findVma, removeVma, splitVma, vmaBefore, vmaPages, vmasIn } from '../spaces/vma.ts'
import { isAccounted, vmStatAccount, vmUnacctMemory } from './account.ts'
import { TASK_SIZE } from './unmapped_area.ts'
import { unmapReports } from './userfaultfd_events.ts'

/** Where the page tables of user space end. */
const CEILING = TASK_SIZE / PAGE_SIZE + 1

/** munmap(2). @returns 0, -EINVAL for a bad range or a cut through a huge TLB page, -ENOMEM at the limit of areas; -ERESTARTNOINTR in between. */
export function sysMunmap(k: Kernel, task: Task, start: number, bytes: number): number {
  const mm = task.mm
  if (mm === undefined || start % PAGE_SIZE !== 0 || start > TASK_SIZE || bytes > TASK_SIZE - start) return -EINVAL
  const pages = alignUp(bytes, PAGE_SIZE) / PAGE_SIZE
  return pages === 0 ? -EINVAL : doMunmap(k, mm, start / PAGE_SIZE, start / PAGE_SIZE + pages, task)
}

/**
 * Unmaps virtual pages [start, end): splits areas at the edges and removes those inside.
 * @param caller who may pause, and then make its call again: -ERESTARTNOINTR.
 */
export function doMunmap(k: Kernel, mm: Mm, start: number, end: number, caller?: Task): number {
  const first = findVma(mm, start)
  if (first === undefined || first.start >= end) return 0
  if (start > first.start) {
    if (end < first.end && mm.vmas.count >= k.sysctl.max_map_count) return -ENOMEM
    const upper = splitVma(k, first, start, false, false)
    if (typeof upper === 'number') return upper
  }
  const last = findVma(mm, end - 1)
  if (last !== undefined && last.start < end && end < last.end) {
    const lower = splitVma(k, last, end, true, false)
    if (typeof lower === 'number') return lower
  }
  const goesOn = caller?.restart !== undefined
  if (!goesOn && k.uffd.contexts.size > 0 && k.current !== undefined) unmapReports(k, k.current, mm, start, end)
  const over = removeAreas(k, mm, vmasIn(mm, start, end), vmaBefore(mm, start)?.end ?? 0, findVma(mm, end)?.start ?? CEILING, caller)
  return over ? 0 : -ERESTARTNOINTR
}

/** Takes whole areas out of an address space, with the tables that only they used: those between `floor` and `ceiling`. */
function removeAreas(k: Kernel, mm: Mm, areas: readonly Vma[], floor: number, ceiling: number, caller: Task | undefined): boolean {
  lruAddDrain(k)
  updateHiwaterRss(mm)
  if (!unmapAreas(k, areas, caller)) return false
  for (const vma of areas) if ((vma.flags & VM_LOCKED) !== 0) mm.lockedVm -= vmaPages(vma)
  if (areas.length > 0) freePgtables(k, mm, areas[0].start, areas[areas.length - 1].end, floor, ceiling)
  finishGather(k)
  for (const vma of areas) dropVma(k, vma)
  return true
}

/** Unmaps all pages of the areas. @returns false when the caller, who may pause, was stopped; what came there meanwhile goes as well in the end */
function unmapAreas(k: Kernel, areas: readonly Vma[], caller: Task | undefined): boolean {
  const from = caller?.restart?.at ?? 0
  for (const vma of areas) {
    const stopped = unmapPageRange(k, vma, Math.max(vma.start, from), vma.end, 'area', caller !== undefined)
    if (stopped >= vma.end || caller === undefined) continue
    finishGather(k)
    caller.restart = { at: stopped, told: true }
    return false
  }
  if (from > 0) for (const vma of areas) unmapPageRange(k, vma, vma.start, Math.min(vma.end, from), 'area')
  return true
}

/** Takes an area whose pages are gone out of its address space and the accounts. */
function dropVma(k: Kernel, vma: Vma): void {
  const pages = vmaPages(vma)
  if (isAccounted(vma.flags)) vmUnacctMemory(k, pages)
  vmStatAccount(vma.mm, vma.flags, -pages)
  if ((vma.flags & VM_HUGETLB) !== 0) hugeAreaClose(k, vma)
  removeVma(k, vma)
  if (vma.file !== undefined) fput(k, vma.file)
}

/** Empties an address space at the end of its last task (exit_mmap). @returns false when that task is to call again */
export function exitMmap(k: Kernel, mm: Mm, leaving: Task | undefined): boolean {
  const over = removeAreas(k, mm, [...eachVma(mm)], 0, CEILING, leaving)
  if (over) mm.oomSkip = true
  return over
}
