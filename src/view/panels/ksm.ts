/** KSM: what merging saves, what looking for it costs, how far the scan is, and who has merged pages. */
import type { Model } from '../../sample/model.ts'
import { toInteger } from '../../sample/text.ts'
import type { ChartOf } from '../chart.ts'
import { CHARTS_TOO } from '../chart_grid.ts'
import { formatBytes, formatCount, formatPercent } from '../format.ts'
import { segmentBar } from '../glyphs.ts'
import { arrange, type Block, block, type Part, stack, toPanel } from '../layout.ts'
import { bytesOfPages } from '../page_size.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { MERGED_COLUMNS, mergedRows, scanCostPercent } from '../subjects/ksm.ts'
import { fitText } from '../width.ts'
import { type Clauses, counterBlock, filesOfTasks, knobBlock, levelOf, nowOf, sumNow, whyMissing, words } from './common.ts'
import { listPanel } from './list_panel.ts'
import { openedTask } from './processes.ts'

const DIRECTORY = '/sys/kernel/mm/ksm/'
const COUNTERS = ['ksm_full_scans', 'cow_ksm', 'ksm_swpin_copy', 'ksm_stable_node_chains', 'ksm_stable_node_dups'] as const
const KNOBS = [
  'run',
  'pages_to_scan',
  'sleep_millisecs',
  'max_page_sharing',
  'merge_across_nodes',
  'use_zero_pages',
  'stable_node_chains_prune_millisecs',
].map(name => DIRECTORY + name)
/** Kinds of pages that KSM keeps records of, and what each means. */
const PARTS = [
  ['ksm_pages_sharing', 'saved: users beyond the first'],
  ['ksm_pages_shared', 'merged pages that stand for them'],
  ['ksm_pages_unshared', 'looked at, no double found'],
  ['ksm_pages_volatile', 'change too fast, or new'],
] as const
/** Processes whose files are read. */
const WATCHED = 60

export const ksm: PanelFunction = (model, ui, size): Panel => {
  const opened = openedTask(model, ui, size)
  if (opened !== undefined) return opened
  const said = words(clauses(model), size, ui.ascii)
  const parts: Part[] = [
    { title: 'pages that KSM knows', least: 46, weight: 2, make: width => knownBlock(model, width, ui) },
    { title: 'scans, copies, trees', least: 34, make: width => counterBlock(model, COUNTERS, width, ui) },
    { title: 'knobs', least: 36, make: width => knobBlock(model, KNOBS, width, ui) },
  ]
  const blocks = arrange(parts, size.width, ui.ascii)
  const wants = filesOfTasks(model, WATCHED, ['ksm_merging_pages', 'ksm_stat'])
  if (!model.scalars.has('ksm_run')) return toPanel([said, ...blocks], size, ui, { wants })
  return listPanel(model, ui, size, {
    above: [said, ...blocks],
    title: 'processes by merged pages',
    rows: mergedRows(model),
    before: mergedRows,
    columns: MERGED_COLUMNS,
    idOf: row => String(row.pid),
    fallback: { key: 'merging_pages', descending: true },
    charts: () => CHARTS,
    share: CHARTS_TOO,
    wants,
  })
}

const CHARTS: readonly ChartOf[] = [
  {
    title: 'pages that KSM knows',
    lines: [
      { name: 'sharing', keys: ['ksm_pages_sharing'] },
      { name: 'shared', keys: ['ksm_pages_shared'] },
      { name: 'unshared', keys: ['ksm_pages_unshared'] },
      { name: 'volatile', keys: ['ksm_pages_volatile'] },
    ],
  },
  {
    title: 'merged pages copied again',
    lines: [
      { name: 'written to', keys: ['cow_ksm'] },
      { name: 'swapped in', keys: ['ksm_swpin_copy'] },
    ],
  },
  { title: 'full scans', lines: [{ name: 'scans', keys: ['ksm_full_scans'] }] },
  {
    title: 'CPU time of ksmd',
    lines: [{ name: 'ksmd', keys: ['cost_ksm_page', 'cost_ksm_checksum', 'cost_ksm_compare', 'cost_ksm_compare_whole'] }],
  },
]

