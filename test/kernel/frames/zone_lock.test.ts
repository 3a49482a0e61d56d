/** The lock of a zone's free lists: nobody waits alone, many wait for one another, and no lock is held more than all the time. */
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { COST } from '../../../src/kernel/base/cost.ts'
import type { ZoneLock } from '../../../src/kernel/base/state.ts'
import { ZONE_DMA32 } from '../../../src/kernel/base/units.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'

interface Outcome {
  readonly total: ZoneLock['total']
  /** From the first line to the last, and of that all CPUs' waits for the lock. */
  readonly tookNs: number
  readonly waitedNs: number
}

/** So many processes, each on a CPU of its own, write to 4 MiB each at once and give them back, a few times. */
function together(processes: number, knobs = ''): Outcome {
  const each = (line: (name: string, cpu: number) => string) =>
    Array.from({ length: processes }, (_, i) => `${line(`P${i}`, i)}\n`).join('')
  const text =
    `machine mem=256M cpus=20\ncmdline transparent_hugepage=never\n${knobs}` +
    each((name, cpu) => `spawn ${name} cpu=${cpu}`) +
    each(name => `${name} mmap R 4M`) +
    Array.from({ length: 3 }, () =>
      [`bg NAME touch R write`, `join NAME`, `bg NAME madvise R dontneed`, `join NAME`]
        .map(line => each(name => line.replace('NAME', name)))
        .join(''),
    ).join('')
  const sim = createSimulation(parseWorkload(text, 'test'))
  runToEnd(sim, () => {})
  const { total } = must(sim.k.zones[ZONE_DMA32].lock, 'several CPUs have a lock to share')
  return { total, tookNs: sim.ns, waitedNs: sim.k.costNs[COST.zone_lock] }
}

describe('the lock of a zone', () => {
  it('is there for machines of several CPUs only', () => {
    const of = (cpus: number) => createSimulation(parseWorkload(`machine mem=128M cpus=${cpus}\n`, 'test')).k.zones[ZONE_DMA32].lock
    expect(of(1)).toBeUndefined()
    expect(of(2)).toBeDefined()
  })

  it('is never waited for by who is alone with it', () => {
    const { total, waitedNs } = together(1)
    expect(total.taken).toBeGreaterThan(200)
    expect(total.waitedNs + waitedNs).toBe(0)
  })

  it('is waited for the more, the more CPUs want it at once, and every wait is time that passed', () => {
    const [few, many] = [together(2), together(16)]
    expect(few.total.waitedNs).toBeGreaterThan(0)
    expect(many.total.waitedNs / many.total.taken).toBeGreaterThan((few.total.waitedNs / few.total.taken) * 4)
    expect(many.waitedNs).toBeCloseTo(many.total.waitedNs, 0)
    expect(many.total.contended).toBeLessThanOrEqual(many.total.taken)
    expect(many.total.heldNs, 'one CPU holds it at a time').toBeLessThan(many.tookNs)
  })

  it('is taken once for a batch of pages, and less often where lists may hold more', () => {
    const usual = together(8)
    const long = together(8, 'write /proc/sys/vm/percpu_pagelist_high_fraction 8\n')
    expect(usual.total.taken).toBeLessThan((8 * 3 * 2 * 1024) / 8)
    expect(long.total.taken).toBeLessThan(usual.total.taken)
    expect(long.total.waitedNs).toBeLessThan(usual.total.waitedNs)
  })
})
