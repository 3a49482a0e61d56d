/**
 * mmap and brk: checks in Linux' order, then a new area, joined with its neighbours where that is possible.
 *
 * Source: mm/mmap.c (ksys_mmap_pgoff, do_mmap, mmap_region, do_brk_flags), arch/x86/kernel/sys_x86_64.c.
 */
import { EACCES, EAGAIN, EEXIST, EINVAL, ENOMEM, EOVERFLOW, EPERM } from '../base/errno.ts'
import {
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  VM_ACCOUNT,
  VM_EXEC,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKED_MASK,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYSHARE,
  VM_MAYWRITE,
  VM_NORESERVE,
  VM_READ,
  VM_SHARED,
  VM_SOFTDIRTY,
  VM_SPECIAL,
  VM_WRITE,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { alignUp, PAGE_SIZE } from '../base/units.ts'
import { fget, fput } from '../caches/files.ts'
import { shmemFileSetup } from '../caches/shmem.ts'
import { mmPopulate } from '../fault/populate.ts'
import { findVma, insertVma, mergeVma, type VmaAttributes, vmaBefore, vmasIn } from '../spaces/vma.ts'
import { accountableMapping, mayExpandVm, OVERCOMMIT_NEVER, vmEnoughMemory, vmStatAccount, vmUnacctMemory } from './account.ts'
import { doMunmap, TASK_SIZE } from './unmap.ts'

/** Guard pages kept free below a stack. */
const STACK_GUARD_PAGES = 256

export interface MmapArguments {
  /** Byte address, 0 for any. */
  readonly address: number
  readonly bytes: number
  readonly prot: number
  readonly flags: number
  /** What to map; undefined for anonymous memory. */
  readonly file: OpenFile | undefined
  /** Offset in the file in pages. */
  readonly pgoff: number
  /** Address and length are multiples of this many pages (huge TLB files). */
  readonly unitPages: number
}

const protBits = (prot: number) =>
  ((prot & PROT_READ) !== 0 ? VM_READ : 0) | ((prot & PROT_WRITE) !== 0 ? VM_WRITE : 0) | ((prot & PROT_EXEC) !== 0 ? VM_EXEC : 0)

/** Whether the task may lock more memory at all (can_do_mlock). */
export const canDoMlock = (task: Task) => task.rlimits.memlock !== 0 || task.uid === 0

/** Whether `pages` more locked pages would be too many for the task (mlock_future_check). */
export const overMlockLimit = (task: Task, mm: Mm, pages: number) => task.uid !== 0 && mm.lockedVm + pages > Math.floor(task.rlimits.memlock / PAGE_SIZE)

/** mmap(2). @returns the byte address, or a negative errno. */
export function sysMmap(k: Kernel, task: Task, wanted: MmapArguments): number {
  const mm = task.mm
  if (mm === undefined || wanted.bytes === 0) return -EINVAL
  const pages = alignUp(wanted.bytes, PAGE_SIZE * wanted.unitPages) / PAGE_SIZE
  if (wanted.pgoff + pages > 2 ** 52) return -EOVERFLOW
  if (mm.vmas.count > k.sysctl.max_map_count) return -ENOMEM
  const start = getUnmappedArea(k, mm, wanted, pages)
  if (start < 0) return start
  if ((wanted.flags & MAP_FIXED_NOREPLACE) !== 0 && vmasIn(mm, start, start + pages).length > 0) return -EEXIST
  const flags = vmaFlags(k, mm, wanted)
  if ((wanted.flags & MAP_LOCKED) !== 0 && !canDoMlock(task)) return -EPERM
  if ((flags & VM_LOCKED) !== 0 && overMlockLimit(task, mm, pages)) return -EAGAIN
  const type = wanted.flags & (MAP_SHARED | MAP_PRIVATE)
  if (type !== MAP_SHARED && type !== MAP_PRIVATE) return -EINVAL
  const ret = mmapRegion(k, task, mm, start, pages, flags, wanted)
  if (ret < 0) return ret
  if ((flags & VM_LOCKED) !== 0 || (wanted.flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE) mmPopulate(k, mm, start, start + pages, true)
  return start * PAGE_SIZE
}

function vmaFlags(k: Kernel, mm: Mm, wanted: MmapArguments): number {
  let flags = protBits(wanted.prot) | mm.defFlags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
  if ((wanted.flags & MAP_LOCKED) !== 0) flags |= VM_LOCKED
  if ((wanted.flags & MAP_SHARED) !== 0) flags |= VM_SHARED | VM_MAYSHARE
  const hugetlb = wanted.file?.inode.sb.type === 'hugetlbfs'
  if (hugetlb) flags |= VM_HUGETLB
  if ((wanted.flags & MAP_NORESERVE) !== 0 && (hugetlb || k.sysctl.overcommit_memory !== OVERCOMMIT_NEVER)) flags |= VM_NORESERVE
  return flags
}

/** A virtual page where `pages` fit: the one asked for, or the highest gap below mmapBase. Negative errno when none. */
function getUnmappedArea(k: Kernel, mm: Mm, wanted: MmapArguments, pages: number): number {
  const fixed = (wanted.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0
  const bytes = pages * PAGE_SIZE
  if (bytes > TASK_SIZE || wanted.address > TASK_SIZE - bytes) return -ENOMEM
  const unit = PAGE_SIZE * wanted.unitPages
  if (fixed) {
    if (wanted.address % unit !== 0) return -EINVAL
    return wanted.address < k.sysctl.mmap_min_addr ? -EPERM : wanted.address / PAGE_SIZE
  }
  if (wanted.address !== 0) {
    const hint = alignUp(Math.max(wanted.address, k.sysctl.mmap_min_addr), unit) / PAGE_SIZE
    if (vmasIn(mm, hint, hint + pages).length === 0) return hint
  }
  return topDownGap(mm, pages, wanted.unitPages)
}

/** The highest free gap below mmapBase (unmapped_area_topdown). */
export function topDownGap(mm: Mm, pages: number, unitPages: number): number {
  let top = mm.mmapBase
  for (;;) {
    const below = vmaBefore(mm, top)
    const covering = findVma(mm, top - 1)
    if (covering !== undefined && covering.start < top) {
      top = covering.start
      continue
    }
    const start = Math.floor((top - pages) / unitPages) * unitPages
    if (start < 16) return -ENOMEM
    if (below === undefined || below.end <= start) return start
    top = below.start
  }
}

function mmapRegion(k: Kernel, task: Task, mm: Mm, start: number, pages: number, wantedFlags: number, wanted: MmapArguments): number {
  const end = start + pages
  let flags = wantedFlags
  const replaced = vmasIn(mm, start, end).reduce((sum, vma) => sum + Math.min(end, vma.end) - Math.max(start, vma.start), 0)
  if (!mayExpandVm(task, mm, flags, pages - replaced)) return -ENOMEM
  const unmapped = doMunmap(k, mm, start, end)
  if (unmapped < 0) return unmapped
  if (wanted.file !== undefined && (flags & VM_SHARED) !== 0 && (flags & VM_WRITE) !== 0 && !wanted.file.writable) return -EACCES
  const accounted = accountableMapping(flags)
  if (accounted) {
    if (vmEnoughMemory(k, task, mm, pages) < 0) return -ENOMEM
    flags |= VM_ACCOUNT
  }
  const file = backing(k, task, flags, pages, wanted)
  if (typeof file === 'number') {
    if (accounted) vmUnacctMemory(k, pages)
    return file
  }
  placeArea(k, mm, start, end, flags, file, file === undefined ? start : wanted.pgoff)
  vmStatAccount(mm, flags, pages)
  if ((flags & VM_LOCKED) !== 0) mm.lockedVm += pages
  return start
}

/** What the area maps: the file given, a fresh shmem object for shared anonymous memory, or nothing. */
function backing(k: Kernel, task: Task, flags: number, pages: number, wanted: MmapArguments): OpenFile | undefined | number {
  if (wanted.file !== undefined) return fget(wanted.file)
  if ((flags & VM_SHARED) === 0) return undefined
  return shmemFileSetup(k, task, pages, (flags & VM_NORESERVE) !== 0, '/dev/zero')
}

/** Joins the new range with its neighbours, or makes an area of it. */
function placeArea(k: Kernel, mm: Mm, start: number, end: number, flags: number, file: OpenFile | undefined, pgoff: number): void {
  const attributes: VmaAttributes = { flags, mapping: file?.inode.mapping, file, policy: undefined, uffd: 0 }
  const merged = (flags & (VM_SPECIAL | VM_HUGETLB)) !== 0 ? undefined : mergeVma(k, mm, start, end, attributes, 0, pgoff)
  if (merged !== undefined) {
    if (file !== undefined) fput(k, file)
    merged.flags |= VM_SOFTDIRTY
  } else insertVma(k, newVma(mm, start, end, attributes, pgoff, ''))
}

/** A fresh area; VM_SOFTDIRTY, as all that is newly mapped. Locked flags do not stick to what cannot be locked. */
export function newVma(mm: Mm, start: number, end: number, attributes: VmaAttributes, pgoff: number, name: string): Vma {
  const lockable = (attributes.flags & (VM_SPECIAL | VM_HUGETLB)) === 0
  const flags = (lockable ? attributes.flags : attributes.flags & ~VM_LOCKED_MASK) | VM_SOFTDIRTY
  const { mapping, file, policy, uffd } = attributes
  return { mm, start, end, flags, pgoff, mapping, file, anonVma: 0, chain: [], policy, uffd, name, resv: undefined }
}

/** brk(2). @returns the new break, or the old one when it cannot be moved. */
export function sysBrk(k: Kernel, task: Task, brk: number): number {
  const mm = task.mm
  if (mm === undefined || brk < mm.startBrk) return mm?.brk ?? 0
  const oldEnd = alignUp(mm.brk, PAGE_SIZE) / PAGE_SIZE
  const newEnd = alignUp(brk, PAGE_SIZE) / PAGE_SIZE
  if (newEnd < oldEnd && doMunmap(k, mm, newEnd, oldEnd) < 0) return mm.brk
  if (newEnd > oldEnd && growBrk(k, task, mm, oldEnd, newEnd) < 0) return mm.brk
  mm.brk = brk
  return brk
}

function growBrk(k: Kernel, task: Task, mm: Mm, start: number, end: number): number {
  const next = findVma(mm, start)
  if (next !== undefined && next.start < end + STACK_GUARD_PAGES) return -ENOMEM
  const flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT | mm.defFlags
  const pages = end - start
  if ((flags & VM_LOCKED) !== 0 && overMlockLimit(task, mm, pages)) return -EAGAIN
  if (!mayExpandVm(task, mm, flags, pages) || mm.vmas.count > k.sysctl.max_map_count) return -ENOMEM
  if (vmEnoughMemory(k, task, mm, pages) < 0) return -ENOMEM
  placeArea(k, mm, start, end, flags, undefined, start)
  vmStatAccount(mm, flags, pages)
  if ((flags & VM_LOCKED) !== 0) {
    mm.lockedVm += pages
    mmPopulate(k, mm, start, end, true)
  }
  return 0
}

