/**
 * userfaultfd, the waiting side: a fault in a registered area is not handled by the kernel. Its thread goes to sleep, and who
 * holds the descriptor is told, fills the page (userfaultfd_fill.ts) and wakes the thread, which takes its fault again.
 *
 *     program    touch ──> fault ──> asleep . . . . . . . . . . . . awake ──> the fault again: a page is there
 *                            │ pending                                ▲
 *     manager                └────── read: the message ── COPY, ZEROPAGE, WRITEPROTECT, CONTINUE, WAKE
 *
 *     area registered for      a fault waits when
 *     MISSING                  there is no page: of private memory none in the table, of a memory file none in the file
 *     WP                       a write meets an entry that was write-protected through the descriptor
 *     MINOR                    the file has the page, but the table does not
 *
 * It does not wait, and the program gets SIGBUS, when the context has the feature SIGBUS, or when the kernel itself needs the
 * page and the descriptor is for user mode only. When the last descriptor is closed all who wait go on: they find the area no
 * longer registered, and missing pages are zeros.
 *
 * Events about changed mappings (calls/userfaultfd_events.ts) wait in the same context; faults are read before events. The
 * thread that reports one sleeps until it is read, and until then nothing can be filled (`changing`).
 *
 * A task that sleeps has its `wait`; a task woken is in k.uffd.woken until somebody lets it run.
 *
 * Source: fs/userfaultfd.c (handle_userfault, userfaultfd_ctx_read, wake_userfault, userfaultfd_release,
 * userfaultfd_event_wait_completion).
 */
