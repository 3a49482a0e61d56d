/**
 * A Frame's texts as figures: what every screen, exporter and assertion reads.
 *
 *     Frame { ns, path -> text }  ──toSample──>  Sample { ns, vmstat, meminfo, zones, nodes, tasks ... }
 *
 * Each part is parsed when it is first asked for and kept: a screen that shows huge pages never pays for slabinfo. A
 * file that the machine does not have gives an empty part (`has` tells the two apart); a line that no parser knows is
 * left out; no content makes a parser throw. Text is cleaned of control characters on its way in, here and only here.
 */
import { type FreeBlocks, type Pagetypes, parseBuddyinfo, parsePagetypeinfo } from './parse/buddyinfo.ts'
import { parseAccounts, parseKeyValues, parseNumaStat } from './parse/keyvalue.ts'
import { type Meminfo, parseMeminfo } from './parse/meminfo.ts'
import {
  type Daemon,
  type MachineEvent,
  type NamedTask,
  parseActivity,
  parseDaemons,
  parseEvents,
  parseTasks,
  parseTexts,
  parseWaiting,
  type WaitingThread,
} from './parse/mmtop.ts'
import type { NumaArea, SmapsArea } from './parse/pid_maps.ts'
import { type PidStat, type PidStatm, type PidStatus, parsePidStatus } from './parse/pid_stat.ts'
import { type Pressure, parsePressure } from './parse/pressure.ts'
import { parseSlabinfo, type Slab } from './parse/slabinfo.ts'
import { parseSwaps, type SwapArea } from './parse/swaps.ts'
import { parseZoneinfo, type Zone } from './parse/zoneinfo.ts'
import { parseZram, type ZramDevice } from './parse/zram.ts'
import { newPlacesMemo, type Places, type PlacesMemo, placesOf } from './places.ts'
import type { Frame } from './source.ts'
import { type TasksMemo, tasksOf } from './tasks.ts'
import { cleanText, toInteger, toList, words } from './text.ts'

export interface NodeSample {
  readonly node: number
  readonly meminfo: Meminfo
  /** "numa_hit" -> pages */
  readonly numastat: ReadonlyMap<string, number>
  readonly vmstat: ReadonlyMap<string, number>
  /** To each node in order; [] where the file is missing. */
  readonly distances: readonly number[]
  readonly cpus: readonly number[]
}

/** One hugetlb pool: of the machine (`node` undefined) or of one node. */
export interface HugePool {
  readonly sizeKb: number
  readonly node: number | undefined
  /** "nr_hugepages" -> pages, "free_hugepages", "resv_hugepages", "surplus_hugepages", "nr_overcommit_hugepages" */
  readonly pages: ReadonlyMap<string, number>
}

/** One process; a part is undefined (or []) where its file was not read. */
export interface Task {
  readonly pid: number
  readonly stat: PidStat | undefined
  readonly statm: PidStatm | undefined
  readonly status: PidStatus | undefined
  /** The sums of smaps_rollup, or of smaps where only that was read. */
  readonly rollup: ReadonlyMap<string, number> | undefined
  readonly smaps: readonly SmapsArea[]
  readonly numaMaps: readonly NumaArea[]
  readonly oomScore: number | undefined
  readonly oomScoreAdj: number | undefined
  readonly named: NamedTask | undefined
  readonly activity: string | undefined
}

export interface Cgroup {
  /** Path below /sys/fs/cgroup. */
  readonly name: string
  /** memory.current, memory.max ... in bytes; "max" is Infinity */
  readonly limits: ReadonlyMap<string, number>
  readonly stat: ReadonlyMap<string, number>
  readonly events: ReadonlyMap<string, number>
  readonly numaStat: ReadonlyMap<string, ReadonlyMap<number, number>>
  readonly pressure: Pressure
}

/** A userfaultfd of a process, as /proc/PID/fdinfo/FD describes it. */
export interface UserFaultFd {
  readonly pid: number
  readonly fd: number
  /** Faults that wait and that nobody has read yet, and all that wait. */
  readonly pending: number
  readonly total: number
  /** "API:features:ioctls", hexadecimal, as printed. */
  readonly api: string
}

