/** Knobs as rows: every tunable of the source with its value now. */
import type { Model } from '../../sample/model.ts'
import { parseChoice } from '../../sample/parse/choice.ts'
import { textOf } from '../../sample/sample.ts'
import type { Tunable } from '../../sample/source.ts'
import { type Column, column } from '../table.ts'

export interface KnobRow {
  readonly tunable: Tunable
  /** The file's text now, one line; undefined where it is not known. */
  readonly text: string | undefined
  /** The value itself: of a choice the chosen word, of a vector the numbers one blank apart. */
  readonly value: string | undefined
  /** undefined where the default depends on the machine or the value is not known. */
  readonly changed: boolean | undefined
}

export function knobRow(model: Model, tunable: Tunable): KnobRow {
  const text = textOf(model.sample.frame, tunable.path)?.trim().replace(/\s+/g, ' ')
  const value = text === undefined ? undefined : (parseChoice(text).chosen ?? text)
  const changed = tunable.default === undefined || value === undefined ? undefined : value !== tunable.default
  return { tunable, text, value, changed }
}

export function knobRows(model: Model): KnobRow[] {
  return model.tunables.map(tunable => knobRow(model, tunable))
}

/** "khugepaged/pages_to_scan", "vm/swappiness": the path without what all share. */
export function shortPath(path: string): string {
  return path
    .replace(/^\/proc\/sys\//, '')
    .replace(/^\/mmtop\//, '')
    .replace(/^\/sys\/kernel\/mm\//, '')
    .replace(/^\/sys\/kernel\/debug\/sched\//, '')
    .replace(/^\/sys\/module\/(\w+)\/parameters\//, '$1/')
    .replace(/^\/sys\/devices\/system\/node\//, '')
    .replace(/^transparent_hugepage\//, 'thp/')
    .replace(/^thp\/khugepaged\//, 'khugepaged/')
}

/** What a knob accepts: "0..200", "always madvise never", "numbers". */
export function rangeOf({ type, choices, min, max, unit }: Tunable): string {
  if (choices !== undefined) return choices.join(' ')
  if (type === 'trigger') return 'write only'
  if (min === undefined && max === undefined) return type === 'vector' ? 'numbers' : (unit ?? type)
  return `${min ?? ''}..${max ?? ''}${unit === undefined ? '' : ` ${unit}`}`
}

export const KNOB_COLUMNS: readonly Column<KnobRow>[] = [
  column({
    key: 'knob',
    title: 'knob',
    unit: 'text',
    width: 30,
    kind: 'label',
    priority: 0,
    help: 'File that is read and written',
    source: 'the tunables of the source',
    value: row => shortPath(row.tunable.path),
  }),
  column({
    key: 'value',
    title: 'value',
    unit: 'text',
    width: 14,
    kind: 'label',
    priority: 0,
    help: 'What it is set to; * differs from the default',
    source: 'the file itself',
    value: row => (row.value === undefined ? undefined : row.value + (row.changed === true ? ' *' : '')),
    style: row => (row.changed === true ? 'warn' : 'knob'),
  }),
  column({
    key: 'default',
    title: 'default',
    unit: 'text',
    width: 9,
    kind: 'label',
    priority: 2,
    help: 'Of a machine just booted; - depends on the machine',
    source: 'the tunables of the source',
    value: row => row.tunable.default,
  }),
  column({
    key: 'range',
    title: 'range',
    unit: 'text',
    width: 16,
    kind: 'label',
    priority: 3,
    help: 'What the kernel accepts',
    source: 'the tunables of the source',
    value: row => rangeOf(row.tunable),
  }),
  column({
    key: 'meaning',
    title: 'what changing it does',
    unit: 'text',
    width: 24,
    kind: 'label',
    priority: 4,
    grows: true,
    help: 'What changing it does',
    source: 'the tunables of the source',
    value: row => row.tunable.meaning,
  }),
]
