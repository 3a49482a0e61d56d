/**
 * Constants spelled as in Linux. Values that user space or a /proc text sees are Linux' own; page flags are ours,
 * because include/linux/page-flags.h numbers them by configuration and nobody sees the numbers.
 */

// --- page flags: the first word of a page's record
export const PG_locked = 1 << 0
export const PG_referenced = 1 << 1
export const PG_uptodate = 1 << 2
export const PG_dirty = 1 << 3
/** On one of the LRU lists. */
export const PG_lru = 1 << 4
export const PG_active = 1 << 5
export const PG_workingset = 1 << 6
export const PG_writeback = 1 << 7
/** To be put at the tail of the inactive list when its write is done. */
export const PG_reclaim = 1 << 8
/** Backed by swap rather than by a file: anonymous and shmem pages. */
export const PG_swapbacked = 1 << 9
export const PG_unevictable = 1 << 10
export const PG_mlocked = 1 << 11
export const PG_swapcache = 1 << 12
/** First page of a compound page; the order is in the record's last word. */
export const PG_head = 1 << 13
/** Tail of a compound page below pageblock order (larger ones leave their tails untouched). */
export const PG_tail = 1 << 14
export const PG_anon = 1 << 15
export const PG_ksm = 1 << 16
export const PG_hwpoison = 1 << 17
/** First page of a free block on a buddy list. */
export const PG_buddy = 1 << 18
export const PG_slab = 1 << 19
/** A page table. */
export const PG_table = 1 << 20
/** Never given to the allocator, or the huge zero page's like. */
export const PG_reserved = 1 << 21
/** Mapped by one process only, so a write needs no copy (6.1: PG_anon_exclusive). */
export const PG_anon_exclusive = 1 << 22
export const PG_young = 1 << 23
export const PG_idle = 1 << 24
export const PG_hugetlb = 1 << 25
/** Unmapped, and to be let go when the TLBs have been flushed: the gather holds a reference. */
export const PG_gathered = 1 << 26
/** Taken off its LRU list by reclaim, migration or compaction, which hold a reference. */
export const PG_isolated = 1 << 27
/** File page with blocks on disk already (ext4). */
export const PG_mappedtodisk = 1 << 28
/** Has buffer heads, which hold a reference (PG_private). */
export const PG_private = 1 << 29
/** Start of the next readahead window; shares its bit with PG_reclaim as in Linux: the two never meet on a page. */
export const PG_readahead = PG_reclaim
/** The two top bits count the folio batches that hold the page: 0..3. */
export const PG_BATCH_SHIFT = 30
export const PG_BATCH_ONE = 1 << PG_BATCH_SHIFT

// --- GFP flags
export const __GFP_DMA = 0x01
export const __GFP_HIGHMEM = 0x02
export const __GFP_DMA32 = 0x04
export const __GFP_MOVABLE = 0x08
export const __GFP_RECLAIMABLE = 0x10
export const __GFP_HIGH = 0x20
export const __GFP_IO = 0x40
export const __GFP_FS = 0x80
export const __GFP_ZERO = 0x100
export const __GFP_ATOMIC = 0x200
export const __GFP_DIRECT_RECLAIM = 0x400
export const __GFP_KSWAPD_RECLAIM = 0x800
export const __GFP_WRITE = 0x1000
export const __GFP_NOWARN = 0x2000
export const __GFP_RETRY_MAYFAIL = 0x4000
export const __GFP_NOFAIL = 0x8000
export const __GFP_NORETRY = 0x10000
export const __GFP_MEMALLOC = 0x20000
export const __GFP_COMP = 0x40000
export const __GFP_NOMEMALLOC = 0x80000
export const __GFP_HARDWALL = 0x100000
export const __GFP_THISNODE = 0x200000
export const __GFP_ACCOUNT = 0x400000

