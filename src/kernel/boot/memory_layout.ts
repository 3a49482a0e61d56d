/**
 * Where boot's allocations stand, so that the free lists look as they do on a machine that has just started.
 *
 * Three habits of the page allocator settle it. Unmovable pages first use up what is free in UNMOVABLE page blocks: the pieces between
 * per-CPU units and page records. Then they claim the lowest free block of the top order from the movable ones, two page blocks at
 * once, fill it from below and claim the next; blocks that were claimed for what is given back stay UNMOVABLE. Reclaimable slab does the
 * same. So a zone looks like this:
 *
 *     | kernel | U U U U U u . | R R R R R r . . |  . . . . . movable, never touched . . . .  | units U | page records |
 *                          ^ rest of the last      ^ top-order blocks                                                  ^ and so on
 *                            claimed block
 *
 * Only a node's highest zone for kernel memory is used so, while it has room; the lower ones hold a DMA pool each. What is freed last
 * (parts of the kernel's image by kernel_init, the initial RAM disk by a worker) stays on the list of the CPU that frees it as long as that
 * is long enough; most of it goes to the buddy lists when it is not. The other per-CPU lists hold what passed through them.
 *
 * Not in here: the first process's pages and files (memory_process.ts), huge pages of the command line.
 *
 * Source: mm/page_alloc.c (__rmqueue_fallback, steal_suitable_fallback, free_unref_page_commit), checked against the page flags and
 * free lists of real boots.
 */
import { alignUp, MAX_ORDER, MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE, ZONE_MOVABLE } from '../base/units.ts'
import { KERNEL_INIT_PARTS, SMP_LOCKS } from './memory_early.ts'
import type { BootFootprint, PageUse } from './memory_footprint.ts'
import { type MemoryMap, topKernelZone, type ZoneMap } from './memory_map.ts'
import { byStart, clip, clipAll, lengthOf, push, type Run, without } from './memory_runs.ts'

export interface TypedRun extends Run {
  readonly migratetype: number
}

export interface UsedRun extends Run {
  readonly use: keyof PageUse
}

/** Free pages on a CPU's list. */
export interface PcpRun extends TypedRun {
  readonly cpu: number
}

export interface ZoneLayout {
  readonly node: number
  readonly type: number
  /** On the buddy lists: whole blocks as aligned as they can be, none across a border between migrate types. */
  readonly free: readonly TypedRun[]
  readonly pcp: readonly PcpRun[]
  readonly used: readonly UsedRun[]
  /** Page blocks that are not MOVABLE. */
  readonly blocks: readonly TypedRun[]
}

const TOP_BLOCK_PAGES = 1 << (MAX_ORDER - 1)
const USES: readonly (keyof PageUse)[] = ['kernel', 'vmalloc', 'kernelStack', 'slabUnreclaimable']

/** A zone while it is filled: free runs ascending by kind, and what has been put where. */
interface Filling {
  readonly unmovable: Run[]
  readonly movable: Run[]
  readonly reclaimable: Run[]
  readonly blocks: TypedRun[]
  readonly used: UsedRun[]
  readonly pcp: PcpRun[]
}

interface Filled {
  readonly zone: ZoneMap
  readonly filling: Filling
}

/** @param pcpHigh limit of the zone's per-CPU lists by node and zone type, as boot has set it. */
export function bootLayout(map: MemoryMap, footprint: BootFootprint, pcpHigh: (node: number, type: number) => number): ZoneLayout[] {
  const all = map.nodes.flatMap(node => node.zones).map(zone => ({ zone, filling: startFilling(zone) }))
  for (const pool of footprint.pools)
    putUse(
      all.filter(({ zone }) => zone.node === pool.node && zone.type === pool.type),
      'kernel',
      pool.pages,
      MIGRATE_UNMOVABLE,
    )
  for (const node of map.nodes) fillWithKernel(zonesFor(node.id, all), footprint.nodes[node.id])
  for (const { zone, filling } of all) {
    const used = topKernelZone(map.nodes[zone.node]) === zone
    fillPcps(filling, zone, map, used, pcpHigh(zone.node, zone.type), footprint.initNode)
  }
  lend(zonesFor(footprint.initNode, all), footprint.modulesAgain)
  return all.map(({ zone, filling }) => layoutOf(zone, filling))
}

