/**
 * Page sizes, orders and the brands of the numbers that are easily confused. The casts that make a brand from a
 * plain number are here and nowhere else.
 */
declare const brand: unique symbol

/** Page frame number: which 4 KiB of physical memory. */
export type Pfn = number & { readonly [brand]: 'Pfn' }
/** NUMA node. */
export type NodeId = number & { readonly [brand]: 'NodeId' }
/** Process id. */
export type Pid = number & { readonly [brand]: 'Pid' }

export const asPfn = (n: number) => n as Pfn
export const asNode = (n: number) => n as NodeId
export const asPid = (n: number) => n as Pid

/** Page 0 is never handed out (the firmware owns it), so it serves as "no page" and fresh arrays need no filling. */
export const NO_PAGE = 0 as Pfn
export const NO_NODE = -1 as NodeId

export const PAGE_SHIFT = 12
export const PAGE_SIZE = 4096
/** Kibibytes in a page. */
export const PAGE_KB = 4

/** Orders 0 .. MAX_ORDER - 1 exist (include/linux/mmzone.h of 6.1: MAX_ORDER itself is one too many). */
export const MAX_ORDER = 11
/** Order of a page block, of a PMD-sized huge page, and of the largest per-CPU list. */
export const PAGEBLOCK_ORDER = 9
export const PAGEBLOCK_PAGES = 512
export const HPAGE_PMD_ORDER = 9
export const HPAGE_PMD_NR = 512
export const HPAGE_PUD_ORDER = 18
export const HPAGE_PUD_NR = 1 << HPAGE_PUD_ORDER
/** Orders above this one are "costly": the allocator gives up on them earlier. */
export const PAGE_ALLOC_COSTLY_ORDER = 3

/** Entries of a page table of any level. */
export const PTRS_PER_TABLE = 512

export const ZONE_DMA = 0
export const ZONE_DMA32 = 1
export const ZONE_NORMAL = 2
export const ZONE_MOVABLE = 3
export const ZONE_DEVICE = 4
export const MAX_NR_ZONES = 5
export const ZONE_NAMES = ['DMA', 'DMA32', 'Normal', 'Movable', 'Device'] as const

export const MIGRATE_UNMOVABLE = 0
export const MIGRATE_MOVABLE = 1
export const MIGRATE_RECLAIMABLE = 2
/** Types that have per-CPU lists. */
export const MIGRATE_PCPTYPES = 3
export const MIGRATE_HIGHATOMIC = 3
export const MIGRATE_ISOLATE = 4
export const MIGRATE_TYPES = 5
export const MIGRATE_NAMES = ['Unmovable', 'Movable', 'Reclaimable', 'HighAtomic', 'Isolate'] as const

export const MAX_NUMNODES = 8

/** Pages that hold `bytes`, rounded up. */
export const pagesFor = (bytes: number) => Math.ceil(bytes / PAGE_SIZE)

/** The largest multiple of `step` at or below `n`; both may exceed 32 bits. */
export const alignDown = (n: number, step: number) => n - (n % step)
/** The smallest multiple of `step` at or above `n`; both may exceed 32 bits. */
export const alignUp = (n: number, step: number) => {
  const over = n % step
  return over === 0 ? n : n + step - over
}
