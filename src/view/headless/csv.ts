/** A table as CSV (RFC 4180): machine time in the first column, one line a row, an empty field for what is not known. */
import type { Model } from '../../sample/model.ts'
import type { Cell } from '../table.ts'
import type { Table } from '../tables.ts'

/** @param head whether the heading comes first */
export function asCsv(table: Table, model: Model, head: boolean): string {
  const heading = head ? line(['time_ns', ...table.columns]) : ''
  return heading + table.rows.map(row => line([model.sample.ns, ...row])).join('')
}

/** The table alone, heading first. */
export const csvOf = (table: Table): string => line(table.columns) + table.rows.map(line).join('')

function line(cells: readonly Cell[]): string {
  return `${cells.map(quoted).join(',')}\r\n`
}

function quoted(cell: Cell): string {
  if (cell === undefined) return ''
  const text = String(cell)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
