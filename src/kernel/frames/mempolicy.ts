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
 * Source: mm/mempolicy.c (policy_node, policy_nodemask, offset_il_node, interleave_nodes, get_vma_policy).
 */
import { MPOL_BIND, MPOL_DEFAULT, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED, MPOL_PREFERRED_MANY } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { asNode, HPAGE_PMD_ORDER, NO_NODE, type NodeId } from '../base/units.ts'
import { ALL_NODES } from './rmqueue.ts'

/** What applies where nobody said anything. */
export const DEFAULT_POLICY: Mempolicy = { mode: MPOL_LOCAL, flags: 0, nodes: 0, userNodes: 0, homeNode: NO_NODE }

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

/** Bit per node that exists. */
export const onlineNodes = (k: Kernel): number => (1 << k.nodes.length) - 1

export const taskPolicy = (k: Kernel): Mempolicy => k.current?.policy ?? k.policies.default

/** The policy that governs the page `offset` pages into an area: the shared object's, the area's, the task's (get_vma_policy). */
export function vmaPolicy(k: Kernel, vma: Vma, offset: number): Mempolicy {
  const inode = vma.mapping?.inode
  if (inode !== undefined && (inode.sb.type === 'tmpfs' || inode.sb.type === 'shmem')) return sharedPolicy(vma, offset) ?? taskPolicy(k)
  return vma.policy ?? taskPolicy(k)
}

/** The policy of the object that a shared area maps, at this page; undefined where it has none. */
export function sharedPolicy(vma: Vma, offset: number): Mempolicy | undefined {
  const inode = vma.mapping?.inode
  if (inode === undefined || inode.policies.length === 0) return undefined
  const index = vma.pgoff + offset
  return inode.policies.find(range => range.start <= index && index < range.end)?.policy
}

/** Where a search for pages begins under the policy; `local` is the node of the CPU that asks (policy_node). */
export function policyNode(policy: Mempolicy, local: NodeId): NodeId {
  if (policy.mode === MPOL_PREFERRED && policy.nodes !== 0) return firstNode(policy.nodes)
  if ((policy.mode === MPOL_BIND || policy.mode === MPOL_PREFERRED_MANY) && policy.homeNode >= 0) return policy.homeNode
  return local
}

/** The nodes a page may come from under the policy. */
export const policyNodemask = (policy: Mempolicy): number => (policy.mode === MPOL_BIND || policy.mode === MPOL_PREFERRED_MANY ? policy.nodes : ALL_NODES)

/** The node of interleave position `n` (offset_il_node). */
export function interleaveNode(policy: Mempolicy, n: number, local: NodeId): NodeId {
  const count = nodesIn(policy.nodes)
  if (count === 0) return local
  let node = firstNode(policy.nodes)
  for (let i = n % count; i > 0; i--) node = nextNodeIn(policy.nodes, node)
  return node
}

/** Interleave position of a page of an area, in units of 2^order pages. */
export const interleavePosition = (vma: Vma, offset: number, order: number): number =>
  order === HPAGE_PMD_ORDER ? Math.floor(vma.pgoff / 512) + Math.floor(offset / 512) : vma.pgoff + offset

/** The node the task's counter says comes next (interleave_nodes). */
export function interleaveNext(k: Kernel, policy: Mempolicy): NodeId {
  const holder = k.current
  const next = nextNodeIn(policy.nodes, holder === undefined ? k.policies.interleavePrev : holder.ilPrev)
  if (holder === undefined) k.policies.interleavePrev = next
  else holder.ilPrev = next
  return next
}

export const isInterleave = (policy: Mempolicy) => policy.mode === MPOL_INTERLEAVE && policy.nodes !== 0
export const isDefault = (policy: Mempolicy | undefined) => policy === undefined || policy.mode === MPOL_DEFAULT
