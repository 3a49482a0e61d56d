import { describe, expect, it } from 'vitest'
import { EACCES, EINVAL, ENOMEM } from '../../../src/kernel/base/errno.ts'
import { PTE_DIRTY, PTE_HUGE, PTE_PROTNONE, PTE_RW, PTE_SOFT_DIRTY, VM_MAYWRITE } from '../../../src/kernel/base/flags.ts'
import { clearRefs } from '../../../src/kernel/calls/clear_refs.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { BASE, childOf, event, RO, RW, space } from './space.ts'

const sound = (s: ReturnType<typeof space>) => expect([...verify(s.k), ...verifySpaces(s.k)]).toEqual([])

describe('mprotect', () => {
  it('refuses ranges and rights as Linux does', () => {
    const s = space()
    s.map(0, 8)
    expect(sysMprotect(s.k, s.task, BASE + 1, 4096, RO)).toBe(-EINVAL)
    expect(s.protect(0, 0, RO)).toBe(0)
    expect(s.protect(0, 1, 16)).toBe(-EINVAL)
    expect(s.protect(100, 1, RO)).toBe(-ENOMEM)
    expect(sysMprotect(s.k, s.task, BASE, 2 ** 64 - 4096, RO)).toBe(-ENOMEM)
    const area = s.area(0)
    if (area !== undefined) area.flags &= ~VM_MAYWRITE
    s.protect(0, 8, RO)
    expect(s.protect(0, 8, RW)).toBe(-EACCES)
  })

  it("opens at once what is this process' own and dirty, and leaves the rest to the next write", () => {
    const s = space()
    s.map(0, 8)
    s.write(0, 4)
    s.read(4, 2)
    s.protect(0, 8, RO)
    expect(s.entry(0) & (PTE_RW | PTE_DIRTY)).toBe(PTE_DIRTY)
    expect(s.write(0, 1)).toBe(0)
    s.protect(0, 8, RW)
    expect(s.entry(0) & PTE_RW).toBe(PTE_RW)
    expect(s.entry(4) & PTE_RW).toBe(0)
    const faults = s.task.minflt
    expect(s.write(0, 8)).toBe(8)
    expect(s.task.minflt - faults).toBe(4)
    sound(s)
  })

  it('does not open what a child shares', () => {
    const s = space()
    s.map(0, 4)
    s.write(0, 4)
    childOf(s)
    s.k.current = s.task
    s.protect(0, 4, RO)
    s.protect(0, 4, RW)
    expect(s.entry(0) & PTE_RW).toBe(0)
    sound(s)
  })

  it('opens only soft-dirty pages while soft-dirty is watched', () => {
    const s = space()
    s.map(0, 4)
    s.write(0, 4)
    clearRefs(s.k, s.mm, 4)
    s.write(0, 2)
    s.protect(0, 4, RO)
    s.protect(0, 4, RW)
    expect([0, 1, 2, 3].map(page => s.entry(page) & (PTE_RW | PTE_SOFT_DIRTY))).toEqual([
      PTE_RW | PTE_SOFT_DIRTY,
      PTE_RW | PTE_SOFT_DIRTY,
      0,
      0,
    ])
  })

  it('keeps entries without permission present, and out of reach', () => {
    const s = space()
    s.map(0, 4)
    s.write(0, 4)
    const resident = s.mm.rssAnon
    s.protect(0, 4, 0)
    expect(s.entry(0) & PTE_PROTNONE).toBe(PTE_PROTNONE)
    expect(s.read(0, 1)).toBe(0)
    expect(s.mm.rssAnon).toBe(resident)
    s.protect(0, 4, RW)
    expect(s.write(0, 4)).toBe(4)
    sound(s)
  })

  it('changes a huge entry in one piece and splits it for a part', () => {
    const s = space()
    s.k.thp.enabled = 'always'
    s.map(0, 1024)
    s.write(0, 1024)
    expect(s.entry(0) & PTE_HUGE).toBe(PTE_HUGE)
    s.protect(0, 512, RO)
    s.protect(0, 512, RW)
    expect(s.entry(0) & (PTE_HUGE | PTE_RW)).toBe(PTE_HUGE)
    expect(event(s.k, 'thp_split_pmd')).toBe(0)
    s.protect(512, 10, RO)
    expect(s.entry(512) & (PTE_HUGE | PTE_RW)).toBe(0)
    expect(s.entry(522) & (PTE_HUGE | PTE_RW)).toBe(PTE_RW)
    expect(event(s.k, 'thp_split_pmd')).toBe(1)
    sound(s)
  })

  it('writes to what it makes writable in a locked area', () => {
    const s = space()
    s.map(0, 4, 0, RO)
    expect(s.lock(0, 4)).toBe(0)
    s.protect(0, 4, RW)
    expect(s.entry(3) & PTE_RW).toBe(PTE_RW)
    sound(s)
  })
})
