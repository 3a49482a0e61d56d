/**
 * zram: block devices in memory that keep their pages compressed.
 *
 * Source: drivers/block/zram/zram_drv.c.
 */
import { ENOMEM } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'

/** Size of the device in pages; 0 while it has not been set up, -1 where there is no such device. */
export function zramPages(_k: Kernel, _path: string): number {
  return -1
}

/** Stores a page at a block of device /dev/zramN. @returns 0 or -ENOMEM. */
export function zramWrite(_k: Kernel, _device: number, _block: number, _pfn: Pfn): number {
  return -ENOMEM
}

/** Fills a page with what the block holds (zeros where nothing was ever written). */
export function zramRead(_k: Kernel, _device: number, _block: number, _pfn: Pfn): void {}

/** The swap slot at this block is free (zram_slot_free_notify). */
export function zramFree(_k: Kernel, _device: number, _block: number): void {}
