/**
 * Open files: who holds them, and what happens when nobody does.
 *
 *     descriptor, area that maps it ──refs──> open file ──openCount──> inode
 *
 * A file without a name goes with its last open file: its pages, what was promised for it, its place on the disk.
 *
 * Source: fs/file_table.c (alloc_file, fget, __fput), fs/inode.c (iput, evict), mm/shmem.c shmem_evict_inode.
 */
import { assert } from '../base/assert.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, OpenFile, SuperBlock } from '../base/state_fs.ts'
import { pagesFor } from '../base/units.ts'
import { vmUnacctMemory } from '../calls/account.ts'
import { OWED, owe, payer } from '../frames/owed.ts'
import { truncatePages } from '../reclaim/truncate.ts'
import { fileNameUnused, inodeFreeObjects } from './dcache.ts'
import { isShmem } from './filemap.ts'
import { hugetlbfsEvict } from './hugetlb_cache.ts'
import { inodeForget } from './inode.ts'
import { secretmemRelease } from './secretmem.ts'
import { shmemTruncateRange } from './shmem_range.ts'

/** Pages that a disk's files are read ahead at most: read_ahead_kb is 128. */
export const READAHEAD_PAGES = 32

const raPages = (sb: SuperBlock) => (sb.disk === undefined ? 0 : READAHEAD_PAGES)

export interface OpenMode {
  readonly read: boolean
  readonly write: boolean
  readonly append?: boolean
  readonly direct?: boolean
}

/** Opens a file; the caller holds it. */
export function fileOpen(k: Kernel, inode: Inode, mode: OpenMode): OpenFile {
  inode.openCount++
  owe(k, payer(k), OWED.file, 1)
  return {
    id: k.fs.nextFile++,
    inode,
    posBytes: 0,
    readahead: { start: 0, size: 0, asyncSize: 0, raPages: raPages(inode.sb), mmapMiss: 0, prevPos: -1 },
    random: false,
    sequential: false,
    readable: mode.read,
    writable: mode.write,
    append: mode.append ?? false,
    direct: mode.direct ?? false,
    refs: 1,
    payer: payer(k),
  }
}

/** One more holder of the open file. */
export function fget(file: OpenFile): OpenFile {
  file.refs++
  return file
}

/** One holder less. */
export function fput(k: Kernel, file: OpenFile): void {
  assert(file.refs > 0, 'an open file is released more often than it was held')
  file.refs--
  if (file.refs > 0) return
  owe(k, file.payer, OWED.file, -1)
  file.inode.openCount--
  fileNameUnused(k, file.inode)
  iput(k, file.inode)
}

/** To be called when a file lost a name or a holder: with the last of both it goes. */
export function iput(k: Kernel, inode: Inode): void {
  if (inode.nlink > 0 || inode.openCount > 0 || !k.fs.inodes.has(inode.id)) return
  if (inode.sb.type === 'hugetlbfs') hugetlbfsEvict(k, inode)
  else if (isShmem(inode.sb)) evictShmem(k, inode)
  else {
    if (inode.sb.type === 'secretmem') secretmemRelease(k, inode)
    truncatePages(k, inode.mapping, 0, Number.POSITIVE_INFINITY)
  }
  inodeForget(k, inode)
  inodeFreeObjects(k, inode)
}

function evictShmem(k: Kernel, inode: Inode): void {
  if (!inode.noreserve) vmUnacctMemory(k, pagesFor(inode.sizeBytes))
  inode.sizeBytes = 0
  shmemTruncateRange(k, inode, 0, Number.POSITIVE_INFINITY, undefined)
}
