/**
 * What happened on a machine that keeps no record of it: told from what changed between two frames.
 *
 *     oom_kill 3 -> 4                  "oom"      every time
 *     allocstall_normal 0/s -> 12/s    "stall"    when it begins, not as long as it lasts
 *     a knob's text                    "knob"     whoever wrote it
 *
 * Kernel threads of memory management are told by their names; one that used a CPU since the frame before was running.
 */
import { parsePidStat } from '../sample/parse/pid_stat.ts'
import type { EventKind } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'

type Files = ReadonlyMap<string, string>

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

/** What the table above was at in the frame before, and who had grown by then. */
export interface Past {
  sums: readonly number[] | undefined
  readonly growing: Set<Watch>
  /** Of each kernel thread, its ticks. */
  readonly ticks: Map<string, number>
}

export const newPast = (): Past => ({ sums: undefined, growing: new Set(), ticks: new Map() })

/** A knob that has another text than before. */
export interface Turned {
  readonly path: string
  readonly was: string
  readonly is: string
}

/** Lines of /mmtop/events between the frame before and this one, which becomes the one before. */
export function happenings(past: Past, now: Files, ns: number, turned: readonly Turned[]): string[] {
  const before = past.sums
  const sums = sumsOf(now.get('/proc/vmstat') ?? '')
  past.sums = sums
  if (before === undefined) return []
  const lines = WATCHES.flatMap((watch, i) => {
    const count = sums[i] - before[i]
    const began = count > 0 && (watch.always === true || !past.growing.has(watch))
    if (count > 0) past.growing.add(watch)
    else past.growing.delete(watch)
    return began ? [`${ns} ${watch.kind} ${watch.text(count)}`] : []
  })
  return [...lines, ...turned.map(({ path, was, is }) => `${ns} knob ${path}: ${inLine(was)} to ${inLine(is)}`)]
}

const inLine = (text: string): string => cleanLine(text.trim()).slice(0, 80)

/** The beginning of such a thread's stat. */
const DAEMON = /^\d+ \((?:(?:kswapd|kcompactd)(\d{1,4})|khugepaged|ksmd)\) /

export const isDaemon = (stat: string): boolean => DAEMON.test(stat)

/** Lines of /mmtop/daemons. @param stats the files /proc/PID/stat */
export function daemons(past: Past, now: Files, stats: readonly string[]): string[] {
  const lines: string[] = []
  for (const path of stats) {
    const text = now.get(path) ?? ''
    const match = DAEMON.exec(text)
    const stat = match === null ? undefined : parsePidStat(text)
    if (stat === undefined || match === null) continue
    const ticks = stat.utimeTicks + stat.stimeTicks
    const running = stat.state === 'R' || ticks > (past.ticks.get(stat.name) ?? ticks)
    past.ticks.set(stat.name, ticks)
    lines.push(`${stat.name} ${match[1] ?? '-'} ${running ? 'running' : 'sleeping'}`)
  }
  return lines.sort()
}
