/**
 * What happened on a machine that does not tell it: seen from what changed between two readings of /proc/vmstat.
 *
 *     oom_kill 3 -> 4                  "oom"      every time
 *     allocstall_normal 0/s -> 12/s    "stall"    when it begins, not as long as it lasts
 */
import type { EventKind } from './source.ts'

interface Watch {
  readonly kind: EventKind
  /** A pattern of names in /proc/vmstat. */
  readonly counters: string
  readonly text: (count: number) => string
  /** Told every time, not only when it begins. */
  readonly always?: boolean
}

const WATCHES: readonly Watch[] = [
  {
    kind: 'oom',
    counters: 'oom_kill',
    text: count => `the OOM killer ended ${count} ${count === 1 ? 'process' : 'processes'}`,
    always: true,
  },
  { kind: 'stall', counters: 'allocstall_\\w+', text: () => 'allocations reclaim memory themselves' },
  { kind: 'stall', counters: 'compact_stall', text: () => 'allocations wait for compaction' },
  { kind: 'kswapd', counters: 'pageoutrun', text: () => 'kswapd began to reclaim' },
  { kind: 'pool', counters: 'htlb_buddy_alloc_fail', text: count => `${count} huge pages for a pool could not be had`, always: true },
]

/** The lines of /proc/vmstat that are watched; which group matched tells by whom. */
const WATCHED = new RegExp(`^(?:${WATCHES.map(({ counters }) => `(${counters})`).join('|')}) (\\d{1,20})$`, 'gm')

/** What the counters of each watch add up to. */
function sumsOf(vmstat: string): number[] {
  const sums = WATCHES.map(() => 0)
  for (const match of vmstat.matchAll(WATCHED)) sums[match.findIndex((part, i) => i > 0 && part !== undefined) - 1] += Number(match.at(-1))
  return sums
}

/** What the table above was at in the reading before, and who had grown by then. */
export interface Grown {
  sums: readonly number[] | undefined
  readonly growing: Set<Watch>
}

export const newGrown = (): Grown => ({ sums: undefined, growing: new Set() })

/**
 * Lines of /mmtop/events between the reading before and this one, which becomes the one before.
 * @param told kinds that the machine tells itself
 */
export function happened(past: Grown, vmstat: string, ns: number, told: readonly EventKind[] = []): string[] {
  const before = past.sums
  const sums = sumsOf(vmstat)
  past.sums = sums
  if (before === undefined) return []
  return WATCHES.flatMap((watch, i) => {
    const count = sums[i] - before[i]
    const began = count > 0 && (watch.always === true || !past.growing.has(watch))
    if (count > 0) past.growing.add(watch)
    else past.growing.delete(watch)
    return began && !told.includes(watch.kind) ? [`${ns} ${watch.kind} ${watch.text(count)}`] : []
  })
}
