/**
 * The flusher: writes dirty pages of disk files in the background.
 *
 *     woken by reclaim           everything that is dirty
 *     every 5 s (dirty_writeback_centisecs), while anything is dirty: files dirty for 30 s (dirty_expire_centisecs)
 *     above the background limit (dirty_background_*)      the longest dirty files first, until below it; all that were dirty
 *                                by then stay queued, and are written the next time old data is looked for
 *
 * Source: fs/fs-writeback.c (wb_do_writeback, wb_check_old_data_flush, wb_check_background_flush, queue_io).
 */
import { now } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import { blockAdvance } from '../caches/block.ts'
import { writeBackground, writeDirtyInodes } from '../reclaim/writeback.ts'

const CENTISEC_NS = 1e7

export function runFlusher(k: Kernel): void {
  const { writeback } = k.fs
  const period = k.sysctl.dirty_writeback_centisecs * CENTISEC_NS
  blockAdvance(k)
  if (writeback.startAll) writeDirtyInodes(k, now(k))
  writeback.startAll = false
  if (period > 0 && now(k) >= writeback.lastOldFlushNs + period) {
    writeback.lastOldFlushNs = now(k)
    writeDirtyInodes(k, Math.max(now(k) - k.sysctl.dirty_expire_centisecs * CENTISEC_NS, writeback.queuedNs))
  }
  writeBackground(k)
  if (writeback.dirty.size > 0 && period > 0) writeback.flusher.wakeNs = now(k) + period
}
