/**
 * Words to values: one decoder for each kind of argument. A decoder takes a word and returns its value, or throws a
 * UserError that says what such a word looks like.
 *
 * Decoders are stricter than the C library's strtoull, which reads "4X" as 4 and "010" as 8: what is malformed is
 * refused. What is well formed and wrong (node 9 of 2, an empty policy) is the kernel's to refuse when the op runs.
 */
import { ERRNO } from '../kernel/base/errno.ts'
import { nearestWord } from '../user_error.ts'
import { fail, LIMITS, part, quoted, split, type Word } from './lex.ts'
import {
  CONTENT_KINDS,
  type Content,
  type Cpus,
  type FileValue,
  PATTERN_KINDS,
  type Pattern,
  type Place,
  POLICY_MODES,
  type PolicyMode,
} from './program.ts'

export type Decode<T> = (word: Word) => T

const GIB = 2 ** 30
/** Numbers of nodes and CPUs that a list may hold. */
const LIST_NODES = 64
const LIST_CPUS = 1024

const SHIFT: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: GIB }

/** A whole number with an optional K, M or G: what 64 bits hold, as far as a number here is exact, which whole pages are. */
function scaled(word: Word, what: string): number {
  const match = /^(0|[1-9][0-9]*|0x[0-9a-f]+)([kmg]?)$/i.exec(word.text)
  if (!match) {
    const tera = /^([1-9][0-9]{0,6})T$/i.exec(word.text)
    fail(word, `${quoted(word.text)} is not ${what}${tera ? `: write ${Number(tera[1]) * 1024}G` : ''}`)
  }
  const exact = BigInt(match[1]) * BigInt(SHIFT[match[2].toLowerCase()] ?? 1)
  const value = Number(exact)
  return value < 2 ** 64 && BigInt(value) === exact ? value : fail(word, `${quoted(word.text)} is too large`)
}

/** Bytes. */
export const size: Decode<number> = word => scaled(word, 'a size (such as 4096, 64K, 2M, 1G, 0x1000)')

/** A count; K, M and G are powers of 1024 here too. */
export const count: Decode<number> = word => {
  const value = scaled(word, 'a number')
  return Number.isSafeInteger(value) ? value : fail(word, `${quoted(word.text)} is too large`)
}

/** A decimal number with an optional sign. */
export const integer: Decode<number> = word => {
  if (!/^-?(0|[1-9][0-9]*)$/.test(word.text)) fail(word, `${quoted(word.text)} is not a whole number`)
  const value = Number(word.text)
  return Number.isSafeInteger(value) ? value : fail(word, `${quoted(word.text)} is too large`)
}

export function positive(decode: Decode<number>): Decode<number> {
  return word => {
    const value = decode(word)
    return value > 0 ? value : fail(word, 'must be more than 0')
  }
}

export function between(low: number, high: number, decode: Decode<number>): Decode<number> {
  return word => {
    const value = decode(word)
    return value >= low && value <= high ? value : fail(word, `${quoted(word.text)} is not between ${low} and ${high}`)
  }
}

const NS: Readonly<Record<string, number>> = { us: 1e3, ms: 1e6, s: 1e9, min: 60e9, h: 3600e9 }

/** Nanoseconds: a plain number is milliseconds, else us, ms, s, min or h. */
export const duration: Decode<number> = word => {
  const match = /^(0|[1-9][0-9]*)((?:\.[0-9]+)?)(us|ms|s|min|h|)$/.exec(word.text)
  if (!match || (match[3] === '' && match[2] !== '')) {
    fail(word, `${quoted(word.text)} is not a time (200 is milliseconds; or 500us, 1.5s, 10min, 2h)`)
  }
  const ns = Math.round(Number(match[1] + match[2]) * (NS[match[3] || 'ms'] ?? 0))
  return Number.isSafeInteger(ns) ? ns : fail(word, `${quoted(word.text)} is too long`)
}

