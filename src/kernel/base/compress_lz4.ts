/**
 * How many bytes LZ4 makes of a page (the fast compressor; lz4hc is in compress_lz77.ts).
 *
 * A sequence is a token, literals, two bytes of distance and a match of four bytes or more; lengths that do not fit into the
 * token's half bytes take one more byte for each 255. The last five bytes are always literals. Positions are looked up by
 * a hash of four bytes; the longer nothing is found the larger the steps, by one for each 64 lookups, and a match that is
 * found late is extended backwards.
 *
 * Source: lib/lz4/lz4_compress.c (LZ4_compress_generic with a table of 16-bit positions).
 */
import { word32 } from './compress_lzo.ts'

const HASH_BITS = 13
const MIN_MATCH = 4
const LAST_LITERALS = 5
/** No match begins in the last bytes. */
const MATCH_LIMIT = 12
const SKIP_TRIGGER = 6

const hash = (word: number): number => Math.imul(word, 2654435761) >>> (32 - HASH_BITS)

/** Bytes of a length beyond the 15 that a token tells. */
const extra = (length: number): number => (length >= 15 ? Math.floor((length - 15) / 255) + 1 : 0)

/** Bytes of a sequence, or of the literals at the end (length 0). */
export const lz4Sequence = (literals: number, length: number): number =>
  1 + extra(literals) + literals + (length === 0 ? 0 : 2 + extra(length - MIN_MATCH))

/** Compressed size of a page. */
export function lz4Bytes(page: Uint8Array): number {
  const seen = new Uint16Array(1 << HASH_BITS)
  const limit = page.length - MATCH_LIMIT
  let size = 0
  let anchor = 0
  let found = search(page, seen, 1, limit)
  while (found !== undefined) {
    let { at, match } = found
    while (at > anchor && match > 0 && page[at - 1] === page[match - 1]) {
      at--
      match--
    }
    const length = matchLength(page, match, at)
    size += lz4Sequence(at - anchor, length)
    anchor = at + length
    if (anchor > limit) break
    seen[hash(word32(page, anchor - 2))] = anchor - 2
    found = lookUp(page, seen, anchor) ?? search(page, seen, anchor + 1, limit)
  }
  return size + lz4Sequence(page.length - anchor, 0)
}

interface Found {
  readonly at: number
  readonly match: number
}

/** Where the four bytes at a position were seen last; from now on that is here. */
function lookUp(page: Uint8Array, seen: Uint16Array, at: number): Found | undefined {
  const slot = hash(word32(page, at))
  const match = seen[slot]
  seen[slot] = at
  return word32(page, match) === word32(page, at) ? { at, match } : undefined
}

/** The next position whose four bytes were seen before; undefined when the search runs out. */
function search(page: Uint8Array, seen: Uint16Array, from: number, limit: number): Found | undefined {
  let tries = 1 << SKIP_TRIGGER
  let step = 1
  for (let at = from; at + step <= limit; at += step, step = tries++ >> SKIP_TRIGGER) {
    const found = lookUp(page, seen, at)
    if (found !== undefined) return found
  }
  return undefined
}

function matchLength(page: Uint8Array, match: number, at: number): number {
  const end = page.length - LAST_LITERALS
  let length = MIN_MATCH
  while (at + length < end && page[match + length] === page[at + length]) length++
  return length
}
