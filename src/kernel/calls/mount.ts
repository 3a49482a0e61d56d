/**
 * mount(2) and umount(2) of file systems without a device: tmpfs, hugetlbfs, ramfs.
 *
 *     tmpfs    size= (bytes or %) nr_blocks= nr_inodes= mode= uid= gid= huge= mpol=      half of RAM and as many inodes by default
 *
 * Options are checked before anything is made. A mount hides what its directory held. A file system in use (a file open or
 * mapped, something mounted below) cannot be unmounted; with it go all its files.
 *
 * Source: fs/namespace.c (do_new_mount, path_umount), mm/shmem.c (shmem_parse_one, shmem_fill_super, shmem_reconfigure).
 */

import { COST, spend } from '../base/cost.ts'
import { EBUSY, EINVAL, ENODEV, ENOENT, ENOSYS, ENOTDIR, EPERM } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { SuperBlock } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import type { Mempolicy, ShmemHuge } from '../base/state_shared.ts'
import { pagesFor } from '../base/units.ts'
import { iput } from '../caches/files.ts'
import { inodeAt, inodeCreate, normalizePath, superBlockCreate, unlinkName } from '../caches/inode.ts'
import { mpolParseStr } from '../frames/mempolicy_text.ts'
import { cgroupMount } from './cgroup.ts'
import { fsyncRange } from './files_io.ts'
import { hugetlbfsMount, hugetlbfsUnmount } from './hugetlb_fs.ts'

/** File systems that Linux would mount here and this machine does not have. */
const NOT_BUILT = ['proc', 'sysfs', 'devtmpfs', 'debugfs', 'cgroup', 'cgroup2', 'devpts', 'securityfs', 'tracefs', 'bpf', 'configfs']
/** Options of any file system. */
const COMMON = ['rw', 'ro', 'sync', 'async', 'dirsync', 'lazytime', 'nolazytime', 'mand', 'nomand']
const HUGE_WORDS: readonly ShmemHuge[] = ['never', 'always', 'within_size', 'advise']
/** Where control groups are mounted. */
const CGROUPS = '/sys/fs/cgroup'
const STICKY_ALL = 0o1777
const UINT_LIMIT = 2 ** 32
const UNITS = 'kmgtpe'

/** What tmpfs' options say; undefined where they say nothing. */
interface TmpfsOptions {
  blocks?: number
  inodes?: number
  mode?: number
  uid?: number
  gid?: number
  huge?: ShmemHuge
  policy?: Mempolicy | undefined
}

/** mount(2) of a new file system. @returns 0, -ENOENT, -EPERM, -ENODEV for an unknown type, -EINVAL for a bad option, -ENOTDIR. */
export function sysMount(k: Kernel, task: Task, type: string, dir: string, options: string): number {
  spend(k, COST.syscall, 1)
  const path = normalizePath(dir)
  if (type === 'cgroup2' && path === CGROUPS) return mountCgroups(k, task)
  const at = inodeAt(k, path)
  if (at === undefined) return -ENOENT
  if (task.uid !== 0) return -EPERM
  if (NOT_BUILT.includes(type)) return -ENOSYS
  const sb = at.directory ? makeSuperBlock(k, type, path, options) : makeNowhere(k, type, options)
  return typeof sb === 'number' ? sb : 0
}

/** The one hierarchy of control groups, at the one place where it is seen. */
function mountCgroups(k: Kernel, task: Task): number {
  if (task.uid !== 0) return -EPERM
  if (k.cgroup.mounted) return -EBUSY
  cgroupMount(k)
  return 0
}

/** What comes first: a bad type or option, or that the place is no directory. */
function makeNowhere(k: Kernel, type: string, options: string): number {
  if (type === 'tmpfs' && parseTmpfs(k, options) === undefined) return -EINVAL
  return type === 'tmpfs' || type === 'hugetlbfs' || type === 'ramfs' ? -ENOTDIR : -ENODEV
}

function makeSuperBlock(k: Kernel, type: string, path: string, options: string): SuperBlock | number {
  switch (type) {
    case 'tmpfs':
      return mountTmpfs(k, path, options)
    case 'ramfs':
      return withRoot(k, superBlockCreate(k, 'ramfs', path, {}))
    case 'hugetlbfs': {
      const fields = hugetlbfsMount(k, options)
      return typeof fields === 'number' ? fields : withRoot(k, superBlockCreate(k, 'hugetlbfs', path, fields))
    }
    case 'ext4':
      return -ENOENT
    default:
      return -ENODEV
  }
}

function withRoot(k: Kernel, sb: SuperBlock): SuperBlock {
  inodeCreate(k, sb, sb.mountPoint, { directory: true, mode: sb.mode, uid: sb.uid, gid: sb.gid })
  return sb
}

function mountTmpfs(k: Kernel, path: string, text: string): SuperBlock | number {
  const options = parseTmpfs(k, text)
  if (options === undefined) return -EINVAL
  const half = Math.floor(k.totalramPages / 2)
  const { blocks = half, inodes = half, mode = STICKY_ALL, uid = 0, gid = 0, huge = 'never', policy } = options
  return withRoot(k, superBlockCreate(k, 'tmpfs', path, { maxBlocks: blocks, maxInodes: inodes, mode, uid, gid, huge, policy }))
}

