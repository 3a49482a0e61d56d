import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EINTR, ERESTARTNOINTR } from '../../../src/kernel/base/errno.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_PAGEOUT,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_LOCKED,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { sysMemfdCreate } from '../../../src/kernel/calls/files.ts'
import { sysFallocate, sysFtruncate } from '../../../src/kernel/calls/files_io.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { taskExit, taskFork } from '../../../src/kernel/calls/task.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { bootSmall, runInit } from '../machine.ts'
import { byte, PAGE, RW, type Space, spaceOf } from './space.ts'

const PAGES = 4096

/** A process of its own with so many pages, all written to. */
function writer(): Space {
  const k = bootSmall([256])
  const child = taskFork(k, runInit(k))
  if (typeof child === 'number') throw new Error('no process')
  k.current = child
  const space = spaceOf(k, child)
  space.map(0, PAGES)
  space.write(0, PAGES)
  return space
}

/** Makes a call in turns, with a look at all of the machine after each. @returns what it said in the end, and how many turns it took */
function inTurns(k: Kernel, turnNs: number, call: () => number): { ret: number; turns: number } {
  for (let turns = 1; turns < 1000; turns++) {
    k.clock[1] = k.clock[0] + turnNs
    const ret = call()
    k.clock[1] = Number.POSITIVE_INFINITY
    expect(verify(k)).toEqual([])
    if (ret !== -ERESTARTNOINTR) return { ret, turns }
  }
  throw new Error('the call never ends')
}

