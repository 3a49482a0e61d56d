/**
 * The cost model: what each elementary act takes, in nanoseconds. Virtual time passes only through `spend`, so the
 * account by kind (`/mmtop/costs`) adds up to the time that passed. Whose turn it is has an account of his own by kind.
 *
 * The figures are those of one machine, the one whose populate and fault timings were published with
 * MADV_POPULATE_READ/WRITE (a 2.5 GHz Xeon): clearing 2 MiB takes 174 us there, 30 us when they are in the processor's cache, a write fault on
 * a 4 KiB page 0.68 us of which 0.16 us is the exception, reading 4 GiB of untouched memory 0.23 us a page. They are few, and each is one
 * physical thing. Those that the published table depends on were fitted to all of its 190 cells (`npm run bench -- populate`).
 */
import type { Kernel } from './state.ts'
import { LINE_BYTES, trafficNs } from './traffic.ts'
import { PAGE_SIZE } from './units.ts'

export const COSTS = {
  /** Exception entry and exit of a page fault, and finding the VMA. */
  fault_entry: 163,
  /** Walking to the entry, checking and writing it, with its counters. */
  fault_pte: 82,
  /** Entering and leaving a system call. */
  syscall: 120,
  /** One page of 4 KiB from the allocator to its owner: per-CPU list, charge, LRU batch, rmap. */
  page_alloc: 142,
  page_free: 60,
  /** Clearing and copying 4 KiB that are in the processor's cache; and what it takes more to write 4 KiB that are not. */
  clear_page: 58,
  copy_page: 249,
  page_miss: 261,
  /** A user access to a line that is not in the processor's cache. */
  line_miss: 61,
  /** A file page put into the page cache or taken out of it; and looked for there. */
  page_cache: 125,
  page_find: 19,
  /** One page of a file mapped: its reference, reverse map and entry. */
  file_map: 38,
  /** Looking up a page that is mapped already, on behalf of who populates. */
  follow_page: 12,
  /** Visiting one page-table entry without changing it. */
  pte_visit: 3,
  pte_change: 25,
  /** One TLB flush of this CPU's and its peers' entries. */
  tlb_flush: 45,
  /** Opening a small file of /proc or /sys, formatting and reading its text, closing it. */
  file_read: 11_000,
  vma_change: 400,
  fork_task: 60_000,
  exit_task: 30_000,
  /** A user access that hits memory through a warm table entry. */
  access: 4,
  /** Copying 4 KiB between user space and the page cache. */
  copy_user: 250,
  /** Looking at one page on an active list for uses; deciding on one that is to be reclaimed, and taking it from its cache; moving one. */
  lru_scan: 90,
  reclaim_page: 160,
  lru_move: 40,
  /** Asking the dozens of owners of other memory (caches of file systems above all) for some, where there is little to be had. */
  shrink_slab: 20_000,
  /** Looking at one name that nobody uses, and dropping it; and an inode with all that hangs on it. */
  prune_dentry: 250,
  evict_inode: 900,
  /** Giving a page a slot of swap and a place in the swap cache, and a request to the disk or zram's driver its bytes. */
  swap_page: 1_500,
  /** Unmapping one page through its reverse map. */
  rmap_unmap: 220,
  migrate_page: 900,
  compact_scan: 25,
  khugepaged_pte: 12,
  context_switch: 1_500,
  /** Building a request for a disk, queueing it and taking its interrupt. */
  block_request: 2_000,
  /** Getting a page of a disk file ready to be written to: buffers, promised blocks, the inode's size. */
  block_write_begin: 228,
  /** Finding a name in a directory, or changing it. */
  lookup: 900,
  /** Waiting for the disk, as the waiting task sees it (block.ts says how long). */
  io_wait: 1,
  /** Computing on what was asked for: `rate=` and sleeps inside an op. */
  idle: 1,
  zswap_page: 4_000,
  /** KSM finding the next page and its record; its checksum of 4 KiB (xxh64 at 8770 MB/s, as measured when KSM took it up). */
  ksm_page: 150,
  ksm_checksum: 470,
  /** Comparing two pages that differ in their first bytes, each a miss of the cache, and two that are the same to the end. */
  ksm_compare: 160,
  ksm_compare_whole: 420,
  numa_hint: 800,
  /** Waiting for memory of another node, or for the bandwidth of a node that many use, as base/traffic.ts works out. */
  remote_access: 1,
  /** Waiting for a page-table lock that another CPU holds. */
  pt_lock: 1,
  /** Waiting for the lock of a zone's free lists that another CPU holds. */
  zone_lock: 1,
  /** Waiting for a page that is being moved. */
  migration_wait: 1,
} as const

