/** Makes charts as data (ChartSpec in panel.ts) out of history. */
import { kindOf } from '../sample/counters.ts'
import { levels, perSecond, timesOf } from '../sample/history.ts'
import type { Model } from '../sample/model.ts'
import { fieldOf, glanceUnit, type Unit } from './fields.ts'
import type { ChartSpec, Series, Style } from './panel.ts'

const STYLES: readonly Style[] = ['series1', 'series2', 'series3', 'series4', 'series5']

/** The smallest of 1, 2, 5 x 10^n (2^n for memory) that is not below `value`; 1 for nothing at all. */
export function niceMax(value: number, unit: Unit): number {
  if (!Number.isFinite(value) || value <= 0) return unit === 'percent' ? 100 : 1
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

/**
 * A line chart of the last `count` samples. Totals are drawn per second.
 * @param max the scale's top where it is known (all memory, 100 %); otherwise the next round number
 */
export function lineChart(model: Model, title: string, lines: readonly LineOf[], count: number, max?: number): ChartSpec {
  const unit = glanceUnit(fieldOf(lines[0].keys[0]))
  const series = lines.map(({ name, keys }, i): Series => ({ name, style: STYLES[i % STYLES.length], values: summed(model, keys, count) }))
  const length = Math.max(0, ...series.map(each => each.values.length))
  const times = timesOf(model.history, model.seq, length)
  const top = Math.max(max ?? 0, ...series.flatMap(each => each.values.filter(Number.isFinite)))
  return {
    kind: 'line',
    title,
    unit,
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

/** A bar for each category. */
export function barChart(title: string, unit: Unit, bars: readonly { readonly name: string; readonly value: number }[]): ChartSpec {
  const values = bars.map(bar => bar.value)
  return {
    kind: 'bar',
    title,
    unit,
    series: [{ name: title, style: 'series1', values }],
    labels: bars.map(bar => bar.name),
    span: bars.length,
    max: niceMax(Math.max(0, ...values), unit),
    markers: [],
  }
}

/** A share of a whole. */
export function gaugeChart(title: string, unit: Unit, value: number, max: number): ChartSpec {
  return {
    kind: 'gauge',
    title,
    unit,
    series: [{ name: title, style: 'series1', values: [value] }],
    labels: [],
    span: 1,
    max: max > 0 ? max : 1,
    markers: [],
  }
}
