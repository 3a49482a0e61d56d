/** Page records of huge pages that are given back, and fetched again when a page leaves its pool. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allocPages } from '../../../src/kernel/alloc/page_alloc.ts'
import { must } from '../../../src/kernel/base/assert.ts'
import { __GFP_NORETRY, GFP_KERNEL } from '../../../src/kernel/base/flags.ts'
import { asPfn, NO_PAGE } from '../../../src/kernel/base/units.ts'
import { storeNrHugepages, storeNrOvercommitHugepages } from '../../../src/kernel/calls/hugetlb_sysfs.ts'
import { freePages } from '../../../src/kernel/frames/rmqueue.ts'
import { runDaemons } from '../../../src/kernel/kernel.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { kpageflags } from '../../../src/procfs/pagemap.ts'
import { type Lab, labOf, map, pool, unmap, write } from './lab.ts'

let lab: Lab

beforeEach(() => {
  lab = labOf(0)
  lab.k.sysctl.hugetlb_optimize_vmemmap = 1
})

afterEach(() => {
  expect(verify(lab.k)).toEqual([])
})

const managed = () => lab.k.zones.reduce((sum, zone) => sum + zone.managedPages, 0)
const free = () => lab.k.zones.reduce((sum, zone) => sum + zone.stat[0] + zone.pcps.reduce((n, pcp) => n + pcp.count, 0), 0)
const resize = (pages: number) => storeNrHugepages(lab.k, lab.h, pages, undefined)
const optimized = () => lab.k.hugetlb.vmemmap.optimized.size

describe('page records', () => {
  it('of 7 of 8 pages become free memory that the zone did not manage before, and one page table maps the rest', () => {
    const before = { managed: managed(), free: free(), total: lab.k.totalramPages }
    resize(8)
    expect(managed() - before.managed).toBe(56)
    expect(lab.k.totalramPages - before.total).toBe(56)
    expect(before.free - free()).toBe(8 * 512 - 56 + lab.k.hugetlb.vmemmap.tables.size)
  })

  it('come back from free memory when the pool shrinks; what is given back again was managed already', () => {
    resize(8)
    const before = { managed: managed(), free: free() }
    resize(0)
    expect(free() - before.free).toBe(8 * 512 - 56)
    expect([managed(), optimized()]).toEqual([before.managed, 0])
    resize(8)
    expect([managed(), free(), optimized()]).toEqual([before.managed, before.free, 8])
  })

  it('stay as they are for pages that joined the pool before, or after it is switched off', () => {
    resize(4)
    lab.k.sysctl.hugetlb_optimize_vmemmap = 0
    resize(8)
    expect(optimized()).toBe(4)
    resize(0)
    expect(optimized()).toBe(0)
  })

  it('of a surplus page are fetched by a worker, a moment after the page has left its pool', () => {
    storeNrOvercommitHugepages(lab.h, 4)
    map(lab, 0, 4)
    write(lab, 0, 4)
    const before = free()
    unmap(lab, 0, 4)
    expect([pool(lab).total, lab.k.hugetlb.vmemmap.leaving.length]).toEqual([0, 4])
    expect(verify(lab.k)).toEqual([])
    runDaemons(lab.k, lab.k.clock[0])
    expect(lab.k.hugetlb.vmemmap.leaving).toEqual([])
    expect(free() - before).toBeGreaterThan(4 * 500)
  })

  it('that there is no memory for keep the page in its pool, as surplus', () => {
    resize(4)
    const taken: number[] = []
    for (let pfn = grab(); pfn !== NO_PAGE; pfn = grab()) taken.push(pfn)
    resize(0)
    expect(pool(lab)).toMatchObject({ total: 4, free: 4, surp: 4 })
    for (const pfn of taken) freePages(lab.k, asPfn(pfn), 0)
    resize(0)
    expect(verify(lab.k)).toEqual([])
  })

  it('that are left show the first page’s flags in each place of 64', () => {
    resize(1)
    map(lab, 0, 1)
    write(lab, 0, 1)
    const head = must([...lab.k.hugetlb.vmemmap.optimized][0], 'no huge page')
    const word = new Uint32Array(2)
    const flagsOf = (pfn: number) => {
      kpageflags(lab.k, pfn, word)
      return word[0]
    }
    const UPTODATE = 1 << 3
    const HEAD = 1 << 15
    expect(flagsOf(head) & (UPTODATE | HEAD)).toBe(UPTODATE | HEAD)
    expect(flagsOf(head + 64) & (UPTODATE | HEAD)).toBe(UPTODATE)
    expect(flagsOf(head + 65) & UPTODATE).toBe(0)
  })
})

const grab = () => allocPages(lab.k, GFP_KERNEL | __GFP_NORETRY, 0)
