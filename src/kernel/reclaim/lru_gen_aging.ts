/**
 * Aging: a new youngest generation, and what is to be in it.
 *
 *     before   minSeq .. maxSeq      walk over the group's page tables: what was used joins maxSeq
 *     after    minSeq .. maxSeq + 1  the new one is empty; maxSeq - 1 counts as inactive from now on
 *
 * It is due when eviction would run out of generations (two must stay), or when with three of them the youngest has more than half of
 * all pages, or the oldest less than a quarter. At most four are there: the oldest must be empty before a fifth comes, and what
 * is in it (pages that cannot be swapped out) moves up.
 *
 * Files' tiers have a feedback loop (reset_ctrl_pos): what was evicted from, kept in, and refaulted to each tier of the oldest generation
 * is averaged into what is known from those before, each counting half, when the next generation becomes the oldest.
 *
 * kswapd ages before it evicts; who reclaims directly ages only in later rounds. With min_ttl_ms nothing younger is given up: when
 * all groups have only such, the OOM killer comes.
 *
 * Source: mm/vmscan.c (should_run_aging, try_to_inc_max_seq, inc_max_seq, inc_min_seq, try_to_inc_min_seq, iterate_mm_list,
 * lru_gen_age_node, age_lruvec).
 */
import { COST, spend } from '../base/cost.ts'
import { jiffies } from '../base/jiffies.ts'
import { listLast } from '../base/list.ts'
import type { Kernel, Lruvec, Node } from '../base/state.ts'
import { type LruvecGen, MM_FIFO, MM_NOWHERE } from '../base/state_lru_gen.ts'
import type { Mm } from '../base/state_mm.ts'
import type { ScanControl } from '../base/state_reclaim.ts'
import { MAX_NR_ZONES, NO_PAGE } from '../base/units.ts'
import { folioIncGen, GEN_ANON, GEN_FILE, genOf, moveToGenList, nrGens, placeOf, updateLruSize } from '../caches/lru_gen.ts'
import { MAX_NR_GENS, MAX_NR_TIERS, MIN_NR_GENS } from '../frames/generations.ts'
import { memcgOf, memcgTree, ROOT_MEMCG } from '../frames/memcg.ts'
import { memcgSwapPages } from '../frames/memcg_charge.ts'
import { mmListOf } from '../spaces/lru_gen_mm.ts'
import { shownRss } from '../spaces/rss.ts'
import { resetFilter } from './lru_gen_filter.ts'
import { type Walk, walkMm } from './lru_gen_walk.ts'
import { belowMin, calculateProtection } from './memcg_protection.ts'
import { DEF_PRIORITY } from './vmscan_control.ts'

/** Pages that are worth a walk, an eviction, or swapping (MIN_LRU_BATCH). */
export const MIN_LRU_BATCH = 64

/** How readily anonymous pages go: 0 while there is next to no swap (get_swappiness). */
export const swappinessOf = (k: Kernel, lruvec: Lruvec): number =>
  memcgSwapPages(k, lruvec.memcg, k.swap.freePages) < MIN_LRU_BATCH ? 0 : k.sysctl.swappiness

// --- the oldest generation

/** The next generation of a type becomes the oldest: what is known of the tiers of the one before counts half from now on. */
function resetCtrlPos(gen: LruvecGen, type: number): void {
  for (let at = type * MAX_NR_TIERS; at < (type + 1) * MAX_NR_TIERS; at++) {
    gen.avgRefaulted[at] = Math.floor((gen.avgRefaulted[at] + gen.refaulted[at]) / 2)
    gen.avgTotal[at] = Math.floor((gen.avgTotal[at] + gen.evicted[at] + gen.protected[at]) / 2)
    gen.refaulted[at] = 0
    gen.evicted[at] = 0
    gen.protected[at] = 0
  }
}

/** Gives up the oldest generation of a type; its pages join the next, unless they are of a kind that nobody looks at (inc_min_seq). */
function incMinSeq(k: Kernel, lruvec: Lruvec, type: number, canSwap: boolean): void {
  const { gen } = lruvec
  const oldest = genOf(gen.minSeq[type])
  if (type === GEN_FILE || canSwap)
    for (let zone = 0; zone < MAX_NR_ZONES; zone++) {
      const list = gen.lists + placeOf(oldest, type, zone)
      for (let head = listLast(k.heads, list); head !== NO_PAGE; head = listLast(k.heads, list)) {
        spend(k, COST.lru_move, 1)
        folioIncGen(k, lruvec, head, false)
        moveToGenList(k, gen, head, true)
      }
    }
  resetCtrlPos(gen, type)
  gen.minSeq[type]++
}

