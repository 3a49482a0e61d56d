/**
 * Charging pages to memory cgroups, as far as it goes without reclaim: the counters up the hierarchy, what CPUs keep in stock, and the end of
 * a charge.
 *
 *     charge 1 page ── the CPU's stock has it?  ── yes: nothing more
 *                          │ no: charge 64 at once, keep 63 in stock
 *                          v
 *     group.memory ─> parent.memory ─> ... : over some group's max? undo, and that group must reclaim (alloc/charge.ts)
 *
 * A stock is for one group only and never above 64 pages; pages of users that are freed are taken off the counters at once, kernel
 * pages go to the stock. memory.current therefore runs ahead of what a group has by up to 64 pages a CPU. What a CPU charged for kernel
 * objects shows in a group's figures a page at a time.
 *
 * Source: mm/page_counter.c, mm/memcontrol.c (consume_stock, refill_stock, drain_all_stock, uncharge_batch, mod_objcg_state,
 * drain_obj_stock, __mem_cgroup_try_charge_swap).
 */
import { ME, MS, NODE_STATS, NS } from '../base/counters.ts'
import type { Kernel } from '../base/state.ts'
import type { Memcg, MemcgStock, PageCounter } from '../base/state_memcg.ts'
import { PAGE_SIZE, type Pfn } from '../base/units.ts'
import { hasId, memcgIsBelow, memcgMemoryEvent, memcgOf, memcgTree, PAGE_COUNTER_MAX, ROOT_MEMCG } from './memcg.ts'
import { compoundPages, pageMemcg, pageSetMemcg } from './page.ts'

/** Pages charged at once (MEMCG_CHARGE_BATCH). */
export const MEMCG_CHARGE_BATCH = 64

type Counter = 'memory' | 'swap'

// --- counters

function counterAdd(k: Kernel, id: number, counter: PageCounter, which: Counter, by: number): void {
  counter.usage += by
  protect(k, id, which)
  if (counter.usage > counter.watermark) counter.watermark = counter.usage
}

/** Tells the parent how much of the group's usage min and low protect (propagate_protected_usage). */
export function protect(k: Kernel, id: number, which: Counter): void {
  const { [which]: counter, parent } = memcgOf(k, id)
  const above = memcgOf(k, parent)[which]
  const min = Math.min(counter.usage, counter.min)
  const low = Math.min(counter.usage, counter.low)
  above.childrenMinUsage += min - counter.minUsage
  above.childrenLowUsage += low - counter.lowUsage
  counter.minUsage = min
  counter.lowUsage = low
}

/** Charges a group and all above it, whatever their limits say; negative numbers give back (page_counter_charge, _uncharge). */
export function counterCharge(k: Kernel, id: number, which: Counter, pages: number): void {
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) counterAdd(k, at, memcgOf(k, at)[which], which, pages)
}

/** The same within limits. @returns 0, or the group whose limit is in the way; nothing is charged then (page_counter_try_charge). */
export function counterTryCharge(k: Kernel, id: number, which: Counter, pages: number): number {
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    const counter = memcgOf(k, at)[which]
    if (counter.usage + pages <= counter.max) {
      counterAdd(k, at, counter, which, pages)
      continue
    }
    counter.failures++
    for (let undo = id; undo !== at; undo = memcgOf(k, undo).parent) counterAdd(k, undo, memcgOf(k, undo)[which], which, -pages)
    return at
  }
  return ROOT_MEMCG
}

// --- stocks

const emptyStock = (): MemcgStock => ({
  memcg: ROOT_MEMCG,
  pages: 0,
  objMemcg: ROOT_MEMCG,
  objBytes: 0,
  statNode: 0,
  reclaimableBytes: 0,
  unreclaimableBytes: 0,
})

/** What the CPU has in stock. */
function stockOf(k: Kernel, cpu: number): MemcgStock {
  for (let i = k.memcg.stocks.length; i <= cpu; i++) k.memcg.stocks.push(emptyStock())
  return k.memcg.stocks[cpu]
}

