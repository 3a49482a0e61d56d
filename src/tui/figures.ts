/** The figures of a panel as things to point at: where each stands, which is next, and what it is. */
import type { Model } from '../sample/model.ts'
import { explain } from '../view/explain.ts'
import { fieldOf, SCALARS } from '../view/fields.ts'
import { formatExact, formatValue } from '../view/format.ts'
import { block, section } from '../view/layout.ts'
import { type Row, span } from '../view/panel.ts'
import { notHere, nowOf } from '../view/panels/common.ts'
import { displayWidth, wrap } from '../view/width.ts'
import type { Pointer } from './state.ts'

export interface Figure extends Pointer {
  /** Numbers of its first and last span in the row. */
  readonly first: number
  readonly last: number
}

/** All spans that say what they are about, row by row; neighbours that are about the same are one figure. */
export function figuresOf(rows: readonly Row[]): Figure[] {
  return rows.flatMap((row, y) => {
    const figures: Figure[] = []
    let column = 0
    for (const [index, { text, about }] of row.entries()) {
      const before = figures.at(-1)
      if (about !== undefined && before?.about === about && before.last === index - 1)
        figures[figures.length - 1] = { ...before, last: index }
      else if (about !== undefined && text.trim() !== '') figures.push({ about, row: y, column, first: index, last: index })
      column += displayWidth(text)
    }
    return figures
  })
}

const distance = (a: Pointer, b: Pointer) => Math.abs(a.row - b.row) * 1000 + Math.abs(a.column - b.column)

function nearest(figures: readonly Figure[], at: Pointer): Figure | undefined {
  return figures.reduce<Figure | undefined>(
    (best, each) => (best === undefined || distance(each, at) < distance(best, at) ? each : best),
    undefined,
  )
}

/** The figure that is pointed at: the nearest of its name, or else the nearest. */
export function pointedAt(figures: readonly Figure[], at: Pointer): Figure | undefined {
  return (
    nearest(
      figures.filter(figure => figure.about === at.about),
      at,
    ) ?? nearest(figures, at)
  )
}

export type Direction = 'left' | 'right' | 'up' | 'down'

/** Left and right go on row by row; up and down to the nearest column of the next row that has figures. */
export function figureBeside(figures: readonly Figure[], from: Figure, direction: Direction): Figure {
  const at = figures.findIndex(figure => figure.row === from.row && figure.first === from.first)
  if (direction === 'left') return figures[Math.max(0, at - 1)] ?? from
  if (direction === 'right') return figures[Math.min(figures.length - 1, at + 1)] ?? from
  const rows = figures.map(figure => figure.row)
  const row = direction === 'up' ? Math.max(...rows.filter(each => each < from.row)) : Math.min(...rows.filter(each => each > from.row))
  return (
    nearest(
      figures.filter(figure => figure.row === row),
      { ...from, row },
    ) ?? from
  )
}

/** The rows with that figure as selected. */
export function withPointer(rows: readonly Row[], { row, first, last }: Figure): Row[] {
  return rows.map((each, y) => (y === row ? each.map((one, i) => (i >= first && i <= last ? { ...one, style: 'selected' } : one)) : each))
}

/** What a figure is, in a box as wide as the screen. */
export function explanation(about: string, model: Model, width: number, ascii: boolean): readonly Row[] {
  const found = explain(about, model)
  const lines =
    found === undefined
      ? ['Nothing is written about this figure']
      : [...wrap(`${found.meaning}.`, width), ...wrap(facts(about, model, found), width)]
  const part = block(
    lines.map(line => [span(line, 'text')]),
    width,
    ascii,
  )
  return section(`${about}${valueText(about, model)}`, part, ascii).rows
}

function facts(about: string, model: Model, { unit, source, kernel }: { unit: string; source: string; kernel: string }): string {
  const knob = model.tunables.find(tunable => tunable.path === about)
  const read =
    knob === undefined
      ? [unit === '' ? '' : `unit ${unit}`, `from ${source}`]
      : [`accepts ${unit}`, `default ${knob.default ?? 'depends on the machine'}`]
  return [...read, kernel === '' ? '' : `made by ${kernel}`].filter(part => part !== '').join(' - ')
}

/** The exact value, where it is one of the machine as a whole; of memory also as it is read best, of totals the rate. */
function valueText(about: string, model: Model): string {
  const value = model.scalars.get(about)
  if (value === undefined) return SCALARS.has(about) ? `: ${notHere(model)}` : ''
  const { kind, unit } = fieldOf(about)
  const memory = unit === 'count' ? '' : ` (${formatValue(value, unit)})`
  const rate = kind === 'counter' ? nowOf(model, about) : undefined
  return `: ${formatExact(value)}${memory}${rate === undefined ? '' : `, ${formatValue(rate, 'count')}/s`}`
}
