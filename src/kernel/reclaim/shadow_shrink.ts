/**
 * Forgetting evicted pages: leaves of files' indices that hold nothing but shadows cost memory, and most shadows are of no use any more
 * by the time there are many.
 *
 *     pages on the group's lists and in its slabs, over 8     so many leaves may stay: as many shadows as could be refaults worth acting on
 *     those above it                                          half of them at a time, the oldest first
 *
 * Each memory cgroup has the leaves it is charged for, until it has no directory any more: then its parent has them. The root is charged
 * for no slabs.
 *
 * Source: mm/workingset.c (count_shadow_nodes, shadow_lru_isolate), mm/list_lru.c memcg_reparent_list_lrus, mm/vmscan.c
 * reparent_shrinker_deferred.
 */
import { must } from '../base/assert.ts'
import { NS } from '../base/counters.ts'
import type { Kernel, Lruvec, Node } from '../base/state.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { clearShadow, leafOfShadowKey } from '../caches/filemap.ts'
import { leafStart, xaLeaf } from '../caches/xarray.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'

/** Pages for each leaf: 64 shadows in it, of which one in eight may be worth something. */
const PAGES_PER_LEAF = 8

const pagesOf = (bytes: number) => Math.floor(bytes / PAGE_SIZE)

/** Leaves that are too many. */
export function shadowCount({ memcg, shadowLeaves, size, stat }: Lruvec): number {
  if (shadowLeaves.size === 0) return 0
  const slabs = memcg === ROOT_MEMCG ? 0 : pagesOf(stat[NS.nr_slab_reclaimable]) + pagesOf(stat[NS.nr_slab_unreclaimable])
  const pages = size.reduce((sum, listed) => sum + listed, slabs)
  return Math.max(0, shadowLeaves.size - Math.floor(pages / PAGES_PER_LEAF))
}

/** Drops the oldest leaves; returns how many. */
export function shadowScan(k: Kernel, node: Node, { memcg, shadowLeaves, stat }: Lruvec, max: number): number {
  let freed = 0
  for (const [shadow, mapping] of shadowLeaves) {
    if (freed >= max) break
    const key = leafOfShadowKey(shadow)
    const slots = xaLeaf(mapping.pages, key)?.slots ?? []
    for (let i = 0; i < slots.length; i++) if (slots[i] < 0) clearShadow(k, mapping, leafStart(key) + i)
    node.stat[NS.workingset_nodereclaim]++
    if (memcg !== ROOT_MEMCG) stat[NS.workingset_nodereclaim]++
    freed++
  }
  return freed
}

/** The group has no directory any more: what reclaim would have asked it for is its parent's. */
export function reparentShrinkers(k: Kernel, id: number, parent: number): void {
  for (const { lruvecs } of k.nodes) {
    const [from, to] = [lruvecs[id], lruvecs[parent]]
    for (const [shadow, mapping] of from.shadowLeaves) {
      must(xaLeaf(mapping.pages, leafOfShadowKey(shadow)), 'a listed leaf is not there').memcg = parent
      to.shadowLeaves.set(shadow, mapping)
    }
    from.shadowLeaves.clear()
    to.deferredLeaves += from.deferredLeaves
    to.deferredObjects += from.deferredObjects
    from.deferredLeaves = 0
    from.deferredObjects = 0
  }
}
