/** Every counter of /proc/vmstat: value, per second, since watching began, and its recent past. */
import { kindOf } from '../../sample/counters.ts'
import { changeOf, type Model, rateOf, sinceStart } from '../../sample/model.ts'
import { lineChart, recent } from '../chart.ts'
import { type Field, fieldOf, SCALARS } from '../fields.ts'
import { formatCount, formatExact } from '../format.ts'
import { spark } from '../glyphs.ts'
import { type Block, block, chartBlock, fillBlock, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, span } from '../panel.ts'
import { type Column, column, drawList, type Listed, listRows } from '../table.ts'
import { fitText } from '../width.ts'
import { type Clauses, notHere, words } from './common.ts'

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

const SOURCE = '/proc/vmstat'

/** A column of numbers, dim where nothing is. */
function figure(
  spec: { key: string; title: string; width: number; priority: number; help: string },
  value: (row: CounterRow) => number | undefined,
  text: (value: number) => string,
): Column<CounterRow> {
  const draw = (row: CounterRow) => {
    const known = value(row)
    return [
      span(
        fitText(known === undefined ? '' : text(known), spec.width, 'right'),
        known === undefined || known === 0 ? 'dim' : 'value',
        row.field.key,
      ),
    ]
  }
  return column({ ...spec, unit: 'count', source: SOURCE, value, draw })
}

function label(
  spec: { key: string; title: string; width: number; priority: number; help: string; grows?: boolean },
  value: (row: CounterRow) => string,
): Column<CounterRow> {
  return column({ ...spec, unit: 'text', kind: 'label', source: SOURCE, value })
}

function columnsOf(model: Model, ui: PanelUi): readonly Column<CounterRow>[] {
  const past = (row: CounterRow) => [spark(recent(model, row.field.key, Math.min(ui.zoom, SPARK_WIDTH)), SPARK_WIDTH, ui.ascii)]
  return [
    label({ key: 'group', title: 'group', width: 11, priority: 5, help: 'What the counter is about' }, row => row.field.group),
    label({ key: 'name', title: 'counter', width: 30, priority: 0, help: 'The name the kernel gives it' }, row => row.field.key),
    figure({ key: 'value', title: 'value', width: 14, priority: 0, help: 'As the file says it' }, row => row.value, formatExact),
    figure(
      { key: 'rate', title: 'per second', width: 10, priority: 1, help: 'Growth per second since the sample before; of levels nothing' },
      row => row.rate,
      formatCount,
    ),
    figure({ key: 'change', title: 'change', width: 8, priority: 4, help: 'Difference to the sample before' }, row => row.change, signed),
    figure(
      { key: 'since', title: 'since start', width: 12, priority: 2, help: 'Growth (of levels: difference) since watching began' },
      row => row.since,
      signed,
    ),
    {
      ...label(
        { key: 'past', title: 'past', width: SPARK_WIDTH, priority: 3, help: 'The last samples: levels as they stood, totals per second' },
        () => '',
      ),
      draw: past,
    },
    label(
      { key: 'help', title: 'what it counts', width: 20, priority: 6, grows: true, help: 'From the field table' },
      row => row.field.help,
    ),
  ]
}

const signed = (value: number | undefined): string =>
  value === undefined ? '-' : value > 0 ? `+${formatCount(value)}` : formatCount(value)

export const vmstat: PanelFunction = (model, ui, size): Panel => {
  const columns = columnsOf(model, ui)
  const all = rowsOf(model)
  const shown = ui.moving ? all.filter(row => row.change !== undefined && row.change !== 0) : all
  const said = words([...lacking(model, ui.filter), ...clauses(model, all)], size, ui.ascii)
  const room = size.height - said.rows.length
  const height = size.height >= TALL && size.height !== Number.POSITIVE_INFINITY ? room - CHART_ROWS : room
  const listed = listRows(shown, columns, row => row.field.key, { model, ui, height: height - 1, fallback: undefined })
  const list = drawList(listed, columns, { model, ui, width: size.width, height })
  const charts = height < room ? [fillBlock(list, height), chartOf(model, ui, size.width, listed)] : [list]
  return toPanel([said, ...charts], size, ui, { list: listed.state })
}

/** Counters that a filter names in full and that only other kernels have. */
function lacking(model: Model, filter: string): Clauses {
  const names = filter.split('&').map(term => term.trim())
  return names
    .filter(name => SCALARS.get(name)?.source.startsWith(SOURCE) === true && !model.scalars.has(name))
    .map(name => `counter ${name} is ${notHere(model)}`)
}

/** Rows from which there is room for more than the list. */
const TALL = 30
const CHART_ROWS = 8

/** The past of the selected counter, or of the one that grows fastest. */
function chartOf(model: Model, ui: PanelUi, width: number, { rows, state }: Listed<CounterRow>): Block {
  const fastest = rows.reduce<CounterRow | undefined>((most, row) => ((row.rate ?? 0) > (most?.rate ?? 0) ? row : most), undefined)
  const row = rows[state.selected] ?? fastest ?? rows[0]
  if (row === undefined) return block([], width)
  const { key, kind, unit } = row.field
  const what = kind === 'counter' ? 'per second' : unit === 'pages' ? 'memory' : 'as it stands'
  return chartBlock(lineChart(model, `${key}, ${what}`, [{ name: key, keys: [key] }], ui.zoom), width, CHART_ROWS)
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
