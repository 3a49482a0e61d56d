/**
 * What is not used: by idle page tracking on simulated machines, how long the pages of each process and cgroup have not been used; on real
 * ones what the kernel's own monitor, DAMON, is told to look for and did. On both the generations of the LRU, while reclaim goes by them.
 */
import type { Model } from '../../sample/model.ts'
import { type DamonContext, damonPaths } from '../../sample/parse/damon.ts'
import { generationsOn, LRU_GEN, LRU_GEN_ENABLED } from '../../sample/parse/lru_gen.ts'
import { type AgedRow, parseWorkingSet, type WorkingSet } from '../../sample/parse/working_set.ts'
import { lineChart } from '../chart.ts'
import { formatBytes, formatDuration, formatPercent, plural } from '../format.ts'
import { fillOf, segmentBar } from '../glyphs.ts'
import { type Block, block, chartBlock, section, stack, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { contexts, SCHEME_COLUMNS } from '../subjects/damon.ts'
import { GENERATION_COLUMNS, generationRows } from '../subjects/generations.ts'
import { taskName } from '../subjects/tasks.ts'
import { drawTable } from '../table.ts'
import { fitText } from '../width.ts'
import { type Clauses, notHere, words } from './common.ts'

const PATH = '/mmtop/working_set'
const PAGE = 4096
const NAME = 16
const SIZE = 8
/** Rounds that the pages of each bucket were not used. */
const AGES = ['used', '1', '2-3', '4-7', '8-15', '16+'] as const

export const workingSet: PanelFunction = (model, ui, size): Panel => {
  const text = model.sample.frame.files.get(PATH)
  const found = text === undefined ? undefined : parseWorkingSet(text)
  const damon = contexts(model)
  const said = words(
    model.kind === 'simulation' || found !== undefined ? clauses(model, found) : damonClauses(model, damon),
    size,
    ui.ascii,
  )
  const blocks = found === undefined || found.intervalMs === 0 ? [] : tablesOf(model, found, size.width, ui)
  const generations = generationBlocks(model, size.width, ui)
  const daemons = (damon ?? []).map(each => section(`DAMON kdamond ${each.kdamond}`, damonBlock(model, each, size.width, ui), ui.ascii))
  const paths = model.kind === 'simulation' ? [] : damonPaths(model.sample.frame.files)
  const used = [said, ...blocks, ...generations, ...daemons].reduce((sum, part) => sum + part.rows.length, 0)
  const left = size.height === Number.POSITIVE_INFINITY ? CHART_ROWS : Math.min(MOST_CHART_ROWS, size.height - used - 1)
  const chart = left < CHART_ROWS ? [] : [section('taken too early', refaultChart(model, ui, size.width, left), ui.ascii)]
  return toPanel([said, ...blocks, ...generations, ...daemons, ...chart], size, ui, { wants: [PATH, LRU_GEN_ENABLED, LRU_GEN, ...paths] })
}

/** The generations of the LRU, the oldest first, while reclaim goes by them. */
function generationBlocks(model: Model, width: number, ui: PanelUi): Block[] {
  const rows = generationRows(model)
  if (rows.length === 0) return []
  return [
    section(
      'generations',
      drawTable({ columns: GENERATION_COLUMNS, rows, sort: undefined, selected: -1 }, model, width, ui.ascii),
      ui.ascii,
    ),
  ]
}

function clauses(model: Model, found: WorkingSet | undefined): Clauses {
  if (found === undefined) return ['Ages of pages are being read']
  if (found.intervalMs === 0)
    return ['The estimator is off: ":write /mmtop/working_set 1000" marks all pages idle once a second and counts those that stay so']
  const all = found.tasks.reduce((sum, row) => sum + total(row), 0)
  const used = found.tasks.reduce((sum, row) => sum + row.pages[0], 0)
  const idle = [...found.tasks].sort((a, b) => unused(b) - unused(a))[0]
  return [
    `${formatBytes(used * PAGE)} of the ${formatBytes(all * PAGE)} that processes map were used in the last round of ${found.intervalMs} ms (${formatPercent((used / Math.max(1, all)) * 100)})`,
    idle !== undefined &&
      unused(idle) > 0 &&
      `most unused for 16 rounds and more: ${nameOf(model, idle.id)}, ${formatBytes(unused(idle) * PAGE)}`,
    `${plural(found.rounds, 'round')} so far`,
  ]
}

const CHART_ROWS = 7
const MOST_CHART_ROWS = 20

/** Pages that were reclaimed and came back soon: the working set is larger than what it was given. */
function refaultChart(model: Model, ui: PanelUi, width: number, height: number): Block {
  // Before 5.9 both were counted together.
  const lines = model.scalars.has('workingset_refault')
    ? [{ name: 'all', keys: ['workingset_refault'] }]
    : [
        { name: 'anon', keys: ['workingset_refault_anon'] },
        { name: 'file', keys: ['workingset_refault_file'] },
      ]
  return chartBlock(lineChart(model, 'refaults/s', lines, ui.zoom), width, height)
}

/** What the kernel's monitor does, or why nothing is known. */
function damonClauses(model: Model, damon: readonly DamonContext[] | undefined): Clauses {
  const refused = [...model.sample.unread().keys()].some(path => path.startsWith('/sys/kernel/mm/damon/'))
  if (damon === undefined)
    return [
      'How long pages were not used is estimated of simulated machines only',
      refused ? 'DAMON is here, and only root may read what it does' : `DAMON, which tells it of real ones, is ${notHere(model)}`,
      hiddenGenerations(model),
    ]
  const running = damon.filter(({ state }) => state === 'on')
  const applied = damon.flatMap(({ schemes }) => schemes).reduce((sum, { numbers }) => sum + (numbers.get('stats/sz_applied') ?? 0), 0)
  return [
    damon.length === 0
      ? 'DAMON is here, but nobody runs it'
      : damon.some(({ state }) => state === '')
        ? `DAMON has ${plural(damon.length, 'daemon')}`
        : `DAMON: ${running.length} of ${plural(damon.length, 'daemon')} on`,
    applied > 0 && `${formatBytes(applied)} given up or moved by its schemes`,
    damon.length > 0 && 'its counts are those of the last time that someone asked for them: update_schemes_stats',
    hiddenGenerations(model),
  ]
}

/** Reclaim goes by generations that may not be looked into. */
const hiddenGenerations = (model: Model): string | false =>
  model.sample.unread().has(LRU_GEN) &&
  generationsOn(model.sample.frame.files.get(LRU_GEN_ENABLED)) &&
  'reclaim goes by generations, and only root may read what is in them'

/** How one daemon looks at memory, and its schemes. */
function damonBlock(model: Model, context: DamonContext, width: number, ui: PanelUi): Block {
  if (context.state === '') return block([[span('what it does is being read', 'dim')]], width, ui.ascii)
  const of = (name: string) => context.numbers.get(`monitoring_attrs/${name}`) ?? 0
  const what =
    context.operations === 'paddr'
      ? 'physical memory'
      : context.targets.length === 0
        ? 'no process'
        : context.targets.map(pid => nameOf(model, pid)).join(', ')
  const interval = (name: string) => formatDuration(of(`intervals/${name}`) * 1000)
  const how = `samples every ${interval('sample_us')}, aggregates ${interval('aggr_us')}, ${of('nr_regions/min')} to ${of('nr_regions/max')} regions`
  const head = block(
    [[span(`${context.state === 'on' ? `on, process ${context.pid}` : 'off'}: ${what}; `, 'value'), span(how, 'dim')]],
    width,
    ui.ascii,
  )
  if (context.schemes.length === 0) return head
  const table = drawTable({ columns: SCHEME_COLUMNS, rows: context.schemes, sort: undefined, selected: -1 }, model, width, ui.ascii)
  return stack([head, table])
}

const total = ({ pages }: AgedRow): number => pages.reduce((sum, n) => sum + n, 0)
const unused = ({ pages }: AgedRow): number => pages[pages.length - 1] ?? 0

function nameOf(model: Model, pid: number): string {
  return `${taskName(model.sample.tasks().find(task => task.pid === pid))} ${pid}`.trim()
}

function tablesOf(model: Model, found: WorkingSet, width: number, ui: PanelUi): Block[] {
  const byAge = [...found.tasks].sort((a, b) => total(b) - total(a))
  const tasks = section(
    'processes by rounds not used',
    barBlock(byAge, row => nameOf(model, row.id), width, ui),
    ui.ascii,
  )
  const groups = section(
    'cgroups',
    barBlock(found.cgroups, row => (row.id === 1 ? '/' : `cgroup ${row.id}`), width, ui),
    ui.ascii,
  )
  return [legend(width, ui), tasks, groups]
}

function legend(width: number, ui: PanelUi): Block {
  const items = AGES.flatMap((age, i) => {
    const { sign, style } = fillOf(i, ui.ascii)
    return [span(sign, style), span(` ${age}  `, 'dim')]
  })
  return block([[span(fitText('rounds', NAME), 'head'), ...items]], width, ui.ascii)
}

/** A row each: what was used, in figures, and a bar of all ages. */
function barBlock(rows: readonly AgedRow[], name: (row: AgedRow) => string, width: number, ui: PanelUi): Block {
  const most = Math.max(1, ...rows.map(total))
  const lines = rows.map(
    (row): Row => [
      span(fitText(name(row), NAME, 'left', ui.ascii ? '~' : '…'), 'label'),
      span(fitText(formatBytes(row.pages[0] * PAGE), SIZE, 'right'), 'value'),
      span(fitText(`of ${formatBytes(total(row) * PAGE)}`, SIZE + 3, 'right'), 'dim'),
      span(' '),
      ...segmentBar(
        row.pages.map(value => ({ value })),
        most,
        Math.max(0, width - NAME - 2 * SIZE - 4),
        ui.ascii,
      ),
    ],
  )
  return block(lines.length > 0 ? lines : [[span('none', 'dim')]], width, ui.ascii)
}
