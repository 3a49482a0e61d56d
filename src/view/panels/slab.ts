/** Slab caches: which of the kernel's own objects take memory, how much of it is idle, and what reclaim could have. */
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { chartGrid } from '../chart_grid.ts'
import { formatBytes, formatPercent, plural } from '../format.ts'
import { arrange, type Block, section, toPanel } from '../layout.ts'
import type { Panel, PanelFunction, PanelUi } from '../panel.ts'
import { idleBytes, moved, SLAB_COLUMNS, type SlabRow, slabBytes, slabRows } from '../subjects/slabs.ts'
import { type Clauses, counterBlock, knobBlock, knobFlow, levelOf, whyMissing, words } from './common.ts'
import { listPanel } from './list_panel.ts'

const KNOBS = ['/proc/sys/vm/vfs_cache_pressure', '/proc/sys/vm/min_slab_ratio', '/proc/sys/vm/drop_caches']
const COUNTERS = ['slabs_scanned', 'drop_slab', 'kswapd_inodesteal', 'pginodesteal', 'workingset_nodereclaim'] as const
/** Rows from which there is room for more than the list. */
const TALL = 30

export const slab: PanelFunction = (model, ui, size): Panel => {
  const rows = slabRows(model)
  const said = words(clauses(model, rows), size, ui.ascii)
  const knobs = section('knobs', knobFlow(model, KNOBS, size.width, ui), ui.ascii)
  const wants = ['/proc/slabinfo']
  const more = size.height >= TALL ? counterParts(model, ui, size.width) : rows.length === 0 ? [knobs] : []
  if (rows.length === 0) {
    const left = size.height - [said, ...more].reduce((sum, part) => sum + part.rows.length, 0)
    return toPanel([said, ...more, ...chartGrid(model, ui, CHARTS, size.width, left)], size, ui, { wants })
  }
  return listPanel(model, ui, size, {
    above: [said, ...more],
    rows,
    moves: moved,
    columns: SLAB_COLUMNS,
    idOf: row => row.name,
    fallback: { key: 'slab_bytes', descending: true },
    charts: () => CHARTS,
    wants,
  })
}

const CHARTS: readonly ChartOf[] = [
  {
    title: 'slab memory',
    lines: [
      { name: 'reclaimable', keys: ['SReclaimable'] },
      { name: 'not', keys: ['SUnreclaim'] },
    ],
  },
  {
    title: 'objects looked at by reclaim',
    lines: [
      { name: 'looked at', keys: ['slabs_scanned'] },
      { name: 'inodes by kswapd', keys: ['kswapd_inodesteal'] },
      { name: 'by others', keys: ['pginodesteal'] },
    ],
  },
  {
    title: 'other memory of the kernel',
    lines: [
      { name: 'page tables', keys: ['PageTables'] },
      { name: 'stacks', keys: ['KernelStack'] },
      { name: 'per CPU', keys: ['Percpu'] },
    ],
  },
]

function counterParts(model: Model, ui: PanelUi, width: number): Block[] {
  const parts = [
    { title: 'per second', least: 44, weight: 2, make: (own: number) => counterBlock(model, COUNTERS, own, ui) },
    { title: 'knobs', least: 30, make: (own: number) => knobBlock(model, KNOBS, own, ui) },
  ]
  return arrange(parts, width, ui.ascii)
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
