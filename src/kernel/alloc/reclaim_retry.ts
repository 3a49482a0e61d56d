/**
 * What an allocation does that found no page and may wait: reclaim, compact, try again, as long as there is hope; then the
 * out-of-memory killer.
 *
 *     reclaim 32 pages ── page?          no: give back pages kept on CPUs' lists and for atomic requests ── page?
 *     compact (order > 0) ── page?
 *     NORETRY, or a large block: give up
 *     progress, or what is free and reclaimable together would do: again (16 times without progress at most)
 *     compaction could still help: again
 *     kill a process: again; the one that is killed itself gets at what is kept for such, on any node, or gives up
 *
 * A request that must not fail (__GFP_NOFAIL) goes on: when there is no hope it may go below the min mark, and when processes have to be
 * killed to the last page. So does one that may not enter file systems, for which nobody is killed, but without such help. In Linux others
 * free something in the end; here, where nobody does in the middle of a call, both give up after so many rounds.
 *
 * Source: mm/page_alloc.c (__alloc_pages_slowpath, __alloc_pages_direct_reclaim, should_reclaim_retry, __alloc_pages_may_oom,
 * __alloc_pages_cpuset_fallback, __gfp_pfmemalloc_flags).
 */
import { now } from '../base/cost.ts'
import { ZS } from '../base/counters.ts'
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_FS,
  __GFP_NOFAIL,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  ALLOC_CPUSET,
  ALLOC_KSWAPD,
  ALLOC_MIN_RESERVE,
  ALLOC_NO_WATERMARKS,
  ALLOC_OOM,
  ALLOC_WMARK_HIGH,
} from '../base/flags.ts'
import { psiMemstallEnter, psiMemstallLeave } from '../base/psi.ts'
import type { Kernel } from '../base/state.ts'
import { NO_PAGE, PAGE_ALLOC_COSTLY_ORDER, type Pfn, ZONE_NORMAL } from '../base/units.ts'
import { unreserveHighatomicPageblock } from '../frames/buddy.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { drainAllPages } from '../frames/pcp.ts'
import { ALL_NODES, getPageFromFreelist, gfpMigratetype } from '../frames/rmqueue.ts'
import { MAX_RECLAIM_RETRIES, zoneWatermarkOk } from '../frames/watermark.ts'
import { type AllocContext, allocPagesDirectCompact, type CompactEffort, shouldCompactRetry } from '../reclaim/compaction_direct.ts'
import { tryToFreePages } from '../reclaim/direct_reclaim.ts'
import { outOfMemory } from '../reclaim/oom.ts'
import { zoneReclaimablePages } from '../reclaim/vmscan.ts'

const tryFreelist = (k: Kernel, ac: AllocContext, flags: number, nodemask = ac.nodemask): Pfn =>
  getPageFromFreelist(k, ac.gfp, ac.order, flags, ac.preferred, ac.zonelist, nodemask)

/** What a request came to: a block; that it is given up; that somebody who was killed must leave first, and it is to be made again then. */
export type Retried = Pfn | 'failed' | 'later'

/** @param wake wakes the kswapds of the nodes the request may use, before each try. */
export function reclaimAndRetry(k: Kernel, ac: AllocContext, effort: CompactEffort, wake: () => void): Retried {
  for (let round = 0; ; round++) {
    const got = reclaimUntilHopeless(k, ac, effort, wake)
    if ((got !== 'failed' && got !== 'later') || (ac.gfp & __GFP_NOFAIL) === 0) return got
    const page = beyondCpuset(k, ac, ALLOC_MIN_RESERVE)
    if (page !== NO_PAGE) return page
    if (round === MAX_RECLAIM_RETRIES) return got
  }
}

/** From the nodes of the cpuset if they have any, else from all. */
function beyondCpuset(k: Kernel, ac: AllocContext, flags: number): Pfn {
  const page = tryFreelist(k, ac, flags | ALLOC_CPUSET)
  return page !== NO_PAGE || (ac.gfp & __GFP_THISNODE) !== 0 ? page : tryFreelist(k, ac, flags, ALL_NODES)
}

/** As getPageFromFreelist; who was killed for memory may use what is kept for that, wherever it is. */
function tryAgain(k: Kernel, ac: AllocContext): Pfn {
  if (k.current?.oomVictim !== true) return tryFreelist(k, ac, ac.flags)
  return tryFreelist(k, ac, (ac.flags & ALLOC_KSWAPD) | ALLOC_OOM, (ac.gfp & __GFP_THISNODE) !== 0 ? ac.nodemask : ALL_NODES)
}

