/**
 * hugetlbfs: files whose pages are huge TLB pages. Mount options, what is particular to its files, and the nameless files behind
 * mmap(MAP_HUGETLB), memfd_create(MFD_HUGETLB) and shmget(SHM_HUGETLB).
 *
 *     uid= gid= mode=        of the root directory
 *     pagesize=              which pool; the default size otherwise
 *     size= min_size=        at most, and at least, this much of the pool: bytes, or percent of its persistent pages; rounded down
 *     nr_inodes=             at most this many inodes, the root directory included
 *
 * A shared mapping promises the file the pages of its range that have not been promised before; a private one gets promises of
 * its own, whatever the file has. MAP_NORESERVE promises nothing. Segments are promised when they are made. Where pool, overcommit
 * or the mount's size do not cover the promise, mmap fails with ENOMEM and nothing is changed.
 *
 * Files can be read, mapped, cut, allocated and punched, not written. Lengths set by ftruncate are whole huge pages.
 *
 * Source: fs/hugetlbfs/inode.c (hugetlbfs_parse_param, hugetlbfs_fill_super, hugetlbfs_file_mmap, hugetlbfs_fallocate,
 * hugetlbfs_setattr, hugetlb_file_setup), mm/hugetlb.c (hugetlb_reserve_pages, hugepage_new_subpool), mm/mmap.c ksys_mmap_pgoff.
 */
import { EINVAL, ENODEV, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM } from '../base/errno.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  PG_uptodate,
  VM_HUGETLB,
  VM_MAYSHARE,
  VM_NORESERVE,
  VM_SHARED,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { regionAdd, regionMissing } from '../base/regions.ts'
import type { Kernel } from '../base/state.ts'
import type { HugetlbSubpool, Inode, OpenFile, SuperBlock } from '../base/state_fs.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { Task, Vma } from '../base/state_mm.ts'
import { alignUp, NO_PAGE, PAGE_SIZE } from '../base/units.ts'
import { fileOpen, fput } from '../caches/files.ts'
import { clearHugePage, hugeCacheAdd, hugetlbfsPunch, hugetlbfsTruncateTo } from '../caches/hugetlb_cache.ts'
import { inodeCreate } from '../caches/inode.ts'
import { allocHugePage, promiseHugePages } from '../fault/hugetlb_alloc.ts'
import { hugePages, subpoolGet, subpoolPut, subpoolUnmount } from '../frames/hugetlb_pool.ts'
import { MAX_INDEX } from '../frames/page.ts'
import { type HugeArea, hstateOfArea, hugeInode, isSharedArea, subpoolOfArea } from '../spaces/hugetlb.ts'
import { memparse } from '../tunables_parse.ts'

const NO_LIMIT = -1
const hugeBytes = (h: Hstate): number => hugePages(h) * PAGE_SIZE

/** The pool of a page size given as its logarithm, 0 for the default size; undefined when there is none (hstate_sizelog). */
export const hstateOfLog = (k: Kernel, log: number): Hstate | undefined =>
  log === 0 ? k.hugetlb.hstates[k.hugetlb.defaultHstate] : k.hugetlb.hstates.find(h => hugeBytes(h) === 2 ** log)

// --- mounts

/** What a mount's options make of its superblock. */
export type HugetlbfsFields = Pick<SuperBlock, 'hstate' | 'hugetlb' | 'maxInodes' | 'mode' | 'uid' | 'gid'>

interface Options {
  hstate: number
  mode: number
  uid: number
  gid: number
  nrInodes: number
  size: string | undefined
  minSize: string | undefined
}

/** Options that any file system takes. */
const COMMON = ['rw', 'ro', 'sync', 'async', 'dirsync', 'lazytime', 'nolazytime', 'mand', 'nomand']

/** mount -t hugetlbfs -o `text`. @returns the fields of the superblock, with min_size promised; -EINVAL or -ENOMEM. */
export function hugetlbfsMount(k: Kernel, text: string): HugetlbfsFields | number {
  const options: Options = {
    hstate: k.hugetlb.defaultHstate,
    mode: 0o755,
    uid: 0,
    gid: 0,
    nrInodes: NO_LIMIT,
    size: undefined,
    minSize: undefined,
  }
  for (const word of text.split(',')) {
    if (word === '' || COMMON.includes(word)) continue
    const equals = word.indexOf('=')
    if (equals < 0 || !parseOption(k, options, word.slice(0, equals), word.slice(equals + 1))) return -EINVAL
  }
  const h = k.hugetlb.hstates[options.hstate]
  const maxPages = pagesOfSize(h, options.size)
  const minPages = pagesOfSize(h, options.minSize)
  if (options.size !== undefined && minPages > maxPages) return -EINVAL
  if (options.nrInodes === 0 || (minPages > 0 && promiseHugePages(k, h, minPages) < 0)) return -ENOMEM
  const { hstate, mode, uid, gid } = options
  return { hstate, hugetlb: newSubpool(k, hstate, maxPages, minPages), maxInodes: options.nrInodes, mode, uid, gid }
}

