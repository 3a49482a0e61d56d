/**
 * What the firmware tells the kernel: where RAM lies, and what it keeps for itself. The machine is the one that run-oracle
 * starts, QEMU's q35 with SeaBIOS, for the reference recordings were made on it.
 *
 *     0     4K       636K     1M                        low end    PCI, firmware    4G                high end
 *     |  -  |  RAM   | BIOS   |  RAM ...  | firmware's  |  hole    ...              |  RAM ...        |
 *           1        0x9f     0x100                                                 0x100000             page frames
 *
 * RAM is cut at `low end`: all of it while it is less than 2.75 GiB, else 2 GiB, never more than the `lowmem` the header asks
 * for. What does not fit stands at 4 GiB. Nodes take the RAM in order, so a node may lie on both sides of the hole. From the top
 * of low RAM the firmware keeps 128 KiB of ACPI tables, 3 pages for each virtio disk it drives, and one page for the SMBIOS tables
 * once they are too long for the segment below 1 MiB.
 *
 * Linux numbers nodes as the SRAT names them, and the SRAT names CPUs first: a node without CPUs comes after all that have some.
 *
 * Source: QEMU 7.2 hw/i386/pc_q35.c (pc_q35_init), hw/i386/acpi-build.c, hw/smbios/smbios.c; SeaBIOS src/fw/biostables.c
 * (copy_smbios_21: 600 bytes), drivers/acpi/numa/srat.c (acpi_map_pxm_to_node); checked with run-oracle.
 */
import { PAGE_SIZE } from '../base/units.ts'
import type { Run } from './memory_runs.ts'

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

/** What boot needs to know of a machine: a workload's header, checked. */
export interface BootMachine {
  readonly nodes: readonly { readonly memBytes: number; readonly cpus: number }[]
  /** SLIT distances, row by node. */
  readonly distance: readonly (readonly number[])[]
  /** RAM below 4 GiB at most; undefined: what the machine type allows. */
  readonly lowmemBytes?: number | undefined
  readonly swapBytes: number
  readonly diskBytes: number
  readonly modules: readonly string[]
  /** Kernel parameters in order. */
  readonly cmdline: readonly (readonly [key: string, value: string | undefined])[]
}

/** A run of RAM and the node it belongs to. */
export interface RamRange extends Run {
  readonly node: number
}

/** What the firmware hands over, in page frames and Linux' node numbers. */
export interface Firmware {
  /** Ascending, one entry at least for each node. */
  readonly ram: readonly RamRange[]
  /** The machine's node behind each Linux node. */
  readonly nodeOrder: readonly number[]
  /** CPU numbers of each Linux node. */
  readonly cpusOfNode: readonly (readonly number[])[]
  /** Where the boot loader left the initial RAM disk. */
  readonly initrd: Run
  /** Entries of the firmware's memory map. */
  readonly e820Entries: number
  readonly hasSlit: boolean
}

const LOW_LIMIT = 2816 * MIB
const LOW_WHEN_MORE = 2 * GIB
export const HIGH_START = 4 * GIB

const ACPI_TABLES_BYTES = 128 * KIB
const PAGES_OF_A_DISK_DRIVER = 3
/** Conventional memory that the BIOS leaves: up to its data area at 639 KiB, whole pages. */
const CONVENTIONAL: Run = { start: 1, end: 0x9f }
const MIB_PFN = MIB / PAGE_SIZE

export const totalBytes = (machine: BootMachine) => machine.nodes.reduce((sum, node) => sum + node.memBytes, 0)
export const totalCpus = (machine: BootMachine) => machine.nodes.reduce((sum, node) => sum + node.cpus, 0)

/** RAM that stands below the hole under 4 GiB. */
function lowBytes(machine: BootMachine): number {
  const total = totalBytes(machine)
  const most = total >= LOW_LIMIT ? LOW_WHEN_MORE : LOW_LIMIT
  return Math.min(total, most, machine.lowmemBytes ?? most)
}

/** The page frames of the machine's bytes [from, to), counted as if RAM had no hole. */
function physicalRuns(machine: BootMachine, from: number, to: number): Run[] {
  const low = lowBytes(machine)
  const runs: Run[] = []
  if (from < low) runs.push({ start: from / PAGE_SIZE, end: Math.min(to, low) / PAGE_SIZE })
  if (to > low) runs.push({ start: (Math.max(from, low) - low + HIGH_START) / PAGE_SIZE, end: (to - low + HIGH_START) / PAGE_SIZE })
  return runs
}

const SMBIOS_FIXED = 225
const SMBIOS_PER_CPU = 65
const SMBIOS_PER_DIMM = 53
const SMBIOS_PER_RANGE = 33
const SMBIOS_LOW_LIMIT = 600
const DIMM_BYTES = 16 * GIB

