/**
 * Boot: from a machine's description to a kernel at the moment its first process is about to run, as a list of steps in
 * Linux' order. What the memory looks like by then (who has taken what, what is free in which blocks, where the counters stand) is
 * worked out in boot/memory_*.ts; here it becomes state.
 *
 * Watermarks are settled twice, as in Linux: from the pages that the zones have when init calls run, and, for what one zone keeps from
 * another, once more when the initial RAM disk and the kernel's own start-up code have been given back.
 *
 * Source: init/main.c start_kernel, mm/page_alloc.c (page_alloc_init_late, init_per_zone_wmark_min), mm/huge_memory.c hugepage_init.
 */
import { EV, NS, NUMA } from './base/counters.ts'
import { PG_reserved } from './base/flags.ts'
import type { Kernel, Machine, Zone } from './base/state.ts'
import { asPfn, MAX_NR_ZONES, PAGE_KB, PAGE_SIZE, PAGEBLOCK_ORDER } from './base/units.ts'
import { createKernel } from './boot/create.ts'
import { initFileSystems } from './boot/file_systems.ts'
import { firstProcess } from './boot/first_process.ts'
import { initHugetlb } from './boot/hugetlb_boot.ts'
import { initMemoryBlocks } from './boot/memory_blocks.ts'
import { type BootCounters, bootCounters } from './boot/memory_counters.ts'
import { type BootFootprint, bootFootprint } from './boot/memory_footprint.ts'
import { bootLayout, forEachBlock, type ZoneLayout } from './boot/memory_layout.ts'
import { type MemoryMap, memoryMap, type ZoneMap } from './boot/memory_map.ts'
import { initSlab, settleBootObjects } from './boot/slab_boot.ts'
import { initZswap } from './boot/zswap_boot.ts'
import { enableSwapArea } from './caches/swap_area.ts'
import { startKcompactd } from './daemons/kcompactd.ts'
import { freeBootBlock } from './frames/buddy.ts'
import { pageSet } from './frames/page.ts'
import { addPcps, pcpBootFree } from './frames/pcp.ts'
import {
  buildZonelists,
  calculateMinFreeKbytes,
  setRecommendedMinFreeKbytes,
  setupPerZoneLowmemReserve,
  setupPerZoneWmarks,
} from './frames/zone.ts'

export interface BootOptions {
  /** Fill the records of freed pages with junk, so that stale use shows. For tests. */
  readonly junkOnFree?: boolean
}

/** The page of zeros lies in the kernel's image (empty_zero_page, at the start of its bss). */
const EMPTY_ZERO_PAGE = asPfn(0x3310)

/** A machine booted to its first process (pid 1). */
export function bootKernel(machine: Machine, options: BootOptions = {}): Kernel {
  const map = memoryMap(machine)
  const footprint = bootFootprint(machine, map)
  const k = createKernel(
    inLinuxOrder(machine, map),
    map.maxPfn,
    options.junkOnFree ?? false,
    map.nodes.map(node => node.cpus),
  )
  initZones(k, map)
  initSlab(k)
  k.totalramPages = map.totalPages
  initThp(k, footprint)
  initWatermarks(k, map, footprint)
  buildZonelists(k)
  startKcompactd(k)
  const layout = bootLayout(map, footprint, (node, type) => k.zones[node * MAX_NR_ZONES + type].pcpHigh)
  for (const zone of layout) freeZone(k, zone)
  const counters = bootCounters(machine, map, footprint)
  initCounters(k, footprint, counters)
  initFileSystems(k, counters.bufferPages)
  initZswap(k)
  initSwap(k)
  initNumaBalancing(k)
  k.zeroPage = EMPTY_ZERO_PAGE
  pageSet(k, EMPTY_ZERO_PAGE, PG_reserved)
  k.cpu = k.nodes[footprint.initNode].cpus[0] ?? 0
  firstProcess(k)
  k.cpu = 0
  initHugetlb(k, map)
  initMemoryBlocks(k, map)
  settleBootObjects(k)
  return k
}

/** Nodes as Linux numbers them: those without CPUs last. */
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
  zone.managedPages = map.managedAtInit
  const end = map.startPfn + map.spannedPages
  k.blockZone.fill(zone.index, map.startPfn >>> PAGEBLOCK_ORDER, ((end - 1) >>> PAGEBLOCK_ORDER) + 1)
  addPcps(k, zone)
}

