/** Costs: where the simulated machine's time went, by what was done and by who did it. */
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { CHARTS_TOO, chartGrid } from '../chart_grid.ts'
import { ACTIVITIES, type Activity } from '../fields/simulated.ts'
import { formatCount, formatDuration, formatPercent } from '../format.ts'
import { shareBar } from '../glyphs.ts'
import { arrange, type Block, block, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Size, span } from '../panel.ts'
import { busyNs, COST_COLUMNS, type CostRow, costRows, cpuPercent, lockRows, type Spent, spentOn } from '../subjects/costs.ts'
import { fitText } from '../width.ts'
import { type Clauses, words } from './common.ts'
import { listPanel } from './list_panel.ts'

/** Share of the CPU time now from which a wait for locks is worth a word. */
const LOCKS_PERCENT = 1

export const costs: PanelFunction = (model, ui, size): Panel => {
  const said = words(clauses(model), size, ui.ascii)
  if (model.sample.costs().size === 0)
    return toPanel([said, ...chartGrid(model, ui, WAITS, size.width, size.height - said.rows.length)], size, ui)
  const rows = costRows(model)
  const opened = rows.find(row => row.who === ui.open && row.who !== '')
  if (opened !== undefined) return onePanel(model, ui, size, opened)
  const machine = (width: number) => activityBlock(model, model.sample.costs(), model.previous?.costs(), width, ui)
  const [first, ...others] = arrange(
    [
      { title: 'time by what was done', least: 50, weight: 2, make: machine },
      { title: 'locks found taken', least: 44, make: width => lockBlock(model, width, ui) },
    ],
    size.width,
    ui.ascii,
  )
  return listPanel(model, ui, size, {
    above: [said, first],
    // On a narrow screen the locks come below the list.
    ...(others.length > 0 ? { after: others } : {}),
    title: 'time since start by who spent it',
    rows,
    moves: row => (row.cpuPercent ?? 0) > 0,
    columns: COST_COLUMNS,
    idOf: row => row.who,
    fallback: { key: 'busy_ns', descending: true },
    charts: () => chartsOf(model),
    share: CHARTS_TOO,
  })
}

/** What any kernel tells of time that memory costs. */
const WAITS: readonly ChartOf[] = [
  {
    title: 'tasks waited for memory',
    lines: [
      { name: 'some', keys: ['psi_some_total'] },
      { name: 'all', keys: ['psi_full_total'] },
    ],
  },
  { title: 'page faults', lines: [{ name: 'all', keys: ['pgfault'] }] },
  {
    title: 'reclaim',
    lines: [
      { name: 'scanned', keys: ['pgscan_kswapd', 'pgscan_direct'] },
      { name: 'stolen', keys: ['pgsteal_kswapd', 'pgsteal_direct'] },
    ],
  },
]

const lineOf = ({ key, kinds }: Activity) => ({ name: key, keys: kinds.map(kind => `cost_${kind}`) })
const named = (...keys: readonly string[]) => ACTIVITIES.filter(({ key }) => keys.includes(key)).map(lineOf)

/** CPU time a second by what was done: what most of it went to since start, and what costs come from. */
function chartsOf(model: Model): ChartOf[] {
  const spent = model.sample.costs()
  const busy = ACTIVITIES.filter(({ waits }) => waits !== true).sort((a, b) => spentOn(spent, b) - spentOn(spent, a))
  return [
    { title: 'CPU time', lines: busy.slice(0, 5).map(lineOf) },
    { title: 'CPU time: reclaim', lines: named('reclaim', 'swap', 'compaction', 'ksm', 'khugepaged') },
    { title: 'CPU time: faults', lines: named('faults', 'clearing', 'pages', 'tables') },
    { title: 'waiting', lines: named('locks', 'disk', 'moves', 'far') },
  ]
}

/** One process or kernel thread: what its time went to. */
function onePanel(model: Model, ui: PanelUi, size: Size, { who, name, busyNs: busy, cpuPercent: percent }: CostRow): Panel {
  const facts: Clauses = [
    `${who} ${name === who ? '' : name}`.trim(),
    `${formatDuration(busy)} of CPU time since start`,
    percent !== undefined && `${formatPercent(percent)} of a CPU now`,
    'Esc goes back to all',
  ]
  const said = words(facts, size, ui.ascii)
  const spent = model.sample.accounts().get(who) ?? new Map()
  const part = section('time by what was done', activityBlock(model, spent, model.previous?.accounts().get(who), size.width, ui), ui.ascii)
  const left = size.height - said.rows.length - part.rows.length
  return toPanel([said, part, ...chartGrid(model, ui, chartsOf(model), size.width, left)], size, ui)
}