const isEmptyGen = (k: Kernel, gen: LruvecGen, seq: number, type: number): boolean => {
  for (let zone = 0; zone < MAX_NR_ZONES; zone++)
    if (listLast(k.heads, gen.lists + placeOf(genOf(seq), type, zone)) !== NO_PAGE) return false
  return true
}

/** Passes over oldest generations that are empty; anonymous pages' stays with or behind that of files. True when there were any. */
export function tryToIncMinSeq(k: Kernel, lruvec: Lruvec, canSwap: boolean): boolean {
  const { gen } = lruvec
  const min = [...gen.minSeq]
  for (let type = canSwap ? GEN_ANON : GEN_FILE; type <= GEN_FILE; type++)
    while (min[type] + MIN_NR_GENS <= gen.maxSeq && isEmptyGen(k, gen, min[type], type)) min[type]++
  if (canSwap) {
    min[GEN_ANON] = Math.min(min[GEN_ANON], min[GEN_FILE])
    min[GEN_FILE] = Math.max(min[GEN_ANON], gen.minSeq[GEN_FILE])
  }
  let success = false
  for (let type = canSwap ? GEN_ANON : GEN_FILE; type <= GEN_FILE; type++) {
    if (min[type] === gen.minSeq[type]) continue
    resetCtrlPos(gen, type)
    gen.minSeq[type] = min[type]
    success = true
  }
  return success
}

// --- the youngest generation

/** Begins a new youngest generation; the second youngest so far counts as inactive (inc_max_seq). */
function incMaxSeq(k: Kernel, node: Node, lruvec: Lruvec, canSwap: boolean): void {
  const { gen } = lruvec
  for (const type of [GEN_FILE, GEN_ANON]) if (nrGens(gen, type) === MAX_NR_GENS) incMinSeq(k, lruvec, type, canSwap)
  const previous = genOf(gen.maxSeq - 1)
  const next = genOf(gen.maxSeq + 1)
  for (let type = GEN_ANON; type <= GEN_FILE; type++)
    for (let zoneType = 0; zoneType < MAX_NR_ZONES; zoneType++) {
      const aged = gen.nrPages[placeOf(previous, type, zoneType)] - gen.nrPages[placeOf(next, type, zoneType)]
      if (aged === 0) continue
      const zone = k.zones[node.id * MAX_NR_ZONES + zoneType]
      updateLruSize(node, zone, lruvec, type * 2, aged)
      updateLruSize(node, zone, lruvec, type * 2 + 1, -aged)
    }
  gen.bornTicks[next] = jiffies(k)
  gen.maxSeq++
}

/** Whether the address space has run since the node's last walk, or is new, and has enough pages for one (should_skip_mm). */
function takesPart(mm: Mm, walk: Walk): boolean {
  const bit = 1 << (walk.nid % 32)
  if (!walk.forceScan && (mm.lruGen.used & bit) === 0) return false
  mm.lruGen.used &= ~bit
  const { file, anon, shmem } = shownRss(mm)
  return file + (walk.canSwap ? anon + shmem : 0) >= MIN_LRU_BATCH && mm.users > 0
}

/** Walks all address spaces of the lruvec's group that are due; false when that has been done for this generation (iterate_mm_list). */
function walkMms(k: Kernel, walk: Walk): boolean {
  const { mm: state } = walk.lruvec.gen
  if (walk.maxSeq <= state.seq) return false
  let first = true
  state.head = mmListOf(k, walk.lruvec.memcg).first
  while (state.head !== MM_FIFO) {
    const mm = k.spaces.mms.get(state.head)
    if (mm === undefined) break
    state.head = mm.lruGen.next
    if (state.tail === MM_NOWHERE || state.tail === mm.id) {
      state.tail = state.head
      walk.forceScan = true
    }
    if (!takesPart(mm, walk)) continue
    if (first) resetFilter(state, walk.maxSeq + 1)
    first = false
    walkMm(k, walk, mm)
  }
  state.seq++
  return true
}

