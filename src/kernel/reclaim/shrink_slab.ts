/**
 * Asking the owners of other memory to give some back along with the page lists: partly unmapped huge pages, which are
 * split, the huge page of zeros, shadows of evicted pages, names and inodes of files that nobody uses, and pools of compressed
 * objects that could be packed closer.
 *
 * Each is asked for the share that reclaim looks at of the lists, doubled, a batch at a time. What is less than a batch is put off, unless it
 * is as much as there is; what was put off comes on top the next time, up to twice what there is. For huge pages it is forgotten.
 *
 * Source: mm/vmscan.c (shrink_slab, do_shrink_slab, drop_slab_node).
 */
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { GFP_KERNEL } from '../base/flags.ts'
import type { Kernel, Lruvec, Node } from '../base/state.ts'
import type { ZsPool } from '../base/state_zswap.ts'
import { zsCompact, zsFreeablePages } from '../caches/zsmalloc.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { walkMemcgs } from '../frames/memcg_charge.ts'
import { SUPER_BATCH, superCacheCount, superCacheScan } from './dcache_shrink.ts'
import { shadowCount, shadowScan } from './shadow_shrink.ts'
import { deferredSplitCount, deferredSplitScan, SHRINK_STOP, shrinkHugeZeroPageCount, shrinkHugeZeroPageScan } from './thp_split.ts'

/** Twice the share: four, divided by the two seeks that an object costs. */
const SEEKS_FACTOR = 2
/** Objects asked for at once (SHRINK_BATCH). */
const BATCH = 128

/**
 * Asks all owners for what they keep for a memory cgroup; those that do not tell groups apart are asked for the root. Returns the
 * objects they gave.
 */
export function shrinkSlab(k: Kernel, node: Node, memcg: number, priority: number, gfp: number = GFP_KERNEL): number {
  const lruvec = node.lruvecs[memcg]
  const waiting = {
    freeable: deferredSplitCount(k, lruvec),
    batch: BATCH,
    deferred: 0,
    scan: (max: number) => deferredSplitScan(k, lruvec, max),
  }
  if (memcg !== ROOT_MEMCG)
    return shrink(k, waiting, priority).freed + shrinkShadows(k, node, lruvec, priority) + shrinkSuper(k, node, memcg, priority, gfp)
  spend(k, COST.shrink_slab, 1)
  return (
    shrink(k, waiting, priority).freed +
    shrink(k, { freeable: shrinkHugeZeroPageCount(k), batch: BATCH, deferred: 0, scan: () => shrinkHugeZeroPageScan(k) }, priority).freed +
    shrinkShadows(k, node, lruvec, priority) +
    shrinkSuper(k, node, ROOT_MEMCG, priority, gfp) +
    shrinkPools(k, priority)
  )
}

/** Pools of compressed objects pack them closer, all at once when they are asked at all (zs_shrinker_scan). */
function shrinkPools(k: Kernel, priority: number): number {
  let freed = 0
  for (const pool of zsPools(k)) {
    const scan = () => zsCompact(k, pool) || SHRINK_STOP
    freed += shrink(k, { freeable: zsFreeablePages(pool), batch: BATCH, deferred: 0, scan }, priority).freed
  }
  return freed
}

const zsPools = (k: Kernel): ZsPool[] => [
  ...k.zswap.pools.flatMap(({ zpool }) => (zpool.kind === 'zsmalloc' ? [zpool] : [])),
  ...k.zram.flatMap(device => device?.pool ?? []),
]

function shrinkShadows(k: Kernel, node: Node, lruvec: Lruvec, priority: number): number {
  const scan = (max: number) => shadowScan(k, node, lruvec, max)
  const owner: Owner = { freeable: shadowCount(lruvec), batch: BATCH, deferred: lruvec.deferredLeaves, free: true, scan }
  const { freed, deferred } = shrink(k, owner, priority)
  lruvec.deferredLeaves = deferred
  return freed
}

function shrinkSuper(k: Kernel, node: Node, memcg: number, priority: number, gfp: number): number {
  const lruvec = node.lruvecs[memcg]
  const scan = (max: number) => superCacheScan(k, node, memcg, max, gfp)
  const owner = { freeable: superCacheCount(k, node, memcg), batch: SUPER_BATCH, deferred: lruvec.deferredObjects, scan }
  const { freed, deferred } = shrink(k, owner, priority)
  lruvec.deferredObjects = deferred
  return freed
}

interface Owner {
  readonly freeable: number
  /** Nothing is lost with them: half of them go each time. */
  readonly free?: true
  readonly batch: number
  readonly deferred: number
  readonly scan: (max: number) => number
}

function shrink(k: Kernel, { freeable, free, batch, deferred, scan }: Owner, priority: number): { freed: number; deferred: number } {
  if (freeable === 0) return { freed: 0, deferred }
  const delta = free === true ? freeable >> 1 : (freeable >> priority) * SEEKS_FACTOR
  let left = Math.min((deferred >> priority) + delta, 2 * freeable)
  let [freed, scanned] = [0, 0]
  while (left > 0 && (left >= batch || left >= freeable)) {
    const now = Math.min(batch, left)
    const got = scan(now)
    if (got === SHRINK_STOP) break
    freed += got
    k.event[EV.slabs_scanned] += now
    left -= now
    scanned += now
  }
  return { freed, deferred: Math.min(Math.max(deferred + delta - scanned, 0), 2 * freeable) }
}

/** Asks the owners of a node's memory for all they can give, as long as they give some (drop_slab_node). */
export function dropSlabNode(k: Kernel, node: Node): void {
  for (let shift = 0; ; shift++) {
    let freed = 0
    walkMemcgs(k, ROOT_MEMCG, id => {
      freed += shrinkSlab(k, node, id, 0)
      return true
    })
    if (freed >> shift <= 1) return
  }
}
