/**
 * Charging a page to a memory cgroup, and what happens at its limit.
 *
 *     stock or counters have room ── charged; above memory.high: the task reclaims a little, and sleeps if that did not help
 *        │ memory.max of some group is reached
 *     reclaim from that group and all below it, give back what CPUs have in stock, again as long as it helps
 *        │ sixteen times without progress
 *     the OOM killer, in that group only ── again
 *        │ nobody to kill, or the request may fail
 *     not charged: the allocation fails
 *
 * The root has no limits and charges nothing. Requests that may not reclaim fail at the limit, but those with __GFP_HIGH or
 * __GFP_NOFAIL are let through.
 *
 * memory.high is looked at when a task has charged more than a batch, else when its fault or system call is over
 * (memcgHandleOverHigh). The delay grows with the square of the overrun and ends at two seconds.
 *
 * Source: mm/memcontrol.c (try_charge_memcg, charge_memcg, mem_cgroup_handle_over_high, mem_cgroup_oom, obj_cgroup_charge).
 */
import { COST, spend } from '../base/cost.ts'
import { ME, MS } from '../base/counters.ts'
import { __GFP_DIRECT_RECLAIM, __GFP_HIGH, __GFP_NOFAIL, __GFP_NORETRY, __GFP_RETRY_MAYFAIL, GFP_KERNEL } from '../base/flags.ts'
import { HZ, JIFFY_NS } from '../base/jiffies.ts'
import { psiMemstallEnter, psiMemstallLeave } from '../base/psi.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import { PAGE_ALLOC_COSTLY_ORDER, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { memcgMemoryEvent, memcgOf, PAGE_COUNTER_MAX, ROOT_MEMCG } from '../frames/memcg.ts'
import {
  commitCharge,
  consumeObjStock,
  consumeStock,
  counterCharge,
  counterTryCharge,
  countObjects,
  drainAllStock,
  MEMCG_CHARGE_BATCH,
  percpuSizes,
  refillObjStock,
  refillStock,
} from '../frames/memcg_charge.ts'
import { compoundPages } from '../frames/page.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { MAX_RECLAIM_RETRIES } from '../frames/watermark.ts'
import { tryToFreeMemCgroupPages } from '../reclaim/direct_reclaim.ts'
import { outOfMemory } from '../reclaim/oom.ts'
import { SWAP_CLUSTER_MAX } from '../reclaim/vmscan_control.ts'

/** The longest delay at one time (MEMCG_MAX_HIGH_DELAY_JIFFIES). */
const MAX_HIGH_DELAY_JIFFIES = 2 * HZ
/** Overruns are fractions of 2^20; a delay is their square, scaled down (MEMCG_DELAY_PRECISION_SHIFT, _SCALING_SHIFT). */
const DELAY_PRECISION_SHIFT = 20
const DELAY_SCALING_SHIFT = 14

/** Charges a user's page to the group of an address space (mem_cgroup_charge); undefined: of the task that runs. False at the limit. */
export function memcgCharge(k: Kernel, head: Pfn, mm: Mm | undefined, gfp: number): boolean {
  const id = (mm ?? k.current?.mm)?.memcg ?? ROOT_MEMCG
  return id === ROOT_MEMCG || memcgChargeTo(k, head, id, gfp)
}

/** Charges a user's page to a group. */
function memcgChargeTo(k: Kernel, head: Pfn, id: number, gfp: number): boolean {
  const pages = compoundPages(k, head)
  if (!tryCharge(k, id, pages, gfp)) return false
  commitCharge(k, head, id, pages)
  return true
}

/** Charges a page that comes back from swap: to the group its entry remembers, or if that is gone to the address space's. */
export function memcgSwapinCharge(k: Kernel, head: Pfn, id: number, mm: Mm | undefined, gfp: number): boolean {
  if (id === ROOT_MEMCG) return true
  return k.memcg.groups[id]?.online === true ? memcgChargeTo(k, head, id, gfp) : memcgCharge(k, head, mm, gfp)
}

/** Charges pages of the kernel's own to the group of the task that runs (__memcg_kmem_charge_page). */
export function kmemCharge(k: Kernel, pfn: Pfn, pages: number, gfp: number): boolean {
  const id = k.current?.memcg ?? ROOT_MEMCG
  if (id === ROOT_MEMCG) return true
  if (!tryCharge(k, id, pages, gfp)) return false
  memcgOf(k, id).stat[MS.kernel] += pages
  commitCharge(k, pfn, id, pages)
  return true
}

