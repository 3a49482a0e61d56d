/**
 * /proc/meminfo and the per-node meminfo. kB lines are shown and exported in bytes. `meminfo_proc_show` prints them all;
 * the function given is where the figure itself comes from, when that is one place.
 */
import type { FieldGroups } from './field.ts'

const PRINTED = 'fs/proc/meminfo.c meminfo_proc_show'

export const MEMINFO: FieldGroups = {
  total: [
    ['MemTotal', 'bytes', 'All memory the kernel manages', 'mm/page_alloc.c si_meminfo'],
    ['MemFree', 'bytes', 'Memory on the free lists', 'mm/page_alloc.c si_meminfo'],
    ['MemAvailable', 'bytes', 'Estimate of what new work could get without swapping', 'mm/page_alloc.c si_mem_available'],
    ['MemUsed', 'bytes', 'MemTotal less MemFree, of one node', 'drivers/base/node.c node_read_meminfo'],
  ],
  cache: [
    ['Buffers', 'bytes', 'Page cache of block devices', PRINTED],
    ['Cached', 'bytes', 'Page cache and shared memory, without buffers and the swap cache', PRINTED],
    ['FilePages', 'bytes', 'Page cache, shared memory and swap cache of one node', 'drivers/base/node.c node_read_meminfo'],
    ['SwapCached', 'bytes', 'Memory that also has a place in swap', PRINTED],
    ['Mapped', 'bytes', 'Page cache mapped by processes', PRINTED],
    ['Shmem', 'bytes', 'tmpfs, memfd and shared anonymous mappings', PRINTED],
    ['Dirty', 'bytes', 'Page cache waiting to be written', PRINTED],
    ['Writeback', 'bytes', 'Page cache being written', PRINTED],
    ['WritebackTmp', 'bytes', 'Temporary buffers of FUSE writeback', PRINTED],
    ['NFS_Unstable', 'bytes', 'Always 0 since 5.8, kept for old readers', PRINTED],
  ],
  lru: [
    ['Active', 'bytes', 'Memory in use lately', PRINTED],
    ['Inactive', 'bytes', 'Memory that reclaim looks at next', PRINTED],
    ['Active(anon)', 'bytes', 'Active anonymous memory', PRINTED],
    ['Inactive(anon)', 'bytes', 'Inactive anonymous memory', PRINTED],
    ['Active(file)', 'bytes', 'Active page cache', PRINTED],
    ['Inactive(file)', 'bytes', 'Inactive page cache', PRINTED],
    ['Unevictable', 'bytes', 'Memory that reclaim must not touch', PRINTED],
    ['Mlocked', 'bytes', 'Memory locked by mlock', PRINTED],
  ],
  anon: [
    ['AnonPages', 'bytes', 'Anonymous memory mapped by processes', PRINTED],
    ['AnonHugePages', 'bytes', 'Anonymous memory mapped as huge pages', PRINTED],
    ['ShmemHugePages', 'bytes', 'Shared memory allocated as huge pages', PRINTED],
    ['ShmemPmdMapped', 'bytes', 'Shared memory mapped by huge entries', PRINTED],
    ['FileHugePages', 'bytes', 'Read-only file memory in huge pages', PRINTED],
    ['FilePmdMapped', 'bytes', 'File memory mapped by huge entries', PRINTED],
  ],
  swap: [
    ['SwapTotal', 'bytes', 'Size of all swap areas', 'mm/swapfile.c si_swapinfo'],
    ['SwapFree', 'bytes', 'Swap not in use', 'mm/swapfile.c si_swapinfo'],
    ['Zswap', 'bytes', 'Memory that zswap uses for compressed pages', PRINTED],
    ['Zswapped', 'bytes', 'What those pages hold uncompressed', PRINTED],
  ],
  kernel: [
    ['Slab', 'bytes', 'Kernel objects: SReclaimable and SUnreclaim', PRINTED],
    ['SReclaimable', 'bytes', 'Kernel objects that can be reclaimed', PRINTED],
    ['SUnreclaim', 'bytes', 'Kernel objects that cannot', PRINTED],
    ['KReclaimable', 'bytes', 'SReclaimable and other kernel memory that can be reclaimed', PRINTED],
    ['KernelStack', 'bytes', 'Kernel stacks', PRINTED],
    ['PageTables', 'bytes', 'Page tables of processes', PRINTED],
    ['SecPageTables', 'bytes', 'Page tables of virtual machines', PRINTED],
    ['Percpu', 'bytes', 'Per-CPU memory', 'mm/percpu.c pcpu_nr_pages'],
    ['VmallocTotal', 'bytes', 'Address space for vmalloc', PRINTED],
    ['VmallocUsed', 'bytes', 'Memory mapped by vmalloc', 'mm/vmalloc.c vmalloc_nr_pages'],
    ['VmallocChunk', 'bytes', 'Always 0 since 4.4', PRINTED],
    ['Bounce', 'bytes', 'Bounce buffers', PRINTED],
    ['HardwareCorrupted', 'bytes', 'Memory taken out of use after a hardware error', PRINTED],
    ['CmaTotal', 'bytes', 'Contiguous memory areas', PRINTED],
    ['CmaFree', 'bytes', 'Free memory in contiguous memory areas', PRINTED],
    ['DirectMap4k', 'bytes', 'Kernel map in 4 KiB entries', 'arch/x86/mm/pat/set_memory.c arch_report_meminfo'],
    ['DirectMap2M', 'bytes', 'Kernel map in 2 MiB entries', 'arch/x86/mm/pat/set_memory.c arch_report_meminfo'],
    ['DirectMap1G', 'bytes', 'Kernel map in 1 GiB entries', 'arch/x86/mm/pat/set_memory.c arch_report_meminfo'],
  ],
  commit: [
    ['CommitLimit', 'bytes', 'What overcommit mode 2 lets processes reserve', 'mm/util.c vm_commit_limit'],
    ['Committed_AS', 'bytes', 'What processes have reserved', PRINTED],
  ],
  hugetlb: [
    ['HugePages_Total', 'count', 'Pages of the default huge page pool', 'mm/hugetlb.c hugetlb_report_meminfo'],
    ['HugePages_Free', 'count', 'Pages of it that nobody uses', 'mm/hugetlb.c hugetlb_report_meminfo'],
    ['HugePages_Rsvd', 'count', 'Free pages promised to mappings', 'mm/hugetlb.c hugetlb_report_meminfo'],
    ['HugePages_Surp', 'count', 'Pages above the size set, given back when freed', 'mm/hugetlb.c hugetlb_report_meminfo'],
    ['Hugepagesize', 'bytes', 'Default huge page size', 'mm/hugetlb.c hugetlb_report_meminfo'],
    ['Hugetlb', 'bytes', 'Memory in all huge page pools', 'mm/hugetlb.c hugetlb_report_meminfo'],
  ],
}
