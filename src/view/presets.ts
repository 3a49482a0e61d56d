/** Knobs that are set together, for a purpose. Knobs that a machine does not have are left out. */

export interface Preset {
  /** What it is for, and what it costs. */
  readonly help: string
  /** path -> value */
  readonly knobs: Readonly<Record<string, string>>
}

const THP = '/sys/kernel/mm/transparent_hugepage/'
const KSM = '/sys/kernel/mm/ksm/'
const ZSWAP = '/sys/module/zswap/parameters/'
const VM = '/proc/sys/vm/'

export const PRESETS: Readonly<Record<string, Preset>> = {
  latency: {
    help: 'no stalls: nothing compacts or reclaims while a process waits, work is done ahead in the background; costs free memory and CPU',
    knobs: {
      [`${THP}enabled`]: 'madvise',
      [`${THP}defrag`]: 'defer',
      [`${THP}khugepaged/defrag`]: '0',
      [`${VM}compaction_proactiveness`]: '40',
      [`${VM}watermark_scale_factor`]: '100',
      [`${VM}swappiness`]: '10',
      [`${VM}zone_reclaim_mode`]: '0',
      [`${KSM}run`]: '0',
    },
  },
  throughput: {
    help: 'few faults and short page walks: huge pages wherever they can be had, also at the price of waiting for them',
    knobs: {
      [`${THP}enabled`]: 'always',
      [`${THP}defrag`]: 'defer+madvise',
      [`${THP}khugepaged/defrag`]: '1',
      [`${THP}khugepaged/pages_to_scan`]: '16384',
      [`${THP}khugepaged/scan_sleep_millisecs`]: '1000',
      [`${VM}swappiness`]: '60',
    },
  },
  density: {
    help: 'as much as possible in little memory: equal pages merged, cold ones compressed, no huge page for a touched corner; costs CPU',
    knobs: {
      [`${THP}enabled`]: 'madvise',
      [`${THP}khugepaged/max_ptes_none`]: '0',
      [`${KSM}pages_to_scan`]: '1000',
      [`${KSM}use_zero_pages`]: '1',
      [`${KSM}run`]: '1',
      [`${ZSWAP}enabled`]: 'Y',
      [`${VM}swappiness`]: '100',
      [`${VM}watermark_scale_factor`]: '10',
    },
  },
}
