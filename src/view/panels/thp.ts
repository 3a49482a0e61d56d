/** Transparent huge pages: how much of memory is huge, what happens, why not more, and the knobs that decide. */
import { summaryPaths } from '../../sample/files.ts'
import type { Model } from '../../sample/model.ts'
import { parseChoice } from '../../sample/parse/choice.ts'
import type { ChartOf } from '../chart.ts'
import { CHARTS_TOO } from '../chart_grid.ts'
import { formatBytes, formatCount, formatPercent } from '../format.ts'
import { arrange, type Block, block, section, stack } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { hugeBytes, isBusy, TASK_COLUMNS, taskRows } from '../subjects/tasks.ts'
import { anonBytes, SIZE_COLUMNS, sizeRows } from '../subjects/thp_sizes.ts'
import { drawTable } from '../table.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, counterBlock, knobBlock, knobFlow, levelOf, sumNow, words } from './common.ts'
import { listPanel } from './list_panel.ts'
import { openedTask } from './processes.ts'

const DIRECTORY = '/sys/kernel/mm/transparent_hugepage/'
const KNOBS = ['enabled', 'defrag', 'shmem_enabled', 'use_zero_page'].map(name => DIRECTORY + name)
const KHUGEPAGED = [
  'defrag',
  'pages_to_scan',
  'scan_sleep_millisecs',
  'alloc_sleep_millisecs',
  'max_ptes_none',
  'max_ptes_swap',
  'max_ptes_shared',
].map(name => `${DIRECTORY}khugepaged/${name}`)

const COUNTERS = [
  'thp_fault_alloc',
  'thp_fault_fallback',
  'thp_collapse_alloc',
  'thp_collapse_alloc_failed',
  'thp_file_alloc',
  'thp_file_fallback',
  'thp_split_pmd',
  'thp_split_page',
  'thp_deferred_split_page',
  'thp_swpout',
  'thp_zero_page_alloc',
  'compact_stall',
  'compact_success',
  'khugepaged_full_scans',
] as const

const LEVELS = ['AnonHugePages', 'ShmemHugePages', 'ShmemPmdMapped', 'FileHugePages', 'FilePmdMapped'] as const

export const thp: PanelFunction = (model, ui, size): Panel => {
  const opened = openedTask(model, ui, size)
  if (opened !== undefined) return opened
  const said = words(clauses(model), size, ui.ascii)
  const parts = [
    {
      title: 'per second',
      least: 42,
      weight: 2,
      make: (width: number) => counterBlock(model, COUNTERS.slice(0, Math.max(6, size.height - 8)), width, ui),
    },
    {
      title: 'where',
      least: 36,
      make: (width: number) => stack([whereBlock(model, width, ui), section('knobs', knobBlock(model, KNOBS, width, ui), ui.ascii)]),
    },
  ]
  const khugepaged = section('khugepaged', knobFlow(model, KHUGEPAGED, size.width, ui), ui.ascii)
  const blocks = [...arrange(parts, size.width, ui.ascii), khugepaged, ...sizeBlocks(model, ui, size.width)]
  const tasks = model.sample.tasks().map(task => task.pid)
  return listPanel(model, ui, size, {
    above: [said, ...blocks],
    title: 'processes by share of huge pages',
    rows: taskRows(model),
    moves: isBusy,
    columns: TASK_COLUMNS.filter(({ key }) => COLUMNS.includes(key)),
    idOf: row => String(row.pid),
    fallback: { key: 'huge_percent', descending: true },
    charts: () => CHARTS,
    share: CHARTS_TOO,
    wants: summaryPaths(tasks.slice(0, 50)),
  })
}

const COLUMNS: readonly string[] = ['pid', 'name', 'rss_bytes', 'huge_percent', 'swap_bytes', 'minflt_per_second', 'activity']

const CHARTS: readonly ChartOf[] = [
  {
    title: 'huge pages',
    lines: [
      { name: 'fault', keys: ['thp_fault_alloc'] },
      { name: 'fallback', keys: ['thp_fault_fallback'] },
      { name: 'collapse', keys: ['thp_collapse_alloc'] },
    ],
  },
  {
    title: 'huge memory',
    lines: [
      { name: 'anon', keys: ['AnonHugePages'] },
      { name: 'shmem', keys: ['ShmemHugePages'] },
      { name: 'file', keys: ['FileHugePages'] },
      { name: 'all anon', keys: ['AnonPages'] },
    ],
  },
  {
    title: 'taken apart',
    lines: [
      { name: 'mapping', keys: ['thp_split_pmd'] },
      { name: 'page', keys: ['thp_split_page'] },
    ],
  },
  {
    title: 'compaction',
    lines: [
      { name: 'stalls', keys: ['compact_stall'] },
      { name: 'success', keys: ['compact_success'] },
    ],
  },
]

