/**
 * The first panel: vmstat's rolling rows, what is going on as charts, and who does it.
 *
 * Wide:   sentence                        Narrow:  sentence
 *         rows            | charts                 rows
 *         processes                                charts side by side
 *                                                  processes
 */
import { kindOf } from '../../sample/counters.ts'
import { summaryPaths } from '../../sample/files.ts'
import { timesOf } from '../../sample/history.ts'
import type { Model } from '../../sample/model.ts'
import { type ChartOf, summed } from '../chart.ts'
import { chartGrid } from '../chart_grid.ts'
import { fieldOf } from '../fields.ts'
import { formatBytes, formatClock, formatCount, formatValue, plural } from '../format.ts'
import { type Block, beside, block, fillBlock, section, stack, toPanel } from '../layout.ts'
import type { ListState, Panel, PanelFunction, PanelUi, Row, Size } from '../panel.ts'
import { span } from '../panel.ts'
import { isBusy, TASK_COLUMNS, taskRows } from '../subjects/tasks.ts'
import { drawList, listRows } from '../table.ts'
import { fitText } from '../width.ts'
import { type Clauses, levelOf, notHere, sumNow, words } from './common.ts'
import { openedTask } from './processes.ts'

/** A column of the rolling rows: one or several scalars added up, totals per second. */
interface Rolling {
  readonly title: string
  readonly keys: readonly string[]
  readonly priority: number
}

export const ROLLING: readonly Rolling[] = [
  { title: 'free', keys: ['MemFree'], priority: 0 },
  { title: 'anon', keys: ['AnonPages'], priority: 0 },
  { title: 'file', keys: ['Cached'], priority: 1 },
  { title: 'thp', keys: ['AnonHugePages'], priority: 1 },
  { title: 'flt/s', keys: ['pgfault'], priority: 0 },
  { title: 'maj/s', keys: ['pgmajfault'], priority: 2 },
  { title: 'thp+', keys: ['thp_fault_alloc', 'thp_collapse_alloc', 'thp_file_alloc'], priority: 2 },
  { title: 'thp-', keys: ['thp_fault_fallback', 'thp_file_fallback'], priority: 2 },
  { title: 'stall', keys: ['compact_stall', 'allocstall_dma32', 'allocstall_normal', 'allocstall_movable'], priority: 3 },
  { title: 'scan/s', keys: ['pgscan_kswapd', 'pgscan_direct'], priority: 1 },
  { title: 'steal', keys: ['pgsteal_kswapd', 'pgsteal_direct'], priority: 2 },
  { title: 'si/s', keys: ['pswpin'], priority: 3 },
  { title: 'so/s', keys: ['pswpout'], priority: 3 },
]

const TIME_WIDTH = 8
const COLUMN_WIDTH = 6
const WIDE = 118
const CHART_ROWS = 6

export const overview: PanelFunction = (model, ui, size): Panel => openedTask(model, ui, size) ?? wholePanel(model, ui, size)

function wholePanel(model: Model, ui: PanelUi, size: Size): Panel {
  const said = words(clauses(model), size, ui.ascii)
  const room = size.height - said.rows.length
  const taskHeight = room === Number.POSITIVE_INFINITY ? room : Math.max(0, Math.min(model.sample.tasks().length + 2, Math.floor(room / 3)))
  const upper = room === Number.POSITIVE_INFINITY ? 16 : room - taskHeight
  const top = size.width >= WIDE ? wideTop(model, ui, size.width, upper) : narrowTop(model, ui, size.width, upper)
  if (taskHeight <= 2) return toPanel([said, top], size, ui)
  const tasks = taskBlock(model, ui, size.width, taskHeight)
  return toPanel([said, top, tasks.part], size, ui, { list: tasks.list, wants: summaryPaths(tasks.pids.slice(0, TASKS_WATCHED)) })
}

/** Processes whose page tables are looked at, at most. */
const TASKS_WATCHED = 20

/** What goes on, from the figures. */
function clauses(model: Model): Clauses {
  const faults = sumNow(model, ['pgfault'])
  const major = sumNow(model, ['pgmajfault'])
  const [huge, small] = [sumNow(model, ['thp_fault_alloc', 'thp_collapse_alloc']), sumNow(model, ['thp_fault_fallback'])]
  const [kswapd, direct] = [sumNow(model, ['pgscan_kswapd']), sumNow(model, ['pgscan_direct'])]
  const swap = sumNow(model, ['pswpin', 'pswpout'])
  const free = levelOf(model, 'MemFree')
  return [
    model.scalars.has('MemFree')
      ? `${formatBytes(free)}${model.scalars.has('MemTotal') ? ` of ${formatBytes(levelOf(model, 'MemTotal'))}` : ''} free`
      : `free memory is ${notHere(model)}`,
    model.before === undefined
      ? 'rates follow with the next sample'
      : !model.scalars.has('pgfault')
        ? `page faults are ${notHere(model)}`
        : faults === 0
          ? 'no page faults'
          : `${formatCount(faults)} faults/s${major > 0 ? `, ${formatCount(major)} of them major` : ''}`,
    huge > 0 && `${formatCount(huge)} huge pages/s`,
    small > 0 && `${formatCount(small)} faults/s wanted a huge page and got none`,
    kswapd > 0 && `kswapd looks at ${formatCount(kswapd)} pages/s`,
    direct > 0 && `processes reclaim themselves: ${formatCount(direct)} pages/s`,
    kswapd + direct === 0 && model.before !== undefined && model.scalars.has('pgscan_kswapd') && 'no reclaim',
    swap > 0 && `${formatCount(swap)} pages/s to and from swap`,
    levelOf(model, 'oom_kill') > 0 && plural(levelOf(model, 'oom_kill'), 'OOM kill'),
  ]
}

