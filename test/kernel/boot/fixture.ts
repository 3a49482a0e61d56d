/**
 * What a real 6.1 kernel said of machines of many shapes right after boot: zones, marks, free lists and counters, in short form.
 * Recorded with run-oracle and `sample start`.
 */
import { readFileSync } from 'node:fs'
import { type BootMachine, parseSize } from '../../../src/kernel/boot/memory_machine.ts'

interface StoredZone {
  /** node, type, start pfn, spanned, present, managed */
  readonly at: string
  /** min, low, high, high and batch of the per-CPU lists */
  readonly marks: string
  readonly protection: string
  /** Page blocks: unmovable, movable, reclaimable. */
  readonly blocks: string
  /** Free blocks by order, of the same three types. */
  readonly free: readonly string[]
  /** Pages on per-CPU lists. */
  readonly perCpu: number
}

interface StoredBoot {
  readonly machine: string
  readonly cmdline: string
  readonly minFreeKbytes: number
  readonly userReserveKbytes: number
  readonly adminReserveKbytes: number
  readonly thp: string
  /** RLIMIT_SIGPENDING: half the threads there may be. */
  readonly sigPendingLimit: number
  readonly vmstat: Readonly<Record<string, number>>
  readonly meminfo: Readonly<Record<string, number>>
  readonly zones: readonly StoredZone[]
}

export interface RealZone {
  readonly node: number
  readonly type: number
  readonly startPfn: number
  readonly spannedPages: number
  readonly presentPages: number
  readonly managedPages: number
  readonly pcpHigh: number
  readonly blocks: readonly number[]
  /** By type, then by order. */
  readonly free: readonly (readonly number[])[]
  readonly perCpu: number
}

export interface RealBoot extends Omit<StoredBoot, 'machine' | 'zones'> {
  readonly name: string
  readonly machine: BootMachine
  readonly zones: readonly RealZone[]
}

const numbers = (text: string) => text.split(' ').map(Number)

export function realBoots(): RealBoot[] {
  const stored: StoredBoot[] = JSON.parse(readFileSync(new URL('../../fixtures/boot.json', import.meta.url), 'utf8'))
  return stored.map(boot => ({
    ...boot,
    name: `${boot.machine} ${boot.cmdline}`.trim(),
    machine: machineOf(boot.machine, boot.cmdline),
    zones: boot.zones.map(realZone),
  }))
}

function realZone(zone: StoredZone): RealZone {
  const [node, type, startPfn, spannedPages, presentPages, managedPages] = numbers(zone.at)
  const blocks = numbers(zone.blocks)
  return {
    node,
    type,
    startPfn,
    spannedPages,
    presentPages,
    managedPages,
    pcpHigh: numbers(zone.marks)[3],
    blocks,
    free: zone.free.map(numbers),
    perCpu: zone.perCpu,
  }
}

const size = (text: string | undefined) => parseSize(text ?? '') ?? 0

/** A header's machine line, without checks. */
export function machineOf(line: string, cmdline = ''): BootMachine {
  const words = new Map(line.split(' ').map(word => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]))
  const mem = (words.get('mem') ?? '').split(',').map(size)
  const cpus = numbers((words.get('cpus') ?? '').replaceAll(',', ' '))
  const distance = numbers((words.get('distance') ?? '').replaceAll(',', ' '))
  const at = (i: number, j: number) => (words.has('distance') ? distance[i * mem.length + j] : i === j ? 10 : 20)
  return {
    nodes: mem.map((memBytes, i) => ({ memBytes, cpus: cpus[i] })),
    distance: mem.map((_, i) => mem.map((__, j) => at(i, j))),
    lowmemBytes: words.has('lowmem') ? size(words.get('lowmem')) : undefined,
    swapBytes: size(words.get('swap')),
    diskBytes: size(words.get('disk')),
    modules: words.get('modules')?.split(',') ?? [],
    cmdline: cmdline === '' ? [] : cmdline.split(' ').map(word => parameter(word)),
  }
}

function parameter(word: string): readonly [string, string | undefined] {
  const at = word.indexOf('=')
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)]
}
