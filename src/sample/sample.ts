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
import { type NumaArea, parseNumaMaps, parseSmaps, type SmapsArea } from './parse/pid_maps.ts'
import { type PidStat, type PidStatm, type PidStatus, parsePidStat, parsePidStatm, parsePidStatus } from './parse/pid_stat.ts'
import { type Pressure, parsePressure } from './parse/pressure.ts'
import { parseSlabinfo, type Slab } from './parse/slabinfo.ts'
import { parseSwaps, type SwapArea } from './parse/swaps.ts'
import { parseZoneinfo, type Zone } from './parse/zoneinfo.ts'
import { parseZram, type ZramDevice } from './parse/zram.ts'
import type { Frame } from './source.ts'
import { cleanLine, cleanText, toInteger, toList, words } from './text.ts'

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

/** Directories whose files are read together. */
const THP = '/sys/kernel/mm/transparent_hugepage/'
const KSM = '/sys/kernel/mm/ksm/'
const ZSWAP = '/sys/kernel/debug/zswap/'
const ZSWAP_PARAMETERS = '/sys/module/zswap/parameters/'
const CGROUPS = '/sys/fs/cgroup/'

/** Whether the machine has this file. */
export function has(sample: Sample, path: string): boolean {
  return sample.frame.files.has(path)
}

/** The text of a file, safe to show; undefined where the machine has no such file. */
export function textOf(frame: Frame, path: string): string | undefined {
  const text = frame.files.get(path)
  return text === undefined ? undefined : cleanText(text)
}

/** Of some files what was parsed last: path -> text and its value. */
interface Parsed<T> {
  readonly known: Map<string, { readonly text: string; readonly value: T }>
  /** With this many, those whose files are gone are forgotten. */
  sweepAt: number
}

const SWEEP_LEAST = 64
const newParsed = <T>(): Parsed<T> => ({ known: new Map(), sweepAt: SWEEP_LEAST })

/** What was parsed of files of processes, whose texts often stay as they are from one frame to the next. */
export interface Memo {
  readonly stat: Parsed<PidStat | undefined>
  readonly status: Parsed<PidStatus>
  readonly smaps: Parsed<SmapsArea[]>
  readonly numaMaps: Parsed<NumaArea[]>
}

export const newMemo = (): Memo => ({ stat: newParsed(), status: newParsed(), smaps: newParsed(), numaMaps: newParsed() })

/** The value of a file, parsed anew only where its text is another one. */
function remembered<T>(parsed: Parsed<T>, frame: Frame, path: string, parse: (text: string) => T): T | undefined {
  const { known } = parsed
  const text = frame.files.get(path)
  if (text === undefined) return undefined
  const before = known.get(path)
  if (before?.text === text) return before.value
  const value = parse(cleanText(text))
  if (before === undefined && known.size >= parsed.sweepAt) {
    for (const other of known.keys()) if (!frame.files.has(other)) known.delete(other)
    parsed.sweepAt = Math.max(SWEEP_LEAST, 2 * known.size)
  }
  known.set(path, { text, value })
  return value
}

