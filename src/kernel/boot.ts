/**
 * Boot: from a machine's description to a kernel at the moment its first process is about to run, as a list of steps in
 * Linux' order. What the memory looks like by then is worked out in boot/memory_*.ts.
 *
 * Source: init/main.c start_kernel, mm/page_alloc.c (page_alloc_init_late, init_per_zone_wmark_min), mm/khugepaged.c.
 */
import { must } from './base/assert.ts'
import { __GFP_ZERO, GFP_KERNEL } from './base/flags.ts'
import type { Kernel, Machine, Zone } from './base/state.ts'
import { MAX_NR_ZONES, MIGRATE_UNMOVABLE, PAGEBLOCK_ORDER } from './base/units.ts'
import { allocPages } from './alloc/page_alloc.ts'
import { addPcps, createKernel } from './boot/create.ts'
import { type MemoryMap, memoryMap, type ZoneMap } from './boot/memory_map.ts'
import { taskCreate } from './calls/task.ts'
import { freeBootRange } from './frames/buddy.ts'
import { buildZonelists, calculateMinFreeKbytes, setRecommendedMinFreeKbytes, setupPerZoneLowmemReserve, setupPerZoneWmarks } from './frames/zone.ts'

export interface BootOptions {
  /** Fill the records of freed pages with junk, so that stale use shows. For tests. */
  readonly junkOnFree?: boolean
}

/** Below this much managed memory Linux leaves transparent huge pages off unless the command line says otherwise. */
const THP_MIN_PAGES = 512 * 256

/** A machine booted to its first process (pid 1, which has an empty address space). */
export function bootKernel(machine: Machine, options: BootOptions = {}): Kernel {
  const map = memoryMap(machine)
  const k = createKernel(inLinuxOrder(machine, map), map.maxPfn, options.junkOnFree ?? false, map.nodes.map(node => node.cpus))
  initZones(k, map)
  buildZonelists(k)
  freeMemory(k, map)
  k.totalramPages = map.totalPages
  initWatermarks(k)
  initThp(k)
  k.zeroPage = allocPages(k, GFP_KERNEL | __GFP_ZERO, 0)
  must(taskCreate(k, 'init', 0), 'no memory for the first process')
  return k
}

/** Nodes as Linux numbers them. */
function inLinuxOrder(machine: Machine, map: MemoryMap): Machine {
  return { ...machine, nodes: map.nodes.map(node => machine.nodes[node.machineNode]), distance: map.distance }
}

function initZones(k: Kernel, map: MemoryMap): void {
  for (const nodeMap of map.nodes) {
    const node = k.nodes[nodeMap.id]
    node.startPfn = nodeMap.startPfn
    node.spannedPages = nodeMap.spannedPages
    for (const zoneMap of nodeMap.zones) initZone(k, k.zones[nodeMap.id * MAX_NR_ZONES + zoneMap.type], zoneMap)
  }
}

function initZone(k: Kernel, zone: Zone, map: ZoneMap): void {
  zone.startPfn = map.startPfn
  zone.spannedPages = map.spannedPages
  zone.presentPages = map.presentPages
  zone.managedPages = map.managedPages
  const end = map.startPfn + map.spannedPages
  k.blockZone.fill(zone.index, map.startPfn >>> PAGEBLOCK_ORDER, ((end - 1) >>> PAGEBLOCK_ORDER) + 1)
  for (const run of map.unmovable) k.blockType.fill(MIGRATE_UNMOVABLE, run.start >>> PAGEBLOCK_ORDER, ((run.end - 1) >>> PAGEBLOCK_ORDER) + 1)
  addPcps(k, zone)
}

/** Hands all memory to the buddy allocator: what is there from the start, then the rest of each node, then what boot gave back. */
function freeMemory(k: Kernel, map: MemoryMap): void {
  const zones = map.nodes.flatMap(node => node.zones)
  for (const zone of zones) for (const run of zone.free) freeBootRange(k, k.zones[zone.node * MAX_NR_ZONES + zone.type], run.start, run.end)
  for (const zone of zones) for (const run of zone.freedLate) freeBootRange(k, k.zones[zone.node * MAX_NR_ZONES + zone.type], run.start, run.end)
}

function initWatermarks(k: Kernel): void {
  calculateMinFreeKbytes(k)
  setupPerZoneWmarks(k)
  setupPerZoneLowmemReserve(k)
}

/** transparent_hugepage= of the command line, and khugepaged's wish for more free memory. */
function initThp(k: Kernel): void {
  const asked = k.machine.cmdline.findLast(([key]) => key === 'transparent_hugepage')?.[1]
  if (asked === 'always' || asked === 'madvise' || asked === 'never') k.thp.enabled = asked
  else if (k.totalramPages < THP_MIN_PAGES) {
    k.thp.enabled = 'never'
    k.thp.defrag = 'never'
    k.thp.useZeroPage = false
  }
  if (k.thp.enabled !== 'never') setRecommendedMinFreeKbytes(k)
}
