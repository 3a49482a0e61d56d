/**
 * How much memory may be promised: overcommit, address-space limits, and the figures a process' mappings add up to.
 *
 *     overcommit_memory 0   a single promise may not exceed all RAM and swap
 *                       1   anything goes
 *                       2   the sum of promises stays below CommitLimit, less a reserve for root and for this process
 *
 * Each CPU adds its promises to the sum in batches (1/256 of its share of RAM in mode 2, a quarter otherwise), so that many small ones can
 * pass the limit by a batch a CPU.
 *
 * Source: mm/util.c (__vm_enough_memory, vm_commit_limit, sync_overcommit_as), mm/mm_init.c mm_compute_batch, mm/mmap.c (may_expand_vm,
 * vm_stat_account, accountable_mapping).
 */
import { ENOMEM } from '../base/errno.ts'
import { VM_ACCOUNT, VM_EXEC, VM_GROWSDOWN, VM_HUGETLB, VM_NORESERVE, VM_SHARED, VM_WRITE } from '../base/flags.ts'
import { KERN_WARNING, printk } from '../base/log.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import { PAGE_KB, PAGE_SIZE } from '../base/units.ts'

/** Whether the task is root with all its capabilities: those are all or none here. */
export const capable = (task: Task): boolean => task.uid === 0

const OVERCOMMIT_GUESS = 0
const OVERCOMMIT_ALWAYS = 1
export const OVERCOMMIT_NEVER = 2

/** Least pages that a CPU promises before it tells the others. */
const MIN_BATCH = 32

/** Pages of all swap areas in use. */
export const totalSwapPages = (k: Kernel): number => k.swapPages

const hugetlbTotalPages = (k: Kernel): number => k.hugetlb.hstates.reduce((sum, h) => sum + h.nrHugePages * 2 ** h.order, 0)

/** CommitLimit in pages. */
export function vmCommitLimit(k: Kernel): number {
  const { overcommit_kbytes: kbytes, overcommit_ratio: ratio } = k.sysctl
  const ram = kbytes !== 0 ? Math.floor(kbytes / PAGE_KB) : Math.floor(((k.totalramPages - hugetlbTotalPages(k)) * ratio) / 100)
  return ram + totalSwapPages(k)
}

/**
 * Promises `pages` to the process, or returns -ENOMEM and promises nothing (security_vm_enough_memory_mm). Even a promise
 * of no page fails in mode 2 once the limit is passed.
 */
export function vmEnoughMemory(k: Kernel, task: Task | undefined, mm: Mm | undefined, pages: number): number {
  vmAcctMemory(k, pages)
  if (overcommitAllows(k, task, mm, pages)) return 0
  vmUnacctMemory(k, pages)
  if (task !== undefined)
    printk(k, KERN_WARNING, `__vm_enough_memory: pid: ${task.pid}, comm: ${task.comm}, no enough memory for the allocation`)
  return -ENOMEM
}

function overcommitAllows(k: Kernel, task: Task | undefined, mm: Mm | undefined, pages: number): boolean {
  const mode = k.sysctl.overcommit_memory
  if (mode === OVERCOMMIT_ALWAYS) return true
  if (mode === OVERCOMMIT_GUESS) return pages <= k.totalramPages + totalSwapPages(k)
  let allowed = vmCommitLimit(k)
  if (task !== undefined && !capable(task)) allowed -= Math.floor(k.sysctl.admin_reserve_kbytes / PAGE_KB)
  if (mm !== undefined) allowed -= Math.min(Math.floor(mm.totalVm / 32), Math.floor(k.sysctl.user_reserve_kbytes / PAGE_KB))
  const known = k.committedAs - k.cpus.reduce((sum, { committed }) => sum + committed, 0)
  return Math.max(known, 0) < allowed
}

/** Counts a promise without asking: it was made before, or is being handed on. */
export function vmAcctMemory(k: Kernel, pages: number): void {
  k.committedAs += pages
  const cpu = k.cpus[k.cpu]
  const kept = cpu.committed + pages
  cpu.committed = Math.abs(kept) < committedBatch(k) ? kept : 0
}

export const vmUnacctMemory = (k: Kernel, pages: number): void => vmAcctMemory(k, -pages)

/** Pages that a CPU promises or takes back before it adds them to the sum. */
function committedBatch(k: Kernel): number {
  const cpus = k.cpus.length
  const share = k.sysctl.overcommit_memory === OVERCOMMIT_NEVER ? 256 : 4
  return Math.max(2 * cpus, MIN_BATCH, Math.floor(k.totalramPages / cpus / share))
}

/** The CPUs add what they kept to the sum, when mode 2 begins. */
export function syncOvercommitAs(k: Kernel): void {
  if (k.sysctl.overcommit_memory === OVERCOMMIT_NEVER) for (const cpu of k.cpus) cpu.committed = 0
}

/** Private writable memory is promised when it is mapped; shared memory by its object (accountable_mapping). */
export const accountableMapping = (flags: number): boolean =>
  (flags & VM_HUGETLB) === 0 && (flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) === VM_WRITE

const isData = (flags: number) => (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) === VM_WRITE
const isExec = (flags: number) => (flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)) === VM_EXEC
const isStack = (flags: number) => (flags & (VM_GROWSDOWN | VM_SHARED)) === VM_GROWSDOWN

/** Whether RLIMIT_AS and RLIMIT_DATA leave room for `pages` more (may_expand_vm). */
export function mayExpandVm(task: Task, mm: Mm, flags: number, pages: number): boolean {
  if (mm.totalVm + pages > task.rlimits.as / PAGE_SIZE) return false
  return !(isData(flags) && mm.dataVm + pages > task.rlimits.data / PAGE_SIZE)
}

/** Counts mapped pages by what they hold (vm_stat_account). */
export function vmStatAccount(mm: Mm, flags: number, pages: number): void {
  mm.totalVm += pages
  if (mm.totalVm > mm.hiwaterVm) mm.hiwaterVm = mm.totalVm
  if (isExec(flags)) mm.execVm += pages
  else if (isStack(flags)) mm.stackVm += pages
  else if (isData(flags)) mm.dataVm += pages
}

export const isAccounted = (flags: number) => (flags & VM_ACCOUNT) !== 0
