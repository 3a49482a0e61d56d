import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EINVAL, ENXIO } from '../../../src/kernel/base/errno.ts'
import {
  MADV_PAGEOUT,
  MADV_POPULATE_WRITE,
  MAP_FIXED_NOREPLACE,
  MAP_SHARED,
  PG_dirty,
  PG_idle,
  PG_locked,
  PG_swapcache,
  PG_young,
  PTE_ACCESSED,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { asPfn, type Pfn } from '../../../src/kernel/base/units.ts'
import { filemapGet } from '../../../src/kernel/caches/filemap.ts'
import { isolateLru, lruAddDrainCpu, putbackLru } from '../../../src/kernel/caches/lru.ts'
import { blockdevPages } from '../../../src/kernel/caches/metadata.ts'
import { mlockDrainCpu } from '../../../src/kernel/caches/mlock_lru.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { pageIsIdle, pageMarkIdle } from '../../../src/kernel/calls/page_idle.ts'
import { pageClear, pageSet, pageTest } from '../../../src/kernel/frames/page.ts'
import { runDaemons } from '../../../src/kernel/kernel.ts'
import { folioReferenced } from '../../../src/kernel/reclaim/vmscan_rmap.ts'
import { entryValue, pteIndex, pteTable } from '../../../src/kernel/spaces/pagetable.ts'
import { KPF_NAMES, kpageflags } from '../../../src/procfs/pagemap.ts'
import { procReadBytes, procWriteBytes } from '../../../src/procfs/tree.ts'
import { BASE, childOf, PAGE, type Space, space, spaceOf } from '../calls/space.ts'
import { labOf, MIB, open, readFile, sleepMs, writeFile } from '../files/lab.ts'
import { hugeSpace } from '../huge/lab.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'

const BITMAP = '/sys/kernel/mm/page_idle/bitmap'
const ROOT_GROUP = 0

const frameOf = ({ k, mm }: Space, page: number): Pfn => {
  const vpn = BASE / PAGE + page
  return asPfn(entryValue(k, must(pteTable(k, mm, vpn) || undefined, 'no table'), pteIndex(vpn)))
}

const drain = (k: Kernel): void => {
  for (const cpu of k.cpus) lruAddDrainCpu(k, cpu.id)
}

/** A process with pages that are on an LRU list. */
function used(pages: number): Space {
  const s = space()
  s.map(0, pages)
  s.write(0, pages)
  drain(s.k)
  return s
}

/** Whether the page is told as idle by the file. */
function bit(k: Kernel, pfn: number): boolean {
  const word = procReadBytes(k, undefined, BITMAP, 8 * Math.floor(pfn / 64), 8)
  if (typeof word === 'number') throw new Error(`bitmap: ${word}`)
  return (word[(pfn % 64) >>> 3] & (1 << (pfn & 7))) !== 0
}

function mark(k: Kernel, ...frames: number[]): void {
  for (const pfn of frames) {
    const word = new Uint8Array(8)
    word[(pfn % 64) >>> 3] |= 1 << (pfn & 7)
    expect(procWriteBytes(k, undefined, BITMAP, 8 * Math.floor(pfn / 64), word)).toBe(8)
  }
}

describe('the bitmap of idle pages', () => {
  it('has the bit of frame i at bit i % 64 of word i / 64', () => {
    const s = used(200)
    const frames = [0, 63, 64, 130, 199].map(page => frameOf(s, page))
    mark(s.k, ...frames)
    for (const pfn of frames) {
      const word = must(procReadBytes(s.k, undefined, BITMAP, Math.floor(pfn / 64) * 8, 8), 'no word')
      if (typeof word === 'number') throw new Error('errno')
      expect((new DataView(word.buffer, word.byteOffset).getBigUint64(0, true) >> BigInt(pfn % 64)) & 1n).toBe(1n)
    }
    expect(bit(s.k, frameOf(s, 1))).toBe(false)
  })

  it('says that a marked page is idle until it is used', () => {
    const s = used(4)
    mark(s.k, frameOf(s, 0), frameOf(s, 1))
    expect([0, 1, 2].map(page => bit(s.k, frameOf(s, page)))).toEqual([true, true, false])
    s.read(1, 1)
    expect([0, 1].map(page => bit(s.k, frameOf(s, page)))).toEqual([true, false])
  })

  it('is OR-ed with what is written: a 0 takes no mark away', () => {
    const s = used(4)
    mark(s.k, frameOf(s, 0))
    expect(procWriteBytes(s.k, undefined, BITMAP, 8 * Math.floor(frameOf(s, 0) / 64), new Uint8Array(8))).toBe(8)
    expect(bit(s.k, frameOf(s, 0))).toBe(true)
  })

  it('tracks memory of processes, of files and of file systems', () => {
    const lab = labOf([256], { f: 1 })
    readFile(lab, '/mnt/f', MIB)
    drain(lab.k)
    const file = open(lab, '/mnt/f')
    const cached = filemapGet(file.inode.mapping, 3)
    mark(lab.k, cached)
    expect(bit(lab.k, cached)).toBe(true)
    expect(blockdevPages(lab.k)).toBeGreaterThan(0)
  })

  it('silently ignores marks on other pages: page tables, stacks, free memory, the page of zeros', () => {
    const s = used(4)
    const table = s.k.spaces.tables.pfn[pteTable(s.k, s.mm, BASE / PAGE)]
    const others = [table, s.task.stack[0], s.k.zeroPage, s.k.maxPfn - 100]
    mark(s.k, ...others)
    expect(others.map(pfn => bit(s.k, pfn))).toEqual(others.map(() => false))
  })

  it('has one bit for a huge page, its head’s; kpageflags tells the rest of it', () => {
    const s = hugeSpace()
    s.map(0, 512)
    s.write(0, 1)
    drain(s.k)
    const word = new Uint32Array(2)
    const idle = KPF_NAMES.indexOf('IDLE')
    const heads = Array.from({ length: s.k.maxPfn }, (_, pfn) => pfn).filter(pfn => {
      kpageflags(s.k, pfn, word)
      return (word[0] & (1 << KPF_NAMES.indexOf('COMPOUND_HEAD'))) !== 0 && (word[0] & (1 << KPF_NAMES.indexOf('THP'))) !== 0
    })
    const head = heads[heads.length - 1]
    mark(s.k, head, head + 5)
    expect([bit(s.k, head), bit(s.k, head + 5)]).toEqual([true, false])
    kpageflags(s.k, head + 5, word)
    expect(word[0] & (1 << idle)).not.toBe(0)
    s.read(300, 1)
    expect(bit(s.k, head)).toBe(false)
  })

  it('is read and written in words of 8 bytes, from a word on: EINVAL otherwise', () => {
    const { k } = used(1)
    for (const [position, count] of [
      [1, 8],
      [4, 8],
      [0, 7],
      [8, 12],
    ]) {
      expect(procReadBytes(k, undefined, BITMAP, position, count)).toBe(-EINVAL)
      expect(procWriteBytes(k, undefined, BITMAP, position, new Uint8Array(count))).toBe(-EINVAL)
    }
  })

  it('takes no marks beyond the last page: ENXIO; there is nothing to read there', () => {
    const { k } = used(1)
    const end = Math.ceil(k.maxPfn / 64) * 8
    expect(procWriteBytes(k, undefined, BITMAP, end, new Uint8Array(8))).toBe(-ENXIO)
    expect(procReadBytes(k, undefined, BITMAP, end, 8)).toEqual(new Uint8Array(0))
  })

  it('estimates a working set: mark all pages of a process, wait, count those that stayed idle', () => {
    const s = used(100)
    const frames = Array.from({ length: 100 }, (_, page) => frameOf(s, page))
    mark(s.k, ...frames)
    s.read(10, 25)
    expect(frames.filter(pfn => !bit(s.k, pfn))).toHaveLength(25)
  })
})

describe('the idle mark', () => {
  it('goes when a system call reads or writes the page of a file', () => {
    const lab = labOf([256], { f: 1 })
    readFile(lab, '/mnt/f', MIB)
    drain(lab.k)
    const page = () => filemapGet(open(lab, '/mnt/f').inode.mapping, 2)
    pageMarkIdle(lab.k, page())
    readFile(lab, '/mnt/f', 4096, 2 * 4096)
    expect(pageTest(lab.k, page(), PG_idle)).toBe(false)
    pageMarkIdle(lab.k, page())
    writeFile(lab, '/mnt/f', 4096, 2 * 4096)
    expect(pageTest(lab.k, page(), PG_idle)).toBe(false)
  })

  it('goes when a page of file-system metadata is read because a process needs it', () => {
    const lab = labOf([256], { f: 1, g: 1 })
    open(lab, '/mnt/f')
    drain(lab.k)
    const marked = Array.from({ length: lab.k.maxPfn }, (_, pfn) => pfn).filter(pfn => {
      pageMarkIdle(lab.k, pfn)
      return pageIsIdle(lab.k, pfn)
    })
    open(lab, '/mnt/g')
    expect(marked.filter(pfn => !pageIsIdle(lab.k, pfn)).length).toBeGreaterThan(0)
  })

  it('goes when the kernel takes hold of the page for a process (get_user_pages)', () => {
    const s = used(4)
    pageMarkIdle(s.k, frameOf(s, 2))
    s.advise(0, 4, MADV_POPULATE_WRITE)
    expect(pageIsIdle(s.k, frameOf(s, 2))).toBe(false)
  })

  it('takes the accessed marks off all entries that map the page, and leaves the young mark instead', () => {
    const s = used(2)
    const child = childOf(s)
    child.read(0, 1)
    const page = frameOf(s, 0)
    pageMarkIdle(s.k, page)
    expect([s.entry(0) & PTE_ACCESSED, child.entry(0) & PTE_ACCESSED]).toEqual([0, 0])
    expect(pageTest(s.k, page, PG_young)).toBe(true)
    child.read(0, 1)
    expect(pageIsIdle(s.k, page)).toBe(false)
  })

  it('leaves a page that was not used since without the young mark', () => {
    const s = used(1)
    const page = frameOf(s, 0)
    pageMarkIdle(s.k, page)
    folioReferenced(s.k, page, ROOT_GROUP)
    pageMarkIdle(s.k, page)
    expect(pageTest(s.k, page, PG_young)).toBe(false)
    expect(pageIsIdle(s.k, page)).toBe(true)
  })

  it('does not hide a use from reclaim: the young mark counts as one, once', () => {
    const s = used(1)
    const page = frameOf(s, 0)
    pageMarkIdle(s.k, page)
    expect(folioReferenced(s.k, page, ROOT_GROUP).areas).toBe(1)
    expect(folioReferenced(s.k, page, ROOT_GROUP).areas).toBe(0)
    expect(pageIsIdle(s.k, page)).toBe(true)
  })

  it('goes when reclaim finds the page used', () => {
    const s = used(1)
    const page = frameOf(s, 0)
    pageMarkIdle(s.k, page)
    s.read(0, 1)
    folioReferenced(s.k, page, ROOT_GROUP)
    expect(pageTest(s.k, page, PG_idle)).toBe(false)
  })

  it('is for pages on an LRU list only: an isolated page is passed over', () => {
    const s = used(1)
    const page = frameOf(s, 0)
    isolateLru(s.k, page)
    pageMarkIdle(s.k, page)
    expect(pageTest(s.k, page, PG_idle)).toBe(false)
    putbackLru(s.k, page)
    drain(s.k)
    pageMarkIdle(s.k, page)
    expect(pageIsIdle(s.k, page)).toBe(true)
  })
})

describe('pages of other kinds', () => {
  it('in the swap cache are tracked', () => {
    const k = bootSmall([256], { swapBytes: 64 * MIB })
    const s = spaceOf(k, runInit(k))
    s.map(0, 64)
    s.write(0, 64)
    drain(k)
    s.advise(0, 64, MADV_PAGEOUT)
    k.clock[0] += 1e9
    runDaemons(k, k.clock[0])
    s.read(0, 64)
    drain(k)
    const pages = Array.from({ length: 64 }, (_, page) => frameOf(s, page)).filter(pfn => pageTest(k, pfn, PG_swapcache))
    expect(pages.length).toBeGreaterThan(0)
    mark(k, ...pages)
    expect(pages.every(pfn => bit(k, pfn))).toBe(true)
  })

  it('that are locked in memory are tracked too: kpageflags tells them, for those who want to leave them out', () => {
    const s = used(4)
    s.lock(0, 2)
    for (const cpu of s.k.cpus) mlockDrainCpu(s.k, cpu.id)
    drain(s.k)
    const frames = [0, 1, 2, 3].map(page => frameOf(s, page))
    mark(s.k, ...frames)
    const word = new Uint32Array(2)
    const unevictable = frames.filter(pfn => {
      kpageflags(s.k, pfn, word)
      return (word[0] & (1 << KPF_NAMES.indexOf('UNEVICTABLE'))) !== 0
    })
    expect(frames.map(pfn => bit(s.k, pfn))).toEqual([true, true, true, true])
    expect(unevictable).toEqual(frames.slice(0, 2))
  })

  it('that are written to disk because too much is dirty stay idle', () => {
    const lab = labOf([256], {})
    writeFile(lab, '/mnt/new', MIB)
    drain(lab.k)
    const { mapping } = open(lab, '/mnt/new').inode
    const page = filemapGet(mapping, 7)
    mark(lab.k, page)
    expect(pageTest(lab.k, page, PG_dirty)).toBe(true)
    for (let i = 0; i < 40; i++) sleepMs(lab, 1000)
    expect(pageTest(lab.k, page, PG_dirty)).toBe(false)
    expect(bit(lab.k, page)).toBe(true)
  })

  it('of files that are under I/O keep the accessed marks of their entries, so as not to wait for them', () => {
    const lab = labOf([256], { f: 1 })
    readFile(lab, '/mnt/f', MIB)
    drain(lab.k)
    const file = open(lab, '/mnt/f')
    const flags = MAP_SHARED | MAP_FIXED_NOREPLACE
    sysMmap(lab.k, lab.task, { address: BASE, bytes: MIB, prot: 1, flags, file, pgoff: 0 })
    touch(lab.k, lab.task, BASE, MIB, false)
    const page = filemapGet(file.inode.mapping, 5)
    pageSet(lab.k, page, PG_locked)
    pageMarkIdle(lab.k, page)
    expect(spaceOf(lab.k, lab.task).entry(5) & PTE_ACCESSED).not.toBe(0)
    expect(pageIsIdle(lab.k, page)).toBe(true)
    pageClear(lab.k, page, PG_locked)
    expect(pageIsIdle(lab.k, page)).toBe(false)
  })
})

describe('bits and frames', () => {
  it('agree for any set of pages, however the bitmap is cut into writes and reads', () => {
    const s = used(464)
    const told = Math.floor(s.k.maxPfn / 64) * 64
    const frames = Array.from({ length: 464 }, (_, page) => frameOf(s, page))
      .filter(pfn => pfn < told)
      .slice(0, 400)
    expect(frames).toHaveLength(400)
    const low = Math.floor(Math.min(...frames) / 64)
    const words = Math.floor(Math.max(...frames) / 64) - low + 1
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 399 })), fc.integer({ min: 1, max: 9 }), (chosen, piece) => {
        s.write(0, 464)
        const bytes = new Uint8Array(8 * words)
        for (const pfn of frames) if (bit(s.k, pfn)) throw new Error('used pages are not idle')
        for (const page of chosen) bytes[(frames[page] - 64 * low) >>> 3] |= 1 << (frames[page] & 7)
        for (let at = 0; at < words; at += piece)
          procWriteBytes(s.k, undefined, BITMAP, 8 * (low + at), bytes.subarray(8 * at, 8 * Math.min(words, at + piece)))
        const read = procReadBytes(s.k, undefined, BITMAP, 8 * low, 8 * words)
        expect(read).toEqual(bytes)
        expect(frames.map((pfn, page) => (bit(s.k, pfn) ? page : -1)).filter(page => page >= 0)).toEqual([...chosen].sort((a, b) => a - b))
      }),
      { numRuns: 25 },
    )
  })

  it('never tell of a page that nobody marked', () => {
    const s = used(64)
    mapAnon(s.k, s.task, BASE + 2 ** 30, MIB)
    touch(s.k, s.task, BASE + 2 ** 30, MIB, true)
    drain(s.k)
    const read = procReadBytes(s.k, undefined, BITMAP, 0, Math.floor(s.k.maxPfn / 64) * 8)
    expect(typeof read === 'number' ? read : read.every(byte => byte === 0)).toBe(true)
  })
})
