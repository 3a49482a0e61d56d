/**
 * /proc/sys/vm: memory sizes, promises and marks.
 *
 * Writes act at once, as the kernel's handlers do: min_free_kbytes and watermark_scale_factor recompute every zone's
 * marks and, with them, the per-CPU lists' limits; the two overcommit limits switch each other off.
 *
 * Source: kernel/sysctl.c vm_table, mm/page_alloc.c (*_sysctl_handler), mm/util.c (overcommit_*_handler), mm/vmstat.c
 * (sysctl_vm_numa_stat_handler, vmstat_refresh), security/min_addr.c.
 */
import { EINVAL } from './base/errno.ts'
import type { Kernel } from './base/state.ts'
import { MAX_NR_ZONES } from './base/units.ts'
import { syncOvercommitAs } from './calls/account.ts'
import { populatedZones, setupPerZoneLowmemReserve, setupPerZoneWmarks, zonePcpUpdate } from './frames/zone.ts'
import { idle, type Knob, sysctlInt, sysctlSeconds, sysctlUlong, WORKS } from './tunables_knob.ts'
import { intVector } from './tunables_parse.ts'

/** A smaller fraction would let the per-CPU lists take too much of a zone (MIN_PERCPU_PAGELIST_HIGH_FRACTION). */
const MIN_HIGH_FRACTION = 8

function clearNumaCounters(k: Kernel, old: number): void {
  if (old !== 0 && k.sysctl.numa_stat === 0) for (const zone of k.zones) zone.numa.fill(0)
}

const switchKbytesOff = (k: Kernel): void => {
  k.sysctl.overcommit_kbytes = 0
}
const switchRatioOff = (k: Kernel): void => {
  k.sysctl.overcommit_ratio = 0
}

const OVERCOMMIT: readonly Knob[] = [
  sysctlInt(
    'overcommit_memory',
    { reach: WORKS, min: 0, max: 2, act: syncOvercommitAs },
    {
      default: '0',
      meaning: 'How much may be promised: 0 anything a single request could ever get, 1 anything, 2 no more than CommitLimit in all',
      source: 'mm/util.c __vm_enough_memory',
    },
  ),
  sysctlInt(
    'overcommit_ratio',
    { reach: WORKS, act: switchKbytesOff },
    {
      default: '50',
      unit: '%',
      meaning: 'Share of RAM that counts towards CommitLimit; writing it switches overcommit_kbytes off',
      source: 'mm/util.c vm_commit_limit',
    },
  ),
  sysctlUlong(
    'overcommit_kbytes',
    { reach: WORKS, act: switchRatioOff },
    {
      default: '0',
      unit: 'kB',
      meaning: 'RAM that counts towards CommitLimit, where it is not 0; writing it switches overcommit_ratio off',
      source: 'mm/util.c vm_commit_limit',
    },
  ),
  sysctlUlong(
    'user_reserve_kbytes',
    { reach: WORKS },
    {
      unit: 'kB',
      meaning: 'Of CommitLimit, what one process leaves to others in mode 2 (at most 1/32 of its own size)',
      source: 'mm/util.c __vm_enough_memory',
    },
  ),
  sysctlUlong(
    'admin_reserve_kbytes',
    { reach: WORKS },
    {
      unit: 'kB',
      meaning: 'Of CommitLimit, what is left to root in mode 2',
      source: 'mm/util.c __vm_enough_memory',
    },
  ),
  sysctlInt(
    'max_map_count',
    { reach: WORKS, min: 0 },
    {
      default: '65530',
      meaning: 'Most memory areas a process may have; mmap and splits beyond it fail with ENOMEM',
      source: 'mm/mmap.c do_mmap',
    },
  ),
  sysctlUlong(
    'mmap_min_addr',
    { reach: WORKS, type: 'bytes' },
    {
      default: '65536',
      unit: 'bytes',
      meaning: 'Lowest address that may be mapped',
      source: 'security/min_addr.c',
    },
  ),
]

const MARKS: readonly Knob[] = [
  sysctlInt(
    'min_free_kbytes',
    { reach: WORKS, min: 0, act: minFreeWritten },
    {
      unit: 'kB',
      meaning: 'Memory kept free in all zones together: sets their min marks, and with them low, high and the per-CPU lists',
      source: 'mm/page_alloc.c min_free_kbytes_sysctl_handler',
    },
  ),
  sysctlInt(
    'watermark_scale_factor',
    { reach: WORKS, min: 1, max: 3000, act: setupPerZoneWmarks },
    {
      default: '10',
      unit: '1/10000',
      meaning: 'Distance between the min, low and high marks as a share of each zone: how early and how long kswapd works',
      source: 'mm/page_alloc.c __setup_per_zone_wmarks',
    },
  ),
  sysctlInt(
    'watermark_boost_factor',
    { reach: WORKS, min: 0 },
    {
      default: '15000',
      unit: '1/10000',
      meaning: 'How far the marks rise after a page block was taken for another type, as a share of the high mark; 0 switches it off',
      source: 'mm/page_alloc.c boost_watermark',
    },
  ),
  {
    path: '/proc/sys/vm/lowmem_reserve_ratio',
    type: 'vector',
    default: '256 256 32 0 0',
    meaning:
      'Each zone keeps 1/n of the pages above it from requests that could go there: n for DMA, DMA32, Normal, Movable, Device; 0 keeps none',
    source: 'mm/page_alloc.c setup_per_zone_lowmem_reserve',
    effect: 'works',
    state: 'sysctl.lowmem_reserve_ratio',
    read: k => `${k.sysctl.lowmem_reserve_ratio.join('\t')}\n`,
    write: writeLowmemReserveRatio,
  },
  {
    path: '/proc/sys/vm/percpu_pagelist_high_fraction',
    type: 'integer',
    min: 0,
    default: '0',
    meaning: "The per-CPU lists of a zone may hold 1/n of it together (n at least 8); 0 lets them hold the zone's low mark",
    source: 'mm/page_alloc.c percpu_pagelist_high_fraction_sysctl_handler',
    effect: 'works',
    state: 'sysctl.percpu_pagelist_high_fraction',
    read: k => `${k.sysctl.percpu_pagelist_high_fraction}\n`,
    write: writeHighFraction,
  },
]

