/**
 * A process' ops on its address space, as system calls: which arguments an op stands for, and where a mapping goes.
 *
 *     0x200000000000 |--heap--|  2M  |--log--|  2M  ^ bump: the next mapping, rounded up
 */
import { EEXIST, EINVAL, ENOSPC, ERESTARTNOINTR } from '../kernel/base/errno.ts'
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MCL_CURRENT,
  MCL_FUTURE,
  MCL_ONFAULT,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/base/flags.ts'
import type { OpenFile } from '../kernel/base/state_fs.ts'
import { alignUp, PAGE_SIZE } from '../kernel/base/units.ts'
import { sysClose } from '../kernel/calls/files.ts'
import { sysMadvise } from '../kernel/calls/madvise.ts'
import { sysMincore } from '../kernel/calls/mincore.ts'
import { MLOCK_ONFAULT, sysMlock, sysMlock2, sysMlockall, sysMunlock, sysMunlockall } from '../kernel/calls/mlock.ts'
import { type MmapArguments, sysMmap } from '../kernel/calls/mmap.ts'
import { sysMprotect } from '../kernel/calls/mprotect.ts'
import { sysMremap } from '../kernel/calls/mremap.ts'
import { MS_SYNC, sysMsync } from '../kernel/calls/msync.ts'
import {
  IPC_CREAT,
  IPC_PRIVATE,
  SHM_HUGE_SHIFT,
  SHM_HUGETLB,
  SHM_NORESERVE,
  SHM_RDONLY,
  sysShmat,
  sysShmget,
  sysShmRemove,
} from '../kernel/calls/shm.ts'
import { sysMunmap } from '../kernel/calls/unmap.ts'
import { ADVICE_NUMBERS } from './advice.ts'
import { backingOf } from './interpreter_files.ts'
import { extentOf, isAddress, type RangeCall, ranged, regionOf } from './interpreter_regions.ts'
import type { Doing, MappingState, OpOf, Region, Run, Worker } from './interpreter_state.ts'
import type { MmapOp, Place } from './program.ts'

const MIB_2 = 2 ** 21
/** Where the first mapping of a process goes, and behind which address the area of the bump pointer ends. */
export const BUMP_START = 0x200000000000
const BUMP_END = 0x400000000000
/** MAP_HUGETLB's page size, as its logarithm from this bit on. */
const MAP_HUGE_SHIFT = 26
/** Rights to the segments that processes make for themselves. */
const SEGMENT_MODE = 0o600

type MemoryOp = OpOf<
  'mmap' | 'madvise' | 'munmap' | 'munlock' | 'mprotect' | 'mremap' | 'mlock' | 'mlockall' | 'munlockall' | 'msync' | 'mincore'
>

const PROTECTIONS = { none: 0, ro: PROT_READ, rw: PROT_READ | PROT_WRITE }
const LOCKS = { current: MCL_CURRENT, future: MCL_FUTURE, onfault: MCL_ONFAULT }

/** Bytes that the executor asks mincore about in one call: a vector of 16 KiB. */
const MINCORE_BYTES = 16384 * PAGE_SIZE

