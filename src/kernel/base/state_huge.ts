/** Shapes of transparent huge pages, khugepaged and hugetlb pools. */
import type { HugetlbSubpool } from './state_fs.ts'
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
  defrag: boolean
  pagesToScan: number
  scanSleepMillisecs: number
  allocSleepMillisecs: number
  maxPtesNone: number
  maxPtesSwap: number
  maxPtesShared: number
  pagesCollapsed: number
  fullScans: number
  /** Registered address spaces in order of registration; the scan stands at `at`, virtual page `address`. */
  readonly mms: Mm[]
  at: number
  address: number
  /** Pages looked at per node for the range being scanned; and the node the last collapse went to. */
  lastTargetNode: number
}

/** One size of huge page (struct hstate). */
export interface Hstate {
  readonly order: number
  readonly sizeKb: number
  /** Never built from the buddy allocator at run time on this machine (1 GiB). */
  readonly gigantic: boolean
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
  shmGroup: number
  readonly subpools: HugetlbSubpool[]
}
