/**
 * Putting rows together into panels: blocks stand above and beside one another, in frames, and are cut or filled to
 * the rectangle they get. Every function returns rows of exactly the width it says.
 */
import { type ChartSpec, type Panel, type PanelUi, type PlacedChart, plain, type Row, type Size, type Style, span } from './panel.ts'
import { crop, displayWidth, fitText, wrap } from './width.ts'

/** A rectangle of rows, each `width` columns wide, with charts placed in it. */
export interface Block {
  readonly width: number
  readonly rows: readonly Row[]
  readonly charts: readonly PlacedChart[]
}

export function rowWidth(row: Row): number {
  let width = 0
  for (let i = 0; i < row.length; i++) width += displayWidth(row[i].text)
  return width
}

/** The row at exactly `width`: filled with blanks, or cut with a sign. A row that is as wide already is given back as it is. */
export function fitRow(row: Row, width: number, ascii = false): Row {
  let left = width
  for (let i = 0; i < row.length; i++) {
    const each = row[i]
    const wide = displayWidth(each.text)
    const more = wide >= left && row.slice(i + 1).some(next => next.text.trim() !== '')
    if (wide > left || more)
      return [...row.slice(0, i), { ...each, text: fitText(more ? `${each.text} ` : each.text, left, 'left', ascii ? '~' : '…') }]
    left -= wide
  }
  return left > 0 ? [...row, span(' '.repeat(left))] : row
}

export function block(rows: readonly Row[], width: number, ascii = false): Block {
  return { width, rows: rows.map(row => fitRow(row, width, ascii)), charts: [] }
}

/** A hole of this size for a chart. */
export function chartBlock(spec: ChartSpec, width: number, height: number): Block {
  const rows = Array.from({ length: height }, () => [span(' '.repeat(width))])
  return { width, rows, charts: height > 0 && width > 0 ? [{ spec, top: 0, left: 0, width, height }] : [] }
}

const shift = (charts: readonly PlacedChart[], down: number, right: number) =>
  charts.map(chart => ({ ...chart, top: chart.top + down, left: chart.left + right }))

/** One below the other; narrower blocks are filled. */
export function stack(blocks: readonly Block[]): Block {
  const width = Math.max(0, ...blocks.map(each => each.width))
  const rows: Row[] = []
  const charts: PlacedChart[] = []
  for (const each of blocks) {
    charts.push(...shift(each.charts, rows.length, 0))
    rows.push(...fitted(each, width).rows)
  }
  return { width, rows, charts }
}

/** A block of this width; what is as wide already is not measured again. */
const fitted = (part: Block, width: number, ascii = false): Block =>
  part.width === width ? part : { ...part, width, rows: part.rows.map(row => fitRow(row, width, ascii)) }

/** One beside the other, `gap` blanks between; lower ones are filled. */
export function beside(blocks: readonly Block[], gap = 1): Block {
  const height = Math.max(0, ...blocks.map(each => each.rows.length))
  const charts: PlacedChart[] = []
  let left = 0
  const filled = blocks.map(each => {
    charts.push(...shift(each.charts, 0, left))
    left += each.width + gap
    return fillBlock(each, height)
  })
  const rows = Array.from({ length: height }, (_, y) =>
    filled.flatMap((each, x) => (x === 0 ? each.rows[y] : [span(' '.repeat(gap)), ...each.rows[y]])),
  )
  return { width: Math.max(0, left - gap), rows, charts }
}

/** Exactly `height` rows; charts that no longer fit are left out. */
export function fillBlock(part: Block, height: number): Block {
  if (height === Number.POSITIVE_INFINITY) return part
  const blank = [span(' '.repeat(part.width))]
  const rows = Array.from({ length: height }, (_, y) => part.rows[y] ?? blank)
  return { width: part.width, rows, charts: part.charts.filter(chart => chart.top + chart.height <= height) }
}

/** A block under a ruled heading: "─ title ──────". */
export function section(title: string, part: Block, ascii: boolean): Block {
  const line = ascii ? '-' : '─'
  const name = crop(title, Math.max(0, part.width - 4), ascii ? '~' : '…')
  const head: Row = [
    span(`${line} `, 'frame'),
    span(name, 'title'),
    span(` ${line.repeat(Math.max(0, part.width - displayWidth(name) - 3))}`, 'frame'),
  ]
  return { width: part.width, rows: [fitRow(head, part.width), ...part.rows], charts: shift(part.charts, 1, 0) }
}

