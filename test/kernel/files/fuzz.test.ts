/** Random programs of file operations on a small, crowded machine; after each one the whole machine is recounted. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MADV_COLD,
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MADV_PAGEOUT,
  MADV_REMOVE,
} from '../../../src/kernel/base/flags.ts'
import type { OpenFile } from '../../../src/kernel/base/state_fs.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { inodeAt } from '../../../src/kernel/caches/inode.ts'
import { sysClose, sysUnlink } from '../../../src/kernel/calls/files.ts'
import { sysFallocate, sysFsync, sysFtruncate, sysSync } from '../../../src/kernel/calls/files_io.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { taskExit, taskFork } from '../../../src/kernel/calls/task.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { dropCaches } from '../../../src/kernel/reclaim/drop_caches.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { mapAnon, touch } from '../machine.ts'
import { BASE, fadvise, type Lab, labOf, MIB, mapFile, mount, open, readFile, sleepMs, writeFile } from './lab.ts'

const PATHS = ['/mnt/a', '/mnt/new', '/t/x', '/t/y', '/huge/z', '/ram'] as const
const SLOT = 64 * MIB
const ADVICE = [MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_REMOVE, MADV_HUGEPAGE]
const PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE

interface State extends Lab {
  readonly children: Task[]
}

type Op = readonly [what: string, path: number, a: number, b: number]

function withFile(lab: State, path: string, use: (file: OpenFile) => void): void {
  const file = open(lab, path, { write: true, create: 0o600 })
  use(file)
  sysClose(lab.k, lab.task, file)
}

/** What one step works on: a file, its window of addresses, and two figures. */
type Place = {
  readonly path: string
  readonly slot: number
  readonly at: number
  readonly bytes: number
  readonly a: number
  readonly b: number
}

const map = (lab: State, { path, slot }: Place, sharing: 'shared' | 'private') =>
  withFile(lab, path, file => mapFile(lab, file, slot, 8 * MIB, sharing))

/** Every kind of step. */
const STEPS: { readonly [what: string]: (lab: State, place: Place) => unknown } = {
  read: (lab, { path, a, b }) => inode(lab, path) && readFile(lab, path, b * 1024, a * 1024),
  write: (lab, { path, a, b }) => writeFile(lab, path, b * 512, a * 1024),
  truncate: (lab, { path, a }) => withFile(lab, path, file => sysFtruncate(lab.k, lab.task, file, a * 1024)),
  punch: (lab, { path, a, b }) => withFile(lab, path, file => sysFallocate(lab.k, lab.task, file, PUNCH, a * 1024, b * 1024 + 1)),
  alloc: (lab, { path, a, b }) => withFile(lab, path, file => sysFallocate(lab.k, lab.task, file, 0, a * 1024, b * 1024 + 1)),
  map: (lab, place) => map(lab, place, 'shared'),
  private: (lab, place) => map(lab, place, 'private'),
  touch: (lab, { at, bytes }) => touch(lab.k, lab.task, at, bytes, false),
  scribble: (lab, { at, bytes }) => touch(lab.k, lab.task, at, bytes, true),
  advise: (lab, { at, bytes, b }) => sysMadvise(lab.k, lab.task, at, bytes, ADVICE[b % ADVICE.length]),
  fadvise: (lab, { path, a, b }) => inode(lab, path) && fadvise(lab, path, b % 2 === 0 ? 'dontneed' : 'willneed', a * 1024, b * 1024),
  unmap: (lab, { at, bytes }) => sysMunmap(lab.k, lab.task, at, Math.max(4096, bytes)),
  unlink: (lab, { path }) => inode(lab, path) && sysUnlink(lab.k, lab.task, path),
  fsync: (lab, { path }) => withFile(lab, path, file => sysFsync(lab.k, lab.task, file)),
  sync: lab => sysSync(lab.k),
  sleep: (lab, { a }) => sleepMs(lab, a * 10),
  drop: (lab, { a }) => dropCaches(lab.k, 1 + (a % 3)),
  fork: lab => {
    const child = lab.children.length < 3 ? taskFork(lab.k, lab.task) : -1
    if (typeof child !== 'number') lab.children.push(child)
  },
  exit: lab => {
    const child = lab.children.pop()
    if (child !== undefined) taskExit(lab.k, child)
  },
  eat: (lab, { a }) => {
    mapAnon(lab.k, lab.task, BASE + 10 * SLOT, 24 * MIB, 0x10)
    touch(lab.k, lab.task, BASE + 10 * SLOT, a * 4096, true)
  },
}

/** Sizes and offsets in KiB, some of them no whole pages. */
const op: fc.Arbitrary<Op> = fc.tuple(
  fc.constantFrom(...Object.keys(STEPS)),
  fc.nat({ max: PATHS.length - 1 }),
  fc.nat({ max: 6000 }),
  fc.nat({ max: 6000 }),
)

function run(lab: State, [what, which, a, b]: Op): void {
  const slot = BASE + which * SLOT
  STEPS[what](lab, { path: PATHS[which], slot, at: slot + (a - (a % 4)) * 1024, bytes: (b - (b % 4)) * 1024, a, b })
}

const inode = (lab: State, path: string) => inodeAt(lab.k, path) !== undefined

describe('files under random use', () => {
  it('always add up', () => {
    fc.assert(
      fc.property(fc.array(op, { minLength: 5, maxLength: 40 }), fc.boolean(), (ops, thp) => {
        const lab: State = { ...labOf([128], { a: 8 }, thp ? { cmdline: [['transparent_hugepage', 'always']] } : {}), children: [] }
        mount(lab, 'tmpfs', '/t', 'size=12M')
        mount(lab, 'tmpfs', '/huge', 'size=16M,huge=always')
        for (const one of ops) {
          run(lab, one)
          const wrong = verify(lab.k)
          if (wrong.length > 0) throw new Error(`after ${one.join(' ')}: ${wrong.slice(0, 3).join('; ')}`)
        }
        for (const child of lab.children) taskExit(lab.k, child)
        expect(must(verify(lab.k), 'no answer')).toEqual([])
      }),
      { numRuns: 25, seed: 7 },
    )
  })
})
