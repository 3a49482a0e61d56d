/** Interval sets against plain sets of numbers. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Regions, regionAdd, regionCount, regionDelete, regionMissing } from '../../../src/kernel/base/regions.ts'

const step = fc.record({
  op: fc.constantFrom('add', 'delete', 'count'),
  from: fc.nat(24),
  length: fc.oneof({ weight: 5, arbitrary: fc.nat(7) }, { weight: 1, arbitrary: fc.constant(Number.POSITIVE_INFINITY) }),
})

const members = (regions: Regions): number[] =>
  regions.flatMap((from, i) => (i % 2 === 0 ? Array.from({ length: regions[i + 1] - from }, (_, n) => from + n) : []))

it('interval sets hold, count and lose what a set of numbers does, as ascending intervals that do not touch', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), steps => {
      const regions: Regions = []
      const set = new Set<number>()
      for (const { op, from, length } of steps) {
        const to = op === 'delete' ? from + length : from + Math.min(length, 9)
        const inside = [...set].filter(n => from <= n && n < to)
        if (op === 'count') {
          expect([regionCount(regions, from, to), regionMissing(regions, from, to)]).toEqual([inside.length, to - from - inside.length])
        } else if (op === 'delete') {
          expect(regionDelete(regions, from, to)).toBe(inside.length)
          for (const n of inside) set.delete(n)
        } else if (to > from) {
          expect(regionAdd(regions, from, to)).toBe(to - from - inside.length)
          for (let n = from; n < to; n++) set.add(n)
        }
        expect(members(regions)).toEqual([...set].sort((a, b) => a - b))
        expect(regions.every((at, i) => i === 0 || at > regions[i - 1])).toBe(true)
      }
    }),
  )
})
