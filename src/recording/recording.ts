/**
 * What a recording is to those who play it, whichever of the two formats it came from: numbered frames, in order of
 * machine time, that can be asked for in any order.
 */
import type { Frame, Source, Tunable } from '../sample/source.ts'

export interface Recording {
  readonly format: 'raw' | 'mmtop'
  /** What was recorded. */
  readonly recorded: Source['kind']
  readonly title: string
  readonly tunables: readonly Tunable[]
  /** What a reader should know: that it ends early, that texts are cut. */
  readonly notes: readonly string[]
  /** Whether the recorder stopped in order; otherwise the end is missing. */
  readonly ended: boolean
  /** Number of frames, at least 1. */
  readonly count: number
  readonly startNs: number
  readonly endNs: number
  /** @param index 0 .. count - 1. Throws UserError where the file is damaged. */
  frame(index: number): Frame
  /** The last frame at or before `ns`; 0 when all are later. */
  indexAt(ns: number): number
  close(): void
}

/** Whether a JSON value is an object with fields. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The JSON value of a line, or undefined where it is none. */
export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** A nanosecond count: a finite, non-negative number. */
export function isNs(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
