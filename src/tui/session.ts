/**
 * One sitting in front of a machine: takes frames as they come and keys as they are pressed, and always has a screen.
 *
 *     source.next() ──frame──> tracker ─┐                        at most one screen every FRAME_MS, however many frames
 *     key ──press──> state ─────────────┴─> screen ──> who has subscribed          at once after a key
 *              └──effects──> source (pause, write, run, seek ...), answers come back as messages
 *
 * Neither waits for the other. Time is asked of `now`; nothing here knows a terminal.
 */
import { changeOf, feed, leap, type Model, modelAt, newTracker, reach } from '../sample/model.ts'
import { toSample } from '../sample/sample.ts'
import type { Frame, Pace } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import { UserError } from '../user_error.ts'
import { fieldOf, glanceUnit } from '../view/fields.ts'
import { formatChange, formatClock } from '../view/format.ts'
import type { Size } from '../view/panel.ts'
import { isNotable } from '../view/subjects/events.ts'
import type { Seen } from './actions.ts'
import { DEFAULT_CONFIG, keymapOf, presetsOf } from './config.ts'
import { carryOut } from './effects.ts'
import type { Key } from './keys.ts'
import { knobValue } from './knobs.ts'
import { press } from './press.ts'
import { composeScreen, type Looks, type Screen, type Shown } from './screen.ts'
import { readInto, redraw, redrawSoon, restorePace, type SessionOptions, type Sitting, say, update } from './sitting.ts'
import { newState } from './state.ts'
import type { ThemeName } from './theme.ts'

export interface Session {
  /** The screen as of now; the same value until something changes. */
  readonly screen: () => Screen
  readonly theme: () => ThemeName
  readonly subscribe: (listener: () => void) => () => void
  readonly keys: (keys: readonly Key[]) => void
  readonly resize: (size: Size) => void
  /** Other looks, from now on. */
  readonly dress: (looks: Looks) => void
  /** Runs until the user leaves. @returns the exit status; rejects where something is broken */
  readonly run: () => Promise<number>
  /** Ends a recording in order. */
  readonly finish: () => void
}

/** Longest time that frames may come in one after the other before keys are looked at. */
const BREATH_MS = 10

export function createSession(options: SessionOptions): Session {
  const { source, config = DEFAULT_CONFIG } = options
  const sitting: Sitting = {
    options,
    source,
    rights: {
      clock: source.transport !== undefined,
      seek: source.transport?.seek !== undefined,
      write: source.write !== undefined,
      run: source.run !== undefined,
      record: options.record !== undefined,
    },
    keymap: keymapOf(config),
    presets: presetsOf(config),
    tracker: newTracker(source),
    listeners: new Set(),
    looks: options.looks,
    size: options.size,
    state: newState(config.view, config.zoom, config.theme, config.layout),
    screen: undefined,
    model: undefined,
    patch: new Map(),
    asked: new Set(),
    intended: new Map(),
    watched: [],
    recorder: undefined,
    filling: undefined,
    intervalNs: 1e9,
    timer: undefined,
    drawnMs: Number.NEGATIVE_INFINITY,
    samples: 0,
    breathedMs: options.now(),
    over: false,
    wake: () => undefined,
    end: () => undefined,
    fail: () => undefined,
  }
  return {
    screen: () => screenOf(sitting),
    theme: () => sitting.state.theme,
    subscribe: listener => {
      sitting.listeners.add(listener)
      return () => void sitting.listeners.delete(listener)
    },
    keys: keys => pressAll(sitting, keys),
    resize: size => {
      sitting.size = size
      redraw(sitting)
    },
    dress: looks => {
      sitting.looks = looks
      redraw(sitting)
    },
    run: () => run(sitting),
    finish: () => finish(sitting),
  }
}

function run(sitting: Sitting): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    sitting.end = resolve
    sitting.fail = reject
    takeFrames(sitting).catch(reject)
  }).finally(() => finish(sitting))
}

