/**
 * What hinting faults tell of a task: which node its memory is on, which node it should run on, how fast to go on asking.
 *
 *     fault ── counted in a buffer, by node of the page and of the CPU, private or shared
 *                  │ a whole scan of the address space later
 *              placement: the buffer is added to half of what was known; the node with most faults is preferred
 *                  │                                    └── the task moves to an idle CPU of it that it may use
 *              period: longer when faults are private or local, shorter when they are remote
 *
 * Private is a page whose last fault was by the same task. Tasks that share pages form a group, whose faults count together; the
 * group's refcount and shares stretch the scan period. A page is moved when two faults in a row came from the same node, or
 * by a young task at once (the two-fault filter), and in a group by where the group runs and where its memory is.
 *
 * Times are in ticks where Linux counts jiffies. Linux may also swap two running tasks, and weighs the distances of
 * indirectly connected nodes; here tasks move to idle CPUs only, and all nodes are taken as directly connected.
 *
 * Source: kernel/sched/fair.c (task_numa_fault, task_numa_placement, task_numa_group, update_task_scan_period,
 * should_numa_migrate_memory, numa_migrate_preferred, task_scan_min/start/max, update_scan_period, task_numa_free).
 */
import { now } from '../base/cost.ts'
import { JIFFY_NS, jiffies } from '../base/jiffies.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import type { MmNuma, NumaGroup, TaskNuma } from '../base/state_numa.ts'
import type { NodeId, Pfn } from '../base/units.ts'
import { CPUPID_UNSET, cpuPidToCpupid, cpupidMatchPid, cpupidPidUnset, cpupidToCpu, pageCpupidXchgLast } from '../frames/cpupid.ts'

const MS = 1e6

/** Kinds of a task's faults: of memory and of CPUs, known and since the last placement. */
const MEM = 0
const CPU = 1
const MEMBUF = 2
const CPUBUF = 3
/** Kinds that a group keeps. */
const GROUP_KINDS = 2
const KINDS = 4

/** What is known of a fault (TNF_*). */
export const TNF_MIGRATED = 0x01
export const TNF_NO_GROUP = 0x02
export const TNF_SHARED = 0x04
export const TNF_FAULT_LOCAL = 0x08
export const TNF_MIGRATE_FAIL = 0x10

/** Most that is scanned in a second, in MB. */
const MAX_SCAN_WINDOW = 2560
const NUMA_PERIOD_SLOTS = 10
const NUMA_PERIOD_THRESHOLD = 7
/** A node is active in a group with at least a third of the faults of the most active one. */
const ACTIVE_NODE_FRACTION = 3
const NO_PREFERENCE = -1

// --- what is there before the first fault

/** The time in whole ticks, as the kernel's own deadlines go. */
export const tickNs = (k: Kernel): number => jiffies(k) * JIFFY_NS

export const mmNuma = (k: Kernel): MmNuma => ({ nextScanNs: tickNs(k) + k.numa.scanDelayMs * MS, scanSeq: 0, scanOffset: 0 })

/** A task that begins (init_numa_balancing). */
export const taskNuma = (k: Kernel, cpu: number): TaskNuma => ({
  nodeStampNs: 0,
  scanSeq: 0,
  scanPeriodMs: k.numa.scanDelayMs,
  scanPeriodMaxMs: 0,
  migrateRetryNs: 0,
  preferredNid: NO_PREFERENCE,
  faults: new Float64Array(0),
  faultsLocality: [0, 0, 0],
  pagesMigrated: 0,
  totalFaults: 0,
  group: undefined,
  lastPlacementNs: 0,
  lastRuntimeNs: 0,
  cpu,
})

/** A task that ends leaves its group (task_numa_free). */
export function taskNumaFree({ numa }: Task): void {
  const { group } = numa
  if (group === undefined) return
  for (let i = 0; i < group.faults.length; i++) group.faults[i] -= numa.faults[i]
  group.totalFaults -= numa.totalFaults
  group.nrTasks--
  numa.group = undefined
}

// --- counting

const faultsIndex = (k: Kernel, kind: number, nid: number, priv: number): number => 2 * (kind * k.nodes.length + nid) + priv

/** A task's (or group's) faults of a kind on a node, private and shared. */
function faultsOf(k: Kernel, faults: Float64Array, kind: number, nid: number): number {
  const at = faultsIndex(k, kind, nid, 0)
  return faults.length === 0 ? 0 : faults[at] + faults[at + 1]
}

