/** What only counters tell of is an event of a simulation too. */
import { describe, expect, it } from 'vitest'
import { happened, newGrown } from '../../src/sample/happenings.ts'
import { openDirect } from '../../src/sim/direct.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

/** Kinds of the events of a workload, each with how often it is told. */
async function kindsOf(lines: string): Promise<Map<string, number>> {
  const source = openDirect(parseWorkload(lines, 'test'), {}, { intervalNs: 1e8 })
  const kinds = new Map<string, number>()
  for (let frame = await source.next(); frame !== undefined; frame = await source.next())
    for (const line of (frame.files.get('/mmtop/events') ?? '').split('\n').filter(text => text !== '')) {
      const kind = line.split(' ')[1]
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    }
  await source.close()
  return kinds
}

describe('events that counters tell of', () => {
  it('are kswapd and stalls of a machine that runs out of memory, and none of one that does not', async () => {
    const machine = 'machine mem=256M swap=512M\ncmdline transparent_hugepage=never\nsleep 300\nspawn A\n'
    const short = await kindsOf(`${machine}A mmap R 400M\nA touch R write rate=200M/s\n`)
    expect(short.get('kswapd')).toBeGreaterThan(0)
    expect(short.get('stall')).toBeGreaterThan(0)
    const roomy = await kindsOf(`${machine}A mmap R 20M\nA touch R write rate=200M/s\n`)
    expect([roomy.get('kswapd'), roomy.get('stall')]).toEqual([undefined, undefined])
  })

  it('are told when they begin, or every time, and not by who is told them otherwise', () => {
    const past = newGrown()
    const at = (runs: number, kills: number) => happened(past, `pageoutrun ${runs}\noom_kill ${kills}\n`, 5)
    expect(at(1, 0)).toEqual([])
    expect(at(2, 1)).toEqual(['5 oom the OOM killer ended 1 process', '5 kswapd kswapd began to reclaim'])
    expect(at(3, 3)).toEqual(['5 oom the OOM killer ended 2 processes'])
    expect(at(3, 3)).toEqual([])
    expect(happened(past, 'pageoutrun 4\noom_kill 4\n', 6, ['oom'])).toEqual(['6 kswapd kswapd began to reclaim'])
  })
})
