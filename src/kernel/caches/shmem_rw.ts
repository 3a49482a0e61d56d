/**
 * read(2) and write(2) of memory files: a page at a time, no readahead, nothing to wait for.
 *
 * Source: mm/shmem.c (shmem_file_read_iter, shmem_write_begin, shmem_write_end).
 */
import { COST, spend, spendOnMemory } from '../base/cost.ts'
import { EINVAL } from '../base/errno.ts'
import { PG_dirty, PG_head, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { compoundHead, markTailsTouched, pageSetContent } from '../frames/page.ts'
import { type Written, writtenIndex } from './filemap_write.ts'
import { markAccessed } from './lru.ts'
import { shmemGetPage } from './shmem_page.ts'

/** Reads up to `bytes` at the file's position and moves it; holes read as zeros. Returns the bytes read. */
export function shmemRead(k: Kernel, file: OpenFile, bytes: number): number {
  const { inode } = file
  const start = file.posBytes
  const end = Math.min(inode.sizeBytes, start + bytes)
  while (file.posBytes < end) {
    const index = Math.floor(file.posBytes / PAGE_SIZE)
    const pfn = shmemGetPage(k, inode, index, 'read', undefined)
    if (pfn < 0) return pfn === -EINVAL || file.posBytes > start ? file.posBytes - start : pfn
    if (pfn !== NO_PAGE && file.posBytes % PAGE_SIZE === 0) markAccessed(k, compoundHead(k, asPfn(pfn)))
    spend(k, COST.copy_user, 1)
    file.posBytes = Math.min(end, (index + 1) * PAGE_SIZE)
  }
  return Math.max(0, file.posBytes - start)
}

/** Writes `bytes` at the file's position and moves it; returns the bytes written, or -ENOSPC, -ENOMEM when it was none. */
export function shmemWrite(k: Kernel, file: OpenFile, bytes: number, what: Written): number {
  const { inode } = file
  if (file.append) file.posBytes = inode.sizeBytes
  const start = file.posBytes
  const end = start + bytes
  const first = Math.floor(start / PAGE_SIZE)
  while (file.posBytes < end) {
    const index = Math.floor(file.posBytes / PAGE_SIZE)
    const pfn = shmemGetPage(k, inode, index, 'write', undefined)
    if (pfn < 0) return file.posBytes > start ? file.posBytes - start : pfn
    spend(k, COST.copy_user, 1)
    const page = asPfn(pfn)
    const head = compoundHead(k, page)
    if ((k.page[head * PAGE_WORDS] & PG_head) !== 0) fillRest(k, head)
    pageSetContent(k, page, what.content, writtenIndex(what, index - first))
    k.page[head * PAGE_WORDS] |= PG_uptodate | PG_dirty
    file.posBytes = Math.min(end, (index + 1) * PAGE_SIZE)
    if (file.posBytes > inode.sizeBytes) inode.sizeBytes = file.posBytes
  }
  return bytes
}

/** The first write to a fresh huge page fills the rest of it with zeros. */
function fillRest(k: Kernel, head: Pfn): void {
  markTailsTouched(k, head)
  if ((k.page[head * PAGE_WORDS] & PG_uptodate) === 0) spendOnMemory(k, COST.clear_page, HPAGE_PMD_NR - 1)
}
