/**
 * A process' ops on the 2014 proposal (kernel/fault/userfault_2014.ts): it registers ranges, moves pages with remap_anon_pages, and can
 * have a thread that gives each missing page the one at the same offset of another region.
 */
import { COST, spend } from '../kernel/base/cost.ts'
import { EBADF, EINVAL } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { RAP_ALLOW_SRC_HOLES, sysRemapAnonPages } from '../kernel/calls/remap_anon_pages.ts'
import { userfaultClose, userfaultOpen, userfaultRead, userfaultRegister, userfaultWrite } from '../kernel/fault/userfault_2014.ts'
import { extentOf, regionOf } from './interpreter_regions.ts'
import type { Doing, OpOf, Worker } from './interpreter_state.ts'

type UserfaultOp = OpOf<'userfault_register' | 'userfault_close' | 'remap_anon_pages'>

export function userfaultOp(k: Kernel, worker: Worker, doing: Doing, op: UserfaultOp): number {
  if (op.op === 'userfault_close') return close(k, worker)
  const region = regionOf(worker, op.region)
  if (region === undefined) return -EINVAL
  const { offset, length } = extentOf(region, op.range)
  const start = region.address + offset
  if (op.op === 'userfault_register') return register(k, worker, start / PAGE_SIZE, (start + length) / PAGE_SIZE)
  const from = regionOf(worker, op.from)
  if (from === undefined) return -EINVAL
  const ret = sysRemapAnonPages(k, worker.task, start, from.address + op.offset, length, op.holes ? RAP_ALLOW_SRC_HOLES : 0)
  doing.extra['moved'] = Math.max(0, ret)
  return Math.min(0, ret)
}

function register(k: Kernel, { task, uffd }: Worker, start: number, end: number): number {
  if (task.mm === undefined || !Number.isInteger(start) || !Number.isInteger(end)) return -EINVAL
  const fd = k.uffd.proposed.get(uffd.proposed) ?? userfaultOpen(k, task.mm)
  uffd.proposed = fd.id
  return userfaultRegister(k, fd, start, end)
}

function close(k: Kernel, { uffd }: Worker): number {
  const fd = k.uffd.proposed.get(uffd.proposed)
  uffd.proposed = 0
  if (fd === undefined) return -EBADF
  userfaultClose(k, fd)
  return 0
}

/** Gives each page that is missed the one at its offset of the region to move from, and says so. */
export function resolveByMoving(k: Kernel, worker: Worker): void {
  const fd = k.uffd.proposed.get(worker.uffd.proposed)
  const from = regionOf(worker, worker.uffd.from)
  if (fd === undefined || from === undefined) return
  for (let address = userfaultRead(fd); address !== undefined; address = userfaultRead(fd)) {
    spend(k, COST.syscall, 1)
    const missed = address
    const region = worker.regions.find(each => each !== undefined && missed >= each.address && missed < each.address + each.bytes)
    const offset = region === undefined ? 0 : missed - region.address
    const ret = sysRemapAnonPages(k, worker.task, missed, from.address + offset, PAGE_SIZE, 0)
    if (ret < 0) {
      worker.uffd.counts.failed++
      continue
    }
    worker.uffd.counts.resolved++
    spend(k, COST.syscall, 1)
    userfaultWrite(k, fd, missed / PAGE_SIZE, missed / PAGE_SIZE + 1)
  }
}