/** One reading of a machine as figures; each part is parsed at the first call and kept. */
export interface Sample {
  readonly ns: number
  readonly frame: Frame
  /** Which of its files belong together. */
  readonly places: () => Places
  readonly vmstat: () => ReadonlyMap<string, number>
  readonly meminfo: () => Meminfo
  readonly zones: () => readonly Zone[]
  readonly buddy: () => readonly FreeBlocks[]
  readonly pagetypes: () => Pagetypes
  readonly swaps: () => readonly SwapArea[]
  readonly nodes: () => readonly NodeSample[]
  readonly pools: () => readonly HugePool[]
  /** Below /sys/kernel/mm/transparent_hugepage: "enabled" -> text, "khugepaged/pages_to_scan" -> text */
  readonly thp: () => ReadonlyMap<string, string>
  readonly ksm: () => ReadonlyMap<string, number>
  /** Below /sys/kernel/debug/zswap. */
  readonly zswap: () => ReadonlyMap<string, number>
  readonly zswapParameters: () => ReadonlyMap<string, string>
  readonly pressure: () => Pressure
  readonly slabs: () => readonly Slab[]
  readonly tasks: () => readonly Task[]
  readonly cgroups: () => readonly Cgroup[]
  readonly zram: () => readonly ZramDevice[]
  readonly userFaultFds: () => readonly UserFaultFd[]
  readonly machine: () => ReadonlyMap<string, string>
  readonly events: () => readonly MachineEvent[]
  readonly daemons: () => readonly Daemon[]
  /** Where virtual time went since start: key -> ns. */
  readonly costs: () => ReadonlyMap<string, number>
  /** The same of each process (its pid) and kernel thread (its name) there is now: who -> key -> ns. */
  readonly accounts: () => ReadonlyMap<string, ReadonlyMap<string, number>>
  /** "N0.N1" -> bytes that CPUs of node 0 moved from and to memory of node 1 since start; empty where nobody counts them. */
  readonly traffic: () => ReadonlyMap<string, number>
  /** Locks: "pte_contended", "pte_waited_ns", the same of pmd and mm; "N0.Normal_taken", _contended, _held_ns and _waited_ns of each zone's. */
  readonly locks: () => ReadonlyMap<string, number>
  /** The latest live migration: pages, left, pushed, urgent, downtime_ns ...; "below_N": faults that waited less than N ns, each once. */
  readonly postcopy: () => ReadonlyMap<string, number>
  /** What came to pass at userfaultfds: "PID/FD" -> faults, woken, waited_ns ...; "below_N" as in postcopy. */
  readonly uffdFigures: () => ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly waiting: () => readonly WaitingThread[]
  /** Files that are there but may not be read: path -> errno. */
  readonly unread: () => ReadonlyMap<string, string>
}

/** Whether the machine has this file. */
export function has(sample: Sample, path: string): boolean {
  return sample.frame.files.has(path)
}

/** The text of a file, safe to show; undefined where the machine has no such file. */
export function textOf(frame: Frame, path: string): string | undefined {
  const text = frame.files.get(path)
  return text === undefined ? undefined : cleanText(text)
}

/** What was made of the frame before, as much of the next one is the same. */
export interface Memo {
  readonly places: PlacesMemo
  readonly tasks: TasksMemo
  readonly slabs: (text: string) => Slab[]
  readonly pagetypes: (text: string) => Pagetypes
}

export const newMemo = (): Memo => ({
  places: newPlacesMemo(),
  tasks: new Map(),
  slabs: lastParsed(parseSlabinfo),
  pagetypes: lastParsed(parsePagetypeinfo),
})

/** Parses anew only what is another text than the one before. */
function lastParsed<T>(parse: (text: string) => T): (text: string) => T {
  let last: { readonly text: string; readonly value: T } | undefined
  return text => {
    if (last?.text !== text) last = { text, value: parse(text) }
    return last.value
  }
}

