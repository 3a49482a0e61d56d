/**
 * `touch` and `check`: accesses of a process to its regions.
 *
 * A plain touch hands its whole range to the kernel's touchRun, pass by pass; one with a rate, a pattern or a count asks
 * for one access at a time. A fault that no memory can be found for is tried again a little later, as the processor
 * would take it again; one that has to wait for somebody leaves the thread asleep.
 */
import { assert, must } from '../kernel/base/assert.ts'
import { isIndexed } from '../kernel/base/content.ts'
import { COST, now, spendNs } from '../kernel/base/cost.ts'
import { EINVAL } from '../kernel/base/errno.ts'
import { VM_FAULT_ERROR, VM_FAULT_HWPOISON, VM_FAULT_OOM, VM_FAULT_RETRY, VM_FAULT_SIGSEGV } from '../kernel/base/flags.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Mm } from '../kernel/base/state_mm.ts'
import { addTraffic, markTraffic, repeatTraffic } from '../kernel/base/traffic.ts'
import { NO_PAGE, PAGE_SIZE } from '../kernel/base/units.ts'
import { logPoisonAccess } from '../kernel/calls/memory_failure.ts'
import { type TouchRun, touchRun } from '../kernel/fault/touch.ts'
import { pageContent, pageContentIndex } from '../kernel/frames/page.ts'
import { protectionKey, vmaAt } from '../kernel/spaces/vma.ts'
import { contentClass, looksZero } from './interpreter_content.ts'
import { TOUCHES, touchOwn } from './interpreter_executor.ts'
import { accessDone, isPaced, nextAccess, passesOver, startPacing } from './interpreter_pace.ts'
import { type Extent, extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, OpOf, OpState, Region, Run, TouchPass, Worker } from './interpreter_state.ts'
import type { Content, Pace, TouchOp } from './program.ts'

type TouchState = OpState & { readonly kind: 'touch' }
type CheckState = OpState & { readonly kind: 'check' }
type CheckOp = OpOf<'check'>

/** What accesses without faults cost. */
const TOUCH_COSTS = [COST.access, COST.line_miss, COST.remote_access]

const newPass = (nodes: number): TouchPass => ({
  ns: 0,
  done: 0,
  faults: 0,
  costNs: new Float64Array(TOUCH_COSTS.length),
  bytes: new Float64Array(nodes),
  mark: new Float64Array(nodes),
})

/** How long a process whose fault found no memory waits before it tries again: at first, and at most after it tried in vain for long. */
const OOM_RETRY_NS = 1e6
const OOM_RETRY_MAX_NS = 1e9

const SEGV_MAPERR = 1
const SEGV_ACCERR = 2
const SEGV_PKUERR = 4
const BUS_ADRERR = 2
const BUS_MCEERR_AR = 4

const memoryOf = (worker: Worker): Mm => must(worker.task.mm, 'a process that touches memory has some')

/** The accesses to come over an extent of a region. */
function runOver(k: Kernel, region: Region, { offset, length }: Extent, write: boolean, strideBytes: number, content: number): TouchRun {
  const startByte = region.address + offset
  return {
    write,
    startByte,
    endByte: startByte + length,
    strideBytes,
    at: startByte,
    done: 0,
    content,
    contentIndexed: content > 0 && isIndexed(k.contents.classes[content]),
    contentBase: region.address / PAGE_SIZE,
    result: { pfn: NO_PAGE, fault: 0 },
  }
}

/** The class that a content argument of this op stands for, -1 for none. */
function classOf(
  run: Run,
  worker: Worker,
  op: { readonly content: Content | undefined; readonly region: string; readonly seed: number | undefined },
): number {
  return op.content === undefined ? -1 : contentClass(run.k, op.content, { ordinal: worker.ordinal, name: op.region, seed: op.seed })
}

export function touch(run: Run, worker: Worker, doing: Doing, op: TouchOp, untilNs: number): number | undefined {
  const region = regionOf(worker, op.region)
  if (region === undefined) return -EINVAL
  const extent = extentOf(region, op.range)
  if (extent.length <= 0) return touchNothing(run, worker, doing, op)
  const state = doing.state?.kind === 'touch' ? doing.state : startTouch(run, worker, op, region, extent)
  doing.state = state
  state.run.result.fault = 0
  const ret = state.pacing === undefined ? touchPasses(run, worker, doing, op, state, untilNs) : touchPaced(run, worker, op, state, untilNs)
  doing.progress = state.run.done
  if (state.run.result.fault === 0) return ret
  return afterFault(run, worker, doing, region, state.run) ? state.run.done : undefined
}

