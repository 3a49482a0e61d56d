import { describe, expect, it } from 'vitest'
import { told } from '../numa/lab.ts'

/** Pages of 8 MiB that hold what was written to them still, after single bytes of value 1 were written. */
const stillThe = (content: string, stride = '4K') => {
  const { line } = told(`
    spawn A
    A mmap R 8M
    A touch R write 0 8M content=${content}
    A touch R write 0 8M stride=${stride}
    A check R 0 8M content=${content}
  `)
  return line(`A check R 0 8M content=${content}`).match
}

describe('a byte written over a page', () => {
  it.each([
    ['page', 8],
    ['unique', 8],
    ['unique seed=5', 7],
    ['const:3', 0],
    ['const:409', 2048],
    ['zero', 0],
    ['comp:0', 2048],
  ])('that holds %s leaves it as it was where it held that byte already', (content, pages) => {
    expect(stillThe(content)).toBe(pages)
  })
})
