/**
 * The page allocator's policy, on one page: whom to ask, and what to do when nobody has any.
 *
 *     fast path (low mark; with zone_reclaim_mode each node in turn gives up its page cache first) ── page
 *        │ none
 *     wake kswapd, try the min mark and the reserves the request may use ── page
 *        │ none, and the request may not wait ─> fail
 *     compact (order > 0), reclaim, try again, until no progress ── page
 *        │
 *     OOM killer, or fail: with a line in the log (warn_alloc.ts), unless the caller can do without
 *
 * The rooms below take a page from the lists or not; only this one decides to make room.
 *
 * Source: mm/page_alloc.c (__alloc_pages, __alloc_pages_slowpath, gfp_to_alloc_flags), mm/mempolicy.c (vma_alloc_folio,
 * alloc_pages, alloc_page_interleave, alloc_pages_preferred_many).
 */

import { NUMA } from '../base/counters.ts'
import {
  __GFP_ACCOUNT,
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_HARDWALL,
  __GFP_HIGH,
  __GFP_IO,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NOMEMALLOC,
  __GFP_NORETRY,
  __GFP_THISNODE,
  ALLOC_CPUSET,
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_MIN_RESERVE,
  ALLOC_NON_BLOCK,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MIN,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
} from '../base/flags.ts'
import type { Kernel, Node, Zone } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { HPAGE_PMD_ORDER, MIGRATE_MOVABLE, NO_PAGE, type NodeId, PAGE_ALLOC_COSTLY_ORDER, type Pfn } from '../base/units.ts'
import {
  firstNode,
  interleaveNext,
  interleaveNode,
  interleavePosition,
  isInterleave,
  localNode,
  policyNode,
  policyNodemask,
  taskPolicy,
  vmaPolicy,
} from '../frames/mempolicy.ts'
import { pageNode, pageZone } from '../frames/page.ts'
import {
  ALL_NODES,
  allocFlagsNofragment,
  freePages,
  getPageFromFreelist,
  gfpMigratetype,
  gfpZone,
  preferredZone,
} from '../frames/rmqueue.ts'
import { wakeAllKswapds } from '../frames/watermark.ts'
import {
  type AllocContext,
  allocPagesDirectCompact,
  type CompactEffort,
  PRIO_ASYNC,
  PRIO_SYNC_LIGHT,
} from '../reclaim/compaction_direct.ts'
import { COMPACT } from '../reclaim/compaction_state.ts'
import { allowsReclaim, nodeReclaim, nodeReclaimEnabled } from '../reclaim/node_reclaim.ts'
import { kmemCharge } from './charge.ts'
import { reclaimAndRetry } from './reclaim_retry.ts'
import { warnAlloc } from './warn_alloc.ts'

/** 2^order pages, from the node the task's policy says; NO_PAGE when there are none to be had. */
export function allocPages(k: Kernel, gfp: number, order: number): Pfn {
  return allocPagesPolicy(k, gfp, order, (gfp & __GFP_THISNODE) !== 0 ? k.policies.default : taskPolicy(k), -1)
}

/** 2^order pages for the page `offset` pages into an area, as the area's policy says (vma_alloc_folio). */
export function allocPagesVma(k: Kernel, gfp: number, order: number, vma: Vma, offset: number): Pfn {
  const policy = vmaPolicy(k, vma, offset)
  return allocPagesPolicy(k, gfp | __GFP_COMP, order, policy, isInterleave(policy) ? interleavePosition(vma, offset, order) : -1)
}

/**
 * @param position interleave position of the page, or -1 to use the task's counter.
 */
export function allocPagesPolicy(k: Kernel, gfp: number, order: number, policy: Mempolicy, position: number): Pfn {
  const local = localNode(k)
  if (isInterleave(policy)) {
    const node = position < 0 ? interleaveNext(k, policy) : interleaveNode(policy, position, local)
    return allocPageInterleave(k, gfp, order, node)
  }
  if (policy.mode === MPOL_PREFERRED_MANY) return allocPreferredMany(k, gfp, order, policyNode(policy, local), policy)
  if (order === HPAGE_PMD_ORDER) return allocHugeNode(k, gfp, order, policy, local)
  return allocPagesNode(k, gfp, order, policyNode(policy, local), policyNodemask(k, policy))
}

/** One node's turn; it is a hit only when that very node had the page. */
function allocPageInterleave(k: Kernel, gfp: number, order: number, node: NodeId): Pfn {
  const pfn = allocPagesNode(k, gfp, order, node, ALL_NODES)
  if (pfn !== NO_PAGE && pageNode(k, pfn) === node && k.sysctl.numa_stat !== 0) pageZone(k, pfn).numa[NUMA.numa_interleave]++
  return pfn
}