/** SMBIOS describes each CPU, each DIMM of up to 16 GiB and each range of RAM. */
function smbiosBytes(machine: BootMachine): number {
  const total = totalBytes(machine)
  const ranges = total > lowBytes(machine) ? 2 : 1
  return SMBIOS_FIXED + SMBIOS_PER_CPU * totalCpus(machine) + SMBIOS_PER_DIMM * Math.ceil(total / DIMM_BYTES) + SMBIOS_PER_RANGE * ranges
}

function firmwarePages(machine: BootMachine): number {
  const disks = (machine.swapBytes > 0 ? 1 : 0) + (machine.diskBytes > 0 ? 1 : 0)
  const smbios = smbiosBytes(machine) > SMBIOS_LOW_LIMIT ? 1 : 0
  return ACPI_TABLES_BYTES / PAGE_SIZE + PAGES_OF_A_DISK_DRIVER * disks + smbios
}

/** The machine's nodes in the order in which Linux numbers them. */
export function linuxNodeOrder(machine: BootMachine): number[] {
  const all = machine.nodes.map((_, i) => i)
  return [...all.filter(i => machine.nodes[i].cpus > 0), ...all.filter(i => machine.nodes[i].cpus === 0)]
}

/** Reads the machine as the firmware would describe it. */
export function firmware(machine: BootMachine): Firmware {
  const nodeOrder = linuxNodeOrder(machine)
  const lowEnd = lowBytes(machine) / PAGE_SIZE - firmwarePages(machine)
  const ram: RamRange[] = []
  let at = 0
  machine.nodes.forEach((each, i) => {
    const node = nodeOrder.indexOf(i)
    for (const run of physicalRuns(machine, at, at + each.memBytes)) ram.push(...usable(run, lowEnd).map(part => ({ ...part, node })))
    at += each.memBytes
  })
  return {
    ram,
    nodeOrder,
    cpusOfNode: cpusOfNodes(machine, nodeOrder),
    initrd: initrdRun(machine, lowEnd),
    e820Entries: totalBytes(machine) > lowBytes(machine) ? 10 : 9,
    hasSlit: machine.distance.some((row, i) => row.some((d, j) => d !== (i === j ? 10 : 20))),
  }
}

/** What of a node's run the firmware leaves to the kernel. */
function usable(run: Run, lowEnd: number): Run[] {
  if (run.start >= HIGH_START / PAGE_SIZE) return [run]
  const top = { start: Math.max(run.start, MIB_PFN), end: Math.min(run.end, lowEnd) }
  return (run.start === 0 ? [CONVENTIONAL, top] : [top]).filter(part => part.end > part.start)
}

function cpusOfNodes(machine: BootMachine, nodeOrder: readonly number[]): number[][] {
  let next = 0
  const byMachineNode = machine.nodes.map(node => Array.from({ length: node.cpus }, () => next++))
  return nodeOrder.map(i => byMachineNode[i])
}

/** The boot loader counts low memory in units of 64 KiB and puts the disk under the last whole one. */
const LOADER_UNIT = (64 * KIB) / PAGE_SIZE

function initrdRun(machine: BootMachine, lowEnd: number): Run {
  const end = lowEnd - (lowEnd % LOADER_UNIT)
  return { start: end - initrdPages(machine), end }
}

/** Pages of the compressed initial RAM disk: the executor, and the modules that the machine's devices and the header want. */
const INITRD_PAGES = 117
const INITRD_PAGES_OF = { virtio: 20, ext4: 161, other: 10 } as const

function initrdPages(machine: BootMachine): number {
  const disk = machine.diskBytes > 0
  const virtio = disk || machine.swapBytes > 0 ? INITRD_PAGES_OF.virtio : 0
  return INITRD_PAGES + virtio + (disk ? INITRD_PAGES_OF.ext4 : 0) + machine.modules.length * INITRD_PAGES_OF.other
}

/** The value of a kernel parameter where it stands last; undefined when it is absent or has no value. */
export const parameter = (machine: BootMachine, key: string): string | undefined => machine.cmdline.findLast(([k]) => k === key)?.[1]

/** A size as kernel parameters write it (memparse): digits and an optional K, M, G or T. */
export function parseSize(text: string): number | undefined {
  const match = /^(0x[0-9a-f]+|\d+)([KMGT]?)$/i.exec(text)
  if (match === null) return undefined
  return Number(match[1]) * 1024 ** ' KMGT'.indexOf((match[2] === '' ? ' ' : match[2]).toUpperCase())
}
