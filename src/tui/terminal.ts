/**
 * Takes the terminal and gives it back, whatever happens.
 *
 *     enter   alternate screen, cursor hidden, no wrapping, pasted text marked as such, raw keys; console.* is kept aside
 *     leave   all of that undone, then what was kept aside goes to stderr
 *
 * It is left on leave(), at exit, and on signals (then the process ends with 128 + their number). A stop (ctrl-z, SIGTSTP)
 * leaves it, stops the whole job as the shell expects, and takes it again when the job goes on.
 */
import { constants } from 'node:os'
import { format } from 'node:util'

/** The terminal's two ends: process.stdin and process.stdout, or what stands for them in a test. */
export interface Ends {
  readonly stdin: { setRawMode?(on: boolean): unknown; pause(): unknown; resume(): unknown }
  readonly stdout: { write(text: string): boolean }
}

export interface Hold {
  /** Stops the job, as ctrl-z does. */
  suspend(): void
  /** Gives the terminal back. Idempotent. */
  leave(): void
}

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h'
const LEAVE = '\x1b[?2026l\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l'

/** Presses and the wheel, as text that can name any column. */
const MOUSE_ON = '\x1b[?1000h\x1b[?1006h'
const MOUSE_OFF = '\x1b[?1006l\x1b[?1000l'

const DEADLY = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
const METHODS = ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const
/** Lines of console.* that are kept. */
const LINES_KEPT = 200
/** Long enough for a stop to take effect; what runs on after it was never stopped (a session's leader cannot be). */
const STOP_MS = 100

interface State {
  readonly ends: Ends
  readonly painting: { readonly start: () => void; readonly stop: () => void }
  readonly mouse: boolean
  held: boolean
  lines: string[]
  restoreConsole: () => void
}

/**
 * @param painting who writes to the screen: started when it is there, stopped before it goes
 * @param dying called before the process ends by a signal
 */
export function holdTerminal(ends: Ends, painting: State['painting'], dying: () => void, mouse = false): Hold {
  const state: State = { ends, painting, mouse, held: false, lines: [], restoreConsole: () => undefined }
  const atExit = () => leave(state)
  const deadly = DEADLY.map(signal => ({
    signal,
    listener: () => {
      leave(state)
      dying()
      process.exit(128 + constants.signals[signal])
    },
  }))
  const stop = () => suspend(state, stop)
  const goOn = () => again(state)
  process.on('exit', atExit)
  for (const { signal, listener } of deadly) process.on(signal, listener)
  process.on('SIGTSTP', stop)
  process.on('SIGCONT', goOn)
  enter(state)
  return {
    suspend: stop,
    leave: () => {
      leave(state)
      process.off('exit', atExit)
      for (const { signal, listener } of deadly) process.off(signal, listener)
      process.off('SIGTSTP', stop)
      process.off('SIGCONT', goOn)
    },
  }
}

function enter(state: State): void {
  if (state.held) return
  state.held = true
  state.restoreConsole = keepConsole(state)
  state.ends.stdin.setRawMode?.(true)
  state.ends.stdin.resume()
  state.ends.stdout.write(state.mouse ? ENTER + MOUSE_ON : ENTER)
  state.painting.start()
}

function leave(state: State): void {
  if (!state.held) return
  state.held = false
  state.painting.stop()
  state.ends.stdout.write(state.mouse ? MOUSE_OFF + LEAVE : LEAVE)
  state.ends.stdin.setRawMode?.(false)
  state.ends.stdin.pause()
  state.restoreConsole()
  for (const line of state.lines.splice(0)) process.stderr.write(`${line}\n`)
}

/** After a stop from outside the shell may have changed everything. */
function again(state: State): void {
  leave(state)
  enter(state)
}

function suspend(state: State, listener: () => void): void {
  leave(state)
  // Without a listener the signal does what it does to any process.
  process.off('SIGTSTP', listener)
  process.kill(0, 'SIGTSTP')
  setTimeout(() => {
    process.on('SIGTSTP', listener)
    enter(state)
  }, STOP_MS)
}

/** Nothing but the screen writer may write while the screens are there. */
function keepConsole(state: State): () => void {
  const saved = METHODS.map(method => console[method])
  for (const method of METHODS)
    console[method] = (...words: unknown[]) => {
      if (state.lines.length < LINES_KEPT) state.lines.push(format(...words))
    }
  return () => {
    for (const [i, method] of METHODS.entries()) console[method] = saved[i]
  }
}
