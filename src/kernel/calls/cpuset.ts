/**
 * Cpusets: which CPUs and memory nodes the tasks of a control group may use.
 *
 *     asked for        cpuset.mems "0-1"
 *     effective        asked AND parent's effective; where that is nothing, or nothing was asked, the parent's effective
 *     its tasks        mems_allowed = effective: policies are rebound, pages on nodes that are no longer allowed move
 *
 * A group without a cpuset of its own is ruled by the nearest above that has one; the root has all CPUs that are online and all nodes with
 * memory. When the nodes of a set change, or a task comes from a set with others, its memory moves node by node: the i-th old node's pages go to the
 * i-th new one. Pages of others that the process maps move too.
 *
 * A partition takes its CPUs away from the parent and its other children. It is one only while it has CPUs, shares none with
 * a sibling, stands in the root or in another partition, and leaves the parent's tasks some; else it is noted as invalid and is an
 * ordinary member.
 *
 * Source: kernel/cgroup/cpuset.c of 6.1 (update_nodemask, update_cpumask, cpuset_attach, update_prstate), lib/bitmap.c bitmap_parselist.
 */
import { must } from '../base/assert.ts'
import { EINVAL, ENOSPC, EOVERFLOW, ERANGE } from '../base/errno.ts'
import { MPOL_MF_MOVE_ALL } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Cgroup, Cpuset } from '../base/state_cgroup.ts'
import type { Task } from '../base/state_mm.ts'
import { memoryNodes, mpolRebind, nodeMask } from '../frames/mempolicy.ts'
import type { GiveWay } from '../reclaim/migrate.ts'
import { eachVma } from '../spaces/vma.ts'
import { doMigratePages } from './migrate_pages.ts'

/** Nodes that a list may name (MAX_NUMNODES). */
const MAX_NODES = 1024
const UINT_LIMIT = 2 ** 32
const ROOT = 1

const onlineCpus = (k: Kernel): number[] => k.cpus.filter(cpu => cpu.online).map(cpu => cpu.id)

/** The nearest group, from this one up, that has a cpuset; the root always has one. */
function cpusetGroup(k: Kernel, group: Cgroup): Cgroup {
  let at = group
  while (at.cpuset === undefined) at = must(k.cgroup.groups.get(at.parent), 'the root cgroup has no cpuset')
  return at
}

/** What rules the tasks of a group. */
export function cpusetOf(k: Kernel, group: Cgroup): Cpuset {
  return must(cpusetGroup(k, group).cpuset, 'the root cgroup has no cpuset')
}

/** The root's set: everything there is. */
export const rootCpuset = (k: Kernel): Cpuset => ({
  ...emptyCpuset(),
  effectiveCpus: onlineCpus(k),
  effectiveMems: memoryNodes(k),
  oldMems: memoryNodes(k),
})

const emptyCpuset = (): Cpuset => ({
  cpus: [],
  mems: 0,
  effectiveCpus: [],
  effectiveMems: 0,
  oldMems: 0,
  partition: 'member',
  invalid: '',
})

/** The set above a group's own. */
function parentCpuset(k: Kernel, group: Cgroup): Cpuset {
  const parent = k.cgroup.groups.get(group.parent)
  return parent === undefined ? cpusetOf(k, group) : cpusetOf(k, parent)
}

/** Gives a group a cpuset of its own, with all that the parent has (cpuset_css_online). */
export function cpusetOnline(k: Kernel, group: Cgroup): void {
  if (group.cpuset !== undefined) return
  const { effectiveCpus, effectiveMems } = parentCpuset(k, group)
  group.cpuset = { ...emptyCpuset(), effectiveCpus, effectiveMems }
}

/** Takes the group's cpuset away; CPUs of a partition are the parent's again. */
export function cpusetOffline(k: Kernel, group: Cgroup): void {
  const { cpuset } = group
  if (cpuset === undefined) return
  group.cpuset = undefined
  if (cpuset.partition !== 'member') refreshAll(k)
}

/** Groups with a cpuset of their own, from the root down, that stand directly below the group's. */
function childSets(k: Kernel, group: Cgroup): Cgroup[] {
  return group.children.flatMap(id => {
    const child = k.cgroup.groups.get(id)
    if (child === undefined) return []
    return child.cpuset === undefined ? childSets(k, child) : [child]
  })
}

const isPartition = (cpuset: Cpuset | undefined): boolean => cpuset !== undefined && cpuset.partition !== 'member' && cpuset.invalid === ''

