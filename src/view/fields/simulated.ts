/** Figures that only a simulated machine has: where its time went, its live migrations, what userfaultfds did. */
import type { FieldGroups, FieldRow } from './field.ts'

export interface Activity {
  readonly key: string
  readonly what: string
  /** Kinds of src/kernel/base/cost.ts. */
  readonly kinds: readonly string[]
  /** The CPU is free for others meanwhile. */
  readonly waits?: boolean
  /** How soon its column goes where there is little room. */
  readonly priority: number
}

/** Every kind is in one of them. */
// biome-ignore format: one line an activity
export const ACTIVITIES: readonly Activity[] = [
  { key: 'access', what: 'programs using their memory', kinds: ['access', 'line_miss', 'copy_user'], priority: 3 },
  { key: 'faults', what: 'fault entry and table entry', kinds: ['fault_entry', 'fault_pte', 'file_map', 'follow_page', 'numa_hint'], priority: 1 },
  { key: 'clearing', what: 'clearing and copying pages', kinds: ['clear_page', 'copy_page', 'page_miss'], priority: 1 },
  { key: 'pages', what: 'allocator and page cache', kinds: ['page_alloc', 'page_free', 'page_cache', 'page_find', 'block_write_begin'], priority: 2 },
  { key: 'tables', what: 'page tables, areas, TLBs', kinds: ['pte_visit', 'pte_change', 'tlb_flush', 'vma_change'], priority: 5 },
  { key: 'calls', what: 'system calls, switches, forks', kinds: ['syscall', 'file_read', 'lookup', 'context_switch', 'fork_task', 'exit_task'], priority: 6 },
  { key: 'reclaim', what: 'scanning and dropping pages', kinds: ['lru_scan', 'reclaim_page', 'lru_move', 'rmap_unmap', 'shrink_slab', 'prune_dentry', 'evict_inode'], priority: 1 },
  { key: 'swap', what: 'swap, zswap, disk requests', kinds: ['swap_page', 'zswap_page', 'block_request'], priority: 4 },
  { key: 'compaction', what: 'compaction and moving pages', kinds: ['compact_scan', 'migrate_page'], priority: 2 },
  { key: 'khugepaged', what: 'khugepaged looking at entries', kinds: ['khugepaged_pte'], priority: 7 },
  { key: 'ksm', what: 'KSM: checksums and comparing', kinds: ['ksm_page', 'ksm_checksum', 'ksm_compare', 'ksm_compare_whole'], priority: 2 },
  { key: 'locks', what: 'waiting for kernel locks', kinds: ['pt_lock', 'zone_lock'], priority: 2 },
  { key: 'far', what: 'far or crowded memory', kinds: ['remote_access'], priority: 6 },
  { key: 'disk', what: 'waiting for disks', kinds: ['io_wait'], waits: true, priority: 4 },
  { key: 'moves', what: 'waiting for pages being moved', kinds: ['migration_wait'], waits: true, priority: 8 },
  { key: 'idle', what: 'rates and sleeps inside an op', kinds: ['idle'], waits: true, priority: 8 },
]

/** One for each kind of the cost model. */
export const COST_KINDS: FieldGroups = {
  costs: ACTIVITIES.flatMap(({ what, kinds, waits }) =>
    kinds.map(
      (kind): FieldRow => [
        `cost_${kind}`,
        'ns',
        `${waits === true ? 'Time spent waiting' : 'CPU time'}: ${what} (${kind})`,
        'base/cost.ts of the model',
      ],
    ),
  ),
}

export const MIGRATION: FieldGroups = {
  postcopy: [
    ['postcopy_source', 'count', 'Process that is moved', ''],
    ['postcopy_target', 'count', 'Process that it becomes', ''],
    ['postcopy_phase', 'count', '0 pre-copy, 1 post-copy, 2 done', ''],
    ['postcopy_pages', 'pages', 'Pages of the region', ''],
    ['postcopy_sent', 'pages', 'Pages that are at the target as they are at the source, as far as is known', ''],
    ['postcopy_rounds', 'count', 'Rounds of pre-copy that are over', ''],
    ['postcopy_bytes', 'bytes', 'What went over the network', ''],
    ['postcopy_precopied', 'pages', 'Pages sent before the switch, those sent again included', ''],
    ['postcopy_missing', 'pages', 'Pages that the target did not have at the switch, or not the newest', ''],
    ['postcopy_left', 'pages', 'Pages that the target still does not have', ''],
    ['postcopy_pushed', 'pages', 'Pages sent in the background after the switch', ''],
    ['postcopy_urgent', 'pages', 'Pages sent because a fault asked for them', ''],
    ['postcopy_zeros', 'pages', 'Pages that had nothing in them: filled with zeros', ''],
    ['postcopy_asked', 'pages', 'Pages that faults have asked for and that were not sent yet', ''],
    ['postcopy_underway', 'pages', 'Pages on the network', ''],
    ['postcopy_downtime_ns', 'ns', 'Time in which neither process ran', ''],
    ['postcopy_faults', 'count', "The target's faults that had to wait for a page", ''],
    ['postcopy_fault_ns', 'ns', 'How long such a fault waited: the mean', ''],
    ['postcopy_longest_ns', 'ns', 'How long the slowest of them waited', ''],
    ['postcopy_total_ns', 'ns', 'Time from the beginning of the migration to its end, or until now', ''],
  ],
}

export const USERFAULT: FieldGroups = {
  userfaultfd: [
    ['uffd_faults', 'count', 'Faults that went to a handler, of all descriptors', 'fs/userfaultfd.c handle_userfault'],
    ['uffd_woken', 'count', 'Faults that a handler let go on', 'fs/userfaultfd.c userfaultfd_wake_function'],
    ['uffd_waited_ns', 'ns', 'Time that faults waited for their handler, all together', 'fs/userfaultfd.c handle_userfault'],
    ['uffd_copied', 'pages', 'Pages that handlers filled with UFFDIO_COPY', 'mm/userfaultfd.c mcopy_atomic'],
    ['uffd_zeroed', 'pages', 'Pages that handlers filled with UFFDIO_ZEROPAGE', 'mm/userfaultfd.c mfill_zeropage'],
    ['uffd_continued', 'pages', 'Pages that handlers mapped with UFFDIO_CONTINUE', 'mm/userfaultfd.c mcopy_continue'],
    ['uffd_events', 'count', 'Forks, moves and removals that handlers were told of', 'fs/userfaultfd.c userfaultfd_event_wait_completion'],
  ],
}
