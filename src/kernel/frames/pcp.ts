/**
 * Per-CPU page lists: each CPU keeps pages of each zone at hand, so that most allocations and frees need neither the
 * zone's lock nor a merge. Lists exist for orders 0..3 of the three ordinary types, and two for huge pages.
 *
 *     free ──> head |page|page|page|...|page| tail ──bulk, when count reaches high──> buddy lists
 *     alloc <── head          refilled from the buddy lists, batch >> order at a time, in the order they come
 *
 * A page freed last is given out first (its cache lines are warm); what goes back to the buddy lists is the coldest.
 * While frees go on without an allocation between, each bulk is twice the one before.
 *
 * A list is a ring of page numbers, so a page on it costs no visit to its record. Pages that came from a block reserved for
 * atomic requests go by as movable ones, but must find back: their numbers are negated.
 *
 * Invariant: count is the sum of pages on all lists; they are not part of nr_free_pages and have no flag of their own.
 *
 * Source: mm/page_alloc.c (rmqueue_bulk, free_unref_page_commit, free_pcppages_bulk, nr_pcp_free, order_to_pindex).
 */
import { ZS } from '../base/counters.ts'
import type { Kernel, Pcp, PcpList, Zone } from '../base/state.ts'
import {
  asPfn,
  HPAGE_PMD_ORDER,
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_PCPTYPES,
  NO_PAGE,
  PAGE_ALLOC_COSTLY_ORDER,
  PAGEBLOCK_ORDER,
  type Pfn,
} from '../base/units.ts'
import { freeOnePage, rmqueueBulk, rmqueueType } from './buddy.ts'
import { PCP_BATCH_SCALE_MAX } from './zone.ts'
import { holdZoneLock } from './zone_lock.ts'

const NR_FREE_PAGES = ZS.nr_free_pages
const LOW_ORDER_LISTS = MIGRATE_PCPTYPES * (PAGE_ALLOC_COSTLY_ORDER + 1)
/** Lists of one CPU in one zone: orders 0..3 by type, huge pages by movable or not. */
const NR_PCP_LISTS = LOW_ORDER_LISTS + 2
const FIRST_RING = 64
/** Turns of vmstat's clock until pages of a far zone that nobody used meanwhile are given back. */
const PCP_EXPIRE = 3
/** The largest batch there is (zone_batchsize). */
const MAX_BATCH = 64

function emptyPcp(): Pcp {
  const lists = Array.from({ length: NR_PCP_LISTS }, () => ({ ring: new Int32Array(0), head: 0, n: 0 }))
  return { count: 0, high: 0, batch: 1, freeFactor: 0, expire: 0, lists, refill: new Int32Array(MAX_BATCH) }
}

/** Gives a populated zone its per-CPU lists. */
export function addPcps(k: Kernel, zone: Zone): void {
  for (let i = 0; i < k.cpus.length; i++) zone.pcps.push(emptyPcp())
}

/** A zone without memory has none (zone_pcp_reset). */
export function resetPcps(zone: Zone): void {
  zone.pcps.length = 0
  zone.pcpHigh = 0
  zone.pcpBatch = 0
}

/** Keeps pages off the lists of the zone, which are emptied, until they are switched on again. */
export function zonePcpDisable(k: Kernel, zone: Zone): void {
  setPcps(zone, 0, 1)
  drainAllPages(k, zone)
}

export const zonePcpEnable = (zone: Zone): void => setPcps(zone, zone.pcpHigh, zone.pcpBatch)

function setPcps(zone: Zone, high: number, batch: number): void {
  for (const pcp of zone.pcps) {
    pcp.high = high
    pcp.batch = batch
  }
}

export const pcpAllowedOrder = (order: number) => order <= PAGE_ALLOC_COSTLY_ORDER || order === HPAGE_PMD_ORDER

const pindex = (type: number, order: number) =>
  order > PAGE_ALLOC_COSTLY_ORDER ? LOW_ORDER_LISTS + (type === MIGRATE_MOVABLE ? 1 : 0) : MIGRATE_PCPTYPES * order + type

/** Order of the blocks on a CPU's list. */
export const orderOf = (index: number) => (index >= LOW_ORDER_LISTS ? HPAGE_PMD_ORDER : Math.floor(index / MIGRATE_PCPTYPES))
/** Huge pages that are not movable share a list. */
const typeOf = (index: number) => (index >= LOW_ORDER_LISTS ? index - LOW_ORDER_LISTS : index % MIGRATE_PCPTYPES)

