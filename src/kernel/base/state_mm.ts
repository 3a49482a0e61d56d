/** Shapes of processes and their address spaces. Shapes only; spaces/ and calls/ hold the functions. */
import type { Regions } from './regions.ts'
import type { Mapping, OpenFile } from './state_fs.ts'
import type { MmGen } from './state_lru_gen.ts'
import type { MmNuma, TaskNuma } from './state_numa.ts'
import type { Daemon, Mempolicy, RmapEntry } from './state_shared.ts'
import type { UffdEvent } from './state_uffd.ts'
import type { Pid } from './units.ts'

/** Where anonymous pages' mappings are found (struct anon_vma). */
export interface AnonVma {
  readonly id: number
  readonly root: number
  readonly rmap: RmapEntry[]
  /** VMAs whose chain holds this, and forks made from it: nothing left means free. */
  refs: number
  /** The group that is charged for it. */
  readonly payer: number
}

export interface Vma {
  readonly mm: Mm
  /** Virtual pages [start, end). */
  start: number
  end: number
  flags: number
  /** Page offset: into the file, or for anonymous memory the virtual page it was first mapped at. */
  pgoff: number
  /** What is mapped; undefined for private anonymous memory. */
  mapping: Mapping | undefined
  /** Set for anonymous shared memory and files: the open file that keeps it. */
  file: OpenFile | undefined
  /** anon_vma of new pages, 0 before the first; and all those its pages may belong to. */
  anonVma: number
  chain: readonly number[]
  /** Groups that are charged for the area and for its links to anon_vmas. */
  payer: number
  linkPayer: number
  policy: Mempolicy | undefined
  uffd: number
  /** How pages are read ahead from swap by their addresses; absent before the first. */
  swapRa?: SwapWindow
  /** What /proc/PID/maps prints at the end of the line for memory of no file: "[stack]" and the like. */
  readonly name: string
  /**
   * Promises to a private mapping of huge TLB pages: of those who mapped it; undefined for a forked copy, which has none,
   * 'lost' for one that had to give a page back to its parent and may not fault any more.
   */
  resv: HugetlbResv | 'lost' | undefined
}

/** Reading ahead in an area (vma->swap_readahead_info): the page looked at last, pages read with it, and hits since. */
export interface SwapWindow {
  readonly vpn: number
  readonly window: number
  readonly hits: number
}

/** Which pages of a private mapping of huge TLB pages, by index in the file, have used the promise made for them. */
export interface HugetlbResv {
  readonly consumed: Regions
  /** Areas it was cut into. */
  refs: number
}

/** VMAs in address order, in leaves of bounded length: find and insert touch one leaf. */
export interface VmaTree {
  readonly leaves: Vma[][]
  /** Pages of the largest gap below a VMA of each leaf, at most; -1: not known. */
  readonly gaps: number[]
  count: number
}

/** How much of its time each CPU holds page-table locks of each level (spaces/pt_lock.ts), [CPU x 3 + level]. */
export interface MmLocks {
  /** In the window under way. */
  readonly heldNs: Float64Array
  readonly holds: Float64Array
  /** In the last one: share of its time, and how long a lock is held. */
  readonly share: Float64Array
  readonly lengthNs: Float64Array
  /** When each CPU's window began; 0: it never held one. */
  readonly startNs: Float64Array
}

