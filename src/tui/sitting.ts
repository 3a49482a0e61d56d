/**
 * Everything that moves on while someone sits in front of a machine, and the few things that are done to it from more
 * than one place.
 */
import type { Model, Tracker } from '../sample/model.ts'
import type { Frame, Source } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import type { Size } from '../view/panel.ts'
import type { Preset } from '../view/presets.ts'
import type { Config } from './config.ts'
import type { Binding } from './keymap.ts'
import type { Looks, Rights, Screen } from './screen.ts'
import { type State, said } from './state.ts'

/** Takes what a recording is made of (recording/writer.ts). */
export interface Recorder {
  append(frame: Frame): void
  close(): void
}

export interface SessionOptions {
  readonly source: Source
  readonly size: Size
  readonly looks: Looks
  /** Opens a recording; it throws UserError where that cannot be. */
  readonly record?: (path: string) => Recorder
  /** Milliseconds, never backwards. */
  readonly now: () => number
  readonly redraw?: () => void
  readonly config?: Config
  /** Samples after which it ends. */
  readonly count?: number | undefined
  /** Writes the configuration file; gives its path. */
  readonly save?: (text: string) => string
  readonly suspend?: () => void
}

/** The pace to return to. */
export interface PaceThen {
  readonly paused: boolean
  readonly speed: number
}

/**
 * Playing faster than it is asked for, for a purpose: `find` the frame at a time, `fill` in what comes before it, or go
 * on to the next `event`.
 */
export type Filling =
  | { readonly kind: 'find'; afterwards: PaceThen }
  | { readonly kind: 'fill'; readonly untilNs: number; afterwards: PaceThen }
  | { readonly kind: 'event'; afterwards: PaceThen; readonly key?: string }

/** Everything that moves on. */
export interface Sitting {
  readonly options: SessionOptions
  readonly source: Source
  readonly rights: Rights
  readonly keymap: readonly Binding[]
  readonly presets: Readonly<Record<string, Preset>>
  readonly tracker: Tracker
  readonly listeners: Set<() => void>
  looks: Looks
  size: Size
  state: State
  screen: Screen | undefined
  /** The model on the screen, until the next frame or move in history. */
  model: Model | undefined
  /** Files read since the newest frame. */
  readonly patch: Map<string, string>
  /** Files asked for since the newest frame. */
  readonly asked: Set<string>
  /** What knobs are about to be set to. */
  readonly intended: Map<string, string>
  watched: readonly string[]
  recorder: Recorder | undefined
  filling: Filling | undefined
  /** Machine time between the last two frames. */
  intervalNs: number
  timer: NodeJS.Timeout | undefined
  drawnMs: number
  /** Samples taken in. */
  samples: number
  breathedMs: number
  over: boolean
  /** Wakes up who waits for a source that has ended to go on. */
  wake: () => void
  end: (status: number) => void
  fail: (error: unknown) => void
}

/** Least time between two screens that only time has changed. */
const FRAME_MS = 50
/** The new state; what was made for the old one is made anew when it is asked for. */
export function update(sitting: Sitting, state: State): void {
  if (state.seq !== sitting.state.seq) sitting.model = undefined
  sitting.state = state
  sitting.screen = undefined
}

export function say(sitting: Sitting, text: string, bad = false): void {
  update(sitting, said(sitting.state, cleanLine(text), bad))
  redraw(sitting)
}

/** A new screen, now. */
export function redraw(sitting: Sitting): void {
  clearTimeout(sitting.timer)
  sitting.timer = undefined
  sitting.screen = undefined
  sitting.drawnMs = sitting.options.now()
  for (const listener of sitting.listeners) listener()
}

/** A new screen, but not more often than the eye can follow. */
export function redrawSoon(sitting: Sitting): void {
  if (sitting.timer !== undefined || sitting.over) return
  const waitMs = Math.max(0, sitting.drawnMs + FRAME_MS - sitting.options.now())
  sitting.timer = setTimeout(() => redraw(sitting), waitMs)
}

/** Reads files into what is shown, unless a newer frame was first. */
export async function readInto(sitting: Sitting, paths: readonly string[]): Promise<void> {
  const { seq } = sitting.tracker.model ?? {}
  for (const path of paths) sitting.asked.add(path)
  const texts = await Promise.all(paths.map(path => sitting.source.read(path)))
  if (sitting.tracker.model?.seq !== seq) return
  for (const [i, text] of texts.entries()) if (text !== undefined) sitting.patch.set(paths[i], text)
  sitting.model = undefined
  redrawSoon(sitting)
}

/** The pace that was before a jump or a search. */
export function restorePace(sitting: Sitting): void {
  const { filling, source } = sitting
  if (filling === undefined) return
  sitting.filling = undefined
  source.transport?.pause(filling.afterwards.paused)
  source.transport?.speed(filling.afterwards.speed)
}
