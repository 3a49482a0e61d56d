/**
 * Records of what is over, and the words for errnos and signals in them.
 */

import { now } from '../kernel/base/cost.ts'
import { errnoName } from '../kernel/base/errno.ts'
import type { Death, Fields, OpRecord, Result, Run, Sample, Worker } from './interpreter_state.ts'
import type { Source } from './program.ts'

/** What an op that is over says of itself. */
export interface Outcome {
  readonly kind?: OpRecord['kind']
  readonly worker?: string
  /** -errno for a failure. */
  readonly ret: number
  readonly fields?: Fields
  readonly sample?: Sample
}

export function recordOf(statement: Source, startNs: number, { kind = 'op', worker, ret, fields = {}, sample }: Outcome): OpRecord {
  const failed = ret < 0
  // An expect that does not hold has failed without any errno.
  const err = failed && kind === 'op' ? errnoName(ret) : undefined
  return { kind, statement, worker, startNs, ret: failed ? -1 : ret, err, fields, sample }
}

/** What the worker knows of its op. */
export const resultOutcome = (worker: Worker, { ret, elapsedNs, minflt, majflt, extra }: Result): Outcome => ({
  worker: worker.name,
  ret,
  fields: { elapsed_ns: elapsedNs, minflt, majflt, ...extra },
})

const SIGNAL_NAMES: Readonly<Record<number, string>> = { 6: 'SIGABRT', 7: 'SIGBUS', 9: 'SIGKILL', 11: 'SIGSEGV', 15: 'SIGTERM' }
export const SIGKILL = 9

export const signalName = (signal: number): string => SIGNAL_NAMES[signal] ?? 'SIG?'

/** `died`, and of what. */
export const deathFields = (death: Death): Fields => ({ died: true, ...death })

/** Ended processes whose accounts are kept. */
const FORMER_KEPT = 8

/** The place of a process that has ended can be taken; what it spent its time on is kept for a while. */
export function freeSlot({ workers, former }: Run, { slot, name, task }: Worker): void {
  workers[slot] = undefined
  former.push({ name, costNs: task.costNs })
  if (former.length > FORMER_KEPT) former.shift()
}

/** Records the deaths that nobody was waiting for; their names are free again. */
export function reportDeaths(run: Run): void {
  run.workers.forEach(worker => {
    if (worker?.death === undefined) return
    const { doing, job, name, death } = worker
    const during = job?.background === true ? { text: job.statement.text, progress: doing?.progress ?? 0 } : undefined
    run.records.push({ kind: 'death', i: run.line, ns: now(run.k), worker: name, death, during })
    freeSlot(run, worker)
  })
}
