/**
 * Compaction's migrate scanner: walks up a zone and isolates pages that can be moved, a block at a time and at most 32 pages
 * before they are moved.
 *
 *     skip      free blocks, compound pages, pages on no LRU list (page tables, slabs, the kernel's own)
 *     skip      anonymous pages that somebody holds; unevictable ones if compact_unevictable_allowed is 0
 *     skip      what moving would have to wait for: pages under writeback, dirty ones of file systems that cannot move them
 *
 * An asynchronous run for an allocation gives up on an aligned piece of the wanted size at the first page in it that cannot be
 * moved, and puts back what it had of it. Before the walk, the free lists are asked for a block that has large free pieces already, for there
 * is less to move in it.
 *
 * Source: mm/compaction.c (isolate_migratepages, isolate_migratepages_block, fast_find_migrateblock).
 */
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { __GFP_FS, PG_anon, PG_dirty, PG_head, PG_lru, PG_swapcache, PG_tail, PG_unevictable, PG_writeback } from '../base/flags.ts'
import { listFirst, listNext, PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import { asPfn, MAX_ORDER, MIGRATE_MOVABLE, NO_PAGE, PAGE_ALLOC_COSTLY_ORDER, PAGEBLOCK_PAGES, type Pfn } from '../base/units.ts'
import { isolateLru } from '../caches/lru.ts'
import { blockType, buddyOrder, freeList } from '../frames/buddy.ts'
import { compoundOrder, pageCount, pageOwner, totalMapcount } from '../frames/page.ts'
import {
  blockAligned,
  blockEnd,
  blockInZone,
  blockStart,
  CLUSTER_MAX,
  type CompactControl,
  getSkip,
  isolationSuitable,
  setSkip,
  skipPersistent,
  testAndSetSkip,
  turnListPast,
  updateCachedMigrate,
} from './compaction_state.ts'
import { putbackMovablePages } from './migrate.ts'

/** Isolates pages of the next block that has some; returns whether there are any (isolate_migratepages). */
export function isolateMigratepages(k: Kernel, cc: CompactControl): boolean {
  let low = fastFindMigrateblock(k, cc)
  let found = low !== cc.migratePfn && cc.fastSearchFail === 0
  for (let end = blockEnd(low); end <= cc.freePfn; end += PAGEBLOCK_PAGES) {
    if (worthScanning(k, cc, low, end, found)) {
      isolateBlock(k, cc, low, end)
      break
    }
    found = false
    low = end
    cc.migratePfn = end
  }
  return cc.migratePages.length > 0
}

function worthScanning(k: Kernel, cc: CompactControl, low: number, end: number, found: boolean): boolean {
  if (!blockInZone(k, cc.zone, low)) return false
  if (blockAligned(low) && !found && !isolationSuitable(k, cc, low)) return false
  if (suitableSource(k, cc, low)) return true
  updateCachedMigrate(cc, end)
  return false
}

/** An asynchronous run for an allocation only empties blocks of its own type (suitable_migration_source). */
function suitableSource(k: Kernel, cc: CompactControl, pfn: number): boolean {
  if (skipPersistent(k, pfn)) return false
  if (cc.mode !== 'async' || !cc.direct) return true
  return blockType(k, pfn) === cc.migratetype
}

/** The walk over one block, or the rest of it (isolate_migratepages_block). */
interface Walk {
  readonly end: number
  pfn: number
  scanned: number
  isolated: number
  /** End of the aligned piece that is given up at the first failure; 0: none is. */
  pieceEnd: number
  /** The block's skip mark was looked at: at its first page, and at the first page taken. */
  checked: boolean
  marked: boolean
}

function isolateBlock(k: Kernel, cc: CompactControl, low: number, end: number): void {
  const givesUp = cc.direct && cc.mode === 'async'
  const walk: Walk = {
    end,
    pfn: low,
    scanned: 0,
    isolated: 0,
    pieceEnd: givesUp ? blockEnd(low, cc.order) : 0,
    checked: false,
    marked: false,
  }
  while (walk.pfn < end) {
    if (walk.pieceEnd > 0 && walk.pfn >= walk.pieceEnd) {
      if (walk.isolated > 0) break
      walk.pieceEnd = blockEnd(walk.pfn, cc.order)
    }
    walk.scanned++
    if (!walk.checked && blockAligned(walk.pfn)) {
      if (!isolationSuitable(k, cc, walk.pfn)) {
        walk.pfn = end
        break
      }
      walk.checked = true
    }
    if (!step(k, cc, walk)) break
  }
  walk.pfn = Math.min(walk.pfn, end)
  if (walk.pfn === end && (walk.isolated === 0 || cc.rescan)) {
    if (walk.checked && !walk.marked) setSkip(k, low)
    updateCachedMigrate(cc, end)
  }
  cc.migrateScanned += walk.scanned
  k.event[EV.compact_isolated] += walk.isolated
  spend(k, COST.compact_scan, walk.scanned)
  cc.migratePfn = walk.pfn
}

/** Looks at one page or free block and moves on; false when the walk ends here. */
function step(k: Kernel, cc: CompactControl, walk: Walk): boolean {
  const pfn = asPfn(walk.pfn)
  const order = buddyOrder(k, cc.zone, pfn)
  if (order >= 0) {
    walk.pfn += 1 << order
    return true
  }
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & (PG_head | PG_tail)) !== 0) {
    const whole = compoundOrder(k, pfn)
    walk.pfn += whole < MAX_ORDER ? (1 << whole) - 1 : 0
    failed(k, cc, walk)
    return true
  }
  if (!canIsolate(k, cc, pfn, flags)) {
    failed(k, cc, walk)
    return true
  }
  if (!walk.marked) {
    walk.marked = true
    if (testAndSetSkip(k, cc, pfn)) return false
  }
  isolateLru(k, pfn)
  cc.migratePages.push(pfn)
  walk.isolated++
  walk.pfn++
  return cc.migratePages.length < CLUSTER_MAX || cc.rescan
}

