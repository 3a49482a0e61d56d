/** Pages that are being moved, as others come upon them. */
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { COST, now } from '../../../src/kernel/base/cost.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { sysMigratePages } from '../../../src/kernel/calls/migrate_pages.ts'
import { forgetMoves } from '../../../src/kernel/reclaim/migrate_window.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { PM_PRESENT, PM_SWAP, pagemapRead } from '../../../src/procfs/pagemap.ts'
import { procRead } from '../../../src/procfs/tree.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'
import { told } from './lab.ts'

const BASE = 0x200000000000
const HUGE = 2 << 20
const HUGE_PAGES = 8

/** A process with huge pages on node 0, which CPU 2 then moved to node 1 while somebody on CPU 0 was about to touch memory. */
function moved(): { k: Kernel; task: Task; startNs: number } {
  const k = bootSmall([320, 320], { cmdline: [['transparent_hugepage', 'always']] })
  const task = runInit(k)
  mapAnon(k, task, BASE, HUGE_PAGES * HUGE)
  touch(k, task, BASE, HUGE_PAGES * HUGE, true)
  const startNs = now(k)
  k.moves.watchedNs = startNs
  k.cpu = 2
  expect(sysMigratePages(k, task, 0, 64, [0], [1])).toBeGreaterThanOrEqual(0)
  k.cpu = 0
  return { k, task, startNs }
}

/** What the entry of a page says: where it is, or on its way. */
function entryOf(k: Kernel, task: Task, address: number): 'present' | 'moving' | 'absent' {
  const out = new Uint32Array(2)
  pagemapRead(k, must(task.mm, 'no memory'), address / 4096, out, true)
  return (out[1] & PM_PRESENT) !== 0 ? 'present' : (out[1] & PM_SWAP) !== 0 ? 'moving' : 'absent'
}

const fileOf = (k: Kernel, task: Task, name: string): string => String(procRead(k, `/proc/${task.pid}/${name}`))

describe('a page that is being moved', () => {
  it('is one at a time, and its entries say so to who reads tables meanwhile', () => {
    const { k, task, startNs } = moved()
    const endNs = now(k)
    const seen = new Set<string>()
    for (k.clock[0] = startNs; k.clock[0] < endNs; k.clock[0] += 20_000) {
      const states = Array.from({ length: HUGE_PAGES }, (_, i) => entryOf(k, task, BASE + i * HUGE))
      expect(states.filter(state => state === 'moving').length).toBeLessThanOrEqual(1)
      if (!states.includes('moving')) continue
      seen.add(states.join())
      expect(fileOf(k, task, 'numa_maps')).toContain(`200000000000 default anon=${(HUGE_PAGES - 1) * 512} `)
      expect(fileOf(k, task, 'smaps')).toMatch(new RegExp(`^200000000000[^]*?\\nRss: +${(HUGE_PAGES * HUGE) / 1024} kB`, 'm'))
    }
    expect(seen.size).toBe(HUGE_PAGES)
    expect(verify(k)).toEqual([])
  })

  it('keeps who touches it waiting until it has arrived, a minor fault a page: he then follows the mover from page to page', () => {
    const { k, task, startNs } = moved()
    const first = must(
      [...k.moves.byPage.values()].find(move => move.endNs - move.startNs > 100_000),
      'no huge page was moved',
    )
    k.clock[0] = (first.startNs + first.endNs) / 2
    expect(first.startNs).toBeGreaterThanOrEqual(startNs)
    const faults = task.minflt
    touch(k, task, BASE, HUGE_PAGES * HUGE, false)
    expect(task.minflt).toBe(faults + HUGE_PAGES)
    expect(k.costNs[COST.migration_wait]).toBeGreaterThan(50_000)
    expect(now(k)).toBeGreaterThanOrEqual(first.endNs)
  })

  it('keeps nobody waiting before and after', () => {
    const { k, task } = moved()
    const faults = task.minflt
    touch(k, task, BASE, HUGE_PAGES * HUGE, false)
    expect(task.minflt).toBe(faults)
    expect(k.costNs[COST.migration_wait]).toBe(0)
    forgetMoves(k, now(k))
    expect(k.moves.byPage.size).toBe(0)
  })
})

describe('a process whose memory follows its cpuset', () => {
  it('meets the pages on their way when it goes on using them', () => {
    const program = (mems: number) => `machine nodes=2 mem=320M,320M cpus=1,1
      cmdline transparent_hugepage=always numa_balancing=disable
      spawn A cpu=1 policy=bind:0
      cgroup G set cpuset.mems 0
      cgroup G add A
      A cpu 1
      A mmap R 32M align=2M
      A touch R write
      bg A touch R read for=30
      sleep 5ms
      cgroup G set cpuset.mems ${mems}
      join A`
    expect(told(program(1)).line('join A').minflt).toBeGreaterThan(4)
    expect(told(program(0)).line('join A').minflt).toBe(0)
  })
})
