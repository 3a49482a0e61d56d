/**
 * Control groups, version 2: the tree of directories under /sys/fs/cgroup, the controllers they have, and the tasks in them.
 *
 *     /sys/fs/cgroup (1)      cgroup.subtree_control "memory cpuset": the children below have these controllers
 *        └── G                memory.*, cpuset.* files; its tasks are charged to its memory cgroup
 *             └── C           has no memory of its own unless G's subtree_control says so: then G's is used
 *
 * A group with tasks may not give domain controllers (memory) to its children, and a group that does may have no tasks: processes
 * compete in leaves only. The root is free of that. Groups of the type "threaded" may only have controllers that do not mind (cpuset, cpu, pids).
 *
 * When a group gets or loses memory of its own its tasks are charged elsewhere from then on; pages stay where they are charged, as
 * they do when a task moves. Controllers that are not modelled can be switched on and have no files.
 *
 * Source: kernel/cgroup/cgroup.c of 6.1 (cgroup_mkdir, cgroup_destroy_locked, cgroup_subtree_control_write, __cgroup_procs_write).
 */
import { percpuCharge } from '../alloc/charge.ts'
import { must } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { EAGAIN, EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, EOPNOTSUPP, ESRCH } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { Cgroup } from '../base/state_cgroup.ts'
import type { Task } from '../base/state_mm.ts'
import { memcgCreate, memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'
import { drainAllStock, protect, releaseMemcg } from '../frames/memcg_charge.ts'
import { reparentShrinkers } from '../reclaim/shadow_shrink.ts'
import { lruGenMigrateMm } from '../spaces/lru_gen_mm.ts'
import { cpusetAttach, cpusetOffline, cpusetOnline, rootCpuset } from './cpuset.ts'

export const CGROUP_ROOT = 1
/** Controllers, in the order in which files name them. */
const CONTROLLERS: readonly string[] = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc']
export const CONTROLLER_CPUSET = 1
export const CONTROLLER_MEMORY = 8
const ALL_CONTROLLERS = 0xff
/** Controllers that threaded groups may have: cpuset, cpu, pids. */
const THREADED = 0b100011
export const NO_MAXIMUM = 2 ** 31 - 1
/** Files of a directory: each takes a number of its own, as the directory does. */
const CORE_FILES = 14
const CONTROLLER_FILES: readonly (readonly [controller: number, files: number])[] = [
  [CONTROLLER_CPUSET, 5],
  [CONTROLLER_MEMORY, 18],
]

export const cgroupOf = (k: Kernel, id: number): Cgroup => must(k.cgroup.groups.get(id), `there is no cgroup ${id}`)
const parentOf = (k: Kernel, group: Cgroup): Cgroup | undefined => k.cgroup.groups.get(group.parent)

/** The group and all groups below it, parents first. */
export function cgroupTree(k: Kernel, id: number): Cgroup[] {
  const group = cgroupOf(k, id)
  return [group, ...group.children.flatMap(child => cgroupTree(k, child))]
}

/** Path below the mount point: "/" for the root. */
export function cgroupPath(k: Kernel, id: number): string {
  const names: string[] = []
  for (let at = cgroupOf(k, id); at.parent !== 0; at = cgroupOf(k, at.parent)) names.unshift(at.name)
  return `/${names.join('/')}`
}

/** The child of that name. */
export const cgroupChild = (k: Kernel, group: Cgroup, name: string): Cgroup | undefined =>
  group.children.map(id => cgroupOf(k, id)).find(child => child.name === name)

/** Tasks in the group itself, in order of their pids. */
export const cgroupTasks = (k: Kernel, id: number): Task[] =>
  [...k.tasks.values()].filter(task => task.cgroup === id).sort((a, b) => a.pid - b.pid)

/** Whether there are tasks in the group or below it. */
export const isPopulated = (k: Kernel, id: number): boolean => cgroupTree(k, id).some(group => cgroupTasks(k, group.id).length > 0)

// --- types

const isThreaded = ({ id, domain }: Cgroup) => domain !== id
const isRoot = ({ parent }: Cgroup) => parent === 0

/** Some child is threaded, or it has tasks and gives controllers to threads (cgroup_is_thread_root). */
function isThreadRoot(k: Kernel, group: Cgroup): boolean {
  if (isThreaded(group)) return false
  if (group.children.some(id => isThreaded(cgroupOf(k, id)))) return true
  return cgroupTasks(k, group.id).length > 0 && (group.subtreeControl & THREADED) !== 0
}

function canBeThreadRoot(k: Kernel, group: Cgroup): boolean {
  if (isRoot(group)) return true
  if (isThreaded(group) || group.children.some(id => !isThreaded(cgroupOf(k, id)) && isPopulated(k, id))) return false
  return (group.subtreeControl & ~THREADED) === 0
}

/** No threaded group stands above it (cgroup_is_valid_domain). */
function isValidDomain(k: Kernel, group: Cgroup): boolean {
  if (isThreaded(group)) return false
  for (let at = parentOf(k, group); at !== undefined; at = parentOf(k, at)) {
    if (!isRoot(at) && isThreadRoot(k, at)) return false
    if (isThreaded(at)) return false
  }
  return true
}

/** What cgroup.type says. */
export function cgroupType(k: Kernel, group: Cgroup): string {
  if (isThreaded(group)) return 'threaded'
  if (!isValidDomain(k, group)) return 'domain invalid'
  return isThreadRoot(k, group) ? 'domain threaded' : 'domain'
}

/** cgroup.type: makes the group a threaded one of its parent's domain. */
export function cgroupEnableThreaded(k: Kernel, group: Cgroup): number {
  if (isThreaded(group)) return 0
  const domain = cgroupOf(k, cgroupOf(k, group.parent).domain)
  if (isPopulated(k, group.id) || (group.subtreeControl & ~THREADED) !== 0) return -EOPNOTSUPP
  if (!isValidDomain(k, domain) || !canBeThreadRoot(k, domain)) return -EOPNOTSUPP
  for (const below of cgroupTree(k, group.id)) if (below === group || isThreaded(below)) below.domain = domain.id
  return applyControl(k, group)
}

// --- controllers

/** Controllers the group could have: what its parent gives (cgroup_control). */
export function cgroupControl(k: Kernel, group: Cgroup): number {
  const given = parentOf(k, group)?.subtreeControl ?? ALL_CONTROLLERS
  return isThreaded(group) ? given & THREADED : given
}

/** The text of a set of controllers. */
export const controllersText = (bits: number): string => `${CONTROLLERS.filter((_, i) => ((bits >> i) & 1) !== 0).join(' ')}\n`

/** cgroup.subtree_control: "+memory -cpuset". @returns 0 or a negative errno */
export function cgroupSetSubtreeControl(k: Kernel, group: Cgroup, text: string): number {
  const wish = parseControllers(text)
  if (wish === undefined) return -EINVAL
  const enable = wish.enable & ~group.subtreeControl
  const disable = wish.disable & group.subtreeControl
  for (let bit = 1; bit <= ALL_CONTROLLERS; bit <<= 1) {
    if ((enable & ~cgroupControl(k, group) & bit) !== 0) return -ENOENT
    if ((disable & bit) !== 0 && group.children.some(id => (cgroupOf(k, id).subtreeControl & bit) !== 0)) return -EBUSY
  }
  if (enable === 0 && disable === 0) return 0
  const refused = vetEnable(k, group, enable)
  if (refused < 0) return refused
  group.subtreeControl = (group.subtreeControl | enable) & ~disable
  return applyControl(k, group)
}

function parseControllers(text: string): { enable: number; disable: number } | undefined {
  let enable = 0
  let disable = 0
  for (const word of text.split(' ').filter(part => part !== '')) {
    const index = CONTROLLERS.indexOf(word.slice(1))
    if (index < 0 || (word[0] !== '+' && word[0] !== '-')) return undefined
    const bit = 1 << index
    enable = word[0] === '+' ? enable | bit : enable & ~bit
    disable = word[0] === '-' ? disable | bit : disable & ~bit
  }
  return { enable, disable }
}

/** Whether the group may give its children these controllers (cgroup_vet_subtree_control_enable). */
function vetEnable(k: Kernel, group: Cgroup, enable: number): number {
  if (enable === 0) return 0
  if (!isValidDomain(k, cgroupOf(k, group.domain))) return -EOPNOTSUPP
  if (isRoot(group)) return 0
  if ((enable & ~THREADED) !== 0) {
    if (isThreadRoot(k, group) || isThreaded(group)) return -EOPNOTSUPP
  } else if (canBeThreadRoot(k, group) || isThreaded(group)) return 0
  return cgroupTasks(k, group.id).length > 0 ? -EBUSY : 0
}

/** Brings what the groups of a tree have in line with what they are given, and their tasks to what rules them now (cgroup_apply_control). */
function applyControl(k: Kernel, top: Cgroup): number {
  for (const group of cgroupTree(k, top.id)) {
    const parent = parentOf(k, group)
    if (parent === undefined) continue
    const control = cgroupControl(k, group)
    const had = group.memcg !== parent.memcg && memcgOf(k, group.memcg).cgroup === group.id
    if ((control & CONTROLLER_MEMORY) !== 0 && !had) {
      const memcg = memcgCreate(k, group.id, parent.memcg)
      if (memcg === undefined) return -ENOSPC
      group.memcg = memcg.id
      percpuCharge(k, parent.memcg)
    } else if ((control & CONTROLLER_MEMORY) === 0) {
      if (had) memcgOffline(k, group.memcg)
      group.memcg = parent.memcg
    }
    if ((control & CONTROLLER_CPUSET) === 0) cpusetOffline(k, group)
    else cpusetOnline(k, group)
  }
  for (const group of cgroupTree(k, top.id)) for (const task of cgroupTasks(k, group.id)) settle(k, task, group)
  return 0
}

/** The group's memory has no directory any more (mem_cgroup_css_offline). */
function memcgOffline(k: Kernel, id: number): void {
  const memcg = memcgOf(k, id)
  memcg.memory.min = 0
  memcg.memory.low = 0
  protect(k, id, 'memory')
  drainAllStock(k, id)
  memcg.online = false
  reparentShrinkers(k, id, memcg.parent)
  releaseMemcg(k, memcg)
}

// --- directories

/** mount(2) of cgroup2: the root's directory, of which the machine has one, is seen at /sys/fs/cgroup from now on. */
export function cgroupMount(k: Kernel): void {
  k.cgroup.mounted = true
  const root = cgroupOf(k, CGROUP_ROOT)
  root.cpuset ??= rootCpuset(k)
}

/** The group of a path below the mount point, "a/b"; undefined where there is none. */
export function cgroupAt(k: Kernel, path: string): Cgroup | undefined {
  let at: Cgroup | undefined = k.cgroup.mounted ? cgroupOf(k, CGROUP_ROOT) : undefined
  for (const name of path.split('/').filter(part => part !== '')) at = at === undefined ? undefined : cgroupChild(k, at, name)
  return at
}

/** mkdir(2) of a path below the mount point. @returns 0, -ENOENT where its parent is not there, or what cgroupMkdir says */
export function cgroupMkdirAt(k: Kernel, path: string): number {
  const parts = path.split('/').filter(part => part !== '')
  const name = parts.pop()
  const parent = cgroupAt(k, parts.join('/'))
  if (name === undefined) return -EEXIST
  if (parent === undefined) return -ENOENT
  const made = cgroupMkdir(k, parent, name)
  return typeof made === 'number' ? made : 0
}

/** mkdir(2) in a group's directory. @returns the new group, or a negative errno */
function cgroupMkdir(k: Kernel, parent: Cgroup, name: string): Cgroup | number {
  if (cgroupChild(k, parent, name) !== undefined) return -EEXIST
  if (name.includes('\n')) return -EINVAL
  if (!underLimits(k, parent)) return -EAGAIN
  spend(k, COST.lookup, 1)
  const group: Cgroup = {
    id: k.cgroup.nextId,
    name,
    parent: parent.id,
    children: [],
    domain: 0,
    subtreeControl: 0,
    memcg: parent.memcg,
    cpuset: undefined,
    maxDepth: NO_MAXIMUM,
    maxDescendants: NO_MAXIMUM,
    frozen: false,
    pressure: true,
  }
  group.domain = group.id
  const control = parent.subtreeControl
  k.cgroup.nextId += 1 + CORE_FILES + CONTROLLER_FILES.reduce((sum, [bit, files]) => sum + ((control & bit) !== 0 ? files : 0), 0)
  k.cgroup.groups.set(group.id, group)
  parent.children.push(group.id)
  const ret = applyControl(k, group)
  if (ret < 0) {
    cgroupRmdir(k, group)
    return -ENOMEM
  }
  return group
}

function underLimits(k: Kernel, parent: Cgroup): boolean {
  let level = 0
  for (let at: Cgroup | undefined = parent; at !== undefined; at = parentOf(k, at), level++) {
    if (cgroupTree(k, at.id).length - 1 >= at.maxDescendants || level >= at.maxDepth) return false
  }
  return true
}

/** rmdir(2) of a group. @returns 0 or -EBUSY while it has tasks or groups below it */
export function cgroupRmdir(k: Kernel, group: Cgroup): number {
  if (isRoot(group) || isPopulated(k, group.id) || group.children.length > 0) return -EBUSY
  spend(k, COST.lookup, 1)
  const parent = cgroupOf(k, group.parent)
  cpusetOffline(k, group)
  parent.children.splice(parent.children.indexOf(group.id), 1)
  k.cgroup.groups.delete(group.id)
  if (group.memcg !== ROOT_MEMCG && group.memcg !== parent.memcg) memcgOffline(k, group.memcg)
  return 0
}

// --- tasks

/**
 * cgroup.procs, cgroup.threads: moves a process into the group. @returns 0 or a negative errno
 * @param pid 0 is the process that writes.
 */
export function cgroupAttach(k: Kernel, group: Cgroup, pid: number, writer: Task | undefined, whole: boolean): number {
  const task = pid === 0 ? (writer ?? k.tasks.get(1)) : k.tasks.get(pid)
  if (task === undefined) return -ESRCH
  if (!isValidDomain(k, cgroupOf(k, group.domain))) return -EOPNOTSUPP
  if (!canBeThreadRoot(k, group) && !isThreaded(group) && group.subtreeControl !== 0) return -EBUSY
  if (!whole && cgroupOf(k, task.cgroup).domain !== group.domain) return -EOPNOTSUPP
  if (task.cgroup === group.id) return 0
  task.cgroup = group.id
  return settle(k, task, group)
}

/** A task is charged, and restricted, as its group says. */
function settle(k: Kernel, task: Task, group: Cgroup): number {
  task.frozen = isFrozen(k, group)
  task.memcg = group.memcg
  if (task.mm !== undefined) {
    task.mm.memcg = group.memcg
    lruGenMigrateMm(k, task.mm)
  }
  cpusetAttach(k, task, group)
  return 0
}

/** Whether the group or one above it is frozen. */
export function isFrozen(k: Kernel, group: Cgroup): boolean {
  for (let at: Cgroup | undefined = group; at !== undefined; at = parentOf(k, at)) if (at.frozen) return true
  return false
}

/** cgroup.freeze: stops the processes of the group and below it, or lets them go on. */
export function cgroupFreeze(k: Kernel, group: Cgroup, frozen: boolean): void {
  group.frozen = frozen
  for (const below of cgroupTree(k, group.id)) for (const task of cgroupTasks(k, below.id)) task.frozen = isFrozen(k, below)
}

/** cgroup.kill: ends all processes of the group and below it; whoever runs processes does it. */
export function cgroupKill(k: Kernel, group: Cgroup): number {
  if (isThreaded(group)) return -EOPNOTSUPP
  for (const { id } of cgroupTree(k, group.id)) for (const task of cgroupTasks(k, id)) task.killed = SIGKILL
  return 0
}

const SIGKILL = 9
