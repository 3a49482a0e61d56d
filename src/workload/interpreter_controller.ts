/**
 * Who reads the lines: the workload's controller, and the prompt's. A line is over before the next one begins; while it
 * waits (for a process, for a file, for time) the controller sleeps, and looks again when it is woken.
 */
import { COST, now, spend } from '../kernel/base/cost.ts'
import { EAGAIN, EBUSY, EEXIST, EINVAL, ESRCH, ETIMEDOUT } from '../kernel/base/errno.ts'
import { compares, judge, numberErrno, pidOf, readNumber, setMarks } from './interpreter_conditions.ts'
import { cursorOver, nextStatement } from './interpreter_cursor.ts'
import { TOUCHES, touchOwn } from './interpreter_executor.ts'
import { postcopyFields, startPostcopy } from './interpreter_postcopy.ts'
import { deathFields, freeSlot, type Outcome, recordOf, reportDeaths, resultOutcome, SIGKILL } from './interpreter_records.ts'
import type { Controller, EachOp, JobWork, Line, Ports, Run, Waiting, WaitOp, Worker } from './interpreter_state.ts'
import { beginSample, endSample, systemOp, takeSample } from './interpreter_system.ts'
import { spawnWorker } from './interpreter_task.ts'
import { about } from './interpreter_worker.ts'
import { resolvePids } from './parse.ts'
import type { ControllerOp, ControllerStatement, Source, WorkerStatement } from './program.ts'

const POLL_NS = 20e6
/** How long the handler of a process is given before its events are shown. */
const DRAIN_NS = 60e6
const FOREVER = Number.POSITIVE_INFINITY
/** How long a process is waited for that may be asleep for good. */
const STUCK_NS = 60e9

type Op<Name extends ControllerOp['op']> = ControllerOp & { readonly op: Name }

/** A line that is not over: what it waits for, and until when at most. */
interface Pending {
  readonly waiting: Waiting
  readonly untilNs: number
}
/** What a line has come to. */
type Turnout = Outcome | Pending

const wait = (waiting: Waiting, untilNs: number): Pending => ({ waiting, untilNs })
const fails = (errno: number): Outcome => ({ ret: -errno })

/** One slice of a controller: a line begins, or the one that waits is looked at again. */
export function runController(run: Run, ports: Ports, controller: Controller): void {
  const line = controller.line ?? takeLine(run, controller)
  if (line === undefined) {
    endOfLines(run, controller)
    return
  }
  const turnout =
    controller.waiting === undefined ? execute(run, ports, controller, line) : lookAgain(run, ports, controller, line, controller.waiting)
  const pending = 'waiting' in turnout
  controller.line = pending ? line : undefined
  controller.waiting = pending ? turnout.waiting : undefined
  if (pending) controller.readyNs = turnout.untilNs
  else conclude(run, controller, line, turnout)
}

function takeLine(run: Run, controller: Controller): Line | undefined {
  const written = nextStatement(controller.cursor)
  if (written === undefined) return undefined
  if (controller === run.file) run.line = written.i
  reportDeaths(run)
  spend(run.k, COST.syscall, 1)
  const statement = written.kind === 'deferred' ? resolvePids(written, name => pidOf(run, name)) : written
  return { statement, startNs: now(run.k) }
}

function endOfLines(run: Run, controller: Controller): void {
  controller.readyNs = FOREVER
  if (controller !== run.file) return
  run.line++
  reportDeaths(run)
  run.ended = true
  run.records.push({ kind: 'end', ns: now(run.k) })
}

/** The line is over: it is recorded, and `expect` may ask about it. */
function conclude(run: Run, controller: Controller, { statement, startNs }: Line, outcome: Outcome): void {
  const op = recordOf(statement, startNs, { ...outcome, fields: { elapsed_ns: now(run.k) - startNs, ...outcome.fields } })
  controller.readyNs = 0
  run.records.push(op)
  if (op.kind === 'op') controller.last = op
}

function execute(run: Run, ports: Ports, controller: Controller, line: Line): Turnout {
  const { statement } = line
  switch (statement.kind) {
    case 'expect': {
      const { held, found } = judge(run, ports, statement, controller.last)
      return { kind: 'expect', ret: held ? 0 : -1, fields: found }
    }
    case 'mark':
      setMarks(run, ports)
      return { ret: 0 }
    case 'controller':
      return controllerOp(run, ports, statement, statement.op)
    case 'worker':
      return workerOp(run, ports, statement)
    case 'bg':
      return background(run, statement, statement.worker, { kind: 'op', op: statement.op })
    case 'bg-block':
      return background(run, statement, statement.worker, { kind: 'block', cursor: cursorOver(statement.body) })
  }
}

const workerNamed = (run: Run, name: string): Worker | undefined => run.workers.find(worker => worker?.name === name)

const isBusy = ({ job, starting }: Worker) => starting !== undefined || (job !== undefined && !job.over)

// ------------------------------------------------------------------------------------------- ops of processes

