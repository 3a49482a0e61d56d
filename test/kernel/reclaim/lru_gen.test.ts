import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { COST, spend } from '../../../src/kernel/base/cost.ts'
import { EINVAL, ERANGE } from '../../../src/kernel/base/errno.ts'
import { GFP_KERNEL, PTE_TABLE_OLD } from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { ZONE_MOVABLE } from '../../../src/kernel/base/units.ts'
import { newGenerations } from '../../../src/kernel/frames/generations.ts'
import { lruGenAgeNode } from '../../../src/kernel/reclaim/lru_gen_aging.ts'
import { resetFilter, testFilter, updateFilter } from '../../../src/kernel/reclaim/lru_gen_filter.ts'
import { tierToEvict, typeToEvict } from '../../../src/kernel/reclaim/lru_gen_tiers.ts'
import { scanControl } from '../../../src/kernel/reclaim/vmscan_control.ts'
import { entryFlags, LEVEL_PMD, levelIndex, walkTo } from '../../../src/kernel/spaces/pagetable.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead, procWrite } from '../../../src/procfs/tree.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'

const ENABLED = '/sys/kernel/mm/lru_gen/enabled'
const TTL = '/sys/kernel/mm/lru_gen/min_ttl_ms'
const FILE = '/sys/kernel/debug/lru_gen'
const MIB = 2 ** 20
const AT = 0x200000000000

const write = (k: Kernel, path: string, text: string): number => procWrite(k, undefined, path, text)

/** Lines of the first node of the root group: running number, anonymous and file pages. */
function generations(k: Kernel): { seq: number; anon: number; file: number }[] {
  const text = String(procRead(k, FILE))
  return [...text.split('memcg')[1].matchAll(/^ +(\d+) +\d+ +(\d+) +(\d+) $/gm)].map(([, seq, anon, file]) => ({
    seq: Number(seq),
    anon: Number(anon),
    file: Number(file),
  }))
}

function vmstat(k: Kernel, name: string): number {
  const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(String(procRead(k, '/proc/vmstat')))
  return Number(found?.[1])
}

/** The machine after a workload. */
function machineAfter(text: string): Kernel {
  const sim = createSimulation(parseWorkload(text, 'generations'))
  runToEnd(sim, () => undefined)
  expect(verify(sim.k)).toEqual([])
  return sim.k
}

/** 64 MiB of memory in use, generations on. */
function used(enabled = '7'): Kernel {
  const k = bootSmall([256], { swapBytes: 256 * MIB })
  const init = runInit(k)
  write(k, ENABLED, enabled)
  mapAnon(k, init, AT, 64 * MIB)
  touch(k, init, AT, 64 * MIB, true)
  return k
}

