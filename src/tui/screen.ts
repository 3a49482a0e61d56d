/**
 * One whole screen as rows: made of the user's state and the machine's model, drawn by nobody yet.
 *
 *     status   3 rows, 1 where there is little room       what is watched, memory, what just happened; or a message
 *     tabs     1 row, none where there is little room
 *     body     the panel, with its charts drawn in; or what stands in its place
 *     footer   1 row: the keys that work here, or the line that is being typed
 */
import type { Model } from '../sample/model.ts'
import { overlay } from '../view/chart_text.ts'
import { fitRow, rowWidth } from '../view/layout.ts'
import { type Cell, cellsOf, compose } from '../view/layouts.ts'
import { type ChartSpec, DEFAULT_UI, type Panel, type PanelUi, type Row, type Size, type Span, type Style, span } from '../view/panel.ts'
import { header } from '../view/panels/header.ts'
import type { Preset } from '../view/presets.ts'
import { tabName, VIEWS, type View } from '../view/views.ts'
import { crop, displayWidth, fitText } from '../view/width.ts'
import { explanation, type Figure, figuresOf, pointedAt, withPointer } from './figures.ts'
import { type Action, activeBindings, type Binding, type PlaceName, VIEW_KEYS } from './keymap.ts'
import { helpPanel, presetPanel, sortPanel } from './popups.ts'
import { type Prompt, split } from './prompt.ts'
import { placeOf, type State } from './state.ts'

/** What the source lets a user do. */
export interface Rights {
  /** It has a clock to set. */
  readonly clock: boolean
  /** It is a recording: any moment can be gone to. */
  readonly seek: boolean
  readonly write: boolean
  readonly run: boolean
  readonly record: boolean
}

export interface Looks {
  readonly ascii: boolean
  readonly chart: (spec: ChartSpec, width: number, height: number) => readonly Row[]
}

export interface Screen {
  readonly size: Size
  readonly status: readonly Row[]
  readonly tabs: readonly Row[]
  readonly body: readonly Row[]
  readonly footer: readonly Row[]
  /** The panel in the body, or what stands in its place; undefined before the first sample. */
  readonly panel: Panel | undefined
  /** Where the panels are in the body; one alone has all of it. */
  readonly cells: readonly Cell[]
  /** Things to point at, and the one that is; their rows count from the first of the status, without the tabs. */
  readonly figures: readonly Figure[]
  readonly figure: Figure | undefined
  /** Where keys work, from the nearest. */
  readonly places: readonly PlaceName[]
}

export interface Shown {
  readonly state: State
  /** undefined before the first sample. */
  readonly model: Model | undefined
  readonly title: string
  /** How many samples before the newest the model is from. */
  readonly back: number
  readonly rights: Rights
  readonly keymap: readonly Binding[]
  /** Presets of the program and of the user. */
  readonly presets: Readonly<Record<string, Preset>>
}

interface Heights {
  readonly status: number
  readonly tabs: number
  readonly body: number
  readonly footer: number
}

/** From 5 rows up every part is there but the tabs; below that the body stays longest. */
export function heightsOf(height: number, expanded: boolean): Heights {
  const footer = height >= 3 ? 1 : 0
  const status = height < 4 ? 0 : expanded || height < 14 ? 1 : 3
  const tabs = !expanded && height >= 9 ? 1 : 0
  return { status, tabs, footer, body: Math.max(0, height - status - tabs - footer) }
}

