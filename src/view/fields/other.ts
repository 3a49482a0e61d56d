/** The scalars of other files: pressure, khugepaged, KSM, zswap, and the lines of a node, a zone or a pool. */
import type { FieldGroups, FieldRow } from './field.ts'

export const PRESSURE: FieldGroups = {
  pressure: (['some', 'full'] as const).flatMap((which): FieldRow[] => {
    const who = which === 'some' ? 'some task' : 'every task that could run'
    return [
      [`psi_${which}_avg10`, 'percent', `Share of the last 10 s in which ${who} waited for memory`, 'kernel/sched/psi.c psi_show'],
      [`psi_${which}_avg60`, 'percent', `Share of the last 60 s in which ${who} waited for memory`, 'kernel/sched/psi.c psi_show'],
      [`psi_${which}_avg300`, 'percent', `Share of the last 300 s in which ${who} waited for memory`, 'kernel/sched/psi.c psi_show'],
      [`psi_${which}_total`, 'us', `Time in which ${who} waited for memory`, 'kernel/sched/psi.c psi_show'],
    ]
  }),
}

export const KHUGEPAGED: FieldGroups = {
  thp: [
    ['khugepaged_pages_collapsed', 'count', 'Huge pages that khugepaged made of small ones', 'mm/khugepaged.c khugepaged_scan_mm_slot'],
    ['khugepaged_full_scans', 'count', 'Passes of khugepaged over all memory it looks at', 'mm/khugepaged.c khugepaged_scan_mm_slot'],
  ],
}

export const KSM: FieldGroups = {
  ksm: [
    ['ksm_pages_shared', 'pages', 'Merged pages that stand for several', 'mm/ksm.c stable_tree_append'],
    ['ksm_pages_sharing', 'pages', 'Places that use a merged page beyond its first: what is saved', 'mm/ksm.c stable_tree_append'],
    ['ksm_pages_unshared', 'pages', 'Pages without a double that are looked at again and again', 'mm/ksm.c unstable_tree_search_insert'],
    ['ksm_pages_volatile', 'pages', 'Pages that change too fast to be merged', 'mm/ksm.c pages_volatile_show'],
    ['ksm_full_scans', 'count', 'Passes over all mergeable memory', 'mm/ksm.c scan_get_next_rmap_item'],
    ['ksm_stable_node_chains', 'count', 'Contents with more doubles than max_page_sharing', 'mm/ksm.c alloc_stable_node_chain'],
    ['ksm_stable_node_dups', 'count', 'Merged pages in those chains', 'mm/ksm.c stable_node_chain_add_dup'],
    ['ksm_general_profit', 'bytes', 'Memory saved less what merging itself takes (since 6.4)', 'mm/ksm.c general_profit_show'],
    ['ksm_run', 'count', '0 stopped, 1 merging, 2 unmerged and stopped', 'mm/ksm.c run_store'],
    ['ksm_pages_to_scan', 'pages', 'Pages looked at before each sleep', 'mm/ksm.c pages_to_scan_store'],
    ['ksm_sleep_millisecs', 'ms', 'Sleep between two batches', 'mm/ksm.c sleep_millisecs_store'],
    ['ksm_max_page_sharing', 'count', 'Most users of one merged page', 'mm/ksm.c max_page_sharing_store'],
    ['ksm_merge_across_nodes', 'count', '1: pages of different nodes may be merged', 'mm/ksm.c merge_across_nodes_store'],
    ['ksm_use_zero_pages', 'count', '1: pages of zeros become the zero page', 'mm/ksm.c use_zero_pages_store'],
    [
      'ksm_stable_node_chains_prune_millisecs',
      'ms',
      'How often chains are cleaned of freed pages',
      'mm/ksm.c stable_node_chains_prune_millisecs_store',
    ],
  ],
}

export const ZSWAP: FieldGroups = {
  zswap: [
    ['zswap_stored_pages', 'pages', 'Pages in zswap', 'mm/zswap.c zswap_frontswap_store'],
    ['zswap_same_filled_pages', 'pages', 'Pages of one repeated word, kept as that word', 'mm/zswap.c zswap_is_page_same_filled'],
    ['zswap_pool_total_size', 'bytes', 'Memory that the pool takes', 'mm/zswap.c zswap_update_total_size'],
    ['zswap_pool_limit_hit', 'count', 'Stores refused because the pool had reached max_pool_percent', 'mm/zswap.c zswap_frontswap_store'],
    ['zswap_written_back_pages', 'pages', 'Pages written from the pool to swap', 'mm/zswap.c zswap_writeback_entry'],
    ['zswap_reject_reclaim_fail', 'count', 'Stores refused because the full pool could not be emptied', 'mm/zswap.c zswap_frontswap_store'],
    ['zswap_reject_alloc_fail', 'count', 'Stores refused for lack of memory', 'mm/zswap.c zswap_frontswap_store'],
    ['zswap_reject_kmemcache_fail', 'count', 'Stores refused for lack of an entry', 'mm/zswap.c zswap_frontswap_store'],
    ['zswap_reject_compress_poor', 'count', 'Stores refused because the page did not compress', 'mm/zswap.c zswap_frontswap_store'],
    ['zswap_duplicate_entry', 'count', 'Stores that replaced an older entry', 'mm/zswap.c zswap_frontswap_store'],
  ],
}

