/** Huge page pools: sizes, nodes, who holds what, and what would be refused. */
import type { Model } from '../../sample/model.ts'
import type { HugePool } from '../../sample/sample.ts'
import type { ChartOf } from '../chart.ts'
import { formatBytes, formatCount, plural } from '../format.ts'
import { segmentBar } from '../glyphs.ts'
import { arrange, type Block, block, section } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Size, span } from '../panel.ts'
import { POOL_COLUMNS, poolName, poolPages, poolRows, poolSizeBytes, usedPages } from '../subjects/pools.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, counterBlock, knobBlock, words } from './common.ts'
import { counterPanel, counterRowsBelow } from './counter_list.ts'
import { listPanel } from './list_panel.ts'

const KNOBS = ['nr_hugepages', 'nr_hugepages_mempolicy', 'nr_overcommit_hugepages', 'hugetlb_shm_group', 'hugetlb_optimize_vmemmap'].map(
  name => `/proc/sys/vm/${name}`,
)

/** Pools up to which their bars stand above the list. */
const FEW = 8

export const hugetlb: PanelFunction = (model, ui, size): Panel => {
  const pools = poolRows(model)
  const opened = pools.find(pool => prefixOf(pool) === ui.open)
  if (opened !== undefined) return onePanel(model, ui, size, opened)
  const said = words(clauses(pools), size, ui.ascii)
  const bars = section('who has the pages', barBlock(pools, size.width, ui), ui.ascii)
  const parts = [
    { title: 'per second', least: 44, make: (width: number) => counterBlock(model, COUNTERS, width, ui) },
    { title: 'knobs', least: 30, make: (width: number) => knobBlock(model, KNOBS, width, ui) },
  ]
  const few = pools.length <= FEW
  return listPanel(model, ui, size, {
    above: few ? [said, bars] : [said],
    after: [...(few ? [] : [bars]), ...arrange(parts, size.width, ui.ascii)],
    title: 'pools',
    rows: pools,
    before: poolRows,
    columns: POOL_COLUMNS,
    idOf: prefixOf,
    charts: selected => [...(selected === undefined ? pools.filter(isWhole) : [selected]).map(chartOf), ...CHARTS],
  })
}

const COUNTERS = ['htlb_buddy_alloc_success', 'htlb_buddy_alloc_fail'] as const
const FILES = ['nr_hugepages', 'free_hugepages', 'resv_hugepages', 'surplus_hugepages'] as const

const isWhole = (pool: HugePool): boolean => pool.node === undefined && poolPages(pool, 'nr_hugepages') > 0

/** What the names of a pool's figures begin with. */
const prefixOf = ({ node, sizeKb }: HugePool): string => `${node === undefined ? '' : `N${node}.`}hugetlb_${sizeKb}kB_`

const chartOf = (pool: HugePool): ChartOf => ({
  title: `pages of ${poolName(pool)}${pool.node === undefined ? '' : ` on N${pool.node}`}`,
  lines: FILES.map(file => ({ name: file.replace('_hugepages', '').replace('nr', 'all'), keys: [`${prefixOf(pool)}${file}`] })),
})

const CHARTS: readonly ChartOf[] = [
  {
    title: 'pages asked of the allocator',
    lines: [
      { name: 'got', keys: ['htlb_buddy_alloc_success'] },
      { name: 'refused', keys: ['htlb_buddy_alloc_fail'] },
    ],
  },
  { title: 'memory in pools', lines: [{ name: 'Hugetlb', keys: ['Hugetlb'] }] },
  { title: 'free memory', lines: [{ name: 'free', keys: ['MemFree'] }] },
]

/** One pool: its files, as counters. */
function onePanel(model: Model, ui: PanelUi, size: Size, pool: HugePool): Panel {
  const where = pool.node === undefined ? 'of the machine' : `of node ${pool.node}`
  const said = words([`pool of ${poolName(pool)} pages ${where}`, 'Esc goes back to all pools'], size, ui.ascii)
  return counterPanel(model, ui, size, { above: [said], rows: counterRowsBelow(model, prefixOf(pool)), charts: [chartOf(pool)] })
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