/** Faults on memory of a node, [shared, private], as /proc/PID/sched shows them. */
export function memFaults(k: Kernel, faults: Float64Array, nid: number): readonly [shared: number, priv: number] {
  const at = faultsIndex(k, MEM, nid, 0)
  return faults.length === 0 ? [0, 0] : [faults[at], faults[at + 1]]
}

/** All faults of a group on memory that it shares, or does not. */
function groupFaultsOf(k: Kernel, group: NumaGroup, priv: 0 | 1): number {
  return k.nodes.reduce((sum, node) => sum + group.faults[faultsIndex(k, MEM, node.id, priv)], 0)
}

/** Counts a hinting fault of the task that runs (task_numa_fault). @param nid the node the page is on now. @param flags TNF_*. */
export function taskNumaFault(k: Kernel, task: Task, lastCpupid: number, nid: number, pages: number, flags: number): void {
  const { numa, mm } = task
  if (k.sysctl.numa_balancing === 0 || mm === undefined) return
  if (numa.faults.length === 0) numa.faults = new Float64Array(KINDS * 2 * k.nodes.length)
  const cpuNode = k.cpus[k.cpu].node
  let priv = lastCpupid === CPUPID_UNSET || cpupidMatchPid(lastCpupid, task.pid) ? 1 : 0
  if (priv === 0 && (flags & TNF_NO_GROUP) === 0 && taskNumaGroup(k, task, lastCpupid, flags)) priv = 1
  const near = (flags & TNF_FAULT_LOCAL) !== 0 || (priv === 0 && withinGroup(k, numa.group, cpuNode, nid))
  if (tickNs(k) > numa.migrateRetryNs) {
    taskNumaPlacement(k, task, mm)
    numaMigratePreferred(k, task)
  }
  if ((flags & TNF_MIGRATED) !== 0) numa.pagesMigrated += pages
  if ((flags & TNF_MIGRATE_FAIL) !== 0) numa.faultsLocality[2] += pages
  numa.faults[faultsIndex(k, MEMBUF, nid, priv)] += pages
  numa.faults[faultsIndex(k, CPUBUF, cpuNode, priv)] += pages
  numa.faultsLocality[near ? 1 : 0] += pages
}

/** A shared fault among the nodes that a group spread over several uses counts as local. */
const withinGroup = (k: Kernel, group: NumaGroup | undefined, cpuNode: NodeId, nid: number): boolean =>
  group !== undefined && group.activeNodes > 1 && isActiveNode(k, group, cpuNode) && isActiveNode(k, group, nid)

const isActiveNode = (k: Kernel, group: NumaGroup, nid: number): boolean =>
  faultsOf(k, group.faults, CPU, nid) * ACTIVE_NODE_FRACTION > group.maxFaultsCpu

// --- groups

/**
 * The page was used by another task last: the two may form a group. A task without one makes its own first.
 * @returns whether the fault counts as private after all, because the other is no relative.
 */
function taskNumaGroup(k: Kernel, task: Task, lastCpupid: number, flags: number): boolean {
  const { numa } = task
  const mine = numa.group ?? newGroup(k, task)
  const cpu = cpupidToCpu(lastCpupid)
  const other = [...k.tasks.values()].find(each => each.cpu === cpu && cpupidMatchPid(lastCpupid, each.pid))
  const theirs = other?.numa.group
  if (other === undefined || theirs === undefined || theirs === mine || mine.nrTasks > theirs.nrTasks) return false
  if (mine.nrTasks === theirs.nrTasks && mine.gid > theirs.gid) return false
  const join = other.mm === task.mm || (flags & TNF_SHARED) !== 0
  if (!join) return true
  for (let i = 0; i < mine.faults.length; i++) {
    mine.faults[i] -= numa.faults[i]
    theirs.faults[i] += numa.faults[i]
  }
  mine.totalFaults -= numa.totalFaults
  theirs.totalFaults += numa.totalFaults
  mine.nrTasks--
  theirs.nrTasks++
  numa.group = theirs
  return false
}

function newGroup(k: Kernel, task: Task): NumaGroup {
  const { numa } = task
  const faults = numa.faults.slice(0, GROUP_KINDS * 2 * k.nodes.length)
  numa.group = { gid: task.pid, nrTasks: 1, activeNodes: 1, maxFaultsCpu: 0, totalFaults: numa.totalFaults, faults }
  return numa.group
}

function countActiveNodes(k: Kernel, group: NumaGroup): void {
  const faults = k.nodes.filter(node => node.cpus.length > 0).map(node => faultsOf(k, group.faults, CPU, node.id))
  const most = Math.max(0, ...faults)
  group.maxFaultsCpu = most
  group.activeNodes = faults.filter(each => each * ACTIVE_NODE_FRACTION > most).length
}

