/**
 * Finding the pages of an address range that are on the wrong nodes, and taking them off their lists to be moved: what mbind,
 * migrate_pages and a cpuset that changes have in common.
 *
 *     area by area ── entry by entry ── on a node that is meant? ── isolated, to be moved
 *                                                              └── or only noticed: one is enough
 *
 * Pages that several processes map are moved only with move_all; the zero pages never. A page that is off its list for the moment
 * (in a batch, being moved by somebody else) stays where it is, which strict callers are told.
 *
 * Source: mm/mempolicy.c (queue_pages_range, queue_pages_test_walk, queue_folios_pmd, queue_folios_pte_range,
 * queue_pages_hugetlb, migrate_folio_add), mm/migrate.c migrate_pages for the order in which what was found is moved.
 */
import { EFAULT, EIO, ENOMEM } from '../base/errno.ts'
import {
  MPOL_MF_MOVE,
  MPOL_MF_MOVE_ALL,
  MPOL_MF_STRICT,
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
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { isolateLru } from '../caches/lru.ts'
import { hasNode } from '../frames/mempolicy.ts'
import { compoundHead, pageMapcount, pageNode } from '../frames/page.ts'
import { type GiveWay, type MigrateTarget, migratePages, putbackMovablePages } from '../reclaim/migrate.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import { hstateOfArea, hugeLevel, isSharedTable, nextTable } from '../spaces/hugetlb.ts'
import { entryFlags, entryValue, LEVEL_PAGES, levelIndex, pteIndex, walkTo } from '../spaces/pagetable.ts'
import { vmasIn } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'

/** Either kind of moving that a flag may ask for. */
export const MPOL_MF_MOVING = MPOL_MF_MOVE | MPOL_MF_MOVE_ALL

/** A search for pages, and what it found. */
export interface PageQueue {
  readonly mm: Mm
  /** Virtual pages [start, end). */
  readonly start: number
  readonly end: number
  /** MPOL_MF_* */
  readonly flags: number
  /** Nodes whose pages are looked for. */
  readonly nodes: number
  /** Areas may be missing in the range. */
  readonly holes: boolean
  /** Isolated pages to be moved, and pages of the hugetlb pool; where in the address space each was found, for those who ask (`places`). */
  readonly pages: Pfn[]
  readonly hugetlb: Pfn[]
  readonly places: boolean
  readonly vpns: number[]
  readonly hugetlbVpns: number[]
  /** A misplaced page, when only that is asked. */
  misplaced: boolean
  /** Some page that is to be moved cannot be. */
  unmovable: boolean
}

export const pageQueue = (
  mm: Mm,
  start: number,
  end: number,
  wanted: Pick<PageQueue, 'flags' | 'nodes' | 'holes' | 'places'>,
): PageQueue => ({
  mm,
  start,
  end,
  ...wanted,
  pages: [],
  hugetlb: [],
  vpns: [],
  hugetlbVpns: [],
  misplaced: false,
  unmovable: false,
})

/** Device mappings have no pages that could be moved (vma_migratable). */
export const vmaMigratable = (vma: Vma): boolean => (vma.flags & (VM_IO | VM_PFNMAP)) === 0

/** Looks at what is mapped in the range (queue_pages_range). @returns 0, -EFAULT for a hole, -EIO for a misplaced page. */
export function queuePagesRange(k: Kernel, queue: PageQueue): number {
  const areas = vmasIn(queue.mm, queue.start, queue.end)
  if (areas.length === 0) return -EFAULT
  for (let i = 0; i < areas.length; i++) {
    const vma = areas[i]
    if (!queue.holes && i === 0 && queue.start < vma.start) return -EFAULT
    if (!queue.holes && vma.end < queue.end && vma.end !== areas[i + 1]?.start) return -EFAULT
    if (queue.flags === 0 || (!vmaMigratable(vma) && (queue.flags & MPOL_MF_STRICT) === 0)) continue
    queueArea(k, queue, vma)
    if (queue.misplaced) return -EIO
  }
  return 0
}

function queueArea(k: Kernel, queue: PageQueue, vma: Vma): void {
  const [start, end] = [Math.max(queue.start, vma.start), Math.min(queue.end, vma.end)]
  if ((vma.flags & VM_HUGETLB) !== 0) return queueHugetlb(k, queue, vma, start, end)
  const migratable = vmaMigratable(vma)
  walkPmds(k, queue.mm, start, end, (pmd, i, from, to) => {
    const flags = entryFlags(k, pmd, i)
    if (isHuge(flags)) return queueEntry(k, queue, flags, entryValue(k, pmd, i), from, migratable)
    if ((flags & PTE_TABLE) === 0) return
    const table = entryValue(k, pmd, i)
    for (let j = pteIndex(from), vpn = from; vpn < to && !queue.misplaced; j++, vpn++)
      queueEntry(k, queue, entryFlags(k, table, j), entryValue(k, table, j), vpn, migratable)
  })
}

function queueEntry(k: Kernel, queue: PageQueue, flags: number, pfn: number, vpn: number, migratable: boolean): void {
  if ((flags & PTE_PRESENT) === 0 || (flags & PTE_SPECIAL) !== 0) return
  const page = asPfn(pfn)
  const head = compoundHead(k, page)
  if ((k.page[head * PAGE_WORDS] & PG_reserved) !== 0 || !hasNode(queue.nodes, pageNode(k, page))) return
  if ((queue.flags & MPOL_MF_MOVING) === 0) {
    queue.misplaced = true
    return
  }
  if (!migratable) queue.unmovable = true
  if ((queue.flags & MPOL_MF_MOVE_ALL) === 0 && pageMapcount(k, head) !== 1) return
  if (isolateLru(k, head)) {
    queue.pages.push(head)
    if (queue.places) queue.vpns.push(vpn - (page - head))
  } else if ((queue.flags & MPOL_MF_STRICT) !== 0) queue.unmovable = true
}

function queueHugetlb(k: Kernel, queue: PageQueue, vma: Vma, start: number, end: number): void {
  const level = hugeLevel(hstateOfArea(k, vma))
  for (let at = start - (start % LEVEL_PAGES[level]); at < end && !queue.misplaced; ) {
    const table = walkTo(k, vma.mm, at, level)
    if (table === 0) {
      at = nextTable(at, level)
      continue
    }
    const i = levelIndex(at, level)
    const head = asPfn(entryValue(k, table, i))
    if ((entryFlags(k, table, i) & PTE_PRESENT) !== 0 && hasNode(queue.nodes, pageNode(k, head)))
      queueHugetlbPage(k, queue, table, head, at)
    at += LEVEL_PAGES[level]
  }
}

function queueHugetlbPage(k: Kernel, queue: PageQueue, table: number, head: Pfn, vpn: number): void {
  if (queue.flags === MPOL_MF_STRICT) {
    queue.misplaced = true
    return
  }
  if ((queue.flags & MPOL_MF_MOVE_ALL) === 0 && (pageMapcount(k, head) !== 1 || isSharedTable(k, table))) return
  if (queue.hugetlb.includes(head)) {
    if ((queue.flags & MPOL_MF_STRICT) !== 0) queue.unmovable = true
    return
  }
  queue.hugetlb.push(head)
  queue.hugetlbVpns.push(vpn)
}

/**
 * Moves what was queued, pages of the hugetlb pool first; what could not be moved goes back to its lists.
 * @param moveHugetlb moves one page of the pool: 0 or a negative errno.
 * @returns how many pages were not moved, or -ENOMEM when there was nowhere to move one to.
 */
export function moveQueued(
  k: Kernel,
  queue: PageQueue,
  target: MigrateTarget,
  moveHugetlb: (head: Pfn) => number,
  giveWay: GiveWay | undefined,
): number {
  let failed = 0
  for (const head of queue.hugetlb) {
    const error = moveHugetlb(head)
    if (error < 0) failed++
    if (error !== -ENOMEM) continue
    putbackMovablePages(k, queue.pages)
    return error
  }
  const left = queue.pages.length === 0 ? 0 : migratePages(k, queue.pages, target, 'sync', { giveWay })
  putbackMovablePages(k, queue.pages)
  return left < 0 ? left : failed + left
}
