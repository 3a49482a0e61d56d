/**
 * `--like`: a machine of the shape of one that was seen: nodes, their memory and CPUs, distances, RAM below 4 GiB, swap, the
 * knobs as they stood, the memory in use and the free lists (sim/occupy.ts).
 */
import { openHost } from '../host/source.ts'
import { openRecording } from '../recording/open.ts'
import { playRecording } from '../recording/player.ts'
import type { Zone } from '../sample/parse/zoneinfo.ts'
import { type Sample, toSample } from '../sample/sample.ts'
import type { Frame, Tunable } from '../sample/source.ts'
import type { MemoryUse, NodeUse } from '../sim/occupy.ts'
import { UserError } from '../user_error.ts'
import { parseMachineArgument } from '../workload/machine.ts'
import type { MachineSpec } from '../workload/program.ts'
import type { Setting } from './values.ts'

/** A page of a simulated machine. */
const PAGE = 4096
/** QEMU and most firmware take this much of a node's memory before the kernel sees it; sizes are whole multiples of it. */
const GRANULE = 2 ** 21

/** What is known of knobs without a simulated machine; {size}, {node} and {cpu} in a path stand for a number each. */
export async function knownTunables(): Promise<Tunable[]> {
  const { KNOBS } = await import('../kernel/tunables.ts')
  return KNOBS.map(({ exists, effect, because, state, read, write, ...doc }) => doc)
}

export interface Likeness {
  readonly machine: MachineSpec
  readonly settings: readonly Setting[]
  readonly use: MemoryUse
}

/** @throws UserError where the recording does not say what its machine is like */
export async function likenessOf(file: string, knobs: readonly Tunable[]): Promise<Likeness> {
  const source =
    file === 'host' ? openHost({ intervalNs: 1e9, known: knobs, write: false }) : playRecording(await openRecording(file, knobs))
  try {
    const frame = await source.next()
    if (frame === undefined) throw new UserError('no sample to be like', { file })
    const sample = toSample(frame)
    const { pageBytes = PAGE } = source
    return { machine: machineOf(sample, file, pageBytes), settings: settingsOf(frame, knobs), use: memoryInUse(sample, pageBytes) }
  } finally {
    await source.close()
  }
}

/** The header's words that give this machine. */
function machineOf(sample: Sample, file: string, pageBytes: number): MachineSpec {
  const zones = sample.zones().filter(zone => present(zone) > 0)
  if (zones.length === 0) throw new UserError('it does not hold /proc/zoneinfo', { file })
  const nodes = [...new Set(zones.map(zone => zone.node))]
  const mem = nodes.map(node =>
    memoryOf(
      zones.filter(zone => zone.node === node),
      pageBytes,
    ),
  )
  const low = zones.filter(zone => zone.zone.startsWith('DMA'))
  const split = low.length < zones.length
  const words = [
    `nodes=${nodes.length}`,
    `mem=${mem.map(bytes => `${bytes / 2 ** 20}M`).join(',')}`,
    `cpus=${nodes.map(node => cpusOf(sample, node)).join(',')}`,
  ]
  const distance = nodes.flatMap(node =>
    (sample.frame.files.get(`/sys/devices/system/node/node${node}/distance`) ?? '').trim().split(/\s+/),
  )
  if (distance.length === nodes.length ** 2 && distance.every(word => /^\d+$/.test(word))) words.push(`distance=${distance.join(',')}`)
  if (split) words.push(`lowmem=${memoryOf(low, pageBytes) / 2 ** 20}M`)
  const swapBytes = sample.meminfo().bytes.get('SwapTotal') ?? 0
  if (swapBytes > 0) words.push(`swap=${Math.ceil(swapBytes / 2 ** 20)}M`)
  return parseMachineArgument(words.join(' '))
}

/** Blocks of higher orders, which other machines have, count as several of the highest. */
const ORDERS = 11

/** What was in use on each node, and what was free in each zone. */
function memoryInUse(sample: Sample, pageBytes: number): MemoryUse {
  // A block of larger pages is one of a higher order here.
  const lower = Array.from({ length: Math.log2(pageBytes / PAGE) }, () => 0)
  const ids = [...new Set(sample.zones().flatMap(zone => (present(zone) > 0 ? [zone.node] : [])))]
  const nodes = ids.map(id => {
    const node = sample.nodes().find(each => each.node === id)
    return node === undefined ? inUse(sample.meminfo().bytes, 'Cached') : inUse(node.meminfo.bytes, 'FilePages')
  })
  const free = sample.buddy().flatMap(({ node, zone, blocks }) => {
    const all = [...lower, ...blocks]
    const [high, low] = [all.slice(ORDERS), all.slice(0, ORDERS)]
    const top = high.reduce((sum, count, i) => sum + count * 2 ** (i + 1), low[ORDERS - 1] ?? 0)
    return ids.includes(node) ? [{ node: ids.indexOf(node), zone, blocks: [...low.slice(0, ORDERS - 1), top] }] : []
  })
  return { nodes, free }
}

/** @param files the line of file pages, which has shared memory in it */
function inUse(bytes: ReadonlyMap<string, number>, files: 'Cached' | 'FilePages'): NodeUse {
  const of = (key: string) => bytes.get(key) ?? 0
  return { anonBytes: of('AnonPages'), hugeBytes: of('AnonHugePages'), fileBytes: Math.max(0, of(files) - of('Shmem')) }
}

const present = (zone: Zone) => zone.pages.get('present') ?? 0

function memoryOf(zones: readonly Zone[], pageBytes: number): number {
  const bytes = zones.reduce((sum, zone) => sum + present(zone), 0) * pageBytes
  return Math.ceil(bytes / GRANULE) * GRANULE
}

/** CPUs of the node: those that its zones have lists for. */
function cpusOf(sample: Sample, node: number): number {
  const list = sample.frame.files.get(`/sys/devices/system/node/node${node}/cpulist`)?.trim()
  if (list === undefined)
    return Math.max(1, sample.zones().find(zone => zone.node === node && zone.pagesets.length > 0)?.pagesets.length ?? 1)
  if (list === '') return 0
  return list.split(',').reduce((sum, part) => {
    const [first, last] = part.split('-').map(Number)
    return sum + (last ?? first) - first + 1
  }, 0)
}

/** Knobs that stood elsewhere than at a fresh machine's value, and can be written. */
function settingsOf(frame: Frame, knobs: readonly Tunable[]): Setting[] {
  return knobs.flatMap(({ path, default: normal, type }) => {
    const text = frame.files.get(path)?.trim()
    if (text === undefined || type === 'trigger') return []
    const value = /\[(\S+)\]/.exec(text)?.[1] ?? text
    return normal === undefined || value === normal ? [] : [{ path, value }]
  })
}
