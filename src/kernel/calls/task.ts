/**
 * Processes: how one begins and ends.
 *
 * A task brings a kernel stack of four pages, which two ended tasks a CPU leave behind for the next ones, and its share of
 * kernel objects; its address space starts as a copy of its parent's. What it does is not this room's business.
 *
 * Source: kernel/fork.c (copy_process, dup_mm, alloc_thread_stack_node), kernel/exit.c (do_exit, release_task).
 */

import { kmemCharge } from '../alloc/charge.ts'
import { allocPages } from '../alloc/page_alloc.ts'
import { COST, costAccount, now, spend } from '../base/cost.ts'
import { NS } from '../base/counters.ts'
import { EAGAIN, ENOMEM, ERESTARTNOINTR } from '../base/errno.ts'
import { __GFP_HIGHMEM, __GFP_ZERO, GFP_KERNEL, GFP_KERNEL_ACCOUNT } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { ForkRest, Mm, Task } from '../base/state_mm.ts'
import { asPfn, asPid, NO_PAGE } from '../base/units.ts'
import { fget, fput } from '../caches/files.ts'
import { ksmExit } from '../daemons/ksmd.ts'
import { mmPutHugeZeroPage } from '../fault/huge_memory.ts'
import { khugepagedExit } from '../fault/huge_memory_check.ts'
import { mmNuma, taskNuma, taskNumaFree } from '../fault/numa_stats.ts'
import { userfaultExit } from '../fault/userfault_2014.ts'
import { forgetWaiter, holdUffd } from '../fault/userfaultfd.ts'
import { modLruvecState, ROOT_MEMCG } from '../frames/memcg.ts'
import { kmemUncharge } from '../frames/memcg_charge.ts'
import { OWED, owe, payer } from '../frames/owed.ts'
import { freePages } from '../frames/rmqueue.ts'
import { lruGenAddMm, lruGenDelMm, mmGen } from '../spaces/lru_gen_mm.ts'
import { mmRelease, PGD_ORDER, tableAllocate } from '../spaces/pagetable.ts'
import { rssNotes } from '../spaces/rss.ts'
import { vmaTree } from '../spaces/vma.ts'
import { dupMmap, dupMmapBegin } from './fork.ts'
import { exitMmap } from './unmap.ts'
import { uffdClose } from './userfaultfd.ts'
import { forkAborts } from './userfaultfd_events.ts'

/** Pages of a kernel stack (THREAD_SIZE), and ended tasks' stacks that a CPU keeps (NR_CACHED_STACKS). */
const STACK_PAGES = 4
const PAGE_KB = 4
/** Characters of a task's name (TASK_COMM_LEN less its end). */
const COMM_CHARS = 15
const NR_CACHED_STACKS = 2
/** What a process without root's rights may lock unless told otherwise (MLOCK_LIMIT), in bytes. */
const DEFAULT_MEMLOCK = 8 * 2 ** 20
/** Where mmap looks downwards from, with an 8 MiB stack limit, its guard gap and no randomness. */
const MMAP_BASE = 0x7ffff7fff

/** An address space with nothing in it, or undefined when there is no page for its top table. */
function mmCreate(k: Kernel): Mm | undefined {
  const pfn = allocPages(k, GFP_KERNEL_ACCOUNT | __GFP_ZERO, PGD_ORDER)
  if (pfn === NO_PAGE) return undefined
  const mm: Mm = {
    id: k.spaces.nextMm++,
    vmas: vmaTree(),
    pgd: tableAllocate(k, pfn),
    users: 1,
    totalVm: 0,
    lockedVm: 0,
    dataVm: 0,
    execVm: 0,
    stackVm: 0,
    rssFile: 0,
    rssAnon: 0,
    rssShmem: 0,
    rssNoted: rssNotes(),
    swapEnts: 0,
    hugetlbPages: 0,
    hiwaterRss: 0,
    hiwaterVm: 0,
    pgtablesBytes: 0,
    defFlags: 0,
    thpDisable: false,
    memcg: payer(k),
    payer: payer(k),
    khugepaged: false,
    hugeZeroPage: false,
    mergeable: false,
    ksmMergingPages: 0,
    ksmRmapItems: 0,
    oomReapQueued: false,
    oomSkip: false,
    ksmForkedMergingPages: 0,
    ksmForkedRmapItems: 0,
    mmapBase: MMAP_BASE,
    startBrk: 0,
    brk: 0,
    walkKey: -1,
    walkTable: 0,
    lastVma: undefined,
    numa: mmNuma(k),
    lruGen: mmGen(),
    locks: undefined,
  }
  k.spaces.mms.set(mm.id, mm)
  owe(k, mm.payer, OWED.space, 1)
  return mm
}