/** What was done, most of it first, and how much of it just now; what never was is left out. */
function activityBlock(model: Model, spent: Spent, before: Spent | undefined, width: number, ui: PanelUi): Block {
  const all = Math.max(1, busyNs(spent))
  const barWidth = Math.max(0, Math.min(24, width - 80))
  const rows = ACTIVITIES.map(activity => ({ activity, ns: spentOn(spent, activity) }))
    .filter(({ ns }) => ns > 0)
    .sort((a, b) => b.ns - a.ns)
    .map(({ activity, ns }): Row => {
      const about = `${activity.key}_ns`
      const now = cpuPercent(model, ns, before === undefined ? undefined : spentOn(before, activity))
      const share = activity.waits === true ? 'waits' : formatPercent((ns / all) * 100)
      return [
        span(fitText(activity.key, 11), 'label', about),
        span(fitText(nowText(activity, now), 11, 'right'), (now ?? 0) > 0 ? 'value' : 'dim', about),
        span(fitText(formatDuration(ns), 8, 'right'), 'value', about),
        span(fitText(share, 6, 'right'), 'value', about),
        span(' '),
        ...(barWidth > 0 && activity.waits !== true ? [...shareBar(ns / all, barWidth, ui.ascii), span(' ')] : []),
        span(activity.what, 'dim'),
      ]
    })
  return block(rows, width, ui.ascii)
}

/** Time that takes a CPU as a share of one; waits, of which there can be any number at once, as time a second. */
const nowText = ({ waits }: Activity, percent: number | undefined): string =>
  percent === undefined ? '-' : waits === true ? `${formatDuration(percent * 1e7)}/s` : `${formatPercent(percent)} CPU`

function lockBlock(model: Model, width: number, ui: PanelUi): Block {
  const rows = lockRows(model)
    .filter(({ contended, taken }) => contended > 0 || (taken ?? 0) > 0)
    .map(({ lock, taken, contended, waitedNs, waitedPerSecondNs }): Row => {
      const share = taken === undefined ? '' : ` of ${formatCount(taken)}`
      const style = waitedNs > 0 ? 'value' : 'dim'
      return [
        span(fitText(lock, 17, 'left', ui.ascii ? '~' : '…'), 'label'),
        span(fitText(`${formatCount(contended)}${share}`, 14, 'right'), style, 'lock_contended'),
        span(fitText(formatDuration(waitedNs), 8, 'right'), style, 'lock_waited_ns'),
        span(
          waitedPerSecondNs === undefined ? '' : ` ${formatDuration(waitedPerSecondNs)}/s`,
          (waitedPerSecondNs ?? 0) > 0 ? 'value' : 'dim',
          'lock_waited_ns',
        ),
      ]
    })
  return block(rows.length > 0 ? rows : [[span('none: nobody shares one, or there is one CPU', 'dim')]], width, ui.ascii)
}

function clauses(model: Model): Clauses {
  const { sample, previous } = model
  if (sample.costs().size === 0) return ['only a simulated machine knows what its time went to; here is what any kernel tells']
  const before = previous?.costs()
  const now = (activity: Activity) => cpuPercent(model, spentOn(sample.costs(), activity), before && spentOn(before, activity)) ?? 0
  const busy = ACTIVITIES.filter(({ waits }) => waits !== true)
    .map(activity => ({ key: activity.key, percent: now(activity) }))
    .sort((a, b) => b.percent - a.percent)
  const total = busy.reduce((sum, { percent }) => sum + percent, 0)
  const most = busy.filter(({ percent }) => percent > total / 20).slice(0, 3)
  const locks = busy.find(({ key }) => key === 'locks')?.percent ?? 0
  return [
    previous !== undefined &&
      (total < 0.05
        ? 'no CPU is at work on memory now'
        : `${(total / 100).toFixed(total < 100 ? 2 : 1)} CPUs at work: ${most.map(({ key, percent }) => `${key} ${formatPercent((percent / total) * 100)}`).join(', ')}`),
    total > 0 && (locks / total) * 100 >= LOCKS_PERCENT && `${formatPercent((locks / total) * 100)} of it waits for locks`,
    `${formatDuration(busyNs(sample.costs()))} of CPU time since start`,
  ]
}
