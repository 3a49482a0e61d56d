/**
 * What the kernel has allocated by the time the first line of a workload runs, node by node: how much of each kind, and why.
 *
 * Most of it is counted from causes: hash tables by memory, tables of per-CPU chunks by their shape, threads by CPUs and nodes, pools
 * for DMA by memory. The rest (objects of drivers, sysfs, debugfs ...) is a constant of this kernel build plus so much for each
 * CPU, node, block of memory and disk, fitted to 120 boots; what is left unexplained is below 0.1 % of memory.
 *
 * Where it lands on a machine of several nodes depends on which CPU happens to run the boot threads, and differs from boot to boot. The
 * placement here is one that occurs:
 *
 *     node 0                                    second node with CPUs           every node
 *     what boots before the other CPUs,         kernel_init: initcalls,         its CPUs' threads and units, an even share of hash
 *     the initial RAM disk's files              sysfs, and then /init           tables and of code space for BPF, some objects
 *
 * Source: kernel/dma/pool.c (dma_atomic_pool_init), kernel/bpf/core.c (bpf_prog_pack_alloc), crypto/scompress.c, mm/percpu.c,
 * kernel/fork.c, drivers/base/memory.c, mm/swapfile.c, mm/swap_cgroup.c; constants measured with run-oracle (/proc/vmallocinfo,
 * slabinfo, zoneinfo).
 */
import { MAX_ORDER, PAGE_SIZE, ZONE_DMA, ZONE_DMA32 } from '../base/units.ts'
import { SECTION_BYTES } from './memory_early.ts'
import { hashPages, roundUpToPowerOfTwo } from './memory_hash.ts'
import { type BootMachine, GIB, KIB, MIB, parameter, totalCpus } from './memory_machine.ts'
import type { MemoryMap, NodeMap } from './memory_map.ts'
import { chunkTablePages, percpuLayout } from './memory_percpu.ts'
import { lengthOf } from './memory_runs.ts'

/** Pages by purpose. */
export interface PageUse {
  /** Pages of the kernel's own, got straight from the page allocator. */
  readonly kernel: number
  readonly vmalloc: number
  readonly kernelStack: number
  readonly slabUnreclaimable: number
  readonly slabReclaimable: number
}

/** A pool of DMA memory, made in a zone of its own. */
export interface ZonePool {
  readonly node: number
  readonly type: number
  readonly pages: number
}

export interface BootFootprint {
  /** By node, in each node's highest zone for kernel memory. */
  readonly nodes: readonly PageUse[]
  /** DMA pools in the lower zones, kernel memory as well. */
  readonly pools: readonly ZonePool[]
  /** The node where kernel_init and the first process run. */
  readonly initNode: number
  /** Unmovable pages that loading modules took there at once, and gave back. */
  readonly modulesAgain: number
  /** What /proc/meminfo calls Percpu. */
  readonly percpuPages: number
  /** THP is off from the start: less than 512 MiB when it is decided. */
  readonly smallMachine: boolean
  /** Processes and threads there may be at most. */
  readonly maxThreads: number
  /** Free memory when the reserves below are set (init_user_reserve, init_admin_reserve). */
  readonly userReserveKbytes: number
  readonly adminReserveKbytes: number
}

const SMALL_MACHINE_PAGES = (512 * MIB) / PAGE_SIZE
/** A stack of 16 KiB may be an eighth of the machine's memory (set_max_threads). */
const PAGES_PER_THREAD = 32
const MAX_USER_RESERVE_KB = 131072
const MAX_ADMIN_RESERVE_KB = 8192

export function bootFootprint(machine: BootMachine, map: MemoryMap): BootFootprint {
  const atInit = map.nodes.flatMap(node => node.zones).reduce((sum, zone) => sum + zone.managedAtInit, 0)
  const gigantic = lengthOf(map.gigantic)
  const smallMachine = atInit < SMALL_MACHINE_PAGES
  const thpAtBoot = !smallMachine && parameter(machine, 'transparent_hugepage') !== 'never'
  const counted = countCauses(machine, map, thpAtBoot)
  const initNode = map.nodes.length > 1 && map.nodes[1].cpus.length > 0 ? 1 : 0
  const reserveKb = Math.floor((atInit - gigantic - usedBeforeReserves(counted)) / 8)
  return {
    nodes: map.nodes.map(node => nodeUse(node, counted, initNode)),
    pools: zonePools(map, counted.poolPages),
    initNode,
    modulesAgain: counted.ext4 ? EXT4_AGAIN : 0,
    percpuPages: counted.percpuPages,
    smallMachine,
    maxThreads: Math.floor((atInit - gigantic) / PAGES_PER_THREAD),
    userReserveKbytes: Math.min(reserveKb, MAX_USER_RESERVE_KB),
    adminReserveKbytes: Math.min(reserveKb, MAX_ADMIN_RESERVE_KB),
  }
}

