/**
 * mmap and brk: checks in Linux' order, then a new area, joined with its neighbours where that is possible.
 *
 *     length, too many areas, place              EINVAL ENOMEM EINVAL/EPERM/ENOMEM, EEXIST for MAP_FIXED_NOREPLACE
 *     lock limits                                EPERM, EAGAIN
 *     file against protection and sharing        EOVERFLOW EACCES ETXTBSY EOPNOTSUPP EINVAL
 *     RLIMIT_AS, RLIMIT_DATA                     ENOMEM
 *     what was there goes (MAP_FIXED)            ENOMEM
 *     the promise of memory, the file's own      ENOMEM
 *
 * What fails after the old mapping went leaves the hole. Locked and MAP_POPULATE mappings are populated last; what
 * cannot be had then is left out silently.
 *
 * A heap that grows joins the area below it, never the one above, and stays clear of a stack's guard gap.
 *
 * Source: mm/mmap.c (ksys_mmap_pgoff, do_mmap, mmap_region, brk, do_brk_flags, do_brk_munmap), mm/mlock.c can_do_mlock.
 */
import { EACCES, EAGAIN, EEXIST, EINVAL, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM, ETXTBSY } from '../base/errno.ts'
import {
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_HUGETLB,
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
  VM_DONTDUMP,
  VM_DONTEXPAND,
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
import { isSwapFile } from '../caches/swap_area.ts'
import { khugepagedEnterVma } from '../fault/huge_memory_check.ts'
import { mmPopulate, populateMapped, populateRest } from '../fault/populate.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { MAX_INDEX } from '../frames/page.ts'
import { findVma, insertVma, mergeBrkVma, mergeNewVma, startGap, type VmaAttributes, vmasIn } from '../spaces/vma.ts'
import { accountableMapping, capable, mayExpandVm, OVERCOMMIT_NEVER, vmEnoughMemory, vmStatAccount, vmUnacctMemory } from './account.ts'
import { hugetlbAnonFile, hugetlbfsMmap } from './hugetlb_fs.ts'
import { doMunmap } from './unmap.ts'
import { getUnmappedArea, unitPages } from './unmapped_area.ts'

/** The bits of mmap's flags that say how it is shared, and MAP_SHARED that refuses flags it does not know. */
const MAP_TYPE = 0xf
/** Where MAP_HUGETLB says which size: its logarithm, 0 for the default. */
const MAP_HUGE_SHIFT = 26
const MAP_HUGE_MASK = 0x3f
const MAP_SHARED_VALIDATE = 3
/** Pages of the largest file (MAX_LFS_FILESIZE). */
const MAX_FILE_PAGES = 2 ** 51 - 1

export interface MmapArguments {
  /** Byte address, 0 for any. */
  readonly address: number
  readonly bytes: number
  readonly prot: number
  readonly flags: number
  /** What to map; undefined for anonymous memory. */
  readonly file: OpenFile | undefined
  /** Offset in the file in pages; an offset that is no whole number of pages is EINVAL. */
  readonly pgoff: number
  /** Whether the caller calls again when it fails with ERESTARTNOINTR, because the population pauses. */
  readonly pauses?: boolean
}

export const protBits = (prot: number) =>
  ((prot & PROT_READ) !== 0 ? VM_READ : 0) | ((prot & PROT_WRITE) !== 0 ? VM_WRITE : 0) | ((prot & PROT_EXEC) !== 0 ? VM_EXEC : 0)

/** Whether the task may lock memory at all (can_do_mlock). */
export const canDoMlock = (task: Task) => task.rlimits.memlock !== 0 || capable(task)

/** Pages that the task may have locked. */
export const memlockPages = (task: Task) => (capable(task) ? Number.POSITIVE_INFINITY : Math.floor(task.rlimits.memlock / PAGE_SIZE))

/** Whether `pages` more in an area with these flags would be too much locked memory for the task (mlock_future_check). */
export const overMlockLimit = (task: Task, mm: Mm, flags: number, pages: number) =>
  (flags & VM_LOCKED) !== 0 && mm.lockedVm + pages > memlockPages(task)

/** mmap(2). @returns the byte address, or a negative errno. */
export function sysMmap(k: Kernel, task: Task, wanted: MmapArguments): number {
  const mm = task.mm
  const { file, flags, pgoff } = wanted
  if (mm === undefined || !Number.isInteger(pgoff)) return -EINVAL
  const left = populateRest(k, task, mm)
  if (left !== undefined) return left
  if (file === undefined && (flags & MAP_HUGETLB) !== 0) return mmapHugetlb(k, task, wanted)
  if (wanted.bytes === 0) return -EINVAL
  const pages = alignUp(wanted.bytes, PAGE_SIZE * unitPages(k, file?.inode)) / PAGE_SIZE
  const start = placeFor(k, task, mm, wanted, pages)
  if (start < 0) return start
  const vmFlags = vmaFlags(k, mm, wanted)
  if ((flags & MAP_LOCKED) !== 0 && !canDoMlock(task)) return -EPERM
  if (overMlockLimit(task, mm, vmFlags, pages)) return -EAGAIN
  const refused = refuse(k, wanted, pages)
  if (refused < 0) return refused
  const ret = mmapRegion(k, task, mm, start, pages, vmFlags, wanted)
  if (ret < 0) return ret
  const populates = (vmFlags & VM_LOCKED) !== 0 || (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE
  const address = start * PAGE_SIZE
  return populates ? populateMapped(k, task, mm, start, start + pages, address, wanted.pauses === true) : address
}

/** Anonymous memory in huge TLB pages: a file of its own that nobody else can find. */
function mmapHugetlb(k: Kernel, task: Task, wanted: MmapArguments): number {
  const file = hugetlbAnonFile(k, task, wanted.bytes, (wanted.flags >>> MAP_HUGE_SHIFT) & MAP_HUGE_MASK)
  if (typeof file === 'number') return file
  const ret = sysMmap(k, task, { ...wanted, file })
  fput(k, file)
  return ret
}

/** First page of the place for the mapping, or a negative errno. */
function placeFor(k: Kernel, task: Task, mm: Mm, wanted: MmapArguments, pages: number): number {
  if (mm.vmas.count > k.sysctl.max_map_count) return -ENOMEM
  const fixed = (wanted.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0
  const shared = (wanted.flags & MAP_SHARED) !== 0
  const address = fixed ? wanted.address : hintFrom(k, wanted.address)
  const start = getUnmappedArea(k, task, mm, { address, pages, fixed, shared, file: wanted.file, pgoff: wanted.pgoff })
  if (start >= 0 && (wanted.flags & MAP_FIXED_NOREPLACE) !== 0 && vmasIn(mm, start, start + pages).length > 0) return -EEXIST
  return start
}

/** A hint is a page, and not below mmap_min_addr (round_hint_to_min). */
function hintFrom(k: Kernel, address: number): number {
  const hint = address - (address % PAGE_SIZE)
  return hint !== 0 && hint < k.sysctl.mmap_min_addr ? alignUp(k.sysctl.mmap_min_addr, PAGE_SIZE) : hint
}

/** Whether the kind of sharing, the file and the protection go together: 0 or a negative errno. */
function refuse(k: Kernel, { file, flags, prot, pgoff }: MmapArguments, pages: number): number {
  const type = flags & MAP_TYPE
  if (file === undefined) return type === MAP_SHARED || type === MAP_PRIVATE ? 0 : -EINVAL
  if (pgoff + pages > MAX_FILE_PAGES) return -EOVERFLOW
  if (file.inode.hugetlb !== undefined && pgoff + pages > MAX_INDEX) return -ENOMEM
  if (type === MAP_SHARED_VALIDATE && (flags & MAP_FIXED_NOREPLACE) !== 0) return -EOPNOTSUPP
  const shared = type === MAP_SHARED || type === MAP_SHARED_VALIDATE
  if (shared && (prot & PROT_WRITE) !== 0 && !file.writable) return -EACCES
  if (shared && (prot & PROT_WRITE) !== 0 && isSwapFile(k, file.inode)) return -ETXTBSY
  if (!shared && (type !== MAP_PRIVATE || file.inode.sb.type === 'secretmem')) return -EINVAL
  if (!file.readable) return -EACCES
  return isNoexec(file) && (prot & PROT_EXEC) !== 0 ? -EPERM : 0
}

/** Secret memory's mount lets nothing be executed, and its areas are in no core dump. */
const isNoexec = (file: OpenFile | undefined): boolean => file?.inode.sb.type === 'secretmem'

function vmaFlags(k: Kernel, mm: Mm, wanted: MmapArguments): number {
  let flags = protBits(wanted.prot) | mm.defFlags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
  if ((wanted.flags & MAP_LOCKED) !== 0) flags |= VM_LOCKED
  if ((wanted.flags & MAP_SHARED) !== 0) flags |= VM_SHARED | VM_MAYSHARE
  if ((wanted.flags & MAP_SHARED) !== 0 && wanted.file?.writable === false) flags &= ~(VM_MAYWRITE | VM_SHARED)
  const hugetlb = wanted.file?.inode.hugetlb !== undefined
  if (hugetlb) flags |= VM_HUGETLB | VM_DONTEXPAND
  if (isNoexec(wanted.file)) flags = (flags & ~VM_MAYEXEC) | VM_DONTDUMP
  if ((wanted.flags & MAP_NORESERVE) !== 0 && (hugetlb || k.sysctl.overcommit_memory !== OVERCOMMIT_NEVER)) flags |= VM_NORESERVE
  return flags
}

/** Pages of [start, end) that areas cover (count_vma_pages_range). */
const coveredPages = (mm: Mm, start: number, end: number): number =>
  vmasIn(mm, start, end).reduce((sum, vma) => sum + Math.min(end, vma.end) - Math.max(start, vma.start), 0)

function mmapRegion(k: Kernel, task: Task, mm: Mm, start: number, pages: number, flags: number, wanted: MmapArguments): number {
  const end = start + pages
  if (!mayExpandVm(task, mm, flags, pages) && !mayExpandVm(task, mm, flags, pages - coveredPages(mm, start, end))) return -ENOMEM
  if (doMunmap(k, mm, start, end) < 0) return -ENOMEM
  const accounted = accountableMapping(flags)
  if (accounted && vmEnoughMemory(k, task, mm, pages) < 0) return -ENOMEM
  const area = placeArea(k, task, mm, start, end, accounted ? flags | VM_ACCOUNT : flags, wanted)
  if (typeof area === 'number') {
    if (accounted) vmUnacctMemory(k, pages)
    return area
  }
  khugepagedEnterVma(k, area, area.flags)
  vmStatAccount(mm, area.flags, pages)
  if ((area.flags & VM_LOCKED) !== 0) lockNew(area, pages)
  area.flags |= VM_SOFTDIRTY
  return start
}

/** Counts the new part of a locked area; the kinds that cannot be locked lose the mark instead. */
function lockNew(vma: Vma, pages: number): void {
  if ((vma.flags & (VM_SPECIAL | VM_HUGETLB)) !== 0) vma.flags &= ~VM_LOCKED_MASK
  else vma.mm.lockedVm += pages
}

/** Joins the new range with its neighbours, or makes an area of it; or a negative errno. */
function placeArea(k: Kernel, task: Task, mm: Mm, start: number, end: number, flags: number, wanted: MmapArguments): Vma | number {
  const { file, pgoff } = wanted
  const anonymous = file === undefined && (flags & VM_SHARED) === 0
  if (anonymous || file !== undefined) {
    const attributes: VmaAttributes = { flags, mapping: file?.inode.mapping, file, policy: undefined, uffd: 0 }
    const merged = mergeNewVma(k, mm, start, end, attributes, anonymous ? start : pgoff)
    if (merged !== undefined) return merged
    const area = newVma(mm, start, end, attributes, anonymous ? start : pgoff, '')
    const refused = file !== undefined && (flags & VM_HUGETLB) !== 0 ? hugetlbfsMmap(k, area, file) : 0
    if (refused < 0) return refused
    if (file !== undefined) fget(file)
    return addVma(k, area)
  }
  const object = shmemFileSetup(k, task, end - start, (flags & VM_NORESERVE) !== 0, '/dev/zero')
  if (typeof object === 'number') return object
  return addVma(k, newVma(mm, start, end, { flags, mapping: object.inode.mapping, file: object, policy: undefined, uffd: 0 }, 0, ''))
}

function addVma(k: Kernel, vma: Vma): Vma {
  insertVma(k, vma)
  return vma
}

/** A fresh area, marked soft-dirty as all that is newly mapped. */
export function newVma(mm: Mm, start: number, end: number, attributes: VmaAttributes, pgoff: number, name: string): Vma {
  const { flags, mapping, file, policy, uffd } = attributes
  const links = { anonVma: 0, chain: [], payer: ROOT_MEMCG, linkPayer: ROOT_MEMCG }
  return { mm, start, end, flags: flags | VM_SOFTDIRTY, pgoff, mapping, file, ...links, policy, uffd, name, resv: undefined }
}

// --- brk: the heap, one area that grows and shrinks at its upper end

const pageOf = (bytes: number) => alignUp(bytes, PAGE_SIZE) / PAGE_SIZE

/** brk(2). @returns the new break in bytes, or the old one when it cannot be moved. */
export function sysBrk(k: Kernel, task: Task, brk: number): number {
  const mm = task.mm
  if (mm === undefined) return 0
  if (brk < mm.startBrk || brk - mm.startBrk > task.rlimits.data) return mm.brk
  const oldEnd = pageOf(mm.brk)
  const newEnd = pageOf(brk)
  if (newEnd < oldEnd && !shrink(k, mm, newEnd, oldEnd)) return mm.brk
  if (newEnd > oldEnd && grow(k, task, mm, oldEnd, newEnd) < 0) return mm.brk
  mm.brk = brk
  if (newEnd > oldEnd && (mm.defFlags & VM_LOCKED) !== 0) mmPopulate(k, mm, oldEnd, newEnd, true)
  return brk
}

function shrink(k: Kernel, mm: Mm, newEnd: number, oldEnd: number): boolean {
  const heap = findVma(mm, newEnd)
  return heap !== undefined && heap.start < oldEnd && doMunmap(k, mm, newEnd, oldEnd) === 0
}

function grow(k: Kernel, task: Task, mm: Mm, start: number, end: number): number {
  const pages = end - start
  const wish = { address: start * PAGE_SIZE, pages, fixed: true, shared: false, file: undefined, pgoff: 0 }
  if (getUnmappedArea(k, task, mm, wish) < 0 || overMlockLimit(task, mm, mm.defFlags, pages)) return -ENOMEM
  const next = findVma(mm, start)
  if (next !== undefined && end + 1 > startGap(next)) return -ENOMEM
  const flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT | mm.defFlags
  if (!mayExpandVm(task, mm, flags, pages) || mm.vmas.count > k.sysctl.max_map_count) return -ENOMEM
  if (vmEnoughMemory(k, task, mm, pages) < 0) return -ENOMEM
  const heap = growHeap(k, mm, start, end, flags)
  vmStatAccount(mm, flags, pages)
  if ((flags & VM_LOCKED) !== 0) mm.lockedVm += pages
  heap.flags |= VM_SOFTDIRTY
  return 0
}

function growHeap(k: Kernel, mm: Mm, start: number, end: number, flags: number): Vma {
  const attributes: VmaAttributes = { flags, mapping: undefined, file: undefined, policy: undefined, uffd: 0 }
  const joined = mergeBrkVma(k, mm, start, end, attributes)
  if (joined === undefined) return addVma(k, newVma(mm, start, end, attributes, start, ''))
  khugepagedEnterVma(k, joined, flags)
  return joined
}
