/** Every knob of the source: value, default, range, and what changing it does. */

import { plural } from '../format.ts'
import { toPanel } from '../layout.ts'
import type { Panel, PanelFunction } from '../panel.ts'
import { KNOB_COLUMNS, knobRows, shortPath } from '../subjects/knobs.ts'
import { drawList, listRows } from '../table.ts'
import { words } from './common.ts'

export const tunables: PanelFunction = (model, ui, size): Panel => {
  const rows = knobRows(model)
  const changed = rows.filter(row => row.changed === true)
  const list = changed.slice(0, 4).map(row => `${shortPath(row.tunable.path)}=${row.value}`)
  const turned = model.events.findLast(event => event.kind === 'knob')
  const facts = [
    rows.length === 0 ? 'this source has no knobs' : plural(rows.length, 'knob'),
    rows.length > 0 &&
      (changed.length === 0
        ? 'none known to differ from its default'
        : `${changed.length} not at the default: ${list.join(', ')}${changed.length > 4 ? ' ...' : ''}`),
    turned !== undefined && `last turned: ${turned.text}`,
  ]
  const said = words(facts, size, ui.ascii)
  const height = size.height - said.rows.length
  const shown = ui.moving ? changed : rows
  const listed = listRows(shown, KNOB_COLUMNS, row => row.tunable.path, { model, ui, height: height - 1, fallback: undefined })
  const wants = rows.flatMap(row => (row.text === undefined ? [row.tunable.path] : []))
  return toPanel([said, drawList(listed, KNOB_COLUMNS, { model, ui, width: size.width, height })], size, ui, { list: listed.state, wants })
}
