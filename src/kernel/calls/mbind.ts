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
 * Source: mm/mempolicy.c (do_mbind, queue_pages_range, queue_folios_pte_range, mbind_range, vma_replace_policy,
 * set_mempolicy_home_node).
 */

import { allocPagesVma } from '../alloc/page_alloc.ts'
import { EFAULT, EINVAL, EIO, ENOENT, EOPNOTSUPP, EPERM } from '../base/errno.ts'
import {
  __GFP_RETRY_MAYFAIL,
  GFP_HIGHUSER_MOVABLE,
  GFP_TRANSHUGE,
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_MF_MOVE,
  MPOL_MF_MOVE_ALL,
  MPOL_MF_STRICT,
  MPOL_PREFERRED_MANY,
  PG_reserved,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
  VM_HUGETLB,
  VM_IO,
  VM_PFNMAP,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { alignUp, asPfn, HPAGE_PMD_NR, type NodeId, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { isolateLru } from '../caches/lru.ts'
import { migrateHugePage } from '../fault/hugetlb_migrate.ts'
import { hasNode, hasSharedPolicy, memsAllowed, mpolNew, samePolicy, setSharedPolicy } from '../frames/mempolicy.ts'
import { compoundHead, compoundOrder, pageMapcount, pageNode } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { migratePages, putbackMovablePages } from '../reclaim/migrate.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import { hstateOfArea, hugeLevel, isSharedTable, nextTable } from '../spaces/hugetlb.ts'
import { entryFlags, entryValue, LEVEL_PAGES, levelIndex, pteIndex, walkTo } from '../spaces/pagetable.ts'
import { changeVma, findVma, mustVma, vmasIn } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'
import { capable } from './account.ts'
import { checkRequest, type PolicyRequest } from './mempolicy.ts'

/** Pages that are not where they should be, as they are found. */
interface Queue {
  readonly mm: Mm
  readonly start: number
  readonly end: number
  readonly flags: number
  /** Nodes that pages may be on. */
  readonly nodes: number
  /** Isolated pages to be moved; and where in the address space each was found. */
  readonly pages: Pfn[]
  readonly at: Map<Pfn, number>
  readonly hugetlb: Pfn[]
  /** A misplaced page, when only that is asked. */
  misplaced: boolean
  /** Some page that is to be moved cannot be. */
  unmovable: boolean
}

const MOVING = MPOL_MF_MOVE | MPOL_MF_MOVE_ALL

/** mbind(2) of byte range [start, start + bytes). @param flags MPOL_MF_*. @returns 0 or a negative errno. */
export function sysMbind(k: Kernel, task: Task, start: number, bytes: number, request: PolicyRequest, wantedFlags: number): number {
  const asked = checkRequest(request)
  const { mm } = task
  if (asked < 0 || mm === undefined) return -EINVAL
  if ((wantedFlags & ~(MOVING | MPOL_MF_STRICT)) !== 0) return -EINVAL
  if ((wantedFlags & MPOL_MF_MOVE_ALL) !== 0 && !capable(task)) return -EPERM
  if (start % PAGE_SIZE !== 0) return -EINVAL
  if (bytes === 0) return 0
  const policy = mpolNew(request.mode, request.flags, asked, memsAllowed(k, task))
  if (typeof policy === 'number') return policy
  const flags = request.mode === MPOL_DEFAULT ? wantedFlags & ~MPOL_MF_STRICT : wantedFlags
  if ((flags & MOVING) !== 0) lruAddDrainAll(k)
  const first = start / PAGE_SIZE
  const end = first + alignUp(bytes, PAGE_SIZE) / PAGE_SIZE
  const queue: Queue = {
    mm,
    start: first,
    end,
    flags,
    nodes: asked,
    pages: [],
    at: new Map(),
    hugetlb: [],
    misplaced: false,
    unmovable: false,
  }
  const found = queuePages(k, queue, policy === undefined)
  const bound = found < 0 ? found : bindRange(k, mm, first, end, () => policy)
  if (bound < 0) {
    putbackMovablePages(k, queue.pages)
    return bound
  }
  const failed = moveQueued(k, queue)
  return (queue.unmovable || failed) && (flags & MPOL_MF_STRICT) !== 0 ? -EIO : 0
}

/** Looks at what is mapped in the range. @param holes areas may be missing in it. @returns 0, -EFAULT for a hole, -EIO for a misplaced page. */
function queuePages(k: Kernel, queue: Queue, holes: boolean): number {
  const areas = vmasIn(queue.mm, queue.start, queue.end)
  if (areas.length === 0) return -EFAULT
  for (let i = 0; i < areas.length; i++) {
    const vma = areas[i]
    if (!holes && i === 0 && queue.start < vma.start) return -EFAULT
    if (!holes && vma.end < queue.end && vma.end !== areas[i + 1]?.start) return -EFAULT
    const migratable = (vma.flags & (VM_IO | VM_PFNMAP)) === 0
    if (queue.flags === 0 || (!migratable && (queue.flags & MPOL_MF_STRICT) === 0)) continue
    const [start, end] = [Math.max(queue.start, vma.start), Math.min(queue.end, vma.end)]
    if ((vma.flags & VM_HUGETLB) !== 0) queueHugetlb(k, queue, vma, start, end)
    else queueArea(k, queue, start, end, migratable)
    if (queue.misplaced) return -EIO
  }
  return 0
}

function queueArea(k: Kernel, queue: Queue, start: number, end: number, migratable: boolean): void {
  walkPmds(k, queue.mm, start, end, (pmd, i, from, to) => {
    const flags = entryFlags(k, pmd, i)
    if (isHuge(flags)) return queueEntry(k, queue, flags, entryValue(k, pmd, i), from, migratable)
    if ((flags & PTE_TABLE) === 0) return
    const table = entryValue(k, pmd, i)
    for (let j = pteIndex(from), vpn = from; vpn < to && !queue.misplaced; j++, vpn++)
      queueEntry(k, queue, entryFlags(k, table, j), entryValue(k, table, j), vpn, migratable)
  })
}

function queueEntry(k: Kernel, queue: Queue, flags: number, pfn: number, vpn: number, migratable: boolean): void {
  if ((flags & PTE_PRESENT) === 0 || (flags & PTE_SPECIAL) !== 0) return
  const page = asPfn(pfn)
  const head = compoundHead(k, page)
  if ((k.page[head * PAGE_WORDS] & PG_reserved) !== 0 || hasNode(queue.nodes, pageNode(k, page))) return
  if ((queue.flags & MOVING) === 0) {
    queue.misplaced = true
    return
  }
  if (!migratable) queue.unmovable = true
  if ((queue.flags & MPOL_MF_MOVE_ALL) === 0 && pageMapcount(k, head) !== 1) return
  if (isolateLru(k, head)) {
    queue.pages.push(head)
    queue.at.set(head, vpn - (page - head))
  } else if ((queue.flags & MPOL_MF_STRICT) !== 0) queue.unmovable = true
}

function queueHugetlb(k: Kernel, queue: Queue, vma: Vma, start: number, end: number): void {
  const level = hugeLevel(hstateOfArea(k, vma))
  for (let at = start - (start % LEVEL_PAGES[level]); at < end && !queue.misplaced; ) {
    const table = walkTo(k, vma.mm, at, level)
    if (table === 0) {
      at = nextTable(at, level)
      continue
    }
    const i = levelIndex(at, level)
    const head = asPfn(entryValue(k, table, i))
    if ((entryFlags(k, table, i) & PTE_PRESENT) !== 0 && !hasNode(queue.nodes, pageNode(k, head))) {
      if (queue.flags === MPOL_MF_STRICT) queue.misplaced = true
      else if ((queue.flags & MPOL_MF_MOVE_ALL) !== 0 || (pageMapcount(k, head) === 1 && !isSharedTable(k, table))) {
        queue.hugetlb.push(head)
        queue.at.set(head, at)
      }
    }
    at += LEVEL_PAGES[level]
  }
}

/** Moves what was queued to where the new policies want it. @returns whether some page stayed where it was. */
function moveQueued(k: Kernel, queue: Queue): boolean {
  const place = (page: Pfn): [Vma, number] => {
    const huge = asPfn(page - (page % HPAGE_PMD_NR))
    const vpn = queue.at.get(page) ?? (queue.at.get(huge) ?? queue.start) + page - huge
    const vma = mustVma(queue.mm, vpn)
    return [vma, vpn - vma.start]
  }
  const take = (source: Pfn): Pfn => {
    const order = compoundOrder(k, source)
    return allocPagesVma(k, order > 0 ? GFP_TRANSHUGE : GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL, order, ...place(source))
  }
  const giveBack = (page: Pfn) => freePages(k, page, compoundOrder(k, page))
  let failed = migratePages(k, queue.pages, { take, giveBack }, 'sync') !== 0
  putbackMovablePages(k, queue.pages)
  for (const head of queue.hugetlb) if (migrateHugePage(k, head, ...place(head)) < 0) failed = true
  return failed
}

/** Gives the areas of [first, end) other policies, cutting and joining them. @param change the new policy, or an errno that ends it. @returns 0 or that errno. */
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
