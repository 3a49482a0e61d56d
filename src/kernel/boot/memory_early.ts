/**
 * What the kernel takes for itself before the buddy allocator exists, in the order in which it takes it. The order
 * and the sizes settle which pages are reserved for good, and so what each zone manages.
 *
 *     RAM of node 0, top down:                                            16M
 *     | initrd | pgdat | section table | small tables | ... | per-CPU | memmap |  ... free ...  | kernel | ... | 1M
 *       back                             hash tables          2M aligned  2M aligned                parts back
 *       later                                                                                       later
 *
 * - the kernel image at 16 MiB, and all below 1 MiB;
 * - each node's pgdat; the page records: 64 bytes for each page of every section of 128 MiB that has any RAM, in huge pages, with a page
 *   of PMDs for each GiB of records;
 * - copies of the command line and of the firmware's map, per-CPU units, gigantic pages of the command line, dentry and inode hash
 *   tables (on one node), page tables of the CPU entry areas;
 * - 64 MiB below 4 GiB to bounce DMA through, when there is RAM above 4 GiB (swiotlb).
 *
 * The initial RAM disk and the parts of the image that only boot needs go to the buddy allocator in the end.
 *
 * Source: arch/x86/kernel/setup.c (setup_arch), arch/x86/mm/init.c (memory_map_top_down), mm/sparse.c, mm/sparse-vmemmap.c,
 * mm/percpu.c, mm/hugetlb.c (alloc_bootmem_huge_page), kernel/dma/swiotlb.c, arch/x86/mm/cpu_entry_area.c; each step checked against the
 * log that memblock=debug writes on machines of many shapes.
 */
import { alignDown, alignUp, PAGE_SIZE, pagesFor } from '../base/units.ts'
import { mapDirectly } from './memory_directmap.ts'
import { type HashTable, roundUpToPowerOfTwo } from './memory_hash.ts'
import type { BootPool } from './memory_hugetlb.ts'
import { type BootMachine, type Firmware, GIB, HIGH_START, KIB, MIB, parameter, parseSize, totalCpus } from './memory_machine.ts'
import { fits, type Memblock, memblock, nodeOf, release, reserve, take } from './memory_memblock.ts'
import { ATOM_BYTES, FIRST_CHUNK_BYTES, percpuLayout } from './memory_percpu.ts'
import type { Run } from './memory_runs.ts'

/** The kernel image and its early heap. */
const KERNEL: Run = { start: 0x1000, end: 0x4411 }
export const EARLY_HEAP: Run = { start: 0x4400 * PAGE_SIZE, end: 0x4411 * PAGE_SIZE }
/** The table of lock prefixes, of no use once it is known whether there are several CPUs: free before they start. */
export const SMP_LOCKS: Run = { start: 0x3306, end: 0x330f }
/** Gaps between its segments, its init sections, what was to be decrypted: free when the first process starts. */
export const KERNEL_INIT_PARTS: readonly Run[] = [
  { start: 0x1e02, end: 0x2000 },
  { start: 0x28eb, end: 0x2a00 },
  { start: 0x3044, end: 0x3306 },
  { start: 0x4203, end: 0x4400 },
]

const CACHE_LINE = 64
/** Per-CPU units and tables keep clear of the DMA zone, on another node if need be. */
const ABOVE_DMA = 16 * MIB
const PGDAT_PAGES = 43
const SECTION_ROOTS_BYTES = 2 * MIB
export const SECTION_BYTES = 128 * MIB
export const SECTION_PAGES = SECTION_BYTES / PAGE_SIZE
const SECTIONS_PER_ROOT = 128
const SECTION_USAGE_BYTES = 56
const PAGE_RECORD_BYTES = 64
const HUGE_PAGE_BYTES = 2 * MIB

/** A gigantic page that the command line asked for. */
export interface BootHugePage extends Run {
  readonly node: number
}

/** The frames that hold the page records of a section: 512 from `start` on. */
export interface SectionRecords {
  readonly section: number
  readonly start: number
}

/** Memory as it stands when the buddy allocator takes over. */
export interface EarlyMemory {
  readonly memblock: Memblock
  readonly gigantic: readonly BootHugePage[]
  readonly records: readonly SectionRecords[]
  /** Bytes of the bounce buffer; 0 when there is none. */
  readonly swiotlbBytes: number
}

/** @param tables hash tables of this machine; @param gigantic how many pages of 1 GiB to set aside, by node or anywhere. */
export function earlyMemory(
  machine: BootMachine,
  fw: Firmware,
  tables: readonly HashTable[],
  gigantic: Omit<BootPool, 'sizeKb'>,
): EarlyMemory {
  const mb = memblock(fw.ram)
  reserve(mb, KERNEL.start * PAGE_SIZE, KERNEL.end * PAGE_SIZE)
  reserve(mb, 0, MIB)
  reserve(mb, fw.initrd.start * PAGE_SIZE, fw.initrd.end * PAGE_SIZE)
  takeDirectMap(mb, fw)
  const records = takeNodesAndSections(mb, fw)
  takeSmallTables(mb, machine, fw)
  takePercpu(mb, fw)
  for (let i = 0; i < CPU_MASKS + fw.cpusOfNode.length; i++) take(mb, { bytes: 8, align: CACHE_LINE })
  const huge = takeGigantic(mb, fw, gigantic)
  if (fw.cpusOfNode.length === 1) for (const table of tables.filter(each => each.early)) take(mb, { bytes: table.bytes, align: CACHE_LINE })
  for (let i = 0; i < entryAreaTables(totalCpus(machine)); i++) take(mb, { bytes: PAGE_SIZE, align: PAGE_SIZE })
  return { memblock: mb, gigantic: huge, records, swiotlbBytes: takeSwiotlb(mb, machine, fw) }
}

