/**
 * Text that `vmstat DELAY` and sysstat's `sar` print, as frames: what someone has of a machine that nobody recorded.
 *
 *     vmstat [-w] [-t] [-a]      a row a sample, sizes in KiB           ──> /proc/meminfo and /proc/vmstat lines of the same figures
 *     sar -r ALL -B -W -S -H     sections, each with rows at the same times; times of a row are put together from all of them
 *
 * Rates become totals that grow from the first row on, so that the screens work them out again as they stood. What neither tool prints is
 * absent, and what had to be guessed is said in the notes; nothing is made up. One name is no kernel's: SwapUsed, as vmstat tells how much
 * swap is used but not how much there is.
 */
import type { Frame } from '../sample/source.ts'
import { cleanLine, words } from '../sample/text.ts'
import { UserError } from '../user_error.ts'

export interface Report {
  readonly frames: readonly Frame[]
  /** What the text did not say. */
  readonly notes: readonly string[]
}

/** Where a column goes: a line of meminfo, or a total of vmstat that grows by so much for each second of the interval. */
type Goal = { readonly meminfo: string } | { readonly total: string; readonly perUnit: number }

const level = (meminfo: string): Goal => ({ meminfo })
const total = (name: string, perUnit = 1): Goal => ({ total: name, perUnit })
const KIB_PER_PAGE = 4

const VMSTAT: Readonly<Record<string, Goal>> = {
  swpd: level('SwapUsed'),
  free: level('MemFree'),
  buff: level('Buffers'),
  cache: level('Cached'),
  inact: level('Inactive'),
  active: level('Active'),
  si: total('pswpin', 1 / KIB_PER_PAGE),
  so: total('pswpout', 1 / KIB_PER_PAGE),
  bi: total('pgpgin'),
  bo: total('pgpgout'),
}

const SAR: Readonly<Record<string, Goal>> = {
  kbmemfree: level('MemFree'),
  kbavail: level('MemAvailable'),
  kbbuffers: level('Buffers'),
  kbcached: level('Cached'),
  kbcommit: level('Committed_AS'),
  kbactive: level('Active'),
  kbinact: level('Inactive'),
  kbdirty: level('Dirty'),
  kbanonpg: level('AnonPages'),
  kbslab: level('Slab'),
  kbkstack: level('KernelStack'),
  kbpgtbl: level('PageTables'),
  kbvmused: level('VmallocUsed'),
  kbswpfree: level('SwapFree'),
  kbswpused: level('SwapUsed'),
  kbswpcad: level('SwapCached'),
  'pgpgin/s': total('pgpgin'),
  'pgpgout/s': total('pgpgout'),
  'fault/s': total('pgfault'),
  'majflt/s': total('pgmajfault'),
  'pgfree/s': total('pgfree'),
  'pgscank/s': total('pgscan_kswapd'),
  'pgscand/s': total('pgscan_direct'),
  'pgsteal/s': total('pgsteal'),
  'pgprom/s': total('pgpromote_success'),
  'pswpin/s': total('pswpin'),
  'pswpout/s': total('pswpout'),
}

/** Rows read at most. */
const ROWS_MAX = 1_000_000
const DAY_NS = 86_400e9

/** A row of figures by the names of their columns. */
interface Row {
  readonly ns: number
  /** Time that rates are of. */
  readonly seconds: number
  readonly figures: ReadonlyMap<string, number>
}

/**
 * @param intervalNs time between two rows where the text has no times
 * @throws UserError with file and line where it is not what vmstat prints
 */
