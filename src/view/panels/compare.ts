/**
 * What changed: between the marks A and B, or before and after the knob that was turned last.
 *
 *     mean of the samples before ───┊─── mean of those since        as many on both sides, COMPARED at most
 *                               knob turned
 *
 * Totals are compared by their growth per second, levels by their mean. What changed most, in proportion, is first.
 */
import { growth, kindOf } from '../../sample/counters.ts'
import { levels, perSecond, timesOf } from '../../sample/history.ts'
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { fieldOf, glanceUnit } from '../fields.ts'
import { formatClock, formatDuration, formatValue, plural } from '../format.ts'
import type { Mark, Panel, PanelFunction, PanelUi } from '../panel.ts'
import { type Column, column } from '../table.ts'
import { type Clauses, words } from './common.ts'
import { listPanel } from './list_panel.ts'
import { chartsOf } from './overview.ts'

const COMPARED = 60

export interface Compared {
  readonly key: string
  readonly before: number
  readonly after: number
}

interface Comparison {
  readonly rows: readonly Compared[]
  readonly says: Clauses
}

const factor = ({ before, after }: Compared): number | undefined => (before === 0 ? undefined : after / before)

/** How many times more or less; what came from nothing or went to nothing counts as a thousandfold. */
function weight({ before, after }: Compared): number {
  const [low, high] = [Math.min(Math.abs(before), Math.abs(after)), Math.max(Math.abs(before), Math.abs(after))]
  return low === 0 ? (high === 0 ? 0 : 1000) : Math.min(1000, high / low - 1)
}

const shown = (key: string, value: number): string => {
  const field = fieldOf(key)
  return formatValue(value, glanceUnit(field)) + (field.kind === 'counter' ? '/s' : '')
}

const text = (key: string, title: string, priority: number, help: string, value: (row: Compared) => string): Column<Compared> =>
  column({
    key,
    title,
    unit: 'text',
    width: 9,
    priority,
    help,
    source: 'history of the samples',
    value,
    draw: row => [{ text: value(row).padStart(9).slice(0, 9), style: 'value', about: row.key }],
  })

const COLUMNS: readonly Column<Compared>[] = [
  column({
    key: 'figure',
    title: 'figure',
    unit: 'text',
    width: 36,
    kind: 'label',
    priority: 0,
    help: 'Figure that changed',
    source: 'all files',
    value: row => row.key,
  }),
  text('before', '   before', 0, 'Mean before, or at mark A', row => shown(row.key, row.before)),
  text('after', '    after', 0, 'Mean since, or at mark B', row => shown(row.key, row.after)),
  text(
    'difference',
    '     more',
    1,
    'After less before',
    row => `${row.after > row.before ? '+' : ''}${shown(row.key, row.after - row.before)}`,
  ),
  column({
    key: 'change',
    title: 'change',
    unit: 'count',
    width: 8,
    priority: 0,
    help: 'How many times as much',
    source: 'after / before',
    value: weight,
    draw: row => {
      const times = factor(row)
      const said = times === undefined ? 'new' : row.after === 0 ? 'gone' : `x${times >= 99.5 ? times.toFixed(0) : times.toFixed(2)}`
      return [{ text: said.padStart(8).slice(0, 8), style: 'value', about: row.key }]
    },
  }),
]

export const compare: PanelFunction = (model, ui, size): Panel => {
  const all = comparison(model, ui)
  // What nodes and zones did adds up to what the machine did: they are there for those who ask for them.
  const rows = ui.filter === '' ? all.rows.filter(({ key }) => !PLACED.test(key)) : all.rows
  const says = rows.length < all.rows.length ? [...all.says, 'those of nodes and zones with a filter: /N0'] : all.says
  const most = chartsMoved(all.rows)
  return listPanel(model, ui, size, {
    above: [words(says, size, ui.ascii)],
    rows,
    columns: COLUMNS,
    idOf: row => row.key,
    fallback: { key: 'change', descending: true },
    charts: selected => [...(selected === undefined ? [] : [chartOf(selected.key)]), ...(most.length > 0 ? most : chartsOf(model))],
  })
}

const chartOf = (key: string): ChartOf => ({ title: key, lines: [{ name: key, keys: [key] }] })

