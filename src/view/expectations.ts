/**
 * Assertions on a run: `--expect 'thp_fault_alloc >= 32'`.
 *
 *     NAME OP VALUE        NAME   a figure by its flat name (sample/scalars.ts), in the unit of its field: MemFree in bytes
 *                                 or PATH, a file that holds one number, or PATH:KEY, the number after KEY in it, as printed
 *                          OP     > >= < <= == !=, or gt ge lt le eq ne
 *                          VALUE  a number, K M G T behind it for powers of 1024; +N: N more than when watching began
 */
import { type Model, sinceStart } from '../sample/model.ts'
import { type Sample, textOf } from '../sample/sample.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { SCALARS } from './fields.ts'
import { compare } from './filter.ts'
import { notHere } from './panels/common.ts'

export interface Expectation {
  /** As it was written. */
  readonly text: string
  readonly name: string
  readonly operator: string
  readonly value: number
  /** Whether `value` is a difference to the beginning. */
  readonly relative: boolean
}

export interface Verdict {
  readonly holds: boolean
  /** What it is instead, for the reader: "thp_fault_alloc is 12". */
  readonly found: string
}

const WORDS: Readonly<Record<string, string>> = { gt: '>', ge: '>=', lt: '<', le: '<=', eq: '==', ne: '!=', '=': '==' }
const SCALE: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** @throws UserError where the text is no expectation */
export function parseExpectation(text: string): Expectation {
  const match = /^\s*(\S+?)\s*(>=|<=|==|!=|>|<|=|\s(?:gt|ge|lt|le|eq|ne)\s)\s*(.*?)\s*$/.exec(text)
  if (match === null) throw new UserError(`"${text}" is no expectation: write NAME OP VALUE, as in 'thp_fault_alloc >= 32'`)
  const value = /^(\+?)(-?\d+(?:\.\d+)?)([kKmMgGtT]?)$/.exec(match[3])
  if (value === null) throw new UserError(`"${match[3]}" in "${text}" is no number: write 32, 64M or +32`)
  const operator = match[2].trim()
  return {
    text: text.trim(),
    name: match[1],
    operator: WORDS[operator] ?? operator,
    value: Number(value[2]) * SCALE[value[3].toLowerCase()],
    relative: value[1] === '+',
  }
}

/** @throws UserError where the machine has no such figure */
export function judge(expectation: Expectation, model: Model): Verdict {
  const { name, operator, value, relative } = expectation
  const now = figure(name, model.sample, model)
  const actual = relative ? now - startOf(name, model) : now
  return { holds: compare(actual, operator, value), found: `${name} ${relative ? 'grew by' : 'is'} ${actual}` }
}

function startOf(name: string, model: Model): number {
  if (name.startsWith('/')) return inFile(name, model.first)
  return (model.scalars.get(name) ?? 0) - (sinceStart(model, name) ?? 0)
}

function figure(name: string, sample: Sample, model: Model): number {
  if (name.startsWith('/')) return inFile(name, sample)
  const value = model.scalars.get(name)
  if (value !== undefined) return value
  if (SCALARS.has(name)) throw new UserError(`"${name}" is ${notHere(model)}`)
  const near = nearestWord(name, model.scalars.keys())
  throw new UserError(`this machine has no figure "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
}

/** PATH or PATH:KEY; the number as the file prints it, whatever its unit. */
function inFile(name: string, sample: Sample): number {
  const colon = name.indexOf(':')
  const path = colon < 0 ? name : name.slice(0, colon)
  const key = colon < 0 ? undefined : name.slice(colon + 1)
  const text = textOf(sample.frame, path)
  if (text === undefined) {
    const near = nearestWord(path, sample.frame.files.keys())
    throw new UserError(`this machine has no file "${path}"${near === undefined ? '' : `, did you mean "${near}"?`}`)
  }
  const found = key === undefined ? /^\s*(-?\d{1,20})\s*$/.exec(text)?.[1] : afterKey(text, key)
  if (found === undefined)
    throw new UserError(
      key === undefined ? `${path} holds more than one number: write ${path}:KEY` : `${path} has no number after "${key}"`,
    )
  return Number(found)
}

function afterKey(text: string, key: string): string | undefined {
  for (const line of text.split('\n')) {
    const rest = line.trimStart()
    if (!rest.startsWith(key)) continue
    const match = /^:?\s+(-?\d{1,20})\b/.exec(rest.slice(key.length))
    if (match !== null) return match[1]
  }
  return undefined
}
