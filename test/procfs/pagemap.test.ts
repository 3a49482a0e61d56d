import { beforeEach, describe, expect, it } from 'vitest'
import { allocPages } from '../../src/kernel/alloc/page_alloc.ts'
import { must } from '../../src/kernel/base/assert.ts'
import { now } from '../../src/kernel/base/cost.ts'
import {
  GFP_TRANSHUGE_LIGHT,
  PG_anon,
  PG_hugetlb,
  PG_lru,
  PG_slab,
  PG_uptodate,
  PTE_SWAP,
  PTE_SWAP_TYPE_SHIFT,
  VM_SOFTDIRTY,
} from '../../src/kernel/base/flags.ts'
import type { Kernel } from '../../src/kernel/base/state.ts'
import type { Task } from '../../src/kernel/base/state_mm.ts'
import { asPfn } from '../../src/kernel/base/units.ts'
import { lruAddDrainCpu } from '../../src/kernel/caches/lru.ts'
import { clearRefs } from '../../src/kernel/calls/clear_refs.ts'
import { taskFork } from '../../src/kernel/calls/task.ts'
import { pageSet } from '../../src/kernel/frames/page.ts'
import { entryValue, pteIndex, pteTable, setEntry } from '../../src/kernel/spaces/pagetable.ts'
import { vmaAt } from '../../src/kernel/spaces/vma.ts'
import { KPF_NAMES, kpagecount, kpageflags, PM_SOFT_DIRTY, PM_SWAP, pagemapFrame, pagemapRead } from '../../src/procfs/pagemap.ts'
import { pagemapCounts } from '../../src/procfs/pagemap_counts.ts'
import { bootSmall, mapAnon, runInit, touch } from '../kernel/machine.ts'

const MIB = 2 ** 20
const BASE = 0x200000000000
const PAGE = BASE / 4096

const flagsOf = (k: Kernel, pfn: number): string[] => {
  const word = new Uint32Array(2)
  kpageflags(k, pfn, word)
  return KPF_NAMES.filter((_, bit) => (word[bit >>> 5] & (1 << (bit & 31))) !== 0)
}

describe('pages of a process', () => {
  let k: Kernel
  let task: Task
  beforeEach(() => {
    k = bootSmall([256, 256])
    task = runInit(k)
    mapAnon(k, task, BASE, 4 * MIB)
  })
  const counts = (first: number, pages: number, who = task) => pagemapCounts(k, must(who.mm, 'no memory'), PAGE + first, pages)

  it('show as the real kernel shows pages of anonymous memory that was written', () => {
    touch(k, task, BASE, 2 * MIB, true)
    for (const cpu of k.cpus) lruAddDrainCpu(k, cpu.id)
    expect(counts(0, 512)).toMatchObject({
      pages: 512,
      none: 0,
      present: 512,
      swapped: 0,
      softdirty: 512,
      exclusive: 512,
      file: 0,
      uffd_wp: 0,
    })
    expect(counts(0, 512)).toMatchObject({
      flags: { UPTODATE: 512, LRU: 512, MMAP: 512, ANON: 512, SWAPBACKED: 512, MAPPEDTODISK: 512 },
      mapcount: { '1': 512 },
      nodes: { [k.cpus[k.cpu].node]: 512 },
    })
  })

  it('show as the zero page where they were only read, and as nothing where they were not touched', () => {
    touch(k, task, BASE, MIB, false)
    expect(counts(0, 512)).toEqual({
      pages: 512,
      none: 256,
      present: 256,
      swapped: 0,
      softdirty: 512,
      exclusive: 0,
      file: 0,
      uffd_wp: 0,
      flags: { ZERO_PAGE: 256, RESERVED: 256 },
      mapcount: { '0': 256 },
      nodes: { '0': 256 },
    })
  })

  it('lose their exclusive mark in both processes at fork, and gain it by a write', () => {
    touch(k, task, BASE, 2 * MIB, true)
    const child = taskFork(k, task)
    if (typeof child === 'number') throw new Error('fork failed')
    for (const who of [task, child]) expect(counts(0, 512, who)).toMatchObject({ exclusive: 0, mapcount: { '2': 512 } })
    k.current = child
    touch(k, child, BASE, MIB, true)
    expect(counts(0, 512, child)).toMatchObject({ exclusive: 256, mapcount: { '1': 256, '2': 256 }, flags: { MAPPEDTODISK: 256 } })
    expect(counts(0, 512)).toMatchObject({ exclusive: 256 })
  })

  it('report soft-dirty with their area as a whole, or each by itself', () => {
    const mm = must(task.mm, 'no memory')
    touch(k, task, BASE, 8192, true)
    clearRefs(k, mm, 4)
    expect(counts(0, 1024)).toMatchObject({ softdirty: 0, present: 2 })
    touch(k, task, BASE, 4096, true)
    expect(counts(0, 1024)).toMatchObject({ softdirty: 1 })
    must(vmaAt(mm, PAGE), 'no area').flags |= VM_SOFTDIRTY
    expect(counts(0, 1024)).toMatchObject({ softdirty: 1024 })
  })

  it('of no area are all zeros, on both sides of one', () => {
    const out = new Uint32Array(2 * 16)
    pagemapRead(k, must(task.mm, 'no memory'), PAGE - 8, out, true)
    expect([...out.slice(0, 16)]).toEqual(new Array(16).fill(0))
    expect([...out.slice(16)].filter((_, i) => i % 2 === 1).every(high => (high & PM_SOFT_DIRTY) !== 0)).toBe(true)
  })

  it('say where they are only to those who may know', () => {
    touch(k, task, BASE, 4096, true)
    const mm = must(task.mm, 'no memory')
    const pfn = entryValue(k, pteTable(k, mm, PAGE), pteIndex(PAGE))
    const out = new Uint32Array(2)
    pagemapRead(k, mm, PAGE, out, true)
    expect(pagemapFrame(out[0], out[1])).toBe(pfn)
    pagemapRead(k, mm, PAGE, out, false)
    expect(pagemapFrame(out[0], out[1])).toBe(0)
  })

  it('that are swapped out or on their way elsewhere say so, and which slot or frame they had', () => {
    touch(k, task, BASE, 4096, true)
    const mm = must(task.mm, 'no memory')
    const table = pteTable(k, mm, PAGE)
    const pfn = entryValue(k, table, 0)
    setEntry(k, table, 1, 77, PTE_SWAP | (2 << PTE_SWAP_TYPE_SHIFT))
    k.moves.byPage.set(pfn, { from: asPfn(4711), startNs: now(k), endNs: now(k) + 1 })
    const out = new Uint32Array(4)
    pagemapRead(k, mm, PAGE, out, true)
    expect([out[1] & PM_SWAP, out[3] & PM_SWAP]).toEqual([PM_SWAP, PM_SWAP])
    expect(pagemapFrame(out[2], out[3])).toBe(2 + 77 * 32)
    expect(pagemapFrame(out[0], out[1])).toBe(26 + 4711 * 32)
    k.clock[0]++
    pagemapRead(k, mm, PAGE, out, true)
    expect(pagemapFrame(out[0], out[1])).toBe(pfn)
  })
})

