/**
 * `mmtop slab`: the extended report on kernel objects, and its plots.
 *
 *     mmtop slab run.mmtop                             the report at the end, or --at a moment; -n 5 for five of them
 *     mmtop slab run.mmtop --plot size                 the largest cache of each sample, in the terminal
 *     mmtop slab a.mmtop b.mmtop --plot totals -o c.svg   memory and loss of several, laid over each other
 */
import { closeSync, openSync } from 'node:fs'
import { basename, extname } from 'node:path'
import type { Slab } from '../sample/parse/slabinfo.ts'
import type { Source } from '../sample/source.ts'
import { UserError } from '../user_error.ts'
import { chartRows } from '../view/chart_text.ts'
import { plainLines } from '../view/layout.ts'
import { type Plot, type PlotSeries, scaleTop, svgOf } from '../view/plot.ts'
import { type SlabReportOptions, slabLoss, slabReport, slabSize, slabsBy, slabTotals } from '../view/slab_report.ts'
import { EXIT, print } from './exit.ts'
import { writeOutput, writing } from './files.ts'
import { pngOf } from './png.ts'
import { type Course, walk } from './watch.ts'

export type SlabPlot = 'totals' | 'size' | 'loss'

export interface SlabOptions extends SlabReportOptions {
  readonly course: Course
  readonly plot: SlabPlot | undefined
  /** A file that ends in .svg or .png; undefined: the terminal. */
  readonly output: string | undefined
  readonly size: readonly [width: number, height: number]
  /** Samples that are plotted, from and to, both included; the last of all when there is no end. */
  readonly range: readonly [from: number, to: number]
  readonly columns: number
  readonly ascii: boolean
}

interface Samples {
  readonly title: string
  readonly slabs: readonly (readonly Slab[])[]
}

/** @param sources what is reported on; of several only the totals can be plotted */
export async function slab(sources: readonly Source[], options: SlabOptions): Promise<number> {
  if (options.plot === undefined) {
    for (const source of sources) await report(source, options)
    return EXIT.asked
  }
  if (sources.length > 1 && options.plot !== 'totals')
    throw new UserError('several recordings can only be laid over each other with --plot totals')
  // What cannot be written is said before anything is run.
  if (options.output !== undefined) checkOutput(options.output)
  const samples: Samples[] = []
  for (const source of sources) samples.push(await samplesOf(source, options))
  await show(plotOf(samples, options.plot, options), options)
  return EXIT.asked
}

const WANTED = ['/proc/slabinfo']

async function report(source: Source, options: SlabOptions): Promise<void> {
  try {
    for await (const { sample } of walk(source, options.course, () => WANTED)) {
      if (!sample.frame.files.has(WANTED[0])) throw new UserError(`${source.title} has no /proc/slabinfo at this moment`)
      await print(
        slabReport(sample.slabs(), options)
          .map(line => `${line}\n`)
          .join(''),
      )
    }
  } finally {
    await source.close()
  }
}

async function samplesOf(source: Source, { course, range }: SlabOptions): Promise<Samples> {
  const slabs: (readonly Slab[])[] = []
  try {
    for await (const { sample } of walk(source, { ...course, atNs: undefined }, () => WANTED))
      if (sample.frame.files.has(WANTED[0])) slabs.push(sample.slabs())
  } finally {
    await source.close()
  }
  const [from, to] = range
  const kept = slabs.slice(from, to + 1)
  if (kept.length === 0)
    throw new UserError(`${source.title} has no /proc/slabinfo in the samples ${from} to ${Math.min(to, slabs.length)}`)
  return { title: source.title, slabs: kept }
}

// --- plots

function plotOf(samples: readonly Samples[], what: SlabPlot, { size: [width, height], range }: SlabOptions): Plot {
  const looks = { width, height, first: range[0] }
  if (what === 'totals') return { ...looks, title: 'Slabcache totals', style: 'lines', series: samples.flatMap(totalSeries), names: [] }
  const of = what === 'size' ? slabSize : slabLoss
  const top = samples[0].slabs.map(slabs => slabsBy(slabs, of)[0])
  const series = [
    { name: 'SIZE', values: top.map(slabSize) },
    { name: 'LOSS', values: top.map(slabLoss) },
  ]
  return { ...looks, title: `Slabs sorted by ${what}`, style: 'boxes', series, names: top.map(({ name }) => name) }
}

function totalSeries({ title, slabs }: Samples): PlotSeries[] {
  const totals = slabs.map(slabTotals)
  const name = basename(title)
  return [
    { name: `${name} Memory usage`, values: totals.map(({ size }) => size) },
    { name: `${name} Loss`, values: totals.map(({ loss }) => loss) },
  ]
}

const PICTURES: Readonly<Record<string, (plot: Plot) => string | Uint8Array>> = { '.svg': svgOf, '.png': pngOf }

function checkOutput(output: string): void {
  if (!Object.hasOwn(PICTURES, extname(output))) throw new UserError(`${output}: a plot is written as .svg or .png`)
  writing(output, () => closeSync(openSync(output, 'a')))
}

async function show(plot: Plot, { output, columns, ascii }: SlabOptions): Promise<void> {
  if (output === undefined) return print(textOf(plot, columns, ascii))
  writeOutput(output, PICTURES[extname(output)](plot))
  await print(`${output}\n`)
}

const CHART_ROWS = 8

/** The plot in characters: a chart a series, one scale for all, and the caches' names where they change. */
function textOf(plot: Plot, columns: number, ascii: boolean): string {
  const max = scaleTop(Math.max(0, ...plot.series.flatMap(({ values }) => values)))
  const charts = plot.series.flatMap(({ name, values }) => {
    const series = [{ name, values, style: 'value' as const }]
    const spec = {
      kind: 'line' as const,
      title: name,
      unit: 'bytes' as const,
      axis: 'bytes',
      series,
      labels: [],
      span: columns,
      max,
      markers: [],
    }
    return plainLines(chartRows(spec, columns, CHART_ROWS, ascii))
  })
  const changes = plot.names.flatMap((name, i) => (name === plot.names[i - 1] ? [] : [`${plot.first + i}: ${name}`]))
  return [plot.title, ...charts, ...changes, ''].join('\n')
}
