/**
 * What setting a value of /sys/kernel/mm/transparent_hugepage does beside that.
 *
 *     enabled           starts or stops khugepaged; min_free_kbytes follows, and with it every watermark
 *     shmem_enabled     sets huge= of the kernel's own mount of memory files, but for deny and force, which overrule all mounts
 *     *_sleep_millisecs khugepaged's pause is over
 *
 * A stopped khugepaged forgets where it was, not what is registered.
 *
 * Source: mm/khugepaged.c (start_stop_khugepaged, scan_sleep_millisecs_store), mm/shmem.c shmem_enabled_store.
 */
import { now } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import { hugepageFlagsEnabled, khugepagedForget, khugepagedWake } from '../fault/huge_memory_check.ts'
import { setRecommendedMinFreeKbytes } from '../frames/zone.ts'

/** Starts khugepaged if huge pages are on for anybody, else stops it: after `enabled` was set. */
export function startStopKhugepaged(k: Kernel): void {
  const scan = k.khugepaged
  if (hugepageFlagsEnabled(k)) {
    if (!scan.running) start(k)
    if (scan.mms.length > 0) khugepagedWake(k)
  } else if (scan.running) stop(k)
  setRecommendedMinFreeKbytes(k)
}

function start(k: Kernel): void {
  const scan = k.khugepaged
  scan.running = true
  scan.waits = 'work'
  scan.daemon.wakeNs = now(k)
}

function stop(k: Kernel): void {
  const scan = k.khugepaged
  const { at } = scan
  scan.running = false
  scan.daemon.wakeNs = Number.POSITIVE_INFINITY
  scan.at = -1
  if (at >= 0 && scan.mms[at].users === 0) khugepagedForget(k, at)
}

/** Tells the kernel's own mount of memory files: after `shmem_enabled` was set. */
export function applyShmemEnabled(k: Kernel): void {
  const { shmemEnabled } = k.thp
  if (shmemEnabled === 'deny' || shmemEnabled === 'force') return
  const own = k.fs.superBlocks.find(sb => sb.type === 'shmem')
  if (own !== undefined) own.huge = shmemEnabled
}

/** Ends a pause between rounds or for memory: after a sleep was set. A thread without work goes on waiting for some. */
export function endKhugepagedSleep(k: Kernel): void {
  const { running, waits, daemon } = k.khugepaged
  if (running && waits !== 'work') daemon.wakeNs = Math.min(daemon.wakeNs, now(k))
}