/** Takes pages out of this CPU's stock, if it is the group's and has them. */
export function consumeStock(k: Kernel, id: number, pages: number): boolean {
  const stock = stockOf(k, k.cpu)
  if (stock.memcg !== id || stock.pages < pages) return false
  stock.pages -= pages
  return true
}

/** Puts charged pages into this CPU's stock; one for another group, or too full, is given back first. */
export function refillStock(k: Kernel, id: number, pages: number): void {
  const stock = stockOf(k, k.cpu)
  if (stock.memcg !== id) {
    drainPages(k, stock)
    stock.memcg = id
  }
  stock.pages += pages
  if (stock.pages > MEMCG_CHARGE_BATCH) drainPages(k, stock)
}

function drainPages(k: Kernel, stock: MemcgStock): void {
  const { memcg, pages } = stock
  stock.memcg = ROOT_MEMCG
  stock.pages = 0
  if (pages === 0) return
  counterCharge(k, memcg, 'memory', -pages)
}

/** Gives back what is left of the pages that kernel objects were charged from: whole pages; the rest of one stays charged (drain_obj_stock). */
function drainObjects(k: Kernel, stock: MemcgStock): void {
  const { objMemcg, objBytes } = stock
  showObjects(k, stock)
  stock.objMemcg = ROOT_MEMCG
  stock.objBytes = 0
  if (objBytes === 0) return
  memcgOf(k, objMemcg).objBytes += objBytes % PAGE_SIZE
  kmemUncharged(k, objMemcg, Math.floor(objBytes / PAGE_SIZE))
}

/** Takes bytes for a kernel object out of this CPU's stock, if it is the group's and has them (consume_obj_stock). */
export function consumeObjStock(k: Kernel, id: number, bytes: number): boolean {
  const stock = stockOf(k, k.cpu)
  if (stock.objMemcg !== id || stock.objBytes < bytes) return false
  stock.objBytes -= bytes
  return true
}

/**
 * Puts charged bytes into this CPU's stock (refill_obj_stock).
 * @param freed they were an object's: whole pages are given back.
 */
export function refillObjStock(k: Kernel, id: number, bytes: number, freed: boolean): void {
  const stock = stockOf(k, k.cpu)
  const switched = stock.objMemcg !== id
  if (switched) switchObjects(k, stock, id)
  stock.objBytes += bytes
  if ((!freed && !switched) || stock.objBytes <= PAGE_SIZE) return
  const pages = Math.floor(stock.objBytes / PAGE_SIZE)
  stock.objBytes %= PAGE_SIZE
  kmemUncharged(k, id, pages)
}

/** The CPU's stock is for this group's objects from now on, and has what was left of its pages. */
function switchObjects(k: Kernel, stock: MemcgStock, id: number): void {
  drainObjects(k, stock)
  const memcg = memcgOf(k, id)
  stock.objMemcg = id
  stock.objBytes = memcg.objBytes
  memcg.objBytes = 0
}

/** Counts bytes of kernel objects for a group and the node they lie on; its figures follow when there is more than a page. */
export function countObjects(k: Kernel, id: number, nid: number, reclaimable: boolean, bytes: number): void {
  memcgOf(k, id).slabBytes += bytes
  const stock = stockOf(k, k.cpu)
  if (stock.objMemcg !== id) switchObjects(k, stock, id)
  else if (stock.statNode !== nid) showObjects(k, stock)
  stock.statNode = nid
  const which = reclaimable ? 'reclaimableBytes' : 'unreclaimableBytes'
  const first = stock[which] === 0
  stock[which] += bytes
  if (!first && Math.abs(stock[which]) > PAGE_SIZE) showBytes(k, stock, which)
}

function showObjects(k: Kernel, stock: MemcgStock): void {
  showBytes(k, stock, 'reclaimableBytes')
  showBytes(k, stock, 'unreclaimableBytes')
}