export interface Mm {
  readonly id: number
  readonly vmas: VmaTree
  /** Top page table. */
  readonly pgd: number
  /** Tasks that use it. */
  users: number
  totalVm: number
  lockedVm: number
  dataVm: number
  execVm: number
  stackVm: number
  rssFile: number
  rssAnon: number
  rssShmem: number
  /** How much of that is not shown yet (spaces/rss.ts). */
  readonly rssNoted: Int32Array
  swapEnts: number
  hugetlbPages: number
  hiwaterRss: number
  hiwaterVm: number
  /** Bytes of page tables (mm->pgtables_bytes). */
  pgtablesBytes: number
  /** Flags given to every new mapping (mlockall MCL_FUTURE). */
  defFlags: number
  /** It was killed for memory and the reaper has it on its list; its memory is gone, or as good as (MMF_OOM_SKIP): others may be killed. */
  oomReapQueued: boolean
  oomSkip: boolean
  /** prctl(PR_SET_THP_DISABLE) */
  thpDisable: boolean
  /** The memory cgroup that is charged for its pages: that of the task that owns it; and the one that is for the address space itself. */
  memcg: number
  readonly payer: number
  /** khugepaged looks at it. */
  khugepaged: boolean
  /** Holds one use of the huge page of zeros until it ends. */
  hugeZeroPage: boolean
  /** KSM looks at it; its entries that map merged pages by KSM's books, and its pages that KSM has records of. */
  mergeable: boolean
  ksmMergingPages: number
  ksmRmapItems: number
  /** What its parent said of these two when it was forked: a fork begins with its parent's counts, which are never taken off. */
  ksmForkedMergingPages: number
  ksmForkedRmapItems: number
  /** Where mmap without an address looks downwards from. */
  readonly mmapBase: number
  startBrk: number
  brk: number
  /** Virtual page >> 9 and table of the last walk, so that a run of faults walks once. */
  walkKey: number
  walkTable: number
  /** The area found last. */
  lastVma: Vma | undefined
  readonly numa: MmNuma
  readonly lruGen: MmGen
  /** While others than its own process work on its tables. */
  locks: MmLocks | undefined
}

/** The numbers of the fault being handled (struct vm_fault): one, reused, so that wide ones need no boxes on the way down. */
export interface Vmf {
  /** The virtual page, in element 0; and how many pages it is from the area's start. */
  readonly vpn: Float64Array
  offset: number
  write: boolean
  /** The program itself touched the page; otherwise the kernel faults it in. */
  user: boolean
  /** Who faults it in cannot wait for somebody to handle the fault (no FAULT_FLAG_ALLOW_RETRY). */
  atOnce: boolean
  /** The page of a memory file had to be read from swap. */
  major: boolean
  /** Table and index of the entry. */
  table: number
  i: number
}

export interface Rlimits {
  memlock: number
  as: number
  data: number
}

export interface Task {
  readonly pid: Pid
  readonly parent: number
  comm: string
  mm: Mm | undefined
  /** CPUs it may run on, in order; and the one it is on. */
  cpusAllowed: readonly number[]
  cpu: number
  policy: Mempolicy | undefined
  /** Node that interleaving without an address used last. */
  ilPrev: number
  /** Its control group, or one above, is frozen: it does not run, unless to die. */
  frozen: boolean
  /** Numbers of its control group, and of the group whose cpuset rules it. */
  cgroup: number
  cpuset: number
  /** Bit per node its cpuset allows. */
  memsAllowed: number
  numa: TaskNuma
  memcg: number
  /** The group that is charged for its task_struct and the like. */
  readonly payer: number
  /** Pages it charged beyond memory.high since it last made up for that. */
  overHighPages: number
  uid: number
  gid: number
  readonly rlimits: Rlimits
  oomScoreAdj: number
  oomVictim: boolean
  /** It does what takes all memory there is, and is killed for it before anybody else (oom_task_origin). */
  oomOrigin: boolean
  minflt: number
  majflt: number
  startNs: number
  /** Nanoseconds of CPU it used, and what for, by kind of cost. */
  ranNs: number
  readonly costNs: Float64Array
  /** The pages of its kernel stack. */
  readonly stack: readonly number[]
  /** Signal that killed it, or 0. */
  killed: number
  /** It is on its way out, and its memory is being let go (PF_EXITING). */
  exiting: boolean
  files: Set<OpenFile>
  /** Its userfaultfd descriptors (UffdContext.id). */
  readonly uffds: Set<number>
  /** What it sleeps for in the middle of a fault or a system call. */
  wait: TaskWait | undefined
  /** Where the system call that slept goes on when it is made again. */
  restart: Restart | undefined
  /** Events that it has to report before its system call returns. */
  readonly untold: UffdEvent[]
  /** Kernel stacks of its further threads. */
  readonly threads: (readonly number[])[]
}

