/** Processes: a table to sort and filter; opened, one process area by area. */
import { detailPaths, summaryPaths } from '../../sample/files.ts'
import type { Model } from '../../sample/model.ts'
import { lineChart } from '../chart.ts'
import { formatBytes, formatCount, formatPercent, plural } from '../format.ts'
import { type Block, beside, block, chartBlock, fillBlock, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Size, span } from '../panel.ts'
import { AREA_COLUMNS, type AreaRow, areaRows } from '../subjects/areas.ts'
import { hugeBytes, policyOf, TASK_COLUMNS, type TaskRow, taskRows } from '../subjects/tasks.ts'
import { drawList, listRows } from '../table.ts'
import { type Clauses, words } from './common.ts'
import { OVERLAY_ROWS, overlayBlock, overlayPath } from './overlays.ts'

/** Processes whose page tables are read every sample: what fits a tall screen. */
const WATCHED = 100

export const processes: PanelFunction = (model, ui, size): Panel => {
  const rows = taskRows(model)
  const opened = rows.find(row => String(row.pid) === ui.open)
  return opened === undefined ? tablePanel(model, ui, size, rows) : detailPanel(model, ui, size, opened)
}

function tablePanel(model: Model, ui: PanelUi, size: Size, rows: readonly TaskRow[]): Panel {
  const said = words(clauses(model, rows), size, ui.ascii)
  const room = size.height - said.rows.length
  const height = size.height >= TALL && size.height !== Number.POSITIVE_INFINITY ? room - CHART_ROWS : room
  const shown = ui.moving ? rows.filter(row => (row.minfltPerSecond ?? 0) > 0 || (row.majfltPerSecond ?? 0) > 0) : rows
  const listed = listRows(shown, TASK_COLUMNS, row => String(row.pid), {
    model,
    ui,
    height: height - 1,
    fallback: { key: 'rss_bytes', descending: true },
  })
  const wants = summaryPaths(listed.rows.slice(listed.state.first, listed.state.first + WATCHED).map(row => row.pid))
  const list = drawList(listed, TASK_COLUMNS, { model, ui, width: size.width, height })
  const blocks = height < room ? [said, fillBlock(list, height), historyOf(model, ui, size.width)] : [said, list]
  return toPanel(blocks, size, ui, { list: listed.state, wants })
}

/** Rows from which there is room for more than the list. */
const TALL = 30
const CHART_ROWS = 8

/** What all of them do and have. */
function historyOf(model: Model, ui: PanelUi, width: number): Block {
  const faults = [
    { name: 'all', keys: ['pgfault'] },
    { name: 'major', keys: ['pgmajfault'] },
  ]
  const memory = [
    { name: 'anon', keys: ['AnonPages'] },
    { name: 'mapped', keys: ['Mapped'] },
  ]
  const half = Math.floor((width - 2) / 2)
  return beside(
    [
      chartBlock(lineChart(model, 'page faults/s', faults, ui.zoom), half, CHART_ROWS),
      chartBlock(lineChart(model, 'memory of processes', memory, ui.zoom), width - 2 - half, CHART_ROWS),
    ],
    2,
  )
}

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
