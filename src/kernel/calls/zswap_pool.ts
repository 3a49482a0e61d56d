/**
 * Changing zswap's pool or compressor while it runs: a pool that is new takes working memory for its compressor on every CPU.
 *
 * Source: mm/zswap.c (__zswap_param_set, zswap_pool_create).
 */
import type { Kernel } from '../base/state.ts'
import { zswapSetPool } from '../caches/zswap.ts'
import { takeStreams } from './working_memory.ts'

/** @returns 0, or -ENOENT where the machine has no pool or compressor of that name. */
export function zswapSetParameter(k: Kernel, what: 'zpool' | 'compressor', name: string): number {
  const made = k.zswap.poolsMade
  const error = zswapSetPool(k, what, name)
  if (error < 0 || k.zswap.poolsMade === made) return error
  const [pool] = k.zswap.pools
  takeStreams(k, pool.working, pool.compressor, -1)
  return 0
}
