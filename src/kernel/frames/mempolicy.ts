/**
 * Memory policies: which node a page is to come from, and which nodes may help out.
 *
 *     for a page of an area     the area's policy (a shared object's own, for tmpfs and memfd), else
 *     for everything            the task's policy, else
 *                               local: the node of the CPU that asks
 *
 *     mode            begins at                       may use
 *     local           this CPU's node                 all
 *     preferred       its node                        all
 *     bind            this CPU's node (or home node)  its nodes only, nearest first
 *     preferred_many  this CPU's node (or home node)  its nodes, then all
 *     interleave      each page its own node          all
 *
 * Interleaving goes by the page's offset where there is an area, so the layout does not depend on the order of faults;
 * otherwise by a counter of the task.
 *
 * A policy is an immutable value. What the user asked for is narrowed to the nodes the task may use, when the policy is made and
 * again when a cpuset changes them:
 *
 *     plain       asked AND allowed; later the i-th old node becomes the i-th new one
 *     static      asked AND allowed, always of what was asked first
 *     relative    asked, folded to as many bits as nodes are allowed, then laid onto those
 *
 * Masks have a bit per node. Users may name nodes far beyond any machine's; those share one bit, which no machine has.
 *
 * Source: mm/mempolicy.c (mpol_new, mpol_set_nodemask, mpol_rebind_policy, policy_node, policy_nodemask, offset_il_node,
 * interleave_nodes, get_vma_policy, mpol_shared_policy_init), lib/bitmap.c.
 */
import { EINVAL } from '../base/errno.ts'
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { SharedPolicy } from '../base/state_fs.ts'
import type { Task, Vma } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { asNode, NO_NODE, type NodeId } from '../base/units.ts'
import { ALL_NODES } from './rmqueue.ts'

/** What applies where nobody said anything. */
export const DEFAULT_POLICY: Mempolicy = { mode: MPOL_LOCAL, flags: 0, nodes: 0, userNodes: 0, homeNode: NO_NODE }

export const MPOL_MODE_FLAGS = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING

/** What a policy is asked about of an area: any object of this shape stands for one (fallocate has no area). */
export type PolicyArea = Pick<Vma, 'mapping' | 'pgoff' | 'policy'>

// --- node masks

/** The node of the CPU that runs now. */
export const localNode = (k: Kernel): NodeId => k.cpus[k.cpu].node

export const firstNode = (mask: number): NodeId => asNode(31 - Math.clz32(mask & -mask))
export const nodesIn = (mask: number): number => {
  let n = 0
  for (let m = mask; m !== 0; m &= m - 1) n++
  return n
}
/** The next node of the mask after `node`, wrapping around. */
export function nextNodeIn(mask: number, node: number): NodeId {
  const above = mask & ~((2 << node) - 1)
  return firstNode(node < 0 || above === 0 ? mask : above)
}

export const hasNode = (mask: number, node: number): boolean => ((mask >> node) & 1) !== 0

/** Nodes that have memory (N_MEMORY). */
export const memoryNodes = (k: Kernel): number =>
  k.nodes.reduce((mask, node) => (node.ownZonelist.length > 0 ? mask | (1 << node.id) : mask), 0)

/** Nodes with memory that the task's cpuset allows; a kernel thread may use all. */
export const memsAllowed = (k: Kernel, task: Task | undefined): number => memoryNodes(k) & (task?.memsAllowed ?? ALL_NODES)

/** The bit for all nodes that no machine has. */
const FAR_NODE = 30

/** A mask of the nodes a user named. */
export const nodeMask = (nodes: readonly number[]): number => nodes.reduce((mask, node) => mask | (1 << Math.min(node, FAR_NODE)), 0)

export const maskNodes = (mask: number): number[] =>
  Array.from({ length: FAR_NODE + 1 }, (_, node) => node).filter(node => hasNode(mask, node))

/** Laid over `size` bits again and again (nodes_fold). */
const fold = (mask: number, size: number) => nodeMask(maskNodes(mask).map(node => node % size))

/** The n-th bit becomes the n-th set bit of `onto`; bits beyond those are dropped (nodes_onto). */
function onto(mask: number, target: number): number {
  const nodes = maskNodes(target)
  return nodeMask(maskNodes(mask).flatMap(n => (n < nodes.length ? [nodes[n]] : [])))
}

