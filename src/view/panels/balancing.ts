/** NUMA balancing: how many pages are watched, who uses them from where, and what moves. */

import { growth } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { formatCount, formatDuration, formatPercent } from '../format.ts'
import { arrange, block, type Part } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { fitText } from '../width.ts'
import { type Clauses, knobBlock, levelOf, nowOf, words } from './common.ts'
import { counterPanel, counterRows } from './counter_list.ts'

const COUNTERS = [
  'numa_pte_updates',
  'numa_huge_pte_updates',
  'numa_hint_faults',
  'numa_hint_faults_local',
  'numa_pages_migrated',
  'pgmigrate_success',
  'pgmigrate_fail',
  'thp_migration_success',
  'thp_migration_fail',
  'thp_migration_split',
  'pgpromote_success',
] as const

const DEBUG = '/sys/kernel/debug/sched/numa_balancing/'
const KNOBS = [
  '/proc/sys/kernel/numa_balancing',
  ...['scan_delay_ms', 'scan_period_min_ms', 'scan_period_max_ms', 'scan_size_mb'].map(name => DEBUG + name),
]

/** Share of faults from the page's own node above which Linux scans more slowly. */
const SETTLED_PERCENT = 70

export const balancing: PanelFunction = (model, ui, size): Panel => {
  const said = words(clauses(model), size, ui.ascii)
  const locks = lockPart(model, ui)
  const parts = [
    { title: 'knobs', least: 32, make: (width: number) => knobBlock(model, KNOBS, width, ui) },
    ...(locks === undefined ? [] : [locks]),
  ]
  return counterPanel(model, ui, size, {
    above: [said],
    after: arrange(parts, size.width, ui.ascii),
    rows: counterRows(model, COUNTERS),
    charts: CHARTS,
  })
}

const CHARTS: readonly ChartOf[] = [
  {
    title: 'hinting faults and what they move',
    lines: [
      { name: 'faults', keys: ['numa_hint_faults'] },
      { name: 'local', keys: ['numa_hint_faults_local'] },
      { name: 'moved', keys: ['numa_pages_migrated'] },
    ],
  },
  {
    title: 'entries watched',
    lines: [
      { name: 'small', keys: ['numa_pte_updates'] },
      { name: 'huge', keys: ['numa_huge_pte_updates'] },
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

/** Columns of one figure about locks. */
const FIGURE = 7

/** Page-table locks that CPUs found taken, by how much each guards. */
const LOCKS = [
  ['pte', 'PTE, 2 MiB'],
  ['pmd', 'PMD, 1 GiB'],
  ['mm', 'whole space'],
] as const

function lockPart(model: Model, ui: PanelUi): Part | undefined {
  const [locks, before] = [model.sample.locks(), model.previous?.locks()]
  if (locks.size === 0) return undefined
  const [now, then] = [(key: string) => locks.get(key) ?? 0, (key: string) => before?.get(key) ?? 0]
  const head: Row = [
    span(fitText('taken', 11), 'head'),
    ...['all', 'per s', 'waited'].map(title => span(fitText(title, FIGURE, 'right'), 'head')),
  ]
  const rows = LOCKS.map(([level, what]): Row => {
    const met = `${level}_contended`
    const rate = model.seconds > 0 && before !== undefined ? growth(now(met), then(met)) / model.seconds : 0
    const figures = [formatCount(now(met)), formatCount(rate), formatDuration(now(`${level}_waited_ns`))]
    return [
      span(fitText(what, 11), 'label'),
      ...figures.map((text, i) =>
        span(fitText(text, FIGURE, 'right'), now(met) > 0 ? 'value' : 'dim', i < 2 ? 'lock_contended' : 'lock_waited_ns'),
      ),
    ]
  })
  return { title: 'page-table locks', least: 11 + 3 * FIGURE, make: width => block([head, ...rows], width, ui.ascii) }
}

function clauses(model: Model): Clauses {
  if (!model.scalars.has('numa_hint_faults')) return ['This kernel does not balance memory between nodes']
  const [faults, local] = [levelOf(model, 'numa_hint_faults'), levelOf(model, 'numa_hint_faults_local')]
  const [now, moved] = [nowOf(model, 'numa_hint_faults') ?? 0, nowOf(model, 'numa_pages_migrated') ?? 0]
  const localNow = now > 0 ? ((nowOf(model, 'numa_hint_faults_local') ?? 0) / now) * 100 : 0
  return [
    now > 0
      ? `${formatCount(now)} hinting faults/s, ${formatPercent(localNow)} find their page on their own node, ${localNow >= SETTLED_PERCENT ? 'settled' : 'not settled'} by the kernel's measure of ${SETTLED_PERCENT}%`
      : 'no hinting faults now',
    now > 0 && `${formatCount(moved)} pages/s moved to who uses them`,
    faults > 0 && `${formatPercent((local / faults) * 100)} were local since boot`,
    levelOf(model, 'pgmigrate_fail') > 0 && `${formatCount(levelOf(model, 'pgmigrate_fail'))} pages could not be moved`,
  ]
}
