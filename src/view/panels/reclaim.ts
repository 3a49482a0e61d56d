/** Reclaim: who looks for memory, at which kind, how much of it he gets, how much of that comes back, and who has to wait for it. */
import type { Model } from '../../sample/model.ts'
import { generationsOn, LRU_GEN_ENABLED } from '../../sample/parse/lru_gen.ts'
import type { ChartOf } from '../chart.ts'
import { formatCount, formatPercent } from '../format.ts'
import { arrange, type Part, section } from '../layout.ts'
import type { Panel, PanelFunction } from '../panel.ts'
import { RECLAIM_COLUMNS, RECLAIM_KINDS } from '../subjects/reclaim.ts'
import { drawTable } from '../table.ts'
import { type Clauses, knobBlock, knobFlow, sumNow, words } from './common.ts'
import { counterPanel, counterRows } from './counter_list.ts'

const STALLS = ['allocstall_dma', 'allocstall_dma32', 'allocstall_normal', 'allocstall_movable'] as const
/** Who reclaims, who waits for it, what it meets. */
const COUNTERS = [
  'pgscan_kswapd',
  'pgsteal_kswapd',
  'pgscan_direct',
  'pgsteal_direct',
  'pgscan_khugepaged',
  'pgsteal_khugepaged',
  'pageoutrun',
  'kswapd_low_wmark_hit_quickly',
  'kswapd_high_wmark_hit_quickly',
  ...STALLS,
  'pgscan_direct_throttle',
  'psi_some_avg10',
  'psi_full_avg10',
  'oom_kill',
  'nr_vmscan_write',
  'nr_vmscan_immediate_reclaim',
  'nr_dirty',
  'nr_writeback',
  'slabs_scanned',
  'kswapd_inodesteal',
  'pginodesteal',
  'pgrefill',
  'pgactivate',
  'pgdeactivate',
  'pglazyfreed',
  'zone_reclaim_failed',
] as const
const KNOBS = [
  ...[
    'swappiness',
    'vfs_cache_pressure',
    'min_free_kbytes',
    'watermark_scale_factor',
    'zone_reclaim_mode',
    'dirty_ratio',
    'dirty_background_ratio',
  ].map(name => `/proc/sys/vm/${name}`),
]
const GENERATION_KNOBS = [LRU_GEN_ENABLED, '/sys/kernel/mm/lru_gen/min_ttl_ms']
const CHARTS: readonly ChartOf[] = [
  {
    title: 'reclaimed',
    lines: [
      { name: 'anon', keys: ['pgsteal_anon'] },
      { name: 'file', keys: ['pgsteal_file'] },
    ],
  },
  {
    title: 'came back',
    lines: [
      { name: 'anon', keys: ['workingset_refault_anon'] },
      { name: 'file', keys: ['workingset_refault_file'] },
    ],
  },
  {
    title: 'looked at',
    lines: [
      { name: 'kswapd', keys: ['pgscan_kswapd'] },
      { name: 'direct', keys: ['pgscan_direct'] },
    ],
  },
  { title: 'allocations that stalled', lines: [{ name: 'stalls', keys: STALLS }] },
]
/** Share of what was looked at below which reclaim works hard for little. */
const HARD_PERCENT = 30

export const reclaim: PanelFunction = (model, ui, size): Panel => {
  const said = words(clauses(model), size, ui.ascii)
  const kinds = section(
    'pages by kind, per second',
    drawTable({ columns: RECLAIM_COLUMNS, rows: RECLAIM_KINDS, sort: undefined, selected: -1 }, model, size.width, ui.ascii),
    ui.ascii,
  )
  const parts: Part[] = [
    { title: 'knobs', least: 30, make: width => knobFlow(model, KNOBS, width, ui) },
    { title: 'generations', least: 22, make: width => knobBlock(model, GENERATION_KNOBS, width, ui) },
  ]
  return counterPanel(model, ui, size, {
    above: [said, kinds],
    after: arrange(parts, size.width, ui.ascii),
    rows: counterRows(model, COUNTERS),
    charts: CHARTS,
    wants: [LRU_GEN_ENABLED],
  })
}

function clauses(model: Model): Clauses {
  const [kswapd, direct] = [sumNow(model, ['pgscan_kswapd']), sumNow(model, ['pgscan_direct'])]
  const scanned = sumNow(model, ['pgscan_anon', 'pgscan_file'])
  const stolen = sumNow(model, ['pgsteal_anon', 'pgsteal_file'])
  const back = sumNow(model, ['workingset_refault_anon', 'workingset_refault_file'])
  const stalls = sumNow(model, STALLS)
  const share = scanned === 0 ? 0 : (stolen / scanned) * 100
  return [
    scanned === 0
      ? 'nobody reclaims now'
      : `${whoReclaims(kswapd, direct)}: ${formatCount(scanned)} pages/s looked at, ${formatPercent(share)} of them got`,
    scanned > 0 && share < HARD_PERCENT && 'hard work for little: what is left is in use, dirty or locked',
    stolen > 0 && `${formatPercent((sumNow(model, ['pgsteal_anon']) / stolen) * 100)} of what goes is anonymous`,
    back > 0 && `${formatCount(back)} pages/s come back`,
    stalls > 0 && `${formatCount(stalls)} allocations/s wait for memory`,
    generationsOn(model.sample.frame.files.get(LRU_GEN_ENABLED)) && 'pages age by generations',
  ]
}

function whoReclaims(kswapd: number, direct: number): string {
  if (kswapd > 0 && direct > 0)
    return `kswapd and, for ${formatPercent((direct / (kswapd + direct)) * 100)} of it, processes themselves reclaim`
  if (direct > 0) return 'processes reclaim themselves'
  return kswapd > 0 ? 'kswapd reclaims' : 'a limit or a request makes groups give pages back'
}
