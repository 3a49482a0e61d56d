import { beforeEach, describe, expect, it } from 'vitest'
import { must } from '../../src/kernel/base/assert.ts'
import { ERRNO } from '../../src/kernel/base/errno.ts'
import {
  MPOL_BIND,
  MPOL_INTERLEAVE,
  PTE_ACCESSED,
  PTE_RW,
  PTE_SOFT_DIRTY,
  VM_LOCKONFAULT,
  VM_SOFTDIRTY,
} from '../../src/kernel/base/flags.ts'
import type { Kernel } from '../../src/kernel/base/state.ts'
import type { Task } from '../../src/kernel/base/state_mm.ts'
import { NO_NODE } from '../../src/kernel/base/units.ts'
import { taskExit, taskFork } from '../../src/kernel/calls/task.ts'
import { entryFlags, pteIndex, pteTable } from '../../src/kernel/spaces/pagetable.ts'
import { shownRssPages } from '../../src/kernel/spaces/rss.ts'
import { vmaAt } from '../../src/kernel/spaces/vma.ts'
import { verify } from '../../src/kernel/verify.ts'
import { procRead, procWrite } from '../../src/procfs/tree.ts'
import { parseNumaMaps, parseSmaps } from '../../src/sample/parse/pid_maps.ts'
import { parsePidStat, parsePidStatm, parsePidStatus } from '../../src/sample/parse/pid_stat.ts'
import { bootSmall, mapAnon, runInit, touch } from '../kernel/machine.ts'

const KIB = 1024
const MIB = 2 ** 20
const BASE = 0x200000000000
const PAGE = BASE / 4096

function forked(k: Kernel, task: Task): Task {
  const child = taskFork(k, task)
  if (typeof child === 'number') throw new Error('fork failed')
  return child
}

