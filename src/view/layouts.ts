/**
 * Several panels on one screen.
 *
 *     thp | fragmentation / processes          ┌ ▸ thp ──────────┬ fragmentation ──┐
 *                                              │                 │                 │
 *     "|" stands between columns,              ├ processes ──────┴─────────────────┤
 *     "/" between rows                         │                                   │
 *
 * One of them has the keys: its list is walked, filtered and sorted, its name is marked. Where a cell would be too small to say anything,
 * the one that has the keys stands alone.
 */
import { nearestWord } from '../user_error.ts'
import { rowWidth } from './layout.ts'
import { type Panel, type PlacedChart, type Row, type Size, type Span, span } from './panel.ts'
import { crop, displayWidth } from './width.ts'

/** Rows of columns of names of panels. */
type Grid = readonly (readonly string[])[]

/** Layouts by name. */
export const LAYOUTS: Readonly<Record<string, string>> = {
  huge: 'thp | fragmentation / processes | hugetlb',
  reclaim: 'reclaim | swap / zones | processes',
  numa: 'nodes | balancing / processes | policies',
  density: 'ksm | swap / memory | processes',
  limits: 'cgroups | memory / processes | events',
}

const ROWS_MAX = 4
const COLUMNS_MAX = 4
const LEAST_WIDTH = 36
const LEAST_HEIGHT = 7

/** Where a panel stands in the body; its heading is the row above `top`, where it has one. */
export interface Cell {
  readonly view: string
  readonly top: number
  readonly left: number
  readonly width: number
  readonly height: number
}

const gridOf = (text: string): Grid => text.split('/').map(row => row.split('|').map(name => name.trim()))

/** Names of the panels of a layout, from left to right and top to bottom. */
export const viewsIn = (text: string): string[] => gridOf(text).flat()

/**
 * A layout by name or as it is written.
 * @param names of all panels
 * @returns its text, or what is wrong with it
 */
export function layoutNamed(text: string, names: readonly string[]): { readonly text: string } | { readonly problem: string } {
  const written = Object.hasOwn(LAYOUTS, text) ? LAYOUTS[text] : text.trim()
  const grid = gridOf(written)
  const views = grid.flat()
  const wrong = views.find(name => !names.includes(name))
  if (wrong !== undefined) {
    const near = nearestWord(wrong, [...names, ...Object.keys(LAYOUTS)])
    const like =
      near === undefined ? `: ${Object.keys(LAYOUTS).join(' ')}, or panels as in "thp | zones / processes"` : `, did you mean "${near}"?`
    return { problem: `no layout or panel "${wrong}"${like}` }
  }
  if (new Set(views).size < views.length) return { problem: 'a panel stands in a layout only once' }
  if (grid.length > ROWS_MAX || grid.some(row => row.length > COLUMNS_MAX))
    return { problem: `a layout has at most ${ROWS_MAX} rows and ${COLUMNS_MAX} columns` }
  return { text: grid.map(row => row.join(' | ')).join(' / ') }
}

/** The layout with another panel in the place of one, unless it is there already. */
export function withView(text: string, old: string, view: string): string {
  if (viewsIn(text).includes(view)) return text
  return gridOf(text)
    .map(row => row.map(name => (name === old ? view : name)).join(' | '))
    .join(' / ')
}

/** Where each panel stands; undefined where one of them would be too small. */
export function cellsOf(text: string, { width, height }: Size): readonly Cell[] | undefined {
  const grid = gridOf(text)
  const edge = (i: number, count: number, whole: number) => Math.floor((i * whole) / count)
  const cells = grid.flatMap((row, y) =>
    row.map((view, x): Cell => {
      const [top, left] = [edge(y, grid.length, height), edge(x, row.length, width + 1)]
      return {
        view,
        top: top + 1,
        left,
        width: edge(x + 1, row.length, width + 1) - left - 1,
        height: edge(y + 1, grid.length, height) - top - 1,
      }
    }),
  )
  return cells.some(cell => cell.width < LEAST_WIDTH || cell.height + 1 < LEAST_HEIGHT) ? undefined : cells
}

/** The panels in their cells as one, with the list of the one that has the keys. */
export function compose(cells: readonly Cell[], panels: readonly Panel[], focus: string, { width, height }: Size, ascii: boolean): Panel {
  const rows: Row[] = Array.from({ length: height }, (_, y) => {
    const here = cells.flatMap((cell, i) => (y >= cell.top - 1 && y < cell.top + cell.height ? [{ cell, panel: panels[i] }] : []))
    return here.flatMap(({ cell, panel }, i): Row => {
      const row = y === cell.top - 1 ? heading(cell, cell.view === focus, ascii) : (panel.rows[y - cell.top] ?? [])
      const gap = i < here.length - 1 ? [span(ascii ? '|' : '│', 'frame')] : []
      return [...row, span(' '.repeat(Math.max(0, cell.width - rowWidth(row)))), ...gap]
    })
  })
  const charts = cells.flatMap(({ top, left }, i) =>
    panels[i].charts.map((chart): PlacedChart => ({ ...chart, top: chart.top + top, left: chart.left + left })),
  )
  const focused = panels[cells.findIndex(({ view }) => view === focus)]
  const wants = [...new Set(panels.flatMap(panel => panel.wants))]
  return { width, rows, charts, below: focused?.below ?? 0, list: focused?.list, wants }
}

/** "─ thp ─────"; the one that has the keys is marked by a sign as well as a colour. */
function heading({ view, width }: Cell, focused: boolean, ascii: boolean): Row {
  const line = ascii ? '-' : '─'
  const mark = focused ? (ascii ? '> ' : '▸ ') : ''
  const name = crop(`${mark}${view}`, Math.max(0, width - 4), ascii ? '~' : '…')
  const title: Span = span(name, focused ? 'chosen' : 'title')
  return [span(`${line} `, 'frame'), title, span(` ${line.repeat(Math.max(0, width - displayWidth(name) - 3))}`, 'frame')]
}