describe('page frames', () => {
  it('of free memory are BUDDY, every page of a block; page tables are PGTABLE; beyond memory there is NOPAGE', () => {
    const k = bootSmall([256])
    const task = runInit(k)
    mapAnon(k, task, BASE, MIB)
    touch(k, task, BASE, 4096, true)
    const free = k.zones[1].startPfn + k.zones[1].spannedPages - 5
    expect(flagsOf(k, free)).toEqual(['BUDDY'])
    const table = pteTable(k, must(task.mm, 'no memory'), PAGE)
    expect(flagsOf(k, k.spaces.tables.pfn[table])).toEqual(['PGTABLE'])
    expect(flagsOf(k, k.maxPfn + 4096)).toEqual(['NOPAGE'])
    expect([kpagecount(k, k.spaces.tables.pfn[table]), kpagecount(k, k.maxPfn + 4096)]).toEqual([0, 0])
  })

  it('are counted zero times as slab however they are marked', () => {
    const k = bootSmall([256])
    const pfn = asPfn(k.zones[1].startPfn + 1024)
    pageSet(k, pfn, PG_slab)
    expect(flagsOf(k, pfn)).toContain('SLAB')
    expect(kpagecount(k, pfn)).toBe(0)
  })

  it('of a compound page say what they are a part of, head and tail', () => {
    const k = bootSmall([256])
    const head = allocPages(k, GFP_TRANSHUGE_LIGHT, 9)
    pageSet(k, head, PG_uptodate | PG_hugetlb)
    expect(flagsOf(k, head)).toEqual(['UPTODATE', 'COMPOUND_HEAD', 'HUGE'])
    expect(flagsOf(k, head + 511)).toEqual(['COMPOUND_TAIL', 'HUGE'])
    k.page[head * 8] = (k.page[head * 8] & ~PG_hugetlb) | PG_anon | PG_lru
    expect(flagsOf(k, head)).toEqual(['UPTODATE', 'LRU', 'ANON', 'COMPOUND_HEAD', 'THP'])
    expect(flagsOf(k, head + 1)).toEqual(['ANON', 'COMPOUND_TAIL', 'THP'])
  })
})
