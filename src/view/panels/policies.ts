/** Memory policies: which one, of which scope, governs a region, and where the region's pages really are. */
import { formatBytes, formatPercent, plural } from '../format.ts'
import { section, toPanel } from '../layout.ts'
import type { Panel, PanelFunction } from '../panel.ts'
import { POLICY_COLUMNS, type PolicyRow, policyRows } from '../subjects/policies.ts'
import { drawList, listRows } from '../table.ts'
import { type Clauses, filesOfTasks, knobFlow, words } from './common.ts'

const KNOBS = ['/proc/sys/kernel/numa_balancing', '/proc/sys/vm/zone_reclaim_mode', '/proc/sys/vm/numa_stat']
/** Processes whose regions are read. */
const WATCHED = 40

export const policies: PanelFunction = (model, ui, size): Panel => {
  const rows = policyRows(model)
  const said = words(clauses(rows), size, ui.ascii)
  const knobs = section('knobs', knobFlow(model, KNOBS, size.width, ui), ui.ascii)
  const height = size.height - said.rows.length - knobs.rows.length - 1
  const listed = listRows(rows, POLICY_COLUMNS, row => `${row.pid} ${row.area.start}`, {
    model,
    ui,
    height: height - 1,
    fallback: { key: 'bytes', descending: true },
  })
  const list = section('regions', drawList(listed, POLICY_COLUMNS, { model, ui, width: size.width, height }), ui.ascii)
  const wants = filesOfTasks(model, WATCHED, ['numa_maps'])
  return toPanel([said, knobs, ...(rows.length === 0 ? [] : [list])], size, ui, { list: listed.state, wants })
}

function clauses(rows: readonly PolicyRow[]): Clauses {
  if (rows.length === 0) return ['No numa_maps of a process is known here']
  const all = rows.reduce((sum, row) => sum + row.bytes, 0)
  const of = (scope: PolicyRow['scope']) => rows.filter(row => row.scope === scope)
  const share = (scope: PolicyRow['scope']) => formatPercent((of(scope).reduce((sum, row) => sum + row.bytes, 0) / Math.max(1, all)) * 100)
  const stray = rows.reduce((sum, row) => sum + (row.strayBytes ?? 0), 0)
  const own = of('region').length + of('object').length
  return [
    `${formatBytes(all)} in ${plural(rows.length, 'region')}: ${share('system')} under the system default, ${share('task')} under task policies`,
    own > 0 && `${plural(own, 'region')} with a policy of its own`,
    stray > 0 ? `${formatBytes(stray)} on nodes that the policy does not name` : 'nothing astray',
  ]
}
