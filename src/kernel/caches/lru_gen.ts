/**
 * The multi-generational LRU: pages stand in up to four generations instead of on an active and an inactive list.
 *
 *      minSeq                            maxSeq
 *      oldest ── older ── young ── youngest       each a list per type (anonymous, file) and zone
 *         |                 └────┬────┘
 *      evicted from            count as active in /proc/vmstat and meminfo, the others as inactive
 *
 * Generations bear running numbers; two at least and four at most are there. Aging makes a new youngest one and moves into it
 * what page tables say was used; eviction takes pages from the oldest, and when that is empty the next is the oldest. Anonymous
 * and file pages age together, but the oldest of file pages may be ahead while nothing can be swapped out.
 *
 * Where a page goes when it is put on a list:
 *     faulted in, or active when it was taken off          youngest
 *     anonymous without a slot, or waiting for a write     second youngest
 *     to be evicted first (rotated), or no more than       oldest
 *     three generations are there
 *     else                                                 second oldest
 *
 * Reads of a file do not move a page: they count in it, up to tier 3 (accessed 2^tier times), and eviction looks at what came of
 * each tier. A page whose generation was raised by a walk stays on its old list until eviction meets it there and sorts it.
 *
 *     bits of lruGen.pages[pfn]     | list 6..5 | references 4..3 | generation + 1, 0: on none  2..0 |
 *
 * Invariants: while it is enabled, evictable pages of a lruvec are on these lists and the classic ones are empty, else the other
 * way round; PG_active is never set on a page that is on one of these lists; nrPages counts pages by their generation, and those
 * sizes, summed by what counts as active, are the sizes of the lruvec.
 *
 * Source: include/linux/mm_inline.h (lru_gen_add_folio, lru_gen_del_folio, lru_gen_update_size), include/linux/mmzone.h, mm/swap.c
 * folio_inc_refs, mm/vmscan.c (folio_update_gen, folio_inc_gen, lru_gen_init_lruvec).
 */
import { NS, ZS } from '../base/counters.ts'
import {
  PG_active,
  PG_dirty,
  PG_reclaim,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_unevictable,
  PG_workingset,
  PG_writeback,
} from '../base/flags.ts'
import { listAdd, listAddTail, listDelete, PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec, Node, Zone } from '../base/state.ts'
import type { LruvecGen } from '../base/state_lru_gen.ts'
import { MAX_NR_ZONES, PAGEBLOCK_ORDER, type Pfn } from '../base/units.ts'
import { MAX_NR_GENS, MIN_NR_GENS } from '../frames/generations.ts'
import { countLruvecSize } from '../frames/memcg.ts'
import { compoundPages, pageMemcg, pageZone } from '../frames/page.ts'

/** Types of pages. */
export const GEN_ANON = 0
export const GEN_FILE = 1

const GEN_MASK = 7
const REFS_ONE = 8
const REFS_MASK = 24
const REFS_SHIFT = 3
const LISTED_SHIFT = 5
/** The most references a page counts beyond PG_referenced and PG_workingset, and with the latter. */
export const REFS_MAX = 3
const REFS_FLAGS = PG_referenced | PG_workingset
const NR_LRU_BASE = NS.nr_inactive_anon
const NR_ZONE_LRU_BASE = ZS.nr_zone_inactive_anon

/** Which of the four places a generation's number has. */
export const genOf = (seq: number): number => seq & (MAX_NR_GENS - 1)

/** Place in LruvecGen.nrPages, and from LruvecGen.lists on. */
export const placeOf = (gen: number, type: number, zone: number): number => (gen * 2 + type) * MAX_NR_ZONES + zone

/** Generations that a type has. */
export const nrGens = (gen: LruvecGen, type: number): number => gen.maxSeq - gen.minSeq[type] + 1

/** Whether a generation counts as active. */
export const isActiveGen = (gen: LruvecGen, g: number): boolean => g === genOf(gen.maxSeq) || g === genOf(gen.maxSeq - 1)

export const typeOf = (k: Kernel, head: Pfn): number => ((k.page[head * PAGE_WORDS] & PG_swapbacked) === 0 ? GEN_FILE : GEN_ANON)

