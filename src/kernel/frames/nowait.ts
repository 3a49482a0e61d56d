/**
 * Pages for the kernel's own small needs in the middle of other work: at once or not at all.
 *
 * Down to the low watermark they are simply taken; below it kswapd is woken and they may go down to the min one, those that matter
 * (__GFP_HIGH) to half of it, and those of who is at work on freeing memory (__GFP_MEMALLOC, PF_MEMALLOC) to the last page, because
 * what they do with it frees more.
 *
 * Source: mm/page_alloc.c __alloc_pages without __GFP_DIRECT_RECLAIM (gfp_to_alloc_flags, __gfp_pfmemalloc_flags).
 */
import { must } from '../base/assert.ts'
import {
  __GFP_HIGH,
  __GFP_MEMALLOC,
  ALLOC_KSWAPD,
  ALLOC_MIN_RESERVE,
  ALLOC_NO_WATERMARKS,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MIN,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import { NO_PAGE, type Pfn } from '../base/units.ts'
import { ALL_NODES, allocFlagsNofragment, getPageFromFreelist, gfpZone, preferredZone } from './rmqueue.ts'
import { wakeAllKswapds } from './watermark.ts'

/** 2^order pages near this CPU, or NO_PAGE. */
export function allocPageNowait(k: Kernel, gfp: number, order: number): Pfn {
  const node = k.nodes[k.cpus[k.cpu].node]
  const preferred = must(preferredZone(k, node, gfpZone(gfp), ALL_NODES), 'a machine has no memory')
  const flags = allocFlagsNofragment(k, preferred, gfp)
  let page = getPageFromFreelist(k, gfp, order, ALLOC_WMARK_LOW | flags, preferred, node.zonelist, ALL_NODES)
  if (page !== NO_PAGE) return page
  wakeAllKswapds(k, gfp, order, gfpZone(gfp), node.zonelist, ALL_NODES)
  const least = ALLOC_WMARK_MIN | ALLOC_KSWAPD | ((gfp & __GFP_HIGH) !== 0 ? ALLOC_MIN_RESERVE : 0)
  page = getPageFromFreelist(k, gfp, order, least, preferred, node.zonelist, ALL_NODES)
  if (page !== NO_PAGE || (gfp & __GFP_MEMALLOC) === 0) return page
  return getPageFromFreelist(k, gfp, order, ALLOC_NO_WATERMARKS, preferred, node.zonelist, ALL_NODES)
}