// --- placement

/** After each whole scan: what the faults since the last one say (task_numa_placement). */
function taskNumaPlacement(k: Kernel, task: Task, mm: Mm): void {
  const { numa } = task
  if (numa.scanSeq === mm.numa.scanSeq) return
  numa.scanSeq = mm.numa.scanSeq
  numa.scanPeriodMaxMs = taskScanMax(k, task, mm)
  const total = numa.faultsLocality[0] + numa.faultsLocality[1]
  const share = runtimeShare(k, task) / (total + 1)
  const kinds: [shared: number, priv: number] = [0, 0]
  let best = NO_PREFERENCE
  let most = 0
  for (const node of k.nodes) {
    const faults = foldNode(k, numa, node.id, share, kinds)
    if (faults <= most) continue
    most = faults
    best = node.id
  }
  if (numa.group !== undefined) countActiveNodes(k, numa.group)
  if (most > 0) numa.preferredNid = nearestWithCpus(k, best)
  updateTaskScanPeriod(k, task, mm, kinds[0], kinds[1])
}

/** Adds what was buffered for a node to half of what was known. @returns the node's faults: the group's, if there is one. */
function foldNode(k: Kernel, numa: TaskNuma, nid: number, share: number, kinds: [number, number]): number {
  let own = 0
  let group = 0
  for (const priv of [0, 1] as const) {
    const [mem, cpu, membuf, cpubuf] = [MEM, CPU, MEMBUF, CPUBUF].map(kind => faultsIndex(k, kind, nid, priv))
    const diff = numa.faults[membuf] - Math.floor(numa.faults[mem] / 2)
    const cpuDiff = Math.floor(share * numa.faults[cpubuf]) - Math.floor(numa.faults[cpu] / 2)
    kinds[priv] += numa.faults[membuf]
    numa.faults[membuf] = 0
    numa.faults[cpubuf] = 0
    numa.faults[mem] += diff
    numa.faults[cpu] += cpuDiff
    numa.totalFaults += diff
    own += numa.faults[mem]
    if (numa.group === undefined) continue
    numa.group.faults[mem] += diff
    numa.group.faults[cpu] += cpuDiff
    numa.group.totalFaults += diff
    group += numa.group.faults[mem]
  }
  return numa.group === undefined ? own : group
}

/** How much of the time the task ran since the last placement, of 65536 (numa_get_avg_runtime). */
function runtimeShare(k: Kernel, { numa, ranNs, startNs }: Task): number {
  const at = now(k)
  const runtime = ranNs - numa.lastRuntimeNs
  const period = at - (numa.lastPlacementNs === 0 ? startNs : numa.lastPlacementNs)
  numa.lastPlacementNs = at
  numa.lastRuntimeNs = ranNs
  return Math.floor((runtime * 65536) / (period + 1))
}

/** A task cannot run on a node without CPUs, so it prefers the nearest that has some. */
function nearestWithCpus(k: Kernel, nid: number): number {
  if (k.nodes[nid].cpus.length > 0) return nid
  const distance = k.machine.distance[nid]
  return k.nodes.filter(node => node.cpus.length > 0).reduce((near, node) => (distance[node.id] < distance[near.id] ? node : near)).id
}

/** Every so often a task that is not on its preferred node tries to get there (numa_migrate_preferred). */
function numaMigratePreferred(k: Kernel, task: Task): void {
  const { numa } = task
  if (numa.preferredNid < 0) return
  numa.migrateRetryNs = tickNs(k) + Math.min(1e9, Math.floor((numa.scanPeriodMs * MS) / JIFFY_NS / 16) * JIFFY_NS)
  if (k.cpus[task.cpu].node === numa.preferredNid) return
  const taken = new Set([...k.tasks.values()].filter(each => each !== task && each.pid > 1).map(each => each.cpu))
  const idle = task.cpusAllowed.find(cpu => k.cpus[cpu].online && k.cpus[cpu].node === numa.preferredNid && !taken.has(cpu))
  if (idle !== undefined) task.cpu = idle
}

// --- how often to scan

/** Parts that the task's memory is scanned in. */
function scanWindows(k: Kernel, mm: Mm): number {
  const pages = k.numa.scanSizeMb * 256
  const rss = mm.rssAnon + mm.rssFile + mm.rssShmem
  return rss === 0 || pages === 0 ? 1 : Math.ceil(rss / pages)
}

