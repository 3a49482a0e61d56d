/**
 * Runs a workload on the simulated kernel, a slice of virtual time at a time.
 *
 *     CPU 0   |ctl|--A--|   |ctl|--A--|--C--|--A--|        each CPU runs one at a time, at most SLICE_NS on end
 *     CPU 1         |------B-------|    |---kswapd---|
 *                   ^ whoever can begin earliest is next
 *
 * Each CPU has its own position in time (Cpu.nowNs). A step picks the thread (a controller, a process) or kernel daemon that can begin
 * earliest, sets the kernel's clock to that moment, and lets it work until its slice is over, it has to wait, or somebody else's time has
 * come. Of system calls those are divided that can go on where they stopped (turnOver: mmap that populates, munmap, mremap, madvise, mlock,
 * fork, ftruncate, fallocate, exit). What a thread waits in place (the disk, a rate) is not charged to its CPU, so others can use it
 * meanwhile.
 *
 * A step ends with the line that a controller executed, so whoever takes the records sees the machine as it was then. The
 * order is that of the numbers alone: equals run in the order in which they ran last.
 */
import { must } from '../kernel/base/assert.ts'
import { COST, spend, switchAccount } from '../kernel/base/cost.ts'
import { JIFFY_NS } from '../kernel/base/jiffies.ts'
import { psiTurn } from '../kernel/base/psi.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Task } from '../kernel/base/state_mm.ts'
import { settleObjects } from '../kernel/calls/objects.ts'
import { nextNumaTickNs, taskTickNuma } from '../kernel/daemons/numa_balancing.ts'
import { nextDaemonNs, runDaemons } from '../kernel/kernel.ts'
import { forgetMoves } from '../kernel/reclaim/migrate_window.ts'
import { setMarks } from './interpreter_conditions.ts'
import { runController } from './interpreter_controller.ts'
import { cursorOver } from './interpreter_cursor.ts'
import { runMigration } from './interpreter_postcopy.ts'
import { type Controller, MAX_WORKERS, type Ports, type Run, type RunRecord, type Thread, type Worker } from './interpreter_state.ts'
import { runHandler, wakeUffd } from './interpreter_uffd.ts'
import { runWorker } from './interpreter_worker.ts'
import type { Program, Statement } from './program.ts'

export type {
  DeathRecord,
  EndRecord,
  Field,
  Fields,
  OpRecord,
  Ports,
  Run,
  RunRecord,
  Sample,
  SampleRecord,
  Worker,
} from './interpreter_state.ts'

/** How far ahead of others a process goes that does nothing but use what it has. */
const QUIET_NS = 100e6

/** How long a thread keeps a CPU that others want too. */
const SLICE_NS = 1e6

/** How long a system call that can be divided goes on for when nobody wants its CPU: who looks at the machine from outside sees it at work. */
const LOOK_NS = 50e6

/** A run about to execute its first line, now. */
export function startRun(k: Kernel, program: Program, ports: Ports): Run {
  const init = must(k.tasks.get(1), 'the machine has a first process')
  init.cpusAllowed = [0]
  const startNs = k.clock[0]
  const file = controller(init, startNs, program.statements)
  const prompt = controller(init, Number.POSITIVE_INFINITY, [])
  const run: Run = {
    k,
    program,
    startNs,
    file,
    prompt,
    workers: Array.from<Worker | undefined>({ length: MAX_WORKERS }),
    threads: [prompt, file],
    migrations: [],
    former: [],
    lastOn: [],
    turn: 1,
    quietNs: startNs,
    nextOrdinal: 1,
    marks: new Map(),
    cgroups: [],
    cgroupsUsed: false,
    records: [],
    line: 0,
    ended: false,
  }
  setMarks(run, ports)
  return run
}

const controller = (task: Task, readyNs: number, body: readonly Statement[]): Controller => ({
  kind: 'controller',
  task,
  readyNs,
  turn: 0,
  cursor: cursorOver(body),
  line: undefined,
  waiting: undefined,
  last: undefined,
})

/** Has the prompt execute a line next, not before `ns`. */
export function submitLine(run: Run, statement: Statement, ns: number): void {
  run.prompt.cursor.frames.unshift({ body: [statement], at: 0, left: 0 })
  if (run.prompt.line === undefined) run.prompt.readyNs = ns
}

