/**
 * The tables of the headless formats: the same columns that the screens show, as plain values in fixed order, with the
 * unit in every name.
 *
 *     vmstat      one row: a column a counter, and for totals one more with its rate
 *     processes   a row a process: labels (pid, name) first
 */

import { kindOf } from '../sample/counters.ts'
import { type Model, rateOf } from '../sample/model.ts'
import { fieldOf, SCALARS, type Unit } from './fields.ts'
import { nowOf } from './panels/common.ts'
import { ROLLING } from './panels/overview.ts'
import { CGROUP_COLUMNS, cgroupRows } from './subjects/cgroups.ts'
import { COST_COLUMNS, costRows } from './subjects/costs.ts'
import { SCHEME_COLUMNS, schemeRows } from './subjects/damon.ts'
import { EVENT_COLUMNS, eventRows } from './subjects/events.ts'
import { GENERATION_COLUMNS, generationRows } from './subjects/generations.ts'
import { KNOB_COLUMNS, knobRows } from './subjects/knobs.ts'
import { MERGED_COLUMNS, mergedRows } from './subjects/ksm.ts'
import { NODE_TABLE, nodeRows } from './subjects/nodes.ts'
import { AGED_COLUMNS, agedRows, KIND_COLUMNS, kindRows } from './subjects/pages.ts'
import { POLICY_COLUMNS, policyRows } from './subjects/policies.ts'
import { POOL_COLUMNS } from './subjects/pools.ts'
import { RECLAIM_COLUMNS, RECLAIM_KINDS } from './subjects/reclaim.ts'
import { SLAB_COLUMNS, slabRows } from './subjects/slabs.ts'
import { SWAP_COLUMNS, ZRAM_COLUMNS } from './subjects/swaps.ts'
import { TASK_COLUMNS, taskRows } from './subjects/tasks.ts'
import { SIZE_COLUMNS, sizeRows } from './subjects/thp_sizes.ts'
import { UFFD_COLUMNS, uffdRows } from './subjects/uffd.ts'
import { buddyColumns, ZONE_COLUMNS, zoneRows } from './subjects/zones.ts'
import type { Cell, Column } from './table.ts'

export interface Table {
  readonly name: string
  /** Names of the columns, unit included. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
  /** One row for the whole machine, rather than a list. */
  readonly single: boolean
}

type TableMaker = (model: Model) => Table

const UNIT_SUFFIX: Readonly<Record<Unit, string>> = {
  bytes: '_bytes',
  pages: '_pages',
  kib: '_kib',
  count: '',
  percent: '_percent',
  us: '_us',
  ms: '_ms',
  ns: '_ns',
  text: '',
}

/** The name of a figure with its unit: "MemFree_bytes", "nr_free_pages", "pgpgin_kib". */
function nameWithUnit(key: string, unit: Unit): string {
  const suffix = UNIT_SUFFIX[unit]
  return key.endsWith(suffix) || /(_millisecs|_pages\w*)$/.test(key) ? key : key + suffix
}

/** One row of scalars; totals are followed by their rate. */
function scalarTable(name: string, keysOf: (model: Model) => Iterable<string>): TableMaker {
  return model => {
    const columns: string[] = []
    const cells: Cell[] = []
    for (const key of keysOf(model)) {
      const field = fieldOf(key)
      columns.push(nameWithUnit(key, field.unit))
      cells.push(model.scalars.get(key))
      if (kindOf(key) !== 'counter') continue
      columns.push(`${nameWithUnit(key, field.unit)}_per_second`)
      cells.push(rateOf(model, key))
    }
    return { name, columns, rows: [cells], single: true }
  }
}

/** Scalars of these groups or with this prefix that the machine has, in the order of the field table, then the unknown ones. */
const scalarsWhere = (test: (key: string) => boolean) => (model: Model) => {
  const known = [...SCALARS.keys()].filter(key => test(key) && model.scalars.has(key))
  return [...known, ...[...model.scalars.keys()].filter(key => test(key) && !SCALARS.has(key))]
}

function listTable<R>(name: string, columnsOf: (model: Model) => readonly Column<R>[], rowsOf: (model: Model) => readonly R[]): TableMaker {
  return model => {
    const columns = columnsOf(model)
    const rows = rowsOf(model).map(row => columns.map(each => each.value(row, model)))
    return { name, columns: columns.map(each => each.key), rows, single: false }
  }
}

