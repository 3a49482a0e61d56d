/** Running workloads in tests: a small machine, made-up files, and what the run recorded. */
import { ENOENT } from '../../src/kernel/base/errno.ts'
import { bootKernel } from '../../src/kernel/boot.ts'
import {
  type DeathRecord,
  type OpRecord,
  type Ports,
  type Run,
  type RunRecord,
  startRun,
  step,
  takeRecords,
} from '../../src/workload/interpreter.ts'
import { machineOf } from '../../src/workload/machine.ts'
import { parseWorkload } from '../../src/workload/parse.ts'

/** Files that hold numbers, and two that act: /kill takes a pid, /tick counts its readings. */
export function testPorts(files: Map<string, string> = new Map()): Ports {
  let ticks = 0
  return {
    read: (_k, path) => (path === '/tick' ? `${++ticks}\n` : (files.get(path) ?? -ENOENT)),
    write: (k, path, text) => {
      const victim = path === '/kill' ? k.tasks.get(Number(text)) : undefined
      if (victim !== undefined) victim.killed = 9
      else if (path !== '/kill' && !files.has(path)) return -ENOENT
      else files.set(path, `${text}\n`)
      return text.length
    },
    pagemap: (_k, _task, _vpn, pages) => ({ pages }),
  }
}

const MACHINE = 'machine mem=256M cpus=4\ncmdline transparent_hugepage=never\n'

export interface Ended {
  readonly run: Run
  readonly records: readonly RunRecord[]
  /** The ops, without the machine's lines: text -> the record of its last time. */
  readonly op: (text: string) => OpRecord
  readonly deaths: readonly DeathRecord[]
  /** Virtual milliseconds from line 1 to the end. */
  readonly ms: number
}

export interface RunOptions {
  readonly ports?: Ports
  readonly machine?: string
  /** Called after every record. */
  readonly after?: (run: Run) => void
  /** Virtual nanoseconds that are asked for at a time. */
  readonly cutNs?: number
}

/** Runs lines to their end. */
export function runText(text: string, { ports = testPorts(), machine = MACHINE, after, cutNs }: RunOptions = {}): Ended {
  const program = parseWorkload(machine + text, 'test')
  const k = bootKernel(machineOf(program), { junkOnFree: true })
  const run = startRun(k, program, ports)
  const records: RunRecord[] = []
  let limit = run.startNs
  while (!run.ended) {
    limit = cutNs === undefined ? Number.POSITIVE_INFINITY : limit + cutNs
    while (!run.ended && step(run, ports, limit)) {
      for (const record of takeRecords(run)) {
        records.push(record)
        after?.(run)
      }
    }
    if (k.clock[0] > run.startNs + 1e13 || (limit === Number.POSITIVE_INFINITY && !run.ended)) throw new Error('the run does not end')
  }
  const end = records.at(-1)
  const op = (wanted: string) => {
    const found = records.findLast(record => (record.kind === 'op' || record.kind === 'expect') && record.statement.text === wanted)
    if (found?.kind !== 'op' && found?.kind !== 'expect') throw new Error(`no record of "${wanted}"`)
    return found
  }
  return {
    run,
    records,
    op,
    deaths: records.filter(record => record.kind === 'death'),
    ms: end?.kind === 'end' ? (end.ns - run.startNs) / 1e6 : 0,
  }
}
