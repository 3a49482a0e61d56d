/**
 * zsmalloc: a pool that packs objects of any size, even across page borders, so that little is wasted.
 *
 *     class of 2720 bytes:  | page   | page   |     two pages in a chain (zspage) hold three objects
 *                           |  a  |  b  |  c  |
 *
 * Sizes go in steps of 16 bytes. Each class chains as many pages (at most four) as waste least; neighbours that pack alike are
 * one class, of the larger size. An object bears 8 bytes of its handle, by which the pool can move it: compaction fills chains
 * that are nearly full from those that are nearly empty and frees what becomes empty. Objects cannot be evicted.
 *
 * Chains stand in groups by how full they are; an object goes into the first chain of the group "almost full", or else
 * "almost empty". Within a chain the slot freed last is used first.
 *
 * Invariants: a chain is on the list of its fullness and holds at least one object; a slot holds its object's handle, negated, or the
 * next free slot; a handle names the chain and slot of its object.
 *
 * Source: mm/zsmalloc.c.
 */

import { ZS } from '../base/counters.ts'
import { EINVAL, ENOMEM } from '../base/errno.ts'
import { __GFP_HIGHMEM, __GFP_MEMALLOC, __GFP_MOVABLE } from '../base/flags.ts'
import { recordFirst, recordFree, recordInsert, recordLists, records, recordTake, recordUnlink } from '../base/records.ts'
import type { Kernel } from '../base/state.ts'
import type { SizeClass, ZsPool } from '../base/state_zswap.ts'
import { asPfn, NO_PAGE, PAGE_SIZE } from '../base/units.ts'
import { allocPageNowait } from '../frames/nowait.ts'
import { pageZone } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { kmemFree, kmemTake } from './slab.ts'

const MIN_ALLOC_SIZE = 32
const CLASS_DELTA = 16
const CLASSES = (PAGE_SIZE - MIN_ALLOC_SIZE) / CLASS_DELTA + 1
const MAX_PAGES = 4
/** Bytes of an object that hold its handle. */
const HANDLE_SIZE = 8

const ALMOST_EMPTY = 1
const ALMOST_FULL = 2
const FULL = 3
const GROUPS = 4

/** Words of a chain's record; its slots follow. */
const LINK = 0
const IN_USE = 2
const FREE_SLOT = 3
const FULLNESS = 4
const PFN = 5
const SLOTS = PFN + MAX_PAGES

/** Words of a handle's record: class and slot share one. */
const ZSPAGE = 0
const PLACE = 1
const HANDLE_STRIDE = 2
const SLOT_BITS = 10

/** Pages of a chain for objects of that size: the fewest of those that waste the smallest share (get_pages_per_zspage). */
function chainPages(bytes: number): number {
  let most = 0
  let pages = 1
  for (let i = 1; i <= MAX_PAGES; i++) {
    const used = Math.floor(((i * PAGE_SIZE - ((i * PAGE_SIZE) % bytes)) * 100) / (i * PAGE_SIZE))
    if (used <= most) continue
    most = used
    pages = i
  }
  return pages
}

/** The classes by size step; made from the largest down, as neighbours share the larger one's. */
function sizeClasses(): SizeClass[] {
  const classes: SizeClass[] = []
  let larger: SizeClass | undefined
  for (let index = CLASSES - 1; index >= 0; index--) {
    const bytes = MIN_ALLOC_SIZE + index * CLASS_DELTA
    const pages = chainPages(bytes)
    const objects = Math.floor((pages * PAGE_SIZE) / bytes)
    if (larger === undefined || larger.pages !== pages || larger.objects !== objects)
      larger = { index, bytes, pages, objects, zspages: records(SLOTS + objects), groups: recordLists(GROUPS), used: 0 }
    classes[index] = larger
  }
  return classes
}

export const zsCreate = (): ZsPool => ({
  kind: 'zsmalloc',
  classes: sizeClasses(),
  handles: records(HANDLE_STRIDE),
  pages: 0,
  pagesCompacted: 0,
})

/** Objects of this size and more get a page of their own (zs_huge_class_size). */
export const zsHugeClassSize = (pool: ZsPool): number => {
  const largest = [...pool.classes].reverse().find(({ pages, objects }) => pages !== 1 && objects !== 1)
  return largest === undefined ? PAGE_SIZE : largest.bytes - (HANDLE_SIZE - 1)
}

const classOf = (pool: ZsPool, bytes: number): SizeClass =>
  pool.classes[Math.min(CLASSES - 1, Math.max(0, Math.ceil((bytes - MIN_ALLOC_SIZE) / CLASS_DELTA)))]

/** Room for an object. @returns a handle, or a negative errno. */
export function zsMalloc(k: Kernel, pool: ZsPool, bytes: number, gfp: number): number {
  if (bytes > PAGE_SIZE) return -EINVAL
  if (!kmemTake(k, 'zs_handle', 1, __GFP_MEMALLOC)) return -ENOMEM
  const sizeClass = classOf(pool, bytes + HANDLE_SIZE)
  const id = roomIn(sizeClass) || newChain(k, pool, sizeClass, gfp)
  if (id === 0) {
    kmemFree(k, 'zs_handle', 1)
    return -ENOMEM
  }
  const handle = recordTake(pool.handles)
  place(pool, sizeClass, id, handle)
  fixFullness(sizeClass, id)
  sizeClass.used++
  return handle
}

