/**
 * /proc/meminfo.
 *
 *     MemAvailable  what could be had without swapping: free above the reserves, plus page cache and reclaimable slab, each
 *                   less the half of it or the sum of low marks that is not likely to go
 *     Buffers       pages of the disks' own caches: what file systems keep about files, headers of swap areas
 *     Cached        pages of files, shared memory included, without those and the swap cache
 *
 * Source: fs/proc/meminfo.c, mm/page_alloc.c si_mem_available, mm/hugetlb.c hugetlb_report_meminfo, arch/x86/mm/pat/set_memory.c
 * arch_report_meminfo.
 */
import { NS, ZS } from '../kernel/base/counters.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { blockdevPages } from '../kernel/caches/metadata.ts'
import { siSwapinfo } from '../kernel/caches/swap_map.ts'
import { vmCommitLimit } from '../kernel/calls/account.ts'
import { column, kb, kilobytes } from './format.ts'
import { freePagesOf, nodeSum, zoneSum } from './sums.ts'

/** Size of the vmalloc area in kB, with five levels of page tables as the recorded machine has them. */
const VMALLOC_TOTAL_KB = 13_743_895_347_199

/** Pages that new programs could get without swapping (si_mem_available). */
function memAvailable(k: Kernel): number {
  const low = k.zones.reduce((sum, zone) => sum + zone.wmarkLow + zone.watermarkBoost, 0)
  const spare = (pages: number) => pages - Math.min(Math.floor(pages / 2), low)
  const cache = nodeSum(k.nodes, NS.nr_active_file) + nodeSum(k.nodes, NS.nr_inactive_file)
  const reclaimable = nodeSum(k.nodes, NS.nr_slab_reclaimable) + nodeSum(k.nodes, NS.nr_kernel_misc_reclaimable)
  return Math.max(0, freePagesOf(k.zones) - k.totalreservePages + spare(cache) + spare(reclaimable))
}

export function meminfo(k: Kernel): string {
  return [...sizes(k), ...lists(k), ...users(k), ...kernelUse(k), ...huge(k), ...directMap(k)].join('')
}

function sizes(k: Kernel): string[] {
  const swapCached = nodeSum(k.nodes, NS.nr_swapcached)
  const buffers = blockdevPages(k)
  return [
    kb('MemTotal:       ', k.totalramPages),
    kb('MemFree:        ', freePagesOf(k.zones)),
    kb('MemAvailable:   ', memAvailable(k)),
    kb('Buffers:        ', buffers),
    kb('Cached:         ', Math.max(0, nodeSum(k.nodes, NS.nr_file_pages) - swapCached - buffers)),
    kb('SwapCached:     ', swapCached),
  ]
}

function lists(k: Kernel): string[] {
  const [inactiveAnon, activeAnon] = [nodeSum(k.nodes, NS.nr_inactive_anon), nodeSum(k.nodes, NS.nr_active_anon)]
  const [inactiveFile, activeFile] = [nodeSum(k.nodes, NS.nr_inactive_file), nodeSum(k.nodes, NS.nr_active_file)]
  return [
    kb('Active:         ', activeAnon + activeFile),
    kb('Inactive:       ', inactiveAnon + inactiveFile),
    kb('Active(anon):   ', activeAnon),
    kb('Inactive(anon): ', inactiveAnon),
    kb('Active(file):   ', activeFile),
    kb('Inactive(file): ', inactiveFile),
    kb('Unevictable:    ', nodeSum(k.nodes, NS.nr_unevictable)),
    kb('Mlocked:        ', zoneSum(k.zones, ZS.nr_mlock)),
  ]
}

function users(k: Kernel): string[] {
  const swap = siSwapinfo(k)
  return [
    kb('SwapTotal:      ', swap.totalPages),
    kb('SwapFree:       ', swap.freePages),
    kb('Zswap:          ', k.zswap.totalPages),
    kb('Zswapped:       ', k.zswap.counters.storedPages),
    kb('Dirty:          ', nodeSum(k.nodes, NS.nr_dirty)),
    kb('Writeback:      ', nodeSum(k.nodes, NS.nr_writeback)),
    kb('AnonPages:      ', nodeSum(k.nodes, NS.nr_anon_pages)),
    kb('Mapped:         ', nodeSum(k.nodes, NS.nr_mapped)),
    kb('Shmem:          ', nodeSum(k.nodes, NS.nr_shmem)),
  ]
}

function kernelUse(k: Kernel): string[] {
  const [reclaimable, unreclaimable] = [nodeSum(k.nodes, NS.nr_slab_reclaimable), nodeSum(k.nodes, NS.nr_slab_unreclaimable)]
  return [
    kb('KReclaimable:   ', reclaimable + nodeSum(k.nodes, NS.nr_kernel_misc_reclaimable)),
    kb('Slab:           ', reclaimable + unreclaimable),
    kb('SReclaimable:   ', reclaimable),
    kb('SUnreclaim:     ', unreclaimable),
    kilobytes('KernelStack:    ', nodeSum(k.nodes, NS.nr_kernel_stack)),
    kb('PageTables:     ', nodeSum(k.nodes, NS.nr_page_table_pages)),
    kb('SecPageTables:  ', nodeSum(k.nodes, NS.nr_sec_page_table_pages)),
    kb('NFS_Unstable:   ', 0),
    kb('Bounce:         ', zoneSum(k.zones, ZS.nr_bounce)),
    kb('WritebackTmp:   ', nodeSum(k.nodes, NS.nr_writeback_temp)),
    kb('CommitLimit:    ', vmCommitLimit(k)),
    kb('Committed_AS:   ', k.committedAs),
    kilobytes('VmallocTotal:   ', VMALLOC_TOTAL_KB),
    kb('VmallocUsed:    ', k.boot.vmallocUsedPages),
    kb('VmallocChunk:   ', 0),
    kb('Percpu:         ', k.boot.percpuPages),
    `HardwareCorrupted: ${column(k.poisonedPages * 4, 5)} kB\n`,
  ]
}

function huge(k: Kernel): string[] {
  const h = k.hugetlb.hstates[k.hugetlb.defaultHstate]
  const count = (label: string, n: number) => `${label}${column(n, 5)}\n`
  return [
    kb('AnonHugePages:  ', nodeSum(k.nodes, NS.nr_anon_transparent_hugepages)),
    kb('ShmemHugePages: ', nodeSum(k.nodes, NS.nr_shmem_hugepages)),
    kb('ShmemPmdMapped: ', nodeSum(k.nodes, NS.nr_shmem_pmdmapped)),
    kb('FileHugePages:  ', nodeSum(k.nodes, NS.nr_file_hugepages)),
    kb('FilePmdMapped:  ', nodeSum(k.nodes, NS.nr_file_pmdmapped)),
    count('HugePages_Total:   ', h.nrHugePages),
    count('HugePages_Free:    ', h.freeHugePages),
    count('HugePages_Rsvd:    ', h.resvHugePages),
    count('HugePages_Surp:    ', h.surplusHugePages),
    kilobytes('Hugepagesize:   ', h.sizeKb),
    kilobytes(
      'Hugetlb:        ',
      k.hugetlb.hstates.reduce((sum, size) => sum + size.nrHugePages * size.sizeKb, 0),
    ),
  ]
}

const directMap = (k: Kernel): string[] => [
  kilobytes('DirectMap4k:    ', k.boot.directMap4kKb),
  kilobytes('DirectMap2M:    ', k.boot.directMap2mKb),
  kilobytes('DirectMap1G:    ', k.boot.directMap1gKb),
]
