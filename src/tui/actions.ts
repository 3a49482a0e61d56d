/** What each action does to the state, and what it asks of the machine. */
import { timesOf } from '../sample/history.ts'
import type { Model } from '../sample/model.ts'
import type { Pace, Source, Tunable } from '../sample/source.ts'
import { formatClock } from '../view/format.ts'
import { LAYOUTS, layoutNamed, viewsIn, withView } from '../view/layouts.ts'
import type { ListState, Panel } from '../view/panel.ts'
import { branchOf, foldBranch } from '../view/panels/tunables.ts'
import type { Preset } from '../view/presets.ts'
import { isNotable, nsOfEvent } from '../view/subjects/events.ts'
import { shortPath } from '../view/subjects/knobs.ts'
import { VIEW_NAMES, VIEWS } from '../view/views.ts'
import { type Direction, type Figure, figureBeside } from './figures.ts'
import { type Action, type Binding, VIEW_KEYS } from './keymap.ts'
import { knobNamed, neighbour, type Turn } from './knobs.ts'
import { nextSpeed, type Span } from './playback.ts'
import { asked, newPrompt } from './prompt.ts'
import { knobFigures, type Rights, type Screen } from './screen.ts'
import { atPlace, type Effect, type Pressed, placeOf, type State, said } from './state.ts'

/** What the user sees while pressing a key. */
export interface Seen {
  readonly screen: Screen
  readonly title: string
  readonly model: Model | undefined
  readonly pace: Pace
  /** Samples of history that can be looked at. */
  readonly oldestSeq: number
  readonly newestSeq: number
  readonly rights: Rights
  readonly span: Span | undefined
  readonly keymap: readonly Binding[]
  readonly presets: Readonly<Record<string, Preset>>
  readonly kind: Source['kind']
  /** What a knob is set to, or is about to be. */
  readonly knobValue: (tunable: Tunable) => string | undefined
}

type Handler = (state: State, seen: Seen, key: string) => State | Pressed

const ZOOMS = [15, 30, 60, 120, 300, 600, 1200, 1800]

/** Does what an action does, whatever called for it. */
export function act(state: State, seen: Seen, action: Action, key = ''): Pressed {
  const done = HANDLERS[action](state, seen, key)
  return 'effects' in done ? done : { state: done, effects: [] }
}

const ask = (state: State, ...effects: Effect[]): Pressed => ({ state, effects })
const refuse = (state: State, why: string): State => said(state, why, true)

/** Why no knob can be turned. */
export const whyReadOnly = ({ kind }: Pick<Seen, 'kind'>): string =>
  kind === 'host' ? 'knobs of this machine are turned with --write only' : 'nothing can be changed here: this is no machine that runs'

/** Actions of the prompt never come here. */
const nothing: Handler = state => state

