import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ZONE_DMA32, ZONE_NORMAL } from '../../src/kernel/base/units.ts'
import { verify } from '../../src/kernel/verify.ts'
import type { MemoryUse } from '../../src/sim/occupy.ts'
import { createSimulation, runToEnd } from '../../src/sim/simulation.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const MIB = 2 ** 20
const PROGRAM = 'machine nodes=2 mem=512M,512M cpus=1,1\ncmdline transparent_hugepage=madvise\nspawn A\nA mmap r 8M\nA touch r write\n'

const boot = (use: MemoryUse) => createSimulation(parseWorkload(PROGRAM, 'test'), { use, verify: true })

/** Free blocks of a zone by order. */
const freeOf = (sim: ReturnType<typeof boot>, node: number, type: number) =>
  Array.from(sim.k.zones.find(zone => zone.node === node && zone.type === type)?.nrFree ?? [])

const NOTHING = { anonBytes: 0, hugeBytes: 0, fileBytes: 0 }

describe('a machine that is like another', () => {
  it('has its anonymous memory, huge pages and cached files on each node before line 1, and goes on from there', () => {
    const nodes = [
      { anonBytes: 40 * MIB, hugeBytes: 16 * MIB, fileBytes: 20 * MIB },
      { anonBytes: 30 * MIB, hugeBytes: 0, fileBytes: 0 },
    ]
    const sim = boot({ nodes, free: [] })
    const kb = (node: number, key: string) =>
      Number(new RegExp(`${key}: +(\\d+) kB`).exec(String(sim.ports.read(sim.k, `/sys/devices/system/node/node${node}/meminfo`)))?.[1]) *
      1024
    for (const [node, { anonBytes, hugeBytes, fileBytes }] of nodes.entries()) {
      expect(kb(node, 'AnonPages')).toBeGreaterThanOrEqual(anonBytes)
      expect(kb(node, 'AnonPages')).toBeLessThan(anonBytes + 2 * MIB)
      expect(kb(node, 'AnonHugePages')).toBe(hugeBytes)
      expect(kb(node, 'Inactive\\(file\\)')).toBeGreaterThanOrEqual(fileBytes)
    }
    expect(verify(sim.k)).toEqual([])
    runToEnd(sim, () => undefined)
    expect(sim.failures).toEqual([])
  })

  it('has its free lists: as many blocks of each order, in zones that have that much', () => {
    const order = fc.nat({ max: 12 })
    fc.assert(
      fc.property(fc.array(order, { minLength: 11, maxLength: 11 }), fc.array(order, { minLength: 11, maxLength: 11 }), (low, high) => {
        const free = [
          { node: 0, zone: 'DMA32', blocks: low },
          { node: 1, zone: 'DMA32', blocks: high },
        ]
        const sim = boot({ nodes: [NOTHING, NOTHING], free })
        expect(freeOf(sim, 0, ZONE_DMA32)).toEqual(low)
        expect(freeOf(sim, 1, ZONE_DMA32)).toEqual(high)
        expect(verify(sim.k)).toEqual([])
      }),
      { numRuns: 10 },
    )
  })

  it('gives what a zone has no room for to the next one, and what is too much to nobody', () => {
    const blocks = [...new Array(10).fill(3), 4096]
    const sim = boot({
      nodes: [{ anonBytes: 2 ** 40, hugeBytes: 2 ** 39, fileBytes: 2 ** 20 }, NOTHING],
      free: [{ node: 0, zone: 'DMA32', blocks }],
    })
    expect(freeOf(sim, 0, ZONE_DMA32)[10]).toBeGreaterThan(0)
    expect(freeOf(sim, 0, ZONE_NORMAL).reduce((sum, count) => sum + count, 0)).toBe(0)
    expect(verify(sim.k)).toEqual([])
  })
})
