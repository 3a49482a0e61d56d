/**
 * The configuration file: JSON, read at the start and never written unless that is asked for.
 *
 *     $XDG_CONFIG_HOME/mmtop/config.json
 *     { "theme": "light", "keys": { "quit": ["x"], "list.open": ["o"] }, "presets": { "mine": { "/proc/sys/vm/swappiness": "10" } } }
 *
 * A key of the user's takes that key from whatever had it in the same place. Everything that the file may say is in
 * CONFIG; the schema that editors read and the messages about mistakes are made from it.
 */
import { nearestWord, UserError } from '../user_error.ts'
import { LAYOUTS, layoutNamed } from '../view/layouts.ts'
import { PRESETS, type Preset } from '../view/presets.ts'
import { VIEW_NAMES } from '../view/views.ts'
import { type Action, type Binding, KEYMAP, PLACES, type PlaceName } from './keymap.ts'
import { THEME_NAMES, type ThemeName } from './theme.ts'

export interface Config {
  readonly theme: ThemeName
  /** What charts are drawn with. */
  readonly glyphs: 'auto' | 'braille' | 'block' | 'ascii'
  readonly colors: 'auto' | 'none' | '16' | '256' | 'true'
  readonly mouse: boolean
  /** The panel to begin with. */
  readonly view: string
  /** Panels that share the screen, as view/layouts.ts has them; '' for one alone. */
  readonly layout: string
  /** Samples that charts span. */
  readonly zoom: number
  /** "ACTION" or "PLACE.ACTION" -> its keys. */
  readonly keys: Readonly<Record<string, readonly string[]>>
  /** Name -> path -> value. */
  readonly presets: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export const DEFAULT_CONFIG: Config = {
  theme: 'auto',
  glyphs: 'auto',
  colors: 'auto',
  mouse: false,
  view: 'overview',
  layout: '',
  zoom: 60,
  keys: {},
  presets: {},
}

type Shape =
  | { readonly kind: 'word'; readonly words: readonly string[] }
  | { readonly kind: 'switch' }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  | { readonly kind: 'keys' | 'presets' | 'layout' }

interface Setting {
  readonly shape: Shape
  readonly help: string
}

const CONFIG: Readonly<Record<keyof Config, Setting>> = {
  theme: { shape: { kind: 'word', words: THEME_NAMES }, help: 'Colours; auto is dark or light, as the terminal says' },
  glyphs: { shape: { kind: 'word', words: ['auto', 'braille', 'block', 'ascii'] }, help: 'What charts and bars are drawn with' },
  colors: { shape: { kind: 'word', words: ['auto', 'none', '16', '256', 'true'] }, help: 'How many colours' },
  mouse: { shape: { kind: 'switch' }, help: 'Whether the wheel scrolls and a click chooses' },
  view: { shape: { kind: 'word', words: VIEW_NAMES }, help: 'The panel to begin with' },
  layout: {
    shape: { kind: 'layout' },
    help: `Panels that share the screen: ${Object.keys(LAYOUTS).join(', ')}, or as in "thp | zones / processes"`,
  },
  zoom: { shape: { kind: 'number', min: 15, max: 1800 }, help: 'Samples that charts span' },
  keys: {
    shape: { kind: 'keys' },
    help: 'Keys of an action ("quit") or of an action in one place ("list.open"), instead of the usual ones',
  },
  presets: { shape: { kind: 'presets' }, help: 'Knobs to be set together: name, then path and value of each' },
}

type Fields = Readonly<Record<string, unknown>>
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** @throws UserError with file, line and column where the text is no configuration */
export function parseConfig(text: string, file: string): Config {
  const value = parseJson(text, file)
  if (!isFields(value)) throw new UserError('a configuration is a JSON object', { file })
  for (const name of Object.keys(value)) {
    if (name === '$schema' || Object.hasOwn(CONFIG, name)) continue
    const near = nearestWord(name, Object.keys(CONFIG))
    throw new UserError(
      `no setting "${name}"${near === undefined ? `: ${Object.keys(CONFIG).join(' ')}` : `, did you mean "${near}"?`}`,
      placeOf(text, name, file),
    )
  }
  const word = <T extends string>(name: keyof Config, fallback: T, words: readonly T[]): T => {
    if (value[name] === undefined) return fallback
    const found = words.find(each => each === value[name])
    if (found === undefined) throw new UserError(`${name} is one of ${words.join(' ')}`, placeOf(text, name, file))
    return found
  }
  const wrong = (name: keyof Config, what: string) => new UserError(`${name} ${what}`, placeOf(text, name, file))
  const { zoom = DEFAULT_CONFIG.zoom, mouse = false } = value
  if (typeof zoom !== 'number' || zoom < 15 || zoom > 1800) throw wrong('zoom', 'is a number from 15 to 1800')
  if (typeof mouse !== 'boolean') throw wrong('mouse', 'is true or false')
  const config: Config = {
    theme: word('theme', 'auto', THEME_NAMES),
    glyphs: word('glyphs', 'auto', ['auto', 'braille', 'block', 'ascii']),
    colors: word('colors', 'auto', ['auto', 'none', '16', '256', 'true']),
    mouse,
    view: word('view', 'overview', VIEW_NAMES),
    layout: layoutIn(value['layout'], why => wrong('layout', why)),
    zoom: Math.floor(zoom),
    keys: keysIn(value['keys'], why => wrong('keys', why)),
    presets: presetsIn(value['presets'], why => wrong('presets', why)),
  }
  keymapOf(config, file)
  return config
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const at = Number(/position (\d+)/.exec(String(error))?.[1] ?? 0)
    throw new UserError('not JSON', whereAt(text, at, file))
  }
}

