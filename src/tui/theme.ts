/**
 * What the names of styles look like on a terminal: an SGR sequence for each, for as many colours as it has.
 *
 *     --no-color > FORCE_COLOR > NO_COLOR > COLORTERM, TERM        who decides, the first that says anything
 *     none  bold, faint, underlined, inverse only                  NO_COLOR keeps those
 *     16    the terminal's own palette
 *     256   the nearest of the colour cube
 *     true  as below
 *
 * The series are Okabe and Ito's colours, told apart with any kind of colour vision; and no figure says anything by its
 * colour alone (words and signs stand beside it). Text itself keeps the terminal's own colour, so a guess of dark or
 * light that is wrong costs contrast only.
 */
import type { Style } from '../view/panel.ts'

export type Depth = 'none' | '16' | '256' | 'true'

export interface Theme {
  /** Style -> what switches it on, starting from anything. */
  readonly on: Readonly<Record<Style, string>>
}

export type Environment = Readonly<Record<string, string | undefined>>

/** @param asked false where the command line says --no-color */
export function colourDepth(asked: boolean, env: Environment): Depth {
  if (!asked) return 'none'
  const found = depthOfTerminal(env)
  const forced = env.FORCE_COLOR
  if (forced !== undefined && forced !== '') return forcedDepth(forced, found)
  return env.NO_COLOR !== undefined && env.NO_COLOR !== '' ? 'none' : found
}

/** FORCE_COLOR=0..3 as Node reads it; any other word wants colours, however many the terminal has. */
function forcedDepth(forced: string, found: Depth): Depth {
  if (forced === '0' || forced === 'false') return 'none'
  if (forced === '1') return '16'
  if (forced === '2') return '256'
  if (forced === '3') return 'true'
  return found === 'none' ? '16' : found
}

function depthOfTerminal(env: Environment): Depth {
  const term = env.TERM ?? ''
  if (term === '' || term === 'dumb' || /^vt\d/.test(term)) return 'none'
  if (env.COLORTERM === 'truecolor' || env.COLORTERM === '24bit' || /-direct\d*$/.test(term)) return 'true'
  if (/-(8|16)color$/.test(term)) return '16'
  return /256(color)?$/.test(term) || env.TMUX !== undefined ? '256' : '16'
}

/** Whether the background is light, by what some terminals tell in COLORFGBG ("15;0": the last number is the background). */
export function hasLightBackground(env: Environment): boolean {
  const background = Number((env.COLORFGBG ?? '').split(';').at(-1) || Number.NaN)
  return background === 7 || background === 15
}

/** Whether the terminal can be trusted with Unicode, by the locale that decides in it. */
export function hasUnicode(env: Environment): boolean {
  const locale = [env.LC_ALL, env.LC_CTYPE, env.LANG].find(each => each !== undefined && each !== '') ?? ''
  return /utf-?8/i.test(locale)
}

/** Whether braille can be drawn: the fonts of the Linux console have none. */
export const hasBraille = (env: Environment): boolean => hasUnicode(env) && env.TERM !== 'linux'

/** A colour, the parameters of the 16 colour palette that come nearest, and whether it is bold. */
interface Look {
  readonly rgb?: string
  readonly plain: string
  readonly bold?: boolean
}

/** Without any colour. */
const MONO: Readonly<Record<Style, string>> = {
  text: '',
  dim: '2',
  title: '1',
  head: '1',
  label: '',
  value: '',
  good: '',
  warn: '1',
  bad: '1;4',
  knob: '4',
  chosen: '1;4',
  selected: '7',
  frame: '2',
  series1: '',
  series2: '1',
  series3: '2',
  series4: '',
  series5: '1',
  series6: '2',
  free: '2',
}

const DARK: Readonly<Record<Style, Look>> = {
  text: { plain: '' },
  dim: { rgb: '8c8c8c', plain: '2' },
  title: { rgb: '8ab8f0', plain: '1;36', bold: true },
  head: { rgb: 'c8c8c8', plain: '1', bold: true },
  label: { rgb: 'a8bccc', plain: '' },
  value: { plain: '' },
  good: { rgb: '35c090', plain: '32' },
  warn: { rgb: 'e69f00', plain: '33' },
  bad: { rgb: 'ff7a45', plain: '1;31', bold: true },
  knob: { rgb: 'dd9cc0', plain: '35' },
  chosen: { rgb: 'f0b4d4', plain: '1;35', bold: true },
  selected: { plain: '7' },
  frame: { rgb: '606870', plain: '2' },
  series1: { rgb: '56b4e9', plain: '36' },
  series2: { rgb: 'e69f00', plain: '33' },
  series3: { rgb: '20b088', plain: '32' },
  series4: { rgb: 'cc79a7', plain: '35' },
  series5: { rgb: 'f0e442', plain: '93' },
  series6: { rgb: 'e8702a', plain: '31' },
  free: { rgb: '585858', plain: '2' },
}

