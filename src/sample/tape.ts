/**
 * The last frames themselves, for walking back: a ring of key frames and deltas. A few minutes of 30 KB frames would
 * be tens of megabytes as texts; as deltas they are about one.
 *
 *     seq     40    41  42 ...  71    72  73        every KEY_EVERY-th frame is kept whole
 *     kept   whole   Δ   Δ       Δ  whole   Δ
 */
import { applyDelta, diffFrames, type FrameDelta } from './delta.ts'
import type { Frame } from './source.ts'

const KEY_EVERY = 32

interface Run {
  readonly firstSeq: number
  readonly key: Frame
  readonly deltas: FrameDelta[]
}

export interface Tape {
  readonly capacity: number
  readonly runs: Run[]
  last: { readonly seq: number; readonly frame: Frame } | undefined
}

/** @param capacity frames that can be gone back to; KEY_EVERY more may be held */
export function newTape(capacity: number): Tape {
  return { capacity, runs: [], last: undefined }
}

/** Records the frame with this seq; seqs follow one another without gaps. */
export function recordFrame(tape: Tape, seq: number, frame: Frame): void {
  const run = tape.runs.at(-1)
  if (run === undefined || tape.last === undefined || run.deltas.length + 1 >= KEY_EVERY)
    tape.runs.push({ firstSeq: seq, key: frame, deltas: [] })
  else run.deltas.push(diffFrames(tape.last.frame.files, frame))
  tape.last = { seq, frame }
  while (tape.runs.length > 1 && tape.runs[1].firstSeq <= seq - tape.capacity) tape.runs.shift()
}

export function forgetFrames(tape: Tape): void {
  tape.runs.length = 0
  tape.last = undefined
}

/** The frame with this seq, or undefined where it is no longer (or not yet) held. */
export function frameAt(tape: Tape, seq: number): Frame | undefined {
  const run = tape.runs.findLast(candidate => candidate.firstSeq <= seq)
  if (run === undefined || seq - run.firstSeq > run.deltas.length) return undefined
  const files = new Map(run.key.files)
  let ns = run.key.ns
  for (const delta of run.deltas.slice(0, seq - run.firstSeq)) {
    applyDelta(files, delta)
    ns = delta.ns
  }
  return { ns, files }
}
