/**
 * Kernel objects, the side that takes pages: a cache without a free object gets another slab.
 *
 * Source: mm/slub.c (new_slab, allocate_slab).
 */
import { __GFP_COMP, __GFP_DIRECT_RECLAIM, __GFP_NORETRY, __GFP_NOWARN, __GFP_RECLAIMABLE, GFP_KERNEL, PG_slab } from '../base/flags.ts'
import { listAdd, PAGE_WORDS } from '../base/list.ts'
import type { Kernel, KmemCache } from '../base/state.ts'
import { NO_PAGE } from '../base/units.ts'
import { countSlab, kmemCache } from '../caches/slab.ts'
import { pageNode } from '../frames/page.ts'
import { allocPages } from './page_alloc.ts'

/** Takes objects of the named cache (caches/slab.ts lists them); false, and nothing taken, when there is no memory for them. */
export function kmemAlloc(k: Kernel, name: string, objects: number, gfp: number = GFP_KERNEL): boolean {
  const cache = kmemCache(k, name)
  while (cache.total < cache.active + objects) if (!newSlab(k, cache, gfp)) return false
  cache.active += objects
  return true
}

/** A slab of the cache's order, without effort for more than one page; else of a single page if an object fits in it. */
function newSlab(k: Kernel, cache: KmemCache, gfp: number): boolean {
  const wanted = gfp | (cache.reclaimable ? __GFP_RECLAIMABLE : 0)
  const least = cache.objectBytes <= 4096 ? 0 : cache.order
  const eager = cache.order > least ? (wanted | __GFP_NOWARN | __GFP_NORETRY) & ~__GFP_DIRECT_RECLAIM : wanted
  return slabOf(k, cache, eager, cache.order) || (cache.order > least && slabOf(k, cache, wanted, least))
}

function slabOf(k: Kernel, cache: KmemCache, gfp: number, order: number): boolean {
  const pfn = allocPages(k, order > 0 ? gfp | __GFP_COMP : gfp, order)
  if (pfn === NO_PAGE) return false
  k.page[pfn * PAGE_WORDS] |= PG_slab
  listAdd(k.heads, k.page, cache.slabs + pageNode(k, pfn), pfn)
  countSlab(k, cache, pfn, order, 1)
  return true
}
