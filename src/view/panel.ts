/**
 * What a panel is: rows of styled spans that fit a rectangle exactly, with holes where charts go. Panels know no
 * colours, only what a text is; themes and the screen writer do the rest, and a plain terminal loses nothing but colour.
 *
 *     panel(model, ui, size) ──> Panel { rows, charts, list, wants }
 *                                        │      └─ "a line chart of these series in columns 40-79, rows 2-9"
 *                                        └─ every row exactly `width` columns
 */
import type { Model } from '../sample/model.ts'
import type { Unit } from './fields/field.ts'

/** What a text is. 'good', 'warn' and 'bad' always come with a word or sign that says the same. */
export type Style =
  | 'text'
  | 'dim'
  | 'title'
  | 'head'
  | 'label'
  | 'value'
  | 'good'
  | 'warn'
  | 'bad'
  | 'knob'
  | 'chosen'
  | 'selected'
  | 'frame'
  | 'series1'
  | 'series2'
  | 'series3'
  | 'series4'
  | 'series5'
  | 'series6'
  | 'free'

/** `about` names the figure shown (a scalar's key or a knob's path), for the screen's "explain". */
export interface Span {
  readonly text: string
  readonly style: Style
  readonly about?: string
}

export type Row = readonly Span[]

/** A row count of Infinity is "as many as there are": headless output. */
export interface Size {
  readonly width: number
  readonly height: number
}

export interface PanelUi {
  /** Terminals without Unicode. */
  readonly ascii: boolean
  readonly sort: { readonly key: string; readonly descending: boolean } | undefined
  readonly filter: string
  /** Only rows whose figure moved since the sample before. */
  readonly moving: boolean
  /** Row of the list that is selected, from 0; -1: none. */
  readonly selected: number
  /** Samples that charts and sparklines span. */
  readonly zoom: number
  /** Rows that a panel without a list is scrolled down. */
  readonly scroll: number
  /** What was opened with Enter: the id of a list row; '' for the list itself. */
  readonly open: string
  /** How many samples before the newest the model is from; 0: it is the newest. */
  readonly back: number
  /** Moments that the user marked, to be compared. */
  readonly marks: { readonly a?: Mark; readonly b?: Mark }
}

/** A moment with all its figures. */
export interface Mark {
  readonly ns: number
  readonly scalars: ReadonlyMap<string, number>
}

export const DEFAULT_UI: PanelUi = {
  ascii: false,
  sort: undefined,
  filter: '',
  moving: false,
  selected: -1,
  zoom: 60,
  scroll: 0,
  open: '',
  back: 0,
  marks: {},
}

export interface Series {
  readonly name: string
  readonly style: Style
  /** The figure drawn, for the screen's "explain"; of several added up the first. Of bars, one each. */
  readonly about?: string
  readonly abouts?: readonly string[]
  /** One value a sample or category, oldest first; NaN is a gap. All finite values are 0 .. max. */
  readonly values: readonly number[]
}

/** A chart as data: the terminal draws it with whatever it has. */
export interface ChartSpec {
  readonly kind: 'line' | 'bar'
  readonly title: string
  readonly unit: Unit
  /** What the scale counts: "bytes", "per second", "% of the time". */
  readonly axis: string
  readonly series: readonly Series[]
  /** Line: machine time of each value. Bar: name of each category. */
  readonly labels: readonly string[]
  /** Values that the whole width stands for; where there are fewer, the left stays empty. */
  readonly span: number
  /** Top of the scale: a round number not below any value, above 0. */
  readonly max: number
  /** Moments worth a mark (a knob was turned), by index of a value. */
  readonly markers: readonly { readonly index: number; readonly text: string }[]
}

export interface PlacedChart {
  readonly spec: ChartSpec
  readonly top: number
  readonly left: number
  readonly width: number
  readonly height: number
}

/** The list in a panel that can be walked, sorted and opened. */
export interface ListState {
  /** Of each row, after filter and sort: a process id, a counter's name, a knob's path. */
  readonly ids: readonly string[]
  /** Index of the selected row in `ids`, clamped; -1: none. */
  readonly selected: number
  /** First row shown. */
  readonly first: number
  readonly sortKeys: readonly string[]
  readonly sort: { readonly key: string; readonly descending: boolean } | undefined
  /** What is wrong with the filter, or ''. */
  readonly problem: string
  /** It comes after what fills the screen: one scrolls to it before one walks in it. */
  readonly below?: boolean
}

export interface Panel {
  readonly width: number
  readonly rows: readonly Row[]
  readonly charts: readonly PlacedChart[]
  /** How far it can be scrolled down. */
  readonly below: number
  readonly list: ListState | undefined
  /** Files that this panel would show more with: to be watched. */
  readonly wants: readonly string[]
}

export type PanelFunction = (model: Model, ui: PanelUi, size: Size) => Panel

export const span = (text: string, style: Style = 'text', about?: string): Span =>
  about === undefined ? { text, style } : { text, style, about }

/** The plain text of a row. */
export const plain = (row: Row): string => row.map(each => each.text).join('')
