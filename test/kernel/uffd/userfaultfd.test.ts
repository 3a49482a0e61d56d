import { describe, expect, it } from 'vitest'
import { HUGE_MACHINE, outcome, ran } from './lab.ts'

const OPEN = 'spawn A\nA uffd_open\nA mmap R 4M\n'
const HANDLED = `${OPEN}A uffd_register R missing\nA uffd_handler R copy content=const:5\n`

describe('a registered area', () => {
  it('has its missing pages filled by who handles them, and the faults count as major', () => {
    const { op, field } = ran(`${HANDLED}A touch R read 0 1M\nA check R 0 1M content=const:5\nexit A\n`)
    expect(op('A touch R read 0 1M').ret).toBe(256)
    expect(field('A touch R read 0 1M', 'majflt')).toBe(256)
    expect(field('A check R 0 1M content=const:5', 'match')).toBe(256)
  })

  it('keeps a thread asleep until its fault is resolved', () => {
    const { op, field } = ran(
      `${HANDLED}A uffd_handler R none\nbg A touch R write 2M 4K\nsleep 500\nA uffd_events\nuffd_mode A zeropage\njoin A\nexit A\n`,
    )
    expect(field('A uffd_events', 'missing')).toBe(1)
    expect(field('A uffd_events', 'resolved')).toBe(0)
    expect(op('join A').ret).toBe(1)
    expect(Number(field('join A', 'elapsed_ns'))).toBeGreaterThan(400e6)
  })

  it('lets nobody wait for ever for a thread that nobody helps', () => {
    const { op } = ran(`${OPEN}A uffd_register R missing\nbg A touch R write 0 4K\nexit A\nkill A\n`)
    expect(outcome(op('exit A'))).toBe('ETIMEDOUT')
    expect(op('kill A').ret).toBe(0)
  })

  it('asks its handler when a system call needs a page, and the call notices nothing', () => {
    const { op, field } = ran(`${HANDLED}A madvise R populate_read 0 1M\nA mlock R 1M 64K\nA uffd_events\nexit A\n`)
    expect(op('A madvise R populate_read 0 1M').ret).toBe(0)
    expect(op('A mlock R 1M 64K').ret).toBe(0)
    expect(field('A uffd_events', 'resolved')).toBe(272)
  })

  it('gives SIGBUS instead of waiting when its context asks for that', () => {
    const { field } = ran('spawn A\nA uffd_open features=sigbus\nA mmap R 4M\nA uffd_register R missing\nA touch R read\nexit A\n')
    expect(field('A touch R read', 'signal')).toBe('SIGBUS')
  })

  it('is an ordinary one again once it is unregistered', () => {
    const { op } = ran(`${OPEN}A uffd_register R missing\nA uffd_unregister R\nA touch R write\nexit A\n`)
    expect(op('A touch R write').ret).toBe(1024)
  })
})

describe('write protection', () => {
  const PROTECTED = `${OPEN}A touch R write 0 1M\nA uffd_register R wp\nA uffd_writeprotect R on 0 512K\n`

  it('marks the pages, and a write is reported before it happens', () => {
    const { field } = ran(`${PROTECTED}A pagemap R\nA uffd_handler copy\nA touch R write 0 64K\nA uffd_events\nexit A\n`)
    expect(field('A pagemap R', 'uffd_wp')).toBe(128)
    expect(field('A uffd_events', 'wp')).toBe(16)
  })

  it('remembers pages of memory files that are not mapped', () => {
    const { field } = ran(
      'spawn A\nA uffd_open\nA mmap S 2M flags=shared\nA uffd_register S wp\nA uffd_writeprotect S on\nA pagemap S\nA uffd_handler copy\nA touch S write 0 64K\nA uffd_events\nA uffd_unregister S\nA touch S write\nexit A\n',
    )
    expect(field('A pagemap S', 'uffd_wp')).toBe(512)
    expect(field('A uffd_events', 'wp')).toBe(16)
  })

  it('goes to a forked child only with a context of its own', () => {
    const { field } = ran(`${PROTECTED}fork A B\nB pagemap R\nexit B\nexit A\n`)
    expect(field('B pagemap R', 'uffd_wp')).toBe(0)
  })

  it('stays on the pages of zeros that the huge one is split into', () => {
    const { field } = ran(
      'spawn A\nA uffd_open features=pagefault_flag_wp\nA mmap R 4M\nA touch R read\nA uffd_register R wp\nA uffd_writeprotect R on\nA uffd_handler R copy\nA touch R write 2M 4K\nA pagemap R\nexit A\n',
      HUGE_MACHINE,
    )
    expect(field('A pagemap R', 'uffd_wp')).toBe(1023)
  })

  it('keeps pages merged that KSM is told to take apart: it cannot wait for a handler', () => {
    const { field } = ran(
      'write /sys/kernel/mm/ksm/sleep_millisecs 2\nspawn A\nA uffd_open features=pagefault_flag_wp\nA mmap R 256K\nA madvise R mergeable\nA touch R write content=const:5\nwrite /sys/kernel/mm/ksm/run 1\nwait /sys/kernel/mm/ksm/full_scans ge +3 timeout=20s\nA uffd_register R wp\nA uffd_writeprotect R on 0 128K\nwrite /sys/kernel/mm/ksm/run 2\nA pagemap R\nA uffd_events\nexit A\n',
    )
    expect(field('A pagemap R', 'uffd_wp')).toBe(32)
    expect(field('A pagemap R', 'flags')).toMatchObject({ KSM: 32 })
    expect(field('A uffd_events', 'wp')).toBe(0)
  })
})

