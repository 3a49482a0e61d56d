/**
 * How many bytes the stronger compressors make of a page: lz4hc, zstd (level 3) and deflate.
 *
 * All three look for earlier occurrences, as LZ4 does, and differ in how hard they look and in how they write down what they
 * found. Here a page is cut into sequences of literals and a match once; each format then says what its sequences cost.
 *
 *     lz4hc    looks at every position; LZ4's sequences
 *     zstd     steps grow by one for each 256 bytes of literals; a repeat of the byte before is seen one byte ahead.
 *              10 bytes of headers, literals as they are with 1 to 3 bytes of length, and a stream of bits: the codes of
 *              each sequence from the format's standard tables, and the low bits of its numbers
 *     deflate  matches of at most 258 bytes; literals either by the fixed code (8 bits up to 143, 9 above) or by one made
 *              for the page
 *
 * The size of deflate's own code and what it saves (DYNAMIC_*) were measured: the code of pseudo-random bytes.
 *
 * Source: lib/lz4/lz4hc_compress.c, lib/zstd/compress (zstd_double_fast.c, RFC 8878), lib/zlib_deflate (RFC 1951).
 */
import { lz4Sequence } from './compress_lz4.ts'
import { word32 } from './compress_lzo.ts'

interface Sequence {
  readonly literals: number
  /** 0: the literals at the end. */
  readonly length: number
  readonly distance: number
}

const MIN_MATCH = 4
/** Earlier positions looked at for one position. */
const MAX_CANDIDATES = 64

/** How a compressor goes through a page: positions that it leaves out after so many literals, and bytes at the end that match nothing. */
interface Search {
  readonly step: (literals: number) => number
  /** Looks first whether the byte before goes on one byte ahead. */
  readonly repeat: boolean
  readonly tail: number
  readonly longest: number
}

const LZ4HC: Search = { step: () => 1, repeat: false, tail: 5, longest: Number.POSITIVE_INFINITY }
const ZSTD: Search = { step: literals => (literals >> 8) + 1, repeat: true, tail: 0, longest: Number.POSITIVE_INFINITY }
const DEFLATE: Search = { step: () => 1, repeat: false, tail: 0, longest: 258 }

function sequencesOf(page: Uint8Array, { step, repeat, tail, longest }: Search): Sequence[] {
  const seen = new Map<number, number[]>()
  const end = page.length - tail
  const found: Sequence[] = []
  let anchor = 0
  for (let at = 0; at + MIN_MATCH < end; ) {
    const runs = repeat && at > 0 && word32(page, at) === word32(page, at + 1)
    const start = runs ? at + 1 : at
    const { length, distance } = runs ? { length: matched(page, at, start, end, longest), distance: 1 } : best(page, seen, at, end, longest)
    if (length >= MIN_MATCH) {
      found.push({ literals: start - anchor, length, distance })
      anchor = start + length
      at = anchor
    } else at += step(at - anchor)
  }
  return [...found, { literals: page.length - anchor, length: 0, distance: 0 }]
}

/** The longest earlier occurrence of what begins here, which is noted for later ones. */
function best(
  page: Uint8Array,
  seen: Map<number, number[]>,
  at: number,
  end: number,
  longest: number,
): { length: number; distance: number } {
  const word = word32(page, at)
  const earlier = seen.get(word) ?? []
  let length = at === 0 ? 0 : matched(page, at - 1, at, end, longest)
  let distance = 1
  for (let i = earlier.length - 1; i >= 0 && i >= earlier.length - MAX_CANDIDATES; i--) {
    const here = matched(page, earlier[i], at, end, longest)
    if (here <= length) continue
    length = here
    distance = at - earlier[i]
  }
  if (earlier.push(at) === 1) seen.set(word, earlier)
  return { length, distance }
}

function matched(page: Uint8Array, earlier: number, at: number, end: number, longest: number): number {
  let length = 0
  while (at + length < end && length < longest && page[earlier + length] === page[at + length]) length++
  return length
}

export const lz4hcBytes = (page: Uint8Array): number =>
  sequencesOf(page, LZ4HC).reduce((sum, { literals, length }) => sum + lz4Sequence(literals, length), 0)

// --- zstd

/** Magic number, frame header with the content's size, block header. */
const ZSTD_HEADERS = 10
/** Number of sequences and how their codes are told. */
const SEQUENCES_HEADER = 2
/** Bits of the three code tables' first states, and the mark at the end of the stream. */
const FIRST_STATES = 18
/** Bits that the codes of a further sequence take on average in the standard tables. */
const NEXT_STATES = 13

/** Low bits that are written beside a code: of a number of literals and of a match's length less 3. */
const literalBits = (n: number): number => (n < 16 ? 0 : n < 24 ? 1 : n < 32 ? 2 : n < 48 ? 3 : n < 64 ? 4 : log2(n))
const lengthBits = (n: number): number => (n < 32 ? 0 : n < 40 ? 1 : n < 48 ? 2 : n < 64 ? 3 : n < 96 ? 4 : n < 128 ? 5 : log2(n))
const log2 = (n: number): number => 31 - Math.clz32(n)

export function zstdBytes(page: Uint8Array): number {
  const all = sequencesOf(page, ZSTD)
  const literals = all.reduce((sum, sequence) => sum + sequence.literals, 0)
  const sequences = all.filter(({ length }) => length > 0)
  if (sequences.length === 0) return ZSTD_HEADERS + page.length
  const bits = sequences.reduce(
    (sum, { literals: n, length, distance }) => sum + literalBits(n) + lengthBits(length - 3) + (distance === 1 ? 0 : log2(distance + 3)),
    FIRST_STATES + (sequences.length - 1) * NEXT_STATES,
  )
  const literalsHeader = literals < 32 ? 1 : literals < 4096 ? 2 : 3
  return ZSTD_HEADERS + literalsHeader + literals + SEQUENCES_HEADER + Math.ceil(bits / 8)
}

// --- deflate

/** Bits of a match: its length's code and low bits, and its distance's. */
const MATCH_BITS = 13
/** Block header and end of block. */
const BLOCK_BITS = 10
/** A byte of 144 and more takes nine bits in the fixed code. */
const LONG_LITERAL = 144
/** Bytes that tell a code made for the page, and bits of a pseudo-random literal in it. */
const DYNAMIC_HEADER = 54
const DYNAMIC_LITERAL_BITS = 7.98

export function deflateBytes(page: Uint8Array): number {
  const all = sequencesOf(page, DEFLATE)
  const matchBits = all.reduce((sum, { length, distance }) => sum + (length === 0 ? 0 : MATCH_BITS + distanceBits(distance)), BLOCK_BITS)
  const literals = literalsOf(page, all)
  const fixedBits = literals.reduce((sum, byte) => sum + (byte < LONG_LITERAL ? 8 : 9), 0)
  const dynamicBits = DYNAMIC_HEADER * 8 + literals.length * DYNAMIC_LITERAL_BITS
  return Math.min(Math.ceil((matchBits + Math.min(fixedBits, dynamicBits)) / 8), page.length + 5)
}

const distanceBits = (distance: number): number => (distance <= 4 ? 0 : log2(distance - 1) - 1)

function literalsOf(page: Uint8Array, sequences: readonly Sequence[]): number[] {
  const literals: number[] = []
  let at = 0
  for (const sequence of sequences) {
    for (let i = 0; i < sequence.literals; i++) literals.push(page[at + i])
    at += sequence.literals + sequence.length
  }
  return literals
}
