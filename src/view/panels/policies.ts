/** Memory policies: which one, of which scope, governs a region, and where the region's pages really are. */
import type { Model } from '../../sample/model.ts'
import { type ChartOf, chartsOfMany } from '../chart.ts'
import { formatBytes, formatPercent, plural } from '../format.ts'
import { section } from '../layout.ts'
import type { Panel, PanelFunction, PanelUi } from '../panel.ts'
import { POLICY_COLUMNS, type PolicyRow, policyRows } from '../subjects/policies.ts'
import { type Clauses, filesOfTasks, knobFlow, words } from './common.ts'
import { listPanel } from './list_panel.ts'
import { openedTask } from './processes.ts'

const KNOBS = ['/proc/sys/kernel/numa_balancing', '/proc/sys/vm/zone_reclaim_mode', '/proc/sys/vm/numa_stat']
/** Processes whose regions are read. */
const WATCHED = 40

export const policies: PanelFunction = (model, ui, size): Panel => {
  const opened = openedTask(model, ui, size)
  if (opened !== undefined) return opened
  const rows = policyRows(model)
  const said = words(clauses(rows), size, ui.ascii)
  const knobs = section('knobs', knobFlow(model, KNOBS, size.width, ui), ui.ascii)
  return listPanel(model, ui, size, {
    above: [said, knobs],
    title: rows.length === 0 ? 'regions: none known' : 'regions',
    rows,
    before: policyRows,
    columns: POLICY_COLUMNS,
    idOf: row => `${row.pid} ${row.area.start}`,
    fallback: { key: 'bytes', descending: true },
    charts: () => chartsOf(model, ui),
    wants: filesOfTasks(model, WATCHED, ['numa_maps']),
  })
}

/** Whether pages got to where policies wanted them, and where they are. */
function chartsOf(model: Model, ui: PanelUi): ChartOf[] {
  const lines = model.sample.nodes().map(({ node }) => ({ name: `N${node}`, keys: [`N${node}.AnonPages`] }))
  const [anon] = lines.length === 0 ? [] : chartsOfMany(model, ui.zoom, { title: 'anonymous memory by node', lines }, 'nodes')
  return [ALLOCATIONS, ...(anon === undefined ? [] : [anon]), INTERLEAVED, MOVED]
}

const ALLOCATIONS: ChartOf = {
  title: 'allocations by where they were wanted',
  lines: [
    { name: 'there', keys: ['numa_hit'] },
    { name: 'elsewhere', keys: ['numa_miss'] },
  ],
}
const INTERLEAVED: ChartOf = { title: 'interleaved allocations', lines: [{ name: 'there', keys: ['numa_interleave'] }] }
const MOVED: ChartOf = {
  title: 'pages moved between nodes',
  lines: [
    { name: 'moved', keys: ['pgmigrate_success'] },
    { name: 'failed', keys: ['pgmigrate_fail'] },
  ],
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
