/**
 * mbind: a memory policy for a range of addresses, and set_mempolicy_home_node.
 *
 *     |  rw  |  rw          |  rw  |           areas are cut so that those with the policy are areas of their own, or
 *     |  rw  | rw  |RW bind | rw   |           joined with neighbours that have the same; for shared memory objects it is the
 *                                              object's pages that have the policy, whoever maps them
 *
 * The policy is for pages to come. What is there already is looked at when a flag asks for it:
 *
 *     strict              a page on another node than was asked for: EIO, nothing changed
 *     move, move_all      such pages are moved by the new policy, the former only those that nobody else maps;
 *                         with strict, EIO if one of them could not be moved, but the policy stands
 *
 * A hole in the range is EFAULT, but for the default policy, which only refuses a range without any area.
 *
 * Source: mm/mempolicy.c (do_mbind, new_page, mbind_range, vma_replace_policy,
 * set_mempolicy_home_node).
 */

import { allocPagesVma } from '../alloc/page_alloc.ts'
import { fail } from '../base/assert.ts'
import { EINVAL, EIO, ENOENT, EOPNOTSUPP, EPERM } from '../base/errno.ts'
import {
  __GFP_RETRY_MAYFAIL,
  GFP_HIGHUSER_MOVABLE,
  GFP_TRANSHUGE,
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_MF_MOVE_ALL,
  MPOL_MF_STRICT,
  MPOL_PREFERRED_MANY,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { alignUp, asPfn, type NodeId, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { migrateHugePage } from '../fault/hugetlb_migrate.ts'
import { hasSharedPolicy, memsAllowed, mpolNew, samePolicy, setSharedPolicy } from '../frames/mempolicy.ts'
import { compoundOrder, compoundPages } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { type GiveWay, putbackMovablePages } from '../reclaim/migrate.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { changeVma, findVma, mustVma } from '../spaces/vma.ts'
import { capable } from './account.ts'
import { checkRequest, type PolicyRequest } from './mempolicy.ts'
import { MPOL_MF_MOVING, moveQueued, type PageQueue, pageQueue, queuePagesRange } from './queue_pages.ts'
import { wraps } from './unmapped_area.ts'

/**
 * mbind(2) of byte range [start, start + bytes).
 * @param flags MPOL_MF_*.
 * @param giveWay lets others run now and then.
 * @returns 0 or a negative errno.
 */
export function sysMbind(
  k: Kernel,
  task: Task,
  start: number,
  bytes: number,
  request: PolicyRequest,
  wantedFlags: number,
  giveWay?: GiveWay,
): number {
  const asked = checkRequest(request)
  const { mm } = task
  if (asked < 0 || mm === undefined) return -EINVAL
  if ((wantedFlags & ~(MPOL_MF_MOVING | MPOL_MF_STRICT)) !== 0) return -EINVAL
  if ((wantedFlags & MPOL_MF_MOVE_ALL) !== 0 && !capable(task)) return -EPERM
  if (start % PAGE_SIZE !== 0 || wraps(start, bytes)) return -EINVAL
  if (bytes === 0) return 0
  const policy = mpolNew(request.mode, request.flags, asked, memsAllowed(k, task))
  if (typeof policy === 'number') return policy
  const flags = request.mode === MPOL_DEFAULT ? wantedFlags & ~MPOL_MF_STRICT : wantedFlags
  if ((flags & MPOL_MF_MOVING) !== 0) lruAddDrainAll(k)
  const first = start / PAGE_SIZE
  const end = first + alignUp(bytes, PAGE_SIZE) / PAGE_SIZE
  const holes = policy === undefined
  const queue = pageQueue(mm, first, end, { flags, nodes: ~asked, holes, places: true })
  const found = queuePagesRange(k, queue)
  const bound = found < 0 ? found : bindRange(k, mm, first, end, () => policy)
  if (bound < 0) {
    putbackMovablePages(k, queue.pages)
    return bound
  }
  const failed = moveByPolicy(k, queue, giveWay)
  return (queue.unmovable || failed !== 0) && (flags & MPOL_MF_STRICT) !== 0 ? -EIO : 0
}

/** Where the queued pages go: each to the node that the policy of its place in the address space says now. */
function moveByPolicy(k: Kernel, queue: PageQueue, giveWay: GiveWay | undefined): number {
  const placeOf = placesOf(k, queue.pages, queue.vpns)
  const poolPlaceOf = placesOf(k, queue.hugetlb, queue.hugetlbVpns)
  const take = (source: Pfn): Pfn => {
    const order = compoundOrder(k, source)
    const vpn = placeOf(source)
    const vma = mustVma(queue.mm, vpn)
    return allocPagesVma(k, order > 0 ? GFP_TRANSHUGE : GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL, order, vma, vpn - vma.start)
  }
  const giveBack = (page: Pfn) => freePages(k, page, compoundOrder(k, page))
  const movePool = (head: Pfn) => {
    const vma = mustVma(queue.mm, poolPlaceOf(head))
    return migrateHugePage(k, head, vma, poolPlaceOf(head) - vma.start)
  }
  return moveQueued(k, queue, { take, giveBack }, movePool, giveWay)
}

/**
 * Where pages were found, asked for in the order in which they were: first each page, then, of huge ones that were split, each piece, which is
 * behind its huge page.
 */
function placesOf(k: Kernel, found: readonly Pfn[], vpns: readonly number[]): (page: Pfn) => number {
  const pages = Int32Array.from(found)
  const lengths = pages.map(page => compoundPages(k, asPfn(page)))
  let at = 0
  return page => {
    for (let tries = 0; tries < pages.length; tries++, at = (at + 1) % pages.length) {
      const behind = page - pages[at]
      if (behind >= 0 && behind < lengths[at]) return vpns[at] + behind
    }
    return fail(`page ${page} was not queued`)
  }
}

/**
 * Gives the areas of [first, end) other policies, cutting and joining them.
 * @param change the new policy, or an errno that ends it.
 * @returns 0 or that errno.
 */
function bindRange(
  k: Kernel,
  mm: Mm,
  first: number,
  end: number,
  change: (old: Mempolicy | undefined) => Mempolicy | undefined | number,
): number {
  for (let at = first; at < end; ) {
    const vma = findVma(mm, at)
    if (vma === undefined || vma.start >= end) return 0
    const policy = change(vma.policy)
    if (typeof policy === 'number') return policy
    const stop = Math.min(end, vma.end)
    if (!samePolicy(vma.policy, policy)) {
      const area = changeVma(k, vma, Math.max(at, vma.start), stop, { policy })
      if (typeof area === 'number') return area
      if (hasSharedPolicy(area) && area.mapping !== undefined)
        setSharedPolicy(area.mapping.inode.policies, area.pgoff, area.pgoff + area.end - area.start, policy)
    }
    at = stop
  }
  return 0
}

/** set_mempolicy_home_node(2). @returns 0, -EINVAL, -ENOENT where no area has a policy, -EOPNOTSUPP for one that has no home. */
export function sysSetMempolicyHomeNode(k: Kernel, task: Task, start: number, bytes: number, node: number): number {
  const { mm } = task
  if (mm === undefined || start % PAGE_SIZE !== 0 || node < 0 || node >= k.nodes.length) return -EINVAL
  if (bytes === 0) return 0
  const homeNode: NodeId = k.nodes[node].id
  let done = -ENOENT
  const ret = bindRange(k, mm, start / PAGE_SIZE, start / PAGE_SIZE + alignUp(bytes, PAGE_SIZE) / PAGE_SIZE, old => {
    if (old === undefined) return undefined
    if (old.mode !== MPOL_BIND && old.mode !== MPOL_PREFERRED_MANY) return -EOPNOTSUPP
    done = 0
    return { ...old, homeNode }
  })
  return ret < 0 ? ret : done
}
