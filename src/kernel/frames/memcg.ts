/**
 * Memory cgroups: the tree of groups, what each counts, and the counters of pages with their limits.
 *
 *     root (0) ─┬─ a (1) ─┬─ b (2)        a page charged to b is counted by b's and a's counters; the root counts nothing
 *               └─ c (3)  └─ d (4)
 *
 * A page's record names its group (frames/page.ts), 0 for the root; node.lruvecs[group] holds its list. Figures of NODE_STATS are
 * kept where they happen: the node counts every page, the group's lruvec its own. What a group shows of itself and all below it
 * is added up when somebody asks. So a machine without groups pays one comparison with 0 where it counts.
 *
 * A group whose directory was removed stays, without a name, as long as pages bear its number; when it goes its events become
 * its parent's.
 *
 * Invariants: a counter's usage is at least what the pages that bear the group's number and those below add up to, and at most that plus
 * what CPUs have in stock for it; childrenMinUsage is the sum of the children's minUsage, the same for low.
 *
 * Source: mm/memcontrol.c, mm/page_counter.c of 6.1.
 */
import { must } from '../base/assert.ts'
import { now, sinceBoot } from '../base/cost.ts'
import { MEMCG_EVENTS, MEMCG_STATS, NODE_STATS, NS, VM_EVENTS, ZS } from '../base/counters.ts'
import { listAllocate } from '../base/list.ts'
import type { Kernel, Lruvec } from '../base/state.ts'
import type { Memcg, MemcgState, PageCounter } from '../base/state_memcg.ts'
import { MAX_NR_ZONES, PAGEBLOCK_ORDER, type Pfn } from '../base/units.ts'
import { newGenerations, resetGenerations } from './generations.ts'
import { pageMemcg } from './page.ts'

/** No limit: the most a counter can hold (PAGE_COUNTER_MAX). */
export const PAGE_COUNTER_MAX = 2 ** 51 - 1
export const ROOT_MEMCG = 0
/** Groups there can be at once, those without a directory included: as many as a page's record can tell apart. */
const MAX_MEMCGS = 4096
const NR_LRU_LISTS = 5

const pageCounter = (): PageCounter => ({
  usage: 0,
  watermark: 0,
  min: 0,
  low: 0,
  high: PAGE_COUNTER_MAX,
  max: PAGE_COUNTER_MAX,
  failures: 0,
  emin: 0,
  elow: 0,
  minUsage: 0,
  lowUsage: 0,
  childrenMinUsage: 0,
  childrenLowUsage: 0,
})

const newMemcg = (id: number, cgroup: number, parent: number): Memcg => ({
  id,
  cgroup,
  parent,
  children: [],
  online: true,
  memory: pageCounter(),
  swap: pageCounter(),
  zswapMax: PAGE_COUNTER_MAX,
  oomGroup: false,
  events: new Float64Array(MEMCG_EVENTS.length),
  localEvents: new Float64Array(MEMCG_EVENTS.length),
  vmEvents: new Float64Array(VM_EVENTS.length),
  stat: new Float64Array(MEMCG_STATS.length),
  fileObjects: 0,
  slabBytes: 0,
  objBytes: 0,
  swapEntries: 0,
  pages: 0,
})

/** The state of a machine whose only group is the root. */
export const memcgState = (): MemcgState => ({
  groups: [newMemcg(ROOT_MEMCG, 1, -1)],
  stocks: [],
  flushNs: nextFlush(sinceBoot(0)),
  walks: 0,
  releases: false,
  reclaiming: false,
  overHigh: false,
})

/** The lists of a group on one node. */
export function emptyLruvec(k: Kernel, memcg: number): Lruvec {
  const root = memcg === ROOT_MEMCG
  return {
    memcg,
    lists: listAllocate(k.heads, NR_LRU_LISTS),
    size: new Float64Array(NR_LRU_LISTS),
    zoneSize: new Float64Array(root ? 0 : MAX_NR_ZONES * NR_LRU_LISTS),
    stat: new Float64Array(root ? 0 : NODE_STATS.length),
    flushed: new Float64Array(NODE_STATS.length),
    congested: false,
    deferredSplit: listAllocate(k.heads, 1),
    deferredObjects: 0,
    shadowLeaves: new Map(),
    deferredLeaves: 0,
    anonCost: 0,
    fileCost: 0,
    nonresidentAge: 0,
    refaults: new Float64Array(2),
    gen: newGenerations(k),
  }
}

/** The group of that number, which is there. */
export const memcgOf = (k: Kernel, id: number): Memcg => must(k.memcg.groups[id], `there is no memory cgroup ${id}`)

/** Numbers of a group and all groups below it, parents first, children in the order in which they were made (mem_cgroup_iter). */
export function memcgTree(k: Kernel, id: number): number[] {
  const tree: number[] = [id]
  for (const child of memcgOf(k, id).children) tree.push(...memcgTree(k, child))
  return tree
}

/** Gives a new cgroup memory of its own; undefined when there are too many groups (mem_cgroup_css_alloc). */
export function memcgCreate(k: Kernel, cgroup: number, parent: number): Memcg | undefined {
  const { groups } = k.memcg
  let id = 1
  while (id < groups.length && groups[id] !== undefined) id++
  if (id >= MAX_MEMCGS) return undefined
  const memcg = newMemcg(id, cgroup, parent)
  groups[id] = memcg
  memcgOf(k, parent).children.push(id)
  for (const node of k.nodes) {
    if (node.lruvecs.length === id) node.lruvecs.push(emptyLruvec(k, id))
    else {
      resetGenerations(k, node.lruvecs[id].gen)
      node.lruvecs[id].flushed.fill(0)
    }
  }
  return memcg
}