/** Figures charted at most. */
const CHARTED = 12

/** The figures of the machine as a whole that changed most, roughly in this order: an order by every digit would never stand still. */
function chartsMoved(rows: readonly Compared[]): ChartOf[] {
  return rows
    .filter(({ key }) => !PLACED.test(key))
    .map(row => ({ key: row.key, rank: Math.round(Math.log2(weight(row) + 1)) }))
    .sort((a, b) => b.rank - a.rank)
    .slice(0, CHARTED)
    .map(({ key }) => chartOf(key))
}

/** Charts of what moved most since the knob that was turned last. */
export function chartsSinceKnob(model: Model): readonly ChartOf[] {
  const turned = model.events.findLast(event => event.kind === 'knob')
  return turned === undefined ? [] : chartsMoved(aroundKnob(model, turned.ns, turned.text).rows)
}

/** Figures of nodes and zones. */
const PLACED = /^N\d+\./

function comparison(model: Model, { marks }: PanelUi): Comparison {
  const { a, b } = marks
  if (a !== undefined) return betweenMarks(a, b ?? { ns: model.sample.ns, scalars: model.scalars }, b === undefined)
  const turned = model.events.findLast(event => event.kind === 'knob')
  if (turned !== undefined) return aroundKnob(model, turned.ns, turned.text)
  return halves(model)
}

/** Samples that two halves are made of, at least. */
const HALVED = 4

/** Where nobody marked a moment or turned a knob: the later half of what was watched against the earlier. */
function halves(model: Model): Comparison {
  const how = 'set mark A and then B (keys A and B), or turn a knob: here is what changed between, or since'
  const times = timesOf(model.history, model.seq, 2 * COMPARED)
  if (times.length < HALVED) return { rows: [], says: [how] }
  const { rows } = aroundKnob(model, times[Math.ceil(times.length / 2)], '')
  const watched = formatDuration(times[times.length - 1] - times[0])
  return { rows, says: [`the later half of the last ${watched} against the earlier: ${plural(rows.length, 'figure')} differ`, how] }
}

/** Totals by their growth per second between the marks against what they had grown by A: their level at A means nothing. */
function betweenMarks(a: Mark, b: Mark, open: boolean): Comparison {
  const seconds = (b.ns - a.ns) / 1e9
  const rows = [...b.scalars].flatMap(([key, after]): Compared[] => {
    const before = a.scalars.get(key)
    if (before === undefined) return []
    if (kindOf(key) === 'gauge') return before === after ? [] : [{ key, before, after }]
    const grown = growth(after, before)
    return grown === 0 || seconds <= 0 ? [] : [{ key, before: 0, after: grown / seconds }]
  })
  const says = [
    `from A at ${formatClock(a.ns)} to ${open ? 'now' : `B at ${formatClock(b.ns)}`}: ${formatDuration(b.ns - a.ns)}`,
    `${plural(rows.length, 'figure')} moved; of totals the growth per second between the marks is shown as new`,
    'X takes the marks away',
  ]
  return { rows, says }
}

function aroundKnob(model: Model, ns: number, what: string): Comparison {
  const times = timesOf(model.history, model.seq, 2 * COMPARED)
  const at = times.findIndex(time => time >= ns)
  const after = at < 0 ? 0 : times.length - at
  const before = Math.min(COMPARED, Math.max(0, at))
  if (after === 0 || before === 0) return { rows: [], says: [`no samples from before and since ${what} are kept`] }
  const rows = [...model.scalars.keys()].flatMap((key): Compared[] => {
    const values =
      kindOf(key) === 'gauge'
        ? levels(model.history, key, model.seq, after + before)
        : perSecond(model.history, key, model.seq, after + before)
    const [since, then] = [mean(values.slice(-after)), mean(values.slice(0, -after))]
    return since === undefined || then === undefined || since === then ? [] : [{ key, before: then, after: since }]
  })
  return {
    rows,
    says: [
      `since ${formatClock(ns)}: ${what}`,
      `means of the ${plural(before, 'sample')} before it and the ${plural(after, 'sample')} since: ${plural(rows.length, 'figure')} differ`,
    ],
  }
}

function mean(values: readonly number[]): number | undefined {
  const known = values.filter(Number.isFinite)
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}
