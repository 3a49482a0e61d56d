/**
 * Dropping pages of a file from the cache: because the file gets shorter, or because nobody needs them.
 *
 *     truncate      all pages and shadows of a range go, dirty or mapped as they may be; I/O under way is waited for
 *     invalidate    pages that are clean and that only the cache holds go; the others move to the end of the inactive
 *                   list, where reclaim will find them first (drop_caches, POSIX_FADV_DONTNEED)
 *
 * Pages are let go 15 at a time, the last one first.
 *
 * Source: mm/truncate.c (truncate_inode_pages_range, mapping_evict_folio, invalidate_mapping_pagevec), mm/memory.c
 * unmap_mapping_range.
 */

import { must } from '../base/assert.ts'
import { COST, spend, turnOver } from '../base/cost.ts'
import { PG_dirty, PG_locked, PG_private, PG_writeback } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'
import { waitOnRange } from '../caches/block.ts'
import { bufferFree } from '../caches/charged_objects.ts'
import { clearShadow, filemapRemove, isShmem, NOT_EVICTED } from '../caches/filemap.ts'
import { BATCH_PAGES, deactivateFilePage, putPage } from '../caches/lru.ts'
import { shmemDropEntry } from '../caches/shmem_entries.ts'
import { leafKey, leafStart, xaKeys, xaLeaf, xaPage } from '../caches/xarray.ts'
import { compoundPages, pageCount } from '../frames/page.ts'
import { vmasIn } from '../spaces/vma.ts'
import { cancelDirty } from './writeback.ts'
import { type ZapWhat, zapPageRange } from './zap.ts'

/** Slots of a leaf. */
const SLOTS = 64

/** Gives the page's buffers back; false when they are in use (filemap_release_folio, try_to_free_buffers). */
export function releaseBuffers(k: Kernel, pfn: Pfn): boolean {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_private) === 0) return true
  if ((k.page[at] & (PG_dirty | PG_writeback)) !== 0) return false
  dropBuffers(k, pfn)
  return true
}

function dropBuffers(k: Kernel, pfn: Pfn): void {
  k.page[pfn * PAGE_WORDS] &= ~PG_private
  bufferFree(k, pfn)
}

/**
 * Unmaps pages [first, end) of the file everywhere; `what`: 'file' spares the private copies of those who wrote to them.
 * @param pauses whether it may stop when its turn is over: false, and what is unmapped by then is quickly passed over the next time
 */
export function unmapMappingRange(k: Kernel, mapping: Mapping, first: number, end: number, what: ZapWhat, pauses = false): boolean {
  for (const { mm: id, delta } of [...mapping.rmap]) {
    const mm = must(k.spaces.mms.get(id), 'a file is mapped by a process that is gone')
    for (const vma of vmasIn(mm, first + delta, end + delta)) {
      if (vma.mapping !== mapping || vma.start - vma.pgoff !== delta) continue
      const stop = Math.min(vma.end, end + delta)
      if (zapPageRange(k, vma, Math.max(vma.start, first + delta), stop, what, pauses) < stop) return false
    }
  }
  return true
}

/** Takes one page out of the cache whatever its state; it must not be mapped or in flight. The caller puts it. */
export function truncatePage(k: Kernel, mapping: Mapping, head: Pfn): void {
  if ((k.page[head * PAGE_WORDS] & PG_private) !== 0) dropBuffers(k, head)
  cancelDirty(k, mapping, head)
  filemapRemove(k, mapping, head, NOT_EVICTED)
  spend(k, COST.page_cache, 1)
}

/** Lets a batch of pages go, the last one first. */
function releaseBatch(k: Kernel, batch: Pfn[]): void {
  for (let i = batch.length - 1; i >= 0; i--) putPage(k, batch[i])
  batch.length = 0
}

/**
 * Drops all whole pages of [first, end) and their shadows; huge pages must not stick out of the range. Mapped
 * pages are unmapped first, private copies of them too.
 * @param pauses whether it may stop when its turn is over. @returns the page where it stopped, `end` when all is done
 */
export function truncatePages(k: Kernel, mapping: Mapping, first: number, end: number, pauses = false): number {
  if (mapping.nrPages + mapping.nrShadows === 0 || first >= end) return end
  waitOnRange(k, mapping, first, end - 1)
  if (mapping.rmap.length > 0) unmapMappingRange(k, mapping, first, end, 'file')
  const batch: Pfn[] = []
  let at = end
  for (const key of xaKeys(mapping.pages, first, end - 1)) {
    if (pauses && key > leafKey(first) && turnOver(k)) {
      at = leafStart(key)
      break
    }
    if (xaLeaf(mapping.pages, key) === undefined) truncateHuge(k, mapping, key)
    else for (let slot = 0; slot < SLOTS; slot++) truncateSlot(k, mapping, key, slot, first, end, batch)
  }
  releaseBatch(k, batch)
  return at
}

