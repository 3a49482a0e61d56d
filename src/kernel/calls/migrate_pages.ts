/**
 * migrate_pages: all pages of a process that are on some nodes go to others.
 *
 *     from 0,1,2  to 3,4,5      pair by pair: 0 -> 3, 1 -> 4, 2 -> 5; a page keeps its place relative to the others
 *     from 2,3,4  to 3,4,5      4 -> 5 first, then 3 -> 4, then 2 -> 3: a node is emptied before it is filled
 *     from 0-7    to 3,4,5      as many cannot be paired: pages that are on 3, 4 or 5 already stay
 *
 * A task with CAP_SYS_NICE moves pages that others map too. A pair that runs out of memory ends the call with ENOMEM; what was
 * moved stays moved. Policies are not changed: pages to come are placed as before.
 *
 * Source: mm/mempolicy.c (kernel_migrate_pages, do_migrate_pages, migrate_to_node).
 */

import { migrationTarget } from '../alloc/migration_target.ts'
import { EINVAL, ENOMEM, EPERM, ESRCH } from '../base/errno.ts'
import { __GFP_THISNODE, GFP_HIGHUSER_MOVABLE, MPOL_MF_MOVE, MPOL_MF_MOVE_ALL } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import { migrateHugePageTo } from '../fault/hugetlb_migrate.ts'
import { hasNode, maskNodes, memsAllowed, nodesIn, remapNodes } from '../frames/mempolicy.ts'
import type { GiveWay } from '../reclaim/migrate.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { capable } from './account.ts'
import { getNodes } from './mempolicy.ts'
import { moveQueued, pageQueue, queuePagesRange } from './queue_pages.ts'

/** Whether the task may look into the other: root may, and who is the same user (ptrace_may_access). */
export const mayAccess = (task: Task, other: Task): boolean => task === other || capable(task) || task.uid === other.uid

/**
 * migrate_pages(2).
 * @param pid whose pages, 0 for the caller's own. @param maxnode bits of both masks, plus one. @param giveWay lets others run now and then.
 * @returns pages that could not be moved, or -EINVAL, -ESRCH, -EPERM, -ENOMEM.
 */
export function sysMigratePages(
  k: Kernel,
  task: Task,
  pid: number,
  maxnode: number,
  oldNodes: readonly number[],
  newNodes: readonly number[],
  giveWay?: GiveWay,
): number {
  const from = getNodes(oldNodes, maxnode)
  const asked = getNodes(newNodes, maxnode)
  if (from < 0 || asked < 0) return -EINVAL
  const target = pid === 0 ? task : k.tasks.get(pid)
  if (target === undefined) return -ESRCH
  if (!mayAccess(task, target)) return -EPERM
  if ((asked & ~memsAllowed(k, target)) !== 0 && !capable(task)) return -EPERM
  const to = asked & memsAllowed(k, task)
  if (to === 0 || target.mm === undefined) return -EINVAL
  return doMigratePages(k, target.mm, from, to, capable(task) ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE, giveWay)
}

/**
 * Moves the pages of an address space from the nodes of one mask to those of another (do_migrate_pages).
 * @param flags MPOL_MF_MOVE or MPOL_MF_MOVE_ALL. @returns pages that could not be moved, or -ENOMEM.
 */
export function doMigratePages(k: Kernel, mm: Mm, from: number, to: number, flags: number, giveWay?: GiveWay): number {
  lruAddDrainAll(k)
  let busy = 0
  for (let left = from; left !== 0; ) {
    const pair = nextPair(left, from, to)
    if (pair === undefined) break
    left &= ~(1 << pair.source)
    const error = migrateToNode(k, mm, pair.source, pair.dest, flags, giveWay)
    if (error < 0) return -ENOMEM
    busy += error
  }
  return busy
}

/** A node of `left` to be moved next, best of all to one that is not waiting to be moved itself. */
function nextPair(left: number, from: number, to: number): { source: number; dest: number } | undefined {
  let pair: { source: number; dest: number } | undefined
  for (const source of maskNodes(left)) {
    if (nodesIn(from) !== nodesIn(to) && hasNode(to, source)) continue
    const dest = maskNodes(remapNodes(1 << source, from, to))[0]
    if (source === dest) continue
    pair = { source, dest }
    if (!hasNode(left, dest)) break
  }
  return pair
}

function migrateToNode(k: Kernel, mm: Mm, source: number, dest: number, flags: number, giveWay: GiveWay | undefined): number {
  const nid = k.nodes[dest].id
  const queue = pageQueue(mm, 0, Number.POSITIVE_INFINITY, { flags, nodes: 1 << source, holes: true, places: false })
  queuePagesRange(k, queue)
  const target = migrationTarget(k, nid, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE)
  return moveQueued(k, queue, target, head => migrateHugePageTo(k, head, nid), giveWay)
}
