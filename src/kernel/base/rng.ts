/**
 * The machine's only randomness: a 32-bit generator (mulberry32) whose whole state is one number in the kernel's
 * state, so the same seed gives the same run and a saved machine goes on as the original would have.
 */
export interface Rng {
  state: number
}

/** The next number, 0 .. 2^32 - 1. */
export function rngNext(rng: Rng): number {
  rng.state = (rng.state + 0x6d2b79f5) | 0
  let t = Math.imul(rng.state ^ (rng.state >>> 15), 1 | rng.state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return (t ^ (t >>> 14)) >>> 0
}

/** A number in 0 .. n - 1; n at most 2^32. */
export const rngBelow = (rng: Rng, n: number) => Math.floor((rngNext(rng) / 4294967296) * n)
