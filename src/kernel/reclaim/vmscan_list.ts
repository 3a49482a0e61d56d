/**
 * What becomes of pages that were isolated for reclaim, one by one, oldest first.
 *
 *     being read                     stays
 *     not to be had (mlock, ramfs)   leaves the inactive list
 *     being written                  made active, and marked to come to the list's end when the write is done
 *     used through mappings          stays; twice, or by several, or code of a program: made active
 *     marked referenced only         goes if clean
 *     dirty file page                made active and marked: the flusher shall write it; only kswapd, when it meets nothing
 *                                    but dirty pages, starts writes itself
 *     anonymous                      gets a slot of swap, is unmapped, written, and when that is done freed, leaving a shadow; a
 *                                    huge page that finds no 512 slots in a row is split. Made active without a slot
 *     memory file                    the same, but split first, and moved out of its file
 *     anonymous, droppable           dropped unless written to (MADV_FREE)
 *     clean file page                unmapped, taken out of the cache, leaving a shadow, and freed
 *
 * Source: mm/vmscan.c (shrink_folio_list, folio_check_references, pageout, __remove_mapping, reclaim_pages).
 */
import { COST, spend } from '../base/cost.ts'
import { EV, NS } from '../base/counters.ts'
import {
  __GFP_FS,
  __GFP_IO,
  GFP_KERNEL,
  PG_active,
  PG_anon,
  PG_dirty,
  PG_isolated,
  PG_locked,
  PG_mlocked,
  PG_reclaim,
  PG_referenced,
  PG_swapbacked,
  PG_swapcache,
  PG_writeback,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec, Node } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { ScanControl } from '../base/state_reclaim.ts'
import { asNode, HPAGE_PMD_NR, type Pfn, ZONE_MOVABLE } from '../base/units.ts'
import { blockAdvance } from '../caches/block.ts'
import { diskContent, NO_BLOCK } from '../caches/disk_blocks.ts'
import { filemapRemove, mappingOf, NOT_EVICTED } from '../caches/filemap.ts'
import { ageNonresident, isEvictable, lruPutDirect, putbackLru, putPage } from '../caches/lru.ts'
import { putSwapFolio, swapCacheRemove, swapEntryOf } from '../caches/swap_cache.ts'
import { swapWritepage } from '../caches/swap_io.ts'
import { shadowOf, workingsetEviction } from '../caches/workingset.ts'
import { countMemcgEvent, ROOT_MEMCG } from '../frames/memcg.ts'
import { compoundMapcount, compoundPages, isThp, pageCount, pageIndex, pageMapped, pageMemcg, pageNode } from '../frames/page.ts'
import { addToSwap, dropSlot, shmemWritepage } from './swap_out.ts'
import { canSplit, splitHugePage } from './thp_split.ts'
import { releaseBuffers } from './truncate.ts'
import { PGDAT_DIRTY, PGDAT_WRITEBACK, scanControl } from './vmscan_control.ts'
import { folioReferenced, tryToUnmap } from './vmscan_rmap.ts'
import { writeOne } from './writeback.ts'

/** What reclaim found among one batch of pages (struct reclaim_stat). */
export interface ReclaimStat {
  dirty: number
  unqueuedDirty: number
  congested: number
  writeback: number
  immediate: number
  activate: number
  /** Writes started. */
  pageout: number
}

export const reclaimStat = (): ReclaimStat => ({
  dirty: 0,
  unqueuedDirty: 0,
  congested: 0,
  writeback: 0,
  immediate: 0,
  activate: 0,
  pageout: 0,
})

/** What is to happen to a page. */
type Verdict = 'keep' | 'activate' | 'free'

/**
 * Reclaims from isolated pages what can be had. Pages that stay are returned, still isolated; the pieces of a huge page
 * that was split join the list, which is used up.
 */