/**
 * Unmaps pages [first, end) of the file and drops them, or, on behalf of a caller who may pause, goes on with that.
 * @returns false when his turn was over: he is to call again
 */
export function dropPages(k: Kernel, mapping: Mapping, first: number, end: number, what: ZapWhat, caller: Task | undefined): boolean {
  if (!unmapMappingRange(k, mapping, first, end, what, caller !== undefined)) return pausesAt(caller, first)
  return truncateOn(k, mapping, first, end, caller)
}

/** The same for pages that nobody maps. What came back meanwhile where it was done before goes in the end. */
export function truncateOn(k: Kernel, mapping: Mapping, first: number, end: number, caller: Task | undefined): boolean {
  const from = caller === undefined ? first : Math.max(first, truncatedTo(caller) ?? first)
  const at = truncatePages(k, mapping, from, end, caller !== undefined)
  if (at < end) return pausesAt(caller, at)
  truncatePages(k, mapping, first, from)
  if (caller !== undefined) caller.restart = undefined
  return true
}

/** Where the task stopped in the middle of truncating a file; undefined when it did not. */
export const truncatedTo = ({ restart }: Task): number | undefined => (restart?.rest?.kind === 'truncate' ? restart.at : undefined)

/** The caller's turn is over at a page of the file. */
export function pausesAt(caller: Task | undefined, at: number): false {
  if (caller !== undefined) caller.restart = { at, told: true, rest: { kind: 'truncate' } }
  return false
}

function truncateHuge(k: Kernel, mapping: Mapping, key: number): void {
  const head = xaPage(mapping.pages, leafStart(key))
  truncatePage(k, mapping, head)
  putPage(k, head)
}

function truncateSlot(k: Kernel, mapping: Mapping, key: number, slot: number, first: number, end: number, batch: Pfn[]): void {
  const index = leafStart(key) + slot
  const value = xaLeaf(mapping.pages, key)?.slots[slot] ?? 0
  if (value === 0 || index < first || index >= end) return
  if (value < 0) {
    if (isShmem(mapping.inode.sb)) shmemDropEntry(k, mapping, index)
    else clearShadow(k, mapping, index)
    return
  }
  const pfn = asPfn(value)
  truncatePage(k, mapping, pfn)
  batch.push(pfn)
  if (batch.length === BATCH_PAGES) releaseBatch(k, batch)
}

/** Takes the page out of the cache if it is clean and nobody else holds it; the caller puts it (mapping_evict_folio). */
function evictPage(k: Kernel, mapping: Mapping, head: Pfn): boolean {
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & (PG_dirty | PG_writeback)) !== 0) return false
  const buffers = (flags & PG_private) !== 0 ? 1 : 0
  if (pageCount(k, head) > compoundPages(k, head) + buffers || !releaseBuffers(k, head)) return false
  filemapRemove(k, mapping, head, NOT_EVICTED)
  return true
}

export interface Invalidated {
  /** Pages and shadows that went. */
  dropped: number
  /** Pages that stay for now. */
  kept: number
}

/** Drops what may go of pages [first, last] (invalidate_mapping_pagevec). */
export function invalidatePages(k: Kernel, mapping: Mapping, first: number, last: number): Invalidated {
  const result: Invalidated = { dropped: 0, kept: 0 }
  if (mapping.nrPages + mapping.nrShadows === 0) return result
  const batch: Pfn[] = []
  for (const key of xaKeys(mapping.pages, first, last)) {
    if (xaLeaf(mapping.pages, key) === undefined) {
      invalidateOne(k, mapping, xaPage(mapping.pages, leafStart(key)), batch, result)
      continue
    }
    for (let slot = 0; slot < SLOTS; slot++) {
      const index = leafStart(key) + slot
      const value = xaLeaf(mapping.pages, key)?.slots[slot] ?? 0
      if (value === 0 || index < first || index > last) continue
      if (value > 0) invalidateOne(k, mapping, asPfn(value), batch, result)
      else if (!isShmem(mapping.inode.sb)) {
        clearShadow(k, mapping, index)
        result.dropped++
      }
    }
  }
  releaseBatch(k, batch)
  return result
}

function invalidateOne(k: Kernel, mapping: Mapping, head: Pfn, batch: Pfn[], result: Invalidated): void {
  if (head === NO_PAGE || (k.page[head * PAGE_WORDS] & (PG_locked | PG_writeback)) !== 0) return
  spend(k, COST.page_cache, 1)
  const pages = compoundPages(k, head)
  if (evictPage(k, mapping, head)) {
    batch.push(head)
    result.dropped += pages
    if (batch.length === BATCH_PAGES || pages === HPAGE_PMD_NR) releaseBatch(k, batch)
  } else {
    deactivateFilePage(k, head)
    result.kept++
  }
}
