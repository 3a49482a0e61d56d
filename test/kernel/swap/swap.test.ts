/** Swap seen from processes and files: what goes out, where to, and what comes back. */
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EV, NS } from '../../../src/kernel/base/counters.ts'
import { EBUSY, EINTR, EINVAL, ENOENT, ENOMEM, EPERM } from '../../../src/kernel/base/errno.ts'
import {
  MADV_DONTNEED,
  MADV_FREE,
  MADV_PAGEOUT,
  MADV_WILLNEED,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SWAP,
  PTE_SWP_EXCLUSIVE,
  SWAP_FLAG_PREFER,
} from '../../../src/kernel/base/flags.ts'
import type { Kernel, Machine } from '../../../src/kernel/base/state.ts'
import { waitUntil } from '../../../src/kernel/caches/block.ts'
import { drainSwapSlots, siSwapinfo } from '../../../src/kernel/caches/swap_map.ts'
import { sysSwapoff } from '../../../src/kernel/calls/swapoff.ts'
import { mkswap, sysSwapon } from '../../../src/kernel/calls/swapon.ts'
import { taskExit } from '../../../src/kernel/calls/task.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead, procWrite } from '../../../src/procfs/tree.ts'
import { childOf, event, nodeStat, type Space, spaceOf, zoneStat } from '../calls/space.ts'
import { bootSmall, runInit } from '../machine.ts'

const MIB = 2 ** 20

const swapSpace = (change: Partial<Machine> = {}): Space => {
  const k = bootSmall([160], { swapBytes: 32 * MIB, ...change })
  return spaceOf(k, runInit(k))
}

/** All writes to disk are done. */
const settle = (k: Kernel) => waitUntil(k, Math.max(...k.fs.disks.map(disk => disk.busyUntilNs)))

const usedSlots = (k: Kernel): number => {
  drainSwapSlots(k)
  return k.swap.areas.reduce((sum, area) => sum + (area?.inusePages ?? 0), 0)
}

/** Drops what the swap cache has of pages that nobody maps: by asking for more than there is. */
function press(s: Space, page: number): void {
  const pages = zoneStat(s.k, 'nr_free_pages') + 4000
  s.map(page, pages)
  s.write(page, pages)
  s.unmap(page, pages)
}

describe('pages that are swapped out', () => {
  it('stay in the swap cache until memory is short, and come back from there without being read', () => {
    const s = swapSpace()
    s.map(0, 256)
    s.write(0, 256)
    s.advise(0, 256, MADV_PAGEOUT)
    settle(s.k)
    expect(event(s.k, 'pswpout')).toBe(256)
    expect(nodeStat(s.k, 'nr_swapcached')).toBe(256)
    expect(s.entry(0) & (PTE_SWAP | PTE_SWP_EXCLUSIVE | PTE_SOFT_DIRTY)).toBe(PTE_SWAP | PTE_SWP_EXCLUSIVE | PTE_SOFT_DIRTY)
    s.read(0, 256)
    expect(event(s.k, 'pswpin')).toBe(0)
    expect(s.mm.swapEnts).toBe(0)
    expect(verify(s.k)).toEqual([])
  })

  it('are read eight at a time when they are gone from memory', () => {
    const s = swapSpace()
    s.map(0, 1024)
    s.write(0, 1024)
    s.advise(0, 1024, MADV_PAGEOUT)
    press(s, 2048)
    const majors = event(s.k, 'pgmajfault')
    expect(nodeStat(s.k, 'nr_swapcached')).toBeLessThan(200)
    s.read(0, 1024)
    expect(event(s.k, 'pswpin')).toBeGreaterThan(800)
    expect(event(s.k, 'pgmajfault') - majors).toBeLessThanOrEqual(1024 / 8 + 8)
    expect(event(s.k, 'swap_ra_hit')).toBeGreaterThan(event(s.k, 'swap_ra') * 0.9)
    expect(nodeStat(s.k, 'workingset_refault_anon')).toBe(event(s.k, 'pswpin'))
    expect(verify(s.k)).toEqual([])
  })

  it('give up their slot when they are written to, and keep it when they are only read', () => {
    const s = swapSpace()
    s.map(0, 128)
    s.write(0, 128)
    s.advise(0, 128, MADV_PAGEOUT)
    settle(s.k)
    s.read(0, 64)
    s.write(64, 64)
    expect(usedSlots(s.k)).toBe(64)
    expect(s.entry(64) & PTE_RW).toBe(PTE_RW)
    expect(verify(s.k)).toEqual([])
  })

  it('that were not written to since go a second time without being written', () => {
    const s = swapSpace()
    s.map(0, 64)
    s.write(0, 64)
    s.advise(0, 64, MADV_PAGEOUT)
    settle(s.k)
    s.read(0, 64)
    s.advise(0, 64, MADV_PAGEOUT)
    expect(event(s.k, 'pswpout')).toBe(64)
    expect(nodeStat(s.k, 'nr_swapcached')).toBe(0)
    expect(s.mm.swapEnts).toBe(64)
    expect(verify(s.k)).toEqual([])
  })

  it('are shared by fork: both name the slot, who writes gets a page of his own', () => {
    const s = swapSpace()
    s.map(0, 64)
    s.write(0, 64)
    s.advise(0, 64, MADV_PAGEOUT)
    settle(s.k)
    const child = childOf(s)
    expect(s.entry(0) & PTE_SWP_EXCLUSIVE).toBe(0)
    expect(child.mm.swapEnts).toBe(64)
    child.write(0, 64)
    expect(s.mm.swapEnts).toBe(64)
    expect(usedSlots(s.k)).toBe(64)
    taskExit(s.k, child.task)
    expect(verify(s.k)).toEqual([])
    s.unmap(0, 64)
    expect(usedSlots(s.k)).toBe(0)
    expect(verify(s.k)).toEqual([])
  })

  it('go with their memory: unmapped, discarded, freed lazily', () => {
    const s = swapSpace()
    s.map(0, 256)
    s.write(0, 256)
    s.advise(0, 256, MADV_PAGEOUT)
    settle(s.k)
    s.unmap(0, 64)
    s.advise(64, 64, MADV_DONTNEED)
    s.advise(128, 64, MADV_FREE)
    expect(s.mm.swapEnts).toBe(64)
    expect(usedSlots(s.k)).toBe(64)
    expect(nodeStat(s.k, 'nr_swapcached')).toBe(64)
    expect(verify(s.k)).toEqual([])
  })

  it('are read ahead when they will be needed', () => {
    const s = swapSpace()
    s.map(0, 512)
    s.write(0, 512)
    s.advise(0, 512, MADV_PAGEOUT)
    press(s, 2048)
    const cached = nodeStat(s.k, 'nr_swapcached')
    expect(cached).toBeLessThan(200)
    s.advise(0, 512, MADV_WILLNEED)
    settle(s.k)
    expect(event(s.k, 'pswpin')).toBeGreaterThanOrEqual(512 - cached)
    const majors = event(s.k, 'pgmajfault')
    s.read(0, 512)
    expect(event(s.k, 'pgmajfault')).toBe(majors)
    expect(verify(s.k)).toEqual([])
  })
})

