/**
 * munmap, and the tearing down of whole address spaces.
 *
 *     |aaaaaaaaaa|  |bbbb|cccccccc|        munmap of the marked range:
 *          [===================]           a and c are split, what lies inside goes
 *     |aaaa|                  |ccc|
 *
 * Page tables that cover nothing but the hole go too: from the end of the area below to the start of the one above.
 *
 * Source: mm/mmap.c (do_mas_munmap, do_mas_align_munmap, unmap_region, exit_mmap), mm/memory.c free_pgtables.
 */
import { EINVAL, ENOMEM } from '../base/errno.ts'
import { VM_LOCKED } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { alignUp, PAGE_SIZE } from '../base/units.ts'
import { fput } from '../caches/files.ts'
import { flushGather, lruAddDrain, unmapPageRange } from '../reclaim/zap.ts'
import { freePgtables } from '../spaces/pagetable.ts'
import { eachVma, findVma, removeVma, splitVma, vmaBefore, vmaPages, vmasIn } from '../spaces/vma.ts'
import { isAccounted, vmStatAccount, vmUnacctMemory } from './account.ts'

/** One past the highest byte of user space. */
export const TASK_SIZE = 0x7ffffffff000
/** Where the page tables of user space end. */
const CEILING = TASK_SIZE / PAGE_SIZE + 1

/** munmap(2). @returns 0, -EINVAL for a bad range, -ENOMEM at the limit of areas. */
export function sysMunmap(k: Kernel, task: Task, start: number, bytes: number): number {
  const mm = task.mm
  if (mm === undefined || start % PAGE_SIZE !== 0 || start > TASK_SIZE || bytes > TASK_SIZE - start) return -EINVAL
  const pages = alignUp(bytes, PAGE_SIZE) / PAGE_SIZE
  return pages === 0 ? -EINVAL : doMunmap(k, mm, start / PAGE_SIZE, start / PAGE_SIZE + pages)
}

/** Unmaps virtual pages [start, end): splits areas at the edges and removes those inside. */
export function doMunmap(k: Kernel, mm: Mm, start: number, end: number): number {
  const first = findVma(mm, start)
  if (first === undefined || first.start >= end) return 0
  if (start > first.start) {
    if (end < first.end && mm.vmas.count >= k.sysctl.max_map_count) return -ENOMEM
    const below = splitVma(k, first, start, true, false)
    if (typeof below === 'number') return below
  }
  const last = findVma(mm, end - 1)
  if (last !== undefined && last.start < end && end < last.end) {
    const above = splitVma(k, last, end, false, false)
    if (typeof above === 'number') return above
  }
  const gone = vmasIn(mm, start, end)
  lruAddDrain(k)
  for (const vma of gone) zapVma(k, vma)
  flushGather(k)
  const floor = vmaBefore(mm, start)?.end ?? 0
  const ceiling = findVma(mm, end)?.start ?? CEILING
  for (const vma of gone) dropVma(k, vma)
  freePgtables(k, mm, gone[0].start, gone[gone.length - 1].end, floor, ceiling)
  return 0
}

function zapVma(k: Kernel, vma: Vma): void {
  if ((vma.flags & VM_LOCKED) !== 0) vma.mm.lockedVm -= vmaPages(vma)
  unmapPageRange(k, vma, vma.start, vma.end, 'all')
}

/** Takes an area whose pages are gone out of its address space and the accounts. */
function dropVma(k: Kernel, vma: Vma): void {
  const pages = vmaPages(vma)
  if (isAccounted(vma.flags)) vmUnacctMemory(k, pages)
  vmStatAccount(vma.mm, vma.flags, -pages)
  removeVma(k, vma)
  if (vma.file !== undefined) fput(k, vma.file)
}

/** Empties an address space at the end of its last task (exit_mmap). */
export function exitMmap(k: Kernel, mm: Mm): void {
  const all = [...eachVma(mm)]
  lruAddDrain(k)
  for (const vma of all) zapVma(k, vma)
  flushGather(k)
  for (const vma of all) dropVma(k, vma)
  if (all.length > 0) freePgtables(k, mm, all[0].start, all[all.length - 1].end, 0, CEILING)
}
