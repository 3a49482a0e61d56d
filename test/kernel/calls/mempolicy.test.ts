/** The system calls of NUMA policies: what they refuse, what they say, and where pages then are. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EFAULT, EINVAL, EIO, ENOENT, EOPNOTSUPP, EPERM } from '../../../src/kernel/base/errno.ts'
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_SHARED,
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_ADDR,
  MPOL_F_MEMS_ALLOWED,
  MPOL_F_NODE,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_MF_MOVE,
  MPOL_MF_MOVE_ALL,
  MPOL_MF_STRICT,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { asPfn } from '../../../src/kernel/base/units.ts'
import { sysMbind, sysSetMempolicyHomeNode } from '../../../src/kernel/calls/mbind.ts'
import { type PolicyRequest, sysGetMempolicy, sysSetMempolicy } from '../../../src/kernel/calls/mempolicy.ts'
import { sysMmap } from '../../../src/kernel/calls/mmap.ts'
import { sysMprotect } from '../../../src/kernel/calls/mprotect.ts'
import { taskFork } from '../../../src/kernel/calls/task.ts'
import { accessPage } from '../../../src/kernel/fault/touch.ts'
import { pageNode } from '../../../src/kernel/frames/page.ts'
import { vmasIn } from '../../../src/kernel/spaces/vma.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { HUGE, labOf, map as mapHuge, write as writeHuge } from '../hugetlb/lab.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'

const BASE = 0x200000000000
const PAGE = 4096

let k: Kernel
let task: Task

beforeEach(() => {
  k = bootSmall([96, 96])
  task = runInit(k)
  k.cpu = 0
  mapAnon(k, task, BASE, 64 * PAGE, MAP_FIXED)
})

afterEach(() => {
  expect(verify(k)).toEqual([])
})

const asking = (mode: number, nodes: readonly number[] = [], flags = 0): PolicyRequest => ({ mode, flags, nodes, maxnode: 64 })
const set = (...request: Parameters<typeof asking>) => sysSetMempolicy(k, task, asking(...request))
const get = (flags: number, address = 0) => sysGetMempolicy(k, task, flags, address, 64)
const mbind = (page: number, pages: number, request: PolicyRequest, flags = 0) =>
  sysMbind(k, task, BASE + page * PAGE, pages * PAGE, request, flags)

/** The node of each page, which is read in if it is not there. */
const nodesAt = (pages: readonly number[], who = task) =>
  pages.map(page => {
    const to = { pfn: asPfn(0), fault: 0 }
    k.vmf.vpn[0] = BASE / PAGE + page
    accessPage(k, must(who.mm, 'no memory'), false, to)
    return Number(pageNode(k, to.pfn))
  })

const areas = () => vmasIn(must(task.mm, 'no memory'), BASE / PAGE, BASE / PAGE + 64).length
const write = (page: number, pages: number) => touch(k, task, BASE + page * PAGE, pages * PAGE, true)

