/** What each command does with its words: opens the source, walks it, prints. */
import type { Source } from '../sample/source.ts'
import { THEME_NAMES } from '../tui/theme.ts'
import { nearestWord, UserError } from '../user_error.ts'
import type { Expectation } from '../view/expectations.ts'
import { layoutNamed } from '../view/layouts.ts'
import { VIEW_NAMES } from '../view/views.ts'
import { cat } from './cat.ts'
import { check } from './check.ts'
import { readConfig, writeConfig } from './config.ts'
import { complain, EXIT } from './exit.ts'
import { importText } from './import.ts'
import { numa } from './numa.ts'
import { isRecording, type Opened, openSource, recordRaw, type SourceOptions } from './open.ts'
import { pages } from './pages.ts'
import { record, recordTexts } from './record.ts'
import { isDumb, type ScreenOptions, showScreens, whyNoScreens } from './screens.ts'
import { type SlabPlot, slab } from './slab.ts'
import { type Format, printTunables, snapshot } from './snapshot.ts'
import { type Setting, toCount, toInterval } from './values.ts'

/** The options of all commands, as commander hands them over; each command has its own part. */
export interface Words {
  readonly set?: readonly Setting[]
  readonly machine?: string
  readonly like?: string
  readonly seed?: number
  readonly speed?: number
  /** Nanoseconds. */
  readonly delay?: number
  readonly count?: number
  readonly color?: boolean
  readonly ascii?: boolean
  readonly batch?: boolean
  readonly at?: number
  readonly every?: number
  readonly view?: string
  readonly format?: Format
  readonly expect?: readonly Expectation[]
  readonly filter?: string
  readonly width?: number
  readonly output?: string
  readonly raw?: boolean
  readonly of?: string
  readonly write?: boolean
  readonly search?: boolean
  readonly plain?: boolean
  readonly port?: number
  readonly run?: string
  readonly mouse?: boolean
  readonly theme?: string
  readonly layout?: string
  readonly glyphs?: string
  readonly config?: string
  readonly fields?: readonly string[]
  readonly sort?: string
  readonly top?: number
  readonly meminfo?: boolean
  readonly events?: boolean
  readonly process?: string
  readonly hardware?: boolean
  readonly show?: string
  readonly skipZeros?: boolean
  readonly compact?: boolean
  readonly rows?: number
  readonly scaled?: boolean
  readonly plot?: SlabPlot
  readonly size?: readonly [number, number]
  readonly range?: readonly [number, number]
  readonly flag?: readonly string[]
  /** Bytes. */
  readonly skip?: number
  readonly bytes?: number
}

const SECOND_NS = 1e9
/** Figures that `diff` shows unless it is told otherwise. */
const DIFF_ROWS = 60
/** Where `serve` listens unless it is told otherwise. */
const SERVE_PORT = 9178
/** Without --at, a machine that runs is looked at after this much of its time. */
const LOOK_AT_NS = 10 * SECOND_NS

/** @param watched somebody looks on, or asks, while it runs: at the pace of time unless told otherwise */
function sourceOptions(words: Words, watched: boolean): SourceOptions {
  return {
    speed: words.speed ?? (watched ? 1 : Number.POSITIVE_INFINITY),
    watched,
    intervalNs: words.delay ?? words.every ?? SECOND_NS,
    atNs: words.at,
    settings: words.set ?? [],
    machine: words.machine,
    like: words.like,
    seed: words.seed,
    write: words.write === true,
  }
}

/** Opens a source for a command without screens: as fast as it goes. */
const openFast = (target: string | undefined, words: Words): Promise<Source> => openSource(target, sourceOptions(words, false))

/** Uses a source, and closes it where that fails: a machine that nobody looks at any more would keep the program from ending. */
async function using(opening: Promise<Opened>, use: (source: Opened) => Promise<number>): Promise<number> {
  const source = await opening
  try {
    return await use(source)
  } catch (error) {
    await source.close()
    throw error
  }
}

/** `mmtop [target]`: the screens, or text where there is no terminal or -b is given. */
export async function screensOrText(target: string | undefined, words: Words, commands: readonly string[]): Promise<number> {
  if (target !== undefined) notACommand(target, commands)
  if (words.batch === true) return batch(target, words)
  return screensOrSnapshot(target, words)
}

/** The screens; where there is nothing to show them on, what they would show, and a word about it. */
async function screensOrSnapshot(target: string | undefined, words: Words): Promise<number> {
  const why = whyNoScreens(process)
  const open = () => openSource(target, sourceOptions(words, true))
  if (words.plain === true || (why === undefined && isDumb(process.env))) return plainLines(open, words)
  if (why === undefined) return showScreens(open, screenOptions(words))
  const status = await snapshotTarget(target, words)
  complain(`${why}: a snapshot instead of the screens`)
  return status
}

