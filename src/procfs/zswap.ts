/**
 * /sys/kernel/debug/zswap: counters of a zswap that stores nothing, because it is not built.
 *
 * Source: mm/zswap.c zswap_debugfs_init.
 */
import { type Directory, dir, sysfs } from './file.ts'

const none = sysfs(() => '0\n')

export const zswapCounters: Directory = dir({
  duplicate_entry: none,
  pool_limit_hit: none,
  pool_total_size: none,
  reject_alloc_fail: none,
  reject_compress_poor: none,
  reject_kmemcache_fail: none,
  reject_reclaim_fail: none,
  same_filled_pages: none,
  stored_pages: none,
  written_back_pages: none,
})