const roomIn = ({ groups }: SizeClass): number => recordFirst(groups, ALMOST_FULL) || recordFirst(groups, ALMOST_EMPTY)

/** A chain whose slots are all free, on no list yet; 0 when there are no pages for it. */
function newChain(k: Kernel, pool: ZsPool, sizeClass: SizeClass, gfp: number): number {
  if (!kmemTake(k, 'zspage', 1, __GFP_MEMALLOC)) return 0
  const { zspages, pages, objects } = sizeClass
  const id = recordTake(zspages)
  const at = id * zspages.stride
  for (let i = 0; i < pages; i++) {
    const pfn = allocPageNowait(k, gfp | __GFP_MEMALLOC | __GFP_HIGHMEM | __GFP_MOVABLE, 0)
    zspages.words[at + PFN + i] = pfn
    if (pfn !== NO_PAGE) pageZone(k, pfn).stat[ZS.nr_zspages]++
    else {
      freeChainPages(k, sizeClass, id)
      return 0
    }
  }
  for (let slot = 0; slot < objects; slot++) zspages.words[at + SLOTS + slot] = slot + 1
  pool.pages += pages
  return id
}

function freeChainPages(k: Kernel, { zspages, pages }: SizeClass, id: number): void {
  for (let i = 0; i < pages; i++) {
    const pfn = asPfn(zspages.words[id * zspages.stride + PFN + i])
    if (pfn === NO_PAGE) break
    pageZone(k, pfn).stat[ZS.nr_zspages]--
    freePages(k, pfn, 0)
  }
  recordFree(zspages, id)
  kmemFree(k, 'zspage', 1)
}

/** Puts the handle's object into the chain's first free slot (obj_malloc). */
function place(pool: ZsPool, { index, zspages: { words, stride } }: SizeClass, id: number, handle: number): void {
  const at = id * stride
  const slot = words[at + FREE_SLOT]
  words[at + FREE_SLOT] = words[at + SLOTS + slot]
  words[at + SLOTS + slot] = -handle
  words[at + IN_USE]++
  pool.handles.words[handle * HANDLE_STRIDE + ZSPAGE] = id
  pool.handles.words[handle * HANDLE_STRIDE + PLACE] = (index << SLOT_BITS) | slot
}

/** Frees a slot of a chain (obj_free). */
function vacate({ zspages: { words, stride } }: SizeClass, id: number, slot: number): void {
  const at = id * stride
  words[at + SLOTS + slot] = words[at + FREE_SLOT]
  words[at + FREE_SLOT] = slot
  words[at + IN_USE]--
}

/** The group of a chain with so many objects; 0 for an empty one. */
function fullness({ objects }: SizeClass, inUse: number): number {
  if (inUse === 0) return 0
  if (inUse === objects) return FULL
  return inUse <= Math.floor((3 * objects) / 4) ? ALMOST_EMPTY : ALMOST_FULL
}

/** Moves the chain to the list of its fullness, if that has changed. @returns its fullness. */
function fixFullness(sizeClass: SizeClass, id: number): number {
  const { zspages } = sizeClass
  const at = id * zspages.stride
  const now = fullness(sizeClass, zspages.words[at + IN_USE])
  const before = zspages.words[at + FULLNESS]
  if (now === before) return now
  if (before !== 0) unlink(sizeClass, id)
  if (now !== 0) link(sizeClass, id, now)
  return now
}

function unlink({ zspages, groups }: SizeClass, id: number): void {
  const at = id * zspages.stride
  recordUnlink(zspages, groups, zspages.words[at + FULLNESS], LINK, id)
  zspages.words[at + FULLNESS] = 0
}

/** Fuller chains stand first, as far as a look at the first one tells (insert_zspage). */
function link({ zspages, groups }: SizeClass, id: number, group: number): void {
  const { words, stride } = zspages
  const first = recordFirst(groups, group)
  const emptier = first !== 0 && words[id * stride + IN_USE] < words[first * stride + IN_USE]
  recordInsert(zspages, groups, group, LINK, id, emptier ? first : 0)
  words[id * stride + FULLNESS] = group
}

export function zsFree(k: Kernel, pool: ZsPool, handle: number): void {
  const { words } = pool.handles
  const sizeClass = pool.classes[words[handle * HANDLE_STRIDE + PLACE] >> SLOT_BITS]
  const id = words[handle * HANDLE_STRIDE + ZSPAGE]
  vacate(sizeClass, id, words[handle * HANDLE_STRIDE + PLACE] & ((1 << SLOT_BITS) - 1))
  sizeClass.used--
  if (fixFullness(sizeClass, id) === 0) freeChain(k, pool, sizeClass, id)
  recordFree(pool.handles, handle)
  kmemFree(k, 'zs_handle', 1)
}