function workerOp(run: Run, ports: Ports, statement: WorkerStatement): Turnout {
  const worker = workerNamed(run, statement.worker)
  if (worker === undefined) return fails(ESRCH)
  const op: EachOp = statement.op
  if (op.op === 'uffd_events') return wait({ kind: 'drain', worker }, now(run.k) + DRAIN_NS)
  if (op.op === 'pagemap' || op.op === 'read') return about(run, ports, worker, op)
  if (isBusy(worker)) return fails(EBUSY)
  giveJob(run, worker, statement, false, { kind: 'op', op })
  const deadlineNs = now(run.k) + statement.timeoutNs
  return wait({ kind: 'job', worker, deadlineNs }, deadlineNs)
}

function background(run: Run, statement: Source, name: string, what: JobWork): Turnout {
  const worker = workerNamed(run, name)
  if (worker === undefined) return fails(ESRCH)
  if (isBusy(worker)) return fails(EBUSY)
  giveJob(run, worker, statement, true, what)
  return { ret: 0 }
}

function giveJob(run: Run, worker: Worker, statement: Source, isBackground: boolean, what: JobWork): void {
  worker.job = { statement, background: isBackground, what, last: undefined, record: undefined, over: false }
  worker.readyNs = now(run.k)
}

// ------------------------------------------------------------------------------------------- the controller's own ops

function controllerOp(run: Run, ports: Ports, statement: ControllerStatement, op: ControllerOp): Turnout {
  switch (op.op) {
    case 'sleep':
      return wait({ kind: 'time' }, now(run.k) + op.ns)
    case 'sample':
      return wait({ kind: 'refresh', op }, now(run.k) + beginSample(run, ports, op))
    case 'wait':
      return beginPoll(run, ports, op)
    case 'spawn':
      return spawn(run, op)
    case 'fork':
      return fork(run, statement, op)
    case 'exit':
    case 'kill':
      return end(run, op.worker, op.op === 'kill')
    case 'join':
      return join(run, op)
    case 'postcopy':
      return migrate(run, op)
    case 'postcopy_join':
      return joinMigration(run, op)
    default:
      return systemOp(run, ports, op)
  }
}

function beginPoll(run: Run, ports: Ports, op: WaitOp): Turnout {
  const first = readNumber(run.k, ports, op.file)
  if (first === undefined) return fails(numberErrno(run.k, ports, op.file))
  return poll(run, ports, now(run.k), { kind: 'poll', op, first })
}

function poll(run: Run, ports: Ports, startNs: number, waiting: Waiting & { readonly kind: 'poll' }): Turnout {
  const { op, first } = waiting
  spend(run.k, COST.syscall, 1)
  const value = readNumber(run.k, ports, op.file) ?? first
  const reached = compares(value, op.compare, op.relative ? first + op.value : op.value)
  if (!reached && now(run.k) - startNs <= op.timeoutNs) return wait(waiting, now(run.k) + POLL_NS)
  return { ret: reached ? 0 : -ETIMEDOUT, fields: { start: first, value } }
}

function spawn(run: Run, op: Op<'spawn'>): Turnout {
  if (workerNamed(run, op.worker) !== undefined) return fails(EEXIST)
  const slot = run.workers.indexOf(undefined)
  if (slot < 0) return fails(EAGAIN)
  const worker = spawnWorker(run, slot, op.worker, op)
  return typeof worker === 'number' ? { ret: worker } : wait({ kind: 'start', worker, parent: undefined }, FOREVER)
}

function fork(run: Run, statement: Source, op: Op<'fork'>): Turnout {
  const parent = workerNamed(run, op.worker)
  if (parent === undefined) return fails(ESRCH)
  if (workerNamed(run, op.child) !== undefined) return fails(EEXIST)
  if (!run.workers.includes(undefined)) return fails(EAGAIN)
  if (isBusy(parent)) return fails(EBUSY)
  giveJob(run, parent, statement, false, { kind: 'fork', child: op.child })
  const deadlineNs = now(run.k) + STUCK_NS
  return wait({ kind: 'job', worker: parent, deadlineNs }, deadlineNs)
}

/** exit or kill: over when the process is gone. */
function end(run: Run, name: string, kill: boolean): Turnout {
  const worker = workerNamed(run, name)
  if (worker === undefined) return fails(ESRCH)
  if (kill) worker.task.killed = SIGKILL
  else worker.exiting = true
  if (kill || !isBusy(worker)) worker.readyNs = now(run.k)
  const deadlineNs = now(run.k) + STUCK_NS
  return wait({ kind: 'end', worker, deadlineNs }, deadlineNs)
}

function join(run: Run, op: Op<'join'>): Turnout {
  const worker = workerNamed(run, op.worker)
  if (worker?.job === undefined || !worker.job.background) return fails(ESRCH)
  const deadlineNs = now(run.k) + op.timeoutNs
  return wait({ kind: 'job', worker, deadlineNs }, worker.job.over ? now(run.k) : deadlineNs)
}

