/**
 * Which page tables are worth a look when pages age: two Bloom filters a lruvec, one for the generation being made and one for
 * the next, which change places each time.
 *
 *     entry of an upper table ──hash──> two of 2^15 bits
 *
 * A table is remembered when a look at it found an accessed page in every cache line on average. Until the first walk there is no
 * filter, and every table is looked at. The hash goes by the entry's address in the kernel, as Linux' does, so the same tables collide.
 *
 * Source: mm/vmscan.c (reset_bloom_filter, update_bloom_filter, test_bloom_filter), include/linux/hash.h hash_64.
 */
import type { Kernel } from '../base/state.ts'
import type { MmState } from '../base/state_lru_gen.ts'

const FILTER_SHIFT = 15
const FILTER_MASK = (1 << FILTER_SHIFT) - 1
/** Halves of the multiplier of the hash (GOLDEN_RATIO_64), and of where the kernel maps all memory (page_offset_base). */
const GOLDEN_HIGH = 0x61c88646
const GOLDEN_LOW = 0x80b583eb
const DIRECT_MAP_HIGH = 0xffff8880

/** Upper half of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = b & 0xffff
  const b1 = b >>> 16
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  return (a1 * b1 + Math.floor(middle / 65536) + (a0 * b1 + (middle % 65536)) / 65536) >>> 0
}

/** 30 bits of hash of the address of entry `i` of an upper table. */
function hashOf(k: Kernel, table: number, i: number): number {
  const pfn = k.spaces.tables.pfn[table]
  const low = ((pfn << 12) | (i << 3)) >>> 0
  const high = DIRECT_MAP_HIGH + (pfn >>> 20)
  return ((multiplyHigh(low, GOLDEN_LOW) + Math.imul(low, GOLDEN_HIGH) + Math.imul(high, GOLDEN_LOW)) >>> 0) >>> 2
}

/** Empties the filter for a generation. */
export function resetFilter(state: MmState, seq: number): void {
  const filter = state.filters[seq & 1]
  if (filter === undefined) state.filters[seq & 1] = new Uint32Array(1 << (FILTER_SHIFT - 5))
  else filter.fill(0)
}

/** Remembers entry `i` of an upper table for a generation. */
export function updateFilter(k: Kernel, state: MmState, seq: number, table: number, i: number): void {
  const filter = state.filters[seq & 1]
  if (filter === undefined) return
  const hash = hashOf(k, table, i)
  setBit(filter, hash & FILTER_MASK)
  setBit(filter, hash >>> FILTER_SHIFT)
}

/** Whether the entry may have been remembered for a generation. */
export function testFilter(k: Kernel, state: MmState, seq: number, table: number, i: number): boolean {
  const filter = state.filters[seq & 1]
  if (filter === undefined) return true
  const hash = hashOf(k, table, i)
  return hasBit(filter, hash & FILTER_MASK) && hasBit(filter, hash >>> FILTER_SHIFT)
}

function setBit(filter: Uint32Array, bit: number): void {
  filter[bit >>> 5] |= 1 << (bit & 31)
}

const hasBit = (filter: Uint32Array, bit: number): boolean => ((filter[bit >>> 5] >>> (bit & 31)) & 1) !== 0
