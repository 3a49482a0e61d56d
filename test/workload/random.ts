/**
 * Random workloads for any room: every op ends, the machine is sound after each, and the run is the same again. A failure prints
 * the program that repeats it; FUZZ_PROGRAMS and FUZZ_SEED ask for more and for others.
 */
import { describe, expect, it } from 'vitest'
import { type Rng, rngBelow } from '../../src/kernel/base/rng.ts'
import { verify } from '../../src/kernel/verify.ts'
import { createSimulation, runToEnd } from '../../src/sim/simulation.ts'
import type { OpRecord } from '../../src/workload/interpreter.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

/** Where a program's choices come from. */
export interface Dice {
  /** A whole number from 0 to n - 1. */
  readonly below: (n: number) => number
  readonly one: <T>(of: readonly T[]) => T
}

export interface RandomWork {
  /** Programs that are tried unless told. */
  readonly programs: number
  /** Tells these programs from those of other tests with the same seed. */
  readonly salt: number
  /** Recounts the machine after every so many ops, and at the end; after each unless told. */
  readonly every?: number
  /** Lines of a program; superfluous blanks are taken out. */
  readonly program: (dice: Dice) => readonly string[]
  /** Sees each op that is over. */
  readonly check?: (record: OpRecord) => void
}

const FIRST_SEED = Number(process.env['FUZZ_SEED'] ?? 1)

/** @param promise what all programs keep, the rest of a test's name */
export function describeRandom(what: string, promise: string, work: RandomWork): void {
  const programs = Number(process.env['FUZZ_PROGRAMS'] ?? work.programs)
  describe(what, () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + programs; seed++) {
      it(`${promise}: seed ${seed}`, () => {
        const text = tidy(work.program(diceOf(seed * work.salt)))
        try {
          const first = outcome(text, work, work.every ?? 1)
          expect(outcome(text, work, Number.POSITIVE_INFINITY)).toBe(first)
        } catch (error) {
          if (error instanceof Error) error.message += `\n${text}`
          throw error
        }
      })
    }
  })
}

function diceOf(state: number): Dice {
  const rng: Rng = { state }
  const below = (n: number) => rngBelow(rng, n)
  return { below, one: of => of[below(of.length)] }
}

const tidy = (lines: readonly string[]): string => lines.join('\n').replace(/ +/g, ' ').replace(/ $/gm, '')

/** Runs it, and says what happened: results and counters. */
function outcome(text: string, { check }: RandomWork, every: number): string {
  const sim = createSimulation(parseWorkload(text, 'random'))
  const results: string[] = []
  runToEnd(sim, record => {
    if (record.kind !== 'op') return
    const { i, text: line } = record.statement
    results.push(`${i} ${record.ret} ${record.err ?? ''}`)
    check?.(record)
    if (results.length % every === 0) expect(verify(sim.k), `after line ${i}: ${line}`).toEqual([])
  })
  expect(verify(sim.k)).toEqual([])
  return `${results.join('\n')}\n${sim.k.event.join()}`
}
