/**
 * What happened on a machine that keeps no record of it: told from what changed between two frames.
 *
 *     oom_kill 3 -> 4                  "oom"      every time
 *     allocstall_normal 0/s -> 12/s    "stall"    when it begins, not as long as it lasts
 *     a knob's text                    "knob"     whoever wrote it
 *
 * Kernel threads of memory management are told by their names; one that used a CPU since the frame before was running.
 */
import { parseKeyValues } from '../sample/parse/keyvalue.ts'
import { parsePidStat } from '../sample/parse/pid_stat.ts'
import type { EventKind } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'

type Files = ReadonlyMap<string, string>

interface Watch {
  readonly kind: EventKind
  readonly counters: RegExp
  readonly text: (count: number) => string
  /** Told every time, not only when it begins. */
  readonly always?: boolean
}

const WATCHES: readonly Watch[] = [
  {
    kind: 'oom',
    counters: /^oom_kill$/,
    text: count => `the OOM killer ended ${count} ${count === 1 ? 'process' : 'processes'}`,
    always: true,
  },
  { kind: 'stall', counters: /^allocstall_/, text: () => 'allocations reclaim memory themselves' },
  { kind: 'stall', counters: /^compact_stall$/, text: () => 'allocations wait for compaction' },
  { kind: 'kswapd', counters: /^pageoutrun$/, text: () => 'kswapd began to reclaim' },
  { kind: 'pool', counters: /^htlb_buddy_alloc_fail$/, text: count => `${count} huge pages for a pool could not be had`, always: true },
]

/** What the tables above have grown by since the frame before last, and by then. */
export interface Past {
  files: Files | undefined
  vmstat: ReadonlyMap<string, number>
  readonly growing: Set<Watch>
  /** Of each kernel thread, its ticks. */
  readonly ticks: Map<string, number>
}

export const newPast = (): Past => ({ files: undefined, vmstat: new Map(), growing: new Set(), ticks: new Map() })

/** Lines of /mmtop/events between the frame before and this one, which becomes the one before. */
export function happenings(past: Past, now: Files, ns: number, knobs: readonly string[]): string[] {
  const { files: before, vmstat: old } = past
  past.files = now
  past.vmstat = parseKeyValues(now.get('/proc/vmstat') ?? '')
  if (before === undefined) return []
  const grown = [...past.vmstat].filter(([name, value]) => value > (old.get(name) ?? value))
  const lines = WATCHES.flatMap(watch => {
    let count = 0
    for (const [name, value] of grown) if (watch.counters.test(name)) count += value - (old.get(name) ?? value)
    const began = count > 0 && (watch.always === true || !past.growing.has(watch))
    if (count > 0) past.growing.add(watch)
    else past.growing.delete(watch)
    return began ? [`${ns} ${watch.kind} ${watch.text(count)}`] : []
  })
  const turned = knobs.flatMap(path => {
    const [was, is] = [before.get(path), now.get(path)]
    return was === undefined || is === undefined || was === is ? [] : [`${ns} knob ${path}: ${inLine(was)} to ${inLine(is)}`]
  })
  return [...lines, ...turned]
}

const inLine = (text: string): string => cleanLine(text.trim()).slice(0, 80)

const DAEMON = /^(?:(kswapd|kcompactd)(\d{1,4})|khugepaged|ksmd)$/

/** Lines of /mmtop/daemons. */
export function daemons(past: Past, now: Files, pids: readonly number[]): string[] {
  const lines: string[] = []
  for (const pid of pids) {
    const text = now.get(`/proc/${pid}/stat`) ?? ''
    // Most processes are told apart by their name alone, without looking at their figures.
    const match = DAEMON.exec(text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')))
    const stat = match === null ? undefined : parsePidStat(text)
    if (stat === undefined || match === null) continue
    const ticks = stat.utimeTicks + stat.stimeTicks
    const running = stat.state === 'R' || ticks > (past.ticks.get(stat.name) ?? ticks)
    past.ticks.set(stat.name, ticks)
    lines.push(`${stat.name} ${match[2] ?? '-'} ${running ? 'running' : 'sleeping'}`)
  }
  return lines.sort()
}
