/**
 * Getting pages ready to be swapped out, as reclaim does: a slot, a place in the swap cache, and for pages of memory files the mark
 * in the file of where they went.
 *
 * Source: mm/swap_state.c add_to_swap, mm/shmem.c shmem_writepage.
 */

import { __GFP_MEMALLOC, PG_dirty, PG_mlocked, PG_swapcache, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'
import { mappingOf } from '../caches/filemap.ts'
import { shmemRecalc } from '../caches/shmem_account.ts'
import { shmemStoreEntry } from '../caches/shmem_entries.ts'
import { kmemTake } from '../caches/slab.ts'
import { folioFreeSwap, putSwapFolio, swapCacheInsert, swapCacheUndo } from '../caches/swap_cache.ts'
import { swapWritepage } from '../caches/swap_io.ts'
import { swapArea, swapShmemAlloc, swpOffset, vmSwapFull } from '../caches/swap_map.ts'
import { folioAllocSwap } from '../caches/swap_slots.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { memcgSwapFailed, memcgSwapFull, memcgTryChargeSwap } from '../frames/memcg_charge.ts'
import { localNode } from '../frames/mempolicy.ts'
import { compoundPages, pageIndex } from '../frames/page.ts'

/** Gives an anonymous page, or a huge one, slots of swap and puts it into the swap cache; false when there are none (add_to_swap). */
export function addToSwap(k: Kernel, head: Pfn): boolean {
  if (takeSlots(k, head) === 0) return false
  k.page[head * PAGE_WORDS] |= PG_dirty
  return true
}

/** Slots for the page that its memory cgroup is charged for; 0 when there are none, or none more for the group. */
function chargedSlots(k: Kernel, head: Pfn): number {
  const entry = folioAllocSwap(k, head)
  if (entry === 0) {
    memcgSwapFailed(k, head)
    return 0
  }
  const memcg = memcgTryChargeSwap(k, head)
  if (memcg < 0) {
    putSwapFolio(k, entry, compoundPages(k, head))
    return 0
  }
  const first = swpOffset(entry)
  if (memcg !== ROOT_MEMCG) swapArea(k, entry).memcg.fill(memcg, first, first + compoundPages(k, head))
  return entry
}

/** The entry that the page has got, 0 without room in swap or memory for the index. */
function takeSlots(k: Kernel, head: Pfn): number {
  const entry = chargedSlots(k, head)
  if (entry === 0) return 0
  const made = swapCacheInsert(k, head, entry, localNode(k))
  if (made === 0 || kmemTake(k, 'radix_tree_node', made, __GFP_MEMALLOC)) return entry
  swapCacheUndo(k, head, made)
  putSwapFolio(k, entry, compoundPages(k, head))
  return 0
}

/**
 * Moves a page of a memory file, which nobody maps, from the file to swap and writes it.
 * @returns false when it has to stay: the file's pages are locked, or there is no room.
 */
export function shmemWritepage(k: Kernel, head: Pfn): boolean {
  const mapping = mappingOf(k, head)
  if (mapping.unevictable || k.swapPages === 0) return false
  if ((k.page[head * PAGE_WORDS] & PG_uptodate) === 0) k.page[head * PAGE_WORDS] |= PG_uptodate
  const entry = takeSlots(k, head)
  if (entry === 0) return false
  shmemRecalc(k, mapping.inode)
  swapShmemAlloc(k, entry)
  shmemStoreEntry(k, mapping, head, pageIndex(k, head), entry)
  swapWritepage(k, head)
  return true
}

/** Gives up the slot of a page that stays in memory, when swap is short or the page is locked there. */
export function dropSlot(k: Kernel, head: Pfn): void {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_swapcache) !== 0 && (vmSwapFull(k) || memcgSwapFull(k, head) || (flags & PG_mlocked) !== 0)) folioFreeSwap(k, head)
}
