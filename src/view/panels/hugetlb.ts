/** Huge page pools: sizes, nodes, who holds what, and what would be refused. */
import type { Model } from '../../sample/model.ts'
import type { HugePool } from '../../sample/sample.ts'
import { lineChart } from '../chart.ts'
import { formatBytes, formatCount, plural } from '../format.ts'
import { segmentBar } from '../glyphs.ts'
import { arrange, type Block, block, chartBlock, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { POOL_COLUMNS, poolName, poolPages, poolRows, poolSizeBytes, usedPages } from '../subjects/pools.ts'
import { drawTable } from '../table.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, counterBlock, knobBlock, words } from './common.ts'

const KNOBS = ['nr_hugepages', 'nr_hugepages_mempolicy', 'nr_overcommit_hugepages', 'hugetlb_shm_group', 'hugetlb_optimize_vmemmap'].map(
  name => `/proc/sys/vm/${name}`,
)

export const hugetlb: PanelFunction = (model, ui, size): Panel => {
  const pools = poolRows(model)
  const said = words(clauses(pools), size, ui.ascii)
  const bars = section('who has the pages', barBlock(pools, size.width, ui), ui.ascii)
  const table = section(
    'pools',
    drawTable({ columns: POOL_COLUMNS, rows: pools, sort: undefined, selected: -1 }, model, size.width, ui.ascii),
    ui.ascii,
  )
  const parts = [
    {
      title: 'per second',
      least: 44,
      make: (width: number) => counterBlock(model, ['htlb_buddy_alloc_success', 'htlb_buddy_alloc_fail'], width, ui),
    },
    { title: 'knobs', least: 30, make: (width: number) => knobBlock(model, KNOBS, width, ui) },
  ]
  const blocks = [said, bars, table, ...arrange(parts, size.width, ui.ascii)]
  const left = size.height === Number.POSITIVE_INFINITY ? 6 : size.height - blocks.reduce((sum, part) => sum + part.rows.length, 0)
  return toPanel([...blocks, ...chartOf(model, pools, ui, size.width, left)], size, ui)
}

/** Free pages of each machine-wide pool over time. */
function chartOf(model: Model, pools: readonly HugePool[], ui: PanelUi, width: number, height: number): Block[] {
  const lines = pools
    .filter(pool => pool.node === undefined && poolPages(pool, 'nr_hugepages') > 0)
    .map(pool => ({ name: `free ${poolName(pool)}`, keys: [`hugetlb_${pool.sizeKb}kB_free_hugepages`] }))
  return height < 4 || lines.length === 0 ? [] : [chartBlock(lineChart(model, 'free pages', lines, ui.zoom), width, Math.min(height, 10))]
}

function clauses(pools: readonly HugePool[]): Clauses {
  const whole = pools.filter(pool => pool.node === undefined)
  if (whole.length === 0) return ['This machine has no huge page pools']
  const filled = whole.filter(pool => poolPages(pool, 'nr_hugepages') > 0)
  if (filled.length === 0)
    return [`All pools are empty; mappings with MAP_HUGETLB fail until nr_hugepages or nr_overcommit_hugepages is set`]
  return filled.map(pool => {
    const [total, free, reserved, surplus] = ['nr_hugepages', 'free_hugepages', 'resv_hugepages', 'surplus_hugepages'].map(key =>
      poolPages(pool, key),
    )
    const available = free - reserved
    const state =
      available > 0 ? `${formatCount(available)} can still be had` : 'none left: the next mapping fails unless surplus is allowed'
    return `${plural(total, 'page')} of ${poolName(pool)} (${formatBytes(total * poolSizeBytes(pool))}): ${formatCount(usedPages(pool))} in use, ${formatCount(reserved)} reserved, ${formatCount(surplus)} surplus, ${state}`
  })
}

/** Of each pool a bar: in use, reserved, free. */
function barBlock(pools: readonly HugePool[], width: number, ui: PanelUi): Block {
  const rows = pools
    .filter(pool => pool.node === undefined || poolPages(pool, 'nr_hugepages') > 0)
    .map((pool): Row => {
      const [total, free, reserved] = ['nr_hugepages', 'free_hugepages', 'resv_hugepages'].map(key => poolPages(pool, key))
      const prefix = pool.node === undefined ? '' : `N${pool.node}.`
      const about = `${prefix}hugetlb_${pool.sizeKb}kB_nr_hugepages`
      const name = `${poolName(pool)} ${pool.node === undefined ? 'all' : `N${pool.node}`}`
      const bar = segmentBar(
        [
          { value: usedPages(pool), about },
          { value: Math.min(reserved, free), about },
        ],
        Math.max(1, total),
        Math.max(0, width - 40),
        ui.ascii,
      )
      const full = total > 0 && free - reserved <= 0
      return [
        span(fitText(name, 8), 'label', about),
        ...bar,
        span(
          fitText(
            `${formatCount(usedPages(pool))} used ${formatCount(reserved)} resv ${formatCount(Math.max(0, free - reserved))} free`,
            30,
            'right',
          ),
          'value',
          about,
        ),
        span(full ? ` ${alarm(ui.ascii)}` : '', 'bad'),
      ]
    })
  return block(rows, width, ui.ascii)
}
