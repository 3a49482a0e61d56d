/**
 * A sample in OpenMetrics text format 1.0. Names are node_exporter's after our own prefix, so that its dashboards need one
 * replacement: mmtop_vmstat_pgfault, mmtop_memory_MemFree_bytes, mmtop_zoneinfo_low_pages{node,zone} ... What
 * node_exporter does not have follows the same rules: base units, the unit last, _total on totals.
 *
 * What it has nothing like is in openmetrics_more.ts.
 *
 * vmstat is of type "unknown", as node_exporter has it untyped: its names cannot carry the _total that a counter must.
 */
import { kindOf } from '../../sample/counters.ts'
import type { Model } from '../../sample/model.ts'
import { fieldOf } from '../fields.ts'
import { type KnobRow, knobRows } from '../subjects/knobs.ts'
import { taskRows } from '../subjects/tasks.ts'
import { type Add, addMore } from './openmetrics_more.ts'

type Labels = Readonly<Record<string, string>>

interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'unknown' | 'info'
  readonly unit: string
  readonly help: string
  readonly samples: { readonly labels: Labels; readonly value: number }[]
}

const PREFIX = 'mmtop_'
/** What node_exporter has under the same names. */
const KNOWN = /^(vmstat|memory|memory_numa|zoneinfo|buddyinfo|slabinfo|pressure|ksmd)_/

/** @param prefix of the names that node_exporter has: its own, where its dashboards are to be fed as they are */
export function asOpenMetrics(model: Model, prefix = PREFIX): string {
  const families = new Map<string, Family>()
  const given = new Set<string>()
  const add = (family: Omit<Family, 'samples'>, labels: Labels, value: number | undefined) => {
    const series = family.name + labelText(labels)
    if (value === undefined || Number.isNaN(value) || given.has(series)) return
    given.add(series)
    const known = families.get(family.name) ?? { ...family, samples: [] }
    known.samples.push({ labels, value })
    families.set(family.name, known)
  }
  addMachine(model, add)
  addScalars(model, add)
  addPlaces(model, add)
  addPools(model, add)
  addSlabs(model, add)
  addTasks(model, add)
  addKnobs(model, add)
  addMore(model, add)
  return `${[...families.values()].map(family => familyText(family, KNOWN.test(family.name) ? prefix : PREFIX)).join('')}# EOF\n`
}

