/**
 * /proc/zoneinfo: each zone's marks, sizes, counters and per-CPU lists; the first populated zone of a node also shows the
 * node's counters.
 *
 * Source: mm/vmstat.c (zoneinfo_show_print, calculate_normal_threshold).
 */
import { NODE_STATS, NUMA_STATS, ZONE_STATS, ZS } from '../kernel/base/counters.ts'
import type { Kernel, Node, Zone } from '../kernel/base/state.ts'
import { ZONE_NAMES } from '../kernel/base/units.ts'
import { MAX_RECLAIM_RETRIES } from '../kernel/frames/watermark.ts'
import { populated } from '../kernel/frames/zone.ts'
import { nodeStatShown, zonesOfNode } from './sums.ts'

/** Pages of 128 MiB, by which the threshold grows. */
const THRESHOLD_SHIFT = 15
const THRESHOLD_MAX = 125

const fls = (n: number) => 32 - Math.clz32(n)

/** How far a CPU's own counters may be off before they are folded into the zone's. */
function statThreshold(k: Kernel, zone: Zone): number {
  const online = k.cpus.filter(cpu => cpu.online).length
  return Math.min(THRESHOLD_MAX, 2 * fls(online) * (1 + fls(zone.managedPages >>> THRESHOLD_SHIFT)))
}

export function zoneinfo(k: Kernel): string {
  return k.nodes
    .flatMap(node => {
      const zones = zonesOfNode(k, node.id)
      const first = zones.find(populated)
      return zones.flatMap(zone => [...head(node, zone, zone === first), ...(populated(zone) ? rest(k, node, zone) : []), '\n'])
    })
    .join('')
}

const stat = (name: string, value: number) => `\n      ${name.padEnd(12)} ${value}`

function head(node: Node, zone: Zone, first: boolean): string[] {
  return [
    `Node ${node.id}, zone ${ZONE_NAMES[zone.type].padStart(8)}`,
    ...(first ? ['\n  per-node stats', ...NODE_STATS.map((name, i) => stat(name, nodeStatShown([node], i)))] : []),
    `\n  pages free     ${zone.stat[ZS.nr_free_pages]}`,
    `\n        boost    ${zone.watermarkBoost}`,
    `\n        min      ${zone.wmarkMin + zone.watermarkBoost}`,
    `\n        low      ${zone.wmarkLow + zone.watermarkBoost}`,
    `\n        high     ${zone.wmarkHigh + zone.watermarkBoost}`,
    `\n        spanned  ${zone.spannedPages}`,
    `\n        present  ${zone.presentPages}`,
    `\n        managed  ${zone.managedPages}`,
    '\n        cma      0',
    `\n        protection: (${zone.lowmemReserve.join(', ')})`,
  ]
}

function rest(k: Kernel, node: Node, zone: Zone): string[] {
  const threshold = statThreshold(k, zone)
  return [
    ...ZONE_STATS.map((name, i) => stat(name, Math.max(0, zone.stat[i]))),
    ...NUMA_STATS.map((name, i) => stat(name, zone.numa[i])),
    '\n  pagesets',
    ...k.cpus.filter(cpu => cpu.online).map(cpu => pageset(zone, cpu.id, threshold)),
    `\n  node_unreclaimable:  ${Number(node.kswapd.failures >= MAX_RECLAIM_RETRIES)}`,
    `\n  start_pfn:           ${zone.startPfn}`,
  ]
}

function pageset(zone: Zone, cpu: number, threshold: number): string {
  const { count, high, batch } = zone.pcps[cpu]
  return `\n    cpu: ${cpu}\n              count: ${count}\n              high:  ${high}\n              batch: ${batch}\n  vm stats threshold: ${threshold}`
}