/** A fault that waits for who handles it, of the program's own access or (`user` false) of a system call; or an event to be read. */
export interface TaskWait {
  readonly kind: 'fault' | 'event'
  readonly vpn: number
  readonly write: boolean
  readonly user: boolean
  woken: boolean
}

/** Where a system call stopped that is to be made again. */
export interface Restart {
  /** The virtual page, or page of a file, from which on it goes on. */
  readonly at: number
  /** Whether what it has to report is reported. */
  readonly told: boolean
  /** What is left of a call that is not simply made again from there. */
  readonly rest?: Rest
}

/** The rest of a call whose first part is done. */
export type Rest =
  /** mmap and mremap have mapped something that is to be faulted in up to page `end`, and then return `ret`. */
  | { readonly kind: 'populate'; readonly end: number; readonly ret: number }
  | ForkRest
  | MovingArea
  /** A file gets shorter, or a hole. */
  | { readonly kind: 'truncate' }
  /** A file gets pages; its first page beyond what is set aside was this before (Inode.fallocEnd). */
  | { readonly kind: 'allocate'; readonly fallocEnd: number }

/** fork has a stack for the child and copies the areas; `forks` are the child's userfaultfd contexts by those of the parent. */
export interface ForkRest {
  readonly kind: 'fork'
  readonly mm: Mm
  readonly stack: readonly number[]
  readonly forks: Map<number, number>
}

/** mremap moves the entries of `oldPages` pages to page `to`. */
export interface MovingArea {
  readonly kind: 'move'
  readonly call: MoveCall
  /** The area that covers the new place, and that of the old one, which may be the same. */
  readonly area: Vma
  readonly source: Vma
  readonly to: number
  /** Pages promised for it, and the peak of the address space before it. */
  readonly promise: number
  readonly hiwaterVm: number
}

/** mremap(2) in virtual pages. */
export interface MoveCall {
  readonly at: number
  readonly oldPages: number
  readonly newPages: number
  /** MREMAP_* */
  readonly flags: number
  /** Byte address: it has not been checked yet. */
  readonly to: number
  /** What the task has to report before it reports the move. */
  readonly reported: number
}

export interface AddressSpaces {
  readonly mms: Map<number, Mm>
  readonly anonVmas: Map<number, AnonVma>
  /** Links of areas to them (anon_vma_chain). */
  anonVmaChains: number
  nextMm: number
  nextAnonVma: number
  readonly tables: PageTables
  /** Spare tables of huge entries by the pmd table they stand in. */
  readonly deposits: Map<number, number[]>
  /** Kernel objects that groups have still to be charged for, or to be given back (frames/owed.ts). */
  readonly owed: Map<number, Float64Array>
  /** Tables of huge TLB pages that several address spaces use: how many beside the first. */
  readonly sharedTables: Map<number, number>
  /** Some table has been shared: a process' hugetlbPages may be pages that others map, as the one whose fault brought a page counts it for good. */
  tablesWereShared: boolean
}

/**
 * All page tables, of every level: table t is 512 entries of two words in chunk t >> TABLES_SHIFT. The first word
 * of an entry holds a pfn, a lower table's number or a swap offset, the second its PTE_* flags.
 */
export interface PageTables {
  readonly chunks: Int32Array[]
  /** The page each table occupies, and how many of its entries are not empty. */
  pfn: Int32Array
  used: Int32Array
  free: number[]
  count: number
}

/** A process that was killed for memory, and when the reaper looks whether it has left. */
export interface OomVictim {
  readonly mm: Mm
  readonly pid: number
  readonly comm: string
  readonly atNs: number
}

export interface OomReaper {
  readonly daemon: Daemon
  queue: OomVictim[]
}
