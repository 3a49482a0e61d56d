import { beforeAll, describe, expect, it } from 'vitest'
import { parseBuddyinfo, parsePagetypeinfo } from '../../../src/sample/parse/buddyinfo.ts'
import { parseChoice } from '../../../src/sample/parse/choice.ts'
import { parseKeyValues, parseNumaStat } from '../../../src/sample/parse/keyvalue.ts'
import { parseMeminfo } from '../../../src/sample/parse/meminfo.ts'
import { parsePressure } from '../../../src/sample/parse/pressure.ts'
import { parseSlabinfo } from '../../../src/sample/parse/slabinfo.ts'
import { parseSwaps } from '../../../src/sample/parse/swaps.ts'
import { parseZoneinfo } from '../../../src/sample/parse/zoneinfo.ts'
import type { Frame } from '../../../src/sample/source.ts'
import { lastFrame, newerText } from '../../fixtures/load.ts'

describe('the machine-wide files of a 6.1 kernel', () => {
  let frame: Frame
  beforeAll(async () => {
    frame = await lastFrame('zswap-lzo')
  })
  const text = (path: string) => frame.files.get(path) ?? ''

  it('gives every counter of vmstat', () => {
    const values = parseKeyValues(text('/proc/vmstat'))
    expect(values.size).toBe(text('/proc/vmstat').trim().split('\n').length)
    expect(values.get('nr_unstable')).toBe(0)
    expect(values.get('zswpout')).toBeGreaterThan(0)
  })

  it('gives memory in bytes and huge pages in pages', () => {
    const { bytes, counts } = parseMeminfo(text('/proc/meminfo'))
    expect(bytes.get('MemTotal')).toBe(466136 * 1024)
    expect(bytes.get('Active(anon)')).toBeDefined()
    expect(counts.get('HugePages_Total')).toBe(0)
    expect(bytes.has('HugePages_Total')).toBe(false)
  })

  it("reads a node's meminfo by the same names", () => {
    const node = parseMeminfo(text('/sys/devices/system/node/node0/meminfo'))
    expect(node.bytes.get('MemTotal')).toBe(466136 * 1024)
    expect(node.counts.get('HugePages_Surp')).toBe(0)
  })

  it('splits zoneinfo into zones with watermarks, counters and per-CPU lists', () => {
    const zones = parseZoneinfo(text('/proc/zoneinfo'))
    expect(zones.map(zone => zone.zone)).toEqual(['DMA', 'DMA32', 'Normal', 'Movable', 'Device'])
    const [dma, dma32, normal] = zones
    expect(dma.nodeStats.get('nr_unevictable')).toBe(633)
    expect(dma32.nodeStats.size).toBe(0)
    expect(dma.pages.get('managed')).toBe(3840)
    expect(dma.protection).toEqual([0, 440, 440, 440, 440])
    expect(dma32.pages.get('min')).toBe(653)
    expect(dma32.pages.has('nr_free_pages')).toBe(false)
    expect(dma32.stats.get('nr_free_pages')).toBe(dma32.pages.get('free'))
    expect(dma32.pagesets.map(set => set.cpu)).toEqual([0, 1])
    expect(dma32.pagesets[0].high).toBeGreaterThan(0)
    expect(dma32.startPfn).toBe(4096)
    expect(normal.pages.get('managed')).toBe(0)
  })

  it('reads free blocks by order and by migrate type, and the blocks each type owns', () => {
    const buddy = parseBuddyinfo(text('/proc/buddyinfo'))
    expect(buddy.map(row => [row.node, row.zone, row.blocks.length])).toEqual([
      [0, 'DMA', 11],
      [0, 'DMA32', 11],
    ])
    const types = parsePagetypeinfo(text('/proc/pagetypeinfo'))
    expect(types.pagesPerBlock).toBe(512)
    const movable = types.free.find(row => row.zone === 'DMA32' && row.type === 'Movable')
    expect(movable?.blocks.length).toBe(11)
    expect(types.owned.find(row => row.zone === 'DMA')?.blocksByType.get('Movable')).toBe(7)
    for (const row of buddy) {
      const byType = types.free.filter(each => each.zone === row.zone && each.node === row.node)
      expect(row.blocks.map((_, order) => byType.reduce((sum, each) => sum + each.blocks[order], 0))).toEqual(row.blocks)
    }
  })

  it('reads swap areas', () => {
    const [area] = parseSwaps(text('/proc/swaps'))
    expect(area).toMatchObject({ name: '/dev/vda', type: 'partition', sizeBytes: 524284 * 1024, priority: -2 })
  })
})

