/**
 * What memory.min and memory.low keep from reclaim.
 *
 *     usage <= effective min        the group is passed over, whatever happens
 *     usage <= effective low        passed over as long as others have pages to give
 *     above                         its lists are looked at by the share that is above
 *
 * A group's protection counts as far as its parent's goes round: where children use more protection than the parent has, each
 * gets a part by what it uses. Reclaim for a group's own limit knows no protection of the group itself, only of those below it;
 * what is effective is left as the last run worked it out.
 *
 * Source: mm/memcontrol.c (mem_cgroup_calculate_protection, effective_protection), mm/vmscan.c get_scan_count.
 */
import type { Kernel } from '../base/state.ts'
import type { Memcg } from '../base/state_memcg.ts'
import { memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'

/** Works out what of the group's protection is effective under the target of reclaim. */
export function calculateProtection(k: Kernel, target: number, id: number): void {
  if (id === target) return
  const { memory, parent } = memcgOf(k, id)
  if (memory.usage === 0) return
  if (parent === target) {
    memory.emin = memory.min
    memory.elow = memory.low
    return
  }
  const above = memcgOf(k, parent).memory
  memory.emin = effectiveProtection(memory.usage, memory.min, above.emin, above.childrenMinUsage)
  memory.elow = effectiveProtection(memory.usage, memory.low, above.elow, above.childrenLowUsage)
}

function effectiveProtection(usage: number, setting: number, parentEffective: number, siblings: number): number {
  const guarded = Math.min(usage, setting)
  return siblings > parentEffective ? Math.floor((guarded * parentEffective) / siblings) : guarded
}

export const belowMin = ({ id, memory }: Memcg): boolean => id !== ROOT_MEMCG && memory.emin >= memory.usage
export const belowLow = ({ id, memory }: Memcg): boolean => id !== ROOT_MEMCG && memory.elow >= memory.usage

/** How reclaim stands to protection: what it reclaims for, and whether memory.low still counts or was in the way. */
export interface Protecting {
  readonly target: number
  readonly memcgLowReclaim: boolean
  memcgLowSkipped: boolean
}

/**
 * Pages to look at, of a list of `size` pages, at a priority: less what is protected, but something at low priorities.
 * @param least what is looked at least of a list with protection (SWAP_CLUSTER_MAX).
 */
export function unprotectedShare({ id, online, memory }: Memcg, size: number, priority: number, by: Protecting, least: number): number {
  const { emin, elow } = memory
  let scan = size
  if (id !== by.target && (emin > 0 || elow > 0)) {
    const low = !by.memcgLowReclaim && elow > emin
    if (low) by.memcgLowSkipped = true
    const guarded = low ? elow : emin
    scan = Math.max(least, size - Math.floor((size * guarded) / (Math.max(memory.usage, guarded) + 1)))
  }
  scan = Math.floor(scan / 2 ** priority)
  return scan === 0 && !online ? Math.min(size, least) : scan
}
