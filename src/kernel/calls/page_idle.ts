/**
 * Idle page tracking: has a page been used since somebody marked it?
 *
 *     mark    the page's idle flag is set, and the accessed marks of its entries are taken away
 *     use     a program uses it: an entry is marked accessed         a system call uses it: the flag goes at once
 *     ask     entries are looked at: one that is marked accessed takes the flag away
 *
 * Reclaim lives on the same accessed marks. So that tracking does not hide uses from it, taking a mark away leaves the young flag on the
 * page, which reclaim counts as one use more.
 *
 * Only pages on an LRU list take part, of a huge page its head; of other pages nothing is ever told, and marking them does nothing. A page
 * that is locked is passed over if it is a file's or a merged one.
 *
 * The recorded kernel is built without this (CONFIG_IDLE_PAGE_TRACKING); it is built here as documented and as its source has it.
 *
 * Source: mm/page_idle.c, Documentation/admin-guide/mm/idle_page_tracking.rst.
 */
import { COST, COSTS, spend } from '../base/cost.ts'
import { PG_anon, PG_idle, PG_ksm, PG_locked, PG_lru, PG_young, PTE_ACCESSED, PTE_HUGE, PTE_PRESENT } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { compoundHead, compoundPages, pageIndex, pageMapped, pfnValid } from '../frames/page.ts'
import { entryFlags, entryValue, LEVEL_PMD, levelIndex, pteIndex, setEntry, walkTo } from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PMD, LOCK_PTE } from '../spaces/pt_lock.ts'
import { rmapEntries, tableMapping } from '../spaces/rmap.ts'

/** Whether the page takes part (page_idle_get_page). */
const isTracked = (k: Kernel, pfn: number): boolean =>
  pfnValid(k, pfn) && (k.page[pfn * PAGE_WORDS] & PG_lru) !== 0 && compoundHead(k, asPfn(pfn)) === pfn

/** Whether the page has not been used since it was marked; false for pages that are not tracked. */
export function pageIsIdle(k: Kernel, pfn: number): boolean {
  if (!isTracked(k, pfn) || (k.page[pfn * PAGE_WORDS] & PG_idle) === 0) return false
  clearReferences(k, asPfn(pfn))
  return (k.page[pfn * PAGE_WORDS] & PG_idle) !== 0
}

/** Marks the page, if it is tracked. */
export function pageMarkIdle(k: Kernel, pfn: number): void {
  if (!isTracked(k, pfn)) return
  clearReferences(k, asPfn(pfn))
  k.page[pfn * PAGE_WORDS] |= PG_idle
}

/** Takes the accessed marks off the entries that map the page; a use that they tell of stays with the page (page_idle_clear_pte_refs). */
function clearReferences(k: Kernel, head: Pfn): void {
  const flags = k.page[head * PAGE_WORDS]
  if (!pageMapped(k, head)) return
  if (((flags & PG_anon) === 0 || (flags & PG_ksm) !== 0) && (flags & PG_locked) !== 0) return
  const index = pageIndex(k, head)
  const pages = compoundPages(k, head)
  let used = false
  for (const { mm: id, delta } of rmapEntries(k, head)) {
    const mm = k.spaces.mms.get(id)
    if (mm === undefined) continue
    if (pages > 1 && clearHuge(k, mm, index + delta, head)) used = true
    for (let i = 0; i < pages; i++) if (clearSingle(k, mm, index + delta + i, asPfn(head + i))) used = true
  }
  if (used) k.page[head * PAGE_WORDS] = (k.page[head * PAGE_WORDS] & ~PG_idle) | PG_young
}

function clearSingle(k: Kernel, mm: Mm, vpn: number, pfn: Pfn): boolean {
  const table = tableMapping(k, mm, vpn, pfn)
  return table !== 0 && clearAccessed(k, mm, LOCK_PTE, table, pteIndex(vpn))
}

function clearHuge(k: Kernel, mm: Mm, vpn: number, head: Pfn): boolean {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return false
  const i = levelIndex(vpn, LEVEL_PMD)
  const huge = PTE_HUGE | PTE_PRESENT
  return (entryFlags(k, pmd, i) & huge) === huge && entryValue(k, pmd, i) === head && clearAccessed(k, mm, LOCK_PMD, pmd, i)
}

function clearAccessed(k: Kernel, mm: Mm, level: number, table: number, i: number): boolean {
  const flags = entryFlags(k, table, i)
  spend(k, COST.pte_visit, 1)
  holdPtLock(k, mm, level, COSTS.pte_visit)
  if ((flags & PTE_ACCESSED) === 0) return false
  setEntry(k, table, i, entryValue(k, table, i), flags & ~PTE_ACCESSED)
  return true
}