function reclaimUntilHopeless(k: Kernel, ac: AllocContext, effort: CompactEffort, wake: () => void): Retried {
  const costly = ac.order > PAGE_ALLOC_COSTLY_ORDER
  for (let noProgress = 0, ooms = 0; ; ) {
    psiMemstallEnter(k)
    const progress = tryToFreePages(k, ac, ac.order, ac.gfp, ac.highest)
    psiMemstallLeave(k)
    const page = progress > 0 ? afterReclaim(k, ac) : NO_PAGE
    if (page !== NO_PAGE) return page
    const compacted = allocPagesDirectCompact(k, ac, effort.priority)
    if (compacted.page !== NO_PAGE) return compacted.page
    if ((ac.gfp & __GFP_NORETRY) !== 0 || (costly && (ac.gfp & __GFP_RETRY_MAYFAIL) === 0)) return 'failed'
    noProgress = progress > 0 && !costly ? 0 : noProgress + 1
    if (progress === 0) endBoosts(k, ac)
    const again =
      shouldReclaimRetry(k, ac, noProgress) ||
      (progress > 0 && shouldCompactRetry(k, ac, compacted.result, effort, zone => zoneReclaimablePages(k, zone)))
    if (!again) {
      const last = mayOom(k, ac)
      if (last !== undefined) return last
      if ((ac.gfp & __GFP_FS) === 0 && ++ooms > MAX_RECLAIM_RETRIES) return 'failed'
      noProgress = 0
    }
    wake()
    const next = tryAgain(k, ac)
    if (next !== NO_PAGE) return next
    if (k.current?.oomVictim === true) return 'failed'
  }
}

/**
 * kswapd, which was woken when a zone's watermarks were boosted, has looked meanwhile and found as little as this one: then it takes
 * the boost away (balance_pgdat).
 */
function endBoosts(k: Kernel, { zonelist }: AllocContext): void {
  for (const index of zonelist) {
    const zone = k.zones[index]
    if (k.nodes[zone.node].kswapd.wakeNs <= now(k)) zone.watermarkBoost = 0
  }
}

/** Reclaim made progress: tries again, the second time with what CPUs and the reserve for atomic requests kept. */
function afterReclaim(k: Kernel, ac: AllocContext): Pfn {
  const page = tryFreelist(k, ac, ac.flags)
  if (page !== NO_PAGE) return page
  unreserve(k, ac, false)
  drainAllPages(k)
  return tryFreelist(k, ac, ac.flags)
}

/** Gives back one block of the reserve for atomic requests. */
function unreserve(k: Kernel, ac: AllocContext, force: boolean): boolean {
  return ac.zonelist.some(index => {
    const zone = k.zones[index]
    const allowed = zone.type <= ac.highest && ((ac.nodemask >> zone.node) & 1) !== 0
    return allowed && unreserveHighatomicPageblock(k, zone, gfpMigratetype(ac.gfp), force)
  })
}

/** Whether, after so many rounds without progress, what is free and reclaimable in some zone together would meet the request. */
function shouldReclaimRetry(k: Kernel, ac: AllocContext, noProgress: number): boolean {
  if (noProgress > MAX_RECLAIM_RETRIES) return unreserve(k, ac, true)
  return ac.zonelist.some(index => {
    const zone = k.zones[index]
    if (zone.type > ac.highest || ((ac.nodemask >> zone.node) & 1) === 0) return false
    const available = zoneReclaimablePages(k, zone) + zone.stat[ZS.nr_free_pages]
    return zoneWatermarkOk(k, zone, ac.order, zone.wmarkMin + zone.watermarkBoost, ac.highest, ac.flags, available)
  })
}

/** The last resort: undefined when somebody was killed and it is worth to try again, else what the request gets. */
function mayOom(k: Kernel, ac: AllocContext): Retried | undefined {
  const page = getPageFromFreelist(
    k,
    ac.gfp & ~__GFP_DIRECT_RECLAIM,
    ac.order,
    ALLOC_WMARK_HIGH | ALLOC_CPUSET,
    ac.preferred,
    ac.zonelist,
    ac.nodemask,
  )
  if (page !== NO_PAGE) return page
  if (ac.order > PAGE_ALLOC_COSTLY_ORDER || (ac.gfp & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE)) !== 0 || ac.highest < ZONE_NORMAL)
    return 'failed'
  const nodemask = ac.policy === (1 << k.nodes.length) - 1 ? ALL_NODES : ac.policy
  const outcome = outOfMemory(k, { gfp: ac.gfp, order: ac.order, nodemask, memcg: ROOT_MEMCG })
  const last = (ac.gfp & __GFP_NOFAIL) !== 0 ? beyondCpuset(k, ac, ALLOC_NO_WATERMARKS) : NO_PAGE
  if (last !== NO_PAGE) return last
  return outcome === 'again' ? undefined : outcome === 'later' ? 'later' : 'failed'
}