/** A page's generation, -1 on no list (folio_lru_gen). */
export const folioLruGen = (k: Kernel, head: Pfn): number => (k.lruGen.pages[head] & GEN_MASK) - 1

/** Accesses of a page through files beyond the first one (folio_lru_refs). */
export const folioLruRefs = (k: Kernel, head: Pfn): number =>
  ((k.lruGen.pages[head] & REFS_MASK) >> REFS_SHIFT) + ((k.page[head * PAGE_WORDS] & PG_workingset) === 0 ? 0 : 1)

/** Tier of so many accesses, up to 4 of them (lru_tier_from_refs). */
export const tierOf = (refs: number): number => 32 - Math.clz32(refs)

/** The list that a page is on, which need not be that of its generation. */
export const genList = (k: Kernel, gen: LruvecGen, head: Pfn): number =>
  gen.lists + placeOf(k.lruGen.pages[head] >> LISTED_SHIFT, typeOf(k, head), pageZone(k, head).type)

/** Counts pages of one of a lruvec's LRU_* lists for the group, the zone and the node (__update_lru_size). */
export function updateLruSize(node: Node, zone: Zone, lruvec: Lruvec, lru: number, pages: number): void {
  lruvec.size[lru] += pages
  if (lruvec.memcg !== 0) countLruvecSize(lruvec, zone.type, lru, pages)
  zone.stat[NR_ZONE_LRU_BASE + lru] += pages
  node.stat[NR_LRU_BASE + lru] += pages
}

/** Counts a page in another generation than before; -1 is none (lru_gen_update_size). */
function updateGenSize(k: Kernel, lruvec: Lruvec, head: Pfn, from: number, to: number): void {
  const zone = k.zones[k.blockZone[head >>> PAGEBLOCK_ORDER]]
  const node = k.nodes[zone.node]
  const type = typeOf(k, head)
  const pages = compoundPages(k, head)
  const { gen } = lruvec
  if (from >= 0) gen.nrPages[placeOf(from, type, zone.type)] -= pages
  if (to >= 0) gen.nrPages[placeOf(to, type, zone.type)] += pages
  const wasActive = from >= 0 && isActiveGen(gen, from)
  const nowActive = to >= 0 && isActiveGen(gen, to)
  if (from >= 0 && to >= 0 && wasActive === nowActive) return
  if (from >= 0) updateLruSize(node, zone, lruvec, type * 2 + (wasActive ? 1 : 0), -pages)
  if (to >= 0) updateLruSize(node, zone, lruvec, type * 2 + (nowActive ? 1 : 0), pages)
}

const lruvecAt = (k: Kernel, head: Pfn): Lruvec => k.nodes[pageZone(k, head).node].lruvecs[pageMemcg(k, head)]

/**
 * Puts an evictable page into the generation where it belongs.
 * @param reclaiming it is to be evicted first.
 * @returns false for an unevictable page, which has none.
 */
export function lruGenAdd(k: Kernel, head: Pfn, reclaiming: boolean): boolean {
  const at = head * PAGE_WORDS
  const flags = k.page[at]
  if ((flags & PG_unevictable) !== 0) return false
  const lruvec = lruvecAt(k, head)
  const g = genOf(seqFor(lruvec.gen, flags, reclaiming))
  const { pages } = k.lruGen
  k.page[at] = flags & ~PG_active
  pages[head] = (pages[head] & REFS_MASK) | (g + 1) | (g << LISTED_SHIFT)
  updateGenSize(k, lruvec, head, -1, g)
  const list = genList(k, lruvec.gen, head)
  if (reclaiming) listAddTail(k.heads, k.page, list, head)
  else listAdd(k.heads, k.page, list, head)
  return true
}

function seqFor({ maxSeq, minSeq }: LruvecGen, flags: number, reclaiming: boolean): number {
  const type = (flags & PG_swapbacked) === 0 ? GEN_FILE : GEN_ANON
  if ((flags & PG_active) !== 0) return maxSeq
  const unslotted = type === GEN_ANON && (flags & PG_swapcache) === 0
  if (unslotted || ((flags & PG_reclaim) !== 0 && (flags & (PG_dirty | PG_writeback)) !== 0)) return maxSeq - 1
  return reclaiming || minSeq[type] + MIN_NR_GENS >= maxSeq ? minSeq[type] : minSeq[type] + 1
}

