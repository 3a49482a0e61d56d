/** What several panels are made of: counters with their recent past, knobs beside them, words. */
import { kindOf } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import { recent } from '../chart.ts'
import { fieldOf } from '../fields.ts'
import { formatValue } from '../format.ts'
import { shareBar, spark } from '../glyphs.ts'
import { type Block, block } from '../layout.ts'
import { type PanelUi, type Row, type Span, type Style, span } from '../panel.ts'
import { knobRow, shortPath } from '../subjects/knobs.ts'
import { fitText } from '../width.ts'

const VALUE_WIDTH = 7

/** The value of a scalar as it is best read: a level as it stands, a total per second. */
export function nowOf(model: Model, key: string): number | undefined {
  if (kindOf(key) === 'gauge') return model.scalars.get(key)
  const value = recent(model, key, 1)[0]
  return value === undefined || Number.isNaN(value) ? undefined : value
}

/** Sum of what is known of several scalars; 0 for those that this machine does not have. */
export function sumNow(model: Model, keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + (nowOf(model, key) ?? 0), 0)
}

export const levelOf = (model: Model, key: string): number => model.scalars.get(key) ?? 0

/** Name, value (totals per second) and sparkline of each scalar; those that this machine does not have are left out. */
export function counterBlock(model: Model, keys: readonly string[], width: number, ui: PanelUi): Block {
  const known = keys.filter(key => model.scalars.has(key))
  const names = Math.min(Math.max(8, ...known.map(key => titleOf(key).length)), Math.max(8, width - VALUE_WIDTH - 3))
  const sparkWidth = Math.max(0, width - names - VALUE_WIDTH - 2)
  const rows = known.map((key): Row => {
    const field = fieldOf(key)
    const value = nowOf(model, key)
    const unit = field.kind === 'counter' && field.unit === 'pages' ? 'count' : field.unit
    const text = formatValue(value, unit) + (field.kind === 'counter' && value !== undefined ? '/s' : '')
    const past = spark(recent(model, key, ui.zoom), sparkWidth, ui.ascii)
    const style: Style = value === undefined ? 'dim' : value === 0 ? 'dim' : 'value'
    return [
      span(fitText(titleOf(key), names, 'left', ui.ascii ? '~' : '…'), 'label', key),
      span(' '),
      span(fitText(text, VALUE_WIDTH, 'right'), style, key),
      span(' '),
      past,
    ]
  })
  return block(rows.length > 0 ? rows : [[span('not on this kernel', 'dim')]], width, ui.ascii)
}

/** Under a heading that says the subject, its prefix can go: "khugepaged_full_scans" stays, "ksm_pages_shared" loses "ksm_". */
const titleOf = (key: string): string => key.replace(/^(ksm|zswap)_/, '')

/** Levels as bars of a whole. */
export function shareBlock(model: Model, keys: readonly string[], total: number, width: number, ui: PanelUi): Block {
  const known = keys.filter(key => model.scalars.has(key))
  const names = Math.max(8, ...known.map(key => key.length))
  const bar = Math.max(0, width - names - VALUE_WIDTH - 2)
  const rows = known.map((key): Row => {
    const value = levelOf(model, key)
    const text = formatValue(value, fieldOf(key).unit)
    return [
      span(fitText(key, names), 'label', key),
      span(fitText(text, VALUE_WIDTH, 'right'), value === 0 ? 'dim' : 'value', key),
      span('  '),
      ...shareBar(value / total, bar, ui.ascii),
    ]
  })
  return block(rows, width, ui.ascii)
}

/** Knobs with their values; a choice shows all its words, the current one marked. */
export function knobBlock(model: Model, paths: readonly string[], width: number, ui: PanelUi): Block {
  const rows = paths.flatMap((path): Row[] => {
    const tunable = model.tunables.find(each => each.path === path) ?? { path, type: 'integer', meaning: '', source: '' }
    const { text, value, changed } = knobRow(model, tunable)
    if (text === undefined || value === undefined) return []
    const name = shortPath(path).replace(/^[^/]+\//, '')
    const mark = changed === true ? span(' *', 'warn') : span('')
    return [[span(`${name} `, 'label', path), ...choiceSpans(text, value, path, ui.ascii), mark]]
  })
  return block(rows.length > 0 ? rows : [[span('not known here', 'dim')]], width, ui.ascii)
}

function choiceSpans(text: string, value: string, path: string, ascii: boolean): Span[] {
  const [open, close] = ascii ? ['[', ']'] : ['‹', '›']
  if (text === value) return [span(value, 'knob', path)]
  return text
    .split(' ')
    .map(word => (word.startsWith('[') ? span(`${open}${word.slice(1, -1)}${close} `, 'chosen', path) : span(`${word} `, 'dim', path)))
}

/** The figures of a sentence, joined: ["a", "b", "c"] as "a; b; c." */
export function sentence(parts: readonly (string | undefined | false)[]): string {
  const said = parts.filter(part => typeof part === 'string' && part !== '').join('; ')
  return said === '' ? '' : `${said[0].toUpperCase()}${said.slice(1)}.`
}

/** Where something worth a look stands out by a sign as well as a colour. */
export const alarm = (ascii: boolean): string => (ascii ? '!' : '▲')
