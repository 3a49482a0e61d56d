/**
 * A process that handles its own faults, and those of its forks, through a userfaultfd: its ops, and the thread that does it.
 *
 *     process    touch ── fault, asleep . . . . . . . . . . awake ── goes on
 *     handler           poll ── read ── COPY from its page ──^         poll, at most 20 ms ...
 *
 * The handler resolves missing pages as its mode says, and write-protection faults by taking the protection off. In mode `none` it
 * reads its messages and keeps the faults, up to 64, until the mode changes. Descriptors that come with fork events are polled
 * too, eight in all. It copies from one page of the executor's memory, for huge TLB pages from a mapping of zeros of its own.
 */
import { fail } from '../kernel/base/assert.ts'
import { COST, now, spend } from '../kernel/base/cost.ts'
import { EBADF, EINVAL } from '../kernel/base/errno.ts'
import {
  MADV_NOHUGEPAGE,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  O_CLOEXEC,
  O_NONBLOCK,
  PROT_READ,
  UFFD_API,
  UFFD_EVENT_FORK,
  UFFD_EVENT_PAGEFAULT,
  UFFD_EVENT_REMAP,
  UFFD_EVENT_REMOVE,
  UFFD_PAGEFAULT_FLAG_MINOR,
  UFFD_PAGEFAULT_FLAG_WP,
  UFFD_PAGEFAULT_FLAG_WRITE,
  UFFDIO_COPY_MODE_WP,
  UFFDIO_REGISTER_MODE_MINOR,
  UFFDIO_REGISTER_MODE_MISSING,
  UFFDIO_REGISTER_MODE_WP,
  UFFDIO_WRITEPROTECT_MODE_WP,
} from '../kernel/base/flags.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { UffdContext, UffdMsg } from '../kernel/base/state_uffd.ts'
import { alignDown, NO_PAGE, PAGE_SIZE } from '../kernel/base/units.ts'
import { sysMadvise } from '../kernel/calls/madvise.ts'
import { sysMmap } from '../kernel/calls/mmap.ts'
import { taskThread } from '../kernel/calls/task.ts'
import {
  sysUserfaultfd,
  UFFD_API_IOCTLS,
  uffdApi,
  uffdContinue,
  uffdCopy,
  uffdRegister,
  uffdUnregister,
  uffdWake,
  uffdWriteprotect,
  uffdZeropage,
} from '../kernel/calls/userfaultfd.ts'
import { accessPage, writeContent } from '../kernel/fault/touch.ts'
import { uffdRead } from '../kernel/fault/userfaultfd.ts'
import { contentClass } from './interpreter_content.ts'
import { addressOf, TOUCHES, touchOwn } from './interpreter_executor.ts'
import type { Outcome } from './interpreter_records.ts'
import { extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, Fields, Handler, OpOf, Region, Run, UffdSide, Worker } from './interpreter_state.ts'
import { resolveByMoving } from './interpreter_userfault.ts'
import type { Content, UffdFeature, UffdHandlerMode, UffdRegisterMode } from './program.ts'

type UffdOp = OpOf<
  | 'uffd_open'
  | 'uffd_register'
  | 'uffd_unregister'
  | 'uffd_writeprotect'
  | 'uffd_copy'
  | 'uffd_zeropage'
  | 'uffd_continue'
  | 'uffd_wake'
  | 'uffd_handler'
>

/** Bits of the features, in the order of the kernel's numbers. */
const FEATURES: Readonly<Record<UffdFeature, number>> = {
  pagefault_flag_wp: 1 << 0,
  event_fork: 1 << 1,
  event_remap: 1 << 2,
  event_remove: 1 << 3,
  missing_hugetlbfs: 1 << 4,
  missing_shmem: 1 << 5,
  event_unmap: 1 << 6,
  sigbus: 1 << 7,
  thread_id: 1 << 8,
  minor_hugetlbfs: 1 << 9,
  minor_shmem: 1 << 10,
  exact_address: 1 << 11,
  wp_hugetlbfs_shmem: 1 << 12,
}

