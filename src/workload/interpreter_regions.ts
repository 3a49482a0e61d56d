/**
 * The named regions of a process, and ranges of them.
 */

import { now } from '../kernel/base/cost.ts'
import { EINVAL } from '../kernel/base/errno.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import type { Doing, Region, Run, Worker } from './interpreter_state.ts'
import type { Pieces, Range } from './program.ts'

/** Where user space ends. */
const TASK_SIZE = 2 ** 47 - PAGE_SIZE

/** A region by its name; all that follows an address, where that is given instead. */
export const regionOf = (worker: Worker, name: string): Region | undefined =>
  isAddress(name)
    ? { name, address: Number(name), bytes: TASK_SIZE - Number(name), pageBytes: PAGE_SIZE, file: undefined }
    : worker.regions.find(region => region?.name === name)

export const isAddress = (region: string): boolean => region.startsWith('0x')

/** A byte range of a region, from its start. */
export interface Extent {
  readonly offset: number
  readonly length: number
}

/** `[off len]` of a region. An offset behind its end makes the length negative: nothing to a loop, too much to a system call. */
export const extentOf = (region: Region, { offset, length }: Range): Extent => ({ offset, length: length ?? region.bytes - offset })

/** A length as a system call gets it: what is negative is huge. */
const unsigned = (bytes: number) => (bytes < 0 ? 2 ** 64 + bytes : bytes)

/** An op that is one system call over a range, or one for each piece of it. */
export interface Ranged {
  readonly region: string
  readonly range: Range
  readonly pieces: Pieces | undefined
}

/** A system call on `bytes` bytes at an address: 0 or more, or a negative errno. */
export type RangeCall = (address: number, bytes: number) => number

/** Applies a system call to the op's range. @returns its ret, or for pieces how many there were; the first failure ends it. */
export function ranged(run: Run, worker: Worker, doing: Doing, op: Ranged, untilNs: number, call: RangeCall): number | undefined {
  const region = regionOf(worker, op.region)
  if (region === undefined) return -EINVAL
  const { offset, length } = extentOf(region, op.range)
  if (op.pieces === undefined) return call(region.address + offset, unsigned(length))
  const state = doing.state?.kind === 'pieces' ? doing.state : { kind: 'pieces' as const, at: offset, done: 0 }
  doing.state = state
  while (state.at < offset + length) {
    if (now(run.k) >= untilNs) return undefined
    const ret = call(region.address + state.at, op.pieces.spanBytes)
    if (ret < 0) return ret
    worker.task.restart = undefined
    state.at += op.pieces.strideBytes
    state.done++
  }
  return state.done
}
