/**
 * The LRU lists that pages age on, and the batches through which they get there.
 *
 *     new page ──> this CPU's lruAdd batch (15) ──> inactive list ──> reclaimed from its tail
 *                                                     |   ^
 *                             second access: activate v   | aged without access (vmscan.ts)
 *                                                    active list
 *
 * Each node and memory cgroup has five lists: inactive and active for anonymous and for file pages, and the
 * unevictable one. A page is counted on the unevictable list but not linked there; its link word counts the mlocks
 * instead. A batch holds a reference, so a page that is unmapped while in another CPU's batch is freed when that one drains; that
 * is also why nr_*_anon and nr_*_file trail allocations by up to 15 pages a CPU. Huge pages go to their list at once.
 *
 * While generations are on (lru_gen.ts), evictable pages stand in those instead, and these four lists are empty.
 *
 * Invariants: PG_lru means counted on exactly one list, which node, memcg and the flags active, swapbacked and
 * unevictable name; sizes of lists, zone counters and node counters agree.
 *
 * Source: mm/swap.c, include/linux/mm_inline.h.
 */
import { fail } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { EV, NS, ZS } from '../base/counters.ts'
import {
  PG_active,
  PG_anon,
  PG_BATCH_ONE,
  PG_BATCH_SHIFT,
  PG_dirty,
  PG_hugetlb,
  PG_idle,
  PG_isolated,
  PG_locked,
  PG_lru,
  PG_mlocked,
  PG_reclaim,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  PG_writeback,
} from '../base/flags.ts'
import { listAdd, listAddTail, listDelete, listLast, PAGE_WORDS, W_NEXT } from '../base/list.ts'
import type { FolioBatch, Kernel, Lruvec } from '../base/state.ts'
import { asPfn, HPAGE_PMD_ORDER, NO_PAGE, PAGEBLOCK_ORDER, type Pfn } from '../base/units.ts'
import { deferredSplitRemove } from '../frames/deferred.ts'
import { freeHugePage } from '../frames/hugetlb_pool.ts'
import { countMemcgEvent, lruvecPageState, memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'
import {
  compoundOrder,
  compoundPages,
  pageCount,
  pageMapped,
  pageMemcg,
  pageNode,
  pageOwner,
  pageZone,
  W_MAPCOUNT,
} from '../frames/page.ts'
import { freeCharged, isJunk } from '../frames/rmqueue.ts'
import { folioIncRefs, forgetGen, lruGenAdd, lruGenDel, updateLruSize } from './lru_gen.ts'

export const LRU_INACTIVE_ANON = 0
export const LRU_ACTIVE_ANON = 1
export const LRU_INACTIVE_FILE = 2
export const LRU_ACTIVE_FILE = 3
export const LRU_UNEVICTABLE = 4
export const NR_LRU_LISTS = 5

/** Pages of a folio batch (PAGEVEC_SIZE). */
export const BATCH_PAGES = 15

const NR_LRU_BASE = NS.nr_inactive_anon
const NR_MLOCK = ZS.nr_mlock
const COST_MOVE = COST.lru_move

/** The list a page belongs on by its flags (folio_lru_list). */
export function lruOf(flags: number): number {
  if ((flags & PG_unevictable) !== 0) return LRU_UNEVICTABLE
  const base = (flags & PG_swapbacked) !== 0 ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE
  return (flags & PG_active) !== 0 ? base + 1 : base
}

export const lruvecOf = (k: Kernel, pfn: Pfn): Lruvec => k.nodes[pageNode(k, pfn)].lruvecs[pageMemcg(k, pfn)]

/** Counts pages of a list for the group, the zone and the node; returns the group's lists. */
function updateSize(k: Kernel, pfn: Pfn, lru: number, pages: number): Lruvec {
  const zone = k.zones[k.blockZone[pfn >>> PAGEBLOCK_ORDER]]
  const node = k.nodes[zone.node]
  const lruvec = node.lruvecs[pageMemcg(k, pfn)]
  updateLruSize(node, zone, lruvec, lru, pages)
  return lruvec
}

/** Puts a page on the list its flags name: at the head, or at the tail where reclaim looks first. */
function lruvecAdd(k: Kernel, pfn: Pfn, tail: boolean): void {
  if (k.lruGen.enabled && lruGenAdd(k, pfn, tail)) return
  const lru = lruOf(k.page[pfn * PAGE_WORDS])
  const lruvec = updateSize(k, pfn, lru, compoundPages(k, pfn))
  if (lru === LRU_UNEVICTABLE) return
  if (tail) listAddTail(k.heads, k.page, lruvec.lists + lru, pfn)
  else listAdd(k.heads, k.page, lruvec.lists + lru, pfn)
}

function lruvecDelete(k: Kernel, pfn: Pfn): void {
  if (k.lruGen.enabled && lruGenDel(k, pfn, false)) return
  const lru = lruOf(k.page[pfn * PAGE_WORDS])
  const lruvec = updateSize(k, pfn, lru, -compoundPages(k, pfn))
  if (lru === LRU_UNEVICTABLE) k.page[pfn * PAGE_WORDS + W_NEXT] = 0
  else listDelete(k.heads, k.page, lruvec.lists + lru, pfn)
}

/** Takes a page off its list for reclaim, migration or collapse, which then hold it (folio_isolate_lru). */
export function isolateLru(k: Kernel, pfn: Pfn): boolean {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_lru) === 0) return false
  lruvecDelete(k, pfn)
  k.page[at] = (k.page[at] & ~PG_lru) | PG_isolated
  spend(k, COST_MOVE, 1)
  return true
}

