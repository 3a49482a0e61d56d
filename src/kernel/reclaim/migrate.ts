/**
 * Moving pages: the same bytes, mappings, cache and list position in another page frame.
 *
 *     isolated page ──unmap──> its entries say "being moved" ──copy, cache──> new page ──map──> entries as before
 *                                       │ somebody else holds it: no
 *                                       └──────────────────────────────────> entries as before
 *
 * Who wants pages moved takes them off their LRU lists (isolateLru) and says where new pages come from; those that could not be
 * moved are left to him to put back. What keeps a page from being moved:
 *
 *     held by a batch, a pin or another user          not now
 *     under writeback                                 only a fully synchronous mover waits
 *     of a file system that cannot (ramfs, secretmem) never
 *     no page to move it to                           no further; a huge page is split and moved in pieces
 *
 * pgmigrate_* count single pages, thp_migration_* huge ones. Linux tries a page that somebody holds ten times; as
 * nothing else happens meanwhile, it is tried once here. What others see of a page while it is moved: migrate_window.ts. Who moves
 * many pages gives way to kernel threads now and then, so that kswapd of a node that fills up runs beside him.
 *
 * Source: mm/migrate.c (migrate_pages, migrate_folio_unmap, folio_migrate_mapping, folio_migrate_flags), mm/rmap.c
 * (try_to_migrate).
 */

