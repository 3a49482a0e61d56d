import { describe, expect, it } from 'vitest'
import { objCharge } from '../../../src/kernel/alloc/charge.ts'
import { EV } from '../../../src/kernel/base/counters.ts'
import { __GFP_NOFAIL, GFP_ATOMIC, GFP_NOFS, GFP_NOWAIT } from '../../../src/kernel/base/flags.ts'
import { asNode } from '../../../src/kernel/base/units.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { file, keyed, run } from './lab.ts'

const MIB = 2 ** 20
const PAGE = 4096
const number = (text: string) => Number(text)

describe('charging', () => {
  it('goes in batches of 64 pages, the rest of which a CPU keeps', () => {
    const { k } = run('spawn A\ncgroup G add A\nA mmap r 40K\nA touch r write')
    const charged = number(file(k, 'G/memory.current')) / PAGE
    expect(charged % 64).toBe(0)
    expect(keyed(k, 'G/memory.stat', 'anon')).toBe(12 * PAGE)
  })

  it('leaves pages where they were charged when their process moves', () => {
    const { k } = run('spawn A\ncgroup G add A\nA mmap r 8M\nA touch r write\ncgroup H add A\nA mmap s 4M\nA touch s write')
    expect(keyed(k, 'G/memory.stat', 'anon')).toBeGreaterThanOrEqual(8 * MIB)
    expect(keyed(k, 'H/memory.stat', 'anon')).toBe(4 * MIB)
  })

  it('counts a file page for the group that read it first, whoever uses it later', () => {
    const { k } = run('spawn A\nspawn B\ncgroup G add A\ncgroup H add B\nA readfile /mnt/f 8M\nB readfile /mnt/f 12M')
    const [first, second] = ['G', 'H'].map(group => keyed(k, `${group}/memory.stat`, 'file'))
    expect(first).toBeGreaterThanOrEqual(8 * MIB)
    expect(first).toBeLessThan(9 * MIB)
    expect(second).toBeGreaterThanOrEqual(12 * MIB - first)
  })

  it('counts for the groups above as well, and for none beside', () => {
    const { k } = run(
      'cgroup P set cgroup.subtree_control +memory\ncgroup P/x set memory.max max\ncgroup P/y set memory.max max\nspawn A\ncgroup P/x add A\nA mmap r 8M\nA touch r write',
    )
    const own = number(file(k, 'P/memory.current')) - number(file(k, 'P/x/memory.current'))
    expect(own).toBe(Math.ceil(keyed(k, 'P/memory.stat', 'percpu') / PAGE) * PAGE)
    expect(keyed(k, 'P/memory.stat', 'anon')).toBe(keyed(k, 'P/x/memory.stat', 'anon'))
    expect(file(k, 'P/y/memory.current')).toBe('0')
  })

  it('ends with the pages: what is left of a group whose processes ended is what CPUs have in stock and what objects share', () => {
    const { k } = run('spawn A\ncgroup G add A\nA mmap r 8M\nA touch r write\nfork A B\nB touch r write 0 2M\nexit A\nexit B')
    expect(number(file(k, 'G/memory.current'))).toBeLessThanOrEqual(2 * 65 * PAGE)
    expect(number(file(k, 'G/memory.peak'))).toBeGreaterThan(10 * MIB)
  })

  it('counts page tables and kernel stacks as kernel memory', () => {
    const { k } = run('spawn A\ncgroup G add A\nA mmap r 8M\nA touch r write\nfork A B')
    expect(keyed(k, 'G/memory.stat', 'pagetables')).toBeGreaterThanOrEqual(9 * PAGE)
    expect(keyed(k, 'G/memory.stat', 'kernel_stack')).toBe(16384)
    expect(keyed(k, 'G/memory.stat', 'kernel')).toBeGreaterThanOrEqual(13 * PAGE)
  })

  it('charges the objects of address spaces and processes to who made them, until they are gone', () => {
    const slab = (lines: string) => keyed(run(`spawn A\nspawn B\ncgroup G add A\n${lines}`).k, 'G/memory.stat', 'slab_unreclaimable')
    const areas = 'A mmap r 8M\nA touch r write stride=2M\nA mprotect r ro 0 4M stride=16K'
    const bytes = 512 * (152 + 8 + 64 + 8)
    expect(Math.abs(slab(areas) - bytes)).toBeLessThanOrEqual(PAGE)
    expect(slab(`${areas}\nfork A C`) - slab(areas)).toBeGreaterThan(bytes)
    expect(Math.abs(slab(`${areas}\nfork A C\ncgroup H add C\nexit C`) - bytes)).toBeLessThanOrEqual(PAGE)
    expect(Math.abs(slab(`${areas}\nexit A`))).toBeLessThanOrEqual(PAGE)
    expect(slab('B mmap r 8M\nB touch r write stride=2M\nB mprotect r ro 0 4M stride=16K')).toBe(0)
  })

  it('charges what each CPU keeps of a group to the group above', () => {
    const { k } = run(
      'cgroup P set cgroup.subtree_control +memory\ncgroup P/x set memory.max max\ncgroup P/y set memory.max max\ncgroup P/y remove',
    )
    expect(keyed(k, 'P/memory.stat', 'percpu')).toBe(1784 * 4)
    expect(keyed(k, 'P/x/memory.stat', 'percpu')).toBe(0)
  })

  it('charges the objects of files: index nodes, inodes, buffer heads of written pages', () => {
    const { k } = run('spawn A\ncgroup G add A\nA writefile /mnt/n 4M\nsync')
    const bytes = keyed(k, 'G/memory.stat', 'slab_reclaimable')
    expect(bytes).toBeGreaterThan(1024 * 112)
    expect(keyed(k, 'G/memory.stat', 'slab')).toBe(bytes + keyed(k, 'G/memory.stat', 'slab_unreclaimable'))
  })
})

