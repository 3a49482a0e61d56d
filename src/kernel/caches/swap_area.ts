/**
 * Switching areas of swap on and off, as far as the areas themselves go.
 *
 * Areas without a priority get -2, -3, ... in the order they come; when one of them goes, those behind it move up. A disk that
 * does not seek is cut into clusters of 512 slots, handed out 32 apart so that CPUs do not meet.
 *
 * Source: mm/swapfile.c (setup_swap_map_and_extents, enable_swap_info, sys_swapoff).
 */
import { SWAP_MAP_BAD, SWP_SOLIDSTATE, SWP_STABLE_WRITES, SWP_SYNCHRONOUS_IO, SWP_WRITEOK } from '../base/flags.ts'
import { rngBelow } from '../base/rng.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode } from '../base/state_fs.ts'
import type { SwapArea, SwapClusters, SwapDevice } from '../base/state_swap.ts'
import { addAvailable, CACHE_PAGES, freeCluster, insertByPriority, MAX_SWAP_PAGES, MAX_SWAPFILES, SWAP_CLUSTER } from './swap_map.ts'
import { xarray } from './xarray.ts'
import { zswapSwapoff, zswapSwapon } from './zswap.ts'

/** Clusters that follow each other in the list of free ones lie so many apart (SWAP_CLUSTER_COLS). */
const CLUSTER_COLUMNS = CACHE_PAGES / SWAP_CLUSTER

/** The lowest type that is not in use; -1 when there are as many areas as there may be. */
export function freeSwapType(k: Kernel): number {
  const free = k.swap.areas.indexOf(undefined)
  const type = free < 0 ? k.swap.areas.length : free
  return type < MAX_SWAPFILES ? type : -1
}

/**
 * Switches an area on.
 * @param pages of the device, the header's included.
 * @param priority -1 for one that comes without.
 */
export function enableSwapArea(k: Kernel, type: number, path: string, device: SwapDevice, pages: number, priority: number): SwapArea {
  const max = Math.min(pages, MAX_SWAP_PAGES)
  const solid = device.kind === 'zram'
  const area: SwapArea = {
    type,
    path,
    device,
    flags: solid ? SWP_SOLIDSTATE | SWP_STABLE_WRITES | SWP_SYNCHRONOUS_IO : 0,
    priority: priority >= 0 ? priority : --k.swap.leastPriority,
    max,
    pages: max - 1,
    inusePages: 0,
    lowestBit: 1,
    highestBit: max - 1,
    clusterNext: 1,
    clusterNr: 0,
    map: new Uint16Array(max),
    memcg: new Uint16Array(max),
    content: new Int32Array(2 * max),
    cache: Array.from({ length: Math.ceil(max / CACHE_PAGES) }, xarray),
    clusters: solid ? clustersOf(k, max) : undefined,
  }
  area.map[0] = SWAP_MAP_BAD
  if (k.swap.entryOf.length === 0) k.swap.entryOf = new Int32Array(k.maxPfn + 1)
  k.swap.areas[type] = area
  if (!solid) k.swap.rotating++
  reinsertSwapArea(k, area)
  zswapSwapon(k, type)
  k.swap.slotsEnabled = true
  return area
}

function clustersOf(k: Kernel, max: number): SwapClusters {
  const n = Math.ceil(max / SWAP_CLUSTER)
  const cpus = k.cpus.length
  const clusters: SwapClusters = {
    count: new Int32Array(n),
    next: new Int32Array(n),
    flags: new Uint8Array(n),
    freeFirst: -1,
    freeLast: -1,
    cpuCluster: new Int32Array(cpus).fill(-1),
    cpuNext: new Int32Array(cpus),
    cpuBase: Int32Array.from({ length: cpus }, () => 1 + rngBelow(k.rng, max - 1)),
  }
  clusters.count[0]++
  clusters.count[n - 1] += n * SWAP_CLUSTER - max
  for (let column = 0; column < CLUSTER_COLUMNS; column++)
    for (let cluster = column; cluster < n; cluster += CLUSTER_COLUMNS) if (clusters.count[cluster] === 0) freeCluster(clusters, cluster)
  return clusters
}

/** Pages may be swapped out to the area from now on, or again. */
export function reinsertSwapArea(k: Kernel, area: SwapArea): void {
  area.flags |= SWP_WRITEOK
  k.swap.freePages += area.pages
  k.swapPages += area.pages
  insertByPriority(k.swap.active, area)
  addAvailable(k, area)
}

/** No page is swapped out to the area any more. */
export function withdrawSwapArea(k: Kernel, area: SwapArea): void {
  const { swap } = k
  const at = swap.active.indexOf(area)
  if (area.priority < 0) {
    for (const behind of swap.active.slice(at + 1)) behind.priority++
    swap.leastPriority++
  }
  swap.active.splice(at, 1)
  const available = swap.available.indexOf(area)
  if (available >= 0) swap.available.splice(available, 1)
  swap.freePages -= area.pages
  k.swapPages -= area.pages
  area.flags &= ~SWP_WRITEOK
}

/** Whether pages are swapped out to the file, so that nobody else may change it (IS_SWAPFILE). */
export const isSwapFile = (k: Kernel, inode: Inode): boolean => k.swap.areas.some(area => area?.device.file?.inode === inode)

/** Forgets an area of which no slot is in use. */
export function forgetSwapArea(k: Kernel, area: SwapArea): void {
  if (area.device.kind !== 'zram') k.swap.rotating--
  zswapSwapoff(k, area.type)
  k.swap.areas[area.type] = undefined
}
