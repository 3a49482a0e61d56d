/**
 * The process that every workload's processes come from: a small static executor, run as /init from the initial RAM disk.
 *
 *     0x400000   header  text  rodata  relro  data  bss  heap          two page tables below 512 GiB ...
 *     ...
 *     0x7ffff7e7b000   control area (shared, a file)  vvar vdso        ... and three above
 *     0x7ffffffde000   stack
 *
 * Its files are pages of a ramfs: unevictable, never written back, so they are a constant base of Unevictable, Cached and Mapped. A new
 * worker is a fork of it. Fork copies page tables only where anonymous pages may be: relro, data, bss, heap and stack. Text and the
 * rest of the file come back by faults, sixteen pages at once. The first writes of parent and child copy pages, the later ones find
 * their page alone and reuse it.
 *
 *     spawn   child   33 minor faults: 11 + 1 text and header, 2 rodata, 1 control area, 12 pages of zeros, 4 copies, 2 reuses
 *             parent  6 copies (stack and bss), one new page the first time
 *             so      10 anonymous pages, 3 PTE and 2 PMD tables, a stack of 16 KiB, 5 file pages mapped anew
 *     a worker's first operation      3 minor faults: a new bss page, a copy of a stack page, 16 pages of rodata
 *     fork    child   20 minor faults, parent 2;   exit gives everything back
 *
 * Simulating these touches on real page tables gives the counters that the recordings show; nothing here is added to a counter.
 *
 * Source: the executor's program headers, /proc/PID/{maps,smaps,pagemap} of it and its workers before and after each operation.
 */

import type { ContentClass } from '../base/state.ts'

/** How a part of the address space is backed. */
export type Backing = 'file' | 'anon' | 'special'

export interface BaseVma {
  readonly name: BasePart
  /** First virtual page. */
  readonly start: number
  readonly pages: number
  /** As /proc/PID/maps prints it. */
  readonly perms: 'r--p' | 'r-xp' | 'rw-p' | 'rw-s'
  readonly backing: Backing
  /** Name in the last column of /proc/PID/maps. */
  readonly path: string
  /** First page of the file. */
  readonly pageOffset: number
  readonly stack: boolean
}

export type BasePart = 'header' | 'text' | 'rodata' | 'relro' | 'data' | 'bss' | 'heap' | 'control' | 'vvar' | 'vdso' | 'stack'

/** A page of a part, and how it is touched. */
export type Touch = readonly [part: BasePart, page: number, how: 'read' | 'write']

/** Consecutive pages that the first process holds: of its file, of its own, or the page of zeros. */
export interface Held {
  readonly part: BasePart
  readonly from: number
  readonly pages: number
  readonly what: 'file' | 'anon' | 'zero'
}

const vma = (
  name: BasePart,
  start: number,
  pages: number,
  perms: BaseVma['perms'],
  backing: Backing,
  path: string,
  pageOffset = 0,
): BaseVma => ({
  name,
  start,
  pages,
  perms,
  backing,
  path,
  pageOffset,
  stack: name === 'stack',
})

const held = (part: BasePart, from: number, pages: number, what: Held['what']): Held => ({ part, from, pages, what })
const reads = (part: BasePart, from: number, to: number): Touch[] => Array.from({ length: to - from }, (_, i) => [part, from + i, 'read'])
const writes = (part: BasePart, ...pages: number[]): Touch[] => pages.map(page => [part, page, 'write'])

const INIT_FILE = '/init'
const CONTROL_FILE = '/ctl'
/** Pages of ramfs files: the executor, its control area, the workload's text and its settings. */
export const RAMFS_FILES: readonly { readonly path: string; readonly pages: number }[] = [
  { path: INIT_FILE, pages: 249 },
  { path: '/scenario', pages: 1 },
  { path: '/mmx.conf', pages: 1 },
  { path: CONTROL_FILE, pages: 382 },
]

const VMAS: readonly BaseVma[] = [
  vma('header', 0x400, 1, 'r--p', 'file', INIT_FILE),
  vma('text', 0x401, 170, 'r-xp', 'file', INIT_FILE, 0x1),
  vma('rodata', 0x4ab, 46, 'r--p', 'file', INIT_FILE, 0xab),
  vma('relro', 0x4d9, 4, 'r--p', 'file', INIT_FILE, 0xd9),
  vma('data', 0x4dd, 3, 'rw-p', 'file', INIT_FILE, 0xdd),
  vma('bss', 0x4e0, 25, 'rw-p', 'anon', '[heap]'),
  vma('heap', 0x4f9, 34, 'rw-p', 'anon', '[heap]'),
  vma('control', 0x7ffff7e7b, 382, 'rw-s', 'file', CONTROL_FILE),
  vma('vvar', 0x7ffff7ff9, 4, 'r--p', 'special', '[vvar]'),
  vma('vdso', 0x7ffff7ffd, 2, 'r-xp', 'special', '[vdso]'),
  vma('stack', 0x7ffffffde, 33, 'rw-p', 'anon', '[stack]'),
]