const MODES: Readonly<Record<UffdRegisterMode, number>> = {
  missing: UFFDIO_REGISTER_MODE_MISSING,
  wp: UFFDIO_REGISTER_MODE_WP,
  minor: UFFDIO_REGISTER_MODE_MINOR,
}

/** Descriptors that the handler polls, faults it keeps, and events it remembers between two looks. */
const MAX_POLLED = 8
const MAX_PENDING = 64
const MAX_EVENTS = 40
/** How long the handler polls before it looks at its mode again. */
const POLL_NS = 20e6

export const noUffd = (): UffdSide => ({
  current: 0,
  polled: [],
  mode: 'none',
  kept: [],
  counts: { missing: 0, wp: 0, minor: 0, read: 0, write: 0, fork: 0, remap: 0, remove: 0, unmap: 0, resolved: 0, failed: 0 },
  events: [],
  zeros: 0,
  handler: undefined,
  proposed: [],
})

const contextOf = (k: Kernel, id: number): UffdContext | undefined => k.uffd.contexts.get(id)
const hex = (n: number) => `0x${n.toString(16)}`

export function uffdOp(run: Run, worker: Worker, doing: Doing, op: UffdOp, untilNs: number): number | undefined {
  if (op.op === 'uffd_open') return open(run, worker, doing, op.features)
  if (op.op === 'uffd_handler') return startHandler(run, worker, op.mode, op.content)
  const region = regionOf(worker, op.region)
  if (region === undefined) return -EINVAL
  const context = contextOf(run.k, worker.uffd.current)
  if (context === undefined) return -EBADF
  if (op.op === 'uffd_copy') return copyPages(run, worker, doing, op, region, context, untilNs)
  const { offset, length } = extentOf(region, op.range)
  return rangeOp(run.k, doing, op, context, region.address + offset, length)
}

type RangeOp = Exclude<UffdOp, OpOf<'uffd_open' | 'uffd_handler' | 'uffd_copy'>>

/** The ops that are one ioctl on a range. */
function rangeOp(k: Kernel, doing: Doing, op: RangeOp, context: UffdContext, start: number, bytes: number): number {
  switch (op.op) {
    case 'uffd_register': {
      const ret = uffdRegister(
        k,
        context,
        start,
        bytes,
        op.modes.reduce((bits, mode) => bits | MODES[mode], 0),
      )
      if (ret >= 0) doing.extra['ioctls'] = hex(ret)
      return Math.min(0, ret)
    }
    case 'uffd_unregister':
      return uffdUnregister(k, context, start, bytes)
    case 'uffd_writeprotect':
      return uffdWriteprotect(k, context, { start, bytes, mode: op.on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 })
    case 'uffd_zeropage': {
      const { ret, done } = uffdZeropage(k, context, { start, bytes, mode: 0 })
      doing.extra['zeroed'] = done
      return ret
    }
    case 'uffd_continue': {
      const { ret, done } = uffdContinue(k, context, { start, bytes, mode: 0 })
      doing.extra['mapped'] = done
      return ret
    }
    case 'uffd_wake':
      return uffdWake(k, context, start, bytes)
  }
}

function open({ k }: Run, worker: Worker, doing: Doing, names: readonly UffdFeature[]): number {
  const { task, uffd } = worker
  touchOwn(k, task, TOUCHES.uffdOpen)
  const id = sysUserfaultfd(k, task, O_CLOEXEC | O_NONBLOCK)
  if (id < 0) {
    uffd.current = 0
    return id
  }
  uffd.current = id
  const context = contextOf(k, id) ?? fail('a descriptor that was just opened is not there')
  const features = uffdApi(
    task,
    context,
    UFFD_API,
    names.reduce((bits, name) => bits | FEATURES[name], 0),
  )
  if (features < 0) return features
  uffd.polled = [id]
  doing.extra['features'] = hex(features)
  doing.extra['ioctls'] = UFFD_API_IOCTLS
  return 0
}

// ------------------------------------------------------------------------------------------- copying

/** Fills the executor's page that copies are made from. */
function fillSource({ k }: Run, worker: Worker, content: Content): void {
  const { mm } = worker.task
  if (mm === undefined) return
  const access = { pfn: NO_PAGE, fault: 0 }
  k.vmf.vpn[0] = addressOf(...SOURCE)
  accessPage(k, mm, true, access)
  if (access.fault === 0) writeContent(k, access.pfn, contentClass(k, content, { ordinal: worker.ordinal, name: '', seed: undefined }), 0)
}

