/** What several panels are made of: counters with their recent past, knobs beside them, words. */
import { kindOf } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import { recent } from '../chart.ts'
import { fieldOf, glanceUnit } from '../fields.ts'
import { formatValue } from '../format.ts'
import { shareBar, spark } from '../glyphs.ts'
import { type Block, block, paragraph, rowWidth } from '../layout.ts'
import { type PanelUi, type Row, type Size, type Span, type Style, span } from '../panel.ts'
import { knobRow, shortPath } from '../subjects/knobs.ts'
import { fitText, wrap } from '../width.ts'

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

/** Name, value (totals per second) and sparkline of each scalar; those that this machine does not have are named in one row below. */
export function counterBlock(model: Model, keys: readonly string[], width: number, ui: PanelUi): Block {
  const known = keys.filter(key => model.scalars.has(key))
  const names = Math.min(Math.max(8, ...known.map(key => titleOf(key).length)), Math.max(8, width - VALUE_WIDTH - 3))
  const sparkWidth = Math.max(0, width - names - VALUE_WIDTH - 2)
  const rows = known.map((key): Row => {
    const field = fieldOf(key)
    const value = nowOf(model, key)
    const text = formatValue(value, glanceUnit(field)) + (field.kind === 'counter' && value !== undefined ? '/s' : '')
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
  return block([...rows, ...missingRow(model, keys)], width, ui.ascii)
}

/** What a panel knows of and the machine does not have: other kernels, older or newer, do. */
function missingRow(model: Model, keys: readonly string[]): Row[] {
  const missing = keys.filter(key => !model.scalars.has(key))
  const refused = missing.filter(key => model.sample.unread().has(fieldOf(key).source.split(' ')[0]))
  const absent = missing.filter(key => !refused.includes(key))
  const row = (why: string, which: readonly string[]): Row[] =>
    which.length === 0 ? [] : [[span(which.length === keys.length ? why : `${why}: ${which.map(titleOf).join(' ')}`, 'dim')]]
  return [...row(notHere(model), absent), ...row('only root may read', refused)]
}

/** What is to be said of a figure that the machine does not have. */
export const notHere = (model: Pick<Model, 'kind'>): string => (model.kind === 'recording' ? 'not in this recording' : 'not on this kernel')

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

/** Knobs with their values, one a row; a choice shows all its words, the current one marked. */
export function knobBlock(model: Model, paths: readonly string[], width: number, ui: PanelUi): Block {
  const rows = paths.flatMap(path => {
    const row = knobSpans(model, path, width, ui)
    return row === undefined ? [] : [row]
  })
  return block(rows.length > 0 ? rows : [[span('not known here', 'dim')]], width, ui.ascii)
}

/** Knobs with their values, as many in a row as fit. */
export function knobFlow(model: Model, paths: readonly string[], width: number, ui: PanelUi): Block {
  const rows: Span[][] = []
  for (const path of paths) {
    const item = knobSpans(model, path, width, ui)
    const row = rows.at(-1)
    if (item === undefined) continue
    if (row !== undefined && rowWidth(row) + 3 + rowWidth(item) <= width) row.push(span('   '), ...item)
    else rows.push([...item])
  }
  return block(rows.length > 0 ? rows : [[span('not known here', 'dim')]], width, ui.ascii)
}

function knobSpans(model: Model, path: string, width: number, ui: PanelUi): Row | undefined {
  const tunable = model.tunables.find(each => each.path === path) ?? { path, type: 'integer', meaning: '', source: '' }
  const { text, value, changed } = knobRow(model, tunable)
  if (text === undefined || value === undefined) return undefined
  const name = span(`${shortPath(path).replace(/^[^/]+\//, '')} `, 'label', path)
  const mark = changed === true ? [span(' *', 'warn')] : []
  const all = [name, ...choiceSpans(text, value, path, ui.ascii), ...mark]
  return rowWidth(all) <= width ? all : [name, ...choiceSpans(text === value ? text : `[${value}]`, value, path, ui.ascii), ...mark]
}

function choiceSpans(text: string, value: string, path: string, ascii: boolean): Span[] {
  const [open, close] = ascii ? ['[', ']'] : ['‹', '›']
  if (text === value) return [span(value, 'knob', path)]
  const words = text.split(' ')
  return words.map((word, i) => {
    const gap = i < words.length - 1 ? ' ' : ''
    return word.startsWith('[') ? span(`${open}${word.slice(1, -1)}${close}${gap}`, 'chosen', path) : span(word + gap, 'dim', path)
  })
}

/** Why a file is not there, in words; undefined where it is. */
export function whyMissing(model: Model, path: string): string | undefined {
  if (model.sample.frame.files.has(path)) return undefined
  const errno = model.sample.unread().get(path)
  if (errno === undefined) return `${path} is not on this ${model.kind === 'recording' ? 'recording' : 'kernel'}`
  return `${path} may not be read (${errno})${errno === 'EACCES' || errno === 'EPERM' ? ': root may' : ''}`
}

/** Files of the first `most` processes; kernel threads, which come first on a real machine, have no memory and are left out. */
export const filesOfTasks = (model: Model, most: number, files: readonly string[]): string[] =>
  model.sample
    .tasks()
    .filter(({ stat }) => stat?.vsizeBytes !== 0)
    .slice(0, most)
    .flatMap(({ pid }) => files.map(file => `/proc/${pid}/${file}`))

/** What a panel may say, in order of weight; what does not apply is no text. */
export type Clauses = readonly (string | undefined | false)[]

/**
 * The line in words that a panel opens with: clauses in order of weight, as many as fit two lines (one where there is
 * little room). ["a", undefined, "c"] is "A; c."
 */
export function words(clauses: Clauses, { width, height }: Size, ascii: boolean): Block {
  const most = height < LOW ? 1 : WORD_LINES
  const said = clauses.filter(clause => typeof clause === 'string' && clause !== '')
  const text = (count: number) => `${said.slice(0, count).join('; ')}.`.replace(/^./, first => first.toUpperCase())
  let count = said.length
  while (count > 1 && wrap(text(count), width).length > most) count--
  return paragraph(text(count), width, 'text', most, ascii)
}

const WORD_LINES = 2
/** Rows below which every one counts. */
const LOW = 7

/** Where something worth a look stands out by a sign as well as a colour. */
export const alarm = (ascii: boolean): string => (ascii ? '!' : '▲')

/** Whether a user walks, filters or sorts the list of a panel that shows something else until then. */
export const isAsked = ({ selected, filter, moving, sort }: PanelUi): boolean =>
  selected >= 0 || filter !== '' || moving || sort !== undefined