function familyText({ name, type, unit, help, samples }: Family, prefix: string): string {
  const suffix = type === 'counter' ? '_total' : type === 'info' ? '_info' : ''
  const head = [
    `# TYPE ${prefix}${name} ${type}`,
    ...(unit === '' ? [] : [`# UNIT ${prefix}${name} ${unit}`]),
    `# HELP ${prefix}${name} ${escaped(help)}`,
  ]
  const lines = samples.map(({ labels, value }) => `${prefix}${name}${suffix}${labelText(labels)} ${numberText(value)}`)
  return [...head, ...lines].map(line => `${line}\n`).join('')
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const numberText = (value: number): string => (value === Number.POSITIVE_INFINITY ? '+Inf' : String(value))

/** A metric name may hold letters, digits and underscores. */
const safe = (key: string): string => key.replace(/[^a-zA-Z0-9]+/g, '_').replace(/_+$/, '')

function addMachine(model: Model, add: Add): void {
  const labels = { kind: model.kind, title: model.title, model: model.sample.machine().get('model') ?? '' }
  add({ name: 'source', type: 'info', unit: '', help: 'What is watched' }, labels, 1)
  add({ name: 'time_seconds', type: 'gauge', unit: 'seconds', help: 'Machine time since watching could begin' }, {}, model.sample.ns / 1e9)
}

function addScalars(model: Model, add: Add): void {
  for (const [key, value] of model.sample.vmstat())
    add({ name: `vmstat_${safe(key)}`, type: 'unknown', unit: '', help: fieldOf(key).help }, {}, value)
  for (const [key, value] of model.sample.meminfo().bytes)
    add({ name: `memory_${safe(key)}_bytes`, type: 'gauge', unit: 'bytes', help: fieldOf(key).help }, {}, value)
  for (const [key, value] of model.sample.meminfo().counts)
    add({ name: `memory_${safe(key)}`, type: 'gauge', unit: '', help: fieldOf(key).help }, {}, value)
  const { some, full } = model.sample.pressure()
  const stalled = (name: string, key: string, us: number | undefined) =>
    add(
      { name: `pressure_memory_${name}_seconds`, type: 'counter', unit: 'seconds', help: fieldOf(key).help },
      {},
      us === undefined ? undefined : us / 1e6,
    )
  stalled('waiting', 'psi_some_total', some?.totalUs)
  stalled('stalled', 'psi_full_total', full?.totalUs)
  for (const [key, value] of model.scalars) addOther(key, value, add)
}

/** khugepaged, KSM (node_exporter's ksmd), zswap and the counters of each huge page size. */
function addOther(key: string, value: number, add: Add): void {
  const family = /^(ksm|khugepaged|zswap|mthp)_(.+)$/.exec(key)
  if (family === null) return
  const { help, unit } = fieldOf(key)
  const size = /^mthp_(\d+kB)_(\w+)$/.exec(key)
  const type = kindOf(key)
  const name = `${family[1] === 'ksm' ? 'ksmd' : family[1]}_${safe(family[2].replace(/_?millisecs$/, ''))}`
  if (size !== null) add({ name: `thp_size_${safe(size[2])}`, type, unit: '', help }, { size: size[1] }, value)
  else if (unit === 'ms') add({ name: `${name}_seconds`, type, unit: 'seconds', help }, {}, value / 1e3)
  else if (unit === 'bytes') add({ name: `${name}_bytes`, type, unit: 'bytes', help }, {}, value)
  else add({ name, type, unit: '', help }, {}, value)
}

/** Nodes, zones and free blocks. */
function addPlaces(model: Model, add: Add): void {
  for (const { node, meminfo, numastat } of model.sample.nodes()) {
    const labels = { node: String(node) }
    for (const part of [meminfo.bytes, meminfo.counts])
      for (const [key, value] of part)
        add({ name: `memory_numa_${safe(key)}`, type: 'gauge', unit: '', help: `${fieldOf(key).help}, by node` }, labels, value)
    for (const [key, value] of numastat)
      add({ name: `memory_numa_${safe(key)}`, type: 'counter', unit: '', help: fieldOf(`N0.${key}`).help }, labels, value)
  }
  for (const { node, zone, pages, stats } of model.sample.zones()) {
    const labels = { node: String(node), zone }
    for (const [key, value] of pages)
      if (key !== 'free')
        add({ name: `zoneinfo_${safe(key)}_pages`, type: 'gauge', unit: 'pages', help: fieldOf(`N0.DMA.${key}`).help }, labels, value)
    for (const [key, value] of stats) {
      const gauge = kindOf(key) === 'gauge'
      const name = gauge && !key.endsWith('_pages') ? `${safe(key)}_pages` : safe(key)
      add(
        { name: `zoneinfo_${name}`, type: gauge ? 'gauge' : 'counter', unit: gauge ? 'pages' : '', help: `${fieldOf(key).help}, by zone` },
        labels,
        value,
      )
    }
  }
  for (const { node, zone, blocks } of model.sample.buddy())
    for (const [order, value] of blocks.entries())
      add(
        { name: 'buddyinfo_blocks', type: 'gauge', unit: 'blocks', help: 'Free blocks of 2^size pages' },
        { node: String(node), zone, size: String(order) },
        value,
      )
}

function addPools(model: Model, add: Add): void {
  for (const { node, sizeKb, pages } of model.sample.pools()) {
    const labels = { size: `${sizeKb}kB`, ...(node === undefined ? {} : { node: String(node) }) }
    for (const [key, value] of pages)
      add(
        {
          name: `hugetlb_${node === undefined ? '' : 'node_'}${safe(key)}`,
          type: 'gauge',
          unit: '',
          help: fieldOf(`hugetlb_2048kB_${key}`).help,
        },
        labels,
        value,
      )
  }
}

function addSlabs(model: Model, add: Add): void {
  const gauge = (name: string, help: string, unit = '') => ({ name: `slabinfo_${name}`, type: 'gauge' as const, unit, help })
  for (const slab of model.sample.slabs()) {
    const labels = { slab: slab.name }
    add(gauge('active_objects', 'Objects in use'), labels, slab.activeObjects)
    add(gauge('objects', 'Objects allocated'), labels, slab.objects)
    add(gauge('object_size_bytes', 'Size of an object', 'bytes'), labels, slab.objectSizeBytes)
    add(gauge('objects_per_slab', 'Objects in a slab'), labels, slab.objectsPerSlab)
    add(gauge('pages_per_slab', 'Pages in a slab'), labels, slab.pagesPerSlab)
  }
}

function addTasks(model: Model, add: Add): void {
  for (const { pid, name, task, rssBytes } of taskRows(model)) {
    const labels = { pid: String(pid), name }
    const bytes = (what: string, help: string) => ({ name: `task_${what}_bytes`, type: 'gauge' as const, unit: 'bytes', help })
    add(bytes('resident', 'Memory in use'), labels, rssBytes)
    add(bytes('proportional', 'Memory in use, each shared page divided by its users'), labels, task.rollup?.get('Pss'))
    add(bytes('anon_huge', 'Anonymous memory mapped by huge entries'), labels, task.rollup?.get('AnonHugePages'))
    add(bytes('swapped', 'Memory swapped out'), labels, task.status?.bytes.get('VmSwap'))
    const faults = task.stat ?? task.named
    add({ name: 'task_minor_faults', type: 'counter', unit: '', help: 'Minor page faults' }, labels, faults?.minflt)
    add({ name: 'task_major_faults', type: 'counter', unit: '', help: 'Major page faults' }, labels, faults?.majflt)
    add({ name: 'task_oom_score', type: 'gauge', unit: '', help: 'How soon the OOM killer would pick it' }, labels, task.oomScore)
  }
}

/** Knobs that are numbers as gauges, words as labels of an info. */
function addKnobs(model: Model, add: Add): void {
  const isNumber = ({ value }: KnobRow) => value !== undefined && /^-?\d{1,20}$/.test(value)
  const known = knobRows(model).filter(row => row.value !== undefined)
  for (const row of known.filter(isNumber))
    add({ name: 'knob_value', type: 'gauge', unit: '', help: 'What a knob is set to' }, { path: row.tunable.path }, Number(row.value))
  for (const row of known.filter(each => !isNumber(each)))
    add(
      { name: 'knob', type: 'info', unit: '', help: 'What a knob that is no number is set to' },
      { path: row.tunable.path, value: row.value ?? '' },
      1,
    )
}
