/** Address ranges under userfaultfd as rows: whose they are, what is watched there, and how much of them is there yet. */
import type { Model } from '../../sample/model.ts'
import type { SmapsArea } from '../../sample/parse/pid_maps.ts'
import { type Column, column } from '../table.ts'
import { pidColumn, taskName } from './tasks.ts'

/** VmFlags of ranges that are registered, and what for. */
const MODES: Readonly<Record<string, string>> = { um: 'missing', uw: 'write protect', ui: 'minor' }

export interface UffdRow {
  readonly pid: number
  readonly process: string
  readonly area: SmapsArea
  readonly modes: string
  readonly sizeBytes: number
  readonly presentBytes: number
}

/** The ranges of processes whose smaps are known. */
export function uffdRows(model: Model): UffdRow[] {
  return model.sample.tasks().flatMap(task =>
    task.smaps.flatMap(area => {
      const modes = area.flags.flatMap(flag => MODES[flag] ?? []).join(', ')
      if (modes === '') return []
      return [
        {
          pid: task.pid,
          process: taskName(task),
          area,
          modes,
          sizeBytes: area.bytes.get('Size') ?? 0,
          presentBytes: area.bytes.get('Rss') ?? 0,
        },
      ]
    }),
  )
}

const SMAPS = '/proc/PID/smaps'

export const UFFD_COLUMNS: readonly Column<UffdRow>[] = [
  pidColumn(row => row.pid),
  column({
    key: 'process',
    title: 'process',
    unit: 'text',
    width: 12,
    kind: 'label',
    priority: 0,
    help: 'Process whose faults are handled',
    source: '/proc/PID/stat',
    value: row => row.process,
  }),
  column({
    key: 'start',
    title: 'from',
    unit: 'text',
    width: 12,
    kind: 'label',
    priority: 1,
    help: 'First address of the range',
    source: SMAPS,
    value: row => row.area.start,
  }),
  column({
    key: 'modes',
    title: 'handled faults',
    unit: 'text',
    width: 22,
    kind: 'label',
    priority: 0,
    help: 'Which faults go to the handler: of missing pages, of write protected ones, of pages in the cache only',
    source: `${SMAPS} VmFlags um uw ui`,
    kernel: 'fs/userfaultfd.c userfaultfd_register',
    value: row => row.modes,
  }),
  column({
    key: 'size_bytes',
    title: 'size',
    unit: 'bytes',
    priority: 1,
    help: 'Length of the range',
    source: `${SMAPS} Size`,
    value: row => row.sizeBytes,
  }),
  column({
    key: 'present_bytes',
    title: 'there',
    unit: 'bytes',
    priority: 1,
    help: 'What of it is in memory already',
    source: `${SMAPS} Rss`,
    value: row => row.presentBytes,
  }),
  column({
    key: 'present_percent',
    title: 'there%',
    unit: 'percent',
    width: 6,
    priority: 2,
    help: 'Share of the range that is in memory already',
    source: `${SMAPS} Rss / Size`,
    value: row => (row.sizeBytes === 0 ? undefined : (row.presentBytes / row.sizeBytes) * 100),
  }),
  column({
    key: 'name',
    title: 'mapping',
    unit: 'text',
    width: 14,
    kind: 'label',
    priority: 3,
    grows: true,
    help: 'What is mapped there',
    source: SMAPS,
    value: row => row.area.name,
  }),
]
