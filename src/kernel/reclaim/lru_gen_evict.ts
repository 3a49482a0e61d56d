/**
 * Eviction: pages of the oldest generation go, type by type, 64 at a time.
 *
 *     oldest generation's list, from its tail
 *       raised by a walk since              to its generation's list
 *       of a tier that is protected         to the next generation, counted as activated
 *       of a zone beyond the wanted ones    to the next generation
 *       locked, being or to be written      to the next generation, to come back when the write is done
 *       else                                isolated and reclaimed (vmscan_list.ts); what was found in use, or cannot go
 *                                           now, joins the youngest generation or the second youngest
 *
 * A round looks at size >> priority pages; who reclaims directly stops when he has enough and has swapped, or when the
 * lists were aged twice meanwhile. kswapd and global reclaim stop, in later rounds, when all marks are met.
 *
 * Source: mm/vmscan.c (lru_gen_shrink_lruvec, get_nr_to_scan, should_abort_scan, evict_folios, isolate_folios, scan_folios,
 * sort_folio, isolate_folio).
 */
import { COST, now, spend } from '../base/cost.ts'
import { EV, NS, PGSKIP, ZS } from '../base/counters.ts'
import {
  __GFP_IO,
  PG_active,
  PG_anon,
  PG_dirty,
  PG_isolated,
  PG_locked,
  PG_lru,
  PG_reclaim,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_workingset,
  PG_writeback,
} from '../base/flags.ts'
import { listAdd, listDelete, listLast, PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec, Node } from '../base/state.ts'
import type { GenerationsPause, ScanControl } from '../base/state_reclaim.ts'
import { MAX_NR_ZONES, NO_PAGE, type Pfn } from '../base/units.ts'
import { blockAdvance } from '../caches/block.ts'
import { isEvictable } from '../caches/lru.ts'
import {
  clearRefs,
  folioIncGen,
  folioLruGen,
  folioLruRefs,
  GEN_ANON,
  GEN_FILE,
  genList,
  genOf,
  lruGenAdd,
  lruGenDel,
  moveToGenList,
  nrGens,
  placeOf,
  REFS_MAX,
  tierOf,
} from '../caches/lru_gen.ts'
import { MAX_NR_TIERS, MIN_NR_GENS } from '../frames/generations.ts'
import { countReclaimEvent, memcgOf, modLruvecState } from '../frames/memcg.ts'
import { compoundPages, pageMapped } from '../frames/page.ts'
import { MIN_LRU_BATCH, shouldRunAging, swappinessOf, tryToIncMaxSeq, tryToIncMinSeq } from './lru_gen_aging.ts'
import { tierToEvict, typeToEvict } from './lru_gen_tiers.ts'
import { belowLow, belowMin } from './memcg_protection.ts'
import { DEF_PRIORITY, nodeZones } from './vmscan_control.ts'
import { moveToLru, reclaimStat, shrinkFolioList } from './vmscan_list.ts'
import { lruAddDrain } from './zap.ts'

/** Pages sorted or isolated at most in one go (MAX_LRU_BATCH). */
const MAX_LRU_BATCH = 4096

/** A round over the generations of one lruvec, or its next part: false when it is to be gone on with (lru_gen_shrink_lruvec). */
export function lruGenShrinkLruvec(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl): boolean {
  const { lruGen } = k
  if (sc.pause === undefined) lruAddDrain(k)
  lruGen.walk = sc.kswapd ? lruGen.nodeWalks[node.id] : sc.pause?.generations?.walk
  const over = evictRounds(k, node, lruvec, sc)
  lruGen.walk = undefined
  return over
}

function evictRounds(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl): boolean {
  const run: GenerationsPause = sc.pause?.generations ?? {
    maxSeq: lruvec.gen.maxSeq,
    reclaimed: sc.nrReclaimed,
    scanned: 0,
    swaps: false,
    walk: undefined,
  }
  sc.pause = undefined
  for (;;) {
    const swappiness = swappinessFor(k, lruvec, sc)
    const due = scanDue(k, node, lruvec, sc, swappiness > 0)
    if (due.nrToScan === 0) return true
    const { scanned, type } = evictFolios(k, node, lruvec, sc, swappiness)
    if (type === GEN_ANON) run.swaps = true
    if (scanned === 0) return true
    run.scanned += scanned
    if (run.scanned >= due.nrToScan || abortsScan(k, node, lruvec, sc, run)) {
      if (sc.nrReclaimed - run.reclaimed >= MIN_LRU_BATCH && !due.aging) sc.memcgsNeedAging = false
      return true
    }
    if (now(k) < sc.pauseNs) continue
    run.walk = k.lruGen.walk
    sc.pause = { memcg: lruvec.memcg, left: [], targets: [], reclaimed: 0, before: 0, plug: [], generations: run }
    return false
  }
}

/** Where swapping is not allowed for now though there is swap, files go first; where there is none anonymous pages stay. */
function swappinessFor(k: Kernel, lruvec: Lruvec, sc: ScanControl): number {
  const swappiness = swappinessOf(k, lruvec)
  if (sc.maySwap) return swappiness
  return !sc.cgroup && swappiness > 0 ? 1 : 0
}

