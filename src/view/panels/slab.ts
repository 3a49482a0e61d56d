/** Slab caches: which of the kernel's own objects take memory, how much of it is idle, and what reclaim could have. */
import type { Model } from '../../sample/model.ts'
import { lineChart } from '../chart.ts'
import { formatBytes, formatPercent, plural } from '../format.ts'
import { arrange, type Block, chartBlock, section, toPanel } from '../layout.ts'
import type { Panel, PanelFunction, PanelUi } from '../panel.ts'
import { idleBytes, moved, SLAB_COLUMNS, type SlabRow, slabBytes, slabRows } from '../subjects/slabs.ts'
import { drawList, listRows } from '../table.ts'
import { type Clauses, counterBlock, knobBlock, knobFlow, levelOf, whyMissing, words } from './common.ts'

const KNOBS = ['/proc/sys/vm/vfs_cache_pressure', '/proc/sys/vm/min_slab_ratio', '/proc/sys/vm/drop_caches']
const COUNTERS = ['slabs_scanned', 'drop_slab', 'kswapd_inodesteal', 'pginodesteal', 'workingset_nodereclaim'] as const
/** Rows from which there is room for more than the list. */
const TALL = 30
const CHART_ROWS = 8

export const slab: PanelFunction = (model, ui, size): Panel => {
  const rows = slabRows(model)
  const said = words(clauses(model, rows), size, ui.ascii)
  const knobs = section('knobs', knobFlow(model, KNOBS, size.width, ui), ui.ascii)
  const fixed = [said, ...(size.height >= TALL ? tallBlocks(model, ui, size.width) : rows.length === 0 ? [knobs] : [])]
  const height = size.height - fixed.reduce((sum, part) => sum + part.rows.length, 0)
  const listed = listRows(ui.moving ? rows.filter(moved) : rows, SLAB_COLUMNS, row => row.name, {
    model,
    ui,
    height: height - 1,
    fallback: { key: 'slab_bytes', descending: true },
  })
  const list = drawList(listed, SLAB_COLUMNS, { model, ui, width: size.width, height })
  return toPanel(rows.length === 0 ? fixed : [...fixed, list], size, ui, { list: listed.state, wants: ['/proc/slabinfo'] })
}

function tallBlocks(model: Model, ui: PanelUi, width: number): Block[] {
  const lines = [
    { name: 'reclaimable', keys: ['SReclaimable'] },
    { name: 'not', keys: ['SUnreclaim'] },
  ]
  const chart = chartBlock(lineChart(model, 'slab memory', lines, ui.zoom), width, CHART_ROWS)
  const parts = [
    { title: 'per second', least: 44, weight: 2, make: (own: number) => counterBlock(model, COUNTERS, own, ui) },
    { title: 'knobs', least: 30, make: (own: number) => knobBlock(model, KNOBS, own, ui) },
  ]
  return [chart, ...arrange(parts, width, ui.ascii)]
}

function clauses(model: Model, rows: readonly SlabRow[]): Clauses {
  const [all, back] = [levelOf(model, 'Slab'), levelOf(model, 'SReclaimable')]
  const held = rows.reduce((sum, row) => sum + slabBytes(row), 0)
  const idle = rows.reduce((sum, row) => sum + idleBytes(row), 0)
  const largest = rows.reduce<SlabRow | undefined>(
    (most, row) => (most === undefined || slabBytes(row) > slabBytes(most) ? row : most),
    undefined,
  )
  return [
    `${formatBytes(all)} in slabs, ${formatBytes(back)} of it could be reclaimed`,
    rows.length === 0 && whyMissing(model, '/proc/slabinfo'),
    largest !== undefined &&
      held > 0 &&
      `${plural(rows.length, 'cache')}, largest ${largest.name} with ${formatBytes(slabBytes(largest))} (${formatPercent((slabBytes(largest) / held) * 100)})`,
    held > 0 && `${formatPercent((idle / held) * 100)} is idle: taken, but in no object that is used`,
  ]
}