describe('areas of swap', () => {
  it('are switched on with a header only, once, and by root', () => {
    const s = swapSpace({ swapon: false })
    expect(sysSwapon(s.k, s.task, '/dev/vda', 0)).toBe(0)
    expect(sysSwapon(s.k, s.task, '/dev/vda', 0)).toBe(-EBUSY)
    expect(sysSwapon(s.k, s.task, '/dev/vdx', 0)).toBe(-ENOENT)
    expect(sysSwapoff(s.k, s.task, '/dev/vdx')).toBe(-ENOENT)
    expect(sysSwapoff(s.k, s.task, '/dev/vda')).toBe(0)
    expect(sysSwapoff(s.k, s.task, '/dev/vda')).toBe(-EINVAL)
    s.k.swap.headers.clear()
    expect(sysSwapon(s.k, s.task, '/dev/vda', 0)).toBe(-EINVAL)
    expect(mkswap(s.k, s.task, '/dev/vda')).toBe(0)
    s.task.uid = 1000
    expect(sysSwapon(s.k, s.task, '/dev/vda', 0)).toBe(-EPERM)
  })

  it('read everything back when they are switched off, as pages that were not used since', () => {
    const s = swapSpace()
    s.map(0, 1024)
    s.write(0, 1024)
    const child = childOf(s)
    s.advise(0, 1024, MADV_PAGEOUT)
    child.advise(0, 1024, MADV_PAGEOUT)
    press(child, 2048)
    expect(sysSwapoff(s.k, s.task, '/dev/vda')).toBe(0)
    expect(s.mm.swapEnts + child.mm.swapEnts).toBe(0)
    expect(siSwapinfo(s.k)).toEqual({ totalPages: 0, freePages: 0 })
    expect(nodeStat(s.k, 'nr_swapcached')).toBe(0)
    expect(verify(s.k)).toEqual([])
  })

  it('read back what lies in an area that may not be used, and leave it so', () => {
    const s = swapSpace()
    s.map(0, 64)
    s.write(0, 64)
    s.advise(0, 64, MADV_PAGEOUT)
    s.protect(0, 64, 0)
    expect(sysSwapoff(s.k, s.task, '/dev/vda')).toBe(0)
    expect(s.entry(0) & PTE_PROTNONE).toBe(PTE_PROTNONE)
    expect(verify(s.k)).toEqual([])
  })

  it('stay on when a process is killed to make room for what they hold', () => {
    const s = swapSpace({ swapBytes: 256 * MIB })
    s.k.sysctl.overcommit_memory = 1
    const child = childOf(s)
    child.map(0, 60_000)
    child.write(0, 60_000)
    s.k.current = s.task
    expect(sysSwapoff(s.k, s.task, '/dev/vda')).toBe(-EINTR)
    expect(event(s.k, 'oom_kill')).toBe(1)
    expect(siSwapinfo(s.k).totalPages).toBe((256 * MIB) / 4096 - 1)
    expect(sysSwapoff(s.k, s.task, '/dev/vda')).toBe(0)
    expect(verify(s.k)).toEqual([])
  })

  it('are not switched off when promises forbid it', () => {
    const s = swapSpace()
    s.k.sysctl.overcommit_memory = 2
    s.k.sysctl.overcommit_ratio = 0
    expect(sysSwapoff(s.k, s.task, '/dev/vda')).toBe(-ENOMEM)
    expect(siSwapinfo(s.k).totalPages).toBe((32 * MIB) / 4096 - 1)
  })

  it('take turns when their priorities are equal, else the highest first; those without one get falling ones', () => {
    const s = swapSpace({ modules: ['zram'], swapon: false })
    procWrite(s.k, s.task, '/sys/block/zram0/disksize', '32M')
    mkswap(s.k, s.task, '/dev/zram0')
    sysSwapon(s.k, s.task, '/dev/vda', 0)
    sysSwapon(s.k, s.task, '/dev/zram0', 0)
    expect(s.k.swap.areas.map(area => area?.priority)).toEqual([-2, -3])
    sysSwapoff(s.k, s.task, '/dev/vda')
    expect(s.k.swap.areas.map(area => area?.priority)).toEqual([undefined, -2])
    sysSwapoff(s.k, s.task, '/dev/zram0')
    sysSwapon(s.k, s.task, '/dev/vda', SWAP_FLAG_PREFER | 7)
    sysSwapon(s.k, s.task, '/dev/zram0', SWAP_FLAG_PREFER | 7)
    s.map(0, 1024)
    s.write(0, 1024)
    s.advise(0, 1024, MADV_PAGEOUT)
    settle(s.k)
    drainSwapSlots(s.k)
    for (const area of s.k.swap.areas) expect(Math.abs(must(area, 'an area').inusePages - 512)).toBeLessThanOrEqual(64)
    expect(verify(s.k)).toEqual([])
  })

  it('that are full leave pages in memory', () => {
    const s = swapSpace({ swapBytes: 4 * MIB })
    s.map(0, 2048)
    s.write(0, 2048)
    s.advise(0, 2048, MADV_PAGEOUT)
    settle(s.k)
    expect(s.mm.swapEnts).toBe(1023)
    expect(s.mm.rssAnon).toBeGreaterThanOrEqual(1025)
    expect(siSwapinfo(s.k).freePages).toBe(0)
    expect(verify(s.k)).toEqual([])
  })

  it('show what CPUs keep as used', () => {
    const s = swapSpace()
    s.map(0, 4)
    s.write(0, 4)
    s.advise(0, 4, MADV_PAGEOUT)
    // The first search stops after three slots, as looking for a row of 512 took its steps; the next takes 64.
    expect(procRead(s.k, '/proc/swaps')).toBe(
      'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vda                                partition\t32764\t\t268\t\t-2\n',
    )
  })
})

