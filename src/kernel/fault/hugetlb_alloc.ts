/**
 * Huge TLB pages for those who need them: from the pool, or above it.
 *
 *     promise n pages      resv + n <= free ? they are there : make the rest as surplus pages, or refuse
 *     fault of a page      promised     -> any free page, nearest first by the memory policy
 *                          not promised -> one of the free pages nobody was promised, else a surplus page, else none: SIGBUS
 *
 * Fresh pages of 2 MiB come from the buddy allocator, which tries hard; while a pool grows, a node that had none is not
 * pressed again. Fresh pages of 1 GiB are found by a search (hugetlb_gigantic.ts), never as surplus.
 *
 * Source: mm/hugetlb.c (alloc_buddy_huge_page, alloc_fresh_huge_page, alloc_surplus_huge_page, gather_surplus_pages,
 * hugetlb_acct_memory, allowed_mems_nr, __vma_reservation_common, vma_has_reserves, dequeue_huge_page_vma, alloc_huge_page).
 */

import { allocPagesNode } from '../alloc/page_alloc.ts'
import { EV } from '../base/counters.ts'
import { ENOMEM } from '../base/errno.ts'
import {
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_NOWARN,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  GFP_HIGHUSER,
  GFP_HIGHUSER_MOVABLE,
  MPOL_BIND,
  MPOL_PREFERRED_MANY,
  VM_NORESERVE,
} from '../base/flags.ts'
import { regionAdd, regionMissing } from '../base/regions.ts'
import type { Kernel } from '../base/state.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { NO_PAGE, type NodeId, type Pfn } from '../base/units.ts'
import {
  availableHugePages,
  dequeueHugePage,
  enqueueHugePage,
  freeHugePage,
  HPG_RESTORE_RESERVE,
  HPG_TEMPORARY,
  nextNodeToAlloc,
  prepNewHugePage,
  returnPromises,
  setHugeFlag,
  setPageSubpool,
  subpoolGet,
  subpoolPut,
} from '../frames/hugetlb_pool.ts'
import {
  hasNode,
  interleaveNode,
  interleavePosition,
  isInterleave,
  localNode,
  memsAllowed,
  nodesIn,
  policyNode,
  taskPolicy,
  vmaPolicy,
} from '../frames/mempolicy.ts'
import { pageNode } from '../frames/page.ts'
import { ALL_NODES, gfpZone } from '../frames/rmqueue.ts'
import { type HugeArea, hstateOfArea, hugeIndex, hugeInode, isSharedArea, privatePromises, subpoolOfArea } from '../spaces/hugetlb.ts'
import { allocContigPages } from './hugetlb_gigantic.ts'
import { vmemmapOptimize } from './hugetlb_vmemmap.ts'

/** Nodes that had no page when last asked hard, while a pool grows. */
export interface NoRetry {
  nodes: number
}

/** Pages of 1 GiB cannot be moved out of the way, so they do not come from movable zones (htlb_alloc_mask). */
export const htlbAllocMask = (h: Hstate): number => (h.gigantic ? GFP_HIGHUSER : GFP_HIGHUSER_MOVABLE)

/** A page of 2 MiB from the buddy allocator, beginning at a node; NO_PAGE when there is none. */
function allocBuddyHugePage(k: Kernel, h: Hstate, gfp: number, node: NodeId, mask: number, noRetry: NoRetry | undefined): Pfn {
  const hard = noRetry === undefined || !hasNode(noRetry.nodes, node)
  const head = allocPagesNode(k, gfp | __GFP_COMP | __GFP_NOWARN | (hard ? __GFP_RETRY_MAYFAIL : 0), h.order, node, mask)
  k.event[head === NO_PAGE ? EV.htlb_buddy_alloc_fail : EV.htlb_buddy_alloc_success]++
  if (noRetry !== undefined && head === NO_PAGE) noRetry.nodes |= 1 << node
  else if (noRetry !== undefined) noRetry.nodes &= ~(1 << node)
  return head
}

/** A page that was no huge page before, counted as one of the pool's and on no list (alloc_fresh_huge_page). */
export function allocFreshHugePage(k: Kernel, h: Hstate, gfp: number, node: NodeId, mask: number, noRetry?: NoRetry): Pfn {
  const head = h.gigantic ? allocContigPages(k, h.order, gfp, node, mask) : allocBuddyHugePage(k, h, gfp, node, mask, noRetry)
  if (head === NO_PAGE) return NO_PAGE
  vmemmapOptimize(k, h, head)
  prepNewHugePage(k, h, head)
  return head
}

