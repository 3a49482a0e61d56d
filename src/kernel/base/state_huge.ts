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

export interface HugetlbState {
  readonly hstates: Hstate[]
  /** Index of the size that /proc/meminfo and MAP_HUGETLB without a size mean. */
  defaultHstate: number
  /** Quotas of mounts by id, which pages in use name; the first id is 1. */
  readonly subpools: Map<number, HugetlbSubpool>
  nextSubpool: number
  /** The kernel's own mount for each size: anonymous mappings, memfd, shared memory segments. */
  readonly mounts: SuperBlock[]
}
