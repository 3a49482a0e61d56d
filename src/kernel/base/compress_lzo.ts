/**
 * How many bytes LZO1X-1 makes of a page, in its plain and its run-length variant (lzo, lzo-rle).
 *
 * The compressor looks up the four bytes at its position in a table of positions by hash. Where it finds nothing it goes on,
 * in steps that grow by one for each 32 bytes of literals; so after a long stretch that does not compress it enters what follows
 * late, and how late decides the size. lzo-rle has a code of its own for runs of zeros and two bytes of header.
 *
 *     literals     1 byte of length up to 18 of them (none up to 3), then one more for each 255
 *     short match  2 bytes: up to 8 bytes, at most 2 KiB back
 *     match        3 bytes up to 33 bytes, then one more for each 255
 *     zeros        4 bytes, up to 2051 of them
 *     end          3 bytes
 *
 * Source: lib/lzo/lzo1x_compress.c, Documentation/staging/lzo.rst.
 */
const HASH_BITS = 13
const HASH_FACTOR = 0x1824429d
/** Nothing is looked up in the last bytes. */
const TAIL = 20
const SHORT_LENGTH = 8
const SHORT_DISTANCE = 0x800
const MATCH_LENGTH = 33
const ZERO_RUN = 2051
const HEADER_RLE = 2
const END = 3

export const word32 = (bytes: Uint8Array, at: number): number =>
  bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)

/** Bytes that follow a code whose own room is used up: one for each 255 and the rest. */
const lengthBytes = (rest: number): number => Math.ceil(rest / 255)

const literalBytes = (n: number): number => (n <= 3 ? n : n <= 18 ? n + 1 : n + 1 + lengthBytes(n - 18))

function matchBytes(length: number, distance: number): number {
  if (length <= SHORT_LENGTH && distance <= SHORT_DISTANCE) return 2
  return length <= MATCH_LENGTH ? 3 : 3 + lengthBytes(length - MATCH_LENGTH)
}

/** Compressed size of a page. */
export function lzoBytes(page: Uint8Array, rle: boolean): number {
  const seen = new Uint16Array(1 << HASH_BITS)
  const end = page.length - TAIL
  let size = rle ? HEADER_RLE : 0
  let written = 0
  let at = 5
  while (at < end) {
    const word = word32(page, at)
    const zeros = rle && word === 0 ? zeroRun(page, at, end) : 0
    const slot = Math.imul(word, HASH_FACTOR) >>> (32 - HASH_BITS)
    const match = seen[slot]
    if (zeros === 0) seen[slot] = at
    if (zeros === 0 && word32(page, match) !== word) {
      at += 1 + ((at - written) >> 5)
      continue
    }
    size += literalBytes(at - written)
    const length = zeros > 0 ? zeros : matchLength(page, match, at, end)
    size += zeros > 0 ? 4 : matchBytes(length, at - match)
    at += length
    written = at
  }
  return size + lastLiterals(page.length - written, written === 0) + END
}

/** A page without any match tells the number of its literals differently when they are few. */
const lastLiterals = (n: number, only: boolean): number => (n === 0 ? 0 : only && n <= 238 ? n + 1 : literalBytes(n))

function zeroRun(page: Uint8Array, at: number, end: number): number {
  const limit = Math.min(end, at + ZERO_RUN)
  let to = at + 4
  while (to < limit && page[to] === 0) to++
  return to - at
}

/** Eight bytes at a time, until they differ or the end of what is looked up is passed. */
function matchLength(page: Uint8Array, match: number, at: number, end: number): number {
  let length = 4
  while (page[match + length] === page[at + length]) {
    length++
    if ((length - 4) % 8 === 0 && at + length >= end) return length
  }
  return length
}