/** What the figures below are counted from. */
interface Causes {
  readonly cpus: number
  readonly nodes: number
  readonly thpAtBoot: boolean
  readonly memoryBlocks: number
  /** Virtio disks. */
  readonly disks: number
  readonly ext4: boolean
  readonly modules: number
  readonly swapPages: number
  /** Hash tables that come from the buddy allocator or, with more nodes than one, from vmalloc. */
  readonly lateHashPages: number
  /** Size of one DMA pool. */
  readonly poolPages: number
  readonly percpuPages: number
  readonly chunkTablePages: number
}

const FIRST_CHUNK_POPULATED = 65
/** From six nodes on, per-CPU statistics of the nodes need a little more of each unit. */
const MANY_NODES = 6
const MANY_NODES_POPULATED = 68

function countCauses(machine: BootMachine, map: MemoryMap, thpAtBoot: boolean): Causes {
  const layout = percpuLayout(map.nodes.map(node => node.cpus.length))
  const units = layout.groups.reduce((sum, group) => sum + group.units, 0)
  const nodes = map.nodes.length
  return {
    cpus: totalCpus(machine),
    nodes,
    thpAtBoot,
    memoryBlocks: memoryBlocks(map),
    disks: (machine.swapBytes > 0 ? 1 : 0) + (machine.diskBytes > 0 ? 1 : 0),
    ext4: machine.diskBytes > 0,
    modules: machine.modules.length,
    swapPages: Math.floor(machine.swapBytes / PAGE_SIZE),
    lateHashPages: hashPages(map.hashTables.filter(table => nodes > 1 || !table.early)),
    poolPages: poolPages(map),
    percpuPages: units * (nodes >= MANY_NODES ? MANY_NODES_POPULATED : FIRST_CHUNK_POPULATED),
    chunkTablePages: chunkTablePages(layout.unitBytes),
  }
}

/** Directories under /sys/devices/system/memory: 128 MiB each, 2 GiB on machines of 64 GiB and more (probe_memory_block_size). */
function memoryBlocks(map: MemoryMap): number {
  const large = map.maxPfn * PAGE_SIZE >= 64 * GIB
  return large ? Math.ceil((map.sections * SECTION_BYTES) / (2 * GIB)) : map.sections
}

const POOL_SHARE = GIB / (128 * KIB)
const MIN_POOL_PAGES = (128 * KIB) / PAGE_SIZE
const MAX_POOL_PAGES = 1 << (MAX_ORDER - 1)

/** 128 KiB for each GiB of memory, as a power of two, for each of the three pools. */
function poolPages(map: MemoryMap): number {
  const pages = Math.floor((map.totalPages - lengthOf(map.gigantic)) / POOL_SHARE)
  return roundUpToPowerOfTwo(Math.min(Math.max(pages, MIN_POOL_PAGES), MAX_POOL_PAGES))
}

/** The pools for devices that reach only 16 MiB or 4 GiB; the third is in with the kernel's own pages. */
function zonePools(map: MemoryMap, pages: number): ZonePool[] {
  const zones = map.nodes.flatMap(node => node.zones)
  return [ZONE_DMA, ZONE_DMA32].flatMap(type => {
    const zone = zones.find(each => each.type === type)
    return zone === undefined ? [] : [{ node: zone.node, type, pages }]
  })
}

/** Free memory is this much less than managed memory when user space's reserves are computed. */
const usedBeforeReserves = (at: Causes) => Math.round(1400 + 68 * at.cpus + 500 * (at.nodes - 1) + 1.5 * at.lateHashPages)

const STACK_PAGES = 4
const BPF_PACK_PAGES = 512
const SCOMP_SCRATCH_PAGES = 64
/** Of the two stacks of ended threads that a CPU keeps (NR_CACHED_STACKS), most are there. */
const CACHED_STACK_PAGES = 6
const SWAP_MAP_BYTES = 1
const SWAP_CGROUP_BYTES = 2

