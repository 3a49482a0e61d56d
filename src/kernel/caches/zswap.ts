/**
 * zswap: pages on their way to swap are kept compressed in memory instead.
 *
 *     page is swapped out ──> same-filled? ──yes──> its word is kept
 *                         │      no
 *                         ├──> compressed ──> put into the current pool ──> kept
 *                         └──> does not fit, or no room, or switched off ──> written to the device
 *
 * What is kept for a slot stays until the slot is free, is stored anew, or is written back to the device: when the pools reach
 * max_pool_percent of memory, nothing more is taken until they are below accept_threshold_percent of that, and for each page that
 * is turned away for the limit the oldest pool gives up one of its pages (daemons/zswap_shrink.ts). Switching zswap off ends storing
 * only. Another compressor or pool means a new pool for what comes; the old one is kept until it is empty.
 *
 * A page that compresses to more than a page is turned away without being counted (lzo, lz4 and the rest fail when their output
 * does not fit); one that a pool finds too large counts in reject_compress_poor.
 *
 * Invariants: each entry is in the tree of its area at its slot; storedPages is the number of entries, sameFilledPages that of
 * those without data; a pool's count is the number of its entries.
 *
 * Source: mm/zswap.c, mm/frontswap.c (which forgets what a slot held before it is stored anew).
 */

