/**
 * Reads the oracle's recording format: what a scenario did to a real kernel (or `mmtop record --raw` to the simulated
 * one), one JSON object a line:
 *
 *     {"event":"header", "tunables": {PATH: TEXT}, "machine", "uname" ...}
 *     {"t_ns", "op", "ret", "err" ...}                      an operation          -> a line of /mmtop/events
 *     {"t_ns", "op", "sampled_ns", "files", "workers"}      a sample              -> a frame
 *     {"event":"death" | "warning" | "end" ...}
 *
 * A sample's frame holds its files, its workers' texts under /proc/PID, their fault counts in /mmtop/tasks, and what
 * happened since the sample before in /mmtop/events. The header's texts, read once at boot, stand in a frame as long as no
 * operation has written them: after a write the value is unknown until a sample reads it again.
 */
import { basename } from 'node:path'
import { knobsIn } from '../sample/knobs.ts'
import type { EventKind, Frame, Tunable } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import { UserError } from '../user_error.ts'
import { isNs, isObject, parseJson, type Recording } from './recording.ts'
import { textLines } from './text_lines.ts'

type Fields = Readonly<Record<string, unknown>>

interface Draft {
  readonly file: string
  /** path -> text at boot, without those written since */
  readonly standing: Map<string, string>
  readonly frames: Frame[]
  events: string[]
  machine: string
  knobs: Tunable[]
  ended: boolean
  /** Some samples hold smaps of named regions only. */
  partial: boolean
}

/**
 * @param known descriptions of knobs, for those that the recording has
 * @throws UserError with file and line where the content is not what the format says
 */
export async function readRawRecording(file: string, gzipped: boolean, known: readonly Tunable[] = []): Promise<Recording> {
  const draft: Draft = { file, standing: new Map(), frames: [], events: [], machine: '', knobs: [], ended: false, partial: false }
  for await (const { text, number, ended } of textLines(file, gzipped)) {
    if (text.trim() === '') continue
    const value = parseJson(text)
    if (!isObject(value)) throw notALine(file, number, ended)
    if (number === 1) takeHeader(draft, value, known)
    else takeLine(draft, value, number)
  }
  const [first, last] = [draft.frames[0], draft.frames.at(-1)]
  if (first === undefined || last === undefined) throw new UserError('the recording holds no sample', { file })
  const notes = [
    ...(draft.ended ? [] : ['the recording has no end line: it is incomplete']),
    ...(draft.partial ? ['smaps and numa_maps hold only the regions that the scenario names'] : []),
  ]
  const title = basename(file).replace(/\.ndjson(\.gz)?$/, '')
  return {
    format: 'raw',
    recorded: 'recording',
    title: cleanLine(title),
    tunables: draft.knobs,
    notes,
    ended: draft.ended,
    count: draft.frames.length,
    startNs: first.ns,
    endNs: last.ns,
    frame: index => draft.frames[index],
    indexAt: ns =>
      Math.max(
        0,
        draft.frames.findLastIndex(frame => frame.ns <= ns),
      ),
    close: () => undefined,
  }
}

function notALine(file: string, line: number, ended: boolean): UserError {
  if (line === 1) return new UserError('not a recording: the first line is no JSON object', { file, line })
  return new UserError(ended ? 'not a JSON object' : 'the recording is cut in the middle of a line', { file, line })
}

function takeHeader(draft: Draft, value: Fields, known: readonly Tunable[]): void {
  const at = { file: draft.file, line: 1 }
  if (value['mmtop'] !== undefined) throw new UserError('this recording was packed anew and lost its seek marks: play the original', at)
  if (value['event'] !== 'header' || !isObject(value['tunables'])) throw new UserError('not a recording: the first line is no header', at)
  if (value['format'] !== 1) throw new UserError(`raw recording format ${cleanLine(String(value['format']))} is not known, only 1`, at)
  for (const [path, text] of Object.entries(value['tunables'])) if (typeof text === 'string') draft.standing.set(path, text)
  const model = ['uname', 'version'].flatMap(key => (typeof value[key] === 'string' ? [value[key]] : [])).join(' ')
  const machine = typeof value['machine'] === 'string' ? value['machine'].replace(/^machine /, '') : ''
  draft.machine = [`title ${basename(draft.file)}`, `model Linux ${model}`, `machine ${machine}`]
    .map(line => cleanLine(line) + '\n')
    .join('')
  draft.knobs = knobsIn(draft.standing, known)
}

