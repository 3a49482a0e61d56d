/**
 * Fragmentation: free blocks by order and migrate type, and how much of free memory is of no use for large blocks.
 *
 * The unusable index of an order is the share of free memory in blocks smaller than that order (mm/vmstat.c
 * unusable_show); 0 is good, 1 means that no block of that order is left although memory is free.
 */
import type { Model } from '../../sample/model.ts'
import type { FreeBlocks } from '../../sample/parse/buddyinfo.ts'
import { barChart, type ChartOf, chartsOfMany } from '../chart.ts'
import { formatBytes, formatCount, formatPercent } from '../format.ts'
import { arrange, type Block, block } from '../layout.ts'
import { bytesOfPages } from '../page_size.ts'
import { type ChartSpec, type Panel, type PanelFunction, type PanelUi, type Row, type Size, type Style, span } from '../panel.ts'
import { buddyColumns } from '../subjects/zones.ts'
import { fitText } from '../width.ts'
import { type Clauses, counterBlock, knobBlock, words } from './common.ts'
import { counterPanel, counterRowsBelow } from './counter_list.ts'
import { listPanel } from './list_panel.ts'

const COUNTERS = [
  'compact_stall',
  'compact_success',
  'compact_fail',
  'compact_migrate_scanned',
  'compact_free_scanned',
  'compact_isolated',
  'compact_daemon_wake',
  'pgmigrate_success',
  'pgmigrate_fail',
] as const
const KNOBS = ['extfrag_threshold', 'compaction_proactiveness', 'compact_unevictable_allowed', 'watermark_boost_factor'].map(
  name => `/proc/sys/vm/${name}`,
)
const HUGE_ORDER = 9
/** Columns for a zone's name. */
const LABEL = 10

export const fragmentation: PanelFunction = (model, ui, size): Panel => {
  const rows = model.sample.buddy()
  const opened = rows.find(row => idOf(row) === ui.open)
  if (opened !== undefined) return onePanel(model, ui, size, opened)
  const said = words(clauses(rows), size, ui.ascii)
  const parts = [
    { title: 'where free memory is, by order', least: 38, make: (width: number) => heatBlock(rows, width, ui) },
    { title: 'page blocks by type', least: 40, make: (width: number) => ownedBlock(model, width, ui) },
    {
      title: 'compaction per second',
      least: 44,
      make: (width: number) => counterBlock(model, COUNTERS.slice(0, Math.max(4, size.height - 9 - 2 * rows.length)), width, ui),
    },
    { title: 'knobs', least: 34, make: (width: number) => knobBlock(model, KNOBS, width, ui) },
  ]
  return listPanel(model, ui, size, {
    above: [said],
    after: arrange(parts, size.width, ui.ascii),
    title: 'free blocks by order (4 KiB x 2^order)',
    rows,
    before: ({ sample }) => sample.buddy(),
    columns: buddyColumns(model),
    idOf,
    charts: selected => chartsOf(model, ui, rows, selected),
  })
}

const idOf = ({ node, zone }: FreeBlocks): string => `N${node}.${zone}`
const nameOf = ({ node, zone }: FreeBlocks): string => `N${node} ${zone}`

/** The recent past of the blocks that a huge page can be made of, zone by zone, and of what makes more of them. */
function chartsOf(model: Model, ui: PanelUi, rows: readonly FreeBlocks[], selected: FreeBlocks | undefined): (ChartOf | ChartSpec)[] {
  const lines = rows
    .filter(row => row.zone !== 'DMA' || row === selected)
    .map(row => ({
      name: nameOf(row),
      keys: row.blocks.flatMap((_, order) => (order >= HUGE_ORDER ? [`${idOf(row)}.order${order}`] : [])),
    }))
    .filter(({ keys }) => keys.length > 0)
  const chosen = selected === undefined ? undefined : nameOf(selected)
  const [first, ...others] =
    lines.length === 0 ? [] : chartsOfMany(model, ui.zoom, { title: 'free blocks of 2 MiB and more', lines }, 'zones', chosen)
  const shown =
    selected ??
    rows.reduce<FreeBlocks | undefined>((most, row) => (pagesIn(row) > (most === undefined ? 0 : pagesIn(most)) ? row : most), undefined)
  return [...(first === undefined ? [] : [first]), ...(shown === undefined ? [] : [bySize(shown)]), ...COMPACTION, ...others]
}

/** What is free in a zone, by the size of the blocks that it is in. */
function bySize(row: FreeBlocks): ChartSpec {
  const bars = row.blocks.map((count, order) => ({
    name: formatBytes(bytesOfPages(2 ** order)),
    value: bytesOfPages(count * 2 ** order),
    about: `${idOf(row)}.order${order}`,
  }))
  return barChart(`free in ${nameOf(row)}, by block`, 'bytes', bars)
}

