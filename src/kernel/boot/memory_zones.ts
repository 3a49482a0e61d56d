/**
 * Zones: which page frames of a node a request may want by kind.
 *
 *     0    16M             4G                                  page frames 1 .. 4096 .. 2^20 ..
 *     | DMA |  DMA32        |  Normal  ...  [ Movable ]
 *
 * A zone of a node spans what the node spans of its range, holes included; present are the pages of RAM in it. With kernelcore= or
 * movablecore= the upper part of each node becomes Movable: kernel memory is spread evenly over the nodes, a node that has too
 * little passes the rest on to the others, and the border is at a multiple of the top order's block.
 *
 * Page records of a node's last zone are only initialised for a first piece at boot; the rest follows when all CPUs are up
 * (DEFERRED_STRUCT_PAGE_INIT). It shows in the page blocks' types: early, every block becomes MOVABLE; late, only one whose
 * first page is free then. So blocks full of page records count as UNMOVABLE above the border, as MOVABLE below. The block that holds page 0
 * is never set to anything, and UNMOVABLE is what zero means.
 *
 * Source: mm/page_alloc.c (zone_spanned_pages_in_node, find_zone_movable_pfns_for_nodes, memmap_init_range, defer_init,
 * deferred_free_range).
 */
import {
  alignDown,
  alignUp,
  MAX_ORDER,
  PAGE_SIZE,
  PAGEBLOCK_PAGES,
  ZONE_DMA,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NORMAL,
} from '../base/units.ts'
import { SECTION_PAGES } from './memory_early.ts'
import { type BootMachine, parameter, parseSize, type RamRange } from './memory_machine.ts'
import { clip, clipAll, lengthOf, push, type Run } from './memory_runs.ts'

/** A populated zone; managedPages is what the buddy allocator gets of it. */
export interface ZoneSpan {
  readonly node: number
  /** ZONE_DMA .. ZONE_MOVABLE */
  readonly type: number
  readonly startPfn: number
  readonly spannedPages: number
  readonly presentPages: number
}

const DMA_END = 4096
const DMA32_END = 1 << 20
const ARCH_ZONES: readonly (Run & { readonly type: number })[] = [
  { type: ZONE_DMA, start: 1, end: DMA_END },
  { type: ZONE_DMA32, start: DMA_END, end: DMA32_END },
  { type: ZONE_NORMAL, start: DMA32_END, end: Number.POSITIVE_INFINITY },
]
const TOP_BLOCK_PAGES = 1 << (MAX_ORDER - 1)

const spanOf = (runs: readonly Run[]): Run => ({
  start: Math.min(...runs.map(run => run.start)),
  end: Math.max(...runs.map(run => run.end)),
})

/** Every populated zone, by node and type. */
export function zoneSpans(machine: BootMachine, ram: readonly RamRange[]): ZoneSpan[] {
  const nodes = [...new Set(ram.map(run => run.node))].sort((a, b) => a - b)
  const movableStart = movableStarts(machine, ram, nodes)
  return nodes.flatMap(node => {
    const own = ram.filter(run => run.node === node)
    const span = spanOf(own)
    const border = movableStart.get(node) ?? Number.POSITIVE_INFINITY
    const kernel = ARCH_ZONES.map(zone => ({ ...zone, end: Math.min(zone.end, border) }))
    const movable = { type: ZONE_MOVABLE, start: border, end: Number.POSITIVE_INFINITY }
    return [...kernel, movable].flatMap(zone => {
      const part = clip(span, zone)
      const present = part === undefined ? 0 : lengthOf(clipAll(own, part))
      if (part === undefined || present === 0) return []
      return [{ node, type: zone.type, startPfn: part.start, spannedPages: part.end - part.start, presentPages: present }]
    })
  })
}

export const zoneRun = (zone: ZoneSpan): Run => ({ start: zone.startPfn, end: zone.startPfn + zone.spannedPages })

/** Pages that must stay the kernel's; 0 when no parameter asks for a Movable zone. */
function requiredKernelcore(machine: BootMachine, totalPages: number): number {
  const core = pagesWanted(parameter(machine, 'kernelcore'), totalPages)
  const movable = pagesWanted(parameter(machine, 'movablecore'), totalPages)
  if (movable === 0) return core
  return Math.max(core, totalPages - Math.min(totalPages, alignUp(movable, TOP_BLOCK_PAGES)))
}

function pagesWanted(text: string | undefined, totalPages: number): number {
  if (text === undefined) return 0
  const percent = /^(\d+)%$/.exec(text)
  if (percent !== null) return Math.floor((totalPages * 100 * Number(percent[1])) / 10000)
  return Math.floor((parseSize(text) ?? 0) / PAGE_SIZE)
}