describe('generations', () => {
  it('take all pages over when they are switched on, and give them back', () => {
    const k = bootSmall([256])
    const before = ['nr_active_anon', 'nr_inactive_file'].map(name => vmstat(k, name))
    expect(write(k, ENABLED, 'y')).toBe(1)
    expect(procRead(k, ENABLED)).toBe('0x0007\n')
    expect(verify(k)).toEqual([])
    expect(generations(k).reduce((sum, { anon, file }) => sum + anon + file, 0)).toBeGreaterThan(before[0])
    expect(write(k, ENABLED, '0')).toBe(1)
    expect(procRead(k, ENABLED)).toBe('0x0000\n')
    expect(verify(k)).toEqual([])
    expect(generations(k).every(({ anon, file }) => anon + file === 0)).toBe(true)
  })

  it('get pages that were faulted in as the youngest, which count as active', () => {
    const k = used()
    expect(generations(k).at(-1)?.anon).toBeGreaterThan(16300)
    expect(vmstat(k, 'nr_active_anon')).toBeGreaterThan(16300)
    expect(vmstat(k, 'pgactivate')).toBeLessThan(100)
  })

  it('get pages that were read from files as the second oldest, which count as inactive', () => {
    const k = machineAfter(
      `machine mem=256M cpus=1 disk=64M\ncmdline transparent_hugepage=never\nfile f 16M\nwrite ${ENABLED} y\nspawn A\nA readfile /mnt/f repeat=3`,
    )
    expect(generations(k)[1].file).toBeGreaterThan(4000)
    expect(vmstat(k, 'nr_inactive_file')).toBeGreaterThan(4000)
  })

  it('age: what was used joins the youngest, what was not is left behind', () => {
    const k = used()
    expect(write(k, FILE, '+ 1 0 3')).toBe(7)
    expect(write(k, FILE, '+1 0 4')).toBe(6)
    const init = runInit(k)
    touch(k, init, AT, 16 * MIB, false)
    expect(write(k, FILE, ' + 1 0 5 1 1 ')).toBe(13)
    const [, , older, young] = generations(k).map(({ anon }) => anon)
    expect(older).toBeGreaterThanOrEqual(4096)
    expect(young).toBe(0)
    expect(vmstat(k, 'nr_active_anon')).toBeGreaterThanOrEqual(4096)
    expect(vmstat(k, 'nr_active_anon')).toBeLessThan(4200)
    expect(verify(k)).toEqual([])
  })

  it('are evicted oldest first, on command as in need', () => {
    const k = used()
    const init = runInit(k)
    for (const seq of [3, 4]) write(k, FILE, `+ 1 0 ${seq}`)
    touch(k, init, AT, 16 * MIB, false)
    write(k, FILE, '+ 1 0 5')
    expect(write(k, FILE, '- 1 0 4 200 8000')).toBe(16)
    expect(vmstat(k, 'pswpout')).toBeGreaterThan(7900)
    const swapped = init.mm?.swapEnts
    touch(k, init, AT, 16 * MIB, false)
    expect(init.mm?.swapEnts).toBe(swapped)
    expect(verify(k)).toEqual([])
  })

  it('refuse commands that make no sense, and end at the first of several', () => {
    const k = used()
    for (const wrong of ['+', '+ 1 0', 'x 1 0 3', '+ 9 0 3', '+ 1 7 3', '+ 1 0 9', '- 1 0 2', '+ 1 0 3 201', '+ 1 0 3 1 1 1', '+ 1 0 3x'])
      expect([wrong, write(k, FILE, wrong)]).toEqual([wrong, -EINVAL])
    expect(write(k, FILE, '+ 1 0 3;+ 1 0 9,+ 1 0 4\n')).toBe(-EINVAL)
    expect(generations(k).at(-1)?.seq).toBe(4)
    expect(write(k, FILE, '+ 1 0 4 1 0')).toBe(-ERANGE)
    expect(write(k, FILE, '+ 1 0 2')).toBe(7)
    expect(write(k, ENABLED, 'maybe')).toBe(-EINVAL)
  })

  it('pass over tables that no program came through, if upper tables are asked', () => {
    const k = used('7')
    const init = runInit(k)
    const mark = () => {
      const mm = init.mm
      if (mm === undefined) return -1
      const vpn = AT / 4096
      return entryFlags(k, walkTo(k, mm, vpn, LEVEL_PMD), levelIndex(vpn, LEVEL_PMD)) & PTE_TABLE_OLD
    }
    expect(mark()).toBe(0)
    write(k, FILE, '+ 1 0 3')
    expect(mark()).toBe(PTE_TABLE_OLD)
    touch(k, init, AT + MIB, 4096, false)
    expect(mark()).toBe(0)
  })

  it('younger than min_ttl_ms let kswapd ask for the OOM killer, but not in the first round of a run', () => {
    const k = used()
    const rounds = () => {
      const sc = scanControl({ kswapd: true, gfp: GFP_KERNEL, order: 0, reclaimIdx: ZONE_MOVABLE })
      return [1, 2, 3].map(() => lruGenAgeNode(k, k.nodes[0], sc))
    }
    expect(rounds()).toEqual([false, false, false])
    write(k, TTL, '600000')
    expect(rounds()).toEqual([false, true, true])
    write(k, TTL, '4')
    spend(k, COST.idle, 600e6)
    expect(rounds()).toEqual([false, false, false])
  })

  it('say min_ttl_ms in whole ticks', () => {
    const k = bootSmall()
    for (const [written, shown] of [
      ['0', '0'],
      ['1', '4'],
      ['1000', '1000'],
      ['0x10', '16'],
      ['3000000000', '4294967288'],
    ]) {
      expect(write(k, TTL, written)).toBe(written.length)
      expect(procRead(k, TTL)).toBe(`${shown}\n`)
    }
    expect(write(k, TTL, '-1')).toBe(-EINVAL)
  })

  it('of a group are its own, and a new group begins with fresh ones', () => {
    const k = machineAfter(
      `machine mem=256M cpus=1 swap=64M\ncmdline transparent_hugepage=never\nwrite ${ENABLED} y\nspawn A\ncgroup G add A\nA mmap r 8M\nA touch r write\nwrite ${FILE} + 2 0 3\nwrite ${FILE} + 2 0 4`,
    )
    const [root, group] = String(procRead(k, FILE)).split('memcg').slice(1)
    expect(root).toMatch(/^ {5}1 \/\n/)
    expect(group).toMatch(/^ {5}2 \/G\n node {5}0\n/)
    expect(group).toMatch(/^ +5 +\d+ +0 +0 $/m)
    expect(group).toMatch(/^ +3 +\d+ +20\d\d +0 $/m)
  })

  it('show in full what the kernel shows', () => {
    const lines = String(procRead(used(), `${FILE}_full`)).split('\n')
    expect(lines.slice(0, 2)).toEqual(['memcg     1 /', ' node     0'])
    expect(lines[3]).toBe(`                     0${'          0r          0e          0p'.repeat(2)}`)
    expect(lines.at(-2)).toBe('                                0L          0O          0Y          0N          0F          0A')
    expect(lines.at(-3)).toBe(`                     3${'          0R          0T          0 '.repeat(2)}`)
  })
})

describe('the filter', () => {
  it('forgets nothing it was told, and all when it is reset', () => {
    const k = bootSmall()
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 511 })), { maxLength: 50 }), entries => {
        const state = newGenerations(k).mm
        expect(testFilter(k, state, 4, 1, 1)).toBe(true)
        resetFilter(state, 4)
        for (const [table, i] of entries) updateFilter(k, state, 4, table, i)
        expect(entries.every(([table, i]) => testFilter(k, state, 4, table, i))).toBe(true)
        resetFilter(state, 4)
        expect(entries.some(([table, i]) => testFilter(k, state, 4, table, i))).toBe(false)
      }),
      { numRuns: 30 },
    )
  })
})

describe('what comes back', () => {
  it('protects its type, and tiers that come back more than the first', () => {
    const gen = newGenerations(bootSmall())
    expect(typeToEvict(gen, 0)).toEqual({ type: 1, tier: -1 })
    expect(typeToEvict(gen, 60).type).toBe(1)
    expect(typeToEvict(gen, 200).type).toBe(0)
    gen.evicted[4] = 1000
    gen.refaulted[4] = 900
    expect(typeToEvict(gen, 60).type).toBe(0)
    gen.evicted.fill(1000)
    gen.refaulted.set([0, 0, 0, 0, 10, 10, 500, 0])
    expect(tierToEvict(gen, 1)).toBe(1)
  })
})
