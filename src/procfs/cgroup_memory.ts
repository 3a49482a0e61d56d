/**
 * The memory.* files of a control group.
 *
 * The root has figures (kernel/frames/memcg_stat.ts), but no counters and limits.
 *
 * Source: mm/memcontrol.c (memory_files, swap_files, zswap_files).
 */

import { ME } from '../kernel/base/counters.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import {
  memcgReclaimBytes,
  memcgSetHigh,
  memcgSetMax,
  memcgSetOomGroup,
  memcgSetProtection,
  memcgSetSwap,
  memcgSetZswapMax,
} from '../kernel/calls/memcg_files.ts'
import { memcgOf, PAGE_COUNTER_MAX } from '../kernel/frames/memcg.ts'
import { zswapBytes } from '../kernel/frames/memcg_charge.ts'
import { memcgNumaStatText, memcgStatText } from '../kernel/frames/memcg_stat.ts'

interface MemcgFile {
  /** The root has it, too. */
  readonly root?: boolean
  readonly read?: (k: Kernel, memcg: number) => string | number
  readonly write?: (k: Kernel, memcg: number, text: string) => number
}

const bytesText = (pages: number) => `${BigInt(pages) * BigInt(PAGE_SIZE)}\n`
const limitText = (pages: number) => (pages >= PAGE_COUNTER_MAX ? 'max\n' : bytesText(pages))

const EVENT_NAMES = ['low', 'high', 'max', 'oom', 'oom_kill', 'oom_group_kill'] as const
const memoryEvents = (counts: Float64Array): string => EVENT_NAMES.map(name => `${name} ${counts[ME[name]]}\n`).join('')

const swapEvents = (counts: Float64Array): string =>
  `high ${counts[ME.swap_high]}\nmax ${counts[ME.swap_max]}\nfail ${counts[ME.swap_fail]}\n`

export const memcgFiles: Readonly<Record<string, MemcgFile>> = {
  'memory.current': { read: (k, id) => bytesText(memcgOf(k, id).memory.usage) },
  'memory.events': { read: (k, id) => memoryEvents(memcgOf(k, id).events) },
  'memory.events.local': { read: (k, id) => memoryEvents(memcgOf(k, id).localEvents) },
  'memory.high': {
    read: (k, id) => limitText(memcgOf(k, id).memory.high),
    write: (k, id, text) => memcgSetHigh(k, memcgOf(k, id), text),
  },
  'memory.low': {
    read: (k, id) => limitText(memcgOf(k, id).memory.low),
    write: (k, id, text) => memcgSetProtection(k, memcgOf(k, id), 'low', text),
  },
  'memory.max': { read: (k, id) => limitText(memcgOf(k, id).memory.max), write: (k, id, text) => memcgSetMax(k, memcgOf(k, id), text) },
  'memory.min': {
    read: (k, id) => limitText(memcgOf(k, id).memory.min),
    write: (k, id, text) => memcgSetProtection(k, memcgOf(k, id), 'min', text),
  },
  'memory.numa_stat': { root: true, read: memcgNumaStatText },
  'memory.oom.group': {
    read: (k, id) => `${Number(memcgOf(k, id).oomGroup)}\n`,
    write: (k, id, text) => memcgSetOomGroup(memcgOf(k, id), text),
  },
  'memory.peak': { read: (k, id) => bytesText(memcgOf(k, id).memory.watermark) },
  'memory.reclaim': { root: true, write: (k, id, text) => memcgReclaimBytes(k, memcgOf(k, id), text) },
  'memory.stat': { root: true, read: memcgStatText },
  'memory.swap.current': { read: (k, id) => bytesText(memcgOf(k, id).swap.usage) },
  'memory.swap.events': { read: (k, id) => swapEvents(memcgOf(k, id).events) },
  'memory.swap.high': {
    read: (k, id) => limitText(memcgOf(k, id).swap.high),
    write: (k, id, text) => memcgSetSwap(memcgOf(k, id), 'high', text),
  },
  'memory.swap.max': {
    read: (k, id) => limitText(memcgOf(k, id).swap.max),
    write: (k, id, text) => memcgSetSwap(memcgOf(k, id), 'max', text),
  },
  'memory.zswap.current': {
    read: (k, id) => `${zswapBytes(k, id)}\n`,
  },
  'memory.zswap.max': {
    read: (k, id) => limitText(memcgOf(k, id).zswapMax),
    write: (k, id, text) => memcgSetZswapMax(memcgOf(k, id), text),
  },
}
