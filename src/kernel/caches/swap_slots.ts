/**
 * Finding free slots of swap.
 *
 *     page ──> this CPU's slots (64 taken at once) ──> the area with the highest priority; areas of one priority take turns
 *
 *     disk that has to seek       the next 512 free slots in a row, from the area's start; then one by one where any is free
 *     disk that has not           each CPU fills a cluster of 512 of its own; a huge page takes a whole free one
 *
 * When more than half of all swap is in use, slots of pages that are in memory too are taken from them. Looking for slots stops
 * after 256 steps, with what was found till then. When swap is nearly full CPUs no longer keep slots.
 *
 * Source: mm/swapfile.c (get_swap_pages, scan_swap_map_slots, scan_swap_map_try_ssd_cluster, swap_alloc_cluster), mm/swap_slots.c
 * folio_alloc_swap.
 */
import { fail } from '../base/assert.ts'
import { PG_locked, SWAP_HAS_CACHE, SWP_WRITEOK } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { rngBelow } from '../base/rng.ts'
import type { Kernel } from '../base/state.ts'
import type { SwapArea, SwapClusters } from '../base/state_swap.ts'
import { HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'
import { compoundHead, compoundPages } from '../frames/page.ts'
import { putPage } from './lru.ts'
import { folioFreeSwap, swapCacheGet } from './swap_cache.ts'
import {
  CACHE_PAGES,
  CLUSTER_FREE,
  CLUSTER_HUGE,
  drainSwapSlots,
  SWAP_BATCH,
  SWAP_CLUSTER,
  slotsOf,
  swpEntry,
  vmSwapFull,
} from './swap_map.ts'

/** Steps after which a search takes what it has (LATENCY_LIMIT). */
const LATENCY_LIMIT = 256
/** Free slots for each CPU from which on CPUs keep slots, and below which they no longer do. */
const ACTIVATE = 5 * SWAP_BATCH
const DEACTIVATE = 2 * SWAP_BATCH

/** A slot, or 512 in a row, for a page that is to be swapped out; 0 when there is none (folio_alloc_swap). */
export function folioAllocSwap(k: Kernel, head: Pfn): number {
  const one = new Int32Array(1)
  if (compoundPages(k, head) > 1) return getSwapPages(k, one, 1, HPAGE_PMD_NR) > 0 ? one[0] : 0
  if (slotsInUse(k)) {
    const slots = slotsOf(k, k.cpu)
    if (slots.left === 0) {
      slots.at = 0
      slots.left = getSwapPages(k, slots.taken, SWAP_BATCH, 1)
    }
    if (slots.left > 0) {
      slots.left--
      return slots.taken[slots.at++]
    }
  }
  return getSwapPages(k, one, 1, 1) > 0 ? one[0] : 0
}

/** Whether CPUs keep slots; it depends on how many are free (check_cache_active). */
function slotsInUse(k: Kernel): boolean {
  const { swap } = k
  if (!swap.slotsEnabled) return false
  let online = 0
  for (const cpu of k.cpus) if (cpu.online) online++
  if (!swap.slotsActive) {
    if (swap.freePages > online * ACTIVATE) swap.slotsActive = true
  } else if (swap.freePages < online * DEACTIVATE) {
    swap.slotsActive = false
    drainSwapSlots(k)
  }
  return swap.slotsActive
}

/** Takes up to `want` entries of single slots, or one of 512, from the areas in turn; returns how many (get_swap_pages). */
function getSwapPages(k: Kernel, entries: Int32Array, want: number, size: number): number {
  const { swap } = k
  const goal = Math.min(want, SWAP_BATCH, Math.floor(swap.freePages / size))
  if (goal <= 0) return 0
  swap.freePages -= goal * size
  let n = 0
  for (const area of [...swap.available]) {
    requeue(swap.available, area)
    if (size === 1) n = scanSlots(k, area, entries, goal)
    else n = allocCluster(k, area, entries)
    if (n > 0 || size > 1) break
  }
  swap.freePages += (goal - n) * size
  return n
}

/** Puts the area behind the others of its priority (plist_requeue). */
function requeue(areas: SwapArea[], area: SwapArea): void {
  const at = areas.indexOf(area)
  if (at < 0) return
  let behind = at
  while (behind + 1 < areas.length && areas[behind + 1].priority === area.priority) behind++
  areas.splice(at, 1)
  areas.splice(behind, 0, area)
}

/** A search in one area. */
interface Scan {
  readonly area: SwapArea
  readonly entries: Int32Array
  readonly want: number
  n: number
  offset: number
  /** Where it began, and how many steps are left. */
  base: number
  left: number
  /** It took so many steps that it should not look for more than one slot. */
  long: boolean
  /** Steps of all kinds that are left before it is given up: what is in memory may keep its slots in the end. */
  last: number
}

/** Takes free slots; returns how many entries there are (scan_swap_map_slots). */
function scanSlots(k: Kernel, area: SwapArea, entries: Int32Array, want: number): number {
  const { clusters } = area
  const base = clusters === undefined ? area.clusterNext : clusters.cpuBase[k.cpu]
  const scan: Scan = { area, entries, want, n: 0, offset: base, base, left: LATENCY_LIMIT, long: false, last: 3 * area.max }
  let found = clusters === undefined ? startRow(scan) : tryCluster(k, scan, clusters)
  for (;;) {
    if (found && takeFrom(k, scan)) break
    if (!searchOn(k, scan)) return scan.n
    found = true
  }
  setNext(k, area, scan.offset + 1)
  return scan.n
}

/** A disk that seeks: goes on in its row of free slots, or looks for the next row of 512. */
function startRow(scan: Scan): boolean {
  const { area } = scan
  if (area.clusterNr-- !== 0) return true
  area.clusterNr = SWAP_CLUSTER - 1
  if (area.pages - area.inusePages < SWAP_CLUSTER) return true
  const first = area.lowestBit
  let last = first + SWAP_CLUSTER - 1
  for (let offset = first; last <= area.highestBit; offset++) {
    if (area.map[offset] !== 0) last = offset + SWAP_CLUSTER
    else if (offset === last) {
      area.clusterNext = offset - SWAP_CLUSTER + 1
      scan.base = first
      scan.offset = area.clusterNext
      return true
    }
    if (--scan.left < 0) scan.left = LATENCY_LIMIT
  }
  scan.base = first
  scan.offset = first
  return true
}

/** Takes slots from where the search stands; false when it has to look elsewhere for the first one. */
function takeFrom(k: Kernel, scan: Scan): boolean {
  const { area } = scan
  const { map, clusters } = area
  for (;;) {
    if (clusters !== undefined && inOthersCluster(scan.offset, clusters)) {
      clusters.cpuCluster[k.cpu] = -1
      if (scan.n > 0) return true
      if (!tryCluster(k, scan, clusters)) return false
      continue
    }
    if ((area.flags & SWP_WRITEOK) === 0 || area.highestBit === 0) return false
    if (scan.offset > area.highestBit) {
      scan.base = area.lowestBit
      scan.offset = area.lowestBit
    }
    if (map[scan.offset] === SWAP_HAS_CACHE && vmSwapFull(k)) {
      if (reclaimSlot(k, area, scan.offset)) continue
      return false
    }
    if (map[scan.offset] !== 0) return scan.n > 0
    take(scan)
    rangeAlloc(k, area, scan.offset, 1)
    if (scan.n === scan.want || scan.offset >= area.highestBit || --scan.left < 0) return true
    if (!another(k, scan)) return true
  }
}

function take(scan: Scan): void {
  const { area, offset } = scan
  const { clusters } = area
  area.map[offset] = SWAP_HAS_CACHE
  if (clusters !== undefined) {
    const cluster = Math.floor(offset / SWAP_CLUSTER)
    if ((clusters.flags[cluster] & CLUSTER_FREE) !== 0) takeFreeCluster(clusters, cluster)
    clusters.count[cluster]++
  }
  scan.entries[scan.n++] = swpEntry(area.type, offset)
}

/** Moves on to one more free slot that is near; false when there is none. */
function another(k: Kernel, scan: Scan): boolean {
  const { area } = scan
  const { map, clusters } = area
  if (clusters !== undefined) {
    if (tryCluster(k, scan, clusters)) return true
  } else if (area.clusterNr !== 0 && map[++scan.offset] === 0) {
    area.clusterNr--
    return true
  }
  if (scan.long) return false
  const limit = scan.offset < scan.base ? scan.base : area.highestBit
  for (; scan.offset <= limit && --scan.left > 0; scan.offset++) if (map[scan.offset] === 0) return true
  return false
}

/** Looks through the whole area, from where the search stands to its end and then from its start; false when nothing is there. */
function searchOn(k: Kernel, scan: Scan): boolean {
  const { area } = scan
  while (++scan.offset <= area.highestBit) {
    if (!step(scan)) return false
    if (maybeFree(k, area, scan.offset)) return true
  }
  for (scan.offset = area.lowestBit; scan.offset < scan.base; scan.offset++) {
    if (!step(scan)) return false
    if (maybeFree(k, area, scan.offset)) return true
  }
  return false
}

function step(scan: Scan): boolean {
  if (--scan.left < 0) {
    scan.left = LATENCY_LIMIT
    scan.long = true
  }
  return --scan.last >= 0
}

const maybeFree = (k: Kernel, { map }: SwapArea, offset: number) => map[offset] === 0 || (map[offset] === SWAP_HAS_CACHE && vmSwapFull(k))

/** Takes the slot from a page that is in memory and that nobody names by it (__try_to_reclaim_swap). */
function reclaimSlot(k: Kernel, area: SwapArea, offset: number): boolean {
  const page = swapCacheGet(k, swpEntry(area.type, offset))
  if (page === NO_PAGE) return false
  const head = compoundHead(k, page)
  if ((k.page[head * PAGE_WORDS] & PG_locked) !== 0 || !folioFreeSwap(k, head)) return false
  putPage(k, head)
  return true
}

/** Counts slots as taken (swap_range_alloc). */
function rangeAlloc(k: Kernel, area: SwapArea, first: number, n: number): void {
  if (first === area.lowestBit) area.lowestBit += n
  if (first + n - 1 === area.highestBit) area.highestBit -= n
  area.inusePages += n
  if (area.inusePages < area.pages) return
  area.lowestBit = area.max
  area.highestBit = 0
  const at = k.swap.available.indexOf(area)
  if (at >= 0) k.swap.available.splice(at, 1)
}

/** Remembers where to go on; a CPU that crosses into other 64 MiB of a disk without seek time goes to any of them (set_cluster_next). */
function setNext(k: Kernel, area: SwapArea, offset: number): void {
  const { clusters } = area
  if (clusters === undefined) {
    area.clusterNext = offset
    return
  }
  const base = clusters.cpuBase[k.cpu]
  let next = offset
  if (Math.floor(base / CACHE_PAGES) !== Math.floor(offset / CACHE_PAGES)) {
    if (area.highestBit <= area.lowestBit) return
    const any = area.lowestBit + rngBelow(k.rng, area.highestBit - area.lowestBit + 1)
    next = Math.max(any - (any % CACHE_PAGES), area.lowestBit)
  }
  clusters.cpuBase[k.cpu] = next
}

// --- clusters

/** The next free slot of this CPU's cluster, or of a free one that becomes its; false when there is none. */
function tryCluster(k: Kernel, scan: Scan, clusters: SwapClusters): boolean {
  const { area } = scan
  for (;;) {
    if (clusters.cpuCluster[k.cpu] < 0) {
      if (clusters.freeFirst < 0) return false
      clusters.cpuCluster[k.cpu] = clusters.freeFirst
      clusters.cpuNext[k.cpu] = clusters.freeFirst * SWAP_CLUSTER
    }
    const end = Math.min(area.max, (clusters.cpuCluster[k.cpu] + 1) * SWAP_CLUSTER)
    let offset = clusters.cpuNext[k.cpu]
    while (offset < end && area.map[offset] !== 0) offset++
    if (offset < end) {
      clusters.cpuNext[k.cpu] = offset + 1
      scan.offset = offset
      scan.base = offset
      return true
    }
    clusters.cpuCluster[k.cpu] = -1
  }
}

/** Whether the slot is in a free cluster other than the next one to be taken: it is somebody else's turn. */
function inOthersCluster(offset: number, { flags, freeFirst }: SwapClusters): boolean {
  const cluster = Math.floor(offset / SWAP_CLUSTER)
  return freeFirst >= 0 && cluster !== freeFirst && (flags[cluster] & CLUSTER_FREE) !== 0
}

/** Takes the first free cluster off the list. */
function takeFreeCluster(clusters: SwapClusters, cluster: number): void {
  if (cluster !== clusters.freeFirst) fail(`swap cluster ${cluster} is taken out of turn`)
  clusters.freeFirst = clusters.next[cluster]
  if (clusters.freeFirst < 0) clusters.freeLast = -1
  clusters.flags[cluster] = 0
  clusters.count[cluster] = 0
}

/** A whole free cluster for a huge page: 1, or 0 when there is none (swap_alloc_cluster). */
function allocCluster(k: Kernel, area: SwapArea, entries: Int32Array): number {
  const { clusters } = area
  if (clusters === undefined || clusters.freeFirst < 0) return 0
  const cluster = clusters.freeFirst
  const first = cluster * SWAP_CLUSTER
  takeFreeCluster(clusters, cluster)
  clusters.flags[cluster] = CLUSTER_HUGE
  clusters.count[cluster] = SWAP_CLUSTER
  area.map.fill(SWAP_HAS_CACHE, first, first + SWAP_CLUSTER)
  rangeAlloc(k, area, first, SWAP_CLUSTER)
  entries[0] = swpEntry(area.type, first)
  return 1
}