const known = (model: Model): number => PARTS.reduce((sum, [key]) => sum + levelOf(model, key), 0)

function knownBlock(model: Model, width: number, ui: PanelUi): Block {
  if (!model.scalars.has('ksm_run')) return block([[span(whyMissing(model, `${DIRECTORY}run`) ?? '', 'dim')]], width, ui.ascii)
  const all = known(model)
  const bar = segmentBar(
    PARTS.map(([key]) => ({ value: levelOf(model, key), about: key })),
    Math.max(1, all),
    width,
    ui.ascii,
  )
  const rows = PARTS.map(([key, meaning]): Row => {
    const pages = levelOf(model, key)
    const style = pages === 0 ? 'dim' : 'value'
    return [
      span(fitText(key.slice('ksm_pages_'.length), 9), 'label', key),
      span(fitText(formatCount(pages), 7, 'right'), style, key),
      span(fitText(formatBytes(bytesOfPages(pages)), 7, 'right'), style, key),
      span(` ${meaning}`, 'dim'),
    ]
  })
  return stack([block([bar], width, ui.ascii), block([...rows, ...ratioRows(model)], width, ui.ascii)])
}

/** The two ratios that the kernel's document says to look at. */
function ratioRows(model: Model): Row[] {
  const [shared, sharing, unshared] = ['shared', 'sharing', 'unshared'].map(name => levelOf(model, `ksm_pages_${name}`))
  const ratio = (a: number, b: number) => (b === 0 ? '-' : (a / b).toFixed(1))
  return [
    [
      span(fitText('sharing:shared', 16), 'label'),
      span(fitText(ratio(sharing, shared), 7, 'right'), 'value', 'ksm_sharing_to_shared'),
      span(' high is good: few pages stand for many', 'dim'),
    ],
    [
      span(fitText('unshared:sharing', 16), 'label'),
      span(fitText(ratio(unshared, sharing), 7, 'right'), 'value', 'ksm_unshared_to_sharing'),
      span(' high is wasted effort', 'dim'),
    ],
  ]
}

const RUN: Readonly<Record<number, string>> = {
  0: 'KSM is stopped (run=0): what is merged stays merged',
  1: 'KSM is looking for pages with the same bytes',
  2: 'KSM is stopped and everything was taken apart (run=2)',
}

function clauses(model: Model): Clauses {
  if (!model.scalars.has('ksm_run')) return [whyMissing(model, `${DIRECTORY}run`) ?? 'this source has no KSM']
  const saved = bytesOfPages(levelOf(model, 'ksm_pages_sharing'))
  const pages = known(model)
  const scans = nowOf(model, 'ksm_full_scans') ?? 0
  const copies = sumNow(model, ['cow_ksm'])
  const cost = scanCostPercent(model)
  const registered = model.sample.frame.files.get(`${DIRECTORY}run`) !== undefined && pages === 0
  return [
    RUN[levelOf(model, 'ksm_run')],
    saved > 0 &&
      `${formatBytes(saved)} saved, ${formatPercent((saved / Math.max(1, bytesOfPages(pages))) * 100)} of the ${formatBytes(bytesOfPages(pages))} that it knows`,
    registered && 'it knows no page: nobody asked for it by MADV_MERGEABLE, or no scan has begun',
    levelOf(model, 'ksm_run') === 1 && pages > 0 && scanWords(model, pages, scans),
    cost !== undefined && cost > 0 && `${formatPercent(cost)} of a CPU`,
    copies > 0 && `${formatCount(copies)} merged pages a second are written to and copied`,
  ]
}

/** How long a full scan takes: as measured, or as the knobs say it must at least. */
function scanWords(model: Model, pages: number, scansPerSecond: number): string {
  if (scansPerSecond > 0) return `a full scan takes ${(1 / scansPerSecond).toFixed(1)} s`
  const number = (file: string) => toInteger(model.sample.frame.files.get(DIRECTORY + file)?.trim()) ?? 0
  const seconds = (pages / Math.max(1, number('pages_to_scan'))) * (number('sleep_millisecs') / 1000)
  return `at this pace a full scan takes at least ${seconds.toFixed(0)} s`
}