/** A page above the persistent ones, if overcommit leaves room for it; on no list yet. */
function allocSurplusHugePage(k: Kernel, h: Hstate, gfp: number, node: NodeId, mask: number): Pfn {
  if (h.gigantic || h.surplusHugePages >= h.nrOvercommitHugePages) return NO_PAGE
  const head = allocFreshHugePage(k, h, gfp, node, mask)
  if (head === NO_PAGE) return NO_PAGE
  h.surplusHugePages++
  h.surplusByNode[pageNode(k, head)]++
  return head
}

/** Promises `n` more pages, making surplus pages where the free ones do not suffice (gather_surplus_pages). */
function gatherSurplusPages(k: Kernel, h: Hstate, n: number): number {
  const needed = h.resvHugePages + n - h.freeHugePages
  const made: Pfn[] = []
  while (made.length < needed) {
    const head = allocSurplusHugePage(k, h, htlbAllocMask(h), localNode(k), ALL_NODES)
    if (head === NO_PAGE) {
      for (const page of made.reverse()) freeHugePage(k, page)
      return -ENOMEM
    }
    made.push(head)
  }
  h.resvHugePages += n
  for (const page of made.reverse()) enqueueHugePage(k, h, page)
  return 0
}

/** Free pages on nodes that the task may use at all, by its cpuset and a policy that binds it. */
function allowedMemsNr(k: Kernel, h: Hstate): number {
  const policy = taskPolicy(k)
  const mask = memsAllowed(k, k.current) & (policy.mode === MPOL_BIND ? policy.nodes : ALL_NODES)
  return h.freeByNode.reduce((sum, free, node) => (hasNode(mask, node) ? sum + free : sum), 0)
}

/** Promises `n` pages of the pool (hugetlb_acct_memory). @returns 0, or -ENOMEM and promises nothing. */
export function promiseHugePages(k: Kernel, h: Hstate, n: number): number {
  if (n === 0) return 0
  if (gatherSurplusPages(k, h, n) < 0) return -ENOMEM
  if (n <= allowedMemsNr(k, h)) return 0
  returnPromises(k, h, n)
  return -ENOMEM
}

// --- a page for an area

/** 0 when the page was promised and the promise not used yet, else 1 (vma_needs_reservation). */
function needsPromise(h: Hstate, area: HugeArea, offset: number): number {
  const index = hugeIndex(h, area, offset)
  if (isSharedArea(area)) return regionMissing(hugeInode(area).reserved, index, index + 1)
  const resv = privatePromises(area)
  return resv === undefined ? 1 : 1 - regionMissing(resv.consumed, index, index + 1)
}

/** Remembers that the page's promise is used, or that the file has the page (vma_commit_reservation). */
function commitPromise(h: Hstate, area: HugeArea, offset: number): void {
  const index = hugeIndex(h, area, offset)
  const regions = isSharedArea(area) ? hugeInode(area).reserved : privatePromises(area)?.consumed
  if (regions !== undefined) regionAdd(regions, index, index + 1)
}

/** Whether the page may come out of the promised ones; `change` is what needsPromise, or the quota, said. */
function hasReserves(area: HugeArea, change: number): boolean {
  if (isSharedArea(area)) return change === 0
  return (area.flags & VM_NORESERVE) === 0 && privatePromises(area) !== undefined && change === 0
}

/** Where the area's policy wants the page: the node to begin with, and the nodes that may help out (huge_node). */
interface Wish {
  readonly policy: Mempolicy
  readonly node: NodeId
  readonly mask: number
}

function hugeNode(k: Kernel, h: Hstate, area: HugeArea, offset: number): Wish {
  const policy = vmaPolicy(k, area, offset)
  const local = localNode(k)
  if (isInterleave(policy))
    return { policy, node: interleaveNode(policy, interleavePosition(area, offset, h.order), local), mask: ALL_NODES }
  const bound = policy.mode === MPOL_BIND || policy.mode === MPOL_PREFERRED_MANY
  return { policy, node: policyNode(policy, local), mask: bound ? policy.nodes : ALL_NODES }
}

/** A free page from the nearest node in the mask that has one (dequeue_huge_page_nodemask). */
function dequeueNearest(k: Kernel, h: Hstate, node: NodeId, mask: number): Pfn {
  const allowed = mask & memsAllowed(k, k.current)
  const highest = gfpZone(htlbAllocMask(h))
  let asked = -1
  for (const index of k.nodes[node].zonelist) {
    const zone = k.zones[index]
    if (zone.type > highest || zone.node === asked || !hasNode(allowed, zone.node)) continue
    asked = zone.node
    const head = dequeueHugePage(k, h, zone.node)
    if (head !== NO_PAGE) return head
  }
  return NO_PAGE
}

