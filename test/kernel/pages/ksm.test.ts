import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { internContent } from '../../../src/kernel/base/content.ts'
import { EAGAIN, EBUSY, EINVAL, ENOMEM } from '../../../src/kernel/base/errno.ts'
import {
  MADV_DONTNEED,
  MADV_MERGEABLE,
  MADV_UNMERGEABLE,
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_SHARED,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PG_ksm,
  PTE_RW,
  PTE_SPECIAL,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { KsmTree } from '../../../src/kernel/base/state_ksm.ts'
import { asPfn } from '../../../src/kernel/base/units.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { taskExit } from '../../../src/kernel/calls/task.ts'
import { runKsmd, setRun } from '../../../src/kernel/daemons/ksmd.ts'
import { touchRun } from '../../../src/kernel/fault/touch.ts'
import { pageTest } from '../../../src/kernel/frames/page.ts'
import { K_LEFT, K_RIGHT, KSM_WORDS, ksmRecords, takeRecord } from '../../../src/kernel/spaces/ksm_records.ts'
import { treeErase, treeInsert, treeRecords, treeReplace, verifyTree } from '../../../src/kernel/spaces/ksm_tree.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead, procWrite } from '../../../src/procfs/tree.ts'
import { byte, childOf, event, frameOf, RO, RW, type Space, space, spaceOf } from '../calls/space.ts'
import { hugeSpace } from '../huge/lab.ts'

/** Writes pages of the same bytes at the same index, in whatever process: what guests have in common. */
function fillCommon({ k, mm }: Space, page: number, pages: number, key = 'page', first = 0): void {
  const content = internContent(k.contents, { kind: 'page', key, incompressible: 100, sameFilled: false })
  const at = byte(page)
  const result = { pfn: asPfn(0), fault: 0 }
  const run = { write: true, startByte: at, endByte: at + pages * 4096, strideBytes: 4096, at, done: 0 }
  const base = at / 4096 - first
  touchRun(k, mm, { ...run, content, contentIndexed: true, contentBase: base, result }, Number.POSITIVE_INFINITY)
}

/** The same bytes on every page. */
function fillConst({ k, mm }: Space, page: number, pages: number): void {
  const content = internContent(k.contents, { kind: 'const', key: 'const:7', incompressible: 0, sameFilled: true })
  const at = byte(page)
  const result = { pfn: asPfn(0), fault: 0 }
  const run = { write: true, startByte: at, endByte: at + pages * 4096, strideBytes: 4096, at, done: 0 }
  touchRun(k, mm, { ...run, content, contentIndexed: false, contentBase: 0, result }, Number.POSITIVE_INFINITY)
}

/** Lets ksmd finish so many scans. */
function scan(k: Kernel, scans = 3): void {
  setRun(k, 1, undefined)
  const until = k.ksm.fullScans + scans
  for (let i = 0; i < 1e4 && k.ksm.fullScans < until && k.ksm.slots.length > 0; i++) runKsmd(k)
  setRun(k, 0, undefined)
}

const sound = ({ k }: Space): void => expect(verify(k)).toEqual([])
const merged = (s: Space, page: number): boolean => pageTest(s.k, asPfn(frameOf(s, page)), PG_ksm)
const counts = ({ k }: Space) => {
  const { pagesShared, pagesSharing, pagesUnshared } = k.ksm
  return { pagesShared, pagesSharing, pagesUnshared }
}
const ksmFile = (k: Kernel, file: string): string => String(procRead(k, `/sys/kernel/mm/ksm/${file}`)).trim()
const ksmWrite = (k: Kernel, file: string, text: string): number => procWrite(k, undefined, `/sys/kernel/mm/ksm/${file}`, text)

/** Two processes with the same bytes on the same pages, and ksmd allowed to look. */
function guests(pages: number): [Space, Space] {
  const a = space(192)
  a.k.ksm.pagesToScan = 10_000
  a.map(0, pages)
  const b = childOf(a)
  for (const s of [a, b]) {
    fillCommon(s, 0, pages)
    s.advise(0, pages, MADV_MERGEABLE)
  }
  return [a, b]
}

describe('ksmd', () => {
  it('needs two looks at new pages, and merges all pairs of processes with the same bytes', () => {
    const [a, b] = guests(64)
    scan(a.k, 1)
    expect(counts(a)).toEqual({ pagesShared: 0, pagesSharing: 0, pagesUnshared: 0 })
    scan(a.k, 1)
    expect(counts(a)).toEqual({ pagesShared: 64, pagesSharing: 64, pagesUnshared: 0 })
    for (const page of [0, 17, 63]) expect(frameOf(a, page)).toBe(frameOf(b, page))
    expect(a.entry(5) & PTE_RW).toBe(0)
    expect(ksmFile(a.k, 'pages_volatile')).toBe('0')
    sound(a)
  })

  it('merges with what is merged already at the first look', () => {
    const [a, b] = guests(16)
    scan(a.k)
    const c = childOf(b)
    c.map(100, 16)
    fillCommon(c, 100, 16)
    c.advise(100, 16, MADV_MERGEABLE)
    scan(a.k, 1)
    expect(frameOf(c, 105)).toBe(frameOf(a, 5))
    sound(a)
  })

  it('leaves pages alone that change between two looks', () => {
    const s = space()
    s.map(0, 8)
    s.advise(0, 8, MADV_MERGEABLE)
    for (let i = 0; i < 4; i++) {
      fillCommon(s, 0, 8, `round${i}`)
      scan(s.k, 1)
    }
    expect(counts(s)).toEqual({ pagesShared: 0, pagesSharing: 0, pagesUnshared: 0 })
    expect(ksmFile(s.k, 'pages_volatile')).toBe('8')
    sound(s)
  })

  it('gives who writes to a merged page a page of its own, and counts that as cow_ksm', () => {
    const [a, b] = guests(8)
    scan(a.k)
    const before = frameOf(b, 3)
    b.write(3, 1)
    expect(event(b.k, 'cow_ksm')).toBe(1)
    expect(frameOf(b, 3)).not.toBe(before)
    expect(frameOf(a, 3)).toBe(before)
    expect(counts(a).pagesSharing).toBe(8)
    scan(a.k)
    expect(counts(a).pagesSharing).toBe(7)
    sound(a)
  })

  it('frees a merged page of a locked area once, with however many places it goes', () => {
    for (let pages = 2; pages <= 12; pages++) {
      const s = space()
      s.map(0, pages)
      fillConst(s, 0, pages)
      s.advise(0, pages, MADV_MERGEABLE)
      s.lock(0, pages)
      scan(s.k)
      expect(counts(s)).toMatchObject({ pagesShared: 1, pagesSharing: pages - 1 })
      s.unmap(0, pages)
      sound(s)
    }
  })

  it('lets no merged page have more than max_page_sharing users: more make a chain of doubles', () => {
    const s = space()
    expect(ksmWrite(s.k, 'max_page_sharing', '4')).toBe(1)
    s.map(0, 21)
    fillConst(s, 0, 21)
    s.advise(0, 21, MADV_MERGEABLE)
    scan(s.k)
    expect(counts(s)).toEqual({ pagesShared: 5, pagesSharing: 15, pagesUnshared: 1 })
    expect([ksmFile(s.k, 'stable_node_chains'), ksmFile(s.k, 'stable_node_dups')]).toEqual(['1', '5'])
    s.advise(3, 18, MADV_DONTNEED)
    s.map(64, 1)
    fillCommon(s, 64, 1)
    s.advise(64, 1, MADV_MERGEABLE)
    s.k.ksm.stableNodeChainsPruneMillisecs = 0
    scan(s.k)
    expect([ksmFile(s.k, 'stable_node_chains'), ksmFile(s.k, 'stable_node_dups')]).toEqual(['0', '0'])
    sound(s)
  })

  it('takes a fork of a merged page as one more user, even above the limit', () => {
    const [a, b] = guests(8)
    scan(a.k)
    ksmWrite(a.k, 'run', '0')
    const c = childOf(b)
    scan(a.k)
    expect(counts(a)).toEqual({ pagesShared: 8, pagesSharing: 16, pagesUnshared: 0 })
    taskExit(c.k, c.task)
    b.k.current = b.task
    scan(a.k)
    expect(counts(a)).toEqual({ pagesShared: 8, pagesSharing: 8, pagesUnshared: 0 })
    sound(a)
  })

  it('splits a huge page before it merges a part of it', () => {
    const s = hugeSpace()
    s.map(0, 1024)
    s.k.ksm.pagesToScan = 10_000
    fillCommon(s, 0, 512)
    fillCommon(s, 512, 512)
    s.advise(0, 1024, MADV_MERGEABLE)
    scan(s.k)
    expect(event(s.k, 'thp_split_page')).toBe(2)
    expect(counts(s)).toEqual({ pagesShared: 512, pagesSharing: 512, pagesUnshared: 0 })
    sound(s)
  })

  it('maps the page of zeros instead when use_zero_pages says so, and keeps no account of that', () => {
    const s = space()
    ksmWrite(s.k, 'use_zero_pages', '1')
    s.map(0, 8)
    s.write(0, 8)
    const zero = internContent(s.k.contents, { kind: 'zero', key: 'zero', incompressible: 0, sameFilled: true })
    for (let page = 0; page < 8; page++) s.k.page[frameOf(s, page) * 8 + 6] = zero
    s.advise(0, 8, MADV_MERGEABLE)
    const rss = s.mm.rssAnon
    scan(s.k)
    expect(s.entry(3) & PTE_SPECIAL).not.toBe(0)
    expect(counts(s)).toEqual({ pagesShared: 0, pagesSharing: 0, pagesUnshared: 0 })
    expect(s.mm.rssAnon).toBe(rss - 8)
    sound(s)
  })

  it('keeps to nodes unless merge_across_nodes, which changes only while nothing is merged', () => {
    const [a] = guests(8)
    scan(a.k)
    expect(ksmWrite(a.k, 'merge_across_nodes', '0')).toBe(-EBUSY)
    expect(ksmWrite(a.k, 'max_page_sharing', '8')).toBe(-EBUSY)
    expect(ksmWrite(a.k, 'run', '2')).toBe(1)
    expect(ksmWrite(a.k, 'merge_across_nodes', '0')).toBe(1)
    expect(ksmWrite(a.k, 'max_page_sharing', '1')).toBe(-EINVAL)
    expect(ksmWrite(a.k, 'run', '3')).toBe(-EINVAL)
    sound(a)
  })

  it('gives everybody their own pages when run is set to 2, and stays registered', () => {
    const [a, b] = guests(32)
    scan(a.k)
    expect(ksmWrite(a.k, 'run', '2')).toBe(1)
    expect(counts(a)).toEqual({ pagesShared: 0, pagesSharing: 0, pagesUnshared: 0 })
    expect(ksmFile(a.k, 'full_scans')).toBe('0')
    for (const s of [a, b]) expect([0, 31].map(page => merged(s, page))).toEqual([false, false])
    scan(a.k)
    expect(counts(a).pagesSharing).toBe(32)
    sound(a)
  })

  it('forgets processes that end, and address spaces without mergeable areas', () => {
    const [a, b] = guests(32)
    scan(a.k)
    taskExit(b.k, b.task)
    a.k.current = a.task
    expect(counts(a).pagesSharing).toBe(32)
    a.unmap(0, 32)
    scan(a.k)
    expect(a.k.ksm.slots).toHaveLength(0)
    expect(a.k.ksm.rmapItems).toBe(0)
    expect(ksmFile(a.k, 'pages_shared')).toBe('0')
    sound(a)
  })

  it('sleeps while there is nothing to do, and is woken by the first who registers', () => {
    const s = space()
    ksmWrite(s.k, 'run', '1')
    expect(s.k.ksm.daemon.wakeNs).toBe(Number.POSITIVE_INFINITY)
    s.map(0, 4)
    s.advise(0, 4, MADV_MERGEABLE)
    expect(s.k.ksm.daemon.wakeNs).toBeLessThanOrEqual(s.k.clock[0])
  })
})

describe('advice to merge', () => {
  it('is taken while KSM is off, and ignored for shared memory', () => {
    const s = space()
    s.map(0, 4)
    const flags = MAP_SHARED | MAP_ANONYMOUS
    sysMmap(s.k, s.task, { address: byte(16), bytes: 4 * 4096, prot: 3, flags: flags | MAP_FIXED_NOREPLACE, file: undefined, pgoff: 0 })
    expect([s.advise(0, 4, MADV_MERGEABLE), s.advise(16, 4, MADV_MERGEABLE), s.advise(16, 4, MADV_UNMERGEABLE)]).toEqual([0, 0, 0])
    expect(String(procRead(s.k, `/proc/${s.task.pid}/smaps`)).match(/\bmg\b/g)).toHaveLength(1)
  })

  it('says ENOMEM over a gap, after it was given to what is there', () => {
    const s = space()
    s.map(0, 4)
    s.map(8, 4)
    expect(s.advise(0, 12, MADV_MERGEABLE)).toBe(-ENOMEM)
    expect(String(procRead(s.k, `/proc/${s.task.pid}/smaps`)).match(/\bmg\b/g)).toHaveLength(2)
  })

  it('says EAGAIN where it would take one area too many', () => {
    const s = space()
    s.map(0, 16)
    s.k.sysctl.max_map_count = s.mm.vmas.count
    expect(s.advise(4, 4, MADV_MERGEABLE)).toBe(-EAGAIN)
  })

  it('taken back gives the area its own pages at once; the counters follow with the next scan', () => {
    const [a, b] = guests(16)
    scan(a.k)
    expect(b.advise(0, 8, MADV_UNMERGEABLE)).toBe(0)
    expect([0, 7, 8].map(page => merged(b, page))).toEqual([false, false, true])
    expect(counts(a).pagesSharing).toBe(16)
    scan(a.k)
    expect(counts(a).pagesSharing).toBe(8)
    sound(a)
  })

  it('does not hold for pages while they are moved to another address', () => {
    const [a, b] = guests(16)
    scan(a.k)
    b.remap(0, 16, 16, MREMAP_MAYMOVE | MREMAP_FIXED, 600)
    expect(event(b.k, 'cow_ksm')).toBe(16)
    scan(a.k, 4)
    expect(counts(a).pagesSharing).toBe(16)
    sound(a)
  })

  it('shows in the files of the process', () => {
    const [a] = guests(16)
    scan(a.k)
    expect(procRead(a.k, `/proc/${a.task.pid}/ksm_merging_pages`)).toBe('16\n')
    expect(procRead(a.k, `/proc/${a.task.pid}/ksm_stat`)).toBe('ksm_rmap_items 16\n')
  })
})

describe('taking everything apart', () => {
  it('that takes more memory than there is kills whoever asked for it, and stops KSM', () => {
    const s = space(192)
    s.k.ksm.pagesToScan = 1e6
    s.k.ksm.maxPageSharing = 1e6
    for (let part = 0; part < 6; part++) {
      s.map(part * 16384, 10_000)
      fillConst(s, part * 16384, 10_000)
      s.advise(part * 16384, 10_000, MADV_MERGEABLE)
      scan(s.k)
    }
    expect(counts(s)).toEqual({ pagesShared: 1, pagesSharing: 59_999, pagesUnshared: 0 })
    const writer = childOf(s)
    expect(procWrite(s.k, writer.task, '/sys/kernel/mm/ksm/run', '2')).toBeLessThan(0)
    expect(writer.task.killed).toBe(9)
    expect(s.task.killed).toBe(0)
    expect(ksmFile(s.k, 'run')).toBe('0')
    expect(event(s.k, 'oom_kill')).toBe(1)
  })
})

describe('trees of records', () => {
  it('stay balanced and in order whatever is put in, taken out and replaced', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.nat(1000)), { maxLength: 200 }), ops => {
        const tree: KsmTree = { records: ksmRecords(), root: 0 }
        const keys = new Map<number, number>()
        for (const [op, value] of ops) {
          const [some] = [...keys.keys()].slice(value % Math.max(1, keys.size))
          if (op === 1 && some !== undefined) {
            treeErase(tree, some)
            keys.delete(some)
          } else if (op === 2 && some !== undefined) {
            const fresh = takeRecord(tree.records)
            treeReplace(tree, some, fresh)
            keys.set(fresh, keys.get(some) ?? 0)
            keys.delete(some)
          } else insert(tree, keys, value)
          expect(verifyTree(tree)).toEqual([])
          expect([...treeRecords(tree)].map(n => keys.get(n))).toEqual([...keys.values()].sort((x, y) => x - y))
        }
      }),
      { numRuns: 60 },
    )
  })
})

