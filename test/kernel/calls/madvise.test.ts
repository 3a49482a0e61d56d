import { describe, expect, it } from 'vitest'
import { EACCES, EAGAIN, EINVAL, ENOMEM, EPERM } from '../../../src/kernel/base/errno.ts'
import {
  MADV_COLD,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_HWPOISON,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
  MAP_ANONYMOUS,
  MAP_SHARED,
  PG_active,
  PG_referenced,
  PG_swapbacked,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  VM_MERGEABLE,
  VM_SEQ_READ,
} from '../../../src/kernel/base/flags.ts'
import { sysSetuid } from '../../../src/kernel/calls/limits.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { lruAddDrain } from '../../../src/kernel/reclaim/zap.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { ran } from '../uffd/lab.ts'
import { BASE, byte, changes, childOf, event, frameOf, nodeStat, PAGE, RO, type Space, space } from './space.ts'

const sound = (s: Space) => expect([...verify(s.k), ...verifySpaces(s.k)]).toEqual([])
const flagsOf = (s: Space, page: number) => s.k.page[frameOf(s, page) * 8] ?? 0
const shared = ({ k, task }: Space, page: number, pages: number) =>
  sysMmap(k, task, { address: byte(page), bytes: pages * PAGE, prot: 3, flags: MAP_SHARED | MAP_ANONYMOUS, file: undefined, pgoff: 0 })

