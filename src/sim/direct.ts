/**
 * A simulation as a Source without a thread: each frame is computed when it is asked for, as fast as it can. For headless
 * commands and tests; it has no pace to set.
 */
import type { Source } from '../sample/source.ts'
import type { Program } from '../workload/program.ts'
import { bytesNow, nextMoment, noteRecord, readNow, runNow, takeFrame, titleOf, watchSimulation, wordsFor, writeNow } from './frames.ts'
import { hasEnded, runUntil, type SimulationOptions, whereItWas } from './simulation.ts'
import type { PaceOptions, SimulationSource } from './source.ts'

/**
 * Boots the workload's machine.
 * @param when frames are at multiples of its interval from line 1 on, at its moments, and at the end
 * @throws UserError for a machine or a setting that cannot be
 */
export function openDirect(
  program: Program,
  options: SimulationOptions,
  when: Omit<PaceOptions, 'speed'>,
): SimulationSource & Required<Pick<Source, 'write' | 'run' | 'bytes'>> {
  const watched = watchSimulation(program, options)
  const { sim } = watched
  const moments = [...(when.moments ?? [])]
  let over = false
  let closed = false
  const next = async () => {
    // Others get their turn between two frames: signals, output.
    await new Promise(resolve => setImmediate(resolve))
    if (closed || over) return undefined
    try {
      if (watched.lastNs >= 0) runUntil(sim, nextMoment(sim.ns, when.intervalNs, moments), record => noteRecord(watched, record))
    } catch (error) {
      throw withPlace(error, whereItWas(sim))
    }
    over = hasEnded(sim)
    return takeFrame(watched)
  }
  return {
    kind: 'simulation',
    title: titleOf(program),
    tunables: watched.tunables,
    watch: paths => {
      watched.paths = paths
    },
    next,
    read: async path => (closed ? undefined : readNow(watched, path)),
    bytes: async (path, position, count) => (closed ? undefined : bytesNow(watched, path, position, count)),
    pace: () => ({ paused: false, speed: Number.POSITIVE_INFINITY, ratio: 0, ended: over }),
    write: async (path, text) => writeNow(watched, path, text),
    run: async line => runNow(watched, line),
    complete: async line => wordsFor(watched, line),
    failures: () => sim.failures,
    close: async () => {
      closed = true
    },
  }
}

/** A bug's message says how to repeat it. */
function withPlace(error: unknown, place: string): unknown {
  if (error instanceof Error && error.name === 'AssertionError') error.message += ` (${place})`
  return error
}
