/**
 * Kernel objects and the pages they live in (SLUB): each kind has its cache, whose slabs hold so many objects each.
 *
 *     CPU      slab that objects are taken from         |xxxx..|
 *              slabs with room, for the time after it   |x..xx.| |.xx...|     at most cpuPartialSlabs
 *     node     slabs with room                          |xx.xx.| |....x.|     empty ones go back, but for minPartial
 *              full slabs, which nobody keeps track of  |xxxxxx| |xxxxxx|
 *
 * A slab that was full goes to its CPU's list when one of its objects is freed; when that is full it goes to the nodes' lists as a
 * whole. Objects in slabs that a CPU holds count as used, free or not: what /proc/slabinfo calls active is all but the free ones on
 * the nodes' lists.
 *
 * Which object lies in which slab is not modelled: those freed are taken to be the ones that were taken last. Boot's own objects have
 * slabs without pages of their own here (their pages are boot's); some of their room is still free. alloc/kmem.ts adds slabs; this
 * room, which reclaim may use, only gives them back.
 *
 * Invariants: a slab's head has PG_slab and, in its index word, how many of its objects are used; the used ones of all slabs are
 * `active`; what they hold is `total`; nr_slab_* count the pages of all slabs, boot's included.
 *
 * Source: mm/slub.c (___slab_alloc, get_partial, __slab_free, put_cpu_partial, __unfreeze_partials, deactivate_slab,
 * __kmem_cache_do_shrink, get_slabinfo).
 */
import { assert, fail } from '../base/assert.ts'
import { NS } from '../base/counters.ts'
import { __GFP_COMP, __GFP_RECLAIMABLE, GFP_NOWAIT, PG_slab } from '../base/flags.ts'
import { listAdd, listAddTail, listAllocate, listDelete, listFirst, listLength, listNext, PAGE_WORDS } from '../base/list.ts'
import type { CpuSlabs, Kernel, KmemCache } from '../base/state.ts'
import { NO_PAGE, type NodeId, type Pfn } from '../base/units.ts'
import { allocPageNowait } from '../frames/nowait.ts'
import { compoundOrder, pageNode, W_INDEX } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { ALIASES, bootSlabs, cpuPartial, hasFlag, minPartial, slabKind, slabObjects, slabOrder } from './slab_caches.ts'

/** The cache of that name, made on first use. */
export function kmemCache(k: Kernel, name: string): KmemCache {
  return k.caches.get(name) ?? createCache(k, name)
}

function createCache(k: Kernel, name: string): KmemCache {
  const owner = ALIASES[name]
  if (owner !== undefined) {
    const cache = kmemCache(k, owner)
    k.caches.set(name, cache)
    return cache
  }
  const kind = slabKind(name)
  const order = slabOrder(kind.bytes, k.cpus.length)
  const objectsPerSlab = slabObjects(kind.bytes, order)
  const cpuPartialObjects = cpuPartial(kind.bytes)
  const cache: KmemCache = {
    name,
    objectBytes: kind.bytes,
    order,
    objectsPerSlab,
    reclaimable: hasFlag(kind, 'R'),
    active: 0,
    total: 0,
    nrSlabs: 0,
    bootSlabs: bootSlabs(k.machine, k.cpus.length, kind),
    bootFree: Math.floor(objectsPerSlab / 2),
    settled: 0,
    partial: listAllocate(k.heads, k.nodes.length),
    full: listAllocate(k.heads, k.nodes.length),
    cpus: k.cpus.map(() => ({ slab: NO_PAGE, partial: [] })),
    minPartial: minPartial(kind.bytes),
    cpuPartial: cpuPartialObjects,
    cpuPartialSlabs: Math.ceil((cpuPartialObjects * 2) / objectsPerSlab),
    remoteRatio: 100,
  }
  if (cache.bootSlabs === 0) cache.bootFree = 0
  k.caches.set(name, cache)
  return cache
}

const used = (k: Kernel, slab: Pfn): number => k.page[slab * PAGE_WORDS + W_INDEX]
const roomOf = (k: Kernel, cache: KmemCache, slab: Pfn): number => slabObjects(cache.objectBytes, compoundOrder(k, slab))
const freeIn = (k: Kernel, cache: KmemCache, slab: Pfn): number => roomOf(k, cache, slab) - used(k, slab)