import { fail, must } from '../base/assert.ts'
import { compressedBytes, findCompressor } from '../base/compress.ts'
import { COST, now, spend } from '../base/cost.ts'
import { EV, NS } from '../base/counters.ts'
import { EINVAL, ENOENT, ENOSPC } from '../base/errno.ts'
import { __GFP_KSWAPD_RECLAIM, __GFP_MEMALLOC, __GFP_NORETRY, __GFP_NOWARN } from '../base/flags.ts'
import { KERN_ERR, printk } from '../base/log.ts'
import { recordFree, records, recordTake } from '../base/records.ts'
import type { Kernel } from '../base/state.ts'
import type { Daemon } from '../base/state_shared.ts'
import type { WorkingMemory, Zpool, ZswapCounters, ZswapPool, ZswapState } from '../base/state_zswap.ts'
import { asPfn, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { countMemcgEvent } from '../frames/memcg.ts'
import { memcgChargeZswap, memcgMayZswap, memcgUnchargeZswap } from '../frames/memcg_charge.ts'
import { isThp, pageContent, pageContentIndex, pageMemcg, pageNode, pageSetContent } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'
import { kmemFree, kmemTake } from './slab.ts'
import { hasZpool, verifyZpool, zpoolCreate, zpoolEvictable, zpoolFree, zpoolMalloc, zpoolPages } from './zpool.ts'

/** Slots of a piece of a tree. */
const PIECE = 1024
/** A swap entry before the data, in pools that evict. */
const HEADER_BYTES = 8
/** Decompressing takes about a third of the time of compressing. */
const LOAD_SHARE = 1 / 3
const GFP = __GFP_NORETRY | __GFP_NOWARN | __GFP_KSWAPD_RECLAIM

/** Words of an entry. */
const TYPE = 0
const OFFSET = 1
const LENGTH = 2
const POOL = 3
const HANDLE = 4
const CONTENT = 5
const INDEX = 6
const MEMCG = 7
const STRIDE = 8

const noCounts = (): ZswapCounters => ({
  poolLimitHit: 0,
  writtenBackPages: 0,
  rejectReclaimFail: 0,
  rejectCompressPoor: 0,
  rejectAllocFail: 0,
  rejectKmemcacheFail: 0,
  duplicateEntry: 0,
  storedPages: 0,
  sameFilledPages: 0,
})

/** zswap as the kernel's configuration has it, before the command line is read; zswapInit makes the first pool. */
export const zswapState = (shrinker: Daemon): ZswapState => ({
  enabled: false,
  compressor: 'lzo',
  zpool: 'zbud',
  maxPoolPercent: 20,
  acceptThresholdPercent: 90,
  sameFilledPagesEnabled: true,
  nonSameFilledPagesEnabled: true,
  pools: [],
  poolsMade: 0,
  entries: records(STRIDE),
  trees: [],
  totalPages: 0,
  poolReachedFull: false,
  counters: noCounts(),
  shrinker,
  shrinkAskedNs: 0,
})

// --- pools

/** Makes a pool, the current one if it is put first; undefined where the machine lacks either part. */
function poolCreate(k: Kernel, type: string, compressor: string): ZswapPool | undefined {
  const zpool = zpoolCreate(type)
  const algorithm = findCompressor(k, compressor)
  if (zpool === undefined || algorithm < 0) return undefined
  return { id: ++k.zswap.poolsMade, compressor: algorithm, zpool, entries: 0, shrinkRequests: 0, working: { mapped: [], pieces: [] } }
}

/** Pools that hold nothing, but for the current one, go. */
function dropEmptyPools(k: Kernel): void {
  const { zswap } = k
  const kept = (pool: ZswapPool, i: number) => i === 0 || pool.entries > 0 || pool.shrinkRequests > 0
  for (const [i, pool] of zswap.pools.entries()) if (!kept(pool, i)) freeWorking(k, pool.working)
  zswap.pools = zswap.pools.filter(kept)
}

/** Gives working memory back. */
export function freeWorking(k: Kernel, { mapped, pieces }: WorkingMemory): void {
  for (const pfn of mapped) freePages(k, asPfn(pfn), 0)
  k.boot.vmallocUsedPages -= mapped.length
  for (const { pfn, order, slab } of pieces) {
    if (slab) k.nodes[pageNode(k, asPfn(pfn))].stat[NS.nr_slab_unreclaimable] -= 1 << order
    freePages(k, asPfn(pfn), order)
  }
}

const updateTotalSize = (k: Kernel): void => {
  let pages = 0
  for (const pool of k.zswap.pools) pages += zpoolPages(pool.zpool)
  k.zswap.totalPages = pages
}

/** The first pool: of what the command line names where the kernel has it (no module is loaded yet), of the defaults otherwise. */
export function zswapInit(k: Kernel): void {
  const { zswap } = k
  if (findCompressor(k, zswap.compressor, false) < 0) zswap.compressor = 'lzo'
  if (!hasZpool(k, zswap.zpool, false)) zswap.zpool = 'zbud'
  zswap.pools = [must(poolCreate(k, zswap.zpool, zswap.compressor), 'zswap has no first pool')]
}

/**
 * Another pool or compressor for what is stored from now on (__zswap_param_set): a pool that is still there is used again.
 * @returns 0, or -ENOENT where the machine has none of that name.
 */
export function zswapSetPool(k: Kernel, what: 'zpool' | 'compressor', name: string): number {
  const { zswap } = k
  if (name === zswap[what]) return 0
  const known = what === 'zpool' ? hasZpool(k, name) : findCompressor(k, name) >= 0
  if (!known) {
    printk(k, KERN_ERR, `zswap: ${what} ${name} not available`)
    return -ENOENT
  }
  const type = what === 'zpool' ? name : zswap.zpool
  const compressor = what === 'compressor' ? name : zswap.compressor
  const same = (pool: ZswapPool) => pool.zpool.kind === type && pool.compressor === findCompressor(k, compressor)
  const pool = zswap.pools.find(same) ?? poolCreate(k, type, compressor)
  if (pool === undefined) return -EINVAL
  zswap[what] = name
  zswap.pools = [pool, ...zswap.pools.filter(other => other !== pool)]
  dropEmptyPools(k)
  return 0
}

// --- the limit

/**
 * More than max_pool_percent of memory (zswap_is_full). The worker makes room as soon as it is asked, between one page and the next of who
 * reclaims; here it runs when he is through, so the page that it is about to free counts as free.
 */
function isFull({ totalramPages, zswap }: Kernel): boolean {
  let asked = false
  for (const { shrinkRequests, zpool } of zswap.pools) asked ||= shrinkRequests > 0 && zpoolEvictable(zpool)
  return Math.floor((totalramPages * zswap.maxPoolPercent) / 100) < zswap.totalPages - Number(asked)
}

/** Less than accept_threshold_percent of that (zswap_can_accept). */
const canAccept = ({ totalramPages, zswap }: Kernel): boolean =>
  Math.floor((Math.floor((totalramPages * zswap.acceptThresholdPercent) / 100) * zswap.maxPoolPercent) / 100) > zswap.totalPages

/** The pool that was replaced first is to give up a page. */
function queueShrink(k: Kernel): void {
  const { zswap } = k
  must(zswap.pools.at(-1), 'zswap has no pool').shrinkRequests++
  zswap.shrinkAskedNs = now(k)
  zswap.shrinker.wakeNs = Math.min(zswap.shrinker.wakeNs, now(k))
  k.needResched = true
}

/** Whether a page may be taken at all now. */
function accepts(k: Kernel): boolean {
  const { zswap } = k
  if (isFull(k)) {
    zswap.counters.poolLimitHit++
    zswap.poolReachedFull = true
    queueShrink(k)
    return false
  }
  if (zswap.poolReachedFull && !canAccept(k)) return false
  zswap.poolReachedFull = false
  return true
}

// --- entries

function entryAt(k: Kernel, type: number, offset: number): number {
  return k.zswap.trees[type]?.[Math.floor(offset / PIECE)]?.[offset % PIECE] ?? 0
}

function setEntry(k: Kernel, type: number, offset: number, entry: number): void {
  const tree = must(k.zswap.trees[type], 'zswap keeps a page of no swap area')
  const piece = Math.floor(offset / PIECE)
  const slots = tree[piece] ?? new Int32Array(PIECE)
  tree[piece] = slots
  slots[offset % PIECE] = entry
}

function poolOf(k: Kernel, id: number): ZswapPool {
  const { pools } = k.zswap
  for (const pool of pools) if (pool.id === id) return pool
  return fail('a compressed page is in no pool')
}

/** Takes an entry out of its tree and frees it with its data (zswap_free_entry). */
function freeEntry(k: Kernel, entry: number): void {
  const { entries, counters } = k.zswap
  const { words } = entries
  const at = entry * STRIDE
  setEntry(k, words[at + TYPE], words[at + OFFSET], 0)
  if (words[at + LENGTH] === 0) counters.sameFilledPages--
  else {
    const pool = poolOf(k, words[at + POOL])
    zpoolFree(k, pool.zpool, words[at + HANDLE])
    if (--pool.entries === 0) dropEmptyPools(k)
  }
  memcgUnchargeZswap(k, words[at + MEMCG], words[at + LENGTH])
  recordFree(entries, entry)
  kmemFree(k, 'zswap_entry', 1)
  counters.storedPages--
  updateTotalSize(k)
}

/** A swap area was switched on: it may store pages from now on (zswap_frontswap_init). */
export function zswapSwapon(k: Kernel, type: number): void {
  k.zswap.trees[type] = []
}

/** Forgets all pages of a swap area (zswap_frontswap_invalidate_area). */
export function zswapSwapoff(k: Kernel, type: number): void {
  for (const slots of k.zswap.trees[type] ?? []) {
    for (let i = 0; slots !== undefined && i < PIECE; i++) if (slots[i] !== 0) freeEntry(k, slots[i])
  }
  k.zswap.trees[type] = undefined
}

/** Keeps the page's content compressed for its swap slot; false: it must be written to the device. */
export function zswapStore(k: Kernel, pfn: Pfn, type: number, offset: number): boolean {
  zswapInvalidatePage(k, type, offset)
  const { zswap } = k
  if (isThp(k, pfn) || !zswap.enabled || zswap.trees[type] === undefined) return false
  const memcg = pageMemcg(k, pfn)
  if (!memcgMayZswap(k, memcg) || !accepts(k)) return false
  if (!kmemTake(k, 'zswap_entry', 1, __GFP_MEMALLOC)) {
    zswap.counters.rejectKmemcacheFail++
    return false
  }
  const entry = recordTake(zswap.entries)
  const at = entry * STRIDE
  const content = pageContent(k, pfn)
  const same = zswap.sameFilledPagesEnabled && k.contents.classes[content].sameFilled
  if (same) zswap.counters.sameFilledPages++
  else if (!zswap.nonSameFilledPagesEnabled || !compressInto(k, entry, content)) {
    recordFree(zswap.entries, entry)
    kmemFree(k, 'zswap_entry', 1)
    return false
  }
  const { words } = zswap.entries
  words[at + TYPE] = type
  words[at + OFFSET] = offset
  words[at + CONTENT] = content
  words[at + INDEX] = pageContentIndex(k, pfn)
  words[at + MEMCG] = memcg
  memcgChargeZswap(k, memcg, words[at + LENGTH])
  setEntry(k, type, offset, entry)
  zswap.counters.storedPages++
  updateTotalSize(k)
  k.event[EV.zswpout]++
  countMemcgEvent(k, memcg, EV.zswpout, 1)
  return true
}

/** Compresses content into the current pool; the entry knows where then. */
function compressInto(k: Kernel, entry: number, content: number): boolean {
  const { pools, counters, entries } = k.zswap
  const pool = pools[0]
  spend(k, COST.zswap_page, 1)
  const bytes = compressedBytes(k, pool.compressor, content)
  if (bytes > PAGE_SIZE) return false
  const handle = zpoolMalloc(k, pool.zpool, bytes + (zpoolEvictable(pool.zpool) ? HEADER_BYTES : 0), GFP, entry)
  if (handle < 0) {
    if (handle === -ENOSPC) counters.rejectCompressPoor++
    else counters.rejectAllocFail++
    return false
  }
  pool.entries++
  entries.words[entry * STRIDE + LENGTH] = bytes
  entries.words[entry * STRIDE + POOL] = pool.id
  entries.words[entry * STRIDE + HANDLE] = handle
  return true
}

/** Fills a page that is being swapped in, if its slot's content is kept here; false: it must be read from the device. */
export function zswapLoad(k: Kernel, pfn: Pfn, type: number, offset: number): boolean {
  const entry = entryAt(k, type, offset)
  if (entry === 0) return false
  fill(k, entry, pfn)
  k.event[EV.zswpin]++
  countMemcgEvent(k, k.zswap.entries.words[entry * STRIDE + MEMCG], EV.zswpin, 1)
  return true
}

function fill(k: Kernel, entry: number, pfn: Pfn): void {
  const { words } = k.zswap.entries
  const at = entry * STRIDE
  if (words[at + LENGTH] > 0) spend(k, COST.zswap_page, LOAD_SHARE)
  pageSetContent(k, pfn, words[at + CONTENT], words[at + INDEX])
}

/** The slot is free: what is kept for it is dropped. */
export function zswapInvalidatePage(k: Kernel, type: number, offset: number): void {
  if (k.zswap.entries.count === 0) return
  const entry = entryAt(k, type, offset)
  if (entry !== 0) freeEntry(k, entry)
}

// --- writing back: see daemons/zswap_shrink.ts

/** The area and slot of an entry. */
export const zswapSlot = (k: Kernel, entry: number): { readonly type: number; readonly offset: number } => ({
  type: k.zswap.entries.words[entry * STRIDE + TYPE],
  offset: k.zswap.entries.words[entry * STRIDE + OFFSET],
})

/** Fills a page with what an entry keeps, to be written to the device; whether the entry is still there for its slot. */
export function zswapUnpack(k: Kernel, entry: number, type: number, offset: number, pfn: Pfn): boolean {
  if (entryAt(k, type, offset) !== entry) return false
  fill(k, entry, pfn)
  return true
}

/** The pool that is to be shrunk, undefined for none. */
export const zswapToShrink = (k: Kernel): ZswapPool | undefined => k.zswap.pools.find(({ shrinkRequests }) => shrinkRequests > 0)

/** A pool that was being shrunk may be empty now. */
export const zswapShrunk = dropEmptyPools

/** What does not add up in zswap, in words; `visit` is called with each page of its pools and the pool's kind. */
export function verifyZswap(k: Kernel, visit: (pfn: number, kind: Zpool['kind']) => void): string[] {
  const { entries, counters, pools, trees } = k.zswap
  const wrong = pools.flatMap(({ zpool }) => verifyZpool(zpool, pfn => visit(pfn, zpool.kind)))
  const byPool = new Map<number, number>()
  let [stored, same] = [0, 0]
  trees.forEach((tree, type) => {
    tree?.forEach((slots, piece) => {
      slots?.forEach((entry, i) => {
        if (entry === 0) return
        const at = entry * STRIDE
        stored++
        if (entries.words[at + TYPE] !== type || entries.words[at + OFFSET] !== piece * PIECE + i)
          wrong.push(`entry ${entry} of zswap is in the wrong place`)
        if (entries.words[at + LENGTH] === 0) same++
        else byPool.set(entries.words[at + POOL], (byPool.get(entries.words[at + POOL]) ?? 0) + 1)
      })
    })
  })
  for (const { id, entries: held } of pools)
    if ((byPool.get(id) ?? 0) !== held) wrong.push(`pool ${id} of zswap holds ${byPool.get(id) ?? 0} entries, counted ${held}`)
  if (stored !== counters.storedPages || stored !== entries.count || same !== counters.sameFilledPages)
    wrong.push(`zswap keeps ${stored} pages, ${same} of one word; counted ${counters.storedPages} and ${counters.sameFilledPages}`)
  return wrong
}
