/**
 * The direct map: all of RAM at one place of the kernel's address space, in pages of 1 GiB where RAM fills one, else of 2 MiB, else of 4 KiB.
 *
 *     top of RAM
 *       [2 MiB] first, so that there is memory for page tables
 *       [............ 512 MiB ............]  down to a multiple of 512 MiB
 *       [................................................................ 128 GiB ...]  once 512 MiB are mapped
 *
 * A GiB that RAM fills is mapped whole as soon as a step touches it, and counted again by each further step that does. Page tables come from
 * the kernel's early heap, but while the step maps the heap itself they come from the memory that is mapped already.
 *
 * Source: arch/x86/mm/init.c (memory_map_top_down, split_mem_range, alloc_low_pages), arch/x86/mm/init_64.c (phys_pud_init).
 */
import { alignDown } from '../base/units.ts'
import { GIB, KIB, MIB } from './memory_machine.ts'
import { clip, clipAll, push, type Run } from './memory_runs.ts'

const PMD_BYTES = 2 * MIB
const PUD_BYTES = GIB
const P4D_BYTES = 512 * GIB
const STEP_GROWTH = 256

export interface DirectMap {
  /** How often a GiB was mapped by one page. */
  readonly gibsCounted: number
  /** GiBs mapped so, by number. */
  readonly gibs: ReadonlySet<number>
  /** Page tables that had to come from memblock. */
  readonly tablesFromMemory: number
  /** KiB mapped, a GiB as often as it is counted. */
  readonly mappedKb: number
}

/**
 * @param ram RAM in bytes, ascending; neighbours may touch.
 * @param heap where the early heap lies.
 */
export function mapDirectly(ram: readonly Run[], heap: Run): DirectMap {
  const regions: Run[] = []
  for (const run of ram) push(regions, run)
  const gibs = new Set<number>()
  const tables = new Set(FIRST_TABLES)
  let gibsCounted = 0
  let tablesFromMemory = 0
  for (const part of steps(regions).flatMap(step => clipAll(regions, step))) {
    const region = regions.find(each => clip(part, each) !== undefined) ?? part
    const before = tables.size
    for (const gib of unitsOf(part, PUD_BYTES))
      if (region.start <= gib * PUD_BYTES && (gib + 1) * PUD_BYTES <= region.end) {
        gibs.add(gib)
        gibsCounted++
      } else addTables(tables, clip(part, { start: gib * PUD_BYTES, end: (gib + 1) * PUD_BYTES }) ?? part)
    if (clip(part, heap) !== undefined) tablesFromMemory += tables.size - before
  }
  const mapped = regions.reduce((sum, run) => sum + run.end - run.start, 0) + LOW_HOLE_BYTES
  return { gibsCounted, gibs, tablesFromMemory, mappedKb: mapped / KIB + (gibsCounted - gibs.size) * (PUD_BYTES / KIB) }
}

/** The first MiB is mapped as a whole, whatever the firmware keeps of it: page 0, and the end from 636 KiB on. */
const ISA_END = MIB
const LOW_HOLE_BYTES = 4 * KIB + MIB - 636 * KIB

function steps(regions: readonly Run[]): Run[] {
  const end = regions[regions.length - 1].end
  const top = regions.findLast(run => alignDown(run.end, PMD_BYTES) - PMD_BYTES >= run.start) ?? regions[regions.length - 1]
  const realEnd = alignDown(top.end, PMD_BYTES)
  const found: Run[] = []
  let size = PMD_BYTES
  let mapped = 0
  for (let last = realEnd; last > ISA_END; last = found[found.length - 1].start) {
    const step = { start: Math.max(ISA_END, last > size ? alignDown(last - 1, size) : ISA_END), end: last }
    found.push(step)
    mapped += clipAll(regions, step).reduce((sum, run) => sum + run.end - run.start, 0)
    if (mapped >= size) size *= STEP_GROWTH
  }
  return realEnd < end ? [...found, { start: realEnd, end }] : found
}

/** Numbers of the units of `bytes` that a run touches. */
function unitsOf(run: Run, bytes: number): number[] {
  const first = Math.floor(run.start / bytes)
  return Array.from({ length: Math.ceil(run.end / bytes) - first }, (_, i) => first + i)
}

/** The first MiB is mapped before anything else. */
const FIRST_TABLES: readonly string[] = ['pud 0', 'pmd 0', 'pte 0']

/** The tables under which a run within one GiB is mapped. */
function addTables(tables: Set<string>, run: Run): void {
  tables.add(`pud ${Math.floor(run.start / P4D_BYTES)}`)
  tables.add(`pmd ${Math.floor(run.start / PUD_BYTES)}`)
  if (run.start % PMD_BYTES !== 0) tables.add(`pte ${Math.floor(run.start / PMD_BYTES)}`)
  if (run.end % PMD_BYTES !== 0) tables.add(`pte ${Math.floor(run.end / PMD_BYTES)}`)
}