/** Charges kernel objects of so many bytes on a node; false at the limit. */
export function objCharge(k: Kernel, id: number, nid: number, reclaimable: boolean, bytes: number, gfp: number): boolean {
  if (id === ROOT_MEMCG) return true
  if (!consumeObjStock(k, id, bytes) && !chargeObjPages(k, id, bytes, gfp)) return false
  countObjects(k, id, nid, reclaimable, bytes)
  return true
}

/** Charges a group for what each CPU keeps of a new group below it; it is there whatever the limit says. */
export function percpuCharge(k: Kernel, id: number): void {
  if (id === ROOT_MEMCG) return
  for (const bytes of percpuSizes(k)) {
    if (!consumeObjStock(k, id, bytes) && !chargeObjPages(k, id, bytes, GFP_KERNEL)) chargeObjPages(k, id, bytes, __GFP_NOFAIL)
    memcgOf(k, id).stat[MS.percpu] += bytes
  }
}

/** Charges whole pages, the rest of which this CPU keeps for the next objects (obj_cgroup_charge). */
function chargeObjPages(k: Kernel, id: number, bytes: number, gfp: number): boolean {
  const pages = Math.ceil(bytes / PAGE_SIZE)
  if (!tryCharge(k, id, pages, gfp)) return false
  memcgOf(k, id).stat[MS.kernel] += pages
  if (bytes % PAGE_SIZE !== 0) refillObjStock(k, id, pages * PAGE_SIZE - bytes, false)
  return true
}

/** Charges pages to a group and all above it; false when they are over a limit that nothing helped against (try_charge). */
function tryCharge(k: Kernel, id: number, pages: number, gfp: number): boolean {
  if (id === ROOT_MEMCG || (pages <= MEMCG_CHARGE_BATCH && consumeStock(k, id, pages))) return true
  const batch = Math.max(MEMCG_CHARGE_BATCH, pages)
  if (counterTryCharge(k, id, 'memory', batch) === ROOT_MEMCG) {
    if (batch > pages) refillStock(k, id, batch - pages)
    noteHigh(k, id, batch, gfp)
    return true
  }
  return chargeAtLimit(k, id, pages, gfp)
}

/** The group's, or some higher one's, memory.max is reached: makes room and tries again. */
function chargeAtLimit(k: Kernel, id: number, pages: number, gfp: number): boolean {
  let retries = MAX_RECLAIM_RETRIES
  let drained = false
  let passedOom = false
  let raised = false
  for (;;) {
    if (pages <= MEMCG_CHARGE_BATCH && consumeStock(k, id, pages)) return true
    const over = counterTryCharge(k, id, 'memory', pages)
    if (over === ROOT_MEMCG) {
      noteHigh(k, id, pages, gfp)
      return true
    }
    if (k.memcg.reclaiming) return force(k, id, over, pages, raised)
    if ((gfp & __GFP_DIRECT_RECLAIM) === 0) break
    memcgMemoryEvent(k, over, ME.max)
    raised = true
    psiMemstallEnter(k)
    const reclaimed = tryToFreeMemCgroupPages(k, over, pages, gfp, true)
    psiMemstallLeave(k)
    if (memcgMargin(k, over) >= pages) continue
    if (!drained) {
      drainAllStock(k, over)
      drained = true
      continue
    }
    if ((gfp & __GFP_NORETRY) !== 0) break
    if (reclaimed > 0 && pages <= 1 << PAGE_ALLOC_COSTLY_ORDER) continue
    if (retries-- > 0) continue
    if ((gfp & __GFP_RETRY_MAYFAIL) !== 0 || (passedOom && isDying(k))) break
    if (!memcgOom(k, over, pages, gfp)) break
    passedOom = true
    retries = MAX_RECLAIM_RETRIES
  }
  return (gfp & (__GFP_NOFAIL | __GFP_HIGH)) !== 0 && force(k, id, counterOver(k, id), pages, raised)
}

/** The group on the way up that has least room. */
function counterOver(k: Kernel, id: number): number {
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) if (memcgMargin(k, at) === 0) return at
  return id
}

function force(k: Kernel, id: number, over: number, pages: number, raised: boolean): boolean {
  if (!raised) memcgMemoryEvent(k, over, ME.max)
  counterCharge(k, id, 'memory', pages)
  return true
}

