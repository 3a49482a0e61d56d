/** Each sentence of the proposal that states a behaviour. */
import { describe, expect, it } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import { EBUSY } from '../../../src/kernel/base/errno.ts'
import { MADV_USERFAULT, VM_FAULT_SIGBUS } from '../../../src/kernel/base/flags.ts'
import { sysMadvise } from '../../../src/kernel/calls/madvise.ts'
import { retryFault } from '../../../src/kernel/fault/fault.ts'
import { userfaultClose, userfaultOpen, userfaultRegister } from '../../../src/kernel/fault/userfault_2014.ts'
import { bootSmall, mapAnon, runInit, touch } from '../machine.ts'
import { HUGE_MACHINE, outcome, ran } from './lab.ts'

const MARKED = 'spawn A\nA mmap R 4M\nA madvise R userfault\nA mmap S 4M\nA touch S write content=page\n'

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

  it('that is closed gives SIGBUS to whoever was waiting', () => {
    const k = bootSmall()
    const task = runInit(k)
    const at = mapAnon(k, task, 2 ** 40, 2 ** 20)
    sysMadvise(k, task, at, 2 ** 20, MADV_USERFAULT)
    const mm = must(task.mm, 'init has memory')
    const fd = userfaultOpen(k, mm)
    userfaultRegister(k, fd, at / 4096, at / 4096 + 256)
    expect(touch(k, task, at, 4096, false)).toBe(0)
    expect(task.wait).toMatchObject({ kind: 'fault', woken: false })
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
