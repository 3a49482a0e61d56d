/** Schemes of DAMON as rows: what is done with which regions, how much of it was done, and what it may cost. */
import type { Model } from '../../sample/model.ts'
import { type DamonContext, type DamonScheme, damonOf } from '../../sample/parse/damon.ts'
import { cleanLine } from '../../sample/text.ts'
import { formatBytes } from '../format.ts'
import { type Column, column } from '../table.ts'

export const contexts = (model: Model): DamonContext[] | undefined => damonOf(model.sample.frame.files, cleanLine)

export const schemeRows = (model: Model): DamonScheme[] => (contexts(model) ?? []).flatMap(({ schemes }) => schemes)

const FILES = '/sys/kernel/mm/damon/admin/kdamonds/K/contexts/0/schemes/S/'
const KERNEL = 'mm/damon/sysfs-schemes.c'

const text = (
  key: string,
  title: string,
  width: number,
  priority: number,
  help: string,
  file: string,
  value: (row: DamonScheme) => string,
) => column<DamonScheme>({ key, title, unit: 'text', width, kind: 'label', priority, help, source: FILES + file, kernel: KERNEL, value })

const number = (key: string, title: string, unit: 'bytes' | 'count' | 'ms', priority: number, help: string, file: string) =>
  column<DamonScheme>({ key, title, unit, priority, help, source: FILES + file, kernel: KERNEL, value: row => row.numbers.get(file) })

/** "0 to 1", "12 and more": the kernel's largest numbers stand for no limit. */
function range(row: DamonScheme, name: string, format: (value: number) => string): string {
  const [least, most] = [row.numbers.get(`access_pattern/${name}/min`), row.numbers.get(`access_pattern/${name}/max`)]
  if (least === undefined || most === undefined) return ''
  return most >= 0xffff_ffff ? (least === 0 ? 'any' : `${format(least)} and more`) : `${format(least)} to ${format(most)}`
}

export const SCHEME_COLUMNS: readonly Column<DamonScheme>[] = [
  text(
    'action',
    'action',
    12,
    0,
    'What is done with regions that fit: pageout, lru_prio, migrate_cold, stat ...',
    'action',
    row => row.action,
  ),
  text('accesses', 'accesses', 12, 2, 'Accesses in each aggregation that a region must have had', 'access_pattern/nr_accesses', row =>
    range(row, 'nr_accesses', String),
  ),
  text('age', 'aggregations', 13, 2, 'For how many aggregations it must have been like that', 'access_pattern/age', row =>
    range(row, 'age', String),
  ),
  text('size', 'size', 14, 4, 'Sizes that fit', 'access_pattern/sz', row => range(row, 'sz', formatBytes)),
  number('nr_tried', 'tried', 'count', 3, 'Regions that fitted', 'stats/nr_tried'),
  number('sz_tried_bytes', 'of', 'bytes', 1, 'Memory in regions that fitted', 'stats/sz_tried'),
  number('nr_applied', 'done', 'count', 3, 'Regions with which it was done', 'stats/nr_applied'),
  number('sz_applied_bytes', 'of', 'bytes', 1, 'Memory with which it was done', 'stats/sz_applied'),
  number('qt_exceeds', 'at-quota', 'count', 5, 'Times that the quota was used up', 'stats/qt_exceeds'),
  number('quota_bytes', 'quota', 'bytes', 4, 'Memory that may be worked on in each interval; 0: any', 'quotas/bytes'),
  number('quota_ms', 'time', 'ms', 5, 'Time that may be spent in each interval; 0: any', 'quotas/ms'),
]
