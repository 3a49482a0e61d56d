/**
 * Charts in block characters or ASCII, for headless output and for terminals where nothing better can be drawn.
 *
 *     page faults, per second       max 200k      title and unit, top of the scale
 *      ▂▃▅▇███▆▅▃▂▁▁▂▃▅▆▇█████▇▅▃▂▁               a line chart is columns filled from below, series above one another
 *     00:00:01          ▾            00:01:00     first and last time, a mark where a knob was turned
 */
import { formatClock, formatValue } from './format.ts'
import { shareBar, sparkText } from './glyphs.ts'
import { fitRow, rowWidth } from './layout.ts'
import { type ChartSpec, type Panel, type PlacedChart, type Row, type Series, span } from './panel.ts'
import { crop, displayWidth, fitText } from './width.ts'

/** A chart in exactly `width` x `height`. */
export function chartRows(spec: ChartSpec, width: number, height: number, ascii: boolean): Row[] {
  const body = { line: lineRows, bar: barRows }[spec.kind](spec, width, Math.max(0, height - 1), ascii)
  const rows = [titleRow(spec, width, ascii), ...body].map(row => fitRow(row, width, ascii))
  return Array.from({ length: height }, (_, y) => rows[y] ?? fitRow([], width))
}

/** What is drawn, and what its scale counts where there is room for that. */
export function titleSpans(spec: ChartSpec, width: number, ascii: boolean): Row {
  const title = crop(spec.title, Math.max(0, width), ascii ? '~' : '…')
  const axis = spec.axis === '' ? '' : `, ${spec.axis}`
  const about = spec.series.length === 1 ? spec.series[0].about : undefined
  return [span(title, 'title', about), span(displayWidth(title + axis) <= width ? axis : '', 'dim')]
}

function titleRow(spec: ChartSpec, width: number, ascii: boolean): Row {
  const scale = spec.kind === 'line' ? `max ${formatValue(spec.max, spec.unit)}` : ''
  const title = titleSpans(spec, width - scale.length - 1, ascii)
  return [...title, span(fitText(scale, Math.max(0, width - rowWidth(title)), 'right'), 'dim')]
}

function lineRows(spec: ChartSpec, width: number, height: number, ascii: boolean): Row[] {
  const axis = height > spec.series.length ? 1 : 0
  const each = Math.max(1, Math.floor((height - axis) / Math.max(1, spec.series.length)))
  const named = spec.series.length > 1
  const rows = spec.series.flatMap(series => seriesRows(series, spec, width, each, ascii, named))
  return axis > 0 ? [...rows, axisRow(spec, width, ascii)] : rows
}

/** One series in `height` rows of columns, its name at the left of the lowest one. */
function seriesRows(series: Series, spec: ChartSpec, width: number, height: number, ascii: boolean, named: boolean): Row[] {
  const label = named ? Math.min(width >= 60 ? 18 : 10, Math.max(...spec.series.map(each => displayWidth(each.name)))) + 1 : 0
  const values = resample(series.values, width - label)
  return Array.from({ length: height }, (_, y) => {
    const step = spec.max / height
    const floor = (height - 1 - y) * step
    const part = values.map(value => (value > floor || y === height - 1 ? Math.min(value - floor, step) : Number.NaN))
    const name = named && y === height - 1 ? fitText(series.name, label - 1, 'left', ascii ? '~' : '…') + ' ' : ' '.repeat(label)
    return [span(name, 'label', series.about), span(sparkText(part, step, ascii), series.style)]
  })
}

/** At most `width` values: each the mean of those it stands for; fewer are kept at the right. */
export function resample(values: readonly number[], width: number): number[] {
  if (width <= 0) return []
  if (values.length <= width) return [...Array.from({ length: width - values.length }, () => Number.NaN), ...values]
  return Array.from({ length: width }, (_, i) => {
    const part = values
      .slice(Math.floor((i * values.length) / width), Math.floor(((i + 1) * values.length) / width))
      .filter(Number.isFinite)
    return part.length === 0 ? Number.NaN : part.reduce((sum, value) => sum + value, 0) / part.length
  })
}

