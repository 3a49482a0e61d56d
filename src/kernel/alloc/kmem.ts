/**
 * Kernel objects, the side that takes pages: a cache without a free object gets another slab.
 *
 * Source: mm/slub.c (new_slab, allocate_slab).
 */
import { __GFP_COMP, __GFP_DIRECT_RECLAIM, __GFP_NORETRY, __GFP_NOWARN, __GFP_RECLAIMABLE, GFP_KERNEL } from '../base/flags.ts'
import type { Kernel, KmemCache } from '../base/state.ts'
import { NO_PAGE, PAGE_SIZE } from '../base/units.ts'
import { addSlab, kmemCache, kmemFree, takeObject } from '../caches/slab.ts'
import { allocPages } from './page_alloc.ts'

/** Takes objects of the named cache (caches/slab_caches.ts lists them); false, and nothing taken, when there is no memory for them. */
export function kmemAlloc(k: Kernel, name: string, objects: number, gfp: number = GFP_KERNEL): boolean {
  const cache = kmemCache(k, name)
  for (let taken = 0; taken < objects; taken++) {
    if (takeObject(k, cache) || (newSlab(k, cache, gfp) && takeObject(k, cache))) continue
    kmemFree(k, name, taken)
    return false
  }
  return true
}

/** A slab of the cache's order, without effort for more than one page; else of a single page if an object fits in it. */
function newSlab(k: Kernel, cache: KmemCache, gfp: number): boolean {
  const wanted = gfp | (cache.reclaimable ? __GFP_RECLAIMABLE : 0)
  const least = cache.objectBytes <= PAGE_SIZE ? 0 : cache.order
  const eager = cache.order > least ? (wanted | __GFP_NOWARN | __GFP_NORETRY) & ~__GFP_DIRECT_RECLAIM : wanted
  return slabOf(k, cache, eager, cache.order) || (cache.order > least && slabOf(k, cache, wanted, least))
}

function slabOf(k: Kernel, cache: KmemCache, gfp: number, order: number): boolean {
  const head = allocPages(k, order > 0 ? gfp | __GFP_COMP : gfp, order)
  if (head === NO_PAGE) return false
  addSlab(k, cache, head, order)
  return true
}
