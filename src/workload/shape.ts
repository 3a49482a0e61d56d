/**
 * How an op is written, and the machinery that reads it. An op's usage line, as it stands in format.md and in help, is
 * itself the grammar: it is compiled here, once, and then says which word is which, what is missing, what was meant,
 * and what could come next.
 *
 *     R read|write [off len] [stride=SIZE] [content=CONTENT] [onfault]
 *     |     |          |            |                            '---- a flag: anywhere behind the positional words
 *     |     |          |            '--------------------------------- an option: likewise, in any order, once
 *     |     |          '---------------------------------------------- a byte range: taken while words begin with a digit
 *     |     '--------------------------------------------------------- one of these words
 *     '--------------------------------------------------------------- a placeholder; [X] may be left out; X... is the rest
 *
 * An op with several usage lines is told apart by the word that is fixed in each (`cgroup G add A`).
 */
import { must } from '../kernel/base/assert.ts'
import { endOf, fail, type Line, part, quoted, restFrom, type Word } from './lex.ts'
import type { Pieces, Range } from './program.ts'
import { type Decode, positive, size, unknown } from './values.ts'

type Slot =
  | { readonly kind: 'word'; readonly key: string; readonly optional: boolean; readonly numeric: boolean }
  | { readonly kind: 'range' }
  | { readonly kind: 'rest'; readonly key: string; readonly optional: boolean }

/** A usage line, compiled. */
export interface Shape {
  readonly usage: string
  readonly slots: readonly Slot[]
  /** Options: name -> how its value is written. */
  readonly options: ReadonlyMap<string, string>
  readonly flags: ReadonlySet<string>
  /** The fixed word that tells this line from the op's others, and its place. */
  readonly fixed: { readonly word: string; readonly index: number } | undefined
}

/** One op of the language. */
export interface OpRow<T> {
  readonly usage: readonly string[]
  /** One sentence. */
  readonly help: string
  readonly shapes: readonly Shape[]
  readonly build: (args: Args) => T
}

/** The words of one op, told apart. */
export interface Args {
  readonly op: string
  readonly line: Line
  /** Positional words by placeholder, options by name. */
  readonly taken: ReadonlyMap<string, Word>
  readonly flags: ReadonlyMap<string, Word>
}

/** Placeholders whose word begins with a digit, so that an optional one can be told from a flag. */
const NUMERIC: readonly string[] = ['SIZE', 'N', 'OFF', 'LEN', 'UID']

/**
 * A row of an op table.
 * @param usage what follows the op's name
 * @param implied options that every op of the table takes, left out of the usage
 */
export function row<T>(usage: string | readonly string[], help: string, build: (args: Args) => T, implied = ''): OpRow<T> {
  const lines = typeof usage === 'string' ? [usage] : usage
  return { usage: lines, help, build, shapes: lines.map(line => compile(line, `${line} ${implied}`)) }
}

function compile(usage: string, grammar: string): Shape {
  const slots: Slot[] = []
  const options = new Map<string, string>()
  const flags = new Set<string>()
  for (const [token] of grammar.matchAll(/\[[^\]]*\]|[^ ]+/g)) {
    const optional = token.startsWith('[')
    const inner = optional ? token.slice(1, -1) : token
    const equals = inner.indexOf('=')
    if (inner === 'off len') slots.push({ kind: 'range' })
    else if (inner.endsWith('...')) slots.push({ kind: 'rest', key: inner.slice(0, -3), optional })
    else if (optional && equals > 0) options.set(inner.slice(0, equals), inner.slice(equals + 1))
    else if (optional && /^[a-z]/.test(inner)) flags.add(inner)
    else slots.push({ kind: 'word', key: inner, optional, numeric: NUMERIC.includes(inner) })
  }
  const index = slots.findIndex(slot => slot.kind === 'word' && /^[a-z_]+$/.test(slot.key))
  const slot = slots[index]
  return { usage, slots, options, flags, fixed: slot?.kind === 'word' ? { word: slot.key, index } : undefined }
}

/** Which of an op's usage lines is meant. */
export function shapeFor(op: string, shapes: readonly Shape[], line: Line, words: readonly Word[]): Shape {
  const only = must(shapes[0], 'an op has a usage line')
  if (shapes.length === 1) return only
  const chosen = shapes.find(({ fixed }) => fixed && words[fixed.index]?.text === fixed.word) ?? shapes.find(({ fixed }) => !fixed)
  if (chosen) return chosen
  const index = only.fixed?.index ?? 0
  const all = shapes.flatMap(({ fixed }) => fixed?.word ?? [])
  const word = words[index]
  return word ? unknown(word, `word of ${op}`, all) : fail(endOf(line), `${op}: ${all.join('|')} is missing (${op} ${only.usage})`)
}

/**
 * Tells the words behind an op's name apart.
 * @throws UserError for a missing or unknown word
 */
