/**
 * Moving huge TLB pages to other nodes, for mbind and the like.
 *
 * The new page is a free one of the pool, if one is left that nobody was promised; otherwise a fresh one from the buddy allocator, for which
 * the old page is given back there, so that the pool stays as large as it was. A node's surplus moves with the page then.
 *
 * A page of a process in a mount with a quota cannot be moved: Linux would lose count of the quota.
 *
 * Source: mm/migrate.c unmap_and_move_huge_page, mm/hugetlb.c (alloc_huge_page_vma, alloc_huge_page_nodemask, alloc_migrate_huge_page,
 * move_hugetlb_state).
 */
import { COST, now, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EBUSY, ENOMEM } from '../base/errno.ts'
import { PG_anon, PG_anon_exclusive, PG_dirty, PG_referenced, PG_uptodate, PTE_DIRTY, PTE_PRESENT } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, NO_PAGE, type NodeId, type Pfn } from '../base/units.ts'
import {
  freeHugePage,
  HPG_TEMPORARY,
  hstateOfPage,
  hugePages,
  inHugeCache,
  pageSubpool,
  setHugeFlag,
  setPageSubpool,
  testClearHugeFlag,
} from '../frames/hugetlb_pool.ts'
import { compoundMapcountAdd, pageIndex, pageNode, pageOwner, pageSetOwner } from '../frames/page.ts'
import { noteMove } from '../reclaim/migrate_window.ts'
import { hugeLevel } from '../spaces/hugetlb.ts'
import { entryFlags, entryValue, levelIndex, setEntry, walkTo } from '../spaces/pagetable.ts'
import { rmapEntries } from '../spaces/rmap.ts'
import { copyHugePage } from './hugetlb.ts'
import { allocHugePageNode, allocHugePageNodemask, allocHugePageToMove } from './hugetlb_alloc.ts'

/** Moves the page to where the policy of the area, at this offset, wants it now. @returns 0, -ENOMEM when there is no other page, -EBUSY. */
export function migrateHugePage(k: Kernel, head: Pfn, vma: Vma, offset: number): number {
  const h = hstateOfPage(k, head)
  return moveHugePage(k, h, head, allocHugePageToMove(k, h, vma, offset))
}

/** Moves the page to a node, and to no other. @returns as migrateHugePage. */
export function migrateHugePageTo(k: Kernel, head: Pfn, nid: NodeId): number {
  const h = hstateOfPage(k, head)
  return moveHugePage(k, h, head, allocHugePageNode(k, h, nid))
}

/** Moves the page to the nearest of some nodes that has room. @returns as migrateHugePage. */
export function migrateHugePageAway(k: Kernel, head: Pfn, nid: NodeId, mask: number): number {
  const h = hstateOfPage(k, head)
  return moveHugePage(k, h, head, allocHugePageNodemask(k, h, nid, mask))
}

function moveHugePage(k: Kernel, h: Hstate, head: Pfn, to: Pfn): number {
  if (to === NO_PAGE) {
    k.event[EV.pgmigrate_fail] += hugePages(h)
    return -ENOMEM
  }
  if (pageSubpool(k, head) !== undefined && !inHugeCache(k, head)) {
    freeHugePage(k, to)
    k.event[EV.pgmigrate_fail] += hugePages(h)
    return -EBUSY
  }
  const startNs = now(k)
  remap(k, h, head, to)
  copyHugePage(k, h, to, head)
  takePlace(k, h, head, to)
  noteMove(k, head, to, startNs)
  freeHugePage(k, head)
  k.event[EV.pgmigrate_success] += hugePages(h)
  spend(k, COST.tlb_flush, 1)
  return 0
}

/** Lets every entry that maps the old page map the new one. */
function remap(k: Kernel, h: Hstate, from: Pfn, to: Pfn): void {
  const level = hugeLevel(h)
  for (const { mm: id, delta } of rmapEntries(k, from)) {
    const mm = k.spaces.mms.get(id)
    const vpn = pageIndex(k, from) + delta
    const table = mm === undefined ? 0 : walkTo(k, mm, vpn, level)
    if (table === 0) continue
    const i = levelIndex(vpn, level)
    const flags = entryFlags(k, table, i)
    if ((flags & PTE_PRESENT) === 0 || asPfn(entryValue(k, table, i)) !== from) continue
    if ((flags & PTE_DIRTY) !== 0) k.page[from * PAGE_WORDS] |= PG_dirty
    setEntry(k, table, i, to, flags)
    compoundMapcountAdd(k, from, -1)
    compoundMapcountAdd(k, to, 1)
    spend(k, COST.rmap_unmap, 1)
  }
}

/** The new page becomes what the old one was: to its file, its owner, its quota and the pool. */
function takePlace(k: Kernel, h: Hstate, from: Pfn, to: Pfn): void {
  const kept = PG_anon | PG_anon_exclusive | PG_dirty | PG_referenced | PG_uptodate
  const index = pageIndex(k, from)
  if (inHugeCache(k, from)) k.fs.mappings.get(pageOwner(k, from))?.inode.hugetlb?.pages.set(index / hugePages(h), to)
  k.page[to * PAGE_WORDS] |= k.page[from * PAGE_WORDS] & kept
  pageSetOwner(k, to, pageOwner(k, from), index)
  setPageSubpool(k, to, pageSubpool(k, from))
  setPageSubpool(k, from, undefined)
  if (!testClearHugeFlag(k, to, HPG_TEMPORARY)) return
  setHugeFlag(k, from, HPG_TEMPORARY)
  const [old, fresh] = [pageNode(k, from), pageNode(k, to)]
  if (old === fresh || h.surplusByNode[old] === 0) return
  h.surplusByNode[old]--
  h.surplusByNode[fresh]++
}