export const __GFP_RECLAIM = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM
export const GFP_ATOMIC = __GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM
export const GFP_KERNEL = __GFP_RECLAIM | __GFP_IO | __GFP_FS
export const GFP_KERNEL_ACCOUNT = GFP_KERNEL | __GFP_ACCOUNT
export const GFP_NOWAIT = __GFP_KSWAPD_RECLAIM
export const GFP_NOIO = __GFP_RECLAIM
export const GFP_NOFS = __GFP_RECLAIM | __GFP_IO
export const GFP_USER = GFP_KERNEL | __GFP_HARDWALL
export const GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM
export const GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE
export const GFP_TRANSHUGE_LIGHT = (GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM
export const GFP_TRANSHUGE = GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM

// --- alloc_flags of the page allocator
export const ALLOC_WMARK_MIN = 0
export const ALLOC_WMARK_LOW = 1
export const ALLOC_WMARK_HIGH = 2
export const ALLOC_NO_WATERMARKS = 0x04
export const ALLOC_WMARK_MASK = 0x03
export const ALLOC_OOM = 0x08
export const ALLOC_NON_BLOCK = 0x10
export const ALLOC_MIN_RESERVE = 0x20
export const ALLOC_CPUSET = 0x40
export const ALLOC_NOFRAGMENT = 0x100
export const ALLOC_HIGHATOMIC = 0x200
export const ALLOC_KSWAPD = 0x800

// --- VMA flags, with Linux' values where they fit 32 bits
export const VM_READ = 0x1
export const VM_WRITE = 0x2
export const VM_EXEC = 0x4
export const VM_SHARED = 0x8
export const VM_MAYREAD = 0x10
export const VM_MAYWRITE = 0x20
export const VM_MAYEXEC = 0x40
export const VM_MAYSHARE = 0x80
export const VM_GROWSDOWN = 0x100
export const VM_UFFD_MISSING = 0x200
export const VM_PFNMAP = 0x400
/** Bit 37 in Linux; this value is free there. */
export const VM_UFFD_MINOR = 0x800
export const VM_UFFD_WP = 0x1000
export const VM_LOCKED = 0x2000
export const VM_IO = 0x4000
export const VM_SEQ_READ = 0x8000
export const VM_RAND_READ = 0x10000
export const VM_DONTCOPY = 0x20000
export const VM_DONTEXPAND = 0x40000
export const VM_LOCKONFAULT = 0x80000
export const VM_ACCOUNT = 0x100000
export const VM_NORESERVE = 0x200000
export const VM_HUGETLB = 0x400000
/** Of the proposal of 2014 (fault/userfault_2014.ts); the value is free. */
export const VM_USERFAULT = 0x1000000
export const VM_WIPEONFORK = 0x2000000
export const VM_DONTDUMP = 0x4000000
export const VM_SOFTDIRTY = 0x8000000
export const VM_MIXEDMAP = 0x10000000
export const VM_HUGEPAGE = 0x20000000
export const VM_NOHUGEPAGE = 0x40000000
export const VM_MERGEABLE = 0x80000000 | 0

export const VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC
export const VM_LOCKED_MASK = VM_LOCKED | VM_LOCKONFAULT
export const VM_UFFD_FLAGS = VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR
/** Mappings that are never merged, locked, or made huge (include/linux/mm.h VM_SPECIAL). */
export const VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP

// --- page table entries: the second word; the first holds a pfn, a table or a swap offset
export const PTE_PRESENT = 1 << 0
export const PTE_RW = 1 << 1
export const PTE_ACCESSED = 1 << 2
export const PTE_DIRTY = 1 << 3
export const PTE_SOFT_DIRTY = 1 << 4
export const PTE_UFFD_WP = 1 << 5
/** Present in memory but not accessible: PROT_NONE, or a NUMA hinting mark. */
export const PTE_PROTNONE = 1 << 6
/** Maps no page of the LRU: the zero page, a pfn map. */
export const PTE_SPECIAL = 1 << 7
/** The entry maps a huge page at this level. */
export const PTE_HUGE = 1 << 8
/** The entry points to a lower table. */
export const PTE_TABLE = 1 << 9
/** Not present: the first word is an offset into swap area PTE_SWAP_TYPE. */
export const PTE_SWAP = 1 << 10
/** Not present: the page in the first word is being moved. */
export const PTE_MIGRATION = 1 << 11
export const PTE_HWPOISON = 1 << 12
/** Not present: remembers a write protection of userfaultfd for a page that was never there. */
export const PTE_MARKER = 1 << 13
/** Swap entry of a page that no other process shares. */
export const PTE_SWP_EXCLUSIVE = 1 << 14
/** A lower table that no program has come through since its accessed mark was taken away. */
export const PTE_TABLE_OLD = 1 << 15
export const PTE_SWAP_TYPE_SHIFT = 16
export const PTE_SWAP_TYPE_MASK = 31 << PTE_SWAP_TYPE_SHIFT

// --- swapon(2), swap areas and their slots
export const SWAP_FLAG_PREFER = 0x8000
export const SWAP_FLAG_PRIO_MASK = 0x7fff
/** With those of SWAP_FLAG_DISCARD, which say when a device may forget what freed slots held. */
export const SWAP_FLAGS_VALID = 0x7ffff
export const SWP_WRITEOK = 1 << 1
/** Reaching another place costs nothing. */
export const SWP_SOLIDSTATE = 1 << 4
/** A page must not change while it is being written. */
export const SWP_STABLE_WRITES = 1 << 11
/** Reading takes no longer than asking for it. */
export const SWP_SYNCHRONOUS_IO = 1 << 12
/** Marks of a slot above its count: a page of the swap cache has it; a memory file has it; there is no such slot. */
export const SWAP_HAS_CACHE = 0x8000
export const SWAP_MAP_SHMEM = 0x4000
export const SWAP_MAP_BAD = 0x3fff
export const SWAP_MAP_COUNT = 0x3fff

// --- mmap, mremap, madvise, mlock: user-space values
export const PROT_READ = 1
export const PROT_WRITE = 2
export const PROT_EXEC = 4
export const MAP_SHARED = 0x01
export const MAP_PRIVATE = 0x02
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_LOCKED = 0x2000
export const MAP_NORESERVE = 0x4000
export const MAP_POPULATE = 0x8000
export const MAP_NONBLOCK = 0x10000
export const MAP_HUGETLB = 0x40000
export const MAP_FIXED_NOREPLACE = 0x100000
export const MREMAP_MAYMOVE = 1
export const MREMAP_FIXED = 2
export const MREMAP_DONTUNMAP = 4
export const MCL_CURRENT = 1
export const MCL_FUTURE = 2
export const MCL_ONFAULT = 4
export const FALLOC_FL_KEEP_SIZE = 1
export const FALLOC_FL_PUNCH_HOLE = 2

export const MADV_NORMAL = 0
export const MADV_RANDOM = 1
export const MADV_SEQUENTIAL = 2
export const MADV_WILLNEED = 3
export const MADV_DONTNEED = 4
export const MADV_FREE = 8
export const MADV_REMOVE = 9
export const MADV_DONTFORK = 10
export const MADV_DOFORK = 11
export const MADV_MERGEABLE = 12
export const MADV_UNMERGEABLE = 13
export const MADV_HUGEPAGE = 14
export const MADV_NOHUGEPAGE = 15
export const MADV_DONTDUMP = 16
export const MADV_DODUMP = 17
export const MADV_WIPEONFORK = 18
export const MADV_KEEPONFORK = 19
export const MADV_COLD = 20
export const MADV_PAGEOUT = 21
export const MADV_POPULATE_READ = 22
export const MADV_POPULATE_WRITE = 23
export const MADV_DONTNEED_LOCKED = 24
export const MADV_COLLAPSE = 25
/** Of the proposal of 2014, whose numbers 18 and 19 are others' today. */
export const MADV_USERFAULT = 2014
export const MADV_NOUSERFAULT = 2015
export const MADV_HWPOISON = 100
export const MADV_SOFT_OFFLINE = 101

// --- what KSM was told to do
export const KSM_RUN_STOP = 0
export const KSM_RUN_MERGE = 1
export const KSM_RUN_UNMERGE = 2

// --- memory policies
export const MPOL_DEFAULT = 0
export const MPOL_PREFERRED = 1
export const MPOL_BIND = 2
export const MPOL_INTERLEAVE = 3
export const MPOL_LOCAL = 4
export const MPOL_PREFERRED_MANY = 5
export const MPOL_F_NUMA_BALANCING = 1 << 13
export const MPOL_F_RELATIVE_NODES = 1 << 14
export const MPOL_F_STATIC_NODES = 1 << 15
export const MPOL_MF_STRICT = 1
export const MPOL_MF_MOVE = 2
export const MPOL_MF_MOVE_ALL = 4
export const MPOL_F_NODE = 1
export const MPOL_F_ADDR = 2
export const MPOL_F_MEMS_ALLOWED = 4

// --- what a fault says to who asked for it (VM_FAULT_*), and what it was asked for (FAULT_FLAG_*)
export const VM_FAULT_OOM = 0x1
export const VM_FAULT_SIGBUS = 0x2
export const VM_FAULT_MAJOR = 0x4
export const VM_FAULT_HWPOISON = 0x10
export const VM_FAULT_SIGSEGV = 0x40
export const VM_FAULT_NOPAGE = 0x100
export const VM_FAULT_RETRY = 0x400
export const VM_FAULT_FALLBACK = 0x800
export const VM_FAULT_ERROR = VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_HWPOISON
export const FAULT_FLAG_WRITE = 0x1
export const FAULT_FLAG_ALLOW_RETRY = 0x4

// --- userfaultfd
export const UFFD_API = 0xaa
export const UFFD_FEATURE_PAGEFAULT_FLAG_WP = 1 << 0
export const UFFD_FEATURE_EVENT_FORK = 1 << 1
export const UFFD_FEATURE_EVENT_REMAP = 1 << 2
export const UFFD_FEATURE_EVENT_REMOVE = 1 << 3
export const UFFD_FEATURE_MISSING_HUGETLBFS = 1 << 4
export const UFFD_FEATURE_MISSING_SHMEM = 1 << 5
export const UFFD_FEATURE_EVENT_UNMAP = 1 << 6
export const UFFD_FEATURE_SIGBUS = 1 << 7
export const UFFD_FEATURE_THREAD_ID = 1 << 8
export const UFFD_FEATURE_MINOR_HUGETLBFS = 1 << 9
export const UFFD_FEATURE_MINOR_SHMEM = 1 << 10
export const UFFD_FEATURE_EXACT_ADDRESS = 1 << 11
export const UFFD_FEATURE_WP_HUGETLBFS_SHMEM = 1 << 12
export const UFFD_API_FEATURES = 0x1fff
/** The handshake is over. */
export const UFFD_FEATURE_INITIALIZED = 1 << 31
export const UFFD_USER_MODE_ONLY = 1
export const O_NONBLOCK = 0x800
export const O_CLOEXEC = 0x80000
export const UFFDIO_REGISTER_MODE_MISSING = 1
export const UFFDIO_REGISTER_MODE_WP = 2
export const UFFDIO_REGISTER_MODE_MINOR = 4
/** UFFDIO_{COPY,ZEROPAGE,CONTINUE}_MODE_DONTWAKE, UFFDIO_COPY_MODE_WP; in WRITEPROTECT the two are the other way round. */
export const UFFDIO_MODE_DONTWAKE = 1
export const UFFDIO_COPY_MODE_WP = 2
export const UFFDIO_WRITEPROTECT_MODE_WP = 1
export const UFFDIO_WRITEPROTECT_MODE_DONTWAKE = 2
export const UFFD_PAGEFAULT_FLAG_WRITE = 1
export const UFFD_PAGEFAULT_FLAG_WP = 2
export const UFFD_PAGEFAULT_FLAG_MINOR = 4
export const UFFD_EVENT_PAGEFAULT = 0x12
export const UFFD_EVENT_FORK = 0x13
export const UFFD_EVENT_REMAP = 0x14
export const UFFD_EVENT_REMOVE = 0x15
export const UFFD_EVENT_UNMAP = 0x16
