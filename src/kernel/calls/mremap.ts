/**
 * mremap: a mapping gets another size, another place, or both.
 *
 *     smaller                    the end is unmapped
 *     larger, room behind it     the area grows in place and joins its neighbour where it can
 *     larger, no room            a new area; entries move there, the old range is unmapped (MREMAP_MAYMOVE)
 *     MREMAP_FIXED               to a given place, whose old contents go first
 *     MREMAP_DONTUNMAP           the pages move, the old area stays, empty
 *
 * Anonymous pages keep their index: the new area starts at the old one's page offset, so that area and pages still fit. Only an
 * area that never had a page takes the offset of its new place, and may then join its new neighbours.
 *
 * Promised memory: a move promises the growth alone, DONTUNMAP the whole again. Locked areas stay locked where they go; what
 * they grow by is populated.
 *
 * Source: mm/mremap.c (mremap, mremap_to, vma_to_resize, move_vma, vma_expandable), mm/mmap.c copy_vma.
 */
import { assert } from '../base/assert.ts'
import { turnOver } from '../base/cost.ts'
import { EAGAIN, EFAULT, EINVAL, ENOMEM, ERESTARTNOINTR } from '../base/errno.ts'
import {
  MADV_UNMERGEABLE,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  VM_DONTEXPAND,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKED_MASK,
  VM_MAYSHARE,
  VM_PFNMAP,
  VM_UFFD_WP,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, MoveCall, MovingArea, Task, Vma } from '../base/state_mm.ts'
import { alignUp, PAGE_SIZE } from '../base/units.ts'
import { fget } from '../caches/files.ts'
import { ksmMadvise } from '../daemons/ksmd.ts'
import { khugepagedEnterVma } from '../fault/huge_memory_check.ts'
import { populateMapped, populateRest } from '../fault/populate.ts'
import { hugeAreaMoved, hugeAreaOpen } from '../spaces/hugetlb.ts'
import { anonVmaClone, anonVmaUnlink } from '../spaces/rmap_link.ts'
import { insertVma, mergeVma, splitVma, vmaAt, vmasIn } from '../spaces/vma.ts'
import { isAccounted, mayExpandVm, vmAcctMemory, vmEnoughMemory, vmStatAccount, vmUnacctMemory } from './account.ts'
import { overMlockLimit } from './mmap.ts'
import { movePageTables } from './move_tables.ts'
import { uffdWpRange } from './mprotect.ts'
import { doMunmap } from './unmap.ts'
import { getUnmappedArea, TASK_SIZE, unitPages } from './unmapped_area.ts'
import { remapPrepare, remapReports } from './userfaultfd_events.ts'

export interface MremapArguments {
  /** Byte address of the mapping, or of the part of it that is meant. */
  readonly address: number
  readonly oldBytes: number
  readonly newBytes: number
  /** MREMAP_* */
  readonly flags: number
  /** With MREMAP_FIXED the new byte address; with MREMAP_DONTUNMAP alone a hint. */
  readonly newAddress: number
}

