/**
 * madvise: advice for a range, area by area. A hole does not stop it: the areas behind it are advised too, and the call ends
 * with ENOMEM; an area that refuses the advice does stop it.
 *
 *     advice                                  refused for                              errno
 *     unknown, unaligned                                                               EINVAL
 *     DONTNEED FREE COLD PAGEOUT              locked areas (DONTNEED_LOCKED takes them)  EINVAL
 *     FREE, WIPEONFORK                        anything but private anonymous memory    EINVAL
 *     USERFAULT (the proposal of 2014)        the same                                 EINVAL
 *     FREE COLD PAGEOUT, unaligned DONTNEED   huge TLB pages                           EINVAL
 *     REMOVE                                  locked or no file; not shared writable   EINVAL; EACCES
 *     POPULATE_READ, _WRITE                   areas that do not allow it               EINVAL
 *     those that change flags                 one area too many                        EAGAIN
 *
 * A DONTNEED that ends within a huge TLB page leaves that page.
 *
 * Source: mm/madvise.c (do_madvise, madvise_walk_vmas, madvise_vma_behavior, madvise_update_vma).
 */
import { EACCES, EAGAIN, EINVAL, ENOMEM, EPERM, ERESTARTNOINTR } from '../base/errno.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MADV_COLD,
  MADV_COLLAPSE,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_HWPOISON,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_NOUSERFAULT,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_SOFT_OFFLINE,
  MADV_UNMERGEABLE,
  MADV_USERFAULT,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_HUGETLB,
  VM_IO,
  VM_LOCKED,
  VM_PFNMAP,
  VM_RAND_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_SPECIAL,
  VM_USERFAULT,
  VM_WIPEONFORK,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { alignDown, alignUp, PAGE_SIZE } from '../base/units.ts'
import { ksmFlags, ksmMadvise } from '../daemons/ksmd.ts'
import { khugepagedEnterVma } from '../fault/huge_memory_check.ts'
import { faultinVmaRange } from '../fault/populate.ts'
import { forcePageCacheRa } from '../fault/readahead.ts'
import { hugePages } from '../frames/hugetlb_pool.ts'
import { zapPageRange } from '../reclaim/zap.ts'
import { hstateOfArea } from '../spaces/hugetlb.ts'
import { changeVma, findVma, isSharedMaywrite, linearPageIndex } from '../spaces/vma.ts'
import { capable } from './account.ts'
import { hugepageMadvise, madviseCollapse } from './collapse.ts'
import { vfsFallocate } from './files_io.ts'
import { coldPages, freePagesLazily, readFromSwap } from './madvise_pages.ts'
import { injectError } from './memory_failure.ts'
import { wraps } from './unmapped_area.ts'
import { removeReports } from './userfaultfd_events.ts'

/** Advice that becomes a mark on the area: flags it takes away and gives. */
const MARKS: Readonly<Record<number, { readonly clear: number; readonly set: number }>> = {
  [MADV_NORMAL]: { clear: VM_RAND_READ | VM_SEQ_READ, set: 0 },
  [MADV_SEQUENTIAL]: { clear: VM_RAND_READ, set: VM_SEQ_READ },
  [MADV_RANDOM]: { clear: VM_SEQ_READ, set: VM_RAND_READ },
  [MADV_DONTFORK]: { clear: 0, set: VM_DONTCOPY },
  [MADV_DOFORK]: { clear: VM_DONTCOPY, set: 0 },
  [MADV_WIPEONFORK]: { clear: 0, set: VM_WIPEONFORK },
  [MADV_KEEPONFORK]: { clear: VM_WIPEONFORK, set: 0 },
  [MADV_DONTDUMP]: { clear: 0, set: VM_DONTDUMP },
  [MADV_DODUMP]: { clear: VM_DONTDUMP, set: 0 },
  [MADV_USERFAULT]: { clear: 0, set: VM_USERFAULT },
  [MADV_NOUSERFAULT]: { clear: VM_USERFAULT, set: 0 },
}

/** Advice that is an act, or needs more than a mark. */
const OTHERS: readonly number[] = [
  MADV_WILLNEED,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_REMOVE,
  MADV_MERGEABLE,
  MADV_UNMERGEABLE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_COLD,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_DONTNEED_LOCKED,
  MADV_COLLAPSE,
  MADV_HWPOISON,
  MADV_SOFT_OFFLINE,
]

/** madvise(2). @returns 0 or a negative errno. */
export function sysMadvise(k: Kernel, task: Task, start: number, bytes: number, advice: number): number {
  const mm = task.mm
  if (mm === undefined || (MARKS[advice] === undefined && !OTHERS.includes(advice)) || start % PAGE_SIZE !== 0) return -EINVAL
  if (wraps(start, bytes)) return -EINVAL
  const first = start / PAGE_SIZE
  const end = first + alignUp(bytes, PAGE_SIZE) / PAGE_SIZE
  if (end === first) return 0
  if (advice === MADV_HWPOISON || advice === MADV_SOFT_OFFLINE)
    return capable(task) ? injectError(k, task, mm, first, end, advice === MADV_SOFT_OFFLINE) : -EPERM
  return madviseWalk(k, task, mm, first, end, advice)
}

/** Advises every area in [start, end); -ENOMEM in the end if there was a hole (madvise_walk_vmas). */
function madviseWalk(k: Kernel, task: Task, mm: Mm, start: number, end: number, advice: number): number {
  let ret = 0
  for (let at = start; at < end; ) {
    const vma = findVma(mm, at)
    if (vma === undefined) return -ENOMEM
    if (vma.start > at) {
      ret = -ENOMEM
      at = vma.start
      if (at >= end) break
    }
    const stop = Math.min(end, vma.end)
    at = Math.min(stop, Math.max(at, task.restart?.at ?? at))
    if (at === stop) continue
    const done = madviseArea(k, task, vma, at, stop, advice)
    if (typeof done === 'number' && done < 0) return done
    at = typeof done === 'number' ? stop : Math.max(stop, done.end)
  }
  return ret
}