/** A word without a dot or slash that nearly is a command was meant as one. */
function notACommand(target: string, commands: readonly string[]): void {
  const near = /^\w+$/.test(target) ? nearestWord(target, commands) : undefined
  if (near !== undefined) throw new UserError(`no command "${target}", did you mean "${near}"?`)
}

async function plainLines(open: () => Promise<Source>, words: Words): Promise<number> {
  const { view } = readConfig(words.config, process.env)
  const { showPlain } = await import('./plain.ts')
  return showPlain(await open(), process.stdin, { view, count: words.count ?? Number.POSITIVE_INFINITY })
}

/** The configuration file's settings, and over them what the command line says. */
function screenOptions(words: Words): ScreenOptions {
  const found = readConfig(words.config, process.env)
  const theme = THEME_NAMES.find(name => name === words.theme) ?? found.theme
  const glyphs = GLYPHS.find(name => name === words.glyphs) ?? found.glyphs
  const layout = words.layout === undefined ? found.layout : layoutOf(words.layout)
  const config = { ...found, theme, glyphs, layout, mouse: words.mouse ?? found.mouse }
  const save = (text: string) => writeConfig(words.config, process.env, text)
  return { color: words.color !== false, ascii: words.ascii === true, config, save, count: words.count }
}

function layoutOf(text: string): string {
  const found = layoutNamed(text, VIEW_NAMES)
  if ('problem' in found) throw new UserError(`--layout: ${found.problem}`)
  return found.text
}

const GLYPHS = ['auto', 'braille', 'block', 'ascii'] as const

async function batch(target: string | undefined, words: Words): Promise<number> {
  const source = await openFast(target, words)
  const course = { atNs: undefined, everyNs: words.delay, count: words.count ?? Number.POSITIVE_INFINITY }
  return snapshot(source, {
    ...course,
    format: 'text',
    ...looks(words),
    view: undefined,
    expectations: [],
    filter: '',
    selection: NO_SELECTION,
  })
}

const NO_SELECTION = { fields: [], sort: '', top: Number.POSITIVE_INFINITY }
const selectionOf = ({ fields, sort, top }: Words) => ({ fields: fields ?? [], sort: sort ?? '', top: top ?? Number.POSITIVE_INFINITY })

const looks = (words: Words) => ({ width: words.width ?? 120, ascii: words.ascii === true })

/** `mmtop play`. */
export async function playFile(file: string, words: Words): Promise<number> {
  if (!isRecording(file)) throw new UserError('not a recording', { file })
  return screensOrSnapshot(file, words)
}

/** `mmtop record`. */
export async function recordTarget(target: string, words: Words): Promise<number> {
  const output = words.output ?? ''
  const count = words.count ?? Number.POSITIVE_INFINITY
  const options = sourceOptions(words, false)
  if (words.raw === true && target === 'host') return using(openSource(target, options), source => recordTexts(source, output, count))
  if (words.raw === true) return recordRaw(target, options, output)
  return using(openSource(target, options), async source => record(source, output, count))
}

/** `mmtop snapshot`. */
export async function snapshotTarget(target: string | undefined, words: Words): Promise<number> {
  const expectations = words.expect ?? []
  const source = await openFast(target, words)
  const several = words.every !== undefined || words.count !== undefined
  const atNs = words.at ?? (several ? undefined : defaultAt(source))
  const count = several ? (words.count ?? Number.POSITIVE_INFINITY) : 1
  const silent = expectations.length > 0 && words.view === undefined && words.format === undefined
  const format = silent ? 'none' : (words.format ?? 'text')
  return snapshot(source, {
    atNs,
    everyNs: words.every ?? words.delay,
    count,
    format,
    ...looks(words),
    view: words.view,
    expectations,
    filter: words.filter ?? '',
    selection: selectionOf(words),
  })
}

/** A recording is looked at where it ends, a machine some time after its start: the host at its second sample, as rates need two. */
function defaultAt({ kind, transport }: Source): number {
  return transport?.span?.endNs ?? (kind === 'host' ? 1 : LOOK_AT_NS)
}

/** `mmtop vmstat`: [target] [delay [count]], as vmstat has them. */
export async function vmstatRows(words: readonly string[], options: Words): Promise<number> {
  const [target, ...numbers] = /^\d/.test(words[0] ?? '1') ? [undefined, ...words] : words
  if (numbers.length > 2) throw new UserError('vmstat takes a target, a delay in seconds and a count')
  const delay = options.delay ?? (numbers[0] === undefined ? SECOND_NS : toInterval(numbers[0]))
  const count = options.count ?? (numbers[1] === undefined ? Number.POSITIVE_INFINITY : toCount(numbers[1]))
  const source = await openFast(target, { ...options, delay })
  const course = { atNs: undefined, everyNs: undefined, count: count + 1 }
  const selection = { ...NO_SELECTION, fields: options.fields ?? [] }
  return snapshot(source, { ...course, format: 'rows', ...looks(options), view: undefined, expectations: [], filter: '', selection })
}

