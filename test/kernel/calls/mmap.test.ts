import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EAGAIN, EEXIST, EINVAL, ENOMEM, EPERM } from '../../../src/kernel/base/errno.ts'
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_LOCKED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MCL_FUTURE,
  PROT_EXEC,
} from '../../../src/kernel/base/flags.ts'
import { vmCommitLimit } from '../../../src/kernel/calls/account.ts'
import { sysSetrlimit, sysSetuid } from '../../../src/kernel/calls/limits.ts'
import { sysMlockall } from '../../../src/kernel/calls/mlock.ts'
import { sysBrk, sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { protectionKey } from '../../../src/kernel/spaces/vma.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { touch } from '../machine.ts'
import { BASE, byte, childOf, PAGE, RO, RW, type Space, space } from './space.ts'

const GIB = 2 ** 18
const anywhere = ({ k, task }: Space, address: number, pages: number, flags = 0, prot = RW) =>
  sysMmap(k, task, { address, bytes: pages * PAGE, prot, flags: MAP_PRIVATE | MAP_ANONYMOUS | flags, file: undefined, pgoff: 0 })

describe('mmap', () => {
  it('refuses lengths, places and kinds of sharing as Linux does', () => {
    const s = space()
    s.map(0, 16)
    expect(s.map(100, 0)).toBe(-EINVAL)
    expect(s.map(8, 1)).toBe(-EEXIST)
    expect(anywhere(s, BASE + 1, 1, MAP_FIXED)).toBe(-EINVAL)
    expect(anywhere(s, 2 ** 56 - 2 * PAGE, 2, MAP_FIXED)).toBe(-ENOMEM)
    expect(anywhere(s, 0, 2 ** 36)).toBe(-ENOMEM)
    expect(sysMmap(s.k, s.task, { address: 0, bytes: PAGE, prot: RW, flags: MAP_ANONYMOUS, file: undefined, pgoff: 0 })).toBe(-EINVAL)
    expect(
      sysMmap(s.k, s.task, { address: 0, bytes: PAGE, prot: RW, flags: MAP_PRIVATE | MAP_ANONYMOUS, file: undefined, pgoff: 0.5 }),
    ).toBe(-EINVAL)
  })

  it('maps beyond 2^47, as five levels of page tables allow, only what asks for a place there', () => {
    const s = space()
    expect(anywhere(s, 0, 2 ** 35)).toBe(-ENOMEM)
    expect(anywhere(s, 2 ** 47 + PAGE, 1)).toBe(2 ** 47 + PAGE)
    const high = 2 ** 48 - 64 * PAGE
    expect(anywhere(s, high, 64, MAP_FIXED)).toBe(high)
    expect(touch(s.k, s.task, high, 64 * PAGE, true)).toBe(64)
    expect(verifySpaces(s.k)).toEqual([])
    expect(sysMunmap(s.k, s.task, high, 64 * PAGE)).toBe(0)
    expect(sysMunmap(s.k, s.task, 2 ** 50, PAGE)).toBe(0)
    expect(sysMunmap(s.k, s.task, 2 ** 56, PAGE)).toBe(-EINVAL)
  })

  it('keeps what can only be executed from being read: SEGV_PKUERR, no population, and a key in smaps', () => {
    const s = space()
    const at = anywhere(s, BASE, 4, MAP_FIXED | MAP_POPULATE, PROT_EXEC)
    expect(at).toBe(BASE)
    expect(s.entry(0)).toBe(0)
    expect(s.read(0, 1)).toBe(0)
    expect(protectionKey(must(s.area(0), 'no area'))).toBe(1)
    s.protect(0, 4, RO)
    expect(s.read(0, 4)).toBe(4)
    expect(protectionKey(must(s.area(0), 'no area'))).toBe(0)
  })

  it('lets root alone map the lowest addresses', () => {
    const s = space()
    expect(anywhere(s, PAGE, 1, MAP_FIXED)).toBe(PAGE)
    sysSetuid(s.task, 1000)
    expect(anywhere(s, 2 * PAGE, 1, MAP_FIXED)).toBe(-EPERM)
    expect(anywhere(s, 2 * PAGE, 1)).toBe(65536)
  })

  it('takes a hint where there is room, and else the highest gap below mmapBase', () => {
    const s = space()
    expect(anywhere(s, BASE + 5, 4)).toBe(BASE)
    const high = anywhere(s, BASE, 4)
    expect(high).toBeGreaterThan(0x7ffff0000000)
    expect(anywhere(s, 0, 2)).toBe(high - 2 * PAGE)
    expect(sysMunmap(s.k, s.task, high, 4 * PAGE)).toBe(0)
    expect(anywhere(s, 0, 4)).toBe(high)
  })

  it('replaces what is there with MAP_FIXED, and leaves the hole when the promise fails', () => {
    const s = space()
    s.map(0, 16)
    s.write(0, 16)
    expect(anywhere(s, byte(4), 4, MAP_FIXED, RO)).toBe(byte(4))
    expect(s.entry(3)).not.toBe(0)
    expect(s.entry(4)).toBe(0)
    expect(anywhere(s, byte(0), GIB, MAP_FIXED)).toBe(-ENOMEM)
    expect(s.area(0)).toBeUndefined()
    expect(verifySpaces(s.k)).toEqual([])
  })

  it('keeps RLIMIT_AS and RLIMIT_DATA, which count what a fixed mapping replaces only once', () => {
    const s = space()
    s.map(0, 1024)
    sysSetrlimit(s.task, 'as', (s.mm.totalVm + 64) * PAGE)
    expect(s.map(2048, 65)).toBe(-ENOMEM)
    expect(anywhere(s, byte(0), 1024, MAP_FIXED)).toBe(BASE)
    expect(s.map(2048, 64)).toBe(byte(2048))
    sysSetrlimit(s.task, 'as', Number.POSITIVE_INFINITY)
    sysSetrlimit(s.task, 'data', s.mm.dataVm * PAGE)
    expect(s.map(4096, 1)).toBe(-ENOMEM)
    expect(s.map(4096, 1, 0, RO)).toBe(byte(4096))
    expect(s.protect(4096, 1, RW)).toBe(-ENOMEM)
  })

  it('stops at max_map_count', () => {
    const s = space()
    s.k.sysctl.max_map_count = s.mm.vmas.count
    expect(s.map(0, 1)).toBe(BASE)
    expect(s.map(10, 1)).toBe(-ENOMEM)
  })

  it('locks within limits: EPERM for none, EAGAIN for too much', () => {
    const s = space()
    sysSetuid(s.task, 1000)
    expect(s.map(0, 4096, MAP_LOCKED)).toBe(-EAGAIN)
    expect(s.map(0, 16, MAP_LOCKED)).toBe(BASE)
    expect(s.mm.lockedVm).toBe(16)
    expect(s.entry(15)).not.toBe(0)
    expect(sysMlockall(s.k, s.task, MCL_FUTURE)).toBe(0)
    expect(s.map(100, 4096)).toBe(-EAGAIN)
    expect(s.map(100, 16)).toBe(byte(100))
    expect(s.mm.lockedVm).toBe(32)
    sysSetrlimit(s.task, 'memlock', 0)
    expect(s.map(200, 1, MAP_LOCKED)).toBe(-EPERM)
    expect(verifySpaces(s.k)).toEqual([])
  })

  it('populates with MAP_POPULATE: written pages, zero pages where nothing may be written', () => {
    const s = space()
    s.map(0, 8, MAP_POPULATE)
    s.map(16, 8, MAP_POPULATE, RO)
    s.map(32, 8, MAP_POPULATE, 0)
    expect([s.entry(7) !== 0, s.entry(23) !== 0, s.entry(39) !== 0]).toEqual([true, true, false])
    expect(s.task.minflt).toBeGreaterThanOrEqual(16)
  })
})

describe('overcommit', () => {
  it('by guess refuses only what exceeds all memory, and counts what is promised', () => {
    const s = space()
    const before = s.k.committedAs
    expect(s.map(0, GIB)).toBe(-ENOMEM)
    expect(s.map(0, GIB, MAP_NORESERVE)).toBe(BASE)
    expect(s.map(GIB, GIB, 0, RO)).toBe(byte(GIB))
    expect(s.k.committedAs).toBe(before)
    expect(s.protect(GIB, 100, RW)).toBe(0)
    expect(s.protect(GIB, 100, RO)).toBe(0)
    expect(s.k.committedAs).toBe(before + 100)
    expect(s.protect(GIB, GIB, RW)).toBe(-ENOMEM)
    expect(verifySpaces(s.k)).toEqual([])
  })

  it('refuses nothing in mode 1', () => {
    const s = space()
    s.k.sysctl.overcommit_memory = 1
    expect(s.map(0, 64 * GIB)).toBe(BASE)
    expect(s.unmap(0, 64 * GIB)).toBe(0)
    expect(verifySpaces(s.k)).toEqual([])
  })

  it('keeps the sum below CommitLimit in mode 2, whatever NORESERVE says, forks included', () => {
    const s = space()
    s.k.sysctl.overcommit_memory = 2
    const left = vmCommitLimit(s.k) - s.k.committedAs
    const most = Math.floor(left * 0.6)
    expect(s.map(0, most, MAP_NORESERVE)).toBe(BASE)
    expect(s.map(GIB, most, MAP_NORESERVE)).toBe(-ENOMEM)
    expect(() => childOf(s)).toThrow('fork: -12')
    expect(verifySpaces(s.k)).toEqual([])
    expect(s.unmap(0, most)).toBe(0)
    expect(vmCommitLimit(s.k) - s.k.committedAs).toBe(left)
  })

  it('is not asked for shared mappings of memory, whose object is', () => {
    const s = space()
    const before = s.k.committedAs
    const shared = sysMmap(s.k, s.task, {
      address: 0,
      bytes: 64 * PAGE,
      prot: RO,
      flags: MAP_SHARED | MAP_ANONYMOUS,
      file: undefined,
      pgoff: 0,
    })
    expect(s.k.committedAs).toBe(before + 64)
    expect(sysMunmap(s.k, s.task, shared, 64 * PAGE)).toBe(0)
    expect(s.k.committedAs).toBe(before)
  })
})

describe('brk', () => {
  it('grows and shrinks the heap, which is one area', () => {
    const s = space()
    const start = s.mm.brk
    const areas = s.mm.vmas.count
    expect(sysBrk(s.k, s.task, start + 10 * PAGE)).toBe(start + 10 * PAGE)
    expect(sysBrk(s.k, s.task, start + 20 * PAGE)).toBe(start + 20 * PAGE)
    expect(s.mm.vmas.count).toBeLessThanOrEqual(areas + 1)
    expect(sysBrk(s.k, s.task, start + 5 * PAGE)).toBe(start + 5 * PAGE)
    expect(sysBrk(s.k, s.task, 0)).toBe(start + 5 * PAGE)
    expect(sysBrk(s.k, s.task, start + GIB * PAGE)).toBe(start + 5 * PAGE)
    expect(verifySpaces(s.k)).toEqual([])
  })
})