function makeRoom(list: PcpList, n: number): void {
  let size = Math.max(list.ring.length, FIRST_RING)
  while (size < list.n + n) size *= 2
  if (size === list.ring.length) return
  const ring = new Int32Array(size)
  for (let i = 0; i < list.n; i++) ring[i] = list.ring[(list.head + i) & (list.ring.length - 1)]
  list.ring = ring
  list.head = 0
}

function pushHead(list: PcpList, entry: number): void {
  if (list.n === list.ring.length) makeRoom(list, 1)
  list.head = (list.head - 1) & (list.ring.length - 1)
  list.ring[list.head] = entry
  list.n++
}

function popTail(list: PcpList): number {
  list.n--
  return list.ring[(list.head + list.n) & (list.ring.length - 1)]
}

/** What stands at the tail, or `n` places before it. */
const peekTail = (list: PcpList, n = 0): number => list.ring[(list.head + list.n - 1 - n) & (list.ring.length - 1)]

/** A block from this CPU's list, refilled when empty; NO_PAGE when the zone has none (rmqueue_pcplist). */
export function pcpAllocate(k: Kernel, zone: Zone, order: number, type: number, allocFlags: number): Pfn {
  const pcp = zone.pcps[k.cpu]
  const list = pcp.lists[pindex(type, order)]
  pcp.freeFactor >>= 1
  pcp.expire = PCP_EXPIRE
  if (list.n === 0) {
    refill(k, zone, pcp, list, order, type, allocFlags)
    if (list.n === 0) return NO_PAGE
  }
  const entry = list.ring[list.head]
  list.head = (list.head + 1) & (list.ring.length - 1)
  list.n--
  pcp.count -= 1 << order
  return asPfn(entry < 0 ? -entry : entry)
}

function refill(k: Kernel, zone: Zone, pcp: Pcp, list: PcpList, order: number, type: number, allocFlags: number): void {
  const want = pcp.batch > 1 ? Math.max(pcp.batch >> order, 2) : pcp.batch
  const got =
    order === 0 ? rmqueueBulk(k, zone, type, want, allocFlags, pcp.refill) : refillBlocks(k, zone, pcp, order, type, want, allocFlags)
  holdZoneLock(k, zone, got)
  makeRoom(list, got)
  for (let i = 0; i < got; i++) list.ring[(list.head + list.n + i) & (list.ring.length - 1)] = pcp.refill[i]
  list.n += got
  pcp.count += got << order
  zone.stat[NR_FREE_PAGES] -= got << order
}

function refillBlocks(k: Kernel, zone: Zone, pcp: Pcp, order: number, type: number, want: number, allocFlags: number): number {
  let got = 0
  for (; got < want; got++) {
    const pfn = rmqueueType(k, zone, order, type, allocFlags)
    if (pfn === NO_PAGE) break
    pcp.refill[got] = pfn
  }
  return got
}

/** Puts a freed block on this CPU's list; a full list gives some back (free_unref_page_commit). */
export function pcpFree(k: Kernel, zone: Zone, pfn: Pfn, order: number, type: number): void {
  const pcp = zone.pcps[k.cpu]
  const atomic = type === MIGRATE_HIGHATOMIC
  const index = pindex(atomic ? MIGRATE_MOVABLE : type, order)
  pushHead(pcp.lists[index], atomic ? -pfn : pfn)
  pcp.count += 1 << order
  pcp.expire = PCP_EXPIRE
  const freeHigh = pcp.freeFactor > 0 && order > 0 && order <= PAGE_ALLOC_COSTLY_ORDER
  const high = freeHigh || pcp.high === 0 ? 0 : zone.reclaimActive ? Math.min(pcp.batch << 2, pcp.high) : pcp.high
  if (pcp.count >= high) freeBulk(k, zone, pcp, nrPcpFree(pcp, high, freeHigh), index)
}

/** Puts a page that boot left free behind the others of a CPU's list, however long it is. */
export function pcpBootFree(zone: Zone, cpu: number, pfn: Pfn, type: number): void {
  const pcp = zone.pcps[cpu]
  const list = pcp.lists[pindex(type, 0)]
  makeRoom(list, 1)
  list.ring[(list.head + list.n) & (list.ring.length - 1)] = pfn
  list.n++
  pcp.count++
}

