/** A key, and what it does where the user is. */
import { plain, type Row } from '../view/panel.ts'
import { tabName, VIEWS } from '../view/views.ts'
import { act, type Seen, show } from './actions.ts'
import { bindingOf, VIEW_KEYS } from './keymap.ts'
import type { Key } from './keys.ts'
import { pressInPrompt } from './press_prompt.ts'
import { atPlace, type Pressed, type State } from './state.ts'

export function press(before: State, key: Key, seen: Seen): Pressed {
  const state = before.message === undefined ? before : { ...before, message: undefined }
  if (state.prompt !== undefined) return pressInPrompt(state, state.prompt, key, seen)
  const binding = bindingOf(key.name, seen.screen.places, seen.keymap)
  if (binding === undefined) return { state, effects: [] }
  if (binding.action === 'click') return { state: click(state, seen, key.at), effects: [] }
  return act(state, seen, binding.action, key.name)
}

/** A click on a tab shows its panel, one on a panel of a layout gives it the keys, one on a row of a list selects it. */
function click(state: State, { screen }: Seen, at: Key['at']): State {
  if (at === undefined) return state
  const { status, tabs, body, panel, cells } = screen
  if (tabs.length > 0 && at.row === status.length) return show(state, viewAt(tabs[0], at.column))
  const list = panel?.list
  const row = at.row - status.length - tabs.length
  if (state.mode.kind !== 'panel' || row < 0 || row >= body.length) return state
  const cell = cells.find(
    ({ top, left, width, height }) => row >= top - 1 && row < top + height && at.column >= left && at.column <= left + width,
  )
  if (cell !== undefined && cell.view !== state.view) return show(state, cell.view)
  // In a layout headings of several panels stand side by side.
  if (list === undefined || cells.length > 1) return state
  // A list stands below the last heading of its panel.
  const top = body.findLastIndex(each => each.some(({ style }) => style === 'head')) + 1
  const index = list.first + row - top
  const id = row < top ? undefined : list.ids[index]
  return id === undefined ? state : atPlace(state, { selected: index, id })
}

/** The panel whose tab is in this column. */
function viewAt(tabs: Row, column: number): string | undefined {
  const text = plain(tabs)
  return VIEWS.find(view => {
    const label = new RegExp(`${VIEW_KEYS[view.name] ?? ''}[: ]?${tabName(view)}(?![a-z])`).exec(text)
    return label !== null && column >= label.index && column < label.index + label[0].length
  })?.name
}