function minFreeWritten(k: Kernel): void {
  k.userMinFreeKbytes = k.sysctl.min_free_kbytes
  setupPerZoneWmarks(k)
}

/** The handler looks at no error: what was readable up to the first mistake is taken, and the zones are set up anew. */
function writeLowmemReserveRatio(k: Kernel, text: string): number {
  const { values, consumed } = intVector(text, MAX_NR_ZONES)
  const ratios = k.sysctl.lowmem_reserve_ratio
  k.sysctl.lowmem_reserve_ratio = ratios.map((ratio, i) => Math.max(values[i] ?? ratio, 0))
  setupPerZoneLowmemReserve(k)
  return consumed
}

function writeHighFraction(k: Kernel, text: string): number {
  const { error, values, consumed } = intVector(text, 1, 0)
  if (error < 0) return error
  if (values[0] !== 0 && values[0] < MIN_HIGH_FRACTION) return -EINVAL
  if (values[0] === k.sysctl.percpu_pagelist_high_fraction) return consumed
  k.sysctl.percpu_pagelist_high_fraction = values[0]
  for (const zone of populatedZones(k)) zonePcpUpdate(k, zone, 0)
  return consumed
}

const COUNTING: readonly Knob[] = [
  sysctlInt(
    'numa_stat',
    { reach: WORKS, min: 0, max: 1, act: clearNumaCounters },
    {
      default: '1',
      meaning: 'Whether numa_hit and its kin are counted; 0 also sets them to zero',
      source: 'mm/vmstat.c sysctl_vm_numa_stat_handler',
    },
  ),
  sysctlSeconds(
    'stat_interval',
    { reach: WORKS },
    {
      default: '1',
      meaning: 'How often each CPU folds its counters and looks after pages it keeps of other nodes',
      source: 'mm/vmstat.c vmstat_update',
    },
  ),
  {
    path: '/proc/sys/vm/stat_refresh',
    type: 'trigger',
    meaning: 'Folds the per-CPU differences of all counters into the figures that are shown',
    source: 'mm/vmstat.c vmstat_refresh',
    ...idle('counters are kept folded'),
    read: () => '',
    write: (_, text) => text.length,
  },
  {
    path: '/proc/sys/vm/numa_zonelist_order',
    type: 'choice',
    choices: ['Node'],
    default: 'Node',
    meaning: 'Kept for old programs: zones are always ordered by node',
    source: 'mm/page_alloc.c numa_zonelist_order_handler',
    ...idle('Linux ignores it too'),
    read: () => 'Node\n',
    write: (_, text) => (/^[dDnN]/.test(text) ? text.length : -EINVAL),
  },
]

const ADDRESSES = 'every process here is a fork of the first, which has no random addresses'

const IDLE: readonly Knob[] = [
  sysctlInt(
    'legacy_va_layout',
    { reach: idle('the layout is chosen at exec, which no process here does'), min: 0 },
    {
      default: '0',
      meaning: 'Programs started from now on look for free addresses from below instead of from above',
      source: 'arch/x86/mm/mmap.c mmap_is_legacy',
    },
  ),
  sysctlInt(
    'mmap_rnd_bits',
    { reach: idle(ADDRESSES), min: 28, max: 32 },
    {
      default: '28',
      unit: 'bits',
      meaning: 'How random the addresses of 64-bit programs are',
      source: 'arch/x86/mm/mmap.c arch_rnd',
    },
  ),
  sysctlInt(
    'mmap_rnd_compat_bits',
    { reach: idle(ADDRESSES), min: 8, max: 16 },
    {
      default: '8',
      unit: 'bits',
      meaning: 'How random the addresses of 32-bit programs are',
      source: 'arch/x86/mm/mmap.c arch_rnd',
    },
  ),
  sysctlInt(
    'page_lock_unfairness',
    { reach: idle('no two processes ever wait for one page lock'), min: 0 },
    {
      default: '5',
      meaning: 'How often a page lock may be stolen from a waiter before it is handed over',
      source: 'mm/filemap.c folio_wait_bit_common',
    },
  ),
]

export const VM_KNOBS: readonly Knob[] = [...OVERCOMMIT, ...MARKS, ...COUNTING, ...IDLE]