/** @param memo what was parsed of the frame before; it is kept up to date */
export function toSample(frame: Frame, memo: Memo = newMemo()): Sample {
  const from = <T>(path: string, parse: (text: string) => T): (() => T) => once(() => parse(textOf(frame, path) ?? ''))
  const places = once(() => placesOf(frame, memo.places))
  return {
    ns: frame.ns,
    frame,
    places,
    vmstat: from('/proc/vmstat', parseKeyValues),
    meminfo: from('/proc/meminfo', parseMeminfo),
    zones: from('/proc/zoneinfo', parseZoneinfo),
    buddy: from('/proc/buddyinfo', parseBuddyinfo),
    pagetypes: from('/proc/pagetypeinfo', memo.pagetypes),
    swaps: from('/proc/swaps', parseSwaps),
    pressure: from('/proc/pressure/memory', parsePressure),
    slabs: from('/proc/slabinfo', memo.slabs),
    machine: from('/mmtop/machine', parseTexts),
    events: from('/mmtop/events', parseEvents),
    daemons: from('/mmtop/daemons', parseDaemons),
    costs: from('/mmtop/costs', parseKeyValues),
    accounts: from('/mmtop/accounts', parseAccounts),
    traffic: from('/mmtop/traffic', parseKeyValues),
    locks: from('/mmtop/locks', parseKeyValues),
    postcopy: from('/mmtop/postcopy', parseKeyValues),
    uffdFigures: from('/mmtop/userfaultfd', parseAccounts),
    waiting: from('/mmtop/waiting', parseWaiting),
    unread: from('/mmtop/unread', parseTexts),
    thp: once(() => textsOf(frame, places().thp)),
    ksm: once(() => numbersOf(frame, places().ksm)),
    zswap: once(() => numbersOf(frame, places().zswap)),
    zswapParameters: once(() => textsOf(frame, places().zswapParameters)),
    nodes: once(() => nodesOf(frame, places())),
    pools: once(() => poolsOf(frame, places())),
    tasks: once(() => {
      const named = parseTasks(textOf(frame, '/mmtop/tasks') ?? '')
      return tasksOf(frame, places().tasks, memo.tasks, named, parseActivity(textOf(frame, '/mmtop/activity') ?? ''))
    }),
    cgroups: once(() => cgroupsOf(frame, places())),
    zram: once(() => zramOf(frame, places())),
    userFaultFds: once(() => userFaultFdsOf(frame, places())),
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** The trimmed texts of files, by their names. */
function textsOf(frame: Frame, files: Places['thp']): Map<string, string> {
  const texts = new Map<string, string>()
  for (const { name, path } of files) texts.set(name, (textOf(frame, path) ?? '').trim())
  return texts
}

function numbersOf(frame: Frame, files: Places['thp']): Map<string, number> {
  const numbers = new Map<string, number>()
  for (const { name, path } of files) {
    const value = toInteger((textOf(frame, path) ?? '').trim())
    if (value !== undefined) numbers.set(name, value)
  }
  return numbers
}

function nodesOf(frame: Frame, places: Places): NodeSample[] {
  return places.nodes.map(node => {
    const read = (name: string) => textOf(frame, `/sys/devices/system/node/node${node}/${name}`) ?? ''
    return {
      node,
      meminfo: parseMeminfo(read('meminfo')),
      numastat: parseKeyValues(read('numastat')),
      vmstat: parseKeyValues(read('vmstat')),
      distances: words(read('distance')).map(word => toInteger(word) ?? 0),
      cpus: toList(read('cpulist')),
    }
  })
}

/** The machine's pools first, then each node's; by size within each. */
function poolsOf(frame: Frame, places: Places): HugePool[] {
  const pools: { sizeKb: number; node: number | undefined; pages: Map<string, number> }[] = []
  for (const { name, path, node, sizeKb } of places.pools) {
    const value = toInteger((textOf(frame, path) ?? '').trim())
    if (value === undefined) continue
    const last = pools.at(-1)
    if (last !== undefined && last.node === node && last.sizeKb === sizeKb) last.pages.set(name, value)
    else pools.push({ sizeKb, node, pages: new Map([[name, value]]) })
  }
  return pools
}

function cgroupsOf(frame: Frame, places: Places): Cgroup[] {
  return [...places.cgroups]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, path }) => {
      const directory = path.slice(0, -'memory.current'.length)
      const read = (file: string) => textOf(frame, directory + file) ?? ''
      const limits = new Map<string, number>()
      for (const file of CGROUP_SIZES) {
        const text = read(file).trim()
        const value = text === 'max' ? Number.POSITIVE_INFINITY : toInteger(text)
        if (value !== undefined) limits.set(file, value)
      }
      const [stat, events] = [parseKeyValues(read('memory.stat')), parseKeyValues(read('memory.events'))]
      const [numaStat, pressure] = [parseNumaStat(read('memory.numa_stat')), parsePressure(read('memory.pressure'))]
      return { name, limits, stat, events, numaStat, pressure }
    })
}

function zramOf(frame: Frame, places: Places): ZramDevice[] {
  return places.zram.flatMap(device => parseZram(`zram${device}`, textOf(frame, `/sys/block/zram${device}/mm_stat`) ?? '') ?? [])
}

const FD_FILE = /^fdinfo\/(\d{1,10})$/

/** Files of other kinds have no "pending" line. */
function userFaultFdsOf(frame: Frame, places: Places): UserFaultFd[] {
  return places.tasks.flatMap(({ pid, paths }) =>
    paths.flatMap(({ name, path }) => {
      const match = FD_FILE.exec(name)
      const lines = match === null ? undefined : parsePidStatus(textOf(frame, path) ?? '').texts
      const [pending, total] = [toInteger(lines?.get('pending')), toInteger(lines?.get('total'))]
      if (match === null || pending === undefined || total === undefined) return []
      return [{ pid, fd: Number(match[1]), pending, total, api: lines?.get('API') ?? '' }]
    }),
  )
}

const CGROUP_SIZES = ['current', 'min', 'low', 'high', 'max', 'peak', 'swap.current', 'swap.max', 'zswap.current', 'zswap.max'].map(
  name => `memory.${name}`,
)
