import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EV } from '../../../src/kernel/base/counters.ts'
import { __GFP_COMP, __GFP_ZERO, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_NOIO } from '../../../src/kernel/base/flags.ts'
import { readLog } from '../../../src/kernel/base/log.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import type { Task } from '../../../src/kernel/base/state_mm.ts'
import { taskExit, taskFork } from '../../../src/kernel/calls/task.ts'
import { ROOT_MEMCG } from '../../../src/kernel/frames/memcg.ts'
import { ALL_NODES } from '../../../src/kernel/frames/rmqueue.ts'
import { runDaemons } from '../../../src/kernel/kernel.ts'
import { outOfMemory } from '../../../src/kernel/reclaim/oom.ts'
import { gfpText } from '../../../src/kernel/reclaim/show_mem.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'
import { ran } from '../uffd/lab.ts'

const MIB = 2 ** 20
const BASE = 0x200000000000
const REQUEST = { gfp: GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_ZERO, order: 0, nodemask: ALL_NODES, memcg: ROOT_MEMCG }

/** Two processes, one of 8 MiB and one of 24 MiB; the smaller one is running. */
function twoProcesses(): { k: Kernel; small: Task; large: Task } {
  const k = bootSmall([256])
  const init = runInit(k)
  const child = () => {
    const task = taskFork(k, init)
    if (typeof task === 'number') throw new Error(`fork: ${task}`)
    return task
  }
  const [small, large] = [child(), child()]
  for (const [task, mib] of [
    [small, 8],
    [large, 24],
  ] as const) {
    k.current = task
    mapAnon(k, task, BASE, mib * MIB)
    touch(k, task, BASE, mib * MIB, true)
  }
  k.current = small
  readLog(k)
  return { k, small, large }
}

describe('the out-of-memory killer', () => {
  it('kills the largest process, whose memory is free at once', () => {
    const { k, small, large } = twoProcesses()
    expect(outOfMemory(k, REQUEST)).toBe('again')
    expect([small.killed, large.killed, k.event[EV.oom_kill]]).toEqual([0, 9, 1])
    expect(must(large.mm, 'no memory').rssAnon).toBe(0)
  })

  it('kills whoever asks if oom_kill_allocating_task says so, unless he may not be killed', () => {
    const { k, small, large } = twoProcesses()
    k.sysctl.oom_kill_allocating_task = 1
    outOfMemory(k, REQUEST)
    expect([small.killed, large.killed]).toEqual([9, 0])
    expect(readLog(k)).toContain(`Out of memory (oom_kill_allocating_task): Killed process ${small.pid} (init)`)
  })

  it('minds oom_score_adj', () => {
    const { k, small, large } = twoProcesses()
    large.oomScoreAdj = -1000
    outOfMemory(k, REQUEST)
    expect([small.killed, large.killed]).toEqual([9, 0])
  })

  it('does not kill for a request that may not enter file systems', () => {
    const { k, large } = twoProcesses()
    expect(outOfMemory(k, { ...REQUEST, gfp: GFP_NOIO })).toBe('again')
    expect(large.killed).toBe(0)
  })

  it('reports the request, the memory, the candidates and the verdict', () => {
    const { k, large } = twoProcesses()
    outOfMemory(k, REQUEST)
    const lines = readLog(k).trim().split('\n')
    const texts = lines.map(line => line.replace(/^\d+,\d+,\d+,-;/, ''))
    expect(texts[0]).toBe(
      'init invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=0',
    )
    expect(texts).toContain('Mem-Info:')
    expect(texts.filter(text => /^Node 0 DMA32: (\d+\*\d+kB( \([UMEHI]+\))? ){11}= \d+kB$/.test(text))).toHaveLength(1)
    expect(texts.filter(text => /^\[ +\d+\] +0 +\d+ +\d+ +\d+ +\d+ +0 +0 init$/.test(text))).toHaveLength(2)
    expect(texts.at(-2)).toBe(
      `oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=init,pid=${large.pid},uid=0`,
    )
    expect(texts.at(-1)).toMatch(/^Out of memory: Killed process \d+ \(init\) total-vm:\d+kB, anon-rss:24\d+kB, file-rss:\d+kB/)
    expect(readLog(k)).toBe('')
  })

  it('lists no tasks with oom_dump_tasks 0, and makes panic_on_oom an event', () => {
    const { k, large } = twoProcesses()
    k.sysctl.oom_dump_tasks = 0
    k.sysctl.panic_on_oom = 1
    outOfMemory(k, REQUEST)
    const log = readLog(k)
    expect(log).not.toContain('Tasks state')
    expect(log).toContain('Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled')
    expect(k.events.filter(({ kind }) => kind === 'panic')).toHaveLength(1)
    expect(large.killed).toBe(9)
  })

  it('says so when there is nobody to kill', () => {
    const { k, small, large } = twoProcesses()
    small.oomScoreAdj = -1000
    large.oomScoreAdj = -1000
    expect(outOfMemory(k, REQUEST)).toBe('nobody')
    const log = readLog(k)
    expect(log).toContain('Out of memory and no killable processes...')
    expect(log).toContain('Kernel panic - not syncing: System is deadlocked on memory')
  })

  it('names gfp flags, those of several bits first', () => {
    expect(gfpText(GFP_KERNEL)).toBe('GFP_KERNEL')
    expect(gfpText(GFP_KERNEL | __GFP_COMP)).toBe('GFP_KERNEL|__GFP_COMP')
    expect(gfpText(1 << 30)).toBe('0x40000000')
  })
})

