/**
 * Per-CPU memory: every CPU has a unit with its own copy of the kernel's per-CPU variables, and units of CPUs that are near each
 * other share an allocation of 2 MiB.
 *
 *     2 MiB  | 62 pages |  free again  | 62 pages |  free again  |      two CPUs of a node: units of 1 MiB
 *            ^ unit of CPU 0           ^ unit of CPU 1
 *
 * How many units an allocation holds is chosen so that few allocations are needed and at most a third as many units as there are
 * CPUs is wasted; so it depends on how CPUs spread over nodes. What the first chunk does not use of its units goes back. Later chunks
 * take address space of the same shape and fill it page by page; each carries a table of owners, eight bytes for every four of a unit.
 *
 * Source: mm/percpu.c (pcpu_build_alloc_info, pcpu_embed_first_chunk, pcpu_alloc_chunk).
 */
import { alignUp, pagesFor } from '../base/units.ts'
import { MIB } from './memory_machine.ts'

/** Static, reserved and first dynamic variables of this kernel, as its log says it. */
export const FIRST_CHUNK_BYTES = 217088 + 8192 + 28672
export const ATOM_BYTES = 2 * MIB

export interface PercpuLayout {
  readonly unitBytes: number
  /** By node that has CPUs: units that are allocated and units that are used. */
  readonly groups: readonly { readonly node: number; readonly units: number; readonly cpus: number }[]
}

/** @param cpus CPUs of each node. */
export function percpuLayout(cpus: readonly number[]): PercpuLayout {
  const counts = cpus.map((n, node) => ({ node, cpus: n })).filter(group => group.cpus > 0)
  const total = counts.reduce((sum, group) => sum + group.cpus, 0)
  let best = 1
  let fewest = Number.POSITIVE_INFINITY
  for (let units = Math.floor(ATOM_BYTES / FIRST_CHUNK_BYTES); units > 0; units--) {
    if (pagesFor(ATOM_BYTES) % units !== 0) continue
    const allocations = counts.reduce((sum, group) => sum + Math.ceil(group.cpus / units), 0)
    if (allocations * units - total > Math.floor(total / 3)) continue
    if (allocations > fewest) break
    fewest = allocations
    best = units
  }
  return { unitBytes: ATOM_BYTES / best, groups: counts.map(group => ({ ...group, units: alignUp(group.cpus, best) })) }
}

const MIN_ALLOC_BYTES = 4
const BITMAP_BLOCK_BYTES = 4096
const BLOCK_RECORD_BYTES = 32
const VMALLOC_FROM_BYTES = 4096

/** Pages that describe a later chunk: owners, which bytes are taken, where allocations end, and hints by block. */
export function chunkTablePages(unitBytes: number): number {
  const slots = unitBytes / MIN_ALLOC_BYTES
  const tables = [slots * 8, slots / 8, slots / 8 + 8, (unitBytes / BITMAP_BLOCK_BYTES) * BLOCK_RECORD_BYTES]
  return tables.filter(bytes => bytes > VMALLOC_FROM_BYTES).reduce((sum, bytes) => sum + pagesFor(bytes), 0)
}
