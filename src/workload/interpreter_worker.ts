/**
 * What a process does with its slice of a CPU: begins what it was told, goes on with it, ends.
 */
import { memcgHandleOverHigh } from '../kernel/alloc/charge.ts'
import { fail, must } from '../kernel/base/assert.ts'
import { COST, now, spend } from '../kernel/base/cost.ts'
import { EAGAIN, EBADF, EINVAL, ERESTARTNOINTR } from '../kernel/base/errno.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { retryFault } from '../kernel/fault/fault.ts'
import { reportNext } from '../kernel/fault/userfaultfd.ts'
import { judge, pidOf } from './interpreter_conditions.ts'
import { nextStatement } from './interpreter_cursor.ts'
import { TOUCHES, touchOwn } from './interpreter_executor.ts'
import { fileOp } from './interpreter_files.ts'
import { memoryOp } from './interpreter_memory.ts'
import { policyOp } from './interpreter_policy.ts'
import { type Outcome, recordOf, resultOutcome, signalName } from './interpreter_records.ts'
import { extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, Job, OpOf, Ports, Run, Worker } from './interpreter_state.ts'
import { endWorker, forkWorker, startWorker, taskOp, wakeWaiters } from './interpreter_task.ts'
import { check, touch } from './interpreter_touch.ts'
import { startThread, uffdEvents, uffdOp } from './interpreter_uffd.ts'
import { handleFrom, userfaultOp } from './interpreter_userfault.ts'
import { resolvePids } from './parse.ts'
import type { BlockStatement, ExpectStatement, LeafStatement, LoopStatement, Source } from './program.ts'

/** One slice of a process. Its readyNs says afterwards when it wants the next one. */
export function runWorker(run: Run, ports: Ports, worker: Worker, untilNs: number): void {
  if (worker.task.killed !== 0 && !cannotStop(worker)) endWorker(run, worker, { signal: signalName(worker.task.killed) })
  else if (worker.starting !== undefined) startWorker(run, worker, worker.starting)
  else if (worker.stopped || sleepsOn(run, worker)) worker.readyNs = Number.POSITIVE_INFINITY
  else if (worker.doing !== undefined || takeOp(run, ports, worker))
    goOn(run, ports, worker, must(worker.doing, 'an op was taken'), untilNs)
}

/** Whether it is in the middle of a call that nothing interrupts: it dies after that. */
const cannotStop = ({ task, doing }: Worker): boolean => {
  const rest = task.restart?.rest?.kind
  return doing !== undefined && !task.exiting && (rest === 'move' || rest === 'truncate' || rest === 'allocate')
}

/** Whether the process still sleeps in its fault or system call. One that was woken takes its fault again, or has more to report. */
function sleepsOn({ k }: Run, { task }: Worker): boolean {
  const { wait, mm } = task
  if (wait === undefined || !wait.woken) return wait !== undefined
  task.wait = undefined
  if (wait.kind === 'event') return reportNext(k, task)
  if (wait.user && mm !== undefined) retryFault(k, mm, wait.vpn, wait.write)
  return task.wait !== undefined
}

function goOn(run: Run, ports: Ports, worker: Worker, doing: Doing, untilNs: number): void {
  const { task } = worker
  const ret = doing.ret ?? perform(run, ports, worker, doing, untilNs)
  if (run.k.memcg.overHigh) memcgHandleOverHigh(run.k)
  if (ret === undefined || task.killed !== 0) return
  const again = ret === -ERESTARTNOINTR
  if (!again) doing.ret = ret
  if (task.wait !== undefined || reportNext(run.k, task)) worker.readyNs = Number.POSITIVE_INFINITY
  else if (!again) endOp(run, worker, doing, ret)
}

