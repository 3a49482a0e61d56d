/**
 * /sys/kernel/mm/transparent_hugepage: when faults make huge pages, how hard they try, and khugepaged.
 *
 * Switching `enabled` starts or stops khugepaged and, because huge pages want free page blocks, changes min_free_kbytes and
 * with it every watermark. Writing one of khugepaged's two sleeps wakes it up.
 *
 * Source: mm/huge_memory.c (enabled_store, defrag_store, single_hugepage_flag_store), mm/shmem.c shmem_enabled_store,
 * mm/khugepaged.c (start_stop_khugepaged, *_store).
 */
import type { Kernel } from './base/state.ts'
import type { ThpDefrag, ThpEnabled } from './base/state_huge.ts'
import type { ShmemHuge } from './base/state_shared.ts'
import { HPAGE_PMD_NR } from './base/units.ts'
import { applyShmemEnabled, endKhugepagedSleep, startStopKhugepaged } from './daemons/khugepaged_knobs.ts'
import { type Knob, sysfsChoice, sysfsNumber, WORKS } from './tunables_knob.ts'

const DIRECTORY = '/sys/kernel/mm/transparent_hugepage'
const ENABLED: readonly ThpEnabled[] = ['always', 'madvise', 'never']
const DEFRAG: readonly ThpDefrag[] = ['always', 'defer', 'defer+madvise', 'madvise', 'never']
const SHMEM: readonly ShmemHuge[] = ['always', 'within_size', 'advise', 'never', 'deny', 'force']

const MODES: readonly Knob[] = [
  sysfsChoice(
    {
      path: `${DIRECTORY}/enabled`,
      reach: WORKS,
      state: 'thp.enabled',
      choices: ENABLED,
      get: k => k.thp.enabled,
      set: (k, word) => {
        k.thp.enabled = word
      },
      act: startStopKhugepaged,
    },
    {
      meaning: 'Which anonymous memory gets huge pages: all, what asked by madvise, or none; also khugepaged and min_free_kbytes',
      source: 'mm/huge_memory.c enabled_store',
    },
  ),
  sysfsChoice(
    {
      path: `${DIRECTORY}/defrag`,
      reach: WORKS,
      state: 'thp.defrag',
      choices: DEFRAG,
      get: k => k.thp.defrag,
      set: (k, word) => {
        k.thp.defrag = word
      },
    },
    {
      meaning:
        'What a fault does when no huge page is free: reclaim and compact itself, leave it to the daemons, or take small pages at once',
      source: 'mm/huge_memory.c vma_thp_gfp_mask',
    },
  ),
  sysfsNumber(
    {
      path: `${DIRECTORY}/use_zero_page`,
      reach: WORKS,
      state: 'thp.useZeroPage',
      max: 1,
      range: true,
      get: k => Number(k.thp.useZeroPage),
      set: (k, value) => {
        k.thp.useZeroPage = value === 1
      },
    },
    { meaning: 'Whether reads of untouched memory map a shared huge page of zeros', source: 'mm/huge_memory.c do_huge_pmd_anonymous_page' },
  ),
  sysfsChoice(
    {
      path: `${DIRECTORY}/shmem_enabled`,
      reach: WORKS,
      state: 'thp.shmemEnabled',
      choices: SHMEM,
      get: k => k.thp.shmemEnabled,
      set: (k, word) => {
        k.thp.shmemEnabled = word
      },
      act: applyShmemEnabled,
    },
    {
      default: 'never',
      meaning: 'Huge pages in shared anonymous memory; deny and force overrule the huge= option of every tmpfs',
      source: 'mm/shmem.c shmem_enabled_store',
    },
  ),
]

type Count = 'pagesToScan' | 'scanSleepMillisecs' | 'allocSleepMillisecs' | 'maxPtesNone' | 'maxPtesSwap' | 'maxPtesShared'

const khugepaged = (
  file: string,
  field: Count,
  limits: { readonly min?: number; readonly max?: number; readonly uint?: boolean; readonly act?: (k: Kernel) => void },
  text: { readonly default: string; readonly unit?: string; readonly meaning: string },
): Knob =>
  sysfsNumber(
    {
      path: `${DIRECTORY}/khugepaged/${file}`,
      reach: WORKS,
      state: `khugepaged.${field}`,
      get: k => k.khugepaged[field],
      set: (k, value) => {
        k.khugepaged[field] = value
      },
      ...limits,
    },
    { ...text, source: `mm/khugepaged.c ${file}_store` },
  )

const PTES = { max: HPAGE_PMD_NR - 1 }

const SCAN: readonly Knob[] = [
  khugepaged(
    'alloc_sleep_millisecs',
    'allocSleepMillisecs',
    { uint: true, act: endKhugepagedSleep },
    {
      default: '60000',
      unit: 'ms',
      meaning: 'How long khugepaged waits after it got no huge page',
    },
  ),
  sysfsNumber(
    {
      path: `${DIRECTORY}/khugepaged/defrag`,
      reach: WORKS,
      state: 'khugepaged.defrag',
      max: 1,
      range: true,
      get: k => Number(k.khugepaged.defrag),
      set: (k, value) => {
        k.khugepaged.defrag = value === 1
      },
    },
    { meaning: 'Whether khugepaged reclaims and compacts to get a huge page', source: 'mm/khugepaged.c alloc_hugepage_khugepaged_gfpmask' },
  ),
  khugepaged('max_ptes_none', 'maxPtesNone', PTES, {
    default: '511',
    meaning: 'Most pages of a huge page that may never have been touched: they are filled with zeros',
  }),
  khugepaged('max_ptes_shared', 'maxPtesShared', PTES, {
    default: '256',
    meaning: 'Most pages of a huge page that may be shared with other processes: they are copied',
  }),
  khugepaged('max_ptes_swap', 'maxPtesSwap', PTES, {
    default: '64',
    meaning: 'Most pages of a huge page that may be swapped out: they are read in',
  }),
  khugepaged(
    'pages_to_scan',
    'pagesToScan',
    { min: 1, uint: true },
    { default: '4096', unit: 'pages', meaning: 'Pages khugepaged looks at before it sleeps' },
  ),
  khugepaged(
    'scan_sleep_millisecs',
    'scanSleepMillisecs',
    { uint: true, act: endKhugepagedSleep },
    {
      default: '10000',
      unit: 'ms',
      meaning: 'How long khugepaged sleeps between scans',
    },
  ),
]

export const THP_KNOBS: readonly Knob[] = [...MODES, ...SCAN]
