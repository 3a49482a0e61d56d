import { describe, expect, it } from 'vitest'
import {
  BASE_PROCESS,
  type BasePart,
  FIRST_PROCESS_PAGES,
  type Held,
  RAMFS_FILES,
  type Touch,
} from '../../../src/kernel/boot/memory_process.ts'

/** One page of one address space: whose frame it maps. Frames are counted by how many map them. */
type Space = Map<string, { readonly frame: number; readonly what: Held['what'] }>

const FAULT_AROUND = 16
const key = (part: BasePart, page: number) => `${part} ${page}`
const partOf = (name: BasePart) => {
  const part = BASE_PROCESS.vmas.find(vma => vma.name === name)
  if (part === undefined) throw new Error(`no part ${name}`)
  return part
}

/** Faults, copies and reuses of a process that touches its pages, on page tables of a line each. */
function machine() {
  const users = new Map<number, number>()
  let frames = 0
  const map = (space: Space, at: string, what: Held['what'], frame = ++frames) => {
    users.set(frame, (users.get(frame) ?? 0) + 1)
    space.set(at, { frame, what })
  }
  const first: Space = new Map()
  for (const { part, from, pages, what } of BASE_PROCESS.held) for (let i = 0; i < pages; i++) map(first, key(part, from + i), what)

  const fork = (parent: Space): Space => {
    const child: Space = new Map()
    const copied: BasePart[] = ['relro', 'data', 'bss', 'heap', 'stack']
    for (const [at, page] of parent) if (copied.some(part => at.startsWith(part))) map(child, at, page.what, page.frame)
    return child
  }

  const run = (space: Space, touches: readonly Touch[]) => {
    const done = { faults: 0, fresh: 0, copies: 0, reuses: 0 }
    const writable = new Set<string>()
    for (const [part, page, how] of touches) {
      const at = key(part, page)
      const there = space.get(at)
      const vma = partOf(part)
      if (how === 'read' && there === undefined) {
        done.faults++
        const window = Math.max(vma.start, vma.start + page - ((vma.start + page) % FAULT_AROUND)) - vma.start
        const end = vma.backing === 'file' ? Math.min(window + FAULT_AROUND, vma.pages) : page + 1
        for (let i = vma.backing === 'file' ? window : page; i < end; i++)
          if (!space.has(key(part, i))) map(space, key(part, i), vma.backing === 'anon' ? 'zero' : 'file')
      }
      if (how === 'write' && !writable.has(at)) {
        done.faults++
        writable.add(at)
        if (there?.what === 'anon' && users.get(there.frame) === 1) done.reuses++
        else {
          if (there?.what === 'anon') {
            done.copies++
            users.set(there.frame, (users.get(there.frame) ?? 0) - 1)
          } else done.fresh++
          map(space, at, 'anon')
        }
      }
    }
    return done
  }
  return { first, fork, run }
}

describe('the process that all others come from', () => {
  it('has the pages that a real one has: 633 of files, 588 of them mapped, 25 of its own', () => {
    const held = (what: Held['what']) => BASE_PROCESS.held.filter(each => each.what === what).reduce((sum, each) => sum + each.pages, 0)
    expect(RAMFS_FILES.reduce((sum, file) => sum + file.pages, 0)).toBe(633)
    expect(held('file')).toBe(588)
    expect(held('anon')).toBe(25)
    expect(FIRST_PROCESS_PAGES).toBe(667)
    expect(BASE_PROCESS.vmas.reduce((sum, vma) => sum + vma.pages, 0) * 4).toBe(2816)
  })

  it('keeps its parts apart and its pages inside them', () => {
    const { vmas, held, touches } = BASE_PROCESS
    for (let i = 1; i < vmas.length; i++) expect(vmas[i].start).toBeGreaterThanOrEqual(vmas[i - 1].start + vmas[i - 1].pages)
    for (const each of held) expect(each.from + each.pages).toBeLessThanOrEqual(partOf(each.part).pages)
    const all: Touch[] = Object.values(touches).flatMap(list => (typeof list === 'function' ? list(2) : [...list]))
    for (const [part, page] of all) expect(page).toBeLessThan(partOf(part).pages)
  })

  it('costs a new worker 33 minor faults, and both of them ten copied pages', () => {
    const { first, fork, run } = machine()
    const { touches } = BASE_PROCESS
    run(first, touches.spawnBefore)
    const child = fork(first)
    expect(run(first, touches.spawnParent)).toEqual({ faults: 6, fresh: 0, copies: 6, reuses: 0 })
    expect(run(child, touches.spawnChild(0))).toEqual({ faults: 33, fresh: 0, copies: 4, reuses: 2 })
    expect(run(child, touches.firstOperation)).toEqual({ faults: 3, fresh: 1, copies: 1, reuses: 0 })
  })

  it('costs a worker that forks 2 minor faults, and its child 20', () => {
    const { first, fork, run } = machine()
    const { touches } = BASE_PROCESS
    const worker = fork(first)
    run(first, touches.spawnParent)
    run(worker, [...touches.spawnChild(0), ...touches.firstOperation, ...touches.afterFirstOperation])
    const child = fork(worker)
    const before = run(worker, touches.forkParent)
    const born = run(child, touches.forkChild(1))
    const after = run(worker, touches.forkParentAfter)
    expect(before.faults + after.faults).toBe(2)
    expect(born.faults).toBeGreaterThanOrEqual(19)
    expect(born.faults).toBeLessThanOrEqual(20)
    expect(born.copies + born.reuses).toBe(6)
  })
})