export function readVmstat(text: string, file: string, intervalNs: number): Report {
  const rows: Row[] = []
  let columns: readonly string[] | undefined
  let startSeconds: number | undefined
  let timed = false
  for (const [i, line] of text.split('\n').entries()) {
    const cells = words(line)
    if (cells.length === 0 || /^procs|^-+procs/.test(line.trim())) continue
    if (cells.includes('free') && cells.includes('si')) {
      columns = cells
      continue
    }
    if (columns === undefined || !/^\d+$/.test(cells[0]))
      throw noLine(file, i, 'vmstat', 'columns named r b swpd free ..., and numbers below them')
    if (rows.length >= ROWS_MAX) throw new UserError(`more than ${ROWS_MAX} rows`, { file, line: i + 1 })
    const stamp = stampSeconds(line)
    timed ||= stamp !== undefined
    startSeconds ??= stamp
    const before = rows.at(-1)?.ns
    const ns = stamp === undefined || startSeconds === undefined ? (before ?? -intervalNs) + intervalNs : (stamp - startSeconds) * 1e9
    // Two rows of one second, and a clock that was set back, are read as they stand.
    const later = before !== undefined && ns <= before ? before + 1e6 : ns
    rows.push({ ns: later, seconds: before === undefined ? 0 : (later - before) / 1e9, figures: figuresOf(columns, cells) })
  }
  if (rows.length === 0) throw new UserError('no row of figures: is this the output of vmstat DELAY?', { file })
  const notes = [
    ...(timed ? [] : [`the text has no times (vmstat -t prints them): a row every ${intervalNs / 1e9} s is assumed`]),
    'sizes are taken as KiB, as vmstat prints them without -S',
    'the rates of the first row are averages since boot, and left out',
    'cache is shown as Cached, which on a machine is less by the reclaimable slab; swpd as SwapUsed, a line that no kernel has',
    'not in the text: how much memory and swap there is, what is anonymous, page faults, reclaim, zones, processes; r, b and CPU times are not kept',
  ]
  return { frames: framesOf(rows, VMSTAT), notes }
}

/** "2026-11-20 15:29:22" at the end of a line. */
function stampSeconds(line: string): number | undefined {
  const match = /\s(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)\s*$/.exec(line)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number)
  return (daysBefore(year, month) + day) * 86_400 + (hour * 60 + minute) * 60 + second
}

/** Days from an arbitrary one to the first of a month in the Gregorian calendar. */
function daysBefore(year: number, month: number): number {
  const [y, m] = month > 2 ? [year, month - 3] : [year - 1, month + 9]
  return 365 * y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + Math.floor((153 * m + 2) / 5)
}

function figuresOf(columns: readonly string[], cells: readonly string[]): Map<string, number> {
  return new Map(
    columns.flatMap((name, i): [string, number][] => {
      const value = cells[i] === undefined ? Number.NaN : Number(cells[i].replace(',', '.'))
      return Number.isFinite(value) && value >= 0 ? [[name, value]] : []
    }),
  )
}

/** What is known of sar's text while it is read. */
interface SarReader {
  /** Moment -> its figures from all sections. */
  readonly moments: Map<number, { seconds: number; figures: Map<string, number> }>
  columns: readonly string[] | undefined
  lastNs: number
  restarts: number
  readonly unknown: Set<string>
}

const CLOCK = /^(\d{1,2})[:h](\d\d)[:m](\d\d)s?(?: ([AP]M))?\s+(.*)$/

/** @throws UserError with file and line where it is not what sar prints */
export function readSar(text: string, file: string): Report {
  const reader: SarReader = { moments: new Map(), columns: undefined, lastNs: 0, restarts: 0, unknown: new Set() }
  let model = ''
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || /^Average:|^Summary:|^Moyenne|^Durchschn/.test(line)) continue
    if (/^Linux \S+/.test(line)) {
      model = cleanLine(words(line).slice(0, 2).join(' '))
      continue
    }
    const match = CLOCK.exec(line.trim())
    if (match === null) throw noLine(file, i, 'sar', 'a time, and names or figures behind it')
    if (reader.moments.size > ROWS_MAX) throw new UserError(`more than ${ROWS_MAX} rows`, { file, line: i + 1 })
    takeSarLine(reader, clockNs(match), match[5])
  }
  const rows = [...reader.moments].sort(([a], [b]) => a - b).map(([ns, { seconds, figures }]): Row => ({ ns, seconds, figures }))
  const known = rows.filter(({ figures }) => [...figures.keys()].some(name => Object.hasOwn(SAR, name)))
  if (known.length === 0) throw new UserError('no figures of memory: sar -r ALL -B -W -S prints them', { file })
  const startNs = known[0].ns
  const sized = known.map(row => ({ ...row, ns: row.ns - startNs }))
  const memTotal = sizeOfMemory(known)
  const notes = [
    ...(memTotal === undefined ? [] : [`MemTotal is worked out of kbmemused and %memused: ${memTotal} kB`]),
    ...(reader.restarts > 0 ? [`the machine began anew ${reader.restarts} times meanwhile`] : []),
    ...(reader.unknown.size > 0 ? [`not kept: ${[...reader.unknown].slice(0, 30).join(' ')}`] : []),
    'pgsteal is of kswapd and processes together; zones, nodes and processes are not in the text',
  ]
  return { frames: framesOf(sized, SAR, memTotal, model), notes }
}

