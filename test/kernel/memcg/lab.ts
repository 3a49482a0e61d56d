/** Running lines about control groups: what each came to, and the machine at the end, which is recounted after every line. */
import { expect } from 'vitest'
import { must } from '../../../src/kernel/base/assert.ts'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead } from '../../../src/procfs/tree.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import type { OpRecord } from '../../../src/workload/interpreter.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'

export interface Outcome {
  readonly k: Kernel
  readonly ops: readonly OpRecord[]
  /** The last op with that text. */
  readonly op: (text: string) => OpRecord
  /** Errno of the last op with that text; empty when it went well. */
  readonly err: (text: string) => string
}

const MACHINE = 'machine mem=144M cpus=2 swap=64M disk=64M\ncmdline transparent_hugepage=never\nfile f 32M\n'

export function run(lines: string, machine = MACHINE): Outcome {
  const sim = createSimulation(parseWorkload(machine + lines, 'test'))
  const ops: OpRecord[] = []
  runToEnd(sim, record => {
    if (record.kind !== 'op') return
    ops.push(record)
    expect(verify(sim.k), `after ${record.statement.text}`).toEqual([])
  })
  const op = (text: string) =>
    must(
      ops.findLast(({ statement }) => statement.text === text),
      `no line "${text}"`,
    )
  return { k: sim.k, ops, op, err: text => op(text).err ?? '' }
}

/** The text of a group's file now. */
export function file(k: Kernel, path: string): string {
  const text = procRead(k, `/sys/fs/cgroup/${path}`)
  return typeof text === 'number' ? `errno ${-text}` : text.trimEnd()
}

/** A number of a file of `key value` lines. */
export const keyed = (k: Kernel, path: string, key: string): number =>
  Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(file(k, path))?.[1] ?? Number.NaN)
