import * as fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { EACCES, EINVAL, EISDIR, ENOENT } from '../../src/kernel/base/errno.ts'
import type { Kernel } from '../../src/kernel/base/state.ts'
import type { Task } from '../../src/kernel/base/state_mm.ts'
import { taskFork } from '../../src/kernel/calls/task.ts'
import { entryValue, pteIndex, pteTable } from '../../src/kernel/spaces/pagetable.ts'
import { KPF_NAMES } from '../../src/procfs/pagemap.ts'
import { procReadBytes } from '../../src/procfs/tree.ts'
import { bootSmall, mapAnon, runInit, touch } from '../kernel/machine.ts'

const BASE = 0x200000000000
const PAGE = BASE / 4096
const MIB = 2 ** 20

describe('files of numbers', () => {
  let k: Kernel
  let task: Task
  beforeEach(() => {
    k = bootSmall([256])
    task = runInit(k)
    mapAnon(k, task, BASE, MIB)
    touch(k, task, BASE, MIB / 2, true)
  })
  const bytes = (path: string, position: number, count: number, who?: Task): Uint8Array => {
    const read = procReadBytes(k, who, path, position, count)
    if (typeof read === 'number') throw new Error(`${path}: ${read}`)
    return read
  }
  const words = (path: string, first: number, n: number, who?: Task): bigint[] => {
    const read = bytes(path, 8 * first, 8 * n, who)
    return Array.from({ length: read.length / 8 }, (_, i) => new DataView(read.buffer, read.byteOffset).getBigUint64(8 * i, true))
  }
  const frame = (page: number): number => entryValue(k, pteTable(k, task.mm ?? fail(), PAGE + page), pteIndex(PAGE + page))
  const fail = (): never => {
    throw new Error('no memory')
  }

  it('give a word a page of the process: present, soft-dirty, mapped once, and its frame', () => {
    const [first, , untouched] = [0, 1, 128].map(page => words(`/proc/${task.pid}/pagemap`, PAGE + page, 1)[0])
    expect(first).toBe((1n << 63n) | (1n << 56n) | (1n << 55n) | BigInt(frame(0)))
    expect(untouched).toBe(1n << 55n)
  })

  it('hide page frames, and nothing else, from readers without CAP_SYS_ADMIN', () => {
    task.uid = 1000
    expect(words('/proc/self/pagemap', PAGE, 1, task)[0]).toBe((1n << 63n) | (1n << 56n) | (1n << 55n))
    expect(procReadBytes(k, task, '/proc/kpageflags', 0, 8)).toBe(-EACCES)
    expect(procReadBytes(k, task, '/sys/kernel/mm/page_idle/bitmap', 0, 8)).toBe(-EACCES)
  })

  it("are no business of another user's processes", () => {
    const child = taskFork(k, task)
    if (typeof child === 'number') throw new Error('fork')
    child.uid = 1000
    expect(procReadBytes(k, child, `/proc/${task.pid}/pagemap`, 8 * PAGE, 8)).toBe(-EACCES)
    expect(words(`/proc/${child.pid}/pagemap`, PAGE, 1, task)[0] >> 63n).toBe(1n)
  })

  it('are read in whole words from a word on, or not at all', () => {
    for (const path of [`/proc/${task.pid}/pagemap`, '/proc/kpageflags', '/proc/kpagecount', '/proc/kpagecgroup'])
      for (const [position, count] of [
        [4, 8],
        [0, 12],
        [7, 1],
      ])
        expect([path, procReadBytes(k, undefined, path, position, count)]).toEqual([path, -EINVAL])
    expect(bytes(`/proc/${task.pid}/pagemap`, 0, 0)).toHaveLength(0)
  })

  it('end where the address space ends, and where the last section of memory ends', () => {
    const end = 2 ** 44 - 1
    expect(bytes(`/proc/${task.pid}/pagemap`, 8 * (end - 2), 64)).toHaveLength(16)
    expect(bytes(`/proc/${task.pid}/pagemap`, 8 * end, 64)).toHaveLength(0)
    const frames = Math.ceil(k.maxPfn / 32768) * 32768
    for (const file of ['/proc/kpageflags', '/proc/kpagecount', '/proc/kpagecgroup']) {
      expect(bytes(file, 8 * (frames - 3), 80)).toHaveLength(24)
      expect(bytes(file, 8 * frames, 80)).toHaveLength(0)
    }
  })

  it('say how often each frame is mapped, and by whose memory cgroup it is paid', () => {
    const child = taskFork(k, task)
    expect(typeof child).toBe('object')
    expect(words('/proc/kpagecount', frame(3), 1)).toEqual([2n])
    expect(words('/proc/kpagecgroup', frame(3), 1)).toEqual([BigInt(k.memcg.groups[0]?.cgroup ?? -1)])
    expect(words('/proc/kpagecgroup', task.stack[0], 1)).toEqual([0n])
  })

  it('say what a frame is: memory of a process, kept by boot, free, or nothing', () => {
    const flags = (pfn: number) => {
      const [word] = words('/proc/kpageflags', pfn, 1)
      return KPF_NAMES.filter((_, bit) => ((word >> BigInt(bit)) & 1n) === 1n)
    }
    expect(flags(frame(1))).toEqual(expect.arrayContaining(['ANON', 'MMAP', 'SWAPBACKED', 'UPTODATE']))
    expect(flags(0)).toEqual(['RESERVED'])
    expect(flags(k.boot.reserved[0].start)).toEqual(['RESERVED'])
    const counts = new Map<string, number>()
    for (let pfn = 0; pfn < k.maxPfn; pfn += 97) for (const name of flags(pfn)) counts.set(name, (counts.get(name) ?? 0) + 1)
    expect(counts.get('BUDDY')).toBeGreaterThan(300)
    expect(counts.get('NOPAGE')).toBeUndefined()
  })

  it('are empty for a process that has ended, and not there for one that never was', () => {
    const child = taskFork(k, task)
    if (typeof child === 'number') throw new Error('fork')
    child.mm = undefined
    expect(bytes(`/proc/${child.pid}/pagemap`, 0, 64)).toHaveLength(0)
    expect(procReadBytes(k, undefined, '/proc/99999/pagemap', 0, 8)).toBe(-ENOENT)
    expect(procReadBytes(k, undefined, '/proc', 0, 8)).toBe(-EISDIR)
    expect(procReadBytes(k, undefined, '/proc/meminfo', 0, 8)).toBe(-EINVAL)
  })

  it('give the same words however a range is cut into reads', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 64 }),
        (first, n, piece) => {
          for (const [path, from] of [
            [`/proc/${task.pid}/pagemap`, PAGE - 20],
            ['/proc/kpageflags', frame(0) - 100],
          ] as const) {
            const pieces: bigint[] = []
            for (let at = 0; at < n; at += piece) pieces.push(...words(path, from + first + at, Math.min(piece, n - at)))
            expect(pieces).toEqual(words(path, from + first, n))
          }
        },
      ),
      { numRuns: 30 },
    )
  })
})
