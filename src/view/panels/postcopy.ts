/** The latest live migration: how far it is, what the switch cost, how long the target's faults waited, and the knobs it goes on by. */
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { chartGrid } from '../chart_grid.ts'
import { formatBytes, formatDuration, formatPercent, plural } from '../format.ts'
import { shareBar } from '../glyphs.ts'
import { arrange, type Block, block, type Part, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { taskName } from '../subjects/tasks.ts'
import { fitText } from '../width.ts'
import { type Clauses, isAsked, knobBlock, words } from './common.ts'
import { counterPanel, counterRowsBelow, withList } from './counter_list.ts'

const KNOBS = ['bandwidth', 'latency', 'rounds'].map(name => `/mmtop/migration/${name}`)
/** As the lines of /mmtop/postcopy number them. */
const [PRECOPY, POSTCOPY] = [0, 1]
const PAGE = 4096
const LABEL = 15

type Figures = ReadonlyMap<string, number>
const of = (figures: Figures, key: string): number => figures.get(key) ?? 0

export const postcopy: PanelFunction = (model, ui, size): Panel => {
  const figures = model.sample.postcopy()
  const said = words(clauses(model, figures), size, ui.ascii)
  const knobs: Part = { title: 'knobs: they act at once', least: 34, make: width => knobBlock(model, KNOBS, width, ui) }
  if (figures.size === 0) {
    const blocks = [said, ...arrange([knobs], size.width, ui.ascii)]
    const left = size.height - blocks.reduce((sum, part) => sum + part.rows.length, 0)
    return toPanel([...blocks, ...chartGrid(model, ui, USUAL, size.width, left)], size, ui)
  }
  const list = counterPanel(model, ui, size, { above: [said], rows: counterRowsBelow(model, 'postcopy_'), charts: CHARTS })
  // Figure by figure where someone looks for one.
  if (isAsked(ui)) return list
  const parts: Part[] = [
    { title: 'pages', least: 44, make: width => pageBlock(model, figures, width, ui) },
    knobs,
    { title: 'how long faults waited', least: 44, make: width => waitBlock(figures, width, ui) },
    { title: 'rounds of pre-copy', least: 34, make: width => roundBlock(figures, width, ui) },
  ]
  const blocks = [said, section('there', thereBlock(figures, size.width, ui), ui.ascii), ...arrange(parts, size.width, ui.ascii)]
  const left = size.height - blocks.reduce((sum, part) => sum + part.rows.length, 0)
  return withList(toPanel([...blocks, ...chartGrid(model, ui, CHARTS, size.width, left)], size, ui), list)
}

const one = (name: string, key: string) => ({ name, keys: [`postcopy_${key}`] })

/** How far it is, how fast it goes, and what it makes the target wait. */
const CHARTS: readonly ChartOf[] = [
  { title: 'pages', lines: [one('at the target', 'sent'), one('missing there', 'left'), one('on the network', 'underway')] },
  { title: 'sent', lines: [one('pre-copy', 'precopied'), one('pushed', 'pushed'), one('asked for', 'urgent')] },
  { title: 'faults that waited for a page', lines: [one('faults', 'faults')] },
  { title: 'how long a fault waits', lines: [one('mean', 'fault_ns'), one('longest', 'longest_ns')] },
  { title: 'over the network', lines: [one('bytes', 'bytes')] },
]

/** What a machine does that migrates nothing. */
const USUAL: readonly ChartOf[] = [
  { title: 'page faults', lines: [{ name: 'all', keys: ['pgfault'] }] },
  { title: 'anonymous memory', lines: [{ name: 'anon', keys: ['AnonPages'] }] },
]

function clauses(model: Model, figures: Figures): Clauses {
  if (figures.size === 0)
    return [
      model.sample.machine().has('workload')
        ? 'no live migration: postcopy A B REGION begins one'
        : 'only a simulated machine migrates processes',
    ]
  const names = new Map(model.sample.tasks().map(task => [task.pid, taskName(task)]))
  const name = (key: string) => names.get(of(figures, key)) || `process ${of(figures, key)}`
  const phase = of(figures, 'phase')
  const [left, faults] = [of(figures, 'left'), of(figures, 'faults')]
  const doing =
    phase === PRECOPY
      ? `pre-copy, round ${of(figures, 'rounds') + 1}: ${name('source')} still runs, ${plural(of(figures, 'sent'), 'page')} of ${of(figures, 'pages')} sent`
      : phase === POSTCOPY
        ? `${name('target')} runs, ${plural(left, 'page')} still missing there`
        : `all pages of ${name('source')} are at ${name('target')}, ${formatDuration(of(figures, 'total_ns'))} after the beginning`
  return [
    doing,
    phase !== PRECOPY && `${formatDuration(of(figures, 'downtime_ns'))} of downtime`,
    faults > 0 &&
      `${plural(faults, 'fault')} waited ${formatDuration(of(figures, 'fault_ns'))} each, ${formatDuration(of(figures, 'longest_ns'))} at most`,
  ]
}

/** What of the region is at the target: of all its pages, until the switch tells which ones there are and are the newest. */
function thereBlock(figures: Figures, width: number, ui: PanelUi): Block {
  const switched = of(figures, 'phase') !== PRECOPY
  const [sent, left] = [of(figures, 'sent'), of(figures, 'left')]
  const share = sent / Math.max(1, switched ? sent + left : of(figures, 'pages'))
  const text = ` ${formatPercent(share * 100)}, ${switched ? `${plural(left, 'page')} left` : 'some of it old'}`
  return block([[...shareBar(share, Math.max(0, width - 30), ui.ascii), span(text, 'value', 'postcopy_there_percent')]], width, ui.ascii)
}

function pageBlock(model: Model, figures: Figures, width: number, ui: PanelUi): Block {
  const before = model.previous?.postcopy()
  const line = (label: string, text: string, key: string): Row => [
    span(fitText(label, LABEL), 'label'),
    span(text, 'value', `postcopy_${key}`),
  ]
  const counted = (label: string, key: string, what: string): Row => {
    const pages = of(figures, key)
    const now = before === undefined || model.seconds <= 0 ? 0 : Math.max(0, pages - of(before, key)) / model.seconds
    const rate = now > 0 ? `${formatBytes(now * PAGE)}/s` : ''
    return [
      span(fitText(label, LABEL), 'label'),
      span(fitText(String(pages), 7, 'right'), pages > 0 ? 'value' : 'dim', `postcopy_${key}`),
      span(fitText(rate, 9, 'right'), 'value', `postcopy_${key}`),
      span(`  ${what}`, 'dim'),
    ]
  }
  const rows: Row[] = [
    counted('before switch', 'precopied', 'pre-copy'),
    counted('missing then', 'missing', 'at switch'),
    counted('pushed', 'pushed', 'background'),
    counted('asked for', 'urgent', 'urgent'),
    counted('zeros', 'zeros', 'none there'),
    line(
      'under way',
      `${plural(of(figures, 'underway'), 'page')}, ${of(figures, 'asked')} asked; ${formatBytes(of(figures, 'bytes'))} sent`,
      'underway',
    ),
    line('downtime', of(figures, 'phase') === PRECOPY ? 'not yet' : formatDuration(of(figures, 'downtime_ns')), 'downtime_ns'),
  ]
  return block(rows, width, ui.ascii)
}

/** A bar a class of waits, each twice as long as the one before; from the first to the last that has any. */
function waitBlock(figures: Figures, width: number, ui: PanelUi): Block {
  const classes = [...figures].flatMap(([key, count]) => {
    const match = /^below_(\d+)$/.exec(key)
    return match === null ? [] : [{ below: Number(match[1]), count }]
  })
  const first = classes.findIndex(({ count }) => count > 0)
  const last = classes.findLastIndex(({ count }) => count > 0)
  if (first < 0) return block([[span('no fault has been served yet', 'dim')]], width, ui.ascii)
  const most = Math.max(1, ...classes.map(({ count }) => count))
  const rows = classes
    .slice(first, last + 1)
    .map(
      ({ below, count }): Row => [
        span(fitText(`below ${formatDuration(below)}`, LABEL), 'label'),
        span(fitText(String(count), 8, 'right'), count > 0 ? 'value' : 'dim', 'postcopy_waits'),
        span(' '),
        ...shareBar(count / most, Math.max(0, width - LABEL - 9), ui.ascii),
      ],
    )
  return block(rows, width, ui.ascii)
}

/** What each round sent, and what of it was written to meanwhile: to be sent again. */
function roundBlock(figures: Figures, width: number, ui: PanelUi): Block {
  const rows: Row[] = []
  for (let round = 1; figures.has(`round_${round}_sent`); round++) {
    const [sent, dirty] = [of(figures, `round_${round}_sent`), of(figures, `round_${round}_dirty`)]
    const under = of(figures, 'phase') === PRECOPY && round === of(figures, 'rounds') + 1
    rows.push([
      span(fitText(`round ${round}`, 9), 'label'),
      span(fitText(`${sent} sent`, 12, 'right'), 'value', 'postcopy_round_sent'),
      span(under ? ', under way' : `, ${dirty} dirty`, under ? 'dim' : 'value', 'postcopy_round_dirty'),
    ])
  }
  return block(rows.length > 0 ? rows : [[span('none: all is missing at first', 'dim')]], width, ui.ascii)
}