/** How many pages to give back at once. */
function nrPcpFree(pcp: Pcp, high: number, freeHigh: boolean): number {
  if (freeHigh) return pcp.count
  if (high < pcp.batch) return 1
  const most = high - pcp.batch
  const batch = pcp.batch << pcp.freeFactor
  if (batch < most && pcp.freeFactor < PCP_BATCH_SCALE_MAX) pcp.freeFactor++
  return Math.max(pcp.batch, Math.min(batch, most))
}

/** Gives `count` pages back to the buddy lists, coldest first, beginning with list `first` (free_pcppages_bulk). */
function freeBulk(k: Kernel, zone: Zone, pcp: Pcp, count: number, first: number): void {
  let left = Math.min(pcp.count, count)
  let blocks = 0
  for (let index = first; left > 0; index = (index + 1) % NR_PCP_LISTS) {
    const list = pcp.lists[index]
    const order = orderOf(index)
    const type = typeOf(index)
    while (list.n > 0 && left > 0) {
      const pages = order === 0 ? freeRun(k, zone, list, type, left) : freeOldest(k, zone, list, order, type)
      left -= pages
      pcp.count -= pages
      blocks += pages >> order
    }
  }
  holdZoneLock(k, zone, blocks)
}

function freeOldest(k: Kernel, zone: Zone, list: PcpList, order: number, type: number): number {
  const entry = popTail(list)
  if (entry < 0) freeOnePage(k, zone, asPfn(-entry), order, MIGRATE_HIGHATOMIC)
  else freeOnePage(k, zone, asPfn(entry), order, type)
  return 1 << order
}

/**
 * Gives back the oldest single page, and with it the next oldest as long as they lie side by side, `most` at most: in whole blocks,
 * as freeing one after the other would leave them. Returns how many. Page by page where an allocation waits to catch one.
 */
function freeRun(k: Kernel, zone: Zone, list: PcpList, type: number, most: number): number {
  const first = peekTail(list)
  const step = first > 0 && list.n > 1 && k.capture.order < 0 ? peekTail(list, 1) - first : 0
  if (step !== 1 && step !== -1) return freeOldest(k, zone, list, 0, type)
  let n = 2
  while (n < most && n < list.n && peekTail(list, n) === first + n * step) n++
  n = Math.min(n, most)
  list.n -= n
  if (step > 0) freeUpwards(k, zone, first, first + n, type)
  else freeDownwards(k, zone, first - n + 1, first + 1, type)
  return n
}

function freeUpwards(k: Kernel, zone: Zone, start: number, end: number, type: number): void {
  for (let at = start; at < end; ) {
    const order = blockOrder(at, end - at)
    freeOnePage(k, zone, asPfn(at), order, type)
    at += 1 << order
  }
}

function freeDownwards(k: Kernel, zone: Zone, start: number, end: number, type: number): void {
  for (let at = end; at > start; ) {
    const order = blockOrder(at, at - start)
    at -= 1 << order
    freeOnePage(k, zone, asPfn(at), order, type)
  }
}

/** Order of the largest block with an edge at `at` among `pages` pages there; no larger than a page block, whose types may differ. */
function blockOrder(at: number, pages: number): number {
  let order = 0
  while (order < PAGEBLOCK_ORDER && (at & ((2 << order) - 1)) === 0 && 2 << order <= pages) order++
  return order
}

/** Empties this CPU's lists of the zone (drain_pages_zone). */
export function drainPagesZone(k: Kernel, cpu: number, zone: Zone): void {
  const pcp = zone.pcps[cpu]
  while (pcp !== undefined && pcp.count > 0) freeBulk(k, zone, pcp, Math.min(pcp.count, pcp.batch << PCP_BATCH_SCALE_MAX), 0)
}

/** Empties the lists of every CPU, for one zone or all (drain_all_pages). */
export function drainAllPages(k: Kernel, only?: Zone): void {
  for (const zone of k.zones)
    if (only === undefined || only === zone) for (let cpu = 0; cpu < zone.pcps.length; cpu++) drainPagesZone(k, cpu, zone)
}

/** Gives back one batch of pages of a zone far from the CPU that has not used them for a while (drain_zone_pages). */
export function drainZonePages(k: Kernel, zone: Zone, cpu: number): void {
  const pcp = zone.pcps[cpu]
  freeBulk(k, zone, pcp, Math.min(pcp.count, pcp.batch), 0)
}