const HANDLERS: Readonly<Record<Action, Handler>> = {
  accept: nothing,
  cancel: nothing,
  complete: nothing,
  earlier: nothing,
  later: nothing,
  'cursor-left': nothing,
  'cursor-right': nothing,
  'cursor-home': nothing,
  'cursor-end': nothing,
  erase: nothing,
  'erase-next': nothing,
  'erase-word': nothing,
  'erase-line': nothing,

  choose: (state, seen) =>
    state.mode.kind === 'presets'
      ? choosePreset(state, seen, Object.keys(seen.presets)[state.mode.at])
      : choose(state, seen.screen.panel?.list),
  close: state => ({ ...state, mode: { kind: 'panel' } }),
  'figure-left': (state, seen) => pointBeside(state, seen, 'left'),
  'figure-right': (state, seen) => pointBeside(state, seen, 'right'),
  'figure-up': (state, seen) => pointBeside(state, seen, 'up'),
  'figure-down': (state, seen) => pointBeside(state, seen, 'down'),
  'turn-down': (state, seen) => turn(state, seen, -1),
  'turn-up': (state, seen) => turn(state, seen, 1),
  edit,

  sort: (state, { screen }) => openSort(state, screen.panel?.list),
  'sort-left': (state, { screen }) => sortBeside(state, screen.panel?.list, -1),
  'sort-right': (state, { screen }) => sortBeside(state, screen.panel?.list, 1),
  invert: (state, { screen }) => invert(state, screen.panel?.list),
  open,
  moving: state => said(atPlace(state, { moving: !placeOf(state).moving }), placeOf(state).moving ? 'all rows' : 'only rows that move'),
  filter: state => ({ ...state, prompt: newPrompt('filter', '/', placeOf(state).filter, placeOf(state).filter) }),

  jump: state => ({ ...state, prompt: newPrompt('jump', 'jump to: ') }),
  'next-event': state => ask({ ...state, seq: undefined }, { kind: 'next-event' }),
  'previous-event': previousEvent,
  step: (state, { rights }) => ask({ ...state, seq: undefined }, { kind: 'step', by: rights.seek ? 'sample' : state.stepBy }),
  'step-size': stepSize,
  faster: (state, { pace }) => ask(state, { kind: 'speed', speed: nextSpeed(pace.speed, 1) }),
  slower: (state, { pace }) => ask(state, { kind: 'speed', speed: nextSpeed(pace.speed, -1) }),
  normal: state => ask(state, { kind: 'speed', speed: 1 }),

  pause,
  older: (state, seen) => walk(state, seen, -1),
  newer: (state, seen) => walk(state, seen, 1),
  'much-older': (state, seen) => walk(state, seen, -10),
  'much-newer': (state, seen) => walk(state, seen, 10),
  longer: state =>
    zoomed(
      state,
      ZOOMS.find(each => each > state.zoom),
    ),
  shorter: state =>
    zoomed(
      state,
      ZOOMS.findLast(each => each < state.zoom),
    ),

  view: (state, _, key) => show(state, VIEWS.find(view => VIEW_KEYS[view.name] === key)?.name),
  layout: nextLayout,
  'next-view': state => show(state, viewBeside(state, 1)),
  'previous-view': state => show(state, viewBeside(state, -1)),
  up: (state, seen) => move(state, seen, -1),
  down: (state, seen) => move(state, seen, 1),
  'page-up': (state, seen) => move(state, seen, -page(seen)),
  'page-down': (state, seen) => move(state, seen, page(seen)),
  first: (state, seen) => move(state, seen, Number.NEGATIVE_INFINITY),
  last: (state, seen) => move(state, seen, Number.POSITIVE_INFINITY),

  palette: state => ({ ...state, prompt: newPrompt('command', '> ') }),
  presets: (state, seen) => (seen.rights.write ? { ...state, mode: { kind: 'presets', at: 0 } } : refuse(state, whyReadOnly(seen))),
  'mark-a': (state, seen) => mark(state, seen, 'a'),
  'mark-b': (state, seen) => mark(state, seen, 'b'),
  unmark: state => said({ ...state, marks: {} }, 'no marks'),
  bookmark: (state, seen) => bookmark(state, seen, ''),
  'to-bookmark': toBookmark,
  'next-move': (state, { screen, rights }) => {
    const key = state.mode.kind === 'about' ? state.mode.about : screen.figure?.about
    if (key === undefined || !rights.clock) return said(state, 'no clock to set here')
    return ask({ ...state, seq: undefined }, { kind: 'next-move', key })
  },
  save: state => ask(state, { kind: 'save' }),
  'look-up': state => ({ ...state, prompt: newPrompt('explain', 'explain: ') }),
  click: nothing,

  knobs: knobs,
  undo: state => takeBack(state, 'undo'),
  redo: state => takeBack(state, 'redo'),
  line: (state, { rights }) => ({ ...state, prompt: rights.run ? newPrompt('line', ': ') : newPrompt('command', '> ') }),
  record,
  explain: (state, { screen }) => explainFrom(state, screen),
  expand: state => ({ ...state, expanded: !state.expanded }),
  back,
  help: state => ({ ...state, mode: { kind: 'help', scroll: 0 } }),
  redraw: state => ask(state, { kind: 'redraw' }),
  suspend: state => ask(state, { kind: 'suspend' }),
  quit: (state, _, key) => ask(state, { kind: 'quit', status: key === 'ctrl-c' ? 130 : 0 }),
}

