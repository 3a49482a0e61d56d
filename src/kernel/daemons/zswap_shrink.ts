/**
 * zswap's worker: writes pages of a pool that has reached its limit to the device, one page of the pool for each time it is asked.
 *
 *     entry ──> page in the swap cache, decompressed ──> written to its slot ──> entry dropped; the page can be reclaimed as it is
 *
 * A page that is in the swap cache already is being used, so its entry is left alone and another page of the pool is tried.
 * Pools that cannot evict (zsmalloc) count as failures.
 *
 * Source: mm/zswap.c (shrink_worker, zswap_writeback_entry).
 */
import { must } from '../base/assert.ts'
import { COST, now, spend } from '../base/cost.ts'
import { PG_locked, PG_reclaim, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { putPage } from '../caches/lru.ts'
import { deleteFromSwapCache } from '../caches/swap_cache.ts'
import { writeToDevice } from '../caches/swap_device.ts'
import { swpEntry } from '../caches/swap_map.ts'
import { takeIntoSwapCache } from '../caches/swap_read.ts'
import { zpoolShrink } from '../caches/zpool.ts'
import { zswapInvalidatePage, zswapShrunk, zswapSlot, zswapToShrink, zswapUnpack } from '../caches/zswap.ts'

/**
 * What a page that is written back takes of the CPU, in requests that others join: it goes to the disk alone, where reclaim's neighbours go
 * together, and its end is an interrupt of its own.
 */
const ALONE = 5

/** Serves what it was asked for: as often as it can until it was asked last, and once after that. */
export function runZswapShrink(k: Kernel): void {
  for (let pool = zswapToShrink(k); pool !== undefined; pool = zswapToShrink(k)) {
    spend(k, COST.context_switch, 2)
    pool.shrinkRequests = now(k) < k.zswap.shrinkAskedNs ? pool.shrinkRequests - 1 : 0
    if (zpoolShrink(k, pool.zpool, entry => writeBack(k, entry)) < 0) k.zswap.counters.rejectReclaimFail++
    zswapShrunk(k)
  }
}

/** Writes what an entry keeps to the device; false when it cannot be done now. */
function writeBack(k: Kernel, entry: number): boolean {
  const { type, offset } = zswapSlot(k, entry)
  spend(k, COST.block_request, ALONE)
  const taken = takeIntoSwapCache(k, swpEntry(type, offset), undefined, 0)
  if (taken >= 0) return false
  const page = asPfn(-taken)
  if (!zswapUnpack(k, entry, type, offset, page)) {
    letGo(k, page)
    return false
  }
  const at = page * PAGE_WORDS
  k.page[at] = (k.page[at] & ~PG_locked) | PG_uptodate | PG_reclaim
  writeToDevice(k, must(k.swap.areas[type], 'zswap keeps a page of no swap area'), offset, page, 1)
  k.zswap.counters.writtenBackPages++
  zswapInvalidatePage(k, type, offset)
  return true
}

/** The slot was freed or stored anew while memory for the page was being found. */
function letGo(k: Kernel, page: Pfn): void {
  k.page[page * PAGE_WORDS] &= ~PG_locked
  deleteFromSwapCache(k, page)
  putPage(k, page)
}