/** The n-th set bit of `from` becomes the n-th of `to`, wrapping around; bits not in `from` stay (nodes_remap). */
export function remapNodes(mask: number, from: number, to: number): number {
  const old = maskNodes(from)
  const fresh = maskNodes(to)
  if (fresh.length === 0) return mask
  return nodeMask(maskNodes(mask).map(node => (old.includes(node) ? fresh[old.indexOf(node) % fresh.length] : node)))
}

const relative = (asked: number, allowed: number) => onto(fold(asked, nodesIn(allowed)), allowed)

// --- making policies

/** Whether the policy keeps what the user asked for, rather than what was allowed then, to go by later. */
export const keepsUserNodes = (policy: Mempolicy) => (policy.flags & MPOL_MODE_FLAGS) !== 0

/**
 * A policy as a task may have it (mpol_new and mpol_set_nodemask).
 * @param asked mask of the nodes the user named; @param allowed nodes with memory that the task may use.
 * @returns the policy, undefined for the default one, or -EINVAL.
 */
export function mpolNew(mode: number, flags: number, asked: number, allowed: number): Mempolicy | undefined | number {
  const positioned = (flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)) !== 0
  if (mode === MPOL_DEFAULT) return asked === 0 ? undefined : -EINVAL
  if (mode === MPOL_LOCAL || (mode === MPOL_PREFERRED && asked === 0))
    return asked !== 0 || positioned ? -EINVAL : { ...DEFAULT_POLICY, flags }
  if (asked === 0) return -EINVAL
  const nodes = (flags & MPOL_F_RELATIVE_NODES) !== 0 ? relative(asked, allowed) : asked & allowed
  if (nodes === 0) return -EINVAL
  const userNodes = (flags & MPOL_MODE_FLAGS) !== 0 ? asked : allowed
  return { mode, flags, nodes: mode === MPOL_PREFERRED ? 1 << firstNode(nodes) : nodes, userNodes, homeNode: NO_NODE }
}

/** The policy after the nodes its task may use have changed (mpol_rebind_policy). */
export function mpolRebind(policy: Mempolicy | undefined, allowed: number): Mempolicy | undefined {
  if (policy === undefined || policy.mode === MPOL_LOCAL) return policy
  if (!keepsUserNodes(policy) && policy.userNodes === allowed) return policy
  const userNodes = policy.mode === MPOL_PREFERRED || policy.mode === MPOL_PREFERRED_MANY ? allowed : policy.userNodes
  if (policy.mode !== MPOL_BIND && policy.mode !== MPOL_INTERLEAVE) return { ...policy, userNodes }
  if ((policy.flags & MPOL_F_STATIC_NODES) !== 0) return { ...policy, nodes: policy.userNodes & allowed || allowed }
  if ((policy.flags & MPOL_F_RELATIVE_NODES) !== 0) return { ...policy, nodes: relative(policy.userNodes, allowed) || allowed }
  return { ...policy, nodes: remapNodes(policy.nodes, policy.userNodes, allowed) || allowed, userNodes: allowed }
}

/** Whether two areas' policies are the same, so that the areas could be one (mpol_equal). */
export function samePolicy(a: Mempolicy | undefined, b: Mempolicy | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined || a.mode !== b.mode || a.flags !== b.flags || a.homeNode !== b.homeNode) return false
  if (keepsUserNodes(a) && a.userNodes !== b.userNodes) return false
  return a.nodes === b.nodes
}

// --- which policy applies

export const taskPolicy = (k: Kernel): Mempolicy => k.current?.policy ?? k.policies.default

/** Whether policies of areas that map this are the object's own, seen by all who map it. */
export const hasSharedPolicy = (area: PolicyArea): boolean => {
  const type = area.mapping?.inode.sb.type
  return type === 'tmpfs' || type === 'shmem'
}

/** The policy that governs the page `offset` pages into an area: the shared object's, the area's, the task's (get_vma_policy). */
export function vmaPolicy(k: Kernel, area: PolicyArea, offset: number): Mempolicy {
  return areaPolicy(area, offset) ?? taskPolicy(k)
}