const page = ({ screen }: Seen) => Math.max(1, screen.body.length - 3)

/** From the nearest thing to the farthest: one a key. */
function back(state: State): State {
  const { open: opened, filter, selected } = placeOf(state)
  if (state.mode.kind !== 'panel') return { ...state, mode: { kind: 'panel' } }
  if (opened !== '' && state.view !== 'tunables') return atPlace(state, { open: '', id: opened, selected: 0, scroll: 0 })
  if (filter !== '') return atPlace(state, { filter: '' })
  if (state.seq !== undefined) return { ...state, seq: undefined }
  if (selected >= 0 && state.view !== 'tunables') return atPlace(state, { selected: -1, id: '' })
  return state.expanded ? { ...state, expanded: false } : state
}

/** In a layout a panel that is not there takes the place of the one that has the keys. */
export function show(state: State, name: string | undefined): State {
  const view = name ?? state.view
  const layout = state.layout === '' ? '' : withView(state.layout, state.view, view)
  return { ...state, view, layout, mode: { kind: 'panel' } }
}

function viewBeside({ layout, view }: State, by: 1 | -1): string {
  const names = layout === '' ? VIEW_NAMES : viewsIn(layout)
  return names[(names.indexOf(view) + by + names.length) % names.length]
}

/** @param name of a layout, or one as it is written; '' for one panel alone */
export function layOut(state: State, name: string): State {
  if (name === '') return said({ ...state, layout: '' }, 'one panel alone')
  const found = layoutNamed(name, VIEW_NAMES)
  if ('problem' in found) return said(state, found.problem, true)
  const views = viewsIn(found.text)
  const view = views.includes(state.view) ? state.view : views[0]
  return said(
    { ...state, layout: found.text, view, mode: { kind: 'panel' }, expanded: false },
    `layout ${name}; Tab goes from panel to panel`,
  )
}

/** The layout after the one that there is; after the last one panel alone. */
function nextLayout(state: State): State {
  const names = ['', ...Object.keys(LAYOUTS)]
  const at = names.findIndex(name => (LAYOUTS[name] ?? '') === state.layout)
  return layOut(state, names[(at + 1) % names.length])
}

/** The selected row of a list; of a panel without one, the rows that are seen. */
function move(state: State, { screen, presets }: Seen, by: number): State {
  const { panel } = screen
  const { mode } = state
  const to = (from: number, last: number) => Math.max(0, Math.min(last, from + by))
  if (panel === undefined) return state
  if (mode.kind === 'help') return { ...state, mode: { kind: 'help', scroll: to(mode.scroll, panel.below) } }
  if (mode.kind === 'presets') return { ...state, mode: { kind: 'presets', at: to(mode.at, Object.keys(presets).length - 1) } }
  if (mode.kind === 'sort') return { ...state, mode: { kind: 'sort', at: to(mode.at, (panel.list?.sortKeys.length ?? 1) - 1) } }
  return moveInPanel(state, panel, by)
}

/** The rows of a list are walked, what is before or after it is scrolled to. */
function moveInPanel(state: State, { list, below }: Panel, by: number): State {
  const { scroll } = placeOf(state)
  const rows = list?.ids.length ?? 0
  const at = list?.selected ?? -1
  const more = below > 0 && (by > 0 ? scroll < below : scroll > 0)
  const first = list?.below === true ? by > 0 || at <= 0 : by < 0 || at === rows - 1
  if (more && (rows === 0 || first)) {
    const to = Math.max(0, Math.min(below, scroll + by))
    return atPlace(state, list?.below === true ? { scroll: to, selected: -1, id: '' } : { scroll: to })
  }
  if (list === undefined || rows === 0) return state
  const selected = Math.max(0, Math.min(rows - 1, (at < 0 && by < 0 ? 0 : at) + by))
  return atPlace(state, { selected, id: list.ids[selected] })
}