/** mount(2) with MS_REMOUNT of a tmpfs: gives it new limits, huge= and mpol=. -EINVAL when it holds more already, or had no limit. */
export function sysRemount(k: Kernel, task: Task, dir: string, text: string): number {
  spend(k, COST.syscall, 1)
  const path = normalizePath(dir)
  const sb = mountedAt(k, path)
  if (inodeAt(k, path) === undefined) return -ENOENT
  if (task.uid !== 0) return -EPERM
  const options = sb?.type === 'tmpfs' ? parseTmpfs(k, text) : undefined
  if (sb === undefined || options === undefined) return -EINVAL
  const { blocks, inodes } = options
  if (blocks !== undefined && blocks > 0 && (sb.maxBlocks === 0 || sb.usedBlocks > blocks)) return -EINVAL
  if (inodes !== undefined && inodes > 0 && (sb.maxInodes === 0 || sb.usedInodes > inodes)) return -EINVAL
  sb.huge = options.huge ?? sb.huge
  sb.maxBlocks = blocks ?? sb.maxBlocks
  sb.maxInodes = inodes ?? sb.maxInodes
  sb.policy = options.policy ?? sb.policy
  return 0
}

/** The file system mounted at a path, the last one if there are several. */
const mountedAt = (k: Kernel, path: string): SuperBlock | undefined => k.fs.superBlocks.findLast(sb => sb.mountPoint === path)

/** Reads tmpfs' options; undefined when one is wrong. A comma before a digit belongs to a list of nodes. */
function parseTmpfs(k: Kernel, text: string): TmpfsOptions | undefined {
  const options: TmpfsOptions = {}
  for (const word of text.split(/,(?!\d)/)) {
    const equals = word.indexOf('=')
    const [key, value] = equals < 0 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)]
    if (word === '' || (value === undefined && (COMMON.includes(key) || key === 'inode32' || key === 'inode64'))) continue
    if (value === undefined || !tmpfsOption(k, options, key, value)) return undefined
  }
  return options
}

/** Takes one option; false when it is wrong. */
function tmpfsOption(k: Kernel, options: TmpfsOptions, key: string, value: string): boolean {
  switch (key) {
    case 'size': {
      const percent = value.endsWith('%')
      const number = sizeOf(percent ? value.slice(0, -1) : value)
      options.blocks = number === undefined ? 0 : percent ? Math.floor((number * k.totalramPages) / 100) : pagesFor(number)
      return number !== undefined
    }
    case 'nr_blocks':
      options.blocks = sizeOf(value) ?? 0
      return sizeOf(value) !== undefined
    case 'nr_inodes':
      options.inodes = sizeOf(value) ?? 0
      return sizeOf(value) !== undefined
    case 'mode':
      options.mode = Number.parseInt(value, 8) & 0o7777
      return /^[0-7]{1,11}$/.test(value)
    case 'uid':
    case 'gid':
      options[key] = Number(value)
      return /^(\d+|0x[\da-f]+)$/i.test(value) && Number(value) < UINT_LIMIT - 1
    case 'huge':
      options.huge = HUGE_WORDS.find(word => word === value)
      return options.huge !== undefined
    case 'mpol': {
      const policy = mpolParseStr(k, value)
      options.policy = policy === 'invalid' ? undefined : policy
      return policy !== 'invalid'
    }
    default:
      return false
  }
}

/** A number with a unit (memparse), of which nothing may be left over. */
function sizeOf(text: string): number | undefined {
  const parts = /^(0x[\da-f]+|\d*)([kmgtpe]?)$/i.exec(text)
  if (parts === null) return undefined
  return Number(parts[1]) * 1024 ** (parts[2] === '' ? 0 : UNITS.indexOf(parts[2].toLowerCase()) + 1)
}

/** umount(2). @returns 0, -ENOENT, -EPERM, -EINVAL where nothing is mounted, -EBUSY while it is in use. */
export function sysUmount(k: Kernel, task: Task, dir: string): number {
  spend(k, COST.syscall, 1)
  const path = normalizePath(dir)
  if (inodeAt(k, path) === undefined) return -ENOENT
  if (task.uid !== 0) return -EPERM
  const sb = mountedAt(k, path)
  if (sb === undefined) return -EINVAL
  if (path === '/' || isBusy(k, sb)) return -EBUSY
  dropFiles(k, sb)
  if (sb.type === 'hugetlbfs') hugetlbfsUnmount(k, sb)
  k.fs.superBlocks.splice(k.fs.superBlocks.indexOf(sb), 1)
  return 0
}

function isBusy(k: Kernel, sb: SuperBlock): boolean {
  for (const inode of k.fs.inodes.values()) if (inode.sb === sb && inode.openCount > 0) return true
  return k.fs.superBlocks.some(other => other !== sb && other.mountPoint.startsWith(`${sb.mountPoint}/`))
}

/** All files of the mount go; those of a disk stay on it, written. */
function dropFiles(k: Kernel, sb: SuperBlock): void {
  for (const inode of [...k.fs.inodes.values()]) {
    if (inode.sb !== sb) continue
    fsyncRange(k, inode, 0, Number.POSITIVE_INFINITY)
    unlinkName(k, inode)
    inode.nlink = 0
    iput(k, inode)
  }
}
