/**
 * Pages to and from swap.
 *
 *     write   nobody needs its slot any more ──> gives it up instead
 *             zswap takes it                 ──> done at once
 *             zram                           ──> done at once
 *             disk                           ──> under writeback until the request ends
 *     read    the same way back; a page from a disk is locked until it is there
 *
 * What a slot holds is kept as content class and index, whoever keeps the bytes.
 *
 * Source: mm/page_io.c (swap_writepage, swap_readpage), drivers/block/zram/zram_drv.c zram_rw_page.
 */
import { must } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { PG_locked, PG_uptodate, PG_workingset, PG_writeback } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { psiMemstallEnter, psiMemstallLeave } from '../base/psi.ts'
import type { Kernel } from '../base/state.ts'
import type { SwapArea } from '../base/state_swap.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { compoundPages, pageContent, pageContentIndex, pageSetContent } from '../frames/page.ts'
import { blockSubmitSwap, endSwapWriteback, startSwapWriteback, waitOnSwapPage } from './block.ts'
import { folioFreeSwap, swapEntryOf } from './swap_cache.ts'
import { writeToDevice } from './swap_device.ts'
import { swapArea, swpOffset } from './swap_map.ts'
import { zramRead } from './zram.ts'
import { zswapLoad, zswapStore } from './zswap.ts'

/** A huge page goes in one request; what is done for each of its pages, its index and counts, is a little of what a page costs. */
const HUGE_ACTS = 20

/** Writes a page of the swap cache, or a huge one, to its slots; its dirty mark is off. A page that needs no slot leaves the cache. */
export function swapWritepage(k: Kernel, head: Pfn): void {
  if (folioFreeSwap(k, head)) return
  const entry = swapEntryOf(k, head)
  const area = swapArea(k, entry)
  const offset = swpOffset(entry)
  const pages = compoundPages(k, head)
  spend(k, COST.swap_page, pages === 1 ? 1 : HUGE_ACTS)
  keepContents(k, area, offset, head, pages)
  if (zswapStore(k, head, area.type, offset)) {
    startSwapWriteback(k, head)
    endSwapWriteback(k, head)
    return
  }
  writeToDevice(k, area, offset, head, pages)
}

function keepContents(k: Kernel, { content }: SwapArea, offset: number, head: Pfn, pages: number): void {
  for (let i = 0; i < pages; i++) {
    content[2 * (offset + i)] = pageContent(k, asPfn(head + i))
    content[2 * (offset + i) + 1] = pageContentIndex(k, asPfn(head + i))
  }
}

/** Reads the slot into a locked page; it is unlocked when its bytes are there (swap_readpage). */
export function swapReadpage(k: Kernel, pfn: Pfn, entry: number): void {
  const area = swapArea(k, entry)
  const offset = swpOffset(entry)
  pageSetContent(k, pfn, area.content[2 * offset], area.content[2 * offset + 1])
  if (zswapLoad(k, pfn, area.type, offset)) {
    readDone(k, pfn)
    return
  }
  k.event[EV.pswpin]++
  if (area.device.kind !== 'zram') {
    blockSubmitSwap(k, area.device.disk, false, area.type, offset, 1)
    return
  }
  const thrashing = isMissed(k, pfn)
  if (thrashing) psiMemstallEnter(k)
  zramRead(k, area.device.zram, offset, pfn)
  if (thrashing) psiMemstallLeave(k)
  readDone(k, pfn)
}

/** A page that was evicted not long ago: waiting for it is waiting for memory. */
const isMissed = (k: Kernel, pfn: Pfn): boolean => (k.page[pfn * PAGE_WORDS] & PG_workingset) !== 0

function readDone(k: Kernel, pfn: Pfn): void {
  k.page[pfn * PAGE_WORDS] = (k.page[pfn * PAGE_WORDS] & ~PG_locked) | PG_uptodate
}

/** Waits until the page of the swap cache is neither being read nor written. */
export function waitOnSwapCache(k: Kernel, head: Pfn): void {
  if ((k.page[head * PAGE_WORDS] & (PG_locked | PG_writeback)) === 0) return
  const entry = swapEntryOf(k, head)
  const area = swapArea(k, entry)
  const thrashing = isMissed(k, head) && (k.page[head * PAGE_WORDS] & PG_locked) !== 0
  if (thrashing) psiMemstallEnter(k)
  waitOnSwapPage(k, must(area.device.disk, 'a page waits for a device that has no queue'), area.type, swpOffset(entry))
  if (thrashing) psiMemstallLeave(k)
}
