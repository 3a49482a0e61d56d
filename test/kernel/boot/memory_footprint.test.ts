import { describe, expect, it } from 'vitest'
import { bootCounters } from '../../../src/kernel/boot/memory_counters.ts'
import { bootFootprint } from '../../../src/kernel/boot/memory_footprint.ts'
import { bootLayout, forEachBlock, type ZoneLayout } from '../../../src/kernel/boot/memory_layout.ts'
import { memoryMap } from '../../../src/kernel/boot/memory_map.ts'
import { FIRST_PROCESS_PAGES } from '../../../src/kernel/boot/memory_process.ts'
import type { Run } from '../../../src/kernel/boot/memory_runs.ts'
import { lengthOf } from '../../../src/kernel/boot/memory_runs.ts'
import { machineOf, type RealBoot, realBoots } from './fixture.ts'

const boots = realBoots()
/** Huge pages of the command line are not boot's own, and a machine that is all but full has no pattern to hold. */
const ordinary = boots.filter(boot => !boot.cmdline.includes('hugepages=') && boot.meminfo['MemTotal'] > 100_000)

function bootOf({ machine, zones }: Pick<RealBoot, 'machine' | 'zones'>) {
  const map = memoryMap(machine)
  const footprint = bootFootprint(machine, map)
  const high = (node: number, type: number) => zones.find(zone => zone.node === node && zone.type === type)?.pcpHigh ?? 0
  return { map, footprint, layout: bootLayout(map, footprint, high), counters: bootCounters(machine, map, footprint) }
}

function freeBlocks(layout: ZoneLayout): number[] {
  const counts = Array.from({ length: 11 }, () => 0)
  for (const run of layout.free)
    forEachBlock(run, (_, order) => {
      counts[order]++
    })
  return counts
}

const within = (found: number, real: number, slack: number) => Math.abs(found - real) <= slack

describe('what boot has allocated', () => {
  it.each(ordinary)('leaves as much free as a real boot, within half a per cent: $name', boot => {
    const { layout, map } = bootOf(boot)
    const free = layout.reduce((sum, zone) => sum + lengthOf(zone.free) + lengthOf(zone.pcp), 0) - FIRST_PROCESS_PAGES
    const real = boot.zones.reduce(
      (sum, zone) => sum + zone.perCpu + zone.free.flatMap(list => list.map((n, order) => n << order)).reduce((a, b) => a + b),
      0,
    )
    expect(Math.abs(free - real)).toBeLessThan(0.005 * map.totalPages)
  })

  it.each(ordinary)('leaves free lists like those of a real boot: $name', boot => {
    const { layout } = bootOf(boot)
    for (const real of boot.zones) {
      const zone = layout.find(each => each.node === real.node && each.type === real.type)
      if (zone === undefined) throw new Error('a zone is missing')
      const found = freeBlocks(zone)
      const wrong = found.filter(
        (n, order) =>
          !within(
            n,
            real.free.reduce((sum, list) => sum + list[order], 0),
            order < 9 ? 12 : 5,
          ),
      )
      expect([real.node, real.type, wrong]).toEqual([real.node, real.type, []])
    }
  })

  it.each(ordinary)('changes as many page blocks as a real boot: $name', boot => {
    const { layout } = bootOf(boot)
    const blocks = (migratetype: number) =>
      layout.reduce((sum, zone) => sum + lengthOf(zone.blocks.filter(run => run.migratetype === migratetype)) / 512, 0)
    const real = (i: number) => boot.zones.reduce((sum, zone) => sum + zone.blocks[i], 0)
    expect(within(blocks(0), real(0), Math.max(6, 0.1 * real(0)))).toBe(true)
    expect(within(blocks(2), real(2), 4)).toBe(true)
  })

  it.each(boots)('puts every managed page in one place: $name', boot => {
    const { layout, map } = bootOf(boot)
    for (const zone of map.nodes.flatMap(node => node.zones)) {
      const filled = layout.find(each => each.node === zone.node && each.type === zone.type)
      const runs: Run[] = [...(filled?.free ?? []), ...(filled?.pcp ?? []), ...(filled?.used ?? [])].sort((a, b) => a.start - b.start)
      for (let i = 1; i < runs.length; i++) expect(runs[i].start).toBeGreaterThanOrEqual(runs[i - 1].end)
      const inZone = (run: Run) => run.start >= zone.startPfn && run.end <= zone.startPfn + zone.spannedPages
      expect(lengthOf(runs) + lengthOf(map.gigantic.filter(inZone))).toBe(zone.managedPages)
    }
  })

  it.each(boots)('counts slab, stacks, vmalloc and per-CPU memory as a real boot does: $name', boot => {
    const { footprint } = bootOf(boot)
    const sum = (key: 'slabReclaimable' | 'slabUnreclaimable' | 'kernelStack' | 'vmalloc') =>
      footprint.nodes.reduce((n, node) => n + node[key], 0)
    expect(within(sum('slabReclaimable'), boot.vmstat['nr_slab_reclaimable'], 0.05 * boot.vmstat['nr_slab_reclaimable'])).toBe(true)
    expect(within(sum('slabUnreclaimable'), boot.vmstat['nr_slab_unreclaimable'], 0.06 * boot.vmstat['nr_slab_unreclaimable'])).toBe(true)
    expect(within(sum('kernelStack') * 4, boot.vmstat['nr_kernel_stack'], 64)).toBe(true)
    expect(within((sum('vmalloc') + sum('kernelStack')) * 4, boot.meminfo['VmallocUsed'], 0.03 * boot.meminfo['VmallocUsed'] + 64)).toBe(
      true,
    )
    expect(footprint.percpuPages * 4).toBe(boot.meminfo['Percpu'])
  })

  it.each(boots)('sets the limits that Linux sets: $name', boot => {
    const { footprint } = bootOf(boot)
    expect(within(Math.floor(footprint.maxThreads / 2), boot.sigPendingLimit, 1)).toBe(true)
    expect(footprint.adminReserveKbytes).toBe(Math.min(8192, footprint.userReserveKbytes))
    expect(within(footprint.userReserveKbytes, boot.userReserveKbytes, 130)).toBe(true)
    expect(footprint.smallMachine).toBe(
      boot.thp === 'never' && !boot.cmdline.includes('transparent_hugepage=never') ? true : footprint.smallMachine,
    )
  })
})

