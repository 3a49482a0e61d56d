/**
 * The cost model against published measurements: `npm run bench -- populate [--json]`.
 *
 * Each of the 190 cells of the table is run on a simulated machine as its author ran it: the mapping is made, what the accesses need is
 * done, and what is timed is done once, or for 2 MiB a few times, as the table has the best of ten runs. Between two runs private mappings are
 * dropped and files punched empty, so a private mapping finds its file cached, and 2 MiB find their pages in the processor's cache.
 *
 * The parameters are those constants of the cost model that some cell depends on.
 */
import { COST_NAMES } from '../kernel/base/cost.ts'
import { createSimulation, runOp, type Simulation } from '../sim/simulation.ts'
import { parseWorkload } from '../workload/parse.ts'
import { ACCESSES, type Access, type Mapping, type Memory, PUBLISHED } from './bench_populate_table.ts'

export interface Cell {
  readonly size_mib: number
  readonly mapping: Mapping
  readonly memory: Memory
  readonly access: Access
  readonly published_ms: number
  readonly predicted_ms: number
}

export interface PopulateResult {
  readonly cells: readonly Cell[]
  /** How many constants of the cost model the table depends on. */
  readonly parameters: number
  readonly parameter_names: readonly string[]
}

const MACHINE = 'machine mem=16G disk=9G\ncmdline transparent_hugepage=never hugepages=2100\n'
/** Nothing is written to the disk meanwhile. */
const KNOBS = ['dirty_writeback_centisecs 0', 'dirty_ratio 95', 'dirty_background_ratio 90']
  .map(knob => `write /proc/sys/vm/${knob}\n`)
  .join('')
const MOUNTS = 'mount tmpfs /t size=8G\nmount hugetlbfs /h\n'
const HUGE: readonly Memory[] = ['Anon 2 MiB', 'Memfd 2 MiB', 'hugetlbfs']
const FILES: Readonly<Partial<Record<Memory, string>>> = { tmpfs: 'file=/t/f', file: 'file=/mnt/f', hugetlbfs: 'file=/h/f' }
/** Knobs, mounts, the process and its mapping. */
const LINES_BEFORE = 3 + 2 + 1 + 1
/** Runs of 2 MiB, of which the last counts. */
const RUNS = 3
const MIB_PER_PIECE = 2

/** The line that makes the mapping. */
function mmapLine(mib: number, mapping: Mapping, memory: Memory): string {
  const flags = [...(mapping === 'shared' ? ['shared'] : []), ...(memory === 'Anon 2 MiB' ? ['hugetlb'] : [])]
  const what = memory === 'Memfd 4 KiB' ? 'memfd' : memory === 'Memfd 2 MiB' ? 'memfd=hugetlb' : (FILES[memory] ?? '')
  return `A mmap R ${mib}M ${what} ${flags.length > 0 ? `flags=${flags.join(',')}` : ''}`
}

/** What undoes a run. */
function resetLine(mapping: Mapping, memory: Memory): string {
  if (mapping === 'private') return 'A madvise R dontneed'
  return memory.startsWith('Anon') ? 'A madvise R remove' : 'A fallocate R punch'
}

/** The lines that are timed. */
function accessLines(mib: number, memory: Memory, access: Access): string[] {
  const stride = HUGE.includes(memory) ? ' stride=2M' : ''
  return access.split('+').flatMap(part => {
    switch (part) {
      case 'FALLOCATE':
        return ['A fallocate R alloc']
      case 'POPULATE_READ':
      case 'POPULATE_WRITE':
        return [`A madvise R ${part.toLowerCase()}`]
      case 'Read/Write':
        return Array.from({ length: mib / MIB_PER_PIECE }, (_, i) => `${i * MIB_PER_PIECE}M ${MIB_PER_PIECE}M`).flatMap(range => [
          `A touch R read ${range}${stride}`,
          `A touch R write ${range}${stride}`,
        ])
      default:
        return [`A touch R ${part.toLowerCase()}${stride}`]
    }
  })
}

