/**
 * /proc/sys/vm and /proc/sys/kernel: reclaim, compaction, out of memory, writeback, and what else asks for memory back.
 *
 * The two dirty limits are each a ratio or a number of bytes: writing one switches the other off.
 *
 * Source: kernel/sysctl.c vm_table, mm/page-writeback.c (dirty_*_handler), mm/oom_kill.c vm_oom_kill_table, mm/compaction.c,
 * fs/drop_caches.c.
 */
import { now } from './base/cost.ts'
import { EINVAL, ERANGE } from './base/errno.ts'
import { KERN_INFO, printk } from './base/log.ts'
import type { Kernel } from './base/state.ts'
import { triggerProactiveCompaction } from './daemons/kcompactd.ts'
import { compactNodes } from './reclaim/compaction.ts'
import { dropCaches } from './reclaim/drop_caches.ts'
import { idle, type Knob, numberText, sysctlInt, sysctlSeconds, WORKS } from './tunables_knob.ts'
import { intVector, kstrtobool, UINT_MAX, ULONG_MAX, ulongVector } from './tunables_parse.ts'

const RECLAIM: readonly Knob[] = [
  sysctlInt(
    'swappiness',
    { reach: WORKS, min: 0, max: 200 },
    {
      default: '60',
      meaning:
        'How readily anonymous pages are swapped out compared with dropping file pages: 100 weighs them alike, 0 swaps only when it must',
      source: 'mm/vmscan.c get_scan_count',
    },
  ),
  sysctlInt(
    'page_cluster',
    { reach: WORKS, min: 0, path: '/proc/sys/vm/page-cluster' },
    {
      default: '3',
      meaning: 'Binary logarithm of the pages that are read from swap together',
      source: 'mm/swap_state.c swap_cluster_readahead',
    },
  ),
  {
    path: '/sys/kernel/mm/swap/vma_ra_enabled',
    type: 'choice',
    choices: ['true', 'false'],
    default: 'true',
    meaning: 'Whether swap reads ahead by address instead of by place in the swap area, where no area is on a disk that seeks',
    source: 'mm/swap_state.c vma_ra_enabled_store',
    ...WORKS,
    state: 'readahead.byAddress',
    read: k => `${k.swap.readahead.byAddress}\n`,
    write: (k, text) => {
      const value = kstrtobool(text)
      if (value === undefined) return -EINVAL
      k.swap.readahead.byAddress = value
      return text.length
    },
  },
  sysctlInt(
    'vfs_cache_pressure',
    { reach: WORKS, min: 0 },
    {
      default: '100',
      unit: '%',
      meaning: 'How readily names and inodes are given up compared with page cache',
      source: 'fs/dcache.c vfs_pressure_ratio',
    },
  ),
  sysctlInt(
    'zone_reclaim_mode',
    { reach: WORKS, min: 0 },
    {
      default: '0',
      meaning: 'Whether a node reclaims before it asks others: bits 1 reclaim, 2 write pages out, 4 swap and unmap',
      source: 'mm/vmscan.c node_reclaim',
    },
  ),
  sysctlInt(
    'min_unmapped_ratio',
    { reach: WORKS, min: 0, max: 100 },
    {
      default: '1',
      unit: '%',
      meaning: "Reclaim within a node needs more unmapped file pages than this share of the node's memory",
      source: 'mm/vmscan.c node_reclaim',
    },
  ),
  sysctlInt(
    'min_slab_ratio',
    { reach: WORKS, min: 0, max: 100 },
    {
      default: '5',
      unit: '%',
      meaning: "Reclaim within a node shrinks slab above this share of the node's memory",
      source: 'mm/vmscan.c node_reclaim',
    },
  ),
  {
    path: '/proc/sys/vm/drop_caches',
    type: 'trigger',
    min: 1,
    max: 4,
    meaning: 'Drops what can be read again: 1 clean page cache, 2 names and inodes, 3 both, 4 says nothing in the log from now on',
    source: 'fs/drop_caches.c drop_caches_sysctl_handler',
    ...WORKS,
    write: (k, text, { writer }) => {
      const { error, values, consumed } = intVector(text, 1, 1, 4)
      if (error < 0) return error
      dropCaches(k, values[0])
      if (!k.log.quietDrops) printk(k, KERN_INFO, `${writer?.comm ?? 'init'} (${writer?.pid ?? 1}): drop_caches: ${values[0]}`)
      k.log.quietDrops ||= values[0] === 4
      return consumed
    },
  },
]

