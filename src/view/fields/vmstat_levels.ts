/**
 * /proc/vmstat, first part: zone, NUMA and node counters (include/linux/mmzone.h). Most are levels, in pages; the names
 * without a unit in them count pages too unless said otherwise.
 */
import type { FieldGroups } from './field.ts'

export const VMSTAT_LEVELS: FieldGroups = {
  free: [
    ['nr_free_pages', 'pages', 'Pages on the buddy free lists of all zones', 'mm/page_alloc.c __mod_zone_freepage_state'],
    ['nr_free_cma', 'pages', 'Free pages inside contiguous memory areas', 'mm/page_alloc.c __mod_zone_freepage_state'],
  ],
  lru: [
    ['nr_zone_inactive_anon', 'pages', 'Inactive anonymous pages, by zone', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_zone_active_anon', 'pages', 'Active anonymous pages, by zone', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_zone_inactive_file', 'pages', 'Inactive page cache, by zone', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_zone_active_file', 'pages', 'Active page cache, by zone', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_zone_unevictable', 'pages', 'Pages that reclaim must not touch, by zone', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_inactive_anon', 'pages', 'Anonymous pages that reclaim looks at next', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_active_anon', 'pages', 'Anonymous pages in use lately', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_inactive_file', 'pages', 'Page cache that reclaim looks at next', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_active_file', 'pages', 'Page cache in use lately', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_unevictable', 'pages', 'Locked, secret and ramfs pages', 'include/linux/mm_inline.h __update_lru_size'],
    ['nr_mlock', 'pages', 'Pages locked by mlock and MAP_LOCKED', 'mm/mlock.c mlock_folio'],
    ['nr_isolated_anon', 'pages', 'Anonymous pages taken off their list by reclaim or migration now', 'mm/vmscan.c shrink_inactive_list'],
    ['nr_isolated_file', 'pages', 'Page cache taken off its list by reclaim or migration now', 'mm/vmscan.c shrink_inactive_list'],
  ],
  anon: [
    ['nr_anon_pages', 'pages', 'Anonymous pages mapped by processes', 'mm/rmap.c page_add_new_anon_rmap'],
    ['nr_anon_transparent_hugepages', 'count', 'Anonymous huge pages mapped by a huge entry', 'mm/rmap.c page_add_new_anon_rmap'],
    ['nr_swapcached', 'pages', 'Pages that are in memory and have a place in swap', 'mm/swap_state.c add_to_swap_cache'],
  ],
  file: [
    ['nr_mapped', 'pages', 'Page cache mapped by processes', 'mm/rmap.c page_add_file_rmap'],
    ['nr_file_pages', 'pages', 'Page cache, with shared memory and the swap cache', 'mm/filemap.c __filemap_add_folio'],
    ['nr_shmem', 'pages', 'Shared memory: tmpfs, memfd, shared anonymous mappings', 'mm/shmem.c shmem_add_to_page_cache'],
    ['nr_shmem_hugepages', 'count', 'Huge pages of shared memory', 'mm/shmem.c shmem_add_to_page_cache'],
    ['nr_shmem_pmdmapped', 'count', 'Huge pages of shared memory mapped by a huge entry', 'mm/rmap.c page_add_file_rmap'],
    ['nr_file_hugepages', 'count', 'Huge pages of read-only files', 'mm/khugepaged.c collapse_file'],
    ['nr_file_pmdmapped', 'count', 'Huge pages of files mapped by a huge entry', 'mm/rmap.c page_add_file_rmap'],
  ],
  writeback: [
    ['nr_dirty', 'pages', 'Page cache changed and not yet being written', 'mm/page-writeback.c folio_account_dirtied'],
    ['nr_writeback', 'pages', 'Pages being written now', 'mm/page-writeback.c __folio_start_writeback'],
    ['nr_writeback_temp', 'pages', 'Temporary buffers of FUSE writeback', 'fs/fuse/file.c fuse_writepage_locked'],
    ['nr_zone_write_pending', 'pages', 'Dirty pages and pages being written, by zone', 'mm/page-writeback.c folio_account_dirtied'],
    ['nr_dirtied', 'pages', 'Pages that became dirty', 'mm/page-writeback.c folio_account_dirtied'],
    ['nr_written', 'pages', 'Pages whose writing ended', 'mm/page-writeback.c __folio_end_writeback'],
    ['nr_throttled_written', 'pages', 'Pages written while reclaim waited for writeback', 'mm/vmscan.c __acct_reclaim_writeback'],
    ['nr_dirty_threshold', 'pages', 'Dirty pages at which writers are made to wait', 'mm/page-writeback.c global_dirty_limits'],
    [
      'nr_dirty_background_threshold',
      'pages',
      'Dirty pages at which writing begins in the background',
      'mm/page-writeback.c global_dirty_limits',
    ],
  ],
  slab: [
    ['nr_slab_reclaimable', 'pages', 'Slab pages that shrinkers can free (dentries, inodes)', 'mm/slab.h account_slab'],
    ['nr_slab_unreclaimable', 'pages', 'Slab pages that stay until their objects are freed', 'mm/slab.h account_slab'],
    [
      'nr_kernel_misc_reclaimable',
      'pages',
      'Other kernel memory that can be reclaimed',
      'include/linux/mmzone.h NR_KERNEL_MISC_RECLAIMABLE',
    ],
  ],
  kernel: [
    ['nr_kernel_stack', 'kib', 'Kernel stacks, in KiB', 'kernel/fork.c account_kernel_stack'],
    ['nr_page_table_pages', 'pages', 'Page tables of processes', 'include/linux/mm.h pgtable_pte_page_ctor'],
    ['nr_sec_page_table_pages', 'pages', 'Secondary page tables (of virtual machines)', 'include/linux/mmzone.h NR_SECONDARY_PAGETABLE'],
    ['nr_bounce', 'pages', 'Bounce buffers for devices that cannot reach all memory', 'block/bounce.c __blk_queue_bounce'],
    ['nr_zspages', 'pages', 'Pages of zsmalloc, where zswap or zram keep compressed data', 'mm/zsmalloc.c alloc_zspage'],
    ['nr_foll_pin_acquired', 'count', 'Pages pinned for devices (FOLL_PIN)', 'mm/gup.c try_grab_folio'],
    ['nr_foll_pin_released', 'count', 'Pages unpinned', 'mm/gup.c gup_put_folio'],
    ['nr_unstable', 'pages', 'Always 0 since 5.8, kept for old readers', 'mm/vmstat.c vmstat_show'],
  ],
  workingset: [
    [
      'workingset_nodes',
      'count',
      'Page cache tree nodes that hold only shadows of evicted pages',
      'mm/workingset.c workingset_update_node',
    ],
    ['workingset_refault_anon', 'pages', 'Anonymous pages faulted back in after eviction', 'mm/workingset.c workingset_refault'],
    ['workingset_refault_file', 'pages', 'Page cache read again after eviction', 'mm/workingset.c workingset_refault'],
    ['workingset_activate_anon', 'pages', 'Refaulted anonymous pages put on the active list at once', 'mm/workingset.c workingset_refault'],
    ['workingset_activate_file', 'pages', 'Refaulted page cache put on the active list at once', 'mm/workingset.c workingset_refault'],
    ['workingset_restore_anon', 'pages', 'Refaulted anonymous pages that had been active before', 'mm/workingset.c workingset_refault'],
    ['workingset_restore_file', 'pages', 'Refaulted page cache that had been active before', 'mm/workingset.c workingset_refault'],
    ['workingset_nodereclaim', 'count', 'Shadow-only tree nodes freed', 'mm/workingset.c shadow_lru_isolate'],
  ],
  numa: [
    ['numa_hit', 'pages', 'Allocations that got the node they wanted', 'mm/page_alloc.c zone_statistics'],
    ['numa_miss', 'pages', 'Allocations on this node that wanted another one', 'mm/page_alloc.c zone_statistics'],
    ['numa_foreign', 'pages', 'Allocations that wanted this node and went elsewhere', 'mm/page_alloc.c zone_statistics'],
    [
      'numa_interleave',
      'pages',
      'Allocations that the interleave policy sent to a node and that got it',
      'mm/mempolicy.c alloc_page_interleave',
    ],
    ['numa_local', 'pages', 'Allocations on the node of the CPU that asked', 'mm/page_alloc.c zone_statistics'],
    ['numa_other', 'pages', 'Allocations on another node than that of the CPU that asked', 'mm/page_alloc.c zone_statistics'],
    ['pgpromote_success', 'pages', 'Pages moved from slow to fast memory', 'mm/migrate.c migrate_misplaced_page'],
    ['pgpromote_candidate', 'pages', 'Pages of slow memory found hot', 'kernel/sched/fair.c numa_promotion_rate_limit'],
  ],
}