function finish(sitting: Sitting): void {
  sitting.over = true
  clearTimeout(sitting.timer)
  sitting.recorder?.close()
  sitting.recorder = undefined
  sitting.wake()
}

function pressAll(sitting: Sitting, keys: readonly Key[]): void {
  for (const key of keys) {
    const { state, effects } = press(sitting.state, key, seenBy(sitting))
    update(sitting, state)
    for (const effect of effects) carryOut(sitting, effect)
  }
  redraw(sitting)
}

function seenBy(sitting: Sitting): Seen {
  const { tracker, source, rights, intended } = sitting
  const model = modelOf(sitting)
  const newestSeq = tracker.model?.seq ?? -1
  return {
    screen: screenOf(sitting),
    title: source.title,
    model,
    pace: source.pace(),
    oldestSeq: newestSeq - reach(tracker),
    newestSeq,
    rights,
    keymap: sitting.keymap,
    presets: sitting.presets,
    kind: source.kind,
    span: source.transport?.span,
    knobValue: tunable => intended.get(tunable.path) ?? (model === undefined ? undefined : knobValue(model, tunable)),
  }
}

function screenOf(sitting: Sitting): Screen {
  if (sitting.screen !== undefined) return sitting.screen
  const { state, source, rights, tracker } = sitting
  const model = modelOf(sitting)
  const newest = tracker.model?.seq ?? 0
  const back = state.seq === undefined || model === undefined ? 0 : newest - model.seq
  const shown: Shown = {
    state,
    model: model && { ...model, pace: paceOf(sitting) },
    title: cleanLine(source.title),
    back,
    rights,
    keymap: sitting.keymap,
    presets: sitting.presets,
  }
  sitting.screen = composeScreen(shown, sitting.size, sitting.looks)
  watchFor(sitting, sitting.screen.panel?.wants ?? [])
  return sitting.screen
}

/** While a jump is filled up, the pace is the one that will be again. */
const paceOf = ({ source, filling }: Sitting): Pace =>
  filling?.kind === 'fill' ? { ...source.pace(), ...filling.afterwards } : source.pace()

/** The model to be shown: of the newest frame with what was read since, or of one in history. */
function modelOf(sitting: Sitting): Model | undefined {
  const { tracker, state, patch } = sitting
  const newest = tracker.model
  if (sitting.model !== undefined || newest === undefined) return sitting.model
  if (state.seq !== undefined) sitting.model = modelAt(tracker, Math.min(newest.seq - state.seq, reach(tracker)))
  else if (patch.size === 0) sitting.model = newest
  else sitting.model = { ...newest, sample: toSample({ ns: newest.sample.ns, files: new Map([...newest.sample.frame.files, ...patch]) }) }
  return sitting.model
}

/** Asks for the files that the panel would show; while no frame comes, reads them itself. */
function watchFor(sitting: Sitting, wants: readonly string[]): void {
  const { source, watched, tracker, state, asked } = sitting
  if (wants.length !== watched.length || wants.some((path, i) => path !== watched[i])) {
    sitting.watched = wants
    source.watch(wants)
  }
  const { paused, ended } = source.pace()
  const frame = tracker.model?.sample.frame
  if (source.kind === 'recording' || (!paused && !ended) || state.seq !== undefined || frame === undefined) return
  const missing = wants.filter(path => !frame.files.has(path) && !asked.has(path))
  if (missing.length > 0) readInto(sitting, missing).catch(sitting.fail)
}

async function takeFrames(sitting: Sitting): Promise<void> {
  while (!sitting.over) {
    const frame = await nextFrame(sitting)
    if (sitting.over) return
    if (frame === undefined) await rest(sitting)
    else if (sitting.filling?.kind === 'find') fillUpTo(sitting, frame.ns)
    else take(sitting, frame)
    if (sitting.options.now() - sitting.breathedMs < BREATH_MS) continue
    await new Promise(resolve => setImmediate(resolve))
    sitting.breathedMs = sitting.options.now()
  }
}

