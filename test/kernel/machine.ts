/** Small machines for tests: booted with junk in freed pages, so that stale use shows. */

import { must } from '../../src/kernel/base/assert.ts'
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../src/kernel/base/flags.ts'
import type { Kernel, Machine } from '../../src/kernel/base/state.ts'
import type { Task } from '../../src/kernel/base/state_mm.ts'
import { asPfn } from '../../src/kernel/base/units.ts'
import { bootKernel } from '../../src/kernel/boot.ts'
import { sysMmap } from '../../src/kernel/calls/mmap.ts'
import { type TouchRun, touchRun } from '../../src/kernel/fault/touch.ts'

const MIB = 2 ** 20

export const machineOf = (mib: readonly number[], change: Partial<Machine> = {}): Machine => ({
  nodes: mib.map(size => ({ memBytes: size * MIB, cpus: 2 })),
  distance: mib.map((_, i) => mib.map((__, j) => (i === j ? 10 : 20))),
  lowmemBytes: undefined,
  swapBytes: 0,
  swapon: true,
  diskBytes: 0,
  modules: [],
  files: [],
  cmdline: [['transparent_hugepage', 'never']],
  cmdlineText: '',
  seed: 1,
  ...change,
})

export const bootSmall = (mib: readonly number[] = [256], change: Partial<Machine> = {}): Kernel =>
  bootKernel(machineOf(mib, change), { junkOnFree: true })

/** The first process, running. */
export function runInit(k: Kernel): Task {
  const init = must([...k.tasks.values()][0], 'no first process')
  k.current = init
  return init
}

/** Maps private anonymous memory at a byte address, or says the errno. */
export const mapAnon = (k: Kernel, task: Task, address: number, bytes: number, flags = 0): number =>
  sysMmap(k, task, { address, bytes, prot: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS | flags, file: undefined, pgoff: 0 })

/** Touches every page of a byte range once; returns the accesses done. */
export function touch(k: Kernel, task: Task, address: number, bytes: number, write: boolean): number {
  const run: TouchRun = {
    write,
    startByte: address,
    endByte: address + bytes,
    strideBytes: 4096,
    at: address,
    done: 0,
    content: -1,
    contentIndexed: false,
    contentBase: 0,
    result: { pfn: asPfn(0), fault: 0 },
  }
  touchRun(k, must(task.mm, 'the task has no memory'), run, Number.POSITIVE_INFINITY)
  return run.done
}
