/**
 * The bytes of a page of some content class, for those who look at bytes rather than compare pages: compressors, and who writes a single
 * byte. That changes nothing where the page holds the byte already, which of pseudo-random pages one in 256 does: to KSM, to `check` and
 * to swap it is the page that it was.
 *
 *     zero const perproc   one 64-bit word repeated: const:N  scrambled(N + 1), perproc  scrambled(4096 + process)
 *     page                 words after x0 = scrambled(30583 + index)
 *     unique comp:P        words after x0 = scrambled(process << 40 ^ scrambled(name ^ seed) ^ index); bytes of value 1 behind P %
 *     file                 what a disk's image is filled with: sixteen digits, repeated
 *     patched              the class it was made from, with single bytes of value 1
 *     swap_header          zeros, the version and number of the last page at 1024, a signature at the end
 *
 * Words after a seed are Marsaglia's xorshift (13, 7, 17), each of the one before. scrambled() is the finalizer of splitmix64; names
 * are hashed with FNV-1a of their characters.
 */
import { must } from './assert.ts'
import { splitPatch } from './content.ts'
import type { ContentClass, ContentTable } from './state.ts'
import { PAGE_SIZE } from './units.ts'

const WORD_BYTES = 8
const WORDS = PAGE_SIZE / WORD_BYTES
const FILLER = 1
const DIGITS = 16
const ASCII_ZERO = 48

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)

function scrambled(value: bigint): bigint {
  const a = u64((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n)
  const b = u64((a ^ (a >> 27n)) * 0x94d049bb133111ebn)
  return b ^ (b >> 31n)
}

function hashOf(name: string): bigint {
  let hash = 1469598103934665603n
  for (let i = 0; i < name.length; i++) hash = u64((hash ^ BigInt(name.charCodeAt(i) & 0xff)) * 1099511628211n)
  return hash
}

/** The pseudo-random word after another. */
function wordAfter(word: bigint): bigint {
  const a = word ^ u64(word << 13n)
  const b = a ^ (a >> 7n)
  return b ^ u64(b << 17n)
}

/** The seed of a page of `unique` and `comp`; `own` is process:seed:name, or a name alone. */
function ownSeed(own: string, index: number): bigint {
  const [, process = '0', seed = '', name = own] = /^(\d+):(\d*):(.*)$/s.exec(own) ?? []
  const mixed = seed === '' ? 0n : scrambled(BigInt(seed) + 99n)
  return scrambled((BigInt(process) << 40n) ^ scrambled(hashOf(name) ^ mixed) ^ BigInt(index))
}

const afterColon = (key: string): string => key.slice(key.indexOf(':') + 1)

/** What the words of a pseudo-random page follow. */
function seedOf({ kind, key }: ContentClass, index: number): bigint {
  if (kind === 'page') return scrambled(BigInt(index) + 0x7777n)
  return ownSeed(kind === 'comp' ? afterColon(afterColon(key)) : afterColon(key), index)
}

/** The number that a key ends in; of one that does not, any. */
const numberIn = (key: string): bigint => (/^\d+$/.test(key) ? BigInt(key) : hashOf(key))

/** The word that a page of `const` or `perproc` repeats; of pages that "compress to nothing" it is the filler. */
function repeatedWord({ kind, key }: ContentClass): bigint {
  const after = afterColon(key)
  if (after === 'comp') return BigInt(FILLER) * 0x0101010101010101n
  return scrambled(numberIn(after) + (kind === 'const' ? 1n : 0x1000n))
}

/** Words of the page that are pseudo-random; bytes of value 1 follow. */
const randomWords = ({ incompressible }: ContentClass): number => Math.floor((WORDS * incompressible) / 100)

const isRepeated = ({ kind }: ContentClass): boolean => kind === 'const' || kind === 'perproc'

const fileByte = (offset: number): number => ASCII_ZERO + (offset % DIGITS === DIGITS - 1 ? 1 : 0)

function baseOf(table: ContentTable, { key }: ContentClass): { readonly base: ContentClass; readonly offsets: readonly number[] } {
  const [stem, offsets] = splitPatch(key)
  return { base: table.classes[must(table.byKey.get(stem), `content ${key} was made from nothing`)], offsets }
}

/** The 4096 bytes of the first page of the class. */
export function pageBytes(table: ContentTable, content: ContentClass): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE)
  if (content.kind === 'zero') return page
  if (content.kind === 'file') return page.map((_, offset) => fileByte(offset))
  if (content.kind === 'swap_header') return swapHeader(page, content)
  if (content.kind === 'patched') {
    const { base, offsets } = baseOf(table, content)
    page.set(pageBytes(table, base))
    for (const offset of offsets) page[offset] = 1
    return page
  }
  const words = new DataView(page.fill(FILLER).buffer)
  if (isRepeated(content)) {
    const word = repeatedWord(content)
    for (let at = 0; at < PAGE_SIZE; at += WORD_BYTES) words.setBigUint64(at, word, true)
    return page
  }
  let word = seedOf(content, 0)
  for (let i = 0; i < randomWords(content); i++) {
    word = wordAfter(word)
    words.setBigUint64(i * WORD_BYTES, word, true)
  }
  return page
}

/** The byte at `offset` (0..4095) of page `index` of the class. */
export function contentByte(table: ContentTable, content: ContentClass, index: number, offset: number): number {
  if (content.kind === 'zero') return 0
  if (content.kind === 'file') return fileByte(offset)
  if (content.kind === 'swap_header') return pageBytes(table, content)[offset]
  if (content.kind === 'patched') {
    const { base, offsets } = baseOf(table, content)
    return offsets.includes(offset) ? 1 : contentByte(table, base, index, offset)
  }
  const at = Math.floor(offset / WORD_BYTES)
  if (!isRepeated(content) && at >= randomWords(content)) return FILLER
  let word = isRepeated(content) ? repeatedWord(content) : seedOf(content, index)
  if (!isRepeated(content)) for (let i = 0; i <= at; i++) word = wordAfter(word)
  return Number((word >> BigInt(8 * (offset % WORD_BYTES))) & 0xffn)
}

/** The class of a swap area's first page (union swap_header). */
export const swapHeaderContent = (lastPage: number): ContentClass => ({
  kind: 'swap_header',
  key: `swap_header:${lastPage}`,
  incompressible: 0,
  sameFilled: false,
})

/** Pages that the header says its area has, itself included; 0 for a page that is none. */
export const swapHeaderPages = ({ kind, key }: ContentClass): number => (kind === 'swap_header' ? lastPageOf(key) + 1 : 0)

const lastPageOf = (key: string): number => Number(key.slice(key.indexOf(':') + 1))

const SWAP_VERSION_AT = 1024
const SIGNATURE = 'SWAPSPACE2'

function swapHeader(page: Uint8Array, { key }: ContentClass): Uint8Array {
  const words = new DataView(page.buffer)
  words.setUint32(SWAP_VERSION_AT, 1, true)
  words.setUint32(SWAP_VERSION_AT + 4, lastPageOf(key), true)
  for (let i = 0; i < SIGNATURE.length; i++) page[PAGE_SIZE - SIGNATURE.length + i] = SIGNATURE.charCodeAt(i)
  return page
}
