/**
 * System calls on paths: open, stat, unlink, mkdir, close; and memfd_create.
 *
 * A path is looked up from the root: what is missing of it on the way is ENOENT, a file in place of a directory ENOTDIR. Names
 * and inodes of disk files that are not in memory are read. Root may do everything; others what the mode's bits
 * say about owner, group and the rest.
 *
 * Source: fs/open.c do_sys_openat2, fs/namei.c (path_openat, may_open, do_unlinkat, do_mkdirat), mm/memfd.c.
 */
import { COST, spend } from '../base/cost.ts'
import { EACCES, EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, OpenFile, SuperBlock } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { DENTRY_CACHED, fileNameUnused, INODE_CACHED } from '../caches/dcache.ts'
import { diskBlocks } from '../caches/disk_blocks.ts'
import { isShmem } from '../caches/filemap.ts'
import { fileOpen, fput, iput, type OpenMode } from '../caches/files.ts'
import { inodeAt, inodeCreate, normalizePath, parentPath, superBlockAt, unlinkName } from '../caches/inode.ts'
import { addNegative, dentryTurnsNegative, dropNegative, inodeTakeObjects } from '../caches/inode_objects.ts'
import { changeName, dirtyInode, readInode, readName } from '../caches/metadata.ts'
import { memfdCreate } from '../caches/shmem.ts'
import { isSwapFile } from '../caches/swap_area.ts'
import { hugetlbfsCreate } from './hugetlb_fs.ts'

/** Ways to want a file: bits of its mode. */
const MAY_READ = 4
const MAY_WRITE = 2
const MAY_EXEC = 1

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)

/** Whether the task may use the file like that (generic_permission). */
function mayUse(task: Task, inode: Inode, wanted: number): boolean {
  if (task.uid === 0) return true
  const shift = task.uid === inode.uid ? 6 : task.gid === inode.gid ? 3 : 0
  return ((inode.mode >> shift) & wanted) === wanted
}

/** Finds the file of a normalized path, reading what is not in memory of it; -ENOENT, -ENOTDIR, -EACCES. */
function lookup(k: Kernel, task: Task, path: string): Inode | number {
  spend(k, COST.syscall, 1)
  const inode = inodeAt(k, path)
  if (inode === undefined) return lookupMissing(k, path)
  const parent = inodeAt(k, parentPath(path))
  if (parent !== undefined && !mayUse(task, parent, MAY_EXEC)) return -EACCES
  if (inode.sb.metadata !== undefined) {
    if ((inode.cached & DENTRY_CACHED) === 0 && parent !== undefined && parent.sb === inode.sb) readName(k, parent, nameOf(path))
    if ((inode.cached & INODE_CACHED) === 0) readInode(k, inode)
    inodeTakeObjects(k, inode)
  }
  return inode
}

/** The path is not there; the first name of it that is missing is remembered as such. */
function lookupMissing(k: Kernel, path: string): number {
  let missing = path
  let parent = inodeAt(k, parentPath(missing))
  while (parent === undefined) {
    missing = parentPath(missing)
    parent = inodeAt(k, parentPath(missing))
  }
  if (!parent.directory) return -ENOTDIR
  if (parent.sb.metadata !== undefined && !k.fs.negative.has(missing)) readName(k, parent, nameOf(missing))
  addNegative(k, missing)
  return -ENOENT
}

export interface OpenWanted extends OpenMode {
  /** O_CREAT, with this mode for a new file. */
  readonly create?: number
  /** O_EXCL */
  readonly exclusive?: boolean
}

/** open(2). @returns the open file, which the task holds, or a negative errno. */
export function sysOpen(k: Kernel, task: Task, name: string, wanted: OpenWanted): OpenFile | number {
  const path = normalizePath(name)
  const found = lookup(k, task, path)
  const inode = found === -ENOENT && wanted.create !== undefined ? create(k, task, path, wanted.create, false) : found
  if (typeof inode === 'number') return inode
  if (found === inode && wanted.create !== undefined && wanted.exclusive === true) return -EEXIST
  if (inode.directory && (wanted.write || wanted.create !== undefined)) return -EISDIR
  if (found === inode && !mayUse(task, inode, (wanted.read ? MAY_READ : 0) | (wanted.write ? MAY_WRITE : 0))) return -EACCES
  if (wanted.direct === true && inode.sb.disk === undefined) return -EINVAL
  const file = fileOpen(k, inode, wanted)
  task.files.add(file)
  return file
}

