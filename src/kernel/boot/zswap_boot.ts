/**
 * zswap's part of the command line: zswap.NAME=VALUE for each of its parameters. Values that a write would refuse are left out,
 * pools and compressors that the kernel does not have before modules are loaded give way to the defaults.
 *
 * Source: mm/zswap.c (module parameters, init_zswap, __zswap_pool_create_fallback).
 */
import type { Kernel } from '../base/state.ts'
import { zswapInit } from '../caches/zswap.ts'
import { kstrtobool, kstrtouint } from '../tunables_parse.ts'

const PREFIX = 'zswap.'

export function initZswap(k: Kernel): void {
  for (const [key, value] of k.machine.cmdline) if (key.startsWith(PREFIX)) setParameter(k, key.slice(PREFIX.length), value)
  zswapInit(k)
}

/** A yes or no without a value means yes. */
function setParameter({ zswap }: Kernel, name: string, value: string | undefined): void {
  const yes = kstrtobool(value ?? '1')
  const number = kstrtouint(value ?? '', 0)
  if (name === 'enabled' && yes !== undefined) zswap.enabled = yes
  if (name === 'same_filled_pages_enabled' && yes !== undefined) zswap.sameFilledPagesEnabled = yes
  if (name === 'non_same_filled_pages_enabled' && yes !== undefined) zswap.nonSameFilledPagesEnabled = yes
  if (name === 'max_pool_percent' && number.error === 0) zswap.maxPoolPercent = number.value
  if (name === 'accept_threshold_percent' && number.error === 0) zswap.acceptThresholdPercent = number.value
  if (name === 'compressor' && value !== undefined) zswap.compressor = value
  if (name === 'zpool' && value !== undefined) zswap.zpool = value
}
