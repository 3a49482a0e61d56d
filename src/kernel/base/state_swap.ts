/** Shapes of swap: areas and their slots, and the slots that each CPU keeps ready. Shapes only; caches/swap_*.ts hold the functions. */
import type { Disk, OpenFile, XArray } from './state_fs.ts'

/** What is behind an area: a disk, a file on one, which the area holds open, or the zram device of that number. */
export type SwapDevice =
  | { readonly kind: 'disk'; readonly disk: Disk; readonly file: undefined; readonly zram: -1 }
  | { readonly kind: 'file'; readonly disk: Disk; readonly file: OpenFile; readonly zram: -1 }
  | { readonly kind: 'zram'; readonly disk: undefined; readonly file: undefined; readonly zram: number }

/** The slots of an area without seek time, 512 by 512 (struct swap_cluster_info and percpu_cluster). */
export interface SwapClusters {
  /** Slots in use of each, the next one of the free list, CLUSTER_* flags. */
  readonly count: Int32Array
  readonly next: Int32Array
  readonly flags: Uint8Array
  /** First and last free one; -1 for none. */
  freeFirst: number
  freeLast: number
  /** By CPU: the one it allocates from (-1: none) and the slot it tries next; where it searches when there is no free one. */
  readonly cpuCluster: Int32Array
  readonly cpuNext: Int32Array
  readonly cpuBase: Int32Array
}

/** An area of swap (struct swap_info_struct). Slot 0 holds its header. */
export interface SwapArea {
  readonly type: number
  readonly path: string
  readonly device: SwapDevice
  /** SWP_* */
  flags: number
  priority: number
  /** Slots, the header included; slots that can be used; slots in use. */
  readonly max: number
  readonly pages: number
  inusePages: number
  /** No slot below or above is free. */
  lowestBit: number
  highestBit: number
  /** Where the next slot is looked for, and how many more are expected to be free there. */
  clusterNext: number
  clusterNr: number
  /** By slot: how many entries of page tables name it, and SWAP_* marks. */
  readonly map: Uint16Array
  /** By slot: the memory cgroup that is charged for it, while somebody is. */
  readonly memcg: Uint16Array
  /** By slot, two words: content class and index of the page that was written there last. */
  readonly content: Int32Array
  /** The swap cache: pages, or shadows of those that left, by slot; an index for each 16384 slots. */
  readonly cache: XArray[]
  readonly clusters: SwapClusters | undefined
}

/** Slots that a CPU has taken from the areas for pages to come, and slots that it will give back (struct swap_slots_cache). */
export interface SwapSlots {
  readonly taken: Int32Array
  at: number
  left: number
  readonly back: Int32Array
  nBack: number
}

export interface SwapState {
  /** By type; undefined where none is switched on. */
  readonly areas: (SwapArea | undefined)[]
  /** Areas that are switched on, the highest priority first; and of these, in the order they are asked, those with a free slot. */
  readonly active: SwapArea[]
  readonly available: SwapArea[]
  /** Slots nobody has (nr_swap_pages). */
  freePages: number
  /** Priority that was last given to an area that came without one. */
  leastPriority: number
  /** Areas on disks with seek time: while there is one, pages are read ahead by their slots. */
  rotating: number
  /** Slots by CPU, and whether they are in use. */
  readonly slots: SwapSlots[]
  slotsEnabled: boolean
  slotsActive: boolean
  /** Pages that a header of swap on a device says it has, by the device's path. */
  readonly headers: Map<string, number>
  /** The slot of each page in the swap cache, 0 for none; empty before the first area. */
  entryOf: Int32Array
  readonly readahead: SwapReadahead
  /** Writes that whoever reclaims holds back, so that neighbours go together (struct blk_plug); undefined: they go at once. */
  plug: SwapWrite[] | undefined
}

/** Neighbouring slots of an area that are to be written with one request. */
export interface SwapWrite {
  readonly disk: Disk
  /** Type of the area. */
  readonly swap: number
  readonly first: number
  pages: number
}

/** How pages are read ahead by their slots: hits since the last time, its slot and pages. */
export interface SwapReadahead {
  /** Pages are read ahead by their addresses where nothing rotates (vma_ra_enabled). */
  byAddress: boolean
  hits: number
  lastOffset: number
  lastPages: number
}
