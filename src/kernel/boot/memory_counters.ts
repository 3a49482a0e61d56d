/**
 * Counters that have moved by the time the first line of a workload runs, and the figures of /proc/meminfo that boot settles.
 *
 * pgfree counts every page that the buddy allocator was given, and every one that boot allocated and freed again; pgalloc_* those it
 * still holds, and again those it freed. Page faults are /init's. How many requests there were, and how many for memory of another node, is
 * fitted to 120 boots: they differ by a few per cent from boot to boot.
 *
 * The direct map is in pages of 1 GiB where RAM fills one, else of 2 MiB, else of 4 KiB. Code and tables of the kernel that must not
 * be written split some: eleven of 2 MiB, two more for each further node's code space, some for modules; and the GiB where a node's allocations
 * begin and the one where its early tables stand.
 *
 * Source: mm/vmstat.c, arch/x86/mm/init_64.c (phys_pud_init), arch/x86/mm/pat/set_memory.c (split_page_count); run-oracle.
 */
import { PAGE_SIZE, ZONE_NAMES } from '../base/units.ts'
import { mapDirectly } from './memory_directmap.ts'
import { EARLY_HEAP, inBytes } from './memory_early.ts'
import type { BootFootprint, PageUse } from './memory_footprint.ts'
import { hashPages } from './memory_hash.ts'
import { type BootMachine, GIB, KIB, MIB, totalCpus } from './memory_machine.ts'
import { type MemoryMap, type NodeMap, topKernelZone } from './memory_map.ts'
import { FIRST_PROCESS_PAGES } from './memory_process.ts'

/** NUMA counters of one zone. */
export interface ZoneNuma {
  readonly node: number
  readonly type: number
  readonly numa_hit: number
  readonly numa_interleave: number
  readonly numa_local: number
  readonly numa_other: number
}

export interface BootCounters {
  /** Events of /proc/vmstat by name; all others stand at zero. */
  readonly events: Readonly<Record<string, number>>
  readonly numa: readonly ZoneNuma[]
  readonly directMap4kKb: number
  readonly directMap2mKb: number
  readonly directMap1gKb: number
  /** GiBs that one entry maps, by number. */
  readonly directMapGibs: readonly number[]
  /** Pages of the disks' own that mounting and switching on swap have read (Buffers). */
  readonly bufferPages: number
}

const usedPages = (use: PageUse) => use.kernel + use.vmalloc + use.kernelStack + use.slabUnreclaimable + use.slabReclaimable

export function bootCounters(machine: BootMachine, map: MemoryMap, footprint: BootFootprint): BootCounters {
  const devices = deviceCounters(machine)
  const again = Math.round(2430 + 65 * totalCpus(machine) + devices.allocatedAgain)
  const used = footprint.nodes.map((use, i) => usedPages(use) + (i === footprint.initNode ? FIRST_PROCESS_PAGES : 0))
  const allocated: Record<string, number> = {}
  const add = (type: number, pages: number) => {
    const name = `pgalloc_${ZONE_NAMES[type].toLowerCase()}`
    allocated[name] = (allocated[name] ?? 0) + pages
  }
  for (const pool of footprint.pools) add(pool.type, pool.pages)
  map.nodes.forEach((node, i) => {
    add(topKernelZone(node).type, used[i] + Math.round(again / map.nodes.length))
  })
  return {
    events: {
      pgfree: map.totalPages + again,
      ...allocated,
      pgfault: 816,
      pgmajfault: 382,
      unevictable_pgs_culled: FIRST_PROCESS_CULLED + devices.moduleFilePages,
      ...devices.events,
    },
    numa: numaCounters(machine, map, used, devices.allocatedAgain),
    ...directMap(machine, map),
    bufferPages: devices.bufferPages,
  }
}

/** Pages of the first process's files that reach the unevictable list; a few stay on their way. */
const FIRST_PROCESS_CULLED = 629

interface DeviceCounters {
  readonly events: Readonly<Record<string, number>>
  readonly bufferPages: number
  /** Pages that loading modules took and gave back, and of them those of the modules' files. */
  readonly allocatedAgain: number
  readonly moduleFilePages: number
}

