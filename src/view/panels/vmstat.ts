/** Every counter of /proc/vmstat: value, per second, since watching began, and its recent past. */
import type { Model } from '../../sample/model.ts'
import { SCALARS } from '../fields.ts'
import { formatCount } from '../format.ts'
import type { Panel, PanelFunction } from '../panel.ts'
import { type Clauses, notHere, words } from './common.ts'
import { type CounterRow, counterPanel, counterRows, hasMoved } from './counter_list.ts'
import { chartsOf } from './overview.ts'

const SOURCE = '/proc/vmstat'

export const vmstat: PanelFunction = (model, ui, size): Panel => {
  const rows = counterRows(model, model.sample.vmstat().keys())
  const said = words([...lacking(model, ui.filter), ...clauses(model, rows)], size, ui.ascii)
  return counterPanel(model, ui, size, { above: [said], rows, charts: chartsOf(model) })
}

/** Counters that a filter names in full and that only other kernels have. */
function lacking(model: Model, filter: string): Clauses {
  const names = filter.split('&').map(term => term.trim())
  return names
    .filter(name => SCALARS.get(name)?.source.startsWith(SOURCE) === true && !model.scalars.has(name))
    .map(name => `counter ${name} is ${notHere(model)}`)
}

function clauses(model: Model, rows: readonly CounterRow[]): Clauses {
  const moved = rows.filter(hasMoved)
  const fastest = rows.filter(row => (row.rate ?? 0) > 0).sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0))
  return [
    `${rows.length} counters`,
    model.before === undefined ? 'rates follow with the next sample' : `${moved.length} moved since the sample before`,
    fastest.length > 0 &&
      `fastest: ${fastest
        .slice(0, 3)
        .map(row => `${row.field.key} ${formatCount(row.rate ?? 0)}/s`)
        .join(', ')}`,
  ]
}
