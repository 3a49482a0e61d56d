/**
 * Emptying a range of memory whose page blocks have been isolated: what can move is moved elsewhere, some 32 pages at a time.
 *
 *     found    |a b c d|      pages on LRU lists, the last one found first
 *     clean file pages        are dropped, however much they are in use
 *     the others              are moved, and wait for the disk if they must; those that are held are tried five times
 *
 * Pages freed meanwhile go back to isolated blocks, where nobody gets them. Whether the range is empty then is for the caller to see.
 *
 * Source: mm/page_alloc.c (__alloc_contig_migrate_range), mm/compaction.c (isolate_migratepages_range), mm/vmscan.c
 * (reclaim_clean_pages_from_list).
 */

import { migrationTarget } from '../alloc/migration_target.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { ENOMEM } from '../base/errno.ts'
import {
  __GFP_MOVABLE,
  __GFP_RETRY_MAYFAIL,
  GFP_KERNEL,
  GFP_USER,
  PG_active,
  PG_anon,
  PG_dirty,
  PG_lru,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Zone } from '../base/state.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { isolateLru } from '../caches/lru.ts'
import { buddyOrder } from '../frames/buddy.ts'
import { compoundPages, pageCount, totalMapcount } from '../frames/page.ts'
import { CLUSTER_MAX } from '../reclaim/compaction_state.ts'
import { migratePages, putbackMovablePages } from '../reclaim/migrate.ts'
import { scanControl } from '../reclaim/vmscan_control.ts'
import { reclaimStat, shrinkFolioList } from '../reclaim/vmscan_list.ts'
import { lruAddDrain, lruAddDrainAll } from '../reclaim/zap.ts'

/** How often pages that somebody holds are tried. */
const TRIES = 5

/** Moves what can be moved out of [start, end), whole page blocks of the zone. @returns whether there was always somewhere to move it to. */
export function contigMigrateRange(k: Kernel, zone: Zone, start: number, end: number): boolean {
  const target = migrationTarget(k, zone.node, GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL)
  const pages: Pfn[] = []
  let tries = 0
  let result = 0
  lruAddDrainAll(k)
  for (let pfn = start; (pfn < end || pages.length > 0) && result !== -ENOMEM; ) {
    if (pages.length === 0) {
      pfn = isolateRange(k, zone, pfn, end, pages)
      tries = 0
    } else if (++tries === TRIES) break
    dropClean(k, zone, pages)
    result = migratePages(k, pages, target, 'sync')
    lruAddDrain(k)
  }
  putbackMovablePages(k, pages)
  return result !== -ENOMEM
}

/** Isolates pages from `pfn` on until there are enough; returns where the next search begins. */
function isolateRange(k: Kernel, zone: Zone, pfn: number, end: number, pages: Pfn[]): number {
  let isolated = 0
  let at = pfn
  for (; at < end && isolated < CLUSTER_MAX; ) {
    const order = buddyOrder(k, zone, asPfn(at))
    if (order >= 0) {
      at += 1 << order
      continue
    }
    spend(k, COST.compact_scan, 1)
    const size = canMove(k, asPfn(at)) ? compoundPages(k, asPfn(at)) : 1
    if (canMove(k, asPfn(at))) {
      isolateLru(k, asPfn(at))
      pages.unshift(asPfn(at))
      isolated += size
    }
    at += size
  }
  k.event[EV.compact_isolated] += isolated
  return at
}

/** A page on an LRU list, unless it is anonymous and somebody holds it. */
function canMove(k: Kernel, pfn: Pfn): boolean {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & PG_lru) === 0) return false
  return (flags & PG_anon) === 0 || (flags & PG_swapcache) !== 0 || pageCount(k, pfn) <= totalMapcount(k, pfn)
}

/** Drops the clean file pages among the isolated ones. */
function dropClean(k: Kernel, zone: Zone, pages: Pfn[]): void {
  const clean = pages.filter(head => (k.page[head * PAGE_WORDS] & (PG_swapbacked | PG_dirty | PG_unevictable)) === 0)
  if (clean.length === 0) return
  for (const head of clean) k.page[head * PAGE_WORDS] &= ~PG_active
  const others = pages.filter(head => !clean.includes(head))
  const sc = scanControl({
    kswapd: false,
    gfp: GFP_KERNEL,
    order: 0,
    reclaimIdx: zone.type,
    mayWritepage: false,
    maySwap: false,
    ignoreReferences: true,
  })
  const { kept } = shrinkFolioList(k, k.nodes[zone.node], clean, sc, reclaimStat())
  pages.splice(0, pages.length, ...kept, ...others)
}
