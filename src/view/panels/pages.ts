/**
 * The physical page map: all of memory in cells, by what is in them, whose it is, which node they are of or how large the largest free block
 * is. A row opened shows its own range in as many cells, and so on down to single pages, and to the story of one page.
 *
 *     id of a row: "START-END" in page frames; the sort column chooses what cells show
 */
import type { Model } from '../../sample/model.ts'
import { type MapCell, type PageMap, parseFrameStory, parsePageMap } from '../../sample/parse/pages.ts'
import { factSince } from '../../sample/since.ts'
import type { ChartOf } from '../chart.ts'
import { chartGrid } from '../chart_grid.ts'
import { formatBytes, formatClock, formatCount, formatPercent } from '../format.ts'
import { type Block, block, fillBlock, section, toPanel } from '../layout.ts'
import { type ListState, type Panel, type PanelFunction, type PanelUi, type Row, type Size, type Span, type Style, span } from '../panel.ts'
import { taskName } from '../subjects/tasks.ts'
import { fitText } from '../width.ts'
import { type Clauses, words } from './common.ts'

const PAGE = 4096
const LABEL = 12
/** Frames up to which a range is listed one a row. */
const LISTED = 64
/** Beyond any machine's last frame: the file ends where memory does. */
const WHOLE = '0/68719476736'

/** What a cell shows for each kind of memory. */
const KINDS: readonly (readonly [kind: string, sign: string, style: Style, meaning: string])[] = [
  ['free', '.', 'free', 'free'],
  ['anon', 'a', 'series1', 'anonymous'],
  ['thp', 'H', 'series2', 'huge (THP)'],
  ['hugetlb', 'G', 'series3', 'huge TLB pages'],
  ['ksm', 'x', 'good', 'merged (KSM)'],
  ['file', 'f', 'series4', 'files'],
  ['shmem', 'm', 'series5', 'shared memory'],
  ['slab', 's', 'series6', 'kernel objects'],
  ['table', 't', 'warn', 'page tables'],
  ['kernel', 'k', 'warn', 'other kernel memory'],
  ['reserved', 'R', 'dim', 'kept by boot'],
  ['hole', ' ', 'dim', 'no memory'],
]
const MODES = ['kind', 'owner', 'node', 'order'] as const
const SERIES: readonly Style[] = ['series1', 'series2', 'series3', 'series4', 'series5', 'series6']
/** Signs of owners, in order of what they have; and of nodes and orders. */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'

export const pages: PanelFunction = (model, ui, size): Panel => {
  const [start, end] = rangeOf(ui.open)
  if (end - start === 1) return storyPanel(model, ui, size, start)
  const whole = size.height === Number.POSITIVE_INFINITY ? 24 : size.height
  const below = end === 0 && whole >= ROOMY && size.height !== Number.POSITIVE_INFINITY ? Math.floor(whole / 4) : 0
  const height = whole - below
  const columns = Math.max(8, size.width - LABEL)
  const rows = Math.max(1, height - 5)
  const path = `/mmtop/pages/map/${end === 0 ? WHOLE : `${start}/${end}`}/${end > 0 && end - start <= LISTED ? end - start : rows * columns}`
  const text = model.sample.frame.files.get(path)
  const map = text === undefined ? undefined : parsePageMap(text)
  if (map === undefined) {
    const why = words(missing(model), size, ui.ascii)
    const charts = model.kind === 'simulation' ? [] : chartGrid(model, ui, CHARTS, size.width, size.height - why.rows.length)
    return toPanel([why, ...charts], size, ui, { wants: [path] })
  }
  const mode = MODES.find(each => each === ui.sort?.key) ?? 'kind'
  const wide = map.cells.length <= LISTED && map.end - map.start === map.cells.length ? 1 : columns
  const lines = Array.from({ length: Math.ceil(map.cells.length / wide) }, (_, i) => map.cells.slice(i * wide, (i + 1) * wide))
  const list = listOf(lines, mode, ui, rows)
  const owners = ownersOf(map)
  const shown = lines
    .slice(list.first, list.first + rows)
    .map((cells, i) => rowOf(cells, mode, owners, wide === 1, list.first + i === list.selected, size.width))
  const said = words(clauses(map), { ...size, height: 8 }, ui.ascii)
  const key = legend(model, mode, map, owners, size.width)
  const cells = block(shown, size.width, ui.ascii)
  const body = below === 0 ? cells : fillBlock(cells, height - said.rows.length - key.rows.length - 1)
  const charts = below === 0 ? [] : chartGrid(model, ui, CHARTS, size.width, below)
  return toPanel([said, section(`by ${mode} (s: ${MODES.join(', ')}; Enter: closer)`, key, ui.ascii), body, ...charts], size, ui, {
    list,
    wants: [path],
  })
}

