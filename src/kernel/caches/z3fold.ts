/**
 * z3fold: a pool that puts up to three compressed pages into a page. A module that 6.1 calls deprecated.
 *
 *     | header | first ->      | middle |      <- last |        64 chunks of 64 bytes, the header is two
 *
 * A page with room stands on a list of the CPU that used it last, by its free chunks (beside a middle one, of the larger gap); a
 * CPU looks through its own lists, then for an exact fit on those of others. What is freed leaves gaps: a lone object moves into another
 * page and its page goes, else the middle one is moved to one side if that gains three chunks. Objects that fill nearly a page
 * have one to themselves, without a header. A page that holds objects which came from elsewhere is not evicted.
 *
 * Linux compacts a page in a work item moments after something in it was freed; here it is done at once.
 *
 * Invariants: a page with a header and room is on one list of one CPU; it holds at least one object; handles name their page and buddy.
 *
 * Source: mm/z3fold.c.
 */
import { ENOMEM, ENOSPC } from '../base/errno.ts'
import { __GFP_MEMALLOC } from '../base/flags.ts'
import { recordFirst, recordFree, recordInsert, recordLast, recordLists, records, recordTake, recordUnlink } from '../base/records.ts'
import type { Kernel } from '../base/state.ts'
import type { Z3foldPool } from '../base/state_zswap.ts'
import { asPfn, NO_PAGE, PAGE_SIZE } from '../base/units.ts'
import { allocPageNowait } from '../frames/nowait.ts'
import { freePages } from '../frames/rmqueue.ts'
import { kmemFree, kmemTake } from './slab.ts'

const CHUNK_SIZE = 64
const TOTAL_CHUNKS = PAGE_SIZE / CHUNK_SIZE
const HEADER_CHUNKS = 2
const NCHUNKS = TOTAL_CHUNKS - HEADER_CHUNKS
const MOST_SHARED = PAGE_SIZE - HEADER_CHUNKS * CHUNK_SIZE - CHUNK_SIZE
/** Moving the middle object is worth it from this gain on. */
const BIG_GAP = 3

const FIRST = 0
const MIDDLE = 1
const LAST = 2

/** Words of a page's record: links; chunks of the three; where the middle begins; what they are; objects from elsewhere; list it is on. */
const PFN = 0
const BUDDY_LINK = 1
const LRU_LINK = 3
const CHUNKS = 5
const START_MIDDLE = 8
const HANDLES = 9
const FOREIGN = 12
/** 0: on none. */
const LIST = 13
const HEADLESS = 14
/** Being evicted, or compacted: frees leave it to who does that. */
const CLAIMED = 15
const STRIDE = 16

/** Words of a handle. */
const PAGE = 0
const BUDDY = 1
const OWNER = 2
const CAME = 3
const HANDLE_STRIDE = 4

const RECLAIM_RETRIES = 8

export const z3foldCreate = (): Z3foldPool => ({
  kind: 'z3fold',
  pages: records(STRIDE),
  handles: records(HANDLE_STRIDE),
  unbuddied: new Int32Array(0),
  lru: recordLists(1),
})

const word = (pool: Z3foldPool, id: number, at: number): number => pool.pages.words[id * STRIDE + at]
function setWord(pool: Z3foldPool, id: number, at: number, value: number): void {
  pool.pages.words[id * STRIDE + at] = value
}

/** Numbers of a CPU's lists begin here; 0 means none. */
const listsOf = (cpu: number): number => cpu * (NCHUNKS + 1) + 1

const used = (pool: Z3foldPool, id: number): number =>
  Number(word(pool, id, CHUNKS) > 0) + Number(word(pool, id, CHUNKS + MIDDLE) > 0) + Number(word(pool, id, CHUNKS + LAST) > 0)

