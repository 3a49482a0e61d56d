/** Each sentence of the proposal that states a behaviour. */
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { COST, COSTS } from '../../../src/kernel/base/cost.ts'
import { EBUSY } from '../../../src/kernel/base/errno.ts'
import { MADV_USERFAULT, MREMAP_FIXED, MREMAP_MAYMOVE, VM_FAULT_SIGBUS } from '../../../src/kernel/base/flags.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { sysMremap } from '../../../src/kernel/calls/mremap.ts'
import { retryFault } from '../../../src/kernel/fault/fault.ts'
import {
  userfaultClose,
  userfaultOpen,
  userfaultRead,
  userfaultRegister,
  userfaultUnregister,
  userfaultWrite,
} from '../../../src/kernel/fault/userfault_2014.ts'
import { createSimulation, runOp } from '../../../src/sim/simulation.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'
import { HUGE_MACHINE, outcome, ran } from './lab.ts'

const MARKED = 'spawn A\nA mmap R 4M\nA madvise R userfault\nA mmap S 4M\nA touch S write content=page\n'

/** The first process, asleep in a fault at `at`, and the descriptor that is to handle it. */
function waiting() {
  const k = bootSmall()
  const task = runInit(k)
  const at = mapAnon(k, task, 2 ** 40, 2 ** 20)
  sysMadvise(k, task, at, 2 ** 20, MADV_USERFAULT)
  const mm = must(task.mm, 'init has memory')
  const fd = userfaultOpen(k, mm)
  userfaultRegister(k, fd, at / 4096, at / 4096 + 256)
  expect(touch(k, task, at, 4096, false)).toBe(0)
  expect(task.wait).toMatchObject({ kind: 'fault', woken: false })
  return { k, task, mm, fd, at }
}

describe('MADV_USERFAULT', () => {
  it('is EINVAL on an area that is not anonymous', () => {
    const { op } = ran(
      'spawn A\nA mmap F 2M memfd flags=shared\nA mmap S 2M flags=shared\nA madvise F userfault\nA madvise S userfault\nexit A\n',
    )
    expect(outcome(op('A madvise F userfault'))).toBe('EINVAL')
    expect(outcome(op('A madvise S userfault'))).toBe('EINVAL')
  })

  it('gives the regular SIGBUS where the memory is not registered', () => {
    const { op, field } = ran(`${MARKED}A touch R read 0 8K\nexit A\n`)
    expect(op('A touch R read 0 8K').ret).toBe(0)
    expect(field('A touch R read 0 8K', 'signal')).toBe('SIGBUS')
  })

  it('leaves pages that are there alone', () => {
    const { op } = ran('spawn A\nA mmap R 1M\nA touch R write\nA madvise R userfault\nA touch R write\nexit A\n')
    expect(op('A touch R write').ret).toBe(256)
  })

  it('is taken back by MADV_NOUSERFAULT', () => {
    const { op } = ran(`${MARKED}A madvise R nouserfault\nA touch R write\nexit A\n`)
    expect(op('A touch R write').ret).toBe(1024)
  })
})

