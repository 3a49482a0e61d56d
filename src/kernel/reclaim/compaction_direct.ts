/**
 * Compaction on behalf of an allocation that waits for a large block.
 *
 *     priority   async        gives up early, only blocks of the request's own type
 *                sync_light   whole zone, but does not wait for the disk
 *                sync_full    everything, skip marks and block types ignored; small orders only
 *
 * compact_stall counts allocations for which at least one zone was worked on, compact_success and compact_fail whether
 * they then got their block: the one that a run caught for them, or another from the lists.
 *
 * Source: mm/compaction.c (try_to_compact_pages, compact_zone_order, compaction_zonelist_suitable), mm/page_alloc.c
 * (__alloc_pages_direct_compact, should_compact_retry).
 */
import { EV, ZS } from '../base/counters.ts'
import { __GFP_IO } from '../base/flags.ts'
import { psiMemstallEnter, psiMemstallLeave } from '../base/psi.ts'
import type { Kernel, Zone } from '../base/state.ts'
import { NO_PAGE, PAGE_ALLOC_COSTLY_ORDER, type Pfn } from '../base/units.ts'
import { pageZone } from '../frames/page.ts'
import { getPageFromFreelist, prepNewPage } from '../frames/rmqueue.ts'
import { compactControl, compactZone, suitableWith, WISH } from './compaction.ts'
import { COMPACT, type CompactResult, compactionDeferReset, compactionDeferred, deferCompaction } from './compaction_state.ts'

/** What an allocation asks for and where it may look (struct alloc_context with its flags). */
export interface AllocContext {
  readonly gfp: number
  readonly order: number
  readonly flags: number
  readonly preferred: Zone
  readonly zonelist: readonly number[]
  readonly nodemask: number
  /** What of that is its policy's doing; ALL_NODES: nothing. */
  readonly policy: number
  /** The highest zone type it may use. */
  readonly highest: number
}

const PRIO_SYNC_FULL = 0
export const PRIO_SYNC_LIGHT = 1
export const PRIO_ASYNC = 2

/** Retries after runs that made progress, a quarter of them for costly orders (MAX_COMPACT_RETRIES). */
const MAX_RETRIES = 16

export interface Compacted {
  /** The block, or NO_PAGE. */
  readonly page: Pfn
  readonly result: CompactResult
}

/** Compacts for the request and tries to allocate (__alloc_pages_direct_compact). */
export function allocPagesDirectCompact(k: Kernel, ac: AllocContext, priority: number): Compacted {
  if (ac.order === 0) return { page: NO_PAGE, result: COMPACT.skipped }
  psiMemstallEnter(k)
  const result = tryToCompactPages(k, ac, priority)
  psiMemstallLeave(k)
  const caught = takeCaptured(k)
  if (result === COMPACT.skipped) return { page: NO_PAGE, result }
  k.event[EV.compact_stall]++
  if (caught !== NO_PAGE) prepNewPage(k, caught, ac.order, ac.gfp)
  const page = caught !== NO_PAGE ? caught : getPageFromFreelist(k, ac.gfp, ac.order, ac.flags, ac.preferred, ac.zonelist, ac.nodemask)
  if (page === NO_PAGE) {
    k.event[EV.compact_fail]++
    return { page, result }
  }
  const zone = pageZone(k, page)
  zone.compact.blockskipFlush = false
  compactionDeferReset(zone, ac.order, true)
  k.event[EV.compact_success]++
  return { page, result }
}

function takeCaptured(k: Kernel): Pfn {
  const { pfn } = k.capture
  k.capture.pfn = NO_PAGE
  return pfn
}

const allowed = (zone: Zone, ac: AllocContext) => zone.type <= ac.highest && ((ac.nodemask >> zone.node) & 1) !== 0

/** Compacts the zones the request may use, nearest first, until one should have its block (try_to_compact_pages). */
function tryToCompactPages(k: Kernel, ac: AllocContext, priority: number): CompactResult {
  let best: CompactResult = COMPACT.skipped
  if ((ac.gfp & __GFP_IO) === 0) return best
  for (const index of ac.zonelist) {
    const zone = k.zones[index]
    if (!allowed(zone, ac)) continue
    const result = compactOrDefer(k, zone, ac, priority)
    if (result > best) best = result
    if (result === COMPACT.success) {
      compactionDeferReset(zone, ac.order, false)
      break
    }
    if (priority !== PRIO_ASYNC && (result === COMPACT.complete || result === COMPACT.partial_skipped)) deferCompaction(zone, ac.order)
  }
  return best
}

function compactOrDefer(k: Kernel, zone: Zone, ac: AllocContext, priority: number): CompactResult {
  if (priority > PRIO_SYNC_FULL && compactionDeferred(zone, ac.order)) return COMPACT.deferred
  const full = priority === PRIO_SYNC_FULL
  const cc = compactControl(zone, {
    ...WISH,
    order: ac.order,
    gfp: ac.gfp,
    mode: priority === PRIO_ASYNC ? 'async' : 'sync_light',
    allocFlags: ac.flags,
    highestZoneidx: ac.highest,
    direct: true,
    wholeZone: full,
    ignoreSkipHint: full,
    ignoreBlockSuitable: full,
  })
  k.capture.zone = zone.index
  k.capture.order = k.current === undefined ? -1 : ac.order
  const result = compactZone(k, cc)
  k.capture.zone = -1
  k.capture.order = -1
  return k.capture.pfn !== NO_PAGE ? COMPACT.success : result
}

/** How hard compaction is tried for one allocation, over its retries. */
export interface CompactEffort {
  priority: number
  retries: number
}

/**
 * Whether another round of reclaim and compaction may help after one that ended with `result` (should_compact_retry).
 * @param reclaimable pages of a zone that reclaim could give back.
 */
export function shouldCompactRetry(
  k: Kernel,
  ac: AllocContext,
  result: CompactResult,
  effort: CompactEffort,
  reclaimable: (zone: Zone) => number,
): boolean {
  if (ac.order === 0) return false
  if (result === COMPACT.success) effort.retries++
  if (result === COMPACT.skipped) return zonelistSuitable(k, ac, reclaimable)
  const costly = ac.order > PAGE_ALLOC_COSTLY_ORDER
  const gaveUp =
    result === COMPACT.complete || result === COMPACT.deferred || result === COMPACT.contended || result === COMPACT.partial_skipped
  if (!gaveUp && effort.retries <= (costly ? MAX_RETRIES / 4 : MAX_RETRIES)) return true
  if (effort.priority <= (costly ? PRIO_SYNC_LIGHT : PRIO_SYNC_FULL)) return false
  effort.priority--
  effort.retries = 0
  return true
}

/** Whether some zone could be compacted if part of its reclaimable pages were free (compaction_zonelist_suitable). */
function zonelistSuitable(k: Kernel, ac: AllocContext, reclaimable: (zone: Zone) => number): boolean {
  return ac.zonelist.some(index => {
    const zone = k.zones[index]
    const free = Math.floor(reclaimable(zone) / ac.order) + zone.stat[ZS.nr_free_pages]
    return allowed(zone, ac) && suitableWith(k, zone, ac.order, ac.flags, ac.highest, free) === COMPACT.continue
  })
}
