/**
 * A process as such: how it begins, where it runs, what it may do, and how it ends.
 *
 *     fork   |early touches| CPUs, policy |  on its new CPU: |late touches|  ready for its first op
 */

import { COST, now, spend } from '../kernel/base/cost.ts'
import { EINVAL } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Task } from '../kernel/base/state_mm.ts'
import { cpusetCpusAllowed } from '../kernel/calls/cpuset.ts'
import { sysSetrlimit, sysSetuid } from '../kernel/calls/limits.ts'
import { prctlSetThpDisable } from '../kernel/calls/prctl.ts'
import { taskExec, taskExit, taskFork } from '../kernel/calls/task.ts'
import { uffdClose } from '../kernel/calls/userfaultfd.ts'
import { splitStart, TOUCHES, touchOwn } from './interpreter_executor.ts'
import { BUMP_START } from './interpreter_memory.ts'
import { setMempolicy } from './interpreter_policy.ts'
import { type Death, MAX_REGIONS, type OpOf, type Ports, type Region, type Run, type Start, type Worker } from './interpreter_state.ts'
import { noUffd } from './interpreter_uffd.ts'
import type { Cpus, Policy } from './program.ts'

type TaskOp = OpOf<'cpu' | 'rlimit' | 'setuid' | 'oom_score_adj' | 'clear_refs' | 'exec' | 'thp_disable' | 'write'>

export function taskOp(run: Run, ports: Ports, worker: Worker, op: TaskOp): number {
  const { task } = worker
  switch (op.op) {
    case 'cpu':
      return setAffinity(run.k, task, op.cpus)
    case 'rlimit':
      return sysSetrlimit(task, op.resource, op.bytes ?? Number.POSITIVE_INFINITY)
    case 'setuid':
      return sysSetuid(task, op.uid)
    case 'write':
      return ports.write(run.k, op.path, op.value)
    case 'clear_refs': {
      const ret = ports.write(run.k, `/proc/${task.pid}/clear_refs`, String(op.value))
      touchOwn(run.k, task, TOUCHES.clearRefs)
      return Math.min(0, ret)
    }
    case 'oom_score_adj':
      return Math.min(0, ports.write(run.k, `/proc/${task.pid}/oom_score_adj`, String(op.value)))
    case 'exec':
      return exec(run, worker, op.name ?? worker.name)
    case 'thp_disable':
      return prctlSetThpDisable(task, op.on)
  }
}

/** execve(2): the regions go with the address space. */
function exec({ k }: Run, worker: Worker, name: string): number {
  const ret = taskExec(k, worker.task, name)
  if (ret === 0) worker.regions.fill(undefined)
  return ret
}

/** sched_setaffinity(2): the CPUs named that exist and that its cpuset has; one of them must be online. */
function setAffinity(k: Kernel, task: Task, cpus: Cpus): number {
  const own = cpusetCpusAllowed(k, task)
  const allowed = k.cpus.filter(cpu => (cpus === 'any' || cpus.includes(cpu.id)) && own.includes(cpu.id))
  if (!allowed.some(cpu => cpu.online)) return -EINVAL
  task.cpusAllowed = allowed.map(cpu => cpu.id)
  return 0
}

/** What is asked for at a spawn. */
export interface Wanted {
  readonly cpus: Cpus | undefined
  readonly policy: Policy | undefined
}

/** The first process forks into the free place `slot`. @returns the new process, which has yet to start, or a negative errno. */
export function spawnWorker(run: Run, slot: number, name: string, wanted: Wanted): Worker | number {
  const { k } = run
  const init = run.file.task
  touchOwn(k, init, TOUCHES.spawnBefore)
  const task = taskFork(k, init)
  if (typeof task === 'number') return task
  touchOwn(k, init, TOUCHES.spawnParent)
  const [early, late] = splitStart(TOUCHES.spawnChild(slot))
  const regions = Array.from<Region | undefined>({ length: MAX_REGIONS })
  return addWorker(run, { task, slot, name, regions, bump: BUMP_START, starting: { early, late, ...wanted }, forked: false })
}

/** The process forks into the free place `slot`. @returns the child, with the same regions, or a negative errno. */
export function forkWorker(run: Run, parent: Worker, slot: number, name: string): Worker | number {
  const task = taskFork(run.k, parent.task, true)
  if (typeof task === 'number') return task
  touchOwn(run.k, parent.task, TOUCHES.forkParent)
  if (parent.uffd.current > 0) uffdClose(run.k, task, parent.uffd.current)
  const regions = parent.regions.map(region => region && { ...region })
  const starting: Start = { early: [], late: TOUCHES.forkChild(slot), cpus: undefined, policy: undefined }
  return addWorker(run, { task, slot, name, regions, bump: parent.bump, starting, forked: true })
}

function addWorker(run: Run, born: Pick<Worker, 'task' | 'slot' | 'name' | 'regions' | 'bump' | 'starting' | 'forked'>): Worker {
  const idle = {
    uffd: noUffd(),
    stopped: false,
    startErrno: 0,
    job: undefined,
    doing: undefined,
    begun: 0,
    exiting: false,
    death: undefined,
  }
  const worker: Worker = { kind: 'worker', readyNs: now(run.k), turn: 0, ordinal: run.nextOrdinal++, ...idle, ...born }
  run.workers[worker.slot] = worker
  run.threads.push(worker)
  return worker
}

/** What a process does before it takes its first op. An errno of its settings is the spawn's. */
export function startWorker(run: Run, worker: Worker, { early, late, cpus, policy }: Start): void {
  const { k } = run
  const { task } = worker
  touchOwn(k, task, early)
  spend(k, COST.syscall, 1)
  if (cpus !== undefined) worker.startErrno = -setAffinity(k, task, cpus)
  const ret = policy === undefined ? 0 : setMempolicy(k, task, policy)
  if (ret < 0) worker.startErrno = -ret
  if (!task.cpusAllowed.includes(k.cpu)) {
    worker.starting = { early: [], late, cpus: undefined, policy: undefined }
    return
  }
  touchOwn(k, task, late)
  worker.starting = undefined
  wakeWaiters(run, worker)
}

/** The process ends, by exit or by a signal, as far as its turn goes; whoever waits for it goes on when it is over. */
export function endWorker(run: Run, worker: Worker, death: Death): void {
  if (!taskExit(run.k, worker.task)) return
  worker.death = death
  worker.regions.fill(undefined)
  const { handler } = worker.uffd
  if (handler !== undefined) run.threads.splice(run.threads.indexOf(handler), 1)
  run.threads.splice(run.threads.indexOf(worker), 1)
  wakeWaiters(run, worker)
}

/** Controllers that wait for this process look again. */
export function wakeWaiters(run: Run, worker: Worker): void {
  for (const controller of [run.file, run.prompt]) {
    const { waiting } = controller
    const waits = waiting !== undefined && 'worker' in waiting && waiting.worker === worker
    if (waits) controller.readyNs = Math.min(controller.readyNs, now(run.k))
  }
}
