/**
 * The blocks in which memory can be taken away: as large as boot's memory allows, all of them there from the start.
 *
 *     below 64 GiB    128 MiB, one section
 *     from there on   the largest power of two up to 2 GiB that divides the end of memory: the machine is a virtual one
 *
 * A block whose memory lies in one zone of one node belongs to that zone; one on a border belongs to none and stays for ever.
 *
 * Source: arch/x86/mm/init_64.c probe_memory_block_size, drivers/base/memory.c (memory_dev_init, early_node_zone_for_memory_block,
 * memory_block_add_nid).
 */
import type { Kernel } from '../base/state.ts'
import { asNode, type NodeId, PAGE_SIZE } from '../base/units.ts'
import { populated } from '../frames/zone.ts'
import { GIB, MIB } from './memory_machine.ts'
import type { MemoryMap } from './memory_map.ts'
import { clipAll, lengthOf, type Run } from './memory_runs.ts'

const SMALLEST = (128 * MIB) / PAGE_SIZE
const LARGEST = (2 * GIB) / PAGE_SIZE
const LARGE_MACHINE = (64 * GIB) / PAGE_SIZE

export function initMemoryBlocks(k: Kernel, map: MemoryMap): void {
  const pages = blockPages(map.maxPfn)
  k.memory.blockPages = pages
  for (let start = 0; start < map.maxPfn; start += pages) {
    const run = { start, end: start + pages }
    const nodes = map.ram.filter(ram => ram.start < run.end && ram.end > run.start).map(ram => asNode(ram.node))
    if (nodes.length === 0) continue
    const distinct = [...new Set(nodes)]
    const whole = lengthOf(clipAll(map.ram, run)) === pages
    k.memory.blocks.set(start / pages, { id: start / pages, nodes: distinct, whole, online: true, zone: zoneOf(k, distinct, run) })
  }
}

function blockPages(maxPfn: number): number {
  if (maxPfn < LARGE_MACHINE) return SMALLEST
  let pages = LARGEST
  while (pages > SMALLEST && maxPfn % pages !== 0) pages /= 2
  return pages
}

/** The one zone that all of the block belongs to, -1 if there is none. */
function zoneOf(k: Kernel, nodes: readonly NodeId[], { start, end }: Run): number {
  const zones = k.zones.filter(
    zone => zone.node === nodes[0] && populated(zone) && zone.startPfn < end && zone.startPfn + zone.spannedPages > start,
  )
  return nodes.length === 1 && zones.length === 1 ? zones[0].index : -1
}
