/** Makes charts as data (ChartSpec in panel.ts) out of history. */
import { kindOf } from '../sample/counters.ts'
import { levels, perSecond, timesOf } from '../sample/history.ts'
import type { Model } from '../sample/model.ts'
import { type Field, fieldOf, glanceUnit, type Unit } from './fields.ts'
import type { ChartSpec, Series, Style } from './panel.ts'

const STYLES: readonly Style[] = ['series1', 'series2', 'series3', 'series4', 'series5']

/** The smallest of 1, 2, 5 x 10^n (2^n for memory) that is not below `value`; 1, or a page, for nothing at all. */
export function niceMax(value: number, unit: Unit): number {
  if (!Number.isFinite(value) || value <= 0) return unit === 'percent' ? 100 : unit === 'bytes' ? 4096 : 1
  if (unit === 'percent' && value <= 100) return [1, 2, 5, 10, 20, 50, 100].find(step => step >= value) ?? 100
  if (unit === 'bytes' || unit === 'pages' || unit === 'kib') return 2 ** Math.ceil(Math.log2(value))
  const scale = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find(step => step * scale >= value * (1 - 1e-9)) ?? 10) * scale
}

/** One line of a chart: a scalar, shown as a rate where it is a total, or several added up. */
export interface LineOf {
  readonly name: string
  readonly keys: readonly string[]
}

/** The recent values of a scalar, as it is best seen: a level as it stands, a total per second. */
export function recent(model: Model, key: string, count: number): number[] {
  return kindOf(key) === 'counter' ? perSecond(model.history, key, model.seq, count) : levels(model.history, key, model.seq, count)
}

/** Several scalars added up sample by sample, oldest first; totals per second. */
export function summed(model: Model, keys: readonly string[], count: number): number[] {
  const all = keys.map(key => recent(model, key, count))
  // Rates have no first value, so align the series at their ends.
  const length = Math.min(...all.map(values => values.length))
  return Array.from({ length }, (_, i) => all.reduce((sum, values) => sum + values[values.length - length + i], 0))
}

/** A line chart before it is made: its lines, of which those are left out that the machine does not have. */
export interface ChartOf {
  readonly title: string
  readonly lines: readonly LineOf[]
  /** The scale's top where it is known (all memory, 100 %); otherwise the next round number. */
  readonly max?: number
}

/**
 * A line chart of the last `count` samples. Totals are drawn per second.
 * @param max the scale's top where it is known (all memory, 100 %); otherwise the next round number
 */
export function lineChart(model: Model, title: string, lines: readonly LineOf[], count: number, max?: number): ChartSpec {
  const field = fieldOf(lines[0].keys[0])
  const series = lines.map(
    ({ name, keys }, i): Series => ({ name, style: STYLES[i % STYLES.length], about: keys[0], values: summed(model, keys, count) }),
  )
  const length = Math.max(0, ...series.map(each => each.values.length))
  return seriesChart(model, { title, unit: glanceUnit(field), axis: axisOf(field), series, length, count, max })
}

/** The chart if the machine has any of its lines. */
export function chartIfKnown(model: Model, { title, lines, max }: ChartOf, count: number): ChartSpec | undefined {
  const known = lines.flatMap(({ name, keys }): LineOf[] => {
    const there = keys.filter(key => model.scalars.has(key))
    return there.length === 0 ? [] : [{ name, keys: there }]
  })
  return known.length === 0 ? undefined : lineChart(model, title, known, count, max)
}

/** Lines in one chart that can still be told apart. */
const LINES_MOST = 5

/**
 * Charts of many lines of one kind: first those that moved most of late, a chosen one among them whether it did or not, then all of them in turn.
 * @param what the lines are: "nodes"
 * @param chosen name of the line that a user selected
 */
export function chartsOfMany(model: Model, count: number, chart: ChartOf, what: string, chosen?: string): ChartOf[] {
  const { title, lines } = chart
  if (lines.length <= LINES_MOST) return [chart]
  const range = ({ keys }: LineOf) => {
    const values = summed(model, keys, count).filter(Number.isFinite)
    return values.reduce((a, b) => Math.max(a, b), 0) - values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  }
  const moves = lines.map(line => ({ line, by: line.name === chosen ? Number.POSITIVE_INFINITY : range(line) }))
  const most = new Set(
    [...moves]
      .sort((a, b) => b.by - a.by)
      .slice(0, LINES_MOST)
      .map(({ line }) => line),
  )
  const first = `${title}: ${chosen === undefined ? '' : `${chosen} and `}those of ${lines.length} ${what} that move most`
  const groups = Array.from({ length: Math.ceil(lines.length / LINES_MOST) }, (_, i) => lines.slice(i * LINES_MOST, (i + 1) * LINES_MOST))
  return [
    // In their own order, so that no line changes its place because it moves more.
    { ...chart, title: first, lines: lines.filter(line => most.has(line)) },
    ...groups.map(group => ({ ...chart, title: `${title}: ${group[0].name} to ${group[group.length - 1].name}`, lines: group })),
  ]
}

/** What the scale of a chart of this figure counts. */
function axisOf({ kind, unit }: Pick<Field, 'kind' | 'unit'>): string {
  if (kind !== 'counter')
    return { bytes: 'bytes', pages: 'bytes', kib: 'bytes', percent: '%' }[String(unit)] ?? (unit === 'count' ? 'number' : 'time')
  if (unit === 'pages') return 'pages per second'
  if (unit === 'bytes' || unit === 'kib') return 'bytes per second'
  return unit === 'count' ? 'per second' : 'time per second'
}

interface SeriesChart {
  readonly title: string
  readonly unit: Unit
  readonly axis: string
  readonly series: readonly Series[]
  /** Values of the longest of them, and what the whole width stands for. */
  readonly length: number
  readonly count: number
  readonly max?: number | undefined
}

/** A line chart of values that are there already, the last of each of this sample. */
export function seriesChart(model: Model, { title, unit, axis, series, length, count, max }: SeriesChart): ChartSpec {
  const times = timesOf(model.history, model.seq, length)
  const top = series.reduce((most, { values }) => values.filter(Number.isFinite).reduce((a, b) => Math.max(a, b), most), max ?? 0)
  return {
    kind: 'line',
    title,
    unit,
    axis,
    series,
    labels: times.map(String),
    span: count,
    max: niceMax(top, unit),
    markers: knobMarkers(model, times),
  }
}

/** Where knobs were turned, among samples taken at `times`: at the first sample after it. */
function knobMarkers(model: Model, times: readonly number[]): { index: number; text: string }[] {
  return model.events.flatMap(event => {
    const index = event.kind === 'knob' && event.ns >= times[0] ? times.findIndex(ns => ns >= event.ns) : -1
    return index < 0 ? [] : [{ index, text: event.text }]
  })
}

/** A bar for each category. @param bars `about` names the figure */
export function barChart(
  title: string,
  unit: Unit,
  bars: readonly { readonly name: string; readonly value: number; readonly about: string }[],
): ChartSpec {
  const values = bars.map(bar => bar.value)
  return {
    kind: 'bar',
    title,
    unit,
    axis: '',
    series: [{ name: title, style: 'series1', values, abouts: bars.map(bar => bar.about) }],
    labels: bars.map(bar => bar.name),
    span: bars.length,
    max: niceMax(Math.max(0, ...values), unit),
    markers: [],
  }
}
