import { describe, expect, it } from 'vitest'
import {
  MADV_DONTNEED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MAP_ANONYMOUS,
  MAP_SHARED,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_RW,
  PTE_SPECIAL,
} from '../../../src/kernel/base/flags.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { prctlSetThpDisable } from '../../../src/kernel/calls/prctl.ts'
import { taskExit } from '../../../src/kernel/calls/task.ts'
import { applyShmemEnabled } from '../../../src/kernel/daemons/khugepaged_knobs.ts'
import { dropCaches } from '../../../src/kernel/reclaim/drop_caches.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { byte, childOf, event, frameOf, nodeStat, PAGE, RO, RW, type Space } from '../calls/space.ts'
import { ran } from '../uffd/lab.ts'
import { contentsOf, fill, hugeSpace } from './lab.ts'

const BASE = byte(0)
const HUGE = 512
const sound = (s: Space) => expect([...verify(s.k), ...verifySpaces(s.k)]).toEqual([])
const isHuge = (s: Space, page: number) => (s.entry(page) & PTE_HUGE) !== 0

describe('a write to memory that may be huge', () => {
  it('makes a whole aligned 2 MiB resident with one fault', () => {
    const s = hugeSpace()
    s.map(0, 2 * HUGE)
    s.write(HUGE + 7, 1)
    expect(isHuge(s, HUGE)).toBe(true)
    expect(s.entry(0)).toBe(0)
    expect(event(s.k, 'thp_fault_alloc')).toBe(1)
    expect(nodeStat(s.k, 'nr_anon_transparent_hugepages')).toBe(HUGE)
    expect(s.mm.rssAnon).toBeGreaterThanOrEqual(HUGE)
    sound(s)
  })

  it('stays small where the area covers less than the aligned 2 MiB', () => {
    const s = hugeSpace()
    s.map(1, 2 * HUGE)
    s.write(1, 1)
    s.write(HUGE, 1)
    s.write(2 * HUGE, 1)
    expect([1, HUGE, 2 * HUGE].map(page => isHuge(s, page))).toEqual([false, true, false])
    sound(s)
  })

  it('is up to the area where enabled says madvise, and to nobody where it says never', () => {
    const s = hugeSpace()
    s.k.thp.enabled = 'madvise'
    s.map(0, 4 * HUGE)
    s.advise(HUGE, HUGE, MADV_HUGEPAGE)
    s.write(0, 1)
    s.write(HUGE, 1)
    s.k.thp.enabled = 'never'
    s.advise(2 * HUGE, HUGE, MADV_HUGEPAGE)
    s.write(2 * HUGE, 1)
    s.k.thp.enabled = 'always'
    s.advise(3 * HUGE, HUGE, MADV_NOHUGEPAGE)
    s.write(3 * HUGE, 1)
    expect([0, 1, 2, 3].map(n => isHuge(s, n * HUGE))).toEqual([false, true, false, false])
    sound(s)
  })

  it('stays small in a process that does without, and in its children', () => {
    const s = hugeSpace()
    prctlSetThpDisable(s.task, true)
    s.map(0, 2 * HUGE)
    s.write(0, 1)
    const child = childOf(s)
    child.write(HUGE, 1)
    expect([isHuge(s, 0), isHuge(child, HUGE)]).toEqual([false, false])
    sound(s)
  })

  it('falls back to a small page when there is no huge one, and counts that', () => {
    const s = hugeSpace([96])
    s.k.thp.defrag = 'never'
    for (let at = 0; at < 60 * HUGE; at += 10 * HUGE) s.map(at, 10 * HUGE)
    let page = 0
    for (; page < 60 * HUGE && event(s.k, 'thp_fault_fallback') === 0; page += HUGE) s.write(page, 1)
    expect(isHuge(s, page - HUGE)).toBe(false)
    expect(s.entry(page - HUGE) & PTE_PRESENT).not.toBe(0)
    expect(event(s.k, 'thp_fault_alloc')).toBe(page / HUGE - 1)
    sound(s)
  })
})