export function composeScreen(shown: Shown, size: Size, looks: Looks): Screen {
  const { state, model } = shown
  const heights = heightsOf(size.height, state.expanded)
  const bodySize = { width: size.width, height: heights.body }
  const ui = uiOf(shown, looks)
  const cells = (state.layout === '' || state.expanded ? undefined : cellsOf(state.layout, bodySize)) ?? [alone(state.view, bodySize)]
  const panel = model === undefined ? undefined : bodyPanel(shown, model, ui, bodySize, cells)
  const status = statusRows(shown, ui, size.width, heights.status)
  const drawn = bodyRows([...(panel?.rows ?? waiting(bodySize))], panel, bodySize, looks)
  // Hardly any screen is pointed at, so nothing is looked for before somebody does.
  let found: readonly Figure[] | undefined
  const figures = () => {
    found ??= pointables(shown, [...status, ...drawn], panel)
    return found
  }
  const figure = state.mode.kind === 'explain' || state.mode.kind === 'turning' ? pointedAt(figures(), state.mode.at) : undefined
  const places = placesOf(shown, panel)
  const rows = [...status, ...drawn]
  const pointed = figure === undefined ? rows : withPointer(rows, figure)
  return {
    size,
    status: pointed.slice(0, status.length),
    tabs: heights.tabs > 0 ? [tabsRow(state, size.width, looks.ascii)] : [],
    body: withExplanation(pointed.slice(status.length), figure, status.length, shown, bodySize, looks),
    footer: heights.footer > 0 ? [footerRow(shown, places, panel, size.width, looks.ascii)] : [],
    panel,
    cells,
    get figures() {
      return figures()
    },
    figure,
    places,
  }
}

const alone = (view: string, { width, height }: Size): Cell => ({ view, top: 0, left: 0, width, height })

function uiOf({ state, back }: Pick<Shown, 'state' | 'back'>, { ascii }: Pick<Looks, 'ascii'>): PanelUi {
  const { sort, filter, moving, selected, scroll, open } = placeOf(state)
  return { ...DEFAULT_UI, ascii, sort, filter, moving, selected, scroll, open, zoom: state.zoom, back, marks: state.marks }
}

function bodyPanel(shown: Shown, model: Model, ui: PanelUi, size: Size, cells: readonly Cell[]): Panel {
  const { state, keymap, presets } = shown
  const { mode } = state
  if (mode.kind === 'help') return helpPanel(size, mode.scroll, ui.ascii, keymap)
  if (mode.kind === 'presets') return presetPanel(presets, model, mode.at, size, ui.ascii)
  const panelIn = (cell: Cell) =>
    panelOf({ ...state, view: cell.view }, model, uiOf({ ...shown, state: { ...state, view: cell.view } }, ui), cell)
  const panel = panelIn(cells.find(({ view }) => view === state.view) ?? cells[0])
  const { list } = panel
  if (mode.kind === 'sort' && list !== undefined) return { ...sortPanel(list, mode.at, size, ui.ascii), list }
  return cells.length === 1
    ? panel
    : compose(
        cells,
        cells.map(cell => (cell.view === state.view ? panel : panelIn(cell))),
        state.view,
        size,
        ui.ascii,
      )
}

function panelOf(state: State, model: Model, ui: PanelUi, size: Size): Panel {
  const view = VIEWS.find(each => each.name === state.view) ?? VIEWS[0]
  const panel = view.panel(model, ui, size)
  const { list } = panel
  if (list === undefined) return panel
  // The selection stays with its row when rows change places.
  const { id } = placeOf(state)
  const at = id === '' || list.selected < 0 || list.ids[list.selected] === id ? -1 : list.ids.indexOf(id)
  return at < 0 ? panel : view.panel(model, { ...ui, selected: at }, size)
}

function pointables({ state: { mode }, model }: Shown, rows: readonly Row[], panel: Panel | undefined): readonly Figure[] {
  if (model === undefined || panel === undefined || mode.kind === 'help' || mode.kind === 'sort' || mode.kind === 'presets') return []
  const figures = figuresOf(rows)
  return mode.kind === 'turning' ? knobFigures(figures, model) : figures
}

/** The figures that are knobs. */
export function knobFigures(figures: readonly Figure[], model: Model): readonly Figure[] {
  const paths = new Set(model.tunables.map(tunable => tunable.path))
  return figures.filter(figure => paths.has(figure.about))
}