/** Begins the next op of its job; false when there is none now. */
function takeOp(run: Run, ports: Ports, worker: Worker): boolean {
  const { job } = worker
  if (job === undefined || job.over || (worker.exiting && job.what.kind === 'block')) {
    if (worker.exiting) endWorker(run, worker, { exit: 0 })
    else worker.readyNs = Number.POSITIVE_INFINITY
    return false
  }
  const { what } = job
  if (what.kind !== 'block') {
    beginOp(run, worker, job.statement, what.kind === 'op' ? what.op : { op: 'fork', child: what.child })
    return true
  }
  const statement = nextStatement<Line>(what.cursor)
  if (statement === undefined) {
    endJob(run, worker, job)
    return false
  }
  return takeStatement(run, ports, worker, job, statement)
}

type Line = Exclude<BlockStatement, LoopStatement<BlockStatement>>

/** A line of its block: begins an op, or answers an expect. */
function takeStatement(run: Run, ports: Ports, worker: Worker, job: Job, line: Line): boolean {
  const statement = line.kind === 'deferred' ? resolvePids(line, name => pidOf(run, name)) : line
  const source: Source = { ...statement, text: `${worker.name} ${statement.text}` }
  if (statement.kind !== 'expect') {
    beginOp(run, worker, source, opOf(statement))
    return true
  }
  recordExpect(run, ports, worker, job, statement)
  return false
}

function opOf(statement: LeafStatement): Doing['op'] {
  if (statement.kind === 'worker') return statement.op
  if (statement.kind === 'controller' && statement.op.op === 'sleep') return statement.op
  return fail(`a block holds "${statement.text}"`)
}

function recordExpect(run: Run, ports: Ports, worker: Worker, job: Job, statement: ExpectStatement): void {
  const startNs = now(run.k)
  spend(run.k, COST.syscall, 1)
  const { held, found } = judge(run, ports, statement, job.record)
  const fields = { ...found, elapsed_ns: now(run.k) - startNs }
  run.records.push(recordOf(statement, startNs, { kind: 'expect', worker: worker.name, ret: held ? 0 : -1, fields }))
}

function beginOp(run: Run, worker: Worker, statement: Source, op: Doing['op']): void {
  spend(run.k, COST.syscall, 1)
  if (worker.begun > 0) touchOwn(run.k, worker.task, TOUCHES.nextOperation)
  const { minflt, majflt } = worker.task
  worker.begun++
  worker.task.restart = undefined
  worker.doing = { statement, op, startNs: now(run.k), minflt, majflt, progress: 0, ret: undefined, extra: {}, state: undefined }
  if (worker.begun === 1) touchOwn(run.k, worker.task, worker.forked ? TOUCHES.forkedFirstOperation : TOUCHES.firstOperation)
}

function endOp(run: Run, worker: Worker, doing: Doing, ret: number): void {
  const { task } = worker
  const job = must(worker.job, 'an op belongs to a job')
  const elapsedNs = now(run.k) - doing.startNs
  job.last = { ret, elapsedNs, minflt: task.minflt - doing.minflt, majflt: task.majflt - doing.majflt, extra: doing.extra }
  worker.doing = undefined
  if (worker.begun === 1 && !worker.forked) touchOwn(run.k, task, TOUCHES.afterFirstOperation)
  if (job.what.kind !== 'block') {
    endJob(run, worker, job)
    return
  }
  job.record = recordOf(doing.statement, doing.startNs, resultOutcome(worker, job.last))
  run.records.push(job.record)
}

function endJob(run: Run, worker: Worker, job: Job): void {
  job.over = true
  worker.readyNs = worker.exiting ? now(run.k) : Number.POSITIVE_INFINITY
  wakeWaiters(run, worker)
}