/** Threads of the kernel: its own, each CPU's, each node's kswapd, kcompactd and workers, and those that devices want. */
const threads = (at: Causes) =>
  Math.round(38 + 7.25 * at.cpus + 4.5 * (at.nodes - 1) + (at.thpAtBoot ? 2 : 0) + at.disks + (at.ext4 ? 1 : 0))

/** Objects that are never given back: memory blocks' and threads' among them. */
const slabUnreclaimable = (at: Causes) =>
  1440 +
  115 * at.cpus +
  55 * (at.nodes - 1) +
  (at.thpAtBoot ? 35 : 0) +
  at.memoryBlocks +
  60 * at.disks +
  (at.ext4 ? 110 : 0) +
  20 * at.modules

/** Inodes and dentries of sysfs, debugfs and tracefs, mostly. */
const slabReclaimable = (at: Causes) => 2210 + 6 * at.cpus + 29 * at.disks + (at.ext4 ? 210 : 0) + 8 * at.modules

/** Code and data of modules, and the swap map; virtio and ext4 come as modules. */
const modulePages = (at: Causes) => (at.disks > 0 ? 39 : 0) + (at.ext4 ? 293 : 0) + 20 * at.modules

/** What loading ext4 takes for the time being: its file, read into vmalloc space, and copies of its sections. */
const EXT4_AGAIN = 798

/** Page allocations that no table above names: rings, buffers, page tables of the kernel. */
const kernelPages = (at: Causes) => 308 + 13.5 * at.cpus + 8 * (at.nodes - 1) + 76 * at.disks + (at.ext4 ? 9 : 0) + 4 * at.modules

/** Of them, what each node but the first has. */
const KERNEL_PAGES_OF_NODE = 20
/** Objects that are made by the CPU that boots, and by kernel_init. */
const SLAB_OF_BOOT_NODE = 400
const SLAB_OF_INIT_NODE = 400
const RECLAIMABLE_OF_BOOT_NODE = 95
const RECLAIMABLE_OF_NODE = 35
const THREADS_OF_CPU = 8
const THREADS_OF_NODE = 2

function nodeUse(node: NodeMap, at: Causes, initNode: number): PageUse {
  const boot = node.id === 0 ? 1 : 0
  const init = node.id === initNode ? 1 : 0
  const cpus = node.cpus.length
  const evenly = (pages: number) => pages / at.nodes
  const slabOfAll = slabUnreclaimable(at) - SLAB_OF_BOOT_NODE - SLAB_OF_INIT_NODE
  const reclaimableElsewhere = at.nodes === 1 ? 0 : RECLAIMABLE_OF_BOOT_NODE + RECLAIMABLE_OF_NODE * (at.nodes - 2)
  const ownThreads = THREADS_OF_CPU * cpus + THREADS_OF_NODE
  const sharedThreads = threads(at) - THREADS_OF_CPU * at.cpus - THREADS_OF_NODE * at.nodes
  const swapMaps = Math.ceil((at.swapPages * SWAP_MAP_BYTES) / PAGE_SIZE)
  const swapOwners = Math.ceil((at.swapPages * SWAP_CGROUP_BYTES) / PAGE_SIZE)
  const linearHash = at.nodes === 1 ? at.lateHashPages : 0
  const vmallocHash = at.nodes === 1 ? 0 : at.lateHashPages
  const elsewhere = KERNEL_PAGES_OF_NODE * (at.nodes - 1)
  return {
    kernel: Math.round(
      boot * (kernelPages(at) - elsewhere + linearHash) + (1 - boot) * KERNEL_PAGES_OF_NODE + init * (at.poolPages + swapOwners),
    ),
    vmalloc: Math.round(
      BPF_PACK_PAGES +
        (SCOMP_SCRATCH_PAGES + CACHED_STACK_PAGES) * cpus +
        evenly(vmallocHash) +
        boot * (at.chunkTablePages + 8) +
        init * (modulePages(at) + swapMaps),
    ),
    kernelStack: STACK_PAGES * Math.round(ownThreads + (sharedThreads * (boot + init)) / 2),
    slabUnreclaimable: Math.round((slabOfAll * (1 + cpus)) / (at.nodes + at.cpus) + boot * SLAB_OF_BOOT_NODE + init * SLAB_OF_INIT_NODE),
    slabReclaimable: init === 1 ? slabReclaimable(at) - reclaimableElsewhere : boot === 1 ? RECLAIMABLE_OF_BOOT_NODE : RECLAIMABLE_OF_NODE,
  }
}
