import { beforeEach, describe, expect, it } from 'vitest'
import { must } from '../../src/kernel/base/assert.ts'
import { NS, ZS } from '../../src/kernel/base/counters.ts'
import type { Kernel } from '../../src/kernel/base/state.ts'
import { baseFiles, filesBelow, procList, procRead } from '../../src/procfs/tree.ts'
import { parseBuddyinfo, parsePagetypeinfo } from '../../src/sample/parse/buddyinfo.ts'
import { parseKeyValues } from '../../src/sample/parse/keyvalue.ts'
import { parseMeminfo } from '../../src/sample/parse/meminfo.ts'
import { parsePressure } from '../../src/sample/parse/pressure.ts'
import { parseSwaps } from '../../src/sample/parse/swaps.ts'
import { parseZoneinfo } from '../../src/sample/parse/zoneinfo.ts'
import { bootSmall, mapAnon, runInit, touch } from '../kernel/machine.ts'

const MIB = 2 ** 20
const BASE = 0x200000000000

const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, n) => total + n, 0)

describe('a text', () => {
  let k: Kernel
  const text = (path: string) => {
    const read = procRead(k, path)
    if (typeof read === 'number') throw new Error(`${path}: ${read}`)
    return read
  }
  beforeEach(() => {
    k = bootSmall([256, 320], { swapBytes: 64 * MIB })
    mapAnon(k, runInit(k), BASE, 8 * MIB)
    touch(k, runInit(k), BASE, 6 * MIB, true)
  })

  it('of meminfo reads back as the machine is', () => {
    const { bytes, counts } = parseMeminfo(text('/proc/meminfo'))
    expect(bytes.get('MemTotal')).toBe(k.totalramPages * 4096)
    expect(bytes.get('MemFree')).toBe(sum(k.zones.map(zone => zone.stat[ZS.nr_free_pages])) * 4096)
    expect(bytes.get('AnonPages')).toBe(sum(k.nodes.map(node => node.stat[NS.nr_anon_pages])) * 4096)
    expect(bytes.get('SwapTotal')).toBe(64 * MIB - 4096)
    expect(bytes.get('CommitLimit')).toBe((Math.floor(k.totalramPages / 2) + k.swapPages) * 4096)
    expect(counts.get('HugePages_Total')).toBe(0)
  })

  it('of meminfo tells what disks have of their own from files: after boot what mounting and switching on swap have read', () => {
    for (const [machine, kb] of [
      [{}, 0],
      [{ swapBytes: 64 * MIB }, 4],
      [{ diskBytes: 1024 * MIB }, 140],
      [{ swapBytes: 64 * MIB, diskBytes: 1024 * MIB }, 144],
    ] as const) {
      k = bootSmall([256], machine)
      const { bytes } = parseMeminfo(text('/proc/meminfo'))
      const [buffers = 0, cached = 0] = [bytes.get('Buffers'), bytes.get('Cached')]
      expect(buffers).toBe(kb * 1024)
      expect(buffers + cached).toBe(sum(k.nodes.map(node => node.stat[NS.nr_file_pages])) * 4096)
    }
  })

  it('of vmstat has the sums of zones and nodes, and as many lines as Linux 6.1', () => {
    const counters = parseKeyValues(text('/proc/vmstat'))
    expect(counters.size).toBe(text('/proc/vmstat').split('\n').length - 1)
    expect(counters.get('nr_free_pages')).toBe(sum(k.zones.map(zone => zone.stat[ZS.nr_free_pages])))
    expect(counters.get('nr_anon_pages')).toBe(sum(k.nodes.map(node => node.stat[NS.nr_anon_pages])))
  })

  it('of the nodes adds up to that of the machine', () => {
    const nodes = k.nodes.map(node => parseMeminfo(text(`/sys/devices/system/node/node${node.id}/meminfo`).replaceAll(/^Node \d+ /gm, '')))
    const machine = parseMeminfo(text('/proc/meminfo'))
    for (const name of ['MemTotal', 'MemFree', 'AnonPages', 'Slab', 'PageTables', 'KernelStack', 'Inactive(anon)'])
      expect([name, sum(nodes.map(node => node.bytes.get(name) ?? 0))]).toEqual([name, machine.bytes.get(name)])
  })

  it('of zoneinfo reads back zone by zone', () => {
    const zones = parseZoneinfo(text('/proc/zoneinfo'))
    expect(zones).toHaveLength(10)
    for (const [i, zone] of zones.entries()) {
      expect(zone.pages.get('free')).toBe(k.zones[i].stat[ZS.nr_free_pages])
      expect(zone.pages.get('high')).toBe(k.zones[i].wmarkHigh)
      expect(zone.pages.get('managed')).toBe(k.zones[i].managedPages)
    }
  })

  it('of buddyinfo and pagetypeinfo counts the free pages, each way', () => {
    const rows = parseBuddyinfo(text('/proc/buddyinfo'))
    const { free } = parsePagetypeinfo(text('/proc/pagetypeinfo'))
    for (const row of rows) {
      const zone = must(
        k.zones.find(each => each.node === row.node && ['DMA', 'DMA32', 'Normal'][each.type] === row.zone),
        'no such zone',
      )
      const pages = sum(row.blocks.map((n, order) => n * 2 ** order))
      expect(pages).toBe(zone.stat[ZS.nr_free_pages])
      const byType = free.filter(each => each.node === row.node && each.zone === row.zone)
      expect(row.blocks.map((_, order) => sum(byType.map(each => each.blocks[order])))).toEqual([...row.blocks])
    }
  })

  it('of pagetypeinfo stops counting at a hundred thousand blocks', () => {
    for (let i = 0; i < 3; i++) k.zones[1].virgin.push({ next: 0, end: 1024 * 50_000 })
    expect(text('/proc/pagetypeinfo')).toContain('>100000 ')
  })

  it('of the fragmentation files says what the free lists say', () => {
    expect(text('/sys/kernel/debug/extfrag/extfrag_index')).toMatch(/^Node 0, zone {6}DMA (-1\.000 ){11}\n/)
    const [first] = text('/sys/kernel/debug/extfrag/unusable_index').split('\n')
    expect(first).toMatch(/^Node 0, zone {6}DMA 0\.000 .*0\.193 $/)
    k.zones[1].nrFree.fill(0)
    k.zones[1].nrFree[0] = 512
    expect(text('/sys/kernel/debug/extfrag/extfrag_index')).toMatch(/zone {4}DMA32 -1\.000 {2}0\.499 {2}0\.749 /)
    expect(text('/sys/kernel/debug/extfrag/unusable_index')).toMatch(/zone {4}DMA32 0\.000 1\.000 /)
  })

  it('of swaps has the area that was switched on at boot', () => {
    expect(text('/proc/swaps')).toBe(
      'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vda                                partition\t65532\t\t0\t\t-2\n',
    )
    expect(parseSwaps(text('/proc/swaps'))).toHaveLength(1)
    expect(procRead(bootSmall([256], { swapBytes: 64 * MIB, swapon: false }), '/proc/swaps')).not.toContain('vda')
  })

  it('of pressure is that of an idle machine', () => {
    expect(parsePressure(text('/proc/pressure/memory')).some).toEqual({ avg10: 0, avg60: 0, avg300: 0, totalUs: 0 })
  })

  it('is there for every file that is listed, ends its last line, and never repeats a path', () => {
    const paths = procList(k)
    expect(new Set(paths).size).toBe(paths.length)
    for (const path of filesBelow(k, '/')) expect([path, text(path)]).toEqual([path, expect.stringMatching(/(^|\n|\0)$/)])
    expect(baseFiles(k).filter(path => !paths.includes(path))).toEqual([])
  })

  it('of all files of a frame takes well under a millisecond on a machine of 16 GiB', () => {
    const big = bootSmall([16 * 1024])
    const files = baseFiles(big)
    let best = Number.POSITIVE_INFINITY
    for (let i = 0; i < 100; i++) {
      const start = performance.now()
      for (const path of files) procRead(big, path)
      best = Math.min(best, performance.now() - start)
    }
    expect(best).toBeLessThan(1)
  })
})
