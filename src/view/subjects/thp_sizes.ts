/**
 * Transparent huge pages of each size as rows. Kernels since 6.8 have sizes between a page and 2 MiB, each with knobs and counters of its
 * own: /sys/kernel/mm/transparent_hugepage/hugepages-64kB. Older ones have no rows.
 */
import { type Model, rateOf } from '../../sample/model.ts'
import { parseChoice } from '../../sample/parse/choice.ts'
import { fieldOf } from '../fields.ts'
import { span } from '../panel.ts'
import { type Column, column } from '../table.ts'
import { fitText } from '../width.ts'

export interface SizeRow {
  readonly sizeKb: number
  /** The words that stand in brackets in its files; undefined where there is no such file. */
  readonly enabled: string | undefined
  readonly shmem: string | undefined
}

const DIRECTORY = '/sys/kernel/mm/transparent_hugepage/'

/** The sizes that the machine has, smallest first. */
export function sizeRows(model: Model): SizeRow[] {
  const files = model.sample.thp()
  const sizes = new Set([...files.keys()].flatMap(name => /^hugepages-(\d{1,10})kB\//.exec(name)?.[1] ?? []))
  const chosen = (size: string, name: string) => parseChoice(files.get(`hugepages-${size}kB/${name}`) ?? '').chosen
  return [...sizes]
    .sort((a, b) => Number(a) - Number(b))
    .map(size => ({ sizeKb: Number(size), enabled: chosen(size, 'enabled'), shmem: chosen(size, 'shmem_enabled') }))
}

/** "64K", "2M" */
const sizeText = ({ sizeKb }: SizeRow): string => (sizeKb % 1024 === 0 ? `${sizeKb / 1024}M` : `${sizeKb}K`)

const keyOf = (row: SizeRow, name: string): string => `mthp_${row.sizeKb}kB_${name}`

/** Anonymous memory in pages of the size; undefined where the kernel does not count it (before 6.12). */
export function anonBytes(row: SizeRow, model: Model): number | undefined {
  const pages = model.scalars.get(keyOf(row, 'nr_anon'))
  return pages === undefined ? undefined : pages * row.sizeKb * 1024
}

function knob(key: 'enabled' | 'shmem', title: string, priority: number, help: string): Column<SizeRow> {
  const file = key === 'shmem' ? 'shmem_enabled' : 'enabled'
  return column({
    key,
    title,
    unit: 'text',
    width: 8,
    kind: 'label',
    priority,
    help,
    source: `${DIRECTORY}hugepages-NkB/${file}`,
    value: row => row[key] ?? '',
    draw: row => [span(fitText(row[key] ?? '-', 8, 'left', '~'), 'knob', `${DIRECTORY}hugepages-${row.sizeKb}kB/${file}`)],
  })
}

function rate(name: string, title: string, priority: number): Column<SizeRow> {
  const { help, kernel } = fieldOf(`mthp_64kB_${name}`)
  return column({
    key: `${name}_per_second`,
    title,
    unit: 'count',
    width: Math.max(7, title.length),
    priority,
    help,
    source: `${DIRECTORY}hugepages-NkB/stats/${name}`,
    kernel,
    value: (row, model) => rateOf(model, keyOf(row, name)),
  })
}

export const SIZE_COLUMNS: readonly Column<SizeRow>[] = [
  column({
    key: 'size_bytes',
    title: 'size',
    unit: 'bytes',
    kind: 'label',
    priority: 0,
    help: 'Size of the huge pages',
    source: DIRECTORY,
    value: row => row.sizeKb * 1024,
    draw: row => [span(fitText(sizeText(row), 6, 'right'), 'label')],
  }),
  knob('enabled', 'enabled', 1, 'Which anonymous memory may get this size; inherit: as the knob above all sizes says'),
  knob('shmem', 'shmem', 5, 'Whether shared memory may get this size'),
  column({
    key: 'anon_bytes',
    title: 'anon',
    unit: 'bytes',
    priority: 1,
    help: 'Anonymous memory in huge pages of this size',
    source: `${DIRECTORY}hugepages-NkB/stats/nr_anon`,
    value: anonBytes,
  }),
  rate('anon_fault_alloc', 'fault/s', 2),
  rate('anon_fault_fallback', 'fallback', 2),
  rate('shmem_alloc', 'shmem/s', 4),
  rate('split', 'split/s', 3),
  rate('split_deferred', 'deferred', 6),
  rate('swpin', 'in/s', 5),
  rate('swpout', 'out/s', 4),
  rate('swpout_fallback', 'out-split', 6),
  rate('zswpout', 'zswap/s', 5),
]