describe('the counters of a fresh boot', () => {
  const plain = ordinary.filter(boot => boot.machine.swapBytes === 0 && boot.machine.diskBytes === 0)

  it.each(ordinary)('stand where they stand on a real machine, within their own noise: $name', boot => {
    const { counters } = bootOf(boot)
    const { events, numa } = counters
    for (const name of ['pgfault', 'pgmajfault', 'pgpgout']) expect([name, events[name] ?? 0]).toEqual([name, boot.vmstat[name] ?? 0])
    expect(within(events['pgfree'], boot.vmstat['pgfree'], 600)).toBe(true)
    expect(within(events['pgpgin'] ?? 0, boot.vmstat['pgpgin'] ?? 0, 4)).toBe(true)
    expect(within(counters.bufferPages * 4, boot.meminfo['Buffers'], 4)).toBe(true)
    const hits = numa.reduce((sum, zone) => sum + zone.numa_hit, 0)
    expect(within(hits, boot.vmstat['numa_hit'], 0.17 * boot.vmstat['numa_hit'])).toBe(true)
    expect(numa.every(zone => zone.numa_hit === zone.numa_local + zone.numa_other)).toBe(true)
    expect(numa.some(zone => zone.numa_other > 0)).toBe((boot.vmstat['numa_other'] ?? 0) > 0)
  })

  it('map all of RAM directly, in the sizes of a real machine', () => {
    for (const boot of plain) {
      const { counters } = bootOf(boot)
      const { directMap4kKb, directMap2mKb, directMap1gKb } = counters
      const real = boot.meminfo
      expect([boot.name, directMap4kKb + directMap2mKb + directMap1gKb]).toEqual([
        boot.name,
        real['DirectMap4k'] + real['DirectMap2M'] + real['DirectMap1G'],
      ])
      expect([boot.name, within(directMap4kKb, real['DirectMap4k'], 10240)]).toEqual([boot.name, true])
      expect([boot.name, within(directMap1gKb, real['DirectMap1G'], 2 * 1048576)]).toEqual([boot.name, true])
    }
  })

  it('count a request for every pool and page that boot took', () => {
    const machine = machineOf('nodes=1 mem=4G cpus=2')
    const { events } = bootOf({ machine, zones: [] }).counters
    expect(events['pgalloc_dma']).toBe(128)
    expect(events['pgalloc_dma32']).toBe(128)
    expect(events['pgalloc_normal']).toBeGreaterThan(6000)
  })
})