function placesOf({ state, rights }: Shown, panel: Panel | undefined): readonly PlaceName[] {
  const { mode } = state
  if (state.prompt !== undefined) return ['prompt']
  if (mode.kind === 'help') return ['popup', 'anywhere']
  if (mode.kind === 'sort' || mode.kind === 'presets') return ['choosing', 'popup', 'anywhere']
  return [
    ...(mode.kind === 'explain' || mode.kind === 'about' ? (['explain'] as const) : []),
    ...(mode.kind === 'turning' ? (['turning'] as const) : []),
    ...(state.view === 'tunables' ? (['knobs'] as const) : []),
    ...(panel?.list === undefined ? [] : (['list'] as const)),
    ...(rights.seek ? (['recording'] as const) : []),
    ...(rights.clock ? (['clock'] as const) : []),
    'anywhere',
  ]
}

function statusRows({ state, model, title }: Shown, ui: PanelUi, width: number, height: number): readonly Row[] {
  if (height === 0) return []
  const rows = model === undefined ? [[span('mmtop ', 'title'), span(title, 'value')]] : header(model, ui, { width, height }).rows
  const fitted = Array.from({ length: height }, (_, y) => fitRow(rows[y] ?? [], width, ui.ascii))
  const { message } = state
  if (message === undefined) return fitted
  const sign = message.bad ? '! ' : ''
  return [...fitted.slice(0, -1), fitRow([span(` ${sign}${message.text}`, message.bad ? 'bad' : 'knob')], width, ui.ascii)]
}

const waiting = ({ width, height }: Size): Row[] =>
  Array.from({ length: height }, (_, y) => fitRow(y === 0 ? [span(' waiting for the first sample', 'dim')] : [], width))

/** All panels, closer together where there is less room, or as many around the current one as fit. */
export function tabsRow({ view, recording }: State, width: number, ascii: boolean): Row {
  const right = recording === undefined ? [] : [span(` ${ascii ? '*' : '●'} rec ${crop(recording, 24, ascii ? '~' : '…')}`, 'bad')]
  const room = width - rowWidth(right)
  const wide = VIEWS.map(each => tab(each, view, true))
  if (rowWidth(wide.flat()) <= room) return fitRow([...fitRow(wide.flat(), room, ascii), ...right], width, ascii)
  const tabs = VIEWS.map(each => tab(each, view, false))
  const at = VIEWS.findIndex(({ name }) => name === view)
  const [first, last] = windowAround(tabs.map(rowWidth), Math.max(0, at), room - 2)
  const more = (there: boolean, sign: string) => span(there ? sign : '', 'dim')
  const shown = [more(first > 0, ascii ? '<' : '‹'), ...tabs.slice(first, last + 1).flat(), more(last < tabs.length - 1, ascii ? '>' : '›')]
  return fitRow([...fitRow(shown, room, ascii), ...right], width, ascii)
}

/** " 1 overview ", or "1overview " as a function key's label is written where there is little room, "a:slab " for letters. */
function tab(view: View, current: string, wide: boolean): Row {
  const chosen = view.name === current
  const key = VIEW_KEYS[view.name] ?? ''
  const [before, between] = wide ? [' ', key === '' ? '' : ' '] : ['', /[a-zA-Z]/.test(key) ? ':' : '']
  const text = (part: string, style: Style) => span(part, chosen ? 'selected' : style)
  return [text(before, 'text'), text(key, 'chosen'), text(`${between}${tabName(view)}`, 'text'), wide ? text(' ', 'text') : span(' ')]
}

/** The longest run of items around `at` that fits, grown to the right first. */
function windowAround(widths: readonly number[], at: number, room: number): readonly [number, number] {
  let [first, last, used] = [at, at, widths[at] ?? 0]
  for (let grown = true; grown; ) {
    grown = false
    if (last + 1 < widths.length && used + widths[last + 1] <= room) {
      used += widths[++last]
      grown = true
    }
    if (first > 0 && used + widths[first - 1] <= room) {
      used += widths[--first]
      grown = true
    }
  }
  return [first, last]
}

/** Rows of the explanation at most; the panel shows around it. */
const EXPLANATION_ROWS = 6

/** The panel's rows with its charts drawn in. */
function bodyRows(rows: Row[], panel: Panel | undefined, size: Size, { chart }: Looks): readonly Row[] {
  for (const placed of panel?.charts ?? []) overlay(rows, placed, chart(placed.spec, placed.width, placed.height))
  return Array.from({ length: size.height }, (_, y) => rows[y] ?? fitRow([], size.width))
}

