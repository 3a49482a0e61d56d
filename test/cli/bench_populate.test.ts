/** The cost model against the published table, its small half; the whole is `npm run bench -- populate`. */
import { describe, expect, it } from 'vitest'
import { claimsOf, predictMs } from '../../src/cli/bench_populate.ts'
import { ACCESSES, PUBLISHED } from '../../src/cli/bench_populate_table.ts'

describe('the cost model', () => {
  it('has 190 published cells to be held against', () => {
    expect(PUBLISHED.reduce((sum, [, , , us]) => sum + us.length, 0)).toBe(190)
  })

  it('is near them where 2 MiB of single pages are concerned, with at most 16 constants', () => {
    const used = new Set<string>()
    const errors = PUBLISHED.filter(([mib, , memory]) => mib === 2 && ['Anon 4 KiB', 'Memfd 4 KiB', 'file'].includes(memory)).flatMap(
      ([mib, mapping, memory, us]) => us.map((each, i) => predictMs(mib, mapping, memory, ACCESSES[i], used) / (each / 1000) - 1),
    )
    expect(Math.max(...errors.map(Math.abs))).toBeLessThan(0.25)
    expect(errors.filter(error => Math.abs(error) > 0.1).length).toBeLessThanOrEqual(7)
    expect([...used].filter(name => name !== 'context_switch').length).toBeLessThanOrEqual(15)
  })

  it('asks of every claim of the text whether it holds', () => {
    const cells = PUBLISHED.flatMap(([size_mib, mapping, memory, us]) =>
      us.map((each, i) => ({ size_mib, mapping, memory, access: ACCESSES[i], published_ms: each / 1000, predicted_ms: each / 1000 })),
    )
    expect(claimsOf({ cells, parameters: 0, parameter_names: [] }).length).toBe(9)
  })
})
