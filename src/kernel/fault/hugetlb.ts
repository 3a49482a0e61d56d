/**
 * Faults in areas of huge TLB pages.
 *
 *     no entry     the file has the page       it is mapped; a write to a private area copies it at once
 *                  behind the end of the file  SIGBUS
 *                  else                        a page of zeros: into the file for a shared area, the area's own otherwise
 *     write to a   shared area                 made writable
 *     read-only    own page, mapped just here  made writable
 *     entry        else                        copied
 *
 * There is no page to be had: SIGBUS. But who mapped the area was promised its pages for life. If its copy after fork fails because its
 * children still hold the old page, the page is taken from them, and theirs will be the SIGBUS when they touch it again.
 *
 * Two areas that map a whole aligned GiB of a file in the same way share the table for it (see spaces/hugetlb.ts).
 *
 * Source: mm/hugetlb.c (hugetlb_fault, hugetlb_no_page, hugetlb_wp, unmap_ref_private, huge_pte_alloc, huge_pmd_share).
 */
import { COST, spend, spendOnPages } from '../base/cost.ts'
import {
  PG_anon,
  PG_anon_exclusive,
  PG_hwpoison,
  PG_uptodate,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_HWPOISON,
  PTE_MARKER,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_UFFD_WP,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
  VM_LOCKED_MASK,
  VM_MAYSHARE,
  VM_SHARED,
  VM_UFFD_FLAGS,
  VM_UFFD_MINOR,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PUD_NR, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { areasOf, clearHugePage, hugeCacheAdd } from '../caches/hugetlb_cache.ts'
import { HPG_RESTORE_RESERVE, hugePages, putHugePage, testClearHugeFlag } from '../frames/hugetlb_pool.ts'
import {
  compoundMapcount,
  compoundMapcountAdd,
  markTailsTouched,
  pageContent,
  pageContentIndex,
  pageSetContent,
  pageSetOwner,
  tailsTouched,
} from '../frames/page.ts'
import {
  hstateOfArea,
  hugeIndex,
  hugeInode,
  hugeLevel,
  isSharedArea,
  isSharedTable,
  nextTable,
  privatePromises,
  shareTable,
  unmapHugeRange,
} from '../spaces/hugetlb.ts'
import { entryFlags, entryValue, LEVEL_PMD, LEVEL_PUD, levelIndex, setEntry, walkTo } from '../spaces/pagetable.ts'
import { prepareAnon } from '../spaces/vma.ts'
import { allocHugePage } from './hugetlb_alloc.ts'
import { makeTables } from './tables.ts'
import { handleUserfault } from './userfaultfd.ts'

const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY

/** A fault at k.vmf in an area of huge TLB pages that allows the access. @returns VM_FAULT_*. */
export function hugetlbFault(k: Kernel, vma: Vma): number {
  const h = hstateOfArea(k, vma)
  const offset = k.vmf.offset - (k.vmf.offset % hugePages(h))
  const vpn = vma.start + offset
  const table = hugeTable(k, vma, h, vpn)
  if (table === 0) return VM_FAULT_OOM
  const i = levelIndex(vpn, hugeLevel(h))
  const flags = entryFlags(k, table, i)
  spend(k, COST.fault_pte, 1)
  if (flags === 0 || (flags & PTE_MARKER) !== 0) return noPage(k, vma, h, table, i, offset)
  if ((flags & PTE_PRESENT) === 0) return (flags & PTE_HWPOISON) !== 0 ? VM_FAULT_HWPOISON : 0
  const { write } = k.vmf
  if (write && (flags & PTE_UFFD_WP) !== 0 && (vma.flags & VM_UFFD_WP) !== 0) return handleUserfault(k, vma, VM_UFFD_WP, vpn)
  if (write && (flags & PTE_RW) === 0)
    return copyOnWrite(k, vma, h, table, i, offset, hugeInode(vma).pages.get(hugeIndex(h, vma, offset)) ?? NO_PAGE)
  setEntry(k, table, i, entryValue(k, table, i), flags | PTE_ACCESSED | (write ? WRITTEN : 0))
  return 0
}

/** Entry flags of a page just mapped; a writable one is about to be written. */
const entryOf = (writable: boolean): number => PTE_PRESENT | PTE_HUGE | PTE_ACCESSED | (writable ? PTE_RW | WRITTEN : 0)

function noPage(k: Kernel, vma: Vma, h: Hstate, table: number, i: number, offset: number): number {
  if (vma.resv === 'lost') return VM_FAULT_SIGBUS
  const index = hugeIndex(h, vma, offset)
  const inode = vma.mapping?.inode
  const cached = hugeInode(vma).pages.get(index)
  if (cached === undefined && index >= Math.floor((inode?.sizeBytes ?? 0) / (hugePages(h) * PAGE_SIZE))) return VM_FAULT_SIGBUS
  if (cached === undefined && (vma.flags & VM_UFFD_MISSING) !== 0) return handleUserfault(k, vma, VM_UFFD_MISSING, vma.start + offset)
  if (cached !== undefined && (vma.flags & VM_UFFD_MINOR) !== 0) return handleUserfault(k, vma, VM_UFFD_MINOR, vma.start + offset)
  if (cached !== undefined && (k.page[cached * PAGE_WORDS] & PG_hwpoison) !== 0) return VM_FAULT_HWPOISON
  const protect = (entryFlags(k, table, i) & PTE_MARKER) !== 0
  const head = cached ?? freshPage(k, vma, h, offset, index)
  if (head === NO_PAGE) return VM_FAULT_SIGBUS
  compoundMapcountAdd(k, head, 1)
  const open = !protect && (vma.flags & (VM_WRITE | VM_SHARED)) === (VM_WRITE | VM_SHARED)
  setEntry(k, table, i, head, entryOf(open) | (protect ? PTE_UFFD_WP : 0))
  vma.mm.hugetlbPages += hugePages(h)
  return k.vmf.write && !protect && (vma.flags & VM_SHARED) === 0 ? copyOnWrite(k, vma, h, table, i, offset, head) : 0
}

/** A page of zeros, the file's or the area's own; NO_PAGE when there is none. */
function freshPage(k: Kernel, vma: Vma, h: Hstate, offset: number, index: number): Pfn {
  const head = allocHugePage(k, vma, offset, false)
  if (head === NO_PAGE) return NO_PAGE
  clearHugePage(k, h, head)
  k.page[head * PAGE_WORDS] |= PG_uptodate
  if (isSharedArea(vma) && vma.mapping !== undefined) hugeCacheAdd(k, vma.mapping, index, head)
  else ownHugePage(k, vma, head, offset)
  return head
}

/** Makes a fresh page the area's own (hugepage_add_new_anon_rmap, which counts in no statistics). */
export function ownHugePage(k: Kernel, vma: Vma, head: Pfn, offset: number): void {
  prepareAnon(k, vma)
  testClearHugeFlag(k, head, HPG_RESTORE_RESERVE)
  k.page[head * PAGE_WORDS] |= PG_anon | PG_anon_exclusive
  pageSetOwner(k, head, vma.anonVma, vma.pgoff + offset)
}

/**
 * A write to the page that a read-only entry maps (hugetlb_wp).
 * @param cached the file's page here, or the one just mapped: copying it may use the area's promise.
 */
function copyOnWrite(k: Kernel, vma: Vma, h: Hstate, table: number, i: number, offset: number, cached: Pfn): number {
  const old = asPfn(entryValue(k, table, i))
  if (isSharedArea(vma) || mayReuse(k, vma, old, offset)) return openEntry(k, table, i)
  const beyondPromise = privatePromises(vma) !== undefined && old !== cached
  const head = allocHugePage(k, vma, offset, beyondPromise)
  if (head === NO_PAGE) {
    if (!beyondPromise) return VM_FAULT_SIGBUS
    takeFromOthers(k, vma, h, old, offset)
    return copyOnWrite(k, vma, h, table, i, offset, cached)
  }
  copyHugePage(k, h, head, old)
  ownHugePage(k, vma, head, offset)
  compoundMapcountAdd(k, head, 1)
  setEntry(k, table, i, head, entryOf(true))
  spend(k, COST.tlb_flush, 1)
  compoundMapcountAdd(k, old, -1)
  putHugePage(k, old)
  return 0
}

function openEntry(k: Kernel, table: number, i: number): number {
  setEntry(k, table, i, entryValue(k, table, i), entryFlags(k, table, i) | PTE_RW | PTE_ACCESSED | WRITTEN)
  return 0
}

/** Whether the page is an anonymous one that nobody else maps; it is then the area's alone. */
function mayReuse(k: Kernel, vma: Vma, head: Pfn, offset: number): boolean {
  if ((k.page[head * PAGE_WORDS] & PG_anon) === 0 || compoundMapcount(k, head) !== 1) return false
  if ((k.page[head * PAGE_WORDS] & PG_anon_exclusive) !== 0) return true
  prepareAnon(k, vma)
  pageSetOwner(k, head, vma.anonVma, vma.pgoff + offset)
  k.page[head * PAGE_WORDS] |= PG_anon_exclusive
  return true
}

/** Copies a page's bytes to a fresh one. */
export function copyHugePage(k: Kernel, h: Hstate, to: Pfn, from: Pfn): void {
  spendOnPages(k, COST.copy_page, to, hugePages(h))
  k.page[to * PAGE_WORDS] |= PG_uptodate
  const several = tailsTouched(k, from) || tailsTouched(k, to)
  if (several) markTailsTouched(k, to)
  for (let i = 0; i < (several ? hugePages(h) : 1); i++)
    pageSetContent(k, asPfn(to + i), pageContent(k, asPfn(from + i)), pageContentIndex(k, asPfn(from + i)))
}

/** Unmaps a page from private areas that have no promises, for the one that does (unmap_ref_private). */
function takeFromOthers(k: Kernel, vma: Vma, h: Hstate, head: Pfn, offset: number): void {
  const { mapping, pgoff } = vma
  if (mapping === undefined) return
  for (const other of areasOf(k, mapping, pgoff + offset, pgoff + offset + 1)) {
    if (other === vma || isSharedArea(other) || privatePromises(other) !== undefined) continue
    const at = other.start + pgoff + offset - other.pgoff
    unmapHugeRange(k, other, at, at + hugePages(h), head)
  }
}

// --- tables

/** The table whose entry maps the page, made if need be; 0 when there is no memory for it (huge_pte_alloc). */
export function hugeTable(k: Kernel, vma: Vma, h: Hstate, vpn: number): number {
  const level = hugeLevel(h)
  const there = walkTo(k, vma.mm, vpn, level)
  if (there !== 0) return there
  if (level === LEVEL_PMD && wantsShare(vma, vpn)) {
    if (!makeTables(k, vma.mm, vpn, LEVEL_PUD)) return 0
    const table = sharable(k, vma, vpn)
    if (table !== 0) {
      shareTable(k, vma.mm, vpn, table)
      return table
    }
  }
  return makeTables(k, vma.mm, vpn, level) ? walkTo(k, vma.mm, vpn, level) : 0
}

/** Whether the area maps all of the GiB around the page, shared, with no userfaultfd to see each process' faults (want_pmd_share). */
function wantsShare(vma: Vma, vpn: number): boolean {
  const floor = vpn - (vpn % HPAGE_PUD_NR)
  return (vma.flags & VM_MAYSHARE) !== 0 && (vma.flags & VM_UFFD_FLAGS) === 0 && floor >= vma.start && floor + HPAGE_PUD_NR <= vma.end
}

/** A table of another area that maps the same GiB of the file at the same place in its GiB and with the same rights, or 0. */
function sharable(k: Kernel, vma: Vma, vpn: number): number {
  const { mapping } = vma
  if (mapping === undefined) return 0
  const index = vma.pgoff + vpn - vma.start
  for (const other of areasOf(k, mapping, index, index + 1)) {
    const at = other.start + index - other.pgoff
    const floor = at - (at % HPAGE_PUD_NR)
    if (other === vma || at - floor !== vpn % HPAGE_PUD_NR || ((other.flags ^ vma.flags) & ~VM_LOCKED_MASK) !== 0) continue
    if (floor < other.start || floor + HPAGE_PUD_NR > other.end) continue
    const table = walkTo(k, other.mm, at, LEVEL_PMD)
    if (table !== 0) return table
  }
  return 0
}

// --- fork

/** Whether fork's copy and its parent must not write to the same pages. */
const isCow = (vma: Vma) => (vma.flags & VM_SHARED) === 0

/** Copies the entries of an area to its forked copy. @returns false when there is no memory for tables (copy_hugetlb_page_range). */
export function copyHugeRange(k: Kernel, from: Vma, to: Vma): boolean {
  const h = hstateOfArea(k, from)
  const level = hugeLevel(h)
  for (let at = from.start; at < from.end; ) {
    const source = walkTo(k, from.mm, at, level)
    if (source === 0) {
      at = nextTable(at, level)
      continue
    }
    const target = hugeTable(k, to, h, at)
    if (target === 0) return false
    if (isSharedTable(k, target)) {
      at = nextTable(at, level)
      continue
    }
    copyHugeEntry(k, from, to, h, source, target, levelIndex(at, level))
    at += hugePages(h)
  }
  return true
}

function copyHugeEntry(k: Kernel, from: Vma, to: Vma, h: Hstate, source: number, target: number, i: number): void {
  const flags = entryFlags(k, source, i)
  if ((flags & PTE_HWPOISON) !== 0) setEntry(k, target, i, entryValue(k, source, i), flags)
  if ((flags & PTE_PRESENT) === 0) return
  const head = asPfn(entryValue(k, source, i))
  k.page[head * PAGE_WORDS] &= ~PG_anon_exclusive
  compoundMapcountAdd(k, head, 1)
  const copied = isCow(from) ? flags & ~PTE_RW : flags
  setEntry(k, source, i, head, copied)
  setEntry(k, target, i, head, copied)
  to.mm.hugetlbPages += hugePages(h)
  spend(k, COST.pte_change, 2)
}
