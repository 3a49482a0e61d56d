/**
 * The memory of a machine as the kernel finds it: nodes, zones, which page frames the early kernel keeps for good and which
 * the buddy allocator starts with. It is worked out as the kernel does, step by step from the firmware's map, so it holds for any
 * machine a header can describe:
 *
 *     machine line ─ firmware (memory_machine) ─ zones (memory_zones) ─ early allocations (memory_early, memory_memblock)
 *                                                    │                        │
 *                                                    └── spans, present ──────┴── managed, free runs, block types
 *
 * Against 125 boots of the recorded kernel, 96 MiB to 128 GiB, 1 to 8 nodes, 1 to 16 CPUs: spanned, present and managed pages are exact.
 *
 * Not all of it is there when the kernel makes its plans. With `managedAtInit` pages it computes min_free_kbytes and the watermarks, and again,
 * if that is at least 512 MiB, when khugepaged asks for more or, THP being off, does not; with less THP stays off and that first value holds,
 * whatever the command line says. Then the first process starts and `freedLate` comes in. lowmem_reserve is computed from all of it,
 * for the recordings' executor reads lowmem_reserve_ratio, and 6.1 recomputes it even then. Held against real boots in that order, min_free_kbytes,
 * watermarks, protection and per-CPU limits all come out exact.
 *
 * Source: mm/page_alloc.c (free_area_init), mm/memblock.c (memblock_free_all), init/main.c; fixtures in test/fixtures/boot.json.
 */
import { PAGE_SIZE, ZONE_MOVABLE } from '../base/units.ts'
import { type BootHugePage, earlyMemory, KERNEL_INIT_PARTS, presentSections, type SectionRecords, SMP_LOCKS } from './memory_early.ts'
import { type HashTable, hashTables } from './memory_hash.ts'
import { giganticWanted } from './memory_hugetlb.ts'
import { type BootMachine, firmware, linuxNodeOrder, MIB, type RamRange, totalCpus } from './memory_machine.ts'
import { freePages } from './memory_memblock.ts'
import { byStart, clipAll, lengthOf, type Run } from './memory_runs.ts'
import { firstDeferredPfn, kernelPages, unmovableBlocks, type ZoneSpan, zoneRun, zoneSpans } from './memory_zones.ts'

/** A populated zone as boot leaves it to the buddy allocator. */
export interface ZoneMap extends ZoneSpan {
  readonly managedPages: number
  /** Of these, what it manages when min_free_kbytes and the watermarks are set: all but what is freed last. */
  readonly managedAtInit: number
  /** Page blocks that start UNMOVABLE; the others are MOVABLE. */
  readonly unmovable: readonly Run[]
  /** What the buddy allocator is given before anything is allocated, ascending. */
  readonly free: readonly Run[]
  /** Given to it when the first process starts: the initial RAM disk, and parts of the kernel's image. */
  readonly freedLate: readonly Run[]
  /** Memory of the zone that is there from the start of boot on; the rest follows once all CPUs are up. */
  readonly deferredFrom: number
}

export interface NodeMap {
  readonly id: number
  /** Which of the machine's nodes this is. */
  readonly machineNode: number
  /** CPU numbers. */
  readonly cpus: readonly number[]
  readonly startPfn: number
  readonly spannedPages: number
  readonly presentPages: number
  readonly zones: readonly ZoneMap[]
}

export interface MemoryMap {
  readonly nodes: readonly NodeMap[]
  /** Usable RAM, ascending. */
  readonly ram: readonly RamRange[]
  /** One more than the highest page frame of RAM. */
  readonly maxPfn: number
  /** MemTotal in pages: managed pages of all zones. */
  readonly totalPages: number
  /** SLIT distances between Linux' nodes. */
  readonly distance: readonly (readonly number[])[]
  /** Gigantic pages of the command line: managed, never in the buddy allocator. */
  readonly gigantic: readonly BootHugePage[]
  readonly records: readonly SectionRecords[]
  readonly hashTables: readonly HashTable[]
  readonly swiotlbBytes: number
  /** Sections of 128 MiB that hold RAM. */
  readonly sections: number
}

export function memoryMap(machine: BootMachine): MemoryMap {
  const fw = firmware(machine)
  const spans = zoneSpans(machine, fw.ram)
  const tables = hashTables(kernelPages(spans, lengthOf(clipAll(fw.ram, { start: 0, end: MIB / PAGE_SIZE }))), totalCpus(machine))
  const early = earlyMemory(machine, fw, tables, giganticWanted(machine))
  const free = freePages(early.memblock)
  const late = [...KERNEL_INIT_PARTS, fw.initrd]
  const zones = spans.map(span => zoneMap(span, spans, fw.ram, free, late, early.gigantic))
  const order = linuxNodeOrder(machine)
  return {
    nodes: order.map((machineNode, id) => nodeMap(id, machineNode, fw.cpusOfNode[id], fw.ram, zones)),
    ram: fw.ram,
    maxPfn: Math.max(...fw.ram.map(run => run.end)),
    totalPages: zones.reduce((sum, zone) => sum + zone.managedPages, 0),
    distance: order.map(from => order.map(to => machine.distance[from][to])),
    gigantic: early.gigantic,
    records: early.records,
    hashTables: tables,
    swiotlbBytes: early.swiotlbBytes,
    sections: presentSections(fw).length,
  }
}

function zoneMap(
  span: ZoneSpan,
  spans: readonly ZoneSpan[],
  ram: readonly RamRange[],
  free: readonly RamRange[],
  late: readonly Run[],
  gigantic: readonly BootHugePage[],
): ZoneMap {
  const within = zoneRun(span)
  const ofNode = (runs: readonly RamRange[]): Run[] =>
    clipAll(
      runs.filter(run => run.node === span.node),
      within,
    )
  const own = ofNode(ram)
  const inOwn = (runs: readonly Run[]) => own.flatMap(run => clipAll(runs, run))
  const mine = [...ofNode(free), ...inOwn([SMP_LOCKS])].sort(byStart)
  const freedLate = inOwn(late)
  const managedAtInit = lengthOf(mine) + lengthOf(inOwn(gigantic))
  const deferredFrom = firstDeferredPfn(spans, ram, span.node)
  const ramHere = ram.filter(run => run.node === span.node)
  return {
    ...span,
    managedAtInit,
    managedPages: managedAtInit + lengthOf(freedLate),
    unmovable: unmovableBlocks(span, ramHere, mine, deferredFrom),
    free: mine,
    freedLate,
    deferredFrom,
  }
}

/** The zone that kernel memory of a node comes from first. */
export const topKernelZone = (node: NodeMap): ZoneMap => node.zones.reduce((a, b) => (kernelRank(b) > kernelRank(a) ? b : a))
const kernelRank = (zone: ZoneMap) => (zone.type === ZONE_MOVABLE ? -1 : zone.type)

function nodeMap(id: number, machineNode: number, cpus: readonly number[], ram: readonly RamRange[], zones: readonly ZoneMap[]): NodeMap {
  const own = ram.filter(run => run.node === id)
  const startPfn = Math.min(...own.map(run => run.start))
  const end = Math.max(...own.map(run => run.end))
  return {
    id,
    machineNode,
    cpus,
    startPfn,
    spannedPages: end - startPfn,
    presentPages: lengthOf(own),
    zones: zones.filter(zone => zone.node === id),
  }
}