/** Virtual milliseconds that the next `lines` lines take. */
function timedMs(sim: Simulation, lines: number): number {
  let ns = 0
  for (let i = 0; i < lines; i++) ns += Number(runOp(sim, () => undefined)?.fields['elapsed_ns'] ?? 0)
  return ns / 1e6
}

/** MiB that the process has written before, by which its pages lie elsewhere in the processor's cache. */
const PLACES = [0, 1, 3]

/**
 * Runs one cell; what fits into the processor's cache in several places, of which the median counts.
 * @param used gets the names of the constants that its time depends on
 */
export function predictMs(mib: number, mapping: Mapping, memory: Memory, access: Access, used: Set<string>): number {
  const places = mib > MIB_PER_PIECE ? [0] : PLACES
  const times = places.map(place => runMs(mib, mapping, memory, access, place, used)).sort((a, b) => a - b)
  return times[times.length >> 1]
}

function runMs(mib: number, mapping: Mapping, memory: Memory, access: Access, placeMib: number, used: Set<string>): number {
  const lines = accessLines(mib, memory, access)
  const cached = mapping === 'private' && !memory.startsWith('Anon') && !HUGE.includes(memory)
  const reset = resetLine(mapping, memory)
  const place = placeMib > 0 ? [`A mmap P ${placeMib}M`, 'A touch P write'] : []
  const before = cached && mib > MIB_PER_PIECE ? ['A madvise R populate_read', reset] : []
  const runs = mib > MIB_PER_PIECE ? 1 : RUNS
  const body = Array.from({ length: runs }, () => [...lines, reset]).flat()
  const text = [MACHINE + KNOBS + MOUNTS.trimEnd(), 'spawn A', ...place, mmapLine(mib, mapping, memory), ...before, ...body].join('\n')
  const sim = createSimulation(parseWorkload(text, 'populate'))
  timedMs(sim, LINES_BEFORE + place.length + before.length + (runs - 1) * (lines.length + 1))
  const costs = sim.k.costNs.slice()
  const ms = timedMs(sim, lines.length)
  sim.k.costNs.forEach((ns, i) => {
    if (ns > costs[i]) used.add(COST_NAMES[i])
  })
  return ms
}

export function runPopulate(): PopulateResult {
  const used = new Set<string>()
  const cells = PUBLISHED.flatMap(([mib, mapping, memory, published]) =>
    published.map((us, i): Cell => {
      const access = ACCESSES[i]
      const predicted_ms = predictMs(mib, mapping, memory, access, used)
      return { size_mib: mib, mapping, memory, access, published_ms: us / 1000, predicted_ms }
    }),
  )
  const names = [...used].filter(isFitted).concat('cache_pages')
  return { cells, parameters: names.length, parameter_names: names }
}

/**
 * The size of the processor's cache is one more. Who reads the workload's lines is another thread, and the switches to it and back are not
 * in the time taken.
 */
const isFitted = (name: string): boolean => name !== 'context_switch'

// --- the orderings that the text claims

export interface Claim {
  readonly text: string
  /** Where it does not hold. */
  readonly broken: readonly string[]
}

type Times = ReadonlyMap<Access, number>

/** Predicted times of each mapping of 4 KiB pages at full size, where the text's claims are meant. */
function rowsOf({ cells }: PopulateResult, mapping: Mapping): Map<Memory, Times> {
  const rows = new Map<Memory, Map<Access, number>>()
  for (const cell of cells) {
    if (cell.mapping !== mapping || cell.size_mib !== 4096 || HUGE.includes(cell.memory)) continue
    rows.set(cell.memory, (rows.get(cell.memory) ?? new Map()).set(cell.access, cell.predicted_ms))
  }
  return rows
}

/** Whether each of `faster` takes less than each of `slower` that the row has. */
const ordered = (times: Times, faster: readonly Access[], slower: readonly Access[]): boolean =>
  faster.every(a => slower.every(b => (times.get(a) ?? 0) < (times.get(b) ?? Number.POSITIVE_INFINITY)))