/** Rows from which memory over time has room below the map. */
const ROOMY = 30

const CHARTS: readonly ChartOf[] = [
  {
    title: 'memory by kind',
    lines: [
      { name: 'free', keys: ['nr_free_pages'] },
      { name: 'anon', keys: ['nr_anon_pages'] },
      { name: 'file', keys: ['nr_file_pages'] },
      { name: 'slab', keys: ['nr_slab_reclaimable', 'nr_slab_unreclaimable'] },
      { name: 'tables', keys: ['nr_page_table_pages'] },
    ],
  },
  {
    title: 'pages given out and back',
    lines: [
      { name: 'given', keys: ['pgalloc_dma32', 'pgalloc_normal', 'pgalloc_movable'] },
      { name: 'back', keys: ['pgfree'] },
    ],
  },
]

function missing(model: Model): Clauses {
  return [model.kind === 'simulation' ? 'The page map is being read' : 'A page map is shown of simulated machines only']
}

function rangeOf(open: string): readonly [number, number] {
  const found = /^(\d{1,12})-(\d{1,12})$/.exec(open)
  const [start, end] = [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)]
  return end > start ? [start, end] : [0, 0]
}

function listOf(lines: readonly (readonly MapCell[])[], mode: string, ui: PanelUi, height: number): ListState {
  const ids = lines.map(cells => `${cells[0].start}-${cells[cells.length - 1].end}`)
  const selected = Math.min(ui.selected, ids.length - 1)
  const first = Math.max(0, Math.min(selected - Math.floor(height / 2), ids.length - height))
  return { ids, selected, first, sortKeys: MODES, sort: { key: mode, descending: false }, problem: '' }
}