function allocPreferredMany(k: Kernel, gfp: number, order: number, node: NodeId, policy: Mempolicy): Pfn {
  const quick = allocPagesNode(k, gfp & ~__GFP_DIRECT_RECLAIM, order, node, policy.nodes)
  return quick !== NO_PAGE ? quick : allocPagesNode(k, gfp, order, node, ALL_NODES)
}

/** A huge page is worth having only near: try the node itself without effort, then with the effort the request allows. */
function allocHugeNode(k: Kernel, gfp: number, order: number, policy: Mempolicy, local: NodeId): Pfn {
  const node = policy.mode === MPOL_PREFERRED && policy.nodes !== 0 ? firstNode(policy.nodes) : local
  const mask = policyNodemask(k, policy)
  if (((mask >> node) & 1) === 0) return allocPagesNode(k, gfp, order, policyNode(policy, local), mask)
  const near = allocPagesNode(k, gfp | __GFP_THISNODE | __GFP_NORETRY, order, node, mask)
  if (near !== NO_PAGE || (gfp & __GFP_DIRECT_RECLAIM) === 0) return near
  return allocPagesNode(k, gfp, order, node, mask)
}

/**
 * 2^order pages beginning at a node (__alloc_pages).
 * @param nodemask bit per node that may help out; ALL_NODES for any the task may use.
 */
export function allocPagesNode(k: Kernel, gfp: number, order: number, nid: NodeId, nodemask: number): Pfn {
  const node = k.nodes[nid]
  const mems = k.current?.memsAllowed ?? ALL_NODES
  const asked = nodemask === ALL_NODES ? mems : nodemask
  const allowed = asked & mems
  const only = (gfp & __GFP_THISNODE) !== 0
  if (allowed === 0 && !only) return allocBeside(k, gfp, order, node, mems)
  const alone = (1 << nid) & ((gfp & __GFP_HARDWALL) !== 0 ? allowed : ALL_NODES)
  const mask = only ? alone : allowed
  const preferred = preferredZone(k, node, gfpZone(gfp), only ? alone : asked)
  if (preferred === undefined) return failed(k, gfp, order, nodemask)
  const zonelist = only ? node.ownZonelist : node.zonelist
  const flags = ALLOC_WMARK_LOW | allocFlagsNofragment(k, preferred, gfp)
  let pfn =
    k.sysctl.zone_reclaim_mode === 0
      ? getPageFromFreelist(k, gfp, order, flags, preferred, zonelist, mask)
      : freelistOrReclaim(k, gfp, order, flags, preferred, zonelist, mask)
  if (pfn === NO_PAGE) {
    const hard = nodemask !== ALL_NODES || (gfp & (__GFP_HARDWALL | __GFP_THISNODE)) !== 0
    pfn = slowpath(k, gfp, order, preferred, zonelist, hard ? mask : ALL_NODES, nodemask)
  }
  return (gfp & __GFP_ACCOUNT) === 0 || pfn === NO_PAGE ? pfn : charged(k, pfn, order, gfp)
}

/** The same where the cpuset allows none of the nodes asked for: these are forgotten, what it allows counts (check_retry_cpuset). */
function allocBeside(k: Kernel, gfp: number, order: number, node: Node, mems: number): Pfn {
  const preferred = preferredZone(k, node, gfpZone(gfp), ALL_NODES)
  if (preferred === undefined) return failed(k, gfp, order, ALL_NODES)
  const pfn = slowpath(k, gfp, order, preferred, node.zonelist, (gfp & __GFP_HARDWALL) !== 0 ? mems : ALL_NODES, ALL_NODES)
  return (gfp & __GFP_ACCOUNT) === 0 || pfn === NO_PAGE ? pfn : charged(k, pfn, order, gfp)
}

/** As getPageFromFreelist, but each zone below its mark whose node is near may have it reclaimed first, if zone_reclaim_mode says so. */
function freelistOrReclaim(
  k: Kernel,
  gfp: number,
  order: number,
  flags: number,
  preferred: Zone,
  zonelist: readonly number[],
  nodemask: number,
): Pfn {
  for (const index of zonelist) {
    const zone = k.zones[index]
    if (zone.type > gfpZone(gfp) || ((nodemask >> zone.node) & 1) === 0) continue
    const page = getPageFromFreelist(k, gfp, order, flags, preferred, [index], nodemask)
    if (page !== NO_PAGE) return page
    if (!nodeReclaimEnabled(k) || !allowsReclaim(k, preferred.node, zone.node) || !nodeReclaim(k, k.nodes[zone.node], gfp, order)) continue
    const reclaimed = getPageFromFreelist(k, gfp, order, flags, preferred, [index], nodemask)
    if (reclaimed !== NO_PAGE) return reclaimed
  }
  return NO_PAGE
}

