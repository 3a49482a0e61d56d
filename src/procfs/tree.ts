/**
 * Every file of /proc and /sys that the machine has, in one table, and how they are read, written and listed.
 *
 * A name with {node}, {cpu}, {block}, {size} or {pid} stands for one entry for each node, CPU, memory block, size of huge pages (kB)
 * or process.
 * Knobs come from the kernel's own table (kernel/tunables.ts) and stand beside the files that only report.
 *
 *     procRead(k, '/proc/meminfo')                        the text, or a negative errno
 *     procWrite(k, task, '/proc/sys/vm/swappiness', '10')  bytes taken, or a negative errno
 *
 * Everyone may read everything; only root may write. /proc/self is the process that runs or writes.
 */
import { EACCES, EINVAL, EIO, EISDIR, ENOENT, ENOTDIR } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Task } from '../kernel/base/state_mm.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { capable } from '../kernel/calls/account.ts'
import { CGROUP_ROOT, cgroupPath } from '../kernel/calls/cgroup.ts'
import { mayAccess } from '../kernel/calls/migrate_pages.ts'
import { STANDS_FOR } from '../kernel/tunables.ts'
import type { At } from '../kernel/tunables_knob.ts'
import type { Binary } from './binary.ts'
import { buddyinfo, extfragIndex, pagetypeinfo, unusableIndex } from './buddyinfo.ts'
import { cgroupDirectory } from './cgroup.ts'
import { type Directory, debugTable, dir, type Entry, type Family, type File, isDirectory, knobs, numbers, pid, proc } from './file.ts'
import { lruGen, lruGenFull } from './lru_gen.ts'
import { cmdline, filesystems, loadavg, stat, uptime, version } from './machine.ts'
import { meminfo } from './meminfo.ts'
import { PAGE_CGROUP, PAGE_COUNT, PAGE_FLAGS, PAGEMAP } from './page_files.ts'
import { PAGE_IDLE } from './page_idle.ts'
import { ksmMergingPages, ksmStat } from './pid/ksm.ts'
import { maps } from './pid/maps.ts'
import { numaMaps } from './pid/numa_maps.ts'
import { sched } from './pid/sched.ts'
import { smaps, smapsRollup } from './pid/smaps.ts'
import { comm, cmdline as pidCmdline, stat as pidStat, statm, status } from './pid/status.ts'
import { oomAdj, oomScore, oomScoreAdj, setOomAdj, setOomScoreAdj, writeClearRefs, writeComm } from './pid/writes.ts'
import { systemPressure } from './pressure.ts'
import { slabinfo } from './slabinfo.ts'
import { swaps } from './swaps.ts'
import { cpuDirectory } from './sysfs_cpu.ts'
import { poolFiles } from './sysfs_hugetlb.ts'
import { ksmDirectory } from './sysfs_ksm.ts'
import { hotplugParameters, memoryDirectory } from './sysfs_memory.ts'
import { nodeDirectory } from './sysfs_node.ts'
import { slabDirectory } from './sysfs_slab.ts'
import { thpDirectory } from './sysfs_thp.ts'
import { zramControl, zramDebug, zramDirectory } from './sysfs_zram.ts'
import { vmstat } from './vmstat.ts'
import { zoneinfo } from './zoneinfo.ts'
import { zswapCounters } from './zswap.ts'

const PROCESS: Directory = dir({
  cgroup: pid(({ k, task }) => `0::${cgroupPath(k, task.cgroup)}\n`),
  clear_refs: pid(undefined, writeClearRefs),
  cpuset: pid(({ k, task }) => `${cgroupPath(k, task.cpuset)}\n`),
  cmdline: pid(pidCmdline),
  comm: pid(comm, writeComm),
  ksm_merging_pages: pid(ksmMergingPages),
  ksm_stat: pid(ksmStat),
  maps: pid(maps),
  numa_maps: pid(numaMaps),
  oom_adj: pid(oomAdj, setOomAdj),
  oom_score: pid(oomScore),
  oom_score_adj: pid(oomScoreAdj, setOomScoreAdj),
  pagemap: numbers(PAGEMAP),
  sched: pid(sched),
  smaps: pid(smaps),
  smaps_rollup: pid(smapsRollup),
  stat: pid(pidStat),
  statm: pid(statm),
  status: pid(status),
})

