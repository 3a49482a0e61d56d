/** NUMA nodes: what each holds, who got memory where it wanted it, and how far they are apart. */
import type { Model } from '../../sample/model.ts'
import { lineChart } from '../chart.ts'
import { formatBytes, formatCount, formatPercent } from '../format.ts'
import { fillOf, segmentBar } from '../glyphs.ts'
import { arrange, type Block, block, chartBlock, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Span, span } from '../panel.ts'
import { NODE_COLUMNS, type NodeRow, nodeRows, numastatRate, usedBytes } from '../subjects/nodes.ts'
import { drawTable } from '../table.ts'
import { fitText } from '../width.ts'
import { type Clauses, counterBlock, knobBlock, words } from './common.ts'

const COUNTERS = [
  'numa_hit',
  'numa_miss',
  'numa_local',
  'numa_other',
  'numa_interleave',
  'numa_hint_faults',
  'numa_hint_faults_local',
  'numa_pages_migrated',
  'pgmigrate_success',
  'pgmigrate_fail',
] as const

const KNOBS = ['/proc/sys/kernel/numa_balancing', '/proc/sys/vm/zone_reclaim_mode', '/sys/kernel/mm/numa/demotion_enabled']

/** What a node's memory is used for, of the lines of its meminfo; together with what is free nearly all of it. */
const PARTS: readonly { readonly name: string; readonly about: string; readonly bytes: (row: NodeRow, pageBytes: number) => number }[] = [
  { name: 'huge anon', about: 'AnonHugePages', bytes: row => bytesOf(row, 'AnonHugePages') },
  { name: 'other anon', about: 'AnonPages', bytes: row => bytesOf(row, 'AnonPages') - bytesOf(row, 'AnonHugePages') },
  { name: 'file', about: 'FilePages', bytes: row => bytesOf(row, 'FilePages') - bytesOf(row, 'Shmem') },
  { name: 'shmem', about: 'Shmem', bytes: row => bytesOf(row, 'Shmem') },
  {
    name: 'kernel',
    about: 'Slab',
    bytes: row => ['Slab', 'PageTables', 'KernelStack'].reduce((sum, key) => sum + bytesOf(row, key), 0),
  },
  { name: 'pool', about: 'HugePages_Total', bytes: (row, pageBytes) => (row.node.meminfo.counts.get('HugePages_Total') ?? 0) * pageBytes },
]

const bytesOf = ({ node }: NodeRow, key: string): number => node.meminfo.bytes.get(key) ?? 0

export const nodes: PanelFunction = (model, ui, size): Panel => {
  const rows = nodeRows(model)
  const said = words(clauses(model, rows), size, ui.ascii)
  const bars = section(
    'what each node holds',
    barBlock(rows, model.sample.meminfo().bytes.get('Hugepagesize') ?? 0, size.width, ui),
    ui.ascii,
  )
  const table = section(
    'memory and allocations per second',
    drawTable({ columns: NODE_COLUMNS, rows, sort: undefined, selected: -1 }, model, size.width, ui.ascii),
    ui.ascii,
  )
  const parts = [
    {
      title: 'all nodes, per second',
      least: 40,
      make: (width: number) => counterBlock(model, COUNTERS.slice(0, Math.max(4, size.height - 10 - 2 * rows.length)), width, ui),
    },
    { title: 'distances', least: 8 + 5 * Math.min(8, rows.length), make: (width: number) => distanceBlock(rows, width, ui) },
    { title: 'knobs', least: 24, make: (width: number) => knobBlock(model, KNOBS, width, ui) },
  ]
  const blocks = [said, bars, table, ...arrange(parts, size.width, ui.ascii)]
  const left = size.height === Number.POSITIVE_INFINITY ? 8 : size.height - blocks.reduce((sum, part) => sum + part.rows.length, 0)
  const lines = rows.slice(0, 5).map(row => ({ name: `N${row.node.node}`, keys: [`N${row.node.node}.MemFree`] }))
  const most = Math.max(1, ...rows.map(row => row.node.meminfo.bytes.get('MemTotal') ?? 0))
  const chart =
    left >= 5 && lines.length > 0 ? [chartBlock(lineChart(model, 'free memory', lines, ui.zoom, most), size.width, Math.min(left, 24))] : []
  return toPanel([...blocks, ...chart], size, ui)
}

