/**
 * The texts of the NUMA tools that people know, made of any sample: numastat, numastat -m, numastat -p and numactl --hardware, --show.
 *
 *     numastat        events of each node, as its numastat file counts them
 *     -m, -n          a node's meminfo, or those events, in MB with a column of totals
 *     -p PID|NAME     where a process' memory is, from its numa_maps: huge, heap, stack, private; of several processes a row each
 *     --hardware      nodes, their CPUs, sizes and distances
 *     --show          what may a process do: policy, CPUs, nodes; of its next interleave node nobody but itself can tell
 *
 * Layout: a table has a column of 16 for names (of processes 17 to 24) and columns of 16 for figures, two digits behind the point; where
 * the screen is too narrow for all columns it goes on below. Rows that no node has a figure for are left out, with -z those of zeros as
 * well.
 *
 * Source: numastat(8) and numactl(8) of numactl 2.0.
 */
import type { NodeSample, Sample, Task } from '../sample/sample.ts'
import { bytesOfPages } from './page_size.ts'
import { taskName } from './subjects/tasks.ts'

export interface NumastatOptions {
  readonly what: 'events' | 'events in MB' | 'meminfo'
  /** Leave out rows and columns of zeros. */
  readonly skipZeros: boolean
  /** Columns as narrow as their figures. */
  readonly compress: boolean
  /** Columns of the screen. */
  readonly width: number
}

type Looks = Omit<NumastatOptions, 'what'>

const MB = 2 ** 20
const COLUMN = 16
/** The first column of processes is wider, and grows with their names so far. */
const PROCESS_COLUMN = 17
const PROCESS_COLUMN_MOST = 24

const EVENTS = ['numa_hit', 'numa_miss', 'numa_foreign', 'interleave_hit', 'local_node', 'other_node'] as const

/** Figures of meminfo in the order of the tool; the machine's other ones are left out. */
const MEMINFO = [
  ...['MemTotal', 'MemFree', 'MemUsed', 'SwapCached', 'HighTotal', 'HighFree', 'LowTotal', 'LowFree', 'Active', 'Inactive'],
  ...['Active(anon)', 'Inactive(anon)', 'Active(file)', 'Inactive(file)', 'Unevictable', 'Mlocked', 'Dirty', 'Writeback', 'FilePages'],
  ...['Mapped', 'AnonPages', 'Shmem', 'KernelStack', 'PageTables', 'NFS_Unstable', 'Bounce', 'WritebackTmp', 'Slab', 'SReclaimable'],
  ...['SUnreclaim', 'AnonHugePages', 'ShmemHugePages', 'ShmemPmdMapped', 'FileHugePages', 'FilePmdMapped'],
  ...['HugePages_Total', 'HugePages_Free', 'HugePages_Surp', 'KReclaimable'],
]

interface Row {
  readonly name: string
  /** A figure a column; undefined where there is none; 'rule' for a line. */
  readonly cells: readonly (number | undefined)[] | 'rule'
}

// --- tables

const dashes = (width: number) => '-'.repeat(width - 1)

interface Column {
  readonly width: number
  readonly cells: readonly string[]
}

/** Lines of a table: a heading, a rule where there is one, and rows; folded to the width of the screen. */
function tableLines(
  corner: string,
  headings: readonly string[],
  rule: boolean,
  rows: readonly Row[],
  places: number,
  looks: Looks,
  [least, most]: readonly [least: number, most: number] = [COLUMN, COLUMN],
): string[] {
  const shown = rows.filter(({ cells }) => cells === 'rule' || isShown(cells, looks))
  const figures = rows.flatMap(({ cells }) => (cells === 'rule' ? [] : [cells]))
  if (figures.every(cells => cells.every(cell => cell === undefined))) return ['Table has no data.']
  if (looks.skipZeros && figures.every(cells => cells.every(cell => (cell ?? 0) === 0))) return ['Table has no non-zero data.']
  const columns = headings
    .map((heading, i) => ({ heading, i }))
    .filter(({ i }) =>
      isShown(
        figures.map(cells => cells[i]),
        looks,
      ),
    )
    .map(({ heading, i }) =>
      column(
        heading,
        shown.map(({ cells }) => (cells === 'rule' ? undefined : text(cells[i], places))),
        rule,
        looks,
      ),
    )
  const names = [
    corner,
    ...(rule ? [corner === '' ? '' : dashes(COLUMN)] : []),
    ...shown.map(({ name, cells }) => (cells === 'rule' ? dashes(COLUMN) : name)),
  ]
  const longest = Math.max(...names.map(name => (/^-/.test(name) ? 0 : name.length)))
  const nameWidth = Math.max(looks.compress ? 0 : least, Math.min(most, longest + 1))
  const left = names.map(name => (/^-{9}/.test(name) ? dashes(nameWidth) : name).slice(0, nameWidth).padEnd(nameWidth))
  return folded(left, columns, looks.width)
}

const isShown = (cells: readonly (number | undefined)[], { skipZeros }: Looks) =>
  skipZeros ? cells.some(cell => (cell ?? 0) !== 0) : cells.some(cell => cell !== undefined)

