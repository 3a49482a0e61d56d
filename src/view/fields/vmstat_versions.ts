/**
 * Lines of /proc/vmstat that Linux 6.1 does not have: of kernels from 4.19 on that it has lost, and of later ones. A host that has them
 * shows them as any other.
 */
import type { FieldGroups } from './field.ts'

export const VMSTAT_VERSIONS: FieldGroups = {
  free: [['nr_free_pages_blocks', 'pages', 'Free pages in whole blocks of pages (since 6.15)', 'mm/page_alloc.c account_freepages']],
  kernel: [
    [
      'nr_sec_page_tables',
      'pages',
      'Page tables of virtual machines and of the IOMMU',
      'include/linux/kvm_host.h kvm_account_pgtable_pages',
    ],
    ['nr_iommu_pages', 'pages', 'Pages that the IOMMU drivers took', 'drivers/iommu/iommu-pages.h __iommu_alloc_account'],
    ['nr_memmap_pages', 'pages', 'Records of pages, from the page allocator', 'mm/vmstat.c memmap_pages_add'],
    ['nr_memmap_boot_pages', 'pages', 'Records of pages, from boot memory', 'mm/vmstat.c memmap_boot_pages_add'],
    ['nr_balloon_pages', 'pages', 'Pages given to the hypervisor by a balloon', 'mm/balloon_compaction.c balloon_page_enqueue'],
    ['nr_kernel_file_pages', 'pages', 'Page cache that belongs to the kernel itself, not to any group', 'mm/filemap.c __filemap_add_folio'],
    ['nr_indirectly_reclaimable', 'bytes', 'Names that shrinking directory entries would free (until 4.19)', 'fs/dcache.c __d_alloc'],
    [
      'direct_map_level2_collapses',
      'count',
      'Times the kernel’s own mapping got a 2 MiB page back (since 6.15)',
      'arch/x86/mm/pat/set_memory.c collapse_pmd_page',
    ],
    [
      'direct_map_level3_collapses',
      'count',
      'Times the kernel’s own mapping got a 1 GiB page back (since 6.15)',
      'arch/x86/mm/pat/set_memory.c collapse_pud_page',
    ],
  ],
  hugetlb: [['nr_hugetlb', 'pages', 'Pages of hugetlb pools in use', 'mm/hugetlb.c alloc_hugetlb_folio']],
  numa: [
    [
      'pgpromote_candidate_nrl',
      'pages',
      'Pages moved up without a limit on their rate, as there was room',
      'kernel/sched/fair.c should_numa_migrate_memory',
    ],
    ['numa_task_migrated', 'count', 'Processes that NUMA balancing moved to another node', 'kernel/sched/core.c __migrate_swap_task'],
    ['numa_task_swapped', 'count', 'Processes that NUMA balancing made change places', 'kernel/sched/core.c migrate_swap'],
    ['pgdemote_khugepaged', 'pages', 'Pages moved to a slower tier by khugepaged', 'mm/vmscan.c demote_folio_list'],
    ['pgdemote_proactive', 'pages', 'Pages moved to a slower tier because memory.reclaim asked', 'mm/vmscan.c demote_folio_list'],
    ['zone_reclaim_success', 'count', 'Times that reclaim on the local node made room', 'mm/vmscan.c node_reclaim'],
  ],
  reclaim: [
    ['pgsteal_khugepaged', 'pages', 'Pages reclaimed by khugepaged', 'mm/vmscan.c reclaimer_offset'],
    ['pgscan_khugepaged', 'pages', 'Pages that khugepaged looked at to reclaim them', 'mm/vmscan.c reclaimer_offset'],
    ['pgsteal_proactive', 'pages', 'Pages reclaimed because memory.reclaim asked', 'mm/vmscan.c reclaimer_offset'],
    ['pgscan_proactive', 'pages', 'Pages looked at because memory.reclaim asked', 'mm/vmscan.c reclaimer_offset'],
  ],
  workingset: [
    [
      'workingset_refault',
      'pages',
      'Pages that came back soon after they were reclaimed (until 5.8)',
      'mm/workingset.c workingset_refault',
    ],
    ['workingset_activate', 'pages', 'Of them, those that were made active at once (until 5.8)', 'mm/workingset.c workingset_refault'],
    ['workingset_restore', 'pages', 'Of them, those that had been active before (until 5.8)', 'mm/workingset.c workingset_refault'],
  ],
  thp: [['thp_underused_split_page', 'count', 'Huge pages split as most of them was zero', 'mm/huge_memory.c deferred_split_scan']],
  swap: [
    ['swpin_zero', 'pages', 'Pages of zeros made anew instead of read from swap', 'mm/page_io.c swap_read_folio_zeromap'],
    ['swpout_zero', 'pages', 'Pages of zeros noted instead of written to swap', 'mm/page_io.c swap_zeromap_folio_set'],
    ['zswpwb', 'pages', 'Pages that zswap wrote to the swap device', 'mm/zswap.c zswap_writeback_entry'],
  ],
  fault: [
    ['vma_lock_success', 'count', 'Page faults taken under the lock of one area (where built in)', 'mm/memory.c lock_vma_under_rcu'],
    ['vma_lock_abort', 'count', 'Page faults that could not lock their area (where built in)', 'mm/memory.c lock_vma_under_rcu'],
    [
      'vma_lock_retry',
      'count',
      'Page faults begun again under the lock of the address space (where built in)',
      'arch/x86/mm/fault.c do_user_addr_fault',
    ],
    ['vma_lock_miss', 'count', 'Areas that changed while they were being locked (where built in)', 'mm/memory.c lock_vma_under_rcu'],
  ],
}
