/** migrate_pages and move_pages: what moves, what is said of each page, and in which order mistakes are found. */
import { describe, expect, it } from 'vitest'
import { EINVAL, EPERM, ESRCH } from '../../../src/kernel/base/errno.ts'
import { MPOL_MF_MOVE, MPOL_MF_MOVE_ALL, MPOL_MF_STRICT } from '../../../src/kernel/base/flags.ts'
import { sysMigratePages } from '../../../src/kernel/calls/migrate_pages.ts'
import { sysMovePages } from '../../../src/kernel/calls/move_pages.ts'
import { taskFork } from '../../../src/kernel/calls/task.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'
import { told } from './lab.ts'

const BASE = 0x200000000000
const PAGE = 4096

describe('migrate_pages', () => {
  it('moves whole sets of nodes without filling one that is still to be emptied', () => {
    const { line, nodes } = told(`machine nodes=3 mem=96M,96M,96M cpus=1,1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0
      A mmap R 12M
      A mbind R interleave:0-1
      A touch R write
      A migrate_pages 0,1 1,2
      A pagemap R`)
    expect(line('A migrate_pages 0,1 1,2').ret).toBeLessThan(400)
    expect(nodes('A R')).toEqual({ 1: 1536, 2: 1536 })
  })

  it('leaves pages that are on a target node, where there are fewer targets than sources', () => {
    const { nodes } = told(`machine nodes=3 mem=96M,96M,96M cpus=1,1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0
      A mmap R 12M
      A mbind R interleave:0-2
      A touch R write
      A migrate_pages 0-2 1
      A pagemap R`)
    expect(nodes('A R')).toEqual({ 1: 3072 })
  })

  it('ends with ENOMEM when a node is full, with what was moved by then', () => {
    const { line, nodes } = told(`machine nodes=2 mem=192M,64M cpus=1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0
      A mmap R 96M
      A touch R write
      A migrate_pages 0 1
      A pagemap R`)
    expect(line('A migrate_pages 0 1').err).toBe('ENOMEM')
    expect(nodes('A R')[1]).toBeGreaterThan(1000)
  })

  it('gives way to kswapd of the node that runs full, which tries sixteen times', () => {
    const { counter } = told(`machine nodes=2 mem=192M,64M cpus=1,1
      cmdline transparent_hugepage=never numa_balancing=disable
      spawn A cpu=0
      A mmap R 96M
      A touch R write
      A migrate_pages 0 1
      sample after`)
    expect(counter('/proc/vmstat', 'pageoutrun', 'after')).toBeGreaterThanOrEqual(16)
  })

  it('refuses masks that are too long, strangers, other users and nodes that are not allowed, in this order', () => {
    const k = bootSmall([96, 96])
    const root = runInit(k)
    const other = taskFork(k, root)
    if (typeof other === 'number') throw new Error('no child')
    expect(sysMigratePages(k, root, 0, 40_000, [0], [1])).toBe(-EINVAL)
    expect(sysMigratePages(k, root, 4711, 64, [0], [1])).toBe(-ESRCH)
    expect(sysMigratePages(k, root, 0, 64, [0], [7])).toBe(-EINVAL)
    other.uid = 1000
    expect(sysMigratePages(k, other, root.pid, 64, [0], [1])).toBe(-EPERM)
    expect(sysMigratePages(k, other, 0, 64, [0], [1, 7])).toBe(-EPERM)
    expect(sysMigratePages(k, root, other.pid, 64, [], [1])).toBe(0)
    expect(verify(k)).toEqual([])
  })

  it('moves pages that others map only for those with CAP_SYS_NICE', () => {
    const program = (rights: string) => `spawn A cpu=0
      A mmap R 4M
      A touch R write
      fork A B
      ${rights}
      A migrate_pages 0 1
      A pagemap R`
    expect(told(program('A get_mempolicy')).nodes('A R')).toEqual({ 1: 1024 })
    expect(told(program('A setuid 1000')).nodes('A R')).toEqual({ 0: 1024 })
  })
})

