/**
 * From rows of styled text to what a terminal is sent, past Ink.
 *
 * Ink lays out regions, but it would take every coloured character apart and put it together again, and remember each
 * text it ever measured. So a region enters Ink as one marker a row, which never changes, and the row itself waits in the
 * canvas until the screen writer puts it in the marker's place:
 *
 *     what Ink writes       <0>                         canvas   0  "\e[0;1mmem\e[0m 1.8G free ..."   80 columns
 *                           <1>                                  1  ...
 *
 * Nothing else is ever given to Ink, so nothing can be mistaken for a marker; and they are plain ASCII, as measuring
 * anything else makes Ink load the tables of Unicode (20 to 45 ms of the first frame).
 * Texts are clean when they come from a Sample; controls are still taken out here, behind everything else.
 */
import { plain, type Row } from '../view/panel.ts'
import { displayWidth } from '../view/width.ts'
import type { Theme } from './theme.ts'

/** A row as it is sent, and how many columns it fills. */
export interface Painted {
  readonly text: string
  readonly width: number
}

export interface Canvas {
  readonly rows: Map<number, Painted>
  /** Called when rows have changed. */
  changed: () => void
}

/** Columns that Ink needs for any marker. */
export const MARKER_WIDTH = 6

export const newCanvas = (): Canvas => ({ rows: new Map(), changed: () => undefined })

/** The text that stands for rows `first` to `first + count - 1` of the canvas in Ink. */
export function markers(first: number, count: number): string {
  return Array.from({ length: count }, (_, i) => `<${first + i}>`).join('\n')
}

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029\ue000-\uf8ff]/g

/** One sequence a change of style. */
export function paintRow(row: Row, theme: Theme): string {
  let on = ''
  let text = ''
  for (const each of row) {
    if (each.text === '') continue
    // Several styles may look the same in a theme.
    if (theme.on[each.style] !== on) text += theme.on[each.style]
    on = theme.on[each.style]
    text += each.text.replace(CONTROL, '?')
  }
  return text
}

/** Puts rows into the canvas from `first` on. */
export function setRows(canvas: Canvas, first: number, rows: readonly Row[], theme: Theme): void {
  let changed = false
  for (const [i, row] of rows.entries()) {
    const text = paintRow(row, theme)
    if (canvas.rows.get(first + i)?.text === text) continue
    canvas.rows.set(first + i, { text, width: displayWidth(plain(row)) })
    changed = true
  }
  if (changed) canvas.changed()
}

/** The rows that a frame of Ink's stands for; a marker takes the blanks behind it that its row needs. */
export function paintFrame(frame: string, canvas: Canvas): Painted[] {
  return frame.split('\n').map(line => {
    let width = line.length
    const text = line.replace(/<(\d+)>( *)/g, (whole, number: string, blanks: string) => {
      const painted = canvas.rows.get(Number(number)) ?? { text: '', width: 0 }
      const left = blanks === '' ? '' : ' '.repeat(Math.max(0, whole.length - painted.width))
      width += painted.width + left.length - whole.length
      return `${painted.text}\x1b[0m${left}`
    })
    return { text, width }
  })
}