/** The page at hand cannot be moved: on to the next one, or to the next aligned piece. */
function failed(k: Kernel, cc: CompactControl, walk: Walk): void {
  walk.pfn++
  if (walk.pieceEnd === 0) return
  if (walk.isolated > 0) {
    putbackMovablePages(k, cc.migratePages.reverse())
    walk.isolated = 0
  }
  if (walk.pfn - 1 >= walk.pieceEnd) return
  walk.pfn = walk.pieceEnd
  walk.pieceEnd += 1 << cc.order
}

/** Whether the page is one that this run may move. */
function canIsolate(k: Kernel, cc: CompactControl, pfn: Pfn, flags: number): boolean {
  if ((flags & PG_lru) === 0 || pageCount(k, pfn) === 0) return false
  const inCache = (flags & PG_anon) === 0 || (flags & PG_swapcache) !== 0
  if (!inCache && pageCount(k, pfn) > totalMapcount(k, pfn)) return false
  if (inCache && (cc.gfp & __GFP_FS) === 0) return false
  if ((flags & PG_unevictable) !== 0 && k.sysctl.compact_unevictable_allowed === 0) return false
  if (cc.mode === 'sync') return true
  if ((flags & PG_writeback) !== 0) return false
  return (flags & PG_dirty) === 0 || (flags & PG_anon) !== 0 || movesDirty(k.fs.mappings.get(pageOwner(k, pfn)))
}

/** Whether the file system can move a dirty page without writing it: ramfs has no way to. */
const movesDirty = (mapping: Mapping | undefined) => mapping?.inode.sb.type !== 'ramfs'

// --- the quick search

/** Entries of the free lists that a quick search looks at; fewer after searches in vain (freelist_scan_limit). */
export const freelistScanLimit = (cc: CompactControl): number => (CLUSTER_MAX >> Math.min(31, cc.fastSearchFail)) + 1

/** Where to begin: at a block with large free pieces near the scanner, or where it stands (fast_find_migrateblock). */
function fastFindMigrateblock(k: Kernel, cc: CompactControl): number {
  const at = cc.migratePfn
  const { zone } = cc
  if (cc.ignoreSkipHint || (at !== zone.startPfn && !blockAligned(at)) || cc.order <= PAGE_ALLOC_COSTLY_ORDER) return at
  if (cc.direct && cc.migratetype !== MIGRATE_MOVABLE) return at
  let distance = (cc.freePfn - at) >> 1
  if (at !== zone.startPfn) distance >>= 2
  const found = findInFreeLists(k, cc, blockStart(at + distance))
  if (found !== NO_PAGE) {
    if (cc.fastStartPfn >= 0) cc.fastStartPfn = cc.fastStartPfn === 0 ? found : Math.min(cc.fastStartPfn, found)
    cc.fastSearchFail = 0
    setSkip(k, found)
    return Math.max(blockStart(found), zone.startPfn)
  }
  cc.fastSearchFail++
  return reinitMigratePfn(cc)
}

function findInFreeLists(k: Kernel, cc: CompactControl, below: number): Pfn {
  const limit = freelistScanLimit(cc)
  let scanned = 0
  let found: Pfn = NO_PAGE
  for (let order = cc.order - 1; order >= PAGE_ALLOC_COSTLY_ORDER && found === NO_PAGE && scanned < limit; order--) {
    const list = freeList(cc.zone, order, MIGRATE_MOVABLE)
    for (let pfn = listFirst(k.heads, list); pfn !== NO_PAGE; pfn = listNext(k.page, pfn)) {
      const spent = scanned++ >= limit
      if (!spent && (pfn >= below || getSkip(k, pfn))) continue
      turnListPast(k, list, pfn)
      if (!spent) found = pfn
      break
    }
  }
  cc.migrateScanned += scanned
  spend(k, COST.compact_scan, scanned)
  return found
}

/** Back to the lowest block the quick searches have named, once (reinit_migrate_pfn). */
function reinitMigratePfn(cc: CompactControl): number {
  if (cc.fastStartPfn > 0) {
    cc.migratePfn = cc.fastStartPfn
    cc.fastStartPfn = -1
  }
  return cc.migratePfn
}
