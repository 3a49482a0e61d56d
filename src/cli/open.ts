/**
 * What a command watches: a recording, the real host, or a workload on a simulated machine. The only place that knows
 * all kinds of source.
 */
import { openRecording, sniff } from '../recording/open.ts'
import { playRecording } from '../recording/player.ts'
import type { Recording } from '../recording/recording.ts'
import type { Source } from '../sample/source.ts'
import { UserError } from '../user_error.ts'
import { complain } from './exit.ts'
import type { Setting } from './values.ts'

export interface SourceOptions {
  /** Machine seconds per wall second. */
  readonly speed: number
  /** Machine time between two samples, where the source can choose. */
  readonly intervalNs: number
  /** A moment at which a sample is wanted besides. */
  readonly atNs: number | undefined
  readonly settings: readonly Setting[]
  /** A machine line, as in a workload's header. */
  readonly machine: string | undefined
  /** A recording, or "host": the machine to be like. */
  readonly like: string | undefined
  readonly seed: number | undefined
}

/** @param target a file, "host", or undefined for the bundled tour */
export async function openSource(target: string | undefined, options: SourceOptions): Promise<Source> {
  if (target === undefined || target === 'host') return openMachine(target, options)
  return isRecording(target) ? playRecording(await openForPlay(target), undefined, options.speed) : openMachine(target, options)
}

/** Whether a file is a recording (of either format) rather than a workload. */
export function isRecording(file: string): boolean {
  const looks = sniff(file)
  if (looks === 'empty') throw new UserError('the file is empty', { file })
  return looks !== 'foreign'
}

/** Opens a recording; one whose end is missing is played, but not silently. */
async function openForPlay(file: string): Promise<Recording> {
  const recording = await openRecording(file)
  if (!recording.ended) for (const note of recording.notes) complain(`${file}: ${note}`)
  return recording
}

/**
 * `mmtop record --raw`: every operation and the full texts, in the oracle's format.
 * @returns the exit status
 */
export async function recordRaw(target: string, options: SourceOptions, _output: string): Promise<number> {
  if (isRecording(target)) throw new UserError('only a workload can be recorded raw', { file: target })
  await openMachine(target, options)
  return 0
}

/** A machine that runs: a workload's, or this one. */
async function openMachine(target: string | undefined, _options: SourceOptions): Promise<Source> {
  throw new UserError('not a recording', target === undefined ? {} : { file: target })
}