/** Page tables of the direct map that the early heap cannot give: while the heap itself is mapped, they come from the top of memory. */
function takeDirectMap(mb: Memblock, fw: Firmware): void {
  const { tablesFromMemory } = mapDirectly(inBytes(fw.ram), EARLY_HEAP)
  for (let i = 0; i < tablesFromMemory; i++) take(mb, { bytes: PAGE_SIZE, align: PAGE_SIZE })
}

export const inBytes = (ram: readonly Run[]): Run[] => ram.map(run => ({ start: run.start * PAGE_SIZE, end: run.end * PAGE_SIZE }))

function takeNodesAndSections(mb: Memblock, fw: Firmware): SectionRecords[] {
  if (fw.hasSlit) take(mb, { bytes: fw.cpusOfNode.length ** 2, align: PAGE_SIZE })
  for (let node = 0; node < fw.cpusOfNode.length; node++) take(mb, { bytes: PGDAT_PAGES * PAGE_SIZE, align: CACHE_LINE, node })
  take(mb, { bytes: SECTION_ROOTS_BYTES, align: CACHE_LINE })
  const sections = presentSections(fw)
  const roots = new Set<number>()
  for (const { section, node } of sections) {
    const root = Math.floor(section / SECTIONS_PER_ROOT)
    if (!roots.has(root)) take(mb, { bytes: PAGE_SIZE, align: CACHE_LINE, node })
    roots.add(root)
  }
  const mapped = { levels: new Set<string>() }
  return [...new Set(sections.map(each => each.node))].flatMap(node =>
    takeMemmap(
      mb,
      sections.filter(each => each.node === node).map(each => each.section),
      node,
      mapped,
    ),
  )
}

interface Section {
  readonly section: number
  readonly node: number
}

/** Sections that hold any RAM, ascending; one that two nodes share counts for the first. */
export function presentSections(fw: Firmware): Section[] {
  const found = new Map<number, number>()
  for (const run of [...fw.ram].sort((a, b) => a.start - b.start))
    for (let at = alignDown(run.start, SECTION_PAGES); at < run.end; at += SECTION_PAGES) {
      const section = at / SECTION_PAGES
      if (!found.has(section)) found.set(section, run.node)
    }
  return [...found].map(([section, node]) => ({ section, node }))
}

/** Page records of a node's sections, and the page tables that map them: one PMD table a GiB of records, once for all nodes. */
function takeMemmap(mb: Memblock, sections: readonly number[], node: number, mapped: { readonly levels: Set<string> }): SectionRecords[] {
  take(mb, { bytes: SECTION_USAGE_BYTES * sections.length, align: CACHE_LINE, node })
  const records = take(mb, { bytes: HUGE_PAGE_BYTES * sections.length, align: HUGE_PAGE_BYTES, node }) / PAGE_SIZE
  for (const section of sections) {
    const record = section * SECTION_PAGES * PAGE_RECORD_BYTES
    for (const key of ['p4d', `pud ${Math.floor(record / (512 * GIB))}`, `pmd ${Math.floor(record / GIB)}`])
      if (!mapped.levels.has(key)) {
        mapped.levels.add(key)
        take(mb, { bytes: PAGE_SIZE, align: PAGE_SIZE, node, from: ABOVE_DMA })
      }
  }
  return sections.map((section, i) => ({ section, start: records + (i * HUGE_PAGE_BYTES) / PAGE_SIZE }))
}

const IO_APIC_NAMES_BYTES = 75
const RESOURCE_BYTES = 64
const FIRMWARE_MAP_ENTRY_BYTES = 104
const NOSAVE_REGION_BYTES = 32
/** What every command line starts with on these machines. */
const BASE_COMMAND_LINE =
  'console=ttyS0 quiet panic=-1 rootfstype=ramfs norandmaps nokaslr nowatchdog random.trust_cpu=on raid=noautodetect'

function takeSmallTables(mb: Memblock, machine: BootMachine, fw: Firmware): void {
  const small = (bytes: number) => take(mb, { bytes, align: CACHE_LINE })
  small(IO_APIC_NAMES_BYTES)
  small((fw.e820Entries + 1) * RESOURCE_BYTES)
  for (let i = 0; i < fw.e820Entries; i++) small(FIRMWARE_MAP_ENTRY_BYTES)
  for (let i = 0; i < fw.e820Entries - 7; i++) small(NOSAVE_REGION_BYTES)
  const extra = machine.cmdline.reduce((sum, [key, value]) => sum + 1 + key.length + (value === undefined ? 0 : 1 + value.length), 0)
  for (let i = 0; i < 2; i++) small(BASE_COMMAND_LINE.length + extra + 1)
}