const text = (value: number | undefined, places: number) => (value === undefined ? '' : value.toFixed(places))

function column(heading: string, cells: readonly (string | undefined)[], rule: boolean, { compress }: Looks): Column {
  const longest = Math.max(4, heading.length, ...cells.map(cell => cell?.length ?? 0))
  const width = compress ? Math.min(COLUMN, longest + 1) : COLUMN
  const line = dashes(width)
  return {
    width,
    cells: [heading, ...(rule ? [line] : []), ...cells.map(cell => cell ?? line)].map(cell => cell.slice(0, width).padStart(width)),
  }
}

/** As many columns beside each other as fit, at least one; the rest below, after an empty line. */
function folded(left: readonly string[], columns: readonly Column[], width: number): string[] {
  const lines: string[] = []
  for (let at = 0; at < columns.length; ) {
    let end = at + 1
    let used = left[0].length + columns[at].width
    while (end < columns.length && used + columns[end].width <= width) used += columns[end++].width
    if (at > 0) lines.push('')
    const part = columns.slice(at, end)
    for (const [i, name] of left.entries()) lines.push(name + part.map(({ cells }) => cells[i]).join(''))
    at = end
  }
  return lines
}

// --- numastat of the machine

export function numastatLines(sample: Sample, { what, ...looks }: NumastatOptions): string[] {
  const nodes = sample.nodes()
  if (what === 'events') {
    const rows = EVENTS.map(name => ({ name, cells: nodes.map(node => node.numastat.get(name)) }))
    return tableLines(
      '',
      nodes.map(({ node }) => `node${node}`),
      false,
      rows,
      0,
      looks,
    )
  }
  const hugeBytes = sample.meminfo().bytes.get('Hugepagesize') ?? 0
  const rows =
    what === 'meminfo'
      ? MEMINFO.map(name => ({ name, cells: withTotal(nodes.map(node => memoryMb(node, name, hugeBytes))) }))
      : EVENTS.map(name => ({ name: titled(name), cells: withTotal(nodes.map(node => pagesMb(node.numastat.get(name)))) }))
  const title = what === 'meminfo' ? 'Per-node system memory usage (in MBs):' : 'Per-node numastat info (in MBs):'
  return ['', title, ...tableLines('', nodeHeadings(nodes), true, rows, looks.compress ? 0 : 2, looks)]
}

const nodeHeadings = (nodes: readonly NodeSample[]) => [...nodes.map(({ node }) => `Node ${node}`), 'Total']

const titled = (name: string) => name.replace(/(^|_)[a-z]/g, letter => letter.toUpperCase())

const pagesMb = (pages: number | undefined) => (pages === undefined ? undefined : bytesOfPages(pages) / MB)

function memoryMb({ meminfo }: NodeSample, name: string, hugeBytes: number): number | undefined {
  const bytes = meminfo.bytes.get(name)
  const pages = meminfo.counts.get(name)
  return bytes !== undefined ? bytes / MB : pages === undefined ? undefined : (pages * hugeBytes) / MB
}

const withTotal = (cells: readonly (number | undefined)[]): (number | undefined)[] => [
  ...cells,
  cells.every(cell => cell === undefined) ? undefined : cells.reduce<number>((sum, cell) => sum + (cell ?? 0), 0),
]

// --- numastat of processes

const KINDS = ['huge', 'heap', 'stack', 'private'] as const
type Kind = (typeof KINDS)[number]

/** MB on each node by kind; undefined where numa_maps was not read. */
function mbByKind(task: Task, nodes: readonly NodeSample[]): Map<Kind, number[]> {
  const sums = new Map<Kind, number[]>(KINDS.map(kind => [kind, nodes.map(() => 0)]))
  for (const { huge, kind, pages, pageBytes } of task.numaMaps) {
    const sum = sums.get(huge ? 'huge' : kind) ?? []
    for (const [i, { node }] of nodes.entries()) sum[i] += ((pages.get(`N${node}`) ?? 0) * pageBytes) / MB
  }
  return sums
}

const nameOf = (task: Task) => taskName(task) || '?'

/** Where processes' memory is: of one its kinds, of several a row each. */
export function processLines(sample: Sample, pids: readonly number[], looks: Looks): string[] {
  const nodes = sample.nodes()
  const tasks = sample.tasks().filter(task => pids.includes(task.pid))
  const places = looks.compress ? 0 : 2
  const only = tasks.length === 1 ? tasks[0] : undefined
  const sums = tasks.map(task => mbByKind(task, nodes))
  const rows =
    only === undefined
      ? tasks.map((task, i) => ({ name: `${task.pid} (${nameOf(task)})`, cells: withTotal(addedUp([...sums[i].values()], nodes)) }))
      : KINDS.map(kind => ({ name: titled(kind), cells: withTotal(sums[0].get(kind) ?? []) }))
  const total: Row[] = [
    { name: '', cells: 'rule' },
    {
      name: 'Total',
      cells: withTotal(
        addedUp(
          sums.flatMap(sum => [...sum.values()]),
          nodes,
        ),
      ),
    },
  ]
  const title = `Per-node process memory usage (in MBs)${only === undefined ? '' : ` for PID ${only.pid} (${nameOf(only)})`}`
  return [
    '',
    title,
    ...tableLines(only === undefined ? 'PID' : '', nodeHeadings(nodes), true, [...rows, ...total], places, looks, [
      PROCESS_COLUMN,
      PROCESS_COLUMN_MOST,
    ]),
  ]
}

