/** What processes of a workload fault on of their own, as the executor whose part they play does. */
import { describe, expect, it } from 'vitest'
import { must } from '../../src/kernel/base/assert.ts'
import { PORTS } from '../../src/sim/ports.ts'
import { runText } from './run.ts'

const faults = (text: string, name = 'A') =>
  must(runText(text, { ports: PORTS }).run.workers.find(worker => worker?.name === name)?.task, name).minflt

describe('a process of a workload faults on its own memory', () => {
  it('33 times as it begins, 5 times about its first op, and no more in the ones that follow', () => {
    expect(faults('spawn A\n')).toBe(33)
    expect(faults('spawn A\nA mmap R 1M\n')).toBe(38)
    expect(faults('spawn A\nA mmap R 1M\nA mmap S 1M\nA munmap R\n')).toBe(38)
  })

  it('to have pages of its own again in the op after a fork, and its child from its beginning', () => {
    const before = faults('spawn A\nA mmap R 1M\nfork A B\n')
    expect(before).toBe(40)
    expect(faults('spawn A\nA mmap R 1M\nfork A B\nA munmap R\n') - before).toBe(3)
    expect(faults('spawn A\nA mmap R 1M\nfork A B\n', 'B')).toBe(20)
    expect(faults('spawn A\nA mmap R 1M\nfork A B\nB munmap R\n', 'B')).toBe(23)
  })

  it('after writes have been forgotten, within that op and in the next', () => {
    const text = 'spawn A\nA mmap R 1M\nA clear_refs 4\n'
    expect(faults(text)).toBe(41)
    expect(faults(`${text}A munmap R\n`)).toBe(43)
  })

  it('when it handles a signal after a fork, and never otherwise', () => {
    const touched = faults('spawn A\nA mmap R 1M prot=none\nA touch R read\n')
    expect(touched).toBe(38)
    expect(faults('spawn A\nA mmap R 1M prot=none\nfork A B\nB touch R read\n', 'B')).toBe(24)
  })
})
