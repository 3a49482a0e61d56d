/**
 * The shapes of the machine's state: everything the simulated kernel knows is a plain object or typed array
 * reachable from one Kernel value, so it can be recounted, compared, saved and copied. Shapes only, no functions.
 *
 *     Kernel ── page[]                    one record of eight words per page frame (frames/page.ts draws it)
 *        ├── nodes[n] ── zones[n*5 .. n*5+4] ── free lists by order and migrate type
 *        │                    └── pcps[cpu]   per-CPU lists
 *        ├── cpus[c]                          clock position, folio batches
 *        ├── tasks ── mm ── vmas, page tables (state_mm.ts)
 *        └── inodes ── mapping ── pages       (state_fs.ts)
 */
import type { ListHeads } from './list.ts'
import type { Rng } from './rng.ts'
import type { CgroupState } from './state_cgroup.ts'
import type { FileSystems, Mapping } from './state_fs.ts'
import type { HugetlbState, KhugepagedState, ThpState } from './state_huge.ts'
import type { WorkingSet } from './state_idle.ts'
import type { KsmState } from './state_ksm.ts'
import type { LruGenState, LruvecGen } from './state_lru_gen.ts'
import type { MemcgState } from './state_memcg.ts'
import type { KernelLog, MemoryHotplug, Rcu } from './state_memory.ts'
import type { AddressSpaces, OomReaper, Task, Vmf } from './state_mm.ts'
import type { NumaBalancing, Traffic } from './state_numa.ts'
import type { PsiState } from './state_psi.ts'
import type { KswapdRun, PageMoves } from './state_reclaim.ts'
import type { Daemon, Mempolicy } from './state_shared.ts'
import type { SwapState } from './state_swap.ts'
import type { Sysctl } from './state_sysctl.ts'
import type { UserfaultfdState } from './state_uffd.ts'
import type { ZramDevice, ZswapState } from './state_zswap.ts'
import type { NodeId, Pfn } from './units.ts'

/** What the machine is made of, as a workload's header says it; checked before it gets here. */
export interface Machine {
  readonly nodes: readonly { readonly memBytes: number; readonly cpus: number }[]
  /** SLIT distances, row by node. */
  readonly distance: readonly (readonly number[])[]
  /** RAM below 4 GiB; undefined: all of it while it fits. */
  readonly lowmemBytes: number | undefined
  /** Bytes a second that each node's memory moves at most; without it what base/traffic.ts takes for granted. */
  readonly bandwidthBytes?: readonly number[] | undefined
  readonly swapBytes: number
  readonly swapon: boolean
  readonly diskBytes: number
  readonly modules: readonly string[]
  /** Files of the disk's image: path and size, not in the page cache. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  /** Kernel parameters in order. */
  readonly cmdline: readonly (readonly [key: string, value: string | undefined])[]
  /** The kernel's command line as /proc/cmdline shows it. */
  readonly cmdlineText: string
  readonly seed: number
}

/** Pages of one zone that wait on one CPU (struct per_cpu_pages). */
export interface Pcp {
  count: number
  high: number
  batch: number
  /** Frees double their batch while they go on, up to batch << 5. */
  freeFactor: number
  /** Seconds until a remote zone's pages are given back. */
  expire: number
  /** NR_PCP_LISTS lists. */
  readonly lists: readonly PcpList[]
  /** Room for one refill. */
  readonly refill: Int32Array
}

/** A ring of page numbers; negated for pages that came from a block reserved for atomic requests. */
export interface PcpList {
  ring: Int32Array
  /** Position of the page to be given out next, and how many there are. */
  head: number
  n: number
}

/** A run of top-order blocks that have been free since boot and are not linked yet. */
export interface Virgin {
  next: number
  end: number
}

export interface Zone {
  readonly index: number
  readonly node: NodeId
  /** ZONE_DMA .. ZONE_DEVICE */
  readonly type: number
  startPfn: number
  spannedPages: number
  presentPages: number
  managedPages: number
  wmarkMin: number
  wmarkLow: number
  wmarkHigh: number
  wmarkPromo: number
  watermarkBoost: number
  /** Pages kept from requests that could have used zone type j. */
  readonly lowmemReserve: number[]
  readonly stat: Float64Array
  readonly numa: Float64Array
  /** First of MAX_ORDER * MIGRATE_TYPES lists. */
  readonly freeLists: number
  /** Free blocks by order, virgin ones included. */
  readonly nrFree: Int32Array
  /** Stand behind the linked blocks of the movable list of the top order, lowest first. */
  virgin: Virgin[]
  readonly pcps: Pcp[]
  pcpHigh: number
  pcpBatch: number
  nrReservedHighatomic: number
  /** Some fallback raised the boost and kswapd has not been told. */
  boostedWatermark: boolean
  reclaimActive: boolean
  readonly compact: CompactState
  /** undefined where there is one CPU only. */
  readonly lock: ZoneLock | undefined
}