function axisRow(spec: ChartSpec, width: number, ascii: boolean): Row {
  const clock = (label: string | undefined) => (label === undefined ? '' : formatClock(Number(label)).slice(0, 8))
  const [first, last] = [clock(spec.labels[0]), clock(spec.labels.at(-1))]
  const line = Array.from({ length: width }, () => ' ')
  const place = (text: string, at: number) => {
    for (const [i, character] of [...text].entries()) if (at + i >= 0 && at + i < width) line[at + i] = character
  }
  const count = spec.labels.length
  const marks = spec.markers.map(({ index }) => (count <= width ? width - count + index : Math.floor((index * width) / count)))
  if (marks.every(at => at > first.length)) place(first, 0)
  if (marks.every(at => at < width - last.length - 1)) place(last, width - last.length)
  for (const at of marks) place(ascii ? '^' : '▴', at)
  return [span(line.join(''), 'dim')]
}

/** Narrowest that a bar with its name and value can be read in, and the gap between columns of them. */
const BAR_LEAST = 22
const BAR_GAP = 2

/** A bar a category, horizontal: name, bar, value; in several columns where there are more of them than rows. */
function barRows(spec: ChartSpec, width: number, height: number, ascii: boolean): Row[] {
  const wanted = Math.ceil(spec.labels.length / Math.max(1, height))
  const columns = Math.max(1, Math.min(wanted, Math.floor((width + BAR_GAP) / (BAR_LEAST + BAR_GAP))))
  const each = Math.floor((width + BAR_GAP) / columns) - BAR_GAP
  const room = columns * height
  const bars = barsOf(spec, each, ascii)
  const more = bars.length - room + 1
  const cells = more > 1 && room > 0 ? [...bars.slice(0, room - 1), [span(`${ascii ? '...' : '…'} ${more} more`, 'dim')]] : bars
  return Array.from({ length: Math.min(height, cells.length) }, (_, y) =>
    Array.from({ length: columns }, (_, x) => fitRow(cells[x * height + y] ?? [], each + (x < columns - 1 ? BAR_GAP : 0), ascii)).flat(),
  )
}

function barsOf(spec: ChartSpec, width: number, ascii: boolean): Row[] {
  const [series] = spec.series
  const names = Math.min(Math.floor(width / 3), Math.max(0, ...spec.labels.map(displayWidth)))
  const values = series.values.map(value => formatValue(value, spec.unit))
  const numbers = Math.max(0, ...values.map(displayWidth))
  return spec.labels.map((label, i) => [
    span(fitText(label, names, 'left', ascii ? '~' : '…'), 'label', series.abouts?.[i]),
    span(' '),
    ...shareBar(series.values[i] / spec.max, Math.max(0, width - names - numbers - 2), ascii, series.style),
    span(` ${fitText(values[i], numbers, 'right')}`, 'value', series.abouts?.[i]),
  ])
}

/** The rows of a panel with its charts drawn in. */
export function drawPanel(panel: Panel, ascii: boolean): Row[] {
  const rows = [...panel.rows]
  for (const chart of panel.charts) overlay(rows, chart, chartRows(chart.spec, chart.width, chart.height, ascii))
  return rows
}

/** Puts a chart's rows into the hole that was left for it. */
export function overlay(rows: Row[], { top, left, width }: PlacedChart, drawn: readonly Row[]): void {
  for (const [y, chartRow] of drawn.entries()) {
    const row = rows[top + y]
    if (row !== undefined) rows[top + y] = [...columns(row, 0, left), ...chartRow, ...columns(row, left + width, Number.POSITIVE_INFINITY)]
  }
}

/** The part of a row between two columns; holes are blanks, so nothing wide is ever cut. */
function columns(row: Row, from: number, to: number): Row {
  let at = 0
  return row.flatMap(each => {
    const start = at
    const wide = displayWidth(each.text)
    at += wide
    if (at <= from || start >= to) return []
    if (start >= from && at <= to) return [each]
    return [{ ...each, text: each.text.slice(Math.max(0, from - start), Math.min(wide, to - start)) }]
  })
}