function taskScanMin(k: Kernel, mm: Mm): number {
  const size = k.numa.scanSizeMb
  const windows = size > 0 && size < MAX_SCAN_WINDOW ? Math.floor(MAX_SCAN_WINDOW / size) : 1
  return Math.max(Math.floor(1000 / windows), Math.floor(k.numa.scanPeriodMinMs / scanWindows(k, mm)))
}

/** A period stretched by how many tasks the group has and how much it shares. */
function stretched(k: Kernel, group: NumaGroup | undefined, periodMs: number): number {
  if (group === undefined) return periodMs
  const [shared, priv] = [groupFaultsOf(k, group, 0), groupFaultsOf(k, group, 1)]
  return Math.floor((periodMs * group.nrTasks * (shared + 1)) / (priv + shared + 1))
}

export function taskScanStart(k: Kernel, { numa }: Task, mm: Mm): number {
  const least = taskScanMin(k, mm)
  return Math.max(least, stretched(k, numa.group, least))
}

export function taskScanMax(k: Kernel, { numa }: Task, mm: Mm): number {
  const most = Math.floor(k.numa.scanPeriodMaxMs / scanWindows(k, mm))
  return Math.max(taskScanMin(k, mm), most, stretched(k, numa.group, most))
}

function updateTaskScanPeriod(k: Kernel, task: Task, mm: Mm, shared: number, priv: number): void {
  const { numa } = task
  const [remote, local, failed] = numa.faultsLocality
  if (local + shared === 0 || failed !== 0) {
    numa.scanPeriodMs = Math.min(numa.scanPeriodMaxMs, numa.scanPeriodMs * 2)
    mm.numa.nextScanNs = tickNs(k) + numa.scanPeriodMs * MS
    return
  }
  const slot = Math.ceil(numa.scanPeriodMs / NUMA_PERIOD_SLOTS)
  const lrRatio = Math.floor((local * NUMA_PERIOD_SLOTS) / (local + remote))
  const psRatio = Math.floor((priv * NUMA_PERIOD_SLOTS) / (priv + shared))
  const settled = psRatio >= NUMA_PERIOD_THRESHOLD ? psRatio : lrRatio >= NUMA_PERIOD_THRESHOLD ? lrRatio : -1
  const diff =
    settled >= 0 ? Math.max(1, settled - NUMA_PERIOD_THRESHOLD) * slot : -(NUMA_PERIOD_THRESHOLD - Math.max(lrRatio, psRatio)) * slot
  numa.scanPeriodMs = Math.max(taskScanMin(k, mm), Math.min(taskScanMax(k, task, mm), numa.scanPeriodMs + diff))
  numa.faultsLocality.fill(0)
}

/**
 * The task goes on on another node: it is scanned fast again, unless it comes to the node it prefers or was elsewhere before
 * (update_scan_period).
 */
export function updateScanPeriod(k: Kernel, task: Task, mm: Mm): void {
  const { numa } = task
  const [from, to] = [k.cpus[numa.cpu].node, k.cpus[task.cpu].node]
  numa.cpu = task.cpu
  if (from === to || numa.faults.length === 0) return
  const wanted = numa.preferredNid
  if (numa.scanSeq !== 0 && (to === wanted || (wanted >= 0 && from !== wanted))) return
  numa.scanPeriodMs = taskScanStart(k, task, mm)
}

// --- whether to move a page

/** Whether the page is to follow the task, from node `src` to the node it runs on (should_numa_migrate_memory). */
export function shouldNumaMigrateMemory(k: Kernel, task: Task, head: Pfn, src: number): boolean {
  const { numa } = task
  const dst = k.cpus[k.cpu].node
  const last = pageCpupidXchgLast(k, head, cpuPidToCpupid(k.cpu, task.pid))
  const unset = cpupidPidUnset(last)
  const own = cpupidMatchPid(last, task.pid)
  if ((numa.preferredNid < 0 || numa.scanSeq <= 4) && (unset || own)) return true
  if (!unset && k.cpus[cpupidToCpu(last)]?.node !== dst) return false
  if (own || numa.group === undefined) return true
  const { faults } = numa.group
  const [dstCpu, srcCpu] = [faultsOf(k, faults, CPU, dst), faultsOf(k, faults, CPU, src)]
  if (dstCpu > srcCpu * ACTIVE_NODE_FRACTION) return true
  return dstCpu * faultsOf(k, faults, MEM, src) * 3 > srcCpu * faultsOf(k, faults, MEM, dst) * 4
}