/** Lets go of an isolated page and puts it back through this CPU's batch (folio_putback_lru). */
export function putbackLru(k: Kernel, pfn: Pfn): void {
  k.page[pfn * PAGE_WORDS] &= ~PG_isolated
  if (pageCount(k, pfn) === 0) return freeUnused(k, pfn)
  lruAdd(k, pfn)
}

/** Puts an isolated page, or one that is on no list, straight onto its list: reclaim and mlock know where it belongs. */
export function lruPutDirect(k: Kernel, pfn: Pfn): void {
  k.page[pfn * PAGE_WORDS] = (k.page[pfn * PAGE_WORDS] & ~PG_isolated) | PG_lru
  lruvecAdd(k, pfn, false)
}

/** Takes a listed page off its list without holding it, for those who put it straight onto another. */
export function lruTakeDirect(k: Kernel, pfn: Pfn): void {
  lruvecDelete(k, pfn)
  k.page[pfn * PAGE_WORDS] &= ~PG_lru
}

// --- batches

/** Adds a reference to the page for a batch; the full batch, or one that got a huge page, is worked off by `drain`. */
function batchAdd(k: Kernel, batch: FolioBatch, pfn: Pfn, drain: (k: Kernel, batch: FolioBatch) => void): void {
  const at = pfn * PAGE_WORDS
  if (k.page[at] >>> PG_BATCH_SHIFT === 3) return
  k.page[at] = (k.page[at] + PG_BATCH_ONE) | 0
  batch.pages[batch.n++] = pfn
  if (batch.n === BATCH_PAGES || compoundOrder(k, pfn) > 0) drain(k, batch)
}

function batchRelease(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  k.page[at] = (k.page[at] - PG_BATCH_ONE) | 0
  putPage(k, pfn)
}

/** Works off a batch: `move` for each page that is still on a list, then the references are dropped. */
function moveBatch(k: Kernel, batch: FolioBatch, move: (k: Kernel, pfn: Pfn) => void): void {
  const n = batch.n
  batch.n = 0
  spend(k, COST_MOVE, n)
  for (let i = 0; i < n; i++) if ((k.page[batch.pages[i] * PAGE_WORDS] & PG_lru) !== 0) move(k, asPfn(batch.pages[i]))
  for (let i = 0; i < n; i++) batchRelease(k, asPfn(batch.pages[i]))
}

/** Gives a new page, or one that was isolated, to this CPU's batch for its LRU list (folio_add_lru). */
export function lruAdd(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  const batch = k.cpus[k.cpu].lruAdd
  if (k.lruGen.inFault) markFaulted(k, pfn)
  k.page[at] = (k.page[at] + PG_BATCH_ONE) | 0
  batch.pages[batch.n++] = pfn
  if (batch.n === BATCH_PAGES || compoundOrder(k, pfn) > 0) drainLruAdd(k, batch)
}