/** The policy that was set for this page of the area, if any. */
export const areaPolicy = (area: PolicyArea, offset: number): Mempolicy | undefined =>
  hasSharedPolicy(area) ? sharedPolicy(area, offset) : area.policy

/** The policy of the object that a shared area maps, at this page; undefined where it has none. */
export function sharedPolicy(area: PolicyArea, offset: number): Mempolicy | undefined {
  const inode = area.mapping?.inode
  if (inode === undefined || inode.policies.length === 0) return undefined
  const index = area.pgoff + offset
  return inode.policies.find(range => range.start <= index && index < range.end)?.policy
}

/** Gives pages [start, end) of an object a policy, or takes theirs (mpol_set_shared_policy). */
export function setSharedPolicy(policies: SharedPolicy[], start: number, end: number, policy: Mempolicy | undefined): void {
  const rest = policies.flatMap(range => [
    { ...range, end: Math.min(range.end, start) },
    { ...range, start: Math.max(range.start, end) },
  ])
  if (policy !== undefined) rest.push({ start, end, policy })
  policies.splice(0, policies.length, ...rest.filter(range => range.start < range.end).sort((a, b) => a.start - b.start))
}

/** The policies a new file of a file system mounted with mpol= begins with, in terms of the nodes its maker may use. */
export function initialSharedPolicy(k: Kernel, mount: Mempolicy | undefined): SharedPolicy[] {
  if (mount === undefined) return []
  const policy = mpolNew(mount.mode, mount.flags, mount.userNodes, memsAllowed(k, k.current))
  return typeof policy === 'object' ? [{ start: 0, end: Number.POSITIVE_INFINITY, policy }] : []
}

// --- which node

/** Where a search for pages begins under the policy; `local` is the node of the CPU that asks (policy_node). */
export function policyNode(policy: Mempolicy, local: NodeId): NodeId {
  if (policy.mode === MPOL_PREFERRED && policy.nodes !== 0) return firstNode(policy.nodes)
  if ((policy.mode === MPOL_BIND || policy.mode === MPOL_PREFERRED_MANY) && policy.homeNode >= 0) return policy.homeNode
  return local
}

/**
 * The nodes a page may come from under the policy. One that binds to nodes of which the task's cpuset allows none is void: an object's, by
 * another task.
 */
export function policyNodemask(k: Kernel, policy: Mempolicy): number {
  if (policy.mode === MPOL_PREFERRED_MANY) return policy.nodes
  return policy.mode === MPOL_BIND && (policy.nodes & (k.current?.memsAllowed ?? ALL_NODES)) !== 0 ? policy.nodes : ALL_NODES
}

/** The node of interleave position `n`, of which only the low 32 bits count (offset_il_node). */
export function interleaveNode(policy: Mempolicy, n: number, local: NodeId): NodeId {
  const count = nodesIn(policy.nodes)
  if (count === 0) return local
  let node = firstNode(policy.nodes)
  for (let i = (n >>> 0) % count; i > 0; i--) node = nextNodeIn(policy.nodes, node)
  return node
}

/** Interleave position of a page of an area, in units of 2^order pages. */
export const interleavePosition = (area: PolicyArea, offset: number, order: number): number =>
  order === 0 ? area.pgoff + offset : Math.floor(area.pgoff / 2 ** order) + Math.floor(offset / 2 ** order)

/** The node the task's counter says comes next, which counts on (interleave_nodes). */
export function interleaveNext(k: Kernel, policy: Mempolicy): NodeId {
  const holder = k.current
  const next = nextNodeIn(policy.nodes, holder === undefined ? k.policies.interleavePrev : holder.ilPrev)
  if (holder === undefined) k.policies.interleavePrev = next
  else holder.ilPrev = next
  return next
}

/** The nodes that a resize of the hugetlb pools may use by the task's policy; undefined when it has none (init_nodemask_of_mempolicy). */
export function policyPoolNodes(k: Kernel, task: Task | undefined): number | undefined {
  const policy = task?.policy
  if (policy === undefined) return undefined
  return policy.mode === MPOL_LOCAL ? 1 << localNode(k) : policy.nodes
}

export const isInterleave = (policy: Mempolicy) => policy.mode === MPOL_INTERLEAVE && policy.nodes !== 0
