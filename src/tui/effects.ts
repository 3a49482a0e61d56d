/** What keys ask of the machine, carried out; answers come back as messages on the screen. */
import { errnoText, UserError } from '../user_error.ts'
import { shortPath } from '../view/subjects/knobs.ts'
import { answerText } from './answer_text.ts'
import { configText, DEFAULT_CONFIG } from './config.ts'
import { knobNamed, knobValue, otherOf, type Turn, writtenBy } from './knobs.ts'
import { completed } from './prompt.ts'
import { type PaceThen, readInto, redraw, restorePace, type Sitting, say, update } from './sitting.ts'
import type { Effect, State } from './state.ts'

export function carryOut(sitting: Sitting, effect: Effect): void {
  perform(sitting, effect).catch(sitting.fail)
}

async function perform(sitting: Sitting, effect: Effect): Promise<void> {
  const { source, options } = sitting
  switch (effect.kind) {
    case 'pause':
      pause(sitting, effect.on)
      break
    case 'speed':
      if (sitting.filling !== undefined) sitting.filling.afterwards = { ...sitting.filling.afterwards, speed: effect.speed }
      else source.transport?.speed(effect.speed)
      break
    case 'step':
      restorePace(sitting)
      source.transport?.step(effect.by)
      sitting.wake()
      break
    case 'seek':
      seek(sitting, effect.ns)
      break
    case 'next-event':
      nextEvent(sitting, undefined)
      break
    case 'next-move':
      nextEvent(sitting, effect.key)
      break
    case 'save':
      save(sitting)
      break
    case 'write':
      await write(sitting, effect.turn, effect.way)
      break
    case 'run':
      await runLine(sitting, effect.line)
      break
    case 'complete':
      await complete(sitting, effect.line)
      break
    case 'record':
      startRecording(sitting, effect.path)
      break
    case 'end-record':
      endRecording(sitting)
      break
    case 'redraw':
      options.redraw?.()
      break
    case 'suspend':
      options.suspend?.()
      break
    case 'quit':
      sitting.end(effect.status)
  }
}

/** Space also ends a search for the next event, where it is. */
function pause(sitting: Sitting, on: boolean): void {
  const searching = sitting.filling?.kind === 'event'
  restorePace(sitting)
  sitting.source.transport?.pause(searching || on)
  sitting.wake()
}

const paceNow = ({ filling, source }: Sitting): PaceThen => {
  const { paused, speed } = source.pace()
  return filling?.afterwards ?? { paused, speed }
}

function seek(sitting: Sitting, ns: number): void {
  const { transport } = sitting.source
  sitting.filling = { kind: 'find', afterwards: paceNow(sitting) }
  transport?.seek?.(ns)
  sitting.wake()
}

function nextEvent(sitting: Sitting, key: string | undefined): void {
  const { transport } = sitting.source
  sitting.filling = { kind: 'event', afterwards: { ...paceNow(sitting), paused: false }, ...(key === undefined ? {} : { key }) }
  transport?.speed(Number.POSITIVE_INFINITY)
  transport?.pause(false)
  say(sitting, `going on to ${key === undefined ? 'the next event' : `where ${key} moves`}; space stops`)
  sitting.wake()
}

/** Writes a knob, reads it back, and keeps what can be undone. */
async function write(sitting: Sitting, asked: Turn, way: 'new' | 'undo' | 'redo'): Promise<void> {
  const { source, intended } = sitting
  const turn = way === 'new' ? withOther(sitting, asked) : asked
  const { path, value } = writtenBy(turn, way)
  intended.set(path, value)
  const answer = (await source.write?.(path, value)) ?? { errno: 'EROFS', text: '' }
  if (answer.errno !== '') {
    intended.delete(path)
    update(sitting, unwritten(sitting.state, turn, way))
    const why = [errnoText(answer.errno), answer.text].filter(part => part !== '').join(': ')
    say(sitting, `${shortPath(path)} = ${value}: ${why}`, true)
    return
  }
  update(sitting, written(sitting.state, turn, way))
  await readInto(sitting, turn.other === undefined ? [path] : [turn.path, turn.other.path])
  if (intended.get(path) === value) intended.delete(path)
  const before = path === turn.path ? turn.before : '0'
  say(sitting, `${shortPath(path)}: ${before === '' ? value : `${before} to ${value}`}${way === 'new' ? ', u puts it back' : ''}`)
}

/** The turn with what it switches off. */
function withOther({ source, tracker }: Sitting, turn: Turn): Turn {
  const path = otherOf(turn.path)
  const knob = path === undefined ? undefined : knobNamed(source.tunables, path)
  const value = knob === undefined || tracker.model === undefined ? undefined : knobValue(tracker.model, knob)
  return path === undefined || value === undefined || value === '0' ? turn : { ...turn, other: { path, value } }
}

function written(state: State, turn: Turn, way: 'new' | 'undo' | 'redo'): State {
  if (way === 'undo') return { ...state, redo: [...state.redo, reversed(turn)] }
  return { ...state, undo: [...state.undo, turn], redo: way === 'new' ? [] : state.redo }
}

/** What could not be undone can be tried again. */
function unwritten(state: State, turn: Turn, way: 'new' | 'undo' | 'redo'): State {
  if (way === 'undo') return { ...state, undo: [...state.undo, reversed(turn)] }
  return way === 'redo' ? { ...state, redo: [...state.redo, turn] } : state
}

const reversed = (turn: Turn): Turn => ({ ...turn, before: turn.after, after: turn.before })

async function runLine(sitting: Sitting, line: string): Promise<void> {
  const running = sitting.source.run?.(line)
  say(sitting, `: ${line} ...`)
  sitting.wake()
  const answer = await running
  if (answer !== undefined) say(sitting, `: ${answerText(line, answer)}`, answer.errno !== '')
}

async function complete(sitting: Sitting, line: string): Promise<void> {
  const { source } = sitting
  const word = /\S*$/.exec(line)?.[0] ?? ''
  const paths = word.startsWith('/') ? source.tunables.map(({ path }) => path).filter(path => path.startsWith(word)) : []
  const words = paths.length > 0 ? paths : ((await source.complete?.(line)) ?? [])
  const { prompt } = sitting.state
  // The line may have changed meanwhile.
  if (prompt?.kind !== 'line' || !prompt.text.startsWith(line)) return
  update(sitting, { ...sitting.state, prompt: completed(prompt, words) })
  redraw(sitting)
}

/** Writes the configuration file, with what was chosen on the screens. */
function save(sitting: Sitting): void {
  const { options, state } = sitting
  if (options.save === undefined) {
    say(sitting, 'there is no configuration file here', true)
    return
  }
  try {
    const { view, layout, zoom, theme } = state
    const config = { ...(options.config ?? DEFAULT_CONFIG), view, layout, zoom, theme }
    say(sitting, `written: ${options.save(configText(config))}`)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    say(sitting, error.oneLine, true)
  }
}

function startRecording(sitting: Sitting, path: string): void {
  try {
    sitting.recorder = sitting.options.record?.(path)
    const { model } = sitting.tracker
    if (model !== undefined) sitting.recorder?.append(model.sample.frame)
    update(sitting, { ...sitting.state, recording: path })
    say(sitting, `recording into ${path}; r ends it`)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    say(sitting, error.oneLine, true)
  }
}

function endRecording(sitting: Sitting): void {
  const { recording } = sitting.state
  sitting.recorder?.close()
  sitting.recorder = undefined
  update(sitting, { ...sitting.state, recording: undefined })
  say(sitting, `recorded into ${recording ?? 'nothing'}`)
}
