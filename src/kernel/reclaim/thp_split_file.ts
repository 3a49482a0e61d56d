/**
 * What splitting a huge page of a memory file takes beside the page itself: its mappings go, its cache entry becomes
 * 512, and what lies beyond the end of the file is dropped.
 *
 * Source: mm/huge_memory.c (unmap_folio, __split_huge_page), mm/rmap.c try_to_unmap_one, mm/shmem.c shmem_uncharge.
 */

import { COST, spend } from '../base/cost.ts'
import { NS } from '../base/counters.ts'
import { PG_dirty, PG_referenced, PTE_ACCESSED, PTE_DIRTY, PTE_HUGE, PTE_PRESENT, VM_LOCKED } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { Mm } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, type Pfn } from '../base/units.ts'
import { filemapRemove, filePages, NOT_EVICTED } from '../caches/filemap.ts'
import { mlockDrainCpu } from '../caches/mlock_lru.ts'
import { shmemUnacctBlocks } from '../caches/shmem_account.ts'
import { kmemTake } from '../caches/slab.ts'
import { xaSplitHuge } from '../caches/xarray.ts'
import { modLruvecState } from '../frames/memcg.ts'
import { compoundHead, compoundPages, pageIndex, pageNode } from '../frames/page.ts'
import { countRss, splitHugePmd } from '../spaces/huge_pmd.ts'
import { clearEntry, entryFlags, entryValue, LEVEL_PMD, levelIndex, pteIndex, pteTable, walkTo } from '../spaces/pagetable.ts'
import { pageRemoveRmap, rmapEntries } from '../spaces/rmap.ts'
import { mustVma } from '../spaces/vma.ts'

/** Index nodes that 512 single pages need. */
const HUGE_NODES = 8

/** Takes the page, or all pages of the huge one, out of every address space; it faults back in (try_to_unmap). */
export function unmapFilePages(k: Kernel, head: Pfn): void {
  const pages = compoundPages(k, head)
  const index = pageIndex(k, head)
  for (const { mm: id, delta } of rmapEntries(k, head)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined) continue
    if (pages === HPAGE_PMD_NR) splitHugeMapping(k, mm, index + delta, head)
    for (let i = 0; i < pages; i++) unmapSingle(k, mm, index + delta + i, asPfn(head + i))
  }
}

/**
 * Splits the huge entry that maps the page at this place, if one does; an entry of a file is dropped by that.
 * @returns whether the entry was dirty, which those of an anonymous page no longer are.
 */
export function splitHugeMapping(k: Kernel, mm: Mm, vpn: number, head: Pfn): boolean {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return false
  const i = levelIndex(vpn, LEVEL_PMD)
  const huge = PTE_HUGE | PTE_PRESENT
  const flags = entryFlags(k, pmd, i)
  if ((flags & huge) !== huge || entryValue(k, pmd, i) !== head) return false
  splitHugePmd(k, mustVma(mm, vpn), pmd, i)
  return (flags & PTE_DIRTY) !== 0
}

function unmapSingle(k: Kernel, mm: Mm, vpn: number, pfn: Pfn): void {
  const table = pteTable(k, mm, vpn)
  if (table === 0) return
  const i = pteIndex(vpn)
  const flags = entryFlags(k, table, i)
  if ((flags & PTE_PRESENT) === 0 || entryValue(k, table, i) !== pfn) return
  const vma = mustVma(mm, vpn)
  const head = compoundHead(k, pfn)
  clearEntry(k, table, i)
  if ((flags & PTE_DIRTY) !== 0) k.page[head * PAGE_WORDS] |= PG_dirty
  if ((flags & PTE_ACCESSED) !== 0) k.page[head * PAGE_WORDS] |= PG_referenced
  countRss(k, mm, head, -1)
  pageRemoveRmap(k, pfn, vma, false)
  if ((vma.flags & VM_LOCKED) !== 0) mlockDrainCpu(k, k.cpu)
  spend(k, COST.rmap_unmap, 1)
}

/** Memory for the cache entries of the single pages; false when there is none. */
export const takeNodes = (k: Kernel): boolean => kmemTake(k, 'radix_tree_node', HUGE_NODES)

/** Indexes the pages of the huge one by one. */
export function splitCached(k: Kernel, mapping: Mapping, head: Pfn): void {
  const nid = pageNode(k, head)
  xaSplitHuge(mapping.pages, pageIndex(k, head), nid)
  modLruvecState(k, head, NS.nr_shmem_hugepages, -HPAGE_PMD_NR)
}

/** Drops those of the single pages that lie beyond the end of the file, or of what fallocate keeps; the caller puts them. */
export function dropBeyondEnd(k: Kernel, mapping: Mapping, head: Pfn): void {
  const { inode } = mapping
  const end = Math.max(filePages(inode), inode.fallocEnd)
  const first = pageIndex(k, head)
  for (let i = HPAGE_PMD_NR - 1; i >= 1 && first + i >= end; i--) {
    filemapRemove(k, mapping, asPfn(head + i), NOT_EVICTED)
    inode.alloced--
    shmemUnacctBlocks(k, inode, 1)
  }
}
