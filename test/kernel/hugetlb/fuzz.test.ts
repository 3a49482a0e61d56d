/** Random programs over huge TLB pages: whatever they do, the pools add up after every step, and at the end everything is back. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_HUGETLB,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  MPOL_BIND,
  MPOL_INTERLEAVE,
  MPOL_MF_MOVE,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_READ,
  PROT_WRITE,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { OpenFile, SuperBlock } from '../../../src/kernel/base/state_fs.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { asNode } from '../../../src/kernel/base/units.ts'
import { fileOpen, fput } from '../../../src/kernel/caches/files.ts'
import { superBlockCreate } from '../../../src/kernel/caches/inode.ts'
import { hugetlbfsCreate, hugetlbfsFallocate, hugetlbfsMount, hugetlbfsTruncate } from '../../../src/kernel/calls/hugetlb_fs.ts'
import { storeDemote, storeNodeNrHugepages, storeNrHugepages, storeNrOvercommitHugepages } from '../../../src/kernel/calls/hugetlb_sysfs.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { sysMbind } from '../../../src/kernel/calls/mbind.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { sysMremap } from '../../../src/kernel/calls/mremap.ts'
import { taskExit, taskFork } from '../../../src/kernel/calls/task.ts'
import { sysMunmap } from '../../../src/kernel/calls/unmap.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { verifyHugetlb } from '../../../src/kernel/verify_hugetlb.ts'
import { bootSmall, runInit, touch } from '../machine.ts'

const HUGE = 2 ** 21
/** Places for mappings: four of eight huge pages each. */
const SLOT_PAGES = 8
const MOVE = MREMAP_MAYMOVE | MREMAP_FIXED
const slotAt = (slot: number) => 0x200000000000 + slot * 2 * SLOT_PAGES * HUGE

interface Player {
  readonly k: Kernel
  readonly tasks: Task[]
  readonly files: OpenFile[]
}

/** One random step; numbers are taken modulo what there is. */
interface Step {
  readonly op: number
  readonly who: number
  readonly slot: number
  readonly first: number
  readonly pages: number
  readonly flag: number
}

function setUp(mount: string): Player {
  const k = bootSmall([96, 96], { cmdline: [['transparent_hugepage', 'never']] })
  const init = runInit(k)
  k.cpu = 0
  const fields = hugetlbfsMount(k, mount)
  if (typeof fields === 'number') throw new Error(`mount fails with ${fields}`)
  const sb: SuperBlock = superBlockCreate(k, 'hugetlbfs', '/h', fields)
  const inode = hugetlbfsCreate(k, sb, '/h/f', { directory: false, mode: 0o600, task: init })
  if (typeof inode === 'number') throw new Error(`create fails with ${inode}`)
  return { k, tasks: [init], files: [fileOpen(k, inode, { read: true, write: true })] }
}

