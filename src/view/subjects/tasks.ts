/** Processes as rows: what each holds, shares, swaps and faults, and where it is. */
import { growth } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import type { Task } from '../../sample/sample.ts'
import { sparkText } from '../glyphs.ts'
import { bytesOfPages } from '../page_size.ts'
import { span } from '../panel.ts'
import { type Column, column } from '../table.ts'
import { fitText } from '../width.ts'

export interface TaskRow {
  readonly task: Task
  readonly pid: number
  readonly name: string
  readonly rssBytes: number | undefined
  /** Bytes by node; undefined where numa_maps was not read. */
  readonly nodeBytes: readonly number[] | undefined
  readonly minfltPerSecond: number | undefined
  readonly majfltPerSecond: number | undefined
}

/** What a process is called, by whichever of its files was read; '' by none. */
export const taskName = (task: Task | undefined): string => task?.named?.name ?? task?.stat?.name ?? task?.status?.name ?? ''

/** The column of process ids, which are no amounts and so are never shortened. */
export const pidColumn = <R>(pidOf: (row: R) => number): Column<R> =>
  column({
    key: 'pid',
    title: 'PID',
    unit: 'count',
    width: 7,
    kind: 'label',
    priority: 0,
    help: 'Process id',
    source: '/proc/PID',
    value: pidOf,
    draw: row => [span(fitText(String(pidOf(row)), 7, 'right'), 'label', 'pid')],
  })

export function taskRows(model: Model): TaskRow[] {
  // Both are in the order of their pids.
  const before = model.previous?.tasks() ?? []
  let at = 0
  const nodes = model.sample.nodes().map(node => node.node)
  return model.sample.tasks().map(task => {
    while (at < before.length && before[at].pid < task.pid) at++
    const [now, then] = [faultsOf(task), faultsOf(before[at]?.pid === task.pid ? before[at] : undefined)]
    const rate = (current: number | undefined, old: number | undefined) =>
      current === undefined || old === undefined || model.seconds <= 0 ? undefined : growth(current, old) / model.seconds
    return {
      task,
      pid: task.pid,
      name: taskName(task),
      rssBytes: task.status?.bytes.get('VmRSS') ?? (task.stat === undefined ? task.rollup?.get('Rss') : bytesOfPages(task.stat.rssPages)),
      get nodeBytes() {
        return task.numaMaps.length === 0 ? undefined : nodes.map(node => bytesOn(task, node))
      },
      minfltPerSecond: rate(now?.minflt, then?.minflt),
      majfltPerSecond: rate(now?.majflt, then?.majflt),
    }
  })
}

function faultsOf(task: Task | undefined): { readonly minflt: number; readonly majflt: number } | undefined {
  return task?.stat ?? task?.named
}

function bytesOn(task: Task, node: number): number {
  return task.numaMaps.reduce((sum, area) => sum + (area.pages.get(`N${node}`) ?? 0) * area.pageBytes, 0)
}

/** Memory that only this process has. */
function privateBytes({ task }: TaskRow): number | undefined {
  const { rollup } = task
  return rollup === undefined ? undefined : (rollup.get('Private_Clean') ?? 0) + (rollup.get('Private_Dirty') ?? 0)
}

/** Whether it took faults since the sample before. */
export const isBusy = ({ minfltPerSecond, majfltPerSecond }: TaskRow): boolean => (minfltPerSecond ?? 0) > 0 || (majfltPerSecond ?? 0) > 0

/** Resident memory that is mapped by huge entries. */
export function hugeBytes({ task }: TaskRow): number | undefined {
  const { rollup } = task
  return rollup === undefined
    ? undefined
    : ['AnonHugePages', 'ShmemPmdMapped', 'FilePmdMapped'].reduce((sum, key) => sum + (rollup.get(key) ?? 0), 0)
}

function hugePercent(row: TaskRow): number | undefined {
  const [huge, rss] = [hugeBytes(row), row.task.rollup?.get('Rss')]
  return huge === undefined || rss === undefined || rss === 0 ? undefined : (huge / rss) * 100
}

/** The policy of all areas, or the commonest with how many others there are. */
export function policyOf(task: Task): string | undefined {
  const counts = new Map<string, number>()
  for (const area of task.numaMaps) counts.set(area.policy, (counts.get(area.policy) ?? 0) + 1)
  const [common] = [...counts].sort((a, b) => b[1] - a[1])
  return common === undefined ? undefined : counts.size === 1 ? common[0] : `${common[0]} +${counts.size - 1}`
}

const status = (key: string) => `/proc/PID/status ${key}`
const rollup = (key: string) => `/proc/PID/smaps_rollup ${key}`

