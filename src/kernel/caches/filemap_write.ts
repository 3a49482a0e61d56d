/**
 * write(2) of a file through the page cache, a page at a time.
 *
 *     ext4     the page gets buffers and is dirty until the flusher or a sync has written it; its place on the disk is
 *              decided only then. A page of which only a part is written is read first if the disk has it.
 *     ramfs    the page is the file
 *
 * After each page the writer may have to wait for the disk (balance_dirty_pages).
 *
 * Source: mm/filemap.c generic_perform_write, fs/ext4/inode.c (ext4_da_write_begin, ext4_da_write_end).
 */
import { COST, spend } from '../base/cost.ts'
import { EFBIG, ENOMEM } from '../base/errno.ts'
import { __GFP_WRITE, PG_idle, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, OpenFile } from '../base/state_fs.ts'
import { NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { pageSetContent } from '../frames/page.ts'
import { balanceDirtyPages, markDirty } from '../reclaim/writeback.ts'
import { waitOnPage } from './block.ts'
import { diskContent, NO_BLOCK } from './disk_blocks.ts'
import { canWriteback, filemapGet, maxFileBytes } from './filemap.ts'
import { attachBuffers, filemapNew, mappingGfp } from './filemap_add.ts'
import { readOnePage } from './filemap_read.ts'
import { dirtyInode } from './metadata.ts'

/** What the bytes written are: the content class of the pages, and the index in it of the page at the write's start. */
export interface Written {
  readonly content: number
  /** Whether consecutive pages have consecutive indices; otherwise all have index 0. */
  readonly indexed: boolean
  readonly index: number
}

/** Index in its content class of the page `page` pages after the write's start. */
export const writtenIndex = (what: Written, page: number): number => (what.indexed ? what.index + page : 0)

/** The page to write to, ready for it; `whole`: all of it will be written. NO_PAGE when there is no memory. */
function writeBegin(k: Kernel, inode: Inode, index: number, whole: boolean): Pfn {
  const { mapping, blocks } = inode
  const there = filemapGet(mapping, index)
  if (there !== NO_PAGE) {
    k.page[there * PAGE_WORDS] &= ~PG_idle
    waitOnRead(k, inode, index, there)
    return there
  }
  if (!whole && blocks !== undefined && diskContent(blocks, index) !== NO_BLOCK) return readOnePage(k, mapping, index)
  return filemapNew(k, mapping, index, mappingGfp(inode.sb) | (canWriteback(inode.sb) ? __GFP_WRITE : 0), 0)
}

/** A page that is being read is locked; one that is being written may be changed meanwhile. */
function waitOnRead(k: Kernel, inode: Inode, index: number, pfn: Pfn): void {
  if ((k.page[pfn * PAGE_WORDS] & PG_uptodate) === 0) waitOnPage(k, inode.mapping, index, pfn)
}

/** Writes `bytes` at the file's position and moves it; returns the bytes written, or -ENOMEM, -EFBIG when it was none. */
export function filemapWrite(k: Kernel, file: OpenFile, bytes: number, what: Written): number {
  const { inode } = file
  if (file.append) file.posBytes = inode.sizeBytes
  if (file.posBytes >= maxFileBytes(inode.sb)) return -EFBIG
  const start = Math.floor(file.posBytes / PAGE_SIZE)
  const end = file.posBytes + bytes
  let done = 0
  if (inode.sb.metadata !== undefined) dirtyInode(k, inode)
  while (file.posBytes < end) {
    const index = Math.floor(file.posBytes / PAGE_SIZE)
    const stop = Math.min(end, (index + 1) * PAGE_SIZE)
    const pfn = writeBegin(k, inode, index, stop - file.posBytes === PAGE_SIZE)
    if (pfn === NO_PAGE) return done > 0 ? done : -ENOMEM
    writePage(k, inode, pfn, what, index - start)
    done += stop - file.posBytes
    file.posBytes = stop
    if (stop > inode.sizeBytes) inode.sizeBytes = stop
    if (canWriteback(inode.sb)) balanceDirtyPages(k, inode.mapping)
  }
  return done
}

function writePage(k: Kernel, inode: Inode, pfn: Pfn, what: Written, page: number): void {
  if (canWriteback(inode.sb)) {
    attachBuffers(k, pfn)
    spend(k, COST.block_write_begin, 1)
  }
  spend(k, COST.copy_user, 1)
  k.page[pfn * PAGE_WORDS] |= PG_uptodate
  pageSetContent(k, pfn, what.content, writtenIndex(what, page))
  markDirty(k, pfn)
}
