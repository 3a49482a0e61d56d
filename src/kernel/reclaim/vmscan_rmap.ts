/**
 * What reclaim asks of a page's mappings: has any of them been used since the last look, and can all of them go?
 *
 * Looking clears the accessed marks it finds. Mappings that advised sequential use do not count as uses. A page of a locked
 * area is not unmapped; it is marked locked instead, and leaves for the unevictable list. Where a page was that is in the swap
 * cache, its slot stands from then on.
 *
 * Source: mm/rmap.c (folio_referenced_one, try_to_unmap_one).
 */
import { COST, COSTS, spend } from '../base/cost.ts'
import {
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PG_idle,
  PG_swapbacked,
  PG_swapcache,
  PG_young,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SWP_EXCLUSIVE,
  PTE_UFFD_WP,
  VM_EXEC,
  VM_LOCKED,
  VM_RAND_READ,
  VM_SEQ_READ,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { mlockFolio } from '../caches/mlock_lru.ts'
import { swapEntryOf } from '../caches/swap_cache.ts'
import { swapDuplicate, swapPteFlags, swpOffset } from '../caches/swap_map.ts'
import { memcgIsBelow } from '../frames/memcg.ts'
import { compoundPages, pageCount, pageIndex, pageMapped, totalMapcount } from '../frames/page.ts'
import { countRss } from '../spaces/huge_pmd.ts'
import { clearEntry, entryFlags, entryValue, LEVEL_PMD, levelIndex, pteIndex, setEntry, walkTo } from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PTE } from '../spaces/pt_lock.ts'
import { pageRemoveRmap, rmapEntries, tableMapping } from '../spaces/rmap.ts'
import { vmaAt } from '../spaces/vma.ts'
import { lookAround } from './lru_gen_walk.ts'
import { splitHugeMapping } from './thp_split_file.ts'
import { updateHiwaterRss } from './zap.ts'

/** In how many areas a page was found used, and what areas that used it, or lock it, are like. */
export interface Referenced {
  areas: number
  /** It was used in the area that is being looked at. */
  used: boolean
  exec: boolean
  locked: boolean
}

/**
 * Looks for uses of the page through its mappings, and clears their marks (folio_referenced).
 * @param memcg reclaim for this group's sake does not ask what processes outside it use; the root: all are asked.
 */
export function folioReferenced(k: Kernel, head: Pfn, memcg: number): Referenced {
  const found: Referenced = { areas: 0, used: false, exec: false, locked: false }
  if (!pageMapped(k, head)) return found
  const index = pageIndex(k, head)
  const pages = compoundPages(k, head)
  for (const { mm: id, delta } of rmapEntries(k, head)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined || !memcgIsBelow(k, mm.memcg, memcg)) continue
    if (pages > 1) hugeReferenced(k, mm, index + delta, head, found)
    for (let i = 0; i < pages && !found.locked; i++) pteReferenced(k, mm, index + delta + i, asPfn(head + i), pages === 1, found)
    if (found.locked) return found
    noteTracking(k, head, found)
    if (found.used) found.areas++
    found.used = false
  }
  return found
}

/** A use ends idleness; one that idle page tracking took away (the young flag) counts as a use too, once. */
function noteTracking(k: Kernel, head: Pfn, found: Referenced): void {
  const at = head * PAGE_WORDS
  if (found.used) k.page[at] &= ~PG_idle
  if ((k.page[at] & PG_young) === 0) return
  k.page[at] &= ~PG_young
  found.used = true
}

/** @param small pages of a huge page that are mapped one by one are looked at on account of their locks when it is split. */
function pteReferenced(k: Kernel, mm: Mm, vpn: number, pfn: Pfn, small: boolean, found: Referenced): void {
  const table = tableMapping(k, mm, vpn, pfn)
  if (table !== 0) entryReferenced(k, mm, vpn, pfn, table, pteIndex(vpn), small, found)
}

function hugeReferenced(k: Kernel, mm: Mm, vpn: number, head: Pfn, found: Referenced): void {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return
  const i = levelIndex(vpn, LEVEL_PMD)
  const huge = PTE_HUGE | PTE_PRESENT
  if ((entryFlags(k, pmd, i) & huge) === huge && entryValue(k, pmd, i) === head) entryReferenced(k, mm, vpn, head, pmd, i, true, found)
}

