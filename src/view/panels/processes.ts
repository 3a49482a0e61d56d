/** Processes: a table to sort and filter; opened, one process area by area. */
import { detailPaths, summaryPaths } from '../../sample/files.ts'
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { formatBytes, formatCount, formatPercent, plural } from '../format.ts'
import { block, fillBlock, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Size, span } from '../panel.ts'
import { AREA_COLUMNS, type AreaRow, areaRows } from '../subjects/areas.ts'
import { hugeBytes, isBusy, policyOf, TASK_COLUMNS, type TaskRow, taskRows } from '../subjects/tasks.ts'
import { drawList, listRows } from '../table.ts'
import { type Clauses, words } from './common.ts'
import { listPanel } from './list_panel.ts'
import { OVERLAY_ROWS, overlayBlock, overlayPath } from './overlays.ts'

/** Processes whose page tables are read every sample: what fits a tall screen. */
const WATCHED = 100

export const processes: PanelFunction = (model, ui, size): Panel => openedTask(model, ui, size) ?? tablePanel(model, ui, size)

/** The process that was opened, area by area; "PID START" is the one with an area of it. */
export function openedTask(model: Model, ui: PanelUi, size: Size): Panel | undefined {
  const pid = /^(\d{1,10})(?: |$)/.exec(ui.open)?.[1]
  const opened = pid === undefined ? undefined : taskRows(model).find(row => String(row.pid) === pid)
  return opened === undefined ? undefined : detailPanel(model, ui, size, opened)
}

function tablePanel(model: Model, ui: PanelUi, size: Size): Panel {
  const rows = taskRows(model)
  const said = words(clauses(model, rows), size, ui.ascii)
  const panel = listPanel(model, ui, size, {
    above: [said],
    rows,
    moves: isBusy,
    columns: TASK_COLUMNS,
    idOf: row => String(row.pid),
    fallback: { key: 'rss_bytes', descending: true },
    charts: () => CHARTS,
  })
  const { ids, first } = panel.list ?? { ids: [], first: 0 }
  return { ...panel, wants: summaryPaths(ids.slice(first, first + WATCHED).map(Number)) }
}

/** What all of them do and have. */
const CHARTS: readonly ChartOf[] = [
  {
    title: 'page faults',
    lines: [
      { name: 'all', keys: ['pgfault'] },
      { name: 'major', keys: ['pgmajfault'] },
    ],
  },
  {
    title: 'memory of processes',
    lines: [
      { name: 'anon', keys: ['AnonPages'] },
      { name: 'mapped', keys: ['Mapped'] },
      { name: 'huge', keys: ['AnonHugePages'] },
    ],
  },
  {
    title: 'swap',
    lines: [
      { name: 'out', keys: ['pswpout'] },
      { name: 'in', keys: ['pswpin'] },
    ],
  },
  {
    title: 'waiting for memory',
    lines: [
      { name: 'some', keys: ['psi_some_avg10'] },
      { name: 'all', keys: ['psi_full_avg10'] },
    ],
  },
]

function clauses(model: Model, rows: readonly TaskRow[]): Clauses {
  if (rows.length === 0) return ['This source has no processes']
  const sum = rows.reduce((total, row) => total + (row.rssBytes ?? 0), 0)
  const [biggest] = [...rows].sort((a, b) => (b.rssBytes ?? 0) - (a.rssBytes ?? 0))
  const [busiest] = [...rows].sort((a, b) => (b.minfltPerSecond ?? 0) - (a.minfltPerSecond ?? 0))
  const faults = rows.reduce((total, row) => total + (row.minfltPerSecond ?? 0) + (row.majfltPerSecond ?? 0), 0)
  const swapped = rows.reduce((total, row) => total + (row.task.status?.bytes.get('VmSwap') ?? 0), 0)
  return [
    `${plural(rows.length, 'process')} with ${formatBytes(sum)} resident`,
    rows.length > 1 &&
      sum > 0 &&
      `largest ${biggest.name} ${formatBytes(biggest.rssBytes ?? 0)} (${formatPercent(((biggest.rssBytes ?? 0) / sum) * 100)})`,
    faults > 0 ? `${formatCount(faults)} faults/s, most by ${busiest.name}` : model.before !== undefined && 'none faults',
    swapped > 0 && `${formatBytes(swapped)} swapped out`,
  ]
}

function detailPanel(model: Model, ui: PanelUi, size: Size, row: TaskRow): Panel {
  const { task } = row
  const facts = [
    `process ${row.name} (${row.pid}) has ${formatBytes(row.rssBytes ?? 0)} resident`,
    task.rollup !== undefined && `${formatPercent(((hugeBytes(row) ?? 0) / Math.max(1, task.rollup.get('Rss') ?? 0)) * 100)} of it huge`,
    policyOf(task) !== undefined && `policy ${policyOf(task)}`,
    task.oomScore !== undefined &&
      `OOM score ${task.oomScore}${task.oomScoreAdj === undefined || task.oomScoreAdj === 0 ? '' : ` (adj ${task.oomScoreAdj})`}`,
    task.activity,
  ]
  const said = words(facts, size, ui.ascii)
  const areas = areaRows(task)
  const wantsWith = (area: AreaRow | undefined) => {
    const overlay = overlayPath(model, row.pid, area, size.width)
    return overlay === undefined ? detailPaths(row.pid) : [...detailPaths(row.pid), overlay]
  }
  if (areas.length === 0) {
    const none = block([[span('smaps of this process is being read', 'dim')]], size.width, ui.ascii)
    return toPanel([said, none], size, ui, { wants: wantsWith(undefined) })
  }
  const room = size.height === Number.POSITIVE_INFINITY || size.height < 2 * OVERLAY_ROWS ? 0 : OVERLAY_ROWS
  const height = size.height - said.rows.length - 1 - room
  const listed = listRows(areas, AREA_COLUMNS, area => area.start, {
    model,
    ui,
    height: height - 1,
    fallback: { key: 'rss_bytes', descending: true },
  })
  const list = section('areas', drawList(listed, AREA_COLUMNS, { model, ui, width: size.width, height }), ui.ascii)
  const chosen = listed.rows[Math.max(0, listed.state.selected)]
  const overlay = room === 0 ? undefined : overlayBlock(model, row.pid, chosen, size.width, ui)
  const wants = wantsWith(room === 0 ? undefined : chosen)
  return toPanel([said, fillBlock(list, height + 1), ...(overlay === undefined ? [] : [overlay])], size, ui, { list: listed.state, wants })
}