function wideTop(model: Model, ui: PanelUi, width: number, height: number): Block {
  const left = rollingWidth(Math.floor(width * 0.62))
  const charts = chartGrid(model, ui, chartsOf(model), width - left - 2, height)
  return beside([rollingBlock(model, ui, left, height), ...charts], 2)
}

function narrowTop(model: Model, ui: PanelUi, width: number, height: number): Block {
  const chartHeight = height >= 12 ? CHART_ROWS : 0
  const rows = rollingBlock(model, ui, width, height - chartHeight)
  return chartHeight === 0 ? rows : stack([rows, ...chartGrid(model, ui, chartsOf(model), width, chartHeight)])
}

/** What goes on, as every machine has it. */
export const chartsOf = (model: Model): ChartOf[] => [
  { title: 'page faults', lines: [{ name: 'all', keys: ['pgfault'] }] },
  {
    title: 'huge pages',
    lines: [
      { name: 'fault', keys: ['thp_fault_alloc'] },
      { name: 'fallback', keys: ['thp_fault_fallback'] },
      { name: 'collapse', keys: ['thp_collapse_alloc'] },
    ],
  },
  {
    title: 'reclaim',
    lines: [
      { name: 'scanned', keys: ['pgscan_kswapd', 'pgscan_direct'] },
      { name: 'stolen', keys: ['pgsteal_kswapd', 'pgsteal_direct'] },
    ],
  },
  { title: 'free memory', lines: [{ name: 'free', keys: ['MemFree'] }], max: levelOf(model, 'MemTotal') },
  {
    title: 'swap',
    lines: [
      { name: 'out', keys: ['pswpout'] },
      { name: 'in', keys: ['pswpin'] },
    ],
  },
  {
    title: 'memory',
    lines: [
      { name: 'anon', keys: ['AnonPages'] },
      { name: 'file', keys: ['Cached'] },
      { name: 'slab', keys: ['Slab'] },
    ],
    max: levelOf(model, 'MemTotal'),
  },
]

/** Columns that fit, by priority. */
function rollingColumns(width: number): readonly Rolling[] {
  const room = Math.floor((width - TIME_WIDTH) / (COLUMN_WIDTH + 1))
  const kept = new Set([...ROLLING].sort((a, b) => a.priority - b.priority).slice(0, Math.max(1, room)))
  return ROLLING.filter(column => kept.has(column))
}

const rollingWidth = (width: number): number => TIME_WIDTH + rollingColumns(width).length * (COLUMN_WIDTH + 1)

/** The newest sample last, one row a sample, as vmstat does. */
function rollingBlock(model: Model, ui: PanelUi, width: number, height: number): Block {
  const columns = rollingColumns(width)
  const headed = height >= 4
  const count = Math.max(1, height - (headed ? 2 : 1))
  const times = timesOf(model.history, model.seq, count)
  const values = columns.map(column => summed(model, column.keys, count))
  const units = columns.map(({ keys: [key] }) => (kindOf(key) === 'counter' ? 'count' : fieldOf(key).unit))
  const head: Row = [
    span(fitText('time', TIME_WIDTH, 'right'), 'head'),
    ...columns.map(column => span(` ${fitText(column.title, COLUMN_WIDTH, 'right')}`, 'head', column.keys[0])),
  ]
  const rows = times.map((ns, i): Row => {
    const cells = columns.map((column, c) => {
      // A rate has no value for the very first sample, so its list may be one shorter.
      const value = values[c][values[c].length - times.length + i]
      const text = formatValue(value, units[c])
      return span(` ${fitText(text, COLUMN_WIDTH, 'right')}`, value === 0 || value === undefined ? 'dim' : 'value', column.keys[0])
    })
    return [span(formatClock(ns).slice(0, TIME_WIDTH), 'dim'), ...cells]
  })
  const part = block([head, ...rows], width, ui.ascii)
  return fillBlock(headed ? section('vmstat', part, ui.ascii) : part, Math.max(2, height))
}

interface TaskBlock {
  readonly part: Block
  readonly list: ListState
  /** The processes that it shows. */
  readonly pids: readonly number[]
}

function taskBlock(model: Model, ui: PanelUi, width: number, height: number): TaskBlock {
  const all = taskRows(model)
  const rows = ui.moving ? all.filter(isBusy) : all
  const fallback = { key: 'rss_bytes', descending: true }
  const listed = listRows(rows, TASK_COLUMNS, row => String(row.pid), { model, ui, height: height - 2, fallback })
  const table = drawList(listed, TASK_COLUMNS, { model, ui, width, height: height - 1 })
  const { first, sort } = listed.state
  const shown = listed.rows.slice(first, first + Math.max(0, height - 2))
  const title = sort === fallback ? 'processes by RSS' : 'processes'
  return { part: section(title, table, ui.ascii), list: listed.state, pids: shown.map(row => row.pid) }
}
