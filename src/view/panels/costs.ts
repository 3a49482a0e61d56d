/** Costs: where the simulated machine's time went, by what was done and by who did it. */
import type { Model } from '../../sample/model.ts'
import { formatCount, formatDuration, formatPercent } from '../format.ts'
import { shareBar } from '../glyphs.ts'
import { arrange, type Block, block, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { ACTIVITIES, type Activity, busyNs, COST_COLUMNS, costRows, cpuPercent, lockRows, spentOn } from '../subjects/costs.ts'
import { drawList, listRows } from '../table.ts'
import { fitText } from '../width.ts'
import { type Clauses, words } from './common.ts'

/** Share of the CPU time now from which a wait for locks is worth a word. */
const LOCKS_PERCENT = 1

export const costs: PanelFunction = (model, ui, size): Panel => {
  const said = words(clauses(model), size, ui.ascii)
  if (model.sample.costs().size === 0) return toPanel([said], size, ui)
  const parts = arrange(
    [
      { title: 'time by what was done', least: 50, weight: 2, make: width => activityBlock(model, width, ui) },
      { title: 'locks found taken', least: 44, make: width => lockBlock(model, width, ui) },
    ],
    size.width,
    ui.ascii,
  )
  const rows = costRows(model)
  const used = said.rows.length + (parts[0]?.rows.length ?? 0)
  const height = Math.max(4, size.height - used - 1)
  const listed = listRows(rows, COST_COLUMNS, row => row.who, {
    model,
    ui,
    height: height - 1,
    fallback: { key: 'busy_ns', descending: true },
  })
  const list = section(
    'time since start by who spent it',
    drawList(listed, COST_COLUMNS, { model, ui, width: size.width, height }),
    ui.ascii,
  )
  const [first, ...others] = parts
  return toPanel([said, first, list, ...others], size, ui, { list: listed.state })
}

/** What was done, most of it first, and how much of it just now; what never was is left out. */
function activityBlock(model: Model, width: number, ui: PanelUi): Block {
  const { sample, previous } = model
  const spent = sample.costs()
  const all = Math.max(1, busyNs(spent))
  const barWidth = Math.max(0, Math.min(24, width - 80))
  const rows = ACTIVITIES.map(activity => ({ activity, ns: spentOn(spent, activity) }))
    .filter(({ ns }) => ns > 0)
    .sort((a, b) => b.ns - a.ns)
    .map(({ activity, ns }): Row => {
      const about = `${activity.key}_ns`
      const now = cpuPercent(model, ns, previous === undefined ? undefined : spentOn(previous.costs(), activity))
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
        span(fitText(`${formatCount(contended)}${share}`, 14, 'right'), style),
        span(fitText(formatDuration(waitedNs), 8, 'right'), style),
        span(
          waitedPerSecondNs === undefined ? '' : ` ${formatDuration(waitedPerSecondNs)}/s`,
          (waitedPerSecondNs ?? 0) > 0 ? 'value' : 'dim',
        ),
      ]
    })
  return block(rows.length > 0 ? rows : [[span('none: nobody shares one, or there is one CPU', 'dim')]], width, ui.ascii)
}

function clauses(model: Model): Clauses {
  const { sample, previous } = model
  if (sample.costs().size === 0) return ['only a simulated machine knows what its time went to']
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
