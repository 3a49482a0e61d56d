/** Memory control groups: who is near a limit; opened, one group with its memory.stat and its memory by node. */
import { changeOf, type Model } from '../../sample/model.ts'
import type { Cgroup } from '../../sample/sample.ts'
import { lineChart } from '../chart.ts'
import { formatBytes, formatCount, formatExact, formatPercent, plural } from '../format.ts'
import { shareBar } from '../glyphs.ts'
import { arrange, type Block, block, chartBlock, fillBlock, type Part, toPanel } from '../layout.ts'
import { type ChartSpec, type Panel, type PanelFunction, type PanelUi, type Row, type Size, span } from '../panel.ts'
import { amountText, CGROUP_COLUMNS, type CgroupRow, cgroupRows, limitOf, usedPercent } from '../subjects/cgroups.ts'
import { drawList, listRows } from '../table.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, words } from './common.ts'

export const cgroups: PanelFunction = (model, ui, size): Panel => {
  const rows = cgroupRows(model)
  const opened = rows.find(row => row.group.name === ui.open)
  return opened === undefined ? tablePanel(model, ui, size, rows) : detailPanel(model, ui, size, opened)
}

function tablePanel(model: Model, ui: PanelUi, size: Size, rows: readonly CgroupRow[]): Panel {
  const said = words(clauses(rows), size, ui.ascii)
  if (rows.length === 0) return toPanel([said], size, ui)
  const room = size.height - said.rows.length
  // The chart has what the list leaves, and the list what a low screen has.
  const chartHeight = room === Number.POSITIVE_INFINITY ? CHART_ROWS : Math.min(MOST_CHART_ROWS, room - rows.length - 1)
  const chart = chartHeight < CHART_ROWS ? [] : [chartBlock(largestChart(model, ui, rows), size.width, chartHeight)]
  const height = room === Number.POSITIVE_INFINITY || chart.length === 0 ? room : room - chartHeight
  const shown = ui.moving ? rows.filter(row => moved(model, row)) : rows
  const listed = listRows(shown, CGROUP_COLUMNS, row => row.group.name, {
    model,
    ui,
    height: height - 1,
    fallback: { key: 'current_bytes', descending: true },
  })
  const list = drawList(listed, CGROUP_COLUMNS, { model, ui, width: size.width, height })
  return toPanel([said, fillBlock(list, height), ...chart], size, ui, { list: listed.state })
}

/** Whether its memory or swap changed, or it faulted. */
const moved = (model: Model, { group: { name }, rate }: CgroupRow): boolean =>
  ['current', 'swap'].some(what => (changeOf(model, `cgroup:${name}:${what}`) ?? 0) !== 0) || (rate('pgfault') ?? 0) > 0

const CHART_ROWS = 7
const MOST_CHART_ROWS = 20
/** Rows from which one group's screen has room for a chart. */
const ROOMY = 18
/** Groups that a chart shows; more lines are not told apart. */
const LINES = 4

/** What the largest groups had over time. */
function largestChart(model: Model, ui: PanelUi, rows: readonly CgroupRow[]): ChartSpec {
  const lines = [...rows]
    .sort((a, b) => (limitOf(b.group, 'current') ?? 0) - (limitOf(a.group, 'current') ?? 0))
    .slice(0, LINES)
    // By name, so that no line changes its colour when another one grows.
    .sort((a, b) => (a.group.name < b.group.name ? -1 : 1))
    .map(({ group: { name } }) => ({ name: name.replace(/^.*\//, ''), keys: [`cgroup:${name}:current`] }))
  return lineChart(model, 'memory of the largest groups', lines, ui.zoom)
}

/** What one group had over time, below its hard limit. */
function groupChart(model: Model, ui: PanelUi, { name, limits }: Cgroup, width: number): Block[] {
  const max = limits.get('memory.max')
  const lines = [
    { name: 'memory', keys: [`cgroup:${name}:current`] },
    ...(model.scalars.has(`cgroup:${name}:swap`) ? [{ name: 'swap', keys: [`cgroup:${name}:swap`] }] : []),
  ]
  const limited = max !== undefined && Number.isFinite(max)
  const title = limited ? `memory, hard limit ${formatBytes(max)}` : 'memory, no hard limit'
  return [chartBlock(lineChart(model, title, lines, ui.zoom, limited ? max : undefined), width, CHART_ROWS)]
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
  const chart = size.height >= ROOMY ? groupChart(model, ui, group, size.width) : []
  return toPanel([words(facts, size, ui.ascii), ...chart, ...arrange(parts, size.width, ui.ascii)], size, ui)
}

/** Counts among the lines of memory.stat, which are bytes otherwise. */
const COUNTS = /^(pg|thp_|workingset_|zswp|numa_)/

function statBlock(stat: ReadonlyMap<string, number>, whole: number, width: number, ui: PanelUi): Block {
  const rows = [...stat]
    .filter(([key]) => !COUNTS.test(key))
    .map(
      ([key, bytes]): Row => [
        span(fitText(key, 20, 'left', ui.ascii ? '~' : '…'), 'label'),
        span(fitText(formatBytes(bytes), 7, 'right'), bytes === 0 ? 'dim' : 'value'),
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
      span(fitText(formatExact(value), width - 17, 'right'), value === 0 ? 'dim' : 'value'),
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
        span(fitText(value === undefined ? '-' : `${formatCount(value)}/s`, 9, 'right'), (value ?? 0) === 0 ? 'dim' : 'value'),
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
        ...nodes.map(node => span(fitText(formatBytes(row.get(node) ?? 0), 8, 'right'), (row.get(node) ?? 0) === 0 ? 'dim' : 'value')),
      ],
    )
  return block([head, ...rows], width, ui.ascii)
}
