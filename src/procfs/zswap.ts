/**
 * /sys/kernel/debug/zswap: what zswap keeps, what it turned away and why.
 *
 * Source: mm/zswap.c zswap_debugfs_init.
 */
import type { Kernel } from '../kernel/base/state.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { type Directory, dir, sysfs } from './file.ts'

const counter = (read: (k: Kernel) => number) => sysfs(k => `${read(k)}\n`)

export const zswapCounters: Directory = dir({
  duplicate_entry: counter(k => k.zswap.counters.duplicateEntry),
  pool_limit_hit: counter(k => k.zswap.counters.poolLimitHit),
  pool_total_size: counter(k => k.zswap.totalPages * PAGE_SIZE),
  reject_alloc_fail: counter(k => k.zswap.counters.rejectAllocFail),
  reject_compress_poor: counter(k => k.zswap.counters.rejectCompressPoor),
  reject_kmemcache_fail: counter(k => k.zswap.counters.rejectKmemcacheFail),
  reject_reclaim_fail: counter(k => k.zswap.counters.rejectReclaimFail),
  same_filled_pages: counter(k => k.zswap.counters.sameFilledPages),
  stored_pages: counter(k => k.zswap.counters.storedPages),
  written_back_pages: counter(k => k.zswap.counters.writtenBackPages),
})