/** Huge pages by size, on kernels that have several. */
function sizeBlocks(model: Model, ui: PanelUi, width: number): Block[] {
  const rows = sizeRows(model)
  if (rows.length === 0) return []
  return [section('by size', drawTable({ columns: SIZE_COLUMNS, rows, sort: undefined, selected: -1 }, model, width, ui.ascii), ui.ascii)]
}

function whereBlock(model: Model, width: number, ui: PanelUi): Block {
  const rows = LEVELS.filter(key => model.scalars.has(key)).map((key): Row => {
    const bytes = levelOf(model, key)
    return [
      span(fitText(key, 16), 'label', key),
      span(fitText(formatBytes(bytes), 7, 'right'), bytes === 0 ? 'dim' : 'value', key),
      span(fitText(`${formatCount(bytes / HUGE_BYTES)} pages`, 13, 'right'), 'dim', key),
    ]
  })
  const free = freeHugeBlocks(model).map(
    (zone): Row => [
      span(fitText(`free N${zone.node} ${zone.zone}`, 16), 'label', `N${zone.node}.${zone.zone}.order9`),
      span(fitText(formatBytes(zone.blocks * HUGE_BYTES), 7, 'right'), zone.blocks === 0 ? 'bad' : 'value', 'free_huge_bytes'),
      span(fitText(`${formatCount(zone.blocks)} blocks`, 13, 'right'), 'dim', 'free_huge_bytes'),
      span(zone.blocks === 0 ? ` ${alarm(ui.ascii)} none` : '', 'bad'),
    ],
  )
  return block([...rows, ...free], width, ui.ascii)
}

const HUGE_BYTES = 2 * 1024 * 1024
const HUGE_ORDER = 9

interface HugeBlocks {
  readonly node: number
  readonly zone: string
  /** Free blocks of 2 MiB; larger ones count as several. */
  readonly blocks: number
}

/** Where a huge page could come from without compaction, zone by zone. */
export function freeHugeBlocks(model: Model): HugeBlocks[] {
  return model.sample
    .buddy()
    .filter(row => row.zone !== 'DMA')
    .map(({ node, zone, blocks }) => ({ node, zone, blocks: blocks.slice(HUGE_ORDER).reduce((sum, count, i) => sum + count * 2 ** i, 0) }))
}

function clauses(model: Model): Clauses {
  const [huge, anon] = [levelOf(model, 'AnonHugePages'), levelOf(model, 'AnonPages')]
  const enabled = parseChoice(model.sample.thp().get('enabled') ?? '').chosen
  const defrag = parseChoice(model.sample.thp().get('defrag') ?? '').chosen
  const [got, refused] = [sumNow(model, ['thp_fault_alloc']), sumNow(model, ['thp_fault_fallback'])]
  const empty = freeHugeBlocks(model).filter(zone => zone.blocks === 0)
  const reach: Readonly<Record<string, string>> = {
    always: 'any mapping may get them',
    madvise: 'only mappings that asked (MADV_HUGEPAGE) may get them',
    never: 'no fault gets one; MADV_COLLAPSE still does',
  }
  return [
    anon > 0
      ? `${formatPercent((huge / anon) * 100)} of anonymous memory is huge (${formatBytes(huge)} of ${formatBytes(anon)})`
      : 'there is no anonymous memory',
    enabled !== undefined && `enabled=${enabled}: ${reach[enabled] ?? ''}`,
    got + refused > 0 && `${formatCount(got)} huge faults/s, ${formatCount(refused)} fallbacks/s`,
    refused > 0 &&
      empty.length > 0 &&
      `no free 2 MiB block in ${empty.map(zone => `node ${zone.node} ${zone.zone}`).join(', ')}; defrag=${defrag ?? '?'}`,
    sizeWords(model),
    taskWords(model),
  ]
}

/** What is in huge pages smaller than those that page tables know, where the kernel has such. */
function sizeWords(model: Model): string | undefined {
  const smaller = sizeRows(model).filter(row => row.sizeKb * 1024 < HUGE_BYTES)
  if (smaller.length === 0) return undefined
  const bytes = smaller.reduce((sum, row) => sum + (anonBytes(row, model) ?? 0), 0)
  return bytes > 0 ? `${formatBytes(bytes)} more in smaller sizes` : undefined
}

/** The process with most huge memory, where that is known. */
function taskWords(model: Model): string | undefined {
  const best = taskRows(model)
    .map(row => ({ row, bytes: hugeBytes(row) ?? 0 }))
    .sort((a, b) => b.bytes - a.bytes)[0]
  return best === undefined || best.bytes === 0 ? undefined : `most of it in ${best.row.name} (${formatBytes(best.bytes)})`
}
