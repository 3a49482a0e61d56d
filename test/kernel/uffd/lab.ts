/** Workloads that handle their own faults, recounted now and then, and at their end. */
import { expect } from 'vitest'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import type { OpRecord } from '../../../src/workload/interpreter.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'

const MACHINE = 'machine mem=128M cpus=2\ncmdline transparent_hugepage=never hugepages=4\n'

/** Ops between two recounts. */
const RECOUNT_EVERY = 5

export interface Ran {
  /** The record of the last time that this line ran. */
  readonly op: (text: string) => OpRecord
  /** A field of it. */
  readonly field: (text: string, name: string) => unknown
  readonly k: Kernel
}

/** Runs the lines on a small machine; a line that fails fails on. */
export function ran(lines: string, machine = MACHINE): Ran {
  const records = new Map<string, OpRecord>()
  const sim = createSimulation(parseWorkload(machine + lines, 'test'))
  runToEnd(sim, record => {
    if (record.kind !== 'op') return
    records.set(record.statement.text, record)
    if (records.size % RECOUNT_EVERY === 0) expect(verify(sim.k)).toEqual([])
  })
  expect(verify(sim.k)).toEqual([])
  const op = (text: string): OpRecord => {
    const record = records.get(text)
    if (record === undefined) throw new Error(`no record of "${text}"`)
    return record
  }
  return { op, field: (text, name) => op(text).fields[name], k: sim.k }
}

/** What became of a line: its ret, or the name of its errno. */
export const outcome = ({ ret, err }: OpRecord): number | string => err ?? ret

export const HUGE_MACHINE = 'machine mem=640M cpus=2\ncmdline transparent_hugepage=always\n'
