/**
 * zbud: a pool that puts at most two compressed pages into a page, one at each end.
 *
 *     | header | first buddy ->        free chunks        <- last buddy |        64 chunks of 64 bytes, the header is one
 *
 * Simple and predictable: freeing never leaves holes, and a page can be emptied by evicting two buddies. A new buddy goes into the
 * page with the fewest free chunks that still holds it. Pages are evicted from the far end of a list on which the one that took
 * a buddy last stands first.
 *
 * A handle names a page's record and which of its buddies it is.
 *
 * Invariants: a page stands on the list of its free chunks, or of full pages when it has both buddies; it has at least one.
 *
 * Source: mm/zbud.c.
 */
import { ENOMEM, ENOSPC } from '../base/errno.ts'
import { __GFP_MEMALLOC } from '../base/flags.ts'
import { recordFirst, recordFree, recordInsert, recordLast, recordLists, records, recordTake, recordUnlink } from '../base/records.ts'
import type { Kernel } from '../base/state.ts'
import type { ZbudPool } from '../base/state_zswap.ts'
import { asPfn, NO_PAGE, PAGE_SIZE } from '../base/units.ts'
import { allocPageNowait } from '../frames/nowait.ts'
import { freePages } from '../frames/rmqueue.ts'

const CHUNK_SIZE = 64
const HEADER_SIZE = 64
const NCHUNKS = (PAGE_SIZE - HEADER_SIZE) / CHUNK_SIZE
/** The list of pages with both buddies. */
const BUDDIED = NCHUNKS

/** Words of a page's record. */
const PFN = 0
const BUDDY_LINK = 1
const LRU_LINK = 3
/** Chunks of the first and of the last buddy, and what they hold. */
const CHUNKS = 5
const OWNER = 7
/** Its buddies are being evicted: frees leave the page to who does that. */
const UNDER_RECLAIM = 9
const STRIDE = 10

/** Tries to empty a page before it is given up (zbud_zpool_shrink). */
const RECLAIM_RETRIES = 8

export const zbudCreate = (): ZbudPool => ({ kind: 'zbud', pages: records(STRIDE), buddies: recordLists(NCHUNKS + 1), lru: recordLists(1) })

/**
 * Room for a compressed page.
 * @param owner what zbudOwner will say of it.
 * @returns a handle, or a negative errno: ENOSPC when it is too large to share a page, ENOMEM when there is no page.
 */
export function zbudAlloc(k: Kernel, pool: ZbudPool, bytes: number, gfp: number, owner: number): number {
  if (bytes > PAGE_SIZE - HEADER_SIZE - CHUNK_SIZE) return -ENOSPC
  const chunks = Math.ceil(bytes / CHUNK_SIZE)
  const id = roomFor(pool, chunks) || newPage(k, pool, gfp)
  if (id === 0) return -ENOMEM
  const { words } = pool.pages
  const buddy = words[id * STRIDE + CHUNKS] === 0 ? 0 : 1
  words[id * STRIDE + CHUNKS + buddy] = chunks
  words[id * STRIDE + OWNER + buddy] = owner
  linkBuddy(pool, id)
  recordInsert(pool.pages, pool.lru, 0, LRU_LINK, id, 0)
  return id * 2 + buddy
}

/** Takes the page that fits best off its lists; 0 when none does. */
function roomFor(pool: ZbudPool, chunks: number): number {
  for (let list = chunks; list < NCHUNKS; list++) {
    const id = recordFirst(pool.buddies, list)
    if (id === 0) continue
    recordUnlink(pool.pages, pool.buddies, list, BUDDY_LINK, id)
    recordUnlink(pool.pages, pool.lru, 0, LRU_LINK, id)
    return id
  }
  return 0
}

function newPage(k: Kernel, pool: ZbudPool, gfp: number): number {
  const pfn = allocPageNowait(k, gfp | __GFP_MEMALLOC, 0)
  if (pfn === NO_PAGE) return 0
  const id = recordTake(pool.pages)
  pool.pages.words[id * STRIDE + PFN] = pfn
  return id
}

/** The list that the page belongs on. */
function listOf(pool: ZbudPool, id: number): number {
  const { words } = pool.pages
  const first = words[id * STRIDE + CHUNKS]
  const last = words[id * STRIDE + CHUNKS + 1]
  return first !== 0 && last !== 0 ? BUDDIED : NCHUNKS - first - last
}

