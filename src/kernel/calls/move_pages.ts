/**
 * move_pages: each page of a list to a node of its own, or only where each page is; the answer is a status a page.
 *
 *     node          it is there, or was moved there
 *     -ENOENT       nothing is there: swapped out, not accessible for now, or of a file and not read yet
 *     -EFAULT       no area, anonymous memory that was never touched, the page of zeros
 *     -EACCES       several processes map it, and only MPOL_MF_MOVE was given; a tail of a huge TLB page
 *     -EBUSY        it is off its list: in a batch, or the rest of a huge page that is being moved
 *
 * Pages for the same node are gathered and moved together. A node that has no memory ends the call with ENODEV, one that the task's cpuset
 * does not allow with EACCES, pages that cannot be moved with the number of those that were not. The status of pages that were
 * not come to, and of those whose move failed, is left as it was.
 *
 * Source: mm/migrate.c (kernel_move_pages, do_pages_move, add_page_for_migration, do_pages_stat), mm/gup.c follow_page.
 */
import { migrationTarget } from '../alloc/migration_target.ts'
import { EACCES, EBUSY, EFAULT, EINVAL, ENODEV, ENOENT, EPERM, ESRCH } from '../base/errno.ts'
import {
  __GFP_THISNODE,
  GFP_HIGHUSER_MOVABLE,
  MPOL_MF_MOVE_ALL,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_TABLE,
  VM_HUGETLB,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { asPfn, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { isolateLru } from '../caches/lru.ts'
import { vmaIsSecretmem } from '../caches/secretmem.ts'
import { migrateHugePageTo } from '../fault/hugetlb_migrate.ts'
import { hasNode, memoryNodes, memsAllowed } from '../frames/mempolicy.ts'
import { compoundHead, pageMapcount, pageNode } from '../frames/page.ts'
import type { GiveWay } from '../reclaim/migrate.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { entryFlags, entryValue, LEVEL_PAGES, LEVEL_PGD, LEVEL_PTE, levelIndex, walkTo } from '../spaces/pagetable.ts'
import { vmaAt } from '../spaces/vma.ts'
import { capable } from './account.ts'
import { mayAccess } from './migrate_pages.ts'
import { MPOL_MF_MOVING, moveQueued, type PageQueue, pageQueue, vmaMigratable } from './queue_pages.ts'

/** Pages of one node's turn: those of the list from `start` on. */
interface Turn {
  node: number
  start: number
  queue: PageQueue
}

/** What a move goes by. */
interface Move {
  readonly k: Kernel
  readonly mm: Mm
  readonly addresses: readonly number[]
  readonly status: Int32Array
  readonly flags: number
  readonly giveWay: GiveWay | undefined
}

/**
 * move_pages(2).
 * @param pid whose pages, 0 for the caller's own. @param addresses in bytes. @param nodes as many nodes; undefined: only ask.
 * @param status gets a node or a negative errno for each page. @param flags MPOL_MF_MOVE, MPOL_MF_MOVE_ALL.
 * @returns 0, the number of pages that were not moved, or -EINVAL, -EPERM, -ESRCH, -ENODEV, -EACCES, -ENOMEM.
 */
export function sysMovePages(
  k: Kernel,
  task: Task,
  pid: number,
  addresses: readonly number[],
  nodes: readonly number[] | undefined,
  status: Int32Array,
  flags: number,
  giveWay?: GiveWay,
): number {
  if ((flags & ~MPOL_MF_MOVING) !== 0) return -EINVAL
  if ((flags & MPOL_MF_MOVE_ALL) !== 0 && !capable(task)) return -EPERM
  const target = pid === 0 ? task : k.tasks.get(pid)
  if (target === undefined) return -ESRCH
  if (!mayAccess(task, target)) return -EPERM
  const { mm } = target
  if (mm === undefined) return -EINVAL
  const move: Move = { k, mm, addresses, status, flags, giveWay }
  if (nodes !== undefined) return doPagesMove(move, memsAllowed(k, target), nodes)
  for (let i = 0; i < addresses.length; i++) status[i] = nodeOf(k, mm, addresses[i])
  return 0
}

function nodeOf(k: Kernel, mm: Mm, address: number): number {
  const vpn = Math.floor(address / PAGE_SIZE)
  const vma = vmaAt(mm, vpn)
  const page = vma === undefined ? -EFAULT : followPage(k, vma, vpn)
  return page < 0 ? page : page === NO_PAGE ? -ENOENT : pageNode(k, asPfn(page))
}

/**
 * The page at an address as it is, without faulting it in; NO_PAGE where none is, or none that the kernel may look at; -EFAULT where a core
 * dump would leave a hole (follow_page, FOLL_DUMP).
 */
function followPage(k: Kernel, vma: Vma, vpn: number): number {
  if (vmaIsSecretmem(vma)) return NO_PAGE
  for (let level = LEVEL_PTE; level > LEVEL_PGD; level--) {
    const table = walkTo(k, vma.mm, vpn, level)
    if (table === 0) continue
    const i = levelIndex(vpn, level)
    const flags = entryFlags(k, table, i)
    if (flags === 0 || (flags & PTE_TABLE) !== 0) break
    const huge = (flags & PTE_HUGE) !== 0
    if ((flags & PTE_PRESENT) === 0 || (flags & PTE_PROTNONE) !== 0) {
      if (huge && (vma.flags & VM_HUGETLB) === 0) break
      return NO_PAGE
    }
    if ((flags & PTE_SPECIAL) !== 0) return -EFAULT
    return entryValue(k, table, i) + (huge ? vpn % LEVEL_PAGES[level] : 0)
  }
  return vma.mapping === undefined ? -EFAULT : NO_PAGE
}

const emptyQueue = (move: Move): PageQueue => pageQueue(move.mm, 0, 0, { flags: move.flags, nodes: 0, holes: true, places: false })

function doPagesMove(move: Move, allowed: number, nodes: readonly number[]): number {
  const { k, addresses, status } = move
  lruAddDrainAll(k)
  let turn: Turn | undefined
  for (let i = 0; i < addresses.length; i++) {
    const node = nodes[i]
    const refused = refusedNode(k, allowed, node)
    if (refused < 0) {
      if (turn !== undefined) endTurn(move, turn, i)
      return refused
    }
    if (turn !== undefined && turn.node !== node) {
      const error = endTurn(move, turn, i)
      if (error !== 0) return error
      turn = undefined
    }
    turn ??= { node, start: i, queue: emptyQueue(move) }
    const error = addPageForMigration(move, turn, addresses[i])
    if (error > 0) continue
    status[i] = error < 0 ? error : node
    const moved = endTurn(move, turn, i)
    if (moved !== 0) return moved > 0 ? moved - 1 : moved
    turn = undefined
  }
  return turn === undefined ? 0 : endTurn(move, turn, addresses.length)
}

/** Why pages may not go to the node at all; 0 when they may. */
function refusedNode(k: Kernel, allowed: number, node: number): number {
  if (node < 0 || node >= k.nodes.length || !hasNode(memoryNodes(k), node)) return -ENODEV
  return hasNode(allowed, node) ? 0 : -EACCES
}

/** Takes the page off its list. @returns 1 when it is to be moved, 0 when it is there already, or a negative errno. */
function addPageForMigration({ k, mm, flags }: Move, { node, queue }: Turn, address: number): number {
  const vpn = Math.floor(address / PAGE_SIZE)
  const vma = vmaAt(mm, vpn)
  if (vma === undefined || !vmaMigratable(vma)) return -EFAULT
  const found = followPage(k, vma, vpn)
  if (found < 0) return found
  if (found === NO_PAGE) return -ENOENT
  const page = asPfn(found)
  if (pageNode(k, page) === node) return 0
  if (pageMapcount(k, page) > 1 && (flags & MPOL_MF_MOVE_ALL) === 0) return -EACCES
  const head = compoundHead(k, page)
  return (vma.flags & VM_HUGETLB) !== 0 ? queueHugetlb(queue, page, head) : queueSingle(k, queue, head)
}

function queueHugetlb(queue: PageQueue, page: Pfn, head: Pfn): number {
  if (page !== head) return -EACCES
  if (queue.hugetlb.includes(head)) return -EBUSY
  queue.hugetlb.push(head)
  return 1
}

function queueSingle(k: Kernel, queue: PageQueue, head: Pfn): number {
  if (!isolateLru(k, head)) return -EBUSY
  queue.pages.push(head)
  return 1
}

/** Moves what was gathered and tells it in the status of pages [turn.start, end). @returns 0, pages not moved and not come to, or -ENOMEM. */
function endTurn({ k, status, addresses, giveWay }: Move, turn: Turn, end: number): number {
  const { queue } = turn
  if (queue.pages.length === 0 && queue.hugetlb.length === 0) return 0
  const nid = k.nodes[turn.node].id
  const target = migrationTarget(k, nid, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE)
  const error = moveQueued(k, queue, target, head => migrateHugePageTo(k, head, nid), giveWay)
  if (error !== 0) return error > 0 ? error + addresses.length - end : error
  status.fill(turn.node, turn.start, end)
  return 0
}
