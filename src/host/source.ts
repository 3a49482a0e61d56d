/**
 * The real machine as a Source: its own /proc and /sys, read at a cost that is bounded and shown.
 *
 *     every frame      counters, what rates are made of, /proc/PID/stat
 *     in turn          levels, knobs, what walks page tables (smaps_rollup, numa_maps): as many as TURN_SHARE of the
 *                      time allows, those longest unread first; between two readings a file keeps its text
 *
 * So a machine with thousands of processes costs no more than a small one; its slow figures are only older. Nothing is
 * written unless that was asked for. What a file's owner does not let us read is listed in /mmtop/unread.
 */
import { hostname, release } from 'node:os'
import type { Answer, Frame, Pace, Source, Tunable } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import { daemons, happenings, newPast, type Past } from './happenings.ts'
import { bytesAt, isNumbers, isOverlay, overlayText } from './pagemap.ts'
import { closeReader, newReader, type Reader, readText, writeText } from './reader.ts'
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
  readonly past: Past
  readonly startNs: bigint
  shape: HostShape
  shapeNs: number
  /** Processes of the last shape, where only the largest are read. */
  chosen: ReadonlySet<number> | undefined
  watched: readonly string[]
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
  const state: State = {
    reader,
    options,
    tunables: knobsOf(reader, shape.nodes, options.known),
    past: newPast(),
    startNs: process.hrtime.bigint(),
    shape,
    shapeNs: 0,
    chosen: undefined,
    watched: [],
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
    tunables: state.tunables,
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
function write({ reader, texts }: State, path: string, text: string): Answer {
  const answer = writeText(reader, path, text)
  const now = answer.errno === '' && texts.has(path) ? readText(reader, path, true) : undefined
  if (now !== undefined) texts.set(path, now)
  return answer
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
  const { reader } = state
  const ns = Math.max(nowNs(state), state.lastNs + 1)
  state.lastNs = ns
  const files = new Map<string, string>()
  const take = (path: string, text: string | undefined) => {
    if (text !== undefined) files.set(path, text)
  }
  const all = pidsOf(reader)
  if (ns - state.shapeNs > SHAPE_NS || state.frames === 0) reshape(state, ns, all)
  for (const path of state.shape.counters) if (!missing(state, path)) take(path, readText(reader, path, true))
  const pids = state.chosen === undefined ? all : all.filter(pid => state.chosen?.has(pid))
  for (const pid of pids) take(`/proc/${pid}/stat`, readText(reader, `/proc/${pid}/stat`, false))
  queueUp(state, pids)
  readInTurn(state)
  for (const [path, text] of state.texts) files.set(path, text)
  const readNs = nowNs(state) - ns
  const own = ownFiles(state, files, ns, readNs, { shown: pids, all: all.length })
  for (const [name, lines] of Object.entries(own)) files.set(`/mmtop/${name}`, lines.map(line => `${line}\n`).join(''))
  state.frames++
  return { ns, files }
}

/** A file that was not there is looked for again with the next shape. */
const missing = ({ reader }: State, path: string): boolean => reader.errors.has(path) && !reader.kept.has(path)

function reshape(state: State, ns: number, pids: readonly number[]): void {
  state.reader.errors.clear()
  state.shape = shapeOf(state.reader)
  state.shapeNs = ns
  state.chosen = pids.length > TASKS_MAX ? new Set(largest(state.reader, pids)) : undefined
}

/** Files that are read in turn; those of a base frame come first, then what the screens ask for. */
function turnPaths({ shape, tunables, watched }: State, pids: readonly number[]): Set<string> {
  const knobs = tunables.filter(({ type }) => type !== 'trigger').map(({ path }) => path)
  const ofTasks = pids.flatMap(pid => TASK_LEVELS.map(file => `/proc/${pid}/${file}`))
  const alive = new Set(pids.map(String))
  const wanted = watched.filter(path => {
    const pid = pidIn(path)
    return pid === undefined || alive.has(pid)
  })
  const counters = new Set(shape.counters)
  return new Set([...shape.levels, ...knobs, ...ofTasks, ...wanted].filter(path => !counters.has(path)))
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
    else texts.set(path, text)
  }
  queue.push(...queue.splice(0, done))
  state.creditNs = state.frames === 0 ? 0 : state.creditNs - (nowNs(state) - beganNs)
}

function ownFiles(
  state: State,
  files: ReadonlyMap<string, string>,
  ns: number,
  readNs: number,
  tasks: { readonly shown: readonly number[]; readonly all: number },
): Record<string, readonly string[]> {
  const { past, reader, tunables } = state
  const cost = costOf(state, ns, readNs)
  const refused = [...reader.errors].filter(([, errno]) => errno !== 'ENOENT' && errno !== 'ESRCH').slice(0, UNREAD_MAX)
  return {
    machine: [
      `title ${cleanLine(hostname())}`,
      `model Linux ${cleanLine(release())}`,
      `cost ${cost}`,
      ...(tasks.shown.length < tasks.all ? [`tasks the ${tasks.shown.length} largest of ${tasks.all} processes`] : []),
    ],
    events: happenings(
      past,
      files,
      ns,
      tunables.map(({ path }) => path),
    ),
    daemons: daemons(past, files, tasks.shown),
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
