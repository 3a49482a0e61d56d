/** A small machine with a pool of huge pages, and calls on it in huge pages. */

import { must } from '../../../src/kernel/base/assert.ts'
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_HUGETLB,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  VM_FAULT_SIGBUS,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel, Machine } from '../../../src/kernel/base/state.ts'
import type { OpenFile } from '../../../src/kernel/base/state_fs.ts'
import type { Hstate } from '../../../src/kernel/base/state_huge.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { asPfn } from '../../../src/kernel/base/units.ts'
import { storeNrHugepages } from '../../../src/kernel/calls/hugetlb_sysfs.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { taskFork } from '../../../src/kernel/calls/task.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { accessPage } from '../../../src/kernel/fault/touch.ts'
import { bootSmall, runInit } from '../machine.ts'

export const HUGE = 2 ** 21
const BASE = 0x200000000000

export interface Lab {
  readonly k: Kernel
  readonly task: Task
  /** The pool of 2 MiB. */
  readonly h: Hstate
}

export function labOf(pool: number, mib: readonly number[] = [160], change: Partial<Machine> = {}): Lab {
  const k = bootSmall(mib, change)
  const task = runInit(k)
  const [h] = k.hugetlb.hstates
  if (pool > 0) storeNrHugepages(k, h, pool, undefined)
  return { k, task, h }
}

/** What /proc/meminfo says of the pool. */
export const pool = ({ h }: Lab) => ({ total: h.nrHugePages, free: h.freeHugePages, rsvd: h.resvHugePages, surp: h.surplusHugePages })

/** Maps huge pages at page `at` of a window; 0, or a negative errno. */
export function map({ k, task }: Lab, at: number, pages: number, flags = MAP_PRIVATE, file?: OpenFile, first = 0): number {
  const kind = file === undefined ? MAP_ANONYMOUS | MAP_HUGETLB : 0
  const wanted = { address: BASE + at * HUGE, bytes: pages * HUGE, prot: PROT_READ | PROT_WRITE, file, pgoff: first * 512 }
  const ret = sysMmap(k, task, { ...wanted, flags: MAP_FIXED | flags | kind })
  return Math.min(ret, 0)
}

export const unmap = ({ k, task }: Lab, at: number, pages: number): number => sysMunmap(k, task, BASE + at * HUGE, pages * HUGE)

/** Writes to, or reads from, huge pages one after the other: how many went well, and whether the next one was SIGBUS. */
export function access({ k, task }: Lab, at: number, pages: number, write: boolean): { readonly done: number; readonly sigbus: boolean } {
  const mm = must(task.mm, 'the task has no memory')
  const to = { pfn: asPfn(0), fault: 0 }
  k.current = task
  for (let done = 0; done < pages; done++) {
    k.vmf.vpn[0] = (BASE + (at + done) * HUGE) / 4096
    accessPage(k, mm, write, to)
    if (to.fault !== 0) return { done, sigbus: (to.fault & VM_FAULT_SIGBUS) !== 0 }
  }
  return { done: pages, sigbus: false }
}

export const write = (lab: Lab, at: number, pages: number) => access(lab, at, pages, true)
export const read = (lab: Lab, at: number, pages: number) => access(lab, at, pages, false)

/** The frame that an access reaches. */
export function frame({ k, task }: Lab, at: number, toWrite = false): number {
  const to = { pfn: asPfn(0), fault: 0 }
  k.vmf.vpn[0] = (BASE + at * HUGE) / 4096
  accessPage(k, must(task.mm, 'the task has no memory'), toWrite, to)
  return to.pfn
}

export const byte = (at: number): number => BASE + at * HUGE

/** The same machine as a child sees it. */
export function child(lab: Lab): Lab {
  const task = taskFork(lab.k, lab.task)
  if (typeof task === 'number') throw new Error(`fork: ${task}`)
  return { ...lab, task }
}
