/**
 * Random programs over the system calls on address spaces: a few processes, a few MiB of address space each, every call in every
 * order. Addresses are pages of one small window, so that areas touch, overlap, split and merge all the time.
 */

import {
  MADV_COLD,
  MADV_COLLAPSE,
  MADV_DOFORK,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_UNMERGEABLE,
  MADV_WIPEONFORK,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { clearRefs } from '../../../src/kernel/calls/clear_refs.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { sysMlock, sysMlock2, sysMlockall, sysMunlock, sysMunlockall } from '../../../src/kernel/calls/mlock.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { sysMremap } from '../../../src/kernel/calls/mremap.ts'
import { taskExit, taskFork } from '../../../src/kernel/calls/task.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { touch } from '../machine.ts'
import { BASE, PAGE } from '../spaces/pictures.ts'

/** Pages of the window: a little over 8 MiB, so that huge pages fit in and are cut. */
const WINDOW = 2100

/** Whole numbers below n, from a seed. */
export function dice(seed: number): (n: number) => number {
  let state = seed * 2654435761 + 1
  return n => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    const mixed = Math.imul(state ^ (state >>> 13), 0x297a2d39)
    return ((mixed ^ (mixed >>> 16)) >>> 0) % n
  }
}

/** The size of huge TLB pages, as MAP_HUGETLB names it. */
const HUGE_2MB = 21 << 26

const ADVICE = [
  MADV_COLLAPSE,
  MADV_REMOVE,
  MADV_COLD,
  MADV_DOFORK,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_SEQUENTIAL,
  MADV_UNMERGEABLE,
  MADV_WIPEONFORK,
]

export interface Program {
  readonly k: Kernel
  readonly tasks: Task[]
  readonly roll: (n: number) => number
}

/** Does one random thing; returns it in words. */
export function step({ k, tasks, roll }: Program): string {
  const task = tasks[roll(tasks.length)] as Task
  k.current = task
  k.cpu = roll(4) === 0 ? 1 : 0
  const aligned = roll(3) === 0
  const at = aligned ? roll(5) * 512 : roll(WINDOW)
  const pages = 1 + (aligned ? roll(3) * 512 : roll(8) === 0 ? roll(1200) : roll(40))
  const start = BASE + at * PAGE
  const bytes = pages * PAGE
  const said = (what: string, ret: number) => `${task.pid}: ${what} ${at}+${pages} -> ${ret}`
  switch (roll(16)) {
    case 0:
    case 1: {
      const flags =
        pick(roll, [MAP_PRIVATE, MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED]) |
        MAP_ANONYMOUS |
        pick(roll, [MAP_FIXED, MAP_FIXED, MAP_FIXED_NOREPLACE, 0]) |
        pick(roll, [0, 0, 0, MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE]) |
        (aligned && roll(3) === 0 && (k.hugetlb.hstates[0]?.nrHugePages ?? 0) > 0 ? MAP_HUGETLB | HUGE_2MB : 0)
      return said(
        `mmap ${flags}`,
        sysMmap(k, task, { address: start, bytes, prot: pick(roll, [3, 3, 3, 1, 0]), flags, file: undefined, pgoff: 0 }),
      )
    }
    case 2:
      return said('munmap', sysMunmap(k, task, start, bytes))
    case 3:
    case 4: {
      const prot = pick(roll, [0, 1, 3, 3])
      return said(`mprotect ${prot}`, sysMprotect(k, task, start, bytes, prot))
    }
    case 5: {
      const flags = pick(roll, [
        0,
        MREMAP_MAYMOVE,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
        MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
      ])
      const newBytes = (flags & MREMAP_DONTUNMAP) !== 0 ? bytes : (1 + roll(60) + (roll(4) === 0 ? 512 : 0)) * PAGE
      const newAddress = BASE + (aligned ? roll(5) * 512 : roll(WINDOW)) * PAGE
      return said(
        `mremap ${flags} to ${(newAddress - BASE) / PAGE}+${newBytes / PAGE}`,
        sysMremap(k, task, { address: start, oldBytes: bytes, newBytes, flags, newAddress }),
      )
    }
    case 6:
    case 7: {
      const advice = pick(roll, ADVICE)
      return said(`madvise ${advice}`, sysMadvise(k, task, start, bytes, advice))
    }
    case 8:
      return said('mlock', roll(4) === 0 ? sysMlock2(k, task, start, bytes, 1) : sysMlock(k, task, start, bytes))
    case 9:
      return said('munlock', sysMunlock(k, task, start, bytes))
    case 10:
      return said(
        'all',
        pick(roll, [
          () => sysMlockall(k, task, 1),
          () => sysMlockall(k, task, 2),
          () => sysMunlockall(k, task),
          () => sysMunlockall(k, task),
        ])(),
      )
    case 11:
      return fork({ k, tasks, roll }, task)
    case 12:
      if (task.mm !== undefined) clearRefs(k, task.mm, 1 + roll(5))
      return said('clear_refs', 0)
    default: {
      const write = roll(4) > 0
      return said(write ? 'write' : 'read', touch(k, task, start, bytes, write))
    }
  }
}

const pick = <T>(roll: (n: number) => number, from: readonly T[]): T => from[roll(from.length)] as T

/** A process more, or one less. */
function fork({ k, tasks, roll }: Program, task: Task): string {
  if (tasks.length < 4 && roll(2) === 0) {
    const child = taskFork(k, task)
    if (typeof child !== 'number') tasks.push(child)
    return `${task.pid}: fork ${typeof child === 'number' ? child : child.pid}`
  }
  if (tasks.length === 1) return 'nothing'
  tasks.splice(tasks.indexOf(task), 1)
  taskExit(k, task)
  k.current = tasks[0]
  return `${task.pid}: exit`
}
