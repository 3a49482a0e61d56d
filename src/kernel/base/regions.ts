/**
 * Sets of indices kept as intervals: which huge pages of a file have been promised, or which of a mapping's promises
 * have been used. Runs of neighbours, the common case, are one interval, whatever their length.
 *
 *     [from, to, from, to, ...]  ascending;  2 5 8 9  stands for 2, 3, 4 and 8
 *
 * Invariant: intervals are not empty and do not touch.
 *
 * Source: mm/hugetlb.c (region_add, region_chg, region_del, region_count).
 */

/** Intervals, as pairs in one array. `to` may be Infinity in requests. */
export type Regions = number[]

/** Position of the first interval that ends at or behind `at` (an even number, the array's length when there is none). */
function firstEndingFrom(regions: Regions, at: number): number {
  let low = 0
  let high = regions.length >> 1
  while (low < high) {
    const mid = (low + high) >>> 1
    if (regions[mid * 2 + 1] < at) low = mid + 1
    else high = mid
  }
  return low * 2
}

/** How many of [from, to) are in the set. */
export function regionCount(regions: Regions, from: number, to: number): number {
  let count = 0
  for (let i = firstEndingFrom(regions, from); i < regions.length && regions[i] < to; i += 2)
    count += Math.max(0, Math.min(regions[i + 1], to) - Math.max(regions[i], from))
  return count
}

/** How many of [from, to) are not in the set: what adding them would add. */
export const regionMissing = (regions: Regions, from: number, to: number): number => to - from - regionCount(regions, from, to)

/** Puts [from, to) into the set; returns how many were not in it before. */
export function regionAdd(regions: Regions, from: number, to: number): number {
  const added = regionMissing(regions, from, to)
  if (from === to) return 0
  const first = firstEndingFrom(regions, from)
  let last = first
  let start = from
  let end = to
  for (; last < regions.length && regions[last] <= to; last += 2) {
    start = Math.min(start, regions[last])
    end = Math.max(end, regions[last + 1])
  }
  regions.splice(first, last - first, start, end)
  return added
}

/** Takes [from, to) out of the set; returns how many were in it. */
export function regionDelete(regions: Regions, from: number, to: number): number {
  const removed = regionCount(regions, from, to)
  if (removed === 0) return 0
  const first = firstEndingFrom(regions, from)
  const rest: number[] = []
  let last = first
  for (; last < regions.length && regions[last] < to; last += 2) {
    if (regions[last] < from) rest.push(regions[last], Math.min(regions[last + 1], from))
    if (regions[last + 1] > to) rest.push(Math.max(regions[last], to), regions[last + 1])
  }
  regions.splice(first, last - first, ...rest)
  return removed
}