export function memoryOp(run: Run, worker: Worker, doing: Doing, op: MemoryOp, untilNs: number): number | undefined {
  const { k } = run
  const { task } = worker
  const pieces = (call: RangeCall) => ('pieces' in op ? ranged(run, worker, doing, op, untilNs, call) : undefined)
  switch (op.op) {
    case 'mmap':
      return mmap(run, worker, doing, op)
    case 'munmap':
      return munmap(
        run,
        worker,
        op,
        pieces((address, bytes) => sysMunmap(k, task, address, bytes)),
      )
    case 'madvise':
      return pieces((address, bytes) => sysMadvise(k, task, address, bytes, ADVICE_NUMBERS[op.advice]))
    case 'mprotect':
      return pieces((address, bytes) => sysMprotect(k, task, address, bytes, PROTECTIONS[op.access]))
    case 'mlock':
      return pieces((address, bytes) =>
        op.onfault ? sysMlock2(k, task, address, bytes, MLOCK_ONFAULT) : sysMlock(k, task, address, bytes),
      )
    case 'munlock':
      return pieces((address, bytes) => sysMunlock(k, task, address, bytes))
    case 'mlockall':
      return sysMlockall(
        k,
        task,
        op.flags.reduce((bits, flag) => bits | LOCKS[flag], 0),
      )
    case 'munlockall':
      return sysMunlockall(k, task)
    default: {
      const region = regionOf(worker, op.region)
      if (region === undefined) return -EINVAL
      if (op.op === 'mremap') return mremap(run, worker, doing, op, region)
      return op.op === 'msync' ? sysMsync(k, task, region.address, region.bytes, MS_SYNC) : mincore(run, worker, region, op)
    }
  }
}

function mmap(run: Run, worker: Worker, doing: Doing, op: MmapOp): number {
  const { k } = run
  const named = !isAddress(op.region)
  const slot = worker.regions.indexOf(undefined)
  const wanted = doing.state?.kind === 'mapping' ? doing.state : startMapping(run, worker, op, slot)
  if (typeof wanted === 'number') return wanted
  doing.state = wanted
  const { file, base, pageBytes } = wanted
  const map = () =>
    op.backing.kind === 'shm'
      ? attach(run, worker, op, op.backing.hugetlbBytes, base)
      : sysMmap(k, worker.task, mmapArguments(op, base, file, pageBytes))
  const ret = base < 0 ? base : map()
  if (ret === -ERESTARTNOINTR) return ret
  if (file !== undefined && (ret < 0 || !named)) sysClose(k, worker.task, file)
  if (ret < 0) return ret
  doing.extra['addr'] = hex(ret)
  if (!named) return 0
  worker.regions[slot] = { name: op.region, address: ret, bytes: op.bytes, pageBytes, file }
  if (op.place.kind === 'next') worker.bump = alignUp(base + op.bytes, MIB_2) + MIB_2
  return 0
}

/** What is to be mapped, opened or made, and where; or a negative errno. */
function startMapping(run: Run, worker: Worker, op: MmapOp, slot: number): MappingState | number {
  const named = !isAddress(op.region)
  if (named && regionOf(worker, op.region) !== undefined) return -EEXIST
  if (named && slot < 0) return -ENOSPC
  const backing = backingOf(run, worker, op)
  if (typeof backing === 'number') return backing
  const pageBytes = Math.max(backing.pageBytes, op.hugetlbBytes)
  return { kind: 'mapping', file: backing.file, base: placeOf(worker, op.place, pageBytes), pageBytes }
}

/** Makes a segment, attaches it and removes it, so that it goes with the last process that has it. */
function attach({ k }: Run, { task }: Worker, op: MmapOp, hugetlbBytes: number, address: number): number {
  const huge = hugetlbBytes === 0 ? 0 : SHM_HUGETLB | (Math.log2(hugetlbBytes) << SHM_HUGE_SHIFT)
  const id = sysShmget(k, task, IPC_PRIVATE, op.bytes, IPC_CREAT | SEGMENT_MODE | huge | (op.noreserve ? SHM_NORESERVE : 0))
  if (id < 0) return id
  const ret = sysShmat(k, task, id, address, op.prot.write ? 0 : SHM_RDONLY)
  sysShmRemove(k, task, id)
  return ret
}

const hex = (address: number) => `0x${address.toString(16)}`

/** The address asked for, 0 for any, or -EINVAL for a place beside a region that is not there. */
function placeOf(worker: Worker, place: Place, pageBytes: number): number {
  switch (place.kind) {
    case 'anywhere':
      return 0
    case 'address':
      return place.address
    case 'region': {
      const other = regionOf(worker, place.region)
      return other === undefined ? -EINVAL : other.address + place.offset
    }
    case 'next': {
      const align = place.alignBytes ?? 0
      const base = alignUp(worker.bump, Math.max(MIB_2, pageBytes, align))
      return align < MIB_2 ? base + align : base
    }
  }
}

