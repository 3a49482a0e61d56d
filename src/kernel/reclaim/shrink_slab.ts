/**
 * Asking the owners of other memory to give some back along with the page lists: partly unmapped huge pages, which are
 * split, and the huge page of zeros.
 *
 * Each is asked for the share that reclaim looks at of the lists, doubled, 128 objects at a time; less than that only when
 * it is as much as there is.
 *
 * Source: mm/vmscan.c (shrink_slab, do_shrink_slab, drop_slab_node).
 */
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import type { Kernel, Node } from '../base/state.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { deferredSplitCount, deferredSplitScan, SHRINK_STOP, shrinkHugeZeroPageCount, shrinkHugeZeroPageScan } from './thp_split.ts'

/** Twice the share: four, divided by the two seeks that an object costs. */
const SEEKS_FACTOR = 2
/** Objects asked for at once (SHRINK_BATCH). */
const BATCH = 128

/**
 * Asks all owners for what they keep for a memory cgroup; those that do not tell groups apart are asked for the root. Returns the
 * objects they gave.
 */
export function shrinkSlab(k: Kernel, node: Node, memcg: number, priority: number): number {
  if (memcg !== ROOT_MEMCG) return 0
  spend(k, COST.shrink_slab, 1)
  return (
    shrink(k, deferredSplitCount(k, node), priority, max => deferredSplitScan(k, node, max)) +
    shrink(k, shrinkHugeZeroPageCount(k), priority, () => shrinkHugeZeroPageScan(k))
  )
}

function shrink(k: Kernel, freeable: number, priority: number, scan: (max: number) => number): number {
  let freed = 0
  let left = freeable === 0 ? 0 : (freeable >> priority) * SEEKS_FACTOR
  while (left > 0 && (left >= BATCH || left >= freeable)) {
    const now = Math.min(BATCH, left)
    const got = scan(now)
    if (got === SHRINK_STOP) break
    freed += got
    k.event[EV.slabs_scanned] += now
    left -= now
  }
  return freed
}

/** Asks the owners of a node's memory for all they can give, as long as they give some (drop_slab_node). */
export function dropSlabNode(k: Kernel, node: Node): void {
  for (let shift = 0; ; shift++) if (shrinkSlab(k, node, ROOT_MEMCG, 0) >> shift <= 1) return
}
