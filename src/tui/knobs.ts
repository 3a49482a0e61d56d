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
  /** The knob that turning this one switched off, and what it was: where this one was off before, that one is put back instead. */
  readonly other?: { readonly path: string; readonly value: string }
}

/** Knobs of which at most one is on: setting one sets the other to 0 (dirty_bytes_handler and its like). */
const PAIRS = [
  ['overcommit_ratio', 'overcommit_kbytes'],
  ['dirty_ratio', 'dirty_bytes'],
  ['dirty_background_ratio', 'dirty_background_bytes'],
].map(pair => pair.map(name => `/proc/sys/vm/${name}`))

/** The knob that is switched off when this one is set, if there is one. */
export function otherOf(path: string): string | undefined {
  return PAIRS.find(pair => pair.includes(path))?.find(each => each !== path)
}

/** What is to be written for a turn: to take back that a knob was switched on is to put back the one that it switched off. */
export function writtenBy({ path, after, other }: Turn, way: 'new' | 'undo' | 'redo'): { readonly path: string; readonly value: string } {
  return way === 'undo' && other !== undefined && after === '0' ? other : { path, value: after }
}

/** What a knob is set to; undefined where that is not known. */
export function knobValue(model: Model, tunable: Tunable): string | undefined {
  return knobRow(model, tunable).value
}

export const knobNamed = (tunables: readonly Tunable[], path: string): Tunable | undefined => tunables.find(each => each.path === path)

/** Words that the kernel takes for yes and no (kstrtobool), whatever a file prints. */
const SWITCH = /^(y|n|1|0|on|off|true|false)$/i

/**
 * What is wrong with a value before it is written, from what is known of the knob; undefined where nothing is, or nothing is known.
 * The kernel has the last word either way.
 */
export function whyNot({ type, choices, min, max, unit, source }: Tunable, value: string): string | undefined {
  if (source === '' || type === 'trigger' || type === 'vector') return undefined
  if (choices !== undefined) {
    const taken = choices.includes(value) || (choices.every(word => SWITCH.test(word)) && SWITCH.test(value))
    return taken ? undefined : `takes one of ${choices.join(' ')}`
  }
  if (type !== 'integer' && type !== 'bytes') return undefined
  const match = /^([-+]?\d{1,20}|0x[0-9a-f]{1,16})([kmgt]?)$/i.exec(value)
  if (match === null || (match[2] !== '' && type !== 'bytes')) return 'takes a number'
  const number = Number(match[1]) * 1024 ** ' kmgt'.indexOf(match[2].toLowerCase() || ' ')
  if ((min === undefined || number >= min) && (max === undefined || number <= max)) return undefined
  return `takes ${min ?? ''}..${max ?? ''}${unit === undefined ? '' : ` ${unit}`}`
}

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
