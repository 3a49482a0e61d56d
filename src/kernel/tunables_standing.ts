/**
 * Knobs of subsystems that are not built: the multi-generation LRU, swap's read-ahead, memory tiers and the pace of NUMA balancing.
 *
 * Their files are there with the values of an idle machine. A write is checked as Linux checks it; one that says what
 * stands anyway is taken, one that would change something fails with ENOSYS.
 *
 * Source: mm/vmscan.c (lru_gen), mm/memory-tiers.c, kernel/sched/debug.c.
 */
import { EINVAL, ENOSYS } from './base/errno.ts'
import { type Knob, standing, standsAt, standsBool } from './tunables_knob.ts'
import { kstrtouint } from './tunables_parse.ts'

const anyBase = (text: string) => kstrtouint(text, 0)

/** "n" and "y" stand for no and all parts of it; otherwise a number whose first three bits count. */
function lruGen(text: string): number {
  if (/^[nN]/.test(text)) return 0
  if (/^[yY]/.test(text)) return -ENOSYS
  const { error, value } = anyBase(text)
  return error < 0 ? -EINVAL : value % 8 === 0 ? 0 : -ENOSYS
}

const OTHER: readonly Knob[] = [
  standing({
    path: '/sys/kernel/mm/lru_gen/enabled',
    type: 'integer',
    default: '0x0000',
    meaning: 'Whether reclaim ages pages by generations: bits 1 at all, 2 by walking page tables, 4 by upper tables too',
    source: 'mm/vmscan.c store_enabled',
    because: 'the multi-generation LRU',
    check: lruGen,
  }),
  standing({
    path: '/sys/kernel/mm/lru_gen/min_ttl_ms',
    type: 'integer',
    default: '0',
    min: 0,
    unit: 'ms',
    meaning: 'Pages used within this time are never reclaimed; the OOM killer comes instead',
    source: 'mm/vmscan.c store_min_ttl',
    because: 'the multi-generation LRU',
    check: standsAt(0, anyBase),
  }),
  standing({
    path: '/sys/kernel/mm/numa/demotion_enabled',
    type: 'choice',
    choices: ['true', 'false'],
    default: 'false',
    meaning: 'Whether reclaim moves pages to a slower node instead of dropping them',
    source: 'mm/memory-tiers.c numa_demotion_enabled_store',
    because: 'memory tiers',
    check: standsBool(false),
  }),
]

export const STANDING_KNOBS: readonly Knob[] = [...OTHER]
