/**
 * Line charts by blessed-contrib, as rows of spans. Its widgets want a terminal; here they get a screen that is none, draw
 * on their canvas of braille dots, and the canvas is read off. What stands around the lines is written by us: scale and
 * times with units, a legend with figures, marks where a knob was turned.
 *
 *     huge pages, per second              ━ fault 212  ━ fallback 3         title and unit, legend
 *       200 ⡇        ⡀    ⢀⠤⠤⣀                                              top of the scale
 *       100 ⡇     ⢀⠔⠊⠈⠢⡀⡠⠃   ⠑⠒⠤⡀
 *         0 ⣇⣀⣀⠔⠁        ⠁            ⠈⠒                                     plot, 4 dots a row
 *            ⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉                                              axis
 *           -1m00s    -45s     -30s      -15s   now                         ages, where there is room
 *
 * The widget's own rules, and what is done about them: a value far off the scale never ends (all are clamped, gaps are
 * moved over); the value at the very top would be cut off (the scale is widened by just that); the last point may fall
 * off the right edge (so may no more); clearing is slow (the canvas is emptied directly); each size is built once; lines that
 * have not moved (most of an idle machine's) are not drawn again.
 * Where there are no colours several lines could not be told apart, and without braille none drawn: then, and for bars,
 * and where there is little room, charts are those of view/chart_text.ts.
 */
import line, { type Context, type LineWidget } from 'blessed-contrib/lib/widget/charts/line.js'
import { chartRows, titleSpans } from '../view/chart_text.ts'
import { formatDuration, formatValue } from '../view/format.ts'
import { fitRow, rowWidth } from '../view/layout.ts'
import { type ChartSpec, type Row, type Series, type Span, type Style, span } from '../view/panel.ts'
import { fitText } from '../view/width.ts'
import type { Looks } from './screen.ts'

/** Styles by the colour number that stands for them on the canvas. */
const STYLES: readonly Style[] = ['text', 'series1', 'series2', 'series3', 'series4', 'series5', 'series6', 'frame', 'dim', 'knob']
const numberOf = (style: Style): number => Math.max(0, STYLES.indexOf(style))
const [FRAME, DIM, KNOB] = [numberOf('frame'), numberOf('dim'), numberOf('knob')]

/** The widget's scale; ours is mapped to it. */
const SCALE = 1000
/** Dots that the widget keeps below the plot, and those of them that its lines stay above. */
const BELOW = 11
const ABOVE_AXIS = 2
/** Columns for the scale's figures. */
const LABEL = 6
const LEFT_DOTS = LABEL * 2
/** Where a plot begins, right of its axis. */
const PLOT_DOTS = LEFT_DOTS + 2
const LEAST = { width: 30, height: 6 }
/** Rows under the title from which ages are written below the axis. */
const ROWS_WITH_AGES = 7
/** Sizes that are kept built: more than a screen has charts. */
const WIDGETS_KEPT = 16

/** What draws charts; it keeps widgets, so one is made for a screen. */
export function newCharts({ ascii, colours, braille }: { ascii: boolean; colours: boolean; braille: boolean }): Looks['chart'] {
  const widgets = new Map<string, LineWidget>()
  const plots = new Map<string, Plot>()
  return (spec, width, height) => {
    const small = width < LEAST.width || height < LEAST.height || spec.series.length === 0
    if (spec.kind !== 'line' || ascii || !braille || small || (!colours && spec.series.length > 1))
      return chartRows(spec, width, height, ascii)
    const withAges = height - 1 >= ROWS_WITH_AGES
    // The widget leaves its last row empty, and the one above to what stands under the axis.
    const rows = height - 1 + (withAges ? 1 : 2)
    const key = `${width} ${height} ${spec.title}`
    const last = plots.get(key)
    const title = fitRow(titleRow(spec, width, withAges), width)
    if (last !== undefined && sameLines(last.spec, spec, withAges)) return [title, ...last.rows]
    const widget = widgetOf(widgets, width, rows)
    draw(widget, spec, { width, rows, withAges })
    const drawn = readCanvas(widget.ctx)
      .slice(0, height - 1)
      .map(row => fitRow(row, width))
    if (plots.size >= WIDGETS_KEPT) plots.clear()
    plots.set(key, { spec, rows: drawn })
    return [title, ...drawn]
  }
}