const COMPACT: readonly Knob[] = [
  {
    path: '/proc/sys/vm/compact_memory',
    type: 'trigger',
    meaning: 'Compacts all zones of all nodes',
    source: 'mm/compaction.c sysctl_compaction_handler',
    ...WORKS,
    write: (k, text) => {
      compactNodes(k, k.nodes)
      return text.length
    },
  },
  {
    path: '/sys/devices/system/node/node{node}/compact',
    type: 'trigger',
    meaning: 'Compacts all zones of the node',
    source: 'mm/compaction.c compact_store',
    ...WORKS,
    write: (k, text, at) => {
      compactNodes(k, [k.nodes[at.node]])
      return text.length
    },
  },
  sysctlInt(
    'compaction_proactiveness',
    { reach: WORKS, min: 0, max: 100, act: triggerProactiveCompaction },
    {
      default: '20',
      meaning: 'How hard kcompactd works in the background before anyone needs huge pages; 0 not at all',
      source: 'mm/compaction.c proactive_compact_node',
    },
  ),
  sysctlInt(
    'extfrag_threshold',
    { reach: WORKS, min: 0, max: 1000 },
    {
      default: '500',
      unit: '1/1000',
      meaning: 'Compaction runs only when a request fails for fragmentation rather than lack of memory: above this index',
      source: 'mm/compaction.c compaction_suitable',
    },
  ),
  sysctlInt(
    'compact_unevictable_allowed',
    { reach: WORKS, min: 0, max: 1 },
    {
      default: '1',
      meaning: 'Whether compaction may move locked pages',
      source: 'mm/compaction.c isolate_migratepages_block',
    },
  ),
]

const OUT_OF_MEMORY: readonly Knob[] = [
  sysctlInt(
    'panic_on_oom',
    { reach: WORKS, min: 0, max: 2 },
    {
      default: '0',
      meaning: 'Whether running out of memory stops the machine instead of a process: 1 unless limited to some nodes, 2 always',
      source: 'mm/oom_kill.c check_panic_on_oom',
    },
  ),
  sysctlInt(
    'oom_kill_allocating_task',
    { reach: WORKS },
    {
      default: '0',
      meaning: 'Whether the process that asked is killed instead of the one with the highest score',
      source: 'mm/oom_kill.c out_of_memory',
    },
  ),
  sysctlInt(
    'oom_dump_tasks',
    { reach: WORKS },
    {
      default: '1',
      meaning: 'Whether the log lists all processes when one is killed',
      source: 'mm/oom_kill.c dump_header',
    },
  ),
  sysctlInt(
    'memory_failure_early_kill',
    { reach: WORKS, min: 0, max: 1 },
    {
      default: '0',
      meaning: 'Whether all that map a broken page are told at once, or when they touch it',
      source: 'mm/memory-failure.c',
    },
  ),
  sysctlInt(
    'memory_failure_recovery',
    { reach: WORKS, min: 0, max: 1 },
    {
      default: '1',
      meaning: 'Whether the machine goes on after memory broke; 0 panics',
      source: 'mm/memory-failure.c memory_failure',
    },
  ),
]

const ratio = (
  field: 'dirty_ratio' | 'dirty_background_ratio',
  other: 'dirty_bytes' | 'dirty_background_bytes',
  byDefault: string,
  meaning: string,
): Knob =>
  sysctlInt(
    field,
    {
      reach: WORKS,
      min: 0,
      max: 100,
      // dirty_ratio's handler does nothing when the ratio stays the same.
      act: (k, old) => {
        if (field === 'dirty_background_ratio' || k.sysctl[field] !== old) k.sysctl[other] = 0
      },
    },
    { default: byDefault, unit: '%', meaning, source: `mm/page-writeback.c ${field}_handler` },
  )

