/**
 * Files of /proc and /sys that hold numbers and not text: read and written by position.
 *
 *     file                                 unit    position, length
 *     /proc/PID/pagemap                    8       EINVAL off a unit; 0 bytes beyond the address space
 *     /proc/kpage{count,flags,cgroup}      8       EINVAL off a unit; 0 bytes beyond the last section of memory
 *     /sys/kernel/mm/page_idle/bitmap      8       EINVAL off a unit; beyond the last page reads 0 bytes, writes ENXIO
 *
 * Words are little-endian, as the machine is.
 */
import type { Kernel } from '../kernel/base/state.ts'
import type { At } from '../kernel/tunables_knob.ts'

export interface Binary {
  /** Up to `count` bytes from `position` on: fewer at the end, none behind it; or a negative errno. */
  readonly read: (k: Kernel, at: At, position: number, count: number) => Uint8Array | number
  /** Bytes taken, or a negative errno. */
  readonly write?: (k: Kernel, at: At, position: number, bytes: Uint8Array) => number
}

/** Bytes of a word, and its half words. */
export const WORD_BYTES = 8

/** The most bytes that one read gives, however much was asked for. */
export const READ_MAX = 2 ** 20

export const offWord = (position: number, count: number): boolean => position % WORD_BYTES !== 0 || count % WORD_BYTES !== 0

/** The bytes of words that are given as pairs of halves, the low one first. */
export const bytesOf = (halves: Uint32Array): Uint8Array => new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength)
