import { describe, expect, it } from 'vitest'
import { EINVAL, ENOMEM, EPERM } from '../../../src/kernel/base/errno.ts'
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, PG_mlocked, PG_unevictable } from '../../../src/kernel/base/flags.ts'
import { sysSetrlimit, sysSetuid } from '../../../src/kernel/calls/limits.ts'
import { MLOCK_ONFAULT, sysMlock, sysMlock2, sysMlockall, sysMunlockall } from '../../../src/kernel/calls/mlock.ts'
import { taskExit } from '../../../src/kernel/calls/task.ts'
import { lruAddDrain } from '../../../src/kernel/reclaim/zap.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { verifySpaces } from '../../../src/kernel/verify_spaces.ts'
import { ran } from '../uffd/lab.ts'
import { BASE, byte, changes, childOf, event, frameOf, nodeStat, PAGE, type Space, space, zoneStat } from './space.ts'

const sound = (s: Space) => expect([...verify(s.k), ...verifySpaces(s.k)]).toEqual([])

const figures = (s: Space) => () => ({
  mlocked: zoneStat(s.k, 'nr_mlock'),
  unevictable: nodeStat(s.k, 'nr_unevictable'),
  culled: event(s.k, 'unevictable_pgs_culled'),
  rescued: event(s.k, 'unevictable_pgs_rescued'),
  locks: event(s.k, 'unevictable_pgs_mlocked'),
  unlocks: event(s.k, 'unevictable_pgs_munlocked'),
})