function showBytes(k: Kernel, stock: MemcgStock, which: 'reclaimableBytes' | 'unreclaimableBytes'): void {
  if (stock[which] === 0) return
  const { stat } = k.nodes[stock.statNode].lruvecs[stock.objMemcg]
  stat[which === 'reclaimableBytes' ? NS.nr_slab_reclaimable : NS.nr_slab_unreclaimable] += stock[which]
  stock[which] = 0
}

/** Kernel objects are gone: their bytes go to this CPU's stock (obj_cgroup_uncharge). */
export function objUncharge(k: Kernel, id: number, nid: number, reclaimable: boolean, bytes: number): void {
  if (id === ROOT_MEMCG) return
  countObjects(k, id, nid, reclaimable, -bytes)
  refillObjStock(k, id, bytes, true)
  const memcg = memcgOf(k, id)
  if (memcg.slabBytes === 0) releaseMemcg(k, memcg)
}

/** A CPU's stock is given back: it goes offline, or somebody is in need. */
export function drainStock(k: Kernel, cpu: number): void {
  const stock = stockOf(k, cpu)
  drainObjects(k, stock)
  drainPages(k, stock)
}

/** All stocks for a group and those below it are given back (drain_all_stock). */
export function drainAllStock(k: Kernel, root: number): void {
  for (let cpu = 0; cpu < k.memcg.stocks.length; cpu++) {
    const { memcg, pages, objMemcg, objBytes } = k.memcg.stocks[cpu]
    if ((pages > 0 && memcgIsBelow(k, memcg, root)) || (objBytes > 0 && memcgIsBelow(k, objMemcg, root))) drainStock(k, cpu)
  }
}

// --- pages

/** The page now bears the group's number; its pages have been charged (commit_charge). */
export function commitCharge(k: Kernel, head: Pfn, id: number, pages: number): void {
  pageSetMemcg(k, head, id)
  memcgOf(k, id).pages += pages
}

/** Takes a user's page, which is on no list any more, off its group's counters (mem_cgroup_uncharge). */
export function uncharge(k: Kernel, head: Pfn): void {
  const id = pageMemcg(k, head)
  if (id === ROOT_MEMCG) return
  const pages = compoundPages(k, head)
  pageSetMemcg(k, head, ROOT_MEMCG)
  counterCharge(k, id, 'memory', -pages)
  pagesLeft(k, memcgOf(k, id), pages)
}

/** The same for pages of the kernel's: they go to this CPU's stock (__memcg_kmem_uncharge_page). */
export function kmemUncharge(k: Kernel, pfn: Pfn, pages: number): void {
  const id = pageMemcg(k, pfn)
  if (id === ROOT_MEMCG) return
  pageSetMemcg(k, pfn, ROOT_MEMCG)
  kmemUncharged(k, id, pages)
  pagesLeft(k, memcgOf(k, id), pages)
}

/** Kernel pages are no longer charged; a group that is going away gets no stock. */
function kmemUncharged(k: Kernel, id: number, pages: number): void {
  const memcg = memcgOf(k, id)
  memcg.stat[MS.kernel] -= pages
  if (memcg.online) refillStock(k, id, pages)
  else counterCharge(k, id, 'memory', -pages)
}

function pagesLeft(k: Kernel, memcg: Memcg, pages: number): void {
  memcg.pages -= pages
  if (memcg.pages === 0) releaseMemcg(k, memcg)
}

/** Moves a page's charge to the page that takes its place; both are charged until the old one is freed (mem_cgroup_migrate). */
export function memcgMigrate(k: Kernel, from: Pfn, to: Pfn): void {
  const id = pageMemcg(k, from)
  if (id === ROOT_MEMCG || pageMemcg(k, to) !== ROOT_MEMCG) return
  const pages = compoundPages(k, to)
  counterCharge(k, id, 'memory', pages)
  commitCharge(k, to, id, pages)
}

// --- swap