describe('a descriptor', () => {
  const HANDLED = `${MARKED}A userfault_register R\nA userfault_handler S\n`

  it('has each missing page moved there while the thread sleeps', () => {
    const { op, field } = ran(`${HANDLED}A touch R read\nA check R content=page\nA pagemap S\nexit A\n`)
    expect(op('A touch R read').ret).toBe(1024)
    expect(field('A check R content=page', 'match')).toBe(1024)
    expect(field('A pagemap S', 'none')).toBe(1024)
  })

  it('makes the fault unnoticeable to a system call, which fails without one', () => {
    const with_ = ran(`${HANDLED}A madvise R populate_read\nexit A\n`)
    expect(with_.op('A madvise R populate_read').ret).toBe(0)
    const without = ran(`${MARKED}A madvise R populate_read\nexit A\n`)
    expect(outcome(without.op('A madvise R populate_read'))).toBe('EFAULT')
  })

  it('has ranges, which can be registered while others are in use', () => {
    const { op, field } = ran(
      `${MARKED}A userfault_register R 0 1M\nA userfault_handler S\nA touch R read 0 1M\nA touch R read 1M 4K\nA userfault_register R 1M 1M\nA touch R write 1M 64K\nexit A\n`,
    )
    expect(op('A touch R read 0 1M').ret).toBe(256)
    expect(field('A touch R read 1M 4K', 'signal')).toBe('SIGBUS')
    expect(op('A touch R write 1M 64K').ret).toBe(16)
  })

  it('can be one of any number in a process, each on memory of its own, independently of the others', () => {
    const regions = Array.from({ length: 12 }, (_, i) => `L${i}`)
    const each = (line: (name: string) => string) => regions.map(name => `${line(name)}\n`).join('')
    const { op, k } = ran(
      `spawn A\nA mmap S 1M\nA touch S write content=page\n${each(name => `A mmap ${name} 64K`)}` +
        each(name => `A madvise ${name} userfault`) +
        each(name => `A userfault_register ${name} new\nA userfault_handler S`) +
        'A touch L0 read 0 4K\nA touch L5 read 4K 4K\nA touch L11 read 8K 4K\nA userfault_close\nA touch L11 read 12K 4K\nA touch L5 read 12K 4K\nsleep 1\nexit A\n',
    )
    expect(
      ['A touch L0 read 0 4K', 'A touch L5 read 4K 4K', 'A touch L11 read 8K 4K', 'A touch L5 read 12K 4K'].map(line => op(line).ret),
    ).toEqual([1, 1, 1, 1])
    expect(op('A touch L11 read 12K 4K').fields['signal']).toBe('SIGBUS')
    expect(k.uffd.proposed.size).toBe(0)
  })

  it('gives ranges back while others are in use: no memory is its for good', () => {
    const { op } = ran(
      `${HANDLED}A touch R read 0 1M\nA userfault_unregister R 2M 1M\nA touch R read 1M 64K\nA touch R read 2M 4K\nA userfault_register R 2M 1M\nA touch R read 2M 64K\nA userfault_unregister S\nexit A\n`,
    )
    expect(op('A touch R read 1M 64K').ret).toBe(16)
    expect(op('A touch R read 2M 4K').fields['signal']).toBe('SIGBUS')
    expect(op('A touch R read 2M 64K').ret).toBe(16)
    expect(outcome(op('A userfault_unregister S'))).toBe('EINVAL')
  })

  it('that gives a range back gives SIGBUS to whoever was waiting there', () => {
    const { k, task, mm, fd, at } = waiting()
    expect(userfaultUnregister(k, fd, at / 4096, at / 4096 + 1)).toBe(0)
    expect(task.wait?.woken).toBe(true)
    task.wait = undefined
    expect(retryFault(k, mm, at / 4096, false)).toBe(VM_FAULT_SIGBUS)
  })

  it('lets others run on while one waits', () => {
    const { op } = ran(
      `${MARKED}A userfault_register R\nspawn B\nB mmap M 4M\nbg A touch R read 0 4K\nsleep 5\nB touch M write repeat=3\nA userfault_handler S\njoin A\nexit B\nexit A\n`,
    )
    expect(op('B touch M write repeat=3').ret).toBe(3072)
    expect(outcome(op('A userfault_handler S'))).toBe('EBUSY')
  })

  it('keeps a thread asleep until its page was written to it, though the page is there already', () => {
    const { k, task, mm, fd, at } = waiting()
    expect(userfaultRead(fd)).toBe(at)
    expect(userfaultRead(fd)).toBeUndefined()
    userfaultWrite(k, fd, at / 4096 + 1, at / 4096 + 2)
    expect(task.wait?.woken).toBe(false)
    userfaultWrite(k, fd, at / 4096, at / 4096 + 1)
    expect(task.wait?.woken).toBe(true)
    expect(mm.users).toBeGreaterThan(0)
  })

  it('that is closed gives SIGBUS to whoever was waiting', () => {
    const { k, task, mm, fd, at } = waiting()
    userfaultClose(k, fd)
    expect(task.wait?.woken).toBe(true)
    task.wait = undefined
    expect(retryFault(k, mm, at / 4096, false)).toBe(VM_FAULT_SIGBUS)
  })

  it('that is registered for memory of another is refused', () => {
    const k = bootSmall()
    const mm = must(runInit(k).mm, 'init has memory')
    const [first, second] = [userfaultOpen(k, mm), userfaultOpen(k, mm)]
    expect(userfaultRegister(k, first, 1000, 2000)).toBe(0)
    expect(userfaultRegister(k, second, 1999, 2001)).toBe(-EBUSY)
    expect(userfaultRegister(k, second, 2000, 2001)).toBe(0)
  })

  it('knows nothing of the memory of a forked child', () => {
    const { field } = ran(`${HANDLED}fork A B\nB touch R read 0 4K\nexit B\nexit A\n`)
    expect(field('B touch R read 0 4K', 'signal')).toBe('SIGBUS')
  })
})