const addedUp = (rows: readonly (readonly number[])[], nodes: readonly NodeSample[]): number[] =>
  nodes.map((_, i) => rows.reduce((sum, row) => sum + row[i], 0))

// --- numactl

/** "0-1,3" of ascending numbers. */
function listText(numbers: readonly number[]): string {
  const runs: string[] = []
  for (let i = 0; i < numbers.length; ) {
    let last = i
    while (numbers[last + 1] === numbers[last] + 1) last++
    runs.push(last === i ? `${numbers[i]}` : `${numbers[i]}-${numbers[last]}`)
    i = last + 1
  }
  return runs.join(',')
}

const megabytes = (bytes: number | undefined) => (bytes === undefined ? '<not available>' : `${Math.floor(bytes / MB)} MB`)

/** numactl --hardware. */
export function hardwareLines(sample: Sample): string[] {
  const nodes = sample.nodes()
  const known = nodes.length > 0 && nodes.every(({ distances }) => distances.length > 0)
  const figure = (n: number) => `${String(n).padStart(3)} `
  return [
    `available: ${nodes.length} nodes (${listText(nodes.map(({ node }) => node))})`,
    ...nodes.flatMap(({ node, cpus, meminfo }) => [
      `node ${node} cpus:${cpus.map(cpu => ` ${cpu}`).join('')}`,
      `node ${node} size: ${megabytes(meminfo.bytes.get('MemTotal'))}`,
      `node ${node} free: ${megabytes(meminfo.bytes.get('MemFree'))}`,
    ]),
    ...(known
      ? [
          'node distances:',
          `node ${nodes.map(({ node }) => figure(node)).join('')}`,
          ...nodes.map(({ node, distances }) => `${String(node).padStart(3)}: ${distances.map(figure).join('')}`),
        ]
      : ['No distance information available.']),
  ]
}

/** Names of modes: as numa_maps has them, and as numactl. */
const MODES: readonly (readonly [maps: string, tool: string])[] = [
  ['default', 'default'],
  ['prefer (many)', 'preferred-many'],
  ['prefer', 'preferred'],
  ['bind', 'bind'],
  ['interleave', 'interleave'],
  ['local', 'local'],
]

/** Numbers of "0-2,5". */
const numbersOf = (list: string): number[] =>
  list
    .split(',')
    .filter(part => /^\d+(-\d+)?$/.test(part))
    .flatMap(part => {
      const [first, last = first] = part.split('-').map(Number)
      return Array.from({ length: Math.min(last - first + 1, 4096) }, (_, i) => first + i)
    })

/** numactl --show, as the process would see it. */
export function showLines(sample: Sample, task: Task): string[] {
  const policy = task.numaMaps.find(({ kind }) => kind === 'stack')?.policy ?? task.numaMaps[0]?.policy ?? 'default'
  const [, mode] = MODES.find(([maps]) => policy.startsWith(maps)) ?? MODES[0]
  const nodes = numbersOf(policy.slice(policy.lastIndexOf(':') + 1))
  const texts = task.status?.texts
  const cpus = numbersOf(texts?.get('Cpus_allowed_list') ?? '')
  const mems = numbersOf(texts?.get('Mems_allowed_list') ?? '')
  const near = sample.nodes().filter(node => node.cpus.some(cpu => cpus.includes(cpu)))
  const mask = (name: string, numbers: readonly number[]) => `${name}: ${numbers.map(n => `${n} `).join('')}`
  return [
    `policy: ${mode}`,
    `preferred node: ${preferredNode(mode, nodes)}`,
    ...(mode === 'interleave' ? [mask('interleavemask', nodes), 'interleavenode: <not available>'] : []),
    mask('physcpubind', cpus),
    mask(
      'cpubind',
      near.map(({ node }) => node),
    ),
    mask(
      'nodebind',
      near.map(({ node }) => node),
    ),
    mask('membind', mode === 'bind' ? nodes : mems),
    mode === 'interleave' ? 'preferred: <not available>' : mask('preferred', preferredNodes(mode, nodes)),
  ]
}

function preferredNode(mode: string, nodes: readonly number[]): string {
  if (mode === 'interleave') return '<not available> (interleave next)'
  const [first] = preferredNodes(mode, nodes)
  if (first === undefined) return 'current'
  return mode === 'preferred-many' ? `${first} (preferred-many)` : String(first)
}

const preferredNodes = (mode: string, nodes: readonly number[]): readonly number[] =>
  mode === 'preferred-many' ? nodes : mode === 'preferred' || mode === 'bind' ? nodes.slice(0, 1) : []