/** Makes a file or directory where there is none; -ENOENT without its directory, -EACCES, -ENOSPC. */
function create(k: Kernel, task: Task, path: string, mode: number, directory: boolean): Inode | number {
  const parent = inodeAt(k, parentPath(path))
  if (parent === undefined) return -ENOENT
  if (!parent.directory) return -ENOTDIR
  if (!mayUse(task, parent, MAY_WRITE | MAY_EXEC)) return -EACCES
  const inode = createIn(k, task, superBlockAt(k, path), path, mode, directory)
  if (typeof inode === 'number') return inode
  dropNegative(k, path)
  if (parent.sb.metadata !== undefined) {
    changeName(k, parent, nameOf(path), 1)
    dirtyInode(k, inode)
  } else parent.names++
  return inode
}

function createIn(k: Kernel, task: Task, sb: SuperBlock, path: string, mode: number, directory: boolean): Inode | number {
  if (sb.type === 'hugetlbfs') return hugetlbfsCreate(k, sb, path, { directory, mode, task })
  if (sb.type === 'tmpfs' && sb.maxInodes > 0 && sb.usedInodes >= sb.maxInodes) return -ENOSPC
  const blocks = sb.disk === undefined ? undefined : diskBlocks(0, 0)
  return inodeCreate(k, sb, path, {
    directory,
    mode,
    uid: task.uid,
    gid: task.gid,
    noreserve: isShmem(sb),
    ...(blocks === undefined ? {} : { blocks }),
  })
}

/** close(2) */
export function sysClose(k: Kernel, task: Task, file: OpenFile): number {
  spend(k, COST.syscall, 1)
  task.files.delete(file)
  fput(k, file)
  return 0
}

/** stat(2): 0 or a negative errno; what it costs is what matters here. */
export function sysStat(k: Kernel, task: Task, name: string): number {
  const inode = lookup(k, task, normalizePath(name))
  if (typeof inode === 'number') return inode
  fileNameUnused(k, inode)
  return 0
}

/** unlink(2) */
export function sysUnlink(k: Kernel, task: Task, name: string): number {
  const path = normalizePath(name)
  const inode = lookup(k, task, path)
  if (typeof inode === 'number') return inode
  const parent = inodeAt(k, parentPath(path))
  if (parent === undefined || isMountPoint(k, path)) return -EBUSY
  if (!mayUse(task, parent, MAY_WRITE | MAY_EXEC)) return -EACCES
  if (isSwapFile(k, inode)) return -EPERM
  if (inode.directory) return -EISDIR
  if (parent.sb.metadata !== undefined) {
    changeName(k, parent, nameOf(path), -1)
    dirtyInode(k, inode)
  } else parent.names--
  dentryTurnsNegative(k, inode, path)
  unlinkName(k, inode)
  iput(k, inode)
  return 0
}

const isMountPoint = (k: Kernel, path: string) => k.fs.superBlocks.some(sb => sb.mountPoint === path)

/** mkdir(2) */
export function sysMkdir(k: Kernel, task: Task, name: string, mode: number): number {
  const path = normalizePath(name)
  const found = lookup(k, task, path)
  if (found !== -ENOENT) return typeof found === 'number' ? found : -EEXIST
  const inode = create(k, task, path, mode, true)
  return typeof inode === 'number' ? inode : 0
}

/** memfd_create(2) without MFD_HUGETLB. @returns the open file, which the task holds, or a negative errno. */
export function sysMemfdCreate(k: Kernel, task: Task, name: string): OpenFile | number {
  spend(k, COST.syscall, 1)
  const file = memfdCreate(k, task, name)
  if (typeof file !== 'number') task.files.add(file)
  return file
}
