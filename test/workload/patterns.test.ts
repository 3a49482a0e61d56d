import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextSlot, startWalk } from '../../src/workload/patterns.ts'
import type { Pattern } from '../../src/workload/program.ts'

const zipf = (exponent: number): Pattern => ({ kind: 'zipf', exponent })
const hot = (rangePercent: number, accessPercent: number): Pattern => ({ kind: 'hot', rangePercent, accessPercent })

const anyPattern: fc.Arbitrary<Pattern> = fc.oneof(
  fc.constant<Pattern>({ kind: 'seq' }),
  fc.constant<Pattern>({ kind: 'random' }),
  fc.double({ min: 0.01, max: 10, noNaN: true }).map(zipf),
  fc.tuple(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 99 })).map(([p, q]) => hot(p, q)),
)

function walked(pattern: Pattern, slots: number, accesses: number, seed = 1): number[] {
  const walk = startWalk(pattern, slots, seed)
  return Array.from({ length: accesses }, () => nextSlot(walk))
}

function counts(slots: readonly number[]): number[] {
  const count = new Map<number, number>()
  for (const slot of slots) count.set(slot, (count.get(slot) ?? 0) + 1)
  return [...count.values()].sort((a, b) => b - a)
}

describe('a walk', () => {
  it('stays in its range, whatever the pattern, the size and the seed', () => {
    fc.assert(
      fc.property(
        anyPattern,
        fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2 ** 38 })),
        fc.integer(),
        (pattern, slots, seed) => {
          for (const slot of walked(pattern, slots, 50, seed)) {
            if (!Number.isSafeInteger(slot) || slot < 0 || slot >= slots) return false
          }
          return true
        },
      ),
    )
  })

  it('is the same for the same seed and another for another', () => {
    for (const pattern of [{ kind: 'random' } as const, zipf(0.99), hot(10, 90)]) {
      expect(walked(pattern, 1000, 100, 7)).toEqual(walked(pattern, 1000, 100, 7))
      expect(walked(pattern, 1000, 100, 7)).not.toEqual(walked(pattern, 1000, 100, 8))
    }
  })

  it('goes on as it would have when it was saved in the middle', () => {
    fc.assert(
      fc.property(anyPattern, fc.integer({ min: 1, max: 5000 }), (pattern, slots) => {
        const walk = startWalk(pattern, slots, 3)
        for (let i = 0; i < 20; i++) nextSlot(walk)
        const saved = structuredClone(walk)
        const rest = Array.from({ length: 20 }, () => nextSlot(walk))
        expect(Array.from({ length: 20 }, () => nextSlot(saved))).toEqual(rest)
      }),
    )
  })

  it('goes up and round when it is sequential', () => {
    expect(walked({ kind: 'seq' }, 3, 7)).toEqual([0, 1, 2, 0, 1, 2, 0])
  })

  it('comes by every slot about as often when it is random', () => {
    const count = counts(walked({ kind: 'random' }, 100, 100_000))
    expect(count).toHaveLength(100)
    expect(count[0]).toBeLessThan(1150)
    expect(count[99]).toBeGreaterThan(850)
  })

  it('sends the given share to the hot set', () => {
    const slots = walked(hot(10, 90), 1000, 100_000)
    expect(slots.filter(slot => slot < 100).length / 1000).toBeCloseTo(90, 0)
    expect(new Set(slots).size).toBe(1000)
  })

  it('may have a hot set that is the whole range', () => {
    expect(walked(hot(99, 1), 1, 3)).toEqual([0, 0, 0])
  })

  it.each([0.5, 0.99, 1, 1.3, 3])('follows the law of Zipf with exponent %d', exponent => {
    const [slots, accesses] = [1000, 200_000]
    const total = Array.from({ length: slots }, (_, k) => (k + 1) ** -exponent).reduce((a, b) => a + b)
    const count = counts(walked(zipf(exponent), slots, accesses))
    for (const rank of [1, 2, 3, 10]) {
      const expected = (accesses * rank ** -exponent) / total
      if (expected > 400) expect(Math.abs(count[rank - 1] - expected) / expected).toBeLessThan(0.15)
    }
  })

  it('gives every rank of zipf its own slot, and spreads the popular ones', () => {
    for (const slots of [1, 2, 7, 64, 1000, 4096]) expect(new Set(walked(zipf(0.01), slots, slots * 40)).size).toBe(slots)
    const walk = startWalk(zipf(1.2), 2 ** 30, 1)
    const popular = new Map<number, number>()
    for (let i = 0; i < 20_000; i++) {
      const slot = nextSlot(walk)
      popular.set(slot, (popular.get(slot) ?? 0) + 1)
    }
    const top = [...popular].sort((a, b) => b[1] - a[1]).slice(0, 8)
    const quarters = new Set(top.map(([slot]) => Math.floor((slot * 4) / 2 ** 30)))
    expect(quarters.size).toBe(4)
  })
})
