/**
 * Commands by name: every action of the table of keys, and those that take a word more.
 *
 *     > view thp         > preset density        > set /proc/sys/vm/swappiness 10       > undo
 */
import { nearestWord } from '../user_error.ts'
import { explain, lookUp } from '../view/explain.ts'
import { LAYOUTS } from '../view/layouts.ts'
import { VIEW_NAMES, viewNamed } from '../view/views.ts'
import { act, bookmark, choosePreset, goTo, layOut, type Seen, show, whyReadOnly } from './actions.ts'
import { type Action, KEYMAP } from './keymap.ts'
import { knobNamed, whyNot } from './knobs.ts'
import { parseJump } from './playback.ts'
import { asked } from './prompt.ts'
import { atPlace, type Pressed, type State, said } from './state.ts'
import { THEME_NAMES } from './theme.ts'

type Run = (state: State, words: readonly string[], seen: Seen) => State | Pressed

interface Command {
  readonly run: Run
  /** Words that may follow. */
  readonly words: (seen: Seen) => readonly string[]
  readonly usage: string
}

const nothing = (): readonly string[] => []
const wrong = (state: State, usage: string) => said(state, `write ${usage}`, true)

const COMMANDS: Readonly<Record<string, Command>> = {
  view: {
    usage: 'view NAME',
    words: () => VIEW_NAMES,
    run: (state, [name = '']) => (viewNamed(name) === undefined ? wrong(state, 'view NAME') : show(state, viewNamed(name)?.name)),
  },
  layout: {
    usage: 'layout NAME|PANEL | PANEL / PANEL',
    words: () => [...Object.keys(LAYOUTS), 'none', ...VIEW_NAMES],
    run: (state, words) => layOut(state, words.join(' ') === 'none' ? '' : words.join(' ')),
  },
  theme: {
    usage: `theme ${THEME_NAMES.join('|')}`,
    words: () => THEME_NAMES,
    run: (state, [name]) => {
      const theme = THEME_NAMES.find(each => each === name)
      return theme === undefined ? wrong(state, `theme ${THEME_NAMES.join('|')}`) : { ...state, theme }
    },
  },
  preset: {
    usage: 'preset NAME',
    words: ({ presets }) => Object.keys(presets),
    run: (state, [name = ''], seen) => (Object.hasOwn(seen.presets, name) ? choosePreset(state, seen, name) : wrong(state, 'preset NAME')),
  },
  zoom: {
    usage: 'zoom SAMPLES',
    words: nothing,
    run: (state, [count = '']) =>
      /^\d{2,4}$/.test(count) ? { ...state, zoom: Math.max(15, Math.min(1800, Number(count))) } : wrong(state, 'zoom SAMPLES'),
  },
  filter: {
    usage: 'filter TEXT',
    words: ({ screen }) => screen.panel?.list?.sortKeys ?? [],
    run: (state, words) => atPlace(state, { filter: words.join(' '), scroll: 0 }),
  },
  sort: {
    usage: 'sort COLUMN',
    words: ({ screen }) => screen.panel?.list?.sortKeys ?? [],
    run: (state, [key = ''], { screen }) =>
      screen.panel?.list?.sortKeys.includes(key) === true
        ? atPlace(state, { sort: { key, descending: true } })
        : wrong(state, 'sort COLUMN'),
  },
  explain: { usage: 'explain NAME', words: nothing, run: (state, words, seen) => lookUpNamed(state, words.join(' '), seen) },
  bookmark: { usage: 'bookmark [NAME]', words: nothing, run: (state, words, seen) => bookmark(state, seen, words.join(' ')) },
  goto: {
    usage: 'goto BOOKMARK or a time: 90s, -10s, 00:01:30',
    words: nothing,
    run: (state, [where = ''], seen) => {
      const kept = state.bookmarks.find(({ name }) => name === where)
      const span = seen.span ?? { startNs: 0, endNs: Number.MAX_SAFE_INTEGER }
      const ns = kept?.ns ?? parseJump(where, seen.model?.sample.ns ?? 0, span)
      return ns === undefined ? wrong(state, 'goto BOOKMARK or a time: 90s, -10s, 00:01:30') : goTo(state, seen, ns)
    },
  },
  set: {
    usage: 'set PATH VALUE',
    words: ({ model }) => model?.tunables.map(({ path }) => path) ?? [],
    run: (state, [path = '', ...value], seen) => {
      const knob = knobNamed(seen.model?.tunables ?? [], path)
      const before = knob === undefined ? undefined : (seen.knobValue(knob) ?? '')
      const after = value.join(' ')
      if (knob === undefined || before === undefined || after === '') return wrong(state, 'set PATH VALUE')
      const why = whyNot(knob, after)
      if (why !== undefined) return said(state, `${path} ${why}`, true)
      if (!seen.rights.write) return said(state, whyReadOnly(seen), true)
      if (seen.kind === 'host') return { ...state, prompt: asked(path, path, before, after) }
      return { state, effects: [{ kind: 'write', turn: { path, before, after }, way: 'new' }] }
    },
  },
}

/** Actions that make sense by name: those of the prompt and of pointing do not. */
const NAMED: ReadonlyMap<string, Action> = new Map(
  KEYMAP.filter(({ where }) => where !== 'prompt' && where !== 'explain' && where !== 'turning')
    .filter(({ action }) => !['palette', 'click', 'view', 'choose', 'close'].includes(action))
    .map(({ action }) => [action, action]),
)

export function command(state: State, text: string, seen: Seen): Pressed {
  const [name = '', ...words] = text.split(/\s+/)
  const found = Object.hasOwn(COMMANDS, name) && (words.length > 0 || !NAMED.has(name)) ? COMMANDS[name] : undefined
  const done = found?.run(state, words, seen)
  if (done !== undefined) return 'effects' in done ? done : { state: done, effects: [] }
  const action = NAMED.get(name)
  if (action !== undefined) return act(state, seen, action)
  const near = nearestWord(name, [...Object.keys(COMMANDS), ...NAMED.keys()])
  return { state: said(state, `no command "${name}"${near === undefined ? '' : `, did you mean "${near}"?`}`, true), effects: [] }
}

/** Words that could stand where the last one is being typed. */
export function commandWords(before: string, seen: Seen): readonly string[] {
  const words = before.trimStart().split(/\s+/)
  if (words.length <= 1) return [...new Set([...Object.keys(COMMANDS), ...NAMED.keys()])]
  return Object.hasOwn(COMMANDS, words[0]) ? COMMANDS[words[0]].words(seen) : []
}

/** Explains a figure by its name, or the first that has these words in its name or meaning. */
export function lookUpNamed(state: State, text: string, { model }: Seen): Pressed {
  const [first, ...others] = explain(text, model) === undefined ? lookUp(text, model) : [explain(text, model)]
  if (first === undefined) return { state: said(state, `nothing is said of "${text}"`, true), effects: [] }
  const shown: State = { ...state, mode: { kind: 'about', about: first.name } }
  const names = others.slice(0, 8).map(each => each?.name ?? '')
  return { state: names.length === 0 ? shown : said(shown, `also ${names.join(' ')}${others.length > 8 ? ' ...' : ''}`), effects: [] }
}
