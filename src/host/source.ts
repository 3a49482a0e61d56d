/**
 * The real machine as a Source: its own /proc and /sys, read at a cost that is bounded and shown.
 *
 *     every frame      counters, what rates are made of, /proc/PID/stat
 *     in turn          levels, knobs, counters at rest (rest.ts), what walks page tables (smaps_rollup, numa_maps): as many as
 *                      TURN_SHARE of the time allows, those longest unread first; between two readings a file keeps its text
 *
 * So a machine with thousands of processes costs no more than a small one; its slow figures are only older. Nothing is
 * written unless that was asked for. What a file's owner does not let us read is listed in /mmtop/unread.
 */
import { hostname, release } from 'node:os'
import type { Answer, Frame, Pace, Source, Tunable } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import { daemons, happenings, isDaemon, newPast, type Past, type Turned } from './happenings.ts'
import { bytesAt, isNumbers, isOverlay, overlayText } from './pagemap.ts'
import { closeReader, newReader, type Reader, readText, writeText } from './reader.ts'
import { isAtRest, isKernelThread } from './rest.ts'
import { type HostShape, knobsOf, largest, pidsOf, shapeOf, TASKS_MAX } from './shape.ts'

export interface HostOptions {
  /** Stands before every path: a tree of files like /proc and /sys; '' for this machine's own. */
  readonly root?: string
  /** Time between two frames. */
  readonly intervalNs: number
  /** Descriptions of knobs; {size}, {node} and {cpu} in a path stand for a number. */
  readonly known: readonly Tunable[]
  /** Knobs may be written. */
  readonly write: boolean
}

/** Share of the time that files read in turn may take. */
const TURN_SHARE = 0.003
/** How long a shape is good for. */
const SHAPE_NS = 10e9
const UNREAD_MAX = 200
/** Files of a process that are levels. */
const TASK_LEVELS = ['status', 'oom_score', 'oom_score_adj'] as const

interface State {
  readonly reader: Reader
  readonly options: HostOptions
  readonly tunables: readonly Tunable[]
  /** Paths of knobs that have a text. */
  readonly knobs: ReadonlySet<string>
  readonly past: Past
  readonly startNs: bigint
  shape: HostShape
  shapeNs: number
  /** Processes of the last shape, where only the largest are read. */
  chosen: ReadonlySet<number> | undefined
  watched: readonly string[]
  /** Counters and files /proc/PID/stat that are read in turn, and whether they have to be told again from those that are not. */
  readonly resting: Set<string>
  unsettled: boolean
  /** Knobs that have another text than in the last frame. */
  turned: Turned[]
  /** Paths of the files of each process. */
  readonly paths: Map<number, TaskPaths>
  /** What the queue was made for; as long as that is the same, so is the set of its files. */
  queuedFor: { readonly shape: HostShape; readonly watched: readonly string[]; readonly pids: readonly number[] } | undefined
  /** Texts of files that are read in turn, and those files, longest unread first. */
  readonly texts: Map<string, string>
  queue: string[]
  /** Time that reading in turn has left; below 0 after a file that took long. */
  creditNs: number
  frames: number
  lastNs: number
  /** CPU time and clock at the last frame. */
  spent: { readonly cpuUs: number; readonly ns: number }
  waiting: ((frame: Frame | undefined) => void) | undefined
  timer: NodeJS.Timeout | undefined
  closed: boolean
}

/** Opens this machine. Its first frame is read at once, each other one an interval later. */
export function openHost(options: HostOptions): Source {
  const reader = newReader(options.root ?? '')
  const shape = shapeOf(reader)
  const tunables = knobsOf(reader, shape.nodes, options.known)
  const state: State = {
    reader,
    options,
    tunables,
    knobs: new Set(tunables.filter(({ type }) => type !== 'trigger').map(({ path }) => path)),
    past: newPast(),
    startNs: process.hrtime.bigint(),
    shape,
    shapeNs: 0,
    chosen: undefined,
    watched: [],
    resting: new Set(),
    unsettled: true,
    turned: [],
    paths: new Map(),
    queuedFor: undefined,
    texts: new Map(),
    queue: [],
    creditNs: 0,
    frames: 0,
    lastNs: -1,
    spent: { cpuUs: cpuUs(), ns: 0 },
    waiting: undefined,
    timer: undefined,
    closed: false,
  }
  return {
    kind: 'host',
    title: cleanLine(hostname()),
    tunables,
    pageBytes: reader.pageBytes,
    watch: paths => {
      state.watched = paths.filter(path => isMachineFile(path) || isOverlay(path))
    },
    next: () => next(state),
    read: async path => (state.closed || !(isMachineFile(path) || isOverlay(path)) ? undefined : textAt(reader, path, false)),
    bytes: async (path, position, count) => (state.closed ? undefined : bytesAt(reader, path, position, count)),
    pace: (): Pace => ({ paused: false, speed: 1, ratio: 1, ended: state.closed }),
    ...(options.write ? { write: async (path: string, text: string) => write(state, path, text) } : {}),
    close: async () => {
      state.closed = true
      clearTimeout(state.timer)
      state.waiting?.(undefined)
      closeReader(reader)
    },
  }
}

