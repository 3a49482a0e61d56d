/**
 * The index of a page cache: page offset -> page, or the shadow that an evicted page leaves behind.
 *
 *     inner node (level 2)            each node has 64 slots; the tree grows upwards when an index needs it
 *        └── inner node (level 1)     a huge page takes 8 slots here and needs no leaf
 *               └── leaf ── 64 slots: a pfn, 0, or a negative shadow
 *
 * Leaves are found by number in a map, the one used last without asking it. Of the inner nodes only the number of children
 * is kept: they are asked for nothing, but each node is a kernel object that costs memory, so every change says how many
 * nodes it made or freed.
 *
 * Invariants: `count` is the number of slots that are not 0, `shadows` of those the negative ones; no leaf is empty.
 *
 * Source: lib/xarray.c.
 */
import { must } from '../base/assert.ts'
import type { XArray, XaNode } from '../base/state_fs.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'

const NODE_SLOTS = 64
/** Leaves that a huge page stands for, which is also how many slots it takes in the level above. */
const HUGE_LEAVES = HPAGE_PMD_NR / NODE_SLOTS
/** Keys of inner nodes: level * LEVEL_SPAN + position. */
const LEVEL_SPAN = 2 ** 40

export const xarray = (): XArray => ({ nodes: new Map(), huge: new Map(), inner: new Map(), levels: 0, lastKey: -1, last: undefined })

/** Number of the leaf that holds an index. */
export const leafKey = (index: number): number => Math.floor(index / NODE_SLOTS)

/** The leaf of that number, or undefined. */
export function xaLeaf(pages: XArray, key: number): XaNode | undefined {
  if (key === pages.lastKey) return pages.last
  const node = pages.nodes.get(key)
  if (node !== undefined) {
    pages.lastKey = key
    pages.last = node
  }
  return node
}

/** What stands at the index: a page (of a huge page, the very one of its pages), 0, or a negative shadow. */
export function xaLoad(pages: XArray, index: number): number {
  const key = leafKey(index)
  const node = key === pages.lastKey ? pages.last : xaLeaf(pages, key)
  if (node !== undefined) return node.slots[index - key * NODE_SLOTS]
  if (pages.huge.size === 0) return 0
  const head = pages.huge.get(Math.floor(index / HPAGE_PMD_NR))
  return head === undefined ? 0 : head + index - Math.floor(index / HPAGE_PMD_NR) * HPAGE_PMD_NR
}

/** The page at the index; NO_PAGE for nothing or a shadow. */
export function xaPage(pages: XArray, index: number): Pfn {
  const value = xaLoad(pages, index)
  return value > 0 ? asPfn(value) : NO_PAGE
}

/** Whether nothing, not even a shadow, is indexed. */
export const xaEmpty = (pages: XArray): boolean => pages.nodes.size === 0 && pages.huge.size === 0

const innerKey = (level: number, position: number) => level * LEVEL_SPAN + position

/** Makes the tree high enough for a leaf number; returns the inner nodes that took. */
function grow(pages: XArray, key: number, lowest: number): number {
  let made = 0
  const wasEmpty = xaEmpty(pages)
  if (wasEmpty) pages.levels = 0
  while (pages.levels < lowest || key >= NODE_SLOTS ** pages.levels) {
    pages.levels++
    if (wasEmpty) continue
    pages.inner.set(innerKey(pages.levels, 0), 1)
    made++
  }
  return made
}

/** Adds `children` below the inner node; returns the inner nodes that had to be made for it. */
function addChildren(pages: XArray, level: number, position: number, children: number): number {
  if (level > pages.levels) return 0
  const at = innerKey(level, position)
  const there = pages.inner.get(at)
  pages.inner.set(at, (there ?? 0) + children)
  return there === undefined ? 1 + addChildren(pages, level + 1, Math.floor(position / NODE_SLOTS), 1) : 0
}

