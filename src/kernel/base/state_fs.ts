/** Shapes of files, page caches, disks and file systems. */
import type { Regions } from './regions.ts'
import type { Daemon, Mempolicy, RmapEntry, ShmemHuge } from './state_shared.ts'
import type { Pfn } from './units.ts'

/** 64 page-cache slots (struct xa_node): a pfn, 0 for none, or a negative value: the shadow of a page that was evicted. */
export interface XaNode {
  readonly slots: Int32Array
  /** Ages of the shadows, once there was one. */
  ages: Float64Array | undefined
  /** Slots in use, and how many of them hold shadows. */
  count: number
  shadows: number
  /** Pages of the node that are dirty, and that are being written: walks skip nodes without. */
  dirty: number
  writeback: number
  /** NUMA node its memory is taken from. */
  readonly nid: number
  /** The memory cgroup of the task that made it; while it holds nothing but shadows, the one on whose list it is. */
  memcg: number
}

/** Page index -> page or shadow (mapping->i_pages). */
export interface XArray {
  readonly nodes: Map<number, XaNode>
  /** Heads of huge pages by index / 512. */
  readonly huge: Map<number, number>
  /** Children of each inner node, by level and position: only their number matters, for they cost memory. */
  readonly inner: Map<number, number>
  /** Levels of inner nodes above the leaves. */
  levels: number
  /** The node used last and its number, so that a run of neighbours looks up once. */
  lastKey: number
  last: XaNode | undefined
}

/** What is on disk of a file: per 512 pages, content class + 1 and index of each; 0 is as in the image, -1 a hole. */
export interface DiskBlocks {
  readonly chunks: Map<number, Int32Array>
  /** Pages [0, imagePages) come from the disk's image, with this content class. */
  imagePages: number
  readonly imageContent: number
  /** Pages that fallocate gave blocks to, written or not. */
  readonly allocated: Regions
}

/**
 * Who is charged for the kernel objects of a file: the memory cgroup whose task made the first of them, on which node, and for how
 * many index nodes, inodes and dentries.
 */
export interface ChargedObjects {
  memcg: number
  nid: number
  nodes: number
  inodes: number
  dentries: number
}

/** The page cache of one file (struct address_space). */
export interface Mapping {
  readonly id: number
  readonly inode: Inode
  readonly pages: XArray
  readonly charged: ChargedObjects
  /** The memory cgroup whose page was the first that was dirty: by its limits the file is written. */
  dirtier: number
  nrPages: number
  nrShadows: number
  nrDirty: number
  nrWriteback: number
  /** Where background writeback goes on. */
  writebackIndex: number
  /** Who maps it. */
  readonly rmap: RmapEntry[]
  /** Shared mappings that may write. */
  writable: number
  /** All its pages are unevictable (ramfs, SHM_LOCK). */
  unevictable: boolean
}

export interface Inode {
  readonly id: number
  /** Its number in its file system, as /proc/PID/maps prints it. */
  readonly ino: number
  readonly sb: SuperBlock
  path: string
  readonly directory: boolean
  sizeBytes: number
  nlink: number
  readonly mapping: Mapping
  /** What is on disk; undefined for files that live in memory. */
  readonly blocks: DiskBlocks | undefined
  /** Open files, which mappings hold too. */
  openCount: number
  /** Directories only: number of names in it. */
  names: number
  /** Its objects (inode, dentry) that are in memory now: bits INODE_CACHED, DENTRY_CACHED. */
  cached: number
  /** Memory files: pages that its size has not been promised for are promised one by one (VM_NORESERVE). */
  readonly noreserve: boolean
  /** Memory files: pages accounted to the mount, those swapped out included (shmem_inode_info.alloced, swapped). */
  alloced: number
  swapped: number
  /** Memory files: pages up to here were allocated by fallocate, perhaps beyond the end. */
  fallocEnd: number
  /** Memory policies by page range of a shared object (tmpfs, memfd). */
  readonly policies: SharedPolicy[]
  readonly hugetlb: HugetlbInode | undefined
  mode: number
  uid: number
  gid: number
  /** When its first dirty page was dirtied, 0 while clean. */
  dirtiedNs: number
}

export interface SharedPolicy {
  start: number
  end: number
  readonly policy: Mempolicy
}

export interface HugetlbInode {
  readonly hstate: number
  /** Its page cache: heads by index, in huge pages. */
  readonly pages: Map<number, Pfn>
  /** Indices that pages have been promised for, whether they are there yet or not. */
  readonly reserved: Regions
  /** A shared memory segment: its pages were promised when it was made, so mapping it promises none. */
  readonly segment: boolean
}