function dequeueForArea(k: Kernel, h: Hstate, wish: Wish, promised: boolean): Pfn {
  if (!promised && availableHugePages(h) === 0) return NO_PAGE
  const head = dequeueNearest(k, h, wish.node, wish.mask)
  return head === NO_PAGE && wish.policy.mode === MPOL_PREFERRED_MANY ? dequeueNearest(k, h, wish.node, ALL_NODES) : head
}

function surplusForArea(k: Kernel, h: Hstate, wish: Wish): Pfn {
  const gfp = htlbAllocMask(h)
  if (wish.policy.mode !== MPOL_PREFERRED_MANY) return allocSurplusHugePage(k, h, gfp, wish.node, wish.mask)
  const near = allocSurplusHugePage(k, h, (gfp | __GFP_NOWARN) & ~__GFP_DIRECT_RECLAIM, wish.node, wish.mask)
  return near !== NO_PAGE ? near : allocSurplusHugePage(k, h, gfp, wish.node, ALL_NODES)
}

/**
 * A page for the one `offset` base pages into the area, which is then to be mapped or put into the file (alloc_huge_page).
 * @param avoidReserve leave the area's promise alone: the page replaces one that has used it.
 * @returns NO_PAGE when pool, overcommit or the mount's quota have none.
 */
export function allocHugePage(k: Kernel, area: HugeArea, offset: number, avoidReserve: boolean): Pfn {
  const h = hstateOfArea(k, area)
  const subpool = subpoolOfArea(area)
  const unpromised = needsPromise(h, area, offset) !== 0 || avoidReserve
  const change = unpromised ? subpoolGet(subpool, 1) : 0
  if (change < 0) return NO_PAGE
  const promised = hasReserves(area, change)
  const wish = hugeNode(k, h, area, offset)
  let head = dequeueForArea(k, h, wish, promised)
  const fromPool = head !== NO_PAGE
  if (!fromPool) head = surplusForArea(k, h, wish)
  if (head === NO_PAGE) {
    if (unpromised) subpoolPut(k, subpool, 1)
    return NO_PAGE
  }
  if (promised && (fromPool || !avoidReserve)) {
    setHugeFlag(k, head, HPG_RESTORE_RESERVE)
    h.resvHugePages--
  }
  setPageSubpool(k, head, subpool)
  commitPromise(h, area, offset)
  return head
}

/** Grows the pool by one page, from the node whose turn it is or the next that has one; false when none has (alloc_pool_huge_page). */
export function allocPoolHugePage(k: Kernel, h: Hstate, mask: number, noRetry: NoRetry): boolean {
  for (let n = nodesIn(mask); n > 0; n--) {
    const head = allocFreshHugePage(k, h, htlbAllocMask(h) | __GFP_THISNODE, nextNodeToAlloc(h, mask), mask, noRetry)
    if (head === NO_PAGE) continue
    freeHugePage(k, head)
    return true
  }
  return false
}

/** A page to move another one to, by the area's policy: a free one that nobody was promised, else a temporary one (alloc_huge_page_vma). */
export function allocHugePageToMove(k: Kernel, h: Hstate, area: HugeArea, offset: number): Pfn {
  const { node, mask } = hugeNode(k, h, area, offset)
  const free = availableHugePages(h) > 0 ? dequeueNearest(k, h, node, mask) : NO_PAGE
  return free !== NO_PAGE ? free : allocTemporaryHugePage(k, h, htlbAllocMask(h), node, mask)
}

/** The same from one node only (alloc_huge_page_nodemask with __GFP_THISNODE). */
export function allocHugePageNode(k: Kernel, h: Hstate, nid: NodeId): Pfn {
  const free = availableHugePages(h) > 0 ? dequeueNearest(k, h, nid, 1 << nid) : NO_PAGE
  return free !== NO_PAGE ? free : allocTemporaryHugePage(k, h, htlbAllocMask(h) | __GFP_THISNODE, nid, 1 << nid)
}

/** The same from the nearest of some nodes (alloc_huge_page_nodemask). */
export function allocHugePageNodemask(k: Kernel, h: Hstate, nid: NodeId, mask: number): Pfn {
  const free = availableHugePages(h) > 0 ? dequeueNearest(k, h, nid, mask) : NO_PAGE
  return free !== NO_PAGE ? free : allocTemporaryHugePage(k, h, htlbAllocMask(h), nid, mask)
}

/** A page that is the pool's only for as long as it is used (alloc_migrate_huge_page). */
function allocTemporaryHugePage(k: Kernel, h: Hstate, gfp: number, node: NodeId, mask: number): Pfn {
  const head = h.gigantic ? NO_PAGE : allocFreshHugePage(k, h, gfp, node, mask)
  if (head !== NO_PAGE) setHugeFlag(k, head, HPG_TEMPORARY)
  return head
}
