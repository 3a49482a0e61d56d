/**
 * A process' ops on files, and what its mappings are backed by. Files are read and written 16 KiB a call, as the executor's
 * buffer is; an op goes on where it was after each call.
 */
import { memcgHandleOverHigh } from '../kernel/alloc/charge.ts'
import { must } from '../kernel/base/assert.ts'
import { isIndexed } from '../kernel/base/content.ts'
import { now } from '../kernel/base/cost.ts'
import { EBADF, EINVAL } from '../kernel/base/errno.ts'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../kernel/base/flags.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { OpenFile } from '../kernel/base/state_fs.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { sysFadvise } from '../kernel/calls/fadvise.ts'
import { type OpenWanted, sysClose, sysMemfdCreate, sysMkdir, sysOpen, sysStat, sysUnlink } from '../kernel/calls/files.ts'
import { sysFallocate, sysFsync, sysFtruncate, sysLseek, sysRead, sysWrite } from '../kernel/calls/files_io.ts'
import { hugetlbFileSetup } from '../kernel/calls/hugetlb_fs.ts'
import { sysMemfdSecret } from '../kernel/calls/memfd_secret.ts'
import { shmemIsHuge } from '../kernel/fault/huge_memory_check.ts'
import { contentClass } from './interpreter_content.ts'
import { accessDone, isPaced, nextAccess, passesOver, startPacing } from './interpreter_pace.ts'
import { extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, OpOf, OpState, Run, Worker } from './interpreter_state.ts'
import type { MmapOp, Pace, ReadfileOp, WritefileOp } from './program.ts'

type IoState = OpState & { readonly kind: 'io' }
type FileOp = OpOf<
  'fallocate' | 'ftruncate' | 'readfile' | 'writefile' | 'fadvise' | 'fsync' | 'unlink' | 'mkfiles' | 'statfiles' | 'rmfiles'
>

/** Bytes of one read or write. */
const CALL_BYTES = 16384
const MODE = 0o600
const MIB_2 = 2 ** 21

// ------------------------------------------------------------------------------------------- what a mapping maps

/** What a mapping maps: an open file (undefined for anonymous memory) and the size of its pages. */
export interface Backed {
  readonly file: OpenFile | undefined
  readonly pageBytes: number
}

/** Opens, makes and grows what an mmap op maps; a negative errno where that fails. */
export function backingOf({ k }: Run, worker: Worker, op: MmapOp): Backed | number {
  const { backing } = op
  switch (backing.kind) {
    case 'anonymous':
      return { file: undefined, pageBytes: PAGE_SIZE }
    case 'shm':
      return { file: undefined, pageBytes: Math.max(PAGE_SIZE, backing.hugetlbBytes) }
    case 'secret': {
      const file = sysMemfdSecret(k, worker.task, 0)
      return typeof file === 'number' ? file : grown(k, worker, file, op.fileOffset + op.bytes, PAGE_SIZE)
    }
    case 'memfd': {
      const file = memfd(k, worker, op.region, backing.hugetlbBytes)
      return typeof file === 'number' ? file : grown(k, worker, file, op.fileOffset + op.bytes, Math.max(PAGE_SIZE, backing.hugetlbBytes))
    }
    case 'file': {
      const file = sysOpen(k, worker.task, backing.path, { read: true, write: true, create: MODE })
      if (typeof file === 'number') return file
      const bytes = op.fileOffset + op.bytes
      return grown(k, worker, file, backing.grow && file.inode.sizeBytes < bytes ? bytes : undefined, pageBytes(k, file))
    }
  }
}

/** memfd_create(2). Huge pages are promised when they are mapped. */
function memfd(k: Kernel, { task }: Worker, name: string, hugetlbBytes: number): OpenFile | number {
  if (hugetlbBytes === 0) return sysMemfdCreate(k, task, name)
  const file = hugetlbFileSetup(k, task, { path: `/memfd:${name}`, bytes: 0, noreserve: true, segment: false }, Math.log2(hugetlbBytes))
  if (typeof file !== 'number') task.files.add(file)
  return file
}

/** The file with its new size, if it gets one; closed again when it cannot have it. */
function grown(k: Kernel, { task }: Worker, file: OpenFile, bytes: number | undefined, unit: number): Backed | number {
  const ret = bytes === undefined ? 0 : sysFtruncate(k, task, file, bytes)
  if (ret >= 0) return { file, pageBytes: unit }
  sysClose(k, task, file)
  return ret
}

