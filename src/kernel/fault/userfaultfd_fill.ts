/**
 * Filling missing pages of registered areas on behalf of who handles their faults: UFFDIO_COPY, ZEROPAGE and CONTINUE.
 *
 *     area                    COPY                          ZEROPAGE                 CONTINUE
 *     private                 a page with the bytes          the shared page of zeros    EINVAL (of a memory file: its page, read-only)
 *     shared memory file      the same, put into the file    a zeroed page in the file   the file's page is mapped
 *     huge TLB pages          a huge page                    EINVAL                      the file's huge page is mapped
 *
 * The whole range must lie in one registered area, else ENOENT. It is filled page by page until something is in the way: a page
 * that is there already is EEXIST, one that the file does not have EFAULT for CONTINUE, no memory ENOMEM; what was done
 * before that stays. Unlike a fault this neither maps huge pages nor reads around, and counts as no fault.
 *
 * Source: mm/userfaultfd.c (__mcopy_atomic, mfill_atomic_install_pte, mcontinue_atomic_pte, __mcopy_atomic_hugetlb),
 * mm/shmem.c shmem_mfill_atomic_pte, mm/hugetlb.c hugetlb_mcopy_atomic_pte.
 */
import { memcgCharge } from '../alloc/charge.ts'
import { allocPagesVma } from '../alloc/page_alloc.ts'
import { COST, spend, spendOnPages } from '../base/cost.ts'
import { EEXIST, EFAULT, EINVAL, EIO, ENOENT, ENOMEM } from '../base/errno.ts'
import {
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  PG_hwpoison,
  PG_uptodate,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_MARKER,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_HUGETLB,
  VM_SHARED,
  VM_UFFD_WP,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { asPfn, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { filePages, isShmem } from '../caches/filemap.ts'
import { hugeCacheAdd } from '../caches/hugetlb_cache.ts'
import { shmemAddPage, shmemAllocPage, shmemFreePage } from '../caches/shmem_page.ts'
import { xaPage } from '../caches/xarray.ts'
import { hugePages, putHugePage } from '../frames/hugetlb_pool.ts'
import { compoundHead, compoundMapcountAdd, markTailsTouched, pageContent, pageContentIndex, pageSetContent } from '../frames/page.ts'
import { freeCharged } from '../frames/rmqueue.ts'
import { countRss } from '../spaces/huge_pmd.ts'
import { hstateOfArea, hugeIndex, hugeInode, hugeLevel, isSharedArea } from '../spaces/hugetlb.ts'
import { entryFlags, LEVEL_PMD, LEVEL_PTE, levelIndex, pteIndex, pteTable, setEntry, walkTo } from '../spaces/pagetable.ts'
import { lruAddVma, pageAddFileRmap, pageAddNewAnonRmap } from '../spaces/rmap.ts'
import { findVma, linearPageIndex, prepareAnon } from '../spaces/vma.ts'
import { hugeTable, ownHugePage } from './hugetlb.ts'
import { allocHugePage } from './hugetlb_alloc.ts'
import { makeTables } from './tables.ts'
import { accessPage } from './touch.ts'

const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY

export type FillMode = 'copy' | 'zeropage' | 'continue'

/** What to fill a range with. `sourceMm` and `source`, a virtual page, say where the bytes to copy are. */
export interface Fill {
  readonly mode: FillMode
  readonly wp: boolean
  readonly sourceMm: Mm | undefined
  readonly source: number
}

/** The registered area that holds all of [start, end) (find_dst_vma). */
export function registeredArea(mm: Mm, start: number, end: number): Vma | undefined {
  const vma = findVma(mm, start)
  return vma !== undefined && vma.start <= start && end <= vma.end && vma.uffd !== 0 ? vma : undefined
}

/** Fills virtual pages [start, end). @returns pages filled if any were, else a negative errno (__mcopy_atomic). */
export function fillRange(k: Kernel, mm: Mm, start: number, end: number, fill: Fill): number {
  const vma = registeredArea(mm, start, end)
  if (vma === undefined) return -ENOENT
  if (fill.wp && (vma.flags & VM_UFFD_WP) === 0) return -EINVAL
  if ((vma.flags & VM_HUGETLB) !== 0) return fillHuge(k, vma, start, end, fill)
  if (vma.mapping !== undefined && !isShmem(vma.mapping.inode.sb)) return -EINVAL
  if (vma.mapping === undefined && fill.mode === 'continue') return -EINVAL
  if ((vma.flags & VM_SHARED) === 0) prepareAnon(k, vma)
  for (let vpn = start; vpn < end; vpn++) {
    const ret = fillPage(k, vma, vpn, fill, vpn - start)
    if (ret < 0) return vpn > start ? vpn - start : ret
  }
  return end - start
}

function fillPage(k: Kernel, vma: Vma, vpn: number, fill: Fill, nth: number): number {
  const table = entryTable(k, vma.mm, vpn)
  if (table < 0) return table
  if (fill.mode === 'continue' && vma.mapping !== undefined) return continuePage(k, vma, vma.mapping, table, vpn, fill.wp)
  if ((vma.flags & VM_SHARED) !== 0 && vma.mapping !== undefined) return fillShared(k, vma, vma.mapping, table, vpn, fill, nth)
  return fill.mode === 'copy' ? copyPrivate(k, vma, table, vpn, fill, nth) : zeroPrivate(k, vma, table, vpn)
}

/** The table of single entries that covers the page, made if need be; -EEXIST where a huge page is, -ENOMEM. */
function entryTable(k: Kernel, mm: Mm, vpn: number): number {
  if (!makeTables(k, mm, vpn, LEVEL_PMD)) return -ENOMEM
  const flags = entryFlags(k, walkTo(k, mm, vpn, LEVEL_PMD), levelIndex(vpn, LEVEL_PMD))
  if (flags !== 0 && (flags & PTE_TABLE) === 0) return -EEXIST
  return makeTables(k, mm, vpn, LEVEL_PTE) ? pteTable(k, mm, vpn) : -ENOMEM
}

/** Nothing is mapped there; a remembered write protection does not count. */
const isNone = (flags: number): boolean => flags === 0 || (flags & PTE_MARKER) !== 0

const beyondEnd = ({ mapping, pgoff, start }: Vma, vpn: number): boolean =>
  mapping !== undefined && pgoff + vpn - start >= filePages(mapping.inode)

/** Entry flags of a page just filled: dirty, and writable if the area is. */
const filledFlags = (writable: boolean, wp: boolean): number =>
  PTE_PRESENT | PTE_ACCESSED | WRITTEN | (wp ? PTE_UFFD_WP : writable ? PTE_RW : 0)

// --- private areas

function copyPrivate(k: Kernel, vma: Vma, table: number, vpn: number, fill: Fill, nth: number): number {
  const pfn = allocPagesVma(k, GFP_HIGHUSER_MOVABLE, 0, vma, vpn - vma.start)
  if (pfn === NO_PAGE) return -ENOMEM
  const copied = copyIn(k, pfn, fill, nth)
  const i = pteIndex(vpn)
  const charged = copied < 0 ? copied : memcgCharge(k, pfn, vma.mm, GFP_KERNEL) ? 0 : -ENOMEM
  const wrong = charged < 0 ? charged : beyondEnd(vma, vpn) ? -EFAULT : isNone(entryFlags(k, table, i)) ? 0 : -EEXIST
  if (wrong < 0) {
    freeCharged(k, pfn, 0)
    return wrong
  }
  k.page[pfn * PAGE_WORDS] |= PG_uptodate
  pageAddNewAnonRmap(k, pfn, vma, vpn - vma.start, false)
  lruAddVma(k, pfn, vma)
  vma.mm.rssAnon++
  setEntry(k, table, i, pfn, filledFlags((vma.flags & VM_WRITE) !== 0, fill.wp))
  spend(k, COST.fault_pte, 1)
  return 0
}

function zeroPrivate(k: Kernel, vma: Vma, table: number, vpn: number): number {
  const i = pteIndex(vpn)
  spend(k, COST.fault_pte, 1)
  if (beyondEnd(vma, vpn)) return -EFAULT
  if (entryFlags(k, table, i) !== 0) return -EEXIST
  setEntry(k, table, i, k.zeroPage, PTE_PRESENT | PTE_ACCESSED | PTE_SPECIAL)
  return 0
}

/** Copies the nth page of the source into a page; -EFAULT where the source cannot be read. */
function copyIn(k: Kernel, to: Pfn, { sourceMm, source }: Fill, nth: number): number {
  if (sourceMm === undefined) return -EFAULT
  const access = { pfn: NO_PAGE, fault: 0 }
  k.vmf.vpn[0] = source + nth
  accessPage(k, sourceMm, false, access)
  if (access.fault !== 0) return -EFAULT
  spendOnPages(k, COST.copy_page, to, 1)
  pageSetContent(k, to, pageContent(k, access.pfn), pageContentIndex(k, access.pfn))
  return 0
}

// --- shared memory files

function fillShared(k: Kernel, vma: Vma, mapping: Mapping, table: number, vpn: number, fill: Fill, nth: number): number {
  const { inode } = mapping
  const index = linearPageIndex(vma, vpn)
  const pfn = shmemAllocPage(k, inode, index)
  if (pfn < 0) return -ENOMEM
  const page = asPfn(pfn)
  if (fill.mode === 'zeropage') spendOnPages(k, COST.clear_page, page, 1)
  const copied = fill.mode === 'zeropage' ? 0 : copyIn(k, page, fill, nth)
  const there = xaPage(mapping.pages, index) !== NO_PAGE || !isNone(entryFlags(k, table, pteIndex(vpn)))
  const wrong = copied < 0 ? copied : beyondEnd(vma, vpn) ? -EFAULT : there ? -EEXIST : 0
  if (wrong < 0) {
    shmemFreePage(k, inode, page)
    return wrong
  }
  k.page[page * PAGE_WORDS] |= PG_uptodate
  if (shmemAddPage(k, inode, page, index) < 0) return -ENOMEM
  mapFilePage(k, vma, table, vpn, page, (vma.flags & VM_WRITE) !== 0, fill.wp)
  return 0
}

/** Maps the page that the file has (mcontinue_atomic_pte). */
function continuePage(k: Kernel, vma: Vma, mapping: Mapping, table: number, vpn: number, wp: boolean): number {
  if (beyondEnd(vma, vpn)) return -EFAULT
  const page = xaPage(mapping.pages, linearPageIndex(vma, vpn))
  if (page === NO_PAGE || (k.page[compoundHead(k, page) * PAGE_WORDS] & PG_uptodate) === 0) return -EFAULT
  if ((k.page[page * PAGE_WORDS] & PG_hwpoison) !== 0) return -EIO
  if (!isNone(entryFlags(k, table, pteIndex(vpn)))) return -EEXIST
  mapFilePage(k, vma, table, vpn, page, (vma.flags & (VM_WRITE | VM_SHARED)) === (VM_WRITE | VM_SHARED), wp)
  return 0
}

function mapFilePage(k: Kernel, vma: Vma, table: number, vpn: number, page: Pfn, writable: boolean, wp: boolean): void {
  pageAddFileRmap(k, page, vma, false)
  countRss(k, vma.mm, compoundHead(k, page), 1)
  setEntry(k, table, pteIndex(vpn), page, filledFlags(writable, wp))
  spend(k, COST.fault_pte, 1)
}

// --- huge TLB pages

function fillHuge(k: Kernel, vma: Vma, start: number, end: number, fill: Fill): number {
  const h = hstateOfArea(k, vma)
  const unit = hugePages(h)
  if (fill.mode === 'zeropage' || start % unit !== 0 || end % unit !== 0) return -EINVAL
  if ((vma.flags & VM_SHARED) === 0) prepareAnon(k, vma)
  for (let vpn = start; vpn < end; vpn += unit) {
    const ret = fillHugePage(k, vma, h, vpn, fill, vpn - start)
    if (ret < 0) return vpn > start ? vpn - start : ret
  }
  return end - start
}

function fillHugePage(k: Kernel, vma: Vma, h: Hstate, vpn: number, fill: Fill, nth: number): number {
  const table = hugeTable(k, vma, h, vpn)
  if (table === 0) return -ENOMEM
  const i = levelIndex(vpn, hugeLevel(h))
  const there = !isNone(entryFlags(k, table, i))
  if (there && fill.mode !== 'continue') return -EEXIST
  const cached = hugeInode(vma).pages.get(hugeIndex(h, vma, vpn - vma.start))
  if (fill.mode === 'continue') {
    if (cached === undefined) return -EFAULT
    return there ? -EEXIST : mapHuge(k, vma, h, table, i, cached, isSharedArea(vma) && !fill.wp, fill.wp)
  }
  if (isSharedArea(vma) && cached !== undefined) return -EEXIST
  const head = filledHugePage(k, vma, h, vpn - vma.start, fill, nth)
  if (head < 0) return head
  return mapHuge(k, vma, h, table, i, asPfn(head), !fill.wp, fill.wp)
}

/** A huge page with the bytes of the source, the file's or the area's own. */
function filledHugePage(k: Kernel, vma: Vma, h: Hstate, offset: number, fill: Fill, nth: number): number {
  const pages = hugePages(h)
  const head = allocHugePage(k, vma, offset, false)
  if (head === NO_PAGE) return -ENOMEM
  const index = hugeIndex(h, vma, offset)
  const inode = vma.mapping?.inode
  const beyond = isSharedArea(vma) && index >= Math.floor((inode?.sizeBytes ?? 0) / (pages * PAGE_SIZE))
  const copied = copyInHuge(k, head, pages, fill, nth)
  if (copied < 0 || beyond) {
    putHugePage(k, head)
    return copied < 0 ? copied : -EFAULT
  }
  k.page[head * PAGE_WORDS] |= PG_uptodate
  if (isSharedArea(vma) && vma.mapping !== undefined) hugeCacheAdd(k, vma.mapping, index, head)
  else ownHugePage(k, vma, head, offset)
  return head
}

function copyInHuge(k: Kernel, head: Pfn, pages: number, { sourceMm, source }: Fill, nth: number): number {
  if (sourceMm === undefined) return -EFAULT
  const access = { pfn: NO_PAGE, fault: 0 }
  let same = true
  for (let i = 0; i < pages; i++) {
    k.vmf.vpn[0] = source + nth + i
    accessPage(k, sourceMm, false, access)
    if (access.fault !== 0) return -EFAULT
    const content = pageContent(k, access.pfn)
    if (same && content !== pageContent(k, head)) {
      markTailsTouched(k, head)
      same = false
    }
    if (!same) pageSetContent(k, asPfn(head + i), content, pageContentIndex(k, access.pfn))
  }
  spendOnPages(k, COST.copy_page, head, pages)
  return 0
}

function mapHuge(k: Kernel, vma: Vma, h: Hstate, table: number, i: number, head: Pfn, mayWrite: boolean, wp: boolean): number {
  compoundMapcountAdd(k, head, 1)
  setEntry(k, table, i, head, PTE_HUGE | filledFlags(mayWrite && (vma.flags & VM_WRITE) !== 0, wp))
  vma.mm.hugetlbPages += hugePages(h)
  return 0
}
