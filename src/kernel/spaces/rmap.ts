/**
 * From a page to its mappings, and the counters that go with a page being mapped.
 *
 * nr_anon_pages and nr_mapped count pages that at least one entry maps. A huge page is mapped by huge entries, which
 * count for all its pages, by entries of single pages after a split of the mapping, or by both:
 *
 *     compound mapcount   huge entries             nr_anon_transparent_hugepages / nr_shmem_pmdmapped while > 0
 *     page's mapcount     entries of that page
 *
 * An anonymous page that one process alone maps is "exclusive" (PG_anon_exclusive): a write may reuse it. Fork takes the mark
 * off. An anonymous huge page of which some page is no longer mapped goes to the deferred split queue.
 *
 * Finding all mappings: the page's owner (anon_vma or file) lists address spaces with the distance between index and
 * address there; an entry that points to the page is a mapping.
 *
 * Source: mm/rmap.c of 6.1.
 */

import { NS } from '../base/counters.ts'
import {
  PG_anon,
  PG_anon_exclusive,
  PG_head,
  PG_hugetlb,
  PG_ksm,
  PG_swapbacked,
  PTE_HUGE,
  PTE_PRESENT,
  VM_LOCKED,
  VM_SPECIAL,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import type { RmapEntry } from '../base/state_shared.ts'
import { HPAGE_PMD_NR, type Pfn } from '../base/units.ts'
import { lruAdd } from '../caches/lru.ts'
import { mlockFolio, mlockNewPage, munlockPage } from '../caches/mlock_lru.ts'
import { deferredSplitHugePage } from '../frames/deferred.ts'
import { modLruvecState } from '../frames/memcg.ts'
import {
  compoundHead,
  compoundMapcount,
  compoundMapcountAdd,
  markTailsTouched,
  pageOwner,
  pageSetOwner,
  tailPtes,
  tailPtesAdd,
  W_MAPCOUNT,
} from '../frames/page.ts'
import { ksmRmapEntries } from './ksm_records.ts'
import { entryFlags, entryValue, LEVEL_PMD, levelIndex, pteIndex, pteTable, walkTo } from './pagetable.ts'

const { nr_anon_pages: NR_ANON_MAPPED, nr_mapped: NR_FILE_MAPPED, nr_anon_transparent_hugepages: NR_ANON_THPS } = NS
const { nr_shmem_pmdmapped: NR_SHMEM_PMDMAPPED, nr_file_pmdmapped: NR_FILE_PMDMAPPED } = NS

/** The page whose record names the memory cgroup; the same node's in any case, so it need not be looked for while there is no group. */
const chargedHead = (k: Kernel, pfn: Pfn): Pfn => (k.memcg.groups.length === 1 ? pfn : compoundHead(k, pfn))

/** The first mapping of a fresh anonymous page, `offset` pages into the area and exclusive to it (page_add_new_anon_rmap). */
export function pageAddNewAnonRmap(k: Kernel, pfn: Pfn, vma: Vma, offset: number, compound: boolean): void {
  const at = pfn * PAGE_WORDS
  k.page[at] |= PG_anon | PG_swapbacked | PG_anon_exclusive
  pageSetOwner(k, pfn, vma.anonVma, vma.pgoff + offset)
  if (compound) {
    compoundMapcountAdd(k, pfn, 1)
    modLruvecState(k, pfn, NR_ANON_THPS, HPAGE_PMD_NR)
    modLruvecState(k, pfn, NR_ANON_MAPPED, HPAGE_PMD_NR)
  } else {
    k.page[at + W_MAPCOUNT] = 1
    modLruvecState(k, pfn, NR_ANON_MAPPED, 1)
  }
}

/** Sends a new page of the area on its way to an LRU list, the unevictable one for a locked area. */
export function lruAddVma(k: Kernel, pfn: Pfn, vma: Vma): void {
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) === VM_LOCKED) mlockNewPage(k, pfn)
  else lruAdd(k, pfn)
}