function insert(tree: KsmTree, keys: Map<number, number>, key: number): void {
  const record = takeRecord(tree.records)
  const { words } = tree.records
  let parent = 0
  let side = K_LEFT
  for (let at = tree.root; at !== 0; at = words[at * KSM_WORDS + side]) {
    parent = at
    side = key < (keys.get(at) ?? 0) ? K_LEFT : K_RIGHT
  }
  keys.set(record, key)
  treeInsert(tree, record, parent, side)
}

describe('any life of processes that merge', () => {
  it('leaves nothing that does not add up', () => {
    const step = fc.tuple(fc.nat(10), fc.nat(3), fc.nat(60), fc.integer({ min: 1, max: 24 }), fc.nat(2))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const first = space(96)
        first.k.ksm.pagesToScan = 40
        first.k.ksm.maxPageSharing = 3
        const all: Space[] = [first]
        first.map(0, 96)
        for (const [op, who, page, pages, kind] of steps) {
          const s = all[who % all.length]
          s.k.current = s.task
          if (op === 0) fillCommon(s, page, pages, 'page', kind)
          else if (op === 1) fillConst(s, page, pages)
          else if (op === 2) s.advise(page, pages, kind === 0 ? MADV_UNMERGEABLE : MADV_MERGEABLE)
          else if (op === 3) scan(s.k, kind + 1)
          else if (op === 4 && all.length < 4) all.push(childOf(s))
          else if (op === 5) s.advise(page, pages, MADV_DONTNEED)
          else if (op === 6 && all.length > 1) taskExit(s.k, all.splice(all.indexOf(s), 1)[0].task)
          else if (op === 7) s.protect(page, pages, [RO, RW, 0][kind])
          else if (op === 8) s.remap(page, pages, pages, MREMAP_MAYMOVE | MREMAP_FIXED, 200 + 100 * kind + page)
          else if (op === 9) s.unmap(page, pages)
          else setRun(s.k, kind, undefined)
        }
        first.k.current = all[0].task
        expect(verify(first.k)).toEqual([])
        scan(first.k)
        expect(verify(first.k)).toEqual([])
        expect(spaceOf(first.k, all[0].task).task.killed).toBe(0)
      }),
      { numRuns: 25 },
    )
  })
})

describe('ksmd that is told not to sleep', () => {
  it('lets time pass though it finds nothing to look at', () => {
    const { k, map, advise } = space(96)
    map(0, 8)
    advise(0, 8, MADV_MERGEABLE)
    k.ksm.sleepMillisecs = 0
    setRun(k, 1, undefined)
    const startNs = k.clock[0]
    for (let i = 0; i < 10; i++) runKsmd(k)
    expect(k.clock[0]).toBeGreaterThan(startNs + 10 * 100)
    expect(k.clock[0]).toBeLessThan(startNs + 1e6)
  })
})