/** The larger gap beside a middle object, or what the other two leave (num_free_chunks). */
function freeChunks(pool: Z3foldPool, id: number): number {
  const [first, middle, last] = [word(pool, id, CHUNKS), word(pool, id, CHUNKS + MIDDLE), word(pool, id, CHUNKS + LAST)]
  if (middle === 0) return NCHUNKS - first - last
  const start = word(pool, id, START_MIDDLE)
  return Math.max(first > 0 ? 0 : start - HEADER_CHUNKS, last > 0 ? 0 : TOTAL_CHUNKS - (start + middle))
}

/** Where an object of so many chunks goes in a page that was found to have room; -1 for nowhere (get_free_buddy). */
function freeBuddy(pool: Z3foldPool, id: number, chunks: number): number {
  const [first, middle, last] = [word(pool, id, CHUNKS), word(pool, id, CHUNKS + MIDDLE), word(pool, id, CHUNKS + LAST)]
  if (middle > 0) {
    if (first === 0 && chunks <= word(pool, id, START_MIDDLE) - HEADER_CHUNKS) return FIRST
    return last === 0 ? LAST : -1
  }
  return first === 0 ? FIRST : last === 0 ? LAST : MIDDLE
}

// --- lists

function addUnbuddied(k: Kernel, pool: Z3foldPool, id: number): void {
  if (used(pool, id) === LAST + 1) return
  const list = listsOf(k.cpu) + freeChunks(pool, id)
  setWord(pool, id, LIST, list)
  recordInsert(pool.pages, pool.unbuddied, list, BUDDY_LINK, id, 0)
}

function takeOff(pool: Z3foldPool, id: number): void {
  const list = word(pool, id, LIST)
  if (list === 0) return
  recordUnlink(pool.pages, pool.unbuddied, list, BUDDY_LINK, id)
  setWord(pool, id, LIST, 0)
}

/** A page with room for so many chunks, taken off its list; 0 for none (__z3fold_alloc). */
function findRoom(k: Kernel, pool: Z3foldPool, chunks: number): number {
  if (pool.unbuddied.length === 0) pool.unbuddied = recordLists(listsOf(k.cpus.length))
  let id = 0
  for (let free = chunks; id === 0 && free <= NCHUNKS; free++) id = recordFirst(pool.unbuddied, listsOf(k.cpu) + free)
  for (const cpu of k.cpus) if (id === 0 && cpu.online) id = recordFirst(pool.unbuddied, listsOf(cpu.id) + chunks)
  if (id !== 0) takeOff(pool, id)
  return id
}

// --- objects

/**
 * Room for a compressed page.
 * @param owner who is asked to give it up when the pool is shrunk.
 * @returns a handle, or a negative errno: ENOSPC for more than a page, ENOMEM when there is no page.
 */
export function z3foldAlloc(k: Kernel, pool: Z3foldPool, bytes: number, gfp: number, owner: number): number {
  if (bytes > PAGE_SIZE) return -ENOSPC
  const headless = bytes > MOST_SHARED
  const chunks = Math.ceil(bytes / CHUNK_SIZE)
  const found = headless ? 0 : findRoom(k, pool, chunks)
  const id = found === 0 ? newPage(k, pool, gfp, headless) : found
  if (id === 0) return -ENOMEM
  const handle = recordTake(pool.handles)
  pool.handles.words[handle * HANDLE_STRIDE + OWNER] = owner
  put(k, pool, id, headless ? FIRST : freeBuddy(pool, id, chunks), chunks, handle)
  if (found !== 0) recordUnlink(pool.pages, pool.lru, 0, LRU_LINK, id)
  recordInsert(pool.pages, pool.lru, 0, LRU_LINK, id, 0)
  return handle
}

function newPage(k: Kernel, pool: Z3foldPool, gfp: number, headless: boolean): number {
  const pfn = allocPageNowait(k, gfp | __GFP_MEMALLOC, 0)
  if (pfn === NO_PAGE) return 0
  if (!headless && !kmemTake(k, 'z3fold_handle', 1, __GFP_MEMALLOC)) {
    freePages(k, pfn, 0)
    return 0
  }
  const id = recordTake(pool.pages)
  setWord(pool, id, PFN, pfn)
  setWord(pool, id, HEADLESS, Number(headless))
  return id
}

