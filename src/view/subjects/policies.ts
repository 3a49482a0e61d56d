/**
 * Regions of processes as rows, by the memory policy that governs them.
 *
 * numa_maps shows one policy a region and not where it comes from. The stack, on which nobody sets a policy of its own, shows the
 * task's; a region that shows another one has its own, or is of a shared object that has.
 */
import type { Model } from '../../sample/model.ts'
import type { NumaArea } from '../../sample/parse/pid_maps.ts'
import type { Task } from '../../sample/sample.ts'
import { formatBytes } from '../format.ts'
import { sparkText } from '../glyphs.ts'
import { span } from '../panel.ts'
import { type Column, column } from '../table.ts'
import { fitText } from '../width.ts'
import { pidColumn, taskName } from './tasks.ts'

export type Scope = 'system' | 'task' | 'region' | 'object'

export interface PolicyRow {
  readonly pid: number
  readonly process: string
  readonly area: NumaArea
  readonly scope: Scope
  /** The machine's nodes, and bytes on each. */
  readonly nodes: readonly number[]
  readonly nodeBytes: readonly number[]
  readonly bytes: number
  /** Bytes on nodes that the policy does not name; undefined where it names none. */
  readonly strayBytes: number | undefined
}

/** Objects whose policy all who map them share. */
const SHARED = /^(\/dev\/zero|\/SYSV|\/memfd:|\/dev\/shm\/)/

const policyOfTask = (task: Task): string => task.numaMaps.find(({ kind }) => kind === 'stack')?.policy ?? 'default'

function scopeOf({ policy, file }: NumaArea, ofTask: string): Scope {
  if (policy !== ofTask) return SHARED.test(file) ? 'object' : 'region'
  return policy === 'default' ? 'system' : 'task'
}

/** Nodes that a policy names: those behind its last colon. */
export function policyNodes(policy: string): readonly number[] | undefined {
  const list = /:([\d,-]+)$/.exec(policy)?.[1]
  return list?.split(',').flatMap(part => {
    const [first, last = first] = part.split('-').map(Number)
    return Array.from({ length: Math.max(0, Math.min(last - first + 1, 1024)) }, (_, i) => first + i)
  })
}

/** Regions with pages, of processes whose numa_maps are known. */
export function policyRows(model: Model): PolicyRow[] {
  const nodes = model.sample.nodes().map(({ node }) => node)
  return model.sample.tasks().flatMap(task => {
    const ofTask = policyOfTask(task)
    const process = taskName(task)
    return task.numaMaps.flatMap(area => {
      const nodeBytes = nodes.map(node => (area.pages.get(`N${node}`) ?? 0) * area.pageBytes)
      const bytes = nodeBytes.reduce((sum, each) => sum + each, 0)
      if (bytes === 0 && area.policy === ofTask) return []
      const named = policyNodes(area.policy)
      const strayBytes =
        named === undefined ? undefined : nodeBytes.reduce((sum, each, i) => (named.includes(nodes[i]) ? sum : sum + each), 0)
      return [{ pid: task.pid, process, area, scope: scopeOf(area, ofTask), nodes, nodeBytes, bytes, strayBytes }]
    })
  })
}

const NUMA_MAPS = '/proc/PID/numa_maps'
const SHOW = 'fs/proc/task_mmu.c show_numa_map'

const label = (key: string, title: string, width: number, priority: number, help: string, value: (row: PolicyRow) => string | number) =>
  column<PolicyRow>({ key, title, unit: 'text', width, kind: 'label', priority, help, source: NUMA_MAPS, kernel: SHOW, value })

export const POLICY_COLUMNS: readonly Column<PolicyRow>[] = [
  pidColumn(row => row.pid),
  label('process', 'process', 10, 0, 'Process that maps the region', row => row.process),
  label('start', 'region', 12, 0, 'First address of the region', row => row.area.start),
  label('policy', 'policy', 18, 0, 'Policy that governs pages to come', row => row.area.policy),
  label(
    'scope',
    'scope',
    7,
    1,
    "Whose policy that is: the system's, the task's, the region's own, or the shared object's",
    row => row.scope,
  ),
  column({
    key: 'bytes',
    title: 'memory',
    unit: 'bytes',
    priority: 1,
    help: 'Memory of the region that is there',
    source: `${NUMA_MAPS} N0= N1= ...`,
    kernel: SHOW,
    value: row => row.bytes,
  }),
  column({
    key: 'stray_bytes',
    title: 'astray',
    unit: 'bytes',
    priority: 2,
    help: 'Memory on nodes that the policy does not name: from before it was set, or because those were full',
    source: `${NUMA_MAPS} N0= N1= ...`,
    value: row => row.strayBytes,
    style: row => ((row.strayBytes ?? 0) > 0 ? 'warn' : 'value'),
  }),
  column({
    key: 'node_bytes',
    title: 'by node',
    unit: 'text',
    width: 8,
    kind: 'label',
    priority: 1,
    help: 'How the region is spread over the nodes: one bar a node',
    source: `${NUMA_MAPS} N0= N1= ...`,
    value: row => row.nodeBytes.join(' '),
    draw: (row, _model, ascii) => [
      span(fitText(sparkText(row.nodeBytes, Math.max(1, ...row.nodeBytes), ascii), 8), 'series1', 'node_bytes'),
    ],
  }),
  column({
    key: 'node_figures',
    title: 'on nodes',
    unit: 'text',
    width: 24,
    kind: 'label',
    priority: 4,
    help: 'Memory of the region on each node that has some',
    source: `${NUMA_MAPS} N0= N1= ...`,
    value: row => row.nodeBytes.flatMap((bytes, i) => (bytes > 0 ? [`N${row.nodes[i]}=${formatBytes(bytes)}`] : [])).join(' '),
  }),
  column({
    key: 'what',
    title: 'what it is',
    unit: 'text',
    width: 12,
    kind: 'label',
    priority: 3,
    grows: true,
    help: 'File, heap, stack or huge TLB pages',
    source: NUMA_MAPS,
    value: ({ area }) =>
      [area.file, area.kind === 'private' ? '' : area.kind, area.huge ? 'huge' : ''].filter(word => word !== '').join(' '),
  }),
]
