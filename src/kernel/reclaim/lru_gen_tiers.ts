/**
 * Which type is evicted, and which tiers of it: a feedback loop over what was evicted and came back.
 *
 *     refaulted / (evicted + protected)   of each tier, of the generation that is being evicted and, fading, of those before
 *
 * The type whose first tier comes back less goes, weighed by swappiness; of that type the tiers go that do not come back more than the
 * first tier of the other one (or, where there was no choice, than its own first one, twice as much being allowed). Higher tiers are kept.
 *
 * Source: mm/vmscan.c (read_ctrl_pos, positive_ctrl_err, get_tier_idx, get_type_to_scan).
 */
import type { LruvecGen } from '../base/state_lru_gen.ts'
import { GEN_ANON, GEN_FILE } from '../caches/lru_gen.ts'
import { MAX_NR_TIERS } from '../frames/generations.ts'
import { MIN_LRU_BATCH } from './lru_gen_aging.ts'

/** What came of a tier (struct ctrl_pos). */
interface Position {
  readonly refaulted: number
  readonly total: number
  readonly gain: number
}

function position(gen: LruvecGen, type: number, tier: number, gain: number): Position {
  const at = type * MAX_NR_TIERS + tier
  return { refaulted: gen.avgRefaulted[at] + gen.refaulted[at], total: gen.avgTotal[at] + gen.evicted[at] + gen.protected[at], gain }
}

/** Whether pages of `pv` came back hardly ever, or no more than those of `sp`. */
const comesBackLess = (sp: Position, pv: Position): boolean =>
  pv.refaulted < MIN_LRU_BATCH || pv.refaulted * (sp.total + MIN_LRU_BATCH) * sp.gain <= (sp.refaulted + 1) * pv.total * pv.gain

/** The last tier of a type that does no worse than `sp`. */
function lastTier(gen: LruvecGen, sp: Position, type: number, gain: number): number {
  let tier = 1
  while (tier < MAX_NR_TIERS && comesBackLess(sp, position(gen, type, tier, gain))) tier++
  return tier - 1
}

/** The last tier of a type to be evicted. */
export const tierToEvict = (gen: LruvecGen, type: number): number => lastTier(gen, position(gen, type, 0, 1), type, 2)

/** What to evict: a type, and its last tier; -1 for a tier that is to be found when pages are. */
export interface Choice {
  readonly type: number
  readonly tier: number
}

/** The type to be evicted first. */
export function typeToEvict(gen: LruvecGen, swappiness: number): Choice {
  if (swappiness === 0) return { type: GEN_FILE, tier: -1 }
  if (gen.minSeq[GEN_ANON] < gen.minSeq[GEN_FILE]) return { type: GEN_ANON, tier: -1 }
  if (swappiness === 1) return { type: GEN_FILE, tier: -1 }
  if (swappiness === 200) return { type: GEN_ANON, tier: -1 }
  const gain = [swappiness, 200 - swappiness]
  const first = [GEN_ANON, GEN_FILE].map(type => position(gen, type, 0, gain[type]))
  const type = comesBackLess(first[GEN_ANON], first[GEN_FILE]) ? GEN_FILE : GEN_ANON
  return { type, tier: lastTier(gen, first[1 - type], type, gain[type]) }
}