/** The page size that fstat's st_blksize tells: huge on hugetlbfs, and on a tmpfs that uses huge pages. */
function pageBytes(k: Kernel, { inode }: OpenFile): number {
  if (inode.hugetlb !== undefined) return 2 ** k.hugetlb.hstates[inode.hugetlb.hstate].order * PAGE_SIZE
  return inode.sb.type === 'tmpfs' && shmemIsHuge(k, undefined, inode, 0, false) ? MIB_2 : PAGE_SIZE
}

// ------------------------------------------------------------------------------------------- ops

export function fileOp(run: Run, worker: Worker, doing: Doing, op: FileOp, untilNs: number): number | undefined {
  const { k } = run
  const { task } = worker
  switch (op.op) {
    case 'readfile':
      return readfile(run, worker, doing, op, untilNs)
    case 'writefile':
      return writefile(run, worker, doing, op, untilNs)
    case 'fadvise':
      return withFile(k, worker, op.path, { read: true, write: false }, file =>
        sysFadvise(k, task, file, op.range.offset, op.range.length ?? 0, op.advice),
      )
    case 'fsync':
      return withFile(k, worker, op.path, { read: true, write: true }, file => sysFsync(k, task, file))
    case 'unlink':
      return sysUnlink(k, task, op.path)
    case 'mkfiles':
    case 'statfiles':
    case 'rmfiles':
      return eachFile(run, worker, doing, op, untilNs)
    default: {
      const region = regionOf(worker, op.region)
      if (region === undefined) return -EINVAL
      if (region.file === undefined) return -EBADF
      if (op.op === 'ftruncate') return sysFtruncate(k, task, region.file, op.bytes)
      const { offset, length } = extentOf(region, op.range)
      return sysFallocate(k, task, region.file, op.punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0, offset, length)
    }
  }
}

/** Opens a file, does something with it, and closes it. */
function withFile(k: Kernel, { task }: Worker, path: string, wanted: OpenWanted, call: (file: OpenFile) => number): number {
  const file = sysOpen(k, task, path, wanted)
  if (typeof file === 'number') return file
  const ret = call(file)
  sysClose(k, task, file)
  return ret
}

/** mkfiles, statfiles, rmfiles: DIR/f000000, f000001 ... */
function eachFile(
  run: Run,
  worker: Worker,
  doing: Doing,
  op: OpOf<'mkfiles' | 'statfiles' | 'rmfiles'>,
  untilNs: number,
): number | undefined {
  const { k } = run
  if (doing.state === undefined && op.op === 'mkfiles') sysMkdir(k, worker.task, op.dir, 0o700)
  const state = doing.state?.kind === 'each' ? doing.state : { kind: 'each' as const, done: 0 }
  doing.state = state
  while (state.done < op.count) {
    if (now(k) >= untilNs) return undefined
    const ret = oneFile(k, worker, op, `${op.dir}/f${String(state.done).padStart(6, '0')}`)
    if (ret < 0) {
      doing.extra['done'] = state.done
      return ret
    }
    state.done++
    doing.progress = state.done
  }
  return state.done
}

function oneFile(k: Kernel, worker: Worker, op: OpOf<'mkfiles' | 'statfiles' | 'rmfiles'>, path: string): number {
  if (op.op === 'mkfiles') return withFile(k, worker, path, { read: false, write: true, create: MODE }, () => 0)
  if (op.op === 'rmfiles') return sysUnlink(k, worker.task, path)
  const ret = sysStat(k, worker.task, path)
  return op.negative ? 0 : ret
}

// ------------------------------------------------------------------------------------------- reading and writing

function readfile(run: Run, worker: Worker, doing: Doing, op: ReadfileOp, untilNs: number): number | undefined {
  const { k } = run
  const { task } = worker
  if (doing.state === undefined) {
    const file = sysOpen(k, task, op.path, { read: true, write: false, direct: op.direct })
    if (typeof file === 'number') return file
    if (op.random) sysFadvise(k, task, file, 0, 0, 'random')
    const there = Math.max(0, file.inode.sizeBytes - op.offset)
    startIo(
      run,
      worker,
      doing,
      file,
      op.pace,
      isPaced(op.pace) ? Math.min(there, op.bytes ?? there) : (op.bytes ?? Number.POSITIVE_INFINITY),
    )
  }
  const state = ioState(doing)
  const read = (at: number, bytes: number) => {
    if (at === 0 || state.pacing !== undefined) sysLseek(k, task, state.file, op.offset + at)
    return backFrom(k, sysRead(k, task, state.file, bytes))
  }
  const errno = transfer(run, worker, doing, op.pace, state, untilNs, read)
  if (errno === undefined) return undefined
  sysClose(k, task, state.file)
  return errno < 0 ? errno : state.total
}

