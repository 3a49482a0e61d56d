/**
 * Readahead: reading pages of a file before they are asked for.
 *
 *     |<----------------- size ----------------->|
 *     |============================#=============|        an open file remembers the window read last
 *     ^start                       ^ marked page: asked for, it starts the next window
 *                                  |<-asyncSize->|
 *
 * A read from the file's start, or next to the last one, opens a window of two to four times what was asked; each next
 * window is twice or four times as large, up to 128 KiB, and is read when the marked page of the one before is reached, so that the
 * disk works while the program does. Reads here and there get what they asked for, unless the pages before are cached as a
 * sequential reader would have left them.
 *
 * Pages being read are locked; whoever needs one waits for its request.
 *
 * Source: mm/readahead.c (ondemand_readahead, page_cache_ra_unbounded, force_page_cache_ra).
 */
import { must } from '../base/assert.ts'
import { ZERO_CONTENT } from '../base/content.ts'
import { COST, spendOnPages } from '../base/cost.ts'
import { PG_locked, PG_readahead, PG_uptodate, PG_writeback } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, Mapping, OpenFile, Readahead } from '../base/state_fs.ts'
import { NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { blockSubmit, IO_PAGES, REQUEST_PAGES } from '../caches/block.ts'
import { diskContent, diskContentIndex, NO_BLOCK } from '../caches/disk_blocks.ts'
import { filemapGet, filePages } from '../caches/filemap.ts'
import { filemapNew, readaheadGfp } from '../caches/filemap_add.ts'
import { xaLoad, xaNextMiss, xaPrevMiss } from '../caches/xarray.ts'
import { pageSetContent } from '../frames/page.ts'

/** Pages a forced readahead allocates before it starts to read them (2 MiB). */
const FORCE_CHUNK = 512

/** Gives a page about to be read what the disk holds; a hole reads as zeros at once. Returns whether the disk is needed. */
export function fillFromDisk(k: Kernel, inode: Inode, pfn: Pfn, index: number): boolean {
  const content = inode.blocks === undefined ? NO_BLOCK : diskContent(inode.blocks, index)
  if (content === NO_BLOCK || inode.blocks === undefined) {
    spendOnPages(k, COST.clear_page, pfn, 1)
    pageSetContent(k, pfn, ZERO_CONTENT, 0)
    k.page[pfn * PAGE_WORDS] = (k.page[pfn * PAGE_WORDS] & ~PG_locked) | PG_uptodate
    return false
  }
  pageSetContent(k, pfn, content, diskContentIndex(inode.blocks, index))
  return true
}

/** Reads locked pages [first, end) of the cache from the disk, in as few requests as their places allow (read_pages). */
function readPages(k: Kernel, mapping: Mapping, first: number, end: number): void {
  const { inode } = mapping
  let start = first
  for (let index = first; index < end; index++) {
    const onDisk = fillFromDisk(k, inode, filemapGet(mapping, index), index)
    if (!onDisk || index - start === REQUEST_PAGES) {
      request(k, mapping, start, index)
      start = onDisk ? index : index + 1
    }
  }
  request(k, mapping, start, end)
}

function request(k: Kernel, mapping: Mapping, start: number, end: number): void {
  if (end > start) blockSubmit(k, must(mapping.inode.sb.disk, 'a file without a disk is read from it'), false, mapping, start, end - start)
}

/** Adds and reads `n` pages from `first` on, those that are not cached yet; the one `lookahead` before the end is marked. */
function raUnbounded(k: Kernel, mapping: Mapping, first: number, n: number, lookahead: number): void {
  const gfp = readaheadGfp(mapping.inode.sb)
  let start = first
  let index = first
  for (; index < first + n; index++) {
    if (xaLoad(mapping.pages, index) > 0) {
      readPages(k, mapping, start, index)
      start = index + 1
      continue
    }
    const mark = index - first === n - lookahead ? PG_readahead : 0
    if (filemapNew(k, mapping, index, gfp, PG_locked | mark) === NO_PAGE) break
  }
  readPages(k, mapping, start, index)
}

/** Reads `n` pages from `first` on, but not beyond the file's end (do_page_cache_ra). */
function doPageCacheRa(k: Kernel, mapping: Mapping, first: number, n: number, lookahead: number): void {
  const pages = filePages(mapping.inode)
  if (first >= pages) return
  raUnbounded(k, mapping, first, Math.min(n, pages - first), lookahead)
}

/** Reads `n` pages from `first` on, at most what the disk takes at once: POSIX_FADV_WILLNEED and files read at random. */
export function forcePageCacheRa(k: Kernel, file: OpenFile, first: number, n: number): void {
  const limit = Math.min(n, Math.max(IO_PAGES, file.readahead.raPages))
  for (let done = 0; done < limit; done += FORCE_CHUNK)
    doPageCacheRa(k, file.inode.mapping, first + done, Math.min(FORCE_CHUNK, limit - done), 0)
}

/** The first window for a read of `size` pages (get_init_ra_size). */
function initialSize(size: number, max: number): number {
  const rounded = 2 ** Math.ceil(Math.log2(size))
  if (rounded <= max / 32) return rounded * 4
  return rounded <= max / 4 ? rounded * 2 : max
}

function nextSize(ra: Readahead, max: number): number {
  if (ra.size < max / 16) return 4 * ra.size
  return ra.size <= max / 2 ? 2 * ra.size : max
}

/** A read of `wanted` pages at `index` misses the cache (`marked` false), or comes upon a marked page: opens or moves the window and reads it. */
function ondemandReadahead(k: Kernel, file: OpenFile, index: number, wanted: number, marked: boolean): void {
  const { mapping } = file.inode
  const ra = file.readahead
  const max = wanted > ra.raPages && IO_PAGES > ra.raPages ? Math.min(wanted, IO_PAGES) : ra.raPages
  if (!moveWindow(mapping, ra, index, wanted, max, marked)) {
    if (!marked) doPageCacheRa(k, mapping, index, wanted, 0)
    return
  }
  if (index === ra.start && ra.size === ra.asyncSize) mergeNext(ra, max)
  doPageCacheRa(k, mapping, ra.start, ra.size, ra.asyncSize)
}

/** Decides where the window goes; false when the read belongs to no sequence, and only what it asked for is read. */
function moveWindow(mapping: Mapping, ra: Readahead, index: number, wanted: number, max: number, marked: boolean): boolean {
  if (index === 0) return openWindow(ra, index, wanted, max)
  if (index === ra.start + ra.size - ra.asyncSize || index === ra.start + ra.size) {
    ra.start += ra.size
    ra.size = Math.max(ra.size, nextSize(ra, max))
    ra.asyncSize = ra.size
    return true
  }
  if (marked) return windowFromCache(mapping, ra, index, wanted, max)
  if (wanted > max || followsLast(ra, index)) return openWindow(ra, index, wanted, max)
  return windowFromHistory(mapping, ra, index, wanted, max)
}

/** Whether the read begins where the last one ended, or on the next page. */
function followsLast(ra: Readahead, index: number): boolean {
  if (ra.prevPos < 0) return false
  const last = Math.floor(ra.prevPos / PAGE_SIZE)
  return index === last || index === last + 1
}

function openWindow(ra: Readahead, index: number, wanted: number, max: number): true {
  ra.start = index
  ra.size = initialSize(wanted, max)
  ra.asyncSize = ra.size > wanted ? ra.size - wanted : ra.size
  return true
}

/** A marked page of somebody else's window: goes on where what is cached ends. */
function windowFromCache(mapping: Mapping, ra: Readahead, index: number, wanted: number, max: number): boolean {
  const start = xaNextMiss(mapping.pages, index + 1, max)
  if (start - index > max) return false
  ra.start = start
  ra.size = start - index + wanted
  ra.size = nextSize(ra, max)
  ra.asyncSize = ra.size
  return true
}

/** A reader that left the pages before this one in the cache is sequential (try_context_readahead). */
function windowFromHistory(mapping: Mapping, ra: Readahead, index: number, wanted: number, max: number): boolean {
  const cached = index - 1 - xaPrevMiss(mapping.pages, index - 1, max)
  if (cached <= wanted) return false
  ra.start = index
  ra.size = Math.min((cached >= index ? cached * 2 : cached) + wanted, max)
  ra.asyncSize = 1
  return true
}

/** The read will come upon its own mark at once: reads the window after it too. */
function mergeNext(ra: Readahead, max: number): void {
  const more = nextSize(ra, max)
  if (ra.size + more <= max) {
    ra.asyncSize = more
    ra.size += more
  } else {
    ra.size = max
    ra.asyncSize = max >>> 1
  }
}

/** The page at `index` is not cached and `wanted` pages are: reads them, and ahead (page_cache_sync_ra). */
export function pageCacheSyncRa(k: Kernel, file: OpenFile, index: number, wanted: number): void {
  if (file.readahead.raPages === 0 || file.inode.sb.disk === undefined) return
  if (file.random) forcePageCacheRa(k, file, index, wanted)
  else ondemandReadahead(k, file, index, wanted, false)
}

/** The page at `index` is marked: reads the next window (page_cache_async_ra). */
export function pageCacheAsyncRa(k: Kernel, file: OpenFile, pfn: Pfn, index: number, wanted: number): void {
  if (file.readahead.raPages === 0 || (k.page[pfn * PAGE_WORDS] & PG_writeback) !== 0) return
  k.page[pfn * PAGE_WORDS] &= ~PG_readahead
  ondemandReadahead(k, file, index, wanted, true)
}

/** Reads a window that a fault around a page of a mapping asks for (do_sync_mmap_readahead). */
export function readAround(k: Kernel, file: OpenFile, index: number): void {
  const ra = file.readahead
  ra.start = Math.max(0, index - Math.floor(ra.raPages / 2))
  ra.size = ra.raPages
  ra.asyncSize = Math.floor(ra.raPages / 4)
  doPageCacheRa(k, file.inode.mapping, ra.start, ra.size, ra.asyncSize)
}
