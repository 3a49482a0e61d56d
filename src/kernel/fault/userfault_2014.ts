/**
 * The first proposal of user-space page faults (October 2014), which was never merged in this form. What it became is userfaultfd.ts.
 *
 * An area of private anonymous memory is marked with MADV_USERFAULT; a range of it may be registered with a userfaultfd.
 *
 *     touch of a missing page     no descriptor for it                  SIGBUS
 *                                 a descriptor that has the range       asleep until its holder writes to it that the page is there
 *                                 ... closed, or rid of it, meanwhile   SIGBUS
 *     a system call's touch       asleep as well: the call notices nothing; without a descriptor it fails with EFAULT
 *
 * Unlike today's a descriptor has ranges, not areas: a process can have any number of them, each on memory of its own. Nothing fills
 * pages on the way: the holder moves them there with remap_anon_pages (calls/remap_anon_pages.ts). A fork inherits the mark, but no
 * descriptor knows of the child's memory.
 *
 * Source: the proposal's text, "userfault: RFC v2", and what it says of its patches.
 */
import { now } from '../base/cost.ts'
import { EBUSY, EINVAL } from '../base/errno.ts'
import { VM_FAULT_RETRY, VM_FAULT_SIGBUS } from '../base/flags.ts'
import { regionAdd, regionCount, regionDelete } from '../base/regions.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import type { Userfault2014 } from '../base/state_uffd.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { wakeTask } from './userfaultfd.ts'

/** Opens a descriptor for the address space; it has no range yet. */
export function userfaultOpen(k: Kernel, mm: Mm): Userfault2014 {
  const fd: Userfault2014 = { id: k.uffd.next++, mm: mm.id, ranges: [], waiting: [], unread: [] }
  k.uffd.proposed.set(fd.id, fd)
  return fd
}

const holderOf = (k: Kernel, mm: Mm, vpn: number): Userfault2014 | undefined => {
  for (const fd of k.uffd.proposed.values()) if (fd.mm === mm.id && regionCount(fd.ranges, vpn, vpn + 1) > 0) return fd
  return undefined
}

/** Registers virtual pages [start, end) with the descriptor; -EBUSY where another one has some of them, -EINVAL for none. */
export function userfaultRegister(k: Kernel, fd: Userfault2014, start: number, end: number): number {
  if (end <= start) return -EINVAL
  for (const other of k.uffd.proposed.values())
    if (other !== fd && other.mm === fd.mm && regionCount(other.ranges, start, end) > 0) return -EBUSY
  regionAdd(fd.ranges, start, end)
  return 0
}

/** Takes pages [start, end) from the descriptor; who waits for one of them gets SIGBUS. -EINVAL where it has none of them. */
export function userfaultUnregister(k: Kernel, fd: Userfault2014, start: number, end: number): number {
  if (end <= start || regionCount(fd.ranges, start, end) === 0) return -EINVAL
  regionDelete(fd.ranges, start, end)
  userfaultWrite(k, fd, start, end)
  return 0
}

/** A touch of a missing page of a marked area. @returns VM_FAULT_RETRY with the task asleep, or VM_FAULT_SIGBUS */
export function userfault2014(k: Kernel, vma: Vma): number {
  const task = k.current
  const vpn = k.vmf.vpn[0]
  const fd = holderOf(k, vma.mm, vpn)
  if (fd === undefined || task === undefined || k.vmf.atOnce) return VM_FAULT_SIGBUS
  const fault = { pid: task.pid, address: vpn * PAGE_SIZE, flags: 0, sinceNs: now(k) }
  fd.waiting.push(fault)
  fd.unread.push(fault)
  task.wait = { kind: 'fault', vpn, write: k.vmf.write, user: k.vmf.user, woken: false }
  k.uffd.told.push(fd.id)
  return VM_FAULT_RETRY
}

/** read(2): the byte address of a page that is missed, each once; undefined when there is none. */
export const userfaultRead = (fd: Userfault2014): number | undefined => fd.unread.shift()?.address

/** write(2): pages [start, end) are there now; who waits for one of them goes on. */
export function userfaultWrite(k: Kernel, fd: Userfault2014, start: number, end: number): void {
  const inside = ({ address }: { readonly address: number }) => address >= start * PAGE_SIZE && address < end * PAGE_SIZE
  for (const { pid } of fd.waiting.filter(inside)) wakeTask(k, pid)
  for (const queue of [fd.waiting, fd.unread]) queue.splice(0, queue.length, ...queue.filter(fault => !inside(fault)))
}

/** close(2): those who wait get SIGBUS when they take their fault again. */
export function userfaultClose(k: Kernel, fd: Userfault2014): void {
  k.uffd.proposed.delete(fd.id)
  userfaultWrite(k, fd, 0, Number.POSITIVE_INFINITY)
}

/** The task ends: it waits no longer, and with its address space its descriptors are of no more use. */
export function userfaultExit(k: Kernel, task: Task, mm: Mm | undefined): void {
  for (const fd of [...k.uffd.proposed.values()]) {
    for (const queue of [fd.waiting, fd.unread]) queue.splice(0, queue.length, ...queue.filter(({ pid }) => pid !== task.pid))
    if (fd.mm === mm?.id && mm.users <= 1) userfaultClose(k, fd)
  }
}