describe('madvise', () => {
  it('refuses unknown advice and unaligned ranges, and accepts none', () => {
    const s = space()
    s.map(0, 8)
    expect(s.advise(0, 8, 99)).toBe(-EINVAL)
    expect(sysMadvise(s.k, s.task, BASE + 1, PAGE, MADV_DONTNEED)).toBe(-EINVAL)
    expect(sysMadvise(s.k, s.task, BASE, 2 ** 64 - PAGE, MADV_DONTNEED)).toBe(-EINVAL)
    expect(sysMadvise(s.k, s.task, BASE, 0, MADV_DONTNEED)).toBe(0)
    expect(sysMadvise(s.k, s.task, BASE, 1, MADV_DONTNEED)).toBe(0)
  })

  it('goes on behind a hole, and says that there was one', () => {
    const s = space()
    s.map(0, 4)
    s.map(8, 4)
    s.write(0, 12)
    s.write(8, 4)
    expect(s.advise(0, 20, MADV_DONTNEED)).toBe(-ENOMEM)
    expect([s.entry(0), s.entry(8)]).toEqual([0, 0])
    expect(s.advise(40, 4, MADV_DONTNEED)).toBe(-ENOMEM)
    sound(s)
  })

  it('stops at an area that refuses', () => {
    const s = space()
    s.map(0, 12)
    s.write(0, 12)
    s.lock(4, 4)
    expect(s.advise(0, 12, MADV_DONTNEED)).toBe(-EINVAL)
    expect([s.entry(0) !== 0, s.entry(4) !== 0, s.entry(8) !== 0]).toEqual([false, true, true])
    for (const advice of [MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_REMOVE]) expect(s.advise(4, 4, advice)).toBe(-EINVAL)
    expect(s.advise(0, 12, MADV_DONTNEED_LOCKED)).toBe(0)
    expect(s.entry(4)).toBe(0)
    sound(s)
  })

  it('refuses what is not for the kind of memory', () => {
    const s = space()
    s.map(0, 4)
    expect(shared(s, 8, 4)).toBe(byte(8))
    expect(s.advise(0, 4, MADV_REMOVE)).toBe(-EINVAL)
    expect(s.advise(8, 4, MADV_FREE)).toBe(-EINVAL)
    expect(s.advise(8, 4, MADV_WIPEONFORK)).toBe(-EINVAL)
    expect(s.advise(8, 4, MADV_MERGEABLE)).toBe(0)
    expect((s.area(8)?.flags ?? 0) & VM_MERGEABLE).toBe(0)
    s.write(8, 4)
    expect(s.advise(8, 2, MADV_REMOVE)).toBe(0)
    expect([s.entry(8), s.entry(10) !== 0]).toEqual([0, true])
    expect(s.advise(0, 4, MADV_WILLNEED)).toBe(0)
    sysSetuid(s.task, 1000)
    expect(s.advise(0, 4, MADV_HWPOISON)).toBe(-EPERM)
    sound(s)
  })

  it('marks areas: splits for a part, merges again when it is taken back', () => {
    const s = space()
    s.map(0, 12)
    const areas = s.mm.vmas.count
    expect(s.advise(4, 4, MADV_SEQUENTIAL)).toBe(0)
    expect((s.area(4)?.flags ?? 0) & VM_SEQ_READ).toBe(VM_SEQ_READ)
    for (const advice of [MADV_DONTFORK, MADV_DONTDUMP, MADV_HUGEPAGE]) expect(s.advise(0, 12, advice)).toBe(0)
    expect(s.mm.vmas.count).toBe(areas + 2)
    expect(s.advise(4, 4, MADV_NORMAL)).toBe(0)
    expect(s.mm.vmas.count).toBe(areas)
    expect(s.advise(0, 12, MADV_MERGEABLE)).toBe(0)
    expect(s.mm.mergeable).toBe(true)
    s.k.sysctl.max_map_count = s.mm.vmas.count
    expect(s.advise(2, 2, MADV_DOFORK)).toBe(-EAGAIN)
    sound(s)
  })

  it('keeps areas from a child, or gives them empty', () => {
    const s = space()
    s.map(0, 4)
    s.map(8, 4)
    s.map(16, 4)
    for (const page of [0, 8, 16]) s.write(page, 4)
    s.advise(0, 4, MADV_DONTFORK)
    s.advise(8, 4, MADV_WIPEONFORK)
    s.advise(16, 4, MADV_WIPEONFORK)
    s.advise(16, 4, MADV_KEEPONFORK)
    const child = childOf(s)
    expect(child.area(0)).toBeUndefined()
    expect([child.entry(8), child.entry(16) !== 0]).toEqual([0, true])
    expect(child.write(8, 4)).toBe(4)
    sound(child)
  })

  it('populates by reading or writing, and marks what it finds as used', () => {
    const s = space()
    s.map(0, 8)
    s.map(16, 4, 0, RO)
    s.map(24, 4, 0, 0)
    expect(
      changes(
        () => ({ minflt: s.task.minflt }),
        () => s.advise(0, 8, MADV_POPULATE_READ),
      ),
    ).toEqual({ minflt: 8 })
    expect(
      changes(
        () => ({ minflt: s.task.minflt }),
        () => s.advise(0, 4, MADV_POPULATE_WRITE),
      ),
    ).toEqual({ minflt: 4 })
    expect(flagsOf(s, 0) & (PG_referenced | PG_active)).toBe(PG_referenced)
    s.advise(0, 4, MADV_POPULATE_WRITE)
    lruAddDrain(s.k)
    expect(flagsOf(s, 0) & (PG_referenced | PG_active)).toBe(PG_active)
    expect(s.advise(16, 4, MADV_POPULATE_WRITE)).toBe(-EINVAL)
    expect(s.advise(16, 4, MADV_POPULATE_READ)).toBe(0)
    expect(s.advise(24, 4, MADV_POPULATE_READ)).toBe(-EINVAL)
    expect(s.advise(0, 12, MADV_POPULATE_WRITE)).toBe(-ENOMEM)
    sound(s)
  })

  it('makes pages droppable with FREE, until they are written again', () => {
    const s = space()
    s.map(0, 32)
    s.write(0, 32)
    expect(s.advise(0, 30, MADV_FREE)).toBe(0)
    expect(event(s.k, 'pglazyfree')).toBe(30)
    expect(flagsOf(s, 0) & PG_swapbacked).toBe(0)
    s.advise(30, 2, MADV_FREE)
    expect(s.entry(30) & (PTE_DIRTY | PTE_ACCESSED)).toBe(0)
    expect(s.write(30, 1)).toBe(1)
    expect(s.entry(30) & PTE_DIRTY).toBe(PTE_DIRTY)
    expect(s.mm.rssAnon).toBeGreaterThanOrEqual(32)
    sound(s)
  })

  it('keeps what it cannot page out without swap, and makes it active', () => {
    const s = space()
    s.map(0, 32)
    s.write(0, 32)
    expect(s.advise(0, 16, MADV_PAGEOUT)).toBe(0)
    lruAddDrain(s.k)
    expect(event(s.k, 'pgactivate')).toBe(16)
    expect(flagsOf(s, 15) & PG_active).toBe(PG_active)
    expect(
      changes(
        () => ({ active: nodeStat(s.k, 'nr_active_anon') }),
        () => {
          s.advise(0, 16, MADV_COLD)
          lruAddDrain(s.k)
        },
      ),
    ).toEqual({ active: -16 })
    sound(s)
  })

  it('leaves alone what a child shares', () => {
    const s = space()
    s.map(0, 16)
    s.write(0, 16)
    const child = childOf(s)
    child.advise(0, 16, MADV_PAGEOUT)
    expect(event(s.k, 'pgactivate')).toBe(0)
    expect(child.advise(0, 16, MADV_DONTNEED)).toBe(0)
    expect(s.entry(0)).not.toBe(0)
    sound(s)
  })

  it('splits a huge page for advice about a part of it', () => {
    const s = space()
    s.k.thp.enabled = 'always'
    s.map(0, 2048)
    s.write(0, 2048)
    expect(s.advise(0, 512, MADV_FREE)).toBe(0)
    expect([s.entry(0) & PTE_HUGE, event(s.k, 'thp_split_page')]).toEqual([PTE_HUGE, 0])
    expect(s.advise(512, 100, MADV_FREE)).toBe(0)
    expect(event(s.k, 'thp_split_page')).toBe(1)
    expect(s.advise(1024, 100, MADV_COLD)).toBe(0)
    expect(event(s.k, 'thp_split_page')).toBe(2)
    expect(s.advise(1536, 512, MADV_PAGEOUT)).toBe(0)
    expect([event(s.k, 'thp_split_page'), event(s.k, 'thp_swpout_fallback')]).toEqual([3, 1])
    expect(s.advise(0, 1, MADV_DONTNEED)).toBe(0)
    expect(event(s.k, 'thp_split_pmd')).toBe(4)
    sound(s)
  })

  it('does not free what the area only shows', () => {
    const s = space()
    shared(s, 0, 4)
    s.protect(0, 4, RO)
    expect(s.advise(0, 4, MADV_REMOVE)).toBe(0)
    const area = s.area(0)
    if (area !== undefined) area.flags &= ~0x20
    expect(s.advise(0, 4, MADV_REMOVE)).toBe(-EACCES)
  })
})

describe('MADV_FREE of pages in swap', () => {
  it('enters what was noted of faults before, so that what shows as swapped lags by the faults since', () => {
    const { field } = ran(
      'spawn A\nA mmap R 2M\nA touch R write content=unique\nA madvise R pageout\nA madvise R free 0 1M\nA touch R read 1M 528K\nread /proc/$A/status\nexit A\n',
      'machine mem=128M cpus=1 swap=16M\ncmdline transparent_hugepage=never\n',
    )
    // 132 pages are back; the 66th and the 132nd fault entered those before them.
    expect(String(field('read /proc/$A/status', 'text'))).toMatch(/VmSwap:\t +500 kB/)
  })
})

describe('msync of secret memory', () => {
  it('fails, for there is nowhere to write it', () => {
    const machine = 'machine mem=128M cpus=1\ncmdline secretmem.enable=1\n'
    expect(ran('spawn A\nA mmap S 64K secret\nA msync S\nexit A\n', machine).op('A msync S').err).toBe('EINVAL')
  })
})