/** Nobody walks: marks are taken only around pages that reclaim meets (iterate_mm_list_nowalk). */
function passWalk(gen: LruvecGen, maxSeq: number): boolean {
  if (maxSeq <= gen.mm.seq) return false
  gen.mm.seq++
  return true
}

/**
 * Ages a lruvec, unless somebody has since its youngest generation was `maxSeq`.
 * @param forceScan everything is walked, whether that is on or not.
 * @returns whether there is a younger generation now.
 */
export function tryToIncMaxSeq(k: Kernel, node: Node, lruvec: Lruvec, maxSeq: number, canSwap: boolean, forceScan: boolean): boolean {
  const { gen } = lruvec
  let success: boolean
  if (maxSeq <= gen.mm.seq) success = false
  else if (!forceScan && !k.lruGen.mmWalk) success = passWalk(gen, maxSeq)
  else {
    k.lruGen.walk ??= { canSwap }
    k.lruGen.walk.canSwap = canSwap
    success = walkMms(k, { nid: node.id, lruvec, maxSeq, canSwap, forceScan })
  }
  if (!success) return maxSeq < gen.maxSeq
  incMaxSeq(k, node, lruvec, canSwap)
  return true
}

// --- when

/** Whether aging is due, and how many pages eviction is to look at in this round (should_run_aging). */
export interface Due {
  readonly aging: boolean
  readonly nrToScan: number
}

export function shouldRunAging(k: Kernel, lruvec: Lruvec, sc: ScanControl, canSwap: boolean): Due {
  const { gen } = lruvec
  let old = 0
  let young = 0
  let total = 0
  for (let type = canSwap ? GEN_ANON : GEN_FILE; type <= GEN_FILE; type++)
    for (let seq = gen.minSeq[type]; seq <= gen.maxSeq; seq++) {
      const size = genSize(gen, seq, type)
      total += size
      if (seq === gen.maxSeq) young += size
      else if (seq + MIN_NR_GENS === gen.maxSeq) old += size
    }
  const nrToScan = memcgOf(k, lruvec.memcg).online ? Math.floor(total / 2 ** sc.priority) : total
  const spare = gen.maxSeq - gen.minSeq[canSwap ? GEN_ANON : GEN_FILE] - MIN_NR_GENS
  return { aging: spare < 0 || (spare === 0 && (young * MIN_NR_GENS > total || old * (MIN_NR_GENS + 2) < total)), nrToScan }
}

/** Pages of a generation. */
export function genSize(gen: LruvecGen, seq: number, type: number): number {
  let size = 0
  for (let zone = 0; zone < MAX_NR_ZONES; zone++) size += Math.max(0, gen.nrPages[placeOf(genOf(seq), type, zone)])
  return size
}

/**
 * kswapd ages what is due on its node; not in the first round of a run, nor after one in which every group gave pages and none was due.
 * @returns true when min_ttl_ms lets nothing go: somebody has to be killed.
 */
export function lruGenAgeNode(k: Kernel, node: Node, sc: ScanControl): boolean {
  const { lruGen } = k
  sc.lastReclaimed = sc.nrReclaimed
  if (!sc.memcgsNeedAging) {
    sc.memcgsNeedAging = true
    return false
  }
  lruGen.walk = lruGen.nodeWalks[node.id]
  let success = false
  for (const id of memcgTree(k, ROOT_MEMCG)) success = ageLruvec(k, node, node.lruvecs[id], sc) || success
  lruGen.walk = undefined
  return !success && lruGen.minTtlTicks > 0 && sc.order === 0
}

/** Ages one lruvec if that is due; false when it has nothing old enough to be reclaimed. */
function ageLruvec(k: Kernel, node: Node, lruvec: Lruvec, sc: ScanControl): boolean {
  const { gen } = lruvec
  const canSwap = swappinessOf(k, lruvec) > 0
  calculateProtection(k, ROOT_MEMCG, lruvec.memcg)
  if (belowMin(memcgOf(k, lruvec.memcg))) return false
  const due = shouldRunAging(k, lruvec, sc, canSwap)
  if (k.lruGen.minTtlTicks > 0) {
    const born = gen.bornTicks[genOf(gen.minSeq[GEN_FILE])]
    if (jiffies(k) < born + k.lruGen.minTtlTicks) return false
    if (due.nrToScan === 0 && sc.priority !== DEF_PRIORITY) return false
  }
  if (due.aging) tryToIncMaxSeq(k, node, lruvec, gen.maxSeq, canSwap, false)
  return true
}
