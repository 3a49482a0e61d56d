/** Workloads as tests: runs a few lines, says what each gave, and recounts the machine. */
import { expect } from 'vitest'
import type { Kernel } from '../../../src/kernel/base/state.ts'
import { verify } from '../../../src/kernel/verify.ts'
import { procRead } from '../../../src/procfs/tree.ts'
import { createSimulation, runToEnd } from '../../../src/sim/simulation.ts'
import { parseWorkload } from '../../../src/workload/parse.ts'

export interface Lab {
  readonly k: Kernel
  /** What each op gave: "ret", "ERRNO" or the text that it read. */
  readonly results: readonly string[]
}

/**
 * Runs the lines of a workload after those of a machine; `check` lines must find what was written, and the machine must
 * add up after each `every` lines and at the end.
 */
export function run(machine: string, lines: string, every = Number.POSITIVE_INFINITY): Lab {
  const sim = createSimulation(parseWorkload(`${machine}\n${lines}`, 'test'))
  const results: string[] = []
  runToEnd(sim, record => {
    if (record.kind !== 'op') return
    const { text } = record.statement
    const read = record.fields?.['text']
    results.push(typeof read === 'string' ? read : (record.err ?? String(record.ret)))
    if (/^\w+ check/.test(text)) expect(record.fields, text).toMatchObject({ differ: 0 })
    if (results.length % every === 0) expect(verify(sim.k), `after ${text}`).toEqual([])
  })
  expect(verify(sim.k)).toEqual([])
  return { k: sim.k, results }
}

/** A number that a file shows, or the one after `key` in it. */
export function figure(k: Kernel, path: string, key = ''): number {
  const text = procRead(k, path)
  if (typeof text === 'number') return text
  return Number(new RegExp(`${key}\\s*(\\d+)`).exec(text)?.[1])
}

export const zswapFigure = (k: Kernel, name: string): number => figure(k, `/sys/kernel/debug/zswap/${name}`)