/**
 * Takes a page off its generation's list; unless that is to reclaim it, PG_active says afterwards whether it counted as active.
 * @returns false when it is on none.
 */
export function lruGenDel(k: Kernel, head: Pfn, reclaiming: boolean): boolean {
  const g = folioLruGen(k, head)
  if (g < 0) return false
  const lruvec = lruvecAt(k, head)
  listDelete(k.heads, k.page, genList(k, lruvec.gen, head), head)
  if (!reclaiming && isActiveGen(lruvec.gen, g)) k.page[head * PAGE_WORDS] |= PG_active
  k.lruGen.pages[head] &= REFS_MASK
  updateGenSize(k, lruvec, head, g, -1)
  return true
}

/** Moves a listed page to the list of its generation, at the head or the tail (list_move, list_move_tail). */
export function moveToGenList(k: Kernel, gen: LruvecGen, head: Pfn, tail: boolean): void {
  listDelete(k.heads, k.page, genList(k, gen, head), head)
  const { pages } = k.lruGen
  pages[head] = (pages[head] & (REFS_MASK | GEN_MASK)) | (folioLruGen(k, head) << LISTED_SHIFT)
  const list = genList(k, gen, head)
  if (tail) listAddTail(k.heads, k.page, list, head)
  else listAdd(k.heads, k.page, list, head)
}

/** Gives tails of a huge page that was split the head's place. */
export function inheritGen(k: Kernel, head: Pfn, tail: Pfn): void {
  k.lruGen.pages[tail] = k.lruGen.pages[head]
}

/** Forgets all about a page that is freed. */
export function forgetGen(k: Kernel, head: Pfn): void {
  k.lruGen.pages[head] = 0
}

/** Forgets how often a page was accessed, but for the flags given. */
export function clearRefs(k: Kernel, head: Pfn, flags: number): void {
  k.lruGen.pages[head] &= ~REFS_MASK
  k.page[head * PAGE_WORDS] = (k.page[head * PAGE_WORDS] & ~REFS_FLAGS) | flags
}

/** Counts one more access of a page through a file (folio_inc_refs). */
export function folioIncRefs(k: Kernel, head: Pfn): void {
  const at = head * PAGE_WORDS
  const flags = k.page[at]
  if ((flags & PG_unevictable) !== 0) return
  if ((flags & PG_referenced) === 0) k.page[at] = flags | PG_referenced
  else if ((flags & PG_workingset) === 0) k.page[at] = flags | PG_workingset
  else if ((k.lruGen.pages[head] & REFS_MASK) !== REFS_MASK) k.lruGen.pages[head] += REFS_ONE
}

/** A page that came back too soon counts as accessed often. */
export function setRefsFull(k: Kernel, head: Pfn): void {
  k.lruGen.pages[head] |= REFS_MASK
  k.page[head * PAGE_WORDS] |= PG_workingset
}

/** Raises a page that page tables say was used to a generation; one that is on no list is marked instead (folio_update_gen). */
export function folioUpdateGen(k: Kernel, lruvec: Lruvec, head: Pfn, g: number): void {
  const { pages } = k.lruGen
  const old = folioLruGen(k, head)
  if (old < 0) {
    k.page[head * PAGE_WORDS] |= PG_referenced
    return
  }
  clearRefs(k, head, 0)
  if (old === g) return
  pages[head] = (pages[head] & ~GEN_MASK) | (g + 1)
  updateGenSize(k, lruvec, head, old, g)
}

/** Moves a page of the oldest generation to the next, unless a walk has raised it already (folio_inc_gen). */
export function folioIncGen(k: Kernel, lruvec: Lruvec, head: Pfn, reclaiming: boolean): void {
  const { pages } = k.lruGen
  const oldest = genOf(lruvec.gen.minSeq[typeOf(k, head)])
  const g = folioLruGen(k, head)
  if (g !== oldest) return
  const next = genOf(oldest + 1)
  clearRefs(k, head, reclaiming ? PG_reclaim : 0)
  pages[head] = (pages[head] & ~GEN_MASK) | (next + 1)
  updateGenSize(k, lruvec, head, oldest, next)
}
