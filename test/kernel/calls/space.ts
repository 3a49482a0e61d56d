/** One process with a window of address space, and its calls in pages of that window. */

import { must } from '../../../src/kernel/base/assert.ts'
import { EV, NS, ZS } from '../../../src/kernel/base/counters.ts'
import { MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE } from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { Mm, Task, Vma } from '../../../src/kernel/base/state_mm.ts'
import { asPfn } from '../../../src/kernel/base/units.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { sysMlock, sysMunlock } from '../../../src/kernel/calls/mlock.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { sysMremap } from '../../../src/kernel/calls/mremap.ts'
import { taskFork } from '../../../src/kernel/calls/task.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { accessPage } from '../../../src/kernel/fault/touch.ts'
import { entryFlags, LEVEL_PMD, levelIndex, pteIndex, pteTable, walkTo } from '../../../src/kernel/spaces/pagetable.ts'
import { vmaAt } from '../../../src/kernel/spaces/vma.ts'
import { bootSmall, runInit, touch } from '../machine.ts'

export const BASE = 0x200000000000
export const PAGE = 4096
export const RW = 3
export const RO = 1

export const byte = (page: number): number => BASE + page * PAGE

export interface Space {
  readonly k: Kernel
  readonly task: Task
  readonly mm: Mm
  readonly map: (page: number, pages: number, flags?: number, prot?: number) => number
  readonly unmap: (page: number, pages: number) => number
  readonly protect: (page: number, pages: number, prot: number) => number
  readonly advise: (page: number, pages: number, advice: number) => number
  readonly lock: (page: number, pages: number) => number
  readonly unlock: (page: number, pages: number) => number
  readonly remap: (page: number, oldPages: number, newPages: number, flags: number, to?: number) => number
  readonly write: (page: number, pages: number) => number
  readonly read: (page: number, pages: number) => number
  /** Flags of the entry that maps the page, of whatever size. */
  readonly entry: (page: number) => number
  readonly area: (page: number) => Vma | undefined
}

/** The calls of a task. */
export function spaceOf(k: Kernel, task: Task): Space {
  const mm = must(task.mm, 'the task has no memory')
  return {
    k,
    task,
    mm,
    map: (page, pages, flags = 0, prot = RW) =>
      sysMmap(k, task, {
        address: byte(page),
        bytes: pages * PAGE,
        prot,
        flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | flags,
        file: undefined,
        pgoff: 0,
      }),
    unmap: (page, pages) => sysMunmap(k, task, byte(page), pages * PAGE),
    protect: (page, pages, prot) => sysMprotect(k, task, byte(page), pages * PAGE, prot),
    advise: (page, pages, advice) => sysMadvise(k, task, byte(page), pages * PAGE, advice),
    lock: (page, pages) => sysMlock(k, task, byte(page), pages * PAGE),
    unlock: (page, pages) => sysMunlock(k, task, byte(page), pages * PAGE),
    remap: (page, oldPages, newPages, flags, to = 0) =>
      sysMremap(k, task, {
        address: byte(page),
        oldBytes: oldPages * PAGE,
        newBytes: newPages * PAGE,
        flags,
        newAddress: to === 0 ? 0 : byte(to),
      }),
    write: (page, pages) => touch(k, task, byte(page), pages * PAGE, true),
    read: (page, pages) => touch(k, task, byte(page), pages * PAGE, false),
    entry: page => entryOf(k, mm, byte(page) / PAGE),
    area: page => vmaAt(mm, byte(page) / PAGE),
  }
}

/** A machine of one node with its first process at work. */
export function space(mib = 160): Space {
  const k = bootSmall([mib])
  return spaceOf(k, runInit(k))
}

/** A child of the process, which runs from then on. */
export function childOf({ k, task }: Space): Space {
  const child = taskFork(k, task)
  if (typeof child === 'number') throw new Error(`fork: ${child}`)
  k.current = child
  return spaceOf(k, child)
}

function entryOf(k: Kernel, mm: Mm, vpn: number): number {
  const table = pteTable(k, mm, vpn)
  if (table !== 0) return entryFlags(k, table, pteIndex(vpn))
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  return pmd === 0 ? 0 : entryFlags(k, pmd, levelIndex(vpn, LEVEL_PMD))
}

/** The page frame that an access to the page reaches. */
export function frameOf({ k, mm }: Space, page: number): number {
  const access = { pfn: asPfn(0), fault: 0 }
  k.vmf.vpn[0] = byte(page) / PAGE
  accessPage(k, mm, false, access)
  return access.pfn
}

export const event = (k: Kernel, name: keyof typeof EV): number => k.event[EV[name]]
export const nodeStat = (k: Kernel, name: keyof typeof NS): number => k.nodes.reduce((sum, node) => sum + node.stat[NS[name]], 0)
export const zoneStat = (k: Kernel, name: keyof typeof ZS): number => k.zones.reduce((sum, zone) => sum + zone.stat[ZS[name]], 0)

/** What a call changes of some figures. */
export function changes<T extends Readonly<Record<string, number>>>(figures: () => T, act: () => void): Record<string, number> {
  const before = figures()
  act()
  const after = figures()
  return Object.fromEntries(
    Object.keys(after).flatMap(name => (after[name] === before[name] ? [] : [[name, (after[name] ?? 0) - (before[name] ?? 0)]])),
  )
}