function parseOption(k: Kernel, options: Options, key: string, value: string): boolean {
  switch (key) {
    case 'uid':
    case 'gid':
      options[key] = Number(value)
      return /^\d+$/.test(value) && options[key] < 0xffffffff
    case 'mode':
      options.mode = Number.parseInt(value, 8) & 0o1777
      return /^[0-7]{1,10}$/.test(value)
    case 'pagesize':
      options.hstate = k.hugetlb.hstates.findIndex(h => hugeBytes(h) === memparse(value))
      return options.hstate >= 0
    case 'nr_inodes':
      options.nrInodes = memparse(value)
      return /^\d/.test(value)
    case 'size':
      options.size = value
      return /^\d/.test(value)
    case 'min_size':
      options.minSize = value
      return /^\d/.test(value)
    default:
      return false
  }
}

/** Whole pages of a size in bytes, or in percent of the pool (hugetlbfs_size_to_hpages). */
function pagesOfSize(h: Hstate, size: string | undefined): number {
  if (size === undefined) return NO_LIMIT
  const number = memparse(size)
  return /^\w+%/.test(size) ? Math.floor((number * h.maxHugePages) / 100) : Math.floor(number / hugeBytes(h))
}

function newSubpool(k: Kernel, hstate: number, maxPages: number, minPages: number): HugetlbSubpool | undefined {
  if (maxPages < 0 && minPages < 0) return undefined
  const subpool: HugetlbSubpool = {
    id: k.hugetlb.nextSubpool++,
    hstate,
    mounted: true,
    maxPages,
    usedPages: 0,
    minPages,
    rsvPages: minPages,
  }
  k.hugetlb.subpools.set(subpool.id, subpool)
  return subpool
}

/** umount, when no file is in use any more: the quota's promises go back. */
export function hugetlbfsUnmount(k: Kernel, sb: SuperBlock): void {
  if (sb.hugetlb !== undefined) subpoolUnmount(k, sb.hugetlb)
}

/** A new file or directory in a mounted hugetlbfs, found by its path; -ENOSPC when the mount has no inode left. */
export function hugetlbfsCreate(
  k: Kernel,
  sb: SuperBlock,
  path: string,
  fields: { readonly directory: boolean; readonly mode: number; readonly task: Task | undefined },
): Inode | number {
  if (sb.maxInodes >= 0 && sb.usedInodes >= sb.maxInodes) return -ENOSPC
  const hugetlb = fields.directory ? undefined : { hstate: sb.hstate, pages: new Map(), reserved: [], segment: false }
  return inodeCreate(k, sb, path, { directory: fields.directory, mode: fields.mode, uid: fields.task?.uid ?? 0, hugetlb })
}

// --- files without a name

export interface NamelessFile {
  /** What /proc/PID/maps shows. */
  readonly path: string
  readonly bytes: number
  /** Its pages are promised only as they are mapped. */
  readonly noreserve: boolean
  /** A shared memory segment: who has no CAP_IPC_LOCK must be in hugetlb_shm_group. */
  readonly segment: boolean
}

/** Whether the task may make shared memory of huge pages (can_do_hugetlb_shm). */
const canDoHugetlbShm = (k: Kernel, task: Task) => task.uid === 0 || k.sysctl.hugetlb_shm_group === task.gid

/**
 * A file of huge pages of the given size (as a logarithm, 0 for the default) that has no name (hugetlb_file_setup).
 * @returns it open, or a negative errno.
 */
export function hugetlbFileSetup(k: Kernel, task: Task, wanted: NamelessFile, sizeLog: number): OpenFile | number {
  const h = hstateOfLog(k, sizeLog)
  if (h === undefined) return -ENODEV
  if (wanted.segment && !canDoHugetlbShm(k, task)) return -EPERM
  const hstate = k.hugetlb.hstates.indexOf(h)
  const inode = inodeCreate(k, k.hugetlb.mounts[hstate], wanted.path, {
    nlink: 0,
    sizeBytes: wanted.bytes,
    mode: 0o777,
    hugetlb: { hstate, pages: new Map(), reserved: [], segment: wanted.segment },
  })
  const file = fileOpen(k, inode, { read: true, write: true })
  if (wanted.noreserve || reserveShared(k, h, file, 0, Math.floor(wanted.bytes / hugeBytes(h)))) return file
  fput(k, file)
  return -ENOMEM
}