/** Whether its number still finds it: while its directory is there, and while swap entries hold it (mem_cgroup_from_id). */
export const hasId = ({ online, swapEntries }: Memcg): boolean => online || swapEntries > 0

/** Whether the group is `ancestor` or below it (mem_cgroup_is_descendant). */
export function memcgIsBelow(k: Kernel, id: number, ancestor: number): boolean {
  for (let at = id; at >= 0; at = memcgOf(k, at).parent) if (at === ancestor) return true
  return false
}

// --- figures

/** Counts pages of a head's node and group under one of NODE_STATS (__mod_lruvec_page_state). */
export function modLruvecState(k: Kernel, head: Pfn, item: number, by: number): void {
  const node = k.nodes[k.zones[k.blockZone[head >>> PAGEBLOCK_ORDER]].node]
  node.stat[item] += by
  const memcg = pageMemcg(k, head)
  if (memcg !== ROOT_MEMCG) node.lruvecs[memcg].stat[item] += by
}

/** Counts an event of VM_EVENTS for a group only (count_memcg_events). */
export function countMemcgEvent(k: Kernel, memcg: number, event: number, by: number): void {
  if (memcg !== ROOT_MEMCG) memcgOf(k, memcg).vmEvents[event] += by
}

/** Counts an event of reclaim: for the machine as well, unless a group's limit made it happen. */
export function countReclaimEvent(k: Kernel, lruvec: Lruvec, event: number, by: number, limit: boolean): void {
  if (!limit) k.event[event] += by
  else memcgOf(k, ROOT_MEMCG).vmEvents[event] += by
  countMemcgEvent(k, lruvec.memcg, event, by)
}

/** Counts something of MEMCG_EVENTS for the group and all above it but the root (memcg_memory_event). */
export function memcgMemoryEvent(k: Kernel, id: number, event: number): void {
  memcgOf(k, id).localEvents[event]++
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) memcgOf(k, at).events[event]++
}

/** A figure of NODE_STATS of a group and all below it on one node, as it is. */
export function lruvecState(k: Kernel, lruvec: Lruvec, nid: number, item: number): number {
  const node = k.nodes[nid]
  if (lruvec.memcg === ROOT_MEMCG) return node.stat[item]
  let sum = 0
  for (const id of memcgTree(k, lruvec.memcg)) sum += node.lruvecs[id].stat[item]
  return sum
}

/** What reclaim reads of a group as it was when all groups' figures were added up last. */
const FLUSHED_STATS = [
  ...[NS.nr_inactive_anon, NS.nr_active_anon, NS.nr_inactive_file, NS.nr_active_file],
  ...[NS.workingset_activate_anon, NS.workingset_activate_file],
]
/** How often they are added up whoever asks (FLUSH_TIME), from when the machine was switched on. */
const FLUSH_NS = 2e9
const nextFlush = (ns: number): number => Math.floor(ns / FLUSH_NS) * FLUSH_NS + FLUSH_NS

/**
 * One of FLUSHED_STATS of a group and all below it on one node, as reclaim knows it: as of the last time that somebody asked for the
 * sums, or that they were made without being asked for (lruvec_page_state, flush_memcg_stats_dwork).
 */
export function lruvecPageState(k: Kernel, { flushed }: Lruvec, item: number): number {
  if (sinceBoot(now(k)) >= k.memcg.flushNs) memcgFlushStats(k)
  return flushed[item]
}

/**
 * Adds up the figures of all groups. Linux leaves it while only few have changed (some 64 pages a CPU), which reclaim, the only
 * one to ask for it here, has before it begins (mem_cgroup_flush_stats).
 */
export function memcgFlushStats(k: Kernel): void {
  k.memcg.flushNs = nextFlush(sinceBoot(now(k)))
  for (const group of k.memcg.groups) {
    // The lists of a group that is gone wait for the next one that gets its number.
    if (group === undefined) continue
    for (const { id, lruvecs } of k.nodes) {
      const lruvec = lruvecs[group.id]
      for (const item of FLUSHED_STATS) lruvec.flushed[item] = lruvecState(k, lruvec, id, item)
    }
  }
}

/** Pages of one of a lruvec's own lists in zones up to a type (lruvec_lru_size). */
export function lruvecLruSize(k: Kernel, lruvec: Lruvec, nid: number, lru: number, highest: number): number {
  let sum = 0
  for (let type = 0; type <= highest; type++) {
    if (lruvec.memcg !== ROOT_MEMCG) sum += lruvec.zoneSize[type * NR_LRU_LISTS + lru]
    else sum += rootZoneSize(k, nid, type, lru)
  }
  return sum
}

/** The root has what of a zone's pages no other group has. */
function rootZoneSize(k: Kernel, nid: number, type: number, lru: number): number {
  let size = k.zones[nid * MAX_NR_ZONES + type].stat[ZS.nr_zone_inactive_anon + lru]
  const { lruvecs } = k.nodes[nid]
  for (let id = 1; id < lruvecs.length; id++) size -= lruvecs[id].zoneSize[type * NR_LRU_LISTS + lru]
  return size
}

/** Counts pages that join or leave a list of a group other than the root. */
export function countLruvecSize(lruvec: Lruvec, zoneType: number, lru: number, by: number): void {
  lruvec.zoneSize[zoneType * NR_LRU_LISTS + lru] += by
  lruvec.stat[NS.nr_inactive_anon + lru] += by
}