/** A counter or another figure is explained, a process is opened, an event's moment is gone to. */
function open(state: State, seen: Seen): State | Pressed {
  const { screen } = seen
  const list = screen.panel?.list
  const id = list?.ids[list.selected]
  if (id === undefined) return said(state, 'select a row with Down first')
  const ns = state.view === 'events' ? nsOfEvent(id) : undefined
  if (ns !== undefined) return goTo(said(state, `the first sample since ${formatClock(ns)}`), seen, ns)
  if (screen.figures.some(({ about }) => about === id)) return explainFrom(state, screen)
  return placeOf(state).open === '' ? atPlace(state, { open: id, selected: -1, id: '', scroll: 0 }) : state
}

function explainFrom(state: State, screen: Screen): State {
  const list = screen.panel?.list
  const id = list?.ids[list.selected]
  const inBody = screen.figures.filter(figure => figure.row >= screen.status.length)
  const at = inBody.find(({ about }) => about === id) ?? inBody[0] ?? screen.figures[0]
  return at === undefined ? said(state, 'no figures here') : { ...state, mode: { kind: 'explain', at } }
}

function pointBeside(state: State, { screen }: Seen, direction: Direction): State {
  const { mode } = state
  if (screen.figure === undefined || (mode.kind !== 'explain' && mode.kind !== 'turning')) return state
  return { ...state, mode: { kind: mode.kind, at: figureBeside(screen.figures, screen.figure, direction) } }
}

/** To the knobs beside the figures; where there are none, or once more, to the list of all. */
function knobs(state: State, { screen, model }: Seen): State {
  if (state.view === 'tunables' || model === undefined) return show(state, 'tunables')
  if (state.mode.kind === 'turning') {
    const id = screen.figure?.about ?? ''
    return atPlace(show(state, 'tunables'), { id, selected: 0 })
  }
  const at: Figure | undefined = knobFigures(screen.figures, model)[0]
  return at === undefined ? show(state, 'tunables') : { ...state, mode: { kind: 'turning', at } }
}

/** The knob that is pointed at or selected. */
function knobHere(state: State, { screen, model }: Seen): Tunable | undefined {
  const list = screen.panel?.list
  const path = state.mode.kind === 'panel' ? list?.ids[list.selected] : screen.figure?.about
  return path === undefined ? undefined : knobNamed(model?.tunables ?? [], path)
}

/** The branch of the tree of knobs that is selected. */
function branchHere(state: State, { screen }: Seen): string | undefined {
  const list = screen.panel?.list
  return state.view === 'tunables' && list !== undefined && state.mode.kind === 'panel'
    ? branchOf(list.ids[list.selected] ?? '')
    : undefined
}

function turn(state: State, seen: Seen, direction: 1 | -1): State | Pressed {
  const branch = branchHere(state, seen)
  if (branch !== undefined) return atPlace(state, { open: foldBranch(placeOf(state).open, branch, direction === -1) })
  const knob = knobHere(state, seen)
  if (knob === undefined) return state
  if (!seen.rights.write) return refuse(state, whyReadOnly(seen))
  const before = seen.knobValue(knob)
  const after = before === undefined ? undefined : neighbour(knob, before, direction)
  if (before === undefined || after === undefined) return said(state, `${shortPath(knob.path)} goes no further; Enter takes any value`)
  if (seen.kind === 'host') return { ...state, prompt: asked(knob.path, shortPath(knob.path), before, after) }
  return ask(state, { kind: 'write', turn: { path: knob.path, before, after }, way: 'new' })
}