const TREE: Directory = dir({
  proc: dir({
    buddyinfo: proc(buddyinfo),
    cmdline: proc(cmdline),
    filesystems: proc(filesystems),
    kpagecgroup: numbers(PAGE_CGROUP),
    kpagecount: numbers(PAGE_COUNT),
    kpageflags: numbers(PAGE_FLAGS),
    loadavg: proc(loadavg),
    meminfo: proc(meminfo),
    pagetypeinfo: proc(pagetypeinfo),
    pressure: dir({ cpu: systemPressure('cpu'), io: systemPressure('io'), memory: systemPressure('memory') }),
    slabinfo: proc(slabinfo),
    stat: proc(stat),
    swaps: proc(swaps),
    sys: dir({
      kernel: dir(knobs('/proc/sys/kernel')),
      vm: dir(knobs('/proc/sys/vm')),
    }),
    uptime: proc(uptime),
    version: proc(version),
    vmstat: proc(vmstat),
    zoneinfo: proc(zoneinfo),
    '{pid}': PROCESS,
  }),
  sys: dir({
    block: dir({ 'zram{zram}': zramDirectory }),
    class: dir({ 'zram-control': zramControl }),
    devices: dir({ system: dir({ cpu: cpuDirectory, memory: memoryDirectory, node: nodeDirectory }) }),
    fs: dir({ cgroup: cgroupDirectory }),
    kernel: dir({
      debug: dir({
        extfrag: dir({ extfrag_index: debugTable(extfragIndex), unusable_index: debugTable(unusableIndex) }),
        lru_gen: lruGen,
        lru_gen_full: lruGenFull,
        sched: dir({ numa_balancing: dir(knobs('/sys/kernel/debug/sched/numa_balancing')) }),
        zram: dir({ 'zram{zram}': zramDebug }),
        zswap: zswapCounters,
      }),
      mm: dir({
        hugepages: dir({ 'hugepages-{size}kB': poolFiles }),
        ksm: ksmDirectory,
        lru_gen: dir(knobs('/sys/kernel/mm/lru_gen')),
        numa: dir(knobs('/sys/kernel/mm/numa')),
        page_idle: dir({ bitmap: numbers(PAGE_IDLE) }),
        swap: dir(knobs('/sys/kernel/mm/swap')),
        transparent_hugepage: thpDirectory,
      }),
      slab: slabDirectory,
    }),
    module: dir({
      memory_hotplug: dir({ parameters: hotplugParameters }),
      zswap: dir({ parameters: dir(knobs('/sys/module/zswap/parameters')) }),
    }),
  }),
})

const NOWHERE: At = { size: 0, node: 0, cpu: 0, block: 0, zram: 0, pid: 0, cgroup: CGROUP_ROOT, writer: undefined }

interface Found {
  readonly entry: Entry
  readonly at: At
}

/** Whether an entry of the table is there at this place. */
const there = (k: Kernel, entry: Entry, at: At): boolean => entry.exists?.(k, at) ?? true

/** The entries of a directory as they are now, by name. */
function entriesOf(k: Kernel, directory: Directory, at: At): (readonly [name: string, found: Found])[] {
  const { entries, families, members } = directory
  const named = [...entries].map(([name, entry]): [string, Found] => [name, { entry, at }])
  const numbered = families.flatMap(({ before, what, after, entry }) =>
    STANDS_FOR[what](k).map((n): [string, Found] => [`${before}${n}${after}`, { entry, at: { ...at, [what]: n } }]),
  )
  const given = (members?.list(k, at) ?? []).map(([name, inner]): [string, Found] => [name, { entry: directory, at: inner }])
  return [...named, ...numbered, ...given].filter(([, found]) => there(k, found.entry, found.at))
}

/** The entry a path leads to, or a negative errno. */
function find(k: Kernel, path: string, writer: Task | undefined): Found | number {
  const parts = path.split('/').filter(part => part !== '')
  if (!path.startsWith('/')) return -ENOENT
  const self = writer ?? k.current
  if (parts[0] === 'proc' && parts[1] === 'self' && self !== undefined) parts[1] = String(self.pid)
  let found: Found = { entry: TREE, at: { ...NOWHERE, writer } }
  for (const part of parts) {
    if (!isDirectory(found.entry)) return -ENOTDIR
    const next = child(k, found.entry, found.at, part)
    if (next === undefined) return -ENOENT
    found = next
  }
  return found
}

function child(k: Kernel, directory: Directory, at: At, name: string): Found | undefined {
  const entry = directory.entries.get(name)
  if (entry !== undefined) return there(k, entry, at) ? { entry, at } : undefined
  const given = directory.members?.find(k, at, name)
  if (given !== undefined) return { entry: directory, at: given }
  for (const family of directory.families) {
    const n = numberIn(name, family)
    if (n === undefined || !STANDS_FOR[family.what](k).includes(n)) continue
    const place = { ...at, [family.what]: n }
    return there(k, family.entry, place) ? { entry: family.entry, at: place } : undefined
  }
  return undefined
}

/** The number in the name of a family's member. */
function numberIn(name: string, { before, after }: Family): number | undefined {
  if (!name.startsWith(before) || !name.endsWith(after)) return undefined
  const digits = name.slice(before.length, name.length - after.length)
  return /^(0|[1-9]\d{0,9})$/.test(digits) ? Number(digits) : undefined
}

/** The text of a file, or a negative errno. */
export function procRead(k: Kernel, path: string): string | number {
  const found = find(k, path, undefined)
  if (typeof found === 'number') return found
  const { entry, at } = found
  if (isDirectory(entry)) return -EISDIR
  return entry.read === undefined ? -entry.refuses : entry.read(k, at)
}