/** The group that swap entries of a page are to remember: its own, or of one without a number the next above that has one. */
function swapMemcg(k: Kernel, id: number): number {
  let at = id
  while (!hasId(memcgOf(k, at))) at = memcgOf(k, at).parent
  return at
}

/**
 * Charges the swap space of a page that is to be swapped out.
 * @returns the group that its entries are to remember (ROOT_MEMCG: nobody is charged), or -1 when its limit is reached.
 */
export function memcgTryChargeSwap(k: Kernel, head: Pfn): number {
  const id = pageMemcg(k, head)
  if (id === ROOT_MEMCG) return ROOT_MEMCG
  const pages = compoundPages(k, head)
  const owner = swapMemcg(k, id)
  if (counterTryCharge(k, owner, 'swap', pages) !== ROOT_MEMCG) {
    memcgMemoryEvent(k, owner, ME.swap_max)
    memcgMemoryEvent(k, owner, ME.swap_fail)
    return -1
  }
  if (owner !== ROOT_MEMCG) memcgOf(k, owner).swapEntries += pages
  return owner
}

/** There was no swap space for the page. */
export function memcgSwapFailed(k: Kernel, head: Pfn): void {
  if (pageMemcg(k, head) !== ROOT_MEMCG) memcgMemoryEvent(k, pageMemcg(k, head), ME.swap_fail)
}

/** Entries that remembered a group are free again (__mem_cgroup_uncharge_swap). */
export function memcgUnchargeSwap(k: Kernel, id: number, entries: number): void {
  if (id === ROOT_MEMCG) return
  const memcg = memcgOf(k, id)
  counterCharge(k, id, 'swap', -entries)
  memcg.swapEntries -= entries
  if (memcg.swapEntries === 0) releaseMemcg(k, memcg)
}

/** Swap pages that a group may still use, of `free` ones (mem_cgroup_get_nr_swap_pages). */
export function memcgSwapPages(k: Kernel, id: number, free: number): number {
  let pages = free
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent)
    pages = Math.min(pages, memcgOf(k, at).swap.max - memcgOf(k, at).swap.usage)
  return pages
}

/** Whether the page's group, or one above it, has used half of its swap: its pages' slots are to be freed early (mem_cgroup_swap_full). */
export function memcgSwapFull(k: Kernel, head: Pfn): boolean {
  for (let at = pageMemcg(k, head); at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    const { usage, high, max } = memcgOf(k, at).swap
    if (usage * 2 >= high || usage * 2 >= max) return true
  }
  return false
}

// --- compressed swap

/** Whether compressed swap may take more for the group: it and all above it are below their memory.zswap.max (obj_cgroup_may_zswap). */
export function memcgMayZswap(k: Kernel, id: number): boolean {
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    const { zswapMax } = memcgOf(k, at)
    if (zswapMax < PAGE_COUNTER_MAX && Math.floor(zswapBytes(k, at) / PAGE_SIZE) >= zswapMax) return false
  }
  return true
}

/** Bytes that compressed swap has for the group and all below it. */
export const zswapBytes = (k: Kernel, id: number): number =>
  memcgTree(k, id).reduce((sum, below) => sum + memcgOf(k, below).stat[MS.zswap], 0)

/** Charges a group for a page that was compressed to so many bytes, beyond its limit if need be: that makes room (obj_cgroup_charge_zswap). */
export function memcgChargeZswap(k: Kernel, id: number, bytes: number): void {
  if (id === ROOT_MEMCG) return
  const memcg = memcgOf(k, id)
  memcg.stat[MS.zswap] += bytes
  memcg.stat[MS.zswapped]++
  if (bytes === 0 || consumeObjStock(k, id, bytes)) return
  const pages = Math.ceil(bytes / PAGE_SIZE)
  if (!consumeStock(k, id, pages)) {
    const over = counterTryCharge(k, id, 'memory', pages)
    if (over !== ROOT_MEMCG) {
      memcgMemoryEvent(k, over, ME.max)
      counterCharge(k, id, 'memory', pages)
    }
  }
  memcg.stat[MS.kernel] += pages
  refillObjStock(k, id, pages * PAGE_SIZE - bytes, false)
}

