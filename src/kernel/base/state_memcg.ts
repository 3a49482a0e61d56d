/**
 * Shapes of memory cgroups: who is charged for a page, and how much he may have. Shapes only; frames/memcg.ts holds the functions.
 *
 *     Memcg 0 (root) ── children ── Memcg ── memory, swap: counters of pages with their limits
 *                                     └── node.lruvecs[id]: its lists on that node
 */

/** A counter of pages with its limits; what is charged to a group is charged to all above it (struct page_counter). */
export interface PageCounter {
  usage: number
  /** The most it ever was. */
  watermark: number
  min: number
  low: number
  high: number
  max: number
  /** How often max was in the way. */
  failures: number
  /** What of min and low counts after the groups above have had their say, as reclaim worked it out last. */
  emin: number
  elow: number
  /** How much of its usage min and low protect, and the sums of that over its children. */
  minUsage: number
  lowUsage: number
  childrenMinUsage: number
  childrenLowUsage: number
}

export interface Memcg {
  /** Its place in MemcgState.groups and in Node.lruvecs, and what its pages bear. */
  readonly id: number
  /** Number of the cgroup whose memory this is; the number of the directory. */
  readonly cgroup: number
  /** The group above, -1 for the root. */
  readonly parent: number
  readonly children: number[]
  /** Its directory is there; after that it stays while pages are charged to it. */
  online: boolean
  readonly memory: PageCounter
  readonly swap: PageCounter
  /** Pages that compressed swap may take for it. */
  zswapMax: number
  oomGroup: boolean
  /** Events of MEMCG_EVENTS that happened to it or below it, and to itself. */
  readonly events: Float64Array
  readonly localEvents: Float64Array
  /** VM_EVENTS that its tasks and pages caused; the root's: those that were not counted for the machine (reclaim for a group's limit). */
  readonly vmEvents: Float64Array
  /** MEMCG_STATS: what it has that is of no node. */
  readonly stat: Float64Array
  /** Names and inodes of files charged to it: what reclaim may ask file systems for. */
  fileObjects: number
  /** Bytes of kernel objects charged to it. */
  slabBytes: number
  /** Bytes of a charged page that no kernel object has, of stocks given back (nr_charged_bytes). */
  objBytes: number
  /** Swap entries that remember it, and pages that bear its number. */
  swapEntries: number
  pages: number
}

/** What a CPU has charged in advance for one group, so that not every page goes up the hierarchy (struct memcg_stock_pcp). */
export interface MemcgStock {
  memcg: number
  pages: number
  /** The same for kernel objects, in bytes of a page already charged. */
  objMemcg: number
  objBytes: number
  /** Bytes of its objects on a node that its figures do not show yet. */
  statNode: number
  reclaimableBytes: number
  unreclaimableBytes: number
}

export interface MemcgState {
  /** By id; a place whose group is gone is undefined until another gets it. */
  readonly groups: (Memcg | undefined)[]
  /** By CPU. */
  readonly stocks: MemcgStock[]
  /** When the figures that reclaim goes by are next added up, whoever asks; nanoseconds since the machine was switched on. */
  flushNs: number
  /** How many go through the groups now: none of these goes meanwhile; and whether one would have gone. */
  walks: number
  releases: boolean
  /** A task reclaims: what it charges on the way goes over limits (PF_MEMALLOC). */
  reclaiming: boolean
  /** The task that runs has charged pages beyond memory.high and is to make up for it before it goes on. */
  overHigh: boolean
}
