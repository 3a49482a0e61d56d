/** Shapes of KSM: its knobs and counters, its records, and where its scan is. Shapes only; spaces/ksm_records.ts draws the records. */
import type { Mm } from './state_mm.ts'
import type { Daemon } from './state_shared.ts'
import type { Pfn } from './units.ts'

/** An address space that asked to be looked at (struct ksm_mm_slot). */
export interface KsmSlot {
  /** Its place in slotById, which the records of its pages name. */
  readonly id: number
  readonly mm: Mm
  /** The record of its lowest page, each leading to the next; 0 while none of its pages was looked at. */
  first: number
}

/** Records of pages looked at and of merged pages: KSM_WORDS words each in one array, numbered from 1. */
export interface KsmRecords {
  words: Int32Array
  /** Records ever used, and the first of those that are free again. */
  count: number
  free: number
}

/** A balanced tree of records, by the number of its root; 0 when it is empty. */
export interface KsmTree {
  readonly records: KsmRecords
  root: number
}

/** What a walk down the tree of merged pages came to. */
export interface KsmWalk {
  /** Where a new record would hang: the parent, and which of its links. */
  parent: number
  side: number
  /** The record in the tree that holds the same bytes, a merged page or a chain of them; 0 for none. */
  node: number
  /** The merged page there that has room for one more, and any one of them. */
  dup: number
  some: number
}

export interface KsmState {
  readonly daemon: Daemon
  /** KSM_RUN_*: 0 stopped, 1 merging, 2 stopped with everything taken apart. */
  run: number
  pagesToScan: number
  sleepMillisecs: number
  maxPageSharing: number
  mergeAcrossNodes: boolean
  useZeroPages: boolean
  stableNodeChainsPruneMillisecs: number
  /** Merged pages, further users of them, pages in the unstable tree, records of pages. */
  pagesShared: number
  pagesSharing: number
  pagesUnshared: number
  rmapItems: number
  stableNodeChains: number
  stableNodeDups: number
  /** Scans finished, which is also the age of records in the unstable tree. */
  fullScans: number
  readonly records: KsmRecords
  /** Trees of merged pages and of candidates, one a node, or the first alone for all nodes. */
  readonly stableTrees: readonly KsmTree[]
  readonly unstableTrees: readonly KsmTree[]
  /** Merged pages that were moved to another node and stand in no tree until the scan meets them. */
  migrated: number
  /** Address spaces in the order in which they are scanned; the scan stands in the at-th, -1 between two scans. */
  readonly slots: KsmSlot[]
  readonly slotById: (KsmSlot | undefined)[]
  at: number
  /** The next virtual page there, in element 0; the record before the next one, 0 at the first. */
  readonly address: Float64Array
  cursor: number
  /** The page that the scan is at. */
  page: Pfn
  readonly walk: KsmWalk
  /** What ksmd waits for, and how many pages its batch still has. */
  waits: 'work' | 'turn' | 'sleep'
  left: number
}
