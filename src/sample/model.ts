/**
 * What a screen looks at: the newest sample, the one before it, the first one, and the past.
 *
 *     Source ──Frame──> feed ──> Model { sample, previous, scalars, history, events ... }
 *
 * Rates are derived from two samples when they are asked for and never stored, so a live machine and a recording of it
 * show the same figures. A Model is a value: feeding the next frame makes a new one; only the rings behind it move on.
 * A frame that is not later than the one before it (a seek backwards) begins a new past.
 */
import { growth, kindOf } from './counters.ts'
import { forget, type History, newHistory, push } from './history.ts'
import type { MachineEvent } from './parse/mmtop.ts'
import { type Memo, newMemo, type Sample, toSample } from './sample.ts'
import { type Names, type Scalars, scalarsOf } from './scalars.ts'
import { type Facts, noteFacts } from './since.ts'
import type { Frame, Pace, Source, Tunable } from './source.ts'
import { forgetFrames, frameAt, newTape, recordFrame, type Tape } from './tape.ts'
import { cleanLine } from './text.ts'

/** Events kept for the screens. */
const EVENT_LIMIT = 2000

/** Restarts noted of one total; a machine that reboots more often than this within one watching is not a machine. */
const RESTART_LIMIT = 64

export interface Model {
  readonly kind: Source['kind']
  readonly title: string
  readonly tunables: readonly Tunable[]
  readonly pace: Pace
  /** Number of this sample since watching began, from 0: its place in `history`. */
  readonly seq: number
  readonly sample: Sample
  /** undefined for the first sample (and the first after a jump back). */
  readonly previous: Sample | undefined
  /** Seconds of machine time since `previous`; 0 without one. */
  readonly seconds: number
  readonly scalars: Scalars
  readonly before: Scalars | undefined
  /** The sample that watching began with. */
  readonly first: Sample
  readonly origin: Origin
  readonly history: History
  readonly events: readonly MachineEvent[]
  /** Since when watched pages have been as they are; empty when looking back. */
  readonly facts: Facts
}

/** Where each scalar stood when watching began, and what totals had reached when they began again. */
interface Origin {
  readonly first: Map<string, number>
  readonly restarts: Map<string, { readonly seq: number; readonly reached: number }[]>
}

export interface Tracker {
  readonly source: Pick<Source, 'kind' | 'title' | 'tunables'>
  readonly history: History
  readonly tape: Tape
  readonly memo: Memo
  readonly names: Names
  readonly origin: Origin
  events: MachineEvent[]
  facts: Facts
  first: Sample | undefined
  model: Model | undefined
}

/**
 * @param samples samples of history for charts
 * @param frames frames that `modelAt` can go back to
 */
export function newTracker(source: Pick<Source, 'kind' | 'title' | 'tunables'>, samples = 1800, frames = 600): Tracker {
  const origin = { first: new Map<string, number>(), restarts: new Map() }
  return {
    source,
    history: newHistory(samples),
    tape: newTape(frames),
    memo: newMemo(),
    names: new Map(),
    origin,
    events: [],
    facts: new Map(),
    first: undefined,
    model: undefined,
  }
}

/** Takes the next frame in. */
export function feed(tracker: Tracker, frame: Frame, pace: Pace): Model {
  const last = tracker.model
  const back = last !== undefined && frame.ns <= last.sample.ns
  if (back) jumpBack(tracker, frame.ns)
  const sample = toSample(frame, tracker.memo)
  const scalars = scalarsOf(sample, tracker.names)
  tracker.first ??= sample
  const before = back ? undefined : last
  const seq = tracker.history.pushed
  const { fresh, fallen } = push(tracker.history, frame.ns, scalars)
  for (const key of fresh) tracker.origin.first.set(key, scalars.get(key) ?? 0)
  for (const { key, from } of fallen) if (kindOf(key) === 'counter') noteRestart(tracker.origin, key, seq, from)
  recordFrame(tracker.tape, seq, frame)
  tracker.events = [...tracker.events, ...sample.events()].slice(-EVENT_LIMIT)
  tracker.facts = noteFacts(tracker.facts, sample)
  tracker.model = makeModel(tracker, pace, seq, sample, scalars, before)
  return tracker.model
}

