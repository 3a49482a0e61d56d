/**
 * What happened on a machine that keeps no record of it: told from what changed between two frames (sample/happenings.ts), and
 *
 *     a knob's text                    "knob"     whoever wrote it
 *
 * Kernel threads of memory management are told by their names; one that used a CPU since the frame before was running.
 */
import { type Grown, happened, newGrown } from '../sample/happenings.ts'
import { parsePidStat } from '../sample/parse/pid_stat.ts'
import { cleanLine } from '../sample/text.ts'

type Files = ReadonlyMap<string, string>

export interface Past {
  readonly grown: Grown
  /** Of each kernel thread, its ticks. */
  readonly ticks: Map<string, number>
}

export const newPast = (): Past => ({ grown: newGrown(), ticks: new Map() })

/** A knob that has another text than before. */
export interface Turned {
  readonly path: string
  readonly was: string
  readonly is: string
}

/** Lines of /mmtop/events between the frame before and this one, which becomes the one before. */
export function happenings(past: Past, now: Files, ns: number, turned: readonly Turned[]): string[] {
  const first = past.grown.sums === undefined
  const lines = happened(past.grown, now.get('/proc/vmstat') ?? '', ns)
  return first ? [] : [...lines, ...turned.map(({ path, was, is }) => `${ns} knob ${path}: ${inLine(was)} to ${inLine(is)}`)]
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
