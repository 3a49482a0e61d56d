/**
 * Swap areas: which slots are in use, and by how many.
 *
 *     slot 0        slot 1     ...                         one count a slot (swap_map):
 *     | header |  page  |  page  |  free  |  page  | ...     entries of page tables that name it
 *                                                          + SWAP_HAS_CACHE   a page of the swap cache has it, or some CPU
 *                                                                             keeps it for its next page, or to give it back
 *                                                          SWAP_MAP_SHMEM     a memory file has it
 *
 * A slot whose count falls to nothing goes to the CPU that let it go, which keeps 64 of them before it gives them back; so an
 * area shows more slots in use than are. What zswap or zram keep of a slot, and the shadow of a page that left it, go when it is
 * given back.
 *
 * A swap entry is a number: type * 2^26 + slot, so an area holds 256 GiB at most (Linux: more than any machine has). A slot can
 * be named 16382 times; Linux, whose counts are bytes, chains pages of further counts from 62 on, which are left out.
 *
 * Invariants: inusePages is the number of slots whose map is not 0, bad ones apart; freePages + the sum of inusePages is
 * swapPages (areas being switched off apart).
 *
 * Source: mm/swapfile.c (__swap_duplicate, __swap_entry_free_locked, swap_range_free), mm/swap_slots.c free_swap_slot.
 */

