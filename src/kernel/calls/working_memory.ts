/**
 * Memory that a compressor works with on each CPU, and tables that are mapped page by page, as zswap and zram take it while they are
 * being set up.
 *
 * Source: drivers/block/zram/zcomp.c zcomp_strm_init, mm/zswap.c zswap_cpu_comp_prepare, mm/vmalloc.c.
 */
import { allocPages } from '../alloc/page_alloc.ts'
import { compressorPages } from '../base/compress.ts'
import { NS } from '../base/counters.ts'
import { GFP_KERNEL } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { WorkingMemory } from '../base/state_zswap.ts'
import { NO_PAGE } from '../base/units.ts'
import { pageNode } from '../frames/page.ts'

/** Takes so many pages, mapped one by one. @returns whether there were as many. */
export function takeMapped(k: Kernel, working: WorkingMemory, pages: number): boolean {
  for (let i = 0; i < pages; i++) {
    const pfn = allocPages(k, GFP_KERNEL, 0)
    if (pfn === NO_PAGE) return false
    working.mapped.push(pfn)
    k.boot.vmallocUsedPages++
  }
  return true
}

function takePiece(k: Kernel, working: WorkingMemory, order: number, slab: boolean): boolean {
  const pfn = allocPages(k, GFP_KERNEL, order)
  if (pfn === NO_PAGE) return false
  working.pieces.push({ pfn, order, slab })
  if (slab) k.nodes[pageNode(k, pfn)].stat[NS.nr_slab_unreclaimable] += 1 << order
  return true
}

/**
 * Takes what a compressor needs on each CPU that is online.
 * @param bufferOrder order of a buffer for its output, -1 for none.
 * @returns whether there was memory for all of it; what was taken stays taken.
 */
export function takeStreams(k: Kernel, working: WorkingMemory, compressor: number, bufferOrder: number): boolean {
  const { mapped, inOnePiece } = compressorPages(compressor)
  return k.cpus
    .filter(({ online }) => online)
    .every(
      () =>
        (bufferOrder < 0 || takePiece(k, working, bufferOrder, false)) &&
        (inOnePiece === 0 || takePiece(k, working, Math.log2(inOnePiece), true)) &&
        takeMapped(k, working, mapped),
    )
}