/** Zones that kernel memory for a node comes from: its own from the highest down, then those of the others. */
function zonesFor(node: number, all: readonly Filled[]): Filled[] {
  const kernel = all.filter(({ zone }) => zone.type !== ZONE_MOVABLE)
  const down = (a: Filled, b: Filled) => b.zone.type - a.zone.type
  return [...kernel.filter(({ zone }) => zone.node === node).sort(down), ...kernel.filter(({ zone }) => zone.node !== node).sort(down)]
}

function startFilling(zone: ZoneMap): Filling {
  const unmovable = zone.free.flatMap(run => clipAll(zone.unmovable, run))
  const movable = zone.free.flatMap(run => without(run, zone.unmovable))
  return {
    unmovable,
    movable,
    reclaimable: [],
    blocks: zone.unmovable.map(run => ({ ...run, migratetype: MIGRATE_UNMOVABLE })),
    used: [],
    pcp: [],
  }
}

function fillWithKernel(zones: readonly Filled[], use: PageUse): void {
  for (const name of USES) putUse(zones, name, use[name], MIGRATE_UNMOVABLE)
  putUse(zones, 'slabReclaimable', use.slabReclaimable, MIGRATE_RECLAIMABLE)
}

/** Puts pages into the first of the zones, and into the next ones what it has no room for. */
function putUse(zones: readonly Filled[], use: keyof PageUse, pages: number, migratetype: number): void {
  let left = pages
  for (const { filling } of zones) {
    const runs = put(filling, left, migratetype)
    left -= lengthOf(runs)
    for (const run of runs) filling.used.push({ ...run, use })
  }
}

/** Unmovable pages that are taken all at once, and given back: the blocks claimed for them keep their type. */
function lend(zones: readonly Filled[], pages: number): void {
  let left = pages
  for (const { filling } of zones) {
    const runs = put(filling, left, MIGRATE_UNMOVABLE)
    left -= lengthOf(runs)
    filling.unmovable.unshift(...runs)
  }
}

/** Takes pages of a type, claiming movable blocks as needed; fewer when the zone is full. */
function put(filling: Filling, pages: number, migratetype: number): Run[] {
  const own = migratetype === MIGRATE_UNMOVABLE ? filling.unmovable : filling.reclaimable
  const runs: Run[] = []
  let left = pages
  while (left > 0) {
    if (own.length === 0 && !claim(filling, own, migratetype)) return [...runs, ...takeFrom(filling.movable, left)]
    const taken = takeFrom(own, left)
    left -= lengthOf(taken)
    runs.push(...taken)
  }
  return runs
}

/** Makes the lowest free block of the top order one of `migratetype`. @returns whether there was one. */
function claim(filling: Filling, own: Run[], migratetype: number): boolean {
  const at = filling.movable.findIndex(run => alignUp(run.start, TOP_BLOCK_PAGES) + TOP_BLOCK_PAGES <= run.end)
  if (at < 0) return false
  const run = filling.movable[at]
  const start = alignUp(run.start, TOP_BLOCK_PAGES)
  const block = { start, end: start + TOP_BLOCK_PAGES }
  filling.movable.splice(at, 1, ...without(run, [block]))
  filling.blocks.push({ ...block, migratetype })
  own.push(block)
  return true
}

/** Removes up to `pages` pages from the front of ascending runs. */
function takeFrom(runs: Run[], pages: number): Run[] {
  const taken: Run[] = []
  let left = pages
  while (left > 0 && runs.length > 0) {
    const run = runs[0]
    const end = Math.min(run.end, run.start + left)
    taken.push({ start: run.start, end })
    left -= end - run.start
    if (end === run.end) runs.shift()
    else runs[0] = { start: end, end: run.end }
  }
  return taken
}

