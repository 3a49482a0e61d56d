/**
 * /proc/PID/sched: what the scheduler knows of a task, as far as this machine has a scheduler; and what NUMA balancing knows.
 *
 *     numa_faults node=1 task_private=32421 task_shared=0 group_private=0 group_shared=0
 *
 * The figures of run queues and load are left out: there are none.
 *
 * Source: kernel/sched/debug.c (proc_sched_show_task, sched_show_numa, print_numa_stats).
 */
import { now, sinceBoot } from '../../kernel/base/cost.ts'
import { memFaults } from '../../kernel/fault/numa_stats.ts'
import type { Living } from './living.ts'

const NS_PER_MS = 1e6

const figure = (name: string, value: number): string => `${name.padEnd(45)}:${String(value).padStart(21)}\n`

/** Milliseconds, with the nanoseconds behind the point. */
const time = (name: string, ns: number): string => {
  const ms = Math.floor(ns / NS_PER_MS)
  return `${name.padEnd(45)}:${String(ms).padStart(14)}.${String(Math.floor(ns - ms * NS_PER_MS)).padStart(6, '0')}\n`
}

export function sched(living: Living): string {
  const { k, task } = living
  const head = `${task.comm} (${task.pid}, #threads: 1)\n`
  return [
    head,
    `${'-'.repeat(67)}\n`,
    time('se.exec_start', sinceBoot(now(k))),
    time('se.sum_exec_runtime', task.ranNs),
    figure('policy', 0),
    figure('prio', 120),
    ...balancing(living),
  ].join('')
}

function balancing({ k, task, mm }: Living): string[] {
  const { numa } = task
  const group = numa.group?.faults ?? new Float64Array(0)
  return [
    ...(mm === undefined ? [] : [figure('mm->numa_scan_seq', mm.numa.scanSeq)]),
    figure('numa_pages_migrated', numa.pagesMigrated),
    figure('numa_preferred_nid', numa.preferredNid),
    figure('total_numa_faults', numa.totalFaults),
    `current_node=${k.cpus[task.cpu].node}, numa_group_id=${numa.group?.gid ?? 0}\n`,
    ...k.nodes.map(({ id }) => {
      const [shared, priv] = memFaults(k, numa.faults, id)
      const [groupShared, groupPrivate] = memFaults(k, group, id)
      return `numa_faults node=${id} task_private=${priv} task_shared=${shared} group_private=${groupPrivate} group_shared=${groupShared}\n`
    }),
  ]
}