/** Goes on with an op. @returns its ret or a negative errno; undefined while it is not over */
function perform(run: Run, ports: Ports, worker: Worker, doing: Doing, untilNs: number): number | undefined {
  const { op } = doing
  switch (op.op) {
    case 'sleep':
      return sleep(run, worker, doing, op.ns)
    case 'fork':
      return fork(run, worker, doing, op.child)
    case 'touch':
      return touch(run, worker, doing, op, untilNs)
    case 'check':
      return check(run, worker, doing, op, untilNs)
    case 'mmap':
    case 'munmap':
    case 'madvise':
    case 'mprotect':
    case 'mremap':
    case 'mlock':
    case 'munlock':
    case 'mlockall':
    case 'munlockall':
    case 'msync':
    case 'mincore':
      return memoryOp(run, worker, doing, op, untilNs)
    case 'mbind':
    case 'set_mempolicy':
    case 'get_mempolicy':
    case 'migrate_pages':
    case 'move_pages':
    case 'home_node':
      return policyOp(run, worker, doing, op)
    case 'cpu':
    case 'rlimit':
    case 'setuid':
    case 'oom_score_adj':
    case 'clear_refs':
    case 'exec':
    case 'thp_disable':
    case 'write':
      return taskOp(run, ports, worker, op)
    case 'pagemap':
    case 'read':
    case 'uffd_events':
      return aboutItself(run, ports, worker, doing, op)
    case 'fallocate':
    case 'ftruncate':
    case 'readfile':
    case 'writefile':
    case 'fadvise':
    case 'fsync':
    case 'unlink':
    case 'mkfiles':
    case 'statfiles':
    case 'rmfiles':
      return fileOp(run, worker, doing, op, untilNs)
    case 'userfault_register':
    case 'userfault_unregister':
    case 'userfault_close':
    case 'remap_anon_pages':
      return userfaultOp(run.k, worker, doing, op)
    case 'userfault_handler':
      return handleFrom(worker, op.from) ? startThread(run, worker) : -EBADF
    default:
      return uffdOp(run, worker, doing, op, untilNs)
  }
}

/** A sleep in its block. */
function sleep(run: Run, worker: Worker, doing: Doing, ns: number): number | undefined {
  const endNs = doing.startNs + ns
  if (now(run.k) >= endNs) return 0
  worker.readyNs = endNs
  return undefined
}

/** fork(2): a process like this one, with the same regions. It runs before its parent goes on. */
function fork(run: Run, worker: Worker, doing: Doing, child: string): number | undefined {
  if (doing.state?.kind === 'forked') {
    const { pid } = doing.state
    touchOwn(run.k, worker.task, worker.forked ? TOUCHES.forkedParentAfter : TOUCHES.forkParentAfter)
    for (const each of run.workers) if (each?.task.pid === pid) each.readyNs = Math.min(each.readyNs, now(run.k))
    return pid
  }
  const slot = run.workers.indexOf(undefined)
  const born = slot < 0 ? -EAGAIN : forkWorker(run, worker, slot, child)
  if (typeof born === 'number') return born
  doing.state = { kind: 'forked', pid: born.task.pid }
  if (reportNext(run.k, worker.task)) {
    born.readyNs = Number.POSITIVE_INFINITY
    worker.readyNs = Number.POSITIVE_INFINITY
  }
  return undefined
}

type AboutOp = OpOf<'pagemap' | 'read' | 'uffd_events'>

/** What a block asks about its own process. */
function aboutItself(run: Run, ports: Ports, worker: Worker, doing: Doing, op: AboutOp): number {
  const { ret, fields = {} } = about(run, ports, worker, op)
  Object.assign(doing.extra, fields)
  return ret
}

/** The ops that are somebody's questions about a process. */
export function about(run: Run, ports: Ports, worker: Worker, op: AboutOp): Outcome {
  spend(run.k, COST.syscall, 1)
  switch (op.op) {
    case 'read': {
      const text = ports.read(run.k, `/proc/${worker.task.pid}/${op.file}`)
      return typeof text === 'number' ? { ret: text } : { ret: text.length, fields: { text } }
    }
    case 'pagemap': {
      const region = regionOf(worker, op.region)
      if (region === undefined) return { ret: -EINVAL }
      const { offset, length } = extentOf(region, op.range)
      return { ret: 0, fields: ports.pagemap(run.k, worker.task, (region.address + offset) / PAGE_SIZE, Math.floor(length / PAGE_SIZE)) }
    }
    case 'uffd_events':
      return uffdEvents(worker)
  }
}