export function match(op: string, shape: Shape, line: Line, words: readonly Word[]): Args {
  const taken = new Map<string, Word>()
  let at = 0
  shape.slots.forEach((slot, i) => {
    const word = words[at]
    if (slot.kind === 'range') {
      for (const key of ['off', 'len']) if (startsWithDigit(words[at])) taken.set(key, must(words[at++], 'a word that was seen'))
    } else if (slot.kind === 'rest') {
      if (word) taken.set(slot.key, restFrom(line, word))
      else if (!slot.optional) missing(op, shape, slot.key, line, word)
      at = words.length
    } else if (slot.optional ? fits(shape, slot.numeric, i, words.slice(at)) : word && optionOf(shape, word) === undefined) {
      taken.set(slot.key, must(word, 'a word that fits'))
      at++
    } else if (!slot.optional) missing(op, shape, slot.key, line, word)
  })
  const flags = new Map<string, Word>()
  for (const word of words.slice(at)) takeOption(op, shape, word, taken, flags)
  return { op, line, taken, flags }
}

const startsWithDigit = (word: Word | undefined) => word !== undefined && /^[0-9]/.test(word.text)

/** The option that a word is written as, if its op has it. */
function optionOf(shape: Shape, word: Word): string | undefined {
  const equals = word.text.indexOf('=')
  const key = word.text.slice(0, Math.max(equals, 0))
  return shape.options.has(key) ? key : undefined
}

const isOption = (shape: Shape, word: Word) => shape.flags.has(word.text) || optionOf(shape, word) !== undefined

/** Whether the next word is meant for an optional place: not an option, and not needed by a later place. */
function fits(shape: Shape, numeric: boolean, slot: number, words: readonly Word[]): boolean {
  const word = words[0]
  if (!word || isOption(shape, word) || (numeric && !startsWithDigit(word))) return false
  const needed = shape.slots.slice(slot + 1).filter(later => later.kind !== 'range' && !later.optional).length
  const options = words.findIndex(other => isOption(shape, other))
  return (options < 0 ? words.length : options) > needed
}

function missing(op: string, shape: Shape, key: string, line: Line, word: Word | undefined): never {
  return fail(word ?? endOf(line), `${op}: ${key} is missing (${brief(op, shape)})`)
}

/** How an op is written, without its options. */
function brief(op: string, shape: Shape): string {
  const places = shape.usage.replace(/ ?\[[a-z_]+(=[^\]]*)?\]/g, '')
  return `${op} ${places}${places.length < shape.usage.length ? ' ...' : ''}`.trimEnd()
}

function takeOption(op: string, shape: Shape, word: Word, taken: Map<string, Word>, flags: Map<string, Word>): void {
  const key = optionOf(shape, word)
  if (key !== undefined) {
    if (taken.has(key)) fail(word, `${op}: ${key}= is given twice`)
    const value = part(word, key.length + 1)
    taken.set(key, value.text === '' ? fail(value, `${op}: ${key}= needs a value`) : value)
  } else if (shape.flags.has(word.text)) {
    flags.set(word.text, word)
  } else if (startsWithDigit(word)) {
    fail(word, `${op}: ${quoted(word.text)} is one word too many (${brief(op, shape)})`)
  } else {
    const equals = word.text.indexOf('=')
    const known = [...shape.flags, ...[...shape.options.keys()].map(option => option + '=')]
    if (known.length === 0) fail(word, `${op}: ${quoted(word.text)} is one word too many (${brief(op, shape)})`)
    unknown(equals < 0 ? word : part(word, 0, equals + 1), `word of ${op}`, known)
  }
}

// ---------------------------------------------------------------------------------------------- what a builder asks

/** A word that the usage makes sure of. */
export const get = <T>(args: Args, key: string, decode: Decode<T>): T => decode(must(args.taken.get(key), `${args.op} has ${key}`))

/** A word that may be left out. */
export function maybe<T>(args: Args, key: string, decode: Decode<T>): T | undefined {
  const word = args.taken.get(key)
  return word && decode(word)
}

export const flag = (args: Args, key: string) => args.flags.has(key)

/** `[off len]`: the whole region (or file), from off to its end, or off and len. */
export const range = (args: Args): Range =>
  args.taken.has('off') ? { offset: get(args, 'off', size), length: maybe(args, 'len', size) } : WHOLE

const WHOLE: Range = { offset: 0, length: undefined }

/** `[stride=SIZE] [span=SIZE]` of a ranged op. */
export function pieces(args: Args): Pieces | undefined {
  const strideBytes = maybe(args, 'stride', positive(size))
  const spanBytes = maybe(args, 'span', positive(size))
  if (strideBytes !== undefined) return { strideBytes, spanBytes: spanBytes ?? 4096 }
  const span = args.taken.get('span')
  return span && fail(span, `${args.op}: span= goes with stride=`)
}

/** Refuses two words that exclude each other. */
export function exclusive(args: Args, ...keys: readonly string[]): void {
  const given = keys.flatMap(key => args.taken.get(key) ?? args.flags.get(key) ?? [])
  const [, second] = given
  if (second) fail(second, `${args.op}: ${keys.slice(0, -1).join(', ')} and ${keys.at(-1) ?? ''} exclude each other`)
}
