/**
 * Plays a recording as a Source: the same frames the machine gave, at the pace that is asked for.
 *
 *     wall time      anchor.wall ──────────────────────> now
 *     machine time   anchor.ns   ── x speed ───────────>  the next frame is due when this reaches its ns
 *
 * The anchor moves whenever the pace changes, so a change of speed never jumps. Time comes from an injected clock: under
 * a test's clock, or at speed Infinity, playing is a plain loop. Nothing is dropped: who asks too slowly for the speed
 * gets the frames late, and `pace().ratio` says so.
 */
import type { Frame, Pace, Source, Step, Transport } from '../sample/source.ts'
import type { Recording } from './recording.ts'

/** What the player needs of time. */
export interface WallClock {
  /** Milliseconds, from anywhere, never backwards. */
  now(): number
  /** Calls `wake` once after `ms`; the result cancels it. */
  after(ms: number, wake: () => void): () => void
}

const realClock: WallClock = {
  now: () => performance.now(),
  after: (ms, wake) => {
    const timer = setTimeout(wake, ms)
    return () => clearTimeout(timer)
  },
}

/** The pace's window: the ratio is of the last second. */
const RATIO_WINDOW_MS = 1000
/** The longest timer Node knows, about 24 days. */
const TIMER_LIMIT_MS = 2 ** 31 - 1

interface State {
  readonly recording: Recording
  readonly clock: WallClock
  /** Index of the next frame. */
  next: number
  /** The last frame given. */
  current: Frame | undefined
  paused: boolean
  speed: number
  /** One more frame although paused. */
  stepping: boolean
  /** The next frame at once, whatever its time: after a seek, and the first. */
  jump: boolean
  anchor: { wall: number; ns: number }
  given: { wall: number; ns: number }[]
  waiting: { resolve: (frame: Frame | undefined) => void; reject: (error: unknown) => void } | undefined
  /** What a seek met in a damaged recording; the next `next` rejects with it. */
  failure: { readonly error: unknown } | undefined
  cancelTimer: () => void
  closed: boolean
}

/** As the machine said; one of a simulation, or that said nothing, has pages of 4096. */
function pageBytesOf(recording: Recording): number {
  const said = /^page_bytes (\d{4,7})$/m.exec(recording.frame(0).files.get('/mmtop/machine') ?? '')
  return said === null ? 4096 : Number(said[1])
}

/** @param speed machine seconds per wall second; Infinity plays as fast as frames are asked for */
export function playRecording(recording: Recording, clock: WallClock = realClock, speed = 1): Source & { readonly transport: Transport } {
  const state: State = {
    recording,
    clock,
    next: 0,
    current: undefined,
    paused: false,
    speed,
    stepping: false,
    jump: true,
    anchor: { wall: clock.now(), ns: recording.startNs },
    given: [],
    waiting: undefined,
    failure: undefined,
    cancelTimer: () => undefined,
    closed: false,
  }
  return {
    kind: 'recording',
    title: recording.title,
    tunables: recording.tunables,
    pageBytes: pageBytesOf(recording),
    watch: () => undefined,
    next: () => nextFrame(state),
    read: async path => state.current?.files.get(path),
    pace: () => paceOf(state),
    transport: transportOf(state),
    close: async () => close(state),
  }
}

function transportOf(state: State): Transport {
  return {
    pause: on => change(state, () => (state.paused = on)),
    speed: speed => change(state, () => (state.speed = Math.min(Math.max(speed, 0.01), Number.POSITIVE_INFINITY))),
    // A recording has nothing smaller than a sample to go on by.
    step: (_by: Step) =>
      change(state, () => {
        state.paused = true
        state.stepping = true
      }),
    seek: ns => change(state, () => seek(state, ns)),
    span: { startNs: state.recording.startNs, endNs: state.recording.endNs },
  }
}

/** Applies a change of pace from here and now, and lets a waiting `next` see it. */
function change(state: State, apply: () => void): void {
  state.anchor = { wall: state.clock.now(), ns: positionNs(state) }
  apply()
  arm(state)
}

function seek(state: State, ns: number): void {
  try {
    state.next = state.recording.indexAt(ns)
    state.jump = true
    state.given = []
  } catch (error) {
    state.failure = { error }
  }
}

/** Machine time that the playing has reached, at most the next frame's. */
function positionNs(state: State): number {
  const { anchor, current, recording } = state
  const from = current?.ns ?? recording.startNs
  if (state.paused || state.next >= recording.count) return Math.max(anchor.ns, from)
  if (state.speed === Number.POSITIVE_INFINITY) return from
  return Math.max(from, anchor.ns + (state.clock.now() - anchor.wall) * state.speed * 1e6)
}

function nextFrame(state: State): Promise<Frame | undefined> {
  return new Promise((resolve, reject) => {
    state.waiting = { resolve, reject }
    arm(state)
  })
}

/** Answers a waiting `next` now, or sets the timer that will. */
function arm(state: State): void {
  state.cancelTimer()
  state.cancelTimer = () => undefined
  if (state.waiting === undefined) return
  if (state.closed || state.next >= state.recording.count) answer(state, undefined)
  else if (state.stepping || state.jump) give(state)
  else if (!state.paused) giveWhenDue(state)
}

function giveWhenDue(state: State): void {
  const frame = frameAt(state)
  if (frame === undefined) return
  const dueMs = state.speed === Number.POSITIVE_INFINITY ? 0 : (frame.ns - positionNs(state)) / (state.speed * 1e6)
  if (dueMs <= 0) give(state)
  else state.cancelTimer = state.clock.after(Math.min(dueMs, TIMER_LIMIT_MS), () => arm(state))
}

/** The next frame; a damaged recording rejects the waiting `next`. */
function frameAt(state: State): Frame | undefined {
  try {
    if (state.failure !== undefined) throw state.failure.error
    return state.recording.frame(state.next)
  } catch (error) {
    state.failure = undefined
    const { waiting } = state
    state.waiting = undefined
    waiting?.reject(error)
    return undefined
  }
}

function give(state: State): void {
  const frame = frameAt(state)
  if (frame === undefined) return
  const wall = state.clock.now()
  const jumped = state.jump || state.stepping
  state.next++
  state.current = frame
  state.jump = false
  state.stepping = false
  if (jumped) state.anchor = { wall, ns: frame.ns }
  state.given.push({ wall, ns: frame.ns })
  while (state.given.length > 2 && state.given[1].wall < wall - RATIO_WINDOW_MS) state.given.shift()
  answer(state, frame)
}

function answer(state: State, frame: Frame | undefined): void {
  const { waiting } = state
  state.waiting = undefined
  waiting?.resolve(frame)
}

function paceOf(state: State): Pace {
  const [first, last] = [state.given[0], state.given.at(-1)]
  const wallMs = first === undefined || last === undefined ? 0 : last.wall - first.wall
  const ratio = first === undefined || last === undefined || wallMs <= 0 ? 0 : (last.ns - first.ns) / (wallMs * 1e6)
  return { paused: state.paused, speed: state.speed, ratio: state.paused ? 0 : ratio, ended: state.next >= state.recording.count }
}

function close(state: State): void {
  state.closed = true
  state.cancelTimer()
  state.recording.close()
  answer(state, undefined)
}
