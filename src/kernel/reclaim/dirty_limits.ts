/**
 * How much may be dirty: of the whole machine, and of a memory cgroup by what that may have.
 *
 *     dirtyable      machine: free pages above the reserves, and those of files
 *                    group: its file pages, and as many more as its limits leave, of what is free or clean elsewhere
 *     dirty_ratio, dirty_background_ratio of that are the limits; half way between the two a writer has to wait
 *
 * A file counts for the group that dirtied it first; when that is gone, for the machine only.
 *
 * Source: mm/page-writeback.c (domain_dirty_limits, global_dirtyable_memory, mdtc_calc_avail), mm/memcontrol.c mem_cgroup_wb_stats.
 */
import { NS, ZS } from '../base/counters.ts'
import type { Kernel } from '../base/state.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { lruvecState, memcgOf, PAGE_COUNTER_MAX, ROOT_MEMCG } from '../frames/memcg.ts'

export interface DirtyLimits {
  readonly background: number
  readonly dirty: number
}

/** Limits, and what is dirty and under writeback now. */
export interface DirtyState extends DirtyLimits {
  readonly nrDirty: number
  readonly nrWriteback: number
}

const nodeSum = (k: Kernel, stat: number) => k.nodes.reduce((sum, node) => sum + node.stat[stat], 0)

/** Pages that could be dirty: free ones above the reserves, and those of files (global_dirtyable_memory). */
function dirtyableMemory(k: Kernel): number {
  const free = k.zones.reduce((sum, zone) => sum + zone.stat[ZS.nr_free_pages], 0)
  return Math.max(0, free - k.totalreservePages) + nodeSum(k, NS.nr_inactive_file) + nodeSum(k, NS.nr_active_file) + 1
}

/** What of so many pages a limit is: `perPage` 4096ths of them. */
const shareOf = (available: number, perPage: number) => Math.floor((perPage * available) / PAGE_SIZE)

/**
 * The two limits, of so many pages that could be dirty.
 * @param ofBytes pages that a limit in bytes comes to; one of 0 bytes is in percent.
 */
function limitsOf({ sysctl }: Kernel, available: number, ofBytes: (bytes: number) => number): DirtyLimits {
  const limit = (bytes: number, percent: number) =>
    bytes > 0 ? ofBytes(bytes) : shareOf(available, Math.floor((percent * PAGE_SIZE) / 100))
  const dirty = limit(sysctl.dirty_bytes, sysctl.dirty_ratio)
  const background = limit(sysctl.dirty_background_bytes, sysctl.dirty_background_ratio)
  return { dirty, background: background >= dirty ? Math.floor(dirty / 2) : background }
}

/** The two limits as they stand now, in pages: nr_dirty_background_threshold and nr_dirty_threshold (global_dirty_limits). */
export const dirtyLimits = (k: Kernel): DirtyLimits => limitsOf(k, dirtyableMemory(k), bytes => Math.ceil(bytes / PAGE_SIZE))

/** Whether a writer has to wait (dirty_freerun_ceiling). */
export const isBeyondFreerun = ({ dirty, background, nrDirty, nrWriteback }: DirtyState): boolean =>
  nrDirty + nrWriteback > Math.floor((dirty + background) / 2)

/** How a group stands; undefined for the root and for a group whose directory is gone. */
export function memcgDirtyState(k: Kernel, id: number): DirtyState | undefined {
  if (id === ROOT_MEMCG || k.memcg.groups[id]?.online !== true) return undefined
  const figure = (item: number) => k.nodes.reduce((sum, node) => sum + lruvecState(k, node.lruvecs[id], node.id, item), 0)
  const nrDirty = figure(NS.nr_dirty)
  const nrWriteback = figure(NS.nr_writeback)
  const files = figure(NS.nr_inactive_file) + figure(NS.nr_active_file)
  const everywhere = dirtyableMemory(k)
  const clean = files - Math.min(files, nrDirty + nrWriteback)
  const globalClean = Math.max(0, everywhere - nodeSum(k, NS.nr_dirty) - nodeSum(k, NS.nr_writeback))
  const available = files + Math.min(headroom(k, id), globalClean - Math.min(globalClean, clean))
  const limits = limitsOf(k, available, bytes => shareOf(available, Math.min(Math.ceil(bytes / everywhere), PAGE_SIZE)))
  return { ...limits, nrDirty, nrWriteback }
}

/** Pages that the limits of the group and of those above it leave. */
function headroom(k: Kernel, id: number): number {
  let room = PAGE_COUNTER_MAX
  for (let at = id; at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    const { max, high, usage } = memcgOf(k, at).memory
    room = Math.min(room, Math.max(0, Math.min(max, high) - usage))
  }
  return room
}