function takeLine(draft: Draft, value: Fields, line: number): void {
  if (value['event'] === 'end') draft.ended = true
  else if (isObject(value['files'])) takeSample(draft, value, value['files'], line)
  else {
    const event = eventOf(value)
    if (event !== undefined) draft.events.push(event)
    const written = writtenPath(value)
    if (written !== undefined) forgetCoupled(draft.standing, written)
  }
}

/** The /mmtop/events line of an operation, a death or a warning. */
function eventOf(value: Fields): string | undefined {
  const ns = isNs(value['t_ns']) ? value['t_ns'] : 0
  const word = (key: string) => (typeof value[key] === 'string' || typeof value[key] === 'number' ? String(value[key]) : '')
  const line = (kind: EventKind, text: string) => `${Math.floor(ns)} ${kind} ${cleanLine(text)}`
  if (value['event'] === 'death') return line('kill', `${word('worker')} died: ${word('signal') || `exit ${word('exit')}`}`)
  if (value['event'] === 'warning') return line('note', word('text') || JSON.stringify(value))
  const op = word('op')
  if (op === '') return undefined
  const failed = word('err') || word('signal')
  if (failed !== '') return line('error', `${op} = ${failed}`)
  if (writtenPath(value) !== undefined) return line('knob', op.replace(/^((?:\w+ )?)write /, '$1'))
  return line('op', value['ret'] === 0 ? op : `${op} = ${word('ret')}`)
}

/** The file that a successful `write PATH VALUE` (of the controller or of a worker) changed. */
function writtenPath(value: Fields): string | undefined {
  if (typeof value['op'] !== 'string' || typeof value['ret'] !== 'number' || value['ret'] < 0) return undefined
  return /^(?:\w+ )?write (\S+)/.exec(value['op'])?.[1]
}

/** Knobs that the kernel ties together (dirty_ratio and dirty_bytes, all views of a hugetlb pool) go when one is written. */
function forgetCoupled(standing: Map<string, string>, written: string): void {
  const family = (path: string) => (path.includes('hugepages') ? 'hugepages' : path.replace(/_[^/]*$/, ''))
  for (const path of standing.keys()) if (family(path) === family(written)) standing.delete(path)
}

function takeSample(draft: Draft, value: Fields, sampled: Fields, line: number): void {
  const ns = isNs(value['sampled_ns']) ? value['sampled_ns'] : value['t_ns']
  if (!isNs(ns)) throw new UserError('a sample without a time', { file: draft.file, line })
  if (ns <= (draft.frames.at(-1)?.ns ?? -1))
    throw new UserError('a sample that is not later than the one before', { file: draft.file, line })
  const files = new Map(draft.standing)
  for (const [path, text] of Object.entries(sampled)) if (typeof text === 'string') files.set(path, text)
  const tasks: string[] = []
  for (const [name, worker] of isObject(value['workers']) ? Object.entries(value['workers']) : [])
    if (isObject(worker) && typeof worker['pid'] === 'number') tasks.push(addWorker(draft, files, name, worker, worker['pid']))
  files.set('/mmtop/machine', draft.machine)
  if (tasks.length > 0) files.set('/mmtop/tasks', tasks.join(''))
  if (draft.events.length > 0) files.set('/mmtop/events', draft.events.map(event => event + '\n').join(''))
  draft.events = []
  draft.frames.push({ ns, files })
}

/** Puts a worker's texts where the kernel has them; returns its line of /mmtop/tasks. */
function addWorker(draft: Draft, files: Map<string, string>, name: string, worker: Fields, pid: number): string {
  for (const key of ['status', 'smaps', 'numa_maps', 'maps', 'oom_score']) {
    const text = worker[key]
    if (typeof text === 'string') files.set(`/proc/${pid}/${key}`, text)
    else if (typeof text === 'number') files.set(`/proc/${pid}/${key}`, `${text}\n`)
  }
  if (typeof worker['smaps'] === 'string') draft.partial = true
  const count = (key: string) => (typeof worker[key] === 'number' ? worker[key] : 0)
  return `${pid} ${count('minflt')} ${count('majflt')} ${cleanLine(name)}\n`
}
