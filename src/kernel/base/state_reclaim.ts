/** Shapes of reclaim: how hard a run tries and what it found. Shapes only; reclaim/vmscan*.ts hold the functions. */
import type { MmWalk } from './state_lru_gen.ts'
import type { SwapWrite } from './state_swap.ts'
import type { Pfn } from './units.ts'

/** What one round on a node found (scan_control.nr). */
export interface Found {
  dirty: number
  unqueuedDirty: number
  congested: number
  writeback: number
  immediate: number
  fileTaken: number
  taken: number
}

/** The numbers of one run of reclaim (struct scan_control). */
export interface ScanControl {
  /** kswapd reclaims, not a process that waits for a page. */
  readonly kswapd: boolean
  /** Whose pages are to go: those of a memory cgroup and below it. A group's limit, or a write to its memory.reclaim, reclaims. */
  readonly target: number
  readonly cgroup: boolean
  /** memory.low is no reason to pass over a group any more; a group was passed over because of it. */
  memcgLowReclaim: boolean
  memcgLowSkipped: boolean
  readonly gfp: number
  order: number
  /** The highest zone type whose pages count. */
  reclaimIdx: number
  nrToReclaim: number
  priority: number
  mayWritepage: boolean
  mayUnmap: boolean
  maySwap: boolean
  /** Writes to swap may be held back until a batch of pages is through (blk_start_plug). */
  readonly plugged: boolean
  /** Pages go although they are in use. */
  ignoreReferences: boolean
  /** DEACTIVATE_*: which active lists may be looked at. */
  mayDeactivate: number
  forceDeactivate: boolean
  skippedDeactivate: boolean
  cacheTrimMode: boolean
  fileIsTiny: boolean
  /** What reclaiming each kind of page has cost of late. */
  anonCost: number
  fileCost: number
  nrScanned: number
  nrReclaimed: number
  /** kswapd: pages reclaimed when the last aging began; and whether the next is not to be left out. */
  lastReclaimed: number
  memcgsNeedAging: boolean
  found: Found
  /** When it stops to let others work, and where it stopped. */
  pauseNs: number
  pause: ScanPause | undefined
}

/** A round over the lists of a group that is not over: what is still to be looked at of each list, and was to be in all. */
export interface ScanPause {
  readonly memcg: number
  readonly left: readonly number[]
  readonly targets: readonly number[]
  /** Pages reclaimed of the group so far, and of the node before this round. */
  readonly reclaimed: number
  before: number
  readonly generations?: GenerationsPause
  /** Writes to swap that it still holds back. */
  plug: SwapWrite[]
}

/**
 * The same of a round over generations: the youngest one and the pages reclaimed when it began, pages looked at, whether any were to be
 * swapped, and the walk at hand.
 */
export interface GenerationsPause {
  readonly maxSeq: number
  readonly reclaimed: number
  scanned: number
  swaps: boolean
  walk: MmWalk | undefined
}

/** A run of kswapd that is not over: others get their turn in between (balance_pgdat). */
export interface KswapdRun {
  readonly sc: ScanControl
  readonly highest: number
  /** Pages reclaimed when the round began. */
  roundStart: number
  /** What each zone was boosted by when it began, and pages that are still to be reclaimed for that. */
  readonly boosts: readonly number[]
  boostLeft: number
}

/** Moves of pages that others may come upon (reclaim/migrate_window.ts). */
export interface PageMoves {
  /** When somebody who touches memory goes on on another CPU than the one that runs now; Infinity when nobody does. */
  watchedNs: number
  /** By the new page. */
  readonly byPage: Map<number, PageMove>
}

/** From which page, and from when to when its entries said that it is being moved. */
export interface PageMove {
  readonly from: Pfn
  readonly startNs: number
  readonly endNs: number
}
