/** Memory control groups: who is near a limit; opened, one group with its memory.stat and its memory by node. */
import { changeOf, type Model } from '../../sample/model.ts'
import type { Cgroup } from '../../sample/sample.ts'
import { type ChartOf, chartsOfMany } from '../chart.ts'
import { CHARTS_TOO, chartGrid } from '../chart_grid.ts'
import { formatBytes, formatCount, formatExact, formatPercent, plural } from '../format.ts'
import { shareBar } from '../glyphs.ts'
import { arrange, type Block, block, type Part, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Size, span } from '../panel.ts'
import { amountText, CGROUP_COLUMNS, type CgroupRow, cgroupRows, limitOf, usedPercent } from '../subjects/cgroups.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, words } from './common.ts'
import { listPanel } from './list_panel.ts'

export const cgroups: PanelFunction = (model, ui, size): Panel => {
  const rows = cgroupRows(model)
  const opened = rows.find(row => row.group.name === ui.open)
  return opened === undefined ? tablePanel(model, ui, size, rows) : detailPanel(model, ui, size, opened)
}

function tablePanel(model: Model, ui: PanelUi, size: Size, rows: readonly CgroupRow[]): Panel {
  const said = words(clauses(rows), size, ui.ascii)
  if (rows.length === 0) return toPanel([said, ...chartGrid(model, ui, WHOLE, size.width, size.height - said.rows.length)], size, ui)
  return listPanel(model, ui, size, {
    above: [said],
    rows,
    moves: row => moved(model, row),
    columns: CGROUP_COLUMNS,
    idOf: row => row.group.name,
    fallback: { key: 'current_bytes', descending: true },
    charts: () => chartsOf(model, ui, rows),
    share: CHARTS_TOO,
  })
}

/** Whether its memory or swap changed, or it faulted. */
const moved = (model: Model, { group: { name }, rate }: CgroupRow): boolean =>
  ['current', 'swap'].some(what => (changeOf(model, `cgroup:${name}:${what}`) ?? 0) !== 0) || (rate('pgfault') ?? 0) > 0

