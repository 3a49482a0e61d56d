/**
 * Knobs of NUMA balancing: whether pages follow the CPUs that use them, and how often is asked who uses them.
 *
 * Those of debugfs take any 32-bit number without a check, in decimal, octal or hexadecimal; of a wider one the low 32 bits.
 * A scan size of 0 marks nothing here; Linux divides by it.
 *
 * Source: kernel/sched/core.c sysctl_numa_balancing, kernel/sched/fair.c, kernel/sched/debug.c sched_init_debug, fs/libfs.c simple_attr_write,
 * mm/memory-tiers.c.
 */
import { EINVAL } from './base/errno.ts'
import type { Kernel } from './base/state.ts'
import type { NumaBalancing } from './base/state_numa.ts'
import { idle, type Knob, type Reach, sysctlInt, WORKS } from './tunables_knob.ts'
import { intVector, kstrtobool, kstrtoul } from './tunables_parse.ts'

/** The numbers of NumaBalancing. */
type Figure = { readonly [name in keyof NumaBalancing]: NumaBalancing[name] extends number ? name : never }[keyof NumaBalancing]

const ONE_TIER = idle('all memory here is of one tier')

function pace(file: string, field: Figure, unit: string, reach: Reach, value: number, meaning: string): Knob {
  return {
    path: `/sys/kernel/debug/sched/numa_balancing/${file}`,
    type: 'integer',
    min: 0,
    max: 2 ** 32 - 1,
    default: String(value),
    unit,
    meaning,
    source: 'kernel/sched/fair.c',
    ...reach,
    state: `numa.${field}`,
    read: k => `${k.numa[field]}\n`,
    write: (k, text) => {
      const parsed = kstrtoul(text, 0)
      if (parsed.error < 0) return parsed.error
      k.numa[field] = parsed.value % 2 ** 32
      return text.length
    },
  }
}

const promoteRateLimit: Knob = {
  path: '/proc/sys/kernel/numa_balancing_promote_rate_limit_MBps',
  type: 'integer',
  min: 0,
  default: '65536',
  unit: 'MB/s',
  meaning: 'Most memory that is moved to a faster tier',
  source: 'kernel/sched/fair.c numa_promotion_rate_limit',
  ...ONE_TIER,
  state: 'numa.promoteRateLimitMb',
  read: (k: Kernel) => `${k.numa.promoteRateLimitMb}\n`,
  write: (k, text) => {
    const { error, values, consumed } = intVector(text, 1)
    if (error < 0 || values[0] < 0) return -EINVAL
    k.numa.promoteRateLimitMb = values[0]
    return consumed
  },
}

const demotion: Knob = {
  path: '/sys/kernel/mm/numa/demotion_enabled',
  type: 'choice',
  choices: ['true', 'false'],
  default: 'false',
  meaning: 'Whether reclaim moves pages to a slower node instead of dropping them',
  source: 'mm/memory-tiers.c numa_demotion_enabled_store',
  ...ONE_TIER,
  state: 'numa.demotionEnabled',
  read: k => `${k.numa.demotionEnabled}\n`,
  write: (k, text) => {
    const value = kstrtobool(text)
    if (value === undefined) return -EINVAL
    k.numa.demotionEnabled = value
    return text.length
  },
}

export const NUMA_KNOBS: readonly Knob[] = [
  sysctlInt(
    'numa_balancing',
    { reach: WORKS, min: 0, max: 4, path: '/proc/sys/kernel/numa_balancing' },
    {
      meaning: 'Whether pages follow the CPUs that use them: bits 1 between equal nodes, 2 between memory tiers',
      source: 'kernel/sched/core.c sysctl_numa_balancing',
    },
  ),
  promoteRateLimit,
  pace('scan_delay_ms', 'scanDelayMs', 'ms', WORKS, 1000, 'How long a process runs before its pages are watched'),
  pace('scan_period_min_ms', 'scanPeriodMinMs', 'ms', WORKS, 1000, 'Shortest time in which scan_size_mb is watched'),
  pace('scan_period_max_ms', 'scanPeriodMaxMs', 'ms', WORKS, 60000, 'Longest time in which scan_size_mb is watched'),
  pace('scan_size_mb', 'scanSizeMb', 'MB', WORKS, 256, 'Memory that is watched in one scan'),
  pace('hot_threshold_ms', 'hotThresholdMs', 'ms', ONE_TIER, 1000, 'Pages used again within this time are hot'),
  demotion,
]