const bytes = (
  field: 'dirty_bytes' | 'dirty_background_bytes',
  other: 'dirty_ratio' | 'dirty_background_ratio',
  min: number,
  meaning: string,
): Knob => ({
  path: `/proc/sys/vm/${field}`,
  type: 'bytes',
  min,
  default: '0',
  unit: 'bytes',
  meaning,
  source: `mm/page-writeback.c ${field}_handler`,
  effect: 'works',
  state: `sysctl.${field}`,
  read: k => `${numberText(k.sysctl[field])}\n`,
  write: (k, text) => {
    const { error, values, consumed } = ulongVector(text, 1, min)
    if (error < 0) return error
    if (field === 'dirty_bytes' && values[0] === k.sysctl[field]) return consumed
    if (pagesOf(values[0]) > UINT_MAX) return -ERANGE
    k.sysctl[field] = values[0]
    k.sysctl[other] = 0
    return consumed
  },
})

/** Bytes in pages, rounded up; the largest number wraps around, as it does in C. */
const pagesOf = (n: number) => (n >= ULONG_MAX ? 0 : Math.ceil(n / 4096))

/** Another pace begins at once. */
function wakeFlusher(k: Kernel, old: number): void {
  const centisecs = k.sysctl.dirty_writeback_centisecs
  const { flusher } = k.fs.writeback
  if (centisecs !== 0 && centisecs !== old) flusher.wakeNs = Math.min(flusher.wakeNs, now(k))
}

const WRITEBACK: readonly Knob[] = [
  ratio(
    'dirty_background_ratio',
    'dirty_background_bytes',
    '10',
    'Dirty share of free and file pages at which the flusher starts to write; switches the bytes off',
  ),
  bytes('dirty_background_bytes', 'dirty_background_ratio', 1, 'Dirty memory at which the flusher starts to write; switches the ratio off'),
  ratio('dirty_ratio', 'dirty_bytes', '20', 'Dirty share of free and file pages at which writers must wait; switches the bytes off'),
  bytes('dirty_bytes', 'dirty_ratio', 8192, 'Dirty memory at which writers must wait; switches the ratio off'),
  sysctlInt(
    'dirty_writeback_centisecs',
    { reach: WORKS, act: wakeFlusher },
    {
      default: '500',
      unit: '1/100 s',
      meaning: 'How often the flusher wakes up to write old data; 0 never',
      source: 'mm/page-writeback.c dirty_writeback_centisecs_handler',
    },
  ),
  sysctlInt(
    'dirty_expire_centisecs',
    { reach: WORKS, min: 0 },
    {
      default: '3000',
      unit: '1/100 s',
      meaning: 'Age at which dirty data is old enough to be written',
      source: 'fs/fs-writeback.c wb_writeback',
    },
  ),
  sysctlInt(
    'dirtytime_expire_seconds',
    { reach: idle('no file system here keeps lazy time stamps'), min: 0 },
    {
      default: '43200',
      unit: 's',
      meaning: 'Age at which a changed time stamp alone is written',
      source: 'fs/fs-writeback.c dirtytime_interval_handler',
    },
  ),
  sysctlSeconds(
    'laptop_mode',
    { reach: WORKS },
    {
      default: '0',
      meaning: 'Seconds after a read in which all dirty data is written too, so that the disk can rest longer',
      source: 'mm/page-writeback.c laptop_io_completion',
    },
  ),
]

const KERNEL: readonly Knob[] = [
  sysctlInt(
    'sched_child_runs_first',
    { reach: idle('the order in which parent and child go on leaves no trace in memory'), path: '/proc/sys/kernel/sched_child_runs_first' },
    {
      default: '0',
      meaning: 'Whether the child goes first after fork',
      source: 'kernel/sched/fair.c task_fork_fair',
    },
  ),
  sysctlInt(
    'unprivileged_userfaultfd',
    { reach: WORKS, min: 0, max: 1 },
    {
      default: '0',
      meaning: 'Whether processes without CAP_SYS_PTRACE may handle faults of the kernel itself',
      source: 'fs/userfaultfd.c userfaultfd_syscall_allowed',
    },
  ),
]

export const RECLAIM_KNOBS: readonly Knob[] = [...RECLAIM, ...COMPACT, ...OUT_OF_MEMORY, ...WRITEBACK, ...KERNEL]
