/**
 * A simulated machine and the workload on it, on one clock: run on by an op, to a moment, to the end. Plain functions
 * over state; whoever calls decides how fast wall time goes by meanwhile (worker.ts, direct.ts), or does not care (raw.ts).
 *
 *     line 1                     ns = 0       records, frames and screens count from here
 *     ──|──op──|──op──|────sleep────|──op──|──end
 *
 * The same program, machine and seed always give the same records at the same times, however the run is cut into steps.
 */
import { setFlagsFromString } from 'node:v8'
import { assert, fail } from '../kernel/base/assert.ts'
import { ENOENT, errnoName } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { bootKernel } from '../kernel/boot.ts'
import { tunables } from '../kernel/tunables.ts'
import { verify } from '../kernel/verify.ts'
import { nearestWord, UserError } from '../user_error.ts'
import {
  nextStepNs,
  type OpRecord,
  type Ports,
  type Run,
  type RunRecord,
  startRun,
  step,
  submitLine,
  takeRecords,
} from '../workload/interpreter.ts'
import { machineOf } from '../workload/machine.ts'
import { MIGRATION_TUNABLES } from '../workload/migration_knobs.ts'
import { parseLine } from '../workload/parse.ts'
import type { MachineSpec, Program } from '../workload/program.ts'
import { filesInUse, type MemoryUse, occupy } from './occupy.ts'
import { PORTS } from './ports.ts'

// The kernel's fast paths are many short functions; by default the compiler stops inlining them half way down a fault.
setFlagsFromString('--max-inlined-bytecode-size-cumulative=2500')

export interface SimulationOptions {
  /** Keys that replace those of the workload's header. */
  readonly machine?: MachineSpec
  readonly seed?: number
  /** Files written before line 1. */
  readonly settings?: readonly Setting[]
  /** Memory that is in use before line 1. */
  readonly use?: MemoryUse
  /** Recount the whole machine after every op, and stop at the first thing that does not add up. */
  readonly verify?: boolean
}

/** PATH=VALUE */
export interface Setting {
  readonly path: string
  readonly value: string
}

/** An expect that did not hold. */
export interface Failure {
  /** Line in the workload. */
  readonly line: number
  readonly text: string
  /** What was found instead, as text. */
  readonly found: string
}

export interface Simulation {
  readonly program: Program
  readonly k: Kernel
  readonly ports: Ports
  readonly run: Run
  /** How far the machine has come, in nanoseconds since line 1. */
  ns: number
  /** The expects that did not hold, the first FAILURES_KEPT of them. */
  readonly failures: Failure[]
  readonly verify: boolean
}

/** Sees each record as it comes, with the machine as it is at that moment. */
export type Watcher = (record: RunRecord) => void

/** Failed expects that are kept: enough to read, and a loop of them does not fill the memory. */
const FAILURES_KEPT = 100

/**
 * Boots the program's machine.
 * @throws UserError for a machine that cannot be, or a setting that the kernel refuses
 */
export function createSimulation(program: Program, options: SimulationOptions = {}): Simulation {
  const { seed, use } = options
  const k = bootKernel(machineOf(use === undefined ? program : withFiles(program, use), { machine: machineFor(program, options), seed }))
  for (const { path, value } of options.settings ?? []) {
    const ret = PORTS.write(k, path, value)
    if (ret < 0) throw new UserError(`--set ${path}=${value}: ${errnoName(ret)}${ret === -ENOENT ? knobLike(k, path) : ''}`)
  }
  if (use !== undefined) occupy(k, use)
  return { program, k, ports: PORTS, run: startRun(k, program, PORTS), ns: 0, failures: [], verify: options.verify ?? false }
}

const LIKE = { file: '--like', line: 1 } as const

/** The program with the files that are to be in the page cache. */
const withFiles = (program: Program, use: MemoryUse): Program => ({
  ...program,
  files: [...program.files, ...filesInUse(use).map(file => ({ ...file, where: LIKE }))],
})

/** The keys that replace those of the header: the disk has room for those files beside what the workload has there. */
function machineFor({ machine: header }: Program, { machine, use }: SimulationOptions): MachineSpec | undefined {
  const cached = use === undefined ? 0 : filesInUse(use).reduce((sum, { bytes }) => sum + bytes, 0)
  if (cached === 0) return machine
  const own = (machine?.disk ?? header.disk)?.value ?? 0
  return { ...machine, disk: { value: own + Math.ceil((cached * 9) / 8 / 2 ** 20) * 2 ** 20, where: LIKE } }
}