/** What was drawn last of a chart, under its title. */
interface Plot {
  readonly spec: ChartSpec
  readonly rows: readonly Row[]
}

/** Whether two charts of one size look the same under their titles. */
function sameLines(a: ChartSpec, b: ChartSpec, withAges: boolean): boolean {
  const same = <T>(one: readonly T[], other: readonly T[]) =>
    one.length === other.length && one.every((each, i) => Object.is(each, other[i]))
  return (
    a.max === b.max &&
    a.unit === b.unit &&
    a.span === b.span &&
    (withAges ? same(a.labels, b.labels) : a.labels.length === b.labels.length) &&
    a.markers.length === b.markers.length &&
    a.markers.every(({ index }, i) => index === b.markers[i].index) &&
    a.series.length === b.series.length &&
    a.series.every(({ style, values }, i) => style === b.series[i].style && same(values, b.series[i].values))
  )
}

/** Size of the canvas in characters. */
interface Canvas {
  readonly width: number
  readonly rows: number
  readonly withAges: boolean
}

/** Screens are built for terminals; a widget outside of one needs no more than this of it. */
const NO_SCREEN = { type: 'screen', setEffects: () => undefined } as const

function widgetOf(widgets: Map<string, LineWidget>, width: number, rows: number): LineWidget {
  const key = `${width} ${rows}`
  const known = widgets.get(key)
  if (known !== undefined) return known
  if (widgets.size >= WIDGETS_KEPT) widgets.clear()
  const dots = rows * 4 - BELOW
  const widget = line({
    screen: NO_SCREEN,
    width: width + 6,
    height: rows + 2,
    minY: 0,
    maxY: (SCALE * dots) / (dots - ABOVE_AXIS),
    numYLabels: 1,
    wholeNumbersOnly: true,
    xPadding: LEFT_DOTS,
    xLabelPadding: LEFT_DOTS,
    showLegend: false,
    style: { line: FRAME, text: DIM, baseline: FRAME },
  })
  widget.emit('attach')
  tame(widget.ctx)
  widgets.set(key, widget)
  return widget
}

/**
 * Makes a canvas leave out gaps and the widget's own labels, empty itself at once, and take points and dots as they are: a matrix of no
 * change for each point and an escape sequence for each dot are most of what drawing costs.
 */
function tame(ctx: Context): void {
  const { _canvas: canvas } = ctx
  let penUp = true
  ctx.clearRect = () => {
    canvas.content.fill(0)
    canvas.colors.fill(null)
    canvas.chars.fill(null)
  }
  ctx.fillText = () => undefined
  canvas.set = (x, y) => {
    if (x < 0 || x >= canvas.width || y < 0 || y >= canvas.height) return
    setDot(ctx, x, y, canvas.color)
  }
  const point = (x: number, y: number, stroke: boolean) =>
    ctx._currentPath.push({ point: [Math.floor(Math.fround(x)), Math.floor(Math.fround(y))], stroke })
  ctx.beginPath = () => {
    penUp = true
    ctx._currentPath = []
  }
  ctx.moveTo = (x, y) => {
    penUp = false
    point(x, y, false)
  }
  ctx.lineTo = (x, y) => {
    if (!Number.isFinite(y)) {
      penUp = true
      return
    }
    // A point between two gaps is a line to itself.
    if (penUp) point(x, y, false)
    penUp = false
    point(x, y, true)
  }
}