function writefile(run: Run, worker: Worker, doing: Doing, op: WritefileOp, untilNs: number): number | undefined {
  const { k } = run
  const { task } = worker
  if (doing.state === undefined) {
    const file = sysOpen(k, task, op.path, { read: false, write: true, create: MODE, append: op.append })
    if (typeof file === 'number') return file
    startIo(run, worker, doing, file, op.pace, op.bytes)
  }
  const state = ioState(doing)
  const content = contentClass(k, op.content, { ordinal: worker.ordinal, name: op.path, seed: undefined })
  const indexed = isIndexed(k.contents.classes[content])
  const write = (at: number, bytes: number) => {
    if (!op.append && (at === 0 || state.pacing !== undefined)) sysLseek(k, task, state.file, op.offset + at)
    return backFrom(k, sysWrite(k, task, state.file, bytes, { content, indexed, index: Math.floor(at / PAGE_SIZE) }))
  }
  const ret = transfer(run, worker, doing, op.pace, state, untilNs, write)
  if (ret === undefined) return undefined
  const errno = ret === 0 && op.sync ? sysFsync(k, task, state.file) : ret
  sysClose(k, task, state.file)
  if (errno >= 0) return state.total
  doing.extra['written'] = state.total
  return errno
}

function startIo(run: Run, worker: Worker, doing: Doing, file: OpenFile, pace: Pace, bytes: number): void {
  const slots = Math.ceil(bytes / CALL_BYTES)
  const pacing = isPaced(pace) && slots > 0 ? startPacing(run, worker, pace, slots) : undefined
  doing.state = { kind: 'io', file, bytes, pacing, at: 0, total: 0, passes: 0 }
}

const ioState = (doing: Doing): IoState => must(doing.state?.kind === 'io' ? doing.state : undefined, 'an op on a file has opened it')

/** A call is over: a process that was charged beyond its group's memory.high makes up for it before it goes on. */
function backFrom(k: Kernel, ret: number): number {
  if (k.memcg.overHigh) memcgHandleOverHigh(k)
  return ret
}

/** One call of at most `bytes` bytes, `at` bytes from the op's begin. @returns bytes, 0 at the end of the file, or a negative errno */
type Call = (at: number, bytes: number) => number

/** Goes over the range call by call. @returns 0 when it is over, a negative errno, or undefined while there is more */
function transfer(run: Run, worker: Worker, doing: Doing, pace: Pace, state: IoState, untilNs: number, call: Call): number | undefined {
  const { k } = run
  if (state.pacing !== undefined) return transferPaced(run, worker, doing, pace, state, untilNs, call)
  if (pace.passes === 0) return 0
  while (now(k) < untilNs && !k.needResched) {
    const ret = state.at < state.bytes ? call(state.at, Math.min(CALL_BYTES, state.bytes - state.at)) : 0
    if (ret < 0) return ret
    state.at += ret
    count(doing, state, ret)
    if (ret > 0 && state.at < state.bytes) continue
    state.passes++
    state.at = 0
    if (passesOver(pace, state.passes, now(k) - doing.startNs)) return 0
  }
  return undefined
}

function transferPaced(
  run: Run,
  worker: Worker,
  doing: Doing,
  pace: Pace,
  state: IoState,
  untilNs: number,
  call: Call,
): number | undefined {
  const { k } = run
  const pacing = must(state.pacing, 'a paced transfer has a pace')
  while (now(k) < untilNs && !k.needResched) {
    const slot = nextAccess(run, worker, pace, pacing, untilNs)
    if (slot === 'over') return 0
    if (slot === 'wait') return undefined
    const startNs = now(k)
    const at = slot * CALL_BYTES
    const ret = call(at, Math.min(CALL_BYTES, state.bytes - at))
    if (ret < 0) return ret
    count(doing, state, ret)
    accessDone(pace, pacing, startNs, CALL_BYTES)
  }
  return undefined
}

function count(doing: Doing, state: IoState, bytes: number): void {
  state.total += bytes
  doing.progress = state.total
}
