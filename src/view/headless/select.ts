/**
 * What is taken of a table: which columns, which rows, in which order, how many.
 *
 *     processes  --fields name,rss_bytes --filter 'rss_bytes > 1G' --sort rss_bytes --top 3
 */
import { nearestWord, UserError } from '../../user_error.ts'
import { parseFilter } from '../filter.ts'
import type { Cell } from '../table.ts'
import type { Table } from '../tables.ts'
import { displayWidth, fitText } from '../width.ts'

export interface Selection {
  /** Names of columns in the order wanted; []: all of them. */
  readonly fields: readonly string[]
  /** As on the screens: text, !text, /regex/, column > value; & between several. */
  readonly filter: string
  /** Column to sort by, largest first; with + before it smallest first; '': as it is. */
  readonly sort: string
  /** Rows at most; Infinity: all. */
  readonly top: number
}

export const EVERYTHING: Selection = { fields: [], filter: '', sort: '', top: Number.POSITIVE_INFINITY }

/** @throws UserError for a column that the table does not have, and for a filter that is none */
export function select(table: Table, { fields, filter, sort, top }: Selection): Table {
  const at = (name: string) => columnOf(table, name)
  const filtered = filter === '' || table.single ? table.rows : matching(table, filter)
  const rows = (sort === '' ? filtered : sorted(filtered, at(sort.replace(/^[-+]/, '')), sort.startsWith('+'))).slice(0, top)
  if (fields.length === 0) return { ...table, rows }
  const columns = fields.map(at)
  return { ...table, columns: fields, rows: rows.map(row => columns.map(column => row[column])) }
}

function columnOf(table: Table, name: string): number {
  const at = table.columns.indexOf(name)
  if (at >= 0) return at
  const near = nearestWord(name, table.columns) ?? table.columns.find(column => column.startsWith(name))
  const others = table.columns.length > 20 ? `one of its ${table.columns.length} columns` : table.columns.join(' ')
  throw new UserError(`table ${table.name} has no column "${name}"${near === undefined ? `: ${others}` : `, did you mean "${near}"?`}`)
}

function matching(table: Table, text: string): readonly (readonly Cell[])[] {
  const filter = parseFilter(text, table.columns)
  if (filter.problem !== '') throw new UserError(`--filter: ${filter.problem}`)
  return table.rows.filter(row =>
    filter.test({
      texts: row.filter(cell => typeof cell === 'string'),
      value: key => {
        const cell = row[table.columns.indexOf(key)]
        return typeof cell === 'number' ? cell : undefined
      },
    }),
  )
}

/** Rows without a value come last either way. */
function sorted(rows: readonly (readonly Cell[])[], at: number, ascending: boolean): readonly (readonly Cell[])[] {
  const sign = ascending ? 1 : -1
  return [...rows].sort((a, b) => {
    const [x, y] = [a[at], b[at]]
    if (x === undefined || y === undefined) return (x === undefined ? 1 : 0) - (y === undefined ? 1 : 0)
    if (typeof x === 'number' && typeof y === 'number') return sign * (x - y)
    return String(x) < String(y) ? -sign : String(x) > String(y) ? sign : 0
  })
}

const textOf = (cell: Cell): string => {
  if (cell === undefined || Number.isNaN(cell)) return '-'
  return typeof cell === 'number' && !Number.isInteger(cell) ? cell.toFixed(2) : String(cell)
}

/** The table as text: a heading and a line a row, numbers at the right of their columns. */
export function tableLines(table: Table): string[] {
  const cells = table.rows.map(row => row.map(textOf))
  const widths = table.columns.map((column, i) => Math.max(displayWidth(column), ...cells.map(row => displayWidth(row[i]))))
  const isNumber = table.columns.map((_, i) => table.rows.every(row => typeof row[i] !== 'string'))
  const line = (row: readonly string[]) => row.map((text, i) => fitText(text, widths[i], isNumber[i] ? 'right' : 'left')).join('  ')
  return [table.columns, ...cells].map(row => line(row).trimEnd())
}