/** The file behind an anonymous mapping of huge pages, as long as the mapping: EINVAL for a size there is no pool of. */
export function hugetlbAnonFile(k: Kernel, task: Task, bytes: number, sizeLog: number): OpenFile | number {
  const h = hstateOfLog(k, sizeLog)
  if (h === undefined) return -EINVAL
  return hugetlbFileSetup(
    k,
    task,
    { path: '/anon_hugepage', bytes: alignUp(bytes, hugeBytes(h)), noreserve: true, segment: false },
    sizeLog,
  )
}

// --- mmap, fallocate, ftruncate

/** Promises the file's pages [first, end) that have not been promised yet. */
function reserveShared(k: Kernel, h: Hstate, file: OpenFile, first: number, end: number): boolean {
  const reserved = hugeInode({ mapping: file.inode.mapping }).reserved
  if (!promise(k, h, file.inode.sb.hugetlb, regionMissing(reserved, first, end))) return false
  regionAdd(reserved, first, end)
  return true
}

/** Takes the promise of `n` pages out of the mount's quota and the pool, or neither. */
function promise(k: Kernel, h: Hstate, subpool: HugetlbSubpool | undefined, n: number): boolean {
  const fromPool = subpoolGet(subpool, n)
  if (fromPool < 0) return false
  if (promiseHugePages(k, h, fromPool) === 0) return true
  subpoolPut(k, subpool, n)
  return false
}

/**
 * A file is about to be mapped by this area, which is not linked in yet: promises its pages (hugetlbfs_file_mmap).
 * @returns 0, -EINVAL or -ENOMEM.
 */
export function hugetlbfsMmap(k: Kernel, area: Vma, file: OpenFile): number {
  const h = hstateOfArea(k, area)
  const pages = area.end - area.start
  if (area.pgoff % hugePages(h) !== 0) return -EINVAL
  if ((area.flags & VM_NORESERVE) === 0 && !hugeInode(area).segment) {
    const first = area.pgoff / hugePages(h)
    const end = first + pages / hugePages(h)
    if (isSharedArea(area)) {
      if (!reserveShared(k, h, file, first, end)) return -ENOMEM
    } else {
      if (!promise(k, h, subpoolOfArea(area), end - first)) return -ENOMEM
      area.resv = { consumed: [], refs: 1 }
    }
  }
  const bytes = (area.pgoff + pages) * PAGE_SIZE
  if ((area.flags & VM_WRITE) !== 0 && file.inode.sizeBytes < bytes) file.inode.sizeBytes = bytes
  return 0
}

/** fallocate(2), after the checks common to all files. @returns 0, -EOPNOTSUPP, or -ENOSPC with the pages before the one that failed allocated. */
export function hugetlbfsFallocate(k: Kernel, file: OpenFile, mode: number, offset: number, bytes: number): number {
  const { inode } = file
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) !== 0) return -EOPNOTSUPP
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) {
    hugetlbfsPunch(k, inode, offset, bytes)
    return 0
  }
  const area: HugeArea = {
    flags: VM_HUGETLB | VM_MAYSHARE | VM_SHARED,
    mapping: inode.mapping,
    pgoff: 0,
    policy: undefined,
    resv: undefined,
  }
  const h = hstateOfArea(k, area)
  const { pages } = hugeInode(area)
  const end = Math.ceil((offset + bytes) / hugeBytes(h))
  if (end * hugePages(h) > MAX_INDEX) return -ENOSPC
  for (let index = Math.floor(offset / hugeBytes(h)); index < end; index++) {
    if (pages.has(index)) continue
    const head = allocHugePage(k, area, index * hugePages(h), false)
    if (head === NO_PAGE) return -ENOSPC
    clearHugePage(k, h, head)
    k.page[head * PAGE_WORDS] |= PG_uptodate
    hugeCacheAdd(k, inode.mapping, index, head)
  }
  if ((mode & FALLOC_FL_KEEP_SIZE) === 0) inode.sizeBytes = Math.max(inode.sizeBytes, offset + bytes)
  return 0
}

/** ftruncate(2). @returns 0, or -EINVAL for a length that is no whole number of huge pages. */
export function hugetlbfsTruncate(k: Kernel, inode: Inode, bytes: number): number {
  if (bytes % hugeBytes(k.hugetlb.hstates[inode.sb.hstate]) !== 0) return -EINVAL
  hugetlbfsTruncateTo(k, inode, bytes)
  return 0
}
