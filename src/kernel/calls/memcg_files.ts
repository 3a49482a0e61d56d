/**
 * What is written to the memory.* files of a control group.
 *
 *     memory.max      set at once; what is above it is reclaimed, then processes are killed, until there is nobody left
 *     memory.high     set at once; reclaims what is above it as far as that goes
 *     memory.reclaim  reclaims as many bytes from the group and all below it, or fails with EAGAIN
 *     others          set
 *
 * Sizes have a suffix or not, are rounded down to pages, and wrap around at 2^64; "max" is no limit. Nobody but root writes here, so
 * nobody is charged for what is done.
 *
 * Source: mm/memcontrol.c (memory_max_write, memory_high_write, memory_reclaim, memory_oom_group_write), mm/page_counter.c
 * page_counter_memparse, lib/cmdline.c memparse, lib/vsprintf.c simple_strtoull.
 */

import { memcgOutOfMemory } from '../alloc/charge.ts'
import { ME } from '../base/counters.ts'
import { EAGAIN, EINVAL } from '../base/errno.ts'
import { GFP_KERNEL } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Memcg } from '../base/state_memcg.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { memcgMemoryEvent, memcgOf, PAGE_COUNTER_MAX, ROOT_MEMCG } from '../frames/memcg.ts'
import { drainAllStock, protect } from '../frames/memcg_charge.ts'
import { MAX_RECLAIM_RETRIES } from '../frames/watermark.ts'
import { tryToFreeMemCgroupPages } from '../reclaim/direct_reclaim.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { kstrtoint } from '../tunables_parse.ts'

const U64 = 2n ** 64n
const SUFFIXES = 'KMGTPE'

/** A size in pages; `max` is the word for no limit; undefined for what is none. */
export function pageCounterMemparse(text: string, max: string): number | undefined {
  if (text === max) return PAGE_COUNTER_MAX
  const [, hex, octal, decimal, suffix] = /^(?:0x([0-9a-f]+)|(0[0-7]*)|([1-9]\d*)|)([KMGTPE]?)$/i.exec(text) ?? []
  if (suffix === undefined) return undefined
  const value = hex !== undefined ? BigInt(`0x${hex}`) : octal !== undefined ? BigInt(`0o${octal}`) : BigInt(decimal ?? '0')
  const shift = suffix === '' ? 0n : 10n * BigInt(SUFFIXES.indexOf(suffix.toUpperCase()) + 1)
  return Math.min(PAGE_COUNTER_MAX, Number((((value % U64) << shift) % U64) / BigInt(PAGE_SIZE)))
}

/** memory.min, memory.low: tells this group's parent and those above what they protect now (page_counter_set_min). */
export function memcgSetProtection(k: Kernel, memcg: Memcg, which: 'min' | 'low', text: string): number {
  const pages = pageCounterMemparse(text, 'max')
  if (pages === undefined) return -EINVAL
  memcg.memory[which] = pages
  for (let at = memcg.id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) protect(k, at, 'memory')
  return 0
}

/** memory.swap.max, memory.swap.high. */
export function memcgSetSwap(memcg: Memcg, which: 'max' | 'high', text: string): number {
  const pages = pageCounterMemparse(text, 'max')
  if (pages === undefined) return -EINVAL
  memcg.swap[which] = pages
  return 0
}

/** memory.zswap.max */
export function memcgSetZswapMax(memcg: Memcg, text: string): number {
  const pages = pageCounterMemparse(text, 'max')
  if (pages === undefined) return -EINVAL
  memcg.zswapMax = pages
  return 0
}

/** memory.high */
export function memcgSetHigh(k: Kernel, memcg: Memcg, text: string): number {
  const high = pageCounterMemparse(text, 'max')
  if (high === undefined) return -EINVAL
  memcg.memory.high = high
  if (memcg.memory.usage <= high) return 0
  drainAllStock(k, memcg.id)
  for (let retries = MAX_RECLAIM_RETRIES; memcg.memory.usage > high; ) {
    if (tryToFreeMemCgroupPages(k, memcg.id, memcg.memory.usage - high, GFP_KERNEL, true) === 0 && retries-- === 0) break
  }
  return 0
}

/** memory.max */
export function memcgSetMax(k: Kernel, memcg: Memcg, text: string): number {
  const max = pageCounterMemparse(text, 'max')
  if (max === undefined) return -EINVAL
  memcg.memory.max = max
  if (memcg.memory.usage <= max) return 0
  drainAllStock(k, memcg.id)
  for (let reclaims = MAX_RECLAIM_RETRIES; memcg.memory.usage > max; ) {
    if (reclaims > 0) {
      if (tryToFreeMemCgroupPages(k, memcg.id, memcg.memory.usage - max, GFP_KERNEL, true) === 0) reclaims--
      continue
    }
    memcgMemoryEvent(k, memcg.id, ME.oom)
    if (!memcgOutOfMemory(k, memcg.id, 1, GFP_KERNEL)) break
  }
  return 0
}

/** memory.reclaim */
export function memcgReclaimBytes(k: Kernel, memcg: Memcg, text: string): number {
  const pages = pageCounterMemparse(text, '')
  if (pages === undefined) return -EINVAL
  let reclaimed = 0
  for (let retries = MAX_RECLAIM_RETRIES; reclaimed < pages; ) {
    if (retries === 0) lruAddDrainAll(k)
    const got = tryToFreeMemCgroupPages(k, memcg.id, pages - reclaimed, GFP_KERNEL, true)
    if (got === 0 && retries-- === 0) return -EAGAIN
    reclaimed += got
  }
  return 0
}

/** memory.oom.group */
export function memcgSetOomGroup(memcg: Memcg, text: string): number {
  const { error, value } = kstrtoint(text, 0)
  if (error < 0) return error
  if (value !== 0 && value !== 1) return -EINVAL
  memcg.oomGroup = value === 1
  return 0
}
