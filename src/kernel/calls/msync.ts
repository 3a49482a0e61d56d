/**
 * msync(2): writes what was written to shared mappings of disk files.
 *
 * Source: mm/msync.c.
 */
import { COST, spend } from '../base/cost.ts'
import { EBUSY, EINVAL, ENOMEM } from '../base/errno.ts'
import { VM_LOCKED, VM_SHARED } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Task } from '../base/state_mm.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { findVma, vmaNext } from '../spaces/vma.ts'
import { fsyncRange } from './files_io.ts'

export const MS_ASYNC = 1
const MS_INVALIDATE = 2
export const MS_SYNC = 4

/**
 * @returns 0; -EINVAL for bad flags or address, or secret memory, which cannot be written anywhere, -EBUSY to invalidate locked pages,
 * -ENOMEM where nothing is mapped.
 */
export function sysMsync(k: Kernel, task: Task, address: number, bytes: number, flags: number): number {
  spend(k, COST.syscall, 1)
  const { mm } = task
  if (mm === undefined || (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || address % PAGE_SIZE !== 0) return -EINVAL
  if ((flags & (MS_ASYNC | MS_SYNC)) === (MS_ASYNC | MS_SYNC)) return -EINVAL
  const end = address / PAGE_SIZE + Math.ceil(bytes / PAGE_SIZE)
  let at = address / PAGE_SIZE
  let unmapped = 0
  for (let vma = findVma(mm, at); at < end; vma = vmaNext(vma)) {
    if (vma === undefined) return -ENOMEM
    if (at < vma.start) {
      if (vma.start >= end) return -ENOMEM
      at = vma.start
      unmapped = -ENOMEM
    }
    if ((flags & MS_INVALIDATE) !== 0 && (vma.flags & VM_LOCKED) !== 0) return -EBUSY
    const stop = Math.min(end, vma.end)
    const shared = (flags & MS_SYNC) !== 0 && (vma.flags & VM_SHARED) !== 0
    if (shared && vma.mapping !== undefined) {
      if (vma.mapping.inode.sb.type === 'secretmem') return -EINVAL
      fsyncRange(k, vma.mapping.inode, vma.pgoff + at - vma.start, vma.pgoff + stop - 1 - vma.start)
    }
    at = stop
  }
  return unmapped
}
