/**
 * How fast a simulation goes on the wall clock, and when a frame is due.
 *
 *     wall time      anchor.wall ─────────────────> now
 *     machine time   anchor.ns ──── x speed ──────> where the machine should be
 *
 * `turn` does a bit of work (at most WORK_MS of wall time), so that orders are heard in between, and says when it wants to
 * be called again. At a finite speed a frame that nobody asked for in time is given when somebody asks; at speed
 * Infinity the machine waits at each frame until it is wanted, so none is lost. Slower than wall time, frames come
 * after less machine time each, as often as at speed 1; faster, at most FRAMES_MAX times as often.
 *
 * A machine that cannot keep up is not in debt: where it falls behind by LAG_MS, its anchor is set anew.
 */
import type { Frame, Step } from '../sample/source.ts'
import { nextMoment, noteRecord, takeFrame, type Watched } from './frames.ts'
import { hasEnded, nextEventNs, runOp, runUntil, type Watcher } from './simulation.ts'

const WORK_MS = 8
const LAG_MS = 250
/** Work is done in portions of this much wall time. */
const NAP_MS = 20
/** The longest timer Node knows. */
const TIMER_LIMIT_MS = 2 ** 31 - 1
const FRAMES_MAX = 4
const RATIO_WINDOW_MS = 1000

export interface Pacer {
  readonly watched: Watched
  readonly intervalNs: number
  /** Moments still to come at which a frame is wanted besides. */
  readonly moments: number[]
  /** Milliseconds of the wall, from anywhere. */
  readonly wall: () => number
  paused: boolean
  speed: number
  anchor: { readonly wallMs: number; readonly ns: number }
  /** When the next frame is due. */
  nextFrameNs: number
  /** Somebody waits for a frame; and a frame is due for whoever asks. */
  wanted: boolean
  due: boolean
  steps: Step[]
  /** The last frame has been given. */
  over: boolean
  /** Where the machine was, over the last second of wall time. */
  readonly past: { readonly wallMs: number; readonly ns: number }[]
}

export function startPacer(watched: Watched, intervalNs: number, moments: readonly number[], speed: number, wall: () => number): Pacer {
  return {
    watched,
    intervalNs,
    moments: moments.filter(ns => ns > 0),
    wall,
    paused: false,
    speed,
    anchor: { wallMs: wall(), ns: 0 },
    nextFrameNs: 0,
    wanted: false,
    due: true,
    steps: [],
    over: false,
    past: [],
  }
}

/** What a turn came to: a frame for whoever waits, and in how many milliseconds it wants the next turn (undefined: when ordered). */
export interface TurnResult {
  readonly frame: Frame | undefined
  readonly againMs: number | undefined
}

export function turn(pacer: Pacer): TurnResult {
  const step = pacer.steps.shift()
  if (step !== undefined) takeStep(pacer, step)
  const arrived = pacer.paused ? true : goOn(pacer)
  measure(pacer)
  const frame = pacer.wanted && pacer.due && !pacer.over ? give(pacer) : undefined
  return { frame, againMs: pacer.steps.length > 0 ? 0 : pause(pacer, arrived) }
}

/** Brings the machine to where it should be by now, before an order is obeyed. */
export function catchUp(pacer: Pacer): void {
  if (!pacer.paused) goOn(pacer)
}

/** Machine seconds per wall second over the last second. */
export function ratioOf({ past, paused }: Pacer): number {
  const [first, last] = [past[0], past.at(-1)]
  if (paused || first === undefined || last === undefined || last.wallMs <= first.wallMs) return 0
  return (last.ns - first.ns) / ((last.wallMs - first.wallMs) * 1e6)
}

export function setPaused(pacer: Pacer, on: boolean): void {
  pacer.paused = on
  setAnchor(pacer)
}