/** The rolling row of the overview. */
const overview: TableMaker = model => {
  const cells = ROLLING.map(({ keys }) => {
    const values = keys.map(key => nowOf(model, key)).filter(value => value !== undefined)
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
  })
  const names = ROLLING.map(({ keys, title }) => {
    const name = keys.length === 1 ? keys[0] : title.replace('+', '_alloc').replace('-', '_fallback').replace('/s', '')
    return kindOf(keys[0]) === 'counter' ? `${name}_per_second` : nameWithUnit(name, fieldOf(keys[0]).unit)
  })
  return { name: 'overview', columns: names, rows: [cells], single: true }
}

const startsWith = (...prefixes: readonly string[]) => scalarsWhere(key => prefixes.some(prefix => key.startsWith(prefix)))

/** Figures that every live migration has; behind them come those of its rounds and of how long faults waited. */
const POSTCOPY = (
  'source target phase pages sent rounds bytes precopied missing left pushed urgent zeros asked underway ' +
  'downtime_ns faults fault_ns longest_ns total_ns'
).split(' ')

/** In the order in which they are written. */
export const TABLES: Readonly<Record<string, TableMaker>> = {
  overview,
  vmstat: scalarTable('vmstat', model => model.sample.vmstat().keys()),
  meminfo: scalarTable('meminfo', model => [...model.sample.meminfo().bytes.keys(), ...model.sample.meminfo().counts.keys()]),
  pressure: scalarTable('pressure', startsWith('psi_')),
  thp: scalarTable(
    'thp',
    startsWith('thp_', 'khugepaged_', 'mthp_', 'AnonHugePages', 'ShmemHugePages', 'ShmemPmdMapped', 'FileHugePages', 'FilePmdMapped'),
  ),
  thp_sizes: listTable('thp_sizes', () => SIZE_COLUMNS, sizeRows),
  ksm: scalarTable('ksm', startsWith('ksm_')),
  merged: listTable('merged', () => MERGED_COLUMNS, mergedRows),
  pages: listTable('pages', () => KIND_COLUMNS, kindRows),
  workingset: listTable('workingset', () => AGED_COLUMNS, agedRows),
  damon: listTable('damon', () => SCHEME_COLUMNS, schemeRows),
  generations: listTable('generations', () => GENERATION_COLUMNS, generationRows),
  zswap: scalarTable('zswap', startsWith('zswap_')),
  hugetlb: listTable(
    'hugetlb',
    () => POOL_COLUMNS,
    model => model.sample.pools(),
  ),
  nodes: listTable('nodes', () => NODE_TABLE, nodeRows),
  policies: listTable('policies', () => POLICY_COLUMNS, policyRows),
  balancing: scalarTable(
    'balancing',
    startsWith('numa_pte_', 'numa_huge_pte_', 'numa_hint_', 'numa_pages_', 'pgmigrate_', 'thp_migration_', 'pgpromote_'),
  ),
  zones: listTable('zones', () => ZONE_COLUMNS, zoneRows),
  reclaim: listTable(
    'reclaim',
    () => RECLAIM_COLUMNS,
    () => RECLAIM_KINDS,
  ),
  buddyinfo: listTable('buddyinfo', buddyColumns, model => model.sample.buddy()),
  swaps: listTable(
    'swaps',
    () => SWAP_COLUMNS,
    model => model.sample.swaps(),
  ),
  zram: listTable(
    'zram',
    () => ZRAM_COLUMNS,
    model => model.sample.zram(),
  ),
  cgroups: listTable('cgroups', () => CGROUP_COLUMNS, cgroupRows),
  userfaultfd: listTable('userfaultfd', () => UFFD_COLUMNS, uffdRows),
  postcopy: ({ sample }) => {
    const figures = sample.postcopy()
    const columns = [...new Set([...POSTCOPY, ...figures.keys()])]
    return { name: 'postcopy', columns, rows: [columns.map(name => figures.get(name))], single: true }
  },
  costs: listTable('costs', () => COST_COLUMNS, costRows),
  events: listTable(
    'events',
    () => EVENT_COLUMNS,
    model => eventRows({ events: model.sample.events() }).reverse(),
  ),
  slabs: listTable('slabs', () => SLAB_COLUMNS, slabRows),
  processes: listTable('processes', () => TASK_COLUMNS, taskRows),
  tunables: listTable('tunables', () => KNOB_COLUMNS.filter(each => each.key !== 'meaning'), knobRows),
}
