/**
 * The extended report on kernel objects, as the kernel's own tool `slabinfo -X` prints it: totals over all caches, the caches that take
 * most memory, and those that lose most.
 *
 *     Slabcache Totals            sums, and average, smallest and largest of the caches that have slabs
 *     Slabs sorted by size        name, objects in use, bytes of one, bytes of all slabs
 *     Slabs sorted by loss        the same with the bytes that no object in use has
 *
 * Everything is in bytes unless it is to be scaled, so that the report can be read by programs: those that read `slabinfo -X` read this.
 * It is made of /proc/slabinfo, which does not tell which slabs have room; where the tool knows that from /sys, there is a "-".
 *
 * Source: tools/vm/slabinfo.c (totals, slabcache, xtotals), Documentation/mm/slub.rst "Extended slabinfo mode and plotting".
 */
import type { Slab } from '../sample/parse/slabinfo.ts'
import { formatBytes } from './format.ts'
import { bytesOfPages } from './page_size.ts'

export interface SlabReportOptions {
  /** Caches in each list. */
  readonly rows: number
  /** 1.2M instead of 1234567. */
  readonly scaled: boolean
}

export const slabSize = ({ slabs, pagesPerSlab }: Slab): number => bytesOfPages(slabs * pagesPerSlab)
const usedBytes = ({ activeObjects, objectSizeBytes }: Slab): number => activeObjects * objectSizeBytes
export const slabLoss = (slab: Slab): number => slabSize(slab) - usedBytes(slab)

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

/** Bytes of all slabs, and those that no object in use has. */
export const slabTotals = (slabs: readonly Slab[]): { readonly size: number; readonly loss: number } => ({
  size: sum(slabs.map(slabSize)),
  loss: sum(slabs.map(slabLoss)),
})

/** The caches that have slabs, the largest by `of` first. */
export const slabsBy = (slabs: readonly Slab[], of: (slab: Slab) => number): Slab[] =>
  slabs.filter(slab => slab.slabs > 0).sort((a, b) => of(b) - of(a))

/** The whole report. */
export function slabReport(slabs: readonly Slab[], options: SlabReportOptions): string[] {
  const used = slabs.filter(slab => slab.slabs > 0 && slab.activeObjects > 0)
  if (used.length === 0) return ['No objects']
  return [
    ...totalLines(slabs, used, options),
    ...listLines('Slabs sorted by size', slabsBy(slabs, slabSize), slabSize, options),
    ...listLines('Slabs sorted by loss', slabsBy(slabs, slabLoss), slabLoss, options),
    '',
  ]
}

const right = (text: string | number, width: number) => String(text).padStart(width)
const bytesText = (bytes: number, { scaled }: SlabReportOptions) => (scaled ? formatBytes(bytes) : String(Math.floor(bytes)))
const percent = (part: number, whole: number) => Math.floor((part * 100) / Math.max(1, whole))

function totalLines(slabs: readonly Slab[], used: readonly Slab[], options: SlabReportOptions): string[] {
  const { size, loss } = slabTotals(used)
  const inUse = sum(used.map(usedBytes))
  const objects = sum(used.map(slab => slab.activeObjects))
  const free = sum(used.map(slab => slab.objects - slab.activeObjects))
  const text = (bytes: number) => right(bytesText(bytes, options), 15)
  return [
    'Slabcache Totals',
    '----------------',
    `Slabcaches : ${right(slabs.length, 15)}   Aliases  : ${right('-', 11)}->${'-'.padEnd(3)}  Active:    ${right(used.length, 3)}`,
    `Memory used: ${text(size)}   # Loss   : ${text(loss)}   MRatio:${right(percent(loss, inUse), 6)}%`,
    `# Objects  : ${right(objects, 15)}   # Free   : ${right(free, 15)}   ORatio:${right(percent(free, objects), 6)}%`,
    '',
    'Per Cache         Average              Min              Max            Total',
    '-'.repeat(76),
    spread(
      '#Objects ',
      used.map(slab => slab.activeObjects),
      String,
    ),
    spread(
      '#Slabs   ',
      used.map(slab => slab.slabs),
      String,
    ),
    spread('Memory   ', used.map(slabSize), bytes => bytesText(bytes, options)),
    spread('Used     ', used.map(usedBytes), bytes => bytesText(bytes, options)),
    spread('Loss     ', used.map(slabLoss), bytes => bytesText(bytes, options)),
    '',
    'Per Object        Average              Min              Max',
    '-'.repeat(59),
    perObject(used, inUse / objects, options),
  ]
}

/** A row of average, smallest, largest and sum. */
function spread(name: string, values: readonly number[], text: (value: number) => string): string {
  const total = sum(values)
  const figures = [Math.floor(total / values.length), Math.min(...values), Math.max(...values), total]
  return `${name} ${figures.map(value => right(text(value), 15)).join('  ')}`
}

function perObject(used: readonly Slab[], average: number, options: SlabReportOptions): string {
  const sizes = used.map(slab => slab.objectSizeBytes)
  const figures = [average, Math.min(...sizes), Math.max(...sizes)]
  return `Memory    ${figures.map(bytes => right(bytesText(bytes, options), 15)).join('  ')}`
}

const HEAD = 'Name                   Objects Objsize           Space Slabs/Part/Cpu  O/S O %Fr %Ef Flg'

function listLines(title: string, slabs: readonly Slab[], of: (slab: Slab) => number, options: SlabReportOptions): string[] {
  return ['', title, '-'.repeat(title.length), HEAD, ...slabs.slice(0, options.rows).map(slab => listLine(slab, of(slab), options))]
}

function listLine(slab: Slab, space: number, options: SlabReportOptions): string {
  const words = [
    slab.name.padEnd(21),
    right(slab.activeObjects, 8),
    right(slab.objectSizeBytes, 7),
    right(bytesText(space, options), 15),
    right(`${slab.slabs}/-/-`, 14),
    right(slab.objectsPerSlab, 4),
    right(Math.log2(Math.max(1, slab.pagesPerSlab)), 1),
    right('-', 3),
    right(percent(usedBytes(slab), slabSize(slab)), 3),
  ]
  return words.join(' ')
}