describe('memory.max', () => {
  it('is kept by dropping the group’s own cache, with no harm to anybody', () => {
    const { k, op } = run('cgroup G set memory.max 8M\nspawn A\ncgroup G add A\nA readfile /mnt/f 32M')
    expect(op('A readfile /mnt/f 32M').ret).toBe(32 * MIB)
    expect(number(file(k, 'G/memory.peak'))).toBeLessThanOrEqual(8 * MIB)
    expect(keyed(k, 'G/memory.events', 'max')).toBeGreaterThan(100)
    expect(keyed(k, 'G/memory.events', 'oom_kill')).toBe(0)
  })

  it('is kept by swapping, as far as memory.swap.max goes, and then by killing', () => {
    const text =
      'cgroup G set memory.max 8M\ncgroup G set memory.swap.max 4M\nspawn A\ncgroup G add A\nA mmap r 16M\nA touch r write content=unique'
    const { k, op } = run(text)
    expect(op('A touch r write content=unique')).toMatchObject({ ret: -1, err: 'ESRCH' })
    expect(keyed(k, 'G/memory.events', 'oom_kill')).toBe(1)
    expect(number(file(k, 'G/memory.swap.current'))).toBeLessThanOrEqual(2 * 64 * PAGE)
  })

  it('kills in the group only, the largest of it, though others have more', () => {
    const text =
      'spawn X\nX mmap r 64M\nX touch r write\ncgroup G set memory.max 8M\ncgroup G set memory.swap.max 0\nspawn A\nspawn B\ncgroup G add A\ncgroup G add B\nA mmap r 1M\nA touch r write\nB mmap s 16M\nB touch s write'
    const { err, k } = run(`${text}\nA touch r read\nX touch r read`)
    expect([err('B touch s write'), err('A touch r read'), err('X touch r read')]).toEqual(['ESRCH', '', ''])
    expect(keyed(k, 'G/memory.events', 'oom')).toBe(1)
  })

  it('is passed by requests that must not fail and by urgent ones, each an event, and kept by those that may not wait', () => {
    const { k } = run('cgroup G set memory.max 256K\nspawn A\ncgroup G add A\nA mmap r 128K flags=locked')
    const charge = (gfp: number) => objCharge(k, 1, asNode(0), false, 64 * PAGE, gfp)
    expect(charge(GFP_NOWAIT)).toBe(false)
    const [usage, max] = [number(file(k, 'G/memory.current')), keyed(k, 'G/memory.events', 'max')]
    expect([charge(GFP_ATOMIC), charge(GFP_NOFS | __GFP_NOFAIL)]).toEqual([true, true])
    expect(number(file(k, 'G/memory.current')) - usage).toBeGreaterThanOrEqual(64 * PAGE)
    expect(keyed(k, 'G/memory.events', 'max')).toBeGreaterThan(max + 1)
    expect(verify(k)).toEqual([])
  })

  it('kills who cannot even read the page of a file that it faults on, and that is the end of it', () => {
    const { k, op } = run(
      'cgroup G set memory.max 4M\nspawn A\ncgroup G add A\nA mmap r 16M file=/mnt/f flags=shared,locked\nA touch r write',
    )
    expect(op('A mmap r 16M file=/mnt/f flags=shared,locked').fields['signal']).toBe('SIGKILL')
    expect([keyed(k, 'G/memory.events', 'oom'), keyed(k, 'G/memory.events', 'oom_kill')]).toEqual([1, 1])
  })

  it('kills a whole group with memory.oom.group, but for processes that are not to be killed', () => {
    const text =
      'cgroup G set memory.max 8M\ncgroup G set memory.swap.max 0\ncgroup G set memory.oom.group 1\nspawn A\nspawn B\nspawn C\ncgroup G add A\ncgroup G add B\ncgroup G add C\nC oom_score_adj -1000\nB mmap s 16M\nB touch s write'
    const { err, k } = run(`${text}\nA cpu any\nC cpu any`)
    expect([err('A cpu any'), err('C cpu any')]).toEqual(['ESRCH', ''])
    expect(keyed(k, 'G/memory.events', 'oom_group_kill')).toBe(1)
  })

  it('lowered below what the group has is reached by reclaim, then by killing, and then it stays as it is', () => {
    const { k } = run(
      'spawn A\ncgroup G add A\nA readfile /mnt/f 8M\nA mmap r 8M flags=locked\ncgroup G set memory.max 10M\ncgroup G read memory.events\ncgroup G set memory.max 1M',
    )
    expect(keyed(k, 'G/memory.events', 'oom_kill')).toBe(1)
    expect(number(file(k, 'G/memory.current'))).toBeLessThanOrEqual(MIB)
  })

  it('is no reason to fail a huge page: the fault gets small ones', () => {
    const machine = 'machine mem=256M cpus=1\n'
    const { k, op } = run(
      'write /sys/kernel/mm/transparent_hugepage/enabled always\ncgroup G set memory.max 5M\nspawn A\ncgroup G add A\nA mmap r 4400K\nA touch r write',
      machine,
    )
    expect(op('A touch r write').ret).toBe(1100)
    expect(keyed(k, 'G/memory.stat', 'thp_fault_alloc')).toBe(2)
  })
})

