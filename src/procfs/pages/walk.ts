/** Walking what a process has, page by page, through the words of its pagemap: what a tool in user space can see, and no more. */
import type { Kernel } from '../../kernel/base/state.ts'
import type { Vma } from '../../kernel/base/state_mm.ts'
import { PM_PRESENT, PM_SOFT_DIRTY, PM_SWAP, pagemapFrame, pagemapRead } from '../pagemap.ts'
import { nameOf } from '../pid/maps.ts'

/** Words read in one go. */
const WINDOW = 4096

/** Sees a page: its frame, 0 when it is not in memory, and the upper half of its pagemap word. */
export type SeePage = (vpn: number, pfn: number, high: number) => void

/** Shows every page of an area that is present or swapped. */
export function eachPage(k: Kernel, vma: Vma, see: SeePage): void {
  for (let first = vma.start; first < vma.end; first += WINDOW) {
    const words = new Uint32Array(2 * Math.min(WINDOW, vma.end - first))
    pagemapRead(k, vma.mm, first, words, true)
    for (let i = 0; i < words.length; i += 2) {
      const high = words[i + 1]
      if ((high & PM_PRESENT) !== 0) see(first + i / 2, pagemapFrame(words[i], high), high)
      else if ((high & PM_SWAP) !== 0) see(first + i / 2, 0, high)
    }
  }
}

export const isSwapped = (high: number): boolean => (high & PM_SWAP) !== 0
export const isSoftDirty = (high: number): boolean => (high & PM_SOFT_DIRTY) !== 0

/** The area's name in a list, which has no blanks. */
export const areaName = (vma: Vma): string => (nameOf(vma) || (vma.mapping === undefined ? '[anon]' : '[shmem]')).replace(/\s/g, '_')
