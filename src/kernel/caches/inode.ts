/**
 * File systems, and the files in them by path.
 *
 *     /            ramfs: pages stay in memory and are unevictable
 *     /mnt         ext4 on the machine's disk, if it has one
 *     elsewhere    tmpfs and hugetlbfs, as mounted
 *     nowhere      the kernel's own mounts: shared anonymous memory and memfd (shmem), huge pages, secret memory
 *
 * A path belongs to the file system mounted at its longest prefix. A file lives as long as it has a name or somebody
 * has it open, which an area that maps it does; then its pages go, and whatever was promised for it.
 *
 * Source: fs/namei.c, fs/inode.c (iput, evict), fs/super.c.
 */
import { must } from '../base/assert.ts'
import type { Kernel } from '../base/state.ts'
import type { DiskBlocks, FileSystems, HugetlbInode, Inode, SuperBlock } from '../base/state_fs.ts'
import { daemon } from '../base/thread.ts'
import { NO_NODE } from '../base/units.ts'
import { initialSharedPolicy } from '../frames/mempolicy.ts'
import { withMapping } from './filemap.ts'
import { inodeTakeObjects } from './inode_objects.ts'

/** The first number of an unnamed device that mounts at run time get; Linux' own mounts have those below. */
const FIRST_MINOR = 0x16
/** Inode numbers that a CPU takes at once from the kernel's own mount of memory files (SHMEM_INO_BATCH). */
const INO_BATCH = 1024

/** No file system mounted yet. */
export const fileSystems = (nodes: number): FileSystems => ({
  superBlocks: [],
  segments: new Map(),
  nextSegment: 0,
  inodes: new Map(),
  byPath: new Map(),
  negative: new Set(),
  unused: Array.from({ length: nodes }, () => ({ names: new Map(), inodes: new Map() })),
  mappings: new Map(),
  disks: [],
  writeback: { flusher: daemon('flush', NO_NODE), dirty: new Map(), startAll: false, lastOldFlushNs: 0, queuedNs: -1, dirtied: 0 },
  blockDone: daemon('kblockd', NO_NODE),
  nextInode: 1,
  nextMapping: 1,
  nextFile: 1,
  nextSuperBlock: 1,
})

/** A file system without files; `fields` say what is particular to it. Its root directory is made with inodeCreate. */
export function superBlockCreate(k: Kernel, type: SuperBlock['type'], mountPoint: string, fields: Partial<SuperBlock>): SuperBlock {
  const sb: SuperBlock = {
    id: k.fs.nextSuperBlock++,
    type,
    mountPoint,
    dev: fields.dev ?? unnamedDev(k),
    disk: undefined,
    huge: 'never',
    maxBlocks: 0,
    usedBlocks: 0,
    maxInodes: 0,
    usedInodes: 0,
    policy: undefined,
    hugetlb: undefined,
    hstate: 0,
    mode: 0o755,
    uid: 0,
    gid: 0,
    nextIno: 1,
    inoBatch: [],
    shrinklist: new Set(),
    metadata: undefined,
    ...fields,
  }
  k.fs.superBlocks.push(sb)
  return sb
}

/** The lowest free number for a file system without a device, as /proc/PID/maps prints it. */
function unnamedDev(k: Kernel): string {
  for (let minor = FIRST_MINOR; ; minor++) {
    const dev = `00:${minor.toString(16).padStart(2, '0')}`
    if (!k.fs.superBlocks.some(sb => sb.dev === dev)) return dev
  }
}

export interface InodeFields {
  /** Its number, when it is not the next one. */
  readonly ino?: number
  readonly directory?: boolean
  readonly sizeBytes?: number
  readonly nlink?: number
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly blocks?: DiskBlocks
  readonly noreserve?: boolean
  readonly hugetlb?: HugetlbInode
  /** Its objects are in memory already, or not yet: a file of a disk's image, or one that boot has. */
  readonly objects?: false
}

/** A new file or directory. With a link it is found by its path from now on; without (memfd) the path is only its name. */
export function inodeCreate(k: Kernel, sb: SuperBlock, path: string, fields: InodeFields): Inode {
  const directory = fields.directory ?? false
  const bare = {
    id: k.fs.nextInode++,
    ino: fields.ino ?? nextIno(k, sb),
    sb,
    path,
    directory,
    sizeBytes: fields.sizeBytes ?? 0,
    nlink: fields.nlink ?? 1,
    blocks: fields.blocks,
    openCount: 0,
    names: 0,
    cached: 0,
    noreserve: fields.noreserve ?? false,
    alloced: 0,
    swapped: 0,
    fallocEnd: 0,
    policies: initialSharedPolicy(k, sb.policy),
    hugetlb: fields.hugetlb,
    mode: fields.mode ?? 0o600,
    uid: fields.uid ?? 0,
    gid: fields.gid ?? 0,
    dirtiedNs: 0,
  }
  const inode = withMapping(k, bare, sb.type === 'ramfs' || sb.type === 'secretmem')
  k.fs.inodes.set(inode.id, inode)
  if (inode.nlink > 0) k.fs.byPath.set(pathKey(sb, path), inode)
  sb.usedInodes++
  if (fields.objects !== false) inodeTakeObjects(k, inode)
  return inode
}

function nextIno(k: Kernel, sb: SuperBlock): number {
  if (sb.type !== 'shmem') return sb.nextIno++
  const next = sb.inoBatch[k.cpu] ?? 0
  const fresh = next % INO_BATCH === 0
  const ino = fresh ? Math.max(sb.nextIno, 1) : next
  if (fresh) sb.nextIno = sb.nextIno - (sb.nextIno % INO_BATCH) + INO_BATCH
  sb.inoBatch[k.cpu] = ino + 1
  return ino
}

// --- paths

/** Where a file of a mount is found: another mount may hide it, so the path alone does not tell. */
const pathKey = (sb: SuperBlock, path: string): string => `${sb.id}:${path}`

/** The path without empty and "." parts, and ".." resolved. */
export function normalizePath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** The directory a path is in. */
export const parentPath = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'

const isWithin = (path: string, dir: string): boolean => dir === '/' || path === dir || path.startsWith(`${dir}/`)

/** The file system a path belongs to: the one mounted at its longest prefix, of several there the last one. */
export function superBlockAt(k: Kernel, path: string): SuperBlock {
  let best: SuperBlock | undefined
  for (const sb of k.fs.superBlocks)
    if (sb.mountPoint !== '' && isWithin(path, sb.mountPoint) && (best === undefined || sb.mountPoint.length >= best.mountPoint.length))
      best = sb
  return must(best, 'no root file system')
}

/** The file or directory of that (normalized) path, whether its objects are in memory or not. */
export const inodeAt = (k: Kernel, path: string): Inode | undefined => k.fs.byPath.get(pathKey(superBlockAt(k, path), path))

/** Takes a file's name away. */
export function unlinkName(k: Kernel, inode: Inode): void {
  inode.nlink--
  k.fs.byPath.delete(pathKey(inode.sb, inode.path))
}

/** Forgets an inode whose pages are gone. */
export function inodeForget(k: Kernel, inode: Inode): void {
  k.fs.writeback.dirty.delete(inode.id)
  k.fs.mappings.delete(inode.mapping.id)
  k.fs.inodes.delete(inode.id)
  inode.sb.shrinklist.delete(inode.id)
  inode.sb.usedInodes--
}
