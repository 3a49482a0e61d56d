import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { beforeEach, describe, expect, it } from 'vitest'
import { must } from '../../src/kernel/base/assert.ts'
import { ERRNO, errnoName } from '../../src/kernel/base/errno.ts'
import type { Kernel } from '../../src/kernel/base/state.ts'
import { ZONE_DMA32 } from '../../src/kernel/base/units.ts'
import { runDaemons } from '../../src/kernel/kernel.ts'
import { tunables } from '../../src/kernel/tunables.ts'
import { verify } from '../../src/kernel/verify.ts'
import { procList, procRead, procReaddir, procWrite } from '../../src/procfs/tree.ts'
import { bootSmall, runInit } from '../kernel/machine.ts'

/** A write by root, answered as the recorder answers: bytes taken or the errno's name. */
function write(k: Kernel, path: string, text: string): string {
  const ret = procWrite(k, undefined, path, text)
  return ret < 0 ? errnoName(ret) : String(ret)
}

const real = readFileSync(new URL('../fixtures/writes-6.1.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
  .map(line => {
    const [path, answer] = line.split(' ')
    return { path, answer, text: line.slice(path.length + answer.length + 2) }
  })

/** Files of the real machine's tree that this one does not have. */
const ELSEWHERE = /^\/proc\/(slabinfo|partitions|devices)$|nohz_full|topology|smt\/control/

/** Files that take no 0 though they show it: limits in bytes while the ratio counts, and surplus pages of 1 GiB. */
const TAKES_NO_ZERO = /dirty_\w*bytes$|1048576kB\/nr_overcommit_hugepages$/

describe('a write', () => {
  let k: Kernel
  beforeEach(() => {
    k = bootSmall([512, 512], { cmdline: [] })
  })

  it('is answered as the real kernel answers it', () => {
    const wrong = real
      .filter(({ path }) => !ELSEWHERE.test(path))
      .map(row => ({ ...row, ours: write(k, row.path, row.text) }))
      .filter(({ answer, ours }) => ours !== answer)
    expect(wrong).toEqual([])
    expect(verify(k)).toEqual([])
  })

  it('of what a knob shows leaves it as it was', () => {
    for (const { path, type } of tunables(k)) {
      const text = procRead(k, path)
      if (typeof text === 'number' || type === 'choice' || type === 'trigger' || text === '' || TAKES_NO_ZERO.test(path)) continue
      expect([path, procWrite(k, undefined, path, text)]).toEqual([path, text.length])
      expect([path, procRead(k, path)]).toEqual([path, text])
    }
  })

  it('by a process that is not root is EACCES, and to a file that is not there ENOENT', () => {
    const init = runInit(k)
    init.uid = 1000
    expect(procWrite(k, init, '/proc/sys/vm/overcommit_memory', '1')).toBe(-ERRNO.EACCES)
    expect(procWrite(k, init, '/proc/sys/vm/nothing', '1')).toBe(-ERRNO.ENOENT)
    expect(procWrite(k, init, '/proc/self/oom_score_adj', '1')).toBe(-ERRNO.EACCES)
  })

  it('finds no files by names that only look like ones', () => {
    for (const path of [
      '/proc/01/status',
      '/proc/99/status',
      '/sys/devices/system/node/node{node}/meminfo',
      '/proc/{pid}/status',
      'proc/meminfo',
      '/proc/constructor',
    ])
      expect([path, procRead(k, path)]).toEqual([path, -ERRNO.ENOENT])
    expect(procRead(k, '/proc/sys/vm')).toBe(-ERRNO.EISDIR)
    expect(procRead(k, '/proc/meminfo/x')).toBe(-ERRNO.ENOTDIR)
    expect(procRead(k, '/sys/devices/system/cpu/cpu0/online')).toBe(-ERRNO.ENOENT)
  })
})

describe('what a knob does', () => {
  let k: Kernel
  beforeEach(() => {
    k = bootSmall([512, 512], { cmdline: [] })
  })
  const number = (path: string) => Number(procRead(k, path))

  it('min_free_kbytes moves all marks, and outlives what khugepaged wishes for', () => {
    const zone = k.zones[ZONE_DMA32]
    expect(write(k, '/proc/sys/vm/min_free_kbytes', '40000')).toBe('5')
    expect(k.zones.reduce((sum, each) => sum + each.wmarkMin, 0)).toBeGreaterThan(9990)
    expect(zone.pcps[0].high).toBe(Math.floor(zone.wmarkLow / 2))
    write(k, '/sys/kernel/mm/transparent_hugepage/enabled', 'always')
    expect(number('/proc/sys/vm/min_free_kbytes')).toBeGreaterThan(40000)
    write(k, '/proc/sys/vm/min_free_kbytes', '80000')
    write(k, '/sys/kernel/mm/transparent_hugepage/enabled', 'never')
    expect(number('/proc/sys/vm/min_free_kbytes')).toBe(80000)
  })

  it('demotion_enabled takes yes and no, though all memory is of one tier', () => {
    expect(write(k, '/sys/kernel/mm/numa/demotion_enabled', 'y')).toBe('1')
    expect(procRead(k, '/sys/kernel/mm/numa/demotion_enabled')).toBe('true\n')
    expect(write(k, '/sys/kernel/mm/numa/demotion_enabled', '0')).toBe('1')
    expect(procRead(k, '/sys/kernel/mm/numa/demotion_enabled')).toBe('false\n')
  })

  it('THP off gives min_free_kbytes back as computed, THP on raises it again', () => {
    write(k, '/proc/sys/vm/min_free_kbytes', '0')
    write(k, '/sys/kernel/mm/transparent_hugepage/enabled', 'madvise')
    expect(number('/proc/sys/vm/min_free_kbytes')).toBeGreaterThan(45000)
    write(k, '/sys/kernel/mm/transparent_hugepage/enabled', 'never')
    expect(number('/proc/sys/vm/min_free_kbytes')).toBeLessThan(4000)
  })

  it('each of the two overcommit limits, and of the two dirty limits, switches the other off', () => {
    write(k, '/proc/sys/vm/overcommit_kbytes', '1000')
    expect(number('/proc/sys/vm/overcommit_ratio')).toBe(0)
    write(k, '/proc/sys/vm/overcommit_ratio', '70')
    expect(number('/proc/sys/vm/overcommit_kbytes')).toBe(0)
    write(k, '/proc/sys/vm/dirty_bytes', '8192')
    expect(number('/proc/sys/vm/dirty_ratio')).toBe(0)
    expect(procRead(k, '/proc/vmstat')).toContain('nr_dirty_threshold 2\n')
    write(k, '/proc/sys/vm/dirty_ratio', '30')
    expect(number('/proc/sys/vm/dirty_bytes')).toBe(0)
  })

  it('lowmem_reserve_ratio takes what is readable and sets the zones up anew', () => {
    write(k, '/proc/sys/vm/lowmem_reserve_ratio', '64 -5 x')
    expect(procRead(k, '/proc/sys/vm/lowmem_reserve_ratio')).toBe('64\t0\t32\t0\t0\n')
    expect(k.zones[0].lowmemReserve[ZONE_DMA32]).toBe(Math.floor(k.zones[ZONE_DMA32].managedPages / 64))
  })

  it('percpu_pagelist_high_fraction sizes the per-CPU lists by the zone, and 0 by its low mark again', () => {
    const zone = k.zones[ZONE_DMA32]
    const before = zone.pcps[0].high
    write(k, '/proc/sys/vm/percpu_pagelist_high_fraction', '8')
    expect(zone.pcps[0].high).toBe(Math.floor(zone.managedPages / 8 / 2))
    write(k, '/proc/sys/vm/percpu_pagelist_high_fraction', '0')
    expect(zone.pcps[0].high).toBe(before)
  })

  it('stat_interval 0, or less, lets time go on', () => {
    for (const text of ['0', '-5']) {
      expect(write(k, '/proc/sys/vm/stat_interval', text)).toBe(String(text.length))
      k.vmstat.wakeNs = k.clock[0]
      runDaemons(k, k.clock[0] + 1e8)
      expect(k.vmstat.wakeNs).toBeGreaterThan(k.clock[0] + 1e8)
    }
  })

  it('numa_stat 0 clears the counters and stops them', () => {
    k.zones[ZONE_DMA32].numa[0] = 77
    write(k, '/proc/sys/vm/numa_stat', '0')
    expect(procRead(k, '/sys/devices/system/node/node0/numastat')).toContain('numa_hit 0\n')
  })
})

describe('a CPU', () => {
  const high = (k: Kernel, node: number) => k.zones[node * 5 + ZONE_DMA32].pcps[0].high
  const cpu = (n: number) => `/sys/devices/system/cpu/cpu${n}/online`

  it('that goes leaves nothing on its lists, and comes back to lists as the real kernel sizes them', () => {
    const k = bootSmall([512, 512], { cmdline: [] })
    const [low0, low1] = [k.zones[ZONE_DMA32].wmarkLow, k.zones[5 + ZONE_DMA32].wmarkLow]
    for (const text of ['x', '2']) expect(write(k, cpu(3), text)).toBe('EINVAL')
    expect(write(k, cpu(3), '0')).toBe('1')
    expect(k.zones.every(zone => zone.pcps[3] === undefined || zone.pcps[3].count === 0)).toBe(true)
    expect(procRead(k, '/sys/devices/system/cpu/online')).toBe('0-2\n')
    expect(procRead(k, '/sys/devices/system/cpu/offline')).toBe('3\n')
    expect(procRead(k, '/sys/devices/system/node/node1/cpulist')).toBe('2\n')
    expect(high(k, 1)).toBe(low1)
    write(k, cpu(2), '0')
    expect(procRead(k, '/sys/devices/system/node/has_cpu')).toBe('0\n')
    expect([high(k, 0), high(k, 1)]).toEqual([Math.floor(low0 / 2), Math.floor(low1 / 2)])
    write(k, cpu(3), '1')
    // Each zone expects the CPU to be of its own node, wherever it is.
    expect([high(k, 0), high(k, 1)]).toEqual([Math.floor(low0 / 3), low1])
    write(k, cpu(2), 'on')
    expect([high(k, 0), high(k, 1)]).toEqual([Math.floor(low0 / 3), Math.floor(low1 / 2)])
    expect(verify(k)).toEqual([])
  })

  it('that is the first has no switch, and what is off or on already stays so', () => {
    const k = bootSmall()
    expect(write(k, cpu(0), '0')).toBe('ENOENT')
    expect(write(k, cpu(1), '1')).toBe('1')
    expect([write(k, cpu(1), '0'), write(k, cpu(1), 'off')]).toEqual(['1', '3'])
  })

  it('that takes itself out goes on elsewhere', () => {
    const k = bootSmall()
    k.cpu = 1
    expect(write(k, cpu(1), '0')).toBe('1')
    expect(k.cpu).toBe(0)
    expect(verify(k)).toEqual([])
  })
})

describe('the tree', () => {
  it('has a file for every knob, and every knob of a machine can be found', () => {
    const k = bootSmall([256, 256])
    const files = new Set(procList(k))
    expect(tunables(k).filter(({ path }) => !files.has(path))).toEqual([])
    expect(tunables(k).filter(({ path }) => procRead(k, path) === -ERRNO.ENOENT)).toEqual([])
  })

  it('has every file of the real kernel that a recording opens with', () => {
    const k = bootSmall([256, 256])
    const header: { tunables: Record<string, string> } = JSON.parse(must(recordedHeader(), 'no header'))
    const missing = Object.keys(header.tunables).filter(path => path !== '/proc/iomem' && typeof procRead(k, path) === 'number')
    expect(missing).toEqual([])
  })

  it('lists directories by name', () => {
    const k = bootSmall([256, 256])
    expect(procReaddir(k, '/sys/devices/system/node')).toEqual(expect.arrayContaining(['node0', 'node1', 'online']))
    expect(procReaddir(k, '/proc/meminfo')).toBe(-ERRNO.ENOTDIR)
    expect(procReaddir(k, '/nowhere')).toBe(-ERRNO.ENOENT)
  })
})

function recordedHeader(): string | undefined {
  const path = new URL('../oracle/recordings/numa-policies.ndjson.gz', import.meta.url)
  return gunzipSync(readFileSync(path)).toString().split('\n')[0]
}