/** Pages that allocations left on a CPU's list of its own node's zone, and of another node's: the more nodes the fewer. */
const OWN_LIST_PAGES = { fixed: 100, shared: 300 } as const
const OTHER_LIST_PAGES = 250
/** How full a list stays that is too short for what was freed to it. */
const KEPT_OF_HIGH = 0.6
const FILLED_OF_HIGH = 2 / 3

function fillPcps(filling: Filling, zone: ZoneMap, map: MemoryMap, used: boolean, high: number, initNode: number): void {
  const nodes = map.nodes.length
  const cpus = map.nodes.flatMap(node => node.cpus.map(cpu => ({ cpu, own: node.id === zone.node })))
  for (const { cpu, own } of used ? cpus : []) {
    const typical = own ? OWN_LIST_PAGES.fixed + OWN_LIST_PAGES.shared / nodes : OTHER_LIST_PAGES / nodes
    const pages = Math.round(Math.min(typical, FILLED_OF_HIGH * high))
    for (const run of put(filling, pages, MIGRATE_UNMOVABLE)) filling.pcp.push({ ...run, cpu, migratetype: MIGRATE_UNMOVABLE })
  }
  for (const locks of cutOut(filling.movable, SMP_LOCKS))
    filling.pcp.push({ ...locks, cpu: map.nodes[0].cpus[0], migratetype: MIGRATE_MOVABLE })
  const isImage = (run: Run) => KERNEL_INIT_PARTS.some(part => clip(run, part) !== undefined)
  const initCpu = map.nodes[initNode].cpus[0]
  freeLate(filling, zone.freedLate.filter(isImage), initCpu, high)
  freeLate(
    filling,
    zone.freedLate.filter(run => !isImage(run)),
    map.nodes[0].cpus[0],
    high,
  )
}

/** Removes what lies in `hole` from the runs. @returns the parts removed. */
function cutOut(runs: Run[], hole: Run): Run[] {
  const removed = clipAll(runs, hole)
  runs.splice(0, runs.length, ...runs.flatMap(run => without(run, [hole])))
  return removed
}

/** Frees runs by way of a CPU's list: all of them stay on it, or the last ones when it is too short. */
function freeLate(filling: Filling, runs: readonly Run[], cpu: number, high: number): void {
  const listed = lengthOf(filling.pcp.filter(run => run.cpu === cpu))
  const total = lengthOf(runs)
  let toBuddy = listed + total <= high ? 0 : total - Math.min(total, Math.max(0, Math.floor(KEPT_OF_HIGH * high) - listed))
  for (const run of runs) {
    const border = Math.min(run.end, run.start + toBuddy)
    toBuddy -= border - run.start
    if (border > run.start) filling.movable.push({ start: run.start, end: border })
    if (run.end > border) filling.pcp.push({ start: border, end: run.end, cpu, migratetype: MIGRATE_MOVABLE })
  }
}

function layoutOf(zone: ZoneMap, filling: Filling): ZoneLayout {
  const typed = (runs: readonly Run[], migratetype: number): TypedRun[] => joined(runs).map(run => ({ ...run, migratetype }))
  return {
    node: zone.node,
    type: zone.type,
    free: [
      ...typed(filling.unmovable, MIGRATE_UNMOVABLE),
      ...typed(filling.movable, MIGRATE_MOVABLE),
      ...typed(filling.reclaimable, MIGRATE_RECLAIMABLE),
    ].sort(byStart),
    pcp: filling.pcp,
    used: filling.used,
    blocks: filling.blocks.sort(byStart),
  }
}

function joined(runs: readonly Run[]): Run[] {
  const out: Run[] = []
  for (const run of [...runs].sort(byStart)) push(out, run)
  return out
}

/** Calls back for each block of a free run, as the buddy allocator would hold it. */
export function forEachBlock(run: Run, each: (pfn: number, order: number) => void): void {
  let pfn = run.start
  while (pfn < run.end) {
    let order = 0
    while (order < MAX_ORDER - 1 && pfn % (2 << order) === 0 && pfn + (2 << order) <= run.end) order++
    each(pfn, order)
    pfn += 1 << order
  }
}
