/** NUMA nodes: what each holds, who got memory where it wanted it, and how far they are apart. */
import type { Model } from '../../sample/model.ts'
import { type ChartOf, chartsOfMany } from '../chart.ts'
import { formatBytes, formatCount, formatPercent } from '../format.ts'
import { fillOf, segmentBar } from '../glyphs.ts'
import { arrange, type Block, block, section } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Size, type Span, span } from '../panel.ts'
import { NODE_COLUMNS, type NodeRow, nodeRows, numastatRate, usedBytes } from '../subjects/nodes.ts'
import { fitText } from '../width.ts'
import { type Clauses, counterBlock, knobBlock, words } from './common.ts'
import { counterPanel, counterRowsBelow } from './counter_list.ts'
import { listPanel } from './list_panel.ts'

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

/** Nodes up to which their bars stand above the list. */
const FEW = 8

export const nodes: PanelFunction = (model, ui, size): Panel => {
  const rows = nodeRows(model)
  const opened = rows.find(row => idOf(row) === ui.open)
  if (opened !== undefined) return onePanel(model, ui, size, opened)
  const said = words(clauses(model, rows), size, ui.ascii)
  const bars = section(
    'what each node holds',
    barBlock(rows, model.sample.meminfo().bytes.get('Hugepagesize') ?? 0, size.width, ui),
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
  const few = rows.length <= FEW
  return listPanel(model, ui, size, {
    above: few ? [said, bars] : [said],
    after: [...(few ? [] : [bars]), ...arrange(parts, size.width, ui.ascii)],
    title: 'memory and allocations per second',
    rows,
    before: nodeRows,
    columns: NODE_COLUMNS,
    idOf,
    charts: selected => chartsOf(model, ui, rows, selected),
  })
}

const idOf = ({ node }: NodeRow): string => `N${node.node}`

const perNode = (rows: readonly NodeRow[], keys: readonly string[]) =>
  rows.map(row => ({ name: idOf(row), keys: keys.map(key => `${idOf(row)}.${key}`) }))

function chartsOf(model: Model, ui: PanelUi, rows: readonly NodeRow[], selected: NodeRow | undefined): ChartOf[] {
  if (rows.length === 0) return []
  const max = Math.max(1, ...rows.map(row => bytesOf(row, 'MemTotal')))
  const chosen = selected === undefined ? undefined : idOf(selected)
  const [first, ...others] = chartsOfMany(model, ui.zoom, { title: 'free memory', lines: perNode(rows, ['MemFree']), max }, 'nodes', chosen)
  const [missed] = chartsOfMany(
    model,
    ui.zoom,
    { title: 'allocations not where wanted', lines: perNode(rows, ['numa_miss']) },
    'nodes',
    chosen,
  )
  const [anon] = chartsOfMany(model, ui.zoom, { title: 'anonymous memory', lines: perNode(rows, ['AnonPages']), max }, 'nodes', chosen)
  const [file] = chartsOfMany(model, ui.zoom, { title: 'page cache', lines: perNode(rows, ['FilePages']), max }, 'nodes', chosen)
  return [first, missed, anon, file, MOVED, ...others]
}

const MOVED: ChartOf = {
  title: 'pages moved between nodes',
  lines: [
    { name: 'moved', keys: ['pgmigrate_success'] },
    { name: 'failed', keys: ['pgmigrate_fail'] },
  ],
}

/** One node: all its figures. */
function onePanel(model: Model, ui: PanelUi, size: Size, row: NodeRow): Panel {
  const name = idOf(row)
  const said = words(
    [
      `node ${row.node.node}: ${formatBytes(usedBytes(row) ?? 0)} of ${formatBytes(bytesOf(row, 'MemTotal'))} in use`,
      'Esc goes back to all nodes',
    ],
    size,
    ui.ascii,
  )
  const allocations: ChartOf = {
    title: `allocations on ${name}`,
    lines: [
      { name: 'hit', keys: [`${name}.numa_hit`] },
      { name: 'miss', keys: [`${name}.numa_miss`] },
      { name: 'foreign', keys: [`${name}.numa_foreign`] },
    ],
  }
  const memory: ChartOf = {
    title: `memory of ${name}`,
    lines: ['MemFree', 'AnonPages', 'FilePages'].map(key => ({ name: key, keys: [`${name}.${key}`] })),
  }
  return counterPanel(model, ui, size, { above: [said], rows: counterRowsBelow(model, `${name}.`), charts: [memory, allocations] })
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
        span(fitText(String(row.node.distances[i] ?? ''), 5, 'right'), row.node.distances[i] === 10 ? 'dim' : 'value', 'node_distance'),
      ),
    ],
  )
  return block([head, ...lines], width, ui.ascii)
}
