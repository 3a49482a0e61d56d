/** Zones: how far each is from its watermarks, what is on its lists, and how hard kswapd works. */
import type { Model } from '../../sample/model.ts'
import type { Zone } from '../../sample/parse/zoneinfo.ts'
import { type ChartOf, chartsOfMany } from '../chart.ts'
import { formatBytes, formatCount, formatPercent } from '../format.ts'
import { fillOf, segmentBar } from '../glyphs.ts'
import { arrange, type Block, block, section } from '../layout.ts'
import { bytesOfPages } from '../page_size.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, type Size, type Span, type Style, span } from '../panel.ts'
import { pagesOf, ZONE_COLUMNS, zoneRows, zoneState } from '../subjects/zones.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, counterBlock, knobBlock, sumNow, words } from './common.ts'
import { counterPanel, counterRowsBelow } from './counter_list.ts'
import { listPanel } from './list_panel.ts'

const COUNTERS = [
  'pgscan_kswapd',
  'pgsteal_kswapd',
  'pgscan_direct',
  'pgsteal_direct',
  'pgscan_direct_throttle',
  'pageoutrun',
  'kswapd_low_wmark_hit_quickly',
  'kswapd_high_wmark_hit_quickly',
] as const
const KNOBS = [
  'min_free_kbytes',
  'watermark_scale_factor',
  'watermark_boost_factor',
  'lowmem_reserve_ratio',
  'percpu_pagelist_high_fraction',
].map(name => `/proc/sys/vm/${name}`)

/** Zones up to which their gauges stand above the list. */
const FEW = 10

export const zones: PanelFunction = (model, ui, size): Panel => {
  const rows = zoneRows(model)
  const opened = rows.find(zone => idOf(zone) === ui.open)
  if (opened !== undefined) return onePanel(model, ui, size, opened)
  const said = words(clauses(model, rows), size, ui.ascii)
  const gauges = section('free against the watermarks min, low and high', gaugeBlock(rows, size.width, ui), ui.ascii)
  const parts = [
    { title: 'reclaim per second', least: 44, make: (width: number) => counterBlock(model, COUNTERS, width, ui) },
    { title: 'knobs', least: 30, make: (width: number) => knobBlock(model, KNOBS, width, ui) },
  ]
  const lists = section('pages that reclaim looks at, by list', lruBlock(model, size.width, ui), ui.ascii)
  const few = rows.length <= FEW
  return listPanel(model, ui, size, {
    above: few ? [said, gauges] : [said],
    after: [...(few ? [] : [gauges]), ...arrange(parts, size.width, ui.ascii), lists],
    title: 'zones',
    rows,
    before: zoneRows,
    columns: ZONE_COLUMNS,
    idOf,
    charts: selected => chartsOf(model, ui, rows, selected),
  })
}

const idOf = ({ node, zone }: Zone): string => `N${node}.${zone}`
const nameOf = ({ node, zone }: Zone): string => `N${node} ${zone}`

function chartsOf(model: Model, ui: PanelUi, rows: readonly Zone[], selected: Zone | undefined): ChartOf[] {
  // The first 16 MiB say nothing about the rest, and are asked for by few.
  const lines = rows
    .filter(zone => zone.zone !== 'DMA' || zone === selected)
    .map(zone => ({ name: nameOf(zone), keys: [`${idOf(zone)}.free`] }))
  const chosen = selected === undefined ? undefined : nameOf(selected)
  const [first, ...others] = lines.length === 0 ? [] : chartsOfMany(model, ui.zoom, { title: 'free', lines }, 'zones', chosen)
  return [...(first === undefined ? [] : [first]), ...RECLAIM, ...others]
}