describe('a victim', () => {
  /** The larger process was killed for the smaller one's fault. */
  function killed() {
    const machine = twoProcesses()
    const { k, small, large } = machine
    k.vmf.user = true
    expect(outOfMemory(k, REQUEST)).toBe('later')
    k.vmf.user = false
    return { k, small, mm: must(large.mm, 'no memory'), large }
  }

  it('keeps its memory until it has left, and nobody else is killed meanwhile', () => {
    const { k, small, mm } = killed()
    expect(mm.rssAnon).toBeGreaterThan(24 * 256)
    k.vmf.user = true
    expect(outOfMemory(k, REQUEST)).toBe('later')
    expect([small.killed, k.event[EV.oom_kill]]).toEqual([0, 1])
  })

  it('that has not left after two seconds is unmapped by the reaper, locked memory too, and another may be killed', () => {
    const { k, small, mm, large } = killed()
    runDaemons(k, k.clock[0] + 1.9e9)
    expect(mm.rssAnon).toBeGreaterThan(24 * 256)
    readLog(k)
    runDaemons(k, k.clock[0] + 2.1e9)
    expect(mm.rssAnon).toBe(0)
    expect(readLog(k)).toMatch(
      new RegExp(`;oom_reaper: reaped process ${large.pid} \\(init\\), now anon-rss:0kB, file-rss:\\d+kB, shmem-rss:0kB`),
    )
    expect(outOfMemory(k, REQUEST)).toBe('again')
    expect([small.killed, k.event[EV.oom_kill]]).toEqual([9, 2])
    expect(verify(k)).toEqual([])
  })

  it('that left by itself is no work for the reaper', () => {
    const { k, large } = killed()
    const { current } = k
    k.current = large
    taskExit(k, large)
    k.current = current
    readLog(k)
    runDaemons(k, k.clock[0] + 3e9)
    expect(readLog(k)).toBe('')
    expect(k.oomReaper.queue).toEqual([])
  })
})

describe('who waits for memory while a victim leaves', () => {
  it('goes on with what the victim shared with nobody else, and nobody else dies', () => {
    const { op, k } = ran(`spawn A
spawn B
A mmap R 48M memfd flags=shared
A touch R write
B mmap R 40M
B touch R write
exit B
`)
    expect(op('B touch R write').ret).toBe(40 * 256)
    expect(k.event[EV.oom_kill]).toBe(1)
  })

  it('and who finds nobody to kill, tries again ever more rarely', () => {
    const { k } = ran(
      'spawn A\nA oom_score_adj -1000\nA mmap R 260M flags=noreserve\nbg A touch R write\nsleep 60000\nkill A\n',
      'machine mem=256M cpus=1\n',
    )
    expect(k.events.filter(({ kind }) => kind === 'panic').length).toBeGreaterThan(0)
    expect(k.event[EV.allocstall_movable]).toBeLessThan(5000)
  })

  it('is rated by what a process shows as resident, which lags behind what it has', () => {
    const { field } = ran('spawn A\nA read oom_score\nexit A\n', 'machine mem=256M cpus=1\n')
    expect(field('A read oom_score', 'text')).toBe('666\n')
  })
})
