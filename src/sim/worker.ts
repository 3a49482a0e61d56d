/**
 * The simulator's thread: a simulation at the pace of the wall clock, orders in between, frames and answers out.
 *
 * What goes wrong in here is told to the other side with the seed and the line that repeat it, and ends the thread.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { must } from '../kernel/base/assert.ts'
import { UserError } from '../user_error.ts'
import { readNow, runNow, titleOf, type Watched, watchSimulation, wordsFor, writeNow } from './frames.ts'
import { catchUp, type Pacer, ratioOf, setPaused, setSpeed, startPacer, turn } from './pacer.ts'
import type { Order, Report, Start } from './protocol.ts'
import { whereItWas } from './simulation.ts'

/** How often the pace is told while no frame tells it. */
const RATIO_MS = 200

const port = must(parentPort ?? undefined, 'the simulator runs in a thread of its own')
const tell = (report: Report) => port.postMessage(report)

/** Calls `turn` when it is time. @returns what has it called now */
function startClock(pacer: Pacer): () => void {
  let cancel = () => {}
  let toldMs = 0
  let failed = 0
  const beat = () => {
    const { frame, againMs } = turn(pacer)
    const { failures } = pacer.watched.sim
    if (failures.length > failed) tell({ type: 'failures', failures })
    failed = failures.length
    if (frame !== undefined) tell({ type: 'frame', ns: frame.ns, files: frame.files })
    if (frame !== undefined || pacer.wall() - toldMs > RATIO_MS) {
      toldMs = pacer.wall()
      tell({ type: 'ratio', ratio: ratioOf(pacer) })
    }
    if (againMs !== undefined) schedule(againMs)
  }
  const schedule = (ms: number) => {
    cancel()
    const guarded = () => guard(pacer.watched, beat)
    if (ms === 0) {
      const soon = setImmediate(guarded)
      cancel = () => clearImmediate(soon)
    } else {
      const timer = setTimeout(guarded, ms)
      cancel = () => clearTimeout(timer)
    }
  }
  return () => schedule(0)
}

function obey(pacer: Pacer, wake: () => void, order: Order): void {
  const { watched } = pacer
  if (order.type !== 'next' && order.type !== 'watch') catchUp(pacer)
  switch (order.type) {
    case 'next':
      if (pacer.over) {
        tell({ type: 'over' })
        return
      }
      pacer.wanted = true
      break
    case 'pause':
      setPaused(pacer, order.on)
      break
    case 'speed':
      setSpeed(pacer, order.speed)
      break
    case 'step':
      pacer.steps.push(order.by)
      break
    case 'watch':
      watched.paths = order.paths
      return
    case 'read':
      tell({ type: 'text', id: order.id, text: readNow(watched, order.path) })
      return
    case 'write':
      tell({ type: 'answer', id: order.id, answer: writeNow(watched, order.path, order.text) })
      pacer.due ||= pacer.paused
      break
    case 'complete':
      tell({ type: 'words', id: order.id, words: wordsFor(watched, order.line) })
      break
    case 'run':
      tell({ type: 'answer', id: order.id, answer: runNow(watched, order.line) })
      pacer.due ||= pacer.paused
      break
  }
  wake()
}

/** Does something; if it throws, says so and ends. */
function guard(watched: Watched | undefined, work: () => void): void {
  try {
    work()
  } catch (error) {
    const user = error instanceof UserError ? { message: error.message, where: error.where } : undefined
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    tell({ type: 'crash', text: watched === undefined ? stack : `${stack}\n${whereItWas(watched.sim)}`, user })
    port.close()
  }
}

function run(start: Start): void {
  const watched = watchSimulation(start.program, start.options)
  const pacer = startPacer(watched, start.intervalNs, start.moments, start.speed, () => performance.now())
  const wake = startClock(pacer)
  port.on('message', (order: Order) => guard(watched, () => obey(pacer, wake, order)))
  tell({ type: 'ready', title: titleOf(start.program), tunables: watched.tunables })
  wake()
}

guard(undefined, () => run(workerData))