/** transparent_hugepage= of the command line; a small machine goes without, whatever it says. */
function initThp(k: Kernel, footprint: BootFootprint): void {
  const asked = k.machine.cmdline.findLast(([key]) => key === 'transparent_hugepage')?.[1]
  if (asked === 'always' || asked === 'madvise' || asked === 'never') k.thp.enabled = asked
  k.khugepaged.running = k.thp.enabled !== 'never' && !footprint.smallMachine
  if (!footprint.smallMachine) return
  k.thp.enabled = 'never'
  k.thp.defrag = 'never'
  k.thp.useZeroPage = false
  k.khugepaged.defrag = false
}

/** The swap disk has a header, and is switched on before the first workload line unless the machine's description says no. */
function initSwap(k: Kernel): void {
  const { swapBytes, swapon } = k.machine
  const [disk] = k.fs.disks
  if (swapBytes === 0 || disk === undefined) return
  const path = `/dev/${disk.name}`
  k.swap.headers.set(path, Math.floor(swapBytes / PAGE_SIZE))
  if (swapon) enableSwapArea(k, 0, path, { kind: 'disk', disk, file: undefined, zram: -1 }, Math.floor(swapBytes / PAGE_SIZE), -1)
}

/** NUMA balancing is on where there is more than one node, unless numa_balancing= says otherwise (check_numabalancing_enable). */
function initNumaBalancing(k: Kernel): void {
  const asked = k.machine.cmdline.findLast(([key]) => key === 'numa_balancing')?.[1]
  k.sysctl.numa_balancing = Number(asked === 'enable' || (asked !== 'disable' && k.nodes.length > 1))
}

function initWatermarks(k: Kernel, map: MemoryMap, footprint: BootFootprint): void {
  calculateMinFreeKbytes(k)
  setupPerZoneWmarks(k)
  setupPerZoneLowmemReserve(k)
  if (!footprint.smallMachine) setRecommendedMinFreeKbytes(k)
  for (const node of map.nodes) for (const zone of node.zones) k.zones[node.id * MAX_NR_ZONES + zone.type].managedPages = zone.managedPages
  setupPerZoneLowmemReserve(k)
}

/** Puts a zone's free memory on its lists and marks the types of its page blocks. */
function freeZone(k: Kernel, layout: ZoneLayout): void {
  const zone = k.zones[layout.node * MAX_NR_ZONES + layout.type]
  for (const run of layout.blocks) k.blockType.fill(run.migratetype, run.start >>> PAGEBLOCK_ORDER, ((run.end - 1) >>> PAGEBLOCK_ORDER) + 1)
  for (const run of layout.free)
    forEachBlock(run, (pfn, order) => {
      freeBootBlock(k, zone, asPfn(pfn), order, run.migratetype)
    })
  for (const run of layout.pcp) for (let pfn = run.start; pfn < run.end; pfn++) pcpBootFree(zone, run.cpu, asPfn(pfn), run.migratetype)
}

function initCounters(k: Kernel, footprint: BootFootprint, counters: BootCounters): void {
  for (const [name, index] of Object.entries(EV)) k.event[index] = counters.events[name] ?? 0
  for (const zone of counters.numa)
    for (const [name, index] of Object.entries(NUMA)) k.zones[zone.node * MAX_NR_ZONES + zone.type].numa[index] = zoneNuma(zone, name)
  footprint.nodes.forEach((use, node) => {
    const { stat } = k.nodes[node]
    stat[NS.nr_slab_reclaimable] = use.slabReclaimable
    stat[NS.nr_slab_unreclaimable] = use.slabUnreclaimable
    stat[NS.nr_kernel_stack] = use.kernelStack * PAGE_KB
  })
  k.sysctl.user_reserve_kbytes = footprint.userReserveKbytes
  k.sysctl.admin_reserve_kbytes = footprint.adminReserveKbytes
  k.boot.slabPages = footprint.nodes.reduce((sum, use) => sum + use.slabReclaimable + use.slabUnreclaimable, 0)
  k.boot.percpuPages = footprint.percpuPages
  k.boot.maxThreads = footprint.maxThreads
  k.boot.vmallocUsedPages = footprint.nodes.reduce((sum, use) => sum + use.vmalloc + use.kernelStack, 0)
  k.boot.directMap4kKb = counters.directMap4kKb
  k.boot.directMap2mKb = counters.directMap2mKb
  k.boot.directMap1gKb = counters.directMap1gKb
  for (const gib of counters.directMapGibs) k.boot.directMapGibs.add(gib)
}

function zoneNuma(zone: BootCounters['numa'][number], name: string): number {
  if (name === 'numa_hit') return zone.numa_hit
  if (name === 'numa_interleave') return zone.numa_interleave
  if (name === 'numa_local') return zone.numa_local
  return name === 'numa_other' ? zone.numa_other : 0
}
