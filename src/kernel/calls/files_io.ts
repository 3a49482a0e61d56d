/**
 * System calls on open files: read, write, lseek, ftruncate, fallocate, fsync, sync. What each does depends on the file system.
 *
 *              read, write          ftruncate            fallocate                fsync
 *     ext4     page cache           pages beyond go      allocate: longer; punch  writes and waits
 *     ramfs    page cache           the same             EOPNOTSUPP               nothing to do
 *     tmpfs    its pages            and promises         pages, all or none       nothing to do
 *     hugetlb  read only            whole huge pages     huge pages               nothing to do
 *     secret   EINVAL               only from empty      EOPNOTSUPP               nothing to do
 *
 * Source: fs/read_write.c, fs/open.c (do_sys_ftruncate, vfs_fallocate), fs/sync.c, fs/ext4 (ext4_setattr, ext4_punch_hole).
 */
import { COST, spend } from '../base/cost.ts'
import { EBADF, EFBIG, EINVAL, EISDIR, EOPNOTSUPP, ERESTARTNOINTR, ETXTBSY } from '../base/errno.ts'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, OpenFile } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { diskAllocate, diskPunch } from '../caches/disk_blocks.ts'
import { canWriteback, isShmem, maxFileBytes } from '../caches/filemap.ts'
import { directRead, filemapRead } from '../caches/filemap_read.ts'
import { filemapWrite, type Written } from '../caches/filemap_write.ts'
import { hugetlbfsRead } from '../caches/hugetlb_cache.ts'
import { dirtyInode } from '../caches/metadata.ts'
import { shmemAllocateRange, shmemPunch, shmemSetSize } from '../caches/shmem_range.ts'
import { shmemRead, shmemWrite } from '../caches/shmem_rw.ts'
import { isSwapFile } from '../caches/swap_area.ts'
import { dropPages, truncatedTo } from '../reclaim/truncate.ts'
import { syncAll, writeAndWait } from '../reclaim/writeback.ts'
import { hugetlbfsFallocate, hugetlbfsTruncate } from './hugetlb_fs.ts'

/** From here on a length or an offset is a negative one. */
const SIGN = 2 ** 63

/** Steps of finding blocks on a disk: seven for each 4 MiB, and those that make the change one of the journal's. */
const STEP_BYTES = (4 * 2 ** 20) / 7
const JOURNAL_STEPS = 12

/** read(2) at the file's position. @returns bytes, 0 at the end, or a negative errno. */
export function sysRead(k: Kernel, _task: Task, file: OpenFile, bytes: number): number {
  spend(k, COST.syscall, 1)
  const { inode } = file
  if (!file.readable) return -EBADF
  if (inode.directory) return -EISDIR
  if (isShmem(inode.sb)) return shmemRead(k, file, bytes)
  if (inode.sb.type === 'secretmem') return -EINVAL
  if (inode.sb.type === 'hugetlbfs') {
    const done = hugetlbfsRead(k, inode, file.posBytes, bytes)
    file.posBytes += done
    return done
  }
  return file.direct ? directRead(k, file, bytes) : filemapRead(k, file, bytes)
}

/** write(2) at the file's position, or its end with O_APPEND. @returns bytes, or a negative errno. */
export function sysWrite(k: Kernel, _task: Task, file: OpenFile, bytes: number, what: Written): number {
  spend(k, COST.syscall, 1)
  const { type } = file.inode.sb
  if (!file.writable) return -EBADF
  if (type === 'hugetlbfs' || type === 'secretmem') return -EINVAL
  if (isSwapFile(k, file.inode)) return -ETXTBSY
  return isShmem(file.inode.sb) ? shmemWrite(k, file, bytes, what) : filemapWrite(k, file, bytes, what)
}

/** lseek(2) with SEEK_SET. @returns the offset, or -EINVAL for one beyond the longest file that there can be: the position stays. */
export function sysLseek(_k: Kernel, _task: Task, file: OpenFile, offset: number): number {
  if (offset < 0 || offset > maxFileBytes(file.inode.sb)) return -EINVAL
  file.posBytes = offset
  return offset
}

/** ftruncate(2) */
export function sysFtruncate(k: Kernel, task: Task, file: OpenFile, bytes: number): number {
  spend(k, COST.syscall, 1)
  const { inode } = file
  if (bytes < 0 || bytes >= SIGN || inode.directory || !file.writable) return -EINVAL
  if (bytes > maxFileBytes(inode.sb)) return -EFBIG
  if (isShmem(inode.sb)) return shmemSetSize(k, task, inode, bytes)
  if (inode.sb.type === 'hugetlbfs') return hugetlbfsTruncate(k, inode, bytes)
  if (inode.sb.type === 'secretmem') return setSecretSize(inode, bytes)
  if (bytes <= inode.sizeBytes && isSwapFile(k, inode)) return -ETXTBSY
  return setSize(k, task, inode, bytes) ? 0 : -ERESTARTNOINTR
}

/** The length of secret memory can be set once. */
function setSecretSize(inode: Inode, bytes: number): number {
  if (inode.sizeBytes > 0) return -EINVAL
  inode.sizeBytes = bytes
  return 0
}

/**
 * Sets the length of a file in the page cache: what lies beyond is unmapped, dropped, and no longer on disk (truncate_setsize).
 * @returns false when the task's turn was over: it is to call again
 */
