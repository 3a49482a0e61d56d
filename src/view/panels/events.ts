/** Events: what happened and when; a row opened takes all panels to that moment. */
import { timesOf } from '../../sample/history.ts'
import type { Model } from '../../sample/model.ts'
import { EVENT_KINDS, type EventKind } from '../../sample/source.ts'
import { type ChartOf, seriesChart } from '../chart.ts'
import { plural } from '../format.ts'
import type { ChartSpec, Panel, PanelFunction, PanelUi, Style } from '../panel.ts'
import { EVENT_COLUMNS, type EventRow, eventRows, isNotable } from '../subjects/events.ts'
import { type Clauses, words } from './common.ts'
import { listPanel } from './list_panel.ts'

export const events: PanelFunction = (model, ui, size): Panel => {
  const rows = eventRows(model)
  return listPanel(model, ui, size, {
    above: [words(clauses(model, rows), size, ui.ascii)],
    rows,
    moves: isNotable,
    columns: EVENT_COLUMNS,
    idOf: row => row.id,
    charts: () => [rateChart(model, ui, rows), ...CHARTS],
  })
}

/** Kinds of events that a chart puts together. */
const LINES: readonly (readonly [name: string, style: Style, kinds: readonly EventKind[]])[] = [
  ['workload', 'series1', ['op', 'note']],
  ['trouble', 'series2', ['error', 'oom', 'kill', 'stall', 'allocfail', 'pool', 'expect']],
  ['kswapd', 'series3', ['kswapd']],
  ['knobs', 'series4', ['knob']],
]

/** Events per second between each sample and the one before it. */
function rateChart(model: Model, ui: PanelUi, rows: readonly EventRow[]): ChartSpec {
  const times = timesOf(model.history, model.seq, ui.zoom + 1)
  const counts = LINES.map(() => times.slice(1).map(() => 0))
  for (const { ns, kind } of rows) {
    if (!(ns > times[0])) break
    const at = times.findIndex(time => time >= ns) - 1
    const line = LINES.findIndex(([, , kinds]) => kinds.includes(kind))
    if (at >= 0 && line >= 0) counts[line][at]++
  }
  const series = LINES.map(([name, style], i) => ({
    name,
    style,
    about: 'kind',
    values: counts[i].map((count, at) => (count * 1e9) / Math.max(1, times[at + 1] - times[at])),
  }))
  return seriesChart(model, { title: 'events', unit: 'count', axis: 'per second', series, length: times.length - 1, count: ui.zoom })
}

/** What events are about. */
const CHARTS: readonly ChartOf[] = [
  { title: 'free memory', lines: [{ name: 'free', keys: ['MemFree'] }] },
  {
    title: 'stalls',
    lines: [
      { name: 'reclaim', keys: ['allocstall_dma32', 'allocstall_normal', 'allocstall_movable'] },
      { name: 'compaction', keys: ['compact_stall'] },
    ],
  },
]

function clauses(model: Model, rows: readonly EventRow[]): Clauses {
  if (rows.length === 0) return [model.kind === 'host' ? 'Nothing happened since watching began' : 'Nothing happened yet']
  const counts = EVENT_KINDS.map(kind => ({ kind, count: rows.filter(row => row.kind === kind).length })).filter(({ count }) => count > 0)
  return [
    `${plural(rows.length, 'event')}: ${counts.map(({ kind, count }) => `${count} ${kind}`).join(', ')}`,
    'Enter goes to the moment of one; m leaves out the lines of the workload; filters know kinds: /kswapd',
  ]
}
