/**
 * The allocator before the allocator: ranges of RAM, given out from the top down (mm/memblock.c).
 *
 *     node 0                          node 1
 *     |........ free ........|taken|  |...... free ......|taken|taken|
 *                             <- next one for node 0       <- next one for anyone
 *
 * A request names how much, how aligned and perhaps which node; it gets the highest place that fits. When the node has
 * none, any node will do. What is left when the buddy allocator takes over is whole free pages.
 *
 * Addresses here are bytes, for the early kernel packs small tables into shared pages.
 *
 * Invariant: ranges are ascending, not empty, do not touch others of the same node, and none spans two nodes.
 */
import { assert } from '../base/assert.ts'
import { alignDown, PAGE_SIZE } from '../base/units.ts'
import type { RamRange } from './memory_machine.ts'
import { without } from './memory_runs.ts'

export interface Memblock {
  readonly free: RamRange[]
}

const NO_NODE_WANTED = -1

export const memblock = (ram: readonly RamRange[]): Memblock => ({
  free: ram.map(run => ({ start: run.start * PAGE_SIZE, end: run.end * PAGE_SIZE, node: run.node })),
})

/** Where and how a request may be placed. */
export interface Wanted {
  readonly bytes: number
  readonly align: number
  readonly node?: number
  /** First byte that may be used, if there is such a place. */
  readonly from?: number
  /** First byte that may not be used. */
  readonly limit?: number
}

/** Takes the highest place that fits. @returns its address. */
export function take(mb: Memblock, wanted: Wanted): number {
  const node = wanted.node ?? NO_NODE_WANTED
  const anywhere = { ...wanted, from: 0 }
  const address =
    find(mb, wanted, node) ?? find(mb, wanted, NO_NODE_WANTED) ?? find(mb, anywhere, node) ?? find(mb, anywhere, NO_NODE_WANTED)
  assert(address !== undefined, `boot runs out of memory for ${wanted.bytes} bytes`)
  reserve(mb, address, address + wanted.bytes)
  return address
}

/** Whether such a request would be met, on that node and no other if it names one. */
export const fits = (mb: Memblock, wanted: Wanted): boolean => find(mb, wanted, wanted.node ?? NO_NODE_WANTED) !== undefined

function find(mb: Memblock, wanted: Wanted, node: number): number | undefined {
  const limit = wanted.limit ?? Number.POSITIVE_INFINITY
  for (let i = mb.free.length - 1; i >= 0; i--) {
    const run = mb.free[i]
    if (node !== NO_NODE_WANTED && run.node !== node) continue
    const address = alignDown(Math.min(run.end, limit) - wanted.bytes, wanted.align)
    if (address >= Math.max(run.start, wanted.from ?? 0)) return address
  }
  return undefined
}

/** Takes what is free of [start, end). */
export function reserve(mb: Memblock, start: number, end: number): void {
  for (let i = mb.free.length - 1; i >= 0; i--) {
    const run = mb.free[i]
    if (run.start < end && run.end > start)
      mb.free.splice(i, 1, ...without(run, [{ start, end }]).map(part => ({ ...part, node: run.node })))
  }
}

/** Gives [start, end) back; all of it must belong to `node` and be taken. */
export function release(mb: Memblock, start: number, end: number, node: number): void {
  const at = mb.free.findIndex(run => run.start >= end)
  const i = at < 0 ? mb.free.length : at
  const before = mb.free[i - 1]
  const after = mb.free[i]
  assert(before === undefined || before.end <= start, `memory at ${start} is given back twice`)
  const joinBefore = before?.node === node && before.end === start
  const joinAfter = after?.node === node && after.start === end
  const joined = { start: joinBefore ? before.start : start, end: joinAfter ? after.end : end, node }
  mb.free.splice(joinBefore ? i - 1 : i, Number(joinBefore) + Number(joinAfter), joined)
}

/** The node that `address` belongs to, going by the machine's RAM. */
export function nodeOf(ram: readonly RamRange[], address: number): number {
  const pfn = Math.floor(address / PAGE_SIZE)
  const run = ram.find(each => each.start <= pfn && pfn < each.end)
  assert(run !== undefined, `no RAM at ${address}`)
  return run.node
}

/** What the buddy allocator gets: whole pages. */
export function freePages(mb: Memblock): RamRange[] {
  return mb.free
    .map(run => ({ start: Math.ceil(run.start / PAGE_SIZE), end: Math.floor(run.end / PAGE_SIZE), node: run.node }))
    .filter(run => run.end > run.start)
}