/** mremap(2). @returns the byte address of the mapping, or a negative errno. */
export function sysMremap(k: Kernel, task: Task, wanted: MremapArguments): number {
  const mm = task.mm
  const rest = task.restart?.rest
  if (mm !== undefined && rest?.kind === 'populate') return populateRest(k, task, mm) ?? -EINVAL
  if (mm !== undefined && rest?.kind === 'move') return grown(k, task, mm, goOnMoving(k, task, mm, rest), rest.call)
  const { address, flags } = wanted
  if (mm === undefined || (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return -EINVAL
  const mayMove = (flags & MREMAP_MAYMOVE) !== 0
  if ((flags & MREMAP_FIXED) !== 0 && !mayMove) return -EINVAL
  if ((flags & MREMAP_DONTUNMAP) !== 0 && (!mayMove || wanted.oldBytes !== wanted.newBytes)) return -EINVAL
  if (address % PAGE_SIZE !== 0 || wanted.newBytes === 0) return -EINVAL
  const vma = vmaAt(mm, address / PAGE_SIZE)
  if (vma === undefined) return -EFAULT
  const unit = unitPages(k, vma.mapping?.inode) * PAGE_SIZE
  const oldPages = alignUp(wanted.oldBytes, unit) / PAGE_SIZE
  const newPages = alignUp(wanted.newBytes, unit) / PAGE_SIZE
  if ((vma.flags & VM_HUGETLB) !== 0 && (address % unit !== 0 || wanted.newAddress % unit !== 0 || newPages > oldPages)) return -EINVAL
  const call: MoveCall = { at: address / PAGE_SIZE, oldPages, newPages, flags, to: wanted.newAddress, reported: task.untold.length }
  const ret = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 ? mremapTo(k, task, mm, call) : resize(k, task, mm, call)
  return grown(k, task, mm, ret, call)
}

/** What a locked area has grown by is faulted in. @param ret its first page, or a negative errno. @returns the address for that */
function grown(k: Kernel, task: Task, mm: Mm, ret: number, { oldPages, newPages }: MoveCall): number {
  if (ret < 0) return ret
  const start = ret + oldPages
  const populates = newPages > oldPages && ((vmaAt(mm, start)?.flags ?? 0) & VM_LOCKED) !== 0
  return populates ? populateMapped(k, task, mm, start, ret + newPages, ret * PAGE_SIZE, true) : ret * PAGE_SIZE
}

/** Another size, in place if that can be. @returns the first page, or a negative errno. */
function resize(k: Kernel, task: Task, mm: Mm, call: MoveCall): number {
  const { at, oldPages, newPages, flags } = call
  if (oldPages >= newPages) {
    const ret = oldPages === newPages ? 0 : doMunmap(k, mm, at + newPages, at + oldPages, task)
    return ret < 0 ? ret : at
  }
  const vma = vmaToResize(task, mm, at, oldPages, newPages, flags)
  if (typeof vma === 'number') return vma
  if (at + oldPages === vma.end && expandable(k, task, vma, newPages - oldPages))
    return expand(k, task, vma, newPages - oldPages) < 0 ? -ENOMEM : at
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM
  const to = findPlace(k, task, vma, call, 0, false)
  return to < 0 ? to : moveVma(k, task, vma, call, to)
}

/** The area that is to be resized or moved, if all of the range lies in it and the limits allow the growth. */
function vmaToResize(task: Task, mm: Mm, at: number, oldPages: number, newPages: number, flags: number): Vma | number {
  const vma = vmaAt(mm, at)
  if (vma === undefined) return -EFAULT
  const fixedSize = (vma.flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0
  if (oldPages === 0 && (vma.flags & VM_MAYSHARE) === 0) return -EINVAL
  if ((flags & MREMAP_DONTUNMAP) !== 0 && fixedSize) return -EINVAL
  if (at + oldPages > vma.end) return -EFAULT
  if (oldPages === newPages) return vma
  if (fixedSize) return -EFAULT
  if (overMlockLimit(task, mm, vma.flags, newPages - oldPages)) return -EAGAIN
  return mayExpandVm(task, mm, vma.flags, newPages - oldPages) ? vma : -ENOMEM
}

/** Whether nothing lies in the way of growing the area upwards. */
function expandable(k: Kernel, task: Task, vma: Vma, pages: number): boolean {
  if (vmasIn(vma.mm, vma.end, vma.end + pages).length > 0) return false
  const wish = { address: vma.start * PAGE_SIZE, pages: vma.end + pages - vma.start, fixed: true, shared: false, file: undefined, pgoff: 0 }
  return getUnmappedArea(k, task, vma.mm, wish) >= 0
}

function expand(k: Kernel, task: Task, vma: Vma, pages: number): number {
  const { mm, flags } = vma
  if (isAccounted(flags) && vmEnoughMemory(k, task, mm, pages) < 0) return -ENOMEM
  const grown = mergeVma(k, mm, vma.end, vma.end + pages, vma, vma.anonVma, vma.pgoff + vma.end - vma.start)
  if (grown === undefined) {
    if (isAccounted(flags)) vmUnacctMemory(k, pages)
    return -ENOMEM
  }
  khugepagedEnterVma(k, grown, grown.flags)
  vmStatAccount(mm, flags, pages)
  if ((flags & VM_LOCKED) !== 0) mm.lockedVm += pages
  return 0
}

/** To a place of the caller's choice, or with DONTUNMAP of the kernel's. @returns the first page, or a negative errno. */
function mremapTo(k: Kernel, task: Task, mm: Mm, call: MoveCall): number {
  const { at, newPages, flags, to } = call
  const page = to / PAGE_SIZE
  if (!Number.isInteger(page) || newPages * PAGE_SIZE > TASK_SIZE || to > TASK_SIZE - newPages * PAGE_SIZE) return -EINVAL
  if (at + call.oldPages > page && page + newPages > at) return -EINVAL
  if (mm.vmas.count + 2 >= k.sysctl.max_map_count - 3) return -ENOMEM
  const fixed = (flags & MREMAP_FIXED) !== 0
  const cleared = fixed ? doMunmap(k, mm, page, page + newPages) : 0
  if (cleared < 0) return cleared
  const reported = task.untold.length
  const cut = call.oldPages > newPages ? doMunmap(k, mm, at + newPages, at + call.oldPages) : 0
  if (cut < 0) return cut
  const oldPages = Math.min(call.oldPages, newPages)
  const vma = vmaToResize(task, mm, at, oldPages, newPages, flags)
  if (typeof vma === 'number') return vma
  if ((flags & MREMAP_DONTUNMAP) !== 0 && !mayExpandVm(task, mm, vma.flags, oldPages)) return -ENOMEM
  const place = findPlace(k, task, vma, call, to, fixed)
  if (place < 0) return place
  return moveVma(k, task, vma, { ...call, oldPages, reported }, fixed ? page : place)
}

function findPlace(k: Kernel, task: Task, vma: Vma, { at, newPages }: MoveCall, address: number, fixed: boolean): number {
  const shared = (vma.flags & VM_MAYSHARE) !== 0
  return getUnmappedArea(k, task, vma.mm, { address, pages: newPages, fixed, shared, file: vma.file, pgoff: vma.pgoff + at - vma.start })
}

/** Moves part of an area to page `to`, where nothing is. @returns `to`, or a negative errno. */
function moveVma(k: Kernel, task: Task, vma: Vma, call: MoveCall, to: number): number {
  const { mm } = vma
  const { at, oldPages, newPages } = call
  const keep = (call.flags & MREMAP_DONTUNMAP) !== 0
  if (mm.vmas.count >= k.sysctl.max_map_count - 3) return -ENOMEM
  const unmerged = ksmMadvise(k, vma, at, at + oldPages, MADV_UNMERGEABLE)
  if (unmerged < 0) return unmerged
  if ((keep && (vma.flags & VM_LOCKED) !== 0) || (vma.flags & VM_HUGETLB) !== 0) splitOff(k, vma, at, at + oldPages)
  const { flags } = vma
  const promise = keep ? newPages : newPages - oldPages
  if (isAccounted(flags) && vmEnoughMemory(k, task, mm, promise) < 0) return -ENOMEM
  const copy = copyVma(k, vma, at, to, newPages, keep)
  const { hiwaterVm } = mm
  vmStatAccount(mm, flags, newPages)
  if ((flags & VM_LOCKED) !== 0) mm.lockedVm += newPages
  return goOnMoving(k, task, mm, { kind: 'move', call, ...copy, to, promise, hiwaterVm })
}

/** Moves the entries, a turn at a time, and ends the call. @returns the new first page, -ERESTARTNOINTR after a turn, or -ENOMEM */
function goOnMoving(k: Kernel, task: Task, mm: Mm, moving: MovingArea): number {
  const { call, area, source, to, promise } = moving
  const { at, oldPages } = call
  const keep = (call.flags & MREMAP_DONTUNMAP) !== 0
  const { flags } = area
  const done = task.restart?.rest === moving ? task.restart.at - at : 0
  const moved = movePageTables(k, source, { from: at, to, pages: oldPages, done, pauses: true })
  if (moved > done && moved < oldPages && turnOver(k)) {
    task.restart = { at: at + moved, told: true, rest: moving }
    return -ERESTARTNOINTR
  }
  task.restart = undefined
  if ((flags & VM_HUGETLB) !== 0) hugeAreaMoved(moved < oldPages ? area : source)
  if (moved === oldPages && area.uffd !== 0) followMove(k, task, area, call, to)
  if (moved < oldPages) moveBack(k, area, call, to, moved, promise)
  else if (keep) leaveEmpty(k, source, at, oldPages)
  else dropOld(k, mm, at, oldPages, isAccounted(flags))
  mm.hiwaterVm = Math.max(moving.hiwaterVm, mm.totalVm)
  return moved < oldPages ? -ENOMEM : to
}

/**
 * Makes the range an area of its own, so that locks, or promises of huge TLB pages, stay with the rest (6.1 forgets the rest's
 * promises and never takes them back). There is room for two more areas: the caller has looked.
 */
function splitOff(k: Kernel, vma: Vma, start: number, end: number): void {
  if (start > vma.start) splitVma(k, vma, start, true)
  if (end < vma.end) splitVma(k, vma, end, false)
}

/** The userfaultfd of an area that moved goes with it and is told, or is left behind with its write protections. */
function followMove(k: Kernel, task: Task, area: Vma, { at, oldPages, reported }: MoveCall, to: number): void {
  const protectedArea = (area.flags & VM_UFFD_WP) !== 0
  const context = remapPrepare(k, area)
  if (context !== undefined) remapReports(task, context, at, to, oldPages, reported)
  else if (protectedArea) uffdWpRange(k, area, to, to + oldPages, false)
}

/** The old range goes; the promise of its memory has moved with it. */
function dropOld(k: Kernel, mm: Mm, at: number, pages: number, accounted: boolean): void {
  if (pages === 0) return
  if (accounted) vmAcctMemory(k, pages)
  const ret = doMunmap(k, mm, at, at + pages)
  assert(ret === 0, 'a moved range cannot be unmapped')
}

/** MREMAP_DONTUNMAP: the old area stays without pages and locks, and if all of it moved as if it had never had any. */
function leaveEmpty(k: Kernel, vma: Vma, at: number, pages: number): void {
  if ((vma.flags & VM_LOCKED) !== 0) vma.mm.lockedVm -= pages
  vma.flags &= ~VM_LOCKED_MASK
  if (vma.start !== at || vma.end !== at + pages) return
  anonVmaUnlink(k, vma)
  if (vma.file === undefined) vma.pgoff = vma.start
}

/** There was no memory for a table: what moved goes back, and the new area goes with what was promised for it. */
function moveBack(k: Kernel, area: Vma, { at, newPages }: MoveCall, to: number, moved: number, promise: number): void {
  movePageTables(k, area, { from: to, to: at, pages: moved, done: 0, pauses: false })
  if (isAccounted(area.flags)) vmAcctMemory(k, newPages - promise)
  doMunmap(k, area.mm, to, to + newPages)
}

interface Copy {
  /** The area that covers the new place. */
  readonly area: Vma
  /** The area that covers the old one: it may have become part of the other. */
  readonly source: Vma
}

/** An area for the new place, or the neighbour there that can take it in (copy_vma). */
function copyVma(k: Kernel, vma: Vma, at: number, to: number, pages: number, keepSource: boolean): Copy {
  const untouched = vma.file === undefined && vma.anonVma === 0
  const pgoff = untouched ? to : vma.pgoff + at - vma.start
  const touching = to === vma.end || vma.start === to + pages
  const merged = untouched && keepSource && touching ? undefined : mergeVma(k, vma.mm, to, to + pages, vma, vma.anonVma, pgoff)
  if (merged !== undefined) {
    khugepagedEnterVma(k, merged, merged.flags)
    return { area: merged, source: merged.start <= vma.start && vma.start < merged.end ? merged : vma }
  }
  const area: Vma = { ...vma, start: to, end: to + pages, pgoff, anonVma: 0, chain: [] }
  anonVmaClone(k, area, vma)
  area.anonVma = vma.anonVma
  if (area.file !== undefined) fget(area.file)
  if ((area.flags & VM_HUGETLB) !== 0) hugeAreaOpen(area)
  insertVma(k, area)
  return { area, source: vma }
}