describe('a process with 4 MiB mapped and 2 MiB written', () => {
  let k: Kernel
  let task: Task
  const text = (file: string, who = task) => {
    const read = procRead(k, `/proc/${who.pid}/${file}`)
    if (typeof read === 'number') throw new Error(`${file}: ${read}`)
    return read
  }
  beforeEach(() => {
    k = bootSmall([256, 256])
    task = forked(k, runInit(k))
    k.current = task
    mapAnon(k, task, BASE, 4 * MIB)
    touch(k, task, BASE, 2 * MIB, true)
  })
  const line = (name: string, who = task) =>
    Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text('smaps', who).slice(text('smaps', who).indexOf('200000000000')))?.[1]) * KIB

  it('shows them in smaps, private and dirty', () => {
    expect(parseSmaps(text('smaps'))).toHaveLength(text('maps').split('\n').length - 1)
    const shown = ['Size', 'Rss', 'Pss', 'Private_Dirty', 'Referenced', 'Anonymous', 'Shared_Dirty', 'LazyFree'].map(
      name => line(name) / MIB,
    )
    expect(shown).toEqual([4, 2, 2, 2, 2, 2, 0, 0])
    expect(text('smaps')).toMatch(/VmFlags: rd wr mr mw me ac sd \n/)
  })

  it('shares them with its child until one writes, and pages of three processes count a third', () => {
    const child = forked(k, task)
    expect([line('Rss'), line('Pss'), line('Shared_Dirty'), line('Private_Dirty')].map(n => n / MIB)).toEqual([2, 1, 2, 0])
    k.current = child
    touch(k, child, BASE, MIB, true)
    expect([line('Pss', child), line('Shared_Dirty', child), line('Private_Dirty', child)].map(n => n / MIB)).toEqual([1.5, 1, 1])
    forked(k, child)
    expect(line('Pss', child)).toBe(Math.floor((256 * Math.floor(2 ** 24 / 2) + 256 * Math.floor(2 ** 24 / 3)) / 2 ** 22) * KIB)
  })

  it('has a rollup that is the sum of its areas', () => {
    const rollup = text('smaps_rollup')
    expect(rollup).toMatch(/^[0-9a-f]{8,}-[0-9a-f]+ ---p 00000000 00:00 0 +\[rollup\]\n/)
    const total = (name: string, source: string) =>
      [...source.matchAll(new RegExp(`^${name}: +(\\d+) kB`, 'gm'))].reduce((sum, [, n]) => sum + Number(n), 0)
    for (const name of ['Rss', 'Anonymous', 'Private_Dirty', 'Shared_Clean', 'Referenced'])
      expect([name, total(name, rollup)]).toEqual([name, total(name, text('smaps'))])
    expect(rollup).toContain('Pss_Anon: ')
  })

  it('shows in numa_maps where they are and by which policy', () => {
    expect(text('numa_maps')).toMatch(/^200000000000 default anon=512 dirty=512 active=0 N\d=512 kernelpagesize_kB=4$/m)
    const vma = must(vmaAt(must(task.mm, 'no memory'), PAGE), 'no area')
    vma.policy = { mode: MPOL_BIND, flags: 1 << 15, nodes: 1, userNodes: 1, homeNode: NO_NODE }
    expect(text('numa_maps')).toMatch(/^200000000000 bind=static:0 anon=512/m)
    vma.policy = undefined
    task.policy = { mode: MPOL_INTERLEAVE, flags: 0, nodes: 3, userNodes: 3, homeNode: NO_NODE }
    touch(k, task, BASE + 2 * MIB, 2 * MIB, true)
    expect(text('numa_maps')).toMatch(/^200000000000 interleave:0-1 anon=1024 dirty=1024 active=0 N0=\d+ N1=\d+ kernelpagesize_kB=4$/m)
    const areas = parseNumaMaps(text('numa_maps'))
    expect(areas.length).toBe(text('numa_maps').split('\n').length - 1)
    forked(k, task)
    expect(text('numa_maps')).toMatch(/anon=1024 dirty=1024 mapmax=2 active=0/)
  })

  it('has a line in maps whose name begins in column 73', () => {
    expect(text('maps')).toMatch(/^200000000000-200000400000 rw-p 00000000 00:00 0 $/m)
    const vma = must(vmaAt(must(task.mm, 'no memory'), PAGE), 'no area')
    const mm = must(task.mm, 'no memory')
    mm.startBrk = vma.start * 4096
    mm.brk = mm.startBrk + 4096
    expect(text('maps')).toMatch(/^200000000000-200000400000 rw-p 00000000 00:00 0 {26}\[heap\]$/m)
    expect(text('numa_maps')).toMatch(/^200000000000 default heap anon=/m)
  })

  it('names its flags with two letters, unknown ones with question marks', () => {
    const vma = must(vmaAt(must(task.mm, 'no memory'), PAGE), 'no area')
    vma.flags |= VM_LOCKONFAULT
    expect(text('smaps')).toMatch(/VmFlags: rd wr mr mw me \?\? ac sd \n/)
  })

  it('reads back from status, stat and statm', () => {
    const status = parsePidStatus(text('status'))
    const stat = parsePidStat(text('stat'))
    expect(parsePidStatm(text('statm'))).toBeDefined()
    expect(status).toBeDefined()
    expect(stat).toBeDefined()
    expect(text('stat').trim().split(' ')).toHaveLength(52)
    expect(text('status')).toMatch(/^RssAnon:\t +\d+ kB$/m)
    expect(Number(/^VmSize:\t +(\d+)/m.exec(text('status'))?.[1])).toBe(Number(text('statm').split(' ')[0]) * 4)
    expect(text('status')).toContain('Cpus_allowed_list:\t0-3\nMems_allowed:\t00000000,')
    expect(text('status')).toContain(',00000003\nMems_allowed_list:\t0-1\n')
  })

  it('is the more likely to be killed the more it has, and by its own wish', () => {
    const mm = must(task.mm, 'no memory')
    const score = () => Number(text('oom_score'))
    const used = shownRssPages(mm) + mm.pgtablesBytes / 4096
    const expected = (badness: number) => Math.trunc(((1000 + Math.trunc((badness * 1000) / k.totalramPages)) * 2) / 3)
    expect(score()).toBe(expected(used))
    expect(procWrite(k, undefined, `/proc/${task.pid}/oom_score_adj`, '100')).toBe(3)
    expect(score()).toBe(expected(used + 100 * Math.floor(k.totalramPages / 1000)))
    procWrite(k, undefined, `/proc/${task.pid}/oom_adj`, '-17')
    expect([text('oom_score_adj'), text('oom_score'), text('oom_adj')]).toEqual(['-1000\n', '0\n', '-17\n'])
    for (const bad of ['1001', 'x', ''])
      expect(procWrite(k, undefined, `/proc/${task.pid}/oom_score_adj`, bad)).toBe(bad === '' ? 0 : -ERRNO.EINVAL)
    expect(procWrite(k, undefined, `/proc/${task.pid}/oom_score_adj`, '0x10')).toBe(4)
    expect(text('oom_score_adj')).toBe('16\n')
  })

  it('may rename itself, no longer than fifteen letters, and nobody else may', () => {
    expect(procWrite(k, task, '/proc/self/comm', 'hello world this is long')).toBe(24)
    expect(text('comm')).toBe('hello world thi\n')
    expect(procWrite(k, undefined, `/proc/${task.pid}/comm`, 'x')).toBe(-ERRNO.EINVAL)
  })

  it('refuses writes to what only reports', () => {
    for (const file of ['stat', 'maps', 'status', 'smaps', 'oom_score', 'cmdline'])
      expect(procWrite(k, undefined, `/proc/${task.pid}/${file}`, '1')).toBe(-ERRNO.EINVAL)
    expect(procRead(k, `/proc/${task.pid}/clear_refs`)).toBe(-ERRNO.EINVAL)
  })

  it('forgets by clear_refs what it used, or what it wrote', () => {
    const mm = must(task.mm, 'no memory')
    const flags = () => entryFlags(k, pteTable(k, mm, PAGE), pteIndex(PAGE))
    for (const bad of ['0', '6', 'x', '-1']) expect(procWrite(k, undefined, `/proc/${task.pid}/clear_refs`, bad)).toBe(-ERRNO.EINVAL)
    procWrite(k, task, '/proc/self/clear_refs', '3')
    expect(flags() & PTE_ACCESSED).not.toBe(0)
    procWrite(k, task, '/proc/self/clear_refs', '1')
    expect(flags() & PTE_ACCESSED).toBe(0)
    expect(line('Referenced')).toBe(0)
    procWrite(k, task, '/proc/self/clear_refs', '4')
    expect(flags() & (PTE_SOFT_DIRTY | PTE_RW)).toBe(0)
    expect(must(vmaAt(mm, PAGE), 'no area').flags & VM_SOFTDIRTY).toBe(0)
    touch(k, task, BASE, 4096, true)
    expect(flags() & (PTE_SOFT_DIRTY | PTE_RW)).toBe(PTE_SOFT_DIRTY | PTE_RW)
    mm.hiwaterRss = 99999
    procWrite(k, task, '/proc/self/clear_refs', ' 5 ')
    expect(text('status')).toMatch(new RegExp(`VmHWM:\\t +${/VmRSS:\t +(\d+)/.exec(text('status'))?.[1]} kB`))
    expect(verify(k)).toEqual([])
  })

  it('is gone from /proc when it ends', () => {
    const { pid } = task
    k.current = undefined
    taskExit(k, task)
    expect(procRead(k, `/proc/${pid}/status`)).toBe(-ERRNO.ENOENT)
    expect(procRead(k, '/proc/self/status')).toBe(-ERRNO.ENOENT)
  })
})
