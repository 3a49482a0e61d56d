import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bootHugetlb } from '../../../src/kernel/boot/memory_hugetlb.ts'
import { firmware, totalBytes } from '../../../src/kernel/boot/memory_machine.ts'
import { memoryMap } from '../../../src/kernel/boot/memory_map.ts'
import { lengthOf } from '../../../src/kernel/boot/memory_runs.ts'
import { machineOf, realBoots } from './fixture.ts'

const boots = realBoots()
const zonesOf = (map: ReturnType<typeof memoryMap>) => map.nodes.flatMap(node => node.zones)

describe('the memory map', () => {
  it.each(boots)('spans, presents and manages the pages that Linux does: $name', ({ machine, zones }) => {
    const found = zonesOf(memoryMap(machine)).map(({ node, type, startPfn, spannedPages, presentPages, managedPages }) => [
      node,
      type,
      startPfn,
      spannedPages,
      presentPages,
      managedPages,
    ])
    const real = zones.map(({ node, type, startPfn, spannedPages, presentPages, managedPages }) => [
      node,
      type,
      startPfn,
      spannedPages,
      presentPages,
      managedPages,
    ])
    expect(found).toEqual(real)
  })

  it('numbers a node without CPUs after those that have some', () => {
    const map = memoryMap(machineOf('nodes=3 mem=256M,512M,256M cpus=0,1,1'))
    expect(map.nodes.map(node => node.machineNode)).toEqual([1, 2, 0])
    expect(map.nodes.map(node => node.cpus)).toEqual([[0], [1], []])
  })

  it('computes min_free_kbytes from what is managed at that time, which is not yet all', () => {
    for (const { machine, thp, cmdline, minFreeKbytes, name } of boots) {
      const early = zonesOf(memoryMap(machine)).reduce((sum, zone) => sum + zone.managedAtInit, 0)
      // With less than 512 MiB khugepaged never starts, so nothing changes the first value.
      if (thp === 'never' && early < 131072) expect([name, Math.floor(Math.sqrt(early * 4 * 16))]).toEqual([name, minFreeKbytes])
      if (cmdline === '') expect([name, early < 131072]).toEqual([name, thp === 'never'])
    }
  })

  it('takes gigantic pages from the nodes in turn, aligned, and leaves them managed', () => {
    const plain = memoryMap(machineOf('nodes=2 mem=3G,2G cpus=1,1 lowmem=1G'))
    const map = memoryMap(machineOf('nodes=2 mem=3G,2G cpus=1,1 lowmem=1G', 'hugepagesz=1G hugepages=9'))
    expect(map.gigantic.map(page => page.node)).toEqual([0, 1])
    expect(map.gigantic.every(page => page.start % 262144 === 0 && page.end - page.start === 262144)).toBe(true)
    expect(map.totalPages).toBe(plain.totalPages)
  })

  it('reads the pools of the command line as the kernel does', () => {
    const pools = (cmdline: string) => bootHugetlb(machineOf('nodes=2 mem=1G,1G cpus=1,1', cmdline))
    expect(pools('hugepages=8').pools).toEqual([{ sizeKb: 2048, anywhere: 8, byNode: [] }])
    expect(pools('hugepages=3 default_hugepagesz=1G')).toEqual({
      defaultKb: 1048576,
      pools: [{ sizeKb: 1048576, anywhere: 3, byNode: [] }],
    })
    expect(pools('hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=0:16,1:32').pools).toEqual([
      { sizeKb: 1048576, anywhere: 2, byNode: [] },
      {
        sizeKb: 2048,
        anywhere: 0,
        byNode: [
          { node: 0, pages: 16 },
          { node: 1, pages: 32 },
        ],
      },
    ])
    expect(pools('hugepagesz=7M hugepages=2').pools).toEqual([])
    expect(pools('hugepages=2 hugepages=4').pools).toEqual([{ sizeKb: 2048, anywhere: 2, byNode: [] }])
  })

  it('maps a machine of a TiB in a blink', () => {
    const start = performance.now()
    const map = memoryMap(machineOf('nodes=1 mem=1024G cpus=16'))
    expect(performance.now() - start).toBeLessThan(500)
    expect(map.totalPages * 4096).toBeGreaterThan(0.98 * 1024 ** 4)
  })
})

/** Any machine a header may describe, from 128 MiB a node up. */
const anyMachine = fc
  .array(fc.record({ mib: fc.integer({ min: 128, max: 4096 }), cpus: fc.integer({ min: 0, max: 4 }) }), { minLength: 1, maxLength: 8 })
  .chain(nodes => fc.tuple(fc.constant(nodes), fc.option(fc.integer({ min: 128, max: 3000 }), { nil: undefined })))
  .map(([nodes, lowMib]) => {
    const low = lowMib === undefined ? '' : ` lowmem=${lowMib}M`
    const cpus = nodes.map((node, i) => (i === 0 ? Math.max(1, node.cpus) : node.cpus))
    return machineOf(`nodes=${nodes.length} mem=${nodes.map(node => `${node.mib}M`)} cpus=${cpus}${low}`)
  })

describe('the memory map of any machine', () => {
  it('has each page of RAM in one zone, and gives each to the allocator once or keeps it', () => {
    fc.assert(
      fc.property(anyMachine, machine => {
        const map = memoryMap(machine)
        const zones = zonesOf(map)
        expect(zones.reduce((sum, zone) => sum + zone.presentPages, 0)).toBe(lengthOf(map.ram))
        expect(lengthOf(map.ram) * 4096).toBeLessThanOrEqual(totalBytes(machine))
        for (const zone of zones) {
          const given = [...zone.free, ...zone.freedLate].sort((a, b) => a.start - b.start)
          expect(lengthOf(given)).toBe(zone.managedPages)
          expect(zone.managedPages).toBeLessThanOrEqual(zone.presentPages)
          for (let i = 1; i < given.length; i++) expect(given[i].start).toBeGreaterThanOrEqual(given[i - 1].end)
          for (const run of given) {
            expect(run.start).toBeGreaterThanOrEqual(zone.startPfn)
            expect(run.end).toBeLessThanOrEqual(zone.startPfn + zone.spannedPages)
            expect(map.ram.some(ram => ram.node === zone.node && ram.start <= run.start && run.end <= ram.end)).toBe(true)
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('leaves the hole under 4 GiB empty', () => {
    fc.assert(
      fc.property(anyMachine, machine => {
        for (const run of firmware(machine).ram) expect(run.end <= 0xb0000 || run.start >= 0x100000).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
})