function mmapArguments(op: MmapOp, address: number, file: OpenFile | undefined, pageBytes: number): MmapArguments {
  return {
    address,
    bytes: op.bytes,
    prot: (op.prot.read ? PROT_READ : 0) | (op.prot.write ? PROT_WRITE : 0) | (op.prot.exec ? PROT_EXEC : 0),
    flags: mapFlags(op, file, pageBytes),
    file,
    pgoff: op.fileOffset / PAGE_SIZE,
    pauses: true,
  }
}

function mapFlags(op: MmapOp, file: OpenFile | undefined, pageBytes: number): number {
  let flags = op.shared ? MAP_SHARED : MAP_PRIVATE
  if (op.locked) flags |= MAP_LOCKED
  if (op.populate) flags |= MAP_POPULATE
  if (op.nonblock) flags |= MAP_NONBLOCK
  if (op.noreserve) flags |= MAP_NORESERVE
  if (file === undefined) flags |= MAP_ANONYMOUS
  if (file === undefined && op.hugetlbBytes > 0) flags |= MAP_HUGETLB | (Math.log2(pageBytes) << MAP_HUGE_SHIFT)
  if (op.place.kind === 'anywhere') return flags
  return flags | (op.fixed ? MAP_FIXED : MAP_FIXED_NOREPLACE)
}

/** After munmap: all of a region unmapped in one call frees its name. */
function munmap(run: Run, worker: Worker, op: OpOf<'munmap'>, ret: number | undefined): number | undefined {
  const region = regionOf(worker, op.region)
  if (region === undefined || ret === undefined || ret < 0 || op.pieces !== undefined) return ret
  const { offset, length } = extentOf(region, op.range)
  if (offset === 0 && length === region.bytes) forget(run, worker, region)
  return ret
}

/** The name is free again, and the file closed. */
function forget(run: Run, worker: Worker, region: Region): void {
  worker.regions[worker.regions.indexOf(region)] = undefined
  if (region.file !== undefined) sysClose(run.k, worker.task, region.file)
}

function mremap(run: Run, worker: Worker, doing: Doing, op: OpOf<'mremap'>, region: Region): number {
  const next = alignUp(worker.bump, Math.max(MIB_2, region.pageBytes))
  const newAddress = op.to === 'new' ? next : (op.to ?? 0)
  const flags = (op.mayMove ? MREMAP_MAYMOVE : 0) | (op.to === undefined ? 0 : MREMAP_FIXED) | (op.dontunmap ? MREMAP_DONTUNMAP : 0)
  const oldBytes = op.oldBytes ?? region.bytes
  const ret = sysMremap(run.k, worker.task, { address: region.address, oldBytes, newBytes: op.bytes, flags, newAddress })
  if (ret < 0) return ret
  region.address = ret
  region.bytes = op.bytes
  if (ret >= BUMP_START && ret < BUMP_END) worker.bump = Math.max(worker.bump, alignUp(ret + op.bytes, MIB_2) + MIB_2)
  doing.extra['addr'] = hex(ret)
  return 0
}

/** Whole pages of the range that are in memory: part of a page is asked about, but not counted. */
function mincore(run: Run, worker: Worker, region: Region, op: OpOf<'mincore'>): number {
  const { offset, length } = extentOf(region, op.range)
  let resident = 0
  for (let at = offset; at < offset + length; at += MINCORE_BYTES) {
    const bytes = Math.min(MINCORE_BYTES, offset + length - at)
    const address = region.address + at
    const ret = sysMincore(run.k, worker.task, address, bytes)
    if (ret < 0) return ret
    resident += bytes % PAGE_SIZE === 0 ? ret : sysMincore(run.k, worker.task, address, bytes - (bytes % PAGE_SIZE))
  }
  return resident
}
