/** NUMA nodes as rows. */
import { growth } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import type { NodeSample } from '../../sample/sample.ts'
import { fieldOf } from '../fields.ts'
import { type Column, column } from '../table.ts'

export interface NodeRow {
  readonly node: NodeSample
  readonly before: NodeSample | undefined
  readonly seconds: number
  /** Bytes a second that CPUs move from and to its memory, and those of other nodes among them; undefined where nobody counts. */
  readonly traffic: { readonly bytes: number; readonly remote: number; readonly limit: number } | undefined
}

export function nodeRows(model: Model): NodeRow[] {
  const before = model.previous?.nodes() ?? []
  return model.sample.nodes().map(node => ({
    node,
    before: before.find(old => old.node === node.node),
    seconds: model.seconds,
    traffic: trafficOf(model, node.node),
  }))
}

function trafficOf({ sample, previous, seconds }: Model, node: number): NodeRow['traffic'] {
  if (sample.traffic().size === 0 || previous === undefined || seconds <= 0) return undefined
  let [bytes, remote] = [0, 0]
  for (const [pair, total] of sample.traffic()) {
    const [from, to] = pair.split('.')
    if (to !== `N${node}`) continue
    const rate = growth(total, previous.traffic().get(pair) ?? 0) / seconds
    bytes += rate
    if (from !== to) remote += rate
  }
  return { bytes, remote, limit: sample.traffic().get(`N${node}.limit`) ?? 0 }
}

/** A total of numastat, per second. */
export function numastatRate({ node, before, seconds }: NodeRow, key: string): number | undefined {
  const [now, then] = [node.numastat.get(key), before?.numastat.get(key)]
  return now === undefined || then === undefined || seconds <= 0 ? undefined : growth(now, then) / seconds
}

export function usedBytes({ node }: NodeRow): number | undefined {
  const [total, free] = [node.meminfo.bytes.get('MemTotal'), node.meminfo.bytes.get('MemFree')]
  return total === undefined || free === undefined ? undefined : total - free
}

const memory = (key: string, title: string, priority: number): Column<NodeRow> => {
  const { help, kernel } = fieldOf(key)
  return column({
    key: `${key}_bytes`,
    title,
    unit: 'bytes',
    priority,
    help,
    kernel,
    source: `/sys/devices/system/node/nodeN/meminfo ${key}`,
    value: row => row.node.meminfo.bytes.get(key),
  })
}

const total = (key: string): Column<NodeRow> => {
  const { help, kernel } = fieldOf(`N0.${key}`)
  return column({
    key: `${key}_pages`,
    title: key,
    unit: 'count',
    kind: 'counter',
    priority: 9,
    help,
    kernel,
    source: `/sys/devices/system/node/nodeN/numastat ${key}`,
    value: row => row.node.numastat.get(key),
  })
}

const rate = (key: string, title: string, priority: number): Column<NodeRow> => {
  const { help, kernel } = fieldOf(`N0.${key}`)
  return column({
    key: `${key}_per_second`,
    title,
    unit: 'count',
    priority,
    help: `${help}, per second`,
    kernel,
    source: `/sys/devices/system/node/nodeN/numastat ${key}`,
    value: row => numastatRate(row, key),
    style: row => (['numa_miss', 'numa_foreign'].includes(key) && (numastatRate(row, key) ?? 0) > 0 ? 'warn' : 'value'),
  })
}

const ID: Column<NodeRow> = column({
  key: 'node',
  title: 'node',
  unit: 'text',
  width: 5,
  kind: 'label',
  priority: 0,
  help: 'NUMA node',
  source: '/sys/devices/system/node',
  value: ({ node }) => `N${node.node}`,
})

const MEMORY: readonly Column<NodeRow>[] = [
  memory('MemTotal', 'total', 0),
  memory('MemFree', 'free', 0),
  memory('AnonPages', 'anon', 1),
  memory('FilePages', 'file', 1),
  memory('AnonHugePages', 'thp', 2),
  memory('Shmem', 'shmem', 6),
  memory('Slab', 'slab', 4),
  memory('KernelStack', 'stacks', 8),
  memory('PageTables', 'tables', 7),
  memory('Dirty', 'dirty', 7),
]

const RATES: readonly Column<NodeRow>[] = [
  rate('numa_hit', 'hit/s', 1),
  rate('numa_miss', 'miss/s', 1),
  rate('numa_foreign', 'foreign/s', 3),
  rate('interleave_hit', 'ilv/s', 5),
  rate('local_node', 'local/s', 3),
  rate('other_node', 'other/s', 3),
]

const TRAFFIC: readonly Column<NodeRow>[] = [
  column({
    key: 'traffic_bytes_per_second',
    title: 'moved/s',
    unit: 'bytes',
    priority: 2,
    help: 'What CPUs move from and to its memory in a second',
    source: '/mmtop/traffic',
    value: row => row.traffic?.bytes,
  }),
  column({
    key: 'bandwidth_percent',
    title: 'of max',
    unit: 'percent',
    priority: 3,
    help: 'Share of that in what the node’s memory can move; near 100 everybody waits for it',
    source: '/mmtop/traffic',
    value: row => (row.traffic === undefined || row.traffic.limit <= 0 ? undefined : (row.traffic.bytes / row.traffic.limit) * 100),
    style: row => (row.traffic !== undefined && row.traffic.bytes > 0.9 * row.traffic.limit ? 'warn' : 'value'),
  }),
  column({
    key: 'remote_percent',
    title: 'remote',
    unit: 'percent',
    priority: 2,
    help: 'Share of that by CPUs of other nodes, for which it takes longer',
    source: '/mmtop/traffic',
    value: row => (row.traffic === undefined || row.traffic.bytes <= 0 ? undefined : (row.traffic.remote / row.traffic.bytes) * 100),
    style: row => ((row.traffic?.remote ?? 0) > 0 ? 'warn' : 'value'),
  }),
]

/** What the screen shows. */
export const NODE_COLUMNS: readonly Column<NodeRow>[] = [ID, ...MEMORY, ...TRAFFIC, ...RATES]

/** What the headless formats give: totals too. */
export const NODE_TABLE: readonly Column<NodeRow>[] = [
  ID,
  ...MEMORY,
  ...['numa_hit', 'numa_miss', 'numa_foreign', 'interleave_hit', 'local_node', 'other_node'].map(total),
  ...RATES,
  ...TRAFFIC,
]
