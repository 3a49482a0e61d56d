import { describe, expect, it } from 'vitest'
import { NS, ZS } from '../../src/kernel/base/counters.ts'
import { taskExit, taskFork } from '../../src/kernel/calls/task.ts'
import { sysMunmap } from '../../src/kernel/calls/unmap.ts'
import { verify } from '../../src/kernel/verify.ts'
import { bootSmall, mapAnon, runInit, touch } from './machine.ts'

const MIB = 2 ** 20
const BASE = 0x200000000000

const freeAndPcp = (k: ReturnType<typeof bootSmall>) =>
  k.zones.reduce((sum, zone) => sum + zone.stat[ZS.nr_free_pages] + zone.pcps.reduce((n, pcp) => n + pcp.count, 0), 0)

describe('a machine', () => {
  it('is sound after boot', () => {
    expect(verify(bootSmall())).toEqual([])
    expect(verify(bootSmall([256, 320]))).toEqual([])
  })

  it('gives every page back after mmap, touch and munmap', () => {
    const k = bootSmall()
    const init = runInit(k)
    const before = freeAndPcp(k)
    const anon = k.nodes[0].stat[NS.nr_anon_pages]
    expect(mapAnon(k, init, BASE, 16 * MIB)).toBe(BASE)
    expect(touch(k, init, BASE, 16 * MIB, true)).toBe(4096)
    expect(verify(k)).toEqual([])
    expect(k.nodes[0].stat[NS.nr_anon_pages]).toBe(anon + 4096)
    expect(sysMunmap(k, init, BASE + 4 * MIB, 8 * MIB)).toBe(0)
    expect(verify(k)).toEqual([])
    expect(sysMunmap(k, init, BASE, 16 * MIB)).toBe(0)
    expect(verify(k)).toEqual([])
    expect(freeAndPcp(k)).toBe(before)
  })

  it('copies on write after fork, once for each page written', () => {
    const k = bootSmall()
    const init = runInit(k)
    const anon = k.nodes[0].stat[NS.nr_anon_pages]
    mapAnon(k, init, BASE, 4 * MIB)
    touch(k, init, BASE, 4 * MIB, true)
    const child = taskFork(k, init)
    if (typeof child === 'number') throw new Error('fork failed')
    expect(verify(k)).toEqual([])
    expect(k.nodes[0].stat[NS.nr_anon_pages]).toBe(anon + 1024)
    k.current = child
    touch(k, child, BASE, 2 * MIB, true)
    expect(k.nodes[0].stat[NS.nr_anon_pages]).toBe(anon + 1536)
    expect(verify(k)).toEqual([])
    k.current = init
    touch(k, init, BASE, 2 * MIB, true)
    expect(k.nodes[0].stat[NS.nr_anon_pages]).toBe(anon + 1536)
    taskExit(k, child)
    expect(k.nodes[0].stat[NS.nr_anon_pages]).toBe(anon + 1024)
    expect(verify(k)).toEqual([])
  })
})