/** A range without a page: passes cost nothing, but `for=` still takes its time. */
function touchNothing(run: Run, worker: Worker, doing: Doing, op: TouchOp): number | undefined {
  const endNs = doing.startNs + (op.pace.forNs ?? 0)
  if (now(run.k) >= endNs) return 0
  worker.readyNs = endNs
  return undefined
}

function startTouch(run: Run, worker: Worker, op: TouchOp, region: Region, extent: Extent): TouchState {
  const slots = Math.ceil(extent.length / op.strideBytes)
  return {
    kind: 'touch',
    run: runOver(run.k, region, extent, op.write, op.strideBytes, op.write ? classOf(run, worker, op) : -1),
    pacing: isPaced(op.pace) ? startPacing(run, worker, op.pace, slots) : undefined,
    passes: 0,
    pass: newPass(run.k.nodes.length),
    quiet: false,
  }
}

/**
 * Whole passes, one after the other. A pass that met no fault finds everything as the pass before left it, and so will the next
 * ones until somebody else does something: these are counted, not made. Passes without faults do nothing to others, so those
 * of other processes do not count as something.
 */
function touchPasses(run: Run, worker: Worker, doing: Doing, op: TouchOp, state: TouchState, untilNs: number): number | undefined {
  const { k } = run
  const { pace } = op
  if (pace.passes === 0) return 0
  const mm = memoryOf(worker)
  const touches = state.run
  for (;;) {
    if (touches.at === touches.startByte) startPass(worker, state)
    const startNs = now(k)
    markTraffic(k, state.pass.mark)
    addCosts(k, state.pass, -1)
    const whole = touchRun(k, mm, touches, untilNs)
    state.pass.ns += now(k) - startNs
    addTraffic(k, state.pass.mark, state.pass.bytes)
    addCosts(k, state.pass, 1)
    if (faultsOf(worker) !== state.pass.faults) state.quiet = false
    if (!whole) return undefined
    state.passes++
    state.quiet = faultsOf(worker) === state.pass.faults
    if (state.quiet) skipPasses(run, doing, pace, state, touches.done - state.pass.done)
    if (passesOver(pace, state.passes, now(k) - doing.startNs)) return touches.done
    touches.at = touches.startByte
    if (now(k) >= untilNs) return undefined
  }
}

const faultsOf = ({ task }: Worker): number => task.minflt + task.majflt

function startPass(worker: Worker, { run, pass }: TouchState): void {
  pass.ns = 0
  pass.done = run.done
  pass.faults = faultsOf(worker)
  pass.bytes.fill(0)
  pass.costNs.fill(0)
}

/** Adds what was spent so far, or takes it away. */
function addCosts(k: Kernel, { costNs }: TouchPass, sign: 1 | -1): void {
  for (let i = 0; i < TOUCH_COSTS.length; i++) costNs[i] += sign * k.costNs[TOUCH_COSTS[i]]
}

/** Counts passes like the last one, of so many accesses, until somebody else does something. */
function skipPasses(run: Run, doing: Doing, pace: Pace, state: TouchState, accesses: number): void {
  const { k } = run
  const { pass } = state
  const leftNs = pace.forNs === undefined ? Number.POSITIVE_INFINITY : doing.startNs + pace.forNs - now(k)
  const left = pace.forNs === undefined ? (pace.passes ?? 1) - state.passes : Math.ceil(leftNs / pass.ns)
  const passes = Math.min(left, Math.floor((run.quietNs - now(k)) / pass.ns))
  if (passes <= 0) return
  for (let i = 0; i < TOUCH_COSTS.length; i++) spendNs(k, TOUCH_COSTS[i], passes * pass.costNs[i])
  repeatTraffic(k, pass.bytes, passes)
  state.passes += passes
  state.run.done += passes * accesses
}

