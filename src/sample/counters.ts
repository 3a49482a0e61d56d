/**
 * Which figures only ever grow (events since boot: a rate per second is what one reads) and which stand at a level
 * (pages on a list: the value itself is what one reads).
 *
 * The kernel keeps both in one file, /proc/vmstat: zone, NUMA and node counters first, events after. "nr_" marks a
 * level, except for the few node counters that were added later as totals. A counter that this table has never heard
 * of follows the same rule.
 */
export type Kind = 'counter' | 'gauge'

/** Totals among the nr_ names (include/linux/mmzone.h, enum node_stat_item). */
const NR_TOTALS: ReadonlySet<string> = new Set([
  'nr_dirtied',
  'nr_written',
  'nr_throttled_written',
  'nr_vmscan_write',
  'nr_vmscan_immediate_reclaim',
  'nr_foll_pin_acquired',
  'nr_foll_pin_released',
  'nr_tlb_remote_flush',
  'nr_tlb_remote_flush_received',
  'nr_tlb_local_flush_all',
  'nr_tlb_local_flush_one',
])

/** Levels among the other names of vmstat. */
const LEVELS: ReadonlySet<string> = new Set(['workingset_nodes'])

/** The kind of a line of /proc/vmstat (or of the same counters of a node or zone). */
function kindOfVmstat(name: string): Kind {
  if (name.startsWith('nr_')) return NR_TOTALS.has(name) ? 'counter' : 'gauge'
  return LEVELS.has(name) ? 'gauge' : 'counter'
}

/** Totals outside vmstat, by the scalar names of scalars.ts. */
const OTHER_TOTALS =
  /^(psi_\w+_total|ksm_full_scans|khugepaged_(full_scans|pages_collapsed)|zswap_(pool_limit_hit|reject_\w+|written_back_pages|duplicate_entry|decompress_fail))$/

/** The kind of any scalar of scalars.ts. */
export function kindOf(key: string): Kind {
  if (key.startsWith('cgroup:')) return 'gauge'
  const name = key.slice(key.lastIndexOf('.') + 1)
  if (key.startsWith('mthp_')) return key.includes('_nr_') ? 'gauge' : 'counter'
  if (/^(cost|uffd)_/.test(key)) return 'counter'
  if (key.startsWith('postcopy_')) return POSTCOPY_LEVELS.test(key) ? 'gauge' : 'counter'
  if (/^(psi|ksm|khugepaged|zswap)_/.test(key)) return OTHER_TOTALS.test(key) ? 'counter' : 'gauge'
  if (/[A-Z]/.test(name) || /^(hugetlb_|order\d|ksm_)/.test(name)) return 'gauge'
  if (ZONE_LEVELS.has(name)) return 'gauge'
  return kindOfVmstat(name)
}

/** What of a live migration does not only grow. */
const POSTCOPY_LEVELS =
  /^postcopy_(source|target|phase|pages|sent|rounds|missing|left|asked|underway|downtime_ns|fault_ns|longest_ns|total_ns)$/

/** The "pages" part of a zone in /proc/zoneinfo. */
const ZONE_LEVELS: ReadonlySet<string> = new Set(['free', 'boost', 'min', 'low', 'high', 'promo', 'spanned', 'present', 'managed', 'cma'])

/**
 * How much a total has grown. A smaller value means that it began again at 0 (a reboot, a wrap): all of it is new.
 * NaN where either is unknown.
 */
export function growth(now: number, before: number): number {
  if (Number.isNaN(before)) return before
  return now >= before ? now - before : now
}