function whereAt(text: string, at: number, file: string): { file: string; line: number; column: number } {
  const before = text.slice(0, at).split('\n')
  return { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

const placeOf = (text: string, name: string, file: string) => whereAt(text, Math.max(0, text.indexOf(`"${name}"`)), file)

function layoutIn(value: unknown, wrong: (why: string) => UserError): string {
  if (value === undefined || value === '') return ''
  if (typeof value !== 'string') throw wrong('is the name of a layout, or panels as in "thp | zones / processes"')
  const found = layoutNamed(value, VIEW_NAMES)
  if ('problem' in found) throw wrong(`has ${found.problem}`)
  return found.text
}

function keysIn(value: unknown, wrong: (why: string) => UserError): Record<string, readonly string[]> {
  if (value === undefined) return {}
  if (!isFields(value)) throw wrong('is an object: action and a list of keys')
  return Object.fromEntries(
    Object.entries(value).map(([action, keys]): [string, readonly string[]] => {
      const list: unknown[] = Array.isArray(keys) ? keys : [keys]
      return [
        action,
        list.map(key => {
          if (typeof key !== 'string' || key === '' || key.length > 20)
            throw wrong(`of "${action}" are a list of names, such as "x" or "ctrl-x"`)
          return key
        }),
      ]
    }),
  )
}

function presetsIn(value: unknown, wrong: (why: string) => UserError): Config['presets'] {
  if (value === undefined) return {}
  if (!isFields(value)) throw wrong('is an object: name, then path and value of each knob')
  return Object.fromEntries(
    Object.entries(value).map(([name, knobs]) => {
      if (!isFields(knobs)) throw wrong(`"${name}" is an object: path and value of each knob`)
      const entries = Object.entries(knobs).map(([path, text]): [string, string] => {
        if (!path.startsWith('/') || (typeof text !== 'string' && typeof text !== 'number'))
          throw wrong(`"${name}" has a path and a value for each knob`)
        return [path, String(text)]
      })
      return [name, Object.fromEntries(entries)]
    }),
  )
}

/** The keys with the user's own: each of theirs is taken from what had it in that place. */
export function keymapOf({ keys }: Pick<Config, 'keys'>, file?: string): readonly Binding[] {
  let bindings = KEYMAP
  for (const [name, mine] of Object.entries(keys)) {
    const dot = name.indexOf('.')
    const [place, action] = dot < 0 ? [undefined, name] : [name.slice(0, dot), name.slice(dot + 1)]
    const meant = (binding: Binding) => binding.action === action && (place === undefined || binding.where === place)
    if (!KEYMAP.some(meant)) throw noSuch(place, action, file)
    const places = new Set<PlaceName>(KEYMAP.filter(meant).map(({ where }) => where))
    bindings = bindings.map(binding => {
      if (meant(binding)) return { ...binding, keys: mine, ...footerOf(binding, mine) }
      return places.has(binding.where) ? { ...binding, keys: binding.keys.filter(key => !mine.includes(key)) } : binding
    })
  }
  return bindings
}

/** The program's presets and the user's own, which go first where names are the same. */
export function presetsOf({ presets }: Pick<Config, 'presets'>): Readonly<Record<string, Preset>> {
  const own = Object.entries(presets).map(([name, knobs]): [string, Preset] => [name, { help: 'from the configuration file', knobs }])
  return { ...PRESETS, ...Object.fromEntries(own) }
}

/** The footer names the keys as they are now. */
const footerOf = ({ footer }: Binding, keys: readonly string[]) =>
  footer === undefined || keys.length === 0 ? {} : { footer: [keys[0] === ' ' ? 'space' : keys[0], footer[1]] as const }

function noSuch(place: string | undefined, action: string, file: string | undefined): UserError {
  const where = file === undefined ? {} : { file }
  if (place !== undefined && !Object.hasOwn(PLACES, place))
    return new UserError(`keys: no place "${place}": ${Object.keys(PLACES).join(' ')}`, where)
  const near = nearestWord(
    action,
    KEYMAP.map(binding => binding.action),
  )
  return new UserError(`keys: no action "${action}"${near === undefined ? '' : `, did you mean "${near}"?`}`, where)
}

/** The file's text for a configuration: what differs from the usual, and the schema. */
export function configText(config: Config): string {
  const different = Object.entries(config).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(Object.entries(DEFAULT_CONFIG).find(([each]) => each === name)?.[1]),
  )
  return `${JSON.stringify({ ...Object.fromEntries(different) }, null, 2)}\n`
}

const schemaOf = (shape: Shape): Readonly<Record<string, unknown>> => {
  if (shape.kind === 'word') return { enum: shape.words }
  if (shape.kind === 'layout') return { type: 'string', examples: Object.keys(LAYOUTS) }
  if (shape.kind === 'switch') return { type: 'boolean' }
  if (shape.kind === 'number') return { type: 'number', minimum: shape.min, maximum: shape.max }
  if (shape.kind === 'presets')
    return { type: 'object', additionalProperties: { type: 'object', additionalProperties: { type: ['string', 'number'] } } }
  const actions = [...new Set(KEYMAP.flatMap(({ action, where }): (Action | string)[] => [action, `${where}.${action}`]))]
  const keys = { type: 'array', items: { type: 'string' } }
  return { type: 'object', properties: Object.fromEntries(actions.map(action => [action, keys])), additionalProperties: false }
}

export function configSchema(): Readonly<Record<string, unknown>> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration of mmtop',
    type: 'object',
    properties: {
      $schema: { type: 'string' },
      ...Object.fromEntries(Object.entries(CONFIG).map(([name, { shape, help }]) => [name, { ...schemaOf(shape), description: help }])),
    },
    additionalProperties: false,
  }
}
