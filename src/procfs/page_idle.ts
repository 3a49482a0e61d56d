/**
 * /sys/kernel/mm/page_idle/bitmap: a bit for each page frame, 64 in a word; set means not used since it was marked. What is written is
 * OR-ed to what is there: a 0 takes nothing back.
 *
 *     page frame   0 .. 63    64 .. 127   ...     the bit of frame i is bit i % 64 of word i / 64
 *     word           0           1
 * The last word, where memory ends within it, is marked but neither given nor counted: the kernel's count stops before it.
 *
 * Source: mm/page_idle.c (page_idle_bitmap_read, page_idle_bitmap_write).
 */
import { EINVAL, ENXIO } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { pageIsIdle, pageMarkIdle } from '../kernel/calls/page_idle.ts'
import { type Binary, offWord, READ_MAX } from './binary.ts'

const BITS = 8

/** Bytes of words from a page frame on whose 64 frames all lie below the end of memory, at most `bytes`. */
const wholeWords = (k: Kernel, first: number, bytes: number): number =>
  Math.min(bytes, 8 * Math.max(0, Math.floor((k.maxPfn - first) / (BITS * 8))))

export const PAGE_IDLE: Binary = {
  read: (k, _, position, count) => {
    if (offWord(position, count)) return -EINVAL
    const first = position * BITS
    const out = new Uint8Array(wholeWords(k, first, Math.min(count, READ_MAX)))
    for (let pfn = first; pfn < first + out.length * BITS; pfn++) if (pageIsIdle(k, pfn)) out[(pfn - first) >>> 3] |= 1 << (pfn & 7)
    return out
  },
  write: (k, _, position, bytes) => {
    if (offWord(position, bytes.length)) return -EINVAL
    const first = position * BITS
    if (first >= k.maxPfn) return -ENXIO
    const end = Math.min(k.maxPfn, first + bytes.length * BITS)
    for (let pfn = first; pfn < end; pfn++) if ((bytes[(pfn - first) >>> 3] & (1 << (pfn & 7))) !== 0) pageMarkIdle(k, pfn)
    return wholeWords(k, first, bytes.length)
  },
}
