/** What stands in a panel's place for a moment: the help, and the columns to sort by. */

import type { Model } from '../sample/model.ts'
import { explain } from '../view/explain.ts'
import { block, toPanel } from '../view/layout.ts'
import { type ListState, type Panel, type Row, type Size, span } from '../view/panel.ts'
import type { Preset } from '../view/presets.ts'
import { shortPath } from '../view/subjects/knobs.ts'
import { VIEWS } from '../view/views.ts'
import { displayWidth, fitText, wrap } from '../view/width.ts'
import { type Binding, KEYMAP, keyNames, PLACES, VIEW_KEYS } from './keymap.ts'
import { knobNamed, knobValue } from './knobs.ts'

const NAMES_WIDTH = 18

/** All keys by place, and the panels with the questions they answer. */
export function helpPanel({ width, height }: Size, scroll: number, ascii: boolean, keymap: readonly Binding[] = KEYMAP): Panel {
  const places: readonly (keyof typeof PLACES)[] = [
    'anywhere',
    'clock',
    'recording',
    'list',
    'knobs',
    'turning',
    'explain',
    'choosing',
    'popup',
    'prompt',
  ]
  const rows = [
    [span('Keys. Up, Down, PgUp and PgDn scroll; Esc closes.', 'title')],
    ...heading('panels', width),
    ...VIEWS.flatMap(view =>
      VIEW_KEYS[view.name] === undefined ? [] : line(VIEW_KEYS[view.name], `${view.name}: ${view.answers}`, width),
    ),
    ...places.flatMap(place => [
      ...heading(PLACES[place], width),
      ...keymap
        .filter(binding => binding.where === place && binding.keys.length > 0)
        .flatMap(binding => line(keyNames(binding), binding.help, width)),
    ]),
  ]
  return toPanel([block(rows.slice(0, 1), width, ascii), block(rows.slice(1), width, ascii)], { width, height }, { ascii, scroll })
}

const heading = (text: string, width: number): Row[] => [[span(fitText(text, width), 'head')]]

function line(keys: string, help: string, width: number): Row[] {
  const names = Math.min(NAMES_WIDTH, Math.floor(width / 3))
  return wrap(help, Math.max(1, width - names - 3)).map(
    (text, i): Row => [span('  '), span(fitText(i === 0 ? keys : '', names), 'chosen'), span(' '), span(text)],
  )
}

/** The columns of a list, one of them to be chosen. */
export function sortPanel(list: ListState, at: number, { width, height }: Size, ascii: boolean): Panel {
  const names = Math.min(30, Math.max(0, ...list.sortKeys.map(displayWidth)))
  const first = Math.max(0, Math.min(at - Math.floor(height / 2), list.sortKeys.length - height + 1))
  const rows = list.sortKeys.slice(first).map((key, i): Row => {
    const style = first + i === at ? 'selected' : 'text'
    const mark = list.sort?.key === key ? (list.sort.descending ? (ascii ? 'v ' : '▾ ') : ascii ? '^ ' : '▴ ') : '  '
    return [span(mark, style), span(fitText(key, names), style), span('  '), span(explain(key)?.meaning ?? '', 'dim')]
  })
  const said = block([[span('Sort by which column? Once more for the other way round.', 'title')]], width, ascii)
  return toPanel([said, block(rows.slice(0, Math.max(0, height - 1)), width, ascii)], { width, height }, { ascii, scroll: 0 })
}

/** Presets, one of them to be chosen, and what it would change here. */
export function presetPanel(
  presets: Readonly<Record<string, Preset>>,
  model: Model,
  at: number,
  { width, height }: Size,
  ascii: boolean,
): Panel {
  const names = Object.keys(presets)
  const chosen = presets[names[at] ?? '']
  const list = names.map((name, i): Row => {
    const style = i === at ? 'selected' : 'text'
    return [span(' '), span(fitText(name, 14), style), span('  '), span(presets[name].help, 'dim')]
  })
  const knobs = Object.entries(chosen?.knobs ?? {}).map(([path, value]): Row => {
    const knob = knobNamed(model.tunables, path)
    const now = knob === undefined ? undefined : knobValue(model, knob)
    const text = knob === undefined ? 'not on this machine' : now === value ? `${value}, as it is` : `${now ?? '?'} to ${value}`
    return [span(' '), span(fitText(shortPath(path), 34), 'label'), span(text, knob === undefined || now === value ? 'dim' : 'knob')]
  })
  const said = block([[span('Which preset? Enter sets its knobs; u puts all of them back.', 'title')]], width, ascii)
  return toPanel(
    [said, block([...list, ...heading('what it would change here', width), ...knobs], width, ascii)],
    { width, height },
    { ascii, scroll: 0 },
  )
}
