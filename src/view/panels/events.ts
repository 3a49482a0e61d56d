/** Events: what happened and when; a row opened takes all panels to that moment. */
import type { Model } from '../../sample/model.ts'
import { EVENT_KINDS } from '../../sample/source.ts'
import { plural } from '../format.ts'
import { toPanel } from '../layout.ts'
import type { Panel, PanelFunction } from '../panel.ts'
import { EVENT_COLUMNS, type EventRow, eventRows, isNotable } from '../subjects/events.ts'
import { drawList, listRows } from '../table.ts'
import { type Clauses, words } from './common.ts'

export const events: PanelFunction = (model, ui, size): Panel => {
  const rows = eventRows(model)
  const said = words(clauses(model, rows), size, ui.ascii)
  const height = size.height - said.rows.length
  const listed = listRows(ui.moving ? rows.filter(isNotable) : rows, EVENT_COLUMNS, row => row.id, {
    model,
    ui,
    height: height - 1,
    fallback: undefined,
  })
  return toPanel([said, drawList(listed, EVENT_COLUMNS, { model, ui, width: size.width, height })], size, ui, { list: listed.state })
}

function clauses(model: Model, rows: readonly EventRow[]): Clauses {
  if (rows.length === 0) return [model.kind === 'host' ? 'Nothing happened since watching began' : 'Nothing happened yet']
  const counts = EVENT_KINDS.map(kind => ({ kind, count: rows.filter(row => row.kind === kind).length })).filter(({ count }) => count > 0)
  return [
    `${plural(rows.length, 'event')}: ${counts.map(({ kind, count }) => `${count} ${kind}`).join(', ')}`,
    'Enter goes to the moment of one; m leaves out the lines of the workload; filters know kinds: /kswapd',
  ]
}
