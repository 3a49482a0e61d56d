/**
 * Doubly linked lists of pages, threaded through the pages' own records: no node is ever allocated, and a page is
 * on at most one list at a time.
 *
 *     heads.first[L] ──> page ─W_NEXT─> page ─W_NEXT─> page <── heads.last[L]
 *                         <─W_PREV──     <─W_PREV──            heads.length[L] = 3
 *
 * A list is a number handed out by listAllocate; NO_PAGE (0) ends it in both directions.
 */
import { fail } from './assert.ts'
import { asPfn, NO_PAGE, type Pfn } from './units.ts'

/** Words of a page's record (see frames/page.ts for the whole record). */
export const PAGE_WORDS = 8
export const W_NEXT = 1
export const W_PREV = 2

export interface ListHeads {
  first: Int32Array
  last: Int32Array
  length: Int32Array
  /** Lists handed out so far. */
  used: number
}

export const listHeads = (): ListHeads => ({ first: new Int32Array(64), last: new Int32Array(64), length: new Int32Array(64), used: 0 })

/** Hands out `n` consecutive empty lists and returns the first one's number. */
export function listAllocate(heads: ListHeads, n: number): number {
  const first = heads.used
  heads.used += n
  if (heads.used > heads.first.length) {
    const size = Math.max(heads.used, heads.first.length * 2)
    heads.first = grown(heads.first, size)
    heads.last = grown(heads.last, size)
    heads.length = grown(heads.length, size)
  }
  return first
}

function grown(from: Int32Array, size: number): Int32Array {
  const to = new Int32Array(size)
  to.set(from)
  return to
}

/** Adds at the head, where the most recently used page stands. */
export function listAdd(heads: ListHeads, page: Int32Array, list: number, pfn: Pfn): void {
  const base = pfn * PAGE_WORDS
  const first = heads.first[list]
  page[base + W_NEXT] = first
  page[base + W_PREV] = NO_PAGE
  if (first === NO_PAGE) heads.last[list] = pfn
  else page[first * PAGE_WORDS + W_PREV] = pfn
  heads.first[list] = pfn
  heads.length[list]++
}

export function listAddTail(heads: ListHeads, page: Int32Array, list: number, pfn: Pfn): void {
  const base = pfn * PAGE_WORDS
  const last = heads.last[list]
  page[base + W_NEXT] = NO_PAGE
  page[base + W_PREV] = last
  if (last === NO_PAGE) heads.first[list] = pfn
  else page[last * PAGE_WORDS + W_NEXT] = pfn
  heads.last[list] = pfn
  heads.length[list]++
}

/** Adds a page just before another one that is on the list: the tail's side is `at`. */
export function listInsertBefore(heads: ListHeads, page: Int32Array, list: number, at: Pfn, pfn: Pfn): void {
  const prev = page[at * PAGE_WORDS + W_PREV]
  if (prev === NO_PAGE) return listAdd(heads, page, list, pfn)
  const base = pfn * PAGE_WORDS
  page[base + W_NEXT] = at
  page[base + W_PREV] = prev
  page[prev * PAGE_WORDS + W_NEXT] = pfn
  page[at * PAGE_WORDS + W_PREV] = pfn
  heads.length[list]++
}

/** Moves the part of the list from its head to `pfn` behind the rest. */
export function listTurn(heads: ListHeads, page: Int32Array, list: number, pfn: Pfn): void {
  const next = page[pfn * PAGE_WORDS + W_NEXT]
  if (next === NO_PAGE) return
  const first = heads.first[list]
  const last = heads.last[list]
  page[last * PAGE_WORDS + W_NEXT] = first
  page[first * PAGE_WORDS + W_PREV] = last
  page[pfn * PAGE_WORDS + W_NEXT] = NO_PAGE
  page[next * PAGE_WORDS + W_PREV] = NO_PAGE
  heads.first[list] = next
  heads.last[list] = pfn
}

/** Takes a page off the list it is on. */
export function listDelete(heads: ListHeads, page: Int32Array, list: number, pfn: Pfn): void {
  const base = pfn * PAGE_WORDS
  const next = page[base + W_NEXT]
  const prev = page[base + W_PREV]
  if (next === NO_PAGE) {
    if (heads.last[list] !== pfn) fail(`page ${pfn} is not on list ${list}`)
    heads.last[list] = prev
  } else page[next * PAGE_WORDS + W_PREV] = prev
  if (prev === NO_PAGE) {
    if (heads.first[list] !== pfn) fail(`page ${pfn} is not on list ${list}`)
    heads.first[list] = next
  } else page[prev * PAGE_WORDS + W_NEXT] = next
  page[base + W_NEXT] = NO_PAGE
  page[base + W_PREV] = NO_PAGE
  heads.length[list]--
}

export const listFirst = (heads: ListHeads, list: number): Pfn => asPfn(heads.first[list])
export const listLast = (heads: ListHeads, list: number): Pfn => asPfn(heads.last[list])
export const listLength = (heads: ListHeads, list: number): number => heads.length[list]
export const listNext = (page: Int32Array, pfn: Pfn): Pfn => asPfn(page[pfn * PAGE_WORDS + W_NEXT])
export const listPrev = (page: Int32Array, pfn: Pfn): Pfn => asPfn(page[pfn * PAGE_WORDS + W_PREV])