/** Puts an object into a page that is on no list, and the page on one. */
function put(k: Kernel, pool: Z3foldPool, id: number, buddy: number, chunks: number, handle: number): void {
  setWord(pool, id, CHUNKS + buddy, chunks)
  setWord(pool, id, HANDLES + buddy, handle)
  if (buddy === MIDDLE) setWord(pool, id, START_MIDDLE, word(pool, id, CHUNKS) + HEADER_CHUNKS)
  pool.handles.words[handle * HANDLE_STRIDE + PAGE] = id
  pool.handles.words[handle * HANDLE_STRIDE + BUDDY] = buddy
  if (word(pool, id, HEADLESS) === 0) addUnbuddied(k, pool, id)
}

export function z3foldFree(k: Kernel, pool: Z3foldPool, handle: number): void {
  const at = handle * HANDLE_STRIDE
  const id = pool.handles.words[at + PAGE]
  const buddy = pool.handles.words[at + BUDDY]
  setWord(pool, id, CHUNKS + buddy, 0)
  setWord(pool, id, HANDLES + buddy, 0)
  if (pool.handles.words[at + CAME] === 1) setWord(pool, id, FOREIGN, word(pool, id, FOREIGN) - 1)
  recordFree(pool.handles, handle)
  if (word(pool, id, CLAIMED) === 1) return
  takeOff(pool, id)
  if (used(pool, id) === 0) release(k, pool, id)
  else compact(k, pool, id)
}

/** Frees a page that is empty and on no list of pages with room. */
function release(k: Kernel, pool: Z3foldPool, id: number): void {
  recordUnlink(pool.pages, pool.lru, 0, LRU_LINK, id)
  freePage(k, pool, id)
}

function freePage(k: Kernel, pool: Z3foldPool, id: number): void {
  if (word(pool, id, HEADLESS) === 0) kmemFree(k, 'z3fold_handle', 1)
  freePages(k, asPfn(word(pool, id, PFN)), 0)
  recordFree(pool.pages, id)
}

// --- compaction

/** Closes the gap that a freed object left (do_compact_page). */
function compact(k: Kernel, pool: Z3foldPool, id: number): void {
  if (word(pool, id, FOREIGN) === 0 && used(pool, id) === 1 && moveOut(k, pool, id)) {
    release(k, pool, id)
    return
  }
  moveMiddle(pool, id)
  addUnbuddied(k, pool, id)
}

/** Moves a page's only object into another page that has room (compact_single_buddy). */
function moveOut(k: Kernel, pool: Z3foldPool, id: number): boolean {
  const buddy = [FIRST, MIDDLE, LAST].findIndex(each => word(pool, id, CHUNKS + each) > 0)
  const chunks = word(pool, id, CHUNKS + buddy)
  const target = findRoom(k, pool, chunks)
  if (target === 0) return false
  const handle = word(pool, id, HANDLES + buddy)
  setWord(pool, id, CHUNKS + buddy, 0)
  setWord(pool, target, FOREIGN, word(pool, target, FOREIGN) + 1)
  pool.handles.words[handle * HANDLE_STRIDE + CAME] = 1
  put(k, pool, target, freeBuddy(pool, target, chunks), chunks, handle)
  return true
}

