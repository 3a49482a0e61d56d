/** Where memory is: /proc/meminfo as parts of a whole, and line by line. */
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { chartGrid } from '../chart_grid.ts'
import { formatBytes, formatPercent } from '../format.ts'
import { fillOf, segmentBar, shareBar } from '../glyphs.ts'
import { arrange, type Block, block, type Part, section, toPanel } from '../layout.ts'
import { type Panel, type PanelFunction, type PanelUi, type Row, span } from '../panel.ts'
import { memoryParts } from '../subjects/memory.ts'
import { fitText } from '../width.ts'
import { alarm, type Clauses, isAsked, levelOf, shareBlock, words } from './common.ts'
import { counterPanel, counterRows, withList } from './counter_list.ts'

const GROUPS: readonly (readonly [title: string, keys: readonly string[]])[] = [
  ['in use lately or not', ['Active(anon)', 'Inactive(anon)', 'Active(file)', 'Inactive(file)', 'Unevictable', 'Mlocked']],
  ['page cache', ['Cached', 'Buffers', 'SwapCached', 'Mapped', 'Shmem', 'Dirty', 'Writeback']],
  ['anonymous and huge', ['AnonPages', 'AnonHugePages', 'ShmemHugePages', 'ShmemPmdMapped', 'FileHugePages', 'Hugetlb']],
  ['kernel', ['SReclaimable', 'SUnreclaim', 'KernelStack', 'PageTables', 'Percpu', 'VmallocUsed']],
  ['promised', ['CommitLimit', 'Committed_AS']],
  ['swap', ['SwapTotal', 'SwapFree', 'Zswap', 'Zswapped']],
]

export const memory: PanelFunction = (model, ui, size): Panel => {
  const { parts, totalBytes } = memoryParts(model)
  const said = words(clauses(model, totalBytes), size, ui.ascii)
  const keys = [...model.sample.meminfo().bytes.keys(), ...model.sample.meminfo().counts.keys()]
  const lines = { above: [said], rows: counterRows(model, keys), charts: chartsOf(parts, totalBytes) }
  const list = counterPanel(model, ui, size, lines)
  // Line by line where someone looks for a line, as parts of the whole until then.
  if (isAsked(ui)) return list
  const whole = section('all memory', wholeBlock(model, ui, size.width), ui.ascii)
  const groups = GROUPS.map(
    ([title, names]): Part => ({
      title,
      least: size.height < 26 ? 25 : 36,
      make: width => shareBlock(model, names, totalBytes, width, ui),
    }),
  )
  const blocks = [said, whole, ...arrange(groups, size.width, ui.ascii)]
  const left = size.height - blocks.reduce((sum, part) => sum + part.rows.length, 0)
  const charts = chartGrid(model, ui, lines.charts, size.width, left)
  return withList(toPanel([...blocks, ...charts], size, ui), list)
}

function chartsOf(parts: ReturnType<typeof memoryParts>['parts'], max: number): ChartOf[] {
  const large = parts.filter(part => ['anon', 'file', 'free'].includes(part.name)).map(part => ({ name: part.name, keys: [part.about] }))
  const line = (name: string, key = name) => ({ name, keys: [key] })
  return [
    { title: 'anonymous, page cache, free', lines: large, max },
    { title: 'kernel', lines: ['SReclaimable', 'SUnreclaim', 'PageTables', 'KernelStack'].map(key => line(key)) },
    { title: 'to be written', lines: ['Dirty', 'Writeback'].map(key => line(key)) },
    { title: 'promised', lines: [line('Committed_AS'), line('CommitLimit')] },
    { title: 'huge', lines: [line('AnonHugePages'), line('ShmemHugePages'), line('FileHugePages'), line('Hugetlb')] },
    { title: 'free swap', lines: [line('free', 'SwapFree')] },
  ]
}

function clauses(model: Model, total: number): Clauses {
  const share = (key: string) => formatPercent((levelOf(model, key) / Math.max(1, total)) * 100)
  const [limit, committed] = [levelOf(model, 'CommitLimit'), levelOf(model, 'Committed_AS')]
  const [swap, swapFree] = [levelOf(model, 'SwapTotal'), levelOf(model, 'SwapFree')]
  return [
    `${formatBytes(levelOf(model, 'MemAvailable'))} of ${formatBytes(total)} can still be had without swapping (${share('MemAvailable')}), ${formatBytes(levelOf(model, 'MemFree'))} of it free`,
    `${share('AnonPages')} anonymous, ${share('Cached')} page cache, ${share('Slab')} slab`,
    limit > 0 && `processes reserved ${formatBytes(committed)}, ${formatPercent((committed / limit) * 100)} of the commit limit`,
    swap > 0 && `${formatPercent((1 - swapFree / swap) * 100)} of swap used`,
  ]
}

/** One long bar, and each part by name, size and share. */
function wholeBlock(model: Model, ui: PanelUi, width: number): Block {
  const { parts, totalBytes } = memoryParts(model)
  const used = parts.slice(0, -1)
  const bar: Row = segmentBar(
    used.map(part => ({ value: part.bytes, about: part.about })),
    totalBytes,
    width,
    ui.ascii,
  )
  const columns = Math.max(1, Math.floor(width / 38))
  const cell = Math.floor(width / columns)
  const cells = parts.map((part, i): Row => {
    const { sign, style } = i < used.length ? fillOf(i, ui.ascii) : ({ sign: ui.ascii ? '.' : '·', style: 'free' } as const)
    const share = totalBytes > 0 ? part.bytes / totalBytes : 0
    const low = part.name === 'free' && share < 0.01 && totalBytes > 0
    return [
      span(`${sign} `, style),
      span(fitText(part.name, 7), 'label', part.about),
      span(fitText(formatBytes(part.bytes), 7, 'right'), 'value', part.about),
      span(fitText(formatPercent(share * 100), 6, 'right'), low ? 'bad' : 'dim'),
      span(low ? `${alarm(ui.ascii)} ` : '  '),
      ...shareBar(share, Math.max(0, cell - 26), ui.ascii, style),
      span('  '),
    ]
  })
  const rows = Array.from({ length: Math.ceil(cells.length / columns) }, (_, y) => cells.slice(y * columns, (y + 1) * columns).flat())
  return block([bar, ...rows], width, ui.ascii)
}
