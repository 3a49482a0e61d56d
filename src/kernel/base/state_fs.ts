/** Shapes of files, page caches, disks and file systems. */
import type { Mempolicy, RmapEntry, ShmemHuge } from './state_shared.ts'

/** 64 page-cache slots (struct xa_node): a pfn, 0 for none, or a negative shadow of a page that was evicted. */
export interface XaNode {
  readonly slots: Int32Array
  count: number
  shadows: number
}

/** Page index -> page or shadow (mapping->i_pages). */
export interface XArray {
  readonly nodes: Map<number, XaNode>
  /** The node used last and its number, so that a run of neighbours looks up once. */
  lastKey: number
  last: XaNode | undefined
}

/** The page cache of one file (struct address_space). */
export interface Mapping {
  readonly id: number
  readonly inode: Inode
  readonly pages: XArray
  nrPages: number
  nrShadows: number
  nrDirty: number
  nrWriteback: number
  /** Who maps it. */
  readonly rmap: RmapEntry[]
  /** Shared mappings that may write. */
  writable: number
  /** All its pages are unevictable (ramfs, SHM_LOCK). */
  unevictable: boolean
}

export interface Inode {
  readonly id: number
  readonly sb: SuperBlock
  path: string
  readonly directory: boolean
  sizeBytes: number
  nlink: number
  readonly mapping: Mapping
  /** Page offsets that have blocks (ext4) or were allocated ahead (fallocate): what a read need not take for a hole. */
  readonly blocks: Set<number> | undefined
  /** Pages of a disk file from its image: [0, imagePages) are on disk. */
  imagePages: number
  /** Disk position of page 0, for the block layer's idea of distance. */
  diskStart: number
  openCount: number
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
  /** Page offsets (in huge pages) reserved for the inode, used or not. */
  readonly reserved: Set<number>
  readonly subpool: HugetlbSubpool | undefined
}

/** Quota of a hugetlbfs mount (struct hugepage_subpool); -1 means no limit. */
export interface HugetlbSubpool {
  readonly hstate: number
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
  readonly writable: boolean
  refs: number
}

/** struct file_ra_state: the window read ahead last. */
export interface Readahead {
  start: number
  size: number
  asyncSize: number
  raPages: number
  mmapMiss: number
  prevPos: number
}

export interface SuperBlock {
  readonly id: number
  readonly type: 'ext4' | 'tmpfs' | 'shmem' | 'hugetlbfs' | 'ramfs' | 'secretmem'
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
}

/** A block device with one queue: requests end one after the other. */
export interface Disk {
  readonly name: string
  readonly bytes: number
  /** When the last request that was queued will be done. */
  busyUntilNs: number
  readPages: number
  writtenPages: number
  /** Requests under way, in the order they end. */
  readonly queue: DiskRequest[]
}

export interface DiskRequest {
  readonly doneNs: number
  readonly write: boolean
  readonly mapping: Mapping | undefined
  readonly first: number
  readonly pages: number
}

export interface FileSystems {
  readonly superBlocks: SuperBlock[]
  readonly inodes: Map<number, Inode>
  readonly byPath: Map<string, Inode>
  readonly mappings: Map<number, Mapping>
  readonly disks: Disk[]
  nextInode: number
  nextMapping: number
  nextFile: number
  nextSuperBlock: number
}