function dropChildren(pages: XArray, level: number, position: number, children: number): number {
  if (level > pages.levels) return 0
  const at = innerKey(level, position)
  const left = must(pages.inner.get(at), 'an inner node of a page cache is missing') - children
  if (left > 0) {
    pages.inner.set(at, left)
    return 0
  }
  pages.inner.delete(at)
  return 1 + dropChildren(pages, level + 1, Math.floor(position / NODE_SLOTS), 1)
}

function makeLeaf(pages: XArray, key: number, nid: number): number {
  const grown = grow(pages, key, 0)
  const node: XaNode = { slots: new Int32Array(NODE_SLOTS), ages: undefined, count: 0, shadows: 0, dirty: 0, writeback: 0, nid, memcg: 0 }
  pages.nodes.set(key, node)
  pages.lastKey = key
  pages.last = node
  return 1 + grown + addChildren(pages, 1, Math.floor(key / NODE_SLOTS), 1)
}

function dropLeaf(pages: XArray, key: number): number {
  pages.nodes.delete(key)
  pages.lastKey = -1
  pages.last = undefined
  return 1 + dropChildren(pages, 1, Math.floor(key / NODE_SLOTS), 1)
}

/** Stores a page; a shadow that stood there is gone. Returns the nodes made; `nid` is the NUMA node they come from. */
export function xaSetPage(pages: XArray, index: number, pfn: Pfn, nid: number): number {
  const key = leafKey(index)
  const made = xaLeaf(pages, key) === undefined ? makeLeaf(pages, key, nid) : 0
  const node = must(xaLeaf(pages, key), 'a leaf just made is missing')
  const slot = index - key * NODE_SLOTS
  const old = node.slots[slot]
  if (old === 0) node.count++
  else if (old < 0) node.shadows--
  node.slots[slot] = pfn
  return made
}

/** Puts a shadow in the place of a page. `value` is negative. */
export function xaSetShadow(pages: XArray, index: number, value: number, age: number): void {
  const key = leafKey(index)
  const node = must(xaLeaf(pages, key), 'a shadow takes the place of no page')
  const slot = index - key * NODE_SLOTS
  node.ages ??= new Float64Array(NODE_SLOTS)
  node.ages[slot] = age
  if (node.slots[slot] > 0) node.shadows++
  node.slots[slot] = value
}

/** Age of the shadow at the index. */
export function xaShadowAge(pages: XArray, index: number): number {
  const key = leafKey(index)
  return xaLeaf(pages, key)?.ages?.[index - key * NODE_SLOTS] ?? 0
}

/** Empties the slot; returns the nodes that became free. */
export function xaClear(pages: XArray, index: number): number {
  const key = leafKey(index)
  const node = must(xaLeaf(pages, key), 'an empty slot is emptied')
  const slot = index - key * NODE_SLOTS
  if (node.slots[slot] < 0) node.shadows--
  node.slots[slot] = 0
  node.count--
  return node.count === 0 ? dropLeaf(pages, key) : 0
}

/** Stores a huge page whose 512 slots are all empty; returns the nodes made. */
export function xaSetHuge(pages: XArray, index: number, head: Pfn): number {
  const grown = grow(pages, leafKey(index), 1)
  pages.huge.set(index / HPAGE_PMD_NR, head)
  return grown + addChildren(pages, 1, Math.floor(leafKey(index) / NODE_SLOTS), HUGE_LEAVES)
}

/** Empties the slots of a huge page; returns the nodes that became free. */
export function xaClearHuge(pages: XArray, index: number): number {
  pages.huge.delete(index / HPAGE_PMD_NR)
  return dropChildren(pages, 1, Math.floor(leafKey(index) / NODE_SLOTS), HUGE_LEAVES)
}

