/**
 * Forgetting evicted pages: leaves of files' indices that hold nothing but shadows cost memory, and most shadows are of no use any more
 * by the time there are many.
 *
 *     node's pages on lists and in slabs, over 8     so many leaves may stay: as many shadows as could be refaults worth acting on
 *     those above it                                 half of them at a time, the oldest first
 *
 * Source: mm/workingset.c (count_shadow_nodes, shadow_lru_isolate).
 */
import { NS } from '../base/counters.ts'
import type { Kernel, Node } from '../base/state.ts'
import { clearShadow, leafOfShadowKey } from '../caches/filemap.ts'
import { leafStart, xaLeaf } from '../caches/xarray.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'

/** Pages for each leaf: 64 shadows in it, of which one in eight may be worth something. */
const PAGES_PER_LEAF = 8

/** Leaves that are too many. */
export function shadowCount(k: Kernel, node: Node): number {
  const listed = node.lruvecs[ROOT_MEMCG].size.reduce((sum, pages) => sum + pages, 0)
  const pages = listed + node.stat[NS.nr_slab_reclaimable] + node.stat[NS.nr_slab_unreclaimable]
  return Math.max(0, k.fs.shadowLeaves[node.id].size - Math.floor(pages / PAGES_PER_LEAF))
}

/** Drops the oldest leaves; returns how many. */
export function shadowScan(k: Kernel, node: Node, max: number): number {
  let freed = 0
  for (const [shadow, mapping] of k.fs.shadowLeaves[node.id]) {
    if (freed >= max) break
    const key = leafOfShadowKey(shadow)
    const slots = xaLeaf(mapping.pages, key)?.slots ?? []
    for (let i = 0; i < slots.length; i++) if (slots[i] < 0) clearShadow(k, mapping, leafStart(key) + i)
    node.stat[NS.workingset_nodereclaim]++
    freed++
  }
  return freed
}