/** The compressed page is gone (obj_cgroup_uncharge_zswap). */
export function memcgUnchargeZswap(k: Kernel, id: number, bytes: number): void {
  if (id === ROOT_MEMCG) return
  const memcg = memcgOf(k, id)
  memcg.stat[MS.zswap] -= bytes
  memcg.stat[MS.zswapped]--
  refillObjStock(k, id, bytes, true)
  if (memcg.stat[MS.zswapped] === 0) releaseMemcg(k, memcg)
}

// --- the end of a group

/** Events that Linux keeps for each group, of which memory.stat shows all but two. */
const VM_EVENTS_OF_GROUPS = 17
/** Figures beside those of nodes that Linux keeps for each group (MEMCG_NR_STAT - NR_VM_NODE_STAT_ITEMS). */
const STATS_OF_GROUPS = 7

/**
 * Bytes, for all CPUs, of the figures that each CPU keeps for a group (struct memcg_vmstats_percpu, and a struct lruvec_stats_percpu a
 * node), with a pointer for every four that tells who pays: the group above (pcpu_obj_full_size).
 */
export function percpuSizes({ nodes, cpus }: Kernel): number[] {
  const figures = 2 * (NODE_STATS.length + STATS_OF_GROUPS + VM_EVENTS_OF_GROUPS) + 3
  return [figures, ...nodes.map(() => 2 * NODE_STATS.length)].map(words => words * 8 * (cpus.length + 2))
}

/** A group without directory that nothing names any more goes; what it had counted becomes its parent's. */
export function releaseMemcg(k: Kernel, memcg: Memcg): void {
  const { id, online, pages, swapEntries, slabBytes, children } = memcg
  if (online || pages > 0 || swapEntries > 0 || slabBytes > 0 || memcg.stat[MS.zswapped] > 0 || children.length > 0) return
  if (k.memcg.walks > 0) {
    k.memcg.releases = true
    return
  }
  k.memcg.stocks.forEach((stock, cpu) => {
    if (stock.memcg === id || stock.objMemcg === id) drainStock(k, cpu)
  })
  const parent = memcgOf(k, memcg.parent)
  memcg.stat[MS.kernel] -= memcg.memory.usage
  counterCharge(k, id, 'memory', -memcg.memory.usage)
  for (const node of k.nodes) {
    const { stat } = node.lruvecs[id]
    if (parent.id !== ROOT_MEMCG) addInto(node.lruvecs[parent.id].stat, stat)
    stat.fill(0)
  }
  if (parent.id !== ROOT_MEMCG) addInto(parent.vmEvents, memcg.vmEvents)
  addInto(parent.stat, memcg.stat)
  if (parent.id !== ROOT_MEMCG)
    for (const bytes of percpuSizes(k)) {
      parent.stat[MS.percpu] -= bytes
      refillObjStock(k, parent.id, bytes, true)
    }
  parent.children.splice(parent.children.indexOf(id), 1)
  k.memcg.groups[id] = undefined
  releaseMemcg(k, parent)
}

/**
 * Goes through a group and all below it, parents first. Those that lose their last page on the way stay until it is over (mem_cgroup_iter).
 * @param visit false: that was enough.
 */
export function walkMemcgs(k: Kernel, root: number, visit: (id: number) => boolean): void {
  k.memcg.walks++
  memcgTree(k, root).every(visit)
  k.memcg.walks--
  if (k.memcg.walks > 0 || !k.memcg.releases) return
  k.memcg.releases = false
  for (const memcg of k.memcg.groups) if (memcg !== undefined && k.memcg.groups[memcg.id] === memcg) releaseMemcg(k, memcg)
}

function addInto(sums: Float64Array, from: Float64Array): void {
  for (let i = 0; i < from.length; i++) sums[i] += from[i]
}