function addUsed(k: Kernel, cache: KmemCache, slab: Pfn, by: 1 | -1): void {
  k.page[slab * PAGE_WORDS + W_INDEX] += by
  cache.active += by
}

const partialOf = (cache: KmemCache, node: NodeId) => cache.partial + node
const fullOf = (cache: KmemCache, node: NodeId) => cache.full + node

// --- taking

/** Takes one object from slabs that there are; false when none has room. */
export function takeObject(k: Kernel, cache: KmemCache): boolean {
  if (cache.bootFree > 0) {
    cache.bootFree--
    return true
  }
  const cpu = cache.cpus[k.cpu]
  if (cpu.slab !== NO_PAGE && freeIn(k, cache, cpu.slab) === 0) {
    listAdd(k.heads, k.page, fullOf(cache, pageNode(k, cpu.slab)), cpu.slab)
    cpu.slab = NO_PAGE
  }
  if (cpu.slab === NO_PAGE) cpu.slab = cpu.partial.shift() ?? getPartial(k, cache, cpu)
  if (cpu.slab === NO_PAGE) return false
  if (freeIn(k, cache, cpu.slab) === 0) return takeObject(k, cache)
  addUsed(k, cache, cpu.slab, 1)
  return true
}

/** The first slab with room of the CPU's node, else of another that has more than it keeps; with more for later (get_partial). */
function getPartial(k: Kernel, cache: KmemCache, cpu: CpuSlabs): Pfn {
  const local = k.cpus[k.cpu].node
  for (const zone of k.nodes[local].zonelist) {
    const { node } = k.zones[zone]
    const list = partialOf(cache, node)
    if (node !== local && (cache.remoteRatio === 0 || listLength(k.heads, list) <= cache.minPartial)) continue
    const first = listFirst(k.heads, list)
    if (first === NO_PAGE) continue
    listDelete(k.heads, k.page, list, first)
    for (let more = 0; more <= cache.cpuPartialSlabs / 2 && listFirst(k.heads, list) !== NO_PAGE; more++) {
      const slab = listFirst(k.heads, list)
      listDelete(k.heads, k.page, list, slab)
      cpu.partial.push(slab)
    }
    return first
  }
  return NO_PAGE
}

/** Makes 2^order fresh pages the CPU's slab, without used objects. One that it got meanwhile, while memory was reclaimed, goes to its list. */
export function addSlab(k: Kernel, cache: KmemCache, head: Pfn, order: number): void {
  k.page[head * PAGE_WORDS] |= PG_slab
  const cpu = cache.cpus[k.cpu]
  if (cpu.slab !== NO_PAGE) deactivateSlab(k, cache, cpu.slab)
  cpu.slab = head
  countSlab(k, cache, head, order, 1)
}

function countSlab(k: Kernel, cache: KmemCache, head: Pfn, order: number, by: 1 | -1): void {
  cache.nrSlabs += by
  cache.total += by * slabObjects(cache.objectBytes, order)
  k.nodes[pageNode(k, head)].stat[cache.reclaimable ? NS.nr_slab_reclaimable : NS.nr_slab_unreclaimable] += by * (1 << order)
}

/**
 * Takes objects where reclaim must not be called: by reclaim itself and by what it calls. A cache that has no free ones gets
 * slabs straight from the free lists, of single pages if need be. False, and nothing taken, when these have none.
 * @param reserves __GFP_HIGH, __GFP_MEMALLOC: how far below the marks a slab may be taken.
 */
export function kmemTake(k: Kernel, name: string, objects: number, reserves = 0): boolean {
  const cache = kmemCache(k, name)
  for (let taken = 0; taken < objects; taken++) {
    if (takeObject(k, cache)) continue
    if (!(slabAtOnce(k, cache, cache.order, reserves) || slabAtOnce(k, cache, 0, reserves))) {
      kmemFree(k, name, taken)
      return false
    }
    takeObject(k, cache)
  }
  return true
}

function slabAtOnce(k: Kernel, cache: KmemCache, order: number, reserves: number): boolean {
  if (slabObjects(cache.objectBytes, order) === 0) return false
  const gfp = GFP_NOWAIT | reserves | (cache.reclaimable ? __GFP_RECLAIMABLE : 0) | (order > 0 ? __GFP_COMP : 0)
  const head = allocPageNowait(k, gfp, order)
  if (head === NO_PAGE) return false
  addSlab(k, cache, head, order)
  return true
}

