/**
 * Asking the owners of other memory to give some back along with the page lists: so far, splitting huge pages of which
 * part is unmapped.
 *
 * Each is asked for the share that reclaim looks at of the lists, doubled.
 *
 * Source: mm/vmscan.c (shrink_slab, do_shrink_slab).
 */
import type { Kernel, Node } from '../base/state.ts'
import { deferredSplitCount, deferredSplitScan } from './thp_split.ts'

/** Twice the share: four, divided by the two seeks that an object costs. */
const SEEKS_FACTOR = 2

export function shrinkSlab(k: Kernel, node: Node, priority: number): void {
  const waiting = deferredSplitCount(k, node)
  const scan = (waiting >> priority) * SEEKS_FACTOR
  if (scan > 0) deferredSplitScan(k, node, scan)
}
