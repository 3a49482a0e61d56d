/** Knobs under the arrow keys: which value comes next. */
import type { Model } from '../sample/model.ts'
import type { Tunable } from '../sample/source.ts'
import { knobRow } from '../view/subjects/knobs.ts'

/** A knob that was turned, for undo. */
export interface Turn {
  readonly path: string
  readonly before: string
  readonly after: string
  /** Turns of one preset have the same number: they are taken back together. */
  readonly group?: number
}

/** What a knob is set to; undefined where that is not known. */
export function knobValue(model: Model, tunable: Tunable): string | undefined {
  return knobRow(model, tunable).value
}

export const knobNamed = (tunables: readonly Tunable[], path: string): Tunable | undefined => tunables.find(each => each.path === path)

/**
 * The value beside `value`: of a choice its neighbour, of a number one that differs in its second digit.
 * @returns undefined where there is none (the end of the range), or where arrows mean nothing (vectors, triggers)
 */
export function neighbour(tunable: Tunable, value: string, direction: 1 | -1): string | undefined {
  const { type, choices, min, max } = tunable
  if (choices !== undefined) {
    const at = choices.indexOf(value)
    const next = at < 0 ? (direction === 1 ? 0 : choices.length - 1) : at + direction
    return choices[next]
  }
  if (type !== 'integer' && type !== 'bytes') return undefined
  if (!/^-?\d{1,15}$/.test(value)) return undefined
  const number = Number(value)
  const next = Math.min(max ?? Number.MAX_SAFE_INTEGER, Math.max(min ?? 0, number + direction * stepOf(number, direction)))
  return next === number ? undefined : String(next)
}

/** 60 -> 1, 511 -> 10, 4096 -> 100; on the way down from 100, 1. */
function stepOf(number: number, direction: 1 | -1): number {
  const size = Math.abs(direction === 1 ? number : number - 1)
  return Math.max(1, 10 ** (String(size).length - 2))
}
