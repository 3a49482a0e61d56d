/**
 * /sys/block/zramN, /sys/class/zram-control and /sys/kernel/debug/zram: what compressed block devices hold and take.
 *
 *     mm_stat  bytes stored, compressed, taken, limit, most taken; pages of one word; pages freed by compaction;
 *              pages kept as they are now, and ever
 *     io_stat  failed reads, failed writes, requests that made no sense, slots freed by swap
 *     bd_stat  pages on the backing disk; read from it, written to it
 *
 * Source: drivers/block/zram/zram_drv.c.
 */
import { EINVAL } from '../kernel/base/errno.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { ZramDevice } from '../kernel/base/state_zswap.ts'
import { PAGE_SIZE } from '../kernel/base/units.ts'
import { ZRAM_HUGE, ZRAM_IDLE, ZRAM_SAME, ZRAM_WB, zramAt, zramEach } from '../kernel/caches/zram.ts'
import { zramHotAdd } from '../kernel/tunables_zram.ts'
import { type Directory, dir, type File, knobs, sysfs } from './file.ts'

const WIDTH = 8
const columns = (values: readonly number[]): string => `${values.map(value => String(value).padStart(WIDTH)).join(' ')}\n`
const report = (text: (zram: ZramDevice) => string): File => sysfs((k, at) => text(zramAt(k, at.zram)))

const mmStat = ({ stats, pool, limitPages }: ZramDevice): string =>
  columns([
    stats.pagesStored * PAGE_SIZE,
    stats.comprDataSize,
    (pool?.pages ?? 0) * PAGE_SIZE,
    limitPages * PAGE_SIZE,
    stats.maxUsedPages * PAGE_SIZE,
    stats.samePages,
    pool?.pagesCompacted ?? 0,
    stats.hugePages,
    stats.hugePagesSince,
  ])

export const zramDirectory: Directory = dir({
  ...knobs('/sys/block/zram{zram}'),
  initstate: report(({ blocks }) => `${Number(blocks > 0)}\n`),
  mm_stat: report(mmStat),
  io_stat: report(({ stats }) => columns([stats.failedReads, stats.failedWrites, stats.invalidIo, stats.notifyFree])),
  bd_stat: report(({ stats }) => columns([stats.bdCount, stats.bdReads, stats.bdWrites])),
  debug_stat: report(({ stats }) => `version: 1\n${columns([stats.writestall, stats.missFree])}`),
})

/** Reading hot_add adds a device, so it is left to who names the file: listings, which read everything, do not have it. */
export const zramControl: Directory = dir({
  ...knobs('/sys/class/zram-control'),
  hot_add: { read: (k: Kernel) => zramHotAdd(k), refuses: EINVAL, unlisted: true },
})

const MARKS = [
  [ZRAM_SAME, 's'],
  [ZRAM_WB, 'w'],
  [ZRAM_HUGE, 'h'],
  [ZRAM_IDLE, 'i'],
] as const

/** A line a block: its number, when it was used last, its marks. */
function blockState(device: ZramDevice): string {
  const lines: string[] = []
  zramEach(device, ({ block, accessedNs, flags }) => {
    const microseconds = Math.floor(accessedNs / 1000)
    const seconds = String(Math.floor(microseconds / 1e6)).padStart(12)
    const marks = MARKS.map(([flag, letter]) => ((flags & flag) !== 0 ? letter : '.')).join('')
    lines.push(`${String(block).padStart(12)} ${seconds}.${String(microseconds % 1e6).padStart(6, '0')} ${marks}\n`)
  })
  return lines.join('')
}

export const zramDebug: Directory = dir({
  block_state: {
    read: (k, at) => (zramAt(k, at.zram).blocks === 0 ? -EINVAL : blockState(zramAt(k, at.zram))),
    refuses: EINVAL,
  },
})
