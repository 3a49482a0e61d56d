/**
 * Shapes of compressed memory: pools of compressed pages, zswap, zram. Shapes only; caches/{zbud,zsmalloc,zpool,zswap,zram}.ts hold the
 * functions.
 */
import type { Records } from './records.ts'
import type { Disk } from './state_fs.ts'
import type { Daemon } from './state_shared.ts'

/** Two compressed pages to a page (struct zbud_pool). */
export interface ZbudPool {
  readonly kind: 'zbud'
  /** A record a page. */
  readonly pages: Records
  /** Lists of pages with room, by free chunks; after them the list of full ones. */
  readonly buddies: Int32Array
  /** All pages, the one that took something last first. */
  readonly lru: Int32Array
}

/** Objects of about one size, packed into chains of pages (struct size_class). */
export interface SizeClass {
  readonly index: number
  readonly bytes: number
  readonly pages: number
  readonly objects: number
  /** A record a chain. */
  readonly zspages: Records
  /** Lists of chains by ZS_* fullness. */
  readonly groups: Int32Array
  /** Objects in use. */
  used: number
}

/** Objects of any size (struct zs_pool). */
export interface ZsPool {
  readonly kind: 'zsmalloc'
  /** By size in steps of 16 bytes; neighbours that pack alike are one class. */
  readonly classes: readonly SizeClass[]
  /** Where each object is: a record a handle. */
  readonly handles: Records
  pages: number
  pagesCompacted: number
}

/** Up to three compressed pages to a page (struct z3fold_pool). */
export interface Z3foldPool {
  readonly kind: 'z3fold'
  /** A record a page, and one an object. */
  readonly pages: Records
  readonly handles: Records
  /** Lists of pages with room, by CPU and free chunks; empty before the first. */
  unbuddied: Int32Array
  readonly lru: Int32Array
}

export type Zpool = ZbudPool | Z3foldPool | ZsPool

/** Memory that compressing takes while it is set up: pages mapped one by one, and pieces of 2^order pages that count as slab or do not. */
export interface WorkingMemory {
  readonly mapped: number[]
  readonly pieces: { readonly pfn: number; readonly order: number; readonly slab: boolean }[]
}

/** A pool with the compressor whose output it holds (struct zswap_pool). */
export interface ZswapPool {
  readonly id: number
  /** Number of the compressor (base/compress.ts). */
  readonly compressor: number
  readonly zpool: Zpool
  /** Entries in it. */
  entries: number
  /** How often it is to be shrunk by a page. */
  shrinkRequests: number
  /** Working memory of its compressor; what the first pool has is part of what boot takes. */
  working: WorkingMemory
}

/** Counters of /sys/kernel/debug/zswap. */
export interface ZswapCounters {
  poolLimitHit: number
  writtenBackPages: number
  rejectReclaimFail: number
  rejectCompressPoor: number
  rejectAllocFail: number
  rejectKmemcacheFail: number
  duplicateEntry: number
  storedPages: number
  sameFilledPages: number
}

export interface ZswapState {
  enabled: boolean
  compressor: string
  zpool: string
  maxPoolPercent: number
  acceptThresholdPercent: number
  sameFilledPagesEnabled: boolean
  nonSameFilledPagesEnabled: boolean
  /** The one in use first; the others are kept until they are empty. */
  pools: ZswapPool[]
  poolsMade: number
  /** A record a page that is kept. */
  readonly entries: Records
  /** By swap type: entries by slot, 1024 slots a piece; undefined where no area is switched on. */
  readonly trees: ((Int32Array | undefined)[] | undefined)[]
  /** Pages of all pools, as they were counted last. */
  totalPages: number
  /** The limit was reached, and what is kept has not fallen below the threshold since. */
  poolReachedFull: boolean
  readonly counters: ZswapCounters
  /** Makes room in pools that are full; and when it was last asked to. */
  readonly shrinker: Daemon
  shrinkAskedNs: number
}

/** 1024 blocks of a zram device: words and times of last access by block (struct zram_table_entry). */
export interface ZramPiece {
  readonly words: Int32Array
  readonly accessedNs: Float64Array
}

/** Counters of a zram device (struct zram_stats). */
export interface ZramStats {
  comprDataSize: number
  failedReads: number
  failedWrites: number
  invalidIo: number
  notifyFree: number
  samePages: number
  hugePages: number
  hugePagesSince: number
  pagesStored: number
  maxUsedPages: number
  writestall: number
  missFree: number
  bdCount: number
  bdReads: number
  bdWrites: number
}

/** A device of its own pool, its table and its settings (struct zram). */
export interface ZramDevice {
  readonly number: number
  /** Size in pages, 0 before it is set up. */
  blocks: number
  compressor: string
  /** Number of the compressor while it is set up. */
  algorithm: number
  pool: ZsPool | undefined
  table: (ZramPiece | undefined)[]
  /** Most pages the pool may have, 0 for any. */
  limitPages: number
  stats: ZramStats
  /** Memory of the table and the compressor. */
  working: WorkingMemory
  /** Where pages are written back to, and which of its blocks are taken. */
  backing: { readonly disk: Disk; readonly path: string; readonly taken: Set<number> } | undefined
  writebackLimitEnable: boolean
  writebackLimit: number
}
