/** Counters of the whole machine, of a node, of a zone: the figures that vmstat, meminfo and the nodes' files share. */
import { NODE_STATS, NS, NUMA_STATS, ZONE_STATS, ZS } from '../kernel/base/counters.ts'
import type { Kernel, Node, Zone } from '../kernel/base/state.ts'
import { HPAGE_PMD_NR, MAX_NR_ZONES } from '../kernel/base/units.ts'

/** Counted in pages, printed in huge pages by vmstat and zoneinfo. */
const IN_THP: ReadonlySet<number> = new Set([
  NS.nr_anon_transparent_hugepages,
  NS.nr_shmem_hugepages,
  NS.nr_shmem_pmdmapped,
  NS.nr_file_hugepages,
  NS.nr_file_pmdmapped,
])

export const zonesOfNode = (k: Kernel, node: number): Zone[] => k.zones.slice(node * MAX_NR_ZONES, (node + 1) * MAX_NR_ZONES)

/** Readers never see the moments in which a counter is below zero. */
const shown = (n: number) => Math.max(0, n)

export function zoneSum(zones: readonly Zone[], item: number): number {
  let sum = 0
  for (const zone of zones) sum += zone.stat[item]
  return shown(sum)
}

export function nodeSum(nodes: readonly Node[], item: number): number {
  let sum = 0
  for (const node of nodes) sum += node.stat[item]
  return shown(sum)
}

export function numaSum(zones: readonly Zone[], item: number): number {
  let sum = 0
  for (const zone of zones) sum += zone.numa[item]
  return sum
}

/** A node counter as vmstat and zoneinfo print it. */
export const nodeStatShown = (nodes: readonly Node[], item: number): number =>
  IN_THP.has(item) ? Math.floor(nodeSum(nodes, item) / HPAGE_PMD_NR) : nodeSum(nodes, item)

/** Lines of zone, NUMA and node counters with their values, as vmstat has them of the machine or of one node. */
export function statLines(zones: readonly Zone[], nodes: readonly Node[]): string[] {
  return [
    ...ZONE_STATS.map((name, i) => `${name} ${zoneSum(zones, i)}\n`),
    ...NUMA_STATS.map((name, i) => `${name} ${numaSum(zones, i)}\n`),
    ...NODE_STATS.map((name, i) => `${name} ${nodeStatShown(nodes, i)}\n`),
  ]
}

export const freePagesOf = (zones: readonly Zone[]): number => zoneSum(zones, ZS.nr_free_pages)
