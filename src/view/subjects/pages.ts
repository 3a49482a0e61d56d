/** Physical memory by what is in it, and pages of processes by how long they were not used, as rows. */
import type { Model } from '../../sample/model.ts'
import { parsePageMap } from '../../sample/parse/pages.ts'
import { type AgedRow, parseWorkingSet } from '../../sample/parse/working_set.ts'
import { type Column, column } from '../table.ts'
import { pidColumn } from './tasks.ts'

export interface KindRow {
  readonly kind: string
  /** Frames of the range that was looked at. */
  readonly frames: number
}

const MAP = '/mmtop/pages/map/'

/** Frames by kind, of the page map that was read; nothing where none was. */
export function kindRows(model: Model): KindRow[] {
  const path = [...model.sample.frame.files.keys()].find(each => each.startsWith(MAP))
  const map = path === undefined ? undefined : parsePageMap(model.sample.frame.files.get(path) ?? '')
  const kinds = new Map<string, number>()
  for (const cell of map?.cells ?? []) {
    const seen = [...cell.kinds.values()].reduce((sum, each) => sum + each, 0)
    for (const [kind, n] of cell.kinds)
      kinds.set(kind, (kinds.get(kind) ?? 0) + Math.round((n / Math.max(1, seen)) * (cell.end - cell.start)))
  }
  return [...kinds].map(([kind, frames]) => ({ kind, frames })).sort((a, b) => b.frames - a.frames)
}

export const KIND_COLUMNS: readonly Column<KindRow>[] = [
  column({
    key: 'kind',
    title: 'kind',
    unit: 'text',
    width: 10,
    kind: 'label',
    priority: 0,
    help: 'What the page frames hold',
    source: '/proc/kpageflags',
    value: row => row.kind,
  }),
  column({
    key: 'frames',
    title: 'frames',
    unit: 'count',
    width: 10,
    priority: 0,
    help: 'Page frames of that kind',
    source: '/proc/kpageflags',
    kernel: 'fs/proc/page.c stable_page_flags',
    value: row => row.frames,
  }),
]

export const agedRows = (model: Model): readonly AgedRow[] =>
  parseWorkingSet(model.sample.frame.files.get('/mmtop/working_set') ?? '').tasks

const AGES = ['0', '1', '2_3', '4_7', '8_15', '16_more'] as const

export const AGED_COLUMNS: readonly Column<AgedRow>[] = [
  pidColumn(row => row.id),
  ...AGES.map((age, i) =>
    column<AgedRow>({
      key: `idle_rounds_${age}`,
      title: age,
      unit: 'pages',
      priority: i,
      help: `Pages not used for ${age.replace('_', ' to ')} rounds`,
      source: '/sys/kernel/mm/page_idle/bitmap',
      kernel: 'mm/page_idle.c page_idle_bitmap_read',
      value: row => row.pages[i],
    }),
  ),
]