describe('remap_anon_pages', () => {
  const PAIR = 'spawn A\nA mmap D 4M\nA mmap S 4M\nA touch S write 0 1M content=page\n'

  it('moves pages without copying them or changing the areas', () => {
    const { op, field } = ran(
      `${PAIR}A remap_anon_pages D S 0 1M\nA check D 0 1M content=page\nA touch D write 1M 4K\nA touch S write 1M 4K\nexit A\n`,
    )
    expect(field('A remap_anon_pages D S 0 1M', 'moved')).toBe(2 ** 20)
    expect(field('A remap_anon_pages D S 0 1M', 'minflt')).toBe(0)
    expect(field('A check D 0 1M content=page', 'match')).toBe(256)
    expect(op('A touch D write 1M 4K').ret + op('A touch S write 1M 4K').ret).toBe(2)
  })

  it('takes no time to copy, nor to clear but a page table, and leaves areas as they are', () => {
    const sim = createSimulation(parseWorkload(`machine mem=128M cpus=2\n${PAIR}A remap_anon_pages D S 0 1M\nexit A\n`, 'test'))
    const { k } = sim
    const spent = () => [COST.copy_page, COST.clear_page].map(kind => k.costNs[kind])
    const areas = () => must(sim.run.workers[0]?.task.mm, 'A has memory').vmas.count
    for (let record = runOp(sim, () => {}); record !== undefined; record = runOp(sim, () => {}))
      if (record.statement.text.startsWith('A touch')) break
    const [before, count] = [spent(), areas()]
    const record = runOp(sim, () => {})
    expect(record?.fields['moved']).toBe(2 ** 20)
    expect(spent().map((ns, i) => ns - before[i])).toEqual([0, COSTS.clear_page])
    expect(areas()).toBe(count)
  })

  it('is as strict as mremap is not, which drops silently what is at the destination', () => {
    const { op, field } = ran(
      `${PAIR}A touch D write 0 1M content=const:5\nA remap_anon_pages D S 0 64K\nA check D 0 64K content=const:5\nA check S 0 64K content=page\nexit A\n`,
    )
    expect(outcome(op('A remap_anon_pages D S 0 64K'))).toBe('EEXIST')
    expect(field('A check D 0 64K content=const:5', 'match')).toBe(16)
    expect(field('A check S 0 64K content=page', 'match')).toBe(16)
    const k = bootSmall()
    const task = runInit(k)
    const [from, to] = [mapAnon(k, task, 2 ** 40, 65536), mapAnon(k, task, 2 ** 41, 65536)]
    for (const at of [from, to]) touch(k, task, at, 65536, true)
    const rss = must(task.mm, 'init has memory').rssAnon
    const wanted = { address: from, oldBytes: 65536, newBytes: 65536, flags: MREMAP_MAYMOVE | MREMAP_FIXED, newAddress: to }
    expect(sysMremap(k, task, wanted)).toBe(to)
    expect(task.mm?.rssAnon).toBe(rss - 16)
  })

  it('is EEXIST where the destination has a page', () => {
    const { op } = ran(`${PAIR}A touch D write 0 4K\nA remap_anon_pages D S 0 64K\nexit A\n`)
    expect(outcome(op('A remap_anon_pages D S 0 64K'))).toBe('EEXIST')
  })

  it('is ENOENT for a hole in the source', () => {
    const { op } = ran(`${PAIR}A remap_anon_pages D S 0 64K fromoff=2M\nexit A\n`)
    expect(outcome(op('A remap_anon_pages D S 0 64K fromoff=2M'))).toBe('ENOENT')
  })

  it('does nothing for holes with RAP_ALLOW_SRC_HOLES', () => {
    const { op, field } = ran(`${PAIR}A remap_anon_pages D S 0 2M holes\nA pagemap D\nexit A\n`)
    expect(op('A remap_anon_pages D S 0 2M holes').ret).toBe(0)
    expect(field('A pagemap D', 'present')).toBe(256)
  })

  it('fails for a page that is mapped more than once, which MADV_DONTFORK prevents', () => {
    const forked = ran(`${PAIR}fork A B\nA remap_anon_pages D S 0 64K\nexit B\nexit A\n`)
    expect(outcome(forked.op('A remap_anon_pages D S 0 64K'))).toBe('EBUSY')
    const kept = ran(`${PAIR}A madvise S dontfork\nfork A B\nA remap_anon_pages D S 0 64K\nexit B\nexit A\n`)
    expect(kept.op('A remap_anon_pages D S 0 64K').ret).toBe(0)
  })

  it('does not split huge pages at naturally aligned 2 MiB', () => {
    const { field } = ran(
      'spawn A\nA mmap D 4M\nA mmap S 4M\nA touch S write\nA remap_anon_pages D S 0 4M\nA pagemap D\nexit A\n',
      HUGE_MACHINE,
    )
    expect(field('A pagemap D', 'flags')).toMatchObject({ THP: 1024 })
  })

  it('splits one of which it moves a part', () => {
    const { op, field } = ran(
      'spawn A\nA mmap D 4M\nA mmap S 4M\nA touch S write\nA remap_anon_pages D S 0 64K\nA pagemap D 0 64K\nexit A\n',
      HUGE_MACHINE,
    )
    expect(op('A remap_anon_pages D S 0 64K').ret).toBe(0)
    expect(field('A pagemap D 0 64K', 'present')).toBe(16)
  })
})