/** A page that a program's fault brings in begins in the youngest generation; not one that its reclaim puts back. */
function markFaulted(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_unevictable) === 0 && !k.memcg.reclaiming && k.current !== undefined) k.page[at] |= PG_active
}

/** What this takes is part of what it costs to get a page (COST.page_alloc). */
function drainLruAdd(k: Kernel, batch: FolioBatch): void {
  const n = batch.n
  batch.n = 0
  for (let i = 0; i < n; i++) lruAddOne(k, asPfn(batch.pages[i]))
  for (let i = 0; i < n; i++) batchRelease(k, asPfn(batch.pages[i]))
}

function lruAddOne(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  const flags = k.page[at]
  if ((flags & PG_lru) !== 0) fail(`page ${pfn} is added to an LRU list twice`)
  const pages = compoundPages(k, pfn)
  if (isEvictable(k, pfn)) {
    if ((flags & PG_unevictable) !== 0) k.event[EV.unevictable_pgs_rescued] += pages
    k.page[at] = (flags & ~PG_unevictable) | PG_lru
  } else {
    if ((flags & PG_unevictable) === 0) k.event[EV.unevictable_pgs_culled] += pages
    k.page[at] = (flags & ~PG_active) | PG_unevictable | PG_lru
    k.page[at + W_NEXT] = 0
  }
  lruvecAdd(k, pfn, false)
}

/** Neither locked by a process nor of a file whose pages stay (folio_evictable). */
export function isEvictable(k: Kernel, pfn: Pfn): boolean {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & PG_mlocked) !== 0) return false
  if ((flags & PG_anon) !== 0) return true
  return k.fs.mappings.get(pageOwner(k, pfn))?.unevictable !== true
}

/** The second access to an inactive page makes it active; generations count accesses (folio_mark_accessed). Returns true when it did. */
export function markAccessed(k: Kernel, pfn: Pfn): boolean {
  if (k.lruGen.enabled) {
    folioIncRefs(k, pfn)
    return false
  }
  const at = pfn * PAGE_WORDS
  const flags = k.page[at]
  k.page[at] = flags & ~PG_idle
  if ((flags & PG_referenced) === 0) {
    k.page[at] |= PG_referenced
    return false
  }
  if ((flags & (PG_unevictable | PG_active)) !== 0) return false
  if ((flags & PG_lru) !== 0) batchAdd(k, k.cpus[k.cpu].activate, pfn, drainActivate)
  else if (inBatch(k.cpus[k.cpu].lruAdd, pfn)) k.page[at] |= PG_active
  k.page[at] &= ~PG_referenced
  return true
}

/** Puts an inactive page on the active list, through this CPU's batch (folio_activate). */
export function activatePage(k: Kernel, pfn: Pfn): void {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & PG_lru) !== 0 && (flags & (PG_active | PG_unevictable)) === 0) batchAdd(k, k.cpus[k.cpu].activate, pfn, drainActivate)
}

function inBatch(batch: FolioBatch, pfn: Pfn): boolean {
  for (let i = batch.n - 1; i >= 0; i--) if (batch.pages[i] === pfn) return true
  return false
}

/** Counts the page, or the pages of a huge one, for the machine and its memory cgroup. */
function countLruEvent(k: Kernel, pfn: Pfn, event: number): void {
  const pages = compoundPages(k, pfn)
  k.event[event] += pages
  countMemcgEvent(k, pageMemcg(k, pfn), event, pages)
}

const drainActivate = (k: Kernel, batch: FolioBatch) => moveBatch(k, batch, activateOne)

function activateOne(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & (PG_active | PG_unevictable)) !== 0) return
  lruvecDelete(k, pfn)
  k.page[at] |= PG_active
  lruvecAdd(k, pfn, false)
  countLruEvent(k, pfn, EV.pgactivate)
}

/** Moves an active page to the inactive list's head, or any to an older generation (MADV_COLD; deactivate_page). */
export function deactivatePage(k: Kernel, pfn: Pfn): void {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & (PG_lru | PG_unevictable)) === PG_lru && ((flags & PG_active) !== 0 || k.lruGen.enabled))
    batchAdd(k, k.cpus[k.cpu].lruDeactivate, pfn, drainDeactivate)
}