/** Bits of the dots in a braille character, row by row. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const

function setDot({ _canvas: { width, content, colors, chars } }: Context, x: number, y: number, colour: number): void {
  const at = (y >> 2) * (width >> 1) + (x >> 1)
  content[at] |= DOTS[y & 3][x & 1]
  colors[at] = colour
  chars[at] = null
}

function draw(widget: LineWidget, spec: ChartSpec, canvas: Canvas): void {
  const { ctx } = widget
  const points = Math.max(1, spec.span, ...spec.series.map(({ values }) => values.length))
  const slots = slotsFor(points, canvas.width)
  const x = Array.from({ length: slots }, () => '')
  widget.setData(
    spec.series.map(({ name, style, values }) => ({
      title: name,
      x,
      y: scaled(values, points, spec.max),
      style: { line: numberOf(style) },
    })),
  )
  if (spec.series.length === 1) fillBelow(ctx, spec.series[0].style, canvas)
  const column = (index: number) => PLOT_DOTS + ((canvas.width * 2 - LEFT_DOTS) / slots) * index
  const missing = points - spec.labels.length
  for (const { index } of spec.markers) drawMarker(ctx, Math.floor(column(index + missing)), canvas)
  drawScale(ctx, spec, canvas)
  if (canvas.withAges) drawAges(ctx, spec, canvas, at => (at - PLOT_DOTS) / ((canvas.width * 2 - LEFT_DOTS) / slots) - missing)
}

/** The widget spreads its points over as many slots as there are labels; one more than needed keeps the last point in sight. */
function slotsFor(points: number, width: number): number {
  const dots = width * 2 - LEFT_DOTS
  return Math.max(1, Math.ceil((dots * (points - 1)) / (dots - 3)))
}

/** On the widget's scale, the newest at the right; NaN where there is no value. */
function scaled(values: readonly number[], points: number, max: number): number[] {
  const shown = values.map(value => (Number.isFinite(value) ? Math.min(1, Math.max(0, value / max)) * SCALE : Number.NaN))
  return [...Array.from({ length: points - shown.length }, () => Number.NaN), ...shown]
}

/** Where there is one line only, an area shows it better. */
function fillBelow(ctx: Context, style: Style, { width, rows }: Canvas): void {
  const bottom = rows * 4 - BELOW - ABOVE_AXIS
  const colour = numberOf(style)
  for (let x = PLOT_DOTS; x < width * 2; x++) {
    let y = 0
    while (y < bottom && !isSet(ctx, x, y)) y++
    if (isSet(ctx, x, y)) for (; y <= bottom; y++) setDot(ctx, x, y, colour)
  }
}

function isSet({ _canvas: { width, content } }: Context, x: number, y: number): boolean {
  return (content[(y >> 2) * (width >> 1) + (x >> 1)] & DOTS[y & 3][x & 1]) !== 0
}

/** A dotted line from top to axis, where no line is. */
function drawMarker(ctx: Context, x: number, { width, rows }: Canvas): void {
  if (x < 0 || x >= width * 2) return
  for (let y = 0; y < rows * 4 - BELOW; y += 4) {
    if (ctx._canvas.content[(y >> 2) * width + (x >> 1)] !== 0) continue
    setDot(ctx, x, y, KNOB)
    setDot(ctx, x, y + 1, KNOB)
  }
}

/** Writes characters over the canvas; `x` and `y` in characters. */
function write({ _canvas: { chars } }: Context, text: string, x: number, y: number, width: number): void {
  for (const [i, character] of [...text].entries()) if (x + i >= 0 && x + i < width) chars[y * width + x + i] = character
}

/** Into how many steps the scale is divided: the first of these numbers with which each mark's text is its very value, 0.25 not being 0.3. */
function stepsOf({ max, unit }: ChartSpec, choices: readonly number[]): number {
  const small = (value: number) => unit === 'percent' || (unit === 'count' && value < 1000)
  const exact = (value: number) => !small(value) || Math.abs(Number.parseFloat(formatValue(value, unit)) - value) < value * 1e-9
  const exactly = (steps: number) => Array.from({ length: steps }, (_, i) => (max * (i + 1)) / steps).every(exact)
  return choices.find(exactly) ?? choices[0]
}

function drawScale(ctx: Context, spec: ChartSpec, { width, rows }: Canvas): void {
  const plot = rows - 3
  const steps = stepsOf(spec, plot >= 9 ? [4, 5] : plot >= 3 ? [2] : [1])
  for (let step = 0; step <= steps; step++) {
    const text = formatValue((spec.max * step) / steps, spec.unit)
    write(ctx, fitText(text, LABEL - 1, 'right'), 0, Math.round((plot - 1) * (1 - step / steps)), width)
  }
}

