/**
 * Charts that share the room a panel has left: as many of them as can each be read, the first ones first, side by side and below one
 * another, so that no row of a large screen stays empty. What the machine does not have is left out, what has no room is not made.
 *
 *     +---------------+---------------+        of three charts in a wide room
 *     | faults        | refaults      |
 *     +---------------+---------------+
 *     | memory                        |        the last row's are wider
 *     +-------------------------------+
 */
import type { Model } from '../sample/model.ts'
import { type ChartOf, chartIfKnown } from './chart.ts'
import { type Block, beside, chartBlock, stack } from './layout.ts'
import type { ChartSpec, PanelUi } from './panel.ts'

/** Room in which lines can still be read. */
const LEAST = { width: 48, height: 6 }
/** Rows of a chart where there are as many as there need be. */
const ENDLESS = 8
const GAP = 2
/** How many times wider than high, in characters, a chart is read best. */
const SHAPE = 5
/** A list grows by so many rows at once, so that charts below it do not jump with every row more. */
const STEP = 4

/** @param charts in order of weight; specs stand for what is no scalar */
export function chartGrid(model: Model, ui: PanelUi, charts: readonly (ChartOf | ChartSpec)[], width: number, height: number): Block[] {
  const endless = height === Number.POSITIVE_INFINITY
  const most = endless ? charts.length : Math.floor(height / LEAST.height) * Math.max(1, Math.floor((width + GAP) / (LEAST.width + GAP)))
  const specs: ChartSpec[] = []
  for (const chart of charts) {
    if (specs.length >= most) break
    const spec = 'kind' in chart ? chart : chartIfKnown(model, chart, ui.zoom)
    if (spec !== undefined) specs.push(spec)
  }
  if (specs.length === 0 || (!endless && height < LEAST.height)) return []
  const columns = endless ? Math.max(1, Math.floor((width + GAP) / (LEAST.width + GAP))) : columnsFor(specs.length, width, height)
  const rows = Math.ceil(specs.length / columns)
  const edge = (y: number) => (endless ? y * ENDLESS : Math.floor((y * height) / rows))
  return [stack(Array.from({ length: rows }, (_, y) => rowOf(specs.slice(y * columns, (y + 1) * columns), width, edge(y + 1) - edge(y))))]
}

function rowOf(specs: readonly ChartSpec[], width: number, height: number): Block {
  const edge = (x: number) => Math.floor((x * (width + GAP)) / specs.length)
  return beside(
    specs.map((spec, x) => chartBlock(spec, edge(x + 1) - edge(x) - GAP, height)),
    GAP,
  )
}

/** The number of columns with which charts come nearest to their best shape, among those in which each can be read. */
function columnsFor(count: number, width: number, height: number): number {
  const off = (columns: number) => {
    const [wide, high] = [(width + GAP) / columns - GAP, Math.floor(height / Math.ceil(count / columns))]
    return high < LEAST.height || (columns > 1 && wide < LEAST.width) ? Number.POSITIVE_INFINITY : Math.abs(Math.log(wide / high / SHAPE))
  }
  return Array.from({ length: count }, (_, i) => i + 1).reduce((best, columns) => (off(columns) < off(best) ? columns : best))
}

/** Where a list that fills its room shares it with charts. */
export interface Share {
  /** Rows from which it does. */
  readonly from: number
  /** The part of them that charts get. */
  readonly part: number
}

/** Of panels that are a list in the first place; and of those that are about something else. */
const LIST_FIRST: Share = { from: 26, part: 1 / 4 }
export const CHARTS_TOO: Share = { from: 12, part: 1 / 2 }

/**
 * Rows that charts get below a list: what it leaves, and a share of a room that it fills.
 * @param height of both
 * @param wanted by the list, heading included
 */
export function chartRoom(height: number, wanted: number, { from, part }: Share = LIST_FIRST): number {
  if (height === Number.POSITIVE_INFINITY) return height
  const left = height - Math.ceil(wanted / STEP) * STEP
  const share = height >= from ? Math.max(LEAST.height, Math.floor(height * part)) : 0
  return left >= LEAST.height ? Math.max(left, share) : share
}