const isDying = (k: Kernel): boolean => k.current !== undefined && k.current.killed !== 0

/** Pages until the group's memory.max (mem_cgroup_margin). */
function memcgMargin(k: Kernel, id: number): number {
  const { usage, max } = memcgOf(k, id).memory
  return Math.max(0, max - usage)
}

/** The group is out of memory: somebody in it is killed, unless there is room by now (mem_cgroup_oom). False when that is no way out. */
function memcgOom(k: Kernel, id: number, pages: number, gfp: number): boolean {
  if (pages > 1 << PAGE_ALLOC_COSTLY_ORDER) return false
  memcgMemoryEvent(k, id, ME.oom)
  return memcgOutOfMemory(k, id, pages, gfp)
}

/**
 * Kills somebody in the group if it has not as many pages to spare (mem_cgroup_out_of_memory).
 * @returns whether it is worth to try again now: false when there is nobody, or somebody has to leave first
 */
export function memcgOutOfMemory(k: Kernel, id: number, pages: number, gfp: number): boolean {
  return (
    memcgMargin(k, id) >= pages ||
    isDying(k) ||
    outOfMemory(k, { gfp, order: Math.ceil(Math.log2(pages)), nodemask: ALL_NODES, memcg: id }) === 'again'
  )
}

// --- memory.high

/** After a charge: is the group, or one above it, beyond its memory.high or swap.high? */
function noteHigh(k: Kernel, id: number, batch: number, gfp: number): void {
  const { current } = k
  if (current === undefined) return
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    const { memory, swap } = memcgOf(k, at)
    if (memory.usage <= memory.high && swap.usage <= swap.high) continue
    k.memcg.overHigh = true
    current.overHighPages += batch
    break
  }
  if (current.overHighPages > MEMCG_CHARGE_BATCH && !k.memcg.reclaiming && (gfp & __GFP_DIRECT_RECLAIM) !== 0) memcgHandleOverHigh(k)
}

/** The task that runs charged pages beyond memory.high: it reclaims as many, and is delayed if the group stays far above. */
export function memcgHandleOverHigh(k: Kernel): void {
  const { current } = k
  k.memcg.overHigh = false
  if (current === undefined || current.overHighPages === 0) return
  const pages = current.overHighPages
  const id = current.mm?.memcg ?? ROOT_MEMCG
  current.overHighPages = 0
  for (let retries = MAX_RECLAIM_RETRIES, first = true; ; first = false) {
    const reclaimed = reclaimHigh(k, id, first ? pages : SWAP_CLUSTER_MAX)
    const jiffies = Math.min(
      highDelay(pages, largestOverage(k, id, 'memory')) + highDelay(pages, largestOverage(k, id, 'swap')),
      MAX_HIGH_DELAY_JIFFIES,
    )
    if (jiffies <= HZ / 100) return
    if (reclaimed > 0 || retries-- > 0) continue
    if (current.killed === 0) spend(k, COST.io_wait, jiffies * JIFFY_NS)
    return
  }
}

function reclaimHigh(k: Kernel, id: number, pages: number): number {
  let reclaimed = 0
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    const { usage, high } = memcgOf(k, at).memory
    if (usage <= high) continue
    memcgMemoryEvent(k, at, ME.high)
    psiMemstallEnter(k)
    reclaimed += tryToFreeMemCgroupPages(k, at, pages, GFP_KERNEL, true)
    psiMemstallLeave(k)
  }
  return reclaimed
}

/** By how much a group or one above it overruns its high limit at most, as a fraction of 2^20 of the limit. */
function largestOverage(k: Kernel, id: number, which: 'memory' | 'swap'): number {
  let largest = 0
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    const { usage, high } = memcgOf(k, at)[which]
    if (usage <= high || high === PAGE_COUNTER_MAX) continue
    if (which === 'swap') memcgMemoryEvent(k, at, ME.swap_high)
    largest = Math.max(largest, Math.floor(((usage - Math.max(1, high)) * 2 ** DELAY_PRECISION_SHIFT) / Math.max(1, high)))
  }
  return largest
}

/** Ticks that a task owes for so many pages at an overrun. */
function highDelay(pages: number, overage: number): number {
  const jiffies = Math.floor((overage * overage * HZ) / 2 ** (DELAY_PRECISION_SHIFT + DELAY_SCALING_SHIFT))
  return Math.floor((jiffies * pages) / MEMCG_CHARGE_BATCH)
}