/** Bytes a second: SIZE/s, or Np/s for pages of 4 KiB. */
export const rate: Decode<number> = word => {
  const match = /^([1-9][0-9]*)([kmgp])\/s$/i.exec(word.text)
  if (!match) fail(word, `${quoted(word.text)} is not a rate (50M/s is bytes a second, 1000p/s is pages of 4 KiB a second)`)
  const unit = match[2].toLowerCase()
  const bytes = Number(match[1]) * (unit === 'p' ? 4096 : (SHIFT[unit] ?? 1))
  return Number.isSafeInteger(bytes) ? bytes : fail(word, `${quoted(word.text)} is too fast`)
}

/** The message for a word that is none of those known. */
export function unknown(word: Word, what: string, words: Iterable<string>): never {
  const known = [...words]
  const near = nearestWord(word.text.slice(0, 64), known)
  const hint = near !== undefined ? `did you mean "${near}"?` : `it is one of ${known.join(' ')}`
  return fail(
    word,
    near !== undefined || known.length <= 24 ? `unknown ${what} ${quoted(word.text)}: ${hint}` : `unknown ${what} ${quoted(word.text)}`,
  )
}

export function oneOf<T extends string>(words: readonly T[], what: string): Decode<T> {
  return word => words.find(known => known === word.text) ?? unknown(word, what, words)
}

/** A list with commas, each word known. */
export function listOf<T extends string>(words: readonly T[], what: string): Decode<readonly T[]> {
  const one = oneOf(words, what)
  return word => split(word, /,/g).map(one)
}

/** Numbers such as 0,2 or 0-2: ascending, each once. */
function numberList(word: Word, below: number, what: string): readonly number[] {
  const numbers = new Set<number>()
  for (const piece of split(word, /[,+]/g)) {
    const match = /^([0-9]{1,6})(?:-([0-9]{1,6}))?$/.exec(piece.text)
    if (!match) fail(piece, `${quoted(piece.text)} is no list of ${what} (such as 0,2 or 0-2)`)
    const first = Number(match[1])
    const last = match[2] === undefined ? first : Number(match[2])
    if (last < first) fail(piece, `${quoted(piece.text)}: the range runs backwards`)
    if (last >= below) fail(piece, `${quoted(piece.text)}: ${what} are numbered 0 to ${below - 1}`)
    for (let n = first; n <= last; n++) numbers.add(n)
  }
  return [...numbers].sort((a, b) => a - b)
}

export const nodeList: Decode<readonly number[]> = word => numberList(word, LIST_NODES, 'nodes')
export const cpus: Decode<Cpus> = word => (word.text === 'any' ? 'any' : numberList(word, LIST_CPUS, 'CPUs'))

/** MODE or MODE:LIST. */
export const policy: Decode<{ readonly mode: PolicyMode; readonly nodes: readonly number[] }> = word => {
  const colon = word.text.indexOf(':')
  const mode = oneOf(POLICY_MODES, 'policy')(colon < 0 ? word : part(word, 0, colon))
  return { mode, nodes: colon < 0 ? [] : nodeList(part(word, colon + 1)) }
}

export const content: Decode<Content> = word => {
  const colon = word.text.indexOf(':')
  const kind = oneOf(CONTENT_KINDS, 'content')(colon < 0 ? word : part(word, 0, colon))
  const argument = colon < 0 ? undefined : part(word, colon + 1)
  if (kind === 'const' || kind === 'comp') {
    if (!argument) fail(word, kind === 'const' ? 'const needs a number: const:7' : 'comp needs a percentage: comp:30')
    return { kind, arg: kind === 'const' ? count(argument) : between(0, 100, integer)(argument) }
  }
  return argument ? fail(argument, `${kind} takes no argument`) : { kind, arg: 0 }
}

const percent = between(1, 99, integer)

