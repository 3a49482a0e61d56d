/**
 * In which order a range is gone over. A range of N slots (pages, or the 16 KiB pieces of a file) is walked one slot
 * at a time; each pattern says which slot is next, in constant time and without a table, so a range of a terabyte
 * costs what a range of a page does.
 *
 *     seq        0 1 2 ... N-1 0 1 ...
 *     random     every slot equally likely, each time
 *     zipf:S     the k-th most popular slot with a chance in proportion to 1 / k^S
 *     hot:P/Q    Q % of the accesses to the first P % of the slots, the others to the rest; equally likely within both
 *
 * The popular slots of zipf lie scattered, as keys in a hash table or objects in a heap do: rank k is slot
 * k * step mod N, with a step near the golden section of N that has no divisor in common with N. So the first few ranks are
 * spread evenly and every slot has exactly one rank. The hot set of `hot` is one piece: the two answer different
 * questions about huge pages.
 *
 * A Walk is plain numbers: it can be saved in the middle and goes on as it would have.
 */
import { assert } from '../kernel/base/assert.ts'
import { type Rng, rngNext } from '../kernel/base/rng.ts'
import type { Pattern } from './program.ts'

export interface Walk {
  readonly kind: Pattern['kind']
  readonly slots: number
  readonly rng: Rng
  /** seq: the next slot. */
  at: number
  /** hot: slots of the hot set, and the share of accesses that go there, 0 to 1. */
  readonly hotSlots: number
  readonly hotShare: number
  /** zipf: exponent, the integral of 1 / x^S at both ends, how far a draw may be off and still surely be right, slots between ranks. */
  readonly exponent: number
  readonly first: number
  readonly last: number
  readonly sure: number
  readonly step: number
}

/**
 * @param slots at least 1
 * @param seed any 32-bit number: the same seed walks the same way
 */
export function startWalk(pattern: Pattern, slots: number, seed: number): Walk {
  assert(Number.isSafeInteger(slots) && slots >= 1, 'a walk needs a slot')
  const hot = pattern.kind === 'hot'
  const exponent = pattern.kind === 'zipf' ? pattern.exponent : 0
  return {
    kind: pattern.kind,
    slots,
    rng: { state: seed | 0 },
    at: 0,
    hotSlots: hot ? Math.min(slots, Math.max(1, Math.round((slots * pattern.rangePercent) / 100))) : 0,
    hotShare: hot ? pattern.accessPercent / 100 : 0,
    exponent,
    first: integral(1.5, exponent) - 1,
    last: integral(slots + 0.5, exponent),
    sure: 2 - inverseIntegral(integral(2.5, exponent) - weight(2, exponent), exponent),
    step: pattern.kind === 'zipf' ? coprimeStep(slots) : 0,
  }
}

/** The next slot, 0 to slots - 1. */
export function nextSlot(walk: Walk): number {
  switch (walk.kind) {
    case 'seq': {
      const slot = walk.at
      walk.at = slot + 1 < walk.slots ? slot + 1 : 0
      return slot
    }
    case 'random':
      return below(walk.rng, walk.slots)
    case 'hot':
      return hotSlot(walk)
    case 'zipf':
      return multiplyModulo(zipfRank(walk) - 1, walk.step, walk.slots)
  }
}

/** A number from 0 up to and without 1, of 32 bits. */
const fraction = (rng: Rng) => rngNext(rng) / 2 ** 32

/** A number in 0 .. n - 1; n may exceed 32 bits. */
function below(rng: Rng, n: number): number {
  if (n <= 2 ** 32) return Math.floor(fraction(rng) * n)
  const high = rngNext(rng) >>> 11
  return Math.floor(((high * 2 ** 32 + rngNext(rng)) / 2 ** 53) * n)
}

function hotSlot(walk: Walk): number {
  const { rng, hotSlots, slots } = walk
  return fraction(rng) < walk.hotShare || hotSlots === slots ? below(rng, hotSlots) : hotSlots + below(rng, slots - hotSlots)
}

/**
 * A rank from 1 to slots, by rejection from the integral of 1 / x^S, which can be inverted (Hörmann and Derflinger,
 * "Rejection-inversion to generate variates from monotone discrete distributions", 1996). Nearly every draw is taken.
 */
function zipfRank(walk: Walk): number {
  const { rng, exponent, first, last, slots } = walk
  for (;;) {
    const area = last + fraction(rng) * (first - last)
    const x = inverseIntegral(area, exponent)
    const rank = Math.min(slots, Math.max(1, Math.floor(x + 0.5)))
    if (rank - x <= walk.sure || area >= integral(rank + 0.5, exponent) - weight(rank, exponent)) return rank
  }
}

/** 1 / x^S. */
const weight = (x: number, exponent: number) => Math.exp(-exponent * Math.log(x))

/** The integral of 1 / x^S from 1 to x: (x^(1-S) - 1) / (1 - S), which at S = 1 is log x. */
function integral(x: number, exponent: number): number {
  const log = Math.log(x)
  const t = (1 - exponent) * log
  return log * (Math.abs(t) > 1e-8 ? Math.expm1(t) / t : 1 + t / 2)
}

function inverseIntegral(area: number, exponent: number): number {
  const t = Math.max(-1, area * (1 - exponent))
  return Math.exp(area * (Math.abs(t) > 1e-8 ? Math.log1p(t) / t : 1 - t / 2))
}

/** A step near 0.618 N without a divisor in common with N. */
function coprimeStep(slots: number): number {
  let step = Math.max(1, Math.floor(slots * 0.6180339887498949))
  while (divisor(step, slots) !== 1) step++
  return step
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b)
}

/** a * b mod n without losing digits; n up to 2^39. */
function multiplyModulo(a: number, b: number, n: number): number {
  if (n <= 2 ** 26) return (a * b) % n
  const half = 2 ** 14
  const high = (a * Math.floor(b / half)) % n
  return (high * half + a * (b % half)) % n
}