function entryReferenced(k: Kernel, mm: Mm, vpn: number, pfn: Pfn, table: number, i: number, heedLock: boolean, found: Referenced): void {
  const vma = vmaAt(mm, vpn)
  if (vma === undefined) return
  spend(k, COST.pte_visit, 1)
  if (heedLock && (vma.flags & VM_LOCKED) !== 0) {
    mlockFolio(k, pfn)
    found.locked = true
    return
  }
  const flags = entryFlags(k, table, i)
  const used = (flags & PTE_ACCESSED) !== 0 && (vma.flags & VM_SEQ_READ) === 0
  if (used && k.lruGen.enabled && (flags & PTE_HUGE) === 0 && (vma.flags & VM_RAND_READ) === 0) lookAround(k, vma, vpn, pfn, table)
  if ((flags & PTE_ACCESSED) !== 0) setEntry(k, table, i, entryValue(k, table, i), flags & ~PTE_ACCESSED)
  if (!used) return
  found.used = true
  if ((vma.flags & VM_EXEC) !== 0) found.exec = true
}

/**
 * Removes all mappings of a page of a file, or of an anonymous page that may be dropped (MADV_FREE); what its entries knew of
 * writes passes on to the page. Stops at a locked area, and at a droppable page that was written to. The caller sees by the mapcount
 * whether all are gone (try_to_unmap).
 */
export function tryToUnmap(k: Kernel, head: Pfn): void {
  const index = pageIndex(k, head)
  const pages = compoundPages(k, head)
  for (const { mm: id, delta } of rmapEntries(k, head)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined) continue
    for (let i = 0; i < pages; i++) if (!unmapOne(k, mm, index + delta + i, asPfn(head + i), head)) return
  }
}

/** Removes the mapping at one virtual page, if it maps the page; false to stop. */
function unmapOne(k: Kernel, mm: Mm, vpn: number, pfn: Pfn, head: Pfn): boolean {
  const vma = vmaAt(mm, vpn)
  if (vma === undefined) return true
  if (pfn !== head || compoundPages(k, head) > 1) splitHugeMapping(k, mm, vpn, head)
  const table = tableMapping(k, mm, vpn, pfn)
  if (table === 0) return true
  if ((vma.flags & VM_LOCKED) !== 0) {
    mlockFolio(k, head)
    return false
  }
  const i = pteIndex(vpn)
  spend(k, COST.rmap_unmap, 1)
  holdPtLock(k, mm, LOCK_PTE, COSTS.rmap_unmap)
  if ((entryFlags(k, table, i) & PTE_DIRTY) !== 0) k.page[head * PAGE_WORDS] |= PG_dirty
  const swapped = (k.page[head * PAGE_WORDS] & (PG_anon | PG_swapcache)) === (PG_anon | PG_swapcache)
  if (!swapped && !mayDrop(k, head)) {
    k.page[head * PAGE_WORDS] |= PG_swapbacked
    return false
  }
  updateHiwaterRss(mm)
  if (swapped) swapOutEntry(k, mm, table, i, pfn)
  else clearEntry(k, table, i)
  countRss(k, mm, head, -1)
  pageRemoveRmap(k, pfn, vma, false)
  return true
}

/** Puts the slot that the page has in swap where the page was. */
function swapOutEntry(k: Kernel, mm: Mm, table: number, i: number, pfn: Pfn): void {
  const flags = entryFlags(k, table, i)
  const entry = swapEntryOf(k, pfn)
  const exclusive = (k.page[pfn * PAGE_WORDS] & PG_anon_exclusive) !== 0 ? PTE_SWP_EXCLUSIVE : 0
  k.page[pfn * PAGE_WORDS] &= ~PG_anon_exclusive
  swapDuplicate(k, entry)
  setEntry(k, table, i, swpOffset(entry), swapPteFlags(entry) | exclusive | (flags & (PTE_SOFT_DIRTY | PTE_UFFD_WP)))
  mm.swapEnts++
}

/** A file's page may be unmapped; an anonymous one only while nobody has written to it since MADV_FREE, and nobody else holds it. */
function mayDrop(k: Kernel, head: Pfn): boolean {
  const flags = k.page[head * PAGE_WORDS]
  return (flags & PG_anon) === 0 || ((flags & PG_dirty) === 0 && pageCount(k, head) === 1 + totalMapcount(k, head))
}