export function setSpeed(pacer: Pacer, speed: number): void {
  pacer.speed = speed
  setAnchor(pacer)
  pacer.nextFrameNs = Math.min(pacer.nextFrameNs, pacer.watched.lastNs + periodNs(pacer))
}

/** From here and now on. */
function setAnchor(pacer: Pacer): void {
  pacer.anchor = { wallMs: pacer.wall(), ns: pacer.watched.sim.ns }
  pacer.past.length = 0
}

function periodNs({ speed, intervalNs }: Pacer): number {
  if (speed <= 1) return intervalNs * speed
  return speed === Number.POSITIVE_INFINITY ? intervalNs : intervalNs * Math.max(1, speed / FRAMES_MAX)
}

function takeStep(pacer: Pacer, by: Step): void {
  const { sim } = pacer.watched
  const note: Watcher = record => noteRecord(pacer.watched, record)
  if (by === 'op') runOp(sim, note)
  else runUntil(sim, by === 'ms' ? sim.ns + 1e6 : Math.max(frameAfter(pacer, sim.ns), pacer.watched.lastNs + 1), note)
  setAnchor(pacer)
  pacer.due = true
  pacer.nextFrameNs = frameAfter(pacer, sim.ns)
}

const frameAfter = (pacer: Pacer, ns: number): number => nextMoment(ns, periodNs(pacer), pacer.moments)

/** Runs the machine for a bit. @returns whether it is where it should be by now */
function goOn(pacer: Pacer): boolean {
  const { watched, wall } = pacer
  const { sim } = watched
  if (pacer.due && (pacer.wanted || pacer.speed === Number.POSITIVE_INFINITY)) return true
  const startMs = wall()
  const should =
    pacer.speed === Number.POSITIVE_INFINITY ? pacer.nextFrameNs : pacer.anchor.ns + (startMs - pacer.anchor.wallMs) * pacer.speed * 1e6
  const target = Math.min(should, pacer.nextFrameNs)
  const arrived =
    hasEnded(sim) ||
    runUntil(
      sim,
      target,
      record => noteRecord(watched, record),
      () => wall() - startMs > WORK_MS,
    )
  if (hasEnded(sim)) pacer.due = true
  else if (sim.ns >= pacer.nextFrameNs) {
    pacer.due = true
    pacer.nextFrameNs = frameAfter(pacer, sim.ns)
  }
  if ((should - sim.ns) / (pacer.speed * 1e6) > LAG_MS) pacer.anchor = { wallMs: wall(), ns: sim.ns }
  return arrived
}

function give(pacer: Pacer): Frame {
  pacer.wanted = false
  pacer.due = false
  if (hasEnded(pacer.watched.sim)) pacer.over = true
  const frame = takeFrame(pacer.watched)
  pacer.nextFrameNs = Math.max(pacer.nextFrameNs, frameAfter(pacer, frame.ns))
  return frame
}

/**
 * How long to do nothing: while paused, at the end, or at a frame that nobody wants, until an order comes; else until the next
 * frame or until something happens on the machine, whichever comes first, but a nap at least.
 */
function pause(pacer: Pacer, arrived: boolean): number | undefined {
  const { sim } = pacer.watched
  if (pacer.paused || pacer.over || (hasEnded(sim) && !pacer.wanted)) return undefined
  if (pacer.speed === Number.POSITIVE_INFINITY) return pacer.due && !pacer.wanted ? undefined : 0
  if (!arrived) return 0
  const msUntil = (ns: number) => (ns - sim.ns) / (pacer.speed * 1e6)
  return Math.max(0, Math.min(TIMER_LIMIT_MS, msUntil(pacer.nextFrameNs), Math.max(NAP_MS, msUntil(nextEventNs(sim)))))
}

function measure({ past, wall, watched }: Pacer): void {
  const wallMs = wall()
  past.push({ wallMs, ns: watched.sim.ns })
  while (past.length > 2 && past[1].wallMs < wallMs - RATIO_WINDOW_MS) past.shift()
}
