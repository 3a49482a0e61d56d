/**
 * A knob of a subsystem that is not built: memory tiers.
 *
 * Its file is there with the value of an idle machine. A write is checked as Linux checks it; one that says what
 * stands anyway is taken, one that would change something fails with ENOSYS.
 *
 * Source: mm/memory-tiers.c.
 */
import { type Knob, standing, standsBool } from './tunables_knob.ts'

export const STANDING_KNOBS: readonly Knob[] = [
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