describe('move_pages', () => {
  it('says of each page where it is, or why there is nothing', () => {
    const { line } = told(`spawn A cpu=0
      A mmap R 8M
      A touch R write 0 2M
      A touch R read 2M 1M
      A move_pages R 0 8M query
      A mmap S 4M flags=shared
      A move_pages S 0 4M query
      A move_pages R 7M 2M query`)
    expect(line('A move_pages R 0 8M query').status).toEqual({ 0: 512, '-EFAULT': 1536 })
    expect(line('A move_pages S 0 4M query').status).toEqual({ '-ENOENT': 1024 })
    expect(line('A move_pages R 7M 2M query').status).toEqual({ '-EFAULT': 512 })
  })

  it('moves what is elsewhere, and refuses pages that others map', () => {
    const { line, nodes } = told(`spawn A cpu=0
      A mmap R 4M
      A touch R write
      A move_pages R 0 2M 1
      A pagemap R
      fork A B
      A move_pages R 2M 2M 1
      A pagemap R`)
    expect(line('A move_pages R 0 2M 1')).toMatchObject({ ret: 0, status: { 1: 512 } })
    expect(nodes('A R', 0)).toEqual({ 0: 512, 1: 512 })
    expect(line('A move_pages R 2M 2M 1').status).toEqual({ '-EACCES': 512 })
    expect(nodes('A R', 1)).toEqual({ 0: 512, 1: 512 })
  })

  it('moves a huge page whole: its first page takes it, the second one finds it gone, the others find it arrived', () => {
    const { line, nodes, counter } = told(`machine nodes=2 mem=320M,320M cpus=1,1
      cmdline transparent_hugepage=always numa_balancing=disable
      spawn A cpu=0
      A mmap R 4M
      A touch R write
      A move_pages R 0 2M 1
      A pagemap R
      sample moved`)
    expect(line('A move_pages R 0 2M 1').status).toEqual({ 1: 511, '-EBUSY': 1 })
    expect(nodes('A R')).toEqual({ 0: 512, 1: 512 })
    expect(counter('/proc/vmstat', 'thp_migration_success', 'moved')).toBe(1)
  })

  it('ends with ENODEV at a node without memory, leaving the statuses untouched', () => {
    const { line } = told(`spawn A cpu=0
      A mmap R 2M
      A touch R write
      A move_pages R 0 2M 5`)
    expect(line('A move_pages R 0 2M 5')).toMatchObject({ err: 'ENODEV', status: { untouched: 512 } })
  })

  it('refuses unknown flags before missing rights, and those before strangers', () => {
    const k = bootSmall([96, 96])
    const task = runInit(k)
    mapAnon(k, task, BASE, PAGE)
    touch(k, task, BASE, PAGE, true)
    const status = new Int32Array(1)
    expect(sysMovePages(k, task, 4711, [BASE], undefined, status, MPOL_MF_STRICT)).toBe(-EINVAL)
    task.uid = 1000
    expect(sysMovePages(k, task, 4711, [BASE], undefined, status, MPOL_MF_MOVE_ALL)).toBe(-EPERM)
    expect(sysMovePages(k, task, 4711, [BASE], undefined, status, MPOL_MF_MOVE)).toBe(-ESRCH)
    expect(sysMovePages(k, task, 0, [BASE], [1], status, MPOL_MF_MOVE)).toBe(0)
    expect([...status]).toEqual([1])
    expect(verify(k)).toEqual([])
  })
})

describe('mbind', () => {
  it('moves a huge page in pieces to a node that has no huge one, each piece to where its own place says', () => {
    const { line, nodes, counter } = told(`machine nodes=2 mem=320M,320M cpus=1,1
      cmdline transparent_hugepage=always numa_balancing=disable
      spawn X cpu=1 policy=bind:1
      write /proc/sys/vm/compact_unevictable_allowed 0
      X mmap R 260M
      X madvise R nohugepage
      X mlock R
      X madvise R dontneed_locked 0 260M stride=64K span=16K
      spawn A cpu=0
      A mmap T 48M
      A touch T write content=page
      A mbind T bind:1 flags=move
      A check T content=page
      A pagemap T
      sample moved`)
    expect(line('A mbind T bind:1 flags=move').ret).toBe(0)
    expect(counter('/proc/vmstat', 'thp_migration_split', 'moved')).toBeGreaterThan(0)
    expect(line('A check T content=page')).toMatchObject({ match: 12288, differ: 0 })
    expect(nodes('A T')[1]).toBeGreaterThan(6000)
  })
})