const SOURCE = ['bss', 16] as const

/** Copies page by page, a slice at a time. */
function copyPages(
  run: Run,
  worker: Worker,
  doing: Doing,
  op: OpOf<'uffd_copy'>,
  region: Region,
  context: UffdContext,
  untilNs: number,
): number | undefined {
  const { k } = run
  const { offset, length } = extentOf(region, op.range)
  if (doing.state?.kind !== 'each') fillSource(run, worker, op.content)
  const state = doing.state?.kind === 'each' ? doing.state : { kind: 'each' as const, done: 0 }
  doing.state = state
  while (state.done * PAGE_SIZE < length) {
    if (now(k) >= untilNs) return undefined
    spend(k, COST.syscall, 1)
    const start = region.address + offset + state.done * PAGE_SIZE
    const fill = { start, bytes: PAGE_SIZE, mode: op.wp ? UFFDIO_COPY_MODE_WP : 0 }
    const { ret } = uffdCopy(k, worker.task, context, fill, addressOf(...SOURCE) * PAGE_SIZE)
    if (ret < 0) {
      doing.extra['copied'] = state.done
      return ret
    }
    state.done++
  }
  return state.done
}

// ------------------------------------------------------------------------------------------- the handler

function startHandler(run: Run, worker: Worker, mode: UffdHandlerMode, content: Content): number {
  fillSource(run, worker, content)
  setUffdMode(run, worker, mode)
  return startThread(run, worker)
}

/** The thread that handles faults, unless there is one. */
export function startThread(run: Run, worker: Worker): number {
  const { k } = run
  const { uffd } = worker
  if (uffd.handler !== undefined) return 0
  touchOwn(k, worker.task, TOUCHES.uffdHandler)
  const tid = taskThread(k, worker.task)
  if (tid < 0) return tid
  uffd.handler = { kind: 'handler', task: worker.task, worker, readyNs: now(k), turn: 0, polledNs: now(k) }
  run.threads.push(uffd.handler)
  return 0
}

/** Changes what a handler does; it notices when its poll ends. */
export function setUffdMode({ k }: Run, { uffd }: Worker, mode: UffdHandlerMode): void {
  uffd.mode = mode
  const { handler } = uffd
  if (handler === undefined) return
  const polls = Math.floor((now(k) - handler.polledNs) / POLL_NS) + 1
  handler.readyNs = Math.min(handler.readyNs, handler.polledNs + polls * POLL_NS)
}

/** One slice of a handler: what it kept and may resolve now, then whatever can be read. */
export function runHandler(run: Run, handler: Handler, untilNs: number): void {
  const { k } = run
  const { worker } = handler
  const { uffd } = worker
  spend(k, COST.syscall, 1)
  touchOwn(k, worker.task, TOUCHES.uffdThread)
  if (uffd.mode !== 'none') for (const { context, address, wp } of uffd.kept.splice(0)) resolve(run, worker, context, address, wp)
  for (const id of [...uffd.polled]) {
    for (let msg = read(k, worker, id); msg !== undefined; msg = read(k, worker, id)) {
      take(run, worker, id, msg)
      if (now(k) < untilNs) continue
      handler.readyNs = now(k)
      return
    }
  }
  resolveByMoving(k, worker)
  handler.polledNs = now(k)
  handler.readyNs = Number.POSITIVE_INFINITY
}

function read(k: Kernel, { task }: Worker, id: number): UffdMsg | undefined {
  const context = contextOf(k, id)
  spend(k, COST.syscall, 1)
  const msg = context === undefined ? -EBADF : uffdRead(k, task, context)
  return typeof msg === 'number' ? undefined : msg
}

