/**
 * Memory files that change their length, get holes, or are filled ahead of use.
 *
 * A range of bytes is taken out in this order: whole pages and whole huge pages inside it; then the pages at its two
 * edges are filled with zeros as far as they are in the range. A huge page that sticks out is filled with zeros likewise
 * and then split, so that its pages inside the range can go; if it cannot be split its zeros stay.
 *
 * Source: mm/shmem.c (shmem_undo_range, shmem_setattr, shmem_fallocate), mm/truncate.c truncate_inode_partial_folio.
 */
import { ZERO_CONTENT } from '../base/content.ts'
import { COST, spendOnMemory, turnOver } from '../base/cost.ts'
import { EFBIG, EINTR, ENOSPC, ERESTARTNOINTR } from '../base/errno.ts'
import { PG_dirty, PG_head, PG_uptodate } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { compoundHead, compoundPages, markTailsTouched, pageIndex, pageSetContent } from '../frames/page.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { pausesAt, truncatedTo, truncateOn, truncatePages, unmapMappingRange } from '../reclaim/truncate.ts'
import { filemapGet } from './filemap.ts'
import { shmemReacctSize, shmemRecalc } from './shmem_account.ts'
import { shmemGetPage } from './shmem_page.ts'

/** The largest file (MAX_LFS_FILESIZE). */
export const MAX_FILE_BYTES = 2 ** 63

/**
 * Takes bytes [start, end) out of the file; `end` may be Infinity (shmem_truncate_range).
 * @param caller who may pause: false, he is to call again
 */
export function shmemTruncateRange(k: Kernel, inode: Inode, start: number, end: number, caller: Task | undefined): boolean {
  const first = Math.ceil(start / PAGE_SIZE)
  const last = Math.floor(end / PAGE_SIZE)
  if (inode.fallocEnd > first && inode.fallocEnd <= last) inode.fallocEnd = first
  const low = cutEdge(k, inode, Math.floor(start / PAGE_SIZE), start, end)
  const high = end === Number.POSITIVE_INFINITY ? 0 : cutEdge(k, inode, Math.floor(end / PAGE_SIZE), start, end)
  const over = truncateOn(k, inode.mapping, Math.max(first, low), high > 0 ? Math.min(last, high - HPAGE_PMD_NR) : last, caller)
  shmemRecalc(k, inode)
  return over
}

/**
 * Zeros the part of the page at an edge that is in bytes [start, end), and splits it if it is a huge page that sticks out.
 * @returns 0, or for a huge page that could not be split the index behind it.
 */
function cutEdge(k: Kernel, inode: Inode, index: number, start: number, end: number): number {
  const pfn = filemapGet(inode.mapping, index)
  if (pfn === NO_PAGE) return 0
  const head = compoundHead(k, pfn)
  const first = pageIndex(k, head)
  const pages = compoundPages(k, head)
  const from = Math.max(start, first * PAGE_SIZE)
  const to = Math.min(end, (first + pages) * PAGE_SIZE)
  if (from >= to || to - from === pages * PAGE_SIZE) return 0
  k.page[head * PAGE_WORDS] |= PG_dirty
  zeroPages(k, head, Math.ceil(from / PAGE_SIZE) - first, Math.floor(to / PAGE_SIZE) - first)
  if (pages === 1) return 0
  unmapMappingRange(k, inode.mapping, first, first + pages, 'file')
  return splitHugePage(k, head) === 0 ? 0 : first + pages
}

/** Fills pages [first, end) of a huge page with zeros. */
function zeroPages(k: Kernel, head: Pfn, first: number, end: number): void {
  spendOnMemory(k, COST.clear_page, Math.max(0, end - first))
  if ((k.page[head * PAGE_WORDS] & PG_head) === 0) return
  markTailsTouched(k, head)
  for (let i = first; i < end; i++) pageSetContent(k, asPfn(head + i), ZERO_CONTENT, 0)
}