/** The head of the compound page of 512 that `pfn` is part of, for counting; `pfn` itself for single pages. */
function thpHead(k: Kernel, pfn: Pfn): Pfn | undefined {
  const head = compoundHead(k, pfn)
  return (k.page[head * PAGE_WORDS] & (PG_head | PG_hugetlb)) === PG_head ? head : undefined
}

/** Adds one entry that maps just this page; returns whether nothing mapped it before. */
function mapOne(k: Kernel, pfn: Pfn): boolean {
  const at = pfn * PAGE_WORDS + W_MAPCOUNT
  const first = k.page[at] === 0
  k.page[at]++
  const head = thpHead(k, pfn)
  if (head === undefined) return first
  tailPtesAdd(k, head, 1)
  markTailsTouched(k, head)
  return first && compoundMapcount(k, head) === 0
}

function unmapOne(k: Kernel, pfn: Pfn): boolean {
  const at = pfn * PAGE_WORDS + W_MAPCOUNT
  k.page[at]--
  const last = k.page[at] === 0
  const head = thpHead(k, pfn)
  if (head === undefined) return last
  tailPtesAdd(k, head, -1)
  return last && compoundMapcount(k, head) === 0
}

/** Pages of the huge page that no entry of their own maps. */
function pagesWithoutPte(k: Kernel, head: Pfn): number {
  if (tailPtes(k, head) === 0) return HPAGE_PMD_NR
  let n = 0
  for (let i = 0; i < HPAGE_PMD_NR; i++) if (k.page[(head + i) * PAGE_WORDS + W_MAPCOUNT] === 0) n++
  return n
}

/**
 * One more mapping of an anonymous page that exists already: swap-in, migration, a split (page_add_anon_rmap).
 * @param exclusive only this process maps it.
 */
export function pageAddAnonRmap(k: Kernel, pfn: Pfn, vma: Vma, offset: number, compound: boolean, exclusive: boolean): void {
  if ((k.page[pfn * PAGE_WORDS] & PG_anon) === 0 && compoundHead(k, pfn) === pfn) {
    const root = k.spaces.anonVmas.get(vma.anonVma)?.root ?? vma.anonVma
    k.page[pfn * PAGE_WORDS] |= PG_anon
    pageSetOwner(k, pfn, exclusive || !k.spaces.anonVmas.has(root) ? vma.anonVma : root, vma.pgoff + offset)
  }
  if (exclusive) k.page[pfn * PAGE_WORDS] |= PG_anon_exclusive
  if (compound) {
    if (compoundMapcount(k, pfn) === 0) {
      modLruvecState(k, pfn, NR_ANON_THPS, HPAGE_PMD_NR)
      modLruvecState(k, pfn, NR_ANON_MAPPED, pagesWithoutPte(k, pfn))
    }
    compoundMapcountAdd(k, pfn, 1)
  } else if (mapOne(k, pfn)) modLruvecState(k, chargedHead(k, pfn), NR_ANON_MAPPED, 1)
  lockMapped(k, pfn, vma, compound)
}

/** A locked area locks the pages it maps, single pages of a split huge mapping excepted. */
function lockMapped(k: Kernel, pfn: Pfn, vma: Vma, compound: boolean): void {
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) === VM_LOCKED && (compound || thpHead(k, pfn) === undefined))
    mlockFolio(k, compoundHead(k, pfn))
}

/** Fork maps the page once more; from now on it belongs to both (page_try_dup_anon_rmap). */
export function pageDupAnonRmap(k: Kernel, pfn: Pfn, compound: boolean): void {
  k.page[pfn * PAGE_WORDS] &= ~PG_anon_exclusive
  if (compound) compoundMapcountAdd(k, pfn, 1)
  else mapOne(k, pfn)
}

/** One more mapping of a file or shmem page (page_add_file_rmap). */
export function pageAddFileRmap(k: Kernel, pfn: Pfn, vma: Vma, compound: boolean): void {
  if (compound) {
    if (compoundMapcount(k, pfn) === 0) {
      modLruvecState(k, pfn, pmdmappedStat(k, pfn), HPAGE_PMD_NR)
      modLruvecState(k, pfn, NR_FILE_MAPPED, pagesWithoutPte(k, pfn))
    }
    compoundMapcountAdd(k, pfn, 1)
  } else if (mapOne(k, pfn)) modLruvecState(k, chargedHead(k, pfn), NR_FILE_MAPPED, 1)
  lockMapped(k, pfn, vma, compound)
}

