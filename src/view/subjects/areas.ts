/** The memory areas of one process as rows: smaps and numa_maps joined by start address. */
import type { NumaArea, SmapsArea } from '../../sample/parse/pid_maps.ts'
import type { Task } from '../../sample/sample.ts'
import { type Column, column } from '../table.ts'

const HUGE_BYTES = 2 * 1024 * 1024

export interface AreaRow extends SmapsArea {
  readonly numa: NumaArea | undefined
}

export function areaRows(task: Task): AreaRow[] {
  const numa = new Map(task.numaMaps.map(area => [area.start, area]))
  return task.smaps.map(area => ({ ...area, numa: numa.get(area.start) }))
}

const bytesIn = (area: AreaRow, key: string): number => area.bytes.get(key) ?? 0

function hugePercent(area: AreaRow): number | undefined {
  const rss = bytesIn(area, 'Rss')
  return rss === 0
    ? undefined
    : ((bytesIn(area, 'AnonHugePages') + bytesIn(area, 'ShmemPmdMapped') + bytesIn(area, 'FilePmdMapped')) / rss) * 100
}

/** Whether a 2 MiB aligned range of 2 MiB lies within the area. */
function holdsHugeRange({ start, end }: AreaRow): boolean {
  const size = BigInt(HUGE_BYTES)
  const first = ((BigInt(`0x${start}`) + size - 1n) / size) * size
  return first + size <= BigInt(`0x${end}`)
}

/** Why an area has no huge pages, as far as its own files say: alignment, advice, or what the kernel answers (THPeligible). */
function whyNotHuge(area: AreaRow): string {
  if (area.flags.includes('ht')) return 'hugetlb'
  if ((hugePercent(area) ?? 0) >= 99.9) return ''
  if (area.flags.includes('nh')) return 'MADV_NOHUGEPAGE'
  if (!holdsHugeRange(area)) return 'no aligned 2 MiB in it'
  if (area.thpEligible === false) return 'not eligible'
  return bytesIn(area, 'Rss') === 0 ? 'not touched' : 'not collapsed yet'
}

function nodesOf(area: AreaRow): string | undefined {
  if (area.numa === undefined) return undefined
  const cells = [...area.numa.pages].filter(([key]) => /^N\d+$/.test(key))
  return cells.map(([key, pages]) => `${key}=${pages}`).join(' ')
}

const bytes = (key: string, field: string, title: string, priority: number, help: string): Column<AreaRow> =>
  column({
    key,
    title,
    unit: 'bytes',
    priority,
    help,
    source: `/proc/PID/smaps ${field}`,
    kernel: 'fs/proc/task_mmu.c show_smap',
    value: area => area.bytes.get(field),
  })

export const AREA_COLUMNS: readonly Column<AreaRow>[] = [
  column({
    key: 'start',
    title: 'start',
    unit: 'text',
    width: 12,
    kind: 'label',
    priority: 0,
    help: 'First address',
    source: '/proc/PID/smaps',
    value: area => area.start,
  }),
  column({
    key: 'perms',
    title: 'perm',
    unit: 'text',
    width: 4,
    kind: 'label',
    priority: 5,
    help: 'Read, write, execute, private or shared',
    source: '/proc/PID/smaps',
    value: area => area.perms,
  }),
  bytes('size_bytes', 'Size', 'size', 1, 'Length of the area'),
  bytes('rss_bytes', 'Rss', 'RSS', 0, 'Memory in use'),
  bytes('pss_bytes', 'Pss', 'PSS', 4, 'Memory in use, each shared page divided by its users'),
  column({
    key: 'huge_percent',
    title: 'THP%',
    unit: 'percent',
    priority: 1,
    help: 'Share that is mapped by huge entries',
    source: '/proc/PID/smaps AnonHugePages / Rss',
    value: hugePercent,
  }),
  bytes('swap_bytes', 'Swap', 'swap', 3, 'Memory swapped out'),
  bytes('locked_bytes', 'Locked', 'locked', 7, 'Memory locked'),
  column({
    key: 'policy',
    title: 'policy',
    unit: 'text',
    width: 14,
    kind: 'label',
    priority: 3,
    help: 'NUMA policy',
    source: '/proc/PID/numa_maps',
    kernel: 'mm/mempolicy.c mpol_to_str',
    value: area => area.numa?.policy,
  }),
  column({
    key: 'nodes',
    title: 'pages by node',
    unit: 'text',
    width: 18,
    kind: 'label',
    priority: 4,
    help: 'Pages on each node',
    source: '/proc/PID/numa_maps N0=',
    kernel: 'fs/proc/task_mmu.c show_numa_map',
    value: nodesOf,
  }),
  column({
    key: 'why',
    title: 'why not huge',
    unit: 'text',
    width: 22,
    kind: 'label',
    priority: 2,
    help: 'From alignment, VmFlags and THPeligible',
    source: '/proc/PID/smaps VmFlags, THPeligible',
    value: whyNotHuge,
  }),
  column({
    key: 'flags',
    title: 'VmFlags',
    unit: 'text',
    width: 24,
    kind: 'label',
    priority: 6,
    help: 'Flags of the area',
    source: '/proc/PID/smaps VmFlags',
    kernel: 'fs/proc/task_mmu.c show_smap_vma_flags',
    value: area => area.flags.join(' '),
  }),
  column({
    key: 'name',
    title: 'name',
    unit: 'text',
    width: 10,
    kind: 'label',
    priority: 2,
    grows: true,
    help: 'File or kind of the area',
    source: '/proc/PID/smaps',
    value: area => area.name,
  }),
]