async function nextFrame(sitting: Sitting): Promise<Frame | undefined> {
  try {
    return await sitting.source.next()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    say(sitting, error.oneLine, true)
    return undefined
  }
}

/** The source has ended; after a seek, or a line at the prompt, it may go on. */
async function rest(sitting: Sitting): Promise<void> {
  const { source, filling } = sitting
  restorePace(sitting)
  if (source.pace().ended && filling?.kind === 'event')
    say(sitting, `the end: ${filling.key === undefined ? 'nothing more happened' : `${filling.key} moved no more`}`)
  else if (source.pace().ended && sitting.state.message === undefined)
    say(sitting, source.kind === 'recording' ? 'the recording is over: J jumps, q quits' : 'the workload is over: q quits')
  await new Promise<void>(resolve => {
    sitting.wake = resolve
  })
}

function take(sitting: Sitting, frame: Frame): void {
  const { tracker, source } = sitting
  const before = tracker.model?.sample.ns
  // A recording that is sought gives the frame that is there already once more.
  if (frame.ns !== before) {
    if (before !== undefined && frame.ns > before) sitting.intervalNs = frame.ns - before
    feed(tracker, frame, source.pace())
    append(sitting, frame)
    sitting.patch.clear()
    sitting.asked.clear()
    forgetPast(sitting)
    if (++sitting.samples >= (sitting.options.count ?? Number.POSITIVE_INFINITY)) sitting.end(0)
  }
  const { filling } = sitting
  if (filling?.kind === 'fill' && frame.ns < filling.untilNs) return
  const found = filling?.kind === 'event' ? whatIsThere(tracker.model, filling.key) : undefined
  if (filling !== undefined && found !== undefined) {
    filling.afterwards = { ...filling.afterwards, paused: true }
    say(sitting, found)
  }
  if (filling?.kind === 'fill' || filling?.afterwards.paused === true) restorePace(sitting)
  redrawSoon(sitting)
}

/** What was waited for, if it happened: anything notable, or that a figure moved. */
function whatIsThere(model: Model | undefined, key: string | undefined): string | undefined {
  if (model === undefined) return undefined
  const event = key === undefined ? model.sample.events().find(isNotable) : undefined
  if (event !== undefined) return `${formatClock(event.ns)} ${event.kind} ${event.text}`
  const change = key === undefined ? 0 : (changeOf(model, key) ?? 0)
  return key === undefined || change === 0 ? undefined : `${key} moved by ${formatChange(change, glanceUnit(fieldOf(key)))}`
}

/** A moment that is no longer kept gives way to the oldest that is. */
function forgetPast(sitting: Sitting): void {
  const { state, tracker } = sitting
  if (state.seq === undefined) sitting.model = undefined
  else if ((tracker.model?.seq ?? 0) - state.seq > reach(tracker))
    update(sitting, { ...state, seq: (tracker.model?.seq ?? 0) - reach(tracker) })
}

function append(sitting: Sitting, frame: Frame): void {
  try {
    sitting.recorder?.append(frame)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    sitting.recorder = undefined
    update(sitting, { ...sitting.state, recording: undefined })
    say(sitting, error.oneLine, true)
  }
}

/** Samples before the one jumped to, so that charts and rates have a past there. */
const PAST = 60

/** The frame that was sought has been found: plays up to it from a little earlier, unseen. */
function fillUpTo(sitting: Sitting, untilNs: number): void {
  const { source, filling, tracker } = sitting
  const { transport } = source
  if (filling === undefined || transport?.seek === undefined) return
  const fromNs = Math.max(transport.span?.startNs ?? 0, untilNs - PAST * sitting.intervalNs)
  leap(tracker, fromNs)
  update(sitting, { ...sitting.state, seq: undefined })
  sitting.filling = { kind: 'fill', untilNs, afterwards: filling.afterwards }
  transport.seek(fromNs)
  transport.speed(Number.POSITIVE_INFINITY)
  transport.pause(false)
}
