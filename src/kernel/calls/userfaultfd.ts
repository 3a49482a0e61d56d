/**
 * userfaultfd(2) and its ioctls: a program that handles its own page faults, or those of another process.
 *
 *     userfaultfd ── API ── REGISTER ── read: a fault ── COPY | ZEROPAGE | CONTINUE | WRITEPROTECT, or WAKE ── ... close
 *
 *     any ioctl before API; API twice; unknown features; version other than 0xAA      EINVAL
 *     FORK events without CAP_SYS_PTRACE                                              EPERM
 *     ranges: unaligned, empty, beyond user space                                     EINVAL
 *     REGISTER   no or unknown mode; only a hole before the range's end; an area of another kind   EINVAL
 *                no area above the start                                              ENOMEM
 *                a file that may not be written                                       EPERM
 *                an area of another descriptor                                        EBUSY
 *     filling    mappings are changing                                                EAGAIN
 *                the process is gone                                                  ESRCH
 *                all else                                                             userfaultfd_fill.ts
 *     WRITEPROTECT   on and DONTWAKE together EINVAL; not all in one area registered for WP ENOENT
 *
 * A range that was filled in part is EAGAIN, with what was done. Who may not handle faults of the kernel (no CAP_SYS_PTRACE, and
 * vm.unprivileged_userfaultfd is 0) can only have a descriptor for user mode.
 *
 * Source: fs/userfaultfd.c, mm/userfaultfd.c.
 */
