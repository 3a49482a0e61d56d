/**
 * CPUs that go away and come back.
 *
 *     offline   pages in its batches go to their lists, those on its per-CPU lists, its spare stacks and its slabs to the node's lists,
 *               slots of swap that it kept to their areas; then all zones' per-CPU limits are set for the CPUs that are left
 *     online    all zones' limits are set while the CPU does not count yet but is expected: each zone counts one CPU more of
 *               its own node, whichever node the CPU belongs to
 *
 * Processes are not touched: one that sleeps keeps its affinity, and whoever runs it next looks for another CPU. CPU 0 never goes.
 *
 * Source: mm/page_alloc.c (page_alloc_cpu_dead, page_alloc_cpu_online), kernel/fork.c free_vm_stack_cache, mm/swap_slots.c free_slot_cache.
 */
import { must } from '../base/assert.ts'
import { now } from '../base/cost.ts'
import type { Cpu, Kernel } from '../base/state.ts'
import { asPfn } from '../base/units.ts'
import { lruAddDrainCpu } from '../caches/lru.ts'
import { mlockDrainCpu } from '../caches/mlock_lru.ts'
import { distinctCaches, kmemFlushCpu } from '../caches/slab.ts'
import { drainSwapSlotsCpu } from '../caches/swap_map.ts'
import { drainStock } from '../frames/memcg_charge.ts'
import { drainPagesZone } from '../frames/pcp.ts'
import { freePages } from '../frames/rmqueue.ts'
import { populatedZones, zonePcpUpdate } from '../frames/zone.ts'
import { cpusetHotplug } from './cpuset.ts'

/** Takes the CPU out of work; one that is out already stays so. Who asked, if on that CPU, goes on on the first that is left. */
export function cpuOffline(k: Kernel, cpu: Cpu): void {
  if (!cpu.online) return
  cpu.online = false
  if (k.cpu === cpu.id)
    k.cpu = must(
      k.cpus.find(other => other.online),
      'no CPU is left',
    ).id
  lruAddDrainCpu(k, cpu.id)
  mlockDrainCpu(k, cpu.id)
  cpu.committed = 0
  for (const zone of populatedZones(k)) drainPagesZone(k, cpu.id, zone)
  freeStackCache(k, cpu)
  for (const cache of distinctCaches(k)) kmemFlushCpu(k, cache, cpu.id)
  drainStock(k, cpu.id)
  drainSwapSlotsCpu(k, cpu.id)
  cpusetHotplug(k)
  for (const zone of populatedZones(k)) zonePcpUpdate(k, zone, 0)
}

/** Stacks of ended tasks that were kept for the next ones. */
function freeStackCache(k: Kernel, cpu: Cpu): void {
  for (const stack of cpu.cachedStacks.splice(0)) {
    for (const page of stack) freePages(k, asPfn(page), 0)
    k.boot.vmallocUsedPages -= stack.length
  }
}

/** Puts the CPU back to work; one that works already is left alone. */
export function cpuOnline(k: Kernel, cpu: Cpu): void {
  if (cpu.online) return
  for (const zone of populatedZones(k)) zonePcpUpdate(k, zone, 1)
  cpu.online = true
  cpusetHotplug(k)
  cpu.nowNs = Math.max(cpu.nowNs, now(k))
}