/** Who holds a zone's lock for how much of its time (frames/zone_lock.ts), by CPU. */
export interface ZoneLock {
  /** In the window under way: time and times it was held, time waited for it, and when the window began; 0: it never held it. */
  readonly heldNs: Float64Array
  readonly holds: Float64Array
  readonly waitedNs: Float64Array
  readonly startNs: Float64Array
  /** In the last one: share of its time, and how long at once. */
  readonly share: Float64Array
  readonly lengthNs: Float64Array
  /** What it has to expect: how often it finds the lock taken, from 0 to 1, and how long it waits each time it wants it. */
  readonly met: Float64Array
  readonly waitNs: Float64Array
  /** Since boot. */
  readonly total: { taken: number; contended: number; heldNs: number; waitedNs: number }
}

/** What compaction remembers of a zone between runs. */
export interface CompactState {
  cachedFreePfn: number
  /** Where the migrate scanner goes on: for asynchronous and for synchronous runs. */
  cachedMigrateAsyncPfn: number
  cachedMigrateSyncPfn: number
  initMigratePfn: number
  initFreePfn: number
  considered: number
  deferShift: number
  orderFailed: number
  blockskipFlush: boolean
}

/** The daemon that keeps a node's pages free. */
export interface Kswapd extends Daemon {
  /** What it was last woken for: the largest block, and the highest zone type that may be used for it; -1 for nothing. */
  order: number
  highestZoneidx: number
  /** Runs without result, in a row. */
  failures: number
  /** Until when it naps after a run, ready to be woken early; 0 while it sleeps for good or works. */
  napUntilNs: number
  /** What its last run was for. */
  lastOrder: number
  lastZoneidx: number
  /** The run it is in the middle of: others get their turn now and then. */
  run: KswapdRun | undefined
}

/** The LRU lists of a node and memory cgroup: five list numbers from `lists` on, in LRU_* order, and reclaim's running costs. */
export interface Lruvec {
  readonly memcg: number
  readonly lists: number
  readonly size: Float64Array
  /** Sizes by zone type * 5 + LRU_*, and NODE_STATS of the group's pages on this node; empty for the root, which has what the others leave. */
  readonly zoneSize: Float64Array
  readonly stat: Float64Array
  /** What the group and all below it had, when that was added up last, of what reclaim goes by (FLUSHED_STATS). */
  readonly flushed: Float64Array
  /** Reclaim of the group, or for all of the node, met only pages that wait for the disk (LRUVEC_CONGESTED). */
  congested: boolean
  /** List of huge pages that are partly unmapped, threaded through their second tails. */
  readonly deferredSplit: number
  /** Names and inodes of files that the group was to be asked for, but were too few for it (nr_deferred). */
  deferredObjects: number
  /** Leaves of files' indices that hold nothing but shadows, the oldest first (reclaim/shadow_shrink.ts), and those put off as above. */
  readonly shadowLeaves: Map<number, Mapping>
  deferredLeaves: number
  anonCost: number
  fileCost: number
  nonresidentAge: number
  readonly refaults: Float64Array
  readonly gen: LruvecGen
}

export interface Node {
  readonly id: NodeId
  readonly cpus: readonly number[]
  startPfn: number
  spannedPages: number
  readonly stat: Float64Array
  /** Zone indices in the order they are tried: by distance, and in each node from the highest zone down. */
  readonly zonelist: number[]
  /** The same for __GFP_THISNODE. */
  readonly ownZonelist: number[]
  /** Lruvecs of this node by memory cgroup id; 0 is the root. */
  readonly lruvecs: Lruvec[]
  readonly kswapd: Kswapd
  /** PGDAT_*: what kswapd found out about the node's file pages. */
  reclaimFlags: number
  /** kcompactd; it looks at the node's fragmentation itself at timeoutNs. */
  readonly kcompactd: Daemon & { order: number; highestZoneidx: number; timeoutNs: number }
  proactiveCompactTrigger: boolean
  totalreserve: number
}