/** Moves the middle object to one side where that leaves a larger gap (z3fold_compact_page). */
function moveMiddle(pool: Z3foldPool, id: number): void {
  const [first, middle, last] = [word(pool, id, CHUNKS), word(pool, id, CHUNKS + MIDDLE), word(pool, id, CHUNKS + LAST)]
  const start = word(pool, id, START_MIDDLE)
  if (middle === 0) return
  if (first === 0 && last === 0) {
    const handle = word(pool, id, HANDLES + MIDDLE)
    setWord(pool, id, CHUNKS, middle)
    setWord(pool, id, HANDLES, handle)
    setWord(pool, id, CHUNKS + MIDDLE, 0)
    setWord(pool, id, HANDLES + MIDDLE, 0)
    pool.handles.words[handle * HANDLE_STRIDE + BUDDY] = FIRST
  } else if (first > 0 && last === 0 && start - (first + HEADER_CHUNKS) >= BIG_GAP) setWord(pool, id, START_MIDDLE, first + HEADER_CHUNKS)
  else if (last > 0 && first === 0 && TOTAL_CHUNKS - (last + start + middle) >= BIG_GAP)
    setWord(pool, id, START_MIDDLE, TOTAL_CHUNKS - last - middle)
}

// --- eviction

/**
 * Empties and frees the page that took an object longest ago, of those whose objects are their own.
 * @param evict moves what an owner has elsewhere and frees its handle; false when that cannot be done now.
 * @returns whether a page was freed.
 */
export function z3foldShrink(k: Kernel, pool: Z3foldPool, evict: (owner: number) => boolean): boolean {
  for (let tries = 0; tries < RECLAIM_RETRIES; tries++) {
    let id = recordLast(pool.lru, 0)
    while (id !== 0 && (word(pool, id, FOREIGN) > 0 || word(pool, id, CLAIMED) === 1)) id = word(pool, id, LRU_LINK + 1)
    if (id === 0) return false
    setWord(pool, id, CLAIMED, 1)
    takeOff(pool, id)
    recordUnlink(pool.pages, pool.lru, 0, LRU_LINK, id)
    for (const buddy of [MIDDLE, FIRST, LAST]) if (!evictBuddy(pool, id, buddy, evict)) break
    setWord(pool, id, CLAIMED, 0)
    if (used(pool, id) === 0) {
      freePage(k, pool, id)
      return true
    }
    recordInsert(pool.pages, pool.lru, 0, LRU_LINK, id, 0)
    if (word(pool, id, HEADLESS) === 0) addUnbuddied(k, pool, id)
  }
  return false
}

function evictBuddy(pool: Z3foldPool, id: number, buddy: number, evict: (owner: number) => boolean): boolean {
  const handle = word(pool, id, HANDLES + buddy)
  return handle === 0 || evict(pool.handles.words[handle * HANDLE_STRIDE + OWNER])
}

export const z3foldPages = (pool: Z3foldPool): number => pool.pages.count

/** What does not add up in the pool, in words; `visit` is called with each of its pages. */
export function verifyZ3fold(pool: Z3foldPool, visit: (pfn: number) => void): string[] {
  const wrong: string[] = []
  let [pages, objects] = [0, 0]
  for (let id = recordFirst(pool.lru, 0); id !== 0; id = word(pool, id, LRU_LINK)) {
    pages++
    objects += used(pool, id)
    visit(word(pool, id, PFN))
    const room = word(pool, id, HEADLESS) === 0 && used(pool, id) <= LAST
    if (used(pool, id) === 0 || room !== word(pool, id, LIST) > 0)
      wrong.push(`a page of z3fold with ${used(pool, id)} objects is on list ${word(pool, id, LIST)}`)
    for (let buddy = FIRST; buddy <= LAST; buddy++) {
      const at = word(pool, id, HANDLES + buddy) * HANDLE_STRIDE
      if (at !== 0 && (pool.handles.words[at + PAGE] !== id || pool.handles.words[at + BUDDY] !== buddy))
        wrong.push(`handle ${at / HANDLE_STRIDE} of z3fold names another place`)
    }
  }
  if (pages !== pool.pages.count || objects !== pool.handles.count)
    wrong.push(`z3fold has ${pages} pages and ${objects} objects, counted ${pool.pages.count} and ${pool.handles.count}`)
  return wrong
}
