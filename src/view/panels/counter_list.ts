/**
 * A list of counters, of whatever file: value, per second, since watching began and the recent past of each; below it the chart of the one
 * that is selected, or of the one that grows fastest.
 */
import { kindOf } from '../../sample/counters.ts'
import { changeOf, type Model, rateOf, sinceStart } from '../../sample/model.ts'
import { type ChartOf, recent } from '../chart.ts'
import { type Field, fieldOf, type Unit } from '../fields.ts'
import { formatChange, formatCount, formatExact, formatValue } from '../format.ts'
import { spark } from '../glyphs.ts'
import type { Block } from '../layout.ts'
import { type Panel, type PanelUi, type Size, span } from '../panel.ts'
import { type Column, column } from '../table.ts'
import { fitText } from '../width.ts'
import { listPanel } from './list_panel.ts'

export interface CounterRow {
  readonly field: Field
  readonly value: number
  readonly rate: number | undefined
  readonly change: number | undefined
  readonly since: number | undefined
}

/** Of scalars that the machine has. */
export const counterRows = (model: Model, keys: Iterable<string>): CounterRow[] =>
  [...keys].flatMap((key): CounterRow[] => {
    const value = model.scalars.get(key)
    if (value === undefined) return []
    return [
      {
        field: fieldOf(key),
        value,
        rate: kindOf(key) === 'counter' ? rateOf(model, key) : undefined,
        change: changeOf(model, key),
        since: sinceStart(model, key),
      },
    ]
  })

export const hasMoved = ({ change }: CounterRow): boolean => change !== undefined && change !== 0

const SPARK_WIDTH = 20

/** Counts are shown to the last one, memory and time as they are read best. */
const exact = (value: number, unit: Unit): string =>
  unit === 'bytes' || unit === 'ns' || unit === 'percent' ? formatValue(value, unit) : formatExact(value)
const signed = (value: number, unit: Unit): string => formatChange(value, unit === 'pages' || unit === 'kib' ? 'count' : unit)

interface Spec {
  readonly key: string
  readonly title: string
  readonly width: number
  readonly priority: number
  readonly help: string
  readonly grows?: boolean
}

/** Where a row's figure is read is said of the figure itself. */
const SOURCE = 'the file of the counter'

/** A column of numbers, dim where nothing is. */
function figure(
  spec: Spec,
  value: (row: CounterRow) => number | undefined,
  text: (value: number, unit: Unit) => string,
): Column<CounterRow> {
  const draw = (row: CounterRow) => {
    const known = value(row)
    const style = known === undefined || known === 0 ? 'dim' : 'value'
    return [span(fitText(known === undefined ? '' : text(known, row.field.unit), spec.width, 'right'), style, row.field.key)]
  }
  return column({ ...spec, unit: 'count', source: SOURCE, value, draw })
}

const label = (spec: Spec, value: (row: CounterRow) => string): Column<CounterRow> =>
  column({ ...spec, unit: 'text', kind: 'label', source: SOURCE, value })

function columnsOf(model: Model, ui: PanelUi): readonly Column<CounterRow>[] {
  const past = (row: CounterRow) => [
    { ...spark(recent(model, row.field.key, Math.min(ui.zoom, SPARK_WIDTH)), SPARK_WIDTH, ui.ascii), about: row.field.key },
  ]
  return [
    label({ key: 'group', title: 'group', width: 11, priority: 5, help: 'What the counter is about' }, row => row.field.group),
    label({ key: 'name', title: 'counter', width: 30, priority: 0, help: 'The name the kernel gives it' }, row => row.field.key),
    figure({ key: 'value', title: 'value', width: 14, priority: 0, help: 'As the file says it' }, row => row.value, exact),
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

/**
 * The list with its charts as a panel, under blocks that are there already.
 * @param above the line in words first
 * @param charts for what room is left beside the chart of the selected counter
 */
export function counterPanel(
  model: Model,
  ui: PanelUi,
  size: Size,
  {
    charts = [],
    ...spec
  }: {
    readonly above: readonly Block[]
    readonly after?: readonly Block[]
    readonly rows: readonly CounterRow[]
    readonly charts?: readonly ChartOf[]
    readonly wants?: readonly string[]
  },
): Panel {
  const fastest = spec.rows.reduce<CounterRow | undefined>((most, row) => ((row.rate ?? 0) > (most?.rate ?? 0) ? row : most), undefined)
  return listPanel(model, ui, size, {
    ...spec,
    columns: columnsOf(model, ui),
    idOf: row => row.field.key,
    moves: hasMoved,
    charts: selected => [...chartOf(selected ?? fastest ?? spec.rows[0]), ...charts],
  })
}

const chartOf = (row: CounterRow | undefined): ChartOf[] =>
  row === undefined ? [] : [{ title: row.field.key, lines: [{ name: row.field.key, keys: [row.field.key] }] }]

/** Every figure of one place (a node, a zone, a pool), as counters: what a row of its list is opened to. */
export const counterRowsBelow = (model: Model, prefix: string): CounterRow[] =>
  counterRows(
    model,
    [...model.scalars.keys()].filter(key => key.startsWith(prefix)),
  )

/** A panel that shows something else until someone walks in the list, which is another panel. */
export const withList = (panel: Panel, { list }: Panel): Panel =>
  list === undefined ? panel : { ...panel, list: { ...list, ...(panel.below > 0 ? { below: true } : {}) } }