function setSize(k: Kernel, task: Task, inode: Inode, bytes: number): boolean {
  const first = Math.ceil(bytes / PAGE_SIZE)
  if (truncatedTo(task) === undefined) {
    const shorter = bytes < inode.sizeBytes
    inode.sizeBytes = bytes
    if (inode.sb.metadata !== undefined) dirtyInode(k, inode)
    if (!shorter) return true
  }
  return dropRange(k, inode, first, Number.POSITIVE_INFINITY, true, task)
}

/** Drops pages [first, end) of the file, cached, mapped (private copies only when `copies`) and on disk; false when the caller is to call again. */
function dropRange(k: Kernel, inode: Inode, first: number, end: number, copies: boolean, caller: Task | undefined): boolean {
  if (!dropPages(k, inode.mapping, first, end, copies ? 'all' : 'file', caller)) return false
  if (inode.blocks !== undefined) diskPunch(inode.blocks, first, end)
  return true
}

/** fallocate(2): allocates, or makes a hole. */
export function sysFallocate(k: Kernel, task: Task, file: OpenFile, mode: number, offset: number, bytes: number): number {
  spend(k, COST.syscall, 1)
  return vfsFallocate(k, file, mode, offset, bytes, task)
}

/** The same for the kernel's own use (vfs_fallocate). @param caller who may pause: -ERESTARTNOINTR, he is to call again */
export function vfsFallocate(k: Kernel, file: OpenFile, mode: number, offset: number, bytes: number, caller?: Task): number {
  if (offset < 0 || bytes <= 0 || offset >= SIGN || bytes >= SIGN) return -EINVAL
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) !== 0) return -EOPNOTSUPP
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0 && (mode & FALLOC_FL_KEEP_SIZE) === 0) return -EOPNOTSUPP
  if (!file.writable) return -EBADF
  return isSwapFile(k, file.inode) ? -ETXTBSY : allocateOrPunch(k, file, mode, offset, bytes, caller)
}

function allocateOrPunch(k: Kernel, file: OpenFile, mode: number, offset: number, bytes: number, caller: Task | undefined): number {
  const { inode } = file
  const { type } = inode.sb
  if (offset + bytes > maxFileBytes(inode.sb)) return -EFBIG
  if (type === 'hugetlbfs') return hugetlbfsFallocate(k, file, mode, offset, bytes)
  if (type === 'ramfs' || type === 'secretmem') return -EOPNOTSUPP
  const punch = (mode & FALLOC_FL_PUNCH_HOLE) !== 0
  if (isShmem(inode.sb)) {
    if (!punch) return shmemAllocateRange(k, inode, offset, bytes, (mode & FALLOC_FL_KEEP_SIZE) !== 0, caller)
    return shmemPunch(k, inode, offset, bytes, caller) ? 0 : -ERESTARTNOINTR
  }
  if (!punch) {
    spend(k, COST.block_write_begin, JOURNAL_STEPS + Math.ceil(bytes / STEP_BYTES))
    if (inode.blocks !== undefined) diskAllocate(inode.blocks, Math.floor(offset / PAGE_SIZE), Math.ceil((offset + bytes) / PAGE_SIZE))
  }
  if (punch && !punchDisk(k, inode, offset, offset + bytes, caller)) return -ERESTARTNOINTR
  if (!punch && (mode & FALLOC_FL_KEEP_SIZE) === 0) inode.sizeBytes = Math.max(inode.sizeBytes, offset + bytes)
  if (inode.sb.metadata !== undefined) dirtyInode(k, inode)
  return 0
}

/**
 * Makes a hole of the whole pages of bytes [start, end), after writing what is dirty there (ext4_punch_hole); false when the caller is to
 * call again.
 */
function punchDisk(k: Kernel, inode: Inode, start: number, end: number, caller: Task | undefined): boolean {
  const first = Math.ceil(start / PAGE_SIZE)
  const last = Math.floor(Math.min(end, Math.ceil(inode.sizeBytes / PAGE_SIZE) * PAGE_SIZE) / PAGE_SIZE)
  const begun = caller !== undefined && truncatedTo(caller) !== undefined
  if (!begun) writeAndWait(k, inode.mapping, Math.floor(start / PAGE_SIZE), Math.ceil(end / PAGE_SIZE) - 1)
  return last <= first || dropRange(k, inode, first, last, false, caller)
}

/** fsync(2) */
export function sysFsync(k: Kernel, _task: Task, file: OpenFile): number {
  spend(k, COST.syscall, 1)
  fsyncRange(k, file.inode, 0, Number.POSITIVE_INFINITY)
  return 0
}

/** Writes the dirty pages of [first, last] of a file on disk, and what is dirty of its metadata, and waits for both. */
export function fsyncRange(k: Kernel, inode: Inode, first: number, last: number): void {
  if (!canWriteback(inode.sb)) return
  writeAndWait(k, inode.mapping, first, last)
  if (inode.sb.metadata !== undefined) writeAndWait(k, inode.sb.metadata, 0, Number.POSITIVE_INFINITY)
}

/** sync(2) */
export function sysSync(k: Kernel): number {
  spend(k, COST.syscall, 1)
  syncAll(k)
  return 0
}
