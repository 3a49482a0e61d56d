/** What distance, bandwidth and locks cost. */
import { describe, expect, it } from 'vitest'
import { COST, now, spendLineMiss } from '../../../src/kernel/base/cost.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { taskFork } from '../../../src/kernel/calls/task.ts'
import { faultPtLock, holdPtLock, LOCK_MM, LOCK_PTE } from '../../../src/kernel/spaces/pt_lock.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'
import { bootSmall, runInit } from '../machine.ts'

const firstPage = (k: Kernel, node: number) => k.nodes[node].startPfn + 4096

/** Time of so many line misses on a node's memory, in turns by these CPUs. */
function missesNs(k: Kernel, cpus: readonly number[], node: number, times: number): number {
  const startNs = now(k)
  for (let i = 0; i < times; i++) {
    k.cpu = cpus[i % cpus.length]
    spendLineMiss(k, firstPage(k, node) + (i % 4096))
  }
  return now(k) - startNs
}

describe('memory of another node', () => {
  it('takes longer by the distance that the firmware tells', () => {
    const k = bootSmall([64, 64], {
      distance: [
        [10, 21],
        [21, 10],
      ],
    })
    const near = missesNs(k, [0], 0, 100)
    expect(missesNs(k, [0], 1, 100) / near).toBeCloseTo(2.1, 3)
    expect(k.traffic.bytes[1]).toBe(6400)
    expect(k.costNs[COST.remote_access]).toBeGreaterThan(0)
  })

  it('costs nothing more on a machine of one node', () => {
    const k = bootSmall([128])
    missesNs(k, [0, 1], 0, 100)
    expect(k.costNs[COST.remote_access]).toBe(0)
    expect(k.traffic.on).toBe(false)
  })
})

describe('the bandwidth of a node', () => {
  it('is shared: many CPUs that all use it get what there is', () => {
    const k = bootSmall([96, 96])
    k.traffic.wanted.fill(0)
    k.traffic.startNs.fill(now(k))
    for (let cpu = 0; cpu < k.cpus.length; cpu++) k.traffic.wanted[cpu * 2] = 40
    k.clock[0] += 2e6
    k.traffic.window[0] = 40 * 2e6
    k.cpu = 0
    spendLineMiss(k, firstPage(k, 0))
    expect(k.traffic.slow[0]).toBeCloseTo((4 * 40) / 68.3 - 1, 1)
    expect(k.traffic.slow[1]).toBe(0)
  })
})

describe('the machine line', () => {
  it('says how much memory of each node moves in a second', () => {
    const { traffic } = bootSmall([96, 96], { bandwidthBytes: [20e9, 40e9] })
    expect([...traffic.limit]).toEqual([20, 40])
    expect([...bootSmall([96, 96]).traffic.limit]).toEqual([68.3, 68.3])
  })
})

describe('page-table locks', () => {
  it('cost a process alone nothing', () => {
    const k = bootSmall([96, 96])
    const task = runInit(k)
    const { mm } = task
    if (mm === undefined) throw new Error('no memory')
    for (let i = 0; i < 10_000; i++) holdPtLock(k, mm, LOCK_PTE, 1000)
    expect(mm.locks).toBeUndefined()
    expect(k.costNs[COST.pt_lock]).toBe(0)
  })

  it('keep a process waiting while somebody else works on its tables: the more the coarser they are', () => {
    const waited = (level: number): number => {
      const k = bootSmall([96, 96])
      const child = taskFork(k, runInit(k))
      if (typeof child === 'number' || child.mm === undefined) throw new Error('no child')
      k.cpu = 1
      for (let i = 0; i < 3000; i++) {
        holdPtLock(k, child.mm, level, 500)
        k.clock[0] += 1000
      }
      k.cpu = 0
      k.current = child
      for (let i = 0; i < 1000; i++) faultPtLock(k, child.mm, level, 70)
      expect(k.ptLocks.contended[level]).toBeGreaterThan(0)
      return k.costNs[COST.pt_lock]
    }
    expect(waited(LOCK_MM)).toBeGreaterThan(2 * waited(LOCK_PTE))
  })

  it.each([
    ['KSM', 'A madvise R mergeable\nwrite /sys/kernel/mm/ksm/run 1\nsleep 1s\n'],
    ['reclaim', 'A madvise R cold\nspawn B\nB mmap S 100M\nB touch S write content=unique\n'],
    ['who clears its soft-dirty marks', 'write /proc/$A/clear_refs 4\n'],
  ])('are held by %s as well', (_, lines) => {
    const start = 'machine mem=192M swap=128M\ncmdline transparent_hugepage=never\nspawn A\nA mmap R 64M\nA touch R write content=unique\n'
    const sim = createSimulation(parseWorkload(start + lines, 'program'), {})
    runToEnd(sim, () => undefined)
    const [, ...others] = sim.k.spaces.mms.values()
    expect(others[0].locks).toBeDefined()
  })

  it('are forgotten when nobody else has come by for a while', () => {
    const k = bootSmall([96, 96])
    const child = taskFork(k, runInit(k))
    if (typeof child === 'number' || child.mm === undefined) throw new Error('no child')
    k.cpu = 1
    k.clock[0] += 5e6
    holdPtLock(k, child.mm, LOCK_PTE, 500)
    expect(child.mm.locks).toBeDefined()
    k.cpu = 0
    k.current = child
    k.clock[0] += 1e9
    faultPtLock(k, child.mm, LOCK_PTE, 70)
    expect(child.mm.locks).toBeUndefined()
  })
})
