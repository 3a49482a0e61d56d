/** Memory control groups as rows: what each has, what it may have, and how often that made it wait. */
import { growth } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import type { Cgroup } from '../../sample/sample.ts'
import { formatBytes } from '../format.ts'
import { type Column, column } from '../table.ts'

export interface CgroupRow {
  readonly group: Cgroup
  /** Growth per second of a line of memory.stat since the sample before. */
  readonly rate: (key: string) => number | undefined
}

export function cgroupRows(model: Model): CgroupRow[] {
  const before = new Map((model.previous?.cgroups() ?? []).map(group => [group.name, group.stat]))
  return model.sample.cgroups().map(group => ({
    group,
    rate: key => {
      const [now, old] = [group.stat.get(key), before.get(group.name)?.get(key)]
      // The host reads groups in turn, so two frames may hold one reading.
      if (now === undefined || old === undefined || model.seconds <= 0 || model.kind === 'host') return undefined
      return growth(now, old) / model.seconds
    },
  }))
}

export const limitOf = (group: Cgroup, name: string): number | undefined => group.limits.get(`memory.${name}`)

/** Share of the hard limit that is used, in percent; undefined without a limit. */
export function usedPercent(group: Cgroup): number | undefined {
  const [current, max] = [limitOf(group, 'current'), limitOf(group, 'max')]
  return current === undefined || max === undefined || max === 0 || max === Number.POSITIVE_INFINITY ? undefined : (current / max) * 100
}

type Value = (row: CgroupRow) => number | undefined

const file = (name: string) => `/sys/fs/cgroup/NAME/${name}`
const limit = (name: string, title: string, priority: number, help: string): Column<CgroupRow> =>
  column({
    key: `${name.replace('.', '_')}_bytes`,
    title,
    unit: 'bytes',
    priority,
    help,
    source: file(`memory.${name}`),
    kernel: 'mm/memcontrol.c memory_files',
    value: ({ group }) => limitOf(group, name),
  })
const stat = (name: string, title: string, priority: number, help: string): Column<CgroupRow> =>
  column({
    key: `${name}_bytes`,
    title,
    unit: 'bytes',
    priority,
    help,
    source: file(`memory.stat ${name}`),
    kernel: 'mm/memcontrol.c memory_stat_format',
    value: ({ group }) => group.stat.get(name),
  })
const count = (key: string, title: string, priority: number, help: string, source: string, value: Value): Column<CgroupRow> =>
  column({ key, title, unit: 'count', priority, help, source: file(source), kernel: 'mm/memcontrol.c', value })

export const CGROUP_COLUMNS: readonly Column<CgroupRow>[] = [
  column({
    key: 'name',
    title: 'group',
    unit: 'text',
    width: 18,
    kind: 'label',
    priority: 0,
    grows: true,
    help: 'Path below /sys/fs/cgroup',
    source: '/sys/fs/cgroup',
    value: ({ group }) => group.name,
  }),
  limit('current', 'has', 0, 'Memory charged to the group and those below it'),
  limit('max', 'max', 0, 'Hard limit: at it the group reclaims, then its own OOM killer comes'),
  column({
    key: 'used_percent',
    title: 'used%',
    unit: 'percent',
    priority: 1,
    help: 'Share of the hard limit that is used',
    source: file('memory.current / memory.max'),
    value: ({ group }) => usedPercent(group),
    style: ({ group }) => ((usedPercent(group) ?? 0) >= 95 ? 'bad' : 'value'),
  }),
  limit('high', 'high', 2, 'Above it the group is slowed down and reclaimed'),
  limit('low', 'low', 4, 'Below it the group is spared while others can be reclaimed'),
  limit('min', 'min', 5, 'Below it the group is never reclaimed'),
  limit('swap.current', 'swap', 2, 'Swap charged to the group'),
  stat('anon', 'anon', 1, 'Anonymous memory'),
  stat('file', 'file', 1, 'Page cache, shared memory included'),
  stat('kernel', 'kernel', 3, 'Kernel memory: stacks, page tables, slab'),
  stat('anon_thp', 'thp', 4, 'Anonymous memory in huge pages'),
  count('pgfault_per_second', 'flt/s', 2, 'Page faults per second', 'memory.stat pgfault', row => row.rate('pgfault')),
  count(
    'refault_per_second',
    'refault',
    5,
    'Pages per second that were reclaimed and came back',
    'memory.stat workingset_refault_*',
    row => {
      const [anon, cache] = [row.rate('workingset_refault_anon'), row.rate('workingset_refault_file')]
      return anon === undefined || cache === undefined ? undefined : anon + cache
    },
  ),
  count('max_events', 'at max', 1, 'How often the hard limit was met', 'memory.events max', ({ group }) => group.events.get('max')),
  count('high_events', 'at high', 3, 'How often the group was slowed down', 'memory.events high', ({ group }) => group.events.get('high')),
  count('oom_kills', 'killed', 1, 'Processes that the OOM killer ended', 'memory.events oom_kill', ({ group }) =>
    group.events.get('oom_kill'),
  ),
  column({
    key: 'psi_some_percent',
    title: 'psi',
    unit: 'percent',
    priority: 3,
    help: 'Share of the last 10 s in which some task of the group waited for memory',
    source: file('memory.pressure some avg10'),
    kernel: 'kernel/sched/psi.c psi_show',
    value: ({ group }) => group.pressure.some?.avg10,
  }),
]

/** "80.0M of 96.0M". */
export function amountText(group: Cgroup): string {
  const [current, max] = [limitOf(group, 'current') ?? 0, limitOf(group, 'max')]
  return max === undefined || max === Number.POSITIVE_INFINITY ? formatBytes(current) : `${formatBytes(current)} of ${formatBytes(max)}`
}