/**
 * Writes a text to a file with one write(2). Text beyond a page is not looked at.
 * @param writer the process that writes; undefined is root from outside.
 * @returns bytes taken, or a negative errno in the order in which Linux looks: no such file, no permission, wrong value.
 */
export function procWrite(k: Kernel, writer: Task | undefined, path: string, text: string): number {
  const found = find(k, path, writer)
  if (typeof found === 'number') return found
  const { entry, at } = found
  if (isDirectory(entry)) return -EISDIR
  if (writer !== undefined && writer.uid !== 0) return -EACCES
  if (entry.write === undefined) return -entry.refuses
  return text === '' ? 0 : entry.write(k, text.slice(0, PAGE_SIZE), at)
}

/**
 * Reads a file of numbers.
 * @param reader the process that reads; undefined is root from outside
 * @returns up to `count` bytes from `position` on, none at the end; or a negative errno
 */
export function procReadBytes(k: Kernel, reader: Task | undefined, path: string, position: number, count: number): Uint8Array | number {
  const binary = findBinary(k, reader, path)
  return typeof binary === 'number' ? binary : binary.file.read(k, binary.at, position, count)
}

/** Writes to a file of numbers; bytes taken, or a negative errno. */
export function procWriteBytes(k: Kernel, writer: Task | undefined, path: string, position: number, bytes: Uint8Array): number {
  const binary = findBinary(k, writer, path)
  if (typeof binary === 'number') return binary
  return binary.file.write === undefined ? -EIO : binary.file.write(k, binary.at, position, bytes)
}

/** A file of numbers that this process may open: its own pagemap, or any as root. */
function findBinary(k: Kernel, who: Task | undefined, path: string): { readonly file: Binary; readonly at: At } | number {
  const found = find(k, path, who)
  if (typeof found === 'number') return found
  const { entry, at } = found
  if (isDirectory(entry)) return -EISDIR
  const other = k.tasks.get(at.pid)
  const may = who === undefined || (other === undefined ? capable(who) : mayAccess(who, other))
  if (!may) return -EACCES
  return entry.binary === undefined ? -EINVAL : { file: entry.binary, at }
}

/** Names in a directory, in order of the table; a negative errno where there is none. */
export function procReaddir(k: Kernel, path: string): string[] | number {
  const found = find(k, path, undefined)
  if (typeof found === 'number') return found
  if (!isDirectory(found.entry)) return -ENOTDIR
  return [...entriesOf(k, found.entry, found.at)].map(([name]) => name)
}

/** The paths of all files that the machine has now, below a directory; without those that act when they are read. */
export const procList = (k: Kernel, path = '/'): string[] => below(k, path, Number.POSITIVE_INFINITY, file => file.unlisted !== true)

/** Files that can be read, in a directory and `depth` levels below it, each directory's names in order. */
export const filesBelow = (k: Kernel, path: string, depth = Number.POSITIVE_INFINITY): string[] =>
  below(k, path, depth, file => file.read !== undefined && file.unlisted !== true)

function below(k: Kernel, path: string, depth: number, wanted: (file: File) => boolean): string[] {
  const found = find(k, path, undefined)
  if (typeof found === 'number' || !isDirectory(found.entry)) return []
  return listBelow(k, found.entry, found.at, path === '/' ? '' : path, depth, wanted)
}

function listBelow(k: Kernel, directory: Directory, at: At, path: string, depth: number, wanted: (file: File) => boolean): string[] {
  const entries = entriesOf(k, directory, at).sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.flatMap(([name, { entry, at: inner }]) => {
    if (isDirectory(entry)) return depth > 0 ? listBelow(k, entry, inner, `${path}/${name}`, depth - 1, wanted) : []
    return wanted(entry) ? [`${path}/${name}`] : []
  })
}

/** The files of a base frame, without those of processes, in the order in which the recorder of the real kernel reads them. */
export function baseFiles(k: Kernel): string[] {
  const node = (id: number) => `/sys/devices/system/node/node${id}`
  return [
    ...['vmstat', 'meminfo', 'zoneinfo', 'buddyinfo', 'pagetypeinfo', 'swaps'].map(name => `/proc/${name}`),
    ...k.nodes.flatMap(({ id }) => [
      ...['meminfo', 'numastat', 'vmstat'].map(name => `${node(id)}/${name}`),
      ...filesBelow(k, `${node(id)}/hugepages`),
    ]),
    ...['/sys/kernel/mm/ksm', '/sys/kernel/mm/hugepages', '/sys/kernel/mm/transparent_hugepage', '/sys/kernel/debug/zswap'].flatMap(path =>
      filesBelow(k, path),
    ),
    ...filesBelow(k, '/sys/module/zswap/parameters'),
    '/proc/sys/vm/min_free_kbytes',
    '/proc/sys/vm/swappiness',
  ]
}
