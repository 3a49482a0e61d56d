/** KSM's processes as rows, and what its scan costs. */
import type { Model } from '../../sample/model.ts'
import type { Task } from '../../sample/sample.ts'
import { toInteger } from '../../sample/text.ts'
import { type Column, column } from '../table.ts'
import { pidColumn, taskName } from './tasks.ts'

export interface MergedRow {
  readonly pid: number
  readonly name: string
  /** Entries that map merged pages, by KSM's books; undefined where the file was not read. */
  readonly merging: number | undefined
  /** Pages that KSM keeps records of. */
  readonly items: number | undefined
  readonly rssBytes: number | undefined
}

/** Processes that KSM knows pages of; all, where that is not known. */
export function mergedRows(model: Model): MergedRow[] {
  const file = (task: Task, name: string) => model.sample.frame.files.get(`/proc/${task.pid}/${name}`)
  return model.sample
    .tasks()
    .map(task => ({
      pid: task.pid,
      name: taskName(task),
      merging: toInteger(file(task, 'ksm_merging_pages')?.trim()),
      items: toInteger(/ksm_rmap_items (\d+)/.exec(file(task, 'ksm_stat') ?? '')?.[1]),
      rssBytes: task.status?.bytes.get('VmRSS'),
    }))
    .filter(row => (row.merging ?? 0) > 0 || (row.items ?? 0) > 0)
}

/** CPU time that KSM's scan took since the sample before, in percent of one CPU; undefined where costs are not known. */
export function scanCostPercent({ sample, previous, seconds }: Model): number | undefined {
  if (previous === undefined || seconds <= 0) return undefined
  const spent = (costs: ReadonlyMap<string, number>) => [...costs].reduce((sum, [key, ns]) => (key.startsWith('ksm_') ? sum + ns : sum), 0)
  return sample.costs().size === 0 ? undefined : ((spent(sample.costs()) - spent(previous.costs())) / (seconds * 1e9)) * 100
}

export const MERGED_COLUMNS: readonly Column<MergedRow>[] = [
  pidColumn(row => row.pid),
  column({
    key: 'name',
    title: 'name',
    unit: 'text',
    width: 14,
    kind: 'label',
    priority: 0,
    grows: true,
    help: 'What the process is called',
    source: '/proc/PID/stat',
    value: row => row.name,
  }),
  column({
    key: 'merging_pages',
    title: 'merging',
    unit: 'count',
    width: 8,
    priority: 0,
    help: 'Places that use merged pages; a fork begins with its parent’s number',
    source: '/proc/PID/ksm_merging_pages',
    kernel: 'mm/ksm.c stable_tree_append',
    value: row => row.merging,
  }),
  column({
    key: 'rmap_items',
    title: 'looked at',
    unit: 'count',
    width: 9,
    priority: 1,
    help: 'Pages that KSM keeps records of',
    source: '/proc/PID/ksm_stat ksm_rmap_items',
    kernel: 'mm/ksm.c alloc_rmap_item',
    value: row => row.items,
  }),
  column({
    key: 'merged_percent',
    title: 'merged%',
    unit: 'percent',
    priority: 1,
    help: 'Share of what was looked at that is merged',
    source: 'ksm_merging_pages / ksm_rmap_items',
    value: row => (row.items === undefined || row.items === 0 ? undefined : ((row.merging ?? 0) / row.items) * 100),
  }),
  column({
    key: 'rss_bytes',
    title: 'RSS',
    unit: 'bytes',
    priority: 2,
    help: 'Resident memory, merged pages counted in full',
    source: '/proc/PID/status VmRSS',
    value: row => row.rssBytes,
  }),
]
