/**
 * What system calls report to a userfaultfd that asked for it: a change of the mappings behind its back.
 *
 *     call                                event     told                       without the feature
 *     fork                                FORK      before fork returns        the child's areas are not registered
 *     mremap that moves                   REMAP     after the move             the area at the new place is not registered
 *     MADV_DONTNEED, _FREE, _REMOVE       REMOVE    before the pages go        nothing: the next touch is a missing page again
 *     munmap, mmap over, mremap's rest    UNMAP     after the range is gone    nothing
 *
 * The manager learns of a removal while the pages are still there, and of an unmapping when the range is gone: so it may
 * fill a removed range again as soon as it has read the event (the thread may go on to throw that away), but must forget an
 * unmapped one. The thread sleeps until each of its events is read, one after the other; from the moment that it changes
 * something COPY, ZEROPAGE, WRITEPROTECT and CONTINUE answer EAGAIN.
 *
 * Source: fs/userfaultfd.c (dup_userfaultfd, mremap_userfaultfd_prep, mremap_userfaultfd_complete, userfaultfd_remove,
 * userfaultfd_unmap_prep, userfaultfd_unmap_complete).
 */
import {
  UFFD_EVENT_FORK,
  UFFD_EVENT_REMAP,
  UFFD_EVENT_REMOVE,
  UFFD_EVENT_UNMAP,
  UFFD_FEATURE_EVENT_FORK,
  UFFD_FEATURE_EVENT_REMAP,
  UFFD_FEATURE_EVENT_REMOVE,
  UFFD_FEATURE_EVENT_UNMAP,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import type { UffdContext, UffdEvent } from '../base/state_uffd.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { newContext, reportNext, unmarkArea } from '../fault/userfaultfd.ts'
import { vmasIn } from '../spaces/vma.ts'

/** The area's context, if it wants to hear of such events. */
function listener(k: Kernel, vma: Vma, feature: number): UffdContext | undefined {
  const context = k.uffd.contexts.get(vma.uffd)
  return context !== undefined && (context.features & feature) !== 0 ? context : undefined
}

const eventOf = (context: UffdContext, task: Task, event: number, a: number, b: number): UffdEvent => {
  context.changing++
  return { uffd: context.id, pid: task.pid, event, a: a * PAGE_SIZE, b: b * PAGE_SIZE, bytes: 0, child: 0 }
}

// --- fork

/** Contexts of a parent and of its child's copy, during a fork. */
export type UffdForks = Map<number, number>

/** Gives the child's copy of an area a context of its own, or none (dup_userfaultfd). */
export function dupUserfaultfd(k: Kernel, vma: Vma, copy: Vma, forks: UffdForks): void {
  const parent = listener(k, vma, UFFD_FEATURE_EVENT_FORK)
  if (parent === undefined) {
    unmarkArea(copy)
    return
  }
  const known = forks.get(parent.id)
  copy.uffd = known ?? newContext(k, copy.mm, parent).id
  if (known === undefined) {
    forks.set(parent.id, copy.uffd)
    parent.changing++
  }
}

/** The fork has come to pass: each context is told of its child (dup_userfaultfd_complete). */
export function forkReports(task: Task, forks: UffdForks): void {
  for (const [uffd, child] of forks) task.untold.push({ uffd, pid: task.pid, event: UFFD_EVENT_FORK, a: 0, b: 0, bytes: 0, child })
}

/** The fork has failed, and there is no child to tell of. */
export function forkAborts(k: Kernel, forks: UffdForks): void {
  for (const [uffd, child] of forks) {
    const parent = k.uffd.contexts.get(uffd)
    if (parent !== undefined) parent.changing--
    k.uffd.contexts.delete(child)
  }
}

// --- mremap

/** The area at the new place stays registered only if its context follows moves (mremap_userfaultfd_prep). @returns who is to be told */
export function remapPrepare(k: Kernel, area: Vma): UffdContext | undefined {
  const context = listener(k, area, UFFD_FEATURE_EVENT_REMAP)
  if (context === undefined) unmarkArea(area)
  return context
}

/** Reports the move of `pages` from one virtual page to another, as the event after the first `before` of the call. */
export function remapReports(task: Task, context: UffdContext, from: number, to: number, pages: number, before: number): void {
  task.untold.splice(before, 0, { ...eventOf(context, task, UFFD_EVENT_REMAP, from, to), bytes: pages * PAGE_SIZE })
}

// --- removal

/**
 * Reports that [start, end) of an area is about to lose its pages (userfaultfd_remove).
 * @returns whether the task has to sleep first, and then make its call again
 */
export function removeReports(k: Kernel, task: Task, vma: Vma, start: number, end: number): boolean {
  const context = listener(k, vma, UFFD_FEATURE_EVENT_REMOVE)
  if (context === undefined || (task.restart?.told === true && task.restart.at === start)) return false
  task.untold.push(eventOf(context, task, UFFD_EVENT_REMOVE, start, end))
  task.restart = { at: start, told: true }
  return reportNext(k, task)
}

/** Notes that [start, end) is being unmapped, once for each context that wants to hear of it (userfaultfd_unmap_prep). */
export function unmapReports(k: Kernel, task: Task, mm: Mm, start: number, end: number): void {
  const heard = new Set<number>()
  for (const vma of vmasIn(mm, start, end)) {
    const context = vma.uffd === 0 ? undefined : listener(k, vma, UFFD_FEATURE_EVENT_UNMAP)
    if (context === undefined || heard.has(context.id)) continue
    heard.add(context.id)
    task.untold.push(eventOf(context, task, UFFD_EVENT_UNMAP, start, end))
  }
}
