/**
 * Memory that somebody holds: a machine that has run for a while has few large free blocks, and many small ones between pages in use.
 *
 * No workload reproduces the free lists of a machine that was seen. So all that is free is taken out, as much is given back in blocks of
 * just the wanted orders, and the rest stays with a holder who never moves nor frees it (a driver, say). A block that is given back must
 * not merge, so its buddy keeps a page:
 *
 *     order 5 taken     |--------------- held or free whole ---------------|
 *     order 2 wanted    | free 4 | hold 4 |     8     |         16         |      hold: its buddy is free, it is never free whole
 *
 * Block types stay as they are. This is no part of Linux: it is how a machine is made to look like another.
 */
import { ZS } from '../base/counters.ts'
import type { Kernel, Zone } from '../base/state.ts'
import { asPfn, MAX_ORDER, MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE, NO_PAGE } from '../base/units.ts'
import { blockType, freeOnePage, rmqueueSmallest } from '../frames/buddy.ts'
import { freshenPages } from '../frames/rmqueue.ts'

const TYPES = [MIGRATE_UNMOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE] as const

/** First pages of blocks that were taken, by order. */
interface Taken {
  /** May be given back whole. */
  readonly whole: number[][]
  /** Have a free buddy. */
  readonly holding: number[][]
}

/**
 * Holds what is free in a zone but for so many blocks of each order; where there is too little free for them, the largest come first.
 * @param wanted free blocks by order
 * @returns how many of each there was nothing left for
 */
export function holdAllBut(k: Kernel, zone: Zone, wanted: readonly number[]): number[] {
  const taken = takeAll(k, zone)
  const unmet = Array.from({ length: MAX_ORDER }, (_, order) => wanted[order] ?? 0)
  for (let order = MAX_ORDER - 1; order >= 0; order--) {
    for (; unmet[order] > 0; unmet[order]--) {
      const pfn = taken.whole[order].pop() ?? cut(taken, order)
      if (pfn === undefined) break
      freeOnePage(k, zone, asPfn(pfn), order, blockType(k, pfn))
    }
  }
  for (const blocks of [taken.whole, taken.holding])
    for (const [order, pfns] of blocks.entries()) for (const pfn of pfns) freshenPages(k, asPfn(pfn), order)
  return unmet
}

function takeAll(k: Kernel, zone: Zone): Taken {
  const lists = () => Array.from({ length: MAX_ORDER }, (): number[] => [])
  const taken = { whole: lists(), holding: lists() }
  // Nothing larger is left when an order's turn comes, so no block is split.
  for (let order = MAX_ORDER - 1; order >= 0; order--)
    for (const type of TYPES)
      for (let pfn = rmqueueSmallest(k, zone, order, type); pfn !== NO_PAGE; pfn = rmqueueSmallest(k, zone, order, type)) {
        zone.stat[ZS.nr_free_pages] -= 1 << order
        taken.whole[order].push(pfn)
      }
  return taken
}

/** A block of this order out of the smallest larger one; what holds something already is used up first. */
function cut({ whole, holding }: Taken, order: number): number | undefined {
  for (let size = order + 1; size < MAX_ORDER; size++) {
    const pfn = holding[size].pop() ?? whole[size].pop()
    if (pfn === undefined) continue
    for (let half = size - 1; half > order; half--) whole[half].push(pfn + (1 << half))
    holding[order].push(pfn + (1 << order))
    return pfn
  }
  return undefined
}