/** Pages to look at, after aging where that is due and ours to do (get_nr_to_scan). */
function scanDue(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl, canSwap: boolean): { nrToScan: number; aging: boolean } {
  const memcg = memcgOf(k, lruvec.memcg)
  if (belowMin(memcg) || (belowLow(memcg) && !sc.memcgLowReclaim)) return { nrToScan: 0, aging: false }
  const { maxSeq, minSeq } = lruvec.gen
  const enough = minSeq[canSwap ? GEN_ANON : GEN_FILE] + MIN_NR_GENS <= maxSeq
  const due = shouldRunAging(k, lruvec, sc, canSwap)
  if (!due.aging) return due
  if (sc.priority !== DEF_PRIORITY) {
    if (sc.kswapd) return { nrToScan: 0, aging: true }
    if (tryToIncMaxSeq(k, node, lruvec, maxSeq, canSwap, false)) return due
  }
  return enough ? due : { nrToScan: 0, aging: true }
}

function abortsScan(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl, run: GenerationsPause): boolean {
  if (!sc.kswapd) {
    if (lruvec.gen.maxSeq - run.maxSeq > 1) return true
    if (sc.nrReclaimed >= sc.nrToReclaim && run.swaps) return true
    if (k.current !== undefined && k.current.killed !== 0) {
      sc.nrReclaimed += MIN_LRU_BATCH
      return true
    }
    if (sc.cgroup) return false
  } else if (sc.nrReclaimed - sc.lastReclaimed < sc.nrToReclaim) return false
  if (sc.priority > DEF_PRIORITY - 2) return false
  for (const zone of nodeZones(k, node, sc.reclaimIdx)) {
    const mark = (sc.kswapd ? zone.wmarkHigh : zone.wmarkLow) + zone.watermarkBoost
    if (mark > zone.stat[ZS.nr_free_pages]) return false
  }
  sc.nrReclaimed += MIN_LRU_BATCH
  return true
}

/** What became of an eviction: pages looked at, 0 when it makes no progress; and the type that was reclaimed, -1 for none. */
export interface Evicted {
  readonly scanned: number
  readonly type: number
}

/** Evicts up to 64 pages of the oldest generation. */
export function evictFolios(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl, swappiness: number): Evicted {
  const isolated: Pfn[] = []
  const found = isolateFolios(k, lruvec, sc, swappiness, isolated)
  const moved = tryToIncMinSeq(k, lruvec, swappiness > 0) ? 1 : 0
  const scanned = nrGens(lruvec.gen, swappiness > 0 ? GEN_ANON : GEN_FILE) === MIN_NR_GENS ? 0 : found.scanned + moved
  if (isolated.length === 0) return { scanned, type: -1 }
  for (let pages = isolated, again = false; pages.length > 0; again = true) {
    const { kept, reclaimed } = shrinkFolioList(k, node, pages, sc, reclaimStat())
    sc.nrReclaimed += reclaimed
    const stay: Pfn[] = []
    const retried: Pfn[] = []
    for (const head of kept) (settle(k, head, again) ? stay : retried).push(head)
    moveToLru(k, node, lruvec, stay)
    blockAdvance(k)
    countReclaimEvent(k, lruvec, sc.kswapd ? EV.pgsteal_kswapd : EV.pgsteal_direct, reclaimed, sc.cgroup)
    k.event[found.type === GEN_FILE ? EV.pgsteal_file : EV.pgsteal_anon] += reclaimed
    pages = retried
  }
  return { scanned, type: found.type }
}

/** Readies a page that stays for its list; false for one that had better be tried once more: it missed the end of its write. */
function settle(k: Kernel, head: Pfn, again: boolean): boolean {
  const at = head * PAGE_WORDS
  const flags = k.page[at]
  if (!isEvictable(k, head)) return true
  if ((flags & PG_reclaim) !== 0 && (flags & (PG_dirty | PG_writeback)) !== 0) {
    if ((flags & PG_workingset) !== 0) k.page[at] |= PG_referenced
    return true
  }
  const busy = (flags & (PG_active | PG_referenced | PG_locked | PG_dirty | PG_writeback)) !== 0
  if (!again && !busy && !pageMapped(k, head)) return false
  clearRefs(k, head, PG_active)
  return true
}

/** Isolates pages of the type to be evicted; where there is none, of the other. */
function isolateFolios(k: Kernel, lruvec: Lruvec, sc: ScanControl, swappiness: number, isolated: Pfn[]): Evicted {
  const choice = typeToEvict(lruvec.gen, swappiness)
  const tier = choice.tier < 0 ? tierToEvict(lruvec.gen, choice.type) : choice.tier
  const scanned = scanFolios(k, lruvec, sc, choice.type, tier, isolated)
  if (scanned > 0 || swappiness === 0) return { scanned, type: choice.type }
  const other = choice.type === GEN_ANON ? GEN_FILE : GEN_ANON
  return { scanned: scanFolios(k, lruvec, sc, other, tierToEvict(lruvec.gen, other), isolated), type: other }
}

