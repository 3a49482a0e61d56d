/**
 * System V shared memory: objects found by a number, of ordinary memory or (SHM_HUGETLB) of huge TLB pages.
 *
 *     shmget ──> segment ── file without a name ──shmat──> area of a process
 *
 * A segment of huge pages is promised all its pages when it is made, rounded up to whole ones; attaching it promises nothing more.
 * Who may not lock memory at will has to be in the group that hugetlb_shm_group names. A segment that was removed stays as long as it
 * is attached anywhere, and goes with the last area.
 *
 * Source: ipc/shm.c (newseg, do_shmat, ksys_shmdt, shmctl_down), ipc/util.c (ipcget, ipcperms).
 */
import { must } from '../base/assert.ts'
import { EACCES, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM } from '../base/errno.ts'
import { MAP_FIXED, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, OpenFile, ShmSegment } from '../base/state_fs.ts'
import type { Task, Vma } from '../base/state_mm.ts'
import { alignDown, alignUp, PAGE_SIZE, pagesFor } from '../base/units.ts'
import { fileOpen, fput } from '../caches/files.ts'
import { shmemFileSetup } from '../caches/shmem.ts'
import { hugePages } from '../frames/hugetlb_pool.ts'
import { eachVma, vmasIn } from '../spaces/vma.ts'
import { capable } from './account.ts'
import { hstateOfLog, hugetlbFileSetup } from './hugetlb_fs.ts'
import { sysMmap } from './mmap.ts'
import { doMunmap } from './unmap.ts'

export const IPC_PRIVATE = 0
export const IPC_CREAT = 0o1000
export const IPC_EXCL = 0o2000
export const SHM_HUGETLB = 0o4000
export const SHM_NORESERVE = 0o10000
export const SHM_RDONLY = 0o10000
const SHM_RND = 0o20000
const SHM_REMAP = 0o40000
const SHM_EXEC = 0o100000
/** Where shmget's flags hold the logarithm of the size of huge pages, 0 for the default size. */
export const SHM_HUGE_SHIFT = 26
const SHM_HUGE_MASK = 0x3f
const PERMISSIONS = 0o777
const READ = 0o444
const WRITE = 0o222
const EXECUTE = 0o111
/** Segments that there may be (SHMMNI). */
const MOST_SEGMENTS = 4096

/** Areas that a segment is attached to (shm_nattch). */
const attachments = (segment: ShmSegment): number => segment.inode.mapping.rmap.reduce((sum, entry) => sum + entry.vmas, 0)

/** The segment of a number; one that was removed is gone when nobody has it attached any more. */
function segmentAt(k: Kernel, id: number): ShmSegment | undefined {
  const segment = k.fs.segments.get(id)
  if (segment === undefined || segment.held !== undefined || attachments(segment) > 0) return segment
  k.fs.segments.delete(id)
  return undefined
}

/** Whether the task has these rights to the segment, of its owner's, its group's and everybody's (ipcperms). */
function permits(task: Task, segment: ShmSegment, wanted: number): boolean {
  const shift = task.uid === segment.uid ? 6 : task.gid === segment.gid ? 3 : 0
  return capable(task) || ((wanted >> 6) & 7 & ~(segment.mode >> shift)) === 0
}

/** shmget(2). @returns the segment's number, or a negative errno. */
export function sysShmget(k: Kernel, task: Task, key: number, bytes: number, flags: number): number {
  const known = key === IPC_PRIVATE ? undefined : [...k.fs.segments.values()].find(each => each.key === key && each.held !== undefined)
  if (known === undefined) return key !== IPC_PRIVATE && (flags & IPC_CREAT) === 0 ? -ENOENT : newSegment(k, task, key, bytes, flags)
  if ((flags & (IPC_CREAT | IPC_EXCL)) === (IPC_CREAT | IPC_EXCL)) return -EEXIST
  if (known.bytes < bytes) return -EINVAL
  return permits(task, known, flags) ? known.id : -EACCES
}

