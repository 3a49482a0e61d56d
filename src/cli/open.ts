/**
 * What a command watches: a recording, the real host, or a workload on a simulated machine. The only place that knows
 * all kinds of source.
 */

import { closeSync, writeSync } from 'node:fs'
import { openRecording, sniff } from '../recording/open.ts'
import { playRecording } from '../recording/player.ts'
import type { Recording } from '../recording/recording.ts'
import type { Source } from '../sample/source.ts'
import type { Failure, SimulationOptions } from '../sim/simulation.ts'
import { UserError } from '../user_error.ts'
import { pagesAre } from '../view/page_size.ts'
import { parseMachineArgument } from '../workload/machine.ts'
import { complain, EXIT } from './exit.ts'
import { openOutput, writing } from './files.ts'
import { knownTunables, likenessOf } from './like.ts'
import type { Setting } from './values.ts'
import { readWorkload, workloadNamed } from './workload.ts'

/** A source, and what its workload expected in vain, where it has one. */
export type Opened = Source & { readonly failures?: () => readonly Failure[] }

export interface SourceOptions {
  /** Machine seconds per wall second. */
  readonly speed: number
  /** Somebody looks on, or asks, while it runs. */
  readonly watched: boolean
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
  /** Knobs of the real host may be written. */
  readonly write: boolean
}

/** @param target a file, a workload that comes with mmtop by its name, "host", or undefined for the bundled tour */
export async function openSource(target: string | undefined, options: SourceOptions): Promise<Opened> {
  const source = await openTarget(target === undefined ? undefined : workloadNamed(target), options)
  pagesAre(source.pageBytes ?? 4096)
  return source
}

async function openTarget(target: string | undefined, options: SourceOptions): Promise<Opened> {
  if (target === 'host') return openThisHost(options)
  if (target === undefined) return openMachine(target, options)
  return isRecording(target) ? playRecording(await openForPlay(target), undefined, options.speed) : openMachine(target, options)
}

/** This machine itself; what makes sense only for simulated ones is refused rather than ignored. */
async function openThisHost({ intervalNs, settings, machine, like, seed, write }: SourceOptions): Promise<Source> {
  const words = [settings.length > 0 && '--set', machine && '--machine', like && '--like', seed !== undefined && '--seed']
  const senseless = words.find(word => typeof word === 'string')
  if (senseless !== undefined) throw new UserError(`${senseless} is for simulated machines, not for the host`)
  if (write && process.geteuid?.() !== 0) throw new UserError('--write: only root may write the knobs of this machine')
  const { openHost } = await import('../host/source.ts')
  return openHost({ intervalNs, known: await knownTunables(), write })
}

/** Whether a file is a recording (of either format) rather than a workload. */
export function isRecording(file: string): boolean {
  const looks = sniff(file)
  if (looks === 'empty') throw new UserError('the file is empty', { file })
  return looks !== 'foreign'
}

/** Opens a recording; one whose end is missing is played, but not silently. */
async function openForPlay(file: string): Promise<Recording> {
  const recording = await openRecording(file, sniff(file) !== 'mmtop' ? await knownTunables() : [])
  if (!recording.ended) for (const note of recording.notes) complain(`${file}: ${note}`)
  return recording
}

/**
 * `mmtop record --raw`: every operation and the full texts, in the oracle's format.
 * @returns the exit status
 */
export async function recordRaw(target: string, options: SourceOptions, output: string): Promise<number> {
  if (target === 'host' || isRecording(target)) throw new UserError('only a workload can be recorded raw', { file: target })
  const { recordRaw: simulate } = await import('../sim/raw.ts')
  const fd = openOutput(output)
  try {
    const { failures } = simulate(readWorkload(target), await simulationOptions(options), line => {
      writing(output, () => writeSync(fd, line))
    })
    return judgeFailures({ title: target, failures: () => failures })
  } finally {
    closeSync(fd)
  }
}

/** What a simulation is started with, from the command line's words. */
async function simulationOptions({ machine, like, seed, settings }: SourceOptions): Promise<SimulationOptions> {
  const likeness = like === undefined ? undefined : await likenessOf(like, await knownTunables())
  const spec = { ...likeness?.machine, ...(machine === undefined ? {} : parseMachineArgument(machine)) }
  return {
    machine: spec,
    ...(seed === undefined ? {} : { seed }),
    settings: [...(likeness?.settings ?? []), ...settings],
    ...(likeness && { use: likeness.use }),
  }
}

/** A workload on a simulated machine: in a thread for the screens, in this one where nobody waits. */
async function openMachine(target: string | undefined, options: SourceOptions): Promise<Opened> {
  const program = readWorkload(target)
  const how = await simulationOptions(options)
  const when = { intervalNs: options.intervalNs, moments: options.atNs === undefined ? [] : [options.atNs] }
  if (!options.watched && options.speed === Number.POSITIVE_INFINITY)
    return (await import('../sim/direct.ts')).openDirect(program, how, when)
  return (await import('../sim/source.ts')).openSimulation(program, how, { ...when, speed: options.speed })
}

/** What an expect that did not hold costs: a line, and exit status 1. */
export function judgeFailures(source: Pick<Opened, 'title' | 'failures'>): number {
  const failures = source.failures?.() ?? []
  for (const { line, text, found } of failures) complain(`${source.title}:${line}: ${text}: found ${found}`)
  return failures.length > 0 ? EXIT.unmet : EXIT.asked
}