import { assert, must } from '../base/assert.ts'
import {
  PTE_SWAP,
  PTE_SWAP_TYPE_MASK,
  PTE_SWAP_TYPE_SHIFT,
  SWAP_HAS_CACHE,
  SWAP_MAP_BAD,
  SWAP_MAP_COUNT,
  SWAP_MAP_SHMEM,
  SWP_WRITEOK,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { XArray } from '../base/state_fs.ts'
import type { SwapArea, SwapClusters, SwapSlots, SwapState } from '../base/state_swap.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { memcgUnchargeSwap } from '../frames/memcg_charge.ts'
import { kmemFree } from './slab.ts'
import { xaClear, xaLoad } from './xarray.ts'
import { zramFree } from './zram.ts'
import { zswapInvalidatePage } from './zswap.ts'

const TYPE_SHIFT = 26
const OFFSET_MASK = 2 ** TYPE_SHIFT - 1
/** Pages of an area at most, and areas (MAX_SWAPFILES). */
export const MAX_SWAP_PAGES = 2 ** TYPE_SHIFT
export const MAX_SWAPFILES = 23
/** Slots of one index of the swap cache (SWAP_ADDRESS_SPACE_PAGES). */
const CACHE_SHIFT = 14
export const CACHE_PAGES = 2 ** CACHE_SHIFT
/** Slots a CPU keeps of each kind, and takes at once (SWAP_SLOTS_CACHE_SIZE). */
export const SWAP_BATCH = 64
/** Slots of a cluster (SWAPFILE_CLUSTER). */
export const SWAP_CLUSTER = 512

export const CLUSTER_FREE = 1
export const CLUSTER_HUGE = 4

/** Swap before any area is switched on; each CPU gets its slots as it is added. */
export const swapState = (): SwapState => ({
  areas: [],
  active: [],
  available: [],
  freePages: 0,
  plug: undefined,
  leastPriority: -1,
  rotating: 0,
  slots: [],
  slotsEnabled: false,
  slotsActive: false,
  headers: new Map(),
  entryOf: new Int32Array(0),
  readahead: { byAddress: true, hits: 4, lastOffset: 0, lastPages: 0 },
})

const swapSlots = (): SwapSlots => ({ taken: new Int32Array(SWAP_BATCH), at: 0, left: 0, back: new Int32Array(SWAP_BATCH), nBack: 0 })

export const swpEntry = (type: number, offset: number): number => type * 2 ** TYPE_SHIFT + offset
export const swpType = (entry: number): number => entry >>> TYPE_SHIFT
export const swpOffset = (entry: number): number => entry & OFFSET_MASK

/** The swap entry in a page-table entry with these words; 0 when it is none. */
export const pteToSwap = (value: number, flags: number): number =>
  (flags & PTE_SWAP) === 0 ? 0 : swpEntry((flags & PTE_SWAP_TYPE_MASK) >>> PTE_SWAP_TYPE_SHIFT, value)
/** The flags by which a page-table entry whose first word is the slot says that the page is swapped out. */
export const swapPteFlags = (entry: number): number => PTE_SWAP | (swpType(entry) << PTE_SWAP_TYPE_SHIFT)

export const swapArea = (k: Kernel, entry: number): SwapArea => must(k.swap.areas[swpType(entry)], `no swap area for entry ${entry}`)
export const swapCacheOf = (area: SwapArea, offset: number): XArray => area.cache[offset >>> CACHE_SHIFT]

/** More than half of all swap is in use (vm_swap_full): slots of pages that are in memory again are given up. */
export const vmSwapFull = (k: Kernel): boolean => k.swap.freePages * 2 < k.swapPages

/** Pages of swap there are and that are free; of an area that is being switched off those that it still has count as both (si_swapinfo). */
export function siSwapinfo(k: Kernel): { readonly totalPages: number; readonly freePages: number } {
  let leaving = 0
  for (const area of k.swap.areas) if (area !== undefined && (area.flags & SWP_WRITEOK) === 0) leaving += area.inusePages
  return { totalPages: k.swapPages + leaving, freePages: k.swap.freePages + leaving }
}

/** How many name the slot (__swap_count); a memory file counts once. */
export function swapCount(k: Kernel, entry: number): number {
  const value = swapArea(k, entry).map[swpOffset(entry)] & ~SWAP_HAS_CACHE
  return value === SWAP_MAP_SHMEM ? 1 : value & SWAP_MAP_COUNT
}

/** One more page-table entry names the slot (swap_duplicate). */
export function swapDuplicate(k: Kernel, entry: number): void {
  const { map } = swapArea(k, entry)
  assert((map[swpOffset(entry)] & SWAP_MAP_COUNT) < SWAP_MAP_BAD - 1, 'a swap slot is named more often than can be counted')
  map[swpOffset(entry)]++
}

/** A memory file has the slot (swap_shmem_alloc). */
export function swapShmemAlloc(k: Kernel, entry: number): void {
  swapArea(k, entry).map[swpOffset(entry)] |= SWAP_MAP_SHMEM
}

/** A page of the swap cache takes the slot, if it is in use and no page has it (swapcache_prepare). */
export function swapcachePrepare(k: Kernel, entry: number): boolean {
  const { map } = swapArea(k, entry)
  const value = map[swpOffset(entry)]
  if (value === 0 || (value & SWAP_HAS_CACHE) !== 0) return false
  map[swpOffset(entry)] = value | SWAP_HAS_CACHE
  return true
}

/** One entry that named the slot is gone, or the memory file's (swap_free). @returns what is left of its count and marks. */
export function swapFree(k: Kernel, entry: number): number {
  const { map } = swapArea(k, entry)
  const offset = swpOffset(entry)
  const cached = map[offset] & SWAP_HAS_CACHE
  const value = map[offset] & ~SWAP_HAS_CACHE
  assert(value !== 0, `swap slot ${offset} is freed more often than it is named`)
  return letGo(k, entry, map, (value === SWAP_MAP_SHMEM ? 0 : value - 1) | cached)
}

/** The swap cache has let the slot go (put_swap_folio for a single page). */
export function putSwapCache(k: Kernel, entry: number): void {
  const { map } = swapArea(k, entry)
  letGo(k, entry, map, map[swpOffset(entry)] & ~SWAP_HAS_CACHE)
}

function letGo(k: Kernel, entry: number, map: Uint16Array, left: number): number {
  map[swpOffset(entry)] = left === 0 ? SWAP_HAS_CACHE : left
  if (left === 0) freeSwapSlot(k, entry)
  return left
}

/** The swap cache has let the 512 slots of a huge page go (put_swap_folio). */
export function putSwapCacheHuge(k: Kernel, entry: number): void {
  const area = swapArea(k, entry)
  const first = swpOffset(entry)
  const clusters = must(area.clusters, 'a huge page has slots where there are no clusters')
  const cluster = first / SWAP_CLUSTER
  clusters.flags[cluster] &= ~CLUSTER_HUGE
  let free = 0
  for (let i = first; i < first + SWAP_CLUSTER; i++) if (area.map[i] === SWAP_HAS_CACHE) free++
  if (free < SWAP_CLUSTER) {
    for (let i = 0; i < SWAP_CLUSTER; i++) putSwapCache(k, entry + i)
    return
  }
  area.map.fill(0, first, first + SWAP_CLUSTER)
  for (let i = first; i < first + SWAP_CLUSTER; i++) unchargeSlot(k, area, i)
  clusters.count[cluster] = 0
  freeCluster(clusters, cluster)
  rangeFree(k, area, first, SWAP_CLUSTER)
}

/** A huge page with its 512 slots was split (split_swap_cluster). */
export function splitSwapCluster(k: Kernel, entry: number): void {
  const { clusters } = swapArea(k, entry)
  if (clusters !== undefined) clusters.flags[Math.floor(swpOffset(entry) / SWAP_CLUSTER)] &= ~CLUSTER_HUGE
}

/** Whether the slot, or any of the 512 that a huge page in the swap cache has, is named by anybody (swap_page_trans_huge_swapped). */
export function anySwapped(k: Kernel, entry: number): boolean {
  const area = swapArea(k, entry)
  const offset = swpOffset(entry)
  const cluster = Math.floor(offset / SWAP_CLUSTER)
  if (area.clusters === undefined || (area.clusters.flags[cluster] & CLUSTER_HUGE) === 0) return (area.map[offset] & ~SWAP_HAS_CACHE) !== 0
  for (let i = cluster * SWAP_CLUSTER; i < (cluster + 1) * SWAP_CLUSTER; i++) if ((area.map[i] & ~SWAP_HAS_CACHE) !== 0) return true
  return false
}

// --- giving slots back

/** A slot that nobody names waits on this CPU with others to be given back (free_swap_slot). */
function freeSwapSlot(k: Kernel, entry: number): void {
  const { swap } = k
  if (!swap.slotsActive || !swap.slotsEnabled) {
    entryFree(k, entry)
    return
  }
  const slots = slotsOf(k, k.cpu)
  if (slots.nBack === SWAP_BATCH) drainBack(k, slots)
  slots.back[slots.nBack++] = entry
}

/** What the CPU keeps. */
export function slotsOf(k: Kernel, cpu: number): SwapSlots {
  const there = k.swap.slots[cpu]
  if (there !== undefined) return there
  const fresh = swapSlots()
  k.swap.slots[cpu] = fresh
  return fresh
}

function drainBack(k: Kernel, slots: SwapSlots): void {
  for (let i = 0; i < slots.nBack; i++) entryFree(k, slots.back[i])
  slots.nBack = 0
}

/** All CPUs give back what they keep (drain_swap_slots_cache). */
export function drainSwapSlots(k: Kernel): void {
  for (let cpu = 0; cpu < k.swap.slots.length; cpu++) drainSwapSlotsCpu(k, cpu)
}

/** A CPU gives back what it keeps, as when it goes away (drain_slots_cache_cpu). */
export function drainSwapSlotsCpu(k: Kernel, cpu: number): void {
  const slots = k.swap.slots[cpu]
  if (slots === undefined) return
  for (let i = slots.at; i < slots.at + slots.left; i++) entryFree(k, slots.taken[i])
  slots.at = 0
  slots.left = 0
  drainBack(k, slots)
}

/** Nobody is charged for the slot any more (mem_cgroup_uncharge_swap). */
function unchargeSlot(k: Kernel, area: SwapArea, offset: number): void {
  const memcg = area.memcg[offset]
  area.memcg[offset] = ROOT_MEMCG
  memcgUnchargeSwap(k, memcg, 1)
}

/** A slot is free for whoever comes (swap_entry_free). */
function entryFree(k: Kernel, entry: number): void {
  const area = swapArea(k, entry)
  const offset = swpOffset(entry)
  assert(area.map[offset] === SWAP_HAS_CACHE, `swap slot ${offset} is given back while it is in use`)
  area.map[offset] = 0
  unchargeSlot(k, area, offset)
  const { clusters } = area
  if (clusters !== undefined && --clusters.count[Math.floor(offset / SWAP_CLUSTER)] === 0)
    freeCluster(clusters, Math.floor(offset / SWAP_CLUSTER))
  rangeFree(k, area, offset, 1)
}

/** Adds an empty cluster to the end of the free ones. */
export function freeCluster(clusters: SwapClusters, cluster: number): void {
  clusters.flags[cluster] = CLUSTER_FREE
  clusters.next[cluster] = -1
  if (clusters.freeFirst < 0) clusters.freeFirst = cluster
  else clusters.next[clusters.freeLast] = cluster
  clusters.freeLast = cluster
}

/** Counts slots as free, and forgets what was kept of them (swap_range_free). */
function rangeFree(k: Kernel, area: SwapArea, first: number, n: number): void {
  const last = first + n - 1
  if (first < area.lowestBit) area.lowestBit = first
  if (last > area.highestBit) {
    const wasFull = area.highestBit === 0
    area.highestBit = last
    if (wasFull && (area.flags & SWP_WRITEOK) !== 0) addAvailable(k, area)
  }
  k.swap.freePages += n
  area.inusePages -= n
  for (let offset = first; offset <= last; offset++) {
    zswapInvalidatePage(k, area.type, offset)
    if (area.device.kind === 'zram') zramFree(k, area.device.zram, offset)
    const cache = swapCacheOf(area, offset)
    if (xaLoad(cache, offset) < 0) freeNodes(k, xaClear(cache, offset))
  }
}

/** Gives the objects of the swap cache's index nodes back. */
export function freeNodes(k: Kernel, nodes: number): void {
  if (nodes > 0) kmemFree(k, 'radix_tree_node', nodes)
}

/** Adds an area behind those of its priority to the ones that have free slots. */
export function addAvailable(k: Kernel, area: SwapArea): void {
  insertByPriority(k.swap.available, area)
}

/** Puts the area behind those of its priority and higher ones. */
export function insertByPriority(areas: SwapArea[], area: SwapArea): void {
  const behind = areas.findIndex(other => other.priority < area.priority)
  areas.splice(behind < 0 ? areas.length : behind, 0, area)
}
