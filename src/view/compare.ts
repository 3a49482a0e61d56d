/**
 * Two courses of a machine side by side: of every figure its mean over the course, and what the second has more or less.
 *
 *     totals   growth per second from the first sample to the last
 *     levels   mean over the samples
 *
 * Figures that changed most, in proportion, come first; of those that were nothing before, the largest.
 */
import { growth, kindOf } from '../sample/counters.ts'
import type { Model } from '../sample/model.ts'
import { parseChoice } from '../sample/parse/choice.ts'
import { textOf } from '../sample/sample.ts'
import type { Cell } from './table.ts'
import type { Table } from './tables.ts'

/** What is known of a course, sample by sample. */
export interface Course {
  /** Sum over the samples of each level, and their number; growth of each total. */
  readonly sums: Map<string, number>
  readonly counts: Map<string, number>
  readonly last: Map<string, number>
  seconds: number
  /** Knobs as they stood at the end: path -> value. */
  knobs: Map<string, string>
}

export const newCourse = (): Course => ({ sums: new Map(), counts: new Map(), last: new Map(), seconds: 0, knobs: new Map() })

/** Takes the next sample of the course. */
export function note(course: Course, model: Model): void {
  for (const [key, value] of model.scalars) {
    if (kindOf(key) === 'gauge') {
      course.sums.set(key, (course.sums.get(key) ?? 0) + value)
      course.counts.set(key, (course.counts.get(key) ?? 0) + 1)
    } else {
      const before = course.last.get(key)
      if (before !== undefined) course.sums.set(key, (course.sums.get(key) ?? 0) + growth(value, before))
      else course.sums.set(key, course.sums.get(key) ?? 0)
      course.last.set(key, value)
    }
  }
  course.seconds += model.seconds
  for (const { path } of model.tunables) {
    const text = textOf(model.sample.frame, path)?.trim().replace(/\s+/g, ' ')
    if (text !== undefined) course.knobs.set(path, parseChoice(text).chosen ?? text)
  }
}

/** The mean of a figure: per second for totals. */
function meanOf(course: Course, key: string): number | undefined {
  const sum = course.sums.get(key)
  if (sum === undefined) return undefined
  if (kindOf(key) === 'gauge') return sum / (course.counts.get(key) ?? 1)
  return course.seconds > 0 ? sum / course.seconds : undefined
}

export interface Change {
  readonly key: string
  readonly before: number
  readonly after: number
  /** after / before; Infinity where there was nothing before. */
  readonly ratio: number
}

/** Figures whose means differ, those that changed most first. */
export function changes(a: Course, b: Course): Change[] {
  const keys = [...new Set([...a.sums.keys(), ...b.sums.keys()])]
  return keys
    .flatMap((key): Change[] => {
      const [before, after] = [meanOf(a, key) ?? 0, meanOf(b, key) ?? 0]
      return before === after ? [] : [{ key, before, after, ratio: before === 0 ? Number.POSITIVE_INFINITY : after / before }]
    })
    .sort((x, y) => weight(y) - weight(x) || Math.abs(y.after - y.before) - Math.abs(x.after - x.before))
}

/** How many times more or less; what appeared or vanished counts as much as a thousandfold change. */
function weight({ before, after }: Change): number {
  const [low, high] = [Math.min(Math.abs(before), Math.abs(after)), Math.max(Math.abs(before), Math.abs(after))]
  return low === 0 ? 1000 : Math.min(1000, high / low)
}

/** Knobs that stood differently. */
function knobChanges(a: Course, b: Course): { readonly path: string; readonly before: string; readonly after: string }[] {
  return [...a.knobs].flatMap(([path, before]) => {
    const after = b.knobs.get(path)
    return after === undefined || after === before ? [] : [{ path, before, after }]
  })
}

/** Both as a table: knobs first. */
export function compareTable(a: Course, b: Course): Table {
  const knobs = knobChanges(a, b).map(({ path, before, after }): Cell[] => [path, before, after, undefined, undefined])
  const figures = changes(a, b).map(({ key, before, after, ratio }): Cell[] => [
    kindOf(key) === 'counter' ? `${key}_per_second` : key,
    before,
    after,
    after - before,
    Number.isFinite(ratio) ? ratio : undefined,
  ])
  return { name: 'diff', columns: ['name', 'a', 'b', 'difference', 'ratio'], rows: [...knobs, ...figures], single: false }
}
