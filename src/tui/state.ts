/**
 * What the user has done, as a value: which panel, what is selected, what is being typed. A key makes a new state and a
 * list of effects; only the session carries effects out, so that a key never waits for a machine.
 *
 *     key ──> press(state, key, seen) ──> { state, effects }
 *                           └─ what is on the screen: rows of the list, figures, the model
 */
import type { Step } from '../sample/source.ts'
import { viewsIn } from '../view/layouts.ts'
import type { Mark } from '../view/panel.ts'
import type { Turn } from './knobs.ts'
import type { Prompt } from './prompt.ts'
import type { ThemeName } from './theme.ts'

/** Where the user is in one panel; each panel keeps its own. */
export interface Place {
  readonly sort: { readonly key: string; readonly descending: boolean } | undefined
  readonly filter: string
  readonly moving: boolean
  /** Row of the list, -1: none; and what stood in it, to be followed when rows change places. */
  readonly selected: number
  readonly id: string
  readonly scroll: number
  readonly open: string
}

/** Which figure is pointed at. Rows come and go, so the nearest of that name is meant. */
export interface Pointer {
  readonly about: string
  readonly row: number
  readonly column: number
}

/** What keys mean. */
export type Mode =
  | { readonly kind: 'panel' }
  | { readonly kind: 'explain' | 'turning'; readonly at: Pointer }
  | { readonly kind: 'help'; readonly scroll: number }
  | { readonly kind: 'sort'; readonly at: number }
  /** A figure that was looked up by its name. */
  | { readonly kind: 'about'; readonly about: string }
  | { readonly kind: 'presets'; readonly at: number }

export interface Message {
  readonly text: string
  readonly bad: boolean
}

export interface State {
  readonly view: string
  /** Panels that share the screen (view/layouts.ts), `view` one of them; '' for one alone. */
  readonly layout: string
  readonly places: Readonly<Record<string, Place>>
  /** Samples that charts span. */
  readonly zoom: number
  readonly expanded: boolean
  /** The sample of history that is looked at; undefined: the newest. */
  readonly seq: number | undefined
  readonly stepBy: Step
  readonly mode: Mode
  readonly prompt: Prompt | undefined
  readonly message: Message | undefined
  readonly undo: readonly Turn[]
  readonly redo: readonly Turn[]
  /** Workload lines typed so far, oldest first. */
  readonly lines: readonly string[]
  /** The file that is being recorded into. */
  readonly recording: string | undefined
  readonly theme: ThemeName
  readonly marks: { readonly a?: Mark; readonly b?: Mark }
  /** Moments to come back to, in the order of time. */
  readonly bookmarks: readonly Bookmark[]
}

export interface Bookmark {
  readonly ns: number
  readonly name: string
}

export type Effect =
  | { readonly kind: 'pause'; readonly on: boolean }
  | { readonly kind: 'step'; readonly by: Step }
  | { readonly kind: 'speed'; readonly speed: number }
  | { readonly kind: 'seek'; readonly ns: number }
  | { readonly kind: 'next-event' | 'end-record' | 'redraw' | 'suspend' | 'save' }
  /** Go on until this figure moves. */
  | { readonly kind: 'next-move'; readonly key: string }
  /** `way`: a new turn, one taken back, one taken back no more. */
  | { readonly kind: 'write'; readonly turn: Turn; readonly way: 'new' | 'undo' | 'redo' }
  | { readonly kind: 'run' | 'complete'; readonly line: string }
  | { readonly kind: 'record'; readonly path: string }
  | { readonly kind: 'quit'; readonly status: number }

export interface Pressed {
  readonly state: State
  readonly effects: readonly Effect[]
}

const NEW_PLACE: Place = { sort: undefined, filter: '', moving: false, selected: -1, id: '', scroll: 0, open: '' }

export const newState = (view: string, zoom = 60, theme: ThemeName = 'auto', layout = ''): State => ({
  view: layout === '' || viewsIn(layout).includes(view) ? view : viewsIn(layout)[0],
  layout,
  places: {},
  zoom,
  expanded: false,
  seq: undefined,
  stepBy: 'sample',
  mode: { kind: 'panel' },
  prompt: undefined,
  message: undefined,
  undo: [],
  redo: [],
  lines: [],
  recording: undefined,
  theme,
  marks: {},
  bookmarks: [],
})

/** A list of knobs is there to turn one of them, so its first row is selected at once. */
export const placeOf = ({ places, view }: Pick<State, 'places' | 'view'>): Place =>
  places[view] ?? (view === 'tunables' ? { ...NEW_PLACE, selected: 0 } : NEW_PLACE)

export const atPlace = (state: State, change: Partial<Place>): State => ({
  ...state,
  places: { ...state.places, [state.view]: { ...placeOf(state), ...change } },
})

export const said = (state: State, text: string, bad = false): State => ({ ...state, message: { text, bad } })
