/**
 * Recounts swap: every slot is named as often as its map says, by page tables and memory files; what is in the swap cache, or kept
 * by a CPU, is marked so; what is in use and what is free adds up.
 */
import { PG_swapcache, PTE_SWAP, PTE_TABLE, SWAP_HAS_CACHE, SWAP_MAP_BAD, SWAP_MAP_SHMEM, SWP_WRITEOK } from './base/flags.ts'
import { PAGE_WORDS } from './base/list.ts'
import type { Kernel } from './base/state.ts'
import type { SwapArea } from './base/state_swap.ts'
import { asPfn, PTRS_PER_TABLE } from './base/units.ts'
import { isShmem } from './caches/filemap.ts'
import { swapCacheGet } from './caches/swap_cache.ts'
import { pteToSwap, swpEntry, swpOffset, swpType } from './caches/swap_map.ts'
import { leafStart } from './caches/xarray.ts'
import { compoundHead } from './frames/page.ts'
import { entryFlags, entryValue, LEVEL_PTE } from './spaces/pagetable.ts'

/** What does not add up, in words. */
export function verifySwap(k: Kernel): string[] {
  const wrong: string[] = []
  const named = k.swap.areas.map(area => new Uint16Array(area?.max ?? 0))
  for (const mm of k.spaces.mms.values()) {
    const swapped = countTable(k, mm.pgd, 0, named)
    if (swapped !== mm.swapEnts) wrong.push(`mm ${mm.id} has ${swapped} pages in swap, counts ${mm.swapEnts}`)
  }
  countFiles(k, named, wrong)
  const kept = keptByCpus(k)
  let used = 0
  for (const area of k.swap.areas) {
    if (area === undefined) continue
    used += verifyArea(k, area, named[area.type], kept, wrong)
    if ((area.flags & SWP_WRITEOK) === 0) used -= area.pages
  }
  if (k.swapPages - used !== k.swap.freePages && k.swap.areas.every(area => area === undefined || (area.flags & SWP_WRITEOK) !== 0))
    wrong.push(`${used} slots of ${k.swapPages} are in use, ${k.swap.freePages} count as free`)
  verifyPages(k, wrong)
  return wrong
}

/** Counts the swap entries below a table; returns how many there are. */
function countTable(k: Kernel, table: number, level: number, named: readonly Uint16Array[]): number {
  let n = 0
  for (let i = 0; i < PTRS_PER_TABLE; i++) {
    const flags = entryFlags(k, table, i)
    if ((flags & PTE_TABLE) !== 0) n += countTable(k, entryValue(k, table, i), level + 1, named)
    else if (level === LEVEL_PTE && (flags & PTE_SWAP) !== 0) {
      const entry = pteToSwap(entryValue(k, table, i), flags)
      named[swpType(entry)][swpOffset(entry)]++
      n++
    }
  }
  return n
}

function countFiles(k: Kernel, named: readonly Uint16Array[], wrong: string[]): void {
  for (const mapping of k.fs.mappings.values()) {
    if (!isShmem(mapping.inode.sb)) continue
    let swapped = 0
    for (const [key, node] of mapping.pages.nodes)
      for (const value of node.slots) {
        if (value >= 0) continue
        const entry = -1 - value
        swapped++
        if (named[swpType(entry)][swpOffset(entry)] !== 0) wrong.push(`slot ${swpOffset(entry)} of ${leafStart(key)} is named twice`)
        named[swpType(entry)][swpOffset(entry)] = SWAP_MAP_SHMEM
      }
    if (swapped !== mapping.inode.swapped) wrong.push(`${mapping.inode.path} has ${swapped} pages in swap, counts ${mapping.inode.swapped}`)
  }
}

/** Entries that CPUs keep ready or will give back. */
function keptByCpus(k: Kernel): Set<number> {
  const kept = new Set<number>()
  for (const slots of k.swap.slots) {
    if (slots === undefined) continue
    for (let i = 0; i < slots.left; i++) kept.add(slots.taken[slots.at + i])
    for (let i = 0; i < slots.nBack; i++) kept.add(slots.back[i])
  }
  return kept
}

/** Returns the slots in use. */
function verifyArea(k: Kernel, area: SwapArea, named: Uint16Array, kept: ReadonlySet<number>, wrong: string[]): number {
  let used = 0
  for (let offset = 1; offset < area.max; offset++) {
    const value = area.map[offset]
    if (value !== 0 && value !== SWAP_MAP_BAD) used++
    if ((value & ~SWAP_HAS_CACHE) !== named[offset]) wrong.push(`slot ${offset} is named ${named[offset]} times, says ${value}`)
    const entry = swpEntry(area.type, offset)
    const page = swapCacheGet(k, entry)
    if (page !== 0 && (k.swap.entryOf[page] !== entry || (k.page[compoundHead(k, page) * PAGE_WORDS] & PG_swapcache) === 0))
      wrong.push(`page ${page} does not know that it is in slot ${offset}`)
    const cached = page !== 0 || kept.has(entry)
    if (cached !== ((value & SWAP_HAS_CACHE) !== 0))
      wrong.push(`slot ${offset} says ${value}, ${cached ? 'but is kept' : 'but nobody keeps it'}`)
  }
  if (used !== area.inusePages) wrong.push(`${area.path} has ${used} slots in use, counts ${area.inusePages}`)
  return used
}

/** Pages that say they are in the swap cache are. */
function verifyPages(k: Kernel, wrong: string[]): void {
  for (let pfn = 1; pfn < k.swap.entryOf.length; pfn++) {
    const entry = k.swap.entryOf[pfn]
    if (entry !== 0 && swapCacheGet(k, entry) !== pfn) wrong.push(`page ${pfn} says that it is in slot ${swpOffset(entry)}`)
    if (entry === 0 && (k.page[pfn * PAGE_WORDS] & PG_swapcache) !== 0 && compoundHead(k, asPfn(pfn)) === pfn)
      wrong.push(`page ${pfn} is in the swap cache without a slot`)
  }
}