/** Advises part of one area. @returns the area that covers it now where its flags changed; 0 or a negative errno. */
function madviseArea(k: Kernel, task: Task, vma: Vma, start: number, end: number, advice: number): Vma | number {
  switch (advice) {
    case MADV_REMOVE:
      return remove(k, task, vma, start, end)
    case MADV_WILLNEED:
      return willneed(k, vma, start, end)
    case MADV_COLD:
    case MADV_PAGEOUT:
      if ((vma.flags & (VM_LOCKED | VM_PFNMAP | VM_HUGETLB)) !== 0) return -EINVAL
      if (advice === MADV_PAGEOUT && !mayPageout(task, vma)) return 0
      return restartedAt(task, end, coldPages(k, vma, start, end, advice === MADV_PAGEOUT))
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
      return dontneedFree(k, task, vma, start, end, advice)
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
      return faultinVmaRange(k, vma, start, end, advice === MADV_POPULATE_WRITE)
    case MADV_COLLAPSE:
      return madviseCollapse(k, vma, start, end)
    default:
      return markArea(k, vma, start, end, advice)
  }
}

function markArea(k: Kernel, vma: Vma, start: number, end: number, advice: number): Vma | number {
  const flags = markedFlags(k, vma, advice)
  if (flags === undefined) return -EINVAL
  if (advice === MADV_MERGEABLE || advice === MADV_UNMERGEABLE) {
    const error = ksmMadvise(k, vma, start, end, advice)
    if (error < 0) return error === -ENOMEM ? -EAGAIN : error
  }
  if (flags === vma.flags) return vma
  const area = changeVma(k, vma, start, end, { flags })
  if (typeof area === 'number') return area === -ENOMEM ? -EAGAIN : area
  if (area !== vma) khugepagedEnterVma(k, area, flags)
  return area
}

/** What the advice makes of the area's flags; undefined where it is refused. */
function markedFlags(k: Kernel, vma: Vma, advice: number): number | undefined {
  const { flags } = vma
  if (advice === MADV_DOFORK && (flags & VM_IO) !== 0) return undefined
  if (advice === MADV_WIPEONFORK && (vma.file !== undefined || (flags & VM_SHARED) !== 0)) return undefined
  if (advice === MADV_USERFAULT && (vma.mapping !== undefined || (flags & VM_SHARED) !== 0)) return undefined
  if (advice === MADV_DODUMP && (flags & VM_HUGETLB) === 0 && (flags & VM_SPECIAL) !== 0) return undefined
  if (advice === MADV_HUGEPAGE || advice === MADV_NOHUGEPAGE) return hugepageMadvise(k, vma, flags, advice)
  if (advice === MADV_MERGEABLE || advice === MADV_UNMERGEABLE) return ksmFlags(flags, advice)
  const mark = MARKS[advice]
  return (flags & ~mark.clear) | mark.set
}

/** Only a file's owner, or who may write it, may push its pages out (can_do_pageout). */
const mayPageout = (task: Task, vma: Vma): boolean => vma.file === undefined || capable(task) || vma.file.writable

function dontneedFree(k: Kernel, task: Task, vma: Vma, start: number, end: number, advice: number): number {
  if ((vma.flags & VM_HUGETLB) !== 0) {
    const unit = hugePages(hstateOfArea(k, vma))
    if (advice === MADV_FREE || start % unit !== 0) return -EINVAL
    const stop = alignDown(end, unit)
    if (stop > start && removeReports(k, task, vma, start, stop)) return -ERESTARTNOINTR
    zapPageRange(k, vma, start, stop)
    return 0
  }
  const locked = advice === MADV_DONTNEED_LOCKED ? 0 : VM_LOCKED
  if ((vma.flags & (VM_PFNMAP | locked)) !== 0 || (advice === MADV_FREE && vma.file !== undefined)) return -EINVAL
  if (removeReports(k, task, vma, start, end)) return -ERESTARTNOINTR
  return restartedAt(task, end, advice === MADV_FREE ? freePagesLazily(k, vma, start, end) : zapPageRange(k, vma, start, end, 'all', true))
}

/** 0, or when the task's turn was over before the end: the call is made again, and goes on from there. */
function restartedAt(task: Task, end: number, stopped: number): number {
  if (stopped >= end) return 0
  task.restart = { at: stopped, told: true }
  return -ERESTARTNOINTR
}

/** Frees the pages and what the file keeps of them. */
function remove(k: Kernel, task: Task, vma: Vma, start: number, end: number): number {
  if ((vma.flags & VM_LOCKED) !== 0 || vma.file === undefined) return -EINVAL
  if (!isSharedMaywrite(vma.flags)) return -EACCES
  if (removeReports(k, task, vma, start, end)) return -ERESTARTNOINTR
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
  return vfsFallocate(k, vma.file, mode, linearPageIndex(vma, start) * PAGE_SIZE, (end - start) * PAGE_SIZE)
}

/** Starts reading what is not in memory: pages of disk files ahead, others from swap. */
function willneed(k: Kernel, vma: Vma, start: number, end: number): number {
  if (vma.file?.inode.sb.disk !== undefined) forcePageCacheRa(k, vma.file, linearPageIndex(vma, start), end - start)
  else if (k.swapPages > 0) readFromSwap(k, vma, start, end)
  return 0
}