function edit(state: State, seen: Seen): State {
  const branch = branchHere(state, seen)
  if (branch !== undefined) {
    const { open: folded } = placeOf(state)
    const unfolded = foldBranch(folded, branch, false)
    return atPlace(state, { open: unfolded === folded ? foldBranch(folded, branch, true) : unfolded })
  }
  const knob = knobHere(state, seen)
  if (knob === undefined) return said(state, 'no knob')
  if (!seen.rights.write) return refuse(state, whyReadOnly(seen))
  const value = knob.type === 'trigger' ? '1' : (seen.knobValue(knob) ?? '')
  return { ...state, prompt: newPrompt('knob', `${shortPath(knob.path)}: `, value, knob.path) }
}

function takeBack(state: State, way: 'undo' | 'redo'): State | Pressed {
  const last = state[way].at(-1)
  if (last === undefined) return said(state, way === 'undo' ? 'no knob was turned' : 'nothing was undone')
  // All turns of one preset go together.
  const from = last.group === undefined ? state[way].length - 1 : state[way].findIndex(turn => turn.group === last.group)
  const turns = state[way].slice(from).reverse()
  const turned = turns.map(turn => (way === 'undo' ? { ...turn, before: turn.after, after: turn.before } : turn))
  return ask({ ...state, [way]: state[way].slice(0, from) }, ...turned.map((turn): Effect => ({ kind: 'write', turn, way })))
}

function pause(state: State, { pace, rights, newestSeq }: Seen): State | Pressed {
  if (rights.clock) return ask(state, { kind: 'pause', on: !pace.paused })
  return { ...state, seq: state.seq === undefined && newestSeq >= 0 ? newestSeq : undefined }
}

function walk(state: State, { oldestSeq, newestSeq }: Seen, by: number): State {
  if (newestSeq < 0) return state
  const wanted = (state.seq ?? newestSeq) + by
  if (wanted >= newestSeq) return { ...state, seq: undefined }
  const seq = Math.max(oldestSeq, wanted)
  const walked = { ...state, seq: seq >= newestSeq ? undefined : seq }
  return wanted < oldestSeq ? said(walked, 'no older sample is kept') : walked
}

/** The first sample at or after a moment: a recording is sought, of a machine that runs the history is looked at. */
export function goTo(state: State, { model, rights, oldestSeq, newestSeq }: Seen, ns: number): State | Pressed {
  if (rights.seek) return ask({ ...state, seq: undefined }, { kind: 'seek', ns })
  if (model === undefined) return state
  const times = timesOf(model.history, newestSeq, newestSeq - oldestSeq + 1)
  const at = times.findIndex(time => time >= ns)
  if (at < 0 || times[0] > ns + (times[1] - times[0])) return said(state, 'that moment is no longer kept')
  const seq = newestSeq - times.length + 1 + at
  return { ...state, seq: seq >= newestSeq ? undefined : seq }
}

function mark(state: State, { model }: Seen, which: 'a' | 'b'): State {
  if (model === undefined) return state
  const marks = { ...state.marks, [which]: { ns: model.sample.ns, scalars: model.scalars } }
  return said({ ...state, marks }, `mark ${which.toUpperCase()} at ${formatClock(model.sample.ns)}; x shows what changed`)
}

/** @param name '' for one that is made up */
export function bookmark(state: State, { model }: Seen, name: string): State {
  if (model === undefined) return state
  const { ns } = model.sample
  const made = { ns, name: name === '' ? String(state.bookmarks.length + 1) : name }
  const bookmarks = [...state.bookmarks.filter(each => each.ns !== ns), made].sort((a, b) => a.ns - b.ns)
  return said({ ...state, bookmarks }, `bookmark ${made.name} at ${formatClock(ns)}; ' comes back to it`)
}

function toBookmark(state: State, seen: Seen): State | Pressed {
  const now = seen.model?.sample.ns ?? 0
  const to = state.bookmarks.findLast(each => each.ns < now) ?? state.bookmarks.at(-1)
  return to === undefined ? said(state, 'no bookmark yet: M puts one') : goTo(said(state, `bookmark ${to.name}`), seen, to.ns)
}