function makeModel(tracker: Tracker, pace: Pace, seq: number, sample: Sample, scalars: Scalars, before: Model | undefined): Model {
  const { kind, title, tunables } = tracker.source
  return {
    kind,
    title: cleanLine(title),
    tunables,
    pace,
    seq,
    sample,
    previous: before?.sample,
    seconds: before === undefined ? 0 : (sample.ns - before.sample.ns) / 1e9,
    scalars,
    before: before?.scalars,
    first: tracker.first ?? sample,
    origin: tracker.origin,
    history: tracker.history,
    events: tracker.events,
    facts: tracker.facts,
  }
}

/** The next frame begins a new past: it comes from another part of a recording, at or after `ns`. */
export function leap(tracker: Tracker, ns: number): void {
  jumpBack(tracker, ns)
  tracker.model = undefined
}

function jumpBack(tracker: Tracker, ns: number): void {
  forget(tracker.history)
  forgetFrames(tracker.tape)
  tracker.facts = new Map()
  tracker.origin.restarts.clear()
  tracker.events = tracker.events.filter(event => event.ns < ns)
}

function noteRestart({ restarts }: Origin, key: string, seq: number, reached: number): void {
  const before = restarts.get(key) ?? []
  if (before.length < RESTART_LIMIT) restarts.set(key, [...before, { seq, reached }])
}

/**
 * The model as it was `back` samples ago (0: the newest), as far as frames are kept. Events after that moment are left
 * out, history is read up to it by `model.seq`.
 */
export function modelAt(tracker: Tracker, back: number): Model | undefined {
  const newest = tracker.model
  if (newest === undefined || back <= 0) return newest
  const seq = newest.seq - back
  const frame = frameAt(tracker.tape, seq)
  if (frame === undefined) return undefined
  const [sample, older] = [toSample(frame), frameAt(tracker.tape, seq - 1)]
  const previous = older === undefined ? undefined : toSample(older)
  return {
    ...newest,
    seq,
    sample,
    previous,
    seconds: previous === undefined ? 0 : (sample.ns - previous.ns) / 1e9,
    scalars: scalarsOf(sample),
    before: previous === undefined ? undefined : scalarsOf(previous),
    events: newest.events.filter(event => event.ns <= sample.ns),
    facts: new Map(),
  }
}

/** How many samples `modelAt` can go back. */
export function reach(tracker: Tracker): number {
  const [oldest, newest] = [tracker.tape.runs[0]?.firstSeq, tracker.model?.seq]
  return oldest === undefined || newest === undefined ? 0 : Math.min(newest - oldest, tracker.tape.capacity - 1)
}

/** A total's growth per second since the sample before; undefined where there is none to compare with. */
export function rateOf(model: Model, key: string): number | undefined {
  const [now, before] = [model.scalars.get(key), model.before?.get(key)]
  return now === undefined || before === undefined || model.seconds <= 0 ? undefined : growth(now, before) / model.seconds
}

/** What a scalar did since the sample before: a total's growth, a level's difference. */
export function changeOf(model: Model, key: string): number | undefined {
  const [now, before] = [model.scalars.get(key), model.before?.get(key)]
  if (now === undefined || before === undefined) return undefined
  return kindOf(key) === 'counter' ? growth(now, before) : now - before
}

/** The same since watching began. */
export function sinceStart(model: Model, key: string): number | undefined {
  const [now, first] = [model.scalars.get(key), model.origin.first.get(key)]
  if (now === undefined || first === undefined) return undefined
  const restarts = (model.origin.restarts.get(key) ?? []).filter(restart => restart.seq <= model.seq)
  return restarts.reduce((sum, restart) => sum + restart.reached, now - first)
}
