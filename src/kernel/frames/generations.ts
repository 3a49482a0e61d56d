/**
 * Fresh records of the multi-generational LRU, for the machine and for each lruvec. What they are for is told in caches/lru_gen.ts.
 *
 * Source: mm/vmscan.c lru_gen_init_lruvec, include/linux/mmzone.h.
 */
import { jiffies } from '../base/jiffies.ts'
import { listAllocate } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { type LruGenState, type LruvecGen, MM_NOWHERE } from '../base/state_lru_gen.ts'
import { MAX_NR_ZONES } from '../base/units.ts'

export const MIN_NR_GENS = 2
export const MAX_NR_GENS = 4
export const MAX_NR_TIERS = 4

/** What walks over page tables count: small entries in all, not used, used; upper ones in all, worth a look, worth the next. */
export const MM_STATS = 6

export const lruGenState = (nodes: number): LruGenState => ({
  enabled: false,
  mmWalk: false,
  nonleafYoung: false,
  minTtlTicks: 0,
  inFault: false,
  pages: new Uint8Array(0),
  oldTables: false,
  walk: undefined,
  nodeWalks: Array.from({ length: nodes }, () => ({ canSwap: false })),
  mmLists: [],
})

/** Fresh generations of a lruvec, all empty, on lists of their own. */
export const newGenerations = (k: Kernel): LruvecGen => ({
  lists: listAllocate(k.heads, MAX_NR_GENS * 2 * MAX_NR_ZONES),
  maxSeq: MIN_NR_GENS + 1,
  minSeq: [0, 0],
  bornTicks: new Float64Array(MAX_NR_GENS).fill(jiffies(k)),
  nrPages: new Int32Array(MAX_NR_GENS * 2 * MAX_NR_ZONES),
  avgRefaulted: new Float64Array(2 * MAX_NR_TIERS),
  avgTotal: new Float64Array(2 * MAX_NR_TIERS),
  protected: new Float64Array(2 * MAX_NR_TIERS),
  evicted: new Float64Array(2 * MAX_NR_TIERS),
  refaulted: new Float64Array(2 * MAX_NR_TIERS),
  mm: { seq: MIN_NR_GENS, head: MM_NOWHERE, tail: MM_NOWHERE, filters: [undefined, undefined], stats: new Float64Array(MM_STATS) },
})

/** Makes a dead group's generations, which are empty, those of a new group that got its number. */
export function resetGenerations(k: Kernel, gen: LruvecGen): void {
  gen.maxSeq = MIN_NR_GENS + 1
  gen.minSeq.fill(0)
  gen.bornTicks.fill(jiffies(k))
  for (const figures of [gen.avgRefaulted, gen.avgTotal, gen.protected, gen.evicted, gen.refaulted, gen.mm.stats]) figures.fill(0)
  gen.mm.seq = MIN_NR_GENS
  gen.mm.head = MM_NOWHERE
  gen.mm.tail = MM_NOWHERE
  gen.mm.filters.fill(undefined)
}