/** `mmtop diff`. */
export async function diffTargets(a: string, b: string, words: Words): Promise<number> {
  const { diff } = await import('./diff.ts')
  const runs = (file: string) => file !== 'host' && !isRecording(file)
  const until = words.at ?? (runs(a) || runs(b) ? LOOK_AT_NS : undefined)
  const selection = { ...selectionOf(words), filter: words.filter ?? '' }
  return diff([a, b], file => openFast(file, words), until, words.format ?? 'text', { ...selection, top: words.top ?? DIFF_ROWS })
}

/** `mmtop serve`. */
export async function serveTarget(target: string | undefined, words: Words): Promise<number> {
  const { serveUntilStopped } = await import('./serve.ts')
  return using(openSource(target, sourceOptions(words, true)), source => serveUntilStopped(source, words.port ?? SERVE_PORT))
}

/** `mmtop mount-tree`. */
export async function mountTarget(directory: string, target: string | undefined, words: Words): Promise<number> {
  const { mountTree } = await import('./mount_tree.ts')
  return using(openSource(target, sourceOptions(words, true)), source => mountTree(source, directory, words.run))
}

/** `mmtop cat`. */
export async function catFile(target: string, path: string, words: Words): Promise<number> {
  const source = await openFast(target, words)
  return cat(source, path, words.at ?? defaultAt(source), { skip: words.skip ?? 0, bytes: words.bytes ?? Number.POSITIVE_INFINITY })
}

/** `mmtop check`. */
export const checkFile = (file: string): Promise<number> => check(file)

/** `mmtop import`. */
export const importFile = (tool: string, file: string, words: Words): number =>
  importText(tool, file, words.output ?? '', words.delay ?? SECOND_NS)

export { explainName } from './explain.ts'

/** `mmtop pages`. */
export async function countPages(target: string, who: string | undefined, words: Words): Promise<number> {
  const source = await openFast(target, words)
  return pages(source, { atNs: words.at ?? defaultAt(source), who, flags: words.flag ?? [] })
}

/** `mmtop numa`. */
export async function numaReport(target: string | undefined, words: Words): Promise<number> {
  const source = await openFast(target, words)
  // With any of its options numastat leaves the form that scripts of old know.
  const inMb = words.events === true || words.skipZeros === true || words.compact === true
  return numa(source, {
    atNs: words.at ?? defaultAt(source),
    what: words.meminfo === true ? 'meminfo' : inMb ? 'events in MB' : 'events',
    skipZeros: words.skipZeros === true,
    compress: words.compact === true,
    width: process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY,
    hardware: words.hardware === true,
    processes: words.process,
    show: words.show,
  })
}

/** Pixels of a plot, and the most and fewest that it may have. */
const PLOT_SIZE = [1500, 700] as const
const PLOT_PIXELS = [200, 10_000] as const

/** Samples of a machine that runs on and on. */
const PLOT_SAMPLES = 60

/** `mmtop slab`. */
export async function slabReports(targets: readonly string[], words: Words): Promise<number> {
  const size = words.size ?? PLOT_SIZE
  const [fewest, most] = PLOT_PIXELS
  if (size.some(pixels => pixels < fewest || pixels > most))
    throw new UserError(`--size: a picture has ${fewest} to ${most} pixels each way`)
  const sources: Source[] = []
  for (const target of targets.length === 0 ? [undefined] : targets) sources.push(await openFast(target, words))
  const endless = sources.some(source => source.transport?.span === undefined)
  const count = words.plot === undefined ? 1 : endless ? PLOT_SAMPLES : Number.POSITIVE_INFINITY
  return slab(sources, {
    rows: words.rows ?? 1,
    scaled: words.scaled === true,
    course: { atNs: words.at ?? defaultAt(sources[0]), everyNs: words.delay, count: words.count ?? count },
    plot: words.plot,
    output: words.output,
    size,
    range: words.range ?? [0, Number.POSITIVE_INFINITY],
    columns: looks(words).width,
    ascii: looks(words).ascii,
  })
}

/** `mmtop tunables`. */
export async function listTunables(pattern: string, words: Words): Promise<number> {
  const source = await openFast(words.of, words)
  if (source.tunables.length === 0) complain(`${source.title} has no knobs`)
  await printTunables(source, { ...looks(words), filter: pattern })
  return EXIT.asked
}
