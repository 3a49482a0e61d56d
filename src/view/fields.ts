/**
 * The table of fields, by the flat names of sample/scalars.ts: what a figure means, in which unit, where it is read and
 * where the kernel makes it. `fieldOf` answers for any name, also one that only another kernel version has.
 */
import { kindOf } from '../sample/counters.ts'
import { type Field, type FieldGroups, type FieldRow, UNIT_WIDTH, type Unit } from './fields/field.ts'
import { MEMINFO } from './fields/meminfo.ts'
import { KHUGEPAGED, KSM, NUMASTAT, POOL, PRESSURE, THP_SIZE, ZONE, ZSWAP } from './fields/other.ts'
import { COST_KINDS, MIGRATION, USERFAULT } from './fields/simulated.ts'
import { VMSTAT_EVENTS } from './fields/vmstat_events.ts'
import { VMSTAT_LEVELS } from './fields/vmstat_levels.ts'
import { VMSTAT_VERSIONS } from './fields/vmstat_versions.ts'

export type { Field, Unit } from './fields/field.ts'

/** The file that each part of the table is of, and how a key is spelled in it. */
const PARTS: readonly { readonly groups: FieldGroups; readonly source: (key: string) => string }[] = [
  { groups: VMSTAT_LEVELS, source: key => `/proc/vmstat ${key}` },
  { groups: VMSTAT_EVENTS, source: key => `/proc/vmstat ${key}` },
  { groups: VMSTAT_VERSIONS, source: key => `/proc/vmstat ${key}` },
  { groups: MEMINFO, source: key => `/proc/meminfo ${key}` },
  { groups: PRESSURE, source: key => `/proc/pressure/memory ${key.slice(4).replace('_', ' ')}` },
  { groups: KHUGEPAGED, source: key => `/sys/kernel/mm/transparent_hugepage/${key.replace('_', '/')}` },
  { groups: KSM, source: key => `/sys/kernel/mm/ksm/${key.slice(4)}` },
  { groups: ZSWAP, source: key => `/sys/kernel/debug/zswap/${key.slice(6)}` },
  { groups: COST_KINDS, source: key => `/mmtop/costs ${key.slice(5)}` },
  { groups: MIGRATION, source: key => `/mmtop/postcopy ${key.slice(9)}` },
  { groups: USERFAULT, source: key => `/mmtop/userfaultfd ${key.slice(5)}` },
]

function fieldsOf(groups: FieldGroups, source: (key: string) => string): [string, Field][] {
  return Object.entries(groups).flatMap(([group, rows]) =>
    rows.map((row): [string, Field] => [row[0], toField(group, row, source(row[0]))]),
  )
}

function toField(group: string, [key, unit, help, kernel]: FieldRow, source: string): Field {
  return { key, title: key, unit, width: UNIT_WIDTH[unit], kind: kindOf(key), group, help, source, kernel }
}

/** Every scalar that is described, in the order of its file. */
export const SCALARS: ReadonlyMap<string, Field> = new Map(PARTS.flatMap(({ groups, source }) => fieldsOf(groups, source)))

/** The unit in which a field is read at a glance: pages per second are counted, pages standing on a list are memory. */
export function glanceUnit(field: Field): Unit {
  return field.kind === 'counter' && field.unit === 'pages' ? 'count' : field.unit
}

/** Names that stand below a node, a zone or a pool and nowhere else. */
const BELOW: ReadonlyMap<string, Field> = new Map([NUMASTAT, ZONE, POOL].flatMap(groups => fieldsOf(groups, key => key)))

/** Names that stand below each size of transparent huge pages. */
const SIZES: ReadonlyMap<string, Field> = new Map(fieldsOf(THP_SIZE, key => key))

const UNKNOWN = 'Not described here: a figure of another kernel version'

/** The field of any scalar; of one that the table does not know, what its name tells. */
export function fieldOf(key: string): Field {
  const known = SCALARS.get(key)
  if (known !== undefined) return known
  const group = /^cgroup:(.+):(current|swap)$/.exec(key)
  if (group !== null) return cgroupField(key, group[1], group[2])
  const place = /^N(\d+)\.(?:([^.]+)\.)?(.+)$/.exec(key)
  if (place !== null) return belowNode(key, place[1], place[2], place[3])
  const pool = /^hugetlb_(\d+kB)_(\w+)$/.exec(key)
  if (pool !== null)
    return { ...poolField(pool[2]), key, kind: kindOf(key), source: `/sys/kernel/mm/hugepages/hugepages-${pool[1]}/${pool[2]}` }
  const size = /^mthp_(\d+kB)_(\w+)$/.exec(key)
  if (size !== null) {
    const source = `/sys/kernel/mm/transparent_hugepage/hugepages-${size[1]}/stats/${size[2]}`
    const described = SIZES.get(size[2])
    return described === undefined ? unknown(key, 'thp', source) : { ...described, key, kind: kindOf(key), source }
  }
  return unknown(key, 'other', /[A-Z]/.test(key) ? `/proc/meminfo ${key}` : `/proc/vmstat ${key}`)
}

function unknown(key: string, group: string, source: string): Field {
  const unit: Unit = /^[A-Z]/.test(key) ? 'bytes' : key.startsWith('nr_') ? 'pages' : 'count'
  return { key, title: key, unit, width: UNIT_WIDTH[unit], kind: kindOf(key), group, help: UNKNOWN, source, kernel: '' }
}

function cgroupField(key: string, group: string, what: string): Field {
  const [file, help] =
    what === 'swap'
      ? ['memory.swap.current', 'Swap that the group and those below it use']
      : ['memory.current', 'Memory charged to the group and those below it']
  const source = `/sys/fs/cgroup/${group}/${file}`
  const kernel = 'mm/memcontrol.c memory_files'
  return { key, title: group, unit: 'bytes', width: UNIT_WIDTH.bytes, kind: 'gauge', group: 'cgroup', help, source, kernel }
}

function poolField(name: string): Field {
  return BELOW.get(name) ?? unknown(name, 'hugetlb', name)
}

function belowNode(key: string, node: string, zone: string | undefined, name: string): Field {
  const directory = `/sys/devices/system/node/node${node}/`
  const order = /^order(\d+)$/.exec(name)
  if (zone !== undefined && order !== null)
    return { ...orderField(Number(order[1])), key, source: `/proc/buddyinfo Node ${node}, zone ${zone}` }
  const base = { ...(BELOW.get(name) ?? fieldOf(name)), key, kind: kindOf(key), title: name }
  if (zone !== undefined) return { ...base, source: `/proc/zoneinfo Node ${node}, zone ${zone}: ${name}` }
  const pool = /^hugetlb_(\d+kB)_(\w+)$/.exec(name)
  if (pool !== null) return { ...base, source: `${directory}hugepages/hugepages-${pool[1]}/${pool[2]}` }
  const file = /^[A-Z]/.test(name) ? 'meminfo' : NUMASTAT['numa'].some(row => row[0] === name) ? 'numastat' : 'vmstat'
  return { ...base, source: `${directory}${file} ${name}` }
}

function orderField(order: number): Field {
  const help = `Free blocks of ${2 ** order} pages (${4 * 2 ** order} KiB)`
  const kernel = 'mm/vmstat.c frag_show_print'
  return { key: '', title: `order ${order}`, unit: 'count', width: 6, kind: 'gauge', group: 'free', help, source: '', kernel }
}
