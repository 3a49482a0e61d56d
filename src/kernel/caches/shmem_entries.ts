/**
 * Pages of memory files that are in swap: where the file's index had the page stands its swap entry.
 *
 *     file ── index ──> page                      in memory
 *                  └──> -1 - entry ──> swap slot  in swap; the swap cache may have the page
 *
 * The index calls them shadows, as it does with what evicted pages of other files leave behind; mapping.nrShadows and
 * inode.swapped count them.
 *
 * Source: mm/shmem.c (shmem_delete_from_page_cache, shmem_add_to_page_cache, shmem_free_swap).
 */
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { Pfn } from '../base/units.ts'
import { pageSetOwner } from '../frames/page.ts'
import { countCached, freeXaNodes } from './filemap.ts'
import { freeSwapAndCache } from './swap_cache.ts'
import { xaClear, xaLoad, xaSetPage, xaSetShadow } from './xarray.ts'

/** The swap entry of the page at an index; 0 when it is not in swap. */
export function shmemEntry(mapping: Mapping, index: number): number {
  const value = xaLoad(mapping.pages, index)
  return value < 0 ? -1 - value : 0
}

/** The page, which nobody maps, leaves the file for swap. */
export function shmemStoreEntry(k: Kernel, mapping: Mapping, head: Pfn, index: number, entry: number): void {
  countCached(k, head, -1)
  xaSetShadow(mapping.pages, index, -1 - entry, 0)
  mapping.nrPages--
  mapping.nrShadows++
  mapping.inode.swapped++
  pageSetOwner(k, head, 0, index)
}

/** The page is back, in the place of its entry. */
export function shmemReplaceEntry(k: Kernel, mapping: Mapping, pfn: Pfn, index: number): void {
  xaSetPage(mapping.pages, index, pfn, 0)
  mapping.nrShadows--
  mapping.nrPages++
  mapping.inode.swapped--
  pageSetOwner(k, pfn, mapping.id, index)
  countCached(k, pfn, 1)
}

/** The file no longer has the page at the index, which is in swap. */
export function shmemDropEntry(k: Kernel, mapping: Mapping, index: number): void {
  const entry = shmemEntry(mapping, index)
  freeXaNodes(k, mapping, xaClear(mapping.pages, index))
  mapping.nrShadows--
  mapping.inode.swapped--
  freeSwapAndCache(k, entry)
}
