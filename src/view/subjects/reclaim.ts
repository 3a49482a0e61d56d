/** What reclaim does with each kind of memory: how much there is, is looked at, goes, and comes back. */
import type { Model } from '../../sample/model.ts'
import { fieldOf } from '../fields.ts'
import { nowOf } from '../panels/common.ts'
import { type Column, column } from '../table.ts'

/** A kind of memory that has LRU lists. */
export type ReclaimKind = 'anon' | 'file'

export const RECLAIM_KINDS: readonly ReclaimKind[] = ['anon', 'file']

/** Share of the pages looked at that were reclaimed, in percent; undefined where none were looked at. */
function efficiency(model: Model, kind: ReclaimKind): number | undefined {
  const [scanned, stolen] = [nowOf(model, `pgscan_${kind}`), nowOf(model, `pgsteal_${kind}`)]
  return scanned === undefined || stolen === undefined || scanned === 0 ? undefined : (stolen / scanned) * 100
}

/** A column of a counter that there is one of for each kind, per second. */
const rate = (key: string, title: string, priority: number, counterOf: (kind: ReclaimKind) => string, help: string): Column<ReclaimKind> =>
  column({
    key: `${key}_pages_per_second`,
    title,
    unit: 'count',
    width: Math.max(7, title.length),
    priority,
    help,
    source: `/proc/vmstat ${counterOf('anon')} ${counterOf('file')}`,
    kernel: fieldOf(counterOf('anon')).kernel,
    value: (kind, model) => nowOf(model, counterOf(kind)),
  })

const listed = (list: 'active' | 'inactive', help: string): Column<ReclaimKind> =>
  column({
    key: `${list}_pages`,
    title: list,
    unit: 'pages',
    width: 8,
    priority: 1,
    help,
    source: `/proc/vmstat nr_${list}_anon nr_${list}_file`,
    kernel: fieldOf(`nr_${list}_anon`).kernel,
    value: (kind, model) => model.scalars.get(`nr_${list}_${kind}`),
  })

export const RECLAIM_COLUMNS: readonly Column<ReclaimKind>[] = [
  column({
    key: 'reclaim_kind',
    title: 'kind',
    unit: 'text',
    width: 4,
    kind: 'label',
    priority: 0,
    help: 'Anonymous memory, which goes to swap, or page cache, which is dropped or written',
    source: '/proc/vmstat',
    value: kind => kind,
  }),
  listed('active', 'Pages on the active lists, or in the two youngest generations'),
  listed('inactive', 'Pages on the inactive lists, or in older generations: reclaim looks at these'),
  rate('scanned', 'scan/s', 0, kind => `pgscan_${kind}`, 'Pages that reclaim looked at, per second'),
  rate('reclaimed', 'steal/s', 0, kind => `pgsteal_${kind}`, 'Pages that it got, per second'),
  column({
    key: 'efficiency_percent',
    title: 'got%',
    unit: 'percent',
    priority: 0,
    help: 'Share of the pages looked at that reclaim got: low when pages are in use, dirty or locked',
    source: '/proc/vmstat pgsteal_anon pgscan_anon pgsteal_file pgscan_file',
    value: (kind, model) => efficiency(model, kind),
  }),
  rate('refaulted', 'back/s', 0, kind => `workingset_refault_${kind}`, 'Pages that came back after they had been reclaimed, per second'),
  rate(
    'refault_activated',
    'too-soon',
    2,
    kind => `workingset_activate_${kind}`,
    'Of these, pages that should not have gone: straight to the active list',
  ),
  rate('refault_restored', 'restored', 3, kind => `workingset_restore_${kind}`, 'Of these, pages that had been active before they went'),
]
