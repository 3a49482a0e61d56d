/**
 * Kernel objects, the side that takes pages: a cache without a free object gets another slab.
 *
 * Source: mm/slub.c (new_slab, allocate_slab).
 */

import {
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_NOFAIL,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_RECLAIM,
  __GFP_RECLAIMABLE,
  GFP_KERNEL,
  GFP_NOFS,
} from '../base/flags.ts'
import type { Kernel, KmemCache } from '../base/state.ts'
import type { ChargedObjects } from '../base/state_fs.ts'
import { NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { buffersOf, chargedBytes, type FileObjects, noteFileObjects } from '../caches/charged_objects.ts'
import { addSlab, kmemCache, kmemFree, takeObject } from '../caches/slab.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { objUncharge } from '../frames/memcg_charge.ts'
import { pageMemcg, pageNode } from '../frames/page.ts'
import { objCharge } from './charge.ts'
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

/** The same for objects of a file, charged to the group that is charged for others of the file, else to that of the task that runs. */
export function fileObjectsAlloc(
  k: Kernel,
  charged: ChargedObjects,
  cache: string,
  kind: FileObjects,
  objects: number,
  gfp: number = GFP_KERNEL,
): boolean {
  if (charged.nodes + charged.inodes + charged.dentries === 0) {
    charged.memcg = k.current?.memcg ?? ROOT_MEMCG
    charged.nid = k.cpus[k.cpu].node
  }
  if (charged.memcg === ROOT_MEMCG) return kmemAlloc(k, cache, objects, gfp)
  const { reclaimable } = kmemCache(k, cache)
  const bytes = chargedBytes(k, cache, objects)
  if (!objCharge(k, charged.memcg, charged.nid, reclaimable, bytes, gfp)) return false
  charged[kind] += objects
  noteFileObjects(k, charged, kind, objects)
  if (kmemAlloc(k, cache, objects, gfp)) return true
  charged[kind] -= objects
  noteFileObjects(k, charged, kind, -objects)
  objUncharge(k, charged.memcg, charged.nid, reclaimable, bytes)
  return false
}

/** Buffer heads for a page, charged to the page's group whatever its limit: there is no way back for who needs them (alloc_page_buffers). */
export function bufferAlloc(k: Kernel, page: Pfn): boolean {
  const heads = buffersOf(k, page)
  const bytes = chargedBytes(k, 'buffer_head', heads)
  if (!objCharge(k, pageMemcg(k, page), pageNode(k, page), true, bytes, GFP_NOFS | __GFP_NOFAIL)) return false
  if (kmemAlloc(k, 'buffer_head', heads, GFP_NOFS | __GFP_NOFAIL)) return true
  objUncharge(k, pageMemcg(k, page), pageNode(k, page), true, bytes)
  return false
}

/**
 * A slab of the cache's order: where a smaller one would hold an object too, only if no memory has to be reclaimed for it. Else one of the
 * smallest order, with all the effort that the request allows.
 */
function newSlab(k: Kernel, cache: KmemCache, gfp: number): boolean {
  const wanted = gfp | (cache.reclaimable ? __GFP_RECLAIMABLE : 0)
  const least = Math.max(0, Math.ceil(Math.log2(cache.objectBytes / PAGE_SIZE)))
  const modest = (wanted | __GFP_NOWARN | __GFP_NORETRY) & ~__GFP_NOFAIL
  const eager = (gfp & __GFP_DIRECT_RECLAIM) !== 0 && cache.order > least ? modest & ~__GFP_RECLAIM : modest
  return slabOf(k, cache, eager, cache.order) || slabOf(k, cache, wanted, least)
}

function slabOf(k: Kernel, cache: KmemCache, gfp: number, order: number): boolean {
  const head = allocPages(k, order > 0 ? gfp | __GFP_COMP : gfp, order)
  if (head === NO_PAGE) return false
  addSlab(k, cache, head, order)
  return true
}
