/**
 * Pages for the kernel's own small needs in the middle of other work: at once or not at all.
 *
 * Down to the low watermark they are simply taken; below it kswapd is woken and they may go down to the min one.
 *
 * Source: mm/page_alloc.c __alloc_pages with GFP_NOWAIT.
 */
import { must } from '../base/assert.ts'
import { ALLOC_KSWAPD, ALLOC_NO_WATERMARKS, ALLOC_WMARK_LOW, ALLOC_WMARK_MIN } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import { NO_PAGE, type Pfn } from '../base/units.ts'
import { ALL_NODES, allocFlagsNofragment, getPageFromFreelist, gfpZone, preferredZone } from './rmqueue.ts'
import { wakeAllKswapds } from './watermark.ts'

/** 2^order pages near this CPU, or NO_PAGE. */
export function allocPageNowait(k: Kernel, gfp: number, order: number): Pfn {
  const node = k.nodes[k.cpus[k.cpu].node]
  const preferred = must(preferredZone(k, node, gfpZone(gfp), ALL_NODES), 'a machine has no memory')
  const flags = allocFlagsNofragment(k, preferred, gfp)
  const page = getPageFromFreelist(k, gfp, order, ALLOC_WMARK_LOW | flags, preferred, node.zonelist, ALL_NODES)
  if (page !== NO_PAGE) return page
  wakeAllKswapds(k, gfp, order, gfpZone(gfp), node.zonelist, ALL_NODES)
  return getPageFromFreelist(k, gfp, order, ALLOC_WMARK_MIN | ALLOC_KSWAPD, preferred, node.zonelist, ALL_NODES)
}

/**
 * A page for those who are at work on freeing memory (PF_MEMALLOC): they may have the last one, below all marks, because
 * what they do with it frees more.
 */
export function allocPageMemalloc(k: Kernel, gfp: number): Pfn {
  const page = allocPageNowait(k, gfp, 0)
  if (page !== NO_PAGE) return page
  const node = k.nodes[k.cpus[k.cpu].node]
  const preferred = must(preferredZone(k, node, gfpZone(gfp), ALL_NODES), 'a machine has no memory')
  return getPageFromFreelist(k, gfp, 0, ALLOC_NO_WATERMARKS, preferred, node.zonelist, ALL_NODES)
}