function clockNs(match: RegExpExecArray): number {
  const hour = match[4] === undefined ? Number(match[1]) : (Number(match[1]) % 12) + (match[4] === 'PM' ? 12 : 0)
  return ((hour * 60 + Number(match[2])) * 60 + Number(match[3])) * 1e9
}

/** Columns are named at the time of the sample before their first row. */
function takeSarLine(reader: SarReader, clock: number, rest: string): void {
  if (/^LINUX RESTART/.test(rest)) {
    reader.restarts++
    return
  }
  const cells = words(rest)
  if (cells.some(cell => /^[a-z%]/i.test(cell) && !/^(all|inf|nan)$/i.test(cell))) {
    const again = reader.columns !== undefined && cells.join() === reader.columns.join()
    reader.columns = cells
    // The same names come again at the top of each page.
    if (!again) reader.lastNs = clock
    for (const name of cells) if (!Object.hasOwn(SAR, name) && !/^%/.test(name) && name !== 'kbmemused') reader.unknown.add(name)
    return
  }
  if (reader.columns === undefined) return
  let ns = clock
  while (ns < reader.lastNs) ns += DAY_NS
  const moment = reader.moments.get(ns) ?? { seconds: (ns - reader.lastNs) / 1e9, figures: new Map<string, number>() }
  for (const [name, value] of figuresOf(reader.columns, cells)) moment.figures.set(name, value)
  reader.moments.set(ns, moment)
  reader.lastNs = ns
}

/** In KiB, from the row that tells it most exactly. */
function sizeOfMemory(rows: readonly Row[]): number | undefined {
  const best = rows.reduce<Row | undefined>(
    (most, row) => ((row.figures.get('%memused') ?? 0) > (most?.figures.get('%memused') ?? 1) ? row : most),
    undefined,
  )
  const [used, percent] = [best?.figures.get('kbmemused'), best?.figures.get('%memused')]
  return used === undefined || percent === undefined ? undefined : Math.round(used / (percent / 100))
}

function framesOf(rows: readonly Row[], goals: Readonly<Record<string, Goal>>, memTotalKb?: number, model = ''): Frame[] {
  const totals = new Map<string, number>()
  return rows.map(({ ns, seconds, figures }): Frame => {
    const meminfo = new Map<string, number>(memTotalKb === undefined ? [] : [['MemTotal', memTotalKb]])
    for (const [name, value] of figures) {
      const goal = Object.hasOwn(goals, name) ? goals[name] : undefined
      if (goal === undefined) continue
      if ('meminfo' in goal) meminfo.set(goal.meminfo, Math.round(value))
      else totals.set(goal.total, (totals.get(goal.total) ?? 0) + value * seconds * goal.perUnit)
    }
    const [free, used] = [meminfo.get('SwapFree'), meminfo.get('SwapUsed')]
    if (free !== undefined && used !== undefined) {
      meminfo.set('SwapTotal', free + used)
      meminfo.delete('SwapUsed')
    }
    const freeKb = meminfo.get('MemFree')
    const counters = [...(freeKb === undefined ? [] : [['nr_free_pages', freeKb / KIB_PER_PAGE] as const]), ...totals]
    return {
      ns,
      files: new Map([
        ['/proc/meminfo', [...meminfo].map(([name, kb]) => `${`${name}:`.padEnd(16)}${String(kb).padStart(8)} kB\n`).join('')],
        ['/proc/vmstat', counters.map(([name, value]) => `${name} ${Math.round(value)}\n`).join('')],
        ...(model === '' ? [] : [['/mmtop/machine', `model ${model}\n`] as const]),
      ]),
    }
  })
}

function noLine(file: string, index: number, tool: string, expected: string): UserError {
  return new UserError(`no line of ${tool}: ${expected} are expected`, { file, line: index + 1 })
}
