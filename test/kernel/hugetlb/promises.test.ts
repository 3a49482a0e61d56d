/** What mappings of huge pages are promised, and what becomes of the promises. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EINVAL, ENOMEM } from '../../../src/kernel/base/errno.ts'
import { MADV_DONTNEED, MAP_NORESERVE, MAP_SHARED } from '../../../src/kernel/base/flags.ts'
import { storeNrOvercommitHugepages } from '../../../src/kernel/calls/hugetlb_sysfs.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { sysMremap } from '../../../src/kernel/calls/mremap.ts'
import { taskExit } from '../../../src/kernel/calls/task.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { byte, child, frame, HUGE, type Lab, labOf, map, pool, read, unmap, write } from './lab.ts'

let lab: Lab

beforeEach(() => {
  lab = labOf(8)
})

afterEach(() => {
  expect(verify(lab.k)).toEqual([])
})

describe('a private mapping', () => {
  it('is promised its pages, takes them by faults and gives all back', () => {
    expect(map(lab, 0, 6)).toBe(0)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 6, surp: 0 })
    expect(write(lab, 0, 2)).toEqual({ done: 2, sigbus: false })
    expect(pool(lab)).toEqual({ total: 8, free: 6, rsvd: 4, surp: 0 })
    expect(map(lab, 10, 3)).toBe(-ENOMEM)
    unmap(lab, 0, 6)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 0, surp: 0 })
  })

  it('can be read before it is written: reads take pages of their own', () => {
    map(lab, 0, 2)
    read(lab, 0, 2)
    expect(pool(lab)).toEqual({ total: 8, free: 6, rsvd: 0, surp: 0 })
  })

  it('without promises takes what is there, and gets SIGBUS when nothing is', () => {
    map(lab, 0, 6)
    expect(map(lab, 10, 4, MAP_NORESERVE | 2)).toBe(0)
    expect(write(lab, 10, 4)).toEqual({ done: 2, sigbus: true })
    expect(write(lab, 0, 6)).toEqual({ done: 6, sigbus: false })
  })

  it('loses the promise of a page once used: the next page comes from what is free', () => {
    map(lab, 0, 2)
    write(lab, 0, 2)
    sysMadvise(lab.k, lab.task, byte(0), HUGE, MADV_DONTNEED)
    expect(pool(lab)).toEqual({ total: 8, free: 7, rsvd: 0, surp: 0 })
  })

  it('is cut at huge pages only', () => {
    map(lab, 0, 2)
    expect(sysMunmap(lab.k, lab.task, byte(0) + HUGE / 2, HUGE / 2)).toBe(-EINVAL)
    expect(sysMprotect(lab.k, lab.task, byte(0), HUGE / 2, 1)).toBe(-EINVAL)
    expect(unmap(lab, 1, 1)).toBe(0)
    expect(pool(lab).rsvd).toBe(1)
  })

  it('moves with its promises, and does not grow', () => {
    map(lab, 0, 2)
    write(lab, 0, 1)
    const move = { address: byte(0), oldBytes: 2 * HUGE, newBytes: 2 * HUGE, flags: 3, newAddress: byte(4) }
    expect(sysMremap(lab.k, lab.task, { ...move, newBytes: 3 * HUGE })).toBe(-EINVAL)
    expect(sysMremap(lab.k, lab.task, move)).toBe(byte(4))
    expect(pool(lab)).toEqual({ total: 8, free: 7, rsvd: 1, surp: 0 })
    expect(write(lab, 4, 2)).toEqual({ done: 2, sigbus: false })
    unmap(lab, 4, 2)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 0, surp: 0 })
  })
})

describe('a shared mapping', () => {
  it('and its child see the same pages, promised once', () => {
    map(lab, 0, 4, MAP_SHARED)
    const forked = child(lab)
    write(forked, 0, 2)
    expect(pool(lab)).toEqual({ total: 8, free: 6, rsvd: 2, surp: 0 })
    expect(frame(lab, 0)).toBe(frame(forked, 0))
    taskExit(lab.k, forked.task)
    unmap(lab, 0, 4)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 0, surp: 0 })
  })

  it('keeps the promises of pages that were unmapped', () => {
    map(lab, 0, 4, MAP_SHARED)
    unmap(lab, 0, 2)
    expect(pool(lab).rsvd).toBe(4)
    unmap(lab, 2, 2)
    expect(pool(lab).rsvd).toBe(0)
  })
})

describe('a fork of a private mapping', () => {
  it('has no promises: the parent copies from its own, the child from what is free', () => {
    map(lab, 0, 2)
    write(lab, 0, 1)
    const forked = child(lab)
    expect(write(lab, 1, 1)).toEqual({ done: 1, sigbus: false })
    expect(pool(lab)).toEqual({ total: 8, free: 6, rsvd: 0, surp: 0 })
    expect(write(forked, 0, 1)).toEqual({ done: 1, sigbus: false })
    expect(frame(forked, 0)).not.toBe(frame(lab, 0))
    expect(pool(lab).free).toBe(5)
  })

  it('gets SIGBUS when nothing is free', () => {
    map(lab, 0, 4)
    write(lab, 0, 4)
    map(lab, 10, 4)
    const forked = child(lab)
    expect(write(forked, 0, 1)).toEqual({ done: 0, sigbus: true })
    expect(read(forked, 0, 4)).toEqual({ done: 4, sigbus: false })
  })

  it('loses its page when the parent must write and nothing is free', () => {
    map(lab, 0, 8)
    write(lab, 0, 8)
    const forked = child(lab)
    const before = frame(lab, 0)
    expect(write(lab, 0, 1)).toEqual({ done: 1, sigbus: false })
    expect(frame(lab, 0)).toBe(before)
    expect(read(forked, 0, 1)).toEqual({ done: 0, sigbus: true })
    expect(read(forked, 1, 1)).toEqual({ done: 1, sigbus: false })
  })
})

describe('surplus pages', () => {
  it('are made for promises beyond the pool, up to the limit, and go when they are free', () => {
    storeNrOvercommitHugepages(lab.h, 3)
    expect(map(lab, 0, 12)).toBe(-ENOMEM)
    expect(map(lab, 0, 11)).toBe(0)
    expect(pool(lab)).toEqual({ total: 11, free: 11, rsvd: 11, surp: 3 })
    write(lab, 0, 11)
    unmap(lab, 0, 11)
    expect(pool(lab)).toEqual({ total: 8, free: 8, rsvd: 0, surp: 0 })
  })

  it('serve mappings without promises when the pool is empty', () => {
    storeNrOvercommitHugepages(lab.h, 1)
    map(lab, 0, 10, MAP_NORESERVE | 2)
    expect(write(lab, 0, 10)).toEqual({ done: 9, sigbus: true })
    expect(pool(lab)).toEqual({ total: 9, free: 0, rsvd: 0, surp: 1 })
  })
})