describe('kernels before and after', () => {
  it('reads a 6.18 kernel: new counters, a promo watermark, other per-CPU lines', () => {
    const vmstat = parseKeyValues(newerText('vmstat'))
    expect(vmstat.size).toBe(newerText('vmstat').trim().split('\n').length)
    expect(vmstat.get('pgdemote_khugepaged')).toBe(0)
    const zones = parseZoneinfo(newerText('zoneinfo'))
    expect(zones[0].pages.get('promo')).toBe(66)
    expect(zones[0].nodeStats.get('nr_hugetlb')).toBe(0)
    expect(zones.every(zone => zone.pagesets.every(set => set.batch > 0 || zone.pages.get('managed') === 0))).toBe(true)
    expect(parsePagetypeinfo(newerText('pagetypeinfo')).pagesPerBlock).toBe(512)
    expect(parsePressure(newerText('pressure')).some?.totalUs).toBeGreaterThanOrEqual(0)
  })

  it('reads a 4.19 zoneinfo: no boost, the protection of four zones', () => {
    const [zone] = parseZoneinfo(
      'Node 0, zone   Normal\n  pages free     8111\n        min      122\n        low      152\n        high     182\n        spanned  1000\n' +
        '        present  1000\n        managed  990\n        protection: (0, 0, 0, 0)\n      nr_free_pages 8111\n  pagesets\n    cpu: 0\n' +
        '              count: 5\n              high:  90\n              batch: 15\n  vm stats threshold: 4\n  node_unreclaimable:  0\n  start_pfn: 256\n',
    )
    expect(zone.pages.has('boost')).toBe(false)
    expect(zone.pages.get('low')).toBe(152)
    expect(zone.pagesets).toEqual([{ cpu: 0, count: 5, high: 90, batch: 15 }])
    expect(zone.startPfn).toBe(256)
  })

  it('takes a free count that was too long to make as its lower bound', () => {
    const { free } = parsePagetypeinfo('Node    0, zone   Normal, type      Movable >100000      7 \n')
    expect(free[0].blocks).toEqual([100000, 7])
  })

  it('reads pressure without the full line', () => {
    const pressure = parsePressure('some avg10=1.25 avg60=0.50 avg300=0.00 total=123\n')
    expect(pressure.some).toEqual({ avg10: 1.25, avg60: 0.5, avg300: 0, totalUs: 123 })
    expect(pressure.full).toBeUndefined()
  })
})

describe('other tables', () => {
  it('reads slabinfo, with and without per-CPU tunables in use', () => {
    const text =
      'slabinfo - version: 2.1\n# name            <active_objs> ...\n' +
      'ext4_inode_cache     134    169   1192   13    4 : tunables    0    0    0 : slabdata     13     13      0\n'
    expect(parseSlabinfo(text)).toEqual([
      {
        name: 'ext4_inode_cache',
        activeObjects: 134,
        objects: 169,
        objectSizeBytes: 1192,
        objectsPerSlab: 13,
        pagesPerSlab: 4,
        activeSlabs: 13,
        slabs: 13,
      },
    ])
  })

  it('finds the chosen word', () => {
    expect(parseChoice('always [madvise] never\n')).toEqual({ choices: ['always', 'madvise', 'never'], chosen: 'madvise' })
    expect(parseChoice('').chosen).toBeUndefined()
  })

  it("reads a cgroup's figures by node", () => {
    const rows = parseNumaStat('anon N0=4096 N1=8192\nfile N0=0 N1=0\n')
    expect(rows.get('anon')?.get(1)).toBe(8192)
  })
})
