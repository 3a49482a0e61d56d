/**
 * A plot as data: lines over samples, or boxes a sample; its picture as SVG, and where everything in it lies for those who draw it otherwise.
 *
 *     bytes                     legend
 *     6M |        ___---        - run.mmtop Memory usage
 *     3M |__------              - run.mmtop Loss
 *      0 +----------------
 *        0      20      40   samples
 *
 * Every series has a colour and, lines, a dash of its own, so that they can be told apart in black and white too.
 */
import { formatBytes } from './format.ts'

export interface PlotSeries {
  readonly name: string
  /** One value a sample; NaN is a gap. */
  readonly values: readonly number[]
}

export interface Plot {
  readonly title: string
  readonly style: 'lines' | 'boxes'
  readonly series: readonly PlotSeries[]
  /** Number of the first sample. */
  readonly first: number
  /** Names of samples, shown where there is room for them. */
  readonly names: readonly string[]
  readonly width: number
  readonly height: number
}

interface Point {
  readonly x: number
  readonly y: number
}

/** What is drawn, in pixels from the top left. */
export type Shape =
  | { readonly kind: 'line'; readonly points: readonly Point[]; readonly colour: string; readonly dash: readonly number[] }
  | {
      readonly kind: 'box'
      readonly x: number
      readonly y: number
      readonly width: number
      readonly height: number
      readonly colour: string
    }
  | {
      readonly kind: 'text'
      readonly x: number
      readonly y: number
      readonly text: string
      readonly anchor: Anchor
      readonly turned: boolean
    }

type Anchor = 'start' | 'middle' | 'end'

/** Colours that people with any kind of colour vision tell apart (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#f0e442']
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [8, 3, 2, 3]]
export const INK = '#202020'
const GRID = '#d8d8d8'
const MARGIN = { left: 80, right: 20, top: 36, bottom: 48 }
const NAMES_BOTTOM = 150
/** Pixels a character needs across, and a line down. */
const CHAR = 7
const LINE = 16
/** Room below which samples have no names. */
const NAME_ROOM = 11

/** Steps of the scale. */
const STEPS = 5

/** The top of a scale of bytes whose steps are powers of two, or one and a half of them. */
export function scaleTop(bytes: number): number {
  let step = 1
  while (step * STEPS < bytes) step *= 2
  return step * STEPS * (step > 1 && (step / 4) * 3 * STEPS >= bytes ? 0.75 : 1)
}

interface Frame {
  readonly x: (sample: number) => number
  readonly y: (value: number) => number
  readonly max: number
  readonly samples: number
  readonly named: boolean
  readonly plot: Plot
}

function frameOf(plot: Plot): Frame {
  const samples = Math.max(1, ...plot.series.map(({ values }) => values.length))
  const max = scaleTop(Math.max(0, ...plot.series.flatMap(({ values }) => values.filter(Number.isFinite))))
  const across = plot.width - MARGIN.left - MARGIN.right
  const named = plot.names.length > 0 && across / samples > NAME_ROOM
  const bottom = named ? NAMES_BOTTOM : MARGIN.bottom
  const down = plot.height - MARGIN.top - bottom
  const slots = plot.style === 'boxes' ? samples : Math.max(1, samples - 1)
  const x = (sample: number) => MARGIN.left + (sample * across) / slots
  return { x, y: value => MARGIN.top + down * (1 - value / max), max, samples, named, plot }
}

/** Everything in the picture, in the order in which it is drawn. */
export function shapesOf(plot: Plot): Shape[] {
  const frame = frameOf(plot)
  const drawn = plot.series.flatMap((series, i) => (plot.style === 'boxes' ? boxes(frame, series, i) : lines(frame, series, i)))
  return [...grid(frame), ...drawn, ...sampleNames(frame), ...legend(plot)]
}

const colourOf = (i: number) => COLOURS[i % COLOURS.length]
const dashOf = (i: number) => DASHES[Math.floor(i / COLOURS.length + (i % 2)) % DASHES.length]