/** The records since they were taken last. */
export function takeRecords(run: Run): readonly RunRecord[] {
  const taken = run.records
  if (taken.length > 0) run.records = []
  return taken
}

/** Who runs next, where, and from when; and when somebody else wants to. */
interface Turn {
  readonly thread: Thread
  readonly cpu: number
  readonly startNs: number
  readonly othersNs: number
}

/**
 * Lets whoever is earliest run. What begins before `limitNs` is not cut off there, so what happens does not depend on it.
 * @returns false, having done nothing, when nobody wants to before `limitNs`
 */
export function step(run: Run, ports: Ports, limitNs: number): boolean {
  const { k } = run
  const turn = earliest(run)
  const claim = turn && { cpu: turn.cpu, sinceNs: turn.thread.readyNs, untilNs: turn.startNs + SLICE_NS }
  const daemonNs = nextDaemonNs(k, claim)
  if (Math.min(daemonNs, turn?.startNs ?? Number.POSITIVE_INFINITY) >= limitNs) return false
  if (turn === undefined || daemonNs <= turn.startNs) {
    watchMoves(run, undefined)
    runDaemons(k, daemonNs, claim)
    wakeKilled(run, daemonNs)
  } else {
    watchMoves(run, turn)
    // Beside pages that are being moved no pass is like the one before.
    run.quietNs = k.moves.byPage.size > 0 ? turn.startNs : Math.min(turn.othersNs, daemonNs)
    k.clock[1] = Math.max(turn.startNs + SLICE_NS, Math.min(run.quietNs, turn.startNs + LOOK_NS))
    runTurn(run, ports, turn, Math.min(turn.startNs + SLICE_NS, daemonNs))
    k.clock[1] = Number.POSITIVE_INFINITY
    wakeKilled(run, k.clock[0])
    if (k.uffd.woken.length > 0 || k.uffd.told.length > 0) wakeUffd(run)
  }
  return true
}

/** When the next step would begin; Infinity when nothing will ever happen again. */
export const nextStepNs = (run: Run): number => Math.min(nextDaemonNs(run.k), earliest(run)?.startNs ?? Number.POSITIVE_INFINITY)

function earliest(run: Run): Turn | undefined {
  let best: Thread | undefined
  let bestCpu = 0
  let bestNs = Number.POSITIVE_INFINITY
  for (const thread of run.threads) {
    if (rests(thread)) continue
    const cpu = cpuFor(run.k, thread)
    const startNs = Math.max(thread.readyNs, run.k.cpus[cpu].nowNs)
    if (best !== undefined && (startNs > bestNs || (startNs === bestNs && thread.turn > best.turn))) continue
    best = thread
    bestCpu = cpu
    bestNs = startNs
  }
  return best && { thread: best, cpu: bestCpu, startNs: bestNs, othersNs: nextOther(run, best, bestCpu) }
}

/** It has nothing to do, or its control group is frozen. */
const rests = (thread: Thread): boolean =>
  thread.readyNs === Number.POSITIVE_INFINITY || (thread.kind === 'worker' && thread.task.frozen && thread.task.killed === 0)

/** When somebody other than the thread, which is about to run on that CPU, does something that it could notice. */
function nextOther(run: Run, next: Thread, nextCpu: number): number {
  let othersNs = Number.POSITIVE_INFINITY
  for (const thread of run.threads) {
    if (thread === next || rests(thread)) continue
    const cpu = cpuFor(run.k, thread)
    const startNs = Math.max(thread.readyNs, run.k.cpus[cpu].nowNs)
    othersNs = Math.min(othersNs, isQuiet(thread) && cpu !== nextCpu ? startNs + QUIET_NS : startNs)
  }
  return othersNs
}

/** Windows of moves that are over by now are forgotten; and from when on others than who runs next could come upon new ones. */
function watchMoves({ k, threads }: Run, next: Turn | undefined): void {
  const { moves } = k
  moves.watchedNs = Number.POSITIVE_INFINITY
  if (k.cpus.length === 1) return
  if (next !== undefined) forgetMoves(k, next.startNs)
  for (const thread of threads) {
    if (thread === next?.thread || !touches(thread) || rests(thread)) continue
    const cpu = cpuFor(k, thread)
    if (cpu !== next?.cpu) moves.watchedNs = Math.min(moves.watchedNs, Math.max(thread.readyNs, k.cpus[cpu].nowNs))
  }
}