/** seq, random, zipf[:S] or hot:P/Q. */
export const pattern: Decode<Pattern> = word => {
  const colon = word.text.indexOf(':')
  const kind = oneOf(PATTERN_KINDS, 'pattern')(colon < 0 ? word : part(word, 0, colon))
  const argument = colon < 0 ? undefined : part(word, colon + 1)
  if (kind === 'hot') {
    const [range, access, more] = argument ? split(argument, /\//g) : []
    if (!range || !access || more) fail(word, 'hot needs two percentages: hot:10/90 sends 90 % of the accesses to 10 % of the range')
    return { kind, rangePercent: percent(range), accessPercent: percent(access) }
  }
  if (kind === 'zipf') return { kind, exponent: argument ? zipfExponent(argument) : 0.99 }
  return argument ? fail(argument, `${kind} takes no argument`) : { kind }
}

const zipfExponent: Decode<number> = word => {
  const exponent = /^[0-9]{1,2}(\.[0-9]{1,6})?$/.test(word.text) ? Number(word.text) : Number.NaN
  return exponent > 0 && exponent <= 10
    ? exponent
    : fail(word, `${quoted(word.text)} is no exponent for zipf (more than 0, at most 10; 0.99 is usual)`)
}

const TWO_MIB = 2 ** 21

/** `align=`: none, or a size that is a power of two or below 2M. */
export const alignment: Decode<Place> = word => {
  if (word.text === 'none') return { kind: 'anywhere' }
  const bytes = positive(size)(word)
  if (bytes > TWO_MIB && !Number.isInteger(Math.log2(bytes))) fail(word, `${quoted(word.text)} is not a power of two`)
  return { kind: 'next', alignBytes: bytes }
}

/** `at=`: an address, or REGION+OFFSET. */
export const place: Decode<Place> = word => {
  if (/^[0-9]/.test(word.text)) return { kind: 'address', address: size(word) }
  const plus = word.text.indexOf('+')
  if (plus < 0) fail(word, `${quoted(word.text)} is no place: an address (0x200000000000) or REGION+OFFSET`)
  return { kind: 'region', region: name(part(word, 0, plus)), offset: size(part(word, plus + 1)) }
}

/** `prot=`: none, or letters out of rwx. */
export const prot: Decode<{ readonly read: boolean; readonly write: boolean; readonly exec: boolean }> = word => {
  const letters = word.text === 'none' ? '' : word.text
  if (letters !== '' && !/^[rwx]+$/.test(letters)) fail(word, `${quoted(word.text)} is no protection: none, or letters out of rwx`)
  return { read: letters.includes('r'), write: letters.includes('w'), exec: letters.includes('x') }
}

/** The name of a process or region. */
export const name: Decode<string> = word => {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(word.text)) fail(word, `${quoted(word.text)} is no name: a letter, then letters, digits, _ - .`)
  if (word.text.length > LIMITS.nameChars) fail(word, `${quoted(word.text)} is longer than the ${LIMITS.nameChars} characters of a name`)
  return word.text
}

/** A region by its name, or by the address where it begins. */
export const region: Decode<string> = word => (/^[0-9]/.test(word.text) ? `0x${size(word).toString(16)}` : name(word))

export const path: Decode<string> = word =>
  word.text.startsWith('/') ? word.text : fail(word, `${quoted(word.text)} is no path: it begins with /`)

/** A name below a directory that the op knows: no leading /, no "..". */
export const below: Decode<string> = word => {
  const bad = word.text.split('/').some(piece => piece === '' || piece === '.' || piece === '..')
  return bad ? fail(word, `${quoted(word.text)} is no name: it does not begin with / and holds no ..`) : word.text
}

export const text: Decode<string> = word => word.text

/** PATH or PATH:KEY. */
export const fileValue: Decode<FileValue> = word => {
  const colon = word.text.lastIndexOf(':')
  if (colon === word.text.length - 1) fail(word, `${quoted(word.text)}: a key follows the colon`)
  return colon < 0 ? { path: path(word), key: undefined } : { path: path(part(word, 0, colon)), key: word.text.slice(colon + 1) }
}

/** A number to compare with: N, or +N for "more than before". */
export const goal: Decode<{ readonly value: number; readonly relative: boolean }> = word =>
  word.text.startsWith('+') ? { value: count(part(word, 1)), relative: true } : { value: integer(word), relative: false }

const ERRNO_NAMES = Object.keys(ERRNO)

/** An errno's name; undefined for none. */
export const errno: Decode<string | undefined> = word => (word.text === 'none' ? undefined : oneOf(ERRNO_NAMES, 'errno')(word))