describe('minor faults', () => {
  it('are resolved by mapping what the file has', () => {
    const { op, field } = ran(
      'spawn A\nA uffd_open\nA mmap S 2M flags=shared\nA touch S write\nA uffd_register S minor\nA madvise S dontneed\nA uffd_continue S 0 1M\nA touch S read 0 1M\nexit A\n',
    )
    expect(field('A uffd_continue S 0 1M', 'mapped')).toBe(2 ** 20)
    expect(op('A touch S read 0 1M').ret).toBe(256)
  })
})

describe('what is refused', () => {
  it('an ioctl without a descriptor, and a range that is no range', () => {
    const { op } = ran(
      'spawn A\nA mmap R 4M\nA uffd_register R missing\nA uffd_open\nA uffd_register R missing 0 1000\nA uffd_register R minor\nexit A\n',
    )
    expect(outcome(op('A uffd_register R missing'))).toBe('EBADF')
    expect(outcome(op('A uffd_register R missing 0 1000'))).toBe('EINVAL')
    expect(outcome(op('A uffd_register R minor'))).toBe('EINVAL')
  })

  it('an area of another descriptor', () => {
    const { op } = ran(`${OPEN}A uffd_register R missing\nA uffd_open features=event_remap\nA uffd_register R missing 0 2M\nexit A\n`)
    expect(outcome(op('A uffd_register R missing 0 2M'))).toBe('EBUSY')
  })

  it('filling what is not registered, what is there already, and beyond one area', () => {
    const { op, field } = ran(
      `${OPEN}A uffd_copy R 0 64K\nA uffd_register R missing\nA uffd_zeropage R 0 64K\nA uffd_copy R 60K 8K\nA uffd_zeropage R 1M 4M\nA uffd_zeropage R 32K 64K\nexit A\n`,
    )
    expect(outcome(op('A uffd_copy R 0 64K'))).toBe('ENOENT')
    expect(outcome(op('A uffd_copy R 60K 8K'))).toBe('EEXIST')
    expect(outcome(op('A uffd_zeropage R 1M 4M'))).toBe('ENOENT')
    expect(field('A uffd_zeropage R 32K 64K', 'zeroed')).toBe(-17)
  })

  it('a part that is in the way ends a fill with EAGAIN and what was done', () => {
    const { op, field } = ran(`${OPEN}A uffd_register R missing\nA uffd_zeropage R 64K 4K\nA uffd_zeropage R 0 1M\nexit A\n`)
    expect(outcome(op('A uffd_zeropage R 0 1M'))).toBe('EAGAIN')
    expect(field('A uffd_zeropage R 0 1M', 'zeroed')).toBe(65536)
  })

  it('huge TLB pages by halves, or with a page of zeros', () => {
    const { op } = ran(
      'spawn A\nA uffd_open\nA mmap H 4M flags=private,anonymous,hugetlb\nA uffd_register H missing 0 1M\nA uffd_register H missing\nA uffd_zeropage H 0 2M\nA uffd_handler copy\nA touch H write stride=2M\nexit A\n',
    )
    expect(outcome(op('A uffd_register H missing 0 1M'))).toBe('EINVAL')
    expect(outcome(op('A uffd_zeropage H 0 2M'))).toBe('EINVAL')
    expect(op('A touch H write stride=2M').ret).toBe(2)
  })

  it('a descriptor for the kernel itself to who has no privilege, unless that is allowed', () => {
    const { op } = ran(
      'spawn A\nspawn B\nA setuid 1000\nB setuid 1000\nA uffd_open\nwrite /proc/sys/vm/unprivileged_userfaultfd 1\nB uffd_open\nB uffd_open features=event_fork\nexit A\nexit B\n',
    )
    expect(outcome(op('A uffd_open'))).toBe('EPERM')
    expect(op('B uffd_open').ret).toBe(0)
    expect(outcome(op('B uffd_open features=event_fork'))).toBe('EPERM')
  })
})