function play({ k, tasks, files }: Player, { op, who, slot, first, pages, flag }: Step): void {
  const task = tasks[who % tasks.length]
  const h = k.hugetlb.hstates[0]
  const base = slotAt(slot % 4)
  const at = base + (first % SLOT_PAGES) * HUGE
  const bytes = (1 + (pages % SLOT_PAGES)) * HUGE
  k.current = task
  switch (op % 16) {
    case 0:
      storeNrHugepages(k, h, (first + pages) % 14, undefined)
      break
    case 1:
      storeNodeNrHugepages(k, h, first % 8, asNode(flag % 2))
      break
    case 2:
      storeNrOvercommitHugepages(h, first % 5)
      break
    case 3:
    case 4: {
      const file = flag % 2 === 0 ? files[0] : undefined
      const kind = (flag & 2) === 0 ? MAP_PRIVATE : MAP_SHARED
      const flags = MAP_FIXED | kind | ((flag & 4) === 0 ? 0 : MAP_NORESERVE) | (file === undefined ? MAP_ANONYMOUS | MAP_HUGETLB : 0)
      sysMmap(k, task, {
        address: base,
        bytes,
        prot: PROT_READ | PROT_WRITE,
        flags,
        file,
        pgoff: file === undefined ? 0 : (first % 4) * 512,
      })
      break
    }
    case 5:
    case 6:
    case 7:
      for (let page = 0; page < bytes / HUGE; page++) touch(k, task, at + page * HUGE, 4096, flag % 3 !== 0)
      break
    case 8:
      sysMunmap(k, task, at, bytes)
      break
    case 9: {
      const child = tasks.length < 4 ? taskFork(k, task) : 0
      if (typeof child !== 'number') tasks.push(child)
      break
    }
    case 10:
      if (tasks.length > 1) taskExit(k, must(tasks.splice(1 + (who % (tasks.length - 1)), 1)[0], 'no task'))
      break
    case 11:
      sysMadvise(k, task, at, bytes, MADV_DONTNEED)
      break
    case 12:
      hugetlbfsFallocate(k, files[0], flag % 2 === 0 ? 0 : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (first % 8) * HUGE, bytes)
      break
    case 13:
      hugetlbfsTruncate(k, files[0].inode, (first % 12) * HUGE)
      break
    case 14:
      if (flag % 2 === 0) sysMprotect(k, task, at, bytes, flag % 4 === 0 ? PROT_READ : PROT_READ | PROT_WRITE)
      else sysMremap(k, task, { address: at, oldBytes: bytes, newBytes: bytes, flags: MOVE, newAddress: slotAt(first % 4) })
      break
    default: {
      const request = { mode: flag % 2 === 0 ? MPOL_BIND : MPOL_INTERLEAVE, flags: 0, nodes: [first % 2], maxnode: 64 }
      sysMbind(k, task, at, bytes, request, flag % 3 === 0 ? MPOL_MF_MOVE : 0)
    }
  }
}

const number = fc.integer({ min: 0, max: 63 })
const step = fc.record({ op: number, who: number, slot: number, first: number, pages: number, flag: number })
const mounts = fc.constantFrom('', 'size=12M', 'min_size=0', 'size=16M,min_size=0')

describe('pools of huge TLB pages', () => {
  it('add up after every step of any program, and are whole again when everybody is gone', () => {
    fc.assert(
      fc.property(mounts, fc.array(step, { minLength: 1, maxLength: 60 }), (mount, steps) => {
        const player = setUp(mount)
        const { k, tasks, files } = player
        storeNrHugepages(k, k.hugetlb.hstates[0], 8, undefined)
        for (const each of steps) {
          play(player, each)
          expect(verifyHugetlb(k)).toEqual([])
        }
        expect(verify(k)).toEqual([])
        for (const task of tasks.slice(1)) taskExit(k, task)
        k.current = tasks[0]
        for (let slot = 0; slot < 4; slot++) sysMunmap(k, tasks[0], slotAt(slot), SLOT_PAGES * HUGE)
        files[0].inode.nlink = 0
        fput(k, files[0])
        const h = k.hugetlb.hstates[0]
        expect([h.resvHugePages, h.nrHugePages - h.freeHugePages]).toEqual([0, 0])
        // A pool that shrank below its promises may keep surplus pages; growing makes them its own again.
        storeNrHugepages(k, h, 24, undefined)
        storeNrHugepages(k, h, 0, undefined)
        expect([h.nrHugePages, h.surplusHugePages]).toEqual([0, 0])
        expect(verify(k)).toEqual([])
      }),
      { numRuns: 40, seed: 1 },
    )
  })

  it('stay whole when pages of 1 GiB are cut up', () => {
    const k = bootSmall([6144])
    const [huge, giant] = k.hugetlb.hstates
    storeNrHugepages(k, giant, 1, undefined)
    expect(giant.nrHugePages).toBe(1)
    expect(storeDemote(k, giant, 1, asNode(-1))).toBe(0)
    expect([giant.nrHugePages, huge.nrHugePages, huge.freeHugePages]).toEqual([0, 512, 512])
    expect(verifyHugetlb(k)).toEqual([])
  })
})
