/**
 * read(2) of a file through the page cache.
 *
 *     as many pages in a row as are cached, up to 15, ending with one that is marked or not read yet
 *        none: read ahead, look again; still none: read that one page
 *        last one marked: start the next window        last one being read: wait, unless others come before it
 *     mark each accessed, but the first one not again when the read before ended in it; copy
 *
 * Source: mm/filemap.c (filemap_read, filemap_get_pages, generic_file_read_iter).
 */
import { COST, spend } from '../base/cost.ts'
import { EINVAL, ENOMEM } from '../base/errno.ts'
import { PG_locked, PG_readahead, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping, OpenFile } from '../base/state_fs.ts'
import { asPfn, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { fillFromDisk, pageCacheAsyncRa, pageCacheSyncRa } from '../fault/readahead.ts'
import { writeAndWait } from '../reclaim/writeback.ts'
import { blockAdvance, blockSubmit, waitOnPage, waitUntil } from './block.ts'
import { filemapNew, mappingGfp } from './filemap_add.ts'
import { BATCH_PAGES, markAccessed } from './lru.ts'
import { xaLoad, xaPage } from './xarray.ts'

/** Pages from `index` to `last` that are cached in a row, up to a batch; ends with the first that needs attention. */
function readBatch(k: Kernel, mapping: Mapping, index: number, last: number): number {
  let n = 0
  while (n < BATCH_PAGES && index + n <= last) {
    const pfn = xaLoad(mapping.pages, index + n)
    if (pfn <= 0) break
    n++
    const flags = k.page[pfn * PAGE_WORDS]
    if ((flags & PG_uptodate) === 0 || (flags & PG_readahead) !== 0) break
  }
  return n
}

/** Reads one page that is not cached and waits for it; NO_PAGE when there is no memory (filemap_create_folio). */
export function readOnePage(k: Kernel, mapping: Mapping, index: number): Pfn {
  const pfn = filemapNew(k, mapping, index, mappingGfp(mapping.inode.sb), PG_locked)
  if (pfn === NO_PAGE) return NO_PAGE
  const { disk } = mapping.inode.sb
  if (fillFromDisk(k, mapping.inode, pfn, index) && disk !== undefined) {
    blockSubmit(k, disk, false, mapping, index, 1)
    waitOnPage(k, mapping, index, pfn)
  }
  return pfn
}

/** Makes pages from `index` on readable, up to `last`; returns how many, or -ENOMEM (filemap_get_pages). */
function getPages(k: Kernel, file: OpenFile, index: number, last: number): number {
  const { mapping } = file.inode
  for (;;) {
    let n = readBatch(k, mapping, index, last)
    if (n === 0) {
      pageCacheSyncRa(k, file, index, last + 1 - index)
      n = readBatch(k, mapping, index, last)
    }
    if (n === 0) return readOnePage(k, mapping, index) === NO_PAGE ? -ENOMEM : 1
    const end = asPfn(xaLoad(mapping.pages, index + n - 1))
    if ((k.page[end * PAGE_WORDS] & PG_readahead) !== 0) pageCacheAsyncRa(k, file, end, index + n - 1, last + 2 - index - n)
    if ((k.page[end * PAGE_WORDS] & PG_uptodate) !== 0) return n
    waitOnPage(k, mapping, index + n - 1, end)
    if (n > 1) return n - 1
  }
}

/** Reads up to `bytes` at the file's position and moves it; returns the bytes read, 0 at the end, or -ENOMEM. */
export function filemapRead(k: Kernel, file: OpenFile, bytes: number): number {
  const { inode, readahead } = file
  blockAdvance(k)
  let done = 0
  while (done < bytes && file.posBytes < inode.sizeBytes) {
    const index = Math.floor(file.posBytes / PAGE_SIZE)
    const end = Math.min(inode.sizeBytes, file.posBytes + bytes - done)
    const n = getPages(k, file, index, Math.ceil((file.posBytes + bytes - done) / PAGE_SIZE) - 1)
    if (n < 0) return done > 0 ? done : n
    if (Math.floor((readahead.prevPos - 1) / PAGE_SIZE) !== index) markAccessed(k, xaPage(inode.mapping.pages, index))
    for (let i = 0; i < n && file.posBytes < end; i++) {
      if (i > 0) markAccessed(k, xaPage(inode.mapping.pages, index + i))
      const copied = Math.min(end, (index + i + 1) * PAGE_SIZE) - file.posBytes
      spend(k, COST.copy_user, copied / PAGE_SIZE)
      file.posBytes += copied
      readahead.prevPos = file.posBytes
      done += copied
    }
  }
  return done
}

/** Reads past the page cache (O_DIRECT); position and length are multiples of a sector, else -EINVAL. */
export function directRead(k: Kernel, file: OpenFile, bytes: number): number {
  const { inode } = file
  const { disk } = inode.sb
  if (disk === undefined || file.posBytes % 512 !== 0 || bytes % 512 !== 0) return -EINVAL
  const end = Math.min(inode.sizeBytes, file.posBytes + bytes)
  if (file.posBytes >= end) return 0
  const first = Math.floor(file.posBytes / PAGE_SIZE)
  const last = Math.ceil(end / PAGE_SIZE) - 1
  writeAndWait(k, inode.mapping, first, last)
  waitUntil(k, blockSubmit(k, disk, false, undefined, first, last + 1 - first))
  const done = end - file.posBytes
  file.posBytes = end
  return done
}
