/**
 * The files that set the pools of huge TLB pages, as numbers: who may use which nodes, and what Linux refuses. The text is
 * read before (tunables_hugetlb.ts).
 *
 *     file                        pages come from and go to
 *     nr_hugepages                all nodes with memory, in turn
 *     nr_hugepages_mempolicy      the nodes of the writer's memory policy in turn, whatever its mode; all if it has none
 *     nodeN/.../nr_hugepages      that node alone; the count is that node's
 *
 * Source: mm/hugetlb.c (__nr_hugepages_store_common, nr_overcommit_hugepages_store, demote_store).
 */
import { EINVAL } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { Task } from '../base/state_mm.ts'
import { NO_NODE, type NodeId } from '../base/units.ts'
import { demoteHugePages, setMaxHugePages } from '../fault/hugetlb_resize.ts'
import { memoryNodes, policyPoolNodes } from '../frames/mempolicy.ts'
import type { GiveWay } from '../reclaim/migrate.ts'

/** Sets the persistent pages of the machine; `policyOf` is the writer when its memory policy is to be obeyed. */
export function storeNrHugepages(k: Kernel, h: Hstate, count: number, policyOf: Task | undefined, giveWay?: GiveWay): number {
  setMaxHugePages(k, h, count, NO_NODE, policyPoolNodes(k, policyOf) ?? memoryNodes(k), giveWay)
  return 0
}

/** Sets the pages of one node. */
export function storeNodeNrHugepages(k: Kernel, h: Hstate, count: number, node: NodeId, giveWay?: GiveWay): number {
  setMaxHugePages(k, h, count, node, 1 << node, giveWay)
  return 0
}

/** Sets how many surplus pages there may be; pages of 1 GiB are never surplus. @returns 0 or -EINVAL. */
export function storeNrOvercommitHugepages(h: Hstate, count: number): number {
  if (h.gigantic) return -EINVAL
  h.nrOvercommitHugePages = count
  return 0
}

/** Cuts free pages, of one node or (NO_NODE) of any, into smaller ones. @returns 0 or -EBUSY. */
export const storeDemote = (k: Kernel, h: Hstate, count: number, node: NodeId): number => demoteHugePages(k, h, count, node)