/** What was written is in the next frame, whoever's turn it would be. */
function write(state: State, path: string, text: string): Answer {
  const answer = writeText(state.reader, path, text)
  const now = answer.errno === '' && state.texts.has(path) ? readText(state.reader, path, true) : undefined
  if (now !== undefined) keep(state, path, now)
  return answer
}

/** Takes the text of a file that is read in turn. */
function keep(state: State, path: string, text: string): void {
  const was = state.texts.get(path)
  state.texts.set(path, text)
  if (was === undefined || was === text) return
  if (state.knobs.has(path)) state.turned.push({ path, was, is: text })
  // A counter that moves, a switch that was turned: who is at rest has to be told again.
  if (state.resting.has(path) || isSwitch(state, path)) state.unsettled = true
}

function isSwitch({ shape }: State, path: string): boolean {
  for (const other of shape.switches.values()) if (other === path) return true
  return false
}

const isMachineFile = (path: string): boolean => /^\/(proc|sys)\//.test(path) && !path.includes('..') && !isNumbers(path)

const textAt = (reader: Reader, path: string, keep: boolean): string | undefined =>
  isOverlay(path) ? overlayText(reader, path) : readText(reader, path, keep)

/** The process that a file is of. */
const pidIn = (path: string): string | undefined => /^\/(?:proc|mmtop\/pages\/task)\/(\d+)\//.exec(path)?.[1]

const nowNs = (state: State): number => Number(process.hrtime.bigint() - state.startNs)

function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

function next(state: State): Promise<Frame | undefined> {
  if (state.closed) return Promise.resolve(undefined)
  return new Promise(resolve => {
    state.waiting = resolve
    const { intervalNs } = state.options
    // Frames keep to multiples of the interval, so that they do not drift; who is late leaves one out.
    const dueNs = state.lastNs < 0 ? 0 : (Math.floor(state.lastNs / intervalNs) + 1) * intervalNs
    state.timer = setTimeout(
      () => {
        state.waiting = undefined
        resolve(state.closed ? undefined : takeFrame(state))
      },
      Math.max(0, Math.ceil((dueNs - nowNs(state)) / 1e6)),
    )
  })
}

function takeFrame(state: State): Frame {
  const { reader, resting } = state
  const ns = Math.max(nowNs(state), state.lastNs + 1)
  state.lastNs = ns
  const files = new Map<string, string>()
  const all = pidsOf(reader)
  if (ns - state.shapeNs > SHAPE_NS || state.frames === 0) reshape(state, ns, all)
  for (const path of state.shape.counters) {
    const text = resting.has(path) || missing(state, path) ? undefined : readText(reader, path, true)
    if (text !== undefined) files.set(path, text)
  }
  const pids = state.chosen === undefined ? all : all.filter(pid => state.chosen?.has(pid))
  const stats = pids.map(pid => pathsOf(state, pid).stat)
  for (const path of stats) readStat(state, files, path)
  queueUp(state, pids)
  readInTurn(state)
  state.texts.forEach((text, path) => {
    files.set(path, text)
  })
  if (state.unsettled) settle(state, files)
  const readNs = nowNs(state) - ns
  const own = ownFiles(state, files, ns, readNs, { stats, all: all.length })
  for (const [name, lines] of Object.entries(own)) files.set(`/mmtop/${name}`, lines.map(line => `${line}\n`).join(''))
  state.frames++
  return { ns, files }
}

interface TaskPaths {
  readonly stat: string
  readonly levels: readonly string[]
}

/** Processes whose paths were put together, at most; most are gone by then. */
const PATHS_KEPT = 4096

function pathsOf({ paths }: State, pid: number): TaskPaths {
  const known = paths.get(pid)
  if (known !== undefined) return known
  if (paths.size >= PATHS_KEPT) paths.clear()
  const made = { stat: `/proc/${pid}/stat`, levels: TASK_LEVELS.map(file => `/proc/${pid}/${file}`) }
  paths.set(pid, made)
  return made
}

/** Threads of the kernel have no memory of their own, so they rest, but for those that work on memory. */
function readStat(state: State, files: Map<string, string>, path: string): void {
  const { reader, resting, texts } = state
  const text = resting.has(path) ? undefined : readText(reader, path, false)
  if (text === undefined) return
  files.set(path, text)
  if (!isKernelThread(text) || isDaemon(text)) return
  resting.add(path)
  texts.set(path, text)
  state.queuedFor = undefined
}