describe('long calls', () => {
  it.each([
    ['munmap', (s: Space) => s.unmap(0, PAGES), 0],
    ['MADV_DONTNEED', (s: Space) => s.advise(0, PAGES, MADV_DONTNEED), 0],
    ['MADV_FREE', (s: Space) => s.advise(0, PAGES, MADV_FREE), PAGES],
  ])('%s stops between page tables when its turn is over, and goes on from there', (_name, call, left) => {
    const s = writer()
    const before = s.mm.rssAnon
    const { ret, turns } = inTurns(s.k, 2e4, () => call(s))
    expect(ret).toBe(0)
    expect(turns).toBeGreaterThan(3)
    expect(before - s.mm.rssAnon).toBe(PAGES - left)
  })

  it('population stops between pages, and reaches the end', () => {
    const s = writer()
    s.map(PAGES * 2, PAGES)
    const before = s.mm.rssAnon
    const { ret, turns } = inTurns(s.k, 5e5, () => s.advise(PAGES * 2, PAGES, MADV_POPULATE_WRITE))
    expect([ret, s.mm.rssAnon - before]).toEqual([0, PAGES])
    expect(turns).toBeGreaterThan(3)
  })

  it('MAP_POPULATE and MAP_LOCKED map once, and fault in turn by turn; the others see the pages that are there', () => {
    const s = writer()
    for (const flags of [MAP_POPULATE, MAP_LOCKED]) {
      const before = s.mm.rssAnon
      const at = PAGES * (flags === MAP_LOCKED ? 4 : 2)
      const seen: number[] = []
      const wanted = { address: byte(at), bytes: PAGES * PAGE, prot: RW, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | flags }
      const { ret, turns } = inTurns(s.k, 2e5, () => {
        seen.push(s.mm.rssAnon - before)
        return sysMmap(s.k, s.task, { ...wanted, file: undefined, pgoff: 0, pauses: true })
      })
      expect([ret, s.mm.rssAnon - before]).toEqual([byte(at), PAGES])
      expect(turns).toBeGreaterThan(3)
      expect(new Set(seen).size).toBe(turns)
    }
  })

  it('a mapping that the caller does not come back for is populated at once', () => {
    const s = writer()
    s.k.clock[1] = s.k.clock[0]
    expect(s.map(PAGES * 2, PAGES, MAP_POPULATE)).toBe(byte(PAGES * 2))
    expect(s.area(PAGES * 2)).toBeDefined()
  })

  it('fork copies table by table, and what the parent has is the child’s in the end', () => {
    const s = writer()
    let child: Task | undefined
    const { turns } = inTurns(s.k, 2e4, () => {
      const born = taskFork(s.k, s.task, true)
      if (typeof born !== 'number') child = born
      return typeof born === 'number' ? born : 0
    })
    expect(turns).toBeGreaterThan(3)
    expect(must(child?.mm, 'no child').rssAnon).toBe(s.mm.rssAnon)
    expect(must(child?.mm, 'no child').totalVm).toBe(s.mm.totalVm)
  })

  it('reclaim takes pages that are half way to the child, and both find them in swap', () => {
    const k = bootSmall([128], { swapBytes: 64 * 2 ** 20 })
    const s = spaceOf(k, runInit(k))
    s.map(0, PAGES)
    s.write(0, PAGES)
    k.clock[1] = k.clock[0] + 2e4
    expect(taskFork(k, s.task, true)).toBe(-ERESTARTNOINTR)
    k.clock[1] = Number.POSITIVE_INFINITY
    s.advise(0, PAGES, MADV_PAGEOUT)
    expect(verify(k)).toEqual([])
    const child = taskFork(k, s.task, true)
    if (typeof child === 'number') throw new Error('no child')
    expect(verify(k)).toEqual([])
    const copy = must(child.mm, 'no memory')
    expect(copy.rssAnon + copy.swapEnts).toBe(s.mm.rssAnon + s.mm.swapEnts)
  })

  it('who dies in the middle of a fork leaves nothing of the child', () => {
    const s = writer()
    const before = s.k.spaces.mms.size
    s.k.clock[1] = s.k.clock[0] + 2e4
    expect(taskFork(s.k, s.task, true)).toBe(-ERESTARTNOINTR)
    s.k.clock[1] = Number.POSITIVE_INFINITY
    expect(s.k.spaces.mms.size).toBe(before + 1)
    expect(taskExit(s.k, s.task)).toBe(true)
    expect(s.k.spaces.mms.size).toBe(before - 1)
    expect(verify(s.k)).toEqual([])
  })

  it.each([
    ['where tables do not fall together', 4 * PAGES + 1, 0],
    ['and leaves the old area', 4 * PAGES + 1, MREMAP_DONTUNMAP],
  ])('mremap moves entries table by table %s', (_name, to, flags) => {
    const s = writer()
    const before = s.mm.rssAnon
    const { ret, turns } = inTurns(s.k, 2e4, () => s.remap(0, PAGES, PAGES, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to))
    expect([ret, s.mm.rssAnon]).toEqual([byte(to), before])
    expect(turns).toBeGreaterThan(3)
    expect(s.area(0) === undefined).toBe(flags === 0)
    expect(s.write(to, PAGES)).toBe(PAGES)
    expect(s.mm.rssAnon).toBe(before)
  })

  it('an area that gets shorter by mremap is unmapped in turns', () => {
    const s = writer()
    const before = s.mm.rssAnon
    const { ret, turns } = inTurns(s.k, 2e4, () => s.remap(0, PAGES, 512, 0))
    expect([ret, before - s.mm.rssAnon]).toEqual([byte(0), PAGES - 512])
    expect(turns).toBeGreaterThan(3)
  })

  it('pages that come back while munmap pauses go with the area', () => {
    const s = writer()
    let ret = 0
    s.k.clock[1] = s.k.clock[0] + 2e4
    ret = s.unmap(0, PAGES)
    s.k.clock[1] = Number.POSITIVE_INFINITY
    expect(ret).toBe(-ERESTARTNOINTR)
    s.write(0, 100)
    expect(s.unmap(0, PAGES)).toBe(0)
    expect(s.area(0)).toBeUndefined()
    expect(verify(s.k)).toEqual([])
  })

  it('a process leaves in turns, with locked memory as well', () => {
    const s = writer()
    s.map(PAGES * 2, 2048, MAP_LOCKED)
    const { turns } = inTurns(s.k, 2e4, () => (taskExit(s.k, s.task) ? 0 : -ERESTARTNOINTR))
    expect(turns).toBeGreaterThan(3)
    expect(s.task.mm).toBeUndefined()
    expect(s.k.tasks.has(s.task.pid)).toBe(false)
  })

  it('a memory file is filled, gets a hole and is truncated in turns, with what is mapped of it', () => {
    const { k, task, mm } = writer()
    const file = sysMemfdCreate(k, task, 'f')
    if (typeof file === 'number') throw new Error('no file')
    sysFtruncate(k, task, file, PAGES * PAGE)
    const { mapping } = file.inode
    const filled = inTurns(k, 2e5, () => sysFallocate(k, task, file, 0, 0, PAGES * PAGE))
    expect([filled.ret, mapping.nrPages]).toEqual([0, PAGES])
    const flags = MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE
    sysMmap(k, task, { address: byte(8 * PAGES), bytes: PAGES * PAGE, prot: RW, flags, file, pgoff: 0 })
    expect(mm.rssShmem).toBe(PAGES)
    const hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    const punched = inTurns(k, 2e4, () => sysFallocate(k, task, file, hole, 0, (PAGES / 2) * PAGE))
    expect([punched.ret, mapping.nrPages, mm.rssShmem]).toEqual([0, PAGES / 2, PAGES / 2])
    const cut = inTurns(k, 2e4, () => sysFtruncate(k, task, file, PAGE))
    expect([cut.ret, mapping.nrPages, mm.rssShmem, file.inode.sizeBytes]).toEqual([0, 0, 0, PAGE])
    for (const { turns } of [filled, punched, cut]) expect(turns).toBeGreaterThan(3)
  })

  it('who is killed while a memory file is filled gives back what it got', () => {
    const { k, task } = writer()
    const file = sysMemfdCreate(k, task, 'f')
    if (typeof file === 'number') throw new Error('no file')
    sysFtruncate(k, task, file, PAGES * PAGE)
    k.clock[1] = k.clock[0] + 2e5
    expect(sysFallocate(k, task, file, 0, 0, PAGES * PAGE)).toBe(-ERESTARTNOINTR)
    k.clock[1] = Number.POSITIVE_INFINITY
    expect(file.inode.mapping.nrPages).toBeGreaterThan(0)
    task.killed = 9
    expect(sysFallocate(k, task, file, 0, 0, PAGES * PAGE)).toBe(-EINTR)
    expect(file.inode.mapping.nrPages).toBe(0)
    expect(verify(k)).toEqual([])
  })

  it('who is not interrupted does all at once', () => {
    const s = writer()
    expect(must(s.area(0), 'no area').end).toBeGreaterThan(0)
    expect(s.advise(0, PAGES, MADV_PAGEOUT)).toBe(0)
    expect(s.unmap(0, PAGES)).toBe(0)
    expect(verify(s.k)).toEqual([])
  })
})