/** What mounting ext4 and switching on swap read and wrote, in KiB; mke2fs lays small disks out with fewer tables. */
const SMALL_DISK_BYTES = 512 * MIB

function deviceCounters(machine: BootMachine): DeviceCounters {
  const swap = machine.swapBytes > 0
  const disk = machine.diskBytes > 0
  const allocatedAgain = 40 * machine.modules.length + (swap || disk ? 160 : 0) + (disk ? 1320 : 0)
  const moduleFilePages = 40 * machine.modules.length + (swap || disk ? 75 : 0) + (disk ? 607 : 0)
  if (!swap && !disk) return { events: {}, bufferPages: 0, allocatedAgain, moduleFilePages }
  const small = machine.diskBytes < SMALL_DISK_BYTES
  const read = disk ? (small ? 47 : 153) : 0
  return {
    events: { pgpgin: read + (swap ? 16 : 0), pgpgout: disk ? (small ? 1 : 4) : 0, direct_map_level2_splits: disk ? 5 : 2 },
    bufferPages: (disk ? (small ? 10 : 35) : 0) + (swap ? 1 : 0),
    allocatedAgain,
    moduleFilePages,
  }
}

/** Requests are spread over nodes as what they left behind is. */
function numaCounters(machine: BootMachine, map: MemoryMap, used: readonly number[], forDevices: number): ZoneNuma[] {
  const others = map.nodes.length - 1
  const cpus = totalCpus(machine)
  const spread = others === 0 ? 0 : hashPages(map.hashTables)
  const hits = 5130 + 100 * cpus + 820 * others + (others > 0 ? 600 : 0) + 0.1 * spread + 1.4 * forDevices
  const other = others === 0 ? 0 : 420 + 956 * others + 19 * cpus + 0.07 * spread
  const total = used.reduce((sum, pages) => sum + pages, 0)
  return map.nodes.map((node, i) => {
    const share = used[i] / total
    const hit = Math.round(hits * share)
    const elsewhere = Math.round(other * share)
    return {
      node: node.id,
      type: topKernelZone(node).type,
      numa_hit: hit,
      numa_interleave: Math.round((623 + 5 * others) / map.nodes.length),
      numa_local: hit - elsewhere,
      numa_other: elsewhere,
    }
  })
}

const SPLITS_OF_KERNEL = 11
const SPLITS_OF_NODE = 2
const SPLITS_OF_VIRTIO = 2
const SPLITS_OF_EXT4 = 3
const HUGE_KB = 2048
const GIB_KB = GIB / KIB
const GIB_PAGES = GIB / PAGE_SIZE

function directMap(machine: BootMachine, map: MemoryMap) {
  const { gibsCounted, gibs, mappedKb } = mapDirectly(inBytes(map.ram), EARLY_HEAP)
  const split = new Set(map.nodes.flatMap(node => edgeGibs(node)).filter(gib => gibs.has(gib)))
  const directMap1gKb = (gibsCounted - split.size) * GIB_KB
  const virtio = machine.swapBytes > 0 || machine.diskBytes > 0
  const splits =
    SPLITS_OF_KERNEL +
    SPLITS_OF_NODE * (map.nodes.length - 1) +
    (virtio ? SPLITS_OF_VIRTIO : 0) +
    (machine.diskBytes > 0 ? SPLITS_OF_EXT4 : 0)
  const directMap4kKb = (mappedKb % HUGE_KB) + splits * HUGE_KB
  return {
    directMap4kKb,
    directMap2mKb: mappedKb - directMap4kKb - directMap1gKb,
    directMap1gKb,
    directMapGibs: [...gibs].filter(gib => !split.has(gib)),
  }
}

/** Where a node's kernel memory begins and where its early tables stand. */
function edgeGibs(node: NodeMap): number[] {
  const zone = topKernelZone(node)
  return [Math.floor(zone.startPfn / GIB_PAGES), Math.ceil((zone.startPfn + zone.spannedPages) / GIB_PAGES) - 1]
}
