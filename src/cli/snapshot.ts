/** `mmtop snapshot` and batch mode: samples as text, CSV, JSON or OpenMetrics, and expectations judged on the last one. */
import { summaryPaths } from '../sample/files.ts'
import type { Model } from '../sample/model.ts'
import type { Source } from '../sample/source.ts'
import { nearestWord, UserError } from '../user_error.ts'
import { type Expectation, judge } from '../view/expectations.ts'
import { formatClock } from '../view/format.ts'
import { asCsv } from '../view/headless/csv.ts'
import { asJson } from '../view/headless/json.ts'
import { asOpenMetrics } from '../view/headless/openmetrics.ts'
import { headingLine, rowColumns, rowLine } from '../view/headless/rows.ts'
import { type Selection, select, tableLines } from '../view/headless/select.ts'
import { asText } from '../view/headless/text.ts'
import { plainLines } from '../view/layout.ts'
import { DEFAULT_UI, type Panel, type PanelFunction } from '../view/panel.ts'
import { TABLES } from '../view/tables.ts'
import { VIEW_NAMES, VIEWS, type View, viewNamed } from '../view/views.ts'
import { complain, EXIT, print } from './exit.ts'
import { judgeFailures, type Opened } from './open.ts'
import { type Course, walk } from './watch.ts'

export type Format = 'text' | 'csv' | 'json' | 'openmetrics'

/** Rows between two headings. */
const HEADING_EVERY = 20

export interface SnapshotOptions extends Course {
  /** 'none' prints nothing: expectations alone; 'rows' is a row a sample, as vmstat prints them. */
  readonly format: Format | 'rows' | 'none'
  /** A view's or a table's name; undefined: the overview as text and CSV, everything otherwise. */
  readonly view: string | undefined
  readonly expectations: readonly Expectation[]
  readonly width: number
  readonly ascii: boolean
  readonly filter: string
  /** What is taken of tables; with any of it text is a table too, instead of a panel. */
  readonly selection: Omit<Selection, 'filter'>
}

/** Prints the samples; the exit status. */
export async function snapshot(source: Opened, options: SnapshotOptions): Promise<number> {
  const printer = printerOf(options)
  const files = options.expectations.flatMap(({ name }) => (name.startsWith('/') ? [name.split(':')[0]] : []))
  let last: Model | undefined
  let ended = false
  try {
    for await (const model of walk(source, options, each => [...printer.wants(each), ...files])) {
      await print(printer.text(model, last === undefined))
      last = model
    }
    ended = source.pace().ended
  } finally {
    await source.close()
  }
  if (last === undefined) return judgeFailures(source)
  if (options.atNs !== undefined && ended && last.sample.ns < options.atNs) complain(`the source ended at ${formatClock(last.sample.ns)}`)
  return Math.max(judgeAll(options.expectations, last), judgeFailures(source))
}

function judgeAll(expectations: readonly Expectation[], model: Model): number {
  let status: number = EXIT.asked
  for (const expectation of expectations) {
    const { holds, found } = judge(expectation, model)
    if (holds) continue
    complain(`expected ${expectation.text}: ${found}`)
    status = EXIT.unmet
  }
  return status
}

/** Every knob whose row matches. */
export async function printTunables(
  source: Source,
  { width, ascii, filter }: Pick<SnapshotOptions, 'width' | 'ascii' | 'filter'>,
): Promise<void> {
  const ui = { ...DEFAULT_UI, ascii, filter }
  const size = { width, height: Number.POSITIVE_INFINITY }
  const { panel } = wantedView('tunables')
  try {
    for await (const model of walk(source, { atNs: undefined, everyNs: undefined, count: 1 }, each => panel(each, ui, size).wants))
      await print(
        plainLines(understood(panel(model, ui, size)).rows.slice(1))
          .map(line => `${line}\n`)
          .join(''),
      )
  } finally {
    await source.close()
  }
}

/** The panel, unless its filter is none. @throws UserError */
function understood(panel: Panel): Panel {
  const problem = panel.list?.problem ?? ''
  if (problem !== '') throw new UserError(`--filter: ${problem}`)
  return panel
}

