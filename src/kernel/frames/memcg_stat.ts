/**
 * The figures of a memory cgroup, in the order in which memory.stat and the report of the out-of-memory killer show them.
 *
 * They are of the group and all below it. Of the root's, what the machine counts for everyone is shown, but kernel memory only as
 * far as some group is charged for it.
 *
 * Source: mm/memcontrol.c (memory_stats, memory_stat_format, memory_numa_stat_show).
 */
import { EV, MS, NS } from '../base/counters.ts'
import type { Kernel } from '../base/state.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { lruvecState, memcgOf, memcgTree, ROOT_MEMCG } from './memcg.ts'

/** Figures of memory.stat: of NODE_STATS, of a unit of so many bytes (1 for events), or of MEMCG_STATS. */
type Row = readonly [name: string, item: number, unit: number]
const node = (name: string, item: number, unit = PAGE_SIZE): Row => [name, item, unit]
const own = (name: string, item: number, unit = PAGE_SIZE): Row => [name, -1 - item, unit]
const event = (name: string, item: number): Row => [name, item, 1]

const ROWS: readonly Row[] = [
  node('anon', NS.nr_anon_pages),
  node('file', NS.nr_file_pages),
  own('kernel', MS.kernel),
  node('kernel_stack', NS.nr_kernel_stack, 1024),
  node('pagetables', NS.nr_page_table_pages),
  node('sec_pagetables', NS.nr_sec_page_table_pages),
  own('percpu', MS.percpu, 1),
  own('sock', MS.sock),
  own('vmalloc', MS.vmalloc),
  node('shmem', NS.nr_shmem),
  own('zswap', MS.zswap, 1),
  own('zswapped', MS.zswapped),
  node('file_mapped', NS.nr_mapped),
  node('file_dirty', NS.nr_dirty),
  node('file_writeback', NS.nr_writeback),
  node('swapcached', NS.nr_swapcached),
  node('anon_thp', NS.nr_anon_transparent_hugepages),
  node('file_thp', NS.nr_file_hugepages),
  node('shmem_thp', NS.nr_shmem_hugepages),
  node('inactive_anon', NS.nr_inactive_anon),
  node('active_anon', NS.nr_active_anon),
  node('inactive_file', NS.nr_inactive_file),
  node('active_file', NS.nr_active_file),
  node('unevictable', NS.nr_unevictable),
  node('slab_reclaimable', NS.nr_slab_reclaimable, 1),
  node('slab_unreclaimable', NS.nr_slab_unreclaimable, 1),
  event('workingset_refault_anon', NS.workingset_refault_anon),
  event('workingset_refault_file', NS.workingset_refault_file),
  event('workingset_activate_anon', NS.workingset_activate_anon),
  event('workingset_activate_file', NS.workingset_activate_file),
  event('workingset_restore_anon', NS.workingset_restore_anon),
  event('workingset_restore_file', NS.workingset_restore_file),
  event('workingset_nodereclaim', NS.workingset_nodereclaim),
]

/** Kernel memory, which nobody is charged for in the root. */
const CHARGED_ONLY: readonly number[] = [
  NS.nr_kernel_stack,
  NS.nr_page_table_pages,
  NS.nr_sec_page_table_pages,
  NS.nr_slab_reclaimable,
  NS.nr_slab_unreclaimable,
]

const EVENTS = [
  'pgscan_kswapd',
  'pgscan_direct',
  'pgsteal_kswapd',
  'pgsteal_direct',
  'pgfault',
  'pgmajfault',
  'pgrefill',
  'pgactivate',
  'pgdeactivate',
  'pglazyfree',
  'pglazyfreed',
  'zswpin',
  'zswpout',
  'thp_fault_alloc',
  'thp_collapse_alloc',
] as const

/** A figure of the group and those below on one node. Pages of the swap cache are file pages for the node only. */
function onNode(k: Kernel, memcg: number, nid: number, item: number): number {
  const { lruvecs } = k.nodes[nid]
  const swapCache = memcg === ROOT_MEMCG && item === NS.nr_file_pages ? k.nodes[nid].stat[NS.nr_swapcached] : 0
  if (memcg !== ROOT_MEMCG || !CHARGED_ONLY.includes(item)) return lruvecState(k, lruvecs[memcg], nid, item) - swapCache
  return memcgTree(k, ROOT_MEMCG).reduce((sum, id) => (id === ROOT_MEMCG ? sum : sum + lruvecs[id].stat[item]), 0)
}

function figure(k: Kernel, memcg: number, [, item, unit]: Row): number {
  if (item < 0) return memcgTree(k, memcg).reduce((sum, id) => sum + memcgOf(k, id).stat[-1 - item], 0) * unit
  return k.nodes.reduce((sum, { id }) => sum + onNode(k, memcg, id, item), 0) * unit
}

/** An event of VM_EVENTS that the group's tasks and pages, and those below, have caused. */
function events(k: Kernel, memcg: number, item: number): number {
  if (memcg === ROOT_MEMCG) return k.event[item] + memcgOf(k, ROOT_MEMCG).vmEvents[item]
  return memcgTree(k, memcg).reduce((total, id) => total + memcgOf(k, id).vmEvents[item], 0)
}

/** The text of memory.stat (memory_stat_format). */
export function memcgStatText(k: Kernel, memcg: number): string {
  const lines = ROWS.map(row => [row[0], figure(k, memcg, row)] as const)
  const slab = lines.filter(([name]) => name.startsWith('slab_')).reduce((sum, [, bytes]) => sum + bytes, 0)
  const at = lines.findIndex(([name]) => name === 'slab_unreclaimable') + 1
  const counts = EVENTS.map(name => [name, events(k, memcg, EV[name])] as const)
  const both = (first: string) => counts.filter(([name]) => name.startsWith(`${first}_`)).reduce((sum, [, n]) => sum + n, 0)
  const all = [
    ...lines.slice(0, at),
    ['slab', slab],
    ...lines.slice(at),
    ['pgscan', both('pgscan')],
    ['pgsteal', both('pgsteal')],
    ...counts,
  ]
  return all.map(([name, value]) => `${name} ${value}\n`).join('')
}

/** The text of memory.numa_stat: what of memory.stat is of a node (memory_numa_stat_show). */
export const memcgNumaStatText = (k: Kernel, memcg: number): string =>
  ROWS.filter(([, item]) => item >= 0)
    .map(([name, item, unit]) => `${name}${k.nodes.map(({ id }) => ` N${id}=${onNode(k, memcg, id, item) * unit}`).join('')}\n`)
    .join('')
