/** Kernel objects of address spaces, as /proc/slabinfo counts them. */
import { describe, expect, it } from 'vitest'
import { ran } from '../uffd/lab.ts'

describe('the objects of areas', () => {
  const active = (text: unknown, cache: string): number => Number(new RegExp(`^${cache} +(\\d+)`, 'm').exec(String(text))?.[1])

  it('link each piece of a split area to the anon_vma of its pages, and after a fork to that of its own as well', () => {
    const { field } = ran(
      'spawn A\nA mmap R 4M\nA touch R write\nread /proc/slabinfo\nA mprotect R ro stride=8K span=4K\nread  /proc/slabinfo\nfork A B\nread   /proc/slabinfo\nexit B\nexit A\n',
    )
    const chains = ['read /proc/slabinfo', 'read  /proc/slabinfo', 'read   /proc/slabinfo'].map(line =>
      active(field(line, 'text'), 'anon_vma_chain'),
    )
    // A slab of 64 that is in use counts whole: 1024 pieces, and twice as many links of the child's.
    expect([chains[1] - chains[0] >= 15 * 64, chains[2] - chains[1] >= 31 * 64]).toEqual([true, true])
  })
})
