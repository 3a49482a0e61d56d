/** Every counter of /proc/vmstat: value, per second, since watching began, and its recent past. */
import { kindOf } from '../../sample/counters.ts'
import { changeOf, type Model, rateOf, sinceStart } from '../../sample/model.ts'
import { recent } from '../chart.ts'
import { type Field, fieldOf } from '../fields.ts'
import { formatCount, formatExact } from '../format.ts'
import { spark } from '../glyphs.ts'
import { toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, span } from '../panel.ts'
import { type Column, column, drawList, listRows } from '../table.ts'
import { fitText } from '../width.ts'
import { type Clauses, words } from './common.ts'

interface CounterRow {
  readonly field: Field
  readonly value: number
  readonly rate: number | undefined
  readonly change: number | undefined
  readonly since: number | undefined
}

const rowsOf = (model: Model): CounterRow[] =>
  [...model.sample.vmstat()].map(([key, value]) => ({
    field: fieldOf(key),
    value,
    rate: kindOf(key) === 'counter' ? rateOf(model, key) : undefined,
    change: changeOf(model, key),
    since: sinceStart(model, key),
  }))

const SPARK_WIDTH = 20

function columnsOf(model: Model, ui: PanelUi): readonly Column<CounterRow>[] {
  const source = '/proc/vmstat'
  return [
    column({
      key: 'group',
      title: 'group',
      unit: 'text',
      width: 11,
      kind: 'label',
      priority: 5,
      help: 'What the counter is about',
      source,
      value: row => row.field.group,
    }),
    column({
      key: 'name',
      title: 'counter',
      unit: 'text',
      width: 30,
      kind: 'label',
      priority: 0,
      help: 'The name the kernel gives it',
      source,
      value: row => row.field.key,
    }),
    column({
      key: 'value',
      title: 'value',
      unit: 'count',
      width: 14,
      priority: 0,
      help: 'As the file says it',
      source,
      value: row => row.value,
      draw: row => [span(fitText(formatExact(row.value), 14, 'right'), row.value === 0 ? 'dim' : 'value', row.field.key)],
    }),
    column({
      key: 'rate',
      title: 'per second',
      unit: 'count',
      width: 10,
      priority: 1,
      help: 'Growth per second since the sample before; of levels nothing',
      source,
      value: row => row.rate,
      draw: row => [
        span(
          fitText(row.rate === undefined ? '' : formatCount(row.rate), 10, 'right'),
          (row.rate ?? 0) > 0 ? 'value' : 'dim',
          row.field.key,
        ),
      ],
    }),
    column({
      key: 'change',
      title: 'change',
      unit: 'count',
      width: 8,
      priority: 4,
      help: 'Difference to the sample before',
      source,
      value: row => row.change,
      draw: row => [span(fitText(signed(row.change), 8, 'right'), (row.change ?? 0) === 0 ? 'dim' : 'value', row.field.key)],
    }),
    column({
      key: 'since',
      title: 'since start',
      unit: 'count',
      width: 12,
      priority: 2,
      help: 'Growth (of levels: difference) since watching began',
      source,
      value: row => row.since,
      draw: row => [span(fitText(signed(row.since), 12, 'right'), (row.since ?? 0) === 0 ? 'dim' : 'value', row.field.key)],
    }),
    column({
      key: 'past',
      title: 'past',
      unit: 'text',
      width: SPARK_WIDTH,
      kind: 'label',
      priority: 3,
      help: 'The last samples: levels as they stood, totals per second',
      source,
      value: () => '',
      draw: row => [spark(recent(model, row.field.key, Math.min(ui.zoom, SPARK_WIDTH)), SPARK_WIDTH, ui.ascii)],
    }),
    column({
      key: 'help',
      title: 'what it counts',
      unit: 'text',
      width: 20,
      kind: 'label',
      priority: 6,
      grows: true,
      help: 'From the field table',
      source,
      value: row => row.field.help,
    }),
  ]
}

const signed = (value: number | undefined): string =>
  value === undefined ? '-' : value > 0 ? `+${formatCount(value)}` : formatCount(value)

export const vmstat: PanelFunction = (model, ui, size): Panel => {
  const columns = columnsOf(model, ui)
  const all = rowsOf(model)
  const shown = ui.moving ? all.filter(row => row.change !== undefined && row.change !== 0) : all
  const said = words(clauses(model, all), size.width, ui.ascii)
  const height = size.height - said.rows.length
  const listed = listRows(shown, columns, row => row.field.key, { model, ui, height: height - 1, fallback: undefined })
  return toPanel([said, drawList(listed, columns, { model, ui, width: size.width, height })], size, ui, { list: listed.state })
}

function clauses(model: Model, rows: readonly CounterRow[]): Clauses {
  const moved = rows.filter(row => row.change !== undefined && row.change !== 0)
  const fastest = rows.filter(row => (row.rate ?? 0) > 0).sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0))
  return [
    `${rows.length} counters`,
    model.before === undefined ? 'rates follow with the next sample' : `${moved.length} moved since the sample before`,
    fastest.length > 0 &&
      `fastest: ${fastest
        .slice(0, 3)
        .map(row => `${row.field.key} ${formatCount(row.rate ?? 0)}/s`)
        .join(', ')}`,
  ]
}