/** Tells who is at rest from who is not, by what was read last. */
function settle(state: State, files: ReadonlyMap<string, string>): void {
  const { shape, resting, texts } = state
  state.unsettled = false
  state.queuedFor = undefined
  for (const path of resting) {
    if (shape.switches.has(path) || isKernelThread(files.get(path) ?? '')) continue
    resting.delete(path)
    texts.delete(path)
  }
  for (const [path, other] of shape.switches) {
    const text = files.get(path)
    if (text !== undefined && isAtRest(path, text, files.get(other))) {
      resting.add(path)
      texts.set(path, text)
    } else if (resting.delete(path)) texts.delete(path)
  }
}

/** A file that was not there is looked for again with the next shape. */
const missing = ({ reader }: State, path: string): boolean => reader.errors.has(path) && !reader.kept.has(path)

function reshape(state: State, ns: number, pids: readonly number[]): void {
  state.reader.errors.clear()
  state.shape = shapeOf(state.reader)
  state.shapeNs = ns
  state.unsettled = true
  state.chosen = pids.length > TASKS_MAX ? new Set(largest(state.reader, pids)) : undefined
}

/** Files that are read in turn; those of a base frame come first, then what the screens ask for. */
function turnPaths(state: State, pids: readonly number[]): Set<string> {
  const { shape, knobs, watched, resting } = state
  const paths = new Set([...shape.levels, ...knobs])
  const alive = new Set(pids.map(String))
  for (const pid of pids) for (const path of pathsOf(state, pid).levels) paths.add(path)
  for (const path of [...resting, ...watched]) {
    const pid = pidIn(path)
    if (pid === undefined || alive.has(pid)) paths.add(path)
    else resting.delete(path)
  }
  for (const path of shape.counters) if (!resting.has(path)) paths.delete(path)
  return paths
}

/** Queues files that are new first, and forgets those that nobody wants any more. */
function queueUp(state: State, pids: readonly number[]): void {
  const { shape, watched, texts, queuedFor } = state
  const same = queuedFor?.pids.length === pids.length && pids.every((pid, i) => queuedFor.pids[i] === pid)
  if (same && queuedFor.shape === shape && queuedFor.watched === watched) return
  state.queuedFor = { shape, watched, pids }
  const paths = turnPaths(state, pids)
  for (const path of texts.keys()) if (!paths.has(path)) texts.delete(path)
  const known = new Set(state.queue)
  const fresh = [...paths].filter(path => !known.has(path))
  state.queue = [...fresh.reverse(), ...state.queue.filter(path => paths.has(path))]
}

/** Reads the files that have waited longest, as long as there is time; in the first frame all of them. */
function readInTurn(state: State): void {
  const { reader, texts, queue } = state
  const budgetNs = TURN_SHARE * state.options.intervalNs
  // A file that took longer than there was time for is paid for by the frames that follow.
  state.creditNs = state.frames === 0 ? Number.POSITIVE_INFINITY : Math.min(budgetNs, state.creditNs + budgetNs)
  const beganNs = nowNs(state)
  let done = 0
  for (; done < queue.length && nowNs(state) - beganNs < state.creditNs; done++) {
    const path = queue[done]
    if (missing(state, path)) continue
    const text = textAt(reader, path, !/^\/proc\/\d|^\/sys\/fs\/cgroup\//.test(path))
    if (text === undefined) texts.delete(path)
    else keep(state, path, text)
  }
  queue.push(...queue.splice(0, done))
  state.creditNs = state.frames === 0 ? 0 : state.creditNs - (nowNs(state) - beganNs)
}

function ownFiles(
  state: State,
  files: ReadonlyMap<string, string>,
  ns: number,
  readNs: number,
  tasks: { readonly stats: readonly string[]; readonly all: number },
): Record<string, readonly string[]> {
  const { past, reader, turned } = state
  state.turned = []
  const cost = costOf(state, ns, readNs)
  const refused = [...reader.errors].filter(([, errno]) => errno !== 'ENOENT' && errno !== 'ESRCH').slice(0, UNREAD_MAX)
  return {
    machine: [
      `title ${cleanLine(hostname())}`,
      `model Linux ${cleanLine(release())}`,
      `cost ${cost}`,
      ...(reader.pageBytes === 4096 ? [] : [`page_bytes ${reader.pageBytes}`]),
      ...(tasks.stats.length < tasks.all ? [`tasks the ${tasks.stats.length} largest of ${tasks.all} processes`] : []),
    ],
    events: happenings(past, files, ns, turned),
    daemons: daemons(past, files, tasks.stats),
    unread: refused.map(([path, errno]) => `${path} ${errno}`),
  }
}

/** What watching costs since the last frame: "1.2% CPU 96M 2.1ms", the last one the time it took to read. */
function costOf(state: State, ns: number, readNs: number): string {
  const [used, elapsed] = [cpuUs() - state.spent.cpuUs, (ns - state.spent.ns) / 1e3]
  state.spent = { cpuUs: cpuUs(), ns }
  const share = state.frames === 0 || elapsed <= 0 ? '' : `${((used / elapsed) * 100).toFixed(1)}% CPU `
  return `${share}${Math.round(process.memoryUsage.rss() / 2 ** 20)}M ${(readNs / 1e6).toFixed(1)}ms`
}