/** Bookkeeping of the first chunks: sizes of slots, bitmaps and hints, then of the dynamic and the reserved part. */
const CHUNK_SLOTS_BYTES = 368
const CHUNK_SLOT_BYTES = 16
const FIRST_CHUNKS_BYTES = [144, 256, 264, 64, 144, 896, 904, 224] as const
const CPU_MASKS = 4

function takePercpu(mb: Memblock, fw: Firmware): void {
  const layout = percpuLayout(fw.cpusOfNode.map(cpus => cpus.length))
  const scratch = [take(mb, { bytes: PAGE_SIZE, align: PAGE_SIZE }), take(mb, { bytes: PAGE_SIZE, align: CACHE_LINE })]
  const starts = layout.groups.map(group =>
    take(mb, { bytes: group.units * layout.unitBytes, align: ATOM_BYTES, node: group.node, from: ABOVE_DMA }),
  )
  layout.groups.forEach((group, g) => {
    const node = nodeOf(fw.ram, starts[g])
    for (let unit = 0; unit < group.units; unit++) {
      const start = starts[g] + unit * layout.unitBytes
      const used = unit < group.cpus ? FIRST_CHUNK_BYTES : 0
      if (used < layout.unitBytes) release(mb, start + used, start + layout.unitBytes, node)
    }
  })
  const groups = layout.groups.length
  const cpus = layout.groups.reduce((sum, group) => sum + group.cpus, 0)
  const slots = CHUNK_SLOTS_BYTES - CHUNK_SLOT_BYTES * Math.log2(ATOM_BYTES / layout.unitBytes)
  for (const bytes of [8 * groups, 8 * groups, 4 * cpus, 8 * cpus, slots, ...FIRST_CHUNKS_BYTES]) take(mb, { bytes, align: CACHE_LINE })
  for (const page of scratch) release(mb, page, page + PAGE_SIZE, nodeOf(fw.ram, page))
}

/** Gigantic pages: from the nodes in turn or the one that is named, from any other when it has no room, as long as one has. */
function takeGigantic(mb: Memblock, fw: Firmware, wanted: Omit<BootPool, 'sizeKb'>): BootHugePage[] {
  const nodes = fw.cpusOfNode.length
  const inTurn = Array.from({ length: wanted.anywhere }, (_, i) => i % nodes)
  const named = wanted.byNode.flatMap(({ node, pages }) => (node < nodes ? Array.from({ length: pages }, () => node) : []))
  const found: BootHugePage[] = []
  for (const node of [...inTurn, ...named]) {
    if (!fits(mb, { bytes: GIB, align: GIB })) break
    const at = take(mb, { bytes: GIB, align: GIB, node })
    found.push({ start: at / PAGE_SIZE, end: (at + GIB) / PAGE_SIZE, node: nodeOf(fw.ram, at) })
  }
  return found
}

/** PTE tables under the entry areas, which take 52 to 56 pages a CPU (measured); two tables hang above them. */
const ENTRY_AREA_PAGES = 56
const entryAreaTables = (cpus: number) => 2 + Math.ceil((1 + ENTRY_AREA_PAGES * cpus) / 512)

const SWIOTLB_BYTES = 64 * MIB
const SWIOTLB_SLOT_BYTES = 2 * KIB
const SWIOTLB_SEGMENT_SLOTS = 128
const SWIOTLB_MIN_SLOTS = 512
const SWIOTLB_SLOT_RECORD_BYTES = 24
const SWIOTLB_AREA_BYTES = 16

/** The bounce buffer for devices that reach only 4 GiB: there when RAM is above, unless `swiotlb=noforce`; smaller when low memory is short. */
function takeSwiotlb(mb: Memblock, machine: BootMachine, fw: Firmware): number {
  const words = parameter(machine, 'swiotlb')?.split(',') ?? []
  const highest = fw.ram[fw.ram.length - 1].end * PAGE_SIZE
  if (highest <= HIGH_START || words.includes('noforce')) return 0
  const buffer = (slots: number) => ({ bytes: slots * SWIOTLB_SLOT_BYTES, align: PAGE_SIZE, limit: HIGH_START })
  let slots = alignUp(parseSize(words[0] ?? '') ?? SWIOTLB_BYTES / SWIOTLB_SLOT_BYTES, SWIOTLB_SEGMENT_SLOTS)
  while (!fits(mb, buffer(slots))) {
    if (slots <= SWIOTLB_MIN_SLOTS) return 0
    slots = alignUp(slots / 2, SWIOTLB_SEGMENT_SLOTS)
  }
  take(mb, buffer(slots))
  take(mb, { bytes: pagesFor(slots * SWIOTLB_SLOT_RECORD_BYTES) * PAGE_SIZE, align: PAGE_SIZE })
  take(mb, { bytes: SWIOTLB_AREA_BYTES * roundUpToPowerOfTwo(totalCpus(machine)), align: CACHE_LINE })
  return slots * SWIOTLB_SLOT_BYTES
}
