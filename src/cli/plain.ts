/**
 * The screens as lines, for screen readers and terminals that can do nothing else: what a panel says in words, once a
 * sample and only when it changed; and commands, one a line.
 *
 *     overview: 2.61G of 2.84G free; 28.1k faults/s; no reclaim.
 *     thp                                     <- typed: the panel in full, and from now on its words
 *     set /proc/sys/vm/swappiness 10          <- a knob
 *     : A touch heap write                    <- a workload line
 */
import { createInterface } from 'node:readline'
import { feed, type Model, newTracker } from '../sample/model.ts'
import type { Source } from '../sample/source.ts'
import { cleanLine } from '../sample/text.ts'
import { nearestWord } from '../user_error.ts'
import { formatClock } from '../view/format.ts'
import { asText } from '../view/headless/text.ts'
import { plainLines } from '../view/layout.ts'
import { DEFAULT_UI } from '../view/panel.ts'
import { VIEW_NAMES, VIEWS, type View, viewNamed } from '../view/views.ts'
import { EXIT, print } from './exit.ts'

const WIDTH = 100
const HELP = `names of panels: ${VIEW_NAMES.join(' ')}; set PATH VALUE; : workload line; pause; go on; help; quit`

interface Sitting {
  readonly source: Source
  readonly write: (text: string) => Promise<void>
  view: View
  model: Model | undefined
  said: string
  over: boolean
}

export interface PlainOptions {
  /** The panel to begin with. */
  readonly view: string
  /** Samples after which it ends. */
  readonly count: number
}

/**
 * @param input lines that are typed
 * @returns the exit status
 */
export async function showPlain(
  source: Source,
  input: NodeJS.ReadableStream,
  { view, count }: PlainOptions,
  write: (text: string) => Promise<void> = print,
): Promise<number> {
  const sitting: Sitting = {
    source,
    write,
    view: viewNamed(view) ?? VIEWS[0],
    model: undefined,
    said: '',
    over: false,
  }
  const lines = createInterface({ input, terminal: false })
  const asked = (async () => {
    for await (const line of lines) {
      await obey(sitting, cleanLine(line).trim())
      if (sitting.over) break
    }
  })()
  await write(`mmtop ${cleanLine(source.title)}. Type help for what can be typed.\n`)
  const tracker = newTracker(source)
  try {
    for (let samples = 0; samples < count && !sitting.over; samples++) {
      const frame = await source.next()
      if (frame === undefined) break
      sitting.model = feed(tracker, frame, source.pace())
      await tell(sitting)
    }
    if (!sitting.over) await write('the end\n')
  } finally {
    lines.close()
    await source.close()
    await asked
  }
  return EXIT.asked
}

/** What the panel says in its first lines, when it is something new. */
async function tell(sitting: Sitting): Promise<void> {
  const { view, model, write } = sitting
  if (model === undefined) return
  const panel = view.panel(model, { ...DEFAULT_UI, ascii: true }, { width: 1000, height: Number.POSITIVE_INFINITY })
  sitting.source.watch(panel.wants)
  const [words = ''] = plainLines(panel.rows.slice(0, 1))
  const happened = model.sample.events().filter(({ kind }) => kind !== 'op')
  for (const { kind, text } of happened) await write(`${kind}: ${text}\n`)
  if (words === sitting.said) return
  sitting.said = words
  await write(`${formatClock(model.sample.ns).slice(0, 8)} ${view.name}: ${words}\n`)
}

async function obey(sitting: Sitting, line: string): Promise<void> {
  const { source, model, write } = sitting
  const [word = '', path = '', ...rest] = line.split(/\s+/)
  const view = viewNamed(word)
  if (view !== undefined) {
    sitting.view = view
    if (model !== undefined) await write(asText(view.panel, model, { ...DEFAULT_UI, ascii: true }, WIDTH))
  } else if (line === 'quit' || line === 'q') {
    sitting.over = true
    await source.close()
  } else if (line === 'pause') source.transport?.pause(true)
  else if (line === 'go on') source.transport?.pause(false)
  else if (word === 'set') await answer(sitting, line, source.write?.(path, rest.join(' ')))
  else if (line.startsWith(':')) await answer(sitting, line, source.run?.(line.slice(1).trim()))
  else if (line === 'help') await write(`${HELP}\n`)
  else if (line !== '') await write(`no command "${word}"${near(word)}; help says what can be typed\n`)
}

const near = (word: string): string => {
  const name = nearestWord(word, VIEW_NAMES)
  return name === undefined ? '' : `, did you mean "${name}"?`
}

async function answer({ write }: Sitting, line: string, answered: ReturnType<NonNullable<Source['run']>> | undefined): Promise<void> {
  const got = await answered
  await write(got === undefined ? 'not here\n' : `${line}: ${got.errno === '' ? 'done' : got.errno} ${got.text}`.trimEnd() + '\n')
}
