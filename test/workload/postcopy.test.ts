/** Live migration of a region from one process to another, through userfaultfd. */
import { describe, expect, it } from 'vitest'
import { verify } from '../../src/kernel/verify.ts'
import { createSimulation, runToEnd } from '../../src/sim/simulation.ts'
import type { Fields } from '../../src/workload/interpreter_state.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

const MACHINE = 'machine mem=256M cpus=4\ncmdline transparent_hugepage=never\n'
const PAIR = `spawn A cpu=1
A mmap R 8M
A touch R write 0 4M content=page
spawn B cpu=2
B mmap R 8M
`

/** The fields of the last record whose line begins so. */
function fieldsOf(lines: string): (begin: string) => Fields & { readonly ret: number } {
  const records = new Map<string, Fields & { readonly ret: number }>()
  const sim = createSimulation(parseWorkload(MACHINE + lines, 'test'))
  runToEnd(sim, record => {
    if (record.kind === 'op') records.set(record.statement.text, { ...record.fields, ret: record.ret })
  })
  expect(verify(sim.k)).toEqual([])
  return begin => [...records].findLast(([text]) => text.startsWith(begin))?.[1] ?? { ret: Number.NaN }
}

describe('post-copy migration', () => {
  it('brings every page to the target, once, and what it touches first', () => {
    const of = fieldsOf(
      `${PAIR}postcopy A B R rounds=0\nbg B touch R read pattern=random count=500\npostcopy_join B\njoin B\nB check R 0 4M content=page\nkill A\nexit B\n`,
    )
    expect(of('postcopy A').ret).toBeGreaterThan(900)
    expect(Number(of('postcopy_join')['pushed']) + Number(of('postcopy_join')['urgent'])).toBe(1024)
    expect(of('postcopy_join')['urgent']).toBeGreaterThan(0)
    expect(of('B check')['match']).toBe(1024)
  })

  it('has nothing left after a round of pre-copy in which nothing was written', () => {
    const of = fieldsOf(`${PAIR}postcopy A B R rounds=1\npostcopy_join B\nB check R 0 4M content=page\nkill A\nexit B\n`)
    expect(of('postcopy A').ret).toBe(0)
    expect(of('postcopy_join')['precopied']).toBe(1024)
    expect(of('B check')['match']).toBe(1024)
  })

  it('sends again what was written during the last round', () => {
    const of = fieldsOf(
      `${PAIR}bg A touch R write 0 1M content=const:9 for=10s rate=20M/s\npostcopy A B R rounds=2 bandwidth=64M/s\npostcopy_join B\nB check R 0 1M content=const:9\nkill A\nexit B\n`,
    )
    expect(of('postcopy A').ret).toBeGreaterThan(0)
    expect(of('postcopy A').ret).toBeLessThanOrEqual(256)
    expect(of('B check')['match']).toBe(256)
  })

  it('makes a missing page wait for a round trip and its way, and no shorter for more latency', () => {
    const wait = (latency: string) =>
      Number(
        fieldsOf(`${PAIR}postcopy A B R rounds=0 latency=${latency}\nB touch R read 3M 4K\npostcopy_join B\nkill A\nexit B\n`)(
          'postcopy_join',
        )['fault_ns'],
      )
    expect(wait('1ms')).toBeGreaterThan(2e6)
    expect(wait('100us')).toBeLessThan(wait('1ms'))
  })

  it('gives pages of zeros where the source never had any', () => {
    const of = fieldsOf(`${PAIR}postcopy A B R rounds=0 bandwidth=1M/s\nB touch R read 6M 64K\nkill A\nexit B\n`)
    expect(of('B touch').ret).toBe(16)
  })

  it('ends when the source dies: the target finds zeros', () => {
    const of = fieldsOf(`${PAIR}postcopy A B R rounds=0 bandwidth=1M/s\nkill A\nB touch R read 3M 64K\npostcopy_join B\nexit B\n`)
    expect(of('B touch').ret).toBe(16)
  })

  it('is refused for regions that do not match', () => {
    const of = fieldsOf(`${PAIR}B munmap R\nB mmap R 4M\npostcopy A B R\nexit A\nexit B\n`)
    expect(of('postcopy A').ret).toBe(-1)
  })
})