describe('set_mempolicy', () => {
  it('names no node of a page that the program may not read', () => {
    mapAnon(k, task, BASE + 128 * PAGE, PAGE, MAP_FIXED)
    expect(sysMprotect(k, task, BASE + 128 * PAGE, PAGE, 0)).toBe(0)
    expect(get(MPOL_F_NODE | MPOL_F_ADDR, BASE + 128 * PAGE)).toBe(-EFAULT)
  })

  it('says where new pages are', () => {
    set(MPOL_BIND, [1])
    write(0, 2)
    set(MPOL_INTERLEAVE, [0, 1])
    write(2, 4)
    set(MPOL_PREFERRED, [1])
    write(6, 2)
    set(MPOL_DEFAULT)
    write(8, 2)
    expect(nodesAt([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual([1, 1, 0, 1, 0, 1, 1, 1, 0, 0])
  })

  it('refuses unknown modes, nodes without memory and flags that exclude each other', () => {
    const refused = [set(9), set(MPOL_BIND), set(MPOL_BIND, [2]), set(MPOL_BIND, [0], 0xc000), set(MPOL_LOCAL, [0]), set(MPOL_DEFAULT, [1])]
    expect(refused).toEqual(refused.map(() => -EINVAL))
  })

  it('is passed on to children', () => {
    set(MPOL_BIND, [1])
    const child = taskFork(k, task)
    if (typeof child === 'number') throw new Error(`fork: ${child}`)
    k.current = child
    touch(k, child, BASE, PAGE, true)
    expect(nodesAt([0], child)).toEqual([1])
  })
})

describe('get_mempolicy', () => {
  it('shows the policy with its flags, and static nodes as they were asked for', () => {
    expect(get(0)).toEqual({ mode: MPOL_DEFAULT, nodes: 0 })
    set(MPOL_BIND, [0, 1, 5], MPOL_F_STATIC_NODES)
    expect(get(0)).toEqual({ mode: MPOL_BIND | MPOL_F_STATIC_NODES, nodes: 0b100011 })
    set(MPOL_INTERLEAVE, [0, 1])
    expect(get(MPOL_F_NODE)).toEqual({ mode: 0, nodes: 0 })
    write(0, 1)
    expect(get(MPOL_F_NODE)).toEqual({ mode: 1, nodes: 0 })
    expect(get(MPOL_F_MEMS_ALLOWED)).toEqual({ mode: 0, nodes: 0b11 })
  })

  it('shows the policy of an area, or the node of a page, which it reads in', () => {
    mbind(0, 4, asking(MPOL_PREFERRED, [1]))
    expect(get(MPOL_F_ADDR, BASE + PAGE)).toEqual({ mode: MPOL_PREFERRED, nodes: 0b10 })
    write(0, 1)
    expect(get(MPOL_F_ADDR | MPOL_F_NODE, BASE)).toEqual({ mode: 1, nodes: 0 })
    expect(get(MPOL_F_ADDR | MPOL_F_NODE, BASE + 8 * PAGE)).toEqual({ mode: 0, nodes: 0 })
  })

  it('refuses flags that do not go together', () => {
    const refused = [
      get(8),
      get(MPOL_F_NODE),
      get(0, BASE),
      get(MPOL_F_MEMS_ALLOWED | MPOL_F_ADDR, BASE),
      sysGetMempolicy(k, task, 0, 0, 1),
    ]
    expect(refused).toEqual(refused.map(() => -EINVAL))
    expect(get(MPOL_F_ADDR, BASE - 2 ** 30)).toBe(-EFAULT)
  })
})

describe('mbind', () => {
  it('splits areas where policies differ, and joins them where they do not', () => {
    expect(mbind(8, 8, asking(MPOL_BIND, [1]))).toBe(0)
    expect(areas()).toBe(3)
    mbind(16, 8, asking(MPOL_BIND, [1]))
    expect(areas()).toBe(3)
    mbind(0, 64, asking(MPOL_BIND, [1]))
    expect(areas()).toBe(1)
    mbind(0, 64, asking(MPOL_DEFAULT))
    expect(areas()).toBe(1)
  })

  it('refuses pages that are elsewhere when it is strict, and moves them when it may', () => {
    write(0, 8)
    expect(mbind(0, 8, asking(MPOL_BIND, [1]), MPOL_MF_STRICT)).toBe(-EIO)
    expect(mbind(0, 8, asking(MPOL_BIND, [1]), MPOL_MF_MOVE)).toBe(0)
    expect(nodesAt([0, 7])).toEqual([1, 1])
    expect(mbind(0, 8, asking(MPOL_BIND, [1]), MPOL_MF_STRICT)).toBe(0)
  })

  it('refuses holes, bad addresses and flags', () => {
    expect(mbind(60, 8, asking(MPOL_BIND, [1]))).toBe(-EFAULT)
    expect(sysMbind(k, task, BASE + 1, PAGE, asking(MPOL_BIND, [1]), 0)).toBe(-EINVAL)
    expect(mbind(0, 1, asking(MPOL_BIND, [1]), 8)).toBe(-EINVAL)
    expect(mbind(0, 0, asking(MPOL_BIND, [1]))).toBe(0)
    task.uid = 1000
    expect(mbind(0, 1, asking(MPOL_BIND, [1]), MPOL_MF_MOVE_ALL)).toBe(-EPERM)
  })

  it('of shared memory is a policy of the object: whoever maps it has it', () => {
    const flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED
    sysMmap(k, task, { address: BASE, bytes: 8 * PAGE, prot: 3, flags, file: undefined, pgoff: 0 })
    mbind(2, 4, asking(MPOL_BIND, [1]))
    const child = taskFork(k, task)
    if (typeof child === 'number') throw new Error(`fork: ${child}`)
    k.current = child
    touch(k, child, BASE, 8 * PAGE, true)
    expect(nodesAt([0, 1, 2, 3, 4, 5, 6, 7], child)).toEqual([0, 0, 1, 1, 1, 1, 0, 0])
  })

  it('interleaves an area by where its pages lie', () => {
    mbind(0, 8, asking(MPOL_INTERLEAVE, [0, 1]))
    for (const page of [5, 0, 3, 2]) write(page, 1)
    const [first] = nodesAt([0])
    expect(nodesAt([2, 3, 5])).toEqual([first, 1 - first, 1 - first])
  })

  it('of huge TLB pages takes and moves pages of the pool', () => {
    const lab = labOf(8, [128, 128])
    mapHuge(lab, 0, 4)
    const at = (pages: number) => [BASE, pages * HUGE] as const
    sysMbind(lab.k, lab.task, ...at(4), asking(MPOL_BIND, [1]), 0)
    writeHuge(lab, 0, 2)
    expect([...lab.h.freeByNode].slice(0, 2)).toEqual([4, 2])
    expect(sysMbind(lab.k, lab.task, ...at(4), asking(MPOL_BIND, [0]), MPOL_MF_STRICT)).toBe(-EIO)
    expect(sysMbind(lab.k, lab.task, ...at(4), asking(MPOL_BIND, [0]), MPOL_MF_MOVE)).toBe(0)
    expect([...lab.h.freeByNode].slice(0, 2)).toEqual([2, 4])
    expect(verify(lab.k)).toEqual([])
  })
})

describe('set_mempolicy_home_node', () => {
  const home = (node: number) => sysSetMempolicyHomeNode(k, task, BASE, 64 * PAGE, node)

  it('goes with policies that have several nodes to begin with', () => {
    expect(home(1)).toBe(-ENOENT)
    mbind(0, 64, asking(MPOL_INTERLEAVE, [0, 1]))
    expect(home(1)).toBe(-EOPNOTSUPP)
    mbind(0, 64, asking(MPOL_PREFERRED_MANY, [0, 1]))
    expect(home(2)).toBe(-EINVAL)
    expect(home(1)).toBe(0)
    write(0, 1)
    expect(nodesAt([0])).toEqual([1])
  })
})
