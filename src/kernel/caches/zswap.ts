/**
 * zswap: pages on their way to swap are kept compressed in memory instead.
 *
 * Source: mm/zswap.c, mm/frontswap.c.
 */
import type { Kernel } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'

/** A swap area was switched on: it may store pages from now on (zswap_frontswap_init). */
export function zswapSwapon(_k: Kernel, _type: number): void {}

/** Forgets all pages of a swap area (zswap_frontswap_invalidate_area). */
export function zswapSwapoff(_k: Kernel, _type: number): void {}

/** Keeps the page's content compressed for its swap slot; false: it must be written to the device. */
export function zswapStore(_k: Kernel, _pfn: Pfn, _type: number, _offset: number): boolean {
  return false
}

/** Fills a page that is being swapped in, if its slot's content is kept here; false: it must be read from the device. */
export function zswapLoad(_k: Kernel, _pfn: Pfn, _type: number, _offset: number): boolean {
  return false
}

/** The slot is free: what is kept for it is dropped. */
export function zswapInvalidatePage(_k: Kernel, _type: number, _offset: number): void {}
