/**
 * The simulated machine as a Source shows it: the files of a frame, single files, writes, lines of the prompt.
 *
 * A frame holds the base files, every knob, what is watched, and what only a simulation knows under /mmtop/ (see
 * sample/source.ts). Reading costs the machine nothing: it is looked at from outside.
 */
import { COST_NAMES } from '../kernel/base/cost.ts'
import { errnoName } from '../kernel/base/errno.ts'
import type { Zone } from '../kernel/base/state.ts'
import type { Daemon } from '../kernel/base/state_shared.ts'
import { ZONE_NAMES } from '../kernel/base/units.ts'
import { CGROUP_ROOT, cgroupPath, cgroupTree } from '../kernel/calls/cgroup.ts'
import { daemonsOf } from '../kernel/kernel.ts'
import { LOCK_LEVELS } from '../kernel/spaces/pt_lock.ts'
import { tunables } from '../kernel/tunables.ts'
import { uffdFiles } from '../procfs/pid/fdinfo.ts'
import { procReadBytes } from '../procfs/tree.ts'
import { basePaths } from '../sample/files.ts'
import { type Grown, happened, newGrown } from '../sample/happenings.ts'
import type { Answer, EventKind, Frame, Tunable } from '../sample/source.ts'
import { UserError } from '../user_error.ts'
import { complete } from '../workload/complete.ts'
import type { OpRecord, RunRecord } from '../workload/interpreter.ts'
import { postcopyFields } from '../workload/interpreter_postcopy.ts'
import { MIGRATION_TUNABLES } from '../workload/migration_knobs.ts'
import type { Program } from '../workload/program.ts'
import { createSimulation, runLine, type Simulation, type SimulationOptions } from './simulation.ts'
import { uffdLines, waitingLines } from './uffd_lines.ts'

/** Lines of /mmtop/events in one frame; of more, the first ones give way to a note. */
const EVENTS_MAX = 200

export interface Watched {
  readonly sim: Simulation
  readonly tunables: readonly Tunable[]
  /** Files wanted beside the base ones. */
  paths: readonly string[]
  /** Lines of /mmtop/events since the last frame, and how many were dropped. */
  events: string[]
  dropped: number
  /** CPU time of each kernel thread at the last frame. */
  readonly ran: Map<string, number>
  /** What the counters were at the last frame that tell of events. */
  readonly grown: Grown
  /** Time of the last frame. */
  lastNs: number
}

/** @throws UserError as createSimulation does */
export function watchSimulation(program: Program, options: SimulationOptions): Watched {
  const sim = createSimulation(program, options)
  return {
    sim,
    tunables: [...tunables(sim.k), ...MIGRATION_TUNABLES],
    paths: [],
    events: [],
    dropped: 0,
    ran: new Map(),
    grown: newGrown(),
    lastNs: -1,
  }
}

/** Notes what happened, for the next frame. */
export function noteRecord(watched: Watched, record: RunRecord): void {
  const line = eventLine(watched.sim, record)
  if (line === undefined) return
  watched.events.push(line)
  if (watched.events.length <= EVENTS_MAX) return
  watched.events.shift()
  watched.dropped++
}

function eventLine(sim: Simulation, record: RunRecord): string | undefined {
  const event = (ns: number, kind: EventKind, text: string) => `${Math.floor(ns - sim.run.startNs)} ${kind} ${text}`
  if (record.kind === 'sample') return undefined
  if (record.kind === 'end') return event(record.ns, 'note', 'the workload is over')
  if (record.kind === 'death')
    return event(
      record.ns,
      'kill',
      `${record.worker} died: ${'signal' in record.death ? record.death.signal : `exit ${record.death.exit}`}`,
    )
  if (record.kind === 'expect')
    return record.ret === 0
      ? undefined
      : event(record.startNs, 'expect', `${record.statement.text}: found ${record.fields['value'] ?? 'nothing'}`)
  return event(record.startNs, eventKind(record), describe(record))
}

const KNOB_LINE = /^(\S+ )?write \//

function eventKind(record: OpRecord): EventKind {
  if (record.ret < 0 || record.fields['signal'] !== undefined) return 'error'
  return KNOB_LINE.test(record.statement.text) ? 'knob' : 'op'
}

/** An op and its result in a line. */
function describe({ statement, ret, err, fields }: OpRecord): string {
  const { signal, pages, present, swapped, softdirty } = fields
  if (err !== undefined || signal !== undefined) return `${statement.text} = ${err ?? String(signal)}`
  if (typeof softdirty === 'number')
    return `${statement.text} = ${pages} pages, ${present} present, ${swapped} swapped, ${softdirty} soft-dirty (${mib(softdirty)} MiB of ${mib(Number(pages))})`
  // What a write returns is the length of its text.
  return ret === 0 || KNOB_LINE.test(statement.text) ? statement.text : `${statement.text} = ${ret}`
}

