/**
 * Single bytes of pages of a content class. A write of one byte changes nothing where the page holds that byte already, which
 * of pseudo-random pages one in 256 does: to KSM, to `check` and to swap it is the page that it was.
 *
 *     word repeated   const:N  scrambled(N + 1)         perproc  scrambled(4096 + process)
 *     words           page     x0 = scrambled(30583 + index)
 *                     unique   x0 = scrambled(process << 40 ^ scrambled(name ^ seed) ^ index), comp:P of the first P %
 *                     x1, x2, ...: Marsaglia's xorshift (13, 7, 17) of the one before; what is not random is bytes of value 1
 *
 * scrambled() is the finalizer of splitmix64; names are hashed with FNV-1a of their characters.
 */
import { assert } from './assert.ts'
import { splitPatch } from './content.ts'
import type { ContentClass, ContentTable } from './state.ts'

const FILLER = 1
const ASCII_ZERO = 48
const DIGITS = 16
const WORDS = 512

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

/** Word `at` of the pseudo-random words that follow a seed. */
function randomWord(seed: bigint, at: number): bigint {
  let word = seed
  for (let i = 0; i <= at; i++) {
    word ^= u64(word << 13n)
    word ^= word >> 7n
    word ^= u64(word << 17n)
  }
  return word
}

/** The seed of a page of `unique` and `comp`; `own` is process:seed:name, or a name alone. */
function ownSeed(own: string, index: number): bigint {
  const [, process = '0', seed = '', name = own] = /^(\d+):(\d*):(.*)$/s.exec(own) ?? []
  const mixed = seed === '' ? 0n : scrambled(BigInt(seed) + 99n)
  return scrambled((BigInt(process) << 40n) ^ scrambled(hashOf(name) ^ mixed) ^ BigInt(index))
}

/** The number that a key ends in; of one that does not, any. */
const numberIn = (key: string): bigint => (/^\d+$/.test(key) ? BigInt(key) : hashOf(key))

const byteOf = (word: bigint, offset: number): number => Number((word >> BigInt(8 * (offset % 8))) & 0xffn)

/** The byte at `offset` (0..4095) of page `index` of the class. */
export function contentByte(table: ContentTable, content: ContentClass, index: number, offset: number): number {
  const { kind, key } = content
  const word = Math.floor(offset / 8)
  const after = key.slice(key.indexOf(':') + 1)
  switch (kind) {
    case 'const':
      return after === 'comp' ? FILLER : byteOf(scrambled(numberIn(after) + 1n), offset)
    case 'perproc':
      return byteOf(scrambled(numberIn(after) + 0x1000n), offset)
    case 'page':
      return byteOf(randomWord(scrambled(BigInt(index) + 0x7777n), word), offset)
    case 'unique':
      return byteOf(randomWord(ownSeed(after, index), word), offset)
    case 'comp': {
      const random = Math.floor((WORDS * content.incompressible) / 100)
      return word >= random ? FILLER : byteOf(randomWord(ownSeed(after.slice(after.indexOf(':') + 1), index), word), offset)
    }
    case 'file':
      return ASCII_ZERO + (offset % DIGITS === DIGITS - 1 ? 1 : 0)
    case 'patched': {
      const [stem, offsets] = splitPatch(key)
      const base = table.byKey.get(stem)
      assert(base !== undefined, `content ${key} was made from nothing`)
      return offsets.includes(offset) ? 1 : contentByte(table, table.classes[base], index, offset)
    }
    default:
      return 0
  }
}
