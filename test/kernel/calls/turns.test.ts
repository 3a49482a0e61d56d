import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { ERESTARTNOINTR } from '../../../src/kernel/base/errno.ts'
import { MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT, MADV_POPULATE_WRITE, MAP_LOCKED } from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { taskExit, taskFork } from '../../../src/kernel/calls/task.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { bootSmall, runInit } from '../machine.ts'
import { type Space, spaceOf } from './space.ts'

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

  it('population stops at any page, and reaches the end', () => {
    const s = writer()
    s.map(PAGES * 2, PAGES)
    const before = s.mm.rssAnon
    const { ret, turns } = inTurns(s.k, 5e5, () => s.advise(PAGES * 2, PAGES, MADV_POPULATE_WRITE))
    expect([ret, s.mm.rssAnon - before]).toEqual([0, PAGES])
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

  it('who is not interrupted does all at once', () => {
    const s = writer()
    expect(must(s.area(0), 'no area').end).toBeGreaterThan(0)
    expect(s.advise(0, PAGES, MADV_PAGEOUT)).toBe(0)
    expect(s.unmap(0, PAGES)).toBe(0)
    expect(verify(s.k)).toEqual([])
  })
})