describe('memory.high', () => {
  const throttled = (high: string) =>
    run(`cgroup G set memory.high ${high}\ncgroup G set memory.swap.max 0\nspawn A\ncgroup G add A\nA mmap r 9M\nA touch r write`)

  it('kills nobody, but slows down whoever goes far beyond it', () => {
    const free = throttled('max').op('A touch r write')
    const slow = throttled('8M')
    expect(slow.op('A touch r write').ret).toBe(2304)
    expect(keyed(slow.k, 'G/memory.events', 'high')).toBeGreaterThan(3)
    expect(Number(slow.op('A touch r write').fields['elapsed_ns'])).toBeGreaterThan(100 * Number(free.fields['elapsed_ns']))
  })

  it('is reclaimed for when it is set', () => {
    const { k } = run('spawn A\ncgroup G add A\nA readfile /mnt/f 16M\ncgroup G set memory.high 4M')
    expect(number(file(k, 'G/memory.current'))).toBeLessThanOrEqual(4 * MIB)
  })
})

describe('memory.low and memory.min', () => {
  const squeezed = (setting: string) =>
    run(
      `cgroup G set ${setting}\nspawn A\nspawn B\ncgroup G add A\nA readfile /mnt/f 24M\nB readfile /mnt/g 128M`,
      'machine mem=128M cpus=1 disk=256M\ncmdline transparent_hugepage=never\nfile f 24M\nfile g 128M\n',
    ).k

  it('keep a group’s cache while another’s is dropped', () => {
    expect(keyed(squeezed('memory.low 0'), 'G/memory.stat', 'file')).toBeLessThan(16 * MIB)
    expect(keyed(squeezed('memory.low 32M'), 'G/memory.stat', 'file')).toBeGreaterThanOrEqual(24 * MIB)
    expect(keyed(squeezed('memory.min 32M'), 'G/memory.stat', 'file')).toBeGreaterThanOrEqual(24 * MIB)
  })
})

