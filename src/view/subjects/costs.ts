/**
 * Where the simulated machine's time went: the kinds of the cost model put together into what one speaks of, for the machine and for each
 * process and kernel thread; and the locks that CPUs found taken.
 */
import { growth } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import { ACTIVITIES, type Activity } from '../fields/simulated.ts'
import { type Column, column } from '../table.ts'
import { taskName } from './tasks.ts'

export type Spent = ReadonlyMap<string, number>

/** Nanoseconds that went into an activity since start. */
export const spentOn = (spent: Spent, { kinds }: Activity): number => kinds.reduce((sum, kind) => sum + (spent.get(kind) ?? 0), 0)

/** What of it took a CPU. */
export const busyNs = (spent: Spent): number =>
  ACTIVITIES.reduce((sum, activity) => (activity.waits === true ? sum : sum + spentOn(spent, activity)), 0)

/** Percent of one CPU since the sample before, by a sum over accounts; undefined where there is none before. */
export function cpuPercent({ previous, seconds }: Model, now: number, before: number | undefined): number | undefined {
  return previous === undefined || seconds <= 0 || before === undefined ? undefined : (growth(now, before) / (seconds * 1e9)) * 100
}

export interface CostRow {
  /** A pid, or a kernel thread's name; '' for what nobody has on his account who is still there. */
  readonly who: string
  readonly name: string
  readonly spent: Spent
  readonly busyNs: number
  readonly cpuPercent: number | undefined
}

/** Who has ended of late goes by his name. */
const ENDED = /^(.+)\(ended\)$/

/** Who has spent time, and what is on nobody's account: boot, what is read and set from outside, processes that have ended. */
export function costRows(model: Model): CostRow[] {
  const { sample, previous } = model
  const names = new Map(sample.tasks().map(task => [String(task.pid), taskName(task)]))
  const before = previous?.accounts()
  const rows = [...sample.accounts()].map(([who, spent]): CostRow => {
    const ns = busyNs(spent)
    const past = before === undefined ? undefined : busyNs(before.get(who) ?? new Map())
    return {
      who,
      name: names.get(who) ?? ENDED.exec(who)?.[1] ?? (/^\d/.test(who) ? '' : 'kernel'),
      spent,
      busyNs: ns,
      cpuPercent: cpuPercent(model, ns, past),
    }
  })
  const rest = new Map([...sample.costs()].map(([key, ns]) => [key, Math.max(0, ns - sumOf(rows, key))]))
  return rows.length === 0 ? [] : [...rows, { who: '', name: 'ended, boot', spent: rest, busyNs: busyNs(rest), cpuPercent: undefined }]
}

const sumOf = (rows: readonly CostRow[], key: string): number => rows.reduce((sum, { spent }) => sum + (spent.get(key) ?? 0), 0)

const ACCOUNTS = '/mmtop/accounts'

export const COST_COLUMNS: readonly Column<CostRow>[] = [
  column({
    key: 'who',
    title: 'who',
    unit: 'text',
    width: 12,
    kind: 'label',
    priority: 0,
    help: 'Process, by its pid, or by its name when it has ended of late; or kernel thread',
    source: ACCOUNTS,
    value: row => row.who,
  }),
  column({
    key: 'name',
    title: 'name',
    unit: 'text',
    width: 11,
    kind: 'label',
    priority: 0,
    grows: true,
    help: 'What the process is called',
    source: '/mmtop/tasks',
    value: row => row.name,
  }),
  column({
    key: 'cpu_percent',
    title: 'CPU%',
    unit: 'percent',
    priority: 0,
    help: 'CPU time since the sample before, in percent of one CPU',
    source: ACCOUNTS,
    value: row => row.cpuPercent,
  }),
  column({
    key: 'busy_ns',
    title: 'busy',
    unit: 'ns',
    priority: 0,
    help: 'CPU time since start',
    source: ACCOUNTS,
    value: row => row.busyNs,
  }),
  ...ACTIVITIES.map(activity =>
    column<CostRow>({
      key: `${activity.key}_ns`,
      title: activity.key,
      unit: 'ns',
      priority: activity.priority,
      help: `Time since start: ${activity.what} (${activity.kinds.join(', ')})`,
      source: ACCOUNTS,
      kernel: 'base/cost.ts of the model',
      value: row => spentOn(row.spent, activity),
      style: row => (spentOn(row.spent, activity) === 0 ? 'dim' : 'value'),
    }),
  ),
]

export interface LockRow {
  readonly lock: string
  /** Times it was taken; undefined where that is not counted. */
  readonly taken: number | undefined
  readonly contended: number
  readonly waitedNs: number
  /** Of one second now: waits of all CPUs together. */
  readonly waitedPerSecondNs: number | undefined
}

const PT_LOCKS = [
  ['pte', 'PTE tables'],
  ['pmd', 'PMD tables'],
  ['mm', 'page tables above'],
] as const

/** Locks of page tables by level, and of each zone. */
export function lockRows(model: Model): LockRow[] {
  const [locks, before] = [model.sample.locks(), model.previous?.locks()]
  const row = (key: string, lock: string): LockRow => {
    const waited = `${key}_waited_ns`
    const waitedNs = locks.get(waited) ?? 0
    return {
      lock,
      taken: locks.get(`${key}_taken`),
      contended: locks.get(`${key}_contended`) ?? 0,
      waitedNs,
      waitedPerSecondNs: before === undefined || model.seconds <= 0 ? undefined : growth(waitedNs, before.get(waited) ?? 0) / model.seconds,
    }
  }
  const zones = [...locks.keys()].flatMap(key => (key.endsWith('_taken') ? key.slice(0, -'_taken'.length) : []))
  if (locks.size === 0) return []
  return [...PT_LOCKS.map(([key, what]) => row(key, what)), ...zones.map(zone => row(zone, `zone ${zone}`))]
}