function newSegment(k: Kernel, task: Task, key: number, bytes: number, flags: number): number {
  if (bytes < 1) return -EINVAL
  const path = `/SYSV${key.toString(16).padStart(8, '0')}`
  const noreserve = (flags & SHM_NORESERVE) !== 0
  const held =
    (flags & SHM_HUGETLB) !== 0
      ? hugeFile(k, task, path, bytes, noreserve, flags)
      : shmemFileSetup(k, task, pagesFor(bytes), noreserve, path)
  if (typeof held === 'number') return held
  if (k.fs.segments.size >= MOST_SEGMENTS) {
    fput(k, held)
    return -ENOSPC
  }
  const id = k.fs.nextSegment++
  k.fs.segments.set(id, { id, key, bytes, inode: held.inode, mode: flags & PERMISSIONS, uid: task.uid, gid: task.gid, held })
  return id
}

function hugeFile(k: Kernel, task: Task, path: string, bytes: number, noreserve: boolean, flags: number): OpenFile | number {
  const log = (flags >>> SHM_HUGE_SHIFT) & SHM_HUGE_MASK
  const h = hstateOfLog(k, log)
  if (h === undefined) return -EINVAL
  return hugetlbFileSetup(k, task, { path, bytes: alignUp(bytes, hugePages(h) * PAGE_SIZE), noreserve, segment: true }, log)
}

/** shmat(2). @param address 0 for any. @returns the byte address, or a negative errno. */
export function sysShmat(k: Kernel, task: Task, id: number, address: number, flags: number): number {
  const at = (flags & SHM_RND) !== 0 ? alignDown(address, PAGE_SIZE) : address
  if (at % PAGE_SIZE !== 0 || (at === 0 && (flags & SHM_REMAP) !== 0)) return -EINVAL
  const segment = segmentAt(k, id)
  if (segment === undefined || task.mm === undefined) return -EINVAL
  const write = (flags & SHM_RDONLY) === 0
  const exec = (flags & SHM_EXEC) !== 0
  if (!permits(task, segment, READ | (write ? WRITE : 0) | (exec ? EXECUTE : 0))) return -EACCES
  const bytes = segment.inode.sizeBytes
  if (address !== 0 && (flags & SHM_REMAP) === 0 && vmasIn(task.mm, at / PAGE_SIZE, at / PAGE_SIZE + pagesFor(bytes)).length > 0)
    return -EINVAL
  const file = fileOpen(k, segment.inode, { read: true, write })
  const prot = PROT_READ | (write ? PROT_WRITE : 0) | (exec ? PROT_EXEC : 0)
  const ret = sysMmap(k, task, { address: at, bytes, prot, flags: MAP_SHARED | (address !== 0 ? MAP_FIXED : 0), file, pgoff: 0 })
  fput(k, file)
  return ret
}

const segmentOf = (k: Kernel, inode: Inode | undefined): ShmSegment | undefined =>
  inode === undefined ? undefined : [...k.fs.segments.values()].find(each => each.inode === inode)

/** shmdt(2): unmaps the segment attached at the address, whatever its area was cut into since. @returns 0 or -EINVAL. */
export function sysShmdt(k: Kernel, task: Task, address: number): number {
  const { mm } = task
  if (mm === undefined || address % PAGE_SIZE !== 0) return -EINVAL
  const from = address / PAGE_SIZE
  const begins = (vma: Vma) => vma.start - from === vma.pgoff && segmentOf(k, vma.mapping?.inode) !== undefined
  const areas = [...eachVma(mm)].filter(vma => vma.start >= from)
  const first = areas.find(begins)
  if (first === undefined) return -EINVAL
  const end = from + pagesFor(must(first.mapping, 'an attached segment maps no file').inode.sizeBytes)
  for (const vma of areas) if (vma.end <= end && begins(vma) && vma.file === first.file) doMunmap(k, mm, vma.start, vma.end)
  return 0
}

/** shmctl(2) with IPC_RMID: no new process finds the segment by its key, and it goes when nobody has it attached. @returns 0 or a negative errno. */
export function sysShmRemove(k: Kernel, task: Task, id: number): number {
  const segment = segmentAt(k, id)
  if (segment === undefined) return -EINVAL
  if (!capable(task) && task.uid !== segment.uid) return -EPERM
  const { held } = segment
  segment.held = undefined
  if (held !== undefined) fput(k, held)
  segmentAt(k, id)
  return 0
}