/** Pages on their way to an LRU list: taken with a reference, put on the list 15 at a time (struct folio_batch). */
export interface FolioBatch {
  readonly pages: Int32Array
  n: number
}

export interface Cpu {
  readonly id: number
  readonly node: NodeId
  online: boolean
  /** How far this CPU's work has come, in nanoseconds. */
  nowNs: number
  readonly lruAdd: FolioBatch
  readonly lruRotate: FolioBatch
  readonly lruDeactivateFile: FolioBatch
  readonly lruDeactivate: FolioBatch
  readonly lruLazyfree: FolioBatch
  readonly activate: FolioBatch
  readonly mlock: FolioBatch
  /** Kernel stacks of ended tasks, as their pages, kept for the next ones. */
  readonly cachedStacks: (readonly number[])[]
  /** Of the promised pages (committedAs), those that this CPU has not told the others about. */
  committed: number
}

/** Slabs that one CPU holds: the one it takes objects from, and those with room that follow (struct kmem_cache_cpu). */
export interface CpuSlabs {
  slab: Pfn
  readonly partial: Pfn[]
}

/** A kind of kernel object and the pages it lives in (struct kmem_cache). */
export interface KmemCache {
  readonly name: string
  /** Room that an object takes. */
  readonly objectBytes: number
  readonly order: number
  readonly objectsPerSlab: number
  readonly reclaimable: boolean
  /** Objects used, those there is room for, and slabs: boot's own apart. */
  active: number
  total: number
  nrSlabs: number
  /** Slabs that boot filled, which stay, and free objects in them. */
  readonly bootSlabs: number
  bootFree: number
  /** Of objects that are counted elsewhere (calls/objects.ts): how many the slabs have followed. */
  settled: number
  /** First of the lists, one a node, of slabs with room and of full ones, threaded through their pages. */
  readonly partial: number
  readonly full: number
  readonly cpus: readonly CpuSlabs[]
  /** Slabs with room that a node keeps; free objects, and slabs, that a CPU keeps. */
  minPartial: number
  cpuPartial: number
  cpuPartialSlabs: number
  /** How readily slabs of other nodes are used, in percent. */
  remoteRatio: number
}

/** A kind of page contents: everything but which page of it. Index 0 is all zeros. */
export interface ContentClass {
  readonly kind: 'zero' | 'const' | 'page' | 'unique' | 'perproc' | 'comp' | 'file' | 'patched' | 'swap_header'
  /** What tells two classes of one kind apart. */
  readonly key: string
  /** Percent of the page that does not compress; 100 for random bytes, 0 when one word repeats. */
  readonly incompressible: number
  /** Bytes of one 64-bit word repeated: what zswap and zram call same-filled. */
  readonly sameFilled: boolean
}

export interface ContentTable {
  readonly classes: ContentClass[]
  readonly byKey: Map<string, number>
  /** The last write of single bytes: class before, offset in the page -> class after. */
  readonly patches: Map<number, number>
  /** The memo used last, and what it gave. */
  lastPatch: number
  lastPatched: number
  /** Compressed sizes in bytes, by class and compressor (base/compress.ts). */
  readonly compressed: Map<number, number>
}

/** Something worth a line on the screen: "NS KIND TEXT" in /mmtop/events. */
export interface KernelEvent {
  readonly ns: number
  readonly kind: string
  readonly text: string
}

/** Pages that were unmapped and are let go together (struct mmu_gather). */
export interface Gather {
  readonly pages: Int32Array
  n: number
  /** Places taken: by cleared entries and page tables. */
  places: number
  /** How many pages there were when each part became full, and the pages got for more parts. */
  readonly ends: number[]
  readonly extra: Pfn[]
}

/** The free block that an allocation waits for while it compacts a zone: kept for it as soon as pages merge into it. */
export interface Capture {
  /** Zone index and order wanted, -1 for none. */
  zone: number
  order: number
  /** What was caught, NO_PAGE before. */
  pfn: Pfn
}

