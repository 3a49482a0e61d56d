import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kmemAlloc } from '../../../src/kernel/alloc/kmem.ts'
import { NS } from '../../../src/kernel/base/counters.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { kmemFreeRcu } from '../../../src/kernel/caches/rcu.ts'
import { kmemCache, kmemFlushCpu, kmemFree, kmemShrink, partialSlabs, verifySlab } from '../../../src/kernel/caches/slab.ts'
import { SLAB_KINDS, slabObjects, slabOrder } from '../../../src/kernel/caches/slab_caches.ts'
import { runDaemons } from '../../../src/kernel/kernel.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead } from '../../../src/procfs/tree.ts'
import { bootSmall, runInit } from '../machine.ts'

function machine(): Kernel {
  const k = bootSmall([256])
  runInit(k)
  return k
}

const slabPages = (k: Kernel) => k.nodes.reduce((sum, { stat }) => sum + stat[NS.nr_slab_reclaimable] + stat[NS.nr_slab_unreclaimable], 0)

describe('slabs', () => {
  it('have the orders that the recorded kernels show', () => {
    const orders = (bytes: number) => [1, 2, 4, 8].map(cpus => slabOrder(bytes, cpus))
    expect(orders(192)).toEqual([0, 0, 0, 0])
    expect(orders(584)).toEqual([1, 1, 2, 2])
    expect(orders(1024)).toEqual([1, 2, 2, 3])
    expect(orders(8448)).toEqual([3, 3, 3, 3])
    expect(slabObjects(8448, 3)).toBe(3)
  })

  it('of no kind are listed twice', () => {
    expect(new Set(SLAB_KINDS.map(({ name }) => name)).size).toBe(SLAB_KINDS.length)
  })

  it('are added as objects need them, and go back when they are empty, but for those that are kept', () => {
    const k = machine()
    const cache = kmemCache(k, 'user_namespace')
    const before = slabPages(k)
    cache.bootFree = 0
    expect(kmemAlloc(k, cache.name, 100 * cache.objectsPerSlab)).toBe(true)
    expect(cache.nrSlabs).toBe(100)
    expect(slabPages(k)).toBe(before + (100 << cache.order))
    kmemFree(k, cache.name, 100 * cache.objectsPerSlab)
    expect(cache.active).toBe(0)
    expect(cache.nrSlabs).toBeLessThanOrEqual(1 + cache.cpuPartialSlabs + cache.minPartial)
    kmemShrink(k, cache)
    expect(cache.nrSlabs).toBe(0)
    expect(slabPages(k)).toBe(before)
    expect(verify(k)).toEqual([])
  })

  it('that a CPU holds count as used up; on the list of the node their free objects are seen', () => {
    const k = machine()
    const cache = kmemCache(k, 'dentry')
    cache.bootFree = 0
    kmemAlloc(k, 'dentry', 1)
    const line = () =>
      /^dentry +(\d+) +(\d+)/m
        .exec(String(procRead(k, '/proc/slabinfo')))
        ?.slice(1)
        .map(Number) ?? []
    const [active, objects] = line()
    expect(active).toBe(objects)
    kmemFlushCpu(k, cache, k.cpu)
    expect(partialSlabs(k, cache, k.nodes[0].id).slabs).toBe(1)
    expect(line()).toEqual([objects - 20, objects])
  })

  it('are shared by kinds of one size that have no cache of their own', () => {
    const k = machine()
    kmemAlloc(k, 'ksm_rmap_item', 100)
    expect(kmemCache(k, 'ksm_rmap_item')).toBe(kmemCache(k, 'vmap_area'))
    expect(String(procRead(k, '/proc/slabinfo'))).not.toContain('ksm_rmap_item')
  })

  it('hold together whatever is taken and freed', () => {
    const names = ['dentry', 'radix_tree_node', 'task_struct', 'kmalloc-8']
    const step = fc.record({
      name: fc.constantFrom(...names),
      objects: fc.integer({ min: 1, max: 400 }),
      take: fc.boolean(),
      cpu: fc.integer({ min: 0, max: 1 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const k = machine()
        const held = new Map(names.map(name => [name, 0]))
        for (const { name, objects, take, cpu } of steps) {
          k.cpu = cpu
          const have = held.get(name) ?? 0
          if (take && kmemAlloc(k, name, objects)) held.set(name, have + objects)
          if (!take) {
            kmemFree(k, name, Math.min(have, objects))
            held.set(name, have - Math.min(have, objects))
          }
        }
        expect(verifySlab(k)).toEqual([])
      }),
      { numRuns: 20 },
    )
  })

  it('get objects that others may still look at only after a grace period, and those let go meanwhile after the next', () => {
    const k = machine()
    const cache = kmemCache(k, 'user_namespace')
    kmemAlloc(k, cache.name, 20)
    kmemFreeRcu(k, cache.name, 5)
    runDaemons(k, k.clock[0] + 2e6)
    k.clock[0] += 2e6
    kmemFreeRcu(k, cache.name, 6)
    expect(cache.active).toBe(20)
    runDaemons(k, k.clock[0] + 2e6)
    expect(cache.active).toBe(15)
    runDaemons(k, k.clock[0] + 20e6)
    expect(cache.active).toBe(9)
    expect(k.rcu.daemon.wakeNs).toBe(Number.POSITIVE_INFINITY)
  })
})
