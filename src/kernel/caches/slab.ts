/**
 * Kernel objects and the pages they live in: counts of objects by kind, and real pages for their slabs.
 *
 * A slab is 2^order pages; the order is the smallest one that holds enough objects and wastes little (a sixteenth, then
 * an eighth, then a quarter). Which object lies in which slab is not modelled: objects are taken to be packed, so a
 * cache has as many slabs as its objects need, and beyond those keeps as many as a CPU and each node keep with room before
 * pages go back. alloc/kmem.ts adds slabs; this room, which reclaim may use, only gives them back.
 *
 * Invariants: active <= total; total is the sum over slabs of what each holds; a slab's head page has PG_slab and is linked
 * on the cache's list of its node; nr_slab_* count the pages of all slabs.
 *
 * Source: mm/slub.c (calculate_order, set_min_partial, set_cpu_partial, discard_slab); sizes as /proc/slabinfo shows them.
 */
import { assert, must } from '../base/assert.ts'
import { NS } from '../base/counters.ts'
import { __GFP_COMP, __GFP_RECLAIMABLE, GFP_NOWAIT, PG_slab } from '../base/flags.ts'
import { listAdd, listAllocate, listDelete, listFirst, listNext, PAGE_WORDS } from '../base/list.ts'
import type { Kernel, KmemCache } from '../base/state.ts'
import { asPfn, MAX_ORDER, NO_PAGE, PAGE_ALLOC_COSTLY_ORDER, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { allocPageNowait } from '../frames/nowait.ts'
import { compoundOrder, pageNode } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'

interface Kind {
  readonly bytes: number
  /** Counted as memory that reclaim can give back (SLAB_RECLAIM_ACCOUNT). */
  readonly reclaimable: boolean
}

/** The kinds of objects that files, and KSM, cost. */
const KINDS: Readonly<Record<string, Kind>> = {
  radix_tree_node: { bytes: 584, reclaimable: true },
  buffer_head: { bytes: 104, reclaimable: true },
  dentry: { bytes: 192, reclaimable: true },
  ext4_inode_cache: { bytes: 1192, reclaimable: true },
  inode_cache: { bytes: 640, reclaimable: true },
  shmem_inode_cache: { bytes: 784, reclaimable: false },
  hugetlbfs_inode_cache: { bytes: 664, reclaimable: false },
  lsm_inode_cache: { bytes: 32, reclaimable: false },
  zswap_entry: { bytes: 64, reclaimable: false },
  zs_handle: { bytes: 8, reclaimable: false },
  zspage: { bytes: 56, reclaimable: false },
  ksm_rmap_item: { bytes: 64, reclaimable: false },
  ksm_stable_node: { bytes: 64, reclaimable: false },
  ksm_mm_slot: { bytes: 48, reclaimable: false },
}

/** Slabs with room that a node keeps at least, by object size (set_min_partial). */
const minPartial = (bytes: number): number => Math.min(10, Math.max(5, Math.floor(Math.log2(bytes) / 2)))

/** Slabs with room that a CPU keeps for itself, by object size (set_cpu_partial). */
function cpuPartial(cache: KmemCache): number {
  const objects = cache.objectBytes >= PAGE_SIZE ? 6 : cache.objectBytes >= 1024 ? 24 : cache.objectBytes >= 256 ? 52 : 120
  return Math.ceil((objects * 2) / cache.objectsPerSlab)
}

/** The cache of that name, made on first use. */
export function kmemCache(k: Kernel, name: string): KmemCache {
  const known = k.caches.get(name)
  if (known !== undefined) return known
  const { bytes, reclaimable } = must(KINDS[name], `no kind of kernel object is named ${name}`)
  const order = slabOrder(bytes, k.cpus.length)
  const cache: KmemCache = {
    name,
    objectBytes: bytes,
    order,
    objectsPerSlab: slabObjects(bytes, order),
    reclaimable,
    active: 0,
    total: 0,
    slabs: listAllocate(k.heads, k.nodes.length),
    nrSlabs: 0,
  }
  k.caches.set(name, cache)
  return cache
}

export const slabObjects = (bytes: number, order: number): number => Math.floor((PAGE_SIZE << order) / bytes)

/** Order of the slabs of objects of that size on a machine with so many CPUs (calculate_order). */
export function slabOrder(bytes: number, cpus: number): number {
  const wanted = 4 * (32 - Math.clz32(cpus) + 1)
  for (let objects = Math.min(wanted, slabObjects(bytes, PAGE_ALLOC_COSTLY_ORDER)); objects > 1; objects--) {
    for (let fraction = 16; fraction >= 4; fraction /= 2) {
      const order = fittingOrder(bytes, objects, fraction)
      if (order <= PAGE_ALLOC_COSTLY_ORDER) return order
    }
  }
  return fittingOrder(bytes, 1, 1)
}

/** The smallest order that holds the objects and leaves at most 1/fraction unused. */
function fittingOrder(bytes: number, objects: number, fraction: number): number {
  let order = 0
  while (PAGE_SIZE << order < objects * bytes) order++
  while (order < MAX_ORDER && (PAGE_SIZE << order) % bytes > (PAGE_SIZE << order) / fraction) order++
  return order
}

/** Counts the pages of a slab as the cache's, or takes them off. */
export function countSlab(k: Kernel, cache: KmemCache, head: Pfn, order: number, by: 1 | -1): void {
  cache.nrSlabs += by
  cache.total += by * slabObjects(cache.objectBytes, order)
  k.nodes[pageNode(k, head)].stat[cache.reclaimable ? NS.nr_slab_reclaimable : NS.nr_slab_unreclaimable] += by * (1 << order)
}

/** Frees objects; slabs that are no longer needed go back, but for the few that each node keeps. */
export function kmemFree(k: Kernel, name: string, objects: number): void {
  const cache = kmemCache(k, name)
  assert(cache.active >= objects, `more objects of ${name} are freed than there are`)
  cache.active -= objects
  const keep = (minPartial(cache.objectBytes) * k.nodes.length + cpuPartial(cache)) * cache.objectsPerSlab
  while (cache.total - cache.active >= keep + cache.objectsPerSlab) discardSlab(k, cache)
}

/**
 * Takes objects where reclaim must not be called: by reclaim itself and by what it calls. A cache that has no free ones gets
 * slabs straight from the free lists. False, and nothing taken, when these have none.
 */
export function kmemTake(k: Kernel, name: string, objects: number): boolean {
  const cache = kmemCache(k, name)
  while (cache.total < cache.active + objects) if (!addSlabAtOnce(k, cache)) return false
  cache.active += objects
  return true
}

function addSlabAtOnce(k: Kernel, cache: KmemCache): boolean {
  const gfp = GFP_NOWAIT | (cache.reclaimable ? __GFP_RECLAIMABLE : 0) | (cache.order > 0 ? __GFP_COMP : 0)
  const head = allocPageNowait(k, gfp, cache.order)
  if (head === NO_PAGE) return false
  k.page[head * PAGE_WORDS] |= PG_slab
  listAdd(k.heads, k.page, cache.slabs + pageNode(k, head), head)
  countSlab(k, cache, head, cache.order, 1)
  return true
}

/** Gives one slab back: the one used last, of the first node that has any. */
function discardSlab(k: Kernel, cache: KmemCache): void {
  const node = k.nodes.find(n => listFirst(k.heads, cache.slabs + n.id) !== 0)
  const head = asPfn(listFirst(k.heads, cache.slabs + must(node, `cache ${cache.name} has no slab to give back`).id))
  const order = compoundOrder(k, head)
  listDelete(k.heads, k.page, cache.slabs + pageNode(k, head), head)
  k.page[head * PAGE_WORDS] &= ~PG_slab
  countSlab(k, cache, head, order, -1)
  freePages(k, head, order)
}

/** What does not add up in the caches, in words. */
export function verifySlab(k: Kernel): string[] {
  const wrong: string[] = []
  for (const cache of k.caches.values()) {
    let slabs = 0
    let objects = 0
    for (const node of k.nodes) {
      for (let pfn = listFirst(k.heads, cache.slabs + node.id); pfn !== 0; pfn = listNext(k.page, pfn)) {
        const order = compoundOrder(k, pfn)
        slabs++
        objects += slabObjects(cache.objectBytes, order)
        if ((k.page[pfn * PAGE_WORDS] & PG_slab) === 0 || pageNode(k, pfn) !== node.id)
          wrong.push(`page ${pfn} is no slab of ${cache.name} on node ${node.id}`)
      }
    }
    if (slabs !== cache.nrSlabs || objects !== cache.total)
      wrong.push(`${cache.name}: ${slabs} slabs for ${objects} objects, counted ${cache.nrSlabs} and ${cache.total}`)
    if (cache.active > cache.total || cache.active < 0) wrong.push(`${cache.name}: ${cache.active} of ${cache.total} objects in use`)
  }
  return wrong
}
