/**
 * Shapes of the multi-generational LRU. Shapes only; caches/lru_gen.ts and reclaim/lru_gen_*.ts hold the functions.
 *
 *     Kernel.lruGen ── pages[pfn]        one byte a page: its generation, how often files were read through it, the list it is on
 *        ├── lists[memcg] ── Mm <-> Mm   address spaces of a group, in the order in which they came
 *        └── nodeWalks[node]             what kswapd's walks were allowed
 *     Lruvec.gen ── 4 generations x 2 types x 5 zones of lists and sizes
 *        └── mm                          how far the walks over those address spaces have come
 */

/** What somebody who walks page tables may do (struct lru_gen_mm_walk). */
export interface MmWalk {
  /** Anonymous pages count, for they could be swapped out. */
  canSwap: boolean
}

export interface LruGenState {
  /** Reclaim goes by generations; page tables are walked; upper tables' accessed marks are used (LRU_GEN_CORE, MM_WALK, NONLEAF_YOUNG). */
  enabled: boolean
  mmWalk: boolean
  nonleafYoung: boolean
  /** min_ttl_ms, in ticks. */
  minTtlTicks: number
  /** The running task handles a fault: pages it adds are hot (current->in_lru_fault). */
  inFault: boolean
  /** Bytes of pages by pfn (caches/lru_gen.ts draws one); empty until it is switched on for the first time. */
  pages: Uint8Array
  /** Entries of upper tables whose accessed mark was taken away may be about, so programs' accesses must set it again. */
  oldTables: boolean
  /** The walk that the one who reclaims has at hand (reclaim_state.mm_walk), and kswapd's own, by node. */
  walk: MmWalk | undefined
  readonly nodeWalks: MmWalk[]
  /** By memory cgroup. */
  readonly mmLists: MmList[]
}

/** First and last of a group's address spaces, MM_FIFO when there is none. */
export interface MmList {
  first: number
  last: number
}

/** The list's head, where a walk over a group's address spaces begins and ends; and nowhere yet. */
export const MM_FIFO = 0
export const MM_NOWHERE = -1

/** An address space's place in its group's list (mm->lru_gen). */
export interface MmGen {
  /** The group whose list it is on, -1 for none. */
  memcg: number
  next: number
  prev: number
  /** Bit per node, by remainder: it has run since the node's last walk. */
  used: number
}

/** How far walks over the address spaces of a group have come on a node (struct lru_gen_mm_state). */
export interface MmState {
  /** The youngest generation for which a walk was made. */
  seq: number
  /** Where the walk goes on, and the first of those that came after the last one: numbers of address spaces, MM_FIFO or MM_NOWHERE. */
  head: number
  tail: number
  /** Two sets of page tables worth a look, for this generation and the next. */
  readonly filters: (Uint32Array | undefined)[]
  /** MM_STATS */
  readonly stats: Float64Array
}

/** The generations of a lruvec (struct lru_gen_struct). Arrays go by generation, type and zone, or by type and tier. */
export interface LruvecGen {
  /** First of its lists. */
  readonly lists: number
  maxSeq: number
  /** Oldest generation of anonymous and of file pages. */
  readonly minSeq: number[]
  /** When each generation was born, in ticks. */
  readonly bornTicks: Float64Array
  readonly nrPages: Int32Array
  readonly avgRefaulted: Float64Array
  readonly avgTotal: Float64Array
  /** Pages of the oldest generation that were kept, or went, or came back. */
  readonly protected: Float64Array
  readonly evicted: Float64Array
  readonly refaulted: Float64Array
  readonly mm: MmState
}