/** Accesses one by one, each to the slot and at the time that is asked for. */
function touchPaced(run: Run, worker: Worker, op: TouchOp, state: TouchState, untilNs: number): number | undefined {
  const { k } = run
  const mm = memoryOf(worker)
  const pacing = must(state.pacing, 'a paced touch has a pace')
  while (now(k) < untilNs && !k.needResched) {
    const slot = nextAccess(run, worker, op.pace, pacing, untilNs)
    if (slot === 'over') return state.run.done
    if (slot === 'wait') return undefined
    const startNs = now(k)
    state.run.at = state.run.startByte + slot * op.strideBytes
    touchRun(k, mm, state.run, 0)
    if (state.run.result.fault !== 0) return undefined
    accessDone(op.pace, pacing, startNs, op.strideBytes)
  }
  return undefined
}

/** What becomes of an op whose access faulted in vain: true when a signal ends it, else it goes on later. */
function afterFault(run: Run, worker: Worker, doing: Doing, region: Region, { at, content, result }: TouchRun): boolean {
  const { k } = run
  assert(result.fault !== VM_FAULT_ERROR, 'an access faults again and again')
  if (worker.task.killed !== 0) return false
  if ((result.fault & VM_FAULT_RETRY) !== 0) {
    worker.readyNs = Number.POSITIVE_INFINITY
    return false
  }
  if ((result.fault & VM_FAULT_OOM) !== 0) {
    if (doing.stuck?.at !== at) doing.stuck = { at, sinceNs: now(k) }
    worker.readyNs = now(k) + Math.min(Math.max(OOM_RETRY_NS, now(k) - doing.stuck.sinceNs), OOM_RETRY_MAX_NS)
    return false
  }
  const address = content >= 0 ? at - (at % PAGE_SIZE) : at
  if ((result.fault & VM_FAULT_HWPOISON) !== 0) logPoisonAccess(k, worker.task, address)
  touchOwn(run.k, worker.task, TOUCHES.signal)
  doing.extra['signal'] = (result.fault & VM_FAULT_SIGSEGV) !== 0 ? 'SIGSEGV' : 'SIGBUS'
  if (doing.op.op === 'check') return true
  doing.extra['si_code'] = signalCode(worker, address, result.fault)
  doing.extra['fault_off'] = address - region.address
  return true
}

function signalCode(worker: Worker, address: number, fault: number): number {
  if ((fault & VM_FAULT_SIGSEGV) !== 0) {
    const vma = vmaAt(memoryOf(worker), Math.floor(address / PAGE_SIZE))
    if (vma === undefined) return SEGV_MAPERR
    return protectionKey(vma) > 0 ? SEGV_PKUERR : SEGV_ACCERR
  }
  return (fault & VM_FAULT_HWPOISON) !== 0 ? BUS_MCEERR_AR : BUS_ADRERR
}

export function check(run: Run, worker: Worker, doing: Doing, op: CheckOp, untilNs: number): number | undefined {
  const region = regionOf(worker, op.region)
  if (region === undefined) return -EINVAL
  const state = doing.state?.kind === 'check' ? doing.state : startCheck(run, worker, op, region)
  doing.state = state
  const { k } = run
  const mm = memoryOf(worker)
  while (state.run.at < state.run.endByte) {
    if (now(k) >= untilNs || k.needResched) return undefined
    const index = (state.run.at - region.address) / PAGE_SIZE
    touchRun(k, mm, state.run, 0)
    if (state.run.result.fault === 0) countPage(k, state, index)
    else if (afterFault(run, worker, doing, region, state.run)) break
    else return undefined
  }
  const { signal } = doing.extra
  delete doing.extra['signal']
  Object.assign(doing.extra, { match: state.match, differ: state.differ, zero: state.zero }, signal === undefined ? {} : { signal })
  return 0
}

function startCheck(run: Run, worker: Worker, op: CheckOp, region: Region): CheckState {
  if (op.content !== undefined) touchOwn(run.k, worker.task, TOUCHES.check)
  const run_ = runOver(run.k, region, extentOf(region, op.range), false, PAGE_SIZE, -1)
  return { kind: 'check', run: run_, content: classOf(run, worker, op), match: 0, differ: 0, zero: 0 }
}

function countPage(k: Kernel, state: CheckState, index: number): void {
  const { pfn } = state.run.result
  const content = pageContent(k, pfn)
  if (looksZero(k, content)) state.zero++
  if (state.content < 0) return
  const same = content === state.content && (!isIndexed(k.contents.classes[content]) || pageContentIndex(k, pfn) === Math.floor(index))
  if (same) state.match++
  else state.differ++
}
