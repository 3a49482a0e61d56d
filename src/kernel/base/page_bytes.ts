/**
 * The bytes of a page of some content class, for those who look at bytes rather than compare pages: compressors.
 *
 *     zero const perproc   one 64-bit word repeated
 *     page unique comp:P   pseudo-random words in the first P % of the page, bytes of value 1 in the rest
 *     file                 what a disk's image is filled with: sixteen digits, repeated
 *     patched              the class it was made from, with single bytes of value 1
 *     swap_header          zeros, the version and number of the last page at 1024, a signature at the end
 *
 * Classes that differ only in who wrote them get the same pseudo-random bytes: which ones they are does not matter to
 * a compressor, only that there is nothing in them to find.
 */
import { must } from './assert.ts'
import { splitPatch } from './content.ts'
import type { ContentClass, ContentTable } from './state.ts'
import { PAGE_SIZE } from './units.ts'

const WORD_BYTES = 8
const PAGE_WORDS_64 = PAGE_SIZE / WORD_BYTES
const FILLER = 0x01
const DIGITS = 16
const ASCII_ZERO = 48

/** The 4096 bytes of a page of the class. */
export function pageBytes(table: ContentTable, content: ContentClass): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE)
  if (content.kind === 'zero') return page
  if (content.kind === 'file') return page.fill(ASCII_ZERO).map((digit, i) => (i % DIGITS === DIGITS - 1 ? digit + 1 : digit))
  if (content.kind === 'patched') return patch(table, content)
  if (content.kind === 'swap_header') return swapHeader(page, content)
  const random = randomBytes(content.sameFilled ? WORD_BYTES : randomWords(content) * WORD_BYTES)
  page.fill(FILLER)
  page.set(random)
  if (content.sameFilled) for (let at = WORD_BYTES; at < PAGE_SIZE; at += WORD_BYTES) page.set(random, at)
  return page
}

const randomWords = ({ incompressible }: ContentClass): number => Math.floor((PAGE_WORDS_64 * incompressible) / 100)

function patch(table: ContentTable, { key }: ContentClass): Uint8Array {
  const [stem, offsets] = splitPatch(key)
  const base = must(table.byKey.get(stem), `content ${key} was made from nothing`)
  const page = pageBytes(table, table.classes[base])
  for (const offset of offsets) page[offset] = 1
  return page
}

/** The class of a swap area's first page (union swap_header). */
export const swapHeaderContent = (lastPage: number): ContentClass => ({
  kind: 'swap_header',
  key: `swap_header:${lastPage}`,
  incompressible: 0,
  sameFilled: false,
})

const SWAP_VERSION_AT = 1024
const SIGNATURE = 'SWAPSPACE2'

function swapHeader(page: Uint8Array, { key }: ContentClass): Uint8Array {
  const lastPage = Number(key.slice(key.indexOf(':') + 1))
  const words = new DataView(page.buffer)
  words.setUint32(SWAP_VERSION_AT, 1, true)
  words.setUint32(SWAP_VERSION_AT + 4, lastPage, true)
  for (let i = 0; i < SIGNATURE.length; i++) page[PAGE_SIZE - SIGNATURE.length + i] = SIGNATURE.charCodeAt(i)
  return page
}

/** Marsaglia's xorshift32. */
function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = 2463534242
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 11
  }
  return bytes
}