/** Turns all knobs of a preset that this machine has and that stand otherwise. */
export function choosePreset(state: State, seen: Seen, name: string | undefined): State | Pressed {
  const preset = name === undefined ? undefined : seen.presets[name]
  const closed: State = { ...state, mode: { kind: 'panel' } }
  if (preset === undefined) return closed
  if (!seen.rights.write) return refuse(closed, whyReadOnly(seen))
  const group = state.undo.reduce((most, turn) => Math.max(most, turn.group ?? 0), 0) + 1
  const turns = Object.entries(preset.knobs).flatMap(([path, after]): Turn[] => {
    const knob = knobNamed(seen.model?.tunables ?? [], path)
    const before = knob === undefined ? undefined : seen.knobValue(knob)
    return before === undefined || before === after ? [] : [{ path, before, after, group }]
  })
  if (turns.length === 0) return said(closed, `preset ${name}: everything stands so already`)
  return ask(closed, ...turns.map((turn): Effect => ({ kind: 'write', turn, way: 'new' })))
}

function stepSize(state: State, { rights }: Seen): State {
  if (rights.seek) return said(state, 'a recording goes by samples')
  const stepBy = ({ op: 'ms', ms: 'sample', sample: 'op' } as const)[state.stepBy]
  return said({ ...state, stepBy }, `a step is one ${{ op: 'operation', ms: 'millisecond', sample: 'sample' }[stepBy]}`)
}

function previousEvent(state: State, { model }: Seen): State | Pressed {
  const now = model?.sample.ns ?? 0
  const event = model?.events.findLast(each => isNotable(each) && each.ns < now)
  return event === undefined ? said(state, 'nothing happened before, as far as was played') : ask(state, { kind: 'seek', ns: event.ns })
}

const zoomed = (state: State, zoom: number | undefined): State =>
  zoom === undefined ? said(state, 'charts go no further') : said({ ...state, zoom }, `charts of ${zoom} samples`)

function record(state: State, { rights, title }: Seen): State | Pressed {
  if (state.recording !== undefined) return ask(state, { kind: 'end-record' })
  if (!rights.record) return refuse(state, 'nothing to record with')
  const name = title
    .replace(/^.*\//, '')
    .replace(/\.\w+$/, '')
    .replace(/[^\w.-]+/g, '-')
  return { ...state, prompt: newPrompt('record', 'record into: ', `${name === '' ? 'machine' : name}.mmtop`) }
}

function openSort(state: State, list: ListState | undefined): State {
  if (list === undefined) return state
  return { ...state, mode: { kind: 'sort', at: Math.max(0, list.sortKeys.indexOf(list.sort?.key ?? '')) } }
}

function choose(state: State, list: ListState | undefined): State {
  const { mode } = state
  const key = mode.kind === 'sort' ? list?.sortKeys[mode.at] : undefined
  const closed: State = { ...state, mode: { kind: 'panel' } }
  if (key === undefined) return closed
  return atPlace(closed, { sort: { key, descending: list?.sort?.key === key ? !list.sort.descending : true } })
}

function sortBeside(state: State, list: ListState | undefined, by: 1 | -1): State {
  if (list === undefined) return state
  const at = list.sort === undefined ? (by === 1 ? -1 : list.sortKeys.length) : list.sortKeys.indexOf(list.sort.key)
  const key = list.sortKeys[Math.min(list.sortKeys.length - 1, Math.max(0, at + by))]
  return atPlace(state, { sort: { key, descending: list.sort?.descending ?? true } })
}

function invert(state: State, list: ListState | undefined): State {
  const sort = list?.sort
  return sort === undefined
    ? said(state, 'choose a column first: s')
    : atPlace(state, { sort: { key: sort.key, descending: !sort.descending } })
}