describe('huge pages', () => {
  const hugeSpace = (change: Partial<Machine>): Space => {
    const s = swapSpace(change)
    s.k.thp.enabled = 'always'
    s.map(0, 1024)
    s.write(0, 1024)
    expect(event(s.k, 'thp_fault_alloc')).toBe(2)
    return s
  }

  it('are split where a disk must seek', () => {
    const s = hugeSpace({})
    s.advise(0, 1024, MADV_PAGEOUT)
    settle(s.k)
    expect([event(s.k, 'thp_swpout'), event(s.k, 'thp_swpout_fallback'), event(s.k, 'pswpout')]).toEqual([0, 2, 1024])
    expect(verify(s.k)).toEqual([])
  })

  it('go to zram whole, and come back page by page', () => {
    const s = hugeSpace({ modules: ['zram'], swapBytes: 0 })
    procWrite(s.k, s.task, '/sys/block/zram0/disksize', '32M')
    mkswap(s.k, s.task, '/dev/zram0')
    sysSwapon(s.k, s.task, '/dev/zram0', 0)
    s.advise(0, 1024, MADV_PAGEOUT)
    expect([event(s.k, 'thp_swpout'), event(s.k, 'thp_swpout_fallback'), event(s.k, 'pswpout')]).toEqual([2, 0, 1024])
    expect(s.k.nodes[0].stat[NS.nr_swapcached]).toBe(0)
    s.read(0, 1024)
    expect(s.k.event[EV.pswpin]).toBe(1024)
    expect(usedSlots(s.k)).toBe(0)
    expect(verify(s.k)).toEqual([])
  })
})
