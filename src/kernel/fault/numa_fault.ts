/**
 * Hinting faults: a task touches a page whose entry NUMA balancing made inaccessible, and thereby tells who uses it.
 *
 *     entry inaccessible, area not ── counted ── misplaced by the policy? ── no ──────> entry accessible again
 *                                                   │ yes                                  ^
 *                                             moved to this node ── could not be moved ────┘
 *                                                   └── moved: the new page's entry is accessible
 *
 * Pages of single entries and huge ones go the same way: through migratePages, which makes entries anew. Where that fails the entry
 * is restored as it was before it was marked, writable if it was.
 *
 * A page may be moved when the default policy governs it (it wants to be where it is used), or a BIND policy with
 * MPOL_F_NUMA_BALANCING whose nodes include this one. It is not moved when the node is nearly full, when a huge page is mapped more
 * than once, when it is a dirty file page, or an executable one that several map.
 *
 * Source: mm/memory.c (do_numa_page, numa_migrate_prep), mm/huge_memory.c do_huge_pmd_numa_page, mm/mempolicy.c mpol_misplaced,
 * mm/migrate.c (migrate_misplaced_page, numamigrate_isolate_page, migrate_balanced_pgdat, alloc_misplaced_dst_page).
 */
import { allocPagesNode } from '../alloc/page_alloc.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  __GFP_NOMEMALLOC,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_RECLAIM,
  __GFP_THISNODE,
  GFP_HIGHUSER_MOVABLE,
  GFP_TRANSHUGE_LIGHT,
  MPOL_BIND,
  MPOL_F_NUMA_BALANCING,
  PG_dirty,
  PG_head,
  PG_swapbacked,
  PG_tail,
  PTE_ACCESSED,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SPECIAL,
  VM_EXEC,
  VM_SHARED,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Vma } from '../base/state_mm.ts'
import type { Mempolicy } from '../base/state_shared.ts'
import { asPfn, MAX_NR_ZONES, type NodeId, type Pfn, ZONE_MOVABLE } from '../base/units.ts'
import { isolateLru, putbackLru } from '../caches/lru.ts'
import { pageCpupidLast } from '../frames/cpupid.ts'
import { hasNode, localNode, vmaPolicy } from '../frames/mempolicy.ts'
import { compoundHead, compoundOrder, compoundPages, pageMapcount, pageNode, totalMapcount } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { zoneWatermarkOk } from '../frames/watermark.ts'
import { migratePages } from '../reclaim/migrate.ts'
import { entryFlags, entryValue, setEntry } from '../spaces/pagetable.ts'
import {
  shouldNumaMigrateMemory,
  TNF_FAULT_LOCAL,
  TNF_MIGRATE_FAIL,
  TNF_MIGRATED,
  TNF_NO_GROUP,
  TNF_SHARED,
  taskNumaFault,
} from './numa_stats.ts'

/** A fault on entry `i` of a table that is marked (do_numa_page, do_huge_pmd_numa_page). */
export function doNumaPage(k: Kernel, vma: Vma, table: number, i: number, huge: boolean): number {
  const marked = entryFlags(k, table, i)
  const pfn = asPfn(entryValue(k, table, i))
  if ((marked & PTE_SPECIAL) !== 0 || (!huge && (k.page[compoundHead(k, pfn) * PAGE_WORDS] & (PG_head | PG_tail)) !== 0)) {
    restore(k, table, i, marked)
    return 0
  }
  const from = pageNode(k, pfn)
  const last = pageCpupidLast(k, pfn)
  const pages = compoundPages(k, pfn)
  let flags = (marked & PTE_RW) === 0 ? TNF_NO_GROUP : 0
  if (!huge && pageMapcount(k, pfn) > 1 && (vma.flags & VM_SHARED) !== 0) flags |= TNF_SHARED
  k.event[EV.numa_hint_faults]++
  if (from === localNode(k)) {
    k.event[EV.numa_hint_faults_local]++
    flags |= TNF_FAULT_LOCAL
  }
  spend(k, COST.numa_hint, 1)
  const target = misplaced(k, vma, pfn, from)
  if (target === undefined) restore(k, table, i, marked)
  else if (migrateMisplaced(k, vma, pfn, target)) flags |= TNF_MIGRATED
  else {
    flags |= TNF_MIGRATE_FAIL
    restore(k, table, i, marked)
  }
  const at = (flags & TNF_MIGRATED) !== 0 && target !== undefined ? target : from
  if (k.current !== undefined) taskNumaFault(k, k.current, last, at, pages, flags)
  return 0
}

function restore(k: Kernel, table: number, i: number, marked: number): void {
  setEntry(k, table, i, entryValue(k, table, i), (marked & ~PTE_PROTNONE) | PTE_ACCESSED)
  spend(k, COST.pte_change, 1)
}

/** Whether pages under the policy may be moved for being used elsewhere (MPOL_F_MOF and MPOL_F_MORON). */
export const isMigrateOnFault = (k: Kernel, policy: Mempolicy): boolean =>
  policy === k.policies.default || (policy.flags & MPOL_F_NUMA_BALANCING) !== 0

/** The node that the page should be on instead; undefined when it is well placed (mpol_misplaced). */
function misplaced(k: Kernel, vma: Vma, pfn: Pfn, from: NodeId): NodeId | undefined {
  const policy = vmaPolicy(k, vma, k.vmf.offset)
  const here = localNode(k)
  if (!isMigrateOnFault(k, policy) || k.current === undefined) return undefined
  if (policy.mode === MPOL_BIND ? !hasNode(policy.nodes, here) : from === here) return undefined
  if (!shouldNumaMigrateMemory(k, k.current, pfn, from)) return undefined
  return from === here ? undefined : here
}

/** Moves the page, or huge page, to the node, unless something speaks against it. @returns whether it was moved. */
function migrateMisplaced(k: Kernel, vma: Vma, head: Pfn, nid: NodeId): boolean {
  const flags = k.page[head * PAGE_WORDS]
  const file = (flags & PG_swapbacked) === 0
  if (file && ((flags & PG_dirty) !== 0 || (pageMapcount(k, head) !== 1 && (vma.flags & VM_EXEC) !== 0))) return false
  const pages = compoundPages(k, head)
  if (pages > 1 && totalMapcount(k, head) > 1) return false
  if (!hasRoom(k, nid, pages) || !isolateLru(k, head)) return false
  const target = {
    take: (source: Pfn) => allocPagesNode(k, targetGfp(k, source), compoundOrder(k, source), nid, 1 << nid),
    giveBack: (page: Pfn) => freePages(k, page, compoundOrder(k, page)),
  }
  if (migratePages(k, [head], target, 'async', { nosplit: true }) !== 0) {
    putbackLru(k, head)
    return false
  }
  k.event[EV.numa_pages_migrated] += pages
  return true
}

const targetGfp = (k: Kernel, source: Pfn): number =>
  compoundOrder(k, source) > 0
    ? GFP_TRANSHUGE_LIGHT | __GFP_THISNODE
    : ((GFP_HIGHUSER_MOVABLE | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN) & ~__GFP_RECLAIM) | __GFP_THISNODE

/** Whether some zone of the node stays above its high mark with so many pages less. */
function hasRoom(k: Kernel, nid: NodeId, pages: number): boolean {
  for (let type = MAX_NR_ZONES - 1; type >= 0; type--) {
    const zone = k.zones[nid * MAX_NR_ZONES + type]
    if (zone.managedPages > 0 && zoneWatermarkOk(k, zone, 0, zone.wmarkHigh + zone.watermarkBoost + pages, ZONE_MOVABLE, 0)) return true
  }
  return false
}