function take(run: Run, worker: Worker, id: number, msg: UffdMsg): void {
  const { uffd } = worker
  const { counts } = uffd
  if (msg.event === UFFD_EVENT_PAGEFAULT) takeFault(run, worker, id, msg)
  else if (msg.event === UFFD_EVENT_FORK) {
    counts.fork++
    touchOwn(run.k, worker.task, TOUCHES.uffdThreadFork)
    if (uffd.polled.length < MAX_POLLED) uffd.polled.push(msg.child)
  } else if (msg.event === UFFD_EVENT_REMAP) counts.remap++
  else if (msg.event === UFFD_EVENT_REMOVE) counts.remove++
  else counts.unmap++
  const entry: Fields = { type: msg.event, flags: msg.flags, a: hex(msg.a), b: hex(msg.b) }
  if (uffd.events.length < MAX_EVENTS) uffd.events.push(entry)
}

function takeFault(run: Run, worker: Worker, id: number, { flags, a }: UffdMsg): void {
  const { uffd } = worker
  const { counts } = uffd
  const wp = (flags & UFFD_PAGEFAULT_FLAG_WP) !== 0
  if (wp) counts.wp++
  else if ((flags & UFFD_PAGEFAULT_FLAG_MINOR) !== 0) counts.minor++
  else counts.missing++
  if ((flags & UFFD_PAGEFAULT_FLAG_WRITE) !== 0) counts.write++
  else counts.read++
  if (uffd.mode !== 'none') resolve(run, worker, id, a, wp)
  else if (uffd.kept.length < MAX_PENDING) uffd.kept.push({ context: id, address: a, wp })
}

/** Resolves one fault as the mode says, by the page size of the region that the handler knows there. */
function resolve(run: Run, worker: Worker, id: number, address: number, wp: boolean): void {
  const { k } = run
  const { uffd } = worker
  const context = contextOf(k, id)
  spend(k, COST.syscall, 1)
  const ret = context === undefined ? -EBADF : resolveBy(run, worker, context, address, wp)
  if (ret < 0) uffd.counts.failed++
  else uffd.counts.resolved++
}

function resolveBy({ k }: Run, worker: Worker, context: UffdContext, address: number, wp: boolean): number {
  const region = worker.regions.find(each => each !== undefined && address >= each.address && address < each.address + each.bytes)
  const bytes = region?.pageBytes ?? PAGE_SIZE
  const fill = { start: alignDown(address, bytes), bytes, mode: 0 }
  if (wp) return uffdWriteprotect(k, context, fill)
  if (worker.uffd.mode === 'zeropage') return uffdZeropage(k, context, fill).ret
  const source = bytes > PAGE_SIZE ? zerosOf(k, worker, bytes) : addressOf(...SOURCE) * PAGE_SIZE
  return uffdCopy(k, worker.task, context, fill, source).ret
}

/** The mapping of zeros that huge TLB pages are copied from, made at the first. */
function zerosOf(k: Kernel, { task, uffd }: Worker, bytes: number): number {
  if (uffd.zeros > 0) return uffd.zeros
  const at = sysMmap(k, task, { address: 0, bytes, prot: PROT_READ, flags: MAP_PRIVATE | MAP_ANONYMOUS, file: undefined, pgoff: 0 })
  if (at < 0) return 0
  sysMadvise(k, task, at, bytes, MADV_NOHUGEPAGE)
  uffd.zeros = at
  return at
}

/** What the handler has seen since it began, and the events since the last look. */
export function uffdEvents({ uffd }: Worker): Outcome {
  return { ret: 0, fields: { ...uffd.counts, events: uffd.events.splice(0) } }
}

/** Wakes whoever something has come up for: processes whose fault or event is done with, handlers whose descriptors have news. */
export function wakeUffd(run: Run): void {
  const { k, workers } = run
  const ns = now(k)
  for (const pid of k.uffd.woken.splice(0))
    for (const worker of workers) if (worker?.task.pid === pid) worker.readyNs = Math.min(worker.readyNs, ns)
  for (const id of k.uffd.told.splice(0)) {
    for (const migration of run.migrations)
      if (migration.context === id && migration.phase === 'postcopy') migration.readyNs = Math.min(migration.readyNs, ns)
    for (const worker of workers) {
      const handler = worker?.uffd.handler
      if (handler !== undefined && (worker?.uffd.polled.includes(id) || worker?.uffd.proposed.some(each => each.id === id)))
        handler.readyNs = Math.min(handler.readyNs, ns)
    }
  }
}