/** Below each node: N0.numa_hit is vmstat's; these are the names that only a node has. */
export const NUMASTAT: FieldGroups = {
  numa: [
    [
      'interleave_hit',
      'pages',
      'Allocations that the interleave policy sent here and that got here',
      'drivers/base/node.c node_read_numastat',
    ],
    ['local_node', 'pages', 'Allocations here by CPUs of this node', 'drivers/base/node.c node_read_numastat'],
    ['other_node', 'pages', 'Allocations here by CPUs of other nodes', 'drivers/base/node.c node_read_numastat'],
  ],
}

/** The "pages" part of a zone in /proc/zoneinfo. */
export const ZONE: FieldGroups = {
  zone: [
    ['free', 'pages', 'Free pages', 'mm/vmstat.c zoneinfo_show_print'],
    ['min', 'pages', 'Below this only urgent kernel allocations get memory', 'mm/page_alloc.c __setup_per_zone_wmarks'],
    ['low', 'pages', 'Below this kswapd is woken', 'mm/page_alloc.c __setup_per_zone_wmarks'],
    ['high', 'pages', 'Up to this kswapd works', 'mm/page_alloc.c __setup_per_zone_wmarks'],
    ['promo', 'pages', 'Above this pages of slower memory are promoted', 'mm/page_alloc.c __setup_per_zone_wmarks'],
    ['boost', 'pages', 'Added to the watermarks for a while after page blocks were mixed', 'mm/page_alloc.c boost_watermark'],
    ['spanned', 'pages', 'From the first to the last page frame', 'mm/page_alloc.c calculate_node_totalpages'],
    ['present', 'pages', 'Page frames that exist', 'mm/page_alloc.c calculate_node_totalpages'],
    ['managed', 'pages', 'Page frames that the allocator has', 'mm/page_alloc.c adjust_managed_page_count'],
    ['cma', 'pages', 'Page frames in contiguous memory areas', 'mm/vmstat.c zoneinfo_show_print'],
  ],
}

/** The files of a huge page pool. */
export const POOL: FieldGroups = {
  hugetlb: [
    ['nr_hugepages', 'count', 'Pages in the pool, surplus included', 'mm/hugetlb.c nr_hugepages_store'],
    ['free_hugepages', 'count', 'Pages that nobody uses', 'mm/hugetlb.c enqueue_huge_page'],
    ['resv_hugepages', 'count', 'Free pages promised to mappings', 'mm/hugetlb.c hugetlb_reserve_pages'],
    ['surplus_hugepages', 'count', 'Pages above the size set, given back when freed', 'mm/hugetlb.c alloc_surplus_huge_page'],
    ['nr_overcommit_hugepages', 'count', 'How many surplus pages there may be', 'mm/hugetlb.c nr_overcommit_hugepages_store'],
    [
      'nr_hugepages_mempolicy',
      'count',
      'Pool size, set under the memory policy of the writer',
      'mm/hugetlb.c nr_hugepages_mempolicy_store',
    ],
  ],
}

/** Below hugepages-NkB/stats of kernels since 6.8, which count huge pages of each size. */
export const THP_SIZE: FieldGroups = {
  thp: [
    ['anon_fault_alloc', 'count', 'Faults that got a huge page of this size', 'mm/memory.c alloc_anon_folio'],
    ['anon_fault_fallback', 'count', 'Faults that wanted this size and took a smaller one', 'mm/memory.c alloc_anon_folio'],
    ['anon_fault_fallback_charge', 'count', 'Of those, where the cgroup was at its limit', 'mm/memory.c alloc_anon_folio'],
    ['nr_anon', 'count', 'Anonymous huge pages of this size that are there', 'mm/rmap.c folio_add_new_anon_rmap'],
    [
      'nr_anon_partially_mapped',
      'count',
      'Of those, which are mapped in part and wait to be split',
      'mm/huge_memory.c deferred_split_folio',
    ],
    ['shmem_alloc', 'count', 'Huge pages of this size for shared memory', 'mm/shmem.c shmem_alloc_and_add_folio'],
    ['shmem_fallback', 'count', 'Shared memory that wanted this size and took a smaller one', 'mm/shmem.c shmem_alloc_and_add_folio'],
    ['shmem_fallback_charge', 'count', 'Of those, where the cgroup was at its limit', 'mm/shmem.c shmem_alloc_and_add_folio'],
    ['split', 'count', 'Huge pages of this size split into smaller ones', 'mm/huge_memory.c split_huge_page_to_list_to_order'],
    ['split_failed', 'count', 'Splits that failed, as somebody held the page', 'mm/huge_memory.c split_huge_page_to_list_to_order'],
    [
      'split_deferred',
      'count',
      'Huge pages put on the queue to be split, as they are mapped in part only',
      'mm/huge_memory.c deferred_split_folio',
    ],
    ['swpin', 'count', 'Huge pages read from swap in one piece', 'mm/page_io.c swap_read_folio'],
    ['swpin_fallback', 'count', 'Swap reads that wanted this size and took a smaller one', 'mm/memory.c alloc_swap_folio'],
    ['swpin_fallback_charge', 'count', 'Of those, where the cgroup was at its limit', 'mm/memory.c alloc_swap_folio'],
    ['swpout', 'count', 'Huge pages written to swap in one piece', 'mm/page_io.c count_swpout_vm_event'],
    ['swpout_fallback', 'count', 'Huge pages split before they could be swapped out', 'mm/vmscan.c shrink_folio_list'],
    ['zswpout', 'count', 'Huge pages taken by zswap in one piece', 'mm/page_io.c swap_writepage'],
  ],
}