export function shrinkFolioList(
  k: Kernel,
  node: Node,
  pages: Pfn[],
  sc: ScanControl,
  stat: ReclaimStat,
): { kept: Pfn[]; reclaimed: number } {
  const kept: Pfn[] = []
  // Those that go are gathered in the front of the list itself, which has been looked at.
  let freed = 0
  let reclaimed = 0
  for (let i = 0; i < pages.length; i++) {
    const head = pages[i]
    spend(k, COST.reclaim_page, 1)
    const verdict = (k.page[head * PAGE_WORDS] & PG_locked) !== 0 ? 'keep' : judge(k, node, head, pages, sc, stat)
    if (verdict === 'free') {
      reclaimed += compoundPages(k, head)
      pages[freed++] = head
      continue
    }
    if (verdict === 'activate') activate(k, head, stat)
    kept.push(head)
  }
  k.event[EV.pgactivate] += stat.activate
  while (freed > 0) {
    const head = pages[--freed]
    k.page[head * PAGE_WORDS] &= ~PG_isolated
    putPage(k, head)
  }
  return { kept, reclaimed }
}

function activate(k: Kernel, head: Pfn, stat: ReclaimStat): void {
  dropSlot(k, head)
  if ((k.page[head * PAGE_WORDS] & PG_mlocked) !== 0) return
  k.page[head * PAGE_WORDS] |= PG_active
  stat.activate += compoundPages(k, head)
  countMemcgEvent(k, pageMemcg(k, head), EV.pgactivate, compoundPages(k, head))
}

function judge(k: Kernel, node: Node, head: Pfn, pages: Pfn[], sc: ScanControl, stat: ReclaimStat): Verdict {
  const at = head * PAGE_WORDS
  const size = compoundPages(k, head)
  sc.nrScanned += size
  if (!isEvictable(k, head)) return 'activate'
  if (!sc.mayUnmap && pageMapped(k, head)) return 'keep'
  if (k.lruGen.enabled && !sc.ignoreReferences && (k.page[at] & PG_referenced) !== 0 && pageMapped(k, head)) return 'keep'
  noteDirty(k, head, size, stat)
  if ((k.page[at] & PG_writeback) !== 0) return underWriteback(k, node, head, size, sc, stat)
  const references = sc.ignoreReferences ? 'free' : checkReferences(k, head, sc)
  if (references === 'keep' || references === 'activate') return references
  const anon = (k.page[at] & PG_anon) !== 0
  const swappable = (k.page[at] & PG_swapbacked) !== 0
  if (anon && swappable) {
    const verdict = (k.page[at] & PG_swapcache) === 0 ? prepareSwap(k, head, pages, sc) : 'free'
    if (verdict !== 'free') return verdict
  }
  if (!anon && isThp(k, head) && !splitFor(k, head, pages, sc)) return 'keep'
  if (pageMapped(k, head)) {
    tryToUnmap(k, head)
    if (pageMapped(k, head)) return 'activate'
  }
  if ((k.page[at] & PG_dirty) !== 0 && (!anon || swappable)) {
    const verdict = writeOut(k, node, head, sc, stat, references === 'clean')
    if (verdict !== 'free') return verdict
  }
  if (!releaseBuffers(k, head)) return 'activate'
  if ((k.page[at] & PG_swapcache) !== 0) return dropSwapCached(k, head, sc)
  return anon ? dropLazyfree(k, head) : dropCached(k, head, sc)
}

/** Counts what of the batch waits for the disk; pages of no disk do not. */
function noteDirty(k: Kernel, head: Pfn, pages: number, stat: ReclaimStat): void {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & (PG_swapbacked | PG_anon)) !== 0) return
  const dirty = (flags & PG_dirty) !== 0
  const writeback = (flags & PG_writeback) !== 0
  if (dirty || writeback) stat.dirty += pages
  if (dirty && !writeback) stat.unqueuedDirty += pages
  if (writeback && (flags & PG_reclaim) !== 0) stat.congested += pages
}