/** Tasks that a group's cpuset rules. */
const ruled = (k: Kernel, group: Cgroup): Task[] => [...k.tasks.values()].filter(task => task.cpuset === group.id)

// --- effective sets

/** Works out the effective sets of the whole tree after a set has changed; tasks follow. */
function refreshAll(k: Kernel, giveWay?: GiveWay): void {
  const root = k.cgroup.groups.get(ROOT)
  if (root?.cpuset !== undefined) refreshBelow(k, root, onlineCpus(k), memoryNodes(k), giveWay)
}

/** The same after CPUs or nodes came or went: tasks of the root keep what they asked for (cpuset_hotplug_workfn). */
export function cpusetHotplug(k: Kernel): void {
  const cpuset = k.cgroup.groups.get(ROOT)?.cpuset
  if (cpuset === undefined) return
  cpuset.effectiveCpus = onlineCpus(k)
  cpuset.effectiveMems = memoryNodes(k)
  refreshAll(k)
}

/**
 * @param cpus what the group and its children's partitions have together.
 */
function refreshBelow(k: Kernel, group: Cgroup, cpus: readonly number[], mems: number, giveWay: GiveWay | undefined): void {
  const children = childSets(k, group)
  const granted = new Map<number, readonly number[]>()
  let left = cpus
  for (const child of children) {
    const own = grant(k, group, child, children, left)
    if (own === undefined) continue
    granted.set(child.id, own)
    left = left.filter(cpu => !own.includes(cpu))
  }
  if (group.cpuset !== undefined) settleSet(k, group, group.cpuset, left, mems, giveWay)
  for (const child of children) {
    const { cpuset } = child
    if (cpuset === undefined) continue
    const wanted = cpuset.cpus.filter(cpu => left.includes(cpu))
    const own = granted.get(child.id) ?? (wanted.length > 0 ? wanted : left)
    refreshBelow(k, child, own, cpuset.mems & mems || mems, giveWay)
  }
}

/** CPUs that a partition takes from its parent; undefined for a member, and for a partition that is none, which says why. */
function grant(
  k: Kernel,
  parent: Cgroup,
  child: Cgroup,
  siblings: readonly Cgroup[],
  left: readonly number[],
): readonly number[] | undefined {
  const { cpuset } = child
  if (cpuset === undefined || cpuset.partition === 'member') return undefined
  const own = cpuset.cpus.filter(cpu => left.includes(cpu))
  const shared = siblings.some(other => other !== child && other.cpuset?.cpus.some(cpu => cpuset.cpus.includes(cpu)))
  if (parent.parent !== 0 && !isPartition(parent.cpuset))
    cpuset.invalid = parent.cpuset?.partition === 'member' ? 'Parent is not a partition root' : 'Parent is an invalid partition root'
  else if (cpuset.cpus.length === 0) cpuset.invalid = 'cpuset.cpus is empty'
  else if (shared) cpuset.invalid = 'Cpu list in cpuset.cpus not exclusive'
  else if (own.length === 0) cpuset.invalid = 'Invalid cpu list in cpuset.cpus'
  else if (own.length === left.length && ruled(k, parent).length > 0) cpuset.invalid = 'Parent unable to distribute cpu downstream'
  else cpuset.invalid = ''
  return cpuset.invalid === '' ? own : undefined
}

/** A set's effective CPUs and nodes are known: its tasks get what is new. */
function settleSet(k: Kernel, group: Cgroup, cpuset: Cpuset, cpus: readonly number[], mems: number, giveWay: GiveWay | undefined): void {
  const newCpus = cpus.join() !== cpuset.effectiveCpus.join()
  const newMems = mems !== cpuset.effectiveMems
  cpuset.effectiveCpus = cpus
  cpuset.effectiveMems = mems
  const tasks = ruled(k, group)
  if (newCpus) for (const task of tasks) task.cpusAllowed = cpus
  if (!newMems) return
  for (const task of tasks) rebind(k, task, mems, cpuset.oldMems, giveWay)
  cpuset.oldMems = mems
}

/** The task may use other nodes from now on; its memory moves there from those it was last moved to (cpuset_change_task_nodemask). */
function rebind(k: Kernel, task: Task, mems: number, from: number, giveWay?: GiveWay): void {
  const { mm } = task
  task.policy = mpolRebind(task.policy, mems)
  task.memsAllowed = mems
  if (mm === undefined) return
  for (const vma of eachVma(mm)) vma.policy = mpolRebind(vma.policy, mems)
  if (from === mems) return
  const { current } = k
  k.current = undefined
  doMigratePages(k, mm, from, mems, MPOL_MF_MOVE_ALL, giveWay)
  k.current = current
}

