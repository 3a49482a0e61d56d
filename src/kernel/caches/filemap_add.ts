/**
 * Putting pages into the page cache: the half of it that needs memory, for the page and for the index.
 *
 * Source: mm/filemap.c (__filemap_add_folio, filemap_add_folio, filemap_alloc_folio).
 */

import { memcgCharge } from '../alloc/charge.ts'
import { bufferAlloc, fileObjectsAlloc } from '../alloc/kmem.ts'
import { allocPages } from '../alloc/page_alloc.ts'
import { COST, spend } from '../base/cost.ts'
import {
  __GFP_COMP,
  __GFP_FS,
  __GFP_IO,
  __GFP_NOFAIL,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_RECLAIM,
  __GFP_WRITE,
  GFP_HIGHUSER,
  GFP_HIGHUSER_MOVABLE,
  PG_private,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping, SuperBlock } from '../base/state_fs.ts'
import { HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'
import { ROOT_MEMCG } from '../frames/memcg.ts'
import { localNode } from '../frames/mempolicy.ts'
import { pageSetOwner } from '../frames/page.ts'
import { freeCharged } from '../frames/rmqueue.ts'
import { countCached, leafChanged, shadowLeafList } from './filemap.ts'
import { lruAdd } from './lru.ts'
import { workingsetRefault } from './workingset.ts'
import { leafKey, xaClear, xaClearHuge, xaLeaf, xaLoad, xaSetHuge, xaSetPage, xaShadowAge } from './xarray.ts'

/** What index nodes may do to get memory: as the page's request. */
const GFP_RECLAIM_MASK = __GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_NOFAIL | __GFP_NORETRY | __GFP_NOWARN

/** The kind of memory that pages of the file system's files are (mapping_gfp_mask): ramfs pages cannot move. */
export const mappingGfp = (sb: SuperBlock): number => (sb.type === 'ramfs' ? GFP_HIGHUSER : GFP_HIGHUSER_MOVABLE)

/** The same for pages that are read ahead: not worth much effort (readahead_gfp_mask). */
export const readaheadGfp = (sb: SuperBlock): number => (mappingGfp(sb) | __GFP_NORETRY | __GFP_NOWARN) & ~__GFP_FS

/**
 * Indexes a fresh page, or a fresh huge page at an aligned index, whose slots hold no page; false, and nothing changed,
 * when there is no memory for the index. Counts it as cached; the caller sends it to an LRU list.
 */
export function filemapInsert(k: Kernel, mapping: Mapping, head: Pfn, index: number, pages: number, gfp: number): boolean {
  const huge = pages === HPAGE_PMD_NR
  const shadow = huge ? 0 : xaLoad(mapping.pages, index)
  const age = shadow < 0 ? xaShadowAge(mapping.pages, index) : 0
  const was = shadowLeafList(mapping, leafKey(index))
  const made = huge ? xaSetHuge(mapping.pages, index, head) : xaSetPage(mapping.pages, index, head, localNode(k))
  if (made > 0 && !fileObjectsAlloc(k, mapping.charged, 'radix_tree_node', 'nodes', made, gfp & GFP_RECLAIM_MASK)) {
    if (huge) xaClearHuge(mapping.pages, index)
    else xaClear(mapping.pages, index)
    return false
  }
  if (made > 0) noteMaker(k, mapping, index)
  if (shadow < 0) mapping.nrShadows--
  leafChanged(k, mapping, leafKey(index), was)
  pageSetOwner(k, head, mapping.id, index)
  mapping.nrPages += pages
  countCached(k, head, pages)
  if (shadow < 0 && (gfp & __GFP_WRITE) === 0) workingsetRefault(k, head, shadow, age)
  spend(k, COST.page_cache, 1)
  return true
}

/** A leaf just made for the index is the group's of the task that runs. */
function noteMaker(k: Kernel, mapping: Mapping, index: number): void {
  const leaf = xaLeaf(mapping.pages, leafKey(index))
  if (leaf !== undefined) leaf.memcg = k.current?.memcg ?? ROOT_MEMCG
}

/** Puts a fresh page into the cache and on its way to an LRU list; false, and the page freed, when there is no memory (filemap_add_folio). */
export function filemapAdd(k: Kernel, mapping: Mapping, pfn: Pfn, index: number, gfp: number): boolean {
  if (!memcgCharge(k, pfn, undefined, gfp) || !filemapInsert(k, mapping, pfn, index, 1, gfp)) {
    freeCharged(k, pfn, 0)
    return false
  }
  lruAdd(k, pfn)
  return true
}

/** A fresh page for an offset of a file, in the cache and marked with `flags`; NO_PAGE when there is no memory. */
export function filemapNew(k: Kernel, mapping: Mapping, index: number, gfp: number, flags: number): Pfn {
  const pfn = allocPages(k, gfp | __GFP_COMP, 0)
  if (pfn === NO_PAGE) return NO_PAGE
  k.page[pfn * PAGE_WORDS] |= flags
  return filemapAdd(k, mapping, pfn, index, gfp) ? pfn : NO_PAGE
}

/** Gives the page buffers, if it has none: it is about to be written to (create_empty_buffers). */
export function attachBuffers(k: Kernel, pfn: Pfn): void {
  if ((k.page[pfn * PAGE_WORDS] & PG_private) === 0 && bufferAlloc(k, pfn)) k.page[pfn * PAGE_WORDS] |= PG_private
}