/** First page of each node's Movable zone. */
function movableStarts(machine: BootMachine, ram: readonly RamRange[], nodes: readonly number[]): Map<number, number> {
  const total = lengthOf(ram)
  let required = requiredKernelcore(machine, total)
  const border = new Map<number, number>()
  if (required === 0 || required >= total) return border
  const highest = Math.max(...ram.map(run => run.end))
  const lowestMovable = (ARCH_ZONES.findLast(zone => zone.start < highest) ?? ARCH_ZONES[0]).start
  for (let usable = nodes.length; usable > 0 && (usable === nodes.length || required > usable); usable--) {
    const share = Math.floor(required / usable)
    for (const node of nodes) {
      const own = ram.filter(run => run.node === node)
      required -= spreadKernelcore(node, own, Math.min(share, required), required, lowestMovable, border)
    }
  }
  return alignBorders(border, ram)
}

/** Moves a node's border up past `share` more pages. @returns how many it found. */
function spreadKernelcore(
  node: number,
  own: readonly Run[],
  share: number,
  required: number,
  lowest: number,
  border: Map<number, number>,
): number {
  let left = share
  let found = 0
  for (const run of own) {
    let start = Math.max(run.start, border.get(node) ?? 0)
    if (start >= run.end) continue
    if (start < lowest) {
      const below = Math.min(run.end, lowest) - start
      left -= Math.min(below, left)
      found += Math.min(below, required - found)
      if (run.end <= lowest) {
        border.set(node, run.end)
        continue
      }
      start = lowest
    }
    const pages = Math.min(run.end - start, left)
    border.set(node, start + pages)
    found += Math.min(required - found, pages)
    left -= pages
    if (left === 0) break
  }
  return found
}

function alignBorders(border: ReadonlyMap<number, number>, ram: readonly RamRange[]): Map<number, number> {
  const aligned = new Map<number, number>()
  for (const [node, pfn] of border) {
    const at = alignUp(pfn, TOP_BLOCK_PAGES)
    if (at < spanOf(ram.filter(run => run.node === node)).end) aligned.set(node, at)
  }
  return aligned
}

/** Records of 64 bytes for what the zone spans, or for what is present when holes are more than a sixteenth of it. */
function memmapPages(zone: ZoneSpan): number {
  const sparse = zone.spannedPages > zone.presentPages + (zone.presentPages >>> 4)
  return Math.ceil(((sparse ? zone.presentPages : zone.spannedPages) * 64) / PAGE_SIZE)
}

/** Pages that the kernel counts on when it sizes its tables (nr_kernel_pages). @param reservedBelow16M reserved pages in the DMA range. */
export function kernelPages(zones: readonly ZoneSpan[], reservedBelow16M: number): number {
  return zones.reduce((sum, zone) => sum + zone.presentPages - memmapPages(zone) - (zone.type === ZONE_DMA ? reservedBelow16M : 0), 0)
}

/** First page of the node whose record is initialised late; Infinity when none is. */
export function firstDeferredPfn(zones: readonly ZoneSpan[], ram: readonly RamRange[], node: number): number {
  const own = zones.filter(zone => zone.node === node)
  const last = own.reduce((a, b) => (b.startPfn > a.startPfn ? b : a))
  let before = 0
  for (const run of clipAll(
    ram.filter(each => each.node === node),
    zoneRun(last),
  )) {
    const enough = alignUp(Math.max(run.start, run.start + SECTION_PAGES - before), SECTION_PAGES)
    if (enough < run.end) return enough
    before += run.end - run.start
  }
  return Number.POSITIVE_INFINITY
}

/**
 * Page blocks of the zone that are not MOVABLE when the allocator starts, as runs of pages. Memory comes online by sections, so the
 * blocks of the whole last section count, as far as the zone reaches.
 * @param free what memblock had left.
 */
export function unmovableBlocks(zone: ZoneSpan, ram: readonly RamRange[], free: readonly Run[], deferredFrom: number): Run[] {
  const whole = zoneRun(zone)
  const zoneBlocks = { start: alignDown(whole.start, PAGEBLOCK_PAGES), end: whole.end }
  const movable = [
    ...clipAll(ram, { start: whole.start, end: Math.min(whole.end, deferredFrom) }),
    ...clipAll(free, { start: deferredFrom, end: whole.end }),
  ]
  const blocks: Run[] = []
  for (const part of clipAll(sectionsOf(clipAll(ram, whole)), zoneBlocks))
    for (let pfn = part.start; pfn < part.end; pfn += PAGEBLOCK_PAGES)
      if (!movable.some(run => run.start <= pfn && pfn < run.end)) push(blocks, { start: pfn, end: pfn + PAGEBLOCK_PAGES })
  return blocks
}

/** Runs of whole sections that hold any of the RAM. */
function sectionsOf(ram: readonly Run[]): Run[] {
  const out: Run[] = []
  for (const run of ram) push(out, { start: alignDown(run.start, SECTION_PAGES), end: alignUp(run.end, SECTION_PAGES) })
  return out
}
