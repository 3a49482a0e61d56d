/**
 * A process' ops on the 2014 proposal (kernel/fault/userfault_2014.ts): it registers ranges with any number of descriptors, moves pages with
 * remap_anon_pages, and can have a thread that gives each missing page the one at the same offset of another region.
 */
import { COST, spend } from '../kernel/base/cost.ts'
import { EBADF, EINVAL } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Userfault2014 } from '../kernel/base/state_uffd.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { RAP_ALLOW_SRC_HOLES, sysRemapAnonPages } from '../kernel/calls/remap_anon_pages.ts'
import {
  userfaultClose,
  userfaultOpen,
  userfaultRead,
  userfaultRegister,
  userfaultUnregister,
  userfaultWrite,
} from '../kernel/fault/userfault_2014.ts'
import { extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, OpOf, Region, Worker } from './interpreter_state.ts'

type UserfaultOp = OpOf<'userfault_register' | 'userfault_unregister' | 'userfault_close' | 'remap_anon_pages'>

export function userfaultOp(k: Kernel, worker: Worker, doing: Doing, op: UserfaultOp): number {
  if (op.op === 'userfault_close') return close(k, worker)
  const region = regionOf(worker, op.region)
  if (region === undefined) return -EINVAL
  const { offset, length } = extentOf(region, op.range)
  const start = region.address + offset
  const [first, end] = [start / PAGE_SIZE, (start + length) / PAGE_SIZE]
  if (op.op === 'userfault_register') return register(k, worker, first, end, op.fresh)
  if (op.op === 'userfault_unregister') return unregister(k, worker, first, end)
  const from = regionOf(worker, op.from)
  if (from === undefined) return -EINVAL
  const ret = sysRemapAnonPages(k, worker.task, start, from.address + op.offset, length, op.holes ? RAP_ALLOW_SRC_HOLES : 0)
  doing.extra['moved'] = Math.max(0, ret)
  return Math.min(0, ret)
}

const isRange = (start: number, end: number): boolean => Number.isInteger(start) && Number.isInteger(end)

/** The process' descriptors, the latest last. */
const descriptorsOf = (k: Kernel, { uffd }: Worker): Userfault2014[] => uffd.proposed.flatMap(({ id }) => k.uffd.proposed.get(id) ?? [])

/** With the descriptor it opened last, or a further one. */
function register(k: Kernel, worker: Worker, start: number, end: number, fresh: boolean): number {
  const { task, uffd } = worker
  if (task.mm === undefined || !isRange(start, end)) return -EINVAL
  const last = fresh ? undefined : descriptorsOf(k, worker).at(-1)
  const fd = last ?? userfaultOpen(k, task.mm)
  if (last === undefined) uffd.proposed.push({ id: fd.id, from: '' })
  return userfaultRegister(k, fd, start, end)
}

function unregister(k: Kernel, worker: Worker, start: number, end: number): number {
  if (!isRange(start, end)) return -EINVAL
  return descriptorsOf(k, worker).some(fd => userfaultUnregister(k, fd, start, end) === 0) ? 0 : -EINVAL
}

function close(k: Kernel, worker: Worker): number {
  const fd = descriptorsOf(k, worker).at(-1)
  worker.uffd.proposed.pop()
  if (fd === undefined) return -EBADF
  userfaultClose(k, fd)
  return 0
}

/** Names the region that missing pages of the latest descriptor come from. @returns false when there is no descriptor */
export function handleFrom({ uffd }: Worker, from: string): boolean {
  const last = uffd.proposed.at(-1)
  if (last !== undefined) last.from = from
  return last !== undefined
}

/** Gives each page that is missed the one at its offset of the region to move from, and says so; descriptor after descriptor. */
export function resolveByMoving(k: Kernel, worker: Worker): void {
  for (const { id, from: name } of worker.uffd.proposed) {
    const fd = k.uffd.proposed.get(id)
    const from = regionOf(worker, name)
    if (fd === undefined || from === undefined) continue
    for (let address = userfaultRead(fd); address !== undefined; address = userfaultRead(fd)) moveTo(k, worker, fd, from, address)
  }
}

function moveTo(k: Kernel, worker: Worker, fd: Userfault2014, from: Region, missed: number): void {
  spend(k, COST.syscall, 1)
  const region = worker.regions.find(each => each !== undefined && missed >= each.address && missed < each.address + each.bytes)
  const offset = region === undefined ? 0 : missed - region.address
  const ret = sysRemapAnonPages(k, worker.task, missed, from.address + offset, PAGE_SIZE, 0)
  if (ret < 0) {
    worker.uffd.counts.failed++
    return
  }
  worker.uffd.counts.resolved++
  spend(k, COST.syscall, 1)
  userfaultWrite(k, fd, missed / PAGE_SIZE, missed / PAGE_SIZE + 1)
}
