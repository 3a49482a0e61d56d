import { describe, expect, it } from 'vitest'
import { outcome, ran } from './lab.ts'

const ALL = 'event_fork,event_remap,event_remove,event_unmap'
const opened = (features: string) =>
  `spawn A\nA uffd_open ${features}\nA mmap R 4M\nA uffd_register R missing\nA uffd_handler R copy\nA touch R write 0 1M\nA uffd_events\n`

describe('events', () => {
  it('of a removal come before its pages go, and the range can be filled again', () => {
    const { op, field } = ran(`${opened(`features=${ALL}`)}A madvise R dontneed 0 512K\nA touch R read 0 512K\nA uffd_events\nexit A\n`)
    expect(op('A madvise R dontneed 0 512K').ret).toBe(0)
    expect(field('A uffd_events', 'remove')).toBe(1)
    expect(op('A touch R read 0 512K').ret).toBe(128)
  })

  it('of a move come before that of the old place', () => {
    const { field } = ran(`${opened(`features=${ALL}`)}A mremap R 4M to=new\nA uffd_events\nexit A\n`)
    const events = field('A uffd_events', 'events')
    expect(JSON.stringify(events)).toMatch(/"type":20.*"type":22/)
  })

  it('of a fork bring a descriptor for the child, whose faults are handled too', () => {
    const { op, field } = ran(`${opened(`features=${ALL}`)}fork A B\nB touch R read 2M 256K\nA uffd_events\nexit B\nexit A\n`)
    expect(op('B touch R read 2M 256K').ret).toBe(64)
    expect(field('A uffd_events', 'fork')).toBe(1)
  })

  it('that nobody reads keep the system call asleep', () => {
    const { op } = ran('spawn A\nA uffd_open features=event_unmap\nA mmap R 4M\nA uffd_register R missing\nA munmap R timeout=2s\nkill A\n')
    expect(outcome(op('A munmap R timeout=2s'))).toBe('ETIMEDOUT')
  })

  it('that were not asked for are not told: a moved area is no longer registered', () => {
    const { op } = ran(`${opened('')}A mremap R 4M to=new\nA touch R write 1M 512K\nA uffd_events\nexit A\n`)
    expect(op('A touch R write 1M 512K').fields['minflt']).toBe(128)
  })

  it('nor is a child of a fork registered without them', () => {
    const { op } = ran(`${opened('')}fork A B\nB touch R write 2M 64K\nexit B\nexit A\n`)
    expect(op('B touch R write 2M 64K').ret).toBe(16)
  })

  it('lets the child go on with pages of zeros when its handler is gone', () => {
    const { op } = ran(`${opened(`features=${ALL}`)}fork A B\nkill A\nB touch R write 2M 64K\nexit B\n`)
    expect(op('B touch R write 2M 64K').ret).toBe(16)
  })
})