/** How long before the newest sample each quarter of the plot is, where samples are; of few samples the first. */
function drawAges(ctx: Context, spec: ChartSpec, { width, rows }: Canvas, indexAt: (dot: number) => number): void {
  const newest = Number(spec.labels.at(-1))
  const ticks = width >= 60 ? 4 : 2
  const label = (column: number, at: string) => write(ctx, `-${formatDuration(newest - Number(at))}`, column, rows - 2, width)
  const columns = Array.from({ length: ticks }, (_, tick) => LABEL + 1 + Math.floor(((width - LABEL - 1) * tick) / ticks))
  const known = columns.filter(column => spec.labels[Math.round(indexAt(column * 2))] !== undefined)
  for (const column of known) label(column, spec.labels[Math.round(indexAt(column * 2))])
  const first = Array.from({ length: width }, (_, column) => column).findIndex(column => indexAt(column * 2) >= 0)
  if (known.length === 0 && first >= 0 && first < width - 2 * NOW.length - 6) label(first, spec.labels[0])
  write(ctx, NOW, width - NOW.length, rows - 2, width)
}

const NOW = 'now'

/** The canvas as rows of spans, one a run of one colour. */
function readCanvas({ _canvas: canvas }: Context): Row[] {
  return Array.from({ length: canvas.height >> 2 }, (_, y) => readRow(canvas, y))
}

/** What is written is dim; blanks have no colour, so they belong to what is before them. */
function readRow({ width, content, colors, chars }: Context['_canvas'], y: number): Row {
  const spans: Span[] = []
  let style: Style = 'text'
  let text = ''
  for (let at = y * (width >> 1); at < (y + 1) * (width >> 1); at++) {
    const written = chars[at]
    const shown = written ?? (content[at] === 0 ? ' ' : String.fromCharCode(0x2800 + content[at]))
    const own: Style = shown === ' ' ? style : STYLES[written === null ? (colors[at] ?? 0) : DIM]
    if (own !== style && text !== '') {
      spans.push(span(text, style))
      text = ''
    }
    style = own
    text += shown
  }
  return [...spans, span(text, style)]
}

/**
 * Title and unit at the left; at the right each line's sign, name and newest value, and how long the chart is. Where there is less room, first
 * the length goes, then the values, the unit, and at last names.
 */
function titleRow(spec: ChartSpec, width: number, withAges: boolean): Row {
  const ns = Number(spec.labels.at(-1)) - Number(spec.labels[0])
  const age: Row = withAges || !(ns > 0) ? [] : [span(`  last ${formatDuration(ns)}`, 'dim')]
  const whole = titleSpans(spec, width, false)
  const [short, full] = [false, true].map(values => spec.series.map(series => legendItem(series, spec, values)))
  const title = whole.slice(0, 1)
  const choices: readonly (readonly [left: Row, right: Row])[] = [
    [whole, [...full.flat(), ...age]],
    [whole, full.flat()],
    [whole, short.flat()],
    [title, full.flat()],
    [title, short.flat()],
  ]
  const found = choices.find(([left, right]) => rowWidth(left) + rowWidth(right) <= width)
  const [left, right] = found ?? [title, fittingItems(short, width - rowWidth(title))]
  return [...left, span(' '.repeat(Math.max(0, width - rowWidth(left) - rowWidth(right)))), ...right]
}

function legendItem({ name, style, about, values }: Series, { series, unit }: ChartSpec, valued: boolean): Row {
  const value = valued ? ` ${formatValue(values.at(-1), unit)}` : ''
  return [span('  ━', style), span(series.length > 1 ? ` ${name}${value}` : value, 'value', about)]
}

/** As many names as fit, and how many more there are. */
function fittingItems(items: readonly Row[], room: number): Row {
  const widths = items.map(rowWidth)
  const fits = (count: number, sign: number) => widths.slice(0, count).reduce((sum, width) => sum + width, sign) <= room
  if (fits(items.length, 0)) return items.flat()
  const count = items.findLastIndex((_, i) => fits(i + 1, ' +9'.length)) + 1
  return room < ' +9'.length ? [] : [...items.slice(0, count).flat(), span(` +${items.length - count}`, 'dim')]
}
