/**
 * Tables: columns of a subject, fitted into the width there is. Columns that matter least go first when it gets narrow;
 * no value ever moves because another one got longer.
 */
import type { Model } from '../sample/model.ts'
import { type Field, UNIT_WIDTH } from './fields/field.ts'
import type { Filterable } from './filter.ts'
import { parseFilter } from './filter.ts'
import { formatValue, MISSING } from './format.ts'
import { type Block, block, stack } from './layout.ts'
import { type ListState, type PanelUi, plain, type Row, type Span, type Style, span } from './panel.ts'
import { crop, displayWidth, fitText } from './width.ts'

export type Cell = number | string | undefined

/** A column of a table whose rows are of type `R`: a field and how to get it. */
export interface Column<R> extends Field {
  /** The lower, the longer it stays; 0 never goes. */
  readonly priority: number
  readonly value: (row: R, model: Model) => Cell
  /** Spans instead of a formatted value (bars, marks); must be exactly `width` wide. */
  readonly draw?: (row: R, model: Model, ascii: boolean) => readonly Span[]
  readonly style?: (row: R, model: Model) => Style
  /** A column of text that takes what is left over. */
  readonly grows?: boolean
}

const GAP = 1

/** A column with what most columns have. */
export function column<R>(
  spec: Pick<Column<R>, 'key' | 'title' | 'unit' | 'help' | 'source' | 'value'> &
    Partial<Omit<Column<R>, 'key' | 'title' | 'unit' | 'help' | 'source' | 'value'>>,
): Column<R> {
  return { width: Math.max(UNIT_WIDTH[spec.unit], spec.title.length), kind: 'gauge', group: '', kernel: '', priority: 5, ...spec }
}

/** Narrowest that a name is of which a part still tells something. */
const NAME_LEAST = 5

/** The columns that fit, in their order. Where not even those fit that never go, names are cut before figures are left out. */
function fitting<R>(columns: readonly Column<R>[], width: number): readonly Column<R>[] {
  let shown = columns
  while (shown.length > 1 && totalWidth(shown) > width) {
    const last = shown.reduce((worst, column) => (column.priority >= worst.priority ? column : worst))
    const name = last.priority > 0 ? undefined : shown.find(column => column.unit === 'text' && !column.draw && column.width > NAME_LEAST)
    shown =
      name === undefined
        ? shown.filter(column => column !== last)
        : shown.map(column =>
            column === name ? { ...column, width: Math.max(NAME_LEAST, column.width - totalWidth(shown) + width) } : column,
          )
  }
  return shown
}

/** Numbers stand at the right of their column, text at the left. */
const alignOf = (column: Pick<Field, 'unit'>) => (column.unit === 'text' ? 'left' : 'right')

function cellText(cell: Cell, unit: Field['unit']): string {
  return typeof cell === 'string' ? cell : cell === undefined ? MISSING : formatValue(cell, unit)
}

export interface TableView<R> {
  readonly columns: readonly Column<R>[]
  readonly rows: readonly R[]
  readonly sort: ListState['sort']
  /** Index of the selected row within `rows`; -1: none. */
  readonly selected: number
}

/** Heading and rows, exactly `width` wide. */
export function drawTable<R>(view: TableView<R>, model: Model, width: number, ascii: boolean): Block {
  const shown = widened(fitting(view.columns, width), width)
  const hidden = view.columns.length - fitting(view.columns, width).length
  const head = shown.flatMap((column, i): Span[] => {
    const mark = view.sort?.key === column.key ? (ascii ? (view.sort.descending ? 'v' : '^') : view.sort.descending ? '▾' : '▴') : ''
    const title =
      displayWidth(column.title + mark) <= column.width ? column.title + mark : crop(column.title, column.width - mark.length, '') + mark
    return [span(i === 0 ? '' : ' '.repeat(GAP)), span(fitText(title, column.width, alignOf(column)), 'head', column.key)]
  })
  const more = hidden > 0 ? [span(fitText(` +${hidden}`, Math.max(0, width - totalWidth(shown)), 'right'), 'dim')] : []
  const rows = view.rows.map((row, i) => drawRow(shown, row, model, ascii, i === view.selected))
  return block([[...head, ...(hidden > 0 && width - totalWidth(shown) >= 4 ? more : [])], ...rows], width, ascii)
}

const totalWidth = <R>(columns: readonly Column<R>[]) => columns.reduce((sum, column) => sum + column.width + GAP, -GAP)

function widened<R>(columns: readonly Column<R>[], width: number): readonly Column<R>[] {
  const spare = Math.max(0, width - totalWidth(columns))
  const last = columns.findLastIndex(column => column.grows === true)
  return columns.map((column, i) => (i === last ? { ...column, width: column.width + spare } : column))
}

function drawRow<R>(columns: readonly Column<R>[], row: R, model: Model, ascii: boolean, selected: boolean): Row {
  const spans = columns.flatMap((column, i): Span[] => {
    const gap = span(i === 0 ? '' : ' '.repeat(GAP))
    if (column.draw !== undefined) return [gap, ...column.draw(row, model, ascii)]
    const cell = column.value(row, model)
    const text = fitText(cellText(cell, column.unit), column.width, alignOf(column), ascii ? '~' : '…')
    return [
      gap,
      span(text, cell === undefined ? 'dim' : (column.style?.(row, model) ?? (column.kind === 'label' ? 'label' : 'value')), column.key),
    ]
  })
  return selected ? spans.map(each => ({ ...each, style: 'selected' })) : spans
}