export const TASK_COLUMNS: readonly Column<TaskRow>[] = [
  pidColumn(row => row.pid),
  column({
    key: 'name',
    title: 'name',
    unit: 'text',
    width: 12,
    kind: 'label',
    priority: 0,
    help: 'What the process is called',
    source: '/proc/PID/stat',
    value: row => row.name,
  }),
  column({
    key: 'state',
    title: 'S',
    unit: 'text',
    width: 1,
    kind: 'label',
    priority: 9,
    help: 'R running, S sleeping, D waiting for a device, Z dead',
    source: '/proc/PID/stat',
    value: ({ task }) => task.stat?.state ?? task.status?.texts.get('State')?.slice(0, 1),
  }),
  column({
    key: 'rss_bytes',
    title: 'RSS',
    unit: 'bytes',
    priority: 0,
    help: 'Memory in use, shared memory counted in full',
    source: status('VmRSS'),
    kernel: 'fs/proc/task_mmu.c task_mem',
    value: row => row.rssBytes,
  }),
  column({
    key: 'pss_bytes',
    title: 'PSS',
    unit: 'bytes',
    priority: 4,
    help: 'Memory in use, each shared page divided by its users',
    source: rollup('Pss'),
    kernel: 'fs/proc/task_mmu.c smaps_account',
    value: ({ task }) => task.rollup?.get('Pss'),
  }),
  column({
    key: 'uss_bytes',
    title: 'USS',
    unit: 'bytes',
    priority: 5,
    help: 'Memory that nobody else uses: what its end would free',
    source: rollup('Private_Clean + Private_Dirty'),
    kernel: 'fs/proc/task_mmu.c smaps_account',
    value: privateBytes,
  }),
  column({
    key: 'huge_percent',
    title: 'THP%',
    unit: 'percent',
    width: 5,
    priority: 2,
    help: 'Share of its memory that is mapped by huge entries',
    source: rollup('AnonHugePages / Rss'),
    kernel: 'fs/proc/task_mmu.c smaps_pmd_entry',
    value: hugePercent,
  }),
  column({
    key: 'hugetlb_bytes',
    title: 'hugetlb',
    unit: 'bytes',
    width: 7,
    priority: 7,
    help: 'Memory from huge page pools',
    source: status('HugetlbPages'),
    kernel: 'mm/hugetlb.c hugetlb_report_usage',
    value: ({ task }) => task.status?.bytes.get('HugetlbPages'),
  }),
  column({
    key: 'swap_bytes',
    title: 'swap',
    unit: 'bytes',
    priority: 3,
    help: 'Memory swapped out',
    source: status('VmSwap'),
    kernel: 'fs/proc/task_mmu.c task_mem',
    value: ({ task }) => task.status?.bytes.get('VmSwap'),
  }),
  column({
    key: 'locked_bytes',
    title: 'locked',
    unit: 'bytes',
    priority: 8,
    help: 'Memory locked by mlock',
    source: status('VmLck'),
    kernel: 'fs/proc/task_mmu.c task_mem',
    value: ({ task }) => task.status?.bytes.get('VmLck'),
  }),
  column({
    key: 'minflt_per_second',
    title: 'flt/s',
    unit: 'count',
    priority: 1,
    help: 'Minor page faults per second',
    source: '/proc/PID/stat field 10',
    kernel: 'mm/memory.c mm_account_fault',
    value: row => row.minfltPerSecond,
  }),
  column({
    key: 'majflt_per_second',
    title: 'maj/s',
    unit: 'count',
    priority: 5,
    help: 'Major page faults per second: those that waited for a device',
    source: '/proc/PID/stat field 12',
    kernel: 'mm/memory.c mm_account_fault',
    value: row => row.majfltPerSecond,
    style: row => ((row.majfltPerSecond ?? 0) > 0 ? 'warn' : 'value'),
  }),
  column({
    key: 'policy',
    title: 'policy',
    unit: 'text',
    width: 14,
    kind: 'label',
    priority: 6,
    help: 'NUMA policy of its areas',
    source: '/proc/PID/numa_maps',
    kernel: 'mm/mempolicy.c mpol_to_str',
    value: ({ task }) => policyOf(task),
  }),
  column({
    key: 'nodes',
    title: 'nodes',
    unit: 'text',
    width: 8,
    kind: 'label',
    priority: 6,
    help: 'How its memory is spread over the nodes: one bar a node',
    source: '/proc/PID/numa_maps N0= N1= ...',
    value: row => row.nodeBytes?.join(' '),
    draw: ({ nodeBytes }, _model, ascii) => [
      span(
        fitText(nodeBytes === undefined ? '-' : sparkText(nodeBytes, Math.max(1, ...nodeBytes), ascii), 8),
        nodeBytes === undefined ? 'dim' : 'series1',
        'nodes',
      ),
    ],
  }),
  column({
    key: 'oom_score',
    title: 'OOM',
    unit: 'count',
    width: 5,
    priority: 7,
    help: 'How soon the OOM killer would pick it: 0 never, 1000 and more first',
    source: '/proc/PID/oom_score',
    kernel: 'mm/oom_kill.c oom_badness',
    value: ({ task }) => task.oomScore,
  }),
  column({
    key: 'activity',
    title: 'what it is doing',
    unit: 'text',
    width: 16,
    kind: 'label',
    priority: 8,
    grows: true,
    help: 'The workload line it executes',
    source: '/mmtop/activity',
    value: ({ task }) => task.activity ?? '',
  }),
]
