/** Shapes of transparent huge pages, khugepaged and hugetlb pools. */
import type { HugetlbSubpool, SuperBlock } from './state_fs.ts'
import type { Mm } from './state_mm.ts'
import type { Daemon, ShmemHuge } from './state_shared.ts'
import type { Pfn } from './units.ts'

export type ThpEnabled = 'always' | 'madvise' | 'never'
export type ThpDefrag = 'always' | 'defer' | 'defer+madvise' | 'madvise' | 'never'

export interface ThpState {
  enabled: ThpEnabled
  defrag: ThpDefrag
  useZeroPage: boolean
  shmemEnabled: ShmemHuge
  /** The shared huge page of zeros, its users, NO_PAGE while there is none. */
  hugeZeroPage: Pfn
  hugeZeroUsers: number
}

export interface KhugepagedState {
  readonly daemon: Daemon
  /** The thread exists: huge pages are on for somebody. */
  running: boolean
  /** What it sleeps for: an address space to scan, the time of its next round, memory for a huge page; or its next turn on a CPU. */
  waits: 'work' | 'round' | 'memory' | 'turn'
  defrag: boolean
  pagesToScan: number
  scanSleepMillisecs: number
  allocSleepMillisecs: number
  maxPtesNone: number
  maxPtesSwap: number
  maxPtesShared: number
  pagesCollapsed: number
  fullScans: number
  /** Registered address spaces in order of registration; the scan stands in mms[at] at virtual page `address`, before the first with at = -1. */
  readonly mms: Mm[]
  at: number
  address: number
  /** Of the round under way: what it has done so far, how often it began at the first address space, and whether it slept for memory. */
  progress: number
  passes: number
  slept: boolean
  /** Pages seen per node in the range that is being scanned. */
  readonly nodeLoad: Int32Array
  /** Ranges mapped page by page though their page-cache page is huge, by mm: first pages of 2 MiB, at most 8 an mm. */
  readonly pteMapped: Map<number, number[]>
}

/** One size of huge page (struct hstate). */
export interface Hstate {
  readonly order: number
  readonly sizeKb: number
  /** Larger than the buddy allocator's largest block (1 GiB): found by a search for a free range. */
  readonly gigantic: boolean
  /** Order of the pages that `demote` makes of one; 0 for the smallest size. */
  demoteOrder: number
  nrHugePages: number
  freeHugePages: number
  resvHugePages: number
  surplusHugePages: number
  nrOvercommitHugePages: number
  maxHugePages: number
  readonly nrByNode: Int32Array
  readonly freeByNode: Int32Array
  readonly surplusByNode: Int32Array
  /** Free pages of each node: list numbers. */
  readonly freeLists: number[]
  nextNidToAlloc: number
  nextNidToFree: number
}

/** Page records of huge pages that can be given back (fault/hugetlb_vmemmap.ts). */
export interface VmemmapState {
  /** The worker that frees what is leaving, on the CPU that asked for it. */
  readonly worker: Daemon
  cpu: number
  /** First frame of the records that boot made for a section of 128 MiB. */
  readonly frames: Map<number, number>
  /** Of frames that boot made records of, by 2 MiB of memory: which of the 512 it has let go. */
  readonly released: Map<number, Uint8Array>
  /** Frames of pages of records that were given back once, by the page's number among all. */
  readonly moved: Map<number, number>
  /** Sections whose records are mapped page by page, and the page table that takes. */
  readonly tables: Map<number, number>
  /** Huge pages that have but their first page of records. */
  readonly optimized: Set<number>
  /** Huge pages that left their pool and wait for their records. */
  readonly leaving: number[]
}

export interface HugetlbState {
  readonly vmemmap: VmemmapState
  readonly hstates: Hstate[]
  /** Index of the size that /proc/meminfo and MAP_HUGETLB without a size mean. */
  defaultHstate: number
  /** Quotas of mounts by id, which pages in use name; the first id is 1. */
  readonly subpools: Map<number, HugetlbSubpool>
  nextSubpool: number
  /** The kernel's own mount for each size: anonymous mappings, memfd, shared memory segments. */
  readonly mounts: SuperBlock[]
}
