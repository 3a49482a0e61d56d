/** Live migration of a region from one process to another, through userfaultfd. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { verify } from '../../src/kernel/verify.ts'
import { createSimulation, runToEnd, runUntil } from '../../src/sim/simulation.ts'
import type { Fields } from '../../src/workload/interpreter_state.ts'
import { MIGRATION_TUNABLES } from '../../src/workload/migration_knobs.ts'
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

  it('never sends a page twice after the switch, whatever the target touches and whenever', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer({ min: 1, max: 1000 }),
          rounds: fc.integer({ min: 0, max: 2 }),
          bandwidth: fc.constantFrom('4M/s', '32M/s', '1G/s'),
          latency: fc.constantFrom('0', '100us', '3ms'),
          touches: fc.integer({ min: 1, max: 400 }),
        }),
        ({ seed, rounds, bandwidth, latency, touches }) => {
          const of = fieldsOf(
            `seed ${seed}\n${PAIR}bg A touch R write 0 2M content=const:9 for=10s rate=30M/s\npostcopy A B R rounds=${rounds} bandwidth=${bandwidth} latency=${latency}\nbg B touch R read pattern=random count=${touches}\npostcopy_join B\njoin B\nkill A\nexit B\n`,
          )
          const end = of('postcopy_join')
          expect(Number(end['pushed']) + Number(end['urgent'])).toBe(end['missing'])
          expect(end['left']).toBe(0)
          expect(end['bytes']).toBe((Number(end['precopied']) + Number(end['missing'])) * 4096 + 2048 / 8)
        },
      ),
      { numRuns: 8 },
    )
  })

  it('tells what each round sent and found written to', () => {
    const end = fieldsOf(
      `${PAIR}bg A touch R write 0 1M content=const:9 for=10s rate=20M/s\npostcopy A B R rounds=3 bandwidth=64M/s\npostcopy_join B\nkill A\nexit B\n`,
    )('postcopy_join')
    expect(end['round_1_sent']).toBe(1024)
    expect(end['round_2_sent']).toBe(end['round_1_dirty'])
    expect(end['round_3_sent']).toBe(end['round_2_dirty'])
    expect(end['precopied']).toBe(1024 + Number(end['round_2_sent']) + Number(end['round_3_sent']))
  })

  it('goes on by its knobs: more bandwidth hurries one under way', () => {
    const took = (line: string) =>
      Number(
        fieldsOf(`${PAIR}postcopy A B R rounds=0 bandwidth=1M/s\n${line}\npostcopy_join B\nkill A\nexit B\n`)('postcopy_join')['total_ns'],
      )
    expect(took('write /mmtop/migration/bandwidth 131072')).toBeLessThan(took('sleep 1') / 10)
  })

  it('switches over in the middle of pre-copy that is told to be done', () => {
    const sim = createSimulation(
      parseWorkload(
        `${MACHINE}${PAIR}bg A touch R write 0 1M content=const:9 for=60s rate=100M/s\npostcopy A B R bandwidth=32M/s rounds=1000\npostcopy_join B\n`,
        'test',
      ),
    )
    runUntil(sim, 0.5e9, () => {})
    const [migration] = sim.run.migrations
    expect(migration.phase).toBe('precopy')
    expect(migration.round).toBeGreaterThan(1)
    expect(sim.ports.write(sim.k, '/mmtop/migration/rounds', '1')).toBe(1)
    runToEnd(sim, () => {})
    expect(migration.phase).toBe('done')
    expect(migration.figures.left).toBe(0)
    expect(verify(sim.k)).toEqual([])
  })

  it('begins with its knobs at their defaults', () => {
    const { k, ports } = createSimulation(parseWorkload(MACHINE, 'test'))
    for (const { path, default: told } of MIGRATION_TUNABLES) expect(`${path} ${ports.read(k, path)}`).toBe(`${path} ${told}\n`)
  })

  it('refuses to set a knob to what it cannot be', () => {
    const of = fieldsOf(
      'write /mmtop/migration/rounds -1\nwrite /mmtop/migration/bandwidth 0\nwrite /mmtop/migration/speed 1\nwrite /mmtop/migration/rounds 5\n',
    )
    expect(of('write /mmtop/migration/bandwidth').ret).toBe(-1)
    expect(of('write /mmtop/migration/speed').ret).toBe(-1)
    expect(of('write /mmtop/migration/rounds 5').ret).toBe(1)
  })
})