/** The rows of a list after filter and sort, and where in it the user is. */
export interface Listed<R> {
  readonly rows: readonly R[]
  readonly state: ListState
}

/**
 * Filters, sorts and scrolls.
 * @param idOf what a row is called when it is selected or opened
 * @param height rows that can be shown
 */
export function listRows<R>(
  all: readonly R[],
  columns: readonly Column<R>[],
  idOf: (row: R) => string,
  { model, ui, height, fallback }: { model: Model; ui: PanelUi; height: number; fallback: ListState['sort'] },
): Listed<R> {
  const filter = parseFilter(
    ui.filter,
    columns.filter(column => column.unit !== 'text').map(column => column.key),
  )
  const sort = ui.sort !== undefined && columns.some(column => column.key === ui.sort?.key) ? ui.sort : fallback
  const rows = sorted(
    ui.filter === '' ? all : all.filter(row => filter.test(filterable(row, columns, model))),
    columns.find(column => column.key === sort?.key),
    sort?.descending ?? false,
    model,
  )
  const selected = Math.min(ui.selected, rows.length - 1)
  const first = height === Number.POSITIVE_INFINITY ? 0 : Math.max(0, Math.min(selected - Math.floor(height / 2), rows.length - height))
  const sortKeys = columns.map(column => column.key)
  return { rows, state: { ids: rows.map(idOf), selected, first, sortKeys, sort, problem: filter.problem } }
}

/** Rows of which a figure is not what it was in the sample before, and those that were not there. */
export function movedRows<R>(
  now: readonly R[],
  before: readonly R[],
  columns: readonly Column<R>[],
  idOf: (row: R) => string,
  model: Model,
): R[] {
  const old = new Map(before.map(row => [idOf(row), row]))
  return now.filter(row => {
    const then = old.get(idOf(row))
    return (
      then === undefined || columns.some(({ value }) => typeof value(row, model) === 'number' && value(row, model) !== value(then, model))
    )
  })
}

function filterable<R>(row: R, columns: readonly Column<R>[], model: Model): Filterable {
  const texts = columns.filter(column => column.kind === 'label').map(column => String(column.value(row, model) ?? ''))
  const value = (key: string) => {
    const cell = columns.find(column => column.key === key)?.value(row, model)
    return typeof cell === 'number' ? cell : undefined
  }
  return { texts, value }
}

/** Stable; rows without a value come last either way. */
function sorted<R>(rows: readonly R[], column: Column<R> | undefined, descending: boolean, model: Model): readonly R[] {
  if (column === undefined) return rows
  const keyed = rows.map(row => ({ row, cell: column.value(row, model) }))
  const sign = descending ? -1 : 1
  keyed.sort(({ cell: a }, { cell: b }) => {
    if (a === undefined || b === undefined) return (a === undefined ? 1 : 0) - (b === undefined ? 1 : 0)
    if (typeof a === 'number' && typeof b === 'number') return sign * (a - b)
    return String(a) < String(b) ? -sign : String(a) > String(b) ? sign : 0
  })
  return keyed.map(({ row }) => row)
}

/** A heading and the part of a list that fits `height` rows, heading included. */
export function drawList<R>(
  listed: Listed<R>,
  columns: readonly Column<R>[],
  { model, ui, width, height }: { model: Model; ui: PanelUi; width: number; height: number },
): Block {
  const { state } = listed
  const rows = height === Number.POSITIVE_INFINITY ? listed.rows : listed.rows.slice(state.first, state.first + Math.max(0, height - 1))
  if (listed.rows.length === 0 && height > 1)
    return stack([drawTable({ columns, rows, sort: state.sort, selected: -1 }, model, width, ui.ascii), emptyBlock(ui, width)])
  const table = drawTable(
    { columns, rows, sort: state.sort, selected: state.selected < 0 ? -1 : state.selected - state.first },
    model,
    width,
    ui.ascii,
  )
  const [head, ...others] = table.rows
  return rows.length < listed.rows.length && head !== undefined
    ? { ...table, rows: [withPlace(head, `${state.first + 1}-${state.first + rows.length} of ${listed.rows.length}`), ...others] }
    : table
}

/** Which rows of a longer list are seen, at the end of the heading where there is room. */
function withPlace(head: Row, place: string): Row {
  const blank = /\s*$/.exec(plain(head))?.[0].length ?? 0
  const last = head.findLastIndex(({ text }) => text.trim() !== '')
  if (blank < place.length + 1) return head
  const end = head[last]
  const kept = end.text.trimEnd()
  const left = head.slice(last).reduce((sum, { text }) => sum + displayWidth(text), 0) - displayWidth(kept)
  return [...head.slice(0, last), { ...end, text: kept }, span(place.padStart(left), 'dim')]
}

/** Why there is nothing in a list. */
function emptyBlock({ filter, moving, ascii }: PanelUi, width: number): Block {
  const still = moving ? 'nothing moved since the sample before: m shows all' : 'nothing here'
  const why = filter === '' ? still : 'nothing passes the filter: Esc ends it'
  return block([[span(why, 'dim')]], width, ascii)
}