// --- freeing

/** Frees objects; slabs that are empty then go back, but for those that CPUs and nodes keep. */
export function kmemFree(k: Kernel, name: string, objects: number): void {
  const cache = kmemCache(k, name)
  for (let i = 0; i < objects; i++) freeObject(k, cache)
}

function freeObject(k: Kernel, cache: KmemCache): void {
  if (cache.active === 0) {
    cache.bootFree++
    assert(cache.bootFree <= cache.bootSlabs * cache.objectsPerSlab, `more objects of ${cache.name} are freed than there are`)
    return
  }
  if (freeOfCpu(k, cache, cache.cpus[k.cpu])) return
  for (const zone of k.nodes[k.cpus[k.cpu].node].zonelist) if (freeOfNode(k, cache, k.zones[zone].node)) return
  for (const cpu of cache.cpus) if (freeOfCpu(k, cache, cpu)) return
  fail(`no slab of ${cache.name} has one of its ${cache.active} objects`)
}

/** From a slab that a CPU holds, the one it takes from first. */
function freeOfCpu(k: Kernel, cache: KmemCache, cpu: CpuSlabs): boolean {
  const slab = cpu.slab !== NO_PAGE && used(k, cpu.slab) > 0 ? cpu.slab : cpu.partial.find(other => used(k, other) > 0)
  if (slab === undefined) return false
  addUsed(k, cache, slab, -1)
  return true
}

/** From a full slab of the node, which then is the CPU's; else from one with room. */
function freeOfNode(k: Kernel, cache: KmemCache, node: NodeId): boolean {
  const full = listFirst(k.heads, fullOf(cache, node))
  if (full !== NO_PAGE) {
    listDelete(k.heads, k.page, fullOf(cache, node), full)
    addUsed(k, cache, full, -1)
    putCpuPartial(k, cache, full)
    return true
  }
  const list = partialOf(cache, node)
  for (let slab = listFirst(k.heads, list); slab !== NO_PAGE; slab = listNext(k.page, slab)) {
    if (used(k, slab) === 0) continue
    addUsed(k, cache, slab, -1)
    if (used(k, slab) === 0 && listLength(k.heads, list) > cache.minPartial) {
      listDelete(k.heads, k.page, list, slab)
      discardSlab(k, cache, slab)
    }
    return true
  }
  return false
}

/** The CPU keeps the slab; if it has as many as it may, those go to the nodes first (put_cpu_partial). */
function putCpuPartial(k: Kernel, cache: KmemCache, slab: Pfn): void {
  const { partial } = cache.cpus[k.cpu]
  if (partial.length >= cache.cpuPartialSlabs) for (const old of partial.splice(0)) deactivateSlab(k, cache, old)
  partial.unshift(slab)
}

/** Lets go of a slab that a CPU held: back when empty and the node has enough, else to the list it belongs to. */
function deactivateSlab(k: Kernel, cache: KmemCache, slab: Pfn): void {
  const node = pageNode(k, slab)
  const list = partialOf(cache, node)
  if (used(k, slab) === 0 && listLength(k.heads, list) >= cache.minPartial) discardSlab(k, cache, slab)
  else if (freeIn(k, cache, slab) === 0) listAdd(k.heads, k.page, fullOf(cache, node), slab)
  else listAddTail(k.heads, k.page, list, slab)
}

function discardSlab(k: Kernel, cache: KmemCache, slab: Pfn): void {
  const order = compoundOrder(k, slab)
  countSlab(k, cache, slab, order, -1)
  freePages(k, slab, order)
}

/** Every cache once: several names may stand for one. */
export const distinctCaches = (k: Kernel): KmemCache[] => [...new Set(k.caches.values())]

/** A CPU lets go of all its slabs (flush_cpu_slab). */
export function kmemFlushCpu(k: Kernel, cache: KmemCache, id: number): void {
  const cpu = cache.cpus[id]
  if (cpu.slab !== NO_PAGE) deactivateSlab(k, cache, cpu.slab)
  cpu.slab = NO_PAGE
  for (const slab of cpu.partial.splice(0)) deactivateSlab(k, cache, slab)
}