function knobLike(k: Kernel, path: string): string {
  const paths = [...tunables(k), ...MIGRATION_TUNABLES].map(tunable => tunable.path)
  const near = nearestWord(path, paths) ?? paths.find(knob => knob.endsWith(`/${path}`))
  return near === undefined ? '' : `: did you mean ${near}?`
}

/** Whether the workload's last line is over. */
export const hasEnded = (sim: Simulation): boolean => sim.run.ended

/**
 * Runs the machine up to `ns` after line 1, or to the end of the workload.
 * @param tired asked after each step whether to leave it at that for now
 * @returns whether it got there
 */
export function runUntil(sim: Simulation, ns: number, watch: Watcher, tired: () => boolean = () => false): boolean {
  const limit = sim.run.startNs + ns
  while (!sim.run.ended && advance(sim, limit, watch)) {
    if (!tired()) continue
    settle(sim)
    return false
  }
  if (sim.run.ended) settle(sim)
  else sim.ns = Math.max(sim.ns, ns)
  return true
}

/** When something will happen on the machine next, in nanoseconds since line 1. */
export const nextEventNs = (sim: Simulation): number => nextStepNs(sim.run) - sim.run.startNs

/** Runs the machine until the next op or expect of the workload or the prompt is over. @returns its record, undefined at the end */
export function runOp(sim: Simulation, watch: Watcher): OpRecord | undefined {
  let found: OpRecord | undefined
  while (found === undefined && !sim.run.ended) {
    mustAdvance(sim, record => {
      if (record.kind === 'op' || record.kind === 'expect') found ??= record
      watch(record)
    })
  }
  settle(sim)
  return found
}

/** Runs the workload to its last line. */
export function runToEnd(sim: Simulation, watch: Watcher): void {
  while (!sim.run.ended) mustAdvance(sim, watch)
  settle(sim)
}

/**
 * Executes one line as typed at the prompt; the machine runs on until it is over.
 * @returns its record; undefined for a blank line
 * @throws UserError when it is no op
 */
export function runLine(sim: Simulation, text: string, watch: Watcher): OpRecord | undefined {
  const workers = sim.run.workers.flatMap(worker => worker?.name ?? [])
  const statement = parseLine(text, { workers })
  if (statement === undefined) return undefined
  submitLine(sim.run, statement, sim.run.startNs + sim.ns)
  let found: OpRecord | undefined
  while (found === undefined) {
    mustAdvance(sim, record => {
      if (record.kind === 'op' || record.kind === 'expect') if (record.statement === statement || record.statement.i === 0) found ??= record
      watch(record)
    })
  }
  settle(sim)
  return found
}

function mustAdvance(sim: Simulation, watch: Watcher): void {
  const moved = advance(sim, Number.POSITIVE_INFINITY, watch)
  assert(moved, 'nothing will ever happen again, and the workload is not over')
}

/** One step. @returns false when there is none before `limit` */
function advance(sim: Simulation, limit: number, watch: Watcher): boolean {
  if (!step(sim.run, sim.ports, limit)) return false
  for (const record of takeRecords(sim.run)) {
    note(sim, record)
    if (sim.verify && record.kind === 'op') recount(sim, record)
    watch(record)
  }
  return true
}

/** The machine stands at the begin of the next step, or at the end of the last when nothing follows. */
function settle(sim: Simulation): void {
  const next = sim.run.ended ? Number.POSITIVE_INFINITY : nextStepNs(sim.run)
  sim.ns = Math.max(sim.ns, (next === Number.POSITIVE_INFINITY ? sim.k.clock[0] : next) - sim.run.startNs)
}

function recount({ k }: Simulation, { statement }: OpRecord): void {
  const wrong = verify(k)
  if (wrong.length > 0) fail(`after "${statement.text}" (line ${statement.i}): ${wrong.join('; ')}`)
}

function note(sim: Simulation, record: RunRecord): void {
  if (record.kind !== 'expect' || record.ret === 0) return
  if (sim.failures.length >= FAILURES_KEPT) return
  const value = record.fields['value']
  const { i, text } = record.statement
  sim.failures.push({ line: i, text, found: value === undefined ? 'nothing' : String(value) })
}

/** What repeats a failure: for the message of a bug. */
export function whereItWas({ run, program, k }: Simulation): string {
  const doing = run.workers.flatMap(worker => worker?.doing?.statement.text ?? [])
  const under = doing.length > 0 ? `, at work: ${doing.join('; ')}` : ''
  return `${program.file}, seed ${k.machine.seed}, line ${run.line}, ${Math.round(k.clock[0] - run.startNs)} ns${under}`
}