const LIGHT: Readonly<Record<Style, Look>> = {
  ...DARK,
  dim: { rgb: '6a6a6a', plain: '2' },
  title: { rgb: '0b5394', plain: '1;34', bold: true },
  head: { rgb: '303030', plain: '1', bold: true },
  label: { rgb: '37506b', plain: '' },
  good: { rgb: '00704f', plain: '32' },
  warn: { rgb: '8a5a00', plain: '1;33' },
  bad: { rgb: 'b03a00', plain: '1;31', bold: true },
  knob: { rgb: '8e3a73', plain: '35' },
  chosen: { rgb: '7a2060', plain: '1;35', bold: true },
  frame: { rgb: 'a0a0a0', plain: '2' },
  series1: { rgb: '0072b2', plain: '34' },
  series2: { rgb: 'b36b00', plain: '33' },
  series3: { rgb: '00805d', plain: '32' },
  series4: { rgb: 'a8467f', plain: '35' },
  series5: { rgb: '857600', plain: '36' },
  series6: { rgb: 'b34700', plain: '31' },
  free: { rgb: 'b8b8b8', plain: '2' },
}

/** As far from the background as it gets, for tired eyes and poor projectors; nothing faint. */
const CONTRAST: Readonly<Record<Style, Look>> = {
  ...DARK,
  dim: { plain: '' },
  title: { plain: '1;4' },
  head: { plain: '1' },
  label: { plain: '' },
  good: { rgb: '5fffaf', plain: '1;32' },
  warn: { rgb: 'ffd75f', plain: '1;33', bold: true },
  bad: { rgb: 'ff8700', plain: '1;31', bold: true },
  knob: { rgb: 'ffafff', plain: '1;35' },
  chosen: { rgb: 'ffafff', plain: '1;4;35', bold: true },
  frame: { plain: '' },
  series1: { rgb: '5fd7ff', plain: '1;36' },
  series2: { rgb: 'ffd700', plain: '1;33' },
  series3: { rgb: '5fffaf', plain: '1;32' },
  free: { plain: '' },
}

export const THEME_NAMES = ['auto', 'dark', 'light', 'contrast', 'mono'] as const
export type ThemeName = (typeof THEME_NAMES)[number]

export const STYLES: readonly Style[] = [
  ...(['text', 'dim', 'title', 'head', 'label', 'value', 'good', 'warn', 'bad', 'knob', 'chosen', 'selected', 'frame'] as const),
  ...(['series1', 'series2', 'series3', 'series4', 'series5', 'series6', 'free'] as const),
]

/** @param light what "auto" is */
export function makeTheme(depth: Depth, light: boolean, name: ThemeName = 'auto'): Theme {
  const looks = name === 'contrast' ? CONTRAST : name === 'light' || (name === 'auto' && light) ? LIGHT : DARK
  const of = (style: Style) => sgr(depth === 'none' || name === 'mono' ? MONO[style] : parameters(looks[style], depth))
  return { on: { ...MONO, ...Object.fromEntries(STYLES.map(style => [style, of(style)])) } }
}

const sgr = (params: string): string => (params === '' ? '\x1b[0m' : `\x1b[0;${params}m`)

function parameters({ rgb, plain, bold }: Look, depth: Depth): string {
  if (depth === '16' || rgb === undefined) return plain
  const [red, green, blue] = [0, 2, 4].map(at => Number.parseInt(rgb.slice(at, at + 2), 16))
  const colour = depth === 'true' ? `38;2;${red};${green};${blue}` : `38;5;${nearest256(red, green, blue)}`
  return bold === true ? `1;${colour}` : colour
}

const CUBE: readonly number[] = [0, 95, 135, 175, 215, 255]

/** The nearest of the 6 x 6 x 6 cube and the 24 greys of xterm's 256 colours. */
function nearest256(red: number, green: number, blue: number): number {
  const step = (value: number) => CUBE.reduce((best, level, i) => (Math.abs(level - value) < Math.abs(CUBE[best] - value) ? i : best), 0)
  const [r, g, b] = [step(red), step(green), step(blue)]
  const grey = Math.min(23, Math.max(0, Math.round(((red + green + blue) / 3 - 8) / 10)))
  const distance = (x: number, y: number, z: number) => (x - red) ** 2 + (y - green) ** 2 + (z - blue) ** 2
  const level = 8 + 10 * grey
  return distance(level, level, level) < distance(CUBE[r], CUBE[g], CUBE[b]) ? 232 + grey : 16 + 36 * r + 6 * g + b
}