/** Puts another page of the same size in the place of the one at the index. */
export function xaReplace(pages: XArray, index: number, pfn: Pfn): void {
  if (pages.huge.has(index / HPAGE_PMD_NR)) pages.huge.set(index / HPAGE_PMD_NR, pfn)
  else must(xaLeaf(pages, leafKey(index)), 'a page to replace is not indexed').slots[index - leafKey(index) * NODE_SLOTS] = pfn
}

/** Puts a huge page in the place of the single pages of its slots, of which there is at least one; returns the nodes freed, less those made. */
export function xaJoinHuge(pages: XArray, index: number, head: Pfn): number {
  const first = leafKey(index)
  const made = grow(pages, first + HUGE_LEAVES - 1, 1)
  let freed = 0
  for (let i = 0; i < HUGE_LEAVES; i++) if (pages.nodes.delete(first + i)) freed++
  pages.lastKey = -1
  pages.last = undefined
  pages.huge.set(index / HPAGE_PMD_NR, head)
  addChildren(pages, 1, Math.floor(first / NODE_SLOTS), HUGE_LEAVES - freed)
  return freed - made
}

/** Indexes the pages of a huge page one by one (xas_split); returns the leaves made. */
export function xaSplitHuge(pages: XArray, index: number, nid: number): number {
  const head = must(pages.huge.get(index / HPAGE_PMD_NR), 'a huge page to split is not indexed')
  pages.huge.delete(index / HPAGE_PMD_NR)
  const first = leafKey(index)
  for (let i = 0; i < HUGE_LEAVES; i++) {
    const node: XaNode = {
      slots: new Int32Array(NODE_SLOTS),
      ages: undefined,
      count: NODE_SLOTS,
      shadows: 0,
      dirty: 0,
      writeback: 0,
      nid,
      memcg: 0,
    }
    for (let slot = 0; slot < NODE_SLOTS; slot++) node.slots[slot] = head + i * NODE_SLOTS + slot
    pages.nodes.set(first + i, node)
  }
  return HUGE_LEAVES
}

/** Whether any of the 512 slots from the aligned index on holds a page or shadow (xa_find). */
export function xaAnyInHuge(pages: XArray, index: number): boolean {
  if (pages.huge.has(index / HPAGE_PMD_NR)) return true
  const first = leafKey(index)
  for (let i = 0; i < HUGE_LEAVES; i++) if (pages.nodes.has(first + i)) return true
  return false
}

/**
 * Numbers of the leaves that hold something of [first, last], ascending; a huge page is named by the first of the
 * eight leaves it stands for. The walker reads the slots itself, so it may empty them on the way.
 */
export function xaKeys(pages: XArray, first: number, last: number): number[] {
  const low = leafKey(first)
  const high = leafKey(last)
  const keys: number[] = []
  if (high - low > pages.nodes.size) {
    for (const key of pages.nodes.keys()) if (key >= low && key <= high) keys.push(key)
  } else for (let key = low; key <= high; key++) if (pages.nodes.has(key)) keys.push(key)
  for (const unit of pages.huge.keys())
    if (unit * HUGE_LEAVES + HUGE_LEAVES > low && unit * HUGE_LEAVES <= high) keys.push(unit * HUGE_LEAVES)
  return keys.sort((a, b) => a - b)
}

/** First index of a leaf. */
export const leafStart = (key: number): number => key * NODE_SLOTS

/**
 * The first index from `index` on without a page, looking at `max` of them; the last one looked at when all have pages
 * (page_cache_next_miss).
 */
export function xaNextMiss(pages: XArray, index: number, max: number): number {
  const last = index + max - 1
  let at = index
  while (at < last && xaLoad(pages, at) > 0) at++
  return at
}

/** The same downwards; -1 when all from 0 on have pages (page_cache_prev_miss). */
export function xaPrevMiss(pages: XArray, index: number, max: number): number {
  const last = index - max + 1
  let at = index
  while (at > last && at >= 0 && xaLoad(pages, at) > 0) at--
  return at
}