/**
 * A task of an address space is gone, which goes with the last one (mmput). Its top table stays while khugepaged or KSM stands in it.
 * @param leaving the task may pause, to be called again: false.
 */
function mmPut(k: Kernel, mm: Mm, leaving?: Task): boolean {
  if (mm.users === 1) {
    ksmExit(k, mm)
    khugepagedExit(k, mm)
    if (!exitMmap(k, mm, leaving)) return false
  }
  mm.users--
  if (mm.users > 0) return true
  mmPutHugeZeroPage(k, mm)
  lruGenDelMm(k, mm)
  mmRelease(k, mm)
  return true
}

/** A first task, with an empty address space: what boot makes init of. */
export function taskCreate(k: Kernel, comm: string, parent: number): Task | undefined {
  const mm = mmCreate(k)
  const stack = mm === undefined ? undefined : stackAllocate(k)
  if (mm === undefined || stack === undefined) return undefined
  lruGenAddMm(k, mm)
  const task: Task = {
    ...blankTask(k, mm, stack, k.cpu),
    parent,
    comm,
    cpusAllowed: k.cpus.map(cpu => cpu.id),
    cpu: k.cpu,
    policy: undefined,
    ilPrev: -1,
    frozen: false,
    cgroup: 1,
    cpuset: 1,
    memsAllowed: -1,
    memcg: ROOT_MEMCG,
    payer: ROOT_MEMCG,
    uid: 0,
    gid: 0,
    rlimits: { memlock: DEFAULT_MEMLOCK, as: Number.POSITIVE_INFINITY, data: Number.POSITIVE_INFINITY },
    oomScoreAdj: 0,
    files: new Set(),
  }
  k.tasks.set(task.pid, task)
  return task
}

/** What every task begins with, a copy of another one too. */
const blankTask = (k: Kernel, mm: Mm, stack: Task['stack'], cpu: number) => ({
  pid: asPid(k.nextPid++),
  mm,
  stack,
  numa: taskNuma(k, cpu),
  overHighPages: 0,
  oomVictim: false,
  oomOrigin: false,
  minflt: 0,
  majflt: 0,
  startNs: now(k),
  ranNs: 0,
  costNs: costAccount(),
  killed: 0,
  exiting: false,
  uffds: new Set<number>(),
  wait: undefined,
  restart: undefined,
  untold: [],
  threads: [],
})

/**
 * fork(2): a copy of the task that runs now.
 * @param pauses whether it may stop when its turn is over. @returns the child, or a negative errno; -ERESTARTNOINTR: it is to be called again
 */
export function taskFork(k: Kernel, parent: Task, pauses = false): Task | number {
  const { rest } = parent.restart ?? {}
  const fork = rest?.kind === 'fork' ? rest : beginFork(k, parent)
  if (typeof fork === 'number') return fork
  const ret = parent.mm === undefined ? 0 : dupMmap(k, parent, parent.mm, fork, pauses)
  if (ret === -ERESTARTNOINTR) return ret
  parent.restart = undefined
  if (ret === 0) return taskBorn(k, parent, fork)
  abandonFork(k, fork)
  return ret
}

/** A stack and an address space for the child, in which nothing is yet; or a negative errno. */
function beginFork(k: Kernel, parent: Task): ForkRest | number {
  const mm = mmCreate(k)
  if (mm === undefined) return -ENOMEM
  const stack = stackAllocate(k)
  if (stack === undefined) {
    mmPut(k, mm)
    return -EAGAIN
  }
  spend(k, COST.fork_task, 1)
  const fork: ForkRest = { kind: 'fork', mm, stack, forks: new Map() }
  if (parent.mm === undefined) return fork
  mm.startBrk = parent.mm.startBrk
  mm.brk = parent.mm.brk
  mm.ksmForkedMergingPages = parent.mm.ksmMergingPages + parent.mm.ksmForkedMergingPages
  mm.ksmForkedRmapItems = parent.mm.ksmRmapItems + parent.mm.ksmForkedRmapItems
  mm.thpDisable = parent.mm.thpDisable
  if (dupMmapBegin(k, parent.mm, mm) === 0) return fork
  abandonFork(k, fork)
  return -ENOMEM
}

/** There will be no child. */
function abandonFork(k: Kernel, { mm, stack }: ForkRest): void {
  mmPut(k, mm)
  stackFree(k, stack)
}

