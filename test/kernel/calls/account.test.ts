/** Promises of memory in mode 2 of overcommit_memory. */
import { describe, expect, it } from 'vitest'
import { vmCommitLimit } from '../../../src/kernel/calls/account.ts'
import { ran } from '../uffd/lab.ts'

/** What an idle process, of 704 pages, leaves to others. */
const SPARED_PAGES = 704 / 32

describe('the sum of promises', () => {
  const MODE_2 = 'mount tmpfs /t\nspawn A\nwrite /proc/sys/vm/overcommit_kbytes 20000\nwrite /proc/sys/vm/overcommit_memory 2\n'

  it('is passed by less than a batch of small promises that one CPU has not told the others about', () => {
    const { k } = ran(`${MODE_2}A writefile /t/a 64M\n`)
    const batch = Math.floor(k.totalramPages / k.cpus.length / 256)
    const limit = vmCommitLimit(k) - SPARED_PAGES
    expect(k.committedAs).toBeGreaterThan(limit)
    expect(k.committedAs).toBeLessThan(limit + batch)
  })

  it('is exact for what is larger than a batch', () => {
    const { op, k } = ran(`${MODE_2}A mmap R 18M\nA mmap S 4M\nexit A\n`)
    expect([op('A mmap R 18M').ret, op('A mmap S 4M').err]).toEqual([0, 'ENOMEM'])
    expect(k.committedAs).toBeLessThan(vmCommitLimit(k))
  })
})
