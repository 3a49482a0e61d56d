/**
 * /sys/devices/system/node: each node's memory, counters, distances and CPUs, and which nodes there are.
 *
 * Source: drivers/base/node.c, mm/hugetlb.c hugetlb_report_node_meminfo.
 */
import { NS, NUMA, ZS } from '../kernel/base/counters.ts'
import type { Kernel, Node } from '../kernel/base/state.ts'
import { PAGE_KB, ZONE_NORMAL } from '../kernel/base/units.ts'
import type { At } from '../kernel/tunables_knob.ts'
import { type Directory, dir, type File, knobs, sysfs } from './file.ts'
import { column, listText, maskText } from './format.ts'
import { freePagesOf, nodeSum, numaSum, statLines, zoneSum, zonesOfNode } from './sums.ts'
import { nodePoolFiles } from './sysfs_hugetlb.ts'
import { nodeBlocks } from './sysfs_memory.ts'

type Row = readonly [label: string, kb: number]

function nodeMeminfo(k: Kernel, at: At): string {
  const rows = [...sizeRows(k, at.node), ...rowsOfUse(k, at.node), ...hugeRows(k, at.node)]
  const lines = rows.map(([label, kb]) => `Node ${at.node} ${label}${column(kb, 8)} kB\n`)
  return [...lines, hugetlbLines(k, at.node)].join('')
}

function sizeRows(k: Kernel, node: number): Row[] {
  const zones = zonesOfNode(k, node)
  const stat = (item: number) => nodeSum([k.nodes[node]], item) * PAGE_KB
  const total = zones.reduce((sum, zone) => sum + zone.managedPages, 0) * PAGE_KB
  const free = freePagesOf(zones) * PAGE_KB
  return [
    ['MemTotal:       ', total],
    ['MemFree:        ', free],
    ['MemUsed:        ', total - free],
    ['SwapCached:     ', stat(NS.nr_swapcached)],
    ['Active:         ', stat(NS.nr_active_anon) + stat(NS.nr_active_file)],
    ['Inactive:       ', stat(NS.nr_inactive_anon) + stat(NS.nr_inactive_file)],
    ['Active(anon):   ', stat(NS.nr_active_anon)],
    ['Inactive(anon): ', stat(NS.nr_inactive_anon)],
    ['Active(file):   ', stat(NS.nr_active_file)],
    ['Inactive(file): ', stat(NS.nr_inactive_file)],
    ['Unevictable:    ', stat(NS.nr_unevictable)],
    ['Mlocked:        ', zoneSum(zones, ZS.nr_mlock) * PAGE_KB],
  ]
}

function rowsOfUse(k: Kernel, node: number): Row[] {
  const stat = (item: number) => nodeSum([k.nodes[node]], item) * PAGE_KB
  const [reclaimable, unreclaimable] = [stat(NS.nr_slab_reclaimable), stat(NS.nr_slab_unreclaimable)]
  return [
    ['Dirty:          ', stat(NS.nr_dirty)],
    ['Writeback:      ', stat(NS.nr_writeback)],
    ['FilePages:      ', stat(NS.nr_file_pages)],
    ['Mapped:         ', stat(NS.nr_mapped)],
    ['AnonPages:      ', stat(NS.nr_anon_pages)],
    ['Shmem:          ', stat(NS.nr_shmem)],
    ['KernelStack:    ', nodeSum([k.nodes[node]], NS.nr_kernel_stack)],
    ['PageTables:     ', stat(NS.nr_page_table_pages)],
    ['SecPageTables:  ', stat(NS.nr_sec_page_table_pages)],
    ['NFS_Unstable:   ', 0],
    ['Bounce:         ', zoneSum(zonesOfNode(k, node), ZS.nr_bounce) * PAGE_KB],
    ['WritebackTmp:   ', stat(NS.nr_writeback_temp)],
    ['KReclaimable:   ', reclaimable + stat(NS.nr_kernel_misc_reclaimable)],
    ['Slab:           ', reclaimable + unreclaimable],
    ['SReclaimable:   ', reclaimable],
    ['SUnreclaim:     ', unreclaimable],
  ]
}

function hugeRows(k: Kernel, node: number): Row[] {
  const stat = (item: number) => nodeSum([k.nodes[node]], item) * PAGE_KB
  return [
    ['AnonHugePages:  ', stat(NS.nr_anon_transparent_hugepages)],
    ['ShmemHugePages: ', stat(NS.nr_shmem_hugepages)],
    ['ShmemPmdMapped: ', stat(NS.nr_shmem_pmdmapped)],
    ['FileHugePages: ', stat(NS.nr_file_hugepages)],
    ['FilePmdMapped: ', stat(NS.nr_file_pmdmapped)],
  ]
}

function hugetlbLines(k: Kernel, node: number): string {
  const h = k.hugetlb.hstates[k.hugetlb.defaultHstate]
  const line = (label: string, n: number) => `Node ${node} ${label}${column(n, 5)}\n`
  return (
    line('HugePages_Total: ', h.nrByNode[node]) +
    line('HugePages_Free:  ', h.freeByNode[node]) +
    line('HugePages_Surp:  ', h.surplusByNode[node])
  )
}

/** Words of numastat and the counters they stand for. */
const NUMASTAT: readonly (readonly [name: string, item: number])[] = [
  ['numa_hit', NUMA.numa_hit],
  ['numa_miss', NUMA.numa_miss],
  ['numa_foreign', NUMA.numa_foreign],
  ['interleave_hit', NUMA.numa_interleave],
  ['local_node', NUMA.numa_local],
  ['other_node', NUMA.numa_other],
]

const numastat = (k: Kernel, at: At): string =>
  NUMASTAT.map(([name, item]) => `${name} ${numaSum(zonesOfNode(k, at.node), item)}\n`).join('')

const onlineCpus = (k: Kernel, at: At): number[] => k.nodes[at.node].cpus.filter(id => k.cpus[id].online)

const nodeFiles: Directory = dir({
  ...knobs('/sys/devices/system/node/node{node}'),
  cpulist: sysfs((k, at) => `${listText(onlineCpus(k, at))}\n`),
  cpumap: sysfs((k, at) => `${maskText(onlineCpus(k, at), k.cpus.length)}\n`),
  distance: sysfs((k, at) => `${k.machine.distance[at.node].join(' ')}\n`),
  hugepages: dir({ 'hugepages-{size}kB': nodePoolFiles }),
  meminfo: sysfs(nodeMeminfo),
  'memory{block}': nodeBlocks,
  numastat: sysfs(numastat),
  vmstat: sysfs((k, at) => statLines(zonesOfNode(k, at.node), [k.nodes[at.node]]).join('')),
})

/** A list of the nodes for which something holds. */
const nodesWith = (holds: (k: Kernel, node: Node) => boolean): File =>
  sysfs(k => `${listText(k.nodes.filter(node => holds(k, node)).map(node => node.id))}\n`)

const hasMemory = (k: Kernel, node: Node, highest: number) =>
  zonesOfNode(k, node.id).some(zone => zone.type <= highest && zone.presentPages > 0)

export const nodeDirectory: Directory = dir({
  'node{node}': nodeFiles,
  has_cpu: nodesWith((k, node) => node.cpus.some(id => k.cpus[id].online)),
  has_generic_initiator: nodesWith(() => false),
  has_memory: nodesWith((k, node) => hasMemory(k, node, Number.POSITIVE_INFINITY)),
  has_normal_memory: nodesWith((k, node) => hasMemory(k, node, ZONE_NORMAL)),
  online: nodesWith(() => true),
  possible: nodesWith(() => true),
})