function underWriteback(k: Kernel, node: Node, head: Pfn, pages: number, sc: ScanControl, stat: ReclaimStat): Verdict {
  const at = head * PAGE_WORDS
  if (sc.kswapd && (k.page[at] & PG_reclaim) !== 0 && (node.reclaimFlags & PGDAT_WRITEBACK) !== 0) stat.immediate += pages
  else {
    k.page[at] |= PG_reclaim
    stat.writeback += pages
  }
  return 'activate'
}

/** Whether the page has been used since the last look; 'clean': it may go if it is clean (folio_check_references). */
function checkReferences(k: Kernel, head: Pfn, sc: ScanControl): Verdict | 'clean' {
  const at = head * PAGE_WORDS
  const { areas, exec, locked } = folioReferenced(k, head, sc.cgroup ? sc.target : ROOT_MEMCG)
  const marked = (k.page[at] & PG_referenced) !== 0
  k.page[at] &= ~PG_referenced
  if (locked) return 'activate'
  const file = (k.page[at] & PG_swapbacked) === 0
  if (areas > 0) {
    k.page[at] |= PG_referenced
    return marked || areas > 1 || (exec && file) ? 'activate' : 'keep'
  }
  return marked && file ? 'clean' : 'free'
}

/** Splits a huge page; its pieces are looked at next. */
function splitFor(k: Kernel, head: Pfn, pages: Pfn[], sc: ScanControl): boolean {
  if (splitHugePage(k, head, pages) !== 0) return false
  sc.nrScanned -= HPAGE_PMD_NR - 1
  return true
}

/** Gets the page a slot of swap: 'free' when it has one, or 512 for a huge one, which is split when there are no such. */
function prepareSwap(k: Kernel, head: Pfn, pages: Pfn[], sc: ScanControl): Verdict {
  if ((sc.gfp & __GFP_IO) === 0) return 'keep'
  if (isThp(k, head)) {
    if (!canSplit(k, head)) return 'activate'
    if (compoundMapcount(k, head) === 0 && !splitFor(k, head, pages, sc)) return 'activate'
  }
  if (addToSwap(k, head)) return 'free'
  if (!isThp(k, head) || !splitFor(k, head, pages, sc)) return 'activate'
  k.event[EV.thp_swpout_fallback]++
  return addToSwap(k, head) ? 'free' : 'activate'
}

/** A dirty page: 'free' when it turned out clean after all. */
function writeOut(k: Kernel, node: Node, head: Pfn, sc: ScanControl, stat: ReclaimStat, cleanOnly: boolean): Verdict {
  const at = head * PAGE_WORDS
  const file = (k.page[at] & PG_swapbacked) === 0
  if (file && !(sc.kswapd && (k.page[at] & PG_reclaim) !== 0 && (node.reclaimFlags & PGDAT_DIRTY) !== 0)) {
    node.stat[NS.nr_vmscan_immediate_reclaim]++
    k.page[at] |= PG_reclaim
    return 'activate'
  }
  const swapcached = (k.page[at] & PG_swapcache) !== 0
  if (cleanOnly || (sc.gfp & (swapcached ? __GFP_FS | __GFP_IO : __GFP_FS)) === 0 || !sc.mayWritepage) return 'keep'
  return file ? pageout(k, node, mappingOf(k, head), head, stat) : pageoutToSwap(k, node, head, sc, stat)
}

/** Writes a page to swap; 'free' when it is there at once. */
function pageoutToSwap(k: Kernel, node: Node, head: Pfn, sc: ScanControl, stat: ReclaimStat): Verdict {
  const at = head * PAGE_WORDS
  const pages = compoundPages(k, head)
  if (pageCount(k, head) !== 1 + pages) return 'keep'
  k.page[at] = (k.page[at] & ~PG_dirty) | PG_reclaim
  if ((k.page[at] & PG_swapcache) !== 0) swapWritepage(k, head)
  else if (!shmemWritepage(k, head)) {
    k.page[at] = (k.page[at] & ~PG_reclaim) | PG_dirty
    return 'activate'
  }
  if (!sc.plugged) blockAdvance(k)
  if ((k.page[at] & PG_writeback) === 0) k.page[at] &= ~PG_reclaim
  node.stat[NS.nr_vmscan_write] += pages
  stat.pageout += pages
  return (k.page[at] & (PG_writeback | PG_dirty)) !== 0 ? 'keep' : 'free'
}