const drainDeactivate = (k: Kernel, batch: FolioBatch) => moveBatch(k, batch, deactivateOne)

function deactivateOne(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_unevictable) !== 0 || ((k.page[at] & PG_active) === 0 && !k.lruGen.enabled)) return
  lruvecDelete(k, pfn)
  k.page[at] &= ~(PG_active | PG_referenced)
  lruvecAdd(k, pfn, false)
  countLruEvent(k, pfn, EV.pgdeactivate)
}

/** Moves a file page that could not be dropped at once to where reclaim finds it soon (deactivate_file_folio). */
export function deactivateFilePage(k: Kernel, pfn: Pfn): void {
  if ((k.page[pfn * PAGE_WORDS] & PG_unevictable) === 0) batchAdd(k, k.cpus[k.cpu].lruDeactivateFile, pfn, drainDeactivateFile)
}

const drainDeactivateFile = (k: Kernel, batch: FolioBatch) => moveBatch(k, batch, deactivateFileOne)

function deactivateFileOne(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  const flags = k.page[at]
  if ((flags & PG_unevictable) !== 0 || pageMapped(k, pfn)) return
  lruvecDelete(k, pfn)
  const busy = (flags & (PG_writeback | PG_dirty)) !== 0
  k.page[at] &= ~(PG_active | PG_referenced)
  lruvecAdd(k, pfn, !busy)
  if (busy) k.page[at] |= PG_reclaim
  else k.event[EV.pgrotated] += compoundPages(k, pfn)
  if ((flags & PG_active) !== 0) countLruEvent(k, pfn, EV.pgdeactivate)
}

/** Makes an anonymous page one that reclaim may drop instead of swapping it out (MADV_FREE; mark_page_lazyfree). */
export function markPageLazyfree(k: Kernel, pfn: Pfn): void {
  const flags = k.page[pfn * PAGE_WORDS]
  const wanted = PG_lru | PG_anon | PG_swapbacked
  if ((flags & (wanted | PG_swapcache | PG_unevictable)) === wanted) batchAdd(k, k.cpus[k.cpu].lruLazyfree, pfn, drainLazyfree)
}

const drainLazyfree = (k: Kernel, batch: FolioBatch) => moveBatch(k, batch, lazyfreeOne)

function lazyfreeOne(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  const wanted = PG_anon | PG_swapbacked
  if ((k.page[at] & (wanted | PG_swapcache | PG_unevictable)) !== wanted) return
  lruvecDelete(k, pfn)
  k.page[at] &= ~(PG_active | PG_referenced | PG_swapbacked)
  lruvecAdd(k, pfn, false)
  countLruEvent(k, pfn, EV.pglazyfree)
}

/** Moves a page whose write has ended to the tail of the inactive list (folio_rotate_reclaimable). */
export function rotateReclaimable(k: Kernel, pfn: Pfn): void {
  const flags = k.page[pfn * PAGE_WORDS]
  if ((flags & PG_lru) !== 0 && (flags & (PG_locked | PG_dirty | PG_unevictable)) === 0)
    batchAdd(k, k.cpus[k.cpu].lruRotate, pfn, drainRotate)
}

const drainRotate = (k: Kernel, batch: FolioBatch) => moveBatch(k, batch, rotateOne)

function rotateOne(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_unevictable) !== 0) return
  lruvecDelete(k, pfn)
  k.page[at] &= ~PG_active
  lruvecAdd(k, pfn, true)
  k.event[EV.pgrotated] += compoundPages(k, pfn)
}

// --- generations on and off

/** Moves all pages of a lruvec's lists to its generations, which are on now (fill_evictable). */
export function fillGenerations(k: Kernel, lruvec: Lruvec): void {
  for (let lru = LRU_INACTIVE_ANON; lru <= LRU_ACTIVE_FILE; lru++) {
    for (let pfn = listLast(k.heads, lruvec.lists + lru); pfn !== NO_PAGE; pfn = listLast(k.heads, lruvec.lists + lru)) {
      lruvecDelete(k, pfn)
      lruvecAdd(k, pfn, false)
    }
  }
}

