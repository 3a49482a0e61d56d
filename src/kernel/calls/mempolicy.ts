/**
 * The task's memory policy, and questions about policies.
 *
 * What is refused, in Linux' order:
 *
 *     mode        unknown; both static and relative; balancing with any mode but bind                           EINVAL
 *     nodes       more than 32768 bits; a node that the kernel could never have                                 EINVAL
 *     together    default or local with nodes, the others but preferred without; none of the nodes allowed       EINVAL
 *
 * get_mempolicy asks for the task's policy, with MPOL_F_ADDR for that of an address, with MPOL_F_NODE for a node: the one
 * that the address' page is on, which is faulted in, or the one that interleaving turns to next. MPOL_F_MEMS_ALLOWED stands alone.
 *
 * Source: mm/mempolicy.c (kernel_set_mempolicy, sanitize_mpol_flags, get_nodes, do_set_mempolicy, do_get_mempolicy, kernel_get_mempolicy).
 */
import { EFAULT, EINVAL } from '../base/errno.ts'
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_ADDR,
  MPOL_F_MEMS_ALLOWED,
  MPOL_F_NODE,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED_MANY,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { asPfn, PAGE_SIZE } from '../base/units.ts'
import { faultinPage, kernelMayRead } from '../fault/populate.ts'
import { areaPolicy, keepsUserNodes, MPOL_MODE_FLAGS, memsAllowed, mpolNew, nextNodeIn, nodeMask } from '../frames/mempolicy.ts'
import { pageNode } from '../frames/page.ts'
import { entryValue, LEVEL_PMD, LEVEL_PTE, LEVEL_PUD, levelIndex, walkTo } from '../spaces/pagetable.ts'
import { vmaAt } from '../spaces/vma.ts'

/** Nodes that the kernel is built for; and bits that a node mask may have at most. */
const MAX_KERNEL_NODES = 1024
const MAX_MASK_BITS = 32768

/** A policy as a system call names it. */
export interface PolicyRequest {
  /** MPOL_DEFAULT .. MPOL_PREFERRED_MANY */
  readonly mode: number
  /** MPOL_F_STATIC_NODES and so on. */
  readonly flags: number
  readonly nodes: readonly number[]
  /** Bits that the mask has, plus one: Linux takes one less than it is told. */
  readonly maxnode: number
}

/** Checks the mode and the mask on their own. @returns the mask, or -EINVAL. */
export function checkRequest({ mode, flags, nodes, maxnode }: PolicyRequest): number {
  if (mode < MPOL_DEFAULT || mode > MPOL_PREFERRED_MANY) return -EINVAL
  if ((flags & MPOL_F_STATIC_NODES) !== 0 && (flags & MPOL_F_RELATIVE_NODES) !== 0) return -EINVAL
  if ((flags & MPOL_F_NUMA_BALANCING) !== 0 && mode !== MPOL_BIND) return -EINVAL
  return getNodes(nodes, maxnode)
}

/** A mask as user space hands it over (get_nodes). @param maxnode bits it has, plus one. @returns the mask, or -EINVAL. */
export function getNodes(nodes: readonly number[], maxnode: number): number {
  const named = nodes.filter(node => node < maxnode - 1)
  if (maxnode - 1 > MAX_MASK_BITS || named.some(node => node >= MAX_KERNEL_NODES)) return -EINVAL
  return nodeMask(named)
}

/** set_mempolicy(2). @returns 0 or -EINVAL. */
export function sysSetMempolicy(k: Kernel, task: Task, request: PolicyRequest): number {
  const asked = checkRequest(request)
  if (asked < 0) return asked
  const policy = mpolNew(request.mode, request.flags, asked, memsAllowed(k, task))
  if (typeof policy === 'number') return policy
  task.policy = policy
  if (policy?.mode === MPOL_INTERLEAVE) task.ilPrev = -1
  return 0
}

/** What get_mempolicy found: a mode with its flags and the nodes as a mask; or, for MPOL_F_NODE, a node in place of the mode. */
export interface FoundPolicy {
  readonly mode: number
  readonly nodes: number
}

/**
 * get_mempolicy(2).
 * @param address in bytes, 0 without MPOL_F_ADDR. @param maxnode of the mask that is asked for; undefined when none is.
 * @returns what was found, or -EINVAL or -EFAULT (or the errno of faulting the page in).
 */
export function sysGetMempolicy(k: Kernel, task: Task, flags: number, address: number, maxnode: number | undefined): FoundPolicy | number {
  if (maxnode !== undefined && maxnode < k.nodes.length) return -EINVAL
  if ((flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) !== 0) return -EINVAL
  if ((flags & MPOL_F_MEMS_ALLOWED) !== 0) return flags === MPOL_F_MEMS_ALLOWED ? { mode: 0, nodes: memsAllowed(k, task) } : -EINVAL
  if ((flags & MPOL_F_ADDR) !== 0) return policyAt(k, task, (flags & MPOL_F_NODE) !== 0, Math.floor(address / PAGE_SIZE))
  if (address !== 0) return -EINVAL
  if ((flags & MPOL_F_NODE) === 0) return shown(task.policy)
  return task.policy?.mode === MPOL_INTERLEAVE ? { mode: nextNodeIn(task.policy.nodes, task.ilPrev), nodes: 0 } : -EINVAL
}

function policyAt(k: Kernel, task: Task, node: boolean, vpn: number): FoundPolicy | number {
  const mm = task.mm
  const vma = mm === undefined ? undefined : vmaAt(mm, vpn)
  if (mm === undefined || vma === undefined) return -EFAULT
  if (!node) return shown(areaPolicy(vma, vpn - vma.start))
  const ret = nodeOfPage(k, mm, vma, vpn)
  return ret < 0 ? ret : { mode: ret, nodes: 0 }
}

/** The node of the page at an address, which is read if it is not there yet; -EFAULT where the program could not read it (lookup_node). */
function nodeOfPage(k: Kernel, mm: Mm, vma: Vma, vpn: number): number {
  const ret = kernelMayRead(vma) ? faultinPage(k, vma, vpn, false) : -EFAULT
  if (ret < 0) return ret
  for (const level of [LEVEL_PTE, LEVEL_PMD, LEVEL_PUD]) {
    const table = walkTo(k, mm, vpn, level)
    if (table !== 0) return pageNode(k, asPfn(entryValue(k, table, levelIndex(vpn, level))))
  }
  return -EFAULT
}

/** A policy as user space sees it. */
function shown(policy: Mempolicy | undefined): FoundPolicy {
  if (policy === undefined) return { mode: MPOL_DEFAULT, nodes: 0 }
  const nodes = keepsUserNodes(policy) ? policy.userNodes : policy.mode === MPOL_LOCAL ? 0 : policy.nodes
  return { mode: policy.mode | (policy.flags & MPOL_MODE_FLAGS), nodes }
}