interface Printer {
  text(model: Model, first: boolean): string
  wants(model: Model): readonly string[]
}

function printerOf(options: SnapshotOptions): Printer {
  const everyTask = (model: Model) => summaryPaths(model.sample.tasks().map(task => task.pid))
  if (options.format === 'none') return { wants: () => [], text: () => '' }
  const selected = isSelected(options)
  if (options.format === 'rows') return rowPrinter(options.selection.fields)
  if (options.format === 'text' && !selected) return textPrinter(wantedView(options.view ?? 'overview'), options)
  if (options.format === 'openmetrics') {
    if (options.count > 1) throw new UserError('OpenMetrics holds one sample: leave out --count and --every, or take csv or json')
    if (options.view !== undefined) throw new UserError('OpenMetrics holds everything: leave out --view')
    return { wants: everyTask, text: model => asOpenMetrics(model) }
  }
  const names = tableNames(options.view, options.format === 'json' ? Object.keys(TABLES) : ['overview'])
  const selection = { ...options.selection, filter: options.filter }
  const wants = (model: Model) => [...everyTask(model), ...panelWants(names, model)]
  const take = (name: string, model: Model) =>
    selected || options.filter !== '' ? select(TABLES[name](model), selection) : TABLES[name](model)
  if (selected && names.length > 1 && options.format !== 'csv' && options.view === undefined)
    throw new UserError('--fields, --sort and --top are of one table: say which with --view')
  if (options.format === 'text')
    return {
      wants,
      text: (model, first) =>
        (first ? '' : '\n') +
        tableLines(take(names[0], model))
          .map(line => `${line}\n`)
          .join(''),
    }
  if (options.format === 'csv') return { wants, text: (model, first) => asCsv(take(names[0], model), model, first) }
  const tables = (model: Model) => (selected ? names.slice(0, 1) : names).map(name => take(name, model))
  return { wants, text: model => asJson(tables(model), model) }
}

/** What the panels of these tables would read. */
const panelWants = (names: readonly string[], model: Model): readonly string[] =>
  VIEWS.filter(view => view.tables.some(name => names.includes(name))).flatMap(
    view => view.panel(model, DEFAULT_UI, { width: 120, height: Number.POSITIVE_INFINITY }).wants,
  )

const isSelected = ({ selection: { fields, sort, top } }: SnapshotOptions): boolean =>
  fields.length > 0 || sort !== '' || top !== Number.POSITIVE_INFINITY

/** Rates need two samples, so the first has no row. */
function rowPrinter(fields: readonly string[]): Printer {
  let rows = 0
  return {
    wants: () => [],
    text: model => {
      if (model.before === undefined) return ''
      const columns = rowColumns(model, fields)
      return `${rows++ % HEADING_EVERY === 0 ? `${headingLine(columns)}\n` : ''}${rowLine(columns, model)}\n`
    },
  }
}

function textPrinter(view: View, { width, ascii, filter }: SnapshotOptions): Printer {
  const ui = { ...DEFAULT_UI, ascii, filter }
  const checked: PanelFunction = (...of) => understood(view.panel(...of))
  return {
    wants: model => view.panel(model, ui, { width, height: Number.POSITIVE_INFINITY }).wants,
    text: (model, first) => (first ? '' : '\n') + asText(checked, model, ui, width),
  }
}

function wantedView(name: string): View {
  const view = viewNamed(name)
  if (view === undefined) throw unknownView(name, VIEW_NAMES)
  return view
}

/** Tables of a view, or one by its own name. */
function tableNames(name: string | undefined, otherwise: readonly string[]): readonly string[] {
  if (name === undefined) return otherwise
  const view = viewNamed(name)
  if (view !== undefined) return view.tables
  if (TABLES[name] !== undefined) return [name]
  throw unknownView(name, [...new Set([...VIEW_NAMES, ...Object.keys(TABLES)])])
}

function unknownView(name: string, names: readonly string[]): UserError {
  const near = nearestWord(name, names)
  return new UserError(`no view "${name}"${near === undefined ? `: ${names.join(' ')}` : `, did you mean "${near}"?`}`)
}