describe('the huge page of zeros', () => {
  it('is what reading maps, one for all, and gives way to small pages where it is written to', () => {
    const s = hugeSpace()
    s.map(0, 3 * HUGE)
    s.read(0, 1)
    s.read(HUGE, 1)
    expect(s.entry(0) & (PTE_HUGE | PTE_SPECIAL | PTE_RW)).toBe(PTE_HUGE | PTE_SPECIAL)
    expect(frameOf(s, 3)).toBe(frameOf(s, HUGE + 3))
    expect(event(s.k, 'thp_zero_page_alloc')).toBe(1)
    s.write(HUGE, 1)
    expect(s.entry(HUGE) & (PTE_HUGE | PTE_SPECIAL | PTE_RW)).toBe(PTE_RW)
    expect(s.entry(HUGE + 1) & (PTE_HUGE | PTE_SPECIAL | PTE_RW)).toBe(PTE_SPECIAL)
    expect([event(s.k, 'thp_split_pmd'), event(s.k, 'thp_fault_alloc')]).toEqual([1, 0])
    sound(s)
  })

  it('is given back under memory pressure once no process holds it', () => {
    const s = hugeSpace()
    const child = childOf(s)
    child.map(0, HUGE)
    child.read(0, 1)
    dropCaches(s.k, 2)
    expect(s.k.thp.hugeZeroUsers).toBe(2)
    taskExit(s.k, child.task)
    s.k.current = s.task
    expect(s.k.thp.hugeZeroUsers).toBe(1)
    dropCaches(s.k, 2)
    expect(s.k.thp.hugeZeroUsers).toBe(0)
    s.map(0, HUGE)
    s.read(0, 1)
    expect(event(s.k, 'thp_zero_page_alloc')).toBe(2)
    sound(s)
  })

  it('is not used when it is switched off', () => {
    const s = hugeSpace()
    s.k.thp.useZeroPage = false
    s.map(0, HUGE)
    s.read(0, 1)
    expect(s.entry(0) & (PTE_HUGE | PTE_SPECIAL)).toBe(PTE_HUGE)
    expect(event(s.k, 'thp_fault_alloc')).toBe(1)
    sound(s)
  })
})

describe('a huge page that fork shared', () => {
  it('is used again by the one process that is left with it', () => {
    const s = hugeSpace()
    s.map(0, HUGE)
    fill(s, BASE, 0, HUGE, 'own')
    const frame = frameOf(s, 0)
    const child = childOf(s)
    expect([isHuge(s, 0), isHuge(child, 0), s.entry(0) & PTE_RW]).toEqual([true, true, 0])
    taskExit(s.k, child.task)
    s.k.current = s.task
    s.write(0, 1)
    expect([isHuge(s, 0), frameOf(s, 0), s.entry(0) & PTE_RW]).toEqual([true, frame, PTE_RW])
    sound(s)
  })

  it('is mapped by small entries by whoever writes while others have it, and only the written page is copied', () => {
    const s = hugeSpace()
    s.map(0, HUGE)
    fill(s, BASE, 0, HUGE, 'own')
    const before = contentsOf(s.k, s.mm)
    const child = childOf(s)
    fill(child, BASE, 5, 1, 'child')
    expect([isHuge(s, 0), isHuge(child, 0)]).toEqual([true, false])
    expect(frameOf(child, 4)).toBe(frameOf(s, 4))
    expect(frameOf(child, 5)).not.toBe(frameOf(s, 5))
    expect(event(s.k, 'thp_split_pmd')).toBe(1)
    expect(event(s.k, 'thp_split_page')).toBe(0)
    expect(contentsOf(s.k, s.mm)).toEqual(before)
    sound(s)
  })
})

