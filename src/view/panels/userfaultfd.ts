/** userfaultfd: which ranges a handler fills, how far it is, and who waits for it. */
import type { Model } from '../../sample/model.ts'
import type { UserFaultFd } from '../../sample/sample.ts'
import { formatBytes, formatDuration, formatPercent, plural } from '../format.ts'
import { shareBar, spark } from '../glyphs.ts'
import { type Block, block, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { taskName } from '../subjects/tasks.ts'
import { UFFD_COLUMNS, type UffdRow, uffdRows } from '../subjects/uffd.ts'
import { drawList, listRows } from '../table.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, filesOfTasks, knobFlow, words } from './common.ts'

const KNOBS = ['/proc/sys/vm/unprivileged_userfaultfd']
/** Processes whose areas are read. */
const WATCHED = 40

export const userfaultfd: PanelFunction = (model, ui, size): Panel => {
  const rows = uffdRows(model)
  const fds = model.sample.userFaultFds()
  const said = words(clauses(model, rows, fds), size, ui.ascii)
  const handlers = fds.length === 0 ? [] : [section('descriptors', fdBlock(model, fds, size.width, ui), ui.ascii)]
  const migration = migrationBlock(model, size.width, ui)
  const knobs = section('knobs', knobFlow(model, KNOBS, size.width, ui), ui.ascii)
  const fixed = [said, ...handlers, ...migration, knobs]
  const height = size.height - fixed.reduce((sum, part) => sum + part.rows.length, 0) - 1
  const listed = listRows(rows, UFFD_COLUMNS, row => `${row.pid} ${row.area.start}`, {
    model,
    ui,
    height: height - 1,
    fallback: { key: 'size_bytes', descending: true },
  })
  const list = section('ranges', drawList(listed, UFFD_COLUMNS, { model, ui, width: size.width, height }), ui.ascii)
  const wants = filesOfTasks(model, WATCHED, ['smaps'])
  return toPanel([...fixed, ...(rows.length === 0 ? [] : [list])], size, ui, { list: listed.state, wants })
}

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

/** The latest live migration: how far it is, what the switch cost, and how long the target's faults waited. */
function migrationBlock(model: Model, width: number, ui: PanelUi): Block[] {
  const figures = model.sample.postcopy()
  if (figures.size === 0) return []
  const of = (key: string) => figures.get(key) ?? 0
  const there = of('pages') - of('left')
  const line = (label: string, ...spans: Row): Row => [span(fitText(label, 16, 'left'), 'label'), ...spans]
  const waits = [...figures].flatMap(([key, count]) => (key.startsWith('below_') ? [count] : []))
  const rows = [
    line(
      'there',
      ...shareBar(there / Math.max(1, of('pages')), Math.max(0, Math.min(40, width - 60)), ui.ascii),
      span(` ${plural(of('left'), 'page')} left`, 'value'),
    ),
    line(
      'sent',
      span(
        `${of('precopied')} before the switch in ${plural(of('rounds'), 'round')}, then ${of('pushed')} pushed, ${of('urgent')} asked for`,
        'value',
      ),
    ),
    line('downtime', span(formatDuration(of('downtime_ns')), 'value')),
    line(
      'faults',
      span(`${of('faults')} waited ${formatDuration(of('fault_ns'))} each, ${formatDuration(of('longest_ns'))} at most  `, 'value'),
      spark(waits, waits.length, ui.ascii),
    ),
  ]
  return [section('post-copy migration', block(rows, width, ui.ascii), ui.ascii)]
}

/** A row a descriptor: faults that wait, and those of them that nobody has read. */
function fdBlock(model: Model, fds: readonly UserFaultFd[], width: number, ui: PanelUi): Block {
  const names = new Map(model.sample.tasks().map(task => [task.pid, taskName(task)]))
  const most = Math.max(1, ...fds.map(fd => fd.total))
  const rows = fds.map(
    (fd): Row => [
      span(fitText(`${fd.pid} ${names.get(fd.pid) ?? ''} fd ${fd.fd}`, 24, 'left', ui.ascii ? '~' : '…'), 'label'),
      ...shareBar(fd.total / most, Math.max(0, width - 60), ui.ascii),
      span(fitText(`${fd.total} waiting, ${fd.pending} unread`, 28, 'right'), fd.total > 0 ? 'value' : 'dim'),
      span(fd.pending > 0 ? ` ${alarm(ui.ascii)}` : '', 'warn'),
    ],
  )
  return block(rows, width, ui.ascii)
}
