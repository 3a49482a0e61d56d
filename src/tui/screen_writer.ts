/**
 * Paints Ink's frames on the terminal: only the rows that changed, one write a frame, and none while the terminal has
 * not taken the one before.
 *
 *     Ink ──frame──> stream ─┐                          \e[?2026h            the terminal may wait until ...
 *                            ├─> rows, compared ──────> \e[3;1H row \e[0m       ... all rows are there
 *     canvas ──changed───────┘   with the last ones     \e[?2026l
 *
 * The screen is cleared once when writing begins and once after each resize, in the same write as the new rows, so
 * nothing flickers. In Ink's debug mode every frame is whole, which is all that is needed of it.
 */
import { Writable } from 'node:stream'
import type { Size } from '../view/panel.ts'
import { type Canvas, MARKER_WIDTH, type Painted, paintFrame } from './paint.ts'

/** What is needed of a terminal: process.stdout, or something like it in a test. */
export interface Terminal {
  readonly columns: number
  readonly rows: number
  /** @returns false when it is full and will say 'drain' */
  write(text: string): boolean
  on(event: 'drain' | 'resize', listener: () => void): unknown
  off(event: 'drain' | 'resize', listener: () => void): unknown
}

export interface ScreenWriter {
  /** Ink's stdout. */
  readonly stream: NodeJS.WriteStream
  /** Begins to write, or begins anew: the next frame clears and paints everything. */
  start(): void
  /** Writes nothing more until it is started again. */
  stop(): void
  /** Lets go of the terminal. */
  close(): void
}

const SYNC_ON = '\x1b[?2026h'
const SYNC_OFF = '\x1b[?2026l'
const CLEAR = '\x1b[0m\x1b[2J'

/** Sizes a terminal may lie about (0 while it starts, or where it has none). */
export const sizeOf = ({ columns, rows }: Pick<Terminal, 'columns' | 'rows'>) => ({ width: columns || 80, height: rows || 24 })

interface State {
  readonly out: Terminal
  readonly canvas: Canvas
  frame: string
  /** The rows on the terminal; undefined when it has to be cleared. */
  shown: readonly Painted[] | undefined
  active: boolean
  full: boolean
  due: boolean
}

/** @param onResize told of a new size before anything is painted in it */
export function newScreenWriter(out: Terminal, canvas: Canvas, onResize: (size: Size) => void): ScreenWriter {
  const state: State = { out, canvas, frame: '', shown: undefined, active: false, full: false, due: false }
  const soon = () => {
    if (state.due) return
    state.due = true
    queueMicrotask(() => flush(state))
  }
  const stream = inkStream(out, frame => {
    state.frame = frame
    soon()
  })
  const drained = () => {
    state.full = false
    soon()
  }
  const resized = () => {
    state.shown = undefined
    onResize(sizeOf(out))
    soon()
  }
  canvas.changed = soon
  out.on('drain', drained)
  out.on('resize', resized)
  return {
    stream,
    start: () => {
      state.active = true
      state.shown = undefined
      soon()
    },
    stop: () => {
      state.active = false
    },
    close: () => {
      state.active = false
      out.off('drain', drained)
      out.off('resize', resized)
    },
  }
}

/**
 * A stream that Ink takes for a terminal as high as the real one, but only as wide as the markers: it makes a styled
 * character of every cell it has, the empty ones too.
 */
function inkStream(out: Terminal, take: (frame: string) => void): NodeJS.WriteStream {
  const writable = new Writable({
    decodeStrings: false,
    write: (chunk: string | Buffer, _coding, done) => {
      const text = String(chunk)
      // What is no frame is Ink's care for the cursor.
      if (text !== '' && !text.startsWith('\x1b')) take(text)
      done()
    },
  })
  const stream: unknown = Object.defineProperties(writable, {
    isTTY: { value: true },
    columns: { value: MARKER_WIDTH },
    rows: { get: () => sizeOf(out).height },
  })
  if (!isInkStream(stream)) throw new Error('not a stream')
  return stream
}

/** Ink writes, listens for events and reads the size; of the rest of a terminal's long interface it uses nothing. */
const isInkStream = (stream: unknown): stream is NodeJS.WriteStream => stream instanceof Writable && 'columns' in stream

function flush(state: State): void {
  state.due = false
  if (!state.active || state.full || state.frame === '') return
  const { width, height } = sizeOf(state.out)
  const rows = paintFrame(state.frame, state.canvas).slice(0, height)
  const text = changes(state.shown, rows, width)
  state.shown = rows
  if (text !== '') state.full = !state.out.write(text)
}

/** What turns the rows that are shown into the wanted ones; '' when they are the same. */
export function changes(shown: readonly Painted[] | undefined, wanted: readonly Painted[], width: number): string {
  const height = Math.max(wanted.length, shown?.length ?? 0)
  let text = ''
  for (let y = 0; y < height; y++) {
    const row = wanted[y] ?? { text: '', width: 0 }
    if (shown !== undefined && shown[y]?.text === row.text) continue
    // At the right edge the cursor stands on the last character, which an erase would take away.
    text += `\x1b[${y + 1};1H${row.text}\x1b[0m${row.width < width ? '\x1b[K' : ''}`
  }
  if (text === '') return ''
  return `${SYNC_ON}${shown === undefined ? CLEAR : ''}${text}${SYNC_OFF}`
}
