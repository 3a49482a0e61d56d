import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EV, ZS } from '../../../src/kernel/base/counters.ts'
import { EBUSY, EINVAL } from '../../../src/kernel/base/errno.ts'
import { MADV_DONTNEED } from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { asPfn, MAX_NR_ZONES, ZONE_DMA32, ZONE_MOVABLE } from '../../../src/kernel/base/units.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { pageNode, pfnValid } from '../../../src/kernel/frames/page.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead, procWrite } from '../../../src/procfs/tree.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'

const MIB = 2 ** 20
const BASE = 0x200000000000
const BLOCK_PAGES = 32768
const file = (block: number, name = 'state') => `/sys/devices/system/memory/memory${block}/${name}`
const write = (k: Kernel, path: string, text: string) => procWrite(k, undefined, path, text)
const zone = (k: Kernel, node: number, type: number) => k.zones[node * MAX_NR_ZONES + type]

/** Two nodes of 512 MiB: blocks 0 to 3 are the first one's, 4 to 7 the second one's. */
function twoNodes(): Kernel {
  const k = bootSmall([512, 512])
  runInit(k)
  return k
}

describe('a memory block', () => {
  it('goes offline when nothing in it has to stay: zone, total and watermarks shrink', () => {
    const k = twoNodes()
    const dma32 = zone(k, 1, ZONE_DMA32)
    const before = {
      managed: dma32.managedPages,
      present: dma32.presentPages,
      free: dma32.stat[ZS.nr_free_pages],
      min: dma32.wmarkMin,
      total: k.totalramPages,
    }
    expect(write(k, file(6), 'offline')).toBe(7)
    expect(dma32.presentPages).toBe(before.present - BLOCK_PAGES)
    expect(dma32.managedPages).toBe(before.managed - BLOCK_PAGES)
    expect(k.totalramPages).toBe(before.total - BLOCK_PAGES)
    expect(dma32.wmarkMin).toBeLessThan(before.min)
    expect(pfnValid(k, 6 * BLOCK_PAGES)).toBe(false)
    expect(procRead(k, file(6))).toBe('offline\n')
    expect(verify(k)).toEqual([])
  })

  it('comes back with as much free as it took, and all marks as before', () => {
    const k = twoNodes()
    const dma32 = zone(k, 1, ZONE_DMA32)
    write(k, '/proc/sys/vm/watermark_scale_factor', '20')
    write(k, file(6), 'offline')
    write(k, file(6), 'online')
    const marks = k.zones.map(({ wmarkMin, wmarkLow, wmarkHigh, lowmemReserve }) => [wmarkMin, wmarkLow, wmarkHigh, [...lowmemReserve]])
    write(k, file(6), 'offline')
    const free = dma32.stat[ZS.nr_free_pages]
    const freed = k.event[EV.pgfree]
    expect(write(k, file(6), 'online')).toBe(6)
    expect(dma32.stat[ZS.nr_free_pages]).toBe(free + BLOCK_PAGES)
    expect(k.event[EV.pgfree]).toBe(freed + BLOCK_PAGES)
    expect(k.zones.map(({ wmarkMin, wmarkLow, wmarkHigh, lowmemReserve }) => [wmarkMin, wmarkLow, wmarkHigh, [...lowmemReserve]])).toEqual(
      marks,
    )
    expect(verify(k)).toEqual([])
  })

  it('moves what is in use to the other node', () => {
    const k = twoNodes()
    const task = must(k.current, 'no task')
    k.cpu = 2
    mapAnon(k, task, BASE, 200 * MIB)
    touch(k, task, BASE, 200 * MIB, true)
    const mm = must(task.mm, 'no memory')
    const rss = mm.rssAnon
    expect(write(k, file(5), 'offline')).toBe(7)
    expect(write(k, file(6), 'offline')).toBe(7)
    expect(mm.rssAnon).toBe(rss)
    expect(k.event[EV.pgmigrate_success]).toBeGreaterThan(0)
    expect(verify(k)).toEqual([])
    k.cpu = 0
  })

  it('with kernel memory is busy, one with a hole or of two zones can never go', () => {
    const k = twoNodes()
    expect(write(k, file(4), 'offline')).toBe(-EBUSY)
    expect(write(k, file(0), 'offline')).toBe(-EINVAL)
    expect(write(k, file(7), 'offline')).toBe(-EINVAL)
    expect(procRead(k, file(0, 'valid_zones'))).toBe('none\n')
    expect(verify(k)).toEqual([])
  })

  it('refuses to be what it is, by state but not by online', () => {
    const k = twoNodes()
    expect(write(k, file(6), 'online')).toBe(-EINVAL)
    expect(write(k, file(6), 'sideways')).toBe(-EINVAL)
    expect(write(k, file(6, 'online'), '1')).toBe(1)
    expect(write(k, file(6, 'online'), '0')).toBe(1)
    expect(write(k, file(6, 'online'), '0')).toBe(1)
    expect(write(k, file(6), 'offline')).toBe(-EINVAL)
  })

  it('can come back as movable memory, which makes the zone and, when it goes, unmakes it', () => {
    const k = twoNodes()
    write(k, file(6), 'offline')
    expect(procRead(k, file(6, 'valid_zones'))).toBe('DMA32 Movable\n')
    expect(write(k, file(6), 'online_movable')).toBe(14)
    const movable = zone(k, 1, ZONE_MOVABLE)
    expect([movable.startPfn, movable.spannedPages, movable.managedPages]).toEqual([6 * BLOCK_PAGES, BLOCK_PAGES, BLOCK_PAGES])
    expect(zone(k, 1, ZONE_DMA32).lowmemReserve).toEqual([0, 0, 0, 128, 128])
    expect(k.nodes[1].zonelist[0]).toBe(movable.index)
    expect(pageNode(k, asPfn(6 * BLOCK_PAGES))).toBe(1)
    expect(verify(k)).toEqual([])
    write(k, file(6), 'offline')
    expect([movable.startPfn, movable.spannedPages, movable.pcps.length]).toEqual([0, 0, 0])
    expect(k.nodes[1].zonelist).not.toContain(movable.index)
    expect(verify(k)).toEqual([])
  })

  it('takes free huge TLB pages with it, unless they were promised', () => {
    const k = twoNodes()
    const pool = '/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages'
    expect(write(k, pool, '100')).toBe(3)
    const [h] = k.hugetlb.hstates
    const inBlock = 6
    expect(write(k, file(inBlock), 'offline')).toBe(7)
    expect(h.nrHugePages).toBeLessThanOrEqual(100)
    expect(h.maxHugePages).toBe(h.nrHugePages)
    expect(verify(k)).toEqual([])
  })

  it('goes to the movable zone by itself as long as auto_movable_ratio allows', () => {
    const k = twoNodes()
    write(k, '/sys/module/memory_hotplug/parameters/online_policy', 'auto-movable')
    write(k, file(6), 'offline')
    write(k, file(6), 'online')
    expect(procRead(k, file(6, 'valid_zones'))).toBe('Movable\n')
    write(k, file(6), 'offline')
    write(k, '/sys/module/memory_hotplug/parameters/auto_movable_ratio', '1')
    write(k, file(6), 'online')
    expect(procRead(k, file(6, 'valid_zones'))).toBe('DMA32\n')
  })

  it('is a directory of its node, too', () => {
    const k = twoNodes()
    expect(procRead(k, '/sys/devices/system/node/node1/memory5/state')).toBe('online\n')
    expect(procRead(k, '/sys/devices/system/node/node0/memory5/state')).toBeLessThan(0)
  })

  it('can come and go at any time, whatever else goes on', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 7 }), fc.nat({ max: 1 })), { minLength: 20, maxLength: 40 }),
        steps => {
          const k = twoNodes()
          const task = must(k.current, 'no task')
          mapAnon(k, task, BASE, 400 * MIB)
          for (const [what, block, cpu] of steps) {
            k.cpu = 2 * cpu
            const words = ['offline', 'online', 'online_movable']
            if (what < words.length) write(k, file(block), words[what])
            else if (what === 3) touch(k, task, BASE + block * 40 * MIB, 40 * MIB, true)
            else if (what === 4) write(k, '/proc/sys/vm/nr_hugepages', String(block * 8))
            else sysMadvise(k, task, BASE + block * 40 * MIB, 20 * MIB, MADV_DONTNEED)
          }
          expect(verify(k)).toEqual([])
          expect(k.totalramPages).toBe(k.zones.reduce((sum, { managedPages }) => sum + managedPages, 0))
          k.cpu = 0
        },
      ),
      { numRuns: 4, seed: 7 },
    )
  })
})