import { ZERO_CONTENT } from '../base/content.ts'
import { COST, now, spend, spendOnMemory } from '../base/cost.ts'
import { EV, NS, ZS } from '../base/counters.ts'
import { EAGAIN, EBUSY, EINVAL, ENOMEM } from '../base/errno.ts'
import {
  PG_active,
  PG_anon,
  PG_dirty,
  PG_head,
  PG_idle,
  PG_isolated,
  PG_ksm,
  PG_locked,
  PG_mappedtodisk,
  PG_private,
  PG_readahead,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  PG_uptodate,
  PG_workingset,
  PG_writeback,
  PG_young,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { waitOnPage } from '../caches/block.ts'
import { canWriteback } from '../caches/filemap.ts'
import { lruAdd, putbackLru, putPage } from '../caches/lru.ts'
import { swapCacheMove } from '../caches/swap_cache.ts'
import { waitOnSwapCache } from '../caches/swap_io.ts'
import { xaReplace } from '../caches/xarray.ts'
import { moveCpupid } from '../frames/cpupid.ts'
import { modLruvecState } from '../frames/memcg.ts'
import { memcgMigrate } from '../frames/memcg_charge.ts'
import {
  compoundPages,
  isThp,
  markTailsTouched,
  pageContent,
  pageContentIndex,
  pageCount,
  pageIndex,
  pageMapped,
  pageOwner,
  pageSetContent,
  pageSetOwner,
  pageZone,
  tailsTouched,
  totalMapcount,
} from '../frames/page.ts'
import { ksmPageMoved } from '../spaces/ksm_records.ts'
import { remapMoved, unmapToMove } from './migrate_rmap.ts'
import { noteMove } from './migrate_window.ts'
import { splitHugePage } from './thp_split.ts'
import { lruAddDrain } from './zap.ts'

/** How long a mover is ready to wait: not at all, a little but not for the disk, for everything. */
export type MigrateMode = 'async' | 'sync_light' | 'sync'

/** Where new pages come from, and go back to when they are not used. */
export interface MigrateTarget {
  /** A page, or huge page, for the contents of `source`; NO_PAGE when there is none. */
  readonly take: (source: Pfn) => Pfn
  readonly giveBack: (page: Pfn) => void
}

/** What the page is and stays wherever it is. */
const MOVED =
  PG_referenced |
  PG_uptodate |
  PG_active |
  PG_unevictable |
  PG_workingset |
  PG_mappedtodisk |
  PG_dirty |
  PG_young |
  PG_idle |
  PG_readahead |
  PG_swapbacked |
  PG_swapcache |
  PG_private |
  PG_anon |
  PG_ksm

/** Lets others run whose time has come, in the middle of a long system call (cond_resched). */
export type GiveWay = (k: Kernel) => void

/** What a mover wants beside. */
export interface MigrateWish {
  /** A huge page that cannot be had is not worth splitting the old one. */
  readonly nosplit?: boolean
  readonly giveWay?: GiveWay | undefined
}

/** Pages that are moved between two looks whether others want to run. */
const PAGES_IN_A_ROW = 32

interface Run {
  readonly target: MigrateTarget
  readonly mode: MigrateMode
  readonly wish: MigrateWish
  /** Pages that cannot be moved whatever happens, and the pieces of huge ones that are to be tried next. */
  readonly hopeless: Pfn[]
  readonly pieces: Pfn[]
  movedPages: number
  failedPages: number
  movedThps: number
  failedThps: number
  splitThps: number
}

/**
 * Moves isolated pages (migrate_pages). Moved ones are let go; `from` is left with the others, still isolated.
 * @returns how many pages (huge ones count once) were not moved, or -ENOMEM when there was nowhere to move one to.
 */
export function migratePages(k: Kernel, from: Pfn[], target: MigrateTarget, mode: MigrateMode, wish: MigrateWish = {}): number {
  const run: Run = {
    target,
    mode,
    wish,
    hopeless: [],
    pieces: [],
    movedPages: 0,
    failedPages: 0,
    movedThps: 0,
    failedThps: 0,
    splitThps: 0,
  }
  let result = migrateAll(k, from, run, true)
  if (result >= 0 && run.pieces.length > 0) {
    run.hopeless.push(...from.splice(0))
    from.push(...run.pieces.splice(0))
    const pieces = migrateAll(k, from, run, false)
    if (pieces < 0) result = pieces
  }
  from.unshift(...run.hopeless, ...run.pieces)
  k.event[EV.pgmigrate_success] += run.movedPages
  k.event[EV.pgmigrate_fail] += run.failedPages
  k.event[EV.thp_migration_success] += run.movedThps
  k.event[EV.thp_migration_fail] += run.failedThps
  k.event[EV.thp_migration_split] += run.splitThps
  return from.length === 0 ? 0 : result
}

/** Tries each page once; returns how many failed (`counting` them) or -ENOMEM. Leaves in `from` what may be tried again. */
function migrateAll(k: Kernel, from: Pfn[], run: Run, counting: boolean): number {
  const left: Pfn[] = []
  let failed = 0
  let held = 0
  for (let i = 0; i < from.length; i++) {
    if (i % PAGES_IN_A_ROW === PAGES_IN_A_ROW - 1) run.wish.giveWay?.(k)
    const page = from[i]
    const thp = isThp(k, page)
    const pages = compoundPages(k, page)
    const error = migrateOne(k, page, run)
    if (error === 0) {
      run.movedPages += pages
      if (thp) run.movedThps++
      continue
    }
    if (thp) run.failedThps++
    if (thp || counting) failed++
    if (error === -ENOMEM && thp && run.wish.nosplit !== true && splitToMove(k, page, run)) continue
    run.failedPages += pages
    if (error === -ENOMEM) {
      run.failedPages += held
      from.splice(0, i, ...left)
      return -ENOMEM
    }
    if (error === -EAGAIN) {
      left.push(page)
      held += pages
    } else run.hopeless.push(page)
  }
  from.splice(0, from.length, ...left)
  return failed
}

function splitToMove(k: Kernel, head: Pfn, run: Run): boolean {
  if (splitHugePage(k, head, run.pieces) !== 0) return false
  run.pieces.push(head)
  run.splitThps++
  return true
}

/** Puts isolated pages back on their LRU lists (putback_movable_pages). */
export function putbackMovablePages(k: Kernel, pages: Pfn[]): void {
  for (const page of pages) putbackLru(k, page)
  pages.length = 0
}

/** Moves one page; 0, or why not: -EAGAIN held, -EBUSY or -EINVAL never, -ENOMEM nowhere to. */
function migrateOne(k: Kernel, page: Pfn, run: Run): number {
  if (pageCount(k, page) === 1) {
    letGo(k, page)
    return 0
  }
  const to = run.target.take(page)
  if (to === NO_PAGE) return -ENOMEM
  const error = movable(k, page, run.mode)
  if (error !== 0) {
    spend(k, COST.rmap_unmap, totalMapcount(k, page))
    run.target.giveBack(to)
    return error
  }
  moveTo(k, page, to)
  return 0
}

const mappingOfPage = (k: Kernel, page: Pfn): Mapping | undefined =>
  (k.page[page * PAGE_WORDS] & PG_anon) !== 0 ? undefined : k.fs.mappings.get(pageOwner(k, page))

function movable(k: Kernel, page: Pfn, mode: MigrateMode): number {
  const mapping = mappingOfPage(k, page)
  const flags = k.page[page * PAGE_WORDS]
  if ((flags & PG_swapcache) !== 0 && ((flags & PG_anon) === 0 || (flags & PG_locked) !== 0)) return -EAGAIN
  if ((flags & PG_writeback) !== 0) {
    if (mode !== 'sync') return -EBUSY
    if (mapping === undefined) waitOnSwapCache(k, page)
    else waitOnPage(k, mapping, pageIndex(k, page), page)
  }
  const held = heldByOthers(k, page)
  if (mapping === undefined) return held ? -EAGAIN : 0
  if (mapping.inode.sb.type === 'secretmem') return -EBUSY
  if (mapping.inode.sb.type === 'ramfs' && (flags & PG_dirty) !== 0) return mode === 'sync' ? -EINVAL : -EBUSY
  return held ? -EAGAIN : 0
}

/** Whether anybody but mappings, cache, buffers and the one who isolated it has a reference. */
function heldByOthers(k: Kernel, page: Pfn): boolean {
  const flags = k.page[page * PAGE_WORDS]
  const cached = (flags & PG_anon) === 0 || (flags & PG_swapcache) !== 0 ? compoundPages(k, page) : 0
  return pageCount(k, page) - totalMapcount(k, page) > 1 + cached + ((flags & PG_private) !== 0 ? 1 : 0)
}

function moveTo(k: Kernel, from: Pfn, to: Pfn): void {
  const startNs = now(k)
  const wasMapped = pageMapped(k, from)
  if (wasMapped) unmapToMove(k, from)
  k.page[to * PAGE_WORDS] |= (k.page[from * PAGE_WORDS] & MOVED) | PG_isolated
  pageSetOwner(k, to, pageOwner(k, from), pageIndex(k, from))
  memcgMigrate(k, from, to)
  if ((k.page[to * PAGE_WORDS] & PG_ksm) !== 0) ksmPageMoved(k, to)
  moveCpupid(k, from, to)
  if ((k.page[to * PAGE_WORDS] & PG_swapcache) !== 0) swapCacheMove(k, from, to)
  moveCached(k, from, to)
  copyPages(k, from, to)
  lruAdd(k, to)
  if (wasMapped) {
    lruAddDrain(k)
    remapMoved(k, from, to)
    noteMove(k, from, to, startNs)
  }
  k.page[to * PAGE_WORDS] &= ~PG_isolated
  letGo(k, from)
}

/** Drops an isolated page that nobody has any more. */
function letGo(k: Kernel, page: Pfn): void {
  k.page[page * PAGE_WORDS] &= ~(MOVED | PG_isolated)
  pageSetOwner(k, page, 0, 0)
  putPage(k, page)
}

/** Puts the new page into the page cache in the old one's place, and counts it for its own node and zone. */
function moveCached(k: Kernel, from: Pfn, to: Pfn): void {
  const mapping = mappingOfPage(k, to)
  if (mapping === undefined) return
  xaReplace(mapping.pages, pageIndex(k, to), to)
  const pages = compoundPages(k, to)
  const flags = k.page[to * PAGE_WORDS]
  countMoved(k, from, to, NS.nr_file_pages, pages)
  if ((flags & PG_swapbacked) !== 0) countMoved(k, from, to, NS.nr_shmem, pages)
  if ((flags & PG_head) !== 0) countMoved(k, from, to, NS.nr_shmem_hugepages, pages)
  if ((flags & PG_dirty) === 0 || !canWriteback(mapping.inode.sb)) return
  countMoved(k, from, to, NS.nr_dirty, pages)
  pageZone(k, from).stat[ZS.nr_zone_write_pending] -= pages
  pageZone(k, to).stat[ZS.nr_zone_write_pending] += pages
}

function countMoved(k: Kernel, from: Pfn, to: Pfn, stat: number, pages: number): void {
  modLruvecState(k, from, stat, -pages)
  modLruvecState(k, to, stat, pages)
}

function copyPages(k: Kernel, from: Pfn, to: Pfn): void {
  const pages = compoundPages(k, from)
  if (pages > 1 && tailsTouched(k, from)) markTailsTouched(k, to)
  for (let i = 0; i < pages; i++) {
    const content = pageContent(k, asPfn(from + i))
    if (content !== ZERO_CONTENT) pageSetContent(k, asPfn(to + i), content, pageContentIndex(k, asPfn(from + i)))
  }
  spend(k, COST.migrate_page, 1)
  if (pages > 1) spendOnMemory(k, COST.copy_page, pages - 1)
}