describe('memory.reclaim', () => {
  it('takes as much as was asked for, or fails with EAGAIN', () => {
    const { err, k } = run(
      'spawn A\ncgroup G add A\nA readfile /mnt/f 16M\ncgroup G set memory.reclaim 6M\ncgroup G set memory.reclaim 64M',
    )
    expect(err('cgroup G set memory.reclaim 6M')).toBe('')
    expect(err('cgroup G set memory.reclaim 64M')).toBe('EAGAIN')
    expect(keyed(k, 'G/memory.stat', 'file')).toBe(0)
  })
})

describe('a group that was removed', () => {
  it('is gone for whoever reclaims for the whole machine', () => {
    const { k, op } = run(
      'cgroup G set memory.max 32M\nspawn A\ncgroup G add A\nA mmap r 1M\nA touch r write\nexit A\ncgroup G remove\nspawn B\nB mmap r 100M\nB touch r write content=unique',
    )
    expect(op('B touch r write content=unique').ret).toBe(100 * 256)
    expect(k.memcg.groups[1]).toBeUndefined()
    expect(k.event[EV.pgsteal_anon]).toBeGreaterThan(0)
  })

  it('may lose its last page to whoever is looking at it', () => {
    const { op, k } = run(
      'write /sys/kernel/mm/lru_gen/enabled y\nspawn A\ncgroup G add A\nA readfile /mnt/f 2M\ncgroup H add A\nA readfile /mnt/f 6M\nexit A\ncgroup G remove\ncgroup H remove\nspawn B\nB mmap r 110M\nB touch r write content=unique',
    )
    expect(op('B touch r write content=unique').ret).toBe(110 * 256)
    expect(k.memcg.groups[2]).toBeUndefined()
  })

  it('stays, dying, until the last of its pages is gone', () => {
    const { k, ops } = run(
      'spawn A\ncgroup G add A\nA readfile /mnt/f 4M\nexit A\ncgroup G remove\nread /sys/fs/cgroup/cgroup.stat\nwrite /proc/sys/vm/drop_caches 3\nread /sys/fs/cgroup/cgroup.stat\ncgroup H set memory.max max',
    )
    const texts = ops
      .filter(({ statement }) => statement.text === 'read /sys/fs/cgroup/cgroup.stat')
      .map(({ fields }) => String(fields['text']))
    expect(texts.map(text => /nr_dying_descendants (\d+)/.exec(text)?.[1])).toEqual(['1', '0'])
    expect(k.memcg.groups.filter(group => group !== undefined)).toHaveLength(2)
  })

  it('lets what it had swapped out come back to the group of who wants it', () => {
    const { k } = run(
      'cgroup G set memory.max 4M\nspawn A\ncgroup G add A\nA mmap r 8M\nA touch r write content=unique\ncgroup H add A\ncgroup G remove\nA touch r read',
    )
    expect(keyed(k, 'H/memory.stat', 'anon')).toBeGreaterThan(4 * MIB)
  })
})

describe('names and inodes of files', () => {
  it('are charged to the group that made them, and given up for its limit', () => {
    const { op, k } = run('cgroup G set memory.max 4M\nspawn A\ncgroup G add A\nA mkfiles /mnt/d 6000')
    expect(op('A mkfiles /mnt/d 6000').ret).toBe(6000)
    expect(keyed(k, 'G/memory.events', 'oom_kill')).toBe(0)
    expect(keyed(k, 'G/memory.stat', 'slab_reclaimable')).toBeGreaterThan(MIB)
  })
})

describe('dirty pages', () => {
  it('of a small group are written while it writes, for its sake', () => {
    const { op, k } = run('cgroup G set memory.max 16M\nspawn A\ncgroup G add A\nA writefile /mnt/w 40M')
    expect(op('A writefile /mnt/w 40M').ret).toBe(40 * MIB)
    expect(keyed(k, 'G/memory.stat', 'file_dirty')).toBeLessThan(6 * MIB)
    expect(keyed(k, 'G/memory.events', 'oom_kill')).toBe(0)
  })
})