const mib = (pages: number): number => Math.round(pages / 25.6) / 10

/** Control groups that a frame shows at most. */
const GROUPS_MAX = 64

/** Paths of control groups below the mount point, parents first. */
const groupPaths = (k: Simulation['k']): string[] =>
  cgroupTree(k, CGROUP_ROOT)
    .slice(1, 1 + GROUPS_MAX)
    .map(({ id }) => cgroupPath(k, id).slice(1))

/**
 * The next moment for a frame after `ns`: a multiple of the interval, or one that is wanted besides.
 * @param moments ascending; those that have passed are taken out
 */
export function nextMoment(ns: number, intervalNs: number, moments: number[]): number {
  while (moments.length > 0 && moments[0] <= ns) moments.shift()
  const next = (Math.floor(ns / intervalNs) + 1) * intervalNs
  return Math.min(next, moments[0] ?? next)
}

/** The machine as it is now. Its time is later than the last frame's. */
export function takeFrame(watched: Watched): Frame {
  const { sim } = watched
  const ns = Math.max(Math.floor(sim.ns), watched.lastNs + 1)
  watched.lastNs = ns
  look(sim)
  const { k } = sim
  const shape = {
    nodes: k.nodes.map(node => node.id),
    hugepageSizesKb: k.hugetlb.hstates.map(({ sizeKb }) => sizeKb),
    pids: [...k.tasks.keys()],
    cgroups: groupPaths(k),
  }
  const files = new Map<string, string>()
  for (const path of [...basePaths(shape), ...watched.tunables.map(({ path }) => path), ...watched.paths]) {
    const text = sim.ports.read(k, path)
    if (typeof text === 'string') files.set(path, text)
  }
  for (const [path, text] of uffdFiles(k)) files.set(path, text)
  const seen = happened(watched.grown, files.get('/proc/vmstat') ?? '', ns, TOLD)
  for (const [name, lines] of Object.entries(ownFiles(watched, seen))) files.set(`/mmtop/${name}`, lines.map(line => `${line}\n`).join(''))
  watched.events = []
  watched.dropped = 0
  return { ns, files }
}

/** Stands on CPU 0 at the simulation's moment, as no task: what is read then is as of now. */
function look(sim: Simulation): void {
  sim.k.cpu = 0
  sim.k.current = undefined
  sim.k.clock[0] = sim.run.startNs + sim.ns
}

/** Kinds of events that the kernel tells itself. */
const TOLD: readonly EventKind[] = ['oom']

/** @param seen events that only counters tell of */
function ownFiles(watched: Watched, seen: readonly string[]): Record<string, readonly string[]> {
  const { sim } = watched
  const workers = sim.run.workers.flatMap(worker => (worker === undefined || worker.death !== undefined ? [] : [worker]))
  const { program, k } = sim
  return {
    machine: [
      `title ${titleOf(program)}`,
      `workload ${program.file}`,
      `seed ${k.machine.seed}`,
      'model Linux 6.1 model',
      ...(program.machineText === undefined ? [] : [program.machineText]),
    ],
    tasks: workers.map(({ task, name }) => `${task.pid} ${task.minflt} ${task.majflt} ${name}`),
    activity: workers.map(
      ({ task, doing, name }) => `${task.pid} ${(doing?.statement.text ?? 'idle').replace(new RegExp(`^(bg )?${name} `), '')}`,
    ),
    events: [
      ...(watched.dropped > 0 ? [`${Math.floor(sim.ns)} note ${watched.dropped} events before these are not shown`] : []),
      ...watched.events,
      ...kernelEvents(sim),
      ...seen,
    ],
    daemons: daemons(sim).map(
      daemon => `${daemon.name} ${daemon.node < 0 ? '-' : daemon.node} ${hasRun(watched, daemon) ? 'running' : 'sleeping'}`,
    ),
    traffic: k.traffic.on
      ? k.nodes.flatMap(from => [
          ...k.nodes.map(to => `N${from.id}.N${to.id} ${k.traffic.bytes[from.id * k.nodes.length + to.id]}`),
          `N${from.id}.limit ${Math.round(k.traffic.limit[from.id] * 1e9)}`,
        ])
      : [],
    locks: [...ptLockLines(k), ...k.zones.flatMap(zoneLockLines)],
    postcopy: postcopyLines(sim),
    userfaultfd: uffdLines(k),
    waiting: waitingLines(k),
    costs: COST_NAMES.map((name, i) => `${name} ${Math.round(k.costNs[i])}`),
    accounts: [
      ...[...k.tasks.values()].flatMap(({ pid, costNs }) => accountLine(String(pid), costNs)),
      ...sim.run.former.flatMap(({ name, costNs }) => accountLine(`${name}(ended)`, costNs)),
      ...daemonsOf(k).flatMap(({ name, costNs }) => accountLine(name, costNs)),
    ],
  }
}

