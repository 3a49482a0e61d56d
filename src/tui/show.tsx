/** Puts the screens on a terminal, and takes them off again. */
import { setFlagsFromString } from 'node:v8'
import { render } from 'ink'
import type { Source } from '../sample/source.ts'
import { chartRows } from '../view/chart_text.ts'
import { App } from './app.tsx'
import type { Config } from './config.ts'
import { newCanvas } from './paint.ts'
import { newScreenWriter, sizeOf } from './screen_writer.ts'
import { createSession, type Session } from './session.ts'
import type { Recorder } from './sitting.ts'
import { holdTerminal } from './terminal.ts'
import {
  colourDepth,
  type Depth,
  type Environment,
  hasBraille,
  hasLightBackground,
  hasUnicode,
  makeTheme,
  type Theme,
  type ThemeName,
} from './theme.ts'

export interface ShowOptions {
  /** false: no colours, whatever the terminal has. */
  readonly colour: boolean
  /** Nothing but ASCII; it is also chosen where the locale has no Unicode. */
  readonly ascii: boolean
  readonly env: Environment
  /** Opens a recording of what is shown; it throws UserError where that cannot be. */
  readonly record: (path: string) => Recorder
  readonly config: Config
  /** Writes the configuration file; gives its path. */
  readonly save: (text: string) => string
  /** Samples after which it ends. */
  readonly count: number | undefined
}

/**
 * Bytecodes that a function runs before V8 looks at whether to optimise it, thirty times its own measure. Between two samples of
 * a watched machine lie hundreds of idle milliseconds: what a compiler's threads spend to save a few of them in each is more than
 * is saved in the first minutes, half of all that the screens cost. What runs often still gets there.
 */
const BYTECODES_BEFORE_OPTIMISING = 2_000_000

/**
 * How much the heap may grow before what is no longer used is looked for. V8 alone lets a heap of this size grow to several times what is
 * in it, most of which would be texts of frames long gone: twice the memory for a tenth of the time.
 */
const HEAP_GROWING_PERCENT = 30

/**
 * Shows a source on process.stdout until the user leaves. The terminal is given back whatever happens.
 * @returns the exit status; rejects where something is broken
 */
export async function show(source: Source, options: ShowOptions): Promise<number> {
  const { stdin, stdout, stderr } = process
  // A simulation runs in a thread of this process, and does want the compiler.
  if (source.kind !== 'simulation') {
    setFlagsFromString(`--interrupt-budget=${BYTECODES_BEFORE_OPTIMISING}`)
    setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`)
  }
  const { env, record, config, save, count } = options
  const depth = options.colour && config.colors !== 'auto' ? config.colors : colourDepth(options.colour, env)
  const ascii = options.ascii || config.glyphs === 'ascii' || (config.glyphs === 'auto' && !hasUnicode(env))
  const themes = themesOf(depth, hasLightBackground(env))
  const canvas = newCanvas()
  const writer = newScreenWriter(stdout, canvas, size => session.resize(size))
  const session = createSession({
    source,
    size: sizeOf(stdout),
    looks: { ascii, chart: (spec, width, height) => chartRows(spec, width, height, ascii) },
    record,
    config,
    save,
    count,
    now: () => performance.now(),
    redraw: () => writer.start(),
    suspend: () => hold.suspend(),
  })
  const hold = holdTerminal({ stdin, stdout }, writer, () => session.finish(), config.mouse)
  const app = render(<App session={session} canvas={canvas} themes={themes} />, {
    stdout: writer.stream,
    stdin,
    stderr,
    debug: true,
    exitOnCtrlC: false,
    patchConsole: false,
    isScreenReaderEnabled: false,
  })
  const broken = untilBroken()
  try {
    if (!ascii && config.glyphs !== 'block' && (hasBraille(env) || config.glyphs === 'braille')) drawBetterSoon(session, depth !== 'none')
    return await Promise.race([session.run(), broken.promise, app.waitUntilExit().then(() => 0)])
  } finally {
    broken.forget()
    app.unmount()
    writer.close()
    hold.leave()
    session.finish()
    await source.close()
  }
}

/** Each theme is made once. */
function themesOf(depth: Depth, light: boolean): (name: ThemeName) => Theme {
  const made = new Map<ThemeName, Theme>()
  return name => {
    const theme = made.get(name) ?? makeTheme(depth, light, name)
    made.set(name, theme)
    return theme
  }
}

/** blessed-contrib takes a while to load, so the first frame does without it. */
function drawBetterSoon(session: Session, colours: boolean): void {
  const unsubscribe = session.subscribe(() => {
    if (session.screen().panel === undefined) return
    unsubscribe()
    setImmediate(async () => {
      const { newCharts } = await import('./charts.ts')
      session.dress({ ascii: false, chart: newCharts({ ascii: false, colours, braille: true }) })
    })
  })
}

/** Rejects with whatever nobody caught, so that it is told after the terminal is given back. */
function untilBroken(): { readonly promise: Promise<never>; readonly forget: () => void } {
  let listener = (_error: unknown): void => undefined
  const promise = new Promise<never>((_, reject) => {
    listener = reject
  })
  process.on('uncaughtException', listener)
  return { promise, forget: () => process.off('uncaughtException', listener) }
}