/**
 * Pages that the processor's last-level cache holds, and of which there is one for each remainder: the cache is modelled as one
 * place for each, which holds the frame that was written or touched last.
 */
export const CACHE_PAGES = 2048

export const COST_NAMES: readonly string[] = Object.keys(COSTS)

const NS = Float64Array.from(Object.values(COSTS))

/** Indices into costNs by name. */
export const COST = indices(COSTS)

function indices<T extends object>(costs: T): { readonly [name in keyof T]: number }
function indices(costs: object): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.keys(costs).map((name, i) => [name, i]))
}

const { page_miss: PAGE_MISS, line_miss: LINE_MISS, remote_access: REMOTE } = COST

/** Virtual time at the CPU that runs now, in nanoseconds since the first process runs. */
export const now = (k: Kernel): number => k.clock[0]

/**
 * Whether who runs is to let others have their turn, if his system call can be divided: it then says where it stopped (Task.restart), fails
 * with ERESTARTNOINTR and is made again. Linux would be interrupted there, or call cond_resched.
 */
export const turnOver = (k: Kernel): boolean => k.clock[0] >= k.clock[1] || (k.needResched && k.clock[1] < Number.POSITIVE_INFINITY)

/** How long the machine has been up by then: about as long as the machines of the recordings take to boot, in nanoseconds. */
const BOOT_NS = 2.2e9

/** A moment's nanoseconds since the machine was switched on, as users see it in times of the log and of /proc (ktime_get_boottime). */
export const sinceBoot = (ns: number): number => BOOT_NS + ns

/** Clears or copies to `pages` pages from `pfn` on, which takes longer when they are not in the processor's cache. */
export function spendOnPages(k: Kernel, cost: number, pfn: number, pages: number): void {
  spend(k, cost, pages)
  if (k.inCache[pfn & (CACHE_PAGES - 1)] === pfn) return
  k.inCache[pfn & (CACHE_PAGES - 1)] = pfn
  spend(k, PAGE_MISS, pages)
  if (k.traffic.on) spend(k, REMOTE, trafficNs(k, pfn, pages * PAGE_SIZE, pages * NS[PAGE_MISS]))
}

/** The same for pages that are known not to be there. */
export function spendOnMemory(k: Kernel, cost: number, pages: number): void {
  spend(k, cost, pages)
  spend(k, PAGE_MISS, pages)
}

/** A program's access to a page of which a line is not in the processor's cache. */
export function spendLineMiss(k: Kernel, pfn: number): void {
  k.inCache[pfn & (CACHE_PAGES - 1)] = pfn
  spend(k, LINE_MISS, 1)
  if (k.traffic.on) spend(k, REMOTE, trafficNs(k, pfn, LINE_BYTES, NS[LINE_MISS]))
}

/** Time by kind, none yet: what somebody's account begins with. */
export const costAccount = (): Float64Array => new Float64Array(COST_NAMES.length)

/**
 * From here on the time that passes is on `owner`'s account; what has passed since the last call goes to whose turn it was.
 * @param owner of a task or a kernel thread; undefined: nobody's, as what is read and set from outside
 * @returns whose turn it was
 */
export function switchAccount(k: Kernel, owner: Float64Array | undefined): Float64Array | undefined {
  const { account, costNs } = k
  const before = account.owner
  if (before !== undefined) for (let i = 0; i < costNs.length; i++) before[i] += costNs[i] - account.mark[i]
  account.mark.set(costNs)
  account.owner = owner
  return before
}

/** Lets time of a kind pass that was worked out otherwise. */
export function spendNs(k: Kernel, cost: number, ns: number): void {
  k.costNs[cost] += ns
  k.clock[0] += ns
}

/** Lets the time of `times` acts of a kind pass on the CPU that runs now. */
export function spend(k: Kernel, cost: number, times: number): void {
  const ns = NS[cost] * times
  k.costNs[cost] += ns
  k.clock[0] += ns
}