export interface Kernel {
  readonly machine: Machine
  readonly rng: Rng
  /**
   * Nanoseconds since the first process runs, at the CPU that runs now, in element 0: a typed array, because numbers in objects are boxed.
   * In element 1, when the turn of who runs is over: Infinity for who is not to be interrupted.
   */
  readonly clock: Float64Array
  /** A kernel thread was woken and wants to run now: who runs in slices of time ends his. Cleared when a slice begins. */
  needResched: boolean
  /** The CPU that runs now, and for whom: undefined is a kernel thread. */
  cpu: number
  current: Task | undefined
  /** Page records, PAGE_WORDS each, by pfn. */
  readonly page: Int32Array
  readonly maxPfn: number
  /** Migrate type and zone index of each page block; 255 where there is no memory. */
  readonly blockType: Uint8Array
  readonly blockZone: Uint8Array
  /** Blocks that compaction need not look at again: 1. */
  readonly blockSkip: Uint8Array
  readonly capture: Capture
  readonly heads: ListHeads
  readonly nodes: Node[]
  readonly zones: Zone[]
  readonly cpus: Cpu[]
  readonly event: Float64Array
  /** Frames whose bytes are in the processor's cache, by remainder (base/cost.ts). */
  readonly inCache: Int32Array
  /** Where virtual time went, by kind (base/cost.ts). */
  readonly costNs: Float64Array
  /** Whose account time is on now (base/cost.ts), and what costNs was when his turn began. */
  readonly account: { owner: Float64Array | undefined; readonly mark: Float64Array }
  readonly sysctl: Sysctl
  readonly contents: ContentTable
  readonly spaces: AddressSpaces
  readonly vmf: Vmf
  readonly gather: Gather
  readonly fs: FileSystems
  readonly swap: SwapState
  readonly zswap: ZswapState
  readonly psi: PsiState
  /** By number; undefined where a device was removed. */
  readonly zram: (ZramDevice | undefined)[]
  readonly memcg: MemcgState
  readonly cgroup: CgroupState
  readonly caches: Map<string, KmemCache>
  readonly hugetlb: HugetlbState
  readonly thp: ThpState
  readonly khugepaged: KhugepagedState
  readonly ksm: KsmState
  readonly vmstat: Daemon
  readonly workingSet: WorkingSet
  readonly lruGen: LruGenState
  readonly uffd: UserfaultfdState
  readonly secretmem: SecretmemState
  readonly tasks: Map<number, Task>
  nextPid: number
  /** Pages that init and user space may have at most: kept for CommitLimit and the like. */
  totalramPages: number
  totalreservePages: number
  /** Pages of all swap areas in use (total_swap_pages). */
  swapPages: number
  /** Pages promised to accountable mappings (vm_committed_as). */
  committedAs: number
  /** min_free_kbytes as the user wrote it, -1 while nobody has. */
  userMinFreeKbytes: number
  /** Pages out of use because their memory is broken, or about to break. */
  poisonedPages: number
  /** The shared page of zeros that reads of untouched memory map. */
  zeroPage: Pfn
  readonly policies: { readonly default: Mempolicy; interleavePrev: number }
  readonly numa: NumaBalancing
  readonly traffic: Traffic
  /** Page-table locks that were found taken, and the wait for them, by level: PTE table, PMD table, address space. */
  readonly ptLocks: { readonly contended: Float64Array; readonly waitedNs: Float64Array }
  /** Pages that are being moved, or were lately. */
  readonly moves: PageMoves
  readonly boot: BootFigures
  readonly memory: MemoryHotplug
  readonly log: KernelLog
  readonly rcu: Rcu
  readonly oomReaper: OomReaper
  readonly events: KernelEvent[]
  /** Freed pages get their records filled with junk, to make stale use show (tests). */
  readonly junkOnFree: boolean
}

/** Memory that the kernel cannot read (caches/secretmem.ts). */
export interface SecretmemState {
  /** secretmem.enable on the command line. */
  readonly enabled: boolean
  /** Its pages by the user who made the file. */
  readonly locked: Map<number, number>
  /** Entries of 2 MiB of the direct map that were split for it, by number. */
  readonly split: Set<number>
}

/** Figures that boot settles and nothing changes later, or that only few paths change. */
export interface BootFigures {
  percpuPages: number
  vmallocUsedPages: number
  directMap4kKb: number
  directMap2mKb: number
  directMap1gKb: number
  /** Which GiBs one entry maps, by number. */
  readonly directMapGibs: Set<number>
  kernelStackKb: number
  /** Pages of kernel objects that boot made. */
  slabPages: number
  maxThreads: number
  /** Page tables of no process. */
  kernelTables: number
  /** Page frames inside zones that boot keeps for good, or that are holes; ascending runs [start, end). */
  reserved: readonly { readonly start: number; readonly end: number }[]
}
