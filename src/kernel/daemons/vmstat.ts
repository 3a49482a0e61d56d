/**
 * vmstat's clock: once every stat_interval each CPU gives back pages that it keeps of other nodes' zones and has not used
 * for three turns. Counters need no folding here (base/counters.ts).
 *
 * Source: mm/vmstat.c refresh_cpu_vm_stats, mm/page_alloc.c drain_zone_pages.
 */
import { now } from '../base/cost.ts'
import { JIFFY_NS } from '../base/jiffies.ts'
import type { Kernel } from '../base/state.ts'
import { drainZonePages } from '../frames/pcp.ts'

export function runVmstat(k: Kernel): void {
  for (const zone of k.zones) {
    for (let cpu = 0; cpu < zone.pcps.length; cpu++) {
      const pcp = zone.pcps[cpu]
      if (pcp.expire === 0 || pcp.count === 0 || zone.node === k.cpus[cpu].node) continue
      pcp.expire--
      if (pcp.expire === 0) drainZonePages(k, zone, cpu)
    }
  }
  // A work item that asks for no delay at all waits for the next tick.
  k.vmstat.wakeNs = now(k) + Math.max(k.sysctl.stat_interval * 1e9, JIFFY_NS)
}
