/**
 * A panel around one list: blocks above it, the list, and below it what else there is to say and charts of the past.
 *
 *     many rows                        few rows (nodes, zones, pools)
 *     +------------------------+       +------------------------+
 *     | words, knobs           |       | words, bars            |
 *     | list                   |       | list                   |
 *     | :                      |       | counters, knobs        |
 *     | charts                 |       | charts                 |
 *     +------------------------+       +------------------------+
 */
import type { Model } from '../../sample/model.ts'
import type { ChartOf } from '../chart.ts'
import { chartGrid, chartRoom, type Share } from '../chart_grid.ts'
import { type Block, fillBlock, section, toPanel } from '../layout.ts'
import type { ChartSpec, ListState, Panel, PanelUi, Size } from '../panel.ts'
import { type Column, drawList, type Listed, listRows, movedRows } from '../table.ts'

export interface ListPanel<R> {
  readonly above: readonly Block[]
  /** What follows the list, which then takes no more rows than it has. */
  readonly after?: readonly Block[]
  readonly title?: string
  readonly rows: readonly R[]
  /** The rows of the sample before, to tell which ones moved; or whether one moved. */
  readonly before?: (model: Model) => readonly R[]
  readonly moves?: (row: R) => boolean
  readonly columns: readonly Column<R>[]
  readonly idOf: (row: R) => string
  readonly fallback?: ListState['sort']
  /** In order of weight; of the row that is selected, if one is. */
  readonly charts: (selected: R | undefined) => readonly (ChartOf | ChartSpec)[]
  readonly wants?: readonly string[]
  readonly share?: Share
}

const rowsIn = (blocks: readonly Block[]): number => blocks.reduce((sum, part) => sum + part.rows.length, 0)

export function listPanel<R>(model: Model, ui: PanelUi, size: Size, spec: ListPanel<R>): Panel {
  const { title, columns, wants = [], share } = spec
  const { above, after } = blocksOf(spec, ui, size)
  const shown = ui.moving ? movingRows(model, spec) : spec.rows
  const headed = title !== undefined && size.height >= LOW
  const head = headed ? 1 : 0
  const room = size.height - rowsIn(above) - head
  const least = above.length > 1 ? LEAST_LIST : 1
  const { listHeight, chartHeight } = heightsOf(room, Math.max(2, shown.length + 1), {
    after: after && rowsIn(after),
    share,
    screen: size.height - head,
    least,
  })
  const listed = listRows(shown, columns, spec.idOf, { model, ui, height: listHeight - 1, fallback: spec.fallback })
  const table = drawList(listed, columns, { model, ui, width: size.width, height: listHeight })
  const list = headed ? section(title, table, ui.ascii) : table
  const charts = chartHeight === 0 ? [] : chartGrid(model, ui, spec.charts(selectedOf(listed)), size.width, chartHeight)
  const filled = charts.length === 0 || after !== undefined ? list : fillBlock(list, listHeight + head)
  const below = after === undefined && above.length > 1 && room < LEAST_LIST
  return toPanel([...above, filled, ...(after ?? []), ...charts], size, ui, {
    list: { ...listed.state, ...(below ? { below } : {}) },
    wants,
  })
}

/**
 * What stands above and below the list where there is little room: a list of few rows comes first, and of the others only what is said of
 * them is above a list that is filtered or sorted.
 */
function blocksOf<R>({ above, after }: ListPanel<R>, { filter, sort, moving }: PanelUi, { height }: Size) {
  const narrow = height - rowsIn(above) - 1 < LEAST_LIST
  if (!narrow || above.length < 2) return { above, after }
  if (after !== undefined) return { above: above.slice(0, 1), after: [...above.slice(1), ...after] }
  return { above: filter !== '' || sort !== undefined || moving ? above.slice(0, 1) : above, after }
}

const selectedOf = <R>({ rows, state }: Listed<R>): R | undefined => rows[state.selected]

function movingRows<R>(model: Model, { rows, before, moves, columns, idOf }: ListPanel<R>): readonly R[] {
  if (moves !== undefined) return rows.filter(moves)
  if (before === undefined || model.previous === undefined) return rows
  return movedRows(rows, before({ ...model, sample: model.previous, previous: undefined }), columns, idOf, model)
}

/** Rows below which every one counts. */
const LOW = 6
/** Fewest rows of a list, heading included, that it is seen by. */
const LEAST_LIST = 5

interface Around {
  /** Rows that follow the list; undefined where it may have all. */
  readonly after: number | undefined
  readonly share: Share | undefined
  /** Rows of the whole screen. */
  readonly screen: number
  /** Fewest rows of a list that may have all. */
  readonly least: number
}

/** @param wanted rows of the list, heading included */
function heightsOf(room: number, wanted: number, { after, share, screen, least }: Around) {
  if (room === Number.POSITIVE_INFINITY) return { listHeight: room, chartHeight: room }
  if (after === undefined && room >= least) {
    const chartHeight = chartRoom(room, wanted, share)
    return { listHeight: room - chartHeight, chartHeight }
  }
  const listHeight = Math.max(
    1,
    Math.min(wanted, after === undefined ? Math.max(LEAST_LIST, screen - LEAST_LIST) : Math.max(LEAST_LIST, room)),
  )
  return { listHeight, chartHeight: Math.max(0, room - listHeight - (after ?? 0)) }
}