const touches = (thread: Thread): boolean =>
  thread.kind === 'worker' && (thread.doing?.op.op === 'touch' || thread.doing?.op.op === 'check')

/** Whether all it does is to touch memory that it has. */
const isQuiet = (thread: Thread): boolean =>
  thread.kind === 'worker' && thread.doing?.state?.kind === 'touch' && thread.doing.state.pacing === undefined && thread.doing.state.quiet

/**
 * The CPU where the thread can go on earliest: the one it ran on last, unless another is free sooner. Who wakes looks at CPUs of its node only
 * (select_idle_sibling); those of others take it over when it would wait for a tick or longer (newidle_balance, rebalance_domains).
 */
function cpuFor(k: Kernel, { task, readyNs }: Thread): number {
  const last = k.cpus[task.cpu]
  const stay = last.online && task.cpusAllowed.includes(task.cpu)
  if (stay && last.nowNs <= readyNs) return task.cpu
  let best = stay ? task.cpu : -1
  let bestNs = stay ? last.nowNs : Number.POSITIVE_INFINITY
  for (const cpu of task.cpusAllowed) {
    const { online, node, nowNs } = k.cpus[cpu]
    const ns = stay && node !== last.node ? Math.max(nowNs, readyNs) + JIFFY_NS : nowNs
    if (!online || ns >= bestNs) continue
    best = cpu
    bestNs = ns
  }
  return best < 0 ? fallBack(k, task) : best
}

/** When all CPUs that a task may use are offline it may use any from now on, and goes on on the first (select_fallback_rq). */
function fallBack(k: Kernel, task: Task): number {
  const first = k.cpus.findIndex(cpu => cpu.online)
  task.cpusAllowed = k.cpus.map(cpu => cpu.id)
  task.cpu = first
  return first
}

function runTurn(run: Run, ports: Ports, { thread, cpu, startNs }: Turn, untilNs: number): void {
  const { k } = run
  const { task } = thread
  k.cpu = cpu
  k.current = task
  k.clock[0] = startNs
  k.needResched = false
  task.cpu = cpu
  const readyNs = thread.readyNs
  const ioNs = k.costNs[COST.io_wait]
  thread.readyNs = startNs
  thread.turn = run.turn++
  const waited = waitedNs(k)
  switchAccount(k, task.costNs)
  if (run.lastOn[cpu] !== thread) spend(k, COST.context_switch, 1)
  run.lastOn[cpu] = thread
  if (task.mm !== undefined) task.mm.lruGen.used = -1
  run.quietNs = Math.min(run.quietNs, nextNumaTickNs(k, task))
  if (thread.kind === 'worker') taskTickNuma(k, task)
  if (thread.kind === 'controller') runController(run, ports, thread)
  else if (thread.kind === 'handler') runHandler(run, thread, untilNs)
  else if (thread.kind === 'migration') runMigration(run, ports, thread)
  else runWorker(run, ports, thread, untilNs)
  settleObjects(k)
  switchAccount(k, undefined)
  const endNs = k.clock[0]
  const busyNs = endNs - startNs - (waitedNs(k) - waited)
  task.ranNs += busyNs
  const others = run.threads.some(other => other !== thread && other.task.cpu === cpu && other.readyNs <= startNs)
  psiTurn(k, cpu, task.cgroup, { ready: startNs - readyNs, busy: busyNs, io: k.costNs[COST.io_wait] - ioNs }, !others)
  k.cpus[cpu].nowNs = Math.max(k.cpus[cpu].nowNs, startNs + busyNs)
  thread.readyNs = Math.max(thread.readyNs, endNs)
}

/** Time that threads have passed without using their CPU. */
const waitedNs = (k: Kernel): number => k.costNs[COST.idle] + k.costNs[COST.io_wait] + k.costNs[COST.migration_wait]

/** Who was sent a deadly signal does not sleep on. */
function wakeKilled(run: Run, ns: number): void {
  for (const worker of run.workers)
    if (worker !== undefined && worker.task.killed !== 0 && worker.death === undefined) worker.readyNs = Math.min(worker.readyNs, ns)
}