/** Charges kernel pages to the memory cgroup of the task; NO_PAGE, and the pages freed, when it may have no more. */
function charged(k: Kernel, pfn: Pfn, order: number, gfp: number): Pfn {
  if (kmemCharge(k, pfn, 1 << order, gfp)) return pfn
  freePages(k, pfn, order)
  return NO_PAGE
}

/**
 * The marks and reserves the request may go down to (gfp_to_alloc_flags). One that may not wait may use what is reserved for atomic requests, and
 * with __GFP_HIGH a large one has its block reserved, whatever the task's cpuset says.
 */
function gfpToAllocFlags(gfp: number, order: number): number {
  let flags = ALLOC_WMARK_MIN | ALLOC_CPUSET
  if ((gfp & __GFP_HIGH) !== 0) flags |= ALLOC_MIN_RESERVE
  if ((gfp & __GFP_KSWAPD_RECLAIM) !== 0) flags |= ALLOC_KSWAPD
  if ((gfp & __GFP_DIRECT_RECLAIM) !== 0) return flags
  if ((gfp & __GFP_NOMEMALLOC) === 0) flags |= (gfp & __GFP_HIGH) !== 0 && order > 0 ? ALLOC_NON_BLOCK | ALLOC_HIGHATOMIC : ALLOC_NON_BLOCK
  return (gfp & __GFP_HIGH) !== 0 ? flags & ~ALLOC_CPUSET : flags
}

/**
 * @param nodemask nodes it may use: those of its policy, or of its cpuset; kernel memory (no __GFP_HARDWALL) comes from anywhere now.
 * @param policy those of the policy, ALL_NODES without one.
 */
function slowpath(
  k: Kernel,
  gfp: number,
  order: number,
  preferred: Zone,
  zonelist: readonly number[],
  nodemask: number,
  policy: number,
): Pfn {
  const flags = gfpToAllocFlags(gfp, order)
  if ((flags & ALLOC_KSWAPD) !== 0) wakeAllKswapds(k, gfp, order, gfpZone(gfp), zonelist, nodemask)
  const anywhere = (flags & ALLOC_CPUSET) === 0 && (gfp & __GFP_THISNODE) === 0
  const page = getPageFromFreelist(k, gfp, order, flags, preferred, zonelist, anywhere ? ALL_NODES : nodemask)
  if (page !== NO_PAGE) return page
  if ((gfp & __GFP_DIRECT_RECLAIM) === 0) return failed(k, gfp, order, anywhere ? ALL_NODES : policy)
  const ac: AllocContext = { gfp, order, flags, preferred, zonelist, nodemask, policy, highest: gfpZone(gfp) }
  const effort: CompactEffort = { priority: PRIO_SYNC_LIGHT, retries: 0 }
  const early = compactFirst(k, ac, effort)
  if (early === NO_PAGE) return failed(k, gfp, order, policy)
  if (early !== undefined) return early
  const got = reclaimAndRetry(k, ac, effort, () => {
    if ((flags & ALLOC_KSWAPD) !== 0) wakeAllKswapds(k, gfp, order, gfpZone(gfp), zonelist, nodemask)
  })
  if (got === 'failed') return failed(k, gfp, order, policy)
  return got === 'later' ? NO_PAGE : got
}

/** Nobody has a page. @param policy nodes that the request names; ALL_NODES: none */
function failed(k: Kernel, gfp: number, order: number, policy: number): Pfn {
  warnAlloc(k, gfp, policy, `page allocation failure: order:${order}`)
  return NO_PAGE
}

/**
 * For large blocks, and those that would mix page types, compaction is tried before reclaim: there are usually pages
 * enough. Returns the block, NO_PAGE when the request is not worth more, undefined when it goes on.
 */
function compactFirst(k: Kernel, ac: AllocContext, effort: CompactEffort): Pfn | undefined {
  const costly = ac.order > PAGE_ALLOC_COSTLY_ORDER
  if ((ac.gfp & __GFP_IO) === 0 || ac.order === 0 || !(costly || gfpMigratetype(ac.gfp) !== MIGRATE_MOVABLE)) return undefined
  const { page, result } = allocPagesDirectCompact(k, ac, PRIO_ASYNC)
  if (page !== NO_PAGE) return page
  if (!costly || (ac.gfp & __GFP_NORETRY) === 0) return undefined
  if (result === COMPACT.skipped || result === COMPACT.deferred || (ac.gfp & __GFP_THISNODE) !== 0) return NO_PAGE
  effort.priority = PRIO_ASYNC
  return undefined
}
