/**
 * How close the simulator comes to real programs: `npm run fidelity -- traces [DIR] [--json]` imports each DIR/NAME.perf.txt.gz, replays it, and
 * compares the faults that the simulated processes take with those of the trace, and their resident sets with NAME.truth.ndjson.
 *
 * A truth line was read a little after its time: it is compared with the machine as it is at that time and in the millisecond after it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PORTS } from '../sim/ports.ts'
import { createSimulation, runOp, type Simulation } from '../sim/simulation.ts'
import { UserError } from '../user_error.ts'
import { parseWorkload } from '../workload/parse.ts'
import { readPerf } from '../workload/trace_perf.ts'
import { type TraceLine, traceWorkload } from '../workload/trace_workload.ts'
import { readText } from './import.ts'

const TRACES = 'test/traces'
const PERF = '.perf.txt.gz'

export interface TraceRow {
  readonly name: string
  /** Faults of the trace; those that the simulated program took at their addresses; those it took beyond them. */
  readonly faults: number
  readonly taken: number
  readonly beyond: number
  /** Points compared, and the difference of the resident sets there. */
  readonly points: number
  readonly largestRssPercent: number
  readonly meanRssPercent: number
}

/** What the kernel said of a process, and how far the simulator was from it at best while it was being read. */
interface Point {
  readonly ns: number
  readonly pid: number
  readonly rssKb: number
  percent: number
}

/** Finding a process' files and having the kernel walk its memory takes the recorder up to so long after the time it notes. */
const READING_NS = 1_000_000

/** @throws UserError where there are no traces, or one cannot be read */
export function replayTraces(dir = TRACES): TraceRow[] {
  if (!existsSync(dir)) throw new UserError('no such directory', { file: dir })
  const names = readdirSync(dir).filter(file => file.endsWith(PERF))
  if (names.length === 0) throw new UserError(`no traces: nothing ends in ${PERF}`, { file: dir })
  return names.sort().map(file => replay(dir, file.slice(0, -PERF.length)))
}

function replay(dir: string, name: string): TraceRow {
  const file = join(dir, name + PERF)
  const trace = readPerf(readText(file), file)
  const { lines } = traceWorkload(trace, name)
  const sim = createSimulation(parseWorkload(lines.map(({ text }) => text).join('\n'), name))
  const score = { faults: 0, taken: 0, beyond: 0 }
  const points = truthOf(join(dir, `${name}.truth.ndjson`)).filter(({ ns }) => ns >= trace.events[0].ns)
  let first = 0
  let record = runOp(sim, () => undefined)
  while (record !== undefined) {
    const line = record.statement.i
    count(score, lines[line - 1], Number(record.fields['minflt'] ?? 0) + Number(record.fields['majflt'] ?? 0))
    while (first < points.length && points[first].ns + READING_NS < lines[line - 1].ns) first++
    const untilNs = lines[line]?.ns ?? Number.POSITIVE_INFINITY
    for (let i = first; i < points.length && points[i].ns < untilNs; i++) compare(sim, points[i])
    record = runOp(sim, () => undefined)
  }
  const apart = points.map(({ percent }) => percent).filter(Number.isFinite)
  const mean = apart.reduce((sum, each) => sum + each, 0) / Math.max(1, apart.length)
  return { name, ...score, points: apart.length, largestRssPercent: Math.max(0, ...apart), meanRssPercent: mean }
}

function compare(sim: Simulation, point: Point): void {
  const rssKb = rssOf(sim, point.pid)
  if (rssKb !== undefined) point.percent = Math.min(point.percent, (Math.abs(rssKb - point.rssKb) / point.rssKb) * 100)
}

interface Score {
  faults: number
  taken: number
  beyond: number
}

/** Lines for the machine, and what the kernel fills on its own account, cause faults that no trace has. */
function count(score: Score, { faults, text }: TraceLine, taken: number): void {
  score.faults += faults
  score.taken += Math.min(taken, faults)
  if (faults > 0 || !/ populate|^cache | exec /.test(text)) score.beyond += Math.max(0, taken - faults)
}

function truthOf(file: string): Point[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(text => text.includes('"proc"'))
    .map(text => JSON.parse(text))
    .map(({ t, pid, rss_kb }) => ({ ns: t * 1e9, pid, rssKb: rss_kb, percent: Number.POSITIVE_INFINITY }))
}

function rssOf({ k, run }: Simulation, pid: number): number | undefined {
  const worker = run.workers.find(each => each?.name === `p${pid}`)
  const text = worker === undefined ? undefined : PORTS.read(k, `/proc/${worker.task.pid}/smaps_rollup`)
  const rss = typeof text === 'string' ? /^Rss: +(\d+)/m.exec(text)?.[1] : undefined
  return rss === undefined ? undefined : Number(rss)
}

export function tellTraces(rows: readonly TraceRow[]): string {
  const head = `${'trace'.padEnd(24)} ${'faults'.padStart(8)} ${'taken'.padStart(8)} ${'beyond'.padStart(8)} ${'rss points'.padStart(11)} ${'largest'.padStart(8)} ${'mean'.padStart(8)}`
  const percent = (value: number) => `${value.toFixed(2)}%`.padStart(8)
  return [
    head,
    ...rows.map(
      ({ name, faults, taken, beyond, points, largestRssPercent, meanRssPercent }) =>
        `${name.padEnd(24)} ${String(faults).padStart(8)} ${String(taken).padStart(8)} ${String(beyond).padStart(8)} ${String(points).padStart(11)} ${percent(largestRssPercent)} ${percent(meanRssPercent)}`,
    ),
  ].join('\n')
}
