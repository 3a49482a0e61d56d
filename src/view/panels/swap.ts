/** Swap: areas, compressed memory in front of them (zswap) or instead of them (zram), and what goes in and out. */
import { summaryPaths } from '../../sample/files.ts'
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { CHARTS_TOO } from '../chart_grid.ts'
import { formatBytes, formatCount, formatPercent } from '../format.ts'
import { segmentBar, shareBar } from '../glyphs.ts'
import { arrange, type Block, block, type Part, section, stack } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { SWAP_COLUMNS, ZRAM_COLUMNS, zswapPool } from '../subjects/swaps.ts'
import { isBusy, TASK_COLUMNS, taskRows } from '../subjects/tasks.ts'
import { drawTable } from '../table.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, counterBlock, knobBlock, levelOf, sumNow, whyMissing, words } from './common.ts'
import { listPanel } from './list_panel.ts'
import { openedTask } from './processes.ts'

const COUNTERS = [
  'pswpin',
  'pswpout',
  'swap_ra',
  'swap_ra_hit',
  'zswpin',
  'zswpout',
  'zswpwb',
  'thp_swpout',
  'thp_swpout_fallback',
  'workingset_refault_anon',
] as const
const ZSWAP_COUNTERS = [
  'zswap_stored_pages',
  'zswap_same_filled_pages',
  'zswap_written_back_pages',
  'zswap_pool_limit_hit',
  'zswap_reject_compress_poor',
  'zswap_reject_alloc_fail',
  'zswap_reject_reclaim_fail',
  'zswap_duplicate_entry',
] as const
const KNOBS = [
  '/proc/sys/vm/swappiness',
  '/proc/sys/vm/page-cluster',
  ...[
    'enabled',
    'compressor',
    'zpool',
    'max_pool_percent',
    'accept_threshold_percent',
    'same_filled_pages_enabled',
    'shrinker_enabled',
  ].map(name => `/sys/module/zswap/parameters/${name}`),
]
/** Share of an area from which it is as good as full. */
const FULL = 0.95

export const swap: PanelFunction = (model, ui, size): Panel => {
  const opened = openedTask(model, ui, size)
  if (opened !== undefined) return opened
  const said = words(clauses(model), size, ui.ascii)
  const room = size.height === Number.POSITIVE_INFINITY ? 99 : size.height
  const areas = section('areas', areaBlock(model, size.width, ui), ui.ascii)
  const devices = model.sample.zram()
  const zrams =
    devices.length === 0
      ? []
      : [
          section(
            'zram',
            drawTable({ columns: ZRAM_COLUMNS, rows: devices, sort: undefined, selected: -1 }, model, size.width, ui.ascii),
            ui.ascii,
          ),
        ]
  const few = Math.max(4, room - 14)
  const parts: Part[] = [
    { title: 'per second', least: 36, make: width => counterBlock(model, COUNTERS.slice(0, few), width, ui) },
    {
      title: 'zswap',
      least: 38,
      make: width => stack([poolBlock(model, width, ui), counterBlock(model, ZSWAP_COUNTERS.slice(0, Math.max(3, few - 2)), width, ui)]),
    },
    { title: 'knobs', least: 30, make: width => knobBlock(model, KNOBS, width, ui) },
  ]
  const blocks = [areas, ...zrams, ...arrange(parts, size.width, ui.ascii)]
  const rows = taskRows(model).filter(({ task }) => (task.status?.bytes.get('VmSwap') ?? 0) > 0)
  return listPanel(model, ui, size, {
    above: [said, ...blocks],
    title: rows.length === 0 ? 'processes by swap: none has any' : 'processes by swap',
    rows,
    moves: isBusy,
    columns: TASK_COLUMNS.filter(({ key }) => COLUMNS.includes(key)),
    idOf: row => String(row.pid),
    fallback: { key: 'swap_bytes', descending: true },
    charts: () => CHARTS,
    share: CHARTS_TOO,
    wants: summaryPaths(
      model.sample
        .tasks()
        .map(({ pid }) => pid)
        .slice(0, WATCHED),
    ),
  })
}

/** Processes whose files are read. */
const WATCHED = 50
const COLUMNS: readonly string[] = ['pid', 'name', 'rss_bytes', 'swap_bytes', 'minflt_per_second', 'majflt_per_second', 'activity']