/** Moves all pages of a lruvec's generations, which are off now, to its lists, the oldest place first (drain_evictable). */
export function drainGenerations(k: Kernel, lruvec: Lruvec): void {
  for (let place = 0; place < lruvec.gen.nrPages.length; place++) {
    const list = lruvec.gen.lists + place
    for (let pfn = listLast(k.heads, list); pfn !== NO_PAGE; pfn = listLast(k.heads, list)) {
      lruGenDel(k, pfn, false)
      lruvecAdd(k, pfn, false)
    }
  }
}

/** Works off all batches of a CPU but the mlock one (lru_add_drain_cpu). */
export function lruAddDrainCpu(k: Kernel, cpu: number): void {
  const c = k.cpus[cpu]
  if (c.lruAdd.n > 0) drainLruAdd(k, c.lruAdd)
  if (c.lruRotate.n > 0) drainRotate(k, c.lruRotate)
  if (c.lruDeactivateFile.n > 0) drainDeactivateFile(k, c.lruDeactivateFile)
  if (c.lruDeactivate.n > 0) drainDeactivate(k, c.lruDeactivate)
  if (c.lruLazyfree.n > 0) drainLazyfree(k, c.lruLazyfree)
  if (c.activate.n > 0) drainActivate(k, c.activate)
}

// --- the end of a page

/** To be called after a holder let go: frees the page when that was the last (put_page). */
export function putPage(k: Kernel, head: Pfn): void {
  if (isJunk(k, head)) fail(`page ${head} is let go after it was freed`)
  if (k.page[head * PAGE_WORDS + W_MAPCOUNT] === 0 && pageCount(k, head) === 0) freeUnused(k, head)
}

/** Takes a page nobody holds off its LRU list and frees it (release_pages, __folio_put). */
function freeUnused(k: Kernel, head: Pfn): void {
  const at = head * PAGE_WORDS
  if ((k.page[at] & PG_hugetlb) !== 0) {
    freeHugePage(k, head)
    return
  }
  const order = compoundOrder(k, head)
  if ((k.page[at] & PG_lru) !== 0) {
    lruvecDelete(k, head)
    k.page[at] &= ~(PG_lru | PG_active | PG_unevictable)
  }
  if ((k.page[at] & PG_mlocked) !== 0) {
    pageZone(k, head).stat[NR_MLOCK] -= 1 << order
    k.event[EV.unevictable_pgs_cleared] += 1 << order
  }
  if (order === HPAGE_PMD_ORDER) deferredSplitRemove(k, head)
  if (k.lruGen.pages.length > 0) forgetGen(k, head)
  freeCharged(k, head, order)
}

/**
 * Keeps the account of what reclaim had to do for each kind of page, older efforts counting less, in a group's lists of a node and
 * in those of all above it (lru_note_cost).
 */
export function lruNoteCost(k: Kernel, lruvec: Lruvec, nid: number, file: boolean, pages: number): void {
  for (let at: Lruvec | undefined = lruvec; at !== undefined; at = parentLruvec(k, at, nid)) {
    if (file) at.fileCost += pages
    else at.anonCost += pages
    let size = 0
    for (let lru = LRU_INACTIVE_ANON; lru <= LRU_ACTIVE_FILE; lru++) size += lruvecPageState(k, at, NR_LRU_BASE + lru)
    if (at.fileCost + at.anonCost <= Math.floor(size / 4)) continue
    at.fileCost = Math.floor(at.fileCost / 2)
    at.anonCost = Math.floor(at.anonCost / 2)
  }
}

/** A group's lists on a node have aged by so many pages, and with them those of all above it (workingset_age_nonresident). */
export function ageNonresident(k: Kernel, lruvec: Lruvec, nid: number, pages: number): void {
  for (let at: Lruvec | undefined = lruvec; at !== undefined; at = parentLruvec(k, at, nid)) at.nonresidentAge += pages
}

function parentLruvec(k: Kernel, lruvec: Lruvec, nid: number): Lruvec | undefined {
  return lruvec.memcg === ROOT_MEMCG ? undefined : k.nodes[nid].lruvecs[memcgOf(k, lruvec.memcg).parent]
}