const linkBuddy = (pool: ZbudPool, id: number): void => recordInsert(pool.pages, pool.buddies, listOf(pool, id), BUDDY_LINK, id, 0)
const isEmpty = (pool: ZbudPool, id: number): boolean => listOf(pool, id) === NCHUNKS && pool.pages.words[id * STRIDE + CHUNKS] === 0

export function zbudFree(k: Kernel, pool: ZbudPool, handle: number): void {
  const id = handle >> 1
  const { words } = pool.pages
  const reclaimed = words[id * STRIDE + UNDER_RECLAIM] === 1
  if (!reclaimed) recordUnlink(pool.pages, pool.buddies, listOf(pool, id), BUDDY_LINK, id)
  words[id * STRIDE + CHUNKS + (handle & 1)] = 0
  words[id * STRIDE + OWNER + (handle & 1)] = 0
  if (reclaimed) return
  if (isEmpty(pool, id)) {
    recordUnlink(pool.pages, pool.lru, 0, LRU_LINK, id)
    freePage(k, pool, id)
  } else linkBuddy(pool, id)
}

function freePage(k: Kernel, pool: ZbudPool, id: number): void {
  freePages(k, asPfn(pool.pages.words[id * STRIDE + PFN]), 0)
  recordFree(pool.pages, id)
}

/**
 * Empties and frees the page that took a buddy longest ago.
 * @param evict moves what a buddy holds elsewhere and frees its handle; false when that cannot be done now.
 * @returns whether a page was freed.
 */
export function zbudShrink(k: Kernel, pool: ZbudPool, evict: (owner: number) => boolean): boolean {
  for (let tries = 0; tries < RECLAIM_RETRIES && pool.pages.count > 0; tries++) {
    const id = recordLast(pool.lru, 0)
    recordUnlink(pool.pages, pool.lru, 0, LRU_LINK, id)
    recordUnlink(pool.pages, pool.buddies, listOf(pool, id), BUDDY_LINK, id)
    const at = id * STRIDE
    pool.pages.words[at + UNDER_RECLAIM] = 1
    if (evictBuddy(pool, at + OWNER, evict)) evictBuddy(pool, at + OWNER + 1, evict)
    pool.pages.words[at + UNDER_RECLAIM] = 0
    if (isEmpty(pool, id)) {
      freePage(k, pool, id)
      return true
    }
    linkBuddy(pool, id)
    recordInsert(pool.pages, pool.lru, 0, LRU_LINK, id, 0)
  }
  return false
}

/** Whoever evicts may free the other buddy on his way, so each is looked up when its turn comes. */
function evictBuddy(pool: ZbudPool, at: number, evict: (owner: number) => boolean): boolean {
  const owner = pool.pages.words[at]
  return owner === 0 || evict(owner)
}

export const zbudPages = (pool: ZbudPool): number => pool.pages.count

/** What does not add up in the pool, in words; `visit` is called with each of its pages. */
export function verifyZbud(pool: ZbudPool, visit: (pfn: number) => void): string[] {
  const { words, count } = pool.pages
  const wrong: string[] = []
  let inLru = 0
  for (let id = recordFirst(pool.lru, 0); id !== 0; id = words[id * STRIDE + LRU_LINK]) {
    inLru++
    visit(words[id * STRIDE + PFN])
    const [first, last] = [words[id * STRIDE + CHUNKS], words[id * STRIDE + CHUNKS + 1]]
    if (first + last === 0 || first + last > NCHUNKS) wrong.push(`a page of zbud has buddies of ${first} and ${last} chunks`)
  }
  let inBuddies = 0
  for (let list = 0; list <= BUDDIED; list++) {
    for (let id = recordFirst(pool.buddies, list); id !== 0; id = words[id * STRIDE + BUDDY_LINK]) {
      inBuddies++
      if (listOf(pool, id) !== list) wrong.push(`a page of zbud stands on list ${list} instead of ${listOf(pool, id)}`)
    }
  }
  if (inLru !== count || inBuddies !== count) wrong.push(`zbud has ${count} pages, ${inLru} by age and ${inBuddies} by room`)
  return wrong
}
