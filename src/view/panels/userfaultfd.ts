/** userfaultfd: which ranges a handler fills, how far it is, and who waits for it. */
import type { Model } from '../../sample/model.ts'
import type { WaitingThread } from '../../sample/parse/mmtop.ts'
import type { UserFaultFd } from '../../sample/sample.ts'
import type { ChartOf } from '../chart.ts'
import { CHARTS_TOO, chartGrid } from '../chart_grid.ts'
import { formatBytes, formatDuration, formatPercent, plural } from '../format.ts'
import { spark } from '../glyphs.ts'
import { type Block, block, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { taskName } from '../subjects/tasks.ts'
import { UFFD_COLUMNS, type UffdRow, uffdRows } from '../subjects/uffd.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, filesOfTasks, knobFlow, words } from './common.ts'
import { listPanel } from './list_panel.ts'
import { openedTask } from './processes.ts'

const KNOBS = ['/proc/sys/vm/unprivileged_userfaultfd']
/** Processes whose areas are read. */
const WATCHED = 40
/** Waiting threads listed. */
const WAITING_SHOWN = 6

export const userfaultfd: PanelFunction = (model, ui, size): Panel => {
  const opened = openedTask(model, ui, size)
  if (opened !== undefined) return opened
  const rows = uffdRows(model)
  const fds = model.sample.userFaultFds()
  const said = words(clauses(model, rows, fds), size, ui.ascii)
  const handlers = fds.length === 0 ? [] : [section('descriptors', fdBlock(model, fds, size.width, ui), ui.ascii)]
  const knobs = section('knobs', knobFlow(model, KNOBS, size.width, ui), ui.ascii)
  const waiting = model.sample.waiting()
  const threads = waiting.length === 0 ? [] : [section('threads that wait', waitingBlock(model, waiting, size.width, ui), ui.ascii)]
  const fixed = [said, ...handlers, ...threads, knobs]
  const wants = filesOfTasks(model, WATCHED, ['smaps'])
  if (rows.length === 0) {
    const left = size.height - fixed.reduce((sum, part) => sum + part.rows.length, 0)
    return toPanel([...fixed, ...chartGrid(model, ui, CHARTS, size.width, left)], size, ui, { wants })
  }
  return listPanel(model, ui, size, {
    above: fixed,
    title: 'ranges',
    rows,
    before: uffdRows,
    columns: UFFD_COLUMNS,
    idOf: row => `${row.pid} ${row.area.start}`,
    fallback: { key: 'size_bytes', descending: true },
    charts: () => CHARTS,
    share: CHARTS_TOO,
    wants,
  })
}

const CHARTS: readonly ChartOf[] = [
  {
    title: 'faults for a handler',
    lines: [
      { name: 'faults', keys: ['uffd_faults'] },
      { name: 'let go on', keys: ['uffd_woken'] },
    ],
  },
  {
    title: 'pages filled by handlers',
    lines: [
      { name: 'copied', keys: ['uffd_copied'] },
      { name: 'zeros', keys: ['uffd_zeroed'] },
      { name: 'continued', keys: ['uffd_continued'] },
    ],
  },
  { title: 'waiting for handlers', lines: [{ name: 'all', keys: ['uffd_waited_ns'] }] },
  { title: 'page faults', lines: [{ name: 'all', keys: ['pgfault'] }] },
]

function clauses(model: Model, rows: readonly UffdRow[], fds: readonly UserFaultFd[]): Clauses {
  const [size, present] = [rows.reduce((sum, row) => sum + row.sizeBytes, 0), rows.reduce((sum, row) => sum + row.presentBytes, 0)]
  const waiting = fds.reduce((sum, fd) => sum + fd.total, 0)
  const unread = model.sample.tasks().filter(task => task.smaps.length === 0).length
  return [
    rows.length === 0
      ? 'No range of a process is registered with userfaultfd, as far as their smaps are known'
      : `${plural(rows.length, 'range')} of ${formatBytes(size)} registered, ${formatPercent((present / Math.max(1, size)) * 100)} of it there`,
    waiting > 0 && `${plural(waiting, 'thread')} waiting for a handler`,
    rows.length === 0 && unread > 0 && model.kind !== 'recording' && `smaps of ${plural(unread, 'process')} not read yet`,
  ]
}

/** A row a descriptor: faults that wait, those of them that nobody has read, and how long those waited that are over. */
function fdBlock(model: Model, fds: readonly UserFaultFd[], width: number, ui: PanelUi): Block {
  const figures = model.sample.uffdFigures()
  const nameOf = namesOf(model)
  const rows = fds.map(({ pid, fd, total, pending }): Row => {
    const seen = figures.get(`${pid}/${fd}`)
    const waits = [...(seen ?? [])].flatMap(([key, count]) => (key.startsWith('below_') ? [count] : []))
    return [
      span(fitText(`${pid} ${nameOf(pid)} fd ${fd}`, 22, 'left', ui.ascii ? '~' : '…'), 'label'),
      span(fitText(`${total} waiting, ${pending} unread`, 22, 'right'), total > 0 ? 'value' : 'dim', 'uffd_waiting'),
      span(pending > 0 ? ` ${alarm(ui.ascii)}` : '  ', 'warn'),
      ...(seen === undefined ? [] : [span(` ${servedText(seen)}  `, 'value', 'uffd_served'), spark(waits, waits.length, ui.ascii)]),
    ]
  })
  return block(rows, width, ui.ascii)
}

/** What a descriptor has seen. */
function servedText(seen: ReadonlyMap<string, number>): string {
  const of = (key: string) => seen.get(key) ?? 0
  const each = of('woken') > 0 ? `, ${formatDuration(of('waited_ns') / of('woken'))} each, ${formatDuration(of('longest_ns'))} at most` : ''
  const filled = of('copied') + of('zeroed') + of('continued')
  return `${plural(of('faults'), 'fault')}${each}; ${plural(filled, 'page')} filled, ${plural(of('events'), 'event')}`
}

/** A row a thread that waits, the longest first. */
function waitingBlock(model: Model, waiting: readonly WaitingThread[], width: number, ui: PanelUi): Block {
  const nameOf = namesOf(model)
  const rows = [...waiting]
    .sort((a, b) => b.ns - a.ns)
    .map(
      ({ pid, where, address, what, ns }): Row => [
        span(fitText(`${pid} ${nameOf(pid)}`, 22, 'left', ui.ascii ? '~' : '…'), 'label'),
        span(fitText(formatDuration(ns), 8, 'right'), 'value', 'uffd_thread_ns'),
        span(`  ${what} at ${address}, descriptor ${where === '2014' ? 'of the 2014 proposal' : where}`),
      ],
    )
  const left = rows.length - WAITING_SHOWN
  const more: Row[] = left > 0 ? [[span(`${ui.ascii ? '...' : '…'} ${left} more`, 'dim')]] : []
  return block([...rows.slice(0, WAITING_SHOWN), ...more], width, ui.ascii)
}

function namesOf(model: Model): (pid: number) => string {
  const names = new Map(model.sample.tasks().map(task => [task.pid, taskName(task)]))
  return pid => names.get(pid) ?? ''
}
