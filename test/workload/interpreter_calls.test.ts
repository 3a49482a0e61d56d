/** The ops that are system calls: which arguments they stand for, and what their records say. On the machine's own files. */
import { describe, expect, it } from 'vitest'
import { verify } from '../../src/kernel/verify.ts'
import { createSimulation, runToEnd } from '../../src/sim/simulation.ts'
import type { OpRecord } from '../../src/workload/interpreter.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const MACHINE = 'machine nodes=2 mem=192M,192M cpus=2,2 disk=256M\ncmdline transparent_hugepage=never hugepages=8\nfile data 16M\n'

/** Runs lines; the last record of each text. The machine must be sound at the end. */
function run(text: string): (line: string) => OpRecord {
  const ops = new Map<string, OpRecord>()
  const sim = createSimulation(parseWorkload(MACHINE + text, 'test'))
  runToEnd(sim, record => {
    if (record.kind === 'op' || record.kind === 'expect') ops.set(record.statement.text, record)
  })
  expect(verify(sim.k)).toEqual([])
  return line => {
    const found = ops.get(line)
    if (found === undefined) throw new Error(`no record of "${line}"`)
    return found
  }
}

describe('address spaces', () => {
  it('changes protections, locks and residence of ranges', () => {
    const op = run(`spawn A
A mmap a 1M
A touch a write
A mprotect a ro 0 64K
A touch a write
A mprotect a rw 0 64K stride=8K
A mlock a 0 128K
A mincore a
A madvise a dontneed 128K
A mincore a
A munlock a 0 128K
A munlockall
A mlockall current,future
A madvise gone free
`)
    expect(op('A touch a write').fields).toMatchObject({ signal: 'SIGSEGV', si_code: 2, fault_off: 0 })
    expect(op('A mprotect a rw 0 64K stride=8K').ret).toBe(8)
    expect(op('A mlock a 0 128K').ret).toBe(0)
    expect(op('A madvise a dontneed 128K').ret).toBe(0)
    expect(op('A mincore a').ret).toBe(32)
    expect(op('A mlockall current,future').ret).toBe(0)
    expect(op('A madvise gone free').err).toBe('EINVAL')
  })

  it('moves a region where the next mapping would go, with what it holds', () => {
    const op = run(`spawn A
A mmap a 1M
A touch a write content=page
A mremap a 4M to=new
A check a 0 1M content=page
A mmap b 4K
A mremap a 64K nomove
A mincore a
`)
    expect(op('A mremap a 4M to=new')).toMatchObject({ ret: 0, fields: { addr: '0x200000400000' } })
    expect(op('A check a 0 1M content=page').fields['match']).toBe(256)
    expect(op('A mmap b 4K').fields['addr']).toBe('0x200000a00000')
    expect(op('A mincore a').ret).toBe(16)
  })

  it('maps huge pages at their own alignment, until the pool is empty', () => {
    const op = run(
      'spawn A\nA mmap h 8M flags=hugetlb\nA touch h write stride=2M\nA mmap i 16M flags=hugetlb\nA mmap m 4M memfd=hugetlb flags=shared\nA touch m write\n',
    )
    expect(op('A touch h write stride=2M')).toMatchObject({ ret: 4, fields: { minflt: 4 } })
    expect(op('A mmap i 16M flags=hugetlb').err).toBe('ENOMEM')
    expect(op('A mmap m 4M memfd=hugetlb flags=shared').ret).toBe(0)
    expect(op('A touch m write')).toMatchObject({ ret: 1024, fields: { minflt: 2 } })
  })

  it('counts pages by what is known of them', () => {
    const { fields } = run('spawn A cpu=2\nA mmap a 1M\nA touch a write 0 256K\nA pagemap a\n')('A pagemap a')
    expect(fields).toMatchObject({ pages: 256, present: 64, none: 192, exclusive: 64, mapcount: { 1: 64 }, nodes: { 1: 64 } })
  })
})

