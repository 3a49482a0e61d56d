/**
 * A simulation in a thread of its own, as a Source. Orders go over and are forgotten; what comes back settles the promise
 * that waits for it. Neither side ever waits for the other while it works.
 */
import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Answer, Frame, Source, Step, Transport } from '../sample/source.ts'
import { UserError } from '../user_error.ts'
import type { Program } from '../workload/program.ts'
import type { Order, Report, Start } from './protocol.ts'
import type { Failure, SimulationOptions } from './simulation.ts'

export interface SimulationSource extends Source {
  readonly kind: 'simulation'
  /** The workload's expects that did not hold so far. */
  failures(): readonly Failure[]
}

export interface PaceOptions {
  /** Machine time between two frames. */
  readonly intervalNs: number
  /** Moments at which a frame is wanted besides, ascending. */
  readonly moments?: readonly number[]
  /** Machine seconds per wall second. */
  readonly speed: number
}

/** The bundled thread: beside this module's bundle, or one directory up when it is a chunk. */
const workerFile = (): URL =>
  [new URL('./sim_worker.js', import.meta.url), new URL('../sim_worker.js', import.meta.url)].find(existsSync) ??
  new URL('./sim_worker.js', import.meta.url)

interface Settled<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

interface State {
  readonly thread: Worker
  paused: boolean
  speed: number
  ratio: number
  over: boolean
  closed: boolean
  /** Why the thread died; given to the next who asks. */
  crash: Error | undefined
  failures: readonly Failure[]
  waiting: Settled<Frame | undefined> | undefined
  readonly texts: Map<number, Settled<string | undefined>>
  readonly answers: Map<number, Settled<Answer>>
  readonly words: Map<number, Settled<readonly string[]>>
  nextId: number
}

const SPEED_MIN = 0.01
const CLOSED: Answer = { errno: 'EIO', text: 'the simulation is closed' }

/**
 * Starts a simulation in a thread.
 * @param file the thread's script, where it is not the bundled one
 * @throws UserError for a machine or a setting that cannot be
 */
export function openSimulation(
  program: Program,
  options: SimulationOptions,
  pace: PaceOptions,
  file: URL = workerFile(),
): Promise<SimulationSource> {
  const start: Start = { program, options, intervalNs: pace.intervalNs, moments: pace.moments ?? [], speed: pace.speed }
  const thread = new Worker(file, { workerData: start })
  const state: State = {
    thread,
    paused: false,
    speed: pace.speed,
    ratio: 0,
    over: false,
    closed: false,
    crash: undefined,
    failures: [],
    waiting: undefined,
    texts: new Map(),
    answers: new Map(),
    words: new Map(),
    nextId: 1,
  }
  return new Promise((resolve, reject) => {
    thread.on('message', (report: Report) => {
      if (report.type === 'ready') resolve(sourceOf(state, report.title, report.tunables))
      else if (report.type === 'crash') {
        die(state, crashOf(report))
        reject(crashOf(report))
      } else hear(state, report)
    })
    thread.on('error', error => {
      die(state, error)
      reject(error)
    })
    thread.on('exit', () => die(state, undefined))
  })
}

const crashOf = ({ text, user }: Report & { readonly type: 'crash' }): Error =>
  user === undefined ? new Error(`the simulation broke: ${text}`) : new UserError(user.message, user.where)

function sourceOf(state: State, title: string, tunables: Source['tunables']): SimulationSource {
  return {
    kind: 'simulation',
    title,
    tunables,
    watch: paths => order(state, { type: 'watch', paths: [...paths] }),
    next: () => nextFrame(state),
    read: path => ask(state, state.texts, undefined, id => ({ type: 'read', id, path })),
    pace: () => ({ paused: state.paused, speed: state.speed, ratio: state.paused ? 0 : state.ratio, ended: state.over }),
    transport: transportOf(state),
    write: (path, text) => ask(state, state.answers, CLOSED, id => ({ type: 'write', id, path, text })),
    run: line => ask(state, state.answers, CLOSED, id => ({ type: 'run', id, line })),
    complete: line => ask(state, state.words, [], id => ({ type: 'complete', id, line })),
    failures: () => state.failures,
    close: async () => {
      if (state.closed) return
      state.closed = true
      die(state, undefined)
      await state.thread.terminate()
    },
  }
}

function transportOf(state: State): Transport {
  return {
    pause: on => {
      state.paused = on
      order(state, { type: 'pause', on })
    },
    speed: speed => {
      state.speed = Math.max(SPEED_MIN, speed)
      order(state, { type: 'speed', speed: state.speed })
    },
    step: (by: Step) => {
      if (!state.paused) order(state, { type: 'pause', on: true })
      state.paused = true
      order(state, { type: 'step', by })
    },
  }
}

const order = (state: State, message: Order): void => {
  if (!state.closed) state.thread.postMessage(message)
}

function nextFrame(state: State): Promise<Frame | undefined> {
  const { crash } = state
  state.crash = undefined
  if (crash !== undefined) return Promise.reject(crash)
  if (state.closed || state.over) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    state.waiting = { resolve, reject }
    order(state, { type: 'next' })
  })
}

/** Sends an order whose answer has an id. */
function ask<T>(state: State, open: Map<number, Settled<T>>, whenClosed: T, message: (id: number) => Order): Promise<T> {
  if (state.closed) return Promise.resolve(whenClosed)
  const id = state.nextId++
  return new Promise((resolve, reject) => {
    open.set(id, { resolve, reject })
    order(state, message(id))
  })
}

function hear(state: State, report: Report): void {
  switch (report.type) {
    case 'frame':
      settle(state, { ns: report.ns, files: report.files })
      return
    case 'over':
      state.over = true
      settle(state, undefined)
      return
    case 'ratio':
      state.ratio = report.ratio
      return
    case 'failures':
      state.failures = report.failures
      return
    case 'text':
      state.texts.get(report.id)?.resolve(report.text)
      state.texts.delete(report.id)
      return
    case 'answer':
      state.answers.get(report.id)?.resolve(report.answer)
      state.answers.delete(report.id)
      return
    case 'words':
      state.words.get(report.id)?.resolve(report.words)
      state.words.delete(report.id)
      return
  }
}

function settle(state: State, frame: Frame | undefined): void {
  const { waiting } = state
  state.waiting = undefined
  waiting?.resolve(frame)
}

/** The thread is gone: whoever waits is let go; of a crash the reader of frames hears. */
function die(state: State, crash: Error | undefined): void {
  const { waiting } = state
  state.closed ||= crash !== undefined
  state.over = true
  state.waiting = undefined
  if (crash === undefined) waiting?.resolve(undefined)
  else if (waiting === undefined) state.crash = crash
  else waiting.reject(crash)
  for (const { resolve } of state.texts.values()) resolve(undefined)
  for (const { resolve } of state.answers.values()) resolve(CLOSED)
  for (const { resolve } of state.words.values()) resolve([])
  state.texts.clear()
  state.answers.clear()
  state.words.clear()
}