function migrate(run: Run, op: Op<'postcopy'>): Turnout {
  const [source, target] = [workerNamed(run, op.worker), workerNamed(run, op.target)]
  if (source === undefined || target === undefined) return fails(ESRCH)
  const migration = startPostcopy(run, source, target, op)
  return migration === undefined
    ? fails(EINVAL)
    : wait({ kind: 'migration', migration, until: 'postcopy', deadlineNs: FOREVER }, now(run.k))
}

function joinMigration(run: Run, op: Op<'postcopy_join'>): Turnout {
  const migration = run.migrations.findLast(({ target }) => target.name === op.worker)
  if (migration === undefined) return fails(ESRCH)
  return wait({ kind: 'migration', migration, until: 'done', deadlineNs: now(run.k) + op.timeoutNs }, now(run.k))
}

// ------------------------------------------------------------------------------------------- looking again

/** How often the state of a migration is looked at. */
const LOOK_NS = 1e6

function lookAtMigration(run: Run, waiting: Waiting & { readonly kind: 'migration' }): Turnout {
  const { migration, until, deadlineNs } = waiting
  const { phase, figures } = migration
  const over = phase === 'done' || (until === 'postcopy' && phase === 'postcopy' && now(run.k) >= figures.switchNs + figures.downtimeNs)
  const fields = postcopyFields(run.k, migration)
  if (over) return { ret: until === 'done' ? 0 : figures.left, fields }
  return now(run.k) < deadlineNs ? wait(waiting, Math.min(deadlineNs, now(run.k) + LOOK_NS)) : { ret: -ETIMEDOUT, fields }
}

function lookAgain(run: Run, ports: Ports, controller: Controller, { startNs }: Line, waiting: Waiting): Turnout {
  switch (waiting.kind) {
    case 'time':
      return { ret: 0 }
    case 'refresh': {
      const { name, slab, light } = waiting.op
      return wait({ kind: 'sample', sample: { name, slab, light } }, now(run.k) + takeSample(run, { name, slab, light }))
    }
    case 'sample':
      return endSample(run, waiting.sample)
    case 'poll':
      return poll(run, ports, startNs, waiting)
    case 'drain':
      return about(run, ports, waiting.worker, { op: 'uffd_events' })
    case 'job':
      return lookAtJob(run, startNs, waiting)
    case 'start':
      return lookAtStart(run, controller, waiting)
    case 'end':
      return lookAtEnd(run, waiting)
    case 'migration':
      return lookAtMigration(run, waiting)
  }
}

/** A process that sleeps for who handles its faults may never end: nobody waits for it for ever. */
function lookAtEnd(run: Run, waiting: Waiting & { readonly kind: 'end' }): Turnout {
  const { worker, deadlineNs } = waiting
  if (worker.death !== undefined) {
    free(run, worker)
    return { ret: 0 }
  }
  if (now(run.k) < deadlineNs) return wait(waiting, deadlineNs)
  if (worker.task.wait === undefined) return wait({ ...waiting, deadlineNs: now(run.k) + STUCK_NS }, now(run.k) + STUCK_NS)
  return { worker: worker.name, ret: -ETIMEDOUT, fields: { busy: true } }
}

function lookAtJob(run: Run, startNs: number, waiting: Waiting & { readonly kind: 'job' }): Turnout {
  const { worker, deadlineNs } = waiting
  const { death, job, doing, name } = worker
  const soFar = { elapsed_ns: now(run.k) - startNs, progress: doing?.progress ?? 0 }
  if (death !== undefined) {
    free(run, worker)
    return { worker: name, ret: -ESRCH, fields: { ...deathFields(death), ...soFar } }
  }
  if (job?.over === true) {
    const child = job.what.kind === 'fork' && (job.last?.ret ?? -1) > 0 ? workerNamed(run, job.what.child) : undefined
    if (child !== undefined) return wait({ kind: 'start', worker: child, parent: worker }, now(run.k))
    worker.job = undefined
    return job.last === undefined ? { worker: name, ret: 0 } : resultOutcome(worker, job.last)
  }
  if (now(run.k) < deadlineNs) return wait(waiting, deadlineNs)
  if (job !== undefined) job.background = true
  return { worker: name, ret: -ETIMEDOUT, fields: { busy: true, ...soFar } }
}

/** The name of a process that has ended is free again. */
function free(run: Run, worker: Worker): void {
  if (run.workers[worker.slot] === worker) freeSlot(run, worker)
}

/** A process that was spawned has started; of one that was forked the parent's fork is the result. */
function lookAtStart(run: Run, controller: Controller, waiting: Waiting & { readonly kind: 'start' }): Turnout {
  const { worker, parent } = waiting
  if (worker.starting !== undefined && worker.death === undefined) return wait(waiting, FOREVER)
  if (worker.death !== undefined && parent === undefined) {
    free(run, worker)
    return fails(ETIMEDOUT)
  }
  if (parent === undefined) return { ret: worker.startErrno === 0 ? worker.task.pid : -worker.startErrno }
  const result = parent.job?.last
  parent.job = undefined
  touchOwn(run.k, controller.task, TOUCHES.forkInit)
  return result === undefined ? fails(ESRCH) : resultOutcome(parent, result)
}