function freeChain(k: Kernel, pool: ZsPool, sizeClass: SizeClass, id: number): void {
  pool.pages -= sizeClass.pages
  freeChainPages(k, sizeClass, id)
}

// --- compaction

/** The classes that stand for themselves, the largest first. */
const ownClasses = (pool: ZsPool): SizeClass[] => pool.classes.filter(({ index }, i) => index === i).reverse()

/** Pages that moving the objects of a class together would free (zs_can_compact). */
const freeable = ({ zspages, objects, pages, used }: SizeClass): number => Math.floor((zspages.count * objects - used) / objects) * pages

/** Pages that compaction would free. */
export const zsFreeablePages = (pool: ZsPool): number => ownClasses(pool).reduce((sum, sizeClass) => sum + freeable(sizeClass), 0)

/** Moves objects together, class by class. @returns pages freed (zs_compact). */
export function zsCompact(k: Kernel, pool: ZsPool): number {
  const freed = ownClasses(pool).reduce((sum, sizeClass) => sum + compactClass(k, pool, sizeClass), 0)
  pool.pagesCompacted += freed
  return freed
}

function compactClass(k: Kernel, pool: ZsPool, sizeClass: SizeClass): number {
  let freed = 0
  for (;;) {
    const source = isolate(sizeClass, ALMOST_EMPTY, ALMOST_FULL)
    if (source === 0) return freed
    const emptied = freeable(sizeClass) > 0 && moveObjects(pool, sizeClass, source)
    if (fixFullness(sizeClass, source) === 0) {
      freeChain(k, pool, sizeClass, source)
      freed += sizeClass.pages
    }
    if (!emptied) return freed
  }
}

/** Takes the first chain of either group off its list; 0 when there is none. */
function isolate(sizeClass: SizeClass, ...groups: readonly number[]): number {
  for (const group of groups) {
    const id = recordFirst(sizeClass.groups, group)
    if (id === 0) continue
    unlink(sizeClass, id)
    return id
  }
  return 0
}

/** Moves the chain's objects into others; false when those have no room for all (migrate_zspage). */
function moveObjects(pool: ZsPool, sizeClass: SizeClass, source: number): boolean {
  const { zspages, objects } = sizeClass
  const { words, stride } = zspages
  let target = 0
  for (let slot = 0; slot < objects; slot++) {
    const handle = -words[source * stride + SLOTS + slot]
    if (handle <= 0) continue
    if (target !== 0 && words[target * stride + IN_USE] === objects) {
      fixFullness(sizeClass, target)
      target = 0
    }
    if (target === 0) target = isolate(sizeClass, ALMOST_FULL, ALMOST_EMPTY)
    if (target === 0) return false
    place(pool, sizeClass, target, handle)
    vacate(sizeClass, source, slot)
  }
  fixFullness(sizeClass, target)
  return true
}

/** What does not add up in the pool, in words; `visit` is called with each of its pages. */
export function verifyZsmalloc(pool: ZsPool, visit: (pfn: number) => void): string[] {
  const wrong: string[] = []
  let [pages, used] = [0, 0]
  for (const sizeClass of ownClasses(pool)) {
    const { zspages, groups, bytes } = sizeClass
    let [chains, objects] = [0, 0]
    for (let group = ALMOST_EMPTY; group < GROUPS; group++) {
      for (let id = recordFirst(groups, group); id !== 0; id = zspages.words[id * zspages.stride + LINK]) {
        chains++
        objects += verifyChain(pool, sizeClass, id, group, wrong)
        for (let i = 0; i < sizeClass.pages; i++) visit(zspages.words[id * zspages.stride + PFN + i])
      }
    }
    if (chains !== zspages.count || objects !== sizeClass.used)
      wrong.push(
        `zsmalloc's class of ${bytes} bytes has ${chains} chains, ${objects} objects; counted ${zspages.count} and ${sizeClass.used}`,
      )
    pages += chains * sizeClass.pages
    used += objects
  }
  if (pages !== pool.pages || used !== pool.handles.count)
    wrong.push(`zsmalloc has ${pages} pages, ${used} objects; counted ${pool.pages} and ${pool.handles.count}`)
  return wrong
}

/** Objects in a chain. */
function verifyChain(pool: ZsPool, sizeClass: SizeClass, id: number, group: number, wrong: string[]): number {
  const { zspages, objects, index } = sizeClass
  const at = id * zspages.stride
  let used = 0
  for (let slot = 0; slot < objects; slot++) {
    const handle = -zspages.words[at + SLOTS + slot]
    if (handle <= 0) continue
    used++
    const place = handle * HANDLE_STRIDE
    if (pool.handles.words[place + ZSPAGE] !== id || pool.handles.words[place + PLACE] !== ((index << SLOT_BITS) | slot))
      wrong.push(`zsmalloc's handle ${handle} names another place than where its object is`)
  }
  if (used !== zspages.words[at + IN_USE] || fullness(sizeClass, used) !== group)
    wrong.push(`a chain of zsmalloc with ${used} objects of ${objects} counts ${zspages.words[at + IN_USE]} and stands in group ${group}`)
  return used
}
