/**
 * Memory in use before line 1: a machine that is to be like another one (`--like`) has as much anonymous memory and as many cached file
 * pages on each node as that one had, and its free lists.
 *
 *     boot ── settings ── host0: mmap, touch, readfile ── host1 ... ── what is left held ── line 1
 *
 * One process a node has the memory; it sleeps ever after, and what it has can be reclaimed, swapped and migrated as any other. The rest
 * that was in use there (slabs, page tables, drivers) is held (kernel/boot/held.ts). Where more was in use than this machine has, files
 * give way first.
 */
import type { Kernel } from '../kernel/base/state.ts'
import { PAGE_SIZE, ZONE_NAMES } from '../kernel/base/units.ts'
import { holdAllBut } from '../kernel/boot/held.ts'
import { startRun, step, takeRecords } from '../workload/interpreter.ts'
import { parseWorkload } from '../workload/parse.ts'
import { PORTS } from './ports.ts'

/** What was in use on one node. */
export interface NodeUse {
  readonly anonBytes: number
  /** Of them, in huge pages. */
  readonly hugeBytes: number
  readonly fileBytes: number
}

export interface ZoneUse {
  readonly node: number
  /** "DMA32", as /proc/zoneinfo has it. */
  readonly zone: string
  /** Free blocks by order. */
  readonly blocks: readonly number[]
}

export interface MemoryUse {
  readonly nodes: readonly NodeUse[]
  readonly free: readonly ZoneUse[]
}

/** Left free by the processes beyond what is to be free in the end, so that nothing is reclaimed for them. */
const SLACK = 16 * 2 ** 20
const HUGE = 2 ** 21

const fileOf = (node: number) => ({ name: `host${node}.cache` })

/** Files that the machine must have on its disk. */
export const filesInUse = ({ nodes }: MemoryUse): { name: string; bytes: number }[] =>
  nodes.flatMap(({ fileBytes }, node) => (fileBytes === 0 ? [] : [{ ...fileOf(node), bytes: fileBytes }]))

/** Takes memory into use on a machine that has just been booted. */
export function occupy(k: Kernel, use: MemoryUse): void {
  const lines = use.nodes.flatMap((wanted, node) => linesFor(node, fitting(wanted, roomOn(k, use, node))))
  const run = startRun(k, parseWorkload(`${lines.join('\n')}\n`, 'memory in use'), PORTS)
  while (!run.ended && step(run, PORTS, Number.POSITIVE_INFINITY)) takeRecords(run)
  for (const { id } of k.nodes) freeAsBefore(k, use, id)
}

/** What is to be free in a zone that is larger there than here is free in the next higher one. */
function freeAsBefore(k: Kernel, use: MemoryUse, node: number): void {
  let unmet: readonly number[] = []
  for (const zone of k.zones) {
    const wanted = use.free.find(({ node: id, zone: name }) => id === node && name === ZONE_NAMES[zone.type])
    if (zone.node !== node || wanted === undefined) continue
    const blocks = wanted.blocks.map((count, order) => count + (unmet[order] ?? 0))
    unmet = zone.managedPages > 0 ? holdAllBut(k, zone, blocks) : blocks
  }
}

/** Bytes that the process of a node may take. */
function roomOn(k: Kernel, use: MemoryUse, node: number): number {
  const free = k.zones
    .filter(zone => zone.node === node)
    .reduce((sum, zone) => sum + zone.nrFree.reduce((pages, blocks, order) => pages + blocks * 2 ** order, 0), 0)
  const left = use.free.filter(zone => zone.node === node).reduce((sum, { blocks }) => sum + pagesIn(blocks), 0)
  return Math.max(0, (free - left) * PAGE_SIZE - SLACK)
}

const pagesIn = (blocks: readonly number[]): number => blocks.reduce((sum, count, order) => sum + count * 2 ** order, 0)

function fitting({ anonBytes, hugeBytes, fileBytes }: NodeUse, room: number): NodeUse {
  const anon = Math.min(anonBytes, room)
  const whole = (bytes: number, unit: number) => Math.floor(bytes / unit) * unit
  return {
    anonBytes: whole(anon, PAGE_SIZE),
    hugeBytes: whole(Math.min(hugeBytes, anon), HUGE),
    fileBytes: whole(Math.min(fileBytes, room - anon), PAGE_SIZE),
  }
}

function linesFor(node: number, { anonBytes, hugeBytes, fileBytes }: NodeUse): string[] {
  const name = `host${node}`
  const area = (region: string, bytes: number, advice: string) =>
    bytes === 0 ? [] : [`${name} mmap ${region} ${bytes}`, `${name} madvise ${region} ${advice}`, `${name} touch ${region} write`]
  return [
    `spawn ${name} policy=bind:${node}`,
    ...area('small', anonBytes - hugeBytes, 'nohugepage'),
    ...area('huge', hugeBytes, 'hugepage'),
    ...(fileBytes === 0 ? [] : [`${name} readfile /mnt/${fileOf(node).name} ${fileBytes}`]),
  ]
}