/** What the figure is, at the end of the body that is away from it. */
function withExplanation(
  rows: readonly Row[],
  figure: Figure | undefined,
  offset: number,
  { state, model }: Shown,
  size: Size,
  { ascii }: Looks,
): readonly Row[] {
  const { mode } = state
  const about = mode.kind === 'about' ? mode.about : mode.kind === 'explain' ? figure?.about : undefined
  if (about === undefined || model === undefined) return rows
  const box = explanation(about, model, size.width, ascii).slice(0, Math.max(0, Math.min(EXPLANATION_ROWS, size.height - 1)))
  const below = figure === undefined || figure.row - offset < size.height - box.length
  return below ? [...rows.slice(0, size.height - box.length), ...box] : [...box, ...rows.slice(box.length)]
}

function footerRow(
  { state, rights, keymap }: Shown,
  places: readonly PlaceName[],
  panel: Panel | undefined,
  width: number,
  ascii: boolean,
): Row {
  if (state.prompt !== undefined) return promptRow(state.prompt, panel?.list?.problem ?? '', width, ascii)
  const filter = placeOf(state).filter
  const left = filter === '' || state.mode.kind !== 'panel' ? [] : [span(` /${crop(filter, 20, ascii ? '~' : '…')} `, 'knob')]
  return keysRow(
    activeBindings(places, keymap).filter(binding => possible(binding.action, rights)),
    left,
    width,
  )
}

/** What the source does not let a user do is not offered. */
function possible(action: Action, rights: Rights): boolean {
  if (action === 'line') return rights.run
  if (action === 'record') return rights.record
  if (['undo', 'turn-down', 'turn-up', 'edit'].includes(action)) return rights.write
  return true
}

const ends = (action: Action): boolean => action === 'quit' || action === 'help'

/** As many keys as fit; how to leave stays long, and the way to all keys longest. */
function keysRow(bindings: readonly Binding[], left: Row, width: number): Row {
  const last = bindings.filter(({ action }) => ends(action)).map(keyItem)
  const end = [0, 1].map(from => last.slice(from).flat()).find(row => rowWidth(row) <= width) ?? []
  const room = width - rowWidth(end)
  const shown: Span[] = []
  let used = 0
  for (const item of [left, ...bindings.filter(({ action }) => !ends(action)).map(keyItem)]) {
    const wide = rowWidth(item)
    if (used + wide > room) continue
    shown.push(...item)
    used += wide
  }
  return fitRow([...shown, ...end], width)
}

function keyItem({ footer }: Binding): Row {
  return footer === undefined ? [] : [span(` ${footer[0]}`, 'chosen'), span(` ${footer[1]} `, 'dim')]
}

/** The line that is typed, its cursor always in sight; what is wrong with it or could follow at the right. */
function promptRow(prompt: Prompt, problem: string, width: number, ascii: boolean): Row {
  const hint = crop(prompt.hint === '' && prompt.kind === 'filter' ? problem : prompt.hint, Math.floor(width / 2), ascii ? '~' : '…')
  const right = hint === '' ? [] : [span(`  ${hint}`, 'warn')]
  const label = crop(prompt.label, Math.floor(width / 2), ascii ? '~' : '…')
  const [before, after] = split(prompt)
  const [under = ' ', ...rest] = [...after]
  const room = Math.max(1, width - displayWidth(label) - rowWidth(right) - displayWidth(under))
  const start = tail(before, room)
  const line = [span(label, 'title'), span(start), span(under, 'selected'), span(crop(rest.join(''), room - displayWidth(start), ''))]
  const blanks = span(fitText('', Math.max(0, width - rowWidth(line) - rowWidth(right))))
  return fitRow([...line, blanks, ...right], width, ascii)
}

/** The end of a text that fits. */
function tail(text: string, columns: number): string {
  const kept: string[] = []
  let used = 0
  for (const character of [...text].reverse()) {
    used += displayWidth(character)
    if (used > columns) break
    kept.unshift(character)
  }
  return kept.join('')
}