/** Sets the file's length; 0, -ENOMEM, or -ERESTARTNOINTR when the task's turn is over: it calls again (shmem_setattr). */
export function shmemSetSize(k: Kernel, task: Task, inode: Inode, bytes: number): number {
  if (truncatedTo(task) === undefined) {
    const oldBytes = inode.sizeBytes
    const promised = shmemReacctSize(k, task, inode, oldBytes, bytes)
    if (promised < 0) return promised
    inode.sizeBytes = bytes
    if (bytes > oldBytes) return 0
  }
  const first = Math.ceil(bytes / PAGE_SIZE)
  const unmapped = unmapMappingRange(k, inode.mapping, first, Number.POSITIVE_INFINITY, 'all', true) || pausesAt(task, first)
  if (!unmapped) return -ERESTARTNOINTR
  if (inode.alloced > 0) return shmemTruncateRange(k, inode, bytes, Number.POSITIVE_INFINITY, task) ? 0 : -ERESTARTNOINTR
  task.restart = undefined
  return 0
}

/** Makes a hole of bytes [offset, offset + bytes). @param caller who may pause: false, he is to call again */
export function shmemPunch(k: Kernel, inode: Inode, offset: number, bytes: number, caller: Task | undefined): boolean {
  const first = Math.ceil(offset / PAGE_SIZE)
  const last = Math.floor((offset + bytes) / PAGE_SIZE)
  const pauses = caller !== undefined
  if (last > first && !unmapMappingRange(k, inode.mapping, first, last, 'file', pauses)) return pausesAt(caller, first)
  return shmemTruncateRange(k, inode, offset, offset + bytes, caller)
}

/**
 * Allocates the pages of bytes [offset, offset + bytes); all of them or none. 0, -ENOSPC, -ENOMEM, -EFBIG.
 * @param caller who may pause: -ERESTARTNOINTR, he is to call again; -EINTR when he has been killed meanwhile
 */
export function shmemAllocateRange(
  k: Kernel,
  inode: Inode,
  offset: number,
  bytes: number,
  keepSize: boolean,
  caller: Task | undefined,
): number {
  if (offset + bytes > MAX_FILE_BYTES) return -EFBIG
  const start = Math.floor(offset / PAGE_SIZE)
  const end = Math.ceil((offset + bytes) / PAGE_SIZE)
  if (inode.sb.maxBlocks > 0 && end - start > inode.sb.maxBlocks) return -ENOSPC
  const { at = start, rest } = caller?.restart ?? {}
  const fallocEnd = rest?.kind === 'allocate' ? rest.fallocEnd : inode.fallocEnd
  inode.fallocEnd = Math.max(inode.fallocEnd, end)
  for (let index = at; index < end; ) {
    const pfn = caller !== undefined && caller.killed !== 0 ? -EINTR : shmemGetPage(k, inode, index, 'falloc', undefined)
    if (pfn < 0) {
      inode.fallocEnd = fallocEnd
      undoAllocate(k, inode, start, index)
      if (caller !== undefined) caller.restart = undefined
      return pfn
    }
    const head = compoundHead(k, asPfn(pfn))
    index = pageIndex(k, head) + compoundPages(k, head)
    k.page[head * PAGE_WORDS] |= PG_dirty
    if (caller !== undefined && index < end && turnOver(k)) {
      caller.restart = { at: index, told: true, rest: { kind: 'allocate', fallocEnd } }
      return -ERESTARTNOINTR
    }
  }
  if (!keepSize && offset + bytes > inode.sizeBytes) inode.sizeBytes = offset + bytes
  if (caller !== undefined) caller.restart = undefined
  return 0
}

/** Takes the pages of [start, end) back that nobody has used since they were allocated. */
function undoAllocate(k: Kernel, inode: Inode, start: number, end: number): void {
  for (let index = start; index < end; index++) {
    const pfn = filemapGet(inode.mapping, index)
    const head = pfn === NO_PAGE ? NO_PAGE : compoundHead(k, pfn)
    if (head === NO_PAGE || (k.page[head * PAGE_WORDS] & PG_uptodate) !== 0) continue
    const first = pageIndex(k, head)
    truncatePages(k, inode.mapping, first, first + compoundPages(k, head))
  }
  shmemRecalc(k, inode)
}