/** @param memo what was parsed of the frame before; it is kept up to date */
export function toSample(frame: Frame, memo: Memo = newMemo()): Sample {
  const from = <T>(path: string, parse: (text: string) => T): (() => T) => once(() => parse(textOf(frame, path) ?? ''))
  return {
    ns: frame.ns,
    frame,
    vmstat: from('/proc/vmstat', parseKeyValues),
    meminfo: from('/proc/meminfo', parseMeminfo),
    zones: from('/proc/zoneinfo', parseZoneinfo),
    buddy: from('/proc/buddyinfo', parseBuddyinfo),
    pagetypes: from('/proc/pagetypeinfo', parsePagetypeinfo),
    swaps: from('/proc/swaps', parseSwaps),
    pressure: from('/proc/pressure/memory', parsePressure),
    slabs: from('/proc/slabinfo', parseSlabinfo),
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
    thp: once(() => textsUnder(frame, THP)),
    ksm: once(() => numbersUnder(frame, KSM)),
    zswap: once(() => numbersUnder(frame, ZSWAP)),
    zswapParameters: once(() => textsUnder(frame, ZSWAP_PARAMETERS)),
    nodes: once(() => nodesOf(frame)),
    pools: once(() => poolsOf(frame)),
    tasks: once(() => tasksOf(frame, memo)),
    cgroups: once(() => cgroupsOf(frame)),
    zram: once(() => zramOf(frame)),
    userFaultFds: once(() => userFaultFdsOf(frame)),
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** The trimmed texts of all files below a directory, by the rest of their path. */
function textsUnder(frame: Frame, directory: string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const path of frame.files.keys())
    if (path.startsWith(directory)) texts.set(cleanLine(path.slice(directory.length)), (textOf(frame, path) ?? '').trim())
  return texts
}

function numbersUnder(frame: Frame, directory: string): Map<string, number> {
  const numbers = new Map<string, number>()
  for (const [name, text] of textsUnder(frame, directory)) {
    const value = toInteger(text)
    if (value !== undefined) numbers.set(name, value)
  }
  return numbers
}

/** The distinct numbers that stand where `pattern` has its first group, in ascending order. */
function numbersIn(frame: Frame, pattern: RegExp): number[] {
  const found = new Set<number>()
  for (const path of frame.files.keys()) {
    const match = pattern.exec(path)
    if (match !== null) found.add(Number(match[1]))
  }
  return [...found].sort((a, b) => a - b)
}

function nodesOf(frame: Frame): NodeSample[] {
  return numbersIn(frame, /^\/sys\/devices\/system\/node\/node(\d{1,4})\/(?:meminfo|numastat|vmstat)$/).map(node => {
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

const POOL_FILE = /^\/sys\/(?:kernel\/mm|devices\/system\/node\/node(\d{1,4}))\/hugepages\/hugepages-(\d{1,10})kB\/(\w+)$/

/** The machine's pools first, then each node's; by size within each. */
function poolsOf(frame: Frame): HugePool[] {
  const pools = new Map<string, { sizeKb: number; node: number | undefined; pages: Map<string, number> }>()
  for (const path of frame.files.keys()) {
    const match = POOL_FILE.exec(path)
    const value = match === null ? undefined : toInteger((textOf(frame, path) ?? '').trim())
    if (match === null || value === undefined) continue
    const node = match[1] === undefined ? undefined : Number(match[1])
    const key = `${node} ${match[2]}`
    const pool = pools.get(key) ?? { sizeKb: Number(match[2]), node, pages: new Map<string, number>() }
    pool.pages.set(match[3], value)
    pools.set(key, pool)
  }
  return [...pools.values()].sort((a, b) => (a.node ?? -1) - (b.node ?? -1) || a.sizeKb - b.sizeKb)
}

function tasksOf(frame: Frame, memo: Memo): Task[] {
  const named = parseTasks(textOf(frame, '/mmtop/tasks') ?? '')
  const activity = parseActivity(textOf(frame, '/mmtop/activity') ?? '')
  return numbersIn(frame, /^\/proc\/(\d{1,10})\//).map(pid => {
    const read = (name: string) => textOf(frame, `/proc/${pid}/${name}`)
    const parsed = <T>(name: string, parse: (text: string) => T): T | undefined => {
      const text = read(name)
      return text === undefined ? undefined : parse(text)
    }
    // What has a line for each area is long, and few panels look at it.
    const smaps = once(() => parsed('smaps', parseSmaps) ?? [])
    const rollup = once(
      () =>
        remembered(memo.smaps, frame, `/proc/${pid}/smaps_rollup`, parseSmaps)?.[0]?.bytes ??
        (read('smaps') === undefined ? undefined : sumOf(smaps())),
    )
    const numaMaps = once(() => remembered(memo.numaMaps, frame, `/proc/${pid}/numa_maps`, parseNumaMaps) ?? [])
    return {
      pid,
      stat: remembered(memo.stat, frame, `/proc/${pid}/stat`, parsePidStat),
      statm: parsed('statm', parsePidStatm),
      status: remembered(memo.status, frame, `/proc/${pid}/status`, parsePidStatus),
      get rollup() {
        return rollup()
      },
      get smaps() {
        return smaps()
      },
      get numaMaps() {
        return numaMaps()
      },
      oomScore: toInteger(read('oom_score')?.trim()),
      oomScoreAdj: toInteger(read('oom_score_adj')?.trim()),
      named: named.get(pid),
      activity: activity.get(pid),
    }
  })
}

/** What smaps_rollup would print; page sizes are no sums. */
function sumOf(areas: readonly SmapsArea[]): Map<string, number> {
  const sum = new Map<string, number>()
  for (const area of areas) for (const [key, bytes] of area.bytes) if (!key.endsWith('PageSize')) sum.set(key, (sum.get(key) ?? 0) + bytes)
  return sum
}

function cgroupsOf(frame: Frame): Cgroup[] {
  const names = new Set<string>()
  for (const path of frame.files.keys())
    if (path.startsWith(CGROUPS) && path.endsWith('/memory.current')) names.add(path.slice(CGROUPS.length, -'/memory.current'.length))
  return [...names].sort().map(name => {
    const read = (file: string) => textOf(frame, `${CGROUPS}${name}/${file}`) ?? ''
    const limits = new Map<string, number>()
    for (const file of CGROUP_SIZES) {
      const text = read(file).trim()
      const value = text === 'max' ? Number.POSITIVE_INFINITY : toInteger(text)
      if (value !== undefined) limits.set(file, value)
    }
    const [stat, events] = [parseKeyValues(read('memory.stat')), parseKeyValues(read('memory.events'))]
    const [numaStat, pressure] = [parseNumaStat(read('memory.numa_stat')), parsePressure(read('memory.pressure'))]
    return { name: cleanLine(name), limits, stat, events, numaStat, pressure }
  })
}

function zramOf(frame: Frame): ZramDevice[] {
  return numbersIn(frame, /^\/sys\/block\/zram(\d{1,4})\/mm_stat$/).flatMap(
    device => parseZram(`zram${device}`, textOf(frame, `/sys/block/zram${device}/mm_stat`) ?? '') ?? [],
  )
}

/** Files of other kinds have no "pending" line. */
function userFaultFdsOf(frame: Frame): UserFaultFd[] {
  return [...frame.files.keys()].flatMap(path => {
    const match = /^\/proc\/(\d{1,10})\/fdinfo\/(\d{1,10})$/.exec(path)
    const lines = match === null ? undefined : parsePidStatus(textOf(frame, path) ?? '').texts
    const [pending, total] = [toInteger(lines?.get('pending')), toInteger(lines?.get('total'))]
    if (match === null || pending === undefined || total === undefined) return []
    return [{ pid: Number(match[1]), fd: Number(match[2]), pending, total, api: lines?.get('API') ?? '' }]
  })
}

const CGROUP_SIZES = ['current', 'min', 'low', 'high', 'max', 'peak', 'swap.current', 'swap.max', 'zswap.current', 'zswap.max'].map(
  name => `memory.${name}`,
)
