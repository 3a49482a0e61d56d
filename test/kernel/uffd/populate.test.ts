/** MADV_POPULATE_READ and _WRITE, rule by rule as the commit that introduced them states them. */
import { describe, expect, it } from 'vitest'
import { outcome, ran } from './lab.ts'

describe('MADV_POPULATE_READ', () => {
  it('maps what can be read and breaks no copy-on-write: private memory stays on the page of zeros', () => {
    const { op, field } = ran('spawn A\nA mmap R 1M\nA madvise R populate_read\nA pagemap R\nA touch R write\nexit A\n')
    expect(field('A pagemap R', 'flags')).toMatchObject({ ZERO_PAGE: 256 })
    expect(op('A touch R write').fields['minflt']).toBe(256)
  })

  it('leaves pages shared after fork shared', () => {
    const { field } = ran('spawn A\nA mmap R 1M\nA touch R write\nfork A B\nB madvise R populate_read\nB pagemap R\nexit B\nexit A\n')
    expect(field('B pagemap R', 'mapcount')).toEqual({ '2': 256 })
  })

  it('makes a later read take no fault', () => {
    const { field } = ran('spawn A\nA mmap R 1M memfd flags=shared\nA madvise R populate_read\nA touch R read\nexit A\n')
    expect(field('A touch R read', 'minflt')).toBe(0)
  })

  it('fills the holes of a memory file, and does not make its pages dirty', () => {
    const { field } = ran('spawn A\nA mmap R 1M memfd flags=shared\nA madvise R populate_read\nA pagemap R\nexit A\n')
    expect(field('A pagemap R', 'present')).toBe(256)
    expect(field('A pagemap R', 'flags')).not.toHaveProperty('DIRTY')
  })
})

describe('MADV_POPULATE_WRITE', () => {
  it('gives private memory pages of its own, which need no fault to be written', () => {
    const { field } = ran('spawn A\nA mmap R 1M\nA madvise R populate_write\nA pagemap R\nA touch R write\nexit A\n')
    expect(field('A pagemap R', 'flags')).not.toHaveProperty('ZERO_PAGE')
    expect(field('A touch R write', 'minflt')).toBe(0)
  })

  it('breaks copy-on-write', () => {
    const { field } = ran('spawn A\nA mmap R 1M\nA touch R write\nfork A B\nB madvise R populate_write\nB pagemap R\nexit B\nexit A\n')
    expect(field('B pagemap R', 'mapcount')).toEqual({ '1': 256 })
  })
})

describe('both', () => {
  it('are EINVAL where the mapping does not allow the access', () => {
    const { op } = ran(
      'spawn A\nA mmap R 1M prot=r\nA mmap N 1M prot=none\nA madvise R populate_write\nA madvise R populate_read\nA madvise N populate_read\nexit A\n',
    )
    expect(outcome(op('A madvise R populate_write'))).toBe('EINVAL')
    expect(op('A madvise R populate_read').ret).toBe(0)
    expect(outcome(op('A madvise N populate_read'))).toBe('EINVAL')
  })

  it('are ENOMEM for a hole, when what lies before and behind it is populated', () => {
    const { op, field } = ran('spawn A\nA mmap R 1M\nA munmap R 512K 64K\nA madvise R populate_write\nA pagemap R\nexit A\n')
    expect(outcome(op('A madvise R populate_write'))).toBe('ENOMEM')
    expect(field('A pagemap R', 'present')).toBe(240)
  })

  it('are EFAULT behind the end of the file, with what lies before it populated', () => {
    const { op, field } = ran(
      'spawn A\nA mmap R 1M memfd flags=shared\nA ftruncate R 256K\nA madvise R populate_write\nA pagemap R\nexit A\n',
    )
    expect(outcome(op('A madvise R populate_write'))).toBe('EFAULT')
    expect(field('A pagemap R', 'present')).toBe(64)
  })

  it('populate huge TLB pages, or say that there are none', () => {
    const { op } = ran(
      'spawn A\nA mmap H 4M flags=private,anonymous,hugetlb\nA madvise H populate_write\nA mmap G 8M flags=private,anonymous,hugetlb,noreserve\nA madvise G populate_write\nexit A\n',
    )
    expect(op('A madvise H populate_write').ret).toBe(0)
    expect(outcome(op('A madvise G populate_write'))).toBe('EFAULT')
  })
})