const CHARTS: readonly ChartOf[] = [
  {
    title: 'pages to and from swap',
    lines: [
      { name: 'out', keys: ['pswpout'] },
      { name: 'in', keys: ['pswpin'] },
      { name: 'zswap out', keys: ['zswpout'] },
      { name: 'zswap in', keys: ['zswpin'] },
    ],
  },
  {
    title: 'swap space',
    lines: [
      { name: 'free', keys: ['SwapFree'] },
      { name: 'all', keys: ['SwapTotal'] },
    ],
  },
  {
    title: 'read ahead from swap',
    lines: [
      { name: 'read', keys: ['swap_ra'] },
      { name: 'of use', keys: ['swap_ra_hit'] },
    ],
  },
  {
    title: 'zswap',
    lines: [
      { name: 'stored', keys: ['zswap_stored_pages'] },
      { name: 'of one word', keys: ['zswap_same_filled_pages'] },
    ],
  },
  {
    title: 'came back after reclaim',
    lines: [
      { name: 'anon', keys: ['workingset_refault_anon'] },
      { name: 'file', keys: ['workingset_refault_file'] },
    ],
  },
]

function areaBlock(model: Model, width: number, ui: PanelUi): Block {
  const areas = model.sample.swaps()
  if (areas.length === 0) return block([[span(whyMissing(model, '/proc/swaps') ?? 'no swap area is on', 'dim')]], width, ui.ascii)
  const table = drawTable({ columns: SWAP_COLUMNS, rows: areas, sort: undefined, selected: -1 }, model, width, ui.ascii)
  const bars = areas.map((area): Row => {
    const share = area.sizeBytes === 0 ? 0 : area.usedBytes / area.sizeBytes
    const style = share >= FULL ? 'bad' : 'series4'
    return [
      span(fitText(area.name, 20, 'left', ui.ascii ? '~' : '…'), 'label'),
      span(' '),
      ...shareBar(share, Math.max(0, width - 32), ui.ascii, style),
      span(fitText(formatPercent(share * 100), 6, 'right'), 'value', 'used_percent'),
      span(share >= FULL ? ` ${alarm(ui.ascii)}` : '', 'bad'),
    ]
  })
  return stack([table, block(bars, width, ui.ascii)])
}

/** What is stored against what it takes. */
function poolBlock(model: Model, width: number, ui: PanelUi): Block {
  const pool = zswapPool(model)
  if (pool === undefined) return block([], width)
  const { storedBytes, takenBytes } = pool
  const bar = segmentBar(
    [{ value: takenBytes, about: 'zswap_pool_total_size' }],
    Math.max(1, storedBytes, takenBytes),
    Math.max(0, width - 24),
    ui.ascii,
  )
  const text = takenBytes === 0 ? 'empty' : `${formatBytes(storedBytes)} in ${formatBytes(takenBytes)}`
  return block([[...bar, span(fitText(text, 23, 'right'), 'value', 'zswap_pool_total_size')]], width, ui.ascii)
}

function clauses(model: Model): Clauses {
  const areas = model.sample.swaps()
  const [size, used] = [areas.reduce((sum, area) => sum + area.sizeBytes, 0), areas.reduce((sum, area) => sum + area.usedBytes, 0)]
  const [incoming, outgoing] = [sumNow(model, ['pswpin']), sumNow(model, ['pswpout'])]
  const pool = zswapPool(model)
  const enabled = model.sample.zswapParameters().get('enabled')
  const hits = sumNow(model, ['swap_ra']) > 0 ? sumNow(model, ['swap_ra_hit']) / sumNow(model, ['swap_ra']) : undefined
  return [
    size === 0
      ? 'there is no swap: anonymous memory stays in RAM, and only the OOM killer can take it'
      : `${formatBytes(used)} of ${formatBytes(size)} swap used (${formatPercent((used / size) * 100)})`,
    size > 0 &&
      (incoming + outgoing > 0
        ? `${formatCount(outgoing)} pages/s out, ${formatCount(incoming)} in`
        : model.before !== undefined && 'nothing moves'),
    pool !== undefined &&
      pool.takenBytes > 0 &&
      `zswap holds ${formatBytes(pool.storedBytes)} in ${formatBytes(pool.takenBytes)} (${(pool.storedBytes / pool.takenBytes).toFixed(1)}:1)`,
    /^(N|0)$/i.test(enabled ?? '') && 'zswap is off',
    hits !== undefined && `${formatPercent(hits * 100)} of what was read ahead was used`,
    levelOf(model, 'SwapCached') > 0 && `${formatBytes(levelOf(model, 'SwapCached'))} are in both places`,
  ]
}
