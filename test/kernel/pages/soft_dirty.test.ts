/** What soft-dirty tracking takes for a write besides writes: what a page that was ever written to goes through. */
import { describe, expect, it } from 'vitest'
import { told } from '../numa/lab.ts'

const HUGE = 'machine nodes=1 mem=640M cpus=1 swap=32M\ncmdline transparent_hugepage=always\nspawn A\n'

describe('soft-dirty tracking', () => {
  it('takes a move to another node for a write to pages that were written to, and only to those', () => {
    const { line } = told(`
      spawn A cpu=0
      A mmap R 2M
      A touch R write 0 1M
      A touch R read 1M 1M
      A mmap F 1M file=/f flags=shared
      A touch F read
      A clear_refs 4
      A pagemap R
      A migrate_pages 0 1
      A pagemap R
      A pagemap F
    `)
    expect(line('A pagemap R', 0).softdirty).toBe(0)
    expect(line('A pagemap R', 1).softdirty).toBe(256)
    expect(line('A pagemap F').softdirty).toBe(0)
  })

  it('takes the split of a huge page for a write to all of it, but not that of its mapping', () => {
    const { line } = told(`${HUGE}
      A mmap R 4M
      A touch R write
      A clear_refs 4
      A mprotect R ro 0 1M
      A pagemap R
      A madvise R pageout 2M 1M
      A pagemap R
    `)
    expect(line('A pagemap R', 0).softdirty).toBe(0)
    expect(line('A pagemap R', 1)).toMatchObject({ softdirty: 512, swapped: 256 })
  })

  it('takes the split of a huge page whose mappings are split already for no write', () => {
    const { line } = told(`${HUGE}
      A mmap R 2M
      A touch R write
      A mprotect R ro 0 1M
      A clear_refs 4
      A madvise R pageout 1M 1M
      A pagemap R
    `)
    expect(line('A pagemap R')).toMatchObject({ softdirty: 0, swapped: 256 })
  })

  it('notices the first write to shared memory that a read mapped since', () => {
    const { line } = told(`${HUGE}
      A mmap R 1M flags=shared,anonymous
      A touch R write 0 64K
      A clear_refs 4
      A touch R read
      A touch R write 0 512K
      A pagemap R
    `)
    expect(line('A touch R write 0 512K').minflt).toBe(128)
    expect(line('A pagemap R')).toMatchObject({ softdirty: 128, present: 256 })
  })
})