/** Gives every empty slab back (kmem_cache_shrink). */
export function kmemShrink(k: Kernel, cache: KmemCache): void {
  for (const cpu of k.cpus) kmemFlushCpu(k, cache, cpu.id)
  for (const node of k.nodes) {
    const list = partialOf(cache, node.id)
    for (let slab = listFirst(k.heads, list); slab !== NO_PAGE; ) {
      const next = listNext(k.page, slab)
      if (used(k, slab) === 0) {
        listDelete(k.heads, k.page, list, slab)
        discardSlab(k, cache, slab)
      }
      slab = next
    }
  }
}

// --- figures

/** Slabs, and free objects in them, on the node's list of those with room. */
export function partialSlabs(k: Kernel, cache: KmemCache, node: NodeId): { slabs: number; objects: number; free: number } {
  const list = partialOf(cache, node)
  const sum = { slabs: listLength(k.heads, list), objects: 0, free: 0 }
  for (let slab = listFirst(k.heads, list); slab !== NO_PAGE; slab = listNext(k.page, slab)) {
    sum.objects += roomOf(k, cache, slab)
    sum.free += freeIn(k, cache, slab)
  }
  return sum
}

/** Slabs of the node with all they hold: those of boot apart. */
export function nodeSlabs(k: Kernel, cache: KmemCache, node: NodeId): { slabs: number; objects: number } {
  const sum = { slabs: 0, objects: 0 }
  forEachSlab(k, cache, slab => {
    if (pageNode(k, slab) !== node) return
    sum.slabs++
    sum.objects += roomOf(k, cache, slab)
  })
  return sum
}

function forEachSlab(k: Kernel, cache: KmemCache, visit: (slab: Pfn, place: 'cpu' | 'partial' | 'full') => void): void {
  for (const { slab, partial } of cache.cpus) {
    if (slab !== NO_PAGE) visit(slab, 'cpu')
    for (const other of partial) visit(other, 'cpu')
  }
  for (const node of k.nodes) {
    for (let slab = listFirst(k.heads, partialOf(cache, node.id)); slab !== NO_PAGE; slab = listNext(k.page, slab)) visit(slab, 'partial')
    for (let slab = listFirst(k.heads, fullOf(cache, node.id)); slab !== NO_PAGE; slab = listNext(k.page, slab)) visit(slab, 'full')
  }
}

/** Pages that are taken in one piece, too large for a slab: what compressors work with (kmalloc_large). */
function largePages(k: Kernel): number {
  const owners = [...k.zswap.pools, ...k.zram.filter(device => device !== undefined)]
  const pieces = owners.flatMap(({ working }) => working.pieces.filter(({ slab }) => slab))
  return pieces.reduce((pages, { order }) => pages + 2 ** order, 0)
}

/** What does not add up in the caches, in words. */
export function verifySlab(k: Kernel): string[] {
  const wrong: string[] = []
  const seen = new Set<number>()
  let pages = k.boot.slabPages + largePages(k)
  for (const cache of distinctCaches(k)) {
    const sum = { slabs: 0, objects: 0, active: 0 }
    forEachSlab(k, cache, (slab, place) => {
      sum.slabs++
      sum.objects += roomOf(k, cache, slab)
      sum.active += used(k, slab)
      pages += 1 << compoundOrder(k, slab)
      if (seen.has(slab)) wrong.push(`slab ${slab} of ${cache.name} is in two places`)
      seen.add(slab)
      if ((k.page[slab * PAGE_WORDS] & PG_slab) === 0) wrong.push(`page ${slab} is no slab of ${cache.name}`)
      const free = freeIn(k, cache, slab)
      if (free < 0 || used(k, slab) < 0 || (place === 'full' && free > 0) || (place === 'partial' && free === 0))
        wrong.push(`slab ${slab} of ${cache.name} has ${free} free objects and is ${place}`)
    })
    if (sum.slabs !== cache.nrSlabs || sum.objects !== cache.total || sum.active !== cache.active)
      wrong.push(`${cache.name}: ${sum.active} of ${sum.objects} objects used, counted ${cache.active} of ${cache.total}`)
  }
  const counted = k.nodes.reduce((total, { stat }) => total + stat[NS.nr_slab_reclaimable] + stat[NS.nr_slab_unreclaimable], 0)
  if (pages !== counted) wrong.push(`slabs have ${pages} pages, nr_slab_reclaimable and _unreclaimable ${counted}`)
  return wrong
}