const COMPACTION: readonly ChartOf[] = [
  {
    title: 'compaction',
    lines: [
      { name: 'stalls', keys: ['compact_stall'] },
      { name: 'success', keys: ['compact_success'] },
      { name: 'failed', keys: ['compact_fail'] },
    ],
  },
  {
    title: 'pages looked at by compaction',
    lines: [
      { name: 'to move', keys: ['compact_migrate_scanned'] },
      { name: 'for room', keys: ['compact_free_scanned'] },
      { name: 'taken', keys: ['compact_isolated'] },
    ],
  },
  {
    title: 'pages moved',
    lines: [
      { name: 'moved', keys: ['pgmigrate_success'] },
      { name: 'failed', keys: ['pgmigrate_fail'] },
    ],
  },
]

/** One zone: its free blocks, order by order, as they were and are. */
function onePanel(model: Model, ui: PanelUi, size: Size, row: FreeBlocks): Panel {
  const share = formatPercent(unusable(row, HUGE_ORDER) * 100)
  const facts = [
    `node ${row.node} ${row.zone}: ${formatBytes(bytesOfPages(pagesIn(row)))} free`,
    `${share} of it in blocks smaller than 2 MiB`,
    'Esc goes back to all zones',
  ]
  const above = [words(facts, size, ui.ascii)]
  return counterPanel(model, ui, size, { above, rows: counterRowsBelow(model, `${idOf(row)}.order`), charts: COMPACTION })
}

const pagesIn = (row: FreeBlocks, from = 0): number =>
  row.blocks.reduce((sum, count, order) => (order >= from ? sum + count * 2 ** order : sum), 0)

/** Share of free memory that is in blocks smaller than the order. */
export function unusable(row: FreeBlocks, order: number): number {
  const free = pagesIn(row)
  return free === 0 ? 0 : 1 - pagesIn(row, order) / free
}

function clauses(rows: readonly FreeBlocks[]): Clauses {
  if (rows.length === 0) return ['This source has no buddyinfo']
  const worst = rows.reduce((most, row) => (unusable(row, HUGE_ORDER) > unusable(most, HUGE_ORDER) ? row : most))
  const huge = rows.reduce((sum, row) => sum + pagesIn(row, HUGE_ORDER), 0)
  const free = rows.reduce((sum, row) => sum + pagesIn(row), 0)
  return [
    `${formatBytes(bytesOfPages(huge))} of ${formatBytes(bytesOfPages(free))} free memory is in blocks of 2 MiB and more: ${formatCount(Math.floor(huge / 512))} huge pages without compaction`,
    `most broken up: node ${worst.node} ${worst.zone}, ${formatPercent(unusable(worst, HUGE_ORDER) * 100)} of its free memory is in smaller blocks`,
  ]
}

/** A row a zone, a cell an order: the darker, the more of the zone's free memory is in blocks of that order. */
function heatBlock(rows: readonly FreeBlocks[], width: number, ui: PanelUi): Block {
  const shades = ui.ascii ? ' .:*#' : ' ░▒▓█'
  const orders = Math.max(0, ...rows.map(row => row.blocks.length))
  const cell = Math.max(2, Math.min(4, Math.floor((width - LABEL - 6) / Math.max(1, orders))))
  const head: Row = [
    span(' '.repeat(LABEL)),
    span(Array.from({ length: orders }, (_, order) => fitText(String(order), cell)).join(''), 'head'),
    span(' small', 'dim'),
  ]
  const lines = rows.map((row): Row => {
    const free = Math.max(1, pagesIn(row))
    const cells = row.blocks.map((count, order) => {
      const share = (count * 2 ** order) / free
      return shades[share === 0 ? 0 : Math.min(4, 1 + Math.floor(share * 4))].repeat(cell)
    })
    const index = unusable(row, HUGE_ORDER)
    const style: Style = index > 0.9 ? 'bad' : index > 0.5 ? 'warn' : 'value'
    return [
      span(fitText(`N${row.node} ${row.zone}`, LABEL), 'label'),
      span(fitText(cells.join(''), cell * orders), 'series1'),
      span(fitText(`${formatPercent(index * 100)}${index > 0.9 ? '!' : ''}`, 6, 'right'), style, 'unusable_percent'),
    ]
  })
  return block([head, ...lines], width, ui.ascii)
}

function ownedBlock(model: Model, width: number, ui: PanelUi): Block {
  const { owned } = model.sample.pagetypes()
  const types = [...(owned[0]?.blocksByType.keys() ?? [])]
  if (types.length === 0) return block([[span('not known here', 'dim')]], width, ui.ascii)
  const cell = Math.max(4, Math.floor((width - LABEL) / types.length) - 1)
  const head: Row = [span(' '.repeat(LABEL)), ...types.map(type => span(` ${fitText(type, cell, 'right', '.')}`, 'head'))]
  const lines = owned.map(
    (row): Row => [
      span(fitText(`N${row.node} ${row.zone}`, LABEL), 'label'),
      ...types.map(type =>
        span(
          ` ${fitText(formatCount(row.blocksByType.get(type) ?? 0), cell, 'right')}`,
          (row.blocksByType.get(type) ?? 0) === 0 ? 'dim' : 'value',
          'page_blocks',
        ),
      ),
    ],
  )
  return block([head, ...lines], width, ui.ascii)
}