/** The claims of the commit's text, each over the rows that it is about. */
export function claimsOf(result: PopulateResult): Claim[] {
  const shared = rowsOf(result, 'shared')
  const claim = (text: string, rows: ReadonlyMap<Memory, Times>, holds: (times: Times, memory: Memory) => boolean): Claim => ({
    text,
    broken: [...rows].filter(([memory, times]) => !holds(times, memory)).map(([memory]) => memory),
  })
  const withFile = new Map([...shared].filter(([, times]) => times.has('FALLOCATE')))
  const memoryFiles = new Map([...withFile].filter(([memory]) => memory !== 'file'))
  const onDisk = new Map([...withFile].filter(([memory]) => memory === 'file'))
  const without = new Map([...shared].filter(([, times]) => !times.has('FALLOCATE')))
  const writes = ['Write', 'Read/Write'] as const
  const backing = [...writes, 'POPULATE_READ', 'Read'] as const
  return [
    claim('private: POPULATE_READ is faster than reads', rowsOf(result, 'private'), t => ordered(t, ['POPULATE_READ'], ['Read'])),
    claim('private: POPULATE_WRITE is faster than writes and read/writes', rowsOf(result, 'private'), t =>
      ordered(t, ['POPULATE_WRITE'], writes),
    ),
    claim('shared: fallocate is fastest', withFile, t =>
      ordered(
        t,
        ['FALLOCATE'],
        ACCESSES.filter(access => access !== 'FALLOCATE'),
      ),
    ),
    claim('shared: POPULATE_WRITE is faster than writes and read/writes', shared, t => ordered(t, ['POPULATE_WRITE'], writes)),
    claim('shared: POPULATE_READ is faster than reads, files on disk excepted', new Map([...without, ...memoryFiles]), t =>
      ordered(t, ['POPULATE_READ'], ['Read']),
    ),
    claim('shared without a file: POPULATE_WRITE is the fastest way to storage and tables', without, t =>
      ordered(t, ['POPULATE_WRITE'], backing),
    ),
    claim('shared with a file: FALLOCATE+POPULATE_WRITE is the fastest way to storage and tables', memoryFiles, t =>
      ordered(
        t,
        ['FALLOCATE+POPULATE_WRITE'],
        [...backing, 'POPULATE_WRITE', 'FALLOCATE+POPULATE_READ', 'FALLOCATE+Read', 'FALLOCATE+Write'],
      ),
    ),
    claim('files on disk: FALLOCATE+Read is slightly faster than FALLOCATE+POPULATE_READ', onDisk, t =>
      ordered(t, ['FALLOCATE+Read'], ['FALLOCATE+POPULATE_READ']),
    ),
    claim('files on disk: FALLOCATE+POPULATE_READ is faster than FALLOCATE+POPULATE_WRITE', onDisk, t =>
      ordered(t, ['FALLOCATE+POPULATE_READ'], ['FALLOCATE+POPULATE_WRITE', 'POPULATE_WRITE']),
    ),
  ]
}

// --- as text

const errorOf = ({ predicted_ms, published_ms }: Cell): number => predicted_ms / published_ms - 1

export function populateText(result: PopulateResult): string {
  const lines = result.cells.map(cell => {
    const what = `${String(cell.size_mib).padStart(4)} MiB ${cell.mapping.padEnd(8)} ${cell.memory.padEnd(12)} ${cell.access.padEnd(26)}`
    const percent = `${(errorOf(cell) * 100).toFixed(1)}%`
    return `${what} published ${cell.published_ms.toFixed(3).padStart(9)} ms   predicted ${cell.predicted_ms.toFixed(3).padStart(9)} ms ${percent.padStart(7)}`
  })
  const near = result.cells.filter(cell => Math.abs(errorOf(cell)) <= 0.1).length
  const worst = Math.max(...result.cells.map(cell => Math.abs(errorOf(cell))))
  const claims = claimsOf(result).map(({ text, broken }) => `${broken.length === 0 ? 'holds' : `fails for ${broken.join(', ')}`}: ${text}`)
  const summary = [
    `${near} of ${result.cells.length} cells within 10%, the worst ${(worst * 100).toFixed(1)}% off`,
    `${result.parameters} parameters: ${result.parameter_names.join(' ')}`,
  ]
  return `${[...lines, '', ...summary, '', ...claims].join('\n')}\n`
}
