/**
 * Every knob of the source: value, default, range, and what changing it does. Many of them are a tree, a branch a
 * directory, which folds; sorted or filtered it is a list again.
 *
 *     ▾ vm                     42 knobs, 1 not at its default
 *       swappiness             10 *     60     0..200     How willing reclaim is ...
 *     ▸ khugepaged              7 knobs
 */
import { plural } from '../format.ts'
import { type Panel, type PanelFunction, type PanelUi, span } from '../panel.ts'
import { KNOB_COLUMNS, type KnobRow, knobRows, shortPath } from '../subjects/knobs.ts'
import type { Column } from '../table.ts'
import { fitText } from '../width.ts'
import { words } from './common.ts'
import { chartsSinceKnob } from './compare.ts'
import { listPanel } from './list_panel.ts'
import { chartsOf } from './overview.ts'

/** Fewer than this are seen at a glance. */
const MANY = 20

/** What the id of a branch begins with; knobs have their path. */
const BRANCH = 'branch:'

interface Branch {
  readonly name: string
  readonly knobs: readonly KnobRow[]
  readonly folded: boolean
}

type TreeRow =
  | { readonly branch: Branch; readonly knob?: undefined }
  | { readonly knob: KnobRow; readonly branch?: undefined; readonly name: string }

/** The branch that a row's id stands for; undefined for a knob's. */
export const branchOf = (id: string): string | undefined => (id.startsWith(BRANCH) ? id.slice(BRANCH.length) : undefined)

/** Branches that are folded, as the screen's state keeps them (`PanelUi.open`). */
const foldedIn = (open: string): ReadonlySet<string> => new Set(open.split('\n').filter(name => name !== ''))

/** The state with one branch folded or not. */
export function foldBranch(open: string, name: string, on: boolean): string {
  const folded = new Set(foldedIn(open))
  if (on) folded.add(name)
  else folded.delete(name)
  return [...folded].join('\n')
}

const idOf = (row: TreeRow): string => (row.branch === undefined ? row.knob.tunable.path : BRANCH + row.branch.name)

/** The columns of a knob, for rows that may be branches. */
const COLUMNS: readonly Column<TreeRow>[] = KNOB_COLUMNS.map(
  ({ draw: _, ...column }): Column<TreeRow> => ({
    ...column,
    value: (row, model) => {
      if (row.branch !== undefined) return column.key === 'knob' ? row.branch.name : ''
      return column.key === 'knob' ? row.name : column.value(row.knob, model)
    },
    style: (row, model) => {
      if (row.branch !== undefined) return 'title'
      return column.style?.(row.knob, model) ?? 'label'
    },
    ...(column.key === 'knob'
      ? {
          draw: (row, _model, ascii) => {
            const text =
              row.branch === undefined ? row.name : `${sign(row.branch.folded, ascii)} ${row.branch.name} (${row.branch.knobs.length})`
            const about = row.branch === undefined ? row.knob.tunable.path : undefined
            return [span(fitText(text, column.width, 'left', ascii ? '~' : '…'), row.branch === undefined ? 'label' : 'title', about)]
          },
        }
      : {}),
  }),
)

const sign = (folded: boolean, ascii: boolean): string => (folded ? (ascii ? '+' : '▸') : ascii ? '-' : '▾')

function treeOf(rows: readonly KnobRow[], ui: PanelUi): TreeRow[] {
  const folded = foldedIn(ui.open)
  const branches = new Map<string, KnobRow[]>()
  for (const row of rows) {
    const name = shortPath(row.tunable.path).replace(/\/?[^/]*$/, '')
    branches.set(name, [...(branches.get(name) ?? []), row])
  }
  return [...branches].flatMap(([name, knobs]): TreeRow[] => [
    { branch: { name, knobs, folded: folded.has(name) } },
    ...(folded.has(name) ? [] : knobs.map(knob => ({ knob, name: `  ${knob.tunable.path.replace(/^.*\//, '')}` }))),
  ])
}

export const tunables: PanelFunction = (model, ui, size): Panel => {
  const rows = knobRows(model)
  const changed = rows.filter(row => row.changed === true)
  const list = changed.slice(0, 4).map(row => `${shortPath(row.tunable.path)}=${row.value}`)
  const turned = model.events.findLast(event => event.kind === 'knob')
  const facts = [
    rows.length === 0 ? 'this source has no knobs' : plural(rows.length, 'knob'),
    rows.length > 0 &&
      (changed.length === 0
        ? 'none known to differ from its default'
        : `${changed.length} not at the default: ${list.join(', ')}${changed.length > 4 ? ' ...' : ''}`),
    turned !== undefined && `last turned: ${turned.text}; charts are of what moved most since`,
  ]
  const shown = ui.moving ? changed : rows
  // What is read by programs and what is sorted or filtered is a list.
  const flat = shown.length < MANY || ui.filter !== '' || ui.sort !== undefined || size.height === Number.POSITIVE_INFINITY
  const wants = rows.flatMap(row => (row.text === undefined ? [row.tunable.path] : []))
  return listPanel(model, ui, size, {
    above: [words(facts, size, ui.ascii)],
    rows: flat ? shown.map((knob): TreeRow => ({ knob, name: shortPath(knob.tunable.path) })) : treeOf(shown, ui),
    moves: () => true,
    columns: COLUMNS,
    idOf,
    charts: () => [...chartsSinceKnob(model), ...chartsOf(model)].slice(0, CHARTED),
    wants,
  })
}

/** What moved since the last turn, or what goes on. */
const CHARTED = 4