/** A part of a panel that can be given more or less width. */
export interface Part {
  readonly title: string
  /** Narrowest that it still says something in. */
  readonly least: number
  /** How much of the spare width it gets, against the others; 1 unless said. */
  readonly weight?: number
  readonly make: (width: number) => Block
}

const GAP = 2

/** Parts from left to right, as many in a row as fit, each under its heading; then the next row. */
export function arrange(parts: readonly Part[], width: number, ascii: boolean): Block[] {
  const rows: Part[][] = []
  let used = 0
  for (const part of parts) {
    const row = rows.at(-1)
    if (row !== undefined && used + GAP + part.least <= width) {
      row.push(part)
      used += GAP + part.least
    } else {
      rows.push([part])
      used = part.least
    }
  }
  return rows.map(row => beside(spread(row, width, ascii), GAP))
}

function spread(row: readonly Part[], width: number, ascii: boolean): Block[] {
  const least = row.reduce((sum, part) => sum + part.least, GAP * (row.length - 1))
  const weights = row.reduce((sum, part) => sum + (part.weight ?? 1), 0)
  let spare = Math.max(0, width - least)
  let weightsLeft = weights
  return row.map(part => {
    const weight = part.weight ?? 1
    const extra = weightsLeft > 0 ? Math.floor((spare * weight) / weightsLeft) : 0
    spare -= extra
    weightsLeft -= weight
    const own = Math.min(width, part.least + extra)
    return section(part.title, part.make(own), ascii)
  })
}

/** Words over as many lines as they need, at most `most`. */
export function paragraph(text: string, width: number, style: Style = 'text', most = 2, ascii = false): Block {
  const lines = wrap(text, width)
  const shown = lines.length <= most ? lines : [...lines.slice(0, most - 1), lines.slice(most - 1).join(' ')]
  return block(
    shown.map(line => [span(line, style)]),
    width,
    ascii,
  )
}

/**
 * The blocks of a panel from top to bottom, in exactly the size. What is taller can be scrolled under the first block,
 * which stays; the last row then counts what follows.
 */
export function toPanel(
  blocks: readonly Block[],
  { width, height }: Size,
  ui: Pick<PanelUi, 'ascii' | 'scroll'>,
  rest: Partial<Pick<Panel, 'list' | 'wants'>> = {},
): Panel {
  const all = stack(blocks.map(each => fitted(each, width, ui.ascii)))
  const over = Math.max(0, all.rows.length - height)
  const pinned = Math.min(blocks[0]?.rows.length ?? 0, Math.max(0, height - 2))
  const offset = Math.min(Math.max(0, ui.scroll), over)
  const shown = over === 0 ? fillBlock(all, height) : scrolled(all, pinned, offset, height)
  const below = over - offset
  const more = fitRow([span(`${ui.ascii ? '...' : '…'} ${below + 1} more rows`, 'dim')], width, ui.ascii)
  const rows = below > 0 ? [...shown.rows.slice(0, -1), more] : shown.rows
  const charts = below > 0 ? shown.charts.filter(chart => chart.top + chart.height < height) : shown.charts
  return { width, rows, charts, below: over, list: rest.list, wants: rest.wants ?? [] }
}

/** `height` rows: the first `pinned`, then what follows `offset` rows further down. Charts that are cut are left out. */
function scrolled({ width, rows, charts }: Block, pinned: number, offset: number, height: number): Block {
  const moved = charts.map(chart => (chart.top < pinned ? chart : { ...chart, top: chart.top - offset }))
  const kept = moved.filter(
    (chart, i) => charts[i].top + charts[i].height <= pinned || (chart.top >= pinned && chart.top + chart.height <= height),
  )
  return { width, rows: [...rows.slice(0, pinned), ...rows.slice(pinned + offset, offset + height)], charts: kept }
}

/** Rows of a panel as plain lines, without blanks at the end. */
export function plainLines(rows: readonly Row[]): string[] {
  return rows.map(row => plain(row).trimEnd())
}