describe('files', () => {
  it('reads what is on the disk, from the cache the second time, and forgets it when told to', () => {
    const op = run(`spawn A
A readfile /mnt/data
expect /proc/meminfo:Cached ge +16000
A readfile /mnt/data 1M off=8M
A fadvise /mnt/data dontneed
A readfile /mnt/none
`)
    expect(op('A readfile /mnt/data').ret).toBe(16 * 2 ** 20)
    expect(op('expect /proc/meminfo:Cached ge +16000').ret).toBe(0)
    expect(op('A readfile /mnt/data 1M off=8M').ret).toBe(2 ** 20)
    const ns = (line: string) => Number(op(line).fields['elapsed_ns'])
    expect(ns('A readfile /mnt/data 1M off=8M')).toBeLessThan(ns('A readfile /mnt/data') / 16)
    expect(op('A readfile /mnt/none').err).toBe('ENOENT')
  })

  it('writes files, maps them, cuts them, and removes them', () => {
    const op = run(`spawn A
A writefile /mnt/new 100K content=page sync
A mmap f 128K file=/mnt/new flags=shared
A check f content=page
A ftruncate f 64K
A touch f read
A fallocate f punch 0 16K
A check f 0 64K content=page
A msync f
A fsync /mnt/new
A unlink /mnt/new
A readfile /mnt/new
`)
    expect(op('A writefile /mnt/new 100K content=page sync').ret).toBe(102400)
    expect(op('A check f content=page').fields).toMatchObject({ match: 25, zero: 7 })
    expect(op('A touch f read')).toMatchObject({ ret: 16, fields: { signal: 'SIGBUS', fault_off: 65536 } })
    expect(op('A check f 0 64K content=page').fields).toMatchObject({ match: 12, zero: 4 })
    for (const line of ['A msync f', 'A fsync /mnt/new', 'A unlink /mnt/new']) expect(op(line).ret).toBe(0)
    expect(op('A readfile /mnt/new').err).toBe('ENOENT')
  })

  it('makes, finds and removes many files', () => {
    const op = run(
      'spawn A\nA mkfiles /mnt/d 300\nA statfiles /mnt/d 300\nA statfiles /mnt/d 400\nA statfiles /mnt/d 400 negative\nA rmfiles /mnt/d 300\nA rmfiles /mnt/d 1\n',
    )
    expect(op('A mkfiles /mnt/d 300').ret).toBe(300)
    expect(op('A statfiles /mnt/d 300').ret).toBe(300)
    expect(op('A statfiles /mnt/d 400')).toMatchObject({ err: 'ENOENT', fields: { done: 300 } })
    expect(op('A statfiles /mnt/d 400 negative').ret).toBe(400)
    expect(op('A rmfiles /mnt/d 1').err).toBe('ENOENT')
  })

  it('reads at a rate, in a pattern, for a time', () => {
    const op = run(`spawn A
A readfile /mnt/data rate=64M/s
A readfile /mnt/data pattern=zipf count=50
A readfile /mnt/data rate=1M/s for=100
A writefile /mnt/w 1M rate=10M/s
`)
    expect(op('A readfile /mnt/data rate=64M/s').ret).toBe(16 * 2 ** 20)
    expect(Number(op('A readfile /mnt/data rate=64M/s').fields['elapsed_ns'])).toBeGreaterThan(249e6)
    expect(op('A readfile /mnt/data pattern=zipf count=50').ret).toBe(50 * 16384)
    expect(op('A readfile /mnt/data rate=1M/s for=100').ret / 16384).toBeLessThan(9)
    expect(op('A writefile /mnt/w 1M rate=10M/s').ret).toBe(2 ** 20)
  })

  it('mounts and unmounts', () => {
    const op = run('spawn A\nmount tmpfs /t size=1M\nA writefile /t/f 2M\numount /t\nmount nothing /n\n')
    expect(op('mount tmpfs /t size=1M').ret).toBe(0)
    expect(op('A writefile /t/f 2M')).toMatchObject({ err: 'ENOSPC', fields: { written: 2 ** 20 } })
    expect(op('umount /t').ret).toBe(0)
    expect(op('mount nothing /n').err).toBe('ENODEV')
  })
})

describe('policies and the process itself', () => {
  it('sets policies and says them', () => {
    const op = run(`spawn A policy=interleave:0-1
A get_mempolicy
A mmap a 1M
A mbind a bind:1 0 512K static
A get_mempolicy a
A touch a write
A get_mempolicy a 4K node
A get_mempolicy allowed
A set_mempolicy preferred_many:0,1
A get_mempolicy
A mbind a bind
spawn B policy=bind:5
`)
    expect(op('A get_mempolicy a').fields).toMatchObject({ mode: 'bind|static', nodes: '0x2' })
    expect(op('A get_mempolicy a 4K node').fields['node']).toBe(1)
    expect(op('A get_mempolicy allowed').fields['mems_allowed']).toBe('0x3')
    expect(op('A get_mempolicy').fields).toMatchObject({ mode: 'preferred_many', nodes: '0x3' })
    expect(op('A mbind a bind').err).toBe('EINVAL')
    expect(op('spawn B policy=bind:5').err).toBe('EINVAL')
  })

  it('loses its rights with another user, and keeps to its limits', () => {
    const op = run(`spawn A
A rlimit as 64M
A mmap big 128M
A rlimit as unlimited
A oom_score_adj 300
A read oom_score_adj
A setuid
A write /proc/sys/vm/overcommit_memory 1
A rlimit memlock 64K
A mmap l 1M flags=locked
`)
    expect(op('A mmap big 128M').err).toBe('ENOMEM')
    expect(op('A read oom_score_adj')).toMatchObject({ ret: 4, fields: { text: '300\n' } })
    expect(op('A write /proc/sys/vm/overcommit_memory 1').err).toBe('EACCES')
    expect(op('A mmap l 1M flags=locked').err).toBe('EAGAIN')
  })
})