/** What the first process holds when the first line of a workload runs. Anonymous pages over file parts were copied on write. */
const HELD: readonly Held[] = [
  held('header', 0, 1, 'file'),
  held('text', 0, 170, 'file'),
  held('rodata', 0, 16, 'file'),
  held('rodata', 21, 16, 'file'),
  held('relro', 0, 2, 'file'),
  held('relro', 2, 2, 'anon'),
  held('data', 0, 3, 'anon'),
  held('bss', 0, 1, 'anon'),
  held('bss', 3, 4, 'anon'),
  held('bss', 17, 2, 'anon'),
  held('bss', 19, 1, 'zero'),
  held('bss', 23, 2, 'anon'),
  held('heap', 0, 2, 'anon'),
  held('control', 0, 382, 'file'),
  held('vdso', 0, 1, 'file'),
  held('stack', 24, 9, 'anon'),
]

/** What the executor writes into its own memory: words among zeros, which compress well. */
export const EXECUTOR_CONTENT: ContentClass = { kind: 'comp', key: 'comp:10:executor', incompressible: 10, sameFilled: false }

/** Pages of the control area that a worker's slot takes: slot n starts at n times that. */
export const SLOT_PAGES = 7
const slot = (n: number): Touch => ['control', n * SLOT_PAGES, 'read']

/** Touches in the order in which they happen; parents go on before their children run. */
const TOUCHES = {
  /** The first process, before it forks and after. */
  spawnBefore: writes('bss', 1),
  spawnParent: [...writes('stack', 32, 31), ...writes('bss', 3, 4, 6, 17)],
  spawnChild: (n: number): Touch[] => [
    ...writes('stack', 32, 31),
    ...writes('data', 1),
    ...writes('bss', 18),
    ...writes('heap', 0),
    slot(n),
    ['header', 0, 'read'],
    ...reads('text', 0, 170),
    ...writes('bss', 23),
    ['rodata', 0, 'read'],
    ['rodata', 16, 'read'],
    ...reads('bss', 8, 17),
    ...reads('bss', 20, 23),
  ],
  /** A worker, at every operation after the first. */
  nextOperation: [...writes('bss', 2, 18), ...writes('heap', 0)],
  /** The first process, at every sample. */
  sample: writes('bss', 5),
  /** A worker that has cleared marks: of writes to its own pages too, which are write-protected for it. */
  clearRefs: [...writes('stack', 30, 31), ...writes('bss', 18)],
  /** A worker that handles a signal. */
  signal: writes('data', 1),
  /** A worker that checks contents: the page it compares with. */
  check: writes('bss', 1),
  /** A worker with a userfaultfd: at its opening, when its handler's thread begins, whenever that runs, and when it gets a descriptor. */
  uffdOpen: writes('data', 0),
  uffdHandler: [...writes('bss', 14), ...writes('heap', 1)],
  uffdThread: writes('bss', 14, 15),
  uffdThreadFork: writes('bss', 17),
  /** A worker, at its first operation, and soon after it. */
  firstOperation: [['rodata', 21, 'read'], ...writes('bss', 2), ...writes('stack', 30)],
  afterFirstOperation: [['vdso', 0, 'read'], ...writes('bss', 4)],
  /** A worker that forks, and its child; the first process waits for both. */
  forkParent: writes('stack', 31),
  forkChild: (n: number): Touch[] => [
    ...writes('stack', 30, 31),
    ...writes('data', 0),
    ...writes('bss', 17, 18),
    ...writes('heap', 0),
    slot(n),
    ['header', 0, 'read'],
    ...reads('text', 0, 170),
    ['bss', 7, 'read'],
  ],
  forkParentAfter: writes('stack', 30),
  forkedParentAfter: [...writes('stack', 30), ...writes('bss', 18)],
  forkInit: writes('bss', 1),
  /** That child, at its first operation. */
  forkedFirstOperation: [['rodata', 0, 'read'], ...writes('bss', 2), ['vdso', 0, 'read']],
} as const satisfies Readonly<Record<string, readonly Touch[] | ((slot: number) => Touch[])>>

export const BASE_PROCESS = { vmas: VMAS, held: HELD, touches: TOUCHES } as const

/** Page tables of the first process that nr_page_table_pages counts: PTE and PMD tables. */
const FIRST_PROCESS_TABLES = 9
const anonPages = HELD.filter(each => each.what === 'anon').reduce((sum, each) => sum + each.pages, 0)
const ramfsPages = RAMFS_FILES.reduce((sum, file) => sum + file.pages, 0)
/** All pages that the first process and its files take. */
export const FIRST_PROCESS_PAGES = ramfsPages + anonPages + FIRST_PROCESS_TABLES

/** Committed_AS of the first process and the kernel's own shared mappings, in pages: it is 396 kB on every machine. */
export const COMMITTED_PAGES = 99