import { COST, spend } from '../base/cost.ts'
import { EAGAIN, EBUSY, EINVAL, ENOENT, ENOMEM, EPERM, ESRCH } from '../base/errno.ts'
import {
  O_CLOEXEC,
  O_NONBLOCK,
  UFFD_API,
  UFFD_API_FEATURES,
  UFFD_FEATURE_EVENT_FORK,
  UFFD_FEATURE_INITIALIZED,
  UFFD_USER_MODE_ONLY,
  UFFDIO_COPY_MODE_WP,
  UFFDIO_MODE_DONTWAKE,
  UFFDIO_REGISTER_MODE_MINOR,
  UFFDIO_REGISTER_MODE_MISSING,
  UFFDIO_REGISTER_MODE_WP,
  UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
  UFFDIO_WRITEPROTECT_MODE_WP,
  VM_HUGETLB,
  VM_MAYWRITE,
  VM_UFFD_FLAGS,
  VM_UFFD_MINOR,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import type { UffdContext } from '../base/state_uffd.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { isShmem } from '../caches/filemap.ts'
import { flushContext, holdUffd, isInitialized, newContext, unmarkArea, wakeUserfault } from '../fault/userfaultfd.ts'
import { type FillMode, fillRange, registeredArea } from '../fault/userfaultfd_fill.ts'
import { hugePages } from '../frames/hugetlb_pool.ts'
import { hstateOfArea, unshareAreaTables } from '../spaces/hugetlb.ts'
import { changeVma, eachVma, findVma, vmasIn } from '../spaces/vma.ts'
import { capable } from './account.ts'
import { uffdWpRange } from './mprotect.ts'
import { TASK_SIZE } from './unmapped_area.ts'

/** What the API ioctl offers (UFFD_API_IOCTLS): API, REGISTER and UNREGISTER, as bits of 64. */
export const UFFD_API_IOCTLS = '0x8000000000000003'
const IOCTL_WAKE = 1 << 2
const IOCTL_COPY = 1 << 3
const IOCTL_ZEROPAGE = 1 << 4
const IOCTL_WRITEPROTECT = 1 << 6
const IOCTL_CONTINUE = 1 << 7

/** userfaultfd(2). @returns the number of the context, or a negative errno */
export function sysUserfaultfd(k: Kernel, task: Task, flags: number): number {
  if ((flags & UFFD_USER_MODE_ONLY) === 0 && !capable(task) && k.sysctl.unprivileged_userfaultfd === 0) return -EPERM
  if (task.mm === undefined || (flags & ~(UFFD_USER_MODE_ONLY | O_NONBLOCK | O_CLOEXEC)) !== 0) return -EINVAL
  const context = newContext(k, task.mm, {
    userModeOnly: (flags & UFFD_USER_MODE_ONLY) !== 0,
    nonblock: (flags & O_NONBLOCK) !== 0,
    features: 0,
  })
  holdUffd(k, task, context.id)
  return context.id
}

/** UFFDIO_API: the handshake. @returns the features there are, or a negative errno */
export function uffdApi(task: Task, context: UffdContext, api: number, features: number): number {
  if (api !== UFFD_API) return -EINVAL
  if ((features & UFFD_FEATURE_EVENT_FORK) !== 0 && !capable(task)) return -EPERM
  if ((features & ~UFFD_API_FEATURES) !== 0 || isInitialized(context)) return -EINVAL
  context.features = features | UFFD_FEATURE_INITIALIZED
  return UFFD_API_FEATURES
}

/** Whether the bytes are whole pages of user space (validate_range). */
const validRange = (start: number, bytes: number): boolean =>
  start % PAGE_SIZE === 0 && bytes % PAGE_SIZE === 0 && bytes > 0 && start < TASK_SIZE && bytes <= TASK_SIZE - start

/** The address space behind the context while it lives (mmget_not_zero). */
function liveMm(k: Kernel, { mm }: UffdContext): Mm | undefined {
  const found = k.spaces.mms.get(mm)
  return found !== undefined && found.users > 0 ? found : undefined
}

/** Whether such areas can be registered at all (vma_can_userfault). */
function canUserfault(vma: Vma, flags: number): boolean {
  const shared = (vma.flags & VM_HUGETLB) !== 0 || (vma.mapping !== undefined && isShmem(vma.mapping.inode.sb))
  return shared || ((flags & VM_UFFD_MINOR) === 0 && vma.mapping === undefined && !['[vdso]', '[vvar]'].includes(vma.name))
}

// --- REGISTER, UNREGISTER

/** Areas of [start, end), or the errno that both calls begin with. */
function areasOf(k: Kernel, context: UffdContext, start: number, bytes: number): readonly Vma[] | number {
  if (!validRange(start, bytes)) return -EINVAL
  const mm = liveMm(k, context)
  const first = start / PAGE_SIZE
  const end = (start + bytes) / PAGE_SIZE
  const vma = mm === undefined ? undefined : findVma(mm, first)
  if (mm === undefined || vma === undefined) return -ENOMEM
  if (vma.start >= end || ((vma.flags & VM_HUGETLB) !== 0 && first % hugePages(hstateOfArea(k, vma)) !== 0)) return -EINVAL
  return vmasIn(mm, first, end)
}

/** UFFDIO_REGISTER. @returns the ioctls that will work on the range as bits, or a negative errno */
export function uffdRegister(k: Kernel, context: UffdContext, start: number, bytes: number, mode: number): number {
  const modes = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR
  if (!isInitialized(context) || mode === 0 || (mode & ~modes) !== 0) return -EINVAL
  const areas = areasOf(k, context, start, bytes)
  if (typeof areas === 'number') return areas
  const flags = modeFlags(mode)
  const end = (start + bytes) / PAGE_SIZE
  for (const vma of areas) {
    const refused = refusal(k, context, vma, flags, end)
    if (refused < 0) return refused
  }
  const failed = markAreas(k, context, areas, start / PAGE_SIZE, end, flags)
  if (failed < 0) return failed
  const huge = areas.some(vma => (vma.flags & VM_HUGETLB) !== 0)
  const wp = (mode & UFFDIO_REGISTER_MODE_WP) !== 0 ? IOCTL_WRITEPROTECT : 0
  const minor = (mode & UFFDIO_REGISTER_MODE_MINOR) !== 0 ? IOCTL_CONTINUE : 0
  return IOCTL_WAKE | IOCTL_COPY | (huge ? 0 : IOCTL_ZEROPAGE) | wp | minor
}

const modeFlags = (mode: number): number =>
  ((mode & UFFDIO_REGISTER_MODE_MISSING) !== 0 ? VM_UFFD_MISSING : 0) |
  ((mode & UFFDIO_REGISTER_MODE_WP) !== 0 ? VM_UFFD_WP : 0) |
  ((mode & UFFDIO_REGISTER_MODE_MINOR) !== 0 ? VM_UFFD_MINOR : 0)

function refusal(k: Kernel, context: UffdContext, vma: Vma, flags: number, end: number): number {
  if (!canUserfault(vma, flags)) return -EINVAL
  if ((vma.flags & VM_MAYWRITE) === 0) return -EPERM
  if ((vma.flags & VM_HUGETLB) !== 0 && end <= vma.end && end % hugePages(hstateOfArea(k, vma)) !== 0) return -EINVAL
  return vma.uffd !== 0 && vma.uffd !== context.id ? -EBUSY : 0
}

function markAreas(k: Kernel, context: UffdContext, areas: readonly Vma[], start: number, end: number, flags: number): number {
  for (const vma of areas) {
    if (vma.uffd === context.id && (vma.flags & flags) === flags) continue
    const change = { flags: (vma.flags & ~VM_UFFD_FLAGS) | flags, uffd: context.id }
    const area = changeVma(k, vma, Math.max(start, vma.start), Math.min(end, vma.end), change)
    if (typeof area === 'number') return area
    if ((area.flags & VM_HUGETLB) !== 0 && (flags & (VM_UFFD_WP | VM_UFFD_MINOR)) !== 0) unshareAreaTables(k, area)
  }
  return 0
}

/** UFFDIO_UNREGISTER. Who waits in the range goes on. @returns 0 or a negative errno */
export function uffdUnregister(k: Kernel, context: UffdContext, start: number, bytes: number): number {
  if (!isInitialized(context)) return -EINVAL
  const areas = areasOf(k, context, start, bytes)
  if (typeof areas === 'number') return areas
  if (areas.some(vma => !canUserfault(vma, vma.flags))) return -EINVAL
  for (const vma of areas) {
    if (vma.uffd === 0) continue
    const failed = unregisterArea(k, vma, Math.max(start / PAGE_SIZE, vma.start), Math.min((start + bytes) / PAGE_SIZE, vma.end))
    if (failed < 0) return failed
  }
  return 0
}

function unregisterArea(k: Kernel, vma: Vma, start: number, end: number): number {
  const owner = k.uffd.contexts.get(vma.uffd)
  if (owner !== undefined && (vma.flags & VM_UFFD_MISSING) !== 0) wakeUserfault(k, owner, start * PAGE_SIZE, (end - start) * PAGE_SIZE)
  if ((vma.flags & VM_UFFD_WP) !== 0) uffdWpRange(k, vma, start, end, false)
  const area = changeVma(k, vma, start, end, { flags: vma.flags & ~VM_UFFD_FLAGS, uffd: 0 })
  return typeof area === 'number' ? area : 0
}

// --- filling and waking

export interface UffdFill {
  /** Byte address and length of what is to be filled. */
  readonly start: number
  readonly bytes: number
  /** UFFDIO_*_MODE_* */
  readonly mode: number
}

/** How many bytes were filled, or a negative errno (the output field of the ioctls); and what the ioctl returns. */
export interface Filled {
  readonly ret: number
  readonly done: number
}

const failed = (errno: number): Filled => ({ ret: -errno, done: 0 })

/** UFFDIO_COPY of bytes at `source` in the memory of `task`. */
export const uffdCopy = (k: Kernel, task: Task, context: UffdContext, fill: UffdFill, source: number): Filled =>
  fillAndWake(k, context, fill, 'copy', task.mm, source)

/** UFFDIO_ZEROPAGE */
export const uffdZeropage = (k: Kernel, context: UffdContext, fill: UffdFill): Filled =>
  fillAndWake(k, context, fill, 'zeropage', undefined, 0)

/** UFFDIO_CONTINUE */
export const uffdContinue = (k: Kernel, context: UffdContext, fill: UffdFill): Filled =>
  fillAndWake(k, context, fill, 'continue', undefined, 0)

function fillAndWake(k: Kernel, context: UffdContext, fill: UffdFill, mode: FillMode, sourceMm: Mm | undefined, source: number): Filled {
  if (!isInitialized(context)) return failed(EINVAL)
  if (context.changing > 0) return failed(EAGAIN)
  const { start, bytes } = fill
  const known = UFFDIO_MODE_DONTWAKE | (mode === 'copy' ? UFFDIO_COPY_MODE_WP : 0)
  if (!validRange(start, bytes) || (fill.mode & ~known) !== 0) return failed(EINVAL)
  const mm = liveMm(k, context)
  if (mm === undefined) return failed(ESRCH)
  const wp = (fill.mode & UFFDIO_COPY_MODE_WP) !== 0
  const first = start / PAGE_SIZE
  const pages = fillRange(k, mm, first, first + bytes / PAGE_SIZE, { mode, wp, sourceMm, source: Math.floor(source / PAGE_SIZE) })
  if (pages < 0) return { ret: pages, done: pages }
  const figure = mode === 'copy' ? 'copied' : mode === 'zeropage' ? 'zeroed' : 'continued'
  context.figures[figure] += pages
  const done = pages * PAGE_SIZE
  if ((fill.mode & UFFDIO_MODE_DONTWAKE) === 0) wakeUserfault(k, context, start, done)
  return { ret: done === bytes ? 0 : -EAGAIN, done }
}

/** UFFDIO_WRITEPROTECT. @returns 0 or a negative errno */
export function uffdWriteprotect(k: Kernel, context: UffdContext, { start, bytes, mode }: UffdFill): number {
  if (!isInitialized(context)) return -EINVAL
  if (context.changing > 0) return -EAGAIN
  const known = UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE
  if (!validRange(start, bytes) || (mode & ~known) !== 0 || (mode & known) === known) return -EINVAL
  const mm = liveMm(k, context)
  if (mm === undefined) return -ESRCH
  const first = start / PAGE_SIZE
  const end = first + bytes / PAGE_SIZE
  const vma = registeredArea(mm, first, end)
  if (vma === undefined || (vma.flags & VM_UFFD_WP) === 0) return -ENOENT
  const unit = (vma.flags & VM_HUGETLB) === 0 ? 1 : hugePages(hstateOfArea(k, vma))
  if (first % unit !== 0 || end % unit !== 0) return -EINVAL
  const protect = (mode & UFFDIO_WRITEPROTECT_MODE_WP) !== 0
  uffdWpRange(k, vma, first, end, protect)
  if (mode === 0) wakeUserfault(k, context, start, bytes)
  return 0
}

/** UFFDIO_WAKE. @returns 0 or -EINVAL */
export function uffdWake(k: Kernel, context: UffdContext, start: number, bytes: number): number {
  if (!isInitialized(context) || !validRange(start, bytes)) return -EINVAL
  wakeUserfault(k, context, start, bytes)
  return 0
}

// --- close

/** The task closes a descriptor; with the last one the areas are no longer registered, and all who wait go on (userfaultfd_release). */
export function uffdClose(k: Kernel, task: Task, id: number): void {
  const context = k.uffd.contexts.get(id)
  if (context === undefined || !task.uffds.delete(id)) return
  context.fds--
  if (context.fds > 0) return
  const mm = liveMm(k, context)
  if (mm !== undefined) {
    for (const vma of [...eachVma(mm)]) {
      if (vma.uffd !== id) continue
      if ((vma.flags & VM_UFFD_WP) !== 0) uffdWpRange(k, vma, vma.start, vma.end, false)
      const area = changeVma(k, vma, vma.start, vma.end, { flags: vma.flags & ~VM_UFFD_FLAGS, uffd: 0 })
      if (typeof area !== 'number') unmarkArea(area)
    }
  }
  spend(k, COST.syscall, 1)
  flushContext(k, context)
  k.uffd.contexts.delete(id)
}