/** The child, once it has its address space. */
function taskBorn(k: Kernel, parent: Task, { mm, stack }: ForkRest): Task {
  const child: Task = {
    ...parent,
    ...blankTask(k, mm, stack, parent.cpu),
    parent: parent.pid,
    payer: payer(k),
    rlimits: { ...parent.rlimits },
    files: new Set([...parent.files].map(fget)),
  }
  k.tasks.set(child.pid, child)
  owe(k, child.payer, OWED.process, 1)
  for (const id of parent.uffds) holdUffd(k, child, id)
  lruGenAddMm(k, mm)
  return child
}

/**
 * execve(2) as far as memory goes: the task goes on with an empty address space, and with the open files. What a loader would map into
 * it is up to the caller. @returns 0 or -ENOMEM
 */
export function taskExec(k: Kernel, task: Task, comm: string): number {
  const mm = mmCreate(k)
  if (mm === undefined) return -ENOMEM
  if (task.mm !== undefined) {
    mm.thpDisable = task.mm.thpDisable
    mmPut(k, task.mm)
  }
  lruGenAddMm(k, mm)
  task.mm = mm
  task.comm = comm.slice(0, COMM_CHARS)
  return 0
}

/** One more thread of the task: it costs a stack and a number (clone with CLONE_THREAD). @returns its number, or -EAGAIN */
export function taskThread(k: Kernel, task: Task): number {
  const stack = stackAllocate(k)
  if (stack === undefined) return -EAGAIN
  task.threads.push(stack)
  spend(k, COST.fork_task, 1)
  return k.nextPid++
}

/** The task ends and is reaped: its memory, files and stack go. @returns false when its turn was over before: it is to be called again. */
export function taskExit(k: Kernel, task: Task): boolean {
  if (!task.exiting) beginExit(k, task)
  if (task.mm !== undefined && !mmPut(k, task.mm, task)) return false
  task.mm = undefined
  for (const file of task.files) fput(k, file)
  task.files.clear()
  for (const id of [...task.uffds]) uffdClose(k, task, id)
  for (const stack of task.threads) stackFree(k, stack)
  stackFree(k, task.stack)
  k.tasks.delete(task.pid)
  owe(k, task.payer, OWED.process, -1)
  return true
}

function beginExit(k: Kernel, task: Task): void {
  task.exiting = true
  const rest = task.restart?.rest
  task.restart = undefined
  if (rest?.kind === 'fork') {
    forkAborts(k, rest.forks)
    abandonFork(k, rest)
  }
  spend(k, COST.exit_task, 1)
  forgetWaiter(k, task)
  userfaultExit(k, task, task.mm)
  taskNumaFree(task)
}

/** The pages of a kernel stack: an ended task's, or fresh ones; undefined when there are none. */
function stackAllocate(k: Kernel): readonly number[] | undefined {
  const kept = k.cpus[k.cpu].cachedStacks.pop()
  if (kept !== undefined) return chargeStack(k, kept)
  const pages: number[] = []
  for (let i = 0; i < STACK_PAGES; i++) {
    const pfn = allocPages(k, GFP_KERNEL | __GFP_HIGHMEM | __GFP_ZERO, 0)
    if (pfn === NO_PAGE) {
      for (const page of pages) freePages(k, asPfn(page), 0)
      return undefined
    }
    pages.push(pfn)
  }
  k.boot.vmallocUsedPages += STACK_PAGES
  return chargeStack(k, pages)
}

/** Charges a stack to the group of the task that makes another; undefined, and the stack freed, when it may have no more. */
function chargeStack(k: Kernel, pages: readonly number[]): readonly number[] | undefined {
  if (pages.every(page => kmemCharge(k, asPfn(page), 1, GFP_KERNEL))) {
    countStack(k, pages, 1)
    return pages
  }
  stackGiveBack(k, pages)
  return undefined
}

function stackFree(k: Kernel, pages: readonly number[]): void {
  countStack(k, pages, -1)
  stackGiveBack(k, pages)
}

/** The CPU keeps the stack for another task, or its pages go. */
function stackGiveBack(k: Kernel, pages: readonly number[]): void {
  for (const page of pages) kmemUncharge(k, asPfn(page), 1)
  const kept = k.cpus[k.cpu].cachedStacks
  if (kept.length < NR_CACHED_STACKS) {
    kept.push(pages)
    return
  }
  for (const page of pages) freePages(k, asPfn(page), 0)
  k.boot.vmallocUsedPages -= STACK_PAGES
}

function countStack(k: Kernel, pages: readonly number[], by: 1 | -1): void {
  for (const page of pages) modLruvecState(k, asPfn(page), NS.nr_kernel_stack, by * PAGE_KB)
}
