/**
 * Writing pages of the swap cache to the device behind their area: a disk, or a file on one, whose blocks are written past its page
 * cache, where they are under writeback until the request ends; or zram, which has them at once.
 *
 * Source: mm/page_io.c (__swap_writepage, end_swap_bio_write).
 */
import { EV } from '../base/counters.ts'
import { PG_dirty, PG_reclaim } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { KERN_ALERT, printk, ratelimit } from '../base/log.ts'
import type { Kernel } from '../base/state.ts'
import type { SwapArea } from '../base/state_swap.ts'
import { asPfn, HPAGE_PMD_NR, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { blockSubmitSwap, endSwapWriteback, startSwapWriteback } from './block.ts'
import { zramWrite } from './zram.ts'

/** Failed writes that are logged in so much time (DEFAULT_RATELIMIT_BURST, _INTERVAL). */
const ERRORS = 10
const ERRORS_NS = 5e9
const ZRAM_MAJOR = 253
const PAGE_SECTORS = PAGE_SIZE / 512

/** Writes a page, or a huge one, that is in the swap cache at `offset` to the device; one that zram has no room for is dirty again. */
export function writeToDevice(k: Kernel, area: SwapArea, offset: number, head: Pfn, pages: number): void {
  if (pages === HPAGE_PMD_NR) k.event[EV.thp_swpout]++
  k.event[EV.pswpout] += pages
  startSwapWriteback(k, head)
  if (area.device.kind !== 'zram') {
    blockSubmitSwap(k, area.device.disk, true, area.type, offset, pages)
    return
  }
  // zram's own way in takes single pages only. A page that fails there, as a huge one does, then goes as a request.
  if (pages > 1 || zramWrite(k, area.device.zram, offset, head) < 0) {
    endSwapWriteback(k, head)
    startSwapWriteback(k, head)
    for (let i = 0; i < pages; i++)
      if (zramWrite(k, area.device.zram, offset + i, asPfn(head + i)) < 0) {
        k.page[head * PAGE_WORDS] = (k.page[head * PAGE_WORDS] | PG_dirty) & ~PG_reclaim
        reportError(k, area.device.zram, offset)
        break
      }
  }
  endSwapWriteback(k, head)
}

/** The log says where a write failed: device number and sector. */
function reportError(k: Kernel, zram: number, offset: number): void {
  if (ratelimit(k, k.log.swapErrors, ERRORS_NS, ERRORS, 'end_swap_bio_write'))
    printk(k, KERN_ALERT, `Write-error on swap-device (${ZRAM_MAJOR}:${zram}:${offset * PAGE_SECTORS})`)
}