function clauses(model: Model, rows: readonly NodeRow[]): Clauses {
  if (rows.length === 0) return ['This source has no per-node files']
  const used = rows.map(row => usedBytes(row) ?? 0)
  const all = used.reduce((sum, bytes) => sum + bytes, 0)
  const top = used.indexOf(Math.max(...used))
  const [hit, miss] = ['numa_hit', 'numa_miss'].map(key => rows.reduce((sum, row) => sum + (numastatRate(row, key) ?? 0), 0))
  const [hitTotal, missTotal] = ['numa_hit', 'numa_miss'].map(key => rows.reduce((sum, row) => sum + (row.node.numastat.get(key) ?? 0), 0))
  const share = (part: number, whole: number) => formatPercent(whole > 0 ? (part / whole) * 100 : 0)
  return [
    rows.length === 1
      ? `one node with ${formatBytes(all)} in use`
      : `node ${rows[top].node.node} holds ${share(used[top], all)} of the ${formatBytes(all)} in use on ${rows.length} nodes`,
    hit + miss > 0
      ? `${formatCount(hit + miss)} allocations/s, ${share(hit, hit + miss)} on the node they wanted`
      : model.before !== undefined && 'no allocations',
    remoteShare(rows),
    missTotal > 0 ? `${share(missTotal, hitTotal + missTotal)} missed it since boot` : 'none missed it since boot',
  ]
}

/** How much of what CPUs move is memory of other nodes. */
function remoteShare(rows: readonly NodeRow[]): string | undefined {
  const bytes = rows.reduce((sum, row) => sum + (row.traffic?.bytes ?? 0), 0)
  const remote = rows.reduce((sum, row) => sum + (row.traffic?.remote ?? 0), 0)
  return bytes < 1 ? undefined : `${formatBytes(bytes)}/s moved, ${formatPercent((remote / bytes) * 100)} across nodes`
}

function barBlock(rows: readonly NodeRow[], pageBytes: number, width: number, ui: PanelUi): Block {
  const most = Math.max(1, ...rows.map(row => bytesOf(row, 'MemTotal')))
  const legend: Row = PARTS.flatMap(({ name }, i): Span[] => {
    const { sign, style } = fillOf(i, ui.ascii)
    return [span(`${sign} `, style), span(`${name}  `, 'dim')]
  })
  const bars = rows.map((row): Row => {
    const about = `N${row.node.node}.MemFree`
    const room = Math.max(0, width - 28)
    // A smaller node has a shorter bar, so that bars compare.
    const bar = segmentBar(
      PARTS.map(part => ({ value: part.bytes(row, pageBytes), about: `N${row.node.node}.${part.about}` })),
      bytesOf(row, 'MemTotal'),
      Math.round((bytesOf(row, 'MemTotal') / most) * room),
      ui.ascii,
    )
    return [
      span(fitText(`N${row.node.node}`, 4), 'label', about),
      ...bar,
      span(` ${formatBytes(bytesOf(row, 'MemFree'))} free of ${formatBytes(bytesOf(row, 'MemTotal'))}`, 'value', about),
    ]
  })
  return block([[span('    '), ...legend], ...bars], width, ui.ascii)
}

function distanceBlock(rows: readonly NodeRow[], width: number, ui: PanelUi): Block {
  const known = rows.filter(row => row.node.distances.length > 0)
  if (known.length === 0) return block([[span('not known here', 'dim')]], width, ui.ascii)
  const head: Row = [span('from\\to', 'dim'), ...known.map(row => span(fitText(`N${row.node.node}`, 5, 'right'), 'head'))]
  const lines = known.map(
    (row): Row => [
      span(fitText(`N${row.node.node}`, 7), 'label'),
      ...known.map((_, i) =>
        span(fitText(String(row.node.distances[i] ?? ''), 5, 'right'), row.node.distances[i] === 10 ? 'dim' : 'value'),
      ),
    ],
  )
  return block([head, ...lines], width, ui.ascii)
}
