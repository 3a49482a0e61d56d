/**
 * A sample as one line of JSON. Names carry their units, keys stand in fixed order, what is not known is null. A change
 * that would break a reader raises SCHEMA_VERSION; new tables and columns do not.
 */
import type { Model } from '../../sample/model.ts'
import type { Cell } from '../table.ts'
import type { Table } from '../tables.ts'

export const SCHEMA_VERSION = 1

export function asJson(tables: readonly Table[], model: Model): string {
  const document = {
    schemaVersion: SCHEMA_VERSION,
    source: { kind: model.kind, title: model.title, ...Object.fromEntries([...model.sample.machine()].filter(([key]) => key !== 'title')) },
    time_ns: model.sample.ns,
    interval_ns: model.previous === undefined ? null : model.sample.ns - model.previous.ns,
    tables: Object.fromEntries(tables.map(table => [table.name, table.single ? rowOf(table, table.rows[0]) : rowsOf(table)])),
    events: model.sample.events().map(({ ns, kind, text }) => ({ time_ns: ns, kind, text })),
  }
  return `${JSON.stringify(document)}\n`
}

/** Each row as an object. */
export const rowsOf = (table: Table): Record<string, number | string | null>[] => table.rows.map(row => rowOf(table, row))

function rowOf(table: Table, row: readonly Cell[]): Record<string, number | string | null> {
  return Object.fromEntries(table.columns.map((name, i) => [name, finite(row[i])]))
}

/** JSON has no infinity: no limit is written as the kernel writes it. */
function finite(cell: Cell): number | string | null {
  if (cell === undefined || Number.isNaN(cell)) return null
  return cell === Number.POSITIVE_INFINITY ? 'max' : cell
}
