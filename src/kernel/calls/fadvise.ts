/**
 * posix_fadvise(2): how a file will be read, what of it will be needed, and what not.
 *
 *     normal, sequential, random    the size of the readahead window from now on
 *     willneed                      reads it, at most 1280 KiB at once
 *     dontneed                      starts to write what is dirty, then drops what is clean and unmapped; whole pages only
 *
 * Files that live in memory take any advice and do nothing.
 *
 * Source: mm/fadvise.c generic_fadvise.
 */
import { COST, spend } from '../base/cost.ts'
import { EINVAL } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { blockAdvance } from '../caches/block.ts'
import { READAHEAD_PAGES } from '../caches/files.ts'
import { forcePageCacheRa } from '../fault/readahead.ts'
import { invalidatePages } from '../reclaim/truncate.ts'
import { writeRange } from '../reclaim/writeback.ts'
import { lruAddDrain, lruAddDrainAll } from '../reclaim/zap.ts'

export type FileAdvice = 'normal' | 'random' | 'sequential' | 'willneed' | 'dontneed'

/** @param bytes 0 means to the end. @returns 0, or -EINVAL for a negative length. */
export function sysFadvise(k: Kernel, _task: Task, file: OpenFile, offset: number, bytes: number, advice: FileAdvice): number {
  spend(k, COST.syscall, 1)
  if (bytes < 0 || bytes >= 2 ** 63) return -EINVAL
  if (file.inode.sb.disk !== undefined) advise(k, file, offset, bytes === 0 ? Number.POSITIVE_INFINITY : offset + bytes - 1, advice)
  return 0
}

/** @param last the last byte meant. */
function advise(k: Kernel, file: OpenFile, offset: number, last: number, advice: FileAdvice): void {
  const first = Math.floor(offset / PAGE_SIZE)
  switch (advice) {
    case 'normal':
      file.readahead.raPages = READAHEAD_PAGES
      file.random = false
      return
    case 'random':
      file.random = true
      return
    case 'sequential':
      file.readahead.raPages = READAHEAD_PAGES * 2
      file.random = false
      return
    case 'willneed':
      forcePageCacheRa(k, file, first, Math.floor(last / PAGE_SIZE) - first + 1)
      return
    case 'dontneed':
      dontNeed(k, file, offset, last)
  }
}

function dontNeed(k: Kernel, file: OpenFile, offset: number, last: number): void {
  const { inode } = file
  const { mapping } = inode
  blockAdvance(k)
  writeRange(k, mapping, Math.floor(offset / PAGE_SIZE), Math.floor(last / PAGE_SIZE), Number.POSITIVE_INFINITY, false)
  const first = Math.ceil(offset / PAGE_SIZE)
  const whole = last === Number.POSITIVE_INFINITY || (last + 1) % PAGE_SIZE === 0 || last === inode.sizeBytes - 1
  const end = Math.floor(last / PAGE_SIZE) - (whole ? 0 : 1)
  if (end < first) return
  lruAddDrain(k)
  if (invalidatePages(k, mapping, first, end).kept === 0) return
  lruAddDrainAll(k)
  invalidatePages(k, mapping, first, end)
}