const ptLockLines = ({ ptLocks }: Simulation['k']): string[] =>
  LOCK_LEVELS.flatMap((level, i) => [
    `${level}_contended ${Math.round(ptLocks.contended[i])}`,
    `${level}_waited_ns ${Math.round(ptLocks.waitedNs[i])}`,
  ])

/** Who spent how many nanoseconds on what; nothing for who has done nothing. */
function accountLine(who: string, costNs: Float64Array): string[] {
  const spent = COST_NAMES.flatMap((name, i) => (costNs[i] < 1 ? [] : `${name}=${Math.round(costNs[i])}`))
  return spent.length === 0 ? [] : [`${who} ${spent.join(' ')}`]
}

/** What became of the lock of a zone's free lists; nothing for a zone without memory. */
function zoneLockLines({ lock, node, type, presentPages }: Zone): string[] {
  if (lock === undefined || presentPages === 0) return []
  const { taken, contended, heldNs, waitedNs } = lock.total
  const name = `N${node}.${ZONE_NAMES[type]}`
  return [
    `${name}_taken ${taken}`,
    `${name}_contended ${Math.round(contended)}`,
    `${name}_held_ns ${Math.round(heldNs)}`,
    `${name}_waited_ns ${Math.round(waitedNs)}`,
  ]
}

/** The latest live migration, if there was any. */
function postcopyLines({ run, k }: Simulation): string[] {
  const migration = run.migrations.at(-1)
  return migration === undefined ? [] : Object.entries(postcopyFields(k, migration)).map(([key, value]) => `${key} ${value}`)
}

export const titleOf = (program: Program): string => program.title ?? program.file.replace(/^.*\//, '').replace(/\.[^.]*$/, '')

const kernelEvents = ({ k, run }: Simulation): string[] =>
  k.events.splice(0).map(({ ns, kind, text }) => `${Math.floor(ns - run.startNs)} ${kind} ${text}`)

const daemons = ({ k }: Simulation): readonly Daemon[] => [
  ...k.nodes.flatMap(node => [node.kswapd, node.kcompactd]),
  k.khugepaged.daemon,
  k.ksm.daemon,
]

/** Whether the thread used a CPU since the last frame. */
function hasRun({ ran }: Watched, { name, ranNs }: Daemon): boolean {
  const before = ran.get(name) ?? 0
  ran.set(name, ranNs)
  return ranNs > before
}

/** One file, now. */
export function readNow({ sim }: Watched, path: string): string | undefined {
  look(sim)
  const text = sim.ports.read(sim.k, path)
  return typeof text === 'string' ? text : undefined
}

/** Bytes of a file of numbers, now. */
export function bytesNow({ sim }: Watched, path: string, position: number, count: number): Uint8Array | undefined {
  look(sim)
  const bytes = procReadBytes(sim.k, undefined, path, position, count)
  return typeof bytes === 'number' ? undefined : bytes
}

/** Writes a file as root would. */
export function writeNow(watched: Watched, path: string, text: string): Answer {
  const { sim } = watched
  look(sim)
  sim.k.current = sim.k.tasks.get(1)
  const ret = sim.ports.write(sim.k, path, text)
  const errno = ret < 0 ? errnoName(ret) : ''
  watched.events.push(
    `${Math.floor(sim.ns)} ${ret < 0 ? 'error' : 'knob'} you: write ${path} ${text.trim()}${ret < 0 ? ` = ${errno}` : ''}`,
  )
  return { errno, text: '' }
}

/** The words that could come next on a line of the prompt. */
export function wordsFor({ sim }: Watched, line: string): readonly string[] {
  const workers = sim.run.workers.filter(worker => worker !== undefined)
  const regions = new Map(workers.map(({ name, regions: all }) => [name, all.flatMap(region => region?.name ?? [])]))
  return complete(line, { workers: workers.map(({ name }) => name), regions })
}

/** Executes a line of the prompt; the machine runs on until it is over. */
export function runNow(watched: Watched, line: string): Answer {
  try {
    const record = runLine(watched.sim, line, each => noteRecord(watched, each))
    if (record === undefined) return { errno: '', text: '' }
    const { text } = record.fields
    return { errno: record.err ?? '', text: typeof text === 'string' ? text : describe(record) }
  } catch (error) {
    if (error instanceof UserError) return { errno: 'EINVAL', text: error.message }
    throw error
  }
}