import { must } from '../base/assert.ts'
import { now } from '../base/cost.ts'
import { EAGAIN, EINVAL } from '../base/errno.ts'
import {
  UFFD_EVENT_FORK,
  UFFD_EVENT_PAGEFAULT,
  UFFD_FEATURE_EXACT_ADDRESS,
  UFFD_FEATURE_INITIALIZED,
  UFFD_FEATURE_SIGBUS,
  UFFD_FEATURE_THREAD_ID,
  UFFD_PAGEFAULT_FLAG_MINOR,
  UFFD_PAGEFAULT_FLAG_WP,
  UFFD_PAGEFAULT_FLAG_WRITE,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
  VM_UFFD_FLAGS,
  VM_UFFD_MINOR,
  VM_UFFD_WP,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import type { UffdContext, UffdEvent, UffdFault, UffdMsg } from '../base/state_uffd.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { eachVma } from '../spaces/vma.ts'

/** Classes of waiting times: less than 2^10 ns, 2^11 ns, ..., and all that is longer. */
const UFFD_HISTOGRAM = 24
export const UFFD_FIRST_CLASS = 10

/**
 * A fault of k.vmf that the area's descriptor is to handle (handle_userfault).
 * @param reason VM_UFFD_MISSING, _WP or _MINOR
 * @param at the virtual page that is reported: the first of a huge TLB page
 * @returns VM_FAULT_RETRY with the task asleep, VM_FAULT_SIGBUS where it is not to wait
 */
export function handleUserfault(k: Kernel, vma: Vma, reason: number, at = k.vmf.vpn[0]): number {
  const context = k.uffd.contexts.get(vma.uffd)
  const task = k.current
  if (context === undefined || task === undefined) return VM_FAULT_SIGBUS
  if ((context.features & UFFD_FEATURE_SIGBUS) !== 0 || (!k.vmf.user && context.userModeOnly) || k.vmf.atOnce) return VM_FAULT_SIGBUS
  const { write, user } = k.vmf
  const vpn = k.vmf.vpn[0]
  context.pending.push({ pid: task.pid, address: at * PAGE_SIZE, flags: reasonFlags(write, reason), sinceNs: now(k) })
  context.figures.faults++
  task.wait = { kind: 'fault', vpn, write, user, woken: false }
  k.uffd.told.push(context.id)
  return VM_FAULT_RETRY
}

function reasonFlags(write: boolean, reason: number): number {
  const why = reason === VM_UFFD_WP ? UFFD_PAGEFAULT_FLAG_WP : reason === VM_UFFD_MINOR ? UFFD_PAGEFAULT_FLAG_MINOR : 0
  return why | (write ? UFFD_PAGEFAULT_FLAG_WRITE : 0)
}

/** The byte that the access which has just gone to sleep meant, for contexts that ask for the exact address. */
export function noteExactAddress(k: Kernel, vma: Vma | undefined, address: number): void {
  const context = vma === undefined ? undefined : k.uffd.contexts.get(vma.uffd)
  const fault = context?.pending.at(-1)
  if (context === undefined || fault === undefined || (context.features & UFFD_FEATURE_EXACT_ADDRESS) === 0) return
  fault.address = address
}

// --- waking

/** Lets a sleeping task go on. */
export function wakeTask(k: Kernel, pid: number): void {
  const task = k.tasks.get(pid)
  if (task?.wait === undefined) return
  task.wait.woken = true
  k.uffd.woken.push(pid)
}

/** Wakes the threads whose fault lies in bytes [start, start + bytes) (wake_userfault). */
export function wakeUserfault(k: Kernel, context: UffdContext, start: number, bytes: number): void {
  for (const queue of [context.pending, context.read]) {
    for (let i = 0; i < queue.length; ) {
      const { address } = queue[i]
      if (address < start || address >= start + bytes) i++
      else wakeFault(k, context, queue.splice(i, 1)[0])
    }
  }
}

function wakeFault(k: Kernel, { figures }: UffdContext, { pid, sinceNs }: UffdFault): void {
  const ns = now(k) - sinceNs
  figures.woken++
  figures.waitedNs += ns
  figures.longestNs = Math.max(figures.longestNs, ns)
  figures.histogram[Math.min(UFFD_HISTOGRAM - 1, Math.max(0, Math.floor(Math.log2(ns + 1)) - UFFD_FIRST_CLASS + 1))]++
  wakeTask(k, pid)
}

// --- reading

export const isInitialized = ({ features }: UffdContext): boolean => (features & UFFD_FEATURE_INITIALIZED) !== 0

/**
 * One message off the context, for a task that holds a descriptor of it (userfaultfd_ctx_read).
 * @returns the message; -EINVAL before the handshake, -EAGAIN when there is none
 */
export function uffdRead(k: Kernel, reader: Task, context: UffdContext): UffdMsg | number {
  if (!isInitialized(context)) return -EINVAL
  const fault = context.pending.shift()
  if (fault !== undefined) {
    context.read.push(fault)
    const pid = (context.features & UFFD_FEATURE_THREAD_ID) !== 0 ? fault.pid : 0
    return { event: UFFD_EVENT_PAGEFAULT, flags: fault.flags, a: fault.address, b: 0, child: 0, pid }
  }
  const event = context.events.shift()
  if (event === undefined) return -EAGAIN
  if (event.event === UFFD_EVENT_FORK) holdUffd(k, reader, event.child)
  eventDone(k, context, event)
  return { event: event.event, flags: 0, a: event.a, b: event.b, child: event.child, pid: 0 }
}

/** The event is read, or nobody will read it: who reported it goes on. */
function eventDone(k: Kernel, context: UffdContext, { pid }: UffdEvent): void {
  context.changing--
  wakeTask(k, pid)
}

/** A context for an address space, which nobody has a descriptor of yet. */
export function newContext(k: Kernel, mm: Mm, like: Pick<UffdContext, 'userModeOnly' | 'nonblock' | 'features'>): UffdContext {
  const histogram = Array.from({ length: UFFD_HISTOGRAM }, () => 0)
  const figures = { faults: 0, events: 0, woken: 0, waitedNs: 0, longestNs: 0, histogram, copied: 0, zeroed: 0, continued: 0 }
  const { userModeOnly, nonblock, features } = like
  const queues = { pending: [], read: [], events: [] }
  const context: UffdContext = { id: k.uffd.next++, mm: mm.id, userModeOnly, nonblock, features, fds: 0, changing: 0, ...queues, figures }
  k.uffd.contexts.set(context.id, context)
  return context
}

/** The task has one more descriptor, of this context. */
export function holdUffd(k: Kernel, task: Task, id: number): void {
  if (task.uffds.has(id)) return
  task.uffds.add(id)
  must(k.uffd.contexts.get(id), 'a descriptor of a context that is gone').fds++
}

// --- reporting

/** The task reports the next of its events and sleeps until it is read; false when there is none left to report. */
export function reportNext(k: Kernel, task: Task): boolean {
  for (let event = task.untold.shift(); event !== undefined; event = task.untold.shift()) {
    const context = k.uffd.contexts.get(event.uffd)
    if (context === undefined) {
      dropChild(k, event)
      continue
    }
    context.events.push(event)
    context.figures.events++
    task.wait = { kind: 'event', vpn: 0, write: false, user: false, woken: false }
    k.uffd.told.push(context.id)
    return true
  }
  return false
}

/** Nobody will ever read of the fork: the child's areas are not registered after all. */
function dropChild(k: Kernel, { child }: UffdEvent): void {
  const context = k.uffd.contexts.get(child)
  const mm = context === undefined ? undefined : k.spaces.mms.get(context.mm)
  if (context === undefined) return
  k.uffd.contexts.delete(child)
  if (mm !== undefined) for (const vma of eachVma(mm)) if (vma.uffd === child) unmarkArea(vma)
}

/** The area's faults are the kernel's own business again. */
export function unmarkArea(vma: Vma): void {
  vma.uffd = 0
  vma.flags &= ~VM_UFFD_FLAGS
}

// --- the end

/** The last descriptor is closed: all who wait at the context go on (the end of userfaultfd_release). */
export function flushContext(k: Kernel, context: UffdContext): void {
  wakeUserfault(k, context, 0, Number.POSITIVE_INFINITY)
  for (const event of context.events.splice(0)) {
    dropChild(k, event)
    eventDone(k, context, event)
  }
}

/** The task will not go on: it no longer waits anywhere. */
export function forgetWaiter(k: Kernel, task: Task): void {
  if (task.wait === undefined && task.untold.length === 0) return
  for (const context of k.uffd.contexts.values()) {
    for (const queue of [context.pending, context.read]) removeOf(queue, task.pid)
    for (const event of removeOf(context.events, task.pid)) {
      dropChild(k, event)
      context.changing--
    }
  }
  for (const event of task.untold.splice(0)) {
    dropChild(k, event)
    const context = k.uffd.contexts.get(event.uffd)
    if (context !== undefined) context.changing--
  }
  task.wait = undefined
}

/** Takes what belongs to a task out of a queue. */
function removeOf<T extends { readonly pid: number }>(queue: T[], pid: number): T[] {
  const gone = queue.filter(each => each.pid === pid)
  const rest = queue.filter(each => each.pid !== pid)
  queue.splice(0, queue.length, ...rest)
  return gone
}