function lines({ x, y }: Frame, { values }: PlotSeries, i: number): Shape[] {
  const runs: Point[][] = [[]]
  values.forEach((value, sample) => {
    if (Number.isFinite(value)) runs[runs.length - 1].push({ x: x(sample), y: y(value) })
    else runs.push([])
  })
  return runs.filter(points => points.length > 0).map(points => ({ kind: 'line', points, colour: colourOf(i), dash: dashOf(i) }))
}

function boxes({ x, y }: Frame, { values }: PlotSeries, i: number): Shape[] {
  return values.flatMap((value, sample): Shape[] => {
    if (!Number.isFinite(value)) return []
    const inset = (x(1) - x(0)) * (0.1 + 0.15 * i)
    return [
      { kind: 'box', x: x(sample) + inset, y: y(value), width: x(1) - x(0) - 2 * inset, height: y(0) - y(value), colour: colourOf(i) },
    ]
  })
}

function grid({ x, y, max, samples, plot }: Frame): Shape[] {
  const right = plot.width - MARGIN.right
  const rows = Array.from({ length: STEPS + 1 }, (_, i) => (max * i) / STEPS)
  const every = Math.max(1, 10 ** Math.ceil(Math.log10(samples / 20)))
  const marks = Array.from({ length: Math.ceil(samples / every) }, (_, i) => i * every)
  return [
    text(plot.width / 2, LINE, plot.title, 'middle'),
    ...rows.flatMap((value): Shape[] => [
      {
        kind: 'line',
        points: [
          { x: MARGIN.left, y: y(value) },
          { x: right, y: y(value) },
        ],
        colour: GRID,
        dash: [],
      },
      text(MARGIN.left - 6, y(value) + 4, formatBytes(value), 'end'),
    ]),
    ...marks.map(sample => text(x(sample), y(0) + LINE, String(plot.first + sample), 'middle')),
    text(plot.width / 2, y(0) + 2 * LINE, 'samples', 'middle'),
  ]
}

const text = (x: number, y: number, words: string, anchor: Anchor, turned = false): Shape => ({
  kind: 'text',
  x,
  y,
  text: words,
  anchor,
  turned,
})

function sampleNames({ x, y, named, plot }: Frame): Shape[] {
  if (!named) return []
  const half = (x(1) - x(0)) / 2
  return plot.names.map((name, sample) => text(x(sample) + half + CHAR / 2, y(0) + 2 * LINE + 8, name, 'end', true))
}

function legend({ series }: Plot): Shape[] {
  return series.flatMap(({ name }, i): Shape[] => {
    const y = MARGIN.top + LINE * (i + 1)
    const [from, to] = [MARGIN.left + 10, MARGIN.left + 40]
    return [
      {
        kind: 'line',
        points: [
          { x: from, y: y - 4 },
          { x: to, y: y - 4 },
        ],
        colour: colourOf(i),
        dash: dashOf(i),
      },
      text(to + 8, y, name, 'start'),
    ]
  })
}

// --- SVG

const escaped = (words: string) =>
  words.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, ' ').replace(/[<>&"]/g, character => `&#${character.charCodeAt(0)};`)
const short = (n: number) => String(Math.round(n * 10) / 10)

export function svgOf(plot: Plot): string {
  const { width, height } = plot
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<g font-family="monospace" font-size="12" fill="${INK}">`,
    ...shapesOf(plot).map(svgShape),
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

function svgShape(shape: Shape): string {
  if (shape.kind === 'box')
    return `<rect x="${short(shape.x)}" y="${short(shape.y)}" width="${short(shape.width)}" height="${short(shape.height)}" fill="${shape.colour}"/>`
  if (shape.kind === 'text') {
    const turn = shape.turned ? ` transform="rotate(-90 ${short(shape.x)} ${short(shape.y)})"` : ''
    return `<text x="${short(shape.x)}" y="${short(shape.y)}" text-anchor="${shape.anchor}"${turn}>${escaped(shape.text)}</text>`
  }
  const points = shape.points.map(({ x, y }) => `${short(x)},${short(y)}`).join(' ')
  const dash = shape.dash.length > 0 ? ` stroke-dasharray="${shape.dash.join(' ')}"` : ''
  return `<polyline points="${points}" fill="none" stroke="${shape.colour}" stroke-width="1.5"${dash}/>`
}
