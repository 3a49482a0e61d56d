/**
 * /proc/sys/vm/drop_caches: 1 drops clean page cache that is not mapped, 2 the objects of files that nobody uses, and
 * what else its owners can give back, 3 both.
 *
 * Source: fs/drop_caches.c, mm/vmscan.c drop_slab.
 */
import { EV } from '../base/counters.ts'
import type { Kernel } from '../base/state.ts'
import { blockAdvance } from '../caches/block.ts'
import { dropSlabNode } from './shrink_slab.ts'
import { invalidatePages } from './truncate.ts'

/** @param what 1, 2 or 3. */
export function dropCaches(k: Kernel, what: number): void {
  if ((what & 1) !== 0) {
    blockAdvance(k)
    for (const { mapping, sb } of k.fs.inodes.values())
      if (sb.type !== 'hugetlbfs') invalidatePages(k, mapping, 0, Number.POSITIVE_INFINITY)
    k.event[EV.drop_pagecache]++
  }
  if ((what & 2) !== 0) {
    k.rcu.dropping = true
    for (const node of k.nodes) dropSlabNode(k, node)
    k.rcu.dropping = false
    k.event[EV.drop_slab]++
  }
}
