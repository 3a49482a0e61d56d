/** A process' area page by page, as lines over one another: present, swapped, soft-dirty, idle, huge, merged, and by node. */
import type { Model } from '../../sample/model.ts'
import { type AreaMap, parseAreaMaps } from '../../sample/parse/pages.ts'
import type { Mapping } from '../../sample/parse/pid_maps.ts'
import { formatCount } from '../format.ts'
import { type Block, block, section } from '../layout.ts'
import { type PanelUi, type Row, type Style, span } from '../panel.ts'
import { fitText } from '../width.ts'

const LABEL = 10
const COUNT = 8
const LINES: readonly (readonly [key: string, name: string, style: Style])[] = [
  ['present', 'present', 'series1'],
  ['swapped', 'swapped', 'series4'],
  ['softdirty', 'soft-dirty', 'series3'],
  ['idle', 'idle', 'series5'],
  ['huge', 'huge', 'series2'],
  ['ksm', 'ksm', 'series6'],
  ['file', 'file', 'series4'],
]
const SHADES = ' ░▒▓█'
const ASCII_SHADES = ' .:*#'

/**
 * The file with a process' pages for a panel of this width: of all areas on a simulated machine; on a real one, where each page costs a read,
 * of one.
 */
export function overlayPath(model: Pick<Model, 'kind'>, pid: number, area: Mapping | undefined, width: number): string | undefined {
  const all = `/mmtop/pages/task/${pid}/${Math.max(8, width - LABEL - COUNT - 1)}`
  if (model.kind === 'simulation') return all
  return model.kind === 'host' && area !== undefined ? `${all}/${area.start}-${area.end}` : undefined
}

/** Rows that the overlay of an area takes at most, heading included. */
export const OVERLAY_ROWS = LINES.length + 2

/**
 * The overlay of the area that begins at a hexadecimal address.
 * @returns nothing where the file is not there (yet), or the area has no pages
 */
export function overlayBlock(model: Model, pid: number, mapping: Mapping | undefined, width: number, ui: PanelUi): Block | undefined {
  const path = overlayPath(model, pid, mapping, width)
  const text = path === undefined ? undefined : model.sample.frame.files.get(path)
  if (text === undefined || mapping === undefined) return undefined
  const { start } = mapping
  const vpn = Number.parseInt(start, 16) / 4096
  const area = parseAreaMaps(text).find(each => each.start === vpn)
  const rows = area === undefined ? [] : [...LINES.flatMap(line => lineOf(area, line, ui)), ...nodeLine(area)]
  return rows.length === 0 ? undefined : section(`pages of the area at ${start}`, block(rows, width, ui.ascii), ui.ascii)
}

function lineOf(area: AreaMap, [key, name, style]: (typeof LINES)[number], ui: PanelUi): Row[] {
  const total = area.cells.reduce((sum, { counts }) => sum + (counts.get(key) ?? 0), 0)
  if (total === 0) return []
  const shades = ui.ascii ? ASCII_SHADES : SHADES
  const signs = area.cells.map(({ pages, counts }) => {
    const share = (counts.get(key) ?? 0) / Math.max(1, pages)
    return shades[share === 0 ? 0 : Math.max(1, Math.min(4, Math.ceil(share * 4)))]
  })
  return [
    [
      span(fitText(name, LABEL), 'label'),
      span(fitText(formatCount(total), COUNT, 'right'), 'value', 'area_pages'),
      span(' '),
      span(signs.join(''), style),
    ],
  ]
}

/** The node that has most of each cell, where there is more than one. */
function nodeLine(area: AreaMap): Row[] {
  const nodeOf = (counts: ReadonlyMap<string, number>) =>
    [...counts]
      .filter(([key]) => /^N\d+$/.test(key))
      .sort(([, a], [, b]) => b - a)[0]?.[0]
      .slice(1) ?? ' '
  const nodes = area.cells.map(({ counts }) => nodeOf(counts))
  if (new Set(nodes.filter(node => node !== ' ')).size < 2) return []
  return [
    [
      span(fitText('node', LABEL), 'label'),
      span(' '.repeat(COUNT + 1)),
      span(nodes.map(node => node.slice(-1)).join(''), 'value', 'area_pages'),
    ],
  ]
}