describe('calls on a part of a huge mapping', () => {
  it('change the whole entry when they cover it, and split it when they do not', () => {
    const s = hugeSpace()
    s.map(0, 4 * HUGE)
    s.write(0, 4 * HUGE)
    s.protect(0, HUGE, RO)
    expect([isHuge(s, 0), s.entry(0) & PTE_RW]).toEqual([true, 0])
    s.protect(0, HUGE, RW)
    s.write(0, 1)
    expect(s.entry(0) & PTE_RW).toBe(PTE_RW)
    s.protect(HUGE, 1, RO)
    expect([isHuge(s, HUGE), s.entry(HUGE) & PTE_RW, s.entry(HUGE + 1) & PTE_RW]).toEqual([false, 0, PTE_RW])
    s.advise(2 * HUGE, HUGE, MADV_DONTNEED)
    s.advise(3 * HUGE, 1, MADV_DONTNEED)
    expect([s.entry(2 * HUGE), isHuge(s, 3 * HUGE), s.entry(3 * HUGE)]).toEqual([0, false, 0])
    expect(event(s.k, 'thp_split_pmd')).toBe(2)
    sound(s)
  })

  it('move a whole entry to an aligned place, and small ones elsewhere', () => {
    const s = hugeSpace()
    s.map(0, 2 * HUGE)
    fill(s, BASE, 0, 2 * HUGE, 'moved')
    const frame = frameOf(s, 1)
    s.remap(0, HUGE, HUGE, 3, 4 * HUGE)
    s.remap(HUGE, HUGE, HUGE, 3, 6 * HUGE + 1)
    expect([isHuge(s, 4 * HUGE), frameOf(s, 4 * HUGE + 1), isHuge(s, 6 * HUGE + 1)]).toEqual([true, frame, false])
    sound(s)
  })

  it('leave the pages of MADV_FREE to whoever writes again', () => {
    const s = hugeSpace()
    s.map(0, HUGE)
    s.write(0, HUGE)
    s.advise(0, HUGE, MADV_FREE)
    expect([isHuge(s, 0), event(s.k, 'pglazyfree')]).toEqual([true, HUGE])
    s.write(0, 1)
    expect(isHuge(s, 0)).toBe(true)
    sound(s)
  })
})

describe('shared memory', () => {
  const mapShared = ({ k, task }: Space, page: number, pages: number) =>
    sysMmap(k, task, { address: byte(page), bytes: pages * PAGE, prot: RW, flags: MAP_SHARED | MAP_ANONYMOUS, file: undefined, pgoff: 0 })

  it('is huge as shmem_enabled says, whatever enabled says', () => {
    const huge = (['never', 'always', 'advise', 'force', 'deny'] as const).map(shmemEnabled => {
      const s = hugeSpace()
      s.k.thp.enabled = 'never'
      s.k.thp.shmemEnabled = shmemEnabled
      applyShmemEnabled(s.k)
      mapShared(s, 0, 2 * HUGE)
      s.advise(HUGE, HUGE, MADV_HUGEPAGE)
      s.write(0, 1)
      s.write(HUGE, 1)
      sound(s)
      return `${shmemEnabled}: ${nodeStat(s.k, 'nr_shmem_hugepages') / HUGE}`
    })
    expect(huge).toEqual(['never: 0', 'always: 2', 'advise: 1', 'force: 2', 'deny: 0'])
  })
})

describe('MADV_COLLAPSE of shared memory', () => {
  it('reads the pages that are in swap back, and fills the holes with zeros', () => {
    const { op, field, k } = ran(
      'spawn A\nA mmap S 2M flags=shared\nA touch S write 0 1M content=unique\nA madvise S pageout\nA touch S read 0 64K\nA madvise S collapse\nA check S 0 1M content=unique\nA check S 1M 1M\nexit A\n',
      'machine mem=128M cpus=1 swap=16M\ncmdline transparent_hugepage=never\n',
    )
    expect(op('A madvise S collapse').ret).toBe(0)
    expect([field('A check S 0 1M content=unique', 'match'), field('A check S 1M 1M', 'zero')]).toEqual([256, 256])
    expect([event(k, 'thp_collapse_alloc'), nodeStat(k, 'nr_swapcached')]).toEqual([1, 0])
  })
})
