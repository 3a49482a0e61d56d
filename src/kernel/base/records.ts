/**
 * Many small records of equal length in one typed array: taken, given back, and threaded on lists.
 *
 *     words   | record 0: none | record 1 | record 2 | ...
 *
 * A record is named by its number; 0 is none. A record that was given back keeps the number of the next free one in its first
 * word. Lists run through two words of the record, next and previous one, from `link` on; a list's first and last record stand
 * side by side in an array of heads. A record can be on several lists by different words.
 */
export interface Records {
  words: Int32Array
  /** Words of a record. */
  readonly stride: number
  /** Records ever taken, number 0 included; and the first of those given back. */
  used: number
  free: number
  /** Records that are taken now. */
  count: number
}

const FIRST_CAPACITY = 64

export const records = (stride: number): Records => ({ words: new Int32Array(stride * FIRST_CAPACITY), stride, used: 1, free: 0, count: 0 })

/** A record of zeros. */
export function recordTake(all: Records): number {
  all.count++
  const { stride } = all
  const id = all.free
  if (id !== 0) {
    all.free = all.words[id * stride]
    all.words[id * stride] = 0
    return id
  }
  if ((all.used + 1) * stride > all.words.length) {
    const larger = new Int32Array(all.words.length * 2)
    larger.set(all.words)
    all.words = larger
  }
  return all.used++
}

export function recordFree(all: Records, id: number): void {
  const { words, stride } = all
  words.fill(0, id * stride, (id + 1) * stride)
  words[id * stride] = all.free
  all.free = id
  all.count--
}

/** Heads of so many empty lists. */
export const recordLists = (lists: number): Int32Array => new Int32Array(lists * 2)

export const recordFirst = (heads: Int32Array, list: number): number => heads[list * 2]
export const recordLast = (heads: Int32Array, list: number): number => heads[list * 2 + 1]

/** Puts a record behind `after`, or first when that is 0. */
export function recordInsert(all: Records, heads: Int32Array, list: number, link: number, id: number, after: number): void {
  const { words, stride } = all
  const next = after === 0 ? heads[list * 2] : words[after * stride + link]
  words[id * stride + link] = next
  words[id * stride + link + 1] = after
  if (after === 0) heads[list * 2] = id
  else words[after * stride + link] = id
  if (next === 0) heads[list * 2 + 1] = id
  else words[next * stride + link + 1] = id
}

/** Takes a record off the list it is on. */
export function recordUnlink(all: Records, heads: Int32Array, list: number, link: number, id: number): void {
  const { words, stride } = all
  const next = words[id * stride + link]
  const before = words[id * stride + link + 1]
  if (before === 0) heads[list * 2] = next
  else words[before * stride + link] = next
  if (next === 0) heads[list * 2 + 1] = before
  else words[next * stride + link + 1] = before
}