/** A task has come to a group: what rules it may have changed (cpuset_attach). */
export function cpusetAttach(k: Kernel, task: Task, group: Cgroup): void {
  const to = cpusetGroup(k, group)
  if (task.cpuset === to.id) return
  const from = k.cgroup.groups.get(task.cpuset)?.cpuset
  const cpuset = cpusetOf(k, to)
  task.cpuset = to.id
  task.cpusAllowed = cpuset.effectiveCpus
  const old = from === undefined ? memoryNodes(k) : from.oldMems
  rebind(k, task, cpuset.effectiveMems, old)
  if (to.cpuset !== undefined) to.cpuset.oldMems = cpuset.effectiveMems
}

/** CPUs the task may ask for (cpuset_cpus_allowed): in the root all that there are. */
export function cpusetCpusAllowed(k: Kernel, task: Task): readonly number[] {
  const group = k.cgroup.groups.get(task.cpuset)
  return group?.cpuset === undefined || group.parent === 0 ? k.cpus.map(cpu => cpu.id) : group.cpuset.effectiveCpus
}

// --- what the files take

/** cpuset.mems. @param giveWay lets others run while memory moves. @returns 0 or a negative errno */
export function cpusetSetMems(k: Kernel, group: Cgroup, text: string, giveWay?: GiveWay): number {
  const { cpuset } = group
  const nodes = text === '' ? [] : parseList(text, MAX_NODES)
  if (cpuset === undefined || typeof nodes === 'number') return typeof nodes === 'number' ? nodes : -EINVAL
  const mems = nodeMask(nodes)
  if ((mems & ~memoryNodes(k)) !== 0) return -EINVAL
  if (mems === cpuset.mems) return 0
  if (mems === 0 && ruled(k, group).length > 0) return -ENOSPC
  cpuset.mems = mems
  refreshAll(k, giveWay)
  return 0
}

/** cpuset.cpus. @returns 0 or a negative errno */
export function cpusetSetCpus(k: Kernel, group: Cgroup, text: string): number {
  const { cpuset } = group
  const cpus = text === '' ? [] : parseList(text, k.cpus.length)
  if (cpuset === undefined || typeof cpus === 'number') return typeof cpus === 'number' ? cpus : -EINVAL
  if (cpus.join() === cpuset.cpus.join()) return 0
  if (cpus.length === 0 && ruled(k, group).length > 0) return -ENOSPC
  cpuset.cpus = cpus
  refreshAll(k)
  return 0
}

/** cpuset.cpus.partition. @returns 0 or -EINVAL */
export function cpusetSetPartition(k: Kernel, group: Cgroup, word: string): number {
  const { cpuset } = group
  if (cpuset === undefined || (word !== 'member' && word !== 'root' && word !== 'isolated')) return -EINVAL
  if (word === cpuset.partition) return 0
  cpuset.partition = word
  cpuset.invalid = ''
  refreshAll(k)
  return 0
}

/** What cpuset.cpus.partition says. */
export const partitionText = ({ partition, invalid }: Cpuset): string =>
  invalid === '' ? `${partition}\n` : `${partition} invalid (${invalid})\n`

/** "0-2,5" or "0-7:1/2" (every second): the numbers in order; -EINVAL, -ERANGE for one that is not below `limit`, -EOVERFLOW. */
export function parseList(text: string, limit: number): number[] | number {
  const found = new Set<number>()
  for (const part of text.split(/[,\s]+/).filter(word => word !== '')) {
    const [, first, last, used, group] = /^(all|N|\d+)(?:-(N|\d+))?(?::(\d+)\/(\d+))?$/.exec(part) ?? []
    if (first === undefined || (used !== undefined && last === undefined && first !== 'all')) return -EINVAL
    const bound = (word: string) => (word === 'N' ? limit - 1 : Number(word))
    const start = first === 'all' ? 0 : bound(first)
    const end = first === 'all' ? limit - 1 : last === undefined ? start : bound(last)
    const [take, of] = used === undefined || group === undefined ? [1, 1] : [Number(used), Number(group)]
    if (Math.max(start, end, take, of) >= UINT_LIMIT) return -EOVERFLOW
    if (start > end || of === 0 || take > of) return -EINVAL
    if (end >= limit) return -ERANGE
    for (let n = start; n <= end; n++) if ((n - start) % of < take) found.add(n)
  }
  return [...found].sort((a, b) => a - b)
}