/** What the groups had over time, and how the machine fared meanwhile. */
function chartsOf(model: Model, ui: PanelUi, rows: readonly CgroupRow[]): ChartOf[] {
  const lines = (what: string) =>
    rows
      .map(({ group: { name } }) => ({ name: name.replace(/^.*\//, ''), keys: [`cgroup:${name}:${what}`] }))
      .filter(({ keys }) => model.scalars.has(keys[0]))
  const many = (title: string, what: string) =>
    lines(what).length === 0 ? [] : chartsOfMany(model, ui.zoom, { title, lines: lines(what) }, 'groups')
  const [first, ...others] = many('memory of groups', 'current')
  const [swapped] = many('swap of groups', 'swap')
  return [...(first === undefined ? [] : [first]), ...(swapped === undefined ? [] : [swapped]), WAITS, ...others]
}

const WAITS: ChartOf = {
  title: 'waiting for memory, whole machine',
  lines: [
    { name: 'some', keys: ['psi_some_avg10'] },
    { name: 'all', keys: ['psi_full_avg10'] },
  ],
}

/** What there is to see without groups. */
const WHOLE: readonly ChartOf[] = [
  { title: 'memory, whole machine', lines: ['AnonPages', 'Cached', 'MemFree'].map(key => ({ name: key, keys: [key] })) },
  WAITS,
]

/** What one group had over time, below its hard limit. */
function groupChart({ name, limits }: Cgroup): ChartOf[] {
  const max = limits.get('memory.max')
  const limited = max !== undefined && Number.isFinite(max)
  const lines = [
    { name: 'memory', keys: [`cgroup:${name}:current`] },
    { name: 'swap', keys: [`cgroup:${name}:swap`] },
  ]
  return [
    { title: limited ? `memory, hard limit ${formatBytes(max)}` : 'memory, no hard limit', lines, ...(limited ? { max } : {}) },
    WAITS,
  ]
}

function clauses(rows: readonly CgroupRow[]): Clauses {
  if (rows.length === 0) return ['No memory control groups here (cgroup v2 has them below /sys/fs/cgroup)']
  const [tightest] = [...rows].sort((a, b) => (usedPercent(b.group) ?? -1) - (usedPercent(a.group) ?? -1))
  const used = usedPercent(tightest.group)
  const killed = rows.reduce((sum, { group }) => sum + (group.events.get('oom_kill') ?? 0), 0)
  const atMax = rows.filter(({ group }) => (group.events.get('max') ?? 0) > 0)
  return [
    plural(rows.length, 'group'),
    used === undefined
      ? 'none has a hard limit'
      : `${tightest.group.name} is nearest to its limit: ${amountText(tightest.group)} (${formatPercent(used)})`,
    atMax.length > 0 && `${plural(atMax.length, 'group')} met the hard limit`,
    killed > 0 && `${plural(killed, 'process')} killed in them`,
  ]
}

/** Lines of memory.stat that are bytes and that are parts of the whole, largest first, then all others. */
function detailPanel(model: Model, ui: PanelUi, size: Size, { group, rate }: CgroupRow): Panel {
  const used = usedPercent(group)
  const facts: Clauses = [
    `group ${group.name} has ${amountText(group)}${used === undefined ? '' : ` (${formatPercent(used)})`}`,
    ...['high', 'low', 'min'].map(name => {
      const bytes = limitOf(group, name)
      return bytes !== undefined && bytes > 0 && bytes !== Number.POSITIVE_INFINITY && `${name} ${formatBytes(bytes)}`
    }),
    (group.events.get('oom_kill') ?? 0) > 0 && `${plural(group.events.get('oom_kill') ?? 0, 'process')} killed ${alarm(ui.ascii)}`,
  ]
  const parts: Part[] = [
    { title: 'memory.stat', least: 38, make: width => statBlock(group.stat, limitOf(group, 'current') ?? 0, width, ui) },
    { title: 'events', least: 26, make: width => eventBlock(group.events, width, ui) },
    { title: 'per second', least: 34, make: width => rateBlock(group.stat, rate, width, ui) },
    ...(group.numaStat.size === 0 ? [] : [{ title: 'by node', least: 40, make: (width: number) => nodeBlock(group.numaStat, width, ui) }]),
  ]
  const said = words(facts, size, ui.ascii)
  const blocks = arrange(parts, size.width, ui.ascii)
  const left = size.height - [said, ...blocks].reduce((sum, part) => sum + part.rows.length, 0)
  const height = left >= CHART_ROWS ? left : size.height >= ROOMY ? CHART_ROWS : 0
  return toPanel([said, ...chartGrid(model, ui, groupChart(group), size.width, height), ...blocks], size, ui)
}

const CHART_ROWS = 7
/** Rows from which one group's screen has room for a chart. */
const ROOMY = 18

/** Counts among the lines of memory.stat, which are bytes otherwise. */
const COUNTS = /^(pg|thp_|workingset_|zswp|numa_)/

function statBlock(stat: ReadonlyMap<string, number>, whole: number, width: number, ui: PanelUi): Block {
  const rows = [...stat]
    .filter(([key]) => !COUNTS.test(key))
    .map(
      ([key, bytes]): Row => [
        span(fitText(key, 20, 'left', ui.ascii ? '~' : '…'), 'label'),
        span(fitText(formatBytes(bytes), 7, 'right'), bytes === 0 ? 'dim' : 'value', `memory.stat ${key}`),
        span('  '),
        ...shareBar(bytes / Math.max(1, whole), Math.max(0, width - 29), ui.ascii),
      ],
    )
  return block(rows, width, ui.ascii)
}

function eventBlock(events: ReadonlyMap<string, number>, width: number, ui: PanelUi): Block {
  const rows = [...events].map(
    ([key, value]): Row => [
      span(fitText(key, 16), 'label'),
      span(fitText(formatExact(value), width - 17, 'right'), value === 0 ? 'dim' : 'value', `memory.events ${key}`),
    ],
  )
  return block(rows, width, ui.ascii)
}

function rateBlock(stat: ReadonlyMap<string, number>, rate: CgroupRow['rate'], width: number, ui: PanelUi): Block {
  const rows = [...stat.keys()]
    .filter(key => COUNTS.test(key))
    .map((key): Row => {
      const value = rate(key)
      return [
        span(fitText(key, width - 10, 'left', ui.ascii ? '~' : '…'), 'label'),
        span(
          fitText(value === undefined ? '-' : `${formatCount(value)}/s`, 9, 'right'),
          (value ?? 0) === 0 ? 'dim' : 'value',
          `memory.stat ${key}`,
        ),
      ]
    })
  return block(rows, width, ui.ascii)
}

function nodeBlock(stat: ReadonlyMap<string, ReadonlyMap<number, number>>, width: number, ui: PanelUi): Block {
  const nodes = [...new Set([...stat.values()].flatMap(row => [...row.keys()]))]
    .sort((a, b) => a - b)
    .slice(0, Math.max(1, Math.floor((width - 20) / 8)))
  const head: Row = [span(' '.repeat(20)), ...nodes.map(node => span(fitText(`N${node}`, 8, 'right'), 'head'))]
  const rows = [...stat]
    .filter(([key]) => !COUNTS.test(key))
    .map(
      ([key, row]): Row => [
        span(fitText(key, 20, 'left', ui.ascii ? '~' : '…'), 'label'),
        ...nodes.map(node =>
          span(fitText(formatBytes(row.get(node) ?? 0), 8, 'right'), (row.get(node) ?? 0) === 0 ? 'dim' : 'value', `memory.stat ${key}`),
        ),
      ],
    )
  return block([head, ...rows], width, ui.ascii)
}
