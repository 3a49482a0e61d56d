/**
 * What is not used: by idle page tracking on simulated machines, how long the pages of each process and cgroup have not been used; on real
 * ones what the kernel's own monitor, DAMON, is told to look for and did. On both the generations of the LRU, while reclaim goes by them.
 */
import type { Model } from '../../sample/model.ts'
import { type DamonContext, damonPaths } from '../../sample/parse/damon.ts'
import { generationsOn, LRU_GEN, LRU_GEN_ENABLED } from '../../sample/parse/lru_gen.ts'
import { type AgedRow, parseWorkingSet, type WorkingSet } from '../../sample/parse/working_set.ts'
import type { ChartOf } from '../chart.ts'
import { chartGrid } from '../chart_grid.ts'
import { formatBytes, formatDuration, formatPercent, plural } from '../format.ts'
import { fillOf, segmentBar } from '../glyphs.ts'
import { type Block, block, section, stack, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Size, span } from '../panel.ts'
import { contexts, SCHEME_COLUMNS } from '../subjects/damon.ts'
import { GENERATION_COLUMNS, generationRows } from '../subjects/generations.ts'
import { AGED_COLUMNS } from '../subjects/pages.ts'
import { taskName } from '../subjects/tasks.ts'
import { drawTable, type Listed, listRows, movedRows } from '../table.ts'
import { fitText } from '../width.ts'
import { type Clauses, notHere, words } from './common.ts'
import { openedTask } from './processes.ts'

const PATH = '/mmtop/working_set'
const PAGE = 4096
const NAME = 16
const SIZE = 8
/** Rounds that the pages of each bucket were not used. */
const AGES = ['used', '1', '2-3', '4-7', '8-15', '16+'] as const

export const workingSet: PanelFunction = (model, ui, size): Panel => {
  const opened = openedTask(model, ui, size)
  if (opened !== undefined) return opened
  const text = model.sample.frame.files.get(PATH)
  const found = text === undefined ? undefined : parseWorkingSet(text)
  const damon = contexts(model)
  const said = words(
    model.kind === 'simulation' || found !== undefined ? clauses(model, found) : damonClauses(model, damon),
    size,
    ui.ascii,
  )
  const on = found !== undefined && found.intervalMs > 0
  const listed = listRows(agedRows(ui, model), AGED_COLUMNS, row => String(row.id), {
    model,
    ui,
    height: size.height - LIST_SPARES,
    fallback: undefined,
  })
  const blocks = on ? tablesOf(model, found, listed, size, ui) : []
  const generations = generationBlocks(model, size.width, ui)
  const daemons = (damon ?? []).map(each => section(`DAMON kdamond ${each.kdamond}`, damonBlock(model, each, size.width, ui), ui.ascii))
  const paths = model.kind === 'simulation' ? [] : damonPaths(model.sample.frame.files)
  const used = [said, ...blocks, ...generations, ...daemons].reduce((sum, part) => sum + part.rows.length, 0)
  const charts = chartGrid(model, ui, CHARTS, size.width, size.height - used)
  const rest = { wants: [PATH, LRU_GEN_ENABLED, LRU_GEN, ...paths], ...(on ? { list: listed.state } : {}) }
  return toPanel([said, ...blocks, ...generations, ...daemons, ...charts], size, ui, rest)
}

/** Rows around the list of processes: words, legend, headings. */
const LIST_SPARES = 6

/** Those with most memory first, or only those of which other pages are used than before. */
function agedRows(ui: PanelUi, model: Model): readonly AgedRow[] {
  const rowsOf = (sample: Model['sample']) => parseWorkingSet(sample.frame.files.get(PATH) ?? '').tasks
  const rows = [...rowsOf(model.sample)].sort((a, b) => total(b) - total(a))
  return ui.moving && model.previous !== undefined
    ? movedRows(rows, rowsOf(model.previous), AGED_COLUMNS, row => String(row.id), model)
    : rows
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

/** Pages that were reclaimed and came back soon: the working set is larger than what it was given. */
const CHARTS: readonly ChartOf[] = [
  {
    title: 'refaults: reclaimed too early',
    lines: [
      // Before 5.9 both were counted together.
      { name: 'all', keys: ['workingset_refault'] },
      { name: 'anon', keys: ['workingset_refault_anon'] },
      { name: 'file', keys: ['workingset_refault_file'] },
    ],
  },
  {
    title: 'refaults of pages that were in use',
    lines: [
      { name: 'all', keys: ['workingset_activate'] },
      { name: 'anon', keys: ['workingset_activate_anon'] },
      { name: 'file', keys: ['workingset_activate_file'] },
    ],
  },
  {
    title: 'memory by list',
    lines: [
      { name: 'active anon', keys: ['nr_active_anon'] },
      { name: 'inactive anon', keys: ['nr_inactive_anon'] },
      { name: 'active file', keys: ['nr_active_file'] },
      { name: 'inactive file', keys: ['nr_inactive_file'] },
    ],
  },
  {
    title: 'pages that changed their list',
    lines: [
      { name: 'to active', keys: ['pgactivate'] },
      { name: 'to inactive', keys: ['pgdeactivate'] },
    ],
  },
]

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
    [[span(`${context.state === 'on' ? `on, process ${context.pid}` : 'off'}: ${what}; `, 'value', 'damon_daemon'), span(how, 'dim')]],
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

function tablesOf(model: Model, found: WorkingSet, listed: Listed<AgedRow>, { width, height }: Size, ui: PanelUi): Block[] {
  const { first, selected } = listed.state
  const shown = listed.rows.slice(
    first,
    height === Number.POSITIVE_INFINITY ? listed.rows.length : first + Math.max(1, height - LIST_SPARES),
  )
  const tasks = section(
    'processes by rounds not used',
    barBlock(shown, row => nameOf(model, row.id), width, ui, selected < 0 ? -1 : selected - first),
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
function barBlock(rows: readonly AgedRow[], name: (row: AgedRow) => string, width: number, ui: PanelUi, selected = -1): Block {
  const most = Math.max(1, ...rows.map(total))
  const lines = rows.map((row, at): Row => {
    const all: Row = [
      span(fitText(name(row), NAME, 'left', ui.ascii ? '~' : '…'), 'label'),
      span(fitText(formatBytes(row.pages[0] * PAGE), SIZE, 'right'), 'value', AGED_COLUMNS[1].key),
      span(fitText(`of ${formatBytes(total(row) * PAGE)}`, SIZE + 3, 'right'), 'dim'),
      span(' '),
      ...segmentBar(
        row.pages.map((value, i) => ({ value, about: AGED_COLUMNS[i + 1].key })),
        most,
        Math.max(0, width - NAME - 2 * SIZE - 4),
        ui.ascii,
      ),
    ]
    return at === selected ? all.map(each => ({ ...each, style: 'selected' })) : all
  })
  return block(lines.length > 0 ? lines : [[span('none', 'dim')]], width, ui.ascii)
}