const RECLAIM: readonly ChartOf[] = [
  {
    title: 'reclaim',
    lines: [
      { name: 'kswapd scan', keys: ['pgscan_kswapd'] },
      { name: 'kswapd steal', keys: ['pgsteal_kswapd'] },
      { name: 'direct scan', keys: ['pgscan_direct'] },
      { name: 'direct steal', keys: ['pgsteal_direct'] },
    ],
  },
  {
    title: 'memory by list',
    lines: [
      { name: 'active anon', keys: ['nr_active_anon'] },
      { name: 'inactive anon', keys: ['nr_inactive_anon'] },
      { name: 'active file', keys: ['nr_active_file'] },
      { name: 'inactive file', keys: ['nr_inactive_file'] },
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

/** One zone: all its figures, below its watermarks. */
function onePanel(model: Model, ui: PanelUi, size: Size, zone: Zone): Panel {
  const said = words(
    [
      `zone ${zone.zone} of node ${zone.node}`,
      `${formatBytes(bytesOfPages(pagesOf(zone, 'managed')))} managed`,
      'Esc goes back to all zones',
    ],
    size,
    ui.ascii,
  )
  const marks: ChartOf = {
    title: `${nameOf(zone)} against its watermarks`,
    lines: ['free', 'min', 'low', 'high'].map(key => ({ name: key, keys: [`${idOf(zone)}.${key}`] })),
  }
  const above = [said, section('free against the watermarks min, low and high', gaugeBlock([zone], size.width, ui), ui.ascii)]
  return counterPanel(model, ui, size, { above, rows: counterRowsBelow(model, `${idOf(zone)}.`), charts: [marks] })
}

function clauses(model: Model, rows: readonly Zone[]): Clauses {
  if (rows.length === 0) return ['This source has no zoneinfo']
  const margin = (zone: Zone) => pagesOf(zone, 'free') / Math.max(1, pagesOf(zone, 'low'))
  const tightest = rows.reduce((least, zone) => (margin(zone) < margin(least) ? zone : least))
  const name = `node ${tightest.node} ${tightest.zone}`
  const says = {
    ok: margin(tightest) < 1.05 ? 'is at its low watermark' : `has ${formatCount(margin(tightest))} times its low watermark free`,
    low: 'is below its low watermark: kswapd is wanted',
    min: 'is below its min watermark: allocations reclaim themselves',
  }
  const [scanned, stolen] = [sumNow(model, ['pgscan_kswapd', 'pgscan_direct']), sumNow(model, ['pgsteal_kswapd', 'pgsteal_direct'])]
  return [
    `${name} ${says[zoneState(tightest)]}`,
    scanned > 0
      ? `${formatCount(scanned)} pages/s looked at, ${formatPercent((stolen / scanned) * 100)} of them reclaimed`
      : 'no reclaim now',
    rows.some(zone => pagesOf(zone, 'boost') > 0) && 'watermarks are boosted: page blocks were mixed lately',
  ]
}

const LRU = ['nr_active_anon', 'nr_inactive_anon', 'nr_active_file', 'nr_inactive_file', 'nr_unevictable'] as const
const SHORT = ['active anon', 'inactive anon', 'active file', 'inactive file', 'unevictable'] as const

/** Of each node the pages that reclaim looks at, list by list, and whether its kswapd works. */
function lruBlock(model: Model, width: number, ui: PanelUi): Block {
  const nodes = model.sample.zones().filter(zone => zone.nodeStats.size > 0)
  const legend: Row = SHORT.flatMap((name, i): Span[] => {
    const { sign, style } = fillOf(i, ui.ascii)
    return [span(`${sign} `, style), span(`${name}  `, 'dim')]
  })
  const most = Math.max(1, ...nodes.map(node => LRU.reduce((sum, key) => sum + (node.nodeStats.get(key) ?? 0), 0)))
  const rows = nodes.map(({ node, nodeStats }): Row => {
    const parts = LRU.map(key => ({ value: nodeStats.get(key) ?? 0, about: `N${node}.${key}` }))
    const daemon = model.sample.daemons().find(({ name }) => name === `kswapd${node}`)
    const state = daemon === undefined ? '' : `kswapd ${daemon.running ? 'works' : 'sleeps'}`
    const total = parts.reduce((sum, { value }) => sum + value, 0)
    return [
      span(fitText(`N${node}`, 4), 'label', `N${node}.nr_inactive_file`),
      ...segmentBar(parts, most, Math.max(0, width - 28), ui.ascii),
      span(fitText(formatBytes(bytesOfPages(total)), 8, 'right'), 'value', 'lru_bytes'),
      span(fitText(state, 16, 'right'), daemon?.running === true ? 'warn' : 'dim'),
    ]
  })
  return block([[span('    '), ...legend], ...rows], width, ui.ascii)
}

/**
 * A scale from 0 to at least twice the high watermark, with marks where the watermarks are:
 *
 *     N0 DMA32  ████m██l██h████████████·········   812M free, low 3.2M
 */
function gaugeBlock(rows: readonly Zone[], width: number, ui: PanelUi): Block {
  const lines = rows.map((zone): Row => {
    const [free, min, low, high] = ['free', 'min', 'low', 'high'].map(key => pagesOf(zone, key))
    const room = Math.max(8, width - 46)
    const full = Math.max(1, high * 4)
    const at = (pages: number) => Math.min(room - 1, Math.round((pages / full) * room))
    const filled = at(free) + (free >= full ? 1 : 0)
    const marks = new Map([
      [at(min), 'm'],
      [at(low), 'l'],
      [at(high), 'h'],
    ])
    const bar = Array.from({ length: room }, (_, x) => marks.get(x) ?? (x < filled ? (ui.ascii ? '#' : '█') : ui.ascii ? '.' : '·')).join(
      '',
    )
    const state = zoneState(zone)
    const style: Style = state === 'ok' ? 'series1' : state === 'low' ? 'warn' : 'bad'
    const about = `N${zone.node}.${zone.zone}.free`
    return [
      span(fitText(`N${zone.node} ${zone.zone}`, 12), 'label', about),
      span(bar, style, about),
      span(fitText(`${formatBytes(bytesOfPages(free))} free, low ${formatBytes(bytesOfPages(low))}`, 26, 'right'), 'value', about),
      span(state === 'ok' ? '' : ` ${alarm(ui.ascii)} ${state}`, style),
    ]
  })
  return block(lines, width, ui.ascii)
}