describe('mlock', () => {
  it('locks what is there and faults in what is not', () => {
    const s = space()
    s.map(0, 128)
    s.write(0, 64)
    lruAddDrain(s.k)
    expect(changes(figures(s), () => s.lock(0, 64))).toEqual({ mlocked: 64, unevictable: 64, culled: 64, locks: 64 })
    expect(changes(figures(s), () => s.lock(64, 64))).toEqual({ mlocked: 64, unevictable: 64, culled: 64, locks: 64 })
    expect(s.mm.lockedVm).toBe(128)
    expect(changes(figures(s), () => s.lock(0, 128))).toEqual({})
    expect(changes(figures(s), () => s.unlock(32, 32))).toEqual({ mlocked: -32, unevictable: -32, rescued: 32, unlocks: 32 })
    expect(changes(figures(s), () => s.unmap(64, 64))).toEqual({ mlocked: -64, unevictable: -64, rescued: 64, unlocks: 64 })
    sound(s)
  })

  it('locks on touch with ONFAULT', () => {
    const s = space()
    s.map(0, 64)
    s.write(0, 16)
    expect(sysMlock2(s.k, s.task, BASE, 64 * PAGE, 2)).toBe(-EINVAL)
    expect(sysMlock2(s.k, s.task, BASE, 64 * PAGE, MLOCK_ONFAULT)).toBe(0)
    expect([zoneStat(s.k, 'nr_mlock'), s.entry(40)]).toEqual([16, 0])
    s.write(40, 2)
    expect(zoneStat(s.k, 'nr_mlock')).toBe(18)
    sound(s)
  })

  it('locks up to a hole and then fails, without faulting anything in', () => {
    const s = space()
    s.map(0, 8)
    s.map(12, 8)
    expect(s.lock(0, 20)).toBe(-ENOMEM)
    expect(s.mm.lockedVm).toBe(8)
    expect(s.entry(0)).toBe(0)
    expect(s.unlock(0, 20)).toBe(-ENOMEM)
    expect(s.mm.lockedVm).toBe(0)
    expect(sysMlock(s.k, s.task, BASE, 2 ** 64 - PAGE)).toBe(-EINVAL)
    sound(s)
  })

  it('fails for memory that may not be touched, which stays locked', () => {
    const s = space()
    s.map(0, 8, 0, 0)
    expect(s.lock(0, 8)).toBe(-ENOMEM)
    expect(s.mm.lockedVm).toBe(8)
    sound(s)
  })

  it('counts a range it has locked already only once against the limit', () => {
    const s = space()
    s.map(0, 4096)
    sysSetuid(s.task, 1000)
    expect(s.lock(0, 2048)).toBe(0)
    expect(s.lock(0, 2049)).toBe(-ENOMEM)
    expect(s.lock(1, 2047)).toBe(0)
    expect(s.lock(2000, 60)).toBe(-ENOMEM)
    expect(sysMlockall(s.k, s.task, MCL_CURRENT)).toBe(-ENOMEM)
    expect(sysSetrlimit(s.task, 'memlock', 2 ** 30)).toBe(-EPERM)
    expect(sysSetrlimit(s.task, 'memlock', 0)).toBe(0)
    expect(s.lock(0, 1)).toBe(-EPERM)
    expect(sysMlockall(s.k, s.task, MCL_CURRENT)).toBe(-EPERM)
    expect(s.unlock(0, 4096)).toBe(0)
    expect([sysSetuid(s.task, 0), sysSetuid(s.task, 1000)]).toEqual([-EPERM, 0])
    sound(s)
  })

  it('is not inherited, and outlives a child that locks the same pages', () => {
    const s = space()
    s.map(0, 32)
    s.lock(0, 32)
    const child = childOf(s)
    expect(child.mm.lockedVm).toBe(0)
    expect(child.protect(0, 32, 1)).toBe(0)
    expect(changes(figures(s), () => child.lock(0, 32))).toEqual({})
    expect(changes(figures(s), () => child.unlock(0, 32))).toEqual({})
    s.k.current = s.task
    taskExit(s.k, child.task)
    expect((s.k.page[frameOf(s, 5) * 8] ?? 0) & (PG_mlocked | PG_unevictable)).toBe(PG_mlocked | PG_unevictable)
    expect(changes(figures(s), () => s.unlock(0, 32))).toEqual({ mlocked: -32, unevictable: -32, rescued: 32, unlocks: 32 })
    sound(s)
  })

  it('of everything takes what is mapped, or what will be', () => {
    const s = space()
    s.map(0, 16)
    for (const flags of [0, MCL_ONFAULT, 8]) expect(sysMlockall(s.k, s.task, flags)).toBe(-EINVAL)
    expect(sysMlockall(s.k, s.task, MCL_CURRENT)).toBe(0)
    expect(s.entry(15)).not.toBe(0)
    s.map(32, 16)
    expect(s.entry(32)).toBe(0)
    expect(sysMlockall(s.k, s.task, MCL_FUTURE)).toBe(0)
    s.map(64, 16)
    expect(s.entry(64)).not.toBe(0)
    expect(sysMlockall(s.k, s.task, MCL_FUTURE | MCL_ONFAULT)).toBe(0)
    s.map(96, 16)
    expect(s.entry(96)).toBe(0)
    expect(sysMunlockall(s.k, s.task)).toBe(0)
    expect([s.mm.lockedVm, s.map(128, 1), zoneStat(s.k, 'nr_mlock')]).toEqual([0, byte(128), 0])
    sound(s)
  })

  it('locks a huge page only as a whole', () => {
    const s = space()
    s.k.thp.enabled = 'always'
    s.map(0, 1024)
    s.write(0, 1024)
    s.lock(0, 512)
    expect(zoneStat(s.k, 'nr_mlock')).toBe(512)
    s.lock(512, 1)
    expect([zoneStat(s.k, 'nr_mlock'), s.mm.lockedVm]).toEqual([512, 513])
    expect(event(s.k, 'thp_split_pmd')).toBe(1)
    s.unlock(0, 1024)
    expect(zoneStat(s.k, 'nr_mlock')).toBe(0)
    sound(s)
  })
})

describe('locks of what processes share', () => {
  const mlocked = (text: unknown): number => Number(/^Mlocked: +(\d+)/m.exec(String(text))?.[1])

  it('are given up by who gets a copy: after a fork as much is locked as before', () => {
    const { field } = ran(
      'spawn A\nA mmap R 1M\nA touch R write\nA mlockall current\nread /proc/meminfo\nfork A B\nread  /proc/meminfo\nexit B\nexit A\n',
    )
    expect(mlocked(field('read  /proc/meminfo', 'text'))).toBe(mlocked(field('read /proc/meminfo', 'text')))
  })

  it('hold the pages of a huge page that is locked in part when it is split', () => {
    const { field } = ran(
      'spawn A\ncgroup G add A\nA mmap H 4M\nA touch H write\nA mlock H 0 3M\ncgroup G set memory.reclaim 8M\nread /proc/meminfo\nA pagemap H\nexit A\n',
      'machine mem=256M cpus=1 swap=16M\ncmdline transparent_hugepage=always\n',
    )
    expect(mlocked(field('read /proc/meminfo', 'text'))).toBe(3072)
    expect([field('A pagemap H', 'present'), field('A pagemap H', 'swapped')]).toEqual([768, 256])
  })
})