/** Processes that have cells, the one with most first. */
function ownersOf(map: PageMap): number[] {
  const counts = new Map<number, number>()
  for (const { pid } of map.cells) if (pid > 0) counts.set(pid, (counts.get(pid) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a).map(([pid]) => pid)
}

const kindOf = (cell: MapCell): string => [...cell.kinds].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'hole'

function signOf(cell: MapCell, mode: string, owners: readonly number[]): readonly [sign: string, style: Style] {
  if (mode === 'node') return cell.node < 0 ? [' ', 'dim'] : [DIGITS[cell.node % 36], SERIES[cell.node % 6]]
  if (mode === 'order')
    return cell.order < 0 ? ['-', 'dim'] : [DIGITS[cell.order], cell.order >= 9 ? 'good' : cell.order >= 4 ? 'value' : 'warn']
  if (mode === 'owner') {
    const at = owners.indexOf(cell.pid)
    return at < 0 ? [kindOf(cell) === 'free' ? '.' : '-', 'dim'] : [DIGITS[(at + 10) % 36], SERIES[at % 6]]
  }
  const most = kindOf(cell)
  const found = KINDS.find(([kind]) => kind === most)
  return found === undefined ? ['?', 'dim'] : [found[1], found[2]]
}

function rowOf(cells: readonly MapCell[], mode: string, owners: readonly number[], single: boolean, selected: boolean, width: number): Row {
  const label = span(fitText(`${single ? '' : formatBytes(cells[0].start * PAGE)} ${single ? cells[0].start : ''}`.trim(), LABEL), 'label')
  const signs: Span[] = []
  for (const cell of cells) {
    const [sign, style] = signOf(cell, mode, owners)
    const last = signs.at(-1)
    if (last !== undefined && last.style === style) signs[signs.length - 1] = span(last.text + sign, style)
    else signs.push(span(sign, style))
  }
  const facts = single
    ? [
        span(
          fitText(`  ${kindOf(cells[0])}  node ${cells[0].node}${cells[0].pid > 0 ? `  process ${cells[0].pid}` : ''}`, width - LABEL - 1),
          'value',
          'page_fact',
        ),
      ]
    : []
  const row = [label, ...signs, ...facts]
  return selected ? row.map(each => ({ ...each, style: 'selected' as const })) : row
}

function legend(model: Model, mode: string, map: PageMap, owners: readonly number[], width: number): Block {
  const name = (pid: number) => taskName(model.sample.tasks().find(task => task.pid === pid)) || String(pid)
  const seen = new Set(map.cells.map(kindOf))
  const items: readonly (readonly [sign: string, style: Style, meaning: string])[] =
    mode === 'kind'
      ? KINDS.filter(([kind]) => seen.has(kind)).map(([, sign, style, meaning]) => [sign === ' ' ? '" "' : sign, style, meaning])
      : mode === 'owner'
        ? owners.slice(0, 12).map((pid, i) => [DIGITS[(i + 10) % 36], SERIES[i % 6], name(pid)])
        : mode === 'order'
          ? [
              ['0-A', 'value', 'order of the largest free block in the cell'],
              ['-', 'dim', 'nothing free'],
            ]
          : [['0-7', 'series1', 'node']]
  return block([items.flatMap(([sign, style, meaning]) => [span(sign, style), span(` ${meaning}  `, 'dim')])], width)
}

function clauses(map: PageMap): Clauses {
  const total = map.cells.reduce((sum, { kinds }) => sum + [...kinds.values()].reduce((a, b) => a + b, 0), 0)
  const of = (kind: string) => map.cells.reduce((sum, { kinds }) => sum + (kinds.get(kind) ?? 0), 0)
  const share = (kind: string) => formatPercent((of(kind) / Math.max(1, total)) * 100)
  return [
    `page frames ${map.start} to ${map.end - 1}: ${formatBytes((map.end - map.start) * PAGE)} in ${formatCount(map.cells.length)} cells`,
    `${share('free')} free, ${share('anon')} anonymous, ${share('thp')} huge, ${share('file')} files`,
    of('ksm') > 0 && `${share('ksm')} merged`,
    map.step > 1 && `one page in ${map.step} was looked at`,
  ]
}

/** Everything that is known of one page. */
function storyPanel(model: Model, ui: PanelUi, size: Size, pfn: number): Panel {
  const path = `/mmtop/pages/frame/${pfn}`
  const text = model.sample.frame.files.get(path)
  const facts = text === undefined ? [] : parseFrameStory(text)
  const said = words([text === undefined ? 'The page is being read' : `page frame ${pfn} at ${formatBytes(pfn * PAGE)}`], size, ui.ascii)
  const since = (key: string): string => {
    const known = factSince(model.facts, path, key)
    return known === undefined ? '' : `  ${known.changed ? 'since' : 'at least since'} ${formatClock(known.ns)}`
  }
  const rows = facts.map(
    ([key, value]): Row => [span(fitText(key, 14), 'label'), span(value, 'value', 'page_fact'), span(since(key), 'dim')],
  )
  return toPanel([said, block(rows, size.width, ui.ascii)], size, ui, { wants: [path] })
}
