/**
 * Where pages go that must leave the place they are in: another page of the same size, of a given node if it has one.
 *
 * A huge page gets a huge page, for which the allocator may compact memory but does not wake kswapd; when there is none, the mover
 * splits it and comes for the pieces.
 *
 * Source: mm/migrate.c (alloc_migration_target).
 */
import { __GFP_COMP, __GFP_HIGHMEM, __GFP_RECLAIM, GFP_TRANSHUGE } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import { type NodeId, type Pfn, ZONE_MOVABLE } from '../base/units.ts'
import { compoundOrder, pageZone } from '../frames/page.ts'
import { ALL_NODES, freePages } from '../frames/rmqueue.ts'
import type { MigrateTarget } from '../reclaim/migrate.ts'
import { allocPagesNode } from './page_alloc.ts'

/** Pages of node `nid`, or with a gfp without __GFP_THISNODE of others of the mask when it has none left or is not one of them. */
export const migrationTarget = (k: Kernel, nid: NodeId, gfp: number, nodemask: number = ALL_NODES): MigrateTarget => ({
  take: (source: Pfn) => {
    const order = compoundOrder(k, source)
    const wanted = (order > 0 ? (gfp & ~__GFP_RECLAIM) | GFP_TRANSHUGE : gfp) | __GFP_COMP
    return allocPagesNode(k, pageZone(k, source).type === ZONE_MOVABLE ? wanted | __GFP_HIGHMEM : wanted, order, nid, nodemask)
  },
  giveBack: (page: Pfn) => freePages(k, page, compoundOrder(k, page)),
})