/** Starts to write a page of a disk file, unless its place on the disk is still to be decided. */
function pageout(k: Kernel, node: Node, mapping: Mapping, head: Pfn, stat: ReclaimStat): Verdict {
  const { disk } = mapping.inode.sb
  if (disk === undefined) return 'activate'
  const { blocks } = mapping.inode
  node.stat[NS.nr_vmscan_write]++
  if (blocks !== undefined && diskContent(blocks, pageIndex(k, head)) === NO_BLOCK) return 'keep'
  writeOne(k, disk, head)
  k.page[head * PAGE_WORDS] |= PG_reclaim
  stat.pageout++
  return 'keep'
}

function dropLazyfree(k: Kernel, head: Pfn): Verdict {
  if (pageCount(k, head) !== 1) return 'keep'
  k.event[EV.pglazyfreed] += compoundPages(k, head)
  countMemcgEvent(k, pageMemcg(k, head), EV.pglazyfreed, compoundPages(k, head))
  return 'free'
}

/** Takes a page that only the swap cache and we hold out of it; its shadow stays there (__remove_mapping). */
function dropSwapCached(k: Kernel, head: Pfn, sc: ScanControl): Verdict {
  const pages = compoundPages(k, head)
  if (pageCount(k, head) !== 1 + pages || (k.page[head * PAGE_WORDS] & PG_dirty) !== 0) return 'keep'
  const entry = swapEntryOf(k, head)
  const shadow = shadowOf(k, head, sc.target)
  swapCacheRemove(k, head, shadow, workingsetEviction(k, head, sc.target))
  putSwapFolio(k, entry, pages)
  return 'free'
}

/** Takes a page that only the cache and we hold out of the cache (__remove_mapping). */
function dropCached(k: Kernel, head: Pfn, sc: ScanControl): Verdict {
  if (pageCount(k, head) !== 1 + compoundPages(k, head)) return 'keep'
  filemapRemove(k, mappingOf(k, head), head, (k.page[head * PAGE_WORDS] & PG_swapbacked) === 0 ? sc.target : NOT_EVICTED)
  return 'free'
}

/** Puts isolated pages back at the head of the lists their flags say; returns how many (move_folios_to_lru). */
export function moveToLru(k: Kernel, node: Node, lruvec: Lruvec, pages: readonly Pfn[]): number {
  let moved = 0
  for (const head of pages) {
    if (!isEvictable(k, head)) {
      putbackLru(k, head)
      continue
    }
    const size = compoundPages(k, head)
    lruPutDirect(k, head)
    spend(k, COST.lru_move, 1)
    moved += size
    if ((k.page[head * PAGE_WORDS] & PG_active) !== 0) ageNonresident(k, lruvec, node.id, size)
    putPage(k, head)
  }
  return moved
}

/** Reclaims pages that somebody picked and isolated (MADV_PAGEOUT), and puts the others back (reclaim_pages). */
export function reclaimPages(k: Kernel, pages: readonly Pfn[]): void {
  for (let i = 0; i < pages.length; ) {
    const nid = pageNode(k, pages[i])
    const batch: Pfn[] = []
    for (; i < pages.length && pageNode(k, pages[i]) === nid; i++) {
      k.page[pages[i] * PAGE_WORDS] &= ~PG_active
      batch.push(pages[i])
    }
    const sc = scanControl({ kswapd: false, gfp: GFP_KERNEL, order: 0, reclaimIdx: ZONE_MOVABLE, plugged: false })
    const { kept } = shrinkFolioList(k, k.nodes[asNode(nid)], batch, sc, reclaimStat())
    for (const head of kept) putbackLru(k, head)
  }
}
