/**
 * What is known of one figure. The field table is the only place that says it: the screens' columns, their help, the
 * headless formats and the "explain" of any value all read it from here.
 */
import type { Kind } from '../../sample/counters.ts'

/** What a value counts. Memory is in bytes wherever the source allows, pages where the kernel counts pages. */
export type Unit = 'bytes' | 'pages' | 'kib' | 'count' | 'percent' | 'us' | 'ms' | 'ns' | 'text'

export interface Field {
  /** The kernel's name, unique in its table. */
  readonly key: string
  /** Heading of a column, short. */
  readonly title: string
  readonly unit: Unit
  /** Columns that a value of this field takes on a screen. */
  readonly width: number
  /** 'counter' only grows, 'gauge' stands at a level, 'label' names a row. */
  readonly kind: Kind | 'label'
  /** What belongs together on a screen: "thp", "reclaim" ... */
  readonly group: string
  /** One sentence, without a full stop. */
  readonly help: string
  /** File and line that the value is read from: "/proc/vmstat pgfault". */
  readonly source: string
  /** Where the kernel counts it: "mm/memory.c mm_account_fault", or '' where many places do. */
  readonly kernel: string
}

/** A row of a field table as it is written down: name, unit, help, kernel function. */
export type FieldRow = readonly [key: string, unit: Unit, help: string, kernel: string]

/** Group -> rows. */
export type FieldGroups = Readonly<Record<string, readonly FieldRow[]>>

/** Columns that values of a unit need on a screen. */
export const UNIT_WIDTH: Readonly<Record<Unit, number>> = {
  bytes: 6,
  pages: 6,
  kib: 6,
  count: 6,
  percent: 5,
  us: 6,
  ms: 6,
  ns: 6,
  text: 12,
}
