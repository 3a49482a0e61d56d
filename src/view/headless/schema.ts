/**
 * The JSON Schema of what `snapshot --format json` prints: one document a line. Tables of lists have their columns here;
 * tables of one row have a property a figure, and which ones depends on the kernel.
 */
import { EVENT_KINDS } from '../../sample/source.ts'
import { LISTS } from '../columns.ts'
import type { Field } from '../fields/field.ts'
import { TABLES } from '../tables.ts'
import { SCHEMA_VERSION } from './json.ts'

const CELL = { type: ['number', 'string', 'null'] }

const rowOf = (columns: readonly Field[] | undefined) =>
  columns === undefined
    ? { type: 'object', additionalProperties: CELL }
    : {
        type: 'object',
        properties: Object.fromEntries(columns.map(({ key, help, source }) => [key, { ...CELL, description: `${help} (${source})` }])),
        additionalProperties: CELL,
      }

const ONE_ROW = { type: 'object', additionalProperties: CELL, description: 'A figure by its name, with its unit in it' }

const ANY_TABLE = { anyOf: [ONE_ROW, { type: 'array', items: rowOf(undefined) }] }

/** A list where its columns are known here; other tables are one row or a list whose columns depend on the machine. */
const tableSchema = (name: string) => (name in LISTS ? { type: 'array', items: rowOf(LISTS[name]) } : ANY_TABLE)

export function snapshotSchema(): Readonly<Record<string, unknown>> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A sample of mmtop',
    type: 'object',
    required: ['schemaVersion', 'source', 'time_ns', 'interval_ns', 'tables', 'events'],
    properties: {
      schemaVersion: { const: SCHEMA_VERSION },
      source: {
        type: 'object',
        required: ['kind', 'title'],
        properties: { kind: { enum: ['simulation', 'recording', 'host'] }, title: { type: 'string' } },
        additionalProperties: { type: 'string' },
      },
      time_ns: { type: 'number', description: 'Machine time' },
      interval_ns: { type: ['number', 'null'], description: 'Since the sample before; rates are over this time' },
      tables: {
        type: 'object',
        properties: Object.fromEntries(Object.keys(TABLES).map(name => [name, tableSchema(name)])),
        additionalProperties: ANY_TABLE,
      },
      events: {
        type: 'array',
        items: {
          type: 'object',
          required: ['time_ns', 'kind', 'text'],
          properties: { time_ns: { type: 'number' }, kind: { enum: [...EVENT_KINDS] }, text: { type: 'string' } },
        },
      },
    },
  }
}