/** Quota of a hugetlbfs mount (struct hugepage_subpool); -1 means no limit. */
export interface HugetlbSubpool {
  readonly id: number
  readonly hstate: number
  /** The mount still stands. */
  mounted: boolean
  maxPages: number
  usedPages: number
  minPages: number
  rsvPages: number
}

export interface OpenFile {
  readonly id: number
  readonly inode: Inode
  posBytes: number
  readonly readahead: Readahead
  random: boolean
  sequential: boolean
  readonly readable: boolean
  readonly writable: boolean
  readonly append: boolean
  /** O_DIRECT */
  readonly direct: boolean
  refs: number
  /** The group that is charged for it. */
  readonly payer: number
}

/** struct file_ra_state: the window read ahead last. */
export interface Readahead {
  start: number
  size: number
  asyncSize: number
  raPages: number
  mmapMiss: number
  /** Byte position after the last read, -1 before the first. */
  prevPos: number
}

export interface SuperBlock {
  readonly id: number
  readonly type: 'ext4' | 'tmpfs' | 'shmem' | 'hugetlbfs' | 'ramfs' | 'secretmem' | 'bdev'
  readonly mountPoint: string
  /** Device number as /proc/PID/maps prints it. */
  readonly dev: string
  readonly disk: Disk | undefined
  huge: ShmemHuge
  maxBlocks: number
  usedBlocks: number
  maxInodes: number
  usedInodes: number
  policy: Mempolicy | undefined
  readonly hugetlb: HugetlbSubpool | undefined
  readonly hstate: number
  mode: number
  uid: number
  gid: number
  nextIno: number
  /** The kernel's own mount of memory files: numbers are dealt to CPUs in batches; each CPU's next. */
  readonly inoBatch: number[]
  /** Memory files whose last huge page reaches beyond their end, by inode id: to be split when room is short. */
  readonly shrinklist: Set<number>
  /** Page cache of the disk's metadata (the block device's own), indexed by block. */
  metadata: Mapping | undefined
}

/** A block device with one queue: requests end one after the other. */
export interface Disk {
  readonly name: string
  readonly bytes: number
  /** Bytes of a block of the file system on it: each has a buffer head while its page has buffers. */
  readonly blockBytes: number
  /** When the last request that was queued will be done. */
  busyUntilNs: number
  readPages: number
  writtenPages: number
  /** Requests under way, in the order they end. */
  readonly queue: DiskRequest[]
}

export interface DiskRequest {
  doneNs: number
  readonly write: boolean
  readonly mapping: Mapping | undefined
  /** Type of the swap area whose slots are read or written, -1 for files. */
  readonly swap: number
  readonly first: number
  pages: number
}

/** Writeback of dirty files (struct bdi_writeback and its work). */
export interface Writeback {
  /** The flusher thread. */
  readonly flusher: Daemon
  /** Dirty inodes by id, the longest dirty first. */
  readonly dirty: Map<number, Inode>
  /** Everything that is dirty is to be written, because reclaim found nothing else (WB_REASON_VMSCAN). */
  startAll: boolean
  /** When old data was last looked for; and until when files had to be dirty to be queued for background writing. */
  lastOldFlushNs: number
  queuedNs: number
  /** Pages dirtied since a writer last looked at the limits. */
  dirtied: number
}

/** A System V shared memory segment (struct shmid_kernel). */
export interface ShmSegment {
  readonly id: number
  /** What it is found by; 0 for a private one. */
  readonly key: number
  /** As asked for; the file may be longer by the rest of a page. */
  readonly bytes: number
  readonly inode: Inode
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Keeps its pages until it is removed. */
  held: OpenFile | undefined
}

/** Names, by inode or, where there is nothing, by path; and inodes whose names are not in memory (caches/dcache.ts). */
export interface UnusedFiles {
  readonly names: Map<number | string, boolean>
  readonly inodes: Map<number, boolean>
}

export interface FileSystems {
  /** Shared memory segments by number. */
  readonly segments: Map<number, ShmSegment>
  nextSegment: number
  readonly writeback: Writeback
  /** Ends requests of the disks when their time has come. */
  readonly blockDone: Daemon
  readonly superBlocks: SuperBlock[]
  readonly inodes: Map<number, Inode>
  /** By file system and path: see caches/inode.ts. */
  readonly byPath: Map<string, Inode>
  /** Names that were looked up and are not there, kept as dentries of their own. */
  readonly negative: Set<string>
  /** By node: names and inodes of disk files that nobody uses, the least used first; true for those used since they were looked at. */
  readonly unused: UnusedFiles[]
  readonly mappings: Map<number, Mapping>
  readonly disks: Disk[]
  nextInode: number
  nextMapping: number
  nextFile: number
  nextSuperBlock: number
}