/** What a scan has come to. */
interface Scan {
  scanned: number
  sorted: number
  taken: number
  left: number
}

/** Sorts the oldest generation of a type, and isolates 64 of its pages, the highest wanted zone first. */
function scanFolios(k: Kernel, lruvec: Lruvec, sc: ScanControl, type: number, tier: number, isolated: Pfn[]): number {
  const { gen } = lruvec
  if (nrGens(gen, type) === MIN_NR_GENS) return 0
  const scan: Scan = { scanned: 0, sorted: 0, taken: 0, left: MAX_LRU_BATCH }
  const oldest = genOf(gen.minSeq[type])
  for (let i = MAX_NR_ZONES; i > 0 && scan.left > 0 && scan.taken < MIN_LRU_BATCH; i--)
    scanZone(k, lruvec, sc, { oldest, type, tier, zone: (sc.reclaimIdx + i) % MAX_NR_ZONES }, scan, isolated)
  countReclaimEvent(k, lruvec, sc.kswapd ? EV.pgscan_kswapd : EV.pgscan_direct, scan.taken, sc.cgroup)
  countReclaimEvent(k, lruvec, EV.pgrefill, scan.sorted, sc.cgroup)
  k.event[type === GEN_FILE ? EV.pgscan_file : EV.pgscan_anon] += scan.taken
  return scan.taken > 0 || scan.left === 0 ? scan.scanned : 0
}

/** A list of the oldest generation, and the last tier to be evicted. */
interface Place {
  readonly oldest: number
  readonly type: number
  readonly tier: number
  readonly zone: number
}

function scanZone(k: Kernel, lruvec: Lruvec, sc: ScanControl, place: Place, scan: Scan, isolated: Pfn[]): void {
  const { gen } = lruvec
  const list = gen.lists + placeOf(place.oldest, place.type, place.zone)
  const skipped: Pfn[] = []
  let skippedPages = 0
  for (let head = listLast(k.heads, list); head !== NO_PAGE; head = listLast(k.heads, list)) {
    const pages = compoundPages(k, head)
    scan.scanned += pages
    spend(k, COST.lru_move, 1)
    if (sortFolio(k, lruvec, head, place, sc)) scan.sorted += pages
    else if (isolateFolio(k, head, sc)) {
      isolated.push(head)
      scan.taken += pages
    } else {
      listDelete(k.heads, k.page, list, head)
      skipped.push(head)
      skippedPages += pages
    }
    if (--scan.left === 0 || Math.max(scan.taken, skippedPages) >= MIN_LRU_BATCH) break
  }
  for (const head of skipped) listAdd(k.heads, k.page, genList(k, gen, head), head)
  k.event[PGSKIP + place.zone] += skippedPages
}

/** Puts a page where it belongs if that is not among those to be evicted; false: it may be isolated. */
function sortFolio(k: Kernel, lruvec: Lruvec, head: Pfn, { oldest, type, tier, zone }: Place, sc: ScanControl): boolean {
  const { gen } = lruvec
  const at = head * PAGE_WORDS
  const flags = k.page[at]
  if (!isEvictable(k, head)) return false
  if (type === GEN_FILE && (flags & (PG_anon | PG_dirty)) === (PG_anon | PG_dirty)) {
    lruGenDel(k, head, true)
    k.page[at] |= PG_swapbacked
    lruGenAdd(k, head, true)
    return true
  }
  if (folioLruGen(k, head) !== oldest) {
    moveToGenList(k, gen, head, false)
    return true
  }
  const refs = folioLruRefs(k, head)
  if (tierOf(refs) > tier || refs > REFS_MAX) {
    const pages = compoundPages(k, head)
    folioIncGen(k, lruvec, head, false)
    moveToGenList(k, gen, head, true)
    gen.protected[type * MAX_NR_TIERS + tierOf(refs)] += pages
    modLruvecState(k, head, NS.workingset_activate_anon + type, pages)
    return true
  }
  if (zone > sc.reclaimIdx) {
    folioIncGen(k, lruvec, head, false)
    moveToGenList(k, gen, head, true)
    return true
  }
  if ((flags & (PG_locked | PG_writeback)) === 0 && (type === GEN_ANON || (flags & PG_dirty) === 0)) return false
  folioIncGen(k, lruvec, head, true)
  moveToGenList(k, gen, head, false)
  return true
}

/** Takes a page off its list to reclaim it; false when what it would take is not allowed. */
function isolateFolio(k: Kernel, head: Pfn, sc: ScanControl): boolean {
  const at = head * PAGE_WORDS
  const flags = k.page[at]
  if (!sc.mayUnmap && pageMapped(k, head)) return false
  const mayWrite = sc.mayWritepage && (sc.gfp & __GFP_IO) !== 0
  if (!mayWrite && ((flags & PG_dirty) !== 0 || (flags & (PG_anon | PG_swapcache)) === PG_anon)) return false
  if ((flags & PG_referenced) === 0) clearRefs(k, head, 0)
  lruGenDel(k, head, true)
  k.page[at] = (k.page[at] & ~(PG_reclaim | PG_referenced | PG_lru)) | PG_isolated
  return true
}
