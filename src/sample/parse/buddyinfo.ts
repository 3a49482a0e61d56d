/**
 * The buddy allocator's free lists: /proc/buddyinfo (blocks by order) and /proc/pagetypeinfo (the same by migrate
 * type, and how many page blocks each type owns).
 *
 *   Node 0, zone    DMA32     99     95    103 ...
 *   Node    0, zone    DMA32, type    Unmovable     98     95    102 ...
 *   Number of blocks type     Unmovable      Movable ...
 *   Node 0, zone    DMA32           32          210 ...
 */
import { toInteger, words } from '../text.ts'

export interface FreeBlocks {
  readonly node: number
  readonly zone: string
  /** Free blocks of 2^order pages, by order. */
  readonly blocks: readonly number[]
}

export interface Pagetypes {
  readonly pagesPerBlock: number
  readonly free: readonly (FreeBlocks & { readonly type: string })[]
  readonly owned: readonly { readonly node: number; readonly zone: string; readonly blocksByType: ReadonlyMap<string, number> }[]
}

const ZONE_ROW = /^Node\s+(\d{1,4}), zone\s+([^\s,]+)(?:, type\s+(\S+))?\s+(.*)$/

export function parseBuddyinfo(text: string): FreeBlocks[] {
  return text.split('\n').flatMap(line => {
    const match = ZONE_ROW.exec(line)
    return match === null ? [] : [{ node: Number(match[1]), zone: match[2], blocks: counts(match[4]) }]
  })
}

export function parsePagetypeinfo(text: string): Pagetypes {
  const free: (FreeBlocks & { type: string })[] = []
  const owned: { node: number; zone: string; blocksByType: Map<string, number> }[] = []
  let types: string[] = []
  let pagesPerBlock = 0
  for (const line of text.split('\n')) {
    const match = ZONE_ROW.exec(line)
    if (line.startsWith('Pages per block:')) pagesPerBlock = toInteger(line.slice(16).trim()) ?? 0
    else if (line.startsWith('Number of blocks type')) types = words(line.slice(21))
    else if (match === null) continue
    else if (match[3] !== undefined) free.push({ node: Number(match[1]), zone: match[2], type: match[3], blocks: counts(match[4]) })
    else {
      const numbers = counts(match[4])
      owned.push({ node: Number(match[1]), zone: match[2], blocksByType: new Map(types.map((type, i) => [type, numbers[i] ?? 0])) })
    }
  }
  return { pagesPerBlock, free, owned }
}

/** Since 5.5 a count that takes too long to make is printed ">100000": at least that many, taken as that many. */
function counts(text: string): number[] {
  return words(text).map(word => toInteger(word.replace(/^>/, '')) ?? 0)
}
