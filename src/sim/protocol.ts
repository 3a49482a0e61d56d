/**
 * What the screens' thread and the simulator's thread say to each other. Nobody waits for an answer while working: orders
 * are taken between two bits of simulation, answers and frames come when they are there.
 */
import type { Answer, Step, Tunable } from '../sample/source.ts'
import type { Where } from '../user_error.ts'
import type { Program } from '../workload/program.ts'
import type { Failure, SimulationOptions } from './simulation.ts'

/** What the simulator's thread is started with. */
export interface Start {
  readonly program: Program
  readonly options: SimulationOptions
  /** Machine time between two frames at speed 1. */
  readonly intervalNs: number
  /** Moments at which a frame is wanted besides, ascending. */
  readonly moments: readonly number[]
  readonly speed: number
}

export type Order =
  | { readonly type: 'next' }
  | { readonly type: 'pause'; readonly on: boolean }
  | { readonly type: 'speed'; readonly speed: number }
  | { readonly type: 'step'; readonly by: Step }
  | { readonly type: 'watch'; readonly paths: readonly string[] }
  | { readonly type: 'read'; readonly id: number; readonly path: string }
  | { readonly type: 'write'; readonly id: number; readonly path: string; readonly text: string }
  | { readonly type: 'run'; readonly id: number; readonly line: string }
  | { readonly type: 'complete'; readonly id: number; readonly line: string }

export type Report =
  | { readonly type: 'ready'; readonly title: string; readonly tunables: readonly Tunable[] }
  | { readonly type: 'frame'; readonly ns: number; readonly files: ReadonlyMap<string, string> }
  /** Asked for a frame when there is none to come. */
  | { readonly type: 'over' }
  | { readonly type: 'ratio'; readonly ratio: number }
  | { readonly type: 'text'; readonly id: number; readonly text: string | undefined }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly type: 'words'; readonly id: number; readonly words: readonly string[] }
  /** The expects that did not hold so far. */
  | { readonly type: 'failures'; readonly failures: readonly Failure[] }
  | { readonly type: 'crash'; readonly text: string; readonly user: UserText | undefined }

/** A UserError, taken apart for the way between threads. */
export interface UserText {
  readonly message: string
  readonly where: Where
}