const pmdmappedStat = (k: Kernel, head: Pfn) => ((k.page[head * PAGE_WORDS] & PG_swapbacked) !== 0 ? NR_SHMEM_PMDMAPPED : NR_FILE_PMDMAPPED)

/** Fork's further mapping of a file page: counted, no lock (page_dup_file_rmap). */
export function pageDupFileRmap(k: Kernel, pfn: Pfn, compound: boolean): void {
  if (compound) compoundMapcountAdd(k, pfn, 1)
  else mapOne(k, pfn)
}

/** Takes one mapping off the page (page_remove_rmap). The caller drops its reference by putPage afterwards. */
export function pageRemoveRmap(k: Kernel, pfn: Pfn, vma: Vma, compound: boolean): void {
  const head = compoundHead(k, pfn)
  const anon = (k.page[head * PAGE_WORDS] & PG_anon) !== 0
  if (compound) removeCompound(k, head, anon)
  else if (unmapOne(k, pfn)) {
    modLruvecState(k, head, anon ? NR_ANON_MAPPED : NR_FILE_MAPPED, -1)
    if (anon && thpHead(k, pfn) !== undefined) deferredSplitHugePage(k, head)
  }
  if ((vma.flags & VM_LOCKED) !== 0 && (compound || thpHead(k, pfn) === undefined)) munlockPage(k, head)
}

function removeCompound(k: Kernel, head: Pfn, anon: boolean): void {
  compoundMapcountAdd(k, head, -1)
  if (compoundMapcount(k, head) > 0) return
  const unmapped = pagesWithoutPte(k, head)
  modLruvecState(k, head, anon ? NR_ANON_THPS : pmdmappedStat(k, head), -HPAGE_PMD_NR)
  modLruvecState(k, head, anon ? NR_ANON_MAPPED : NR_FILE_MAPPED, -unmapped)
  if (anon && unmapped > 0 && unmapped < HPAGE_PMD_NR) deferredSplitHugePage(k, head)
}

/** A page found to be one process' own is made its area's: later forks of others need not be searched for it. */
export function pageMoveAnonRmap(k: Kernel, head: Pfn, vma: Vma, offset: number): void {
  pageSetOwner(k, head, vma.anonVma, vma.pgoff + offset)
}

/** The places to look for mappings of the page: see RmapEntry. Do not keep the array. */
export function rmapEntries(k: Kernel, head: Pfn): readonly RmapEntry[] {
  const owner = pageOwner(k, head)
  if ((k.page[head * PAGE_WORDS] & PG_ksm) !== 0) return ksmRmapEntries(k, head)
  if ((k.page[head * PAGE_WORDS] & PG_anon) !== 0) return k.spaces.anonVmas.get(owner)?.rmap ?? []
  return k.fs.mappings.get(owner)?.rmap ?? []
}

/** Whether a huge entry of the mm maps the huge page at this virtual page. */
export function hugeMappedAt(k: Kernel, mm: Mm, vpn: number, head: Pfn): boolean {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd === 0) return false
  const i = levelIndex(vpn, LEVEL_PMD)
  const wanted = PTE_PRESENT | PTE_HUGE
  return (entryFlags(k, pmd, i) & wanted) === wanted && entryValue(k, pmd, i) === head
}

/** The table whose entry for the virtual page maps the page, or 0. */
export function tableMapping(k: Kernel, mm: Mm, vpn: number, pfn: Pfn): number {
  const table = pteTable(k, mm, vpn)
  if (table === 0) return 0
  const i = pteIndex(vpn)
  return (entryFlags(k, table, i) & PTE_PRESENT) !== 0 && entryValue(k, table, i) === pfn ? table : 0
}
