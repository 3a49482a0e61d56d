/**
 * Memory that breaks: MADV_HWPOISON says that a page has, MADV_SOFT_OFFLINE that it is about to.
 *
 *     page of                          broken (memory_failure)                       going to break (soft_offline_page)
 *     private memory                   unmapped; whoever touches it gets SIGBUS      moved to another page
 *     a file on disk, clean            dropped; the next touch reads it again        moved
 *     a file on disk, dirty            dropped; whoever mapped it gets SIGBUS        moved
 *     a memory file                    unmapped, stays in the file; SIGBUS           moved
 *     2 MiB                            split first, then its one page                split first
 *     huge TLB, private                unmapped, dissolved, one page of it kept      moved; the old one dissolved
 *     huge TLB, of a file              unmapped, stays in the file; SIGBUS           the same
 *     the page of zeros                EBUSY, and marked all the same                EIO, unless it is marked
 *     secret memory                    EFAULT: the kernel itself does not see it     the same
 *
 * A broken page is never used again: nobody can free it, it counts in HardwareCorrupted. A mapping that had it keeps an entry that
 * says so until the range is unmapped. SIGBUS comes with the touch; with memory_failure_early_kill those that map a
 * page whose only copy is lost are killed at once. The log tells of each page and what became of it. Without memory_failure_recovery the machine panics; soft_offline_page never does.
 *
 * Source: mm/memory-failure.c (memory_failure, hwpoison_user_mappings, me_pagecache_clean, me_huge_page, try_memory_failure_hugetlb,
 * soft_offline_page, page_handle_poison), mm/madvise.c madvise_inject_error, mm/page_alloc.c take_page_off_buddy.
 */
import { migrationTarget } from '../alloc/migration_target.ts'
import { EBUSY, EFAULT, EHWPOISON, EIO, ENXIO } from '../base/errno.ts'
import {
  __GFP_MOVABLE,
  __GFP_RETRY_MAYFAIL,
  GFP_USER,
  PG_anon,
  PG_dirty,
  PG_hugetlb,
  PG_hwpoison,
  PG_isolated,
  PG_lru,
  PG_mlocked,
  PG_referenced,
  PG_swapcache,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_HWPOISON,
  PTE_PRESENT,
  PTE_PROTNONE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { KERN_ERR, KERN_INFO, panic, printk } from '../base/log.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { MemoryBlock } from '../base/state_memory.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import { asPfn, NO_PAGE, PAGE_SIZE, PAGEBLOCK_ORDER, type Pfn } from '../base/units.ts'
import { canWriteback, isShmem } from '../caches/filemap.ts'
import { isolateLru, putbackLru, putPage } from '../caches/lru.ts'
import { vmaIsSecretmem } from '../caches/secretmem.ts'
import { migrateHugePageAway } from '../fault/hugetlb_migrate.ts'
import { vmemmapRestore } from '../fault/hugetlb_vmemmap.ts'
import { faultinPage, kernelMayRead } from '../fault/populate.ts'
import { takePageOffBuddy } from '../frames/buddy.ts'
import {
  availableHugePages,
  freeHugePage,
  hstateOfPage,
  hugePages,
  inHugeCache,
  releaseHugePage,
  removeFreeHugePage,
} from '../frames/hugetlb_pool.ts'
import {
  compoundHead,
  compoundMapcount,
  compoundMapcountAdd,
  compoundPages,
  isThp,
  pageCount,
  pageIndex,
  pageMapped,
  pageNode,
  pageOwner,
  pageZone,
} from '../frames/page.ts'
import { drainAllPages } from '../frames/pcp.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { migratePages } from '../reclaim/migrate.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { truncatePage } from '../reclaim/truncate.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { countRss } from '../spaces/huge_pmd.ts'
import { hugeLevel } from '../spaces/hugetlb.ts'
import {
  clearEntry,
  entryFlags,
  entryValue,
  LEVEL_PAGES,
  LEVEL_PMD,
  LEVEL_PTE,
  LEVEL_PUD,
  levelIndex,
  pteIndex,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'
import { pageRemoveRmap, rmapEntries, tableMapping } from '../spaces/rmap.ts'
import { mustVma, vmaAt } from '../spaces/vma.ts'

const SIGBUS = 7

/** MADV_HWPOISON or, `soft`, MADV_SOFT_OFFLINE of virtual pages [start, end), which are faulted in first (madvise_inject_error). */
export function injectError(k: Kernel, task: Task, mm: Mm, start: number, end: number, soft: boolean): number {
  for (let at = Math.max(start, task.restart?.at ?? start); at < end; ) {
    const pfn = pageAt(k, mm, at)
    if (pfn < 0) {
      task.restart = { at, told: false }
      return pfn
    }
    const pages = compoundPages(k, compoundHead(k, asPfn(pfn)))
    const what = soft ? 'Soft offlining' : 'Injecting memory failure for'
    printk(k, KERN_INFO, `${what} pfn ${hex(pfn)} at process virtual address ${hex(at * PAGE_SIZE)}`)
    const ret = soft ? softOfflinePage(k, asPfn(pfn)) : memoryFailure(k, asPfn(pfn))
    if (ret < 0) return ret
    at += pages
  }
  return 0
}

/**
 * Takes the page at a physical address out of use (soft_offline_page of /sys), moving its contents; -ENXIO where no memory is, -EIO where
 * it is offline.
 */
export function softOfflineAddress(k: Kernel, address: number): number {
  const pfn = Math.floor(address / PAGE_SIZE)
  const block = blockOf(k, pfn)
  if (block === undefined) return -ENXIO
  return block.online ? softOfflinePage(k, asPfn(pfn)) : -EIO
}

/** Has the page at a physical address treated as broken (hard_offline_page of /sys); -ENXIO where no memory is online. */
export function hardOfflineAddress(k: Kernel, address: number): number {
  const pfn = Math.floor(address / PAGE_SIZE)
  return blockOf(k, pfn)?.online === true ? memoryFailure(k, asPfn(pfn)) : -ENXIO
}

const blockOf = (k: Kernel, pfn: number): MemoryBlock | undefined => k.memory.blocks.get(Math.floor(pfn / k.memory.blockPages))

/** The page at an address, read if need be; or a negative errno (get_user_pages_fast). */
function pageAt(k: Kernel, mm: Mm, vpn: number): number {
  const vma = vmaAt(mm, vpn)
  if (vma === undefined || vmaIsSecretmem(vma)) return -EFAULT
  const there = presentAt(k, mm, vpn)
  if (there !== NO_PAGE) {
    k.page[compoundHead(k, there) * PAGE_WORDS] |= PG_referenced
    return there
  }
  if (!kernelMayRead(vma)) return -EFAULT
  const ret = faultinPage(k, vma, vpn, false)
  if (ret < 0) return ret === -EHWPOISON ? -EFAULT : ret
  return presentAt(k, mm, vpn)
}

/** The page that is mapped at an address, or NO_PAGE. */
function presentAt(k: Kernel, mm: Mm, vpn: number): Pfn {
  for (const level of [LEVEL_PTE, LEVEL_PMD, LEVEL_PUD]) {
    const table = walkTo(k, mm, vpn, level)
    if (table === 0) continue
    const i = levelIndex(vpn, level)
    const flags = entryFlags(k, table, i)
    if ((flags & (PTE_PRESENT | PTE_PROTNONE)) === PTE_PRESENT) return asPfn(entryValue(k, table, i) + (vpn % LEVEL_PAGES[level]))
  }
  return NO_PAGE
}

/** The page is out of use from now on, and counted. */
function markPoisoned(k: Kernel, pfn: Pfn): void {
  k.page[pfn * PAGE_WORDS] |= PG_hwpoison
  k.poisonedPages++
}

const hex = (value: number) => `0x${value.toString(16)}`

/** A line of the log about a page. */
const tell = (k: Kernel, level: number, pfn: Pfn, text: string): void => printk(k, level, `Memory failure: ${hex(pfn)}: ${text}`)

/** What was done about a broken page (action_result). */
const recovery = (k: Kernel, pfn: Pfn, kind: string, result: 'Recovered' | 'Delayed' | 'Ignored' | 'Failed'): void =>
  tell(k, KERN_ERR, pfn, `recovery action for ${kind}: ${result}`)

const isPoisoned = (k: Kernel, pfn: Pfn): boolean => (k.page[pfn * PAGE_WORDS] & PG_hwpoison) !== 0

const mappingOfPage = (k: Kernel, pfn: Pfn): Mapping | undefined =>
  (k.page[pfn * PAGE_WORDS] & PG_anon) !== 0 ? undefined : k.fs.mappings.get(pageOwner(k, pfn))

/** A program's access met a broken page, for which it gets a signal: the log says so (do_sigbus). */
export const logPoisonAccess = (k: Kernel, task: Task, address: number): void =>
  printk(k, KERN_ERR, `MCE: Killing ${task.comm}:${task.pid} due to hardware memory corruption fault at ${address.toString(16)}`)

// --- broken

/** The page's memory is broken. @returns 0; -EHWPOISON when that was known, -EBUSY when nothing could be done about it */
function memoryFailure(k: Kernel, pfn: Pfn): number {
  if (k.sysctl.memory_failure_recovery === 0) panic(k, `Memory failure on page ${pfn.toString(16)}`)
  const head = compoundHead(k, pfn)
  if ((k.page[head * PAGE_WORDS] & PG_hugetlb) !== 0) return hugetlbFailure(k, head, pfn)
  if (isPoisoned(k, pfn)) return knownAlready(k, pfn)
  if (isThp(k, head) && splitHugePage(k, head) !== 0) {
    k.poisonedPages++
    recovery(k, pfn, 'unsplit thp', 'Ignored')
    return -EBUSY
  }
  lruAddDrainAll(k)
  const free = takeIfFree(k, pfn)
  markPoisoned(k, pfn)
  if (free) recovery(k, pfn, 'free buddy page', 'Recovered')
  if (free) return 0
  if ((k.page[pfn * PAGE_WORDS] & PG_lru) === 0) {
    recovery(k, pfn, pfn === k.zeroPage ? 'reserved kernel page' : 'unknown page', 'Ignored')
    return -EBUSY
  }
  takeFromUsers(k, pfn)
  return 0
}

function knownAlready(k: Kernel, pfn: Pfn): number {
  tell(k, KERN_ERR, pfn, 'already hardware poisoned')
  return -EHWPOISON
}

/** Takes a broken page of a process or a file away from all who have it. */
function takeFromUsers(k: Kernel, pfn: Pfn): void {
  const mapping = mappingOfPage(k, pfn)
  const replaceable = mapping !== undefined && !isDirty(k, pfn) && canWriteback(mapping.inode.sb)
  const mlocked = (k.page[pfn * PAGE_WORDS] & PG_mlocked) !== 0
  const swapped = (k.page[pfn * PAGE_WORDS] & PG_swapcache) !== 0
  const mapped = pageMapped(k, pfn)
  if (mapped && swapped) tell(k, KERN_ERR, pfn, 'keeping poisoned page in swap cache')
  if (mapped && replaceable) tell(k, KERN_INFO, pfn, 'corrupted page was clean: dropped without side effects')
  if (mapped) unmapPoisoned(k, pfn, !replaceable)
  const dirty = (k.page[pfn * PAGE_WORDS] & PG_dirty) !== 0
  if (mlocked) lruAddDrainAll(k)
  if (mapping !== undefined && !isShmem(mapping.inode.sb)) truncatePage(k, mapping, pfn)
  if (mapping !== undefined && isShmem(mapping.inode.sb)) leaveLru(k, pfn)
  else putPage(k, pfn)
  recovery(k, pfn, `${dirty ? 'dirty' : 'clean'} ${swapped ? 'swapcache' : 'LRU'} page`, dirty && swapped ? 'Delayed' : 'Recovered')
}

/** Takes a page that nobody uses off the free lists; false when somebody does. */
function takeIfFree(k: Kernel, pfn: Pfn): boolean {
  if ((k.page[compoundHead(k, pfn) * PAGE_WORDS] & PG_lru) !== 0) return false
  const zone = k.zones[k.blockZone[pfn >>> PAGEBLOCK_ORDER]]
  if (zone === undefined) return false
  drainAllPages(k, zone)
  return takePageOffBuddy(k, zone, pfn)
}

/** A page of a memory file stays in the file, but is no longer reclaimed. */
function leaveLru(k: Kernel, pfn: Pfn): void {
  if (isolateLru(k, pfn)) k.page[pfn * PAGE_WORDS] &= ~PG_isolated
}

/** Whether the page, or an entry that maps it, knows of a write. */
function isDirty(k: Kernel, pfn: Pfn): boolean {
  if ((k.page[pfn * PAGE_WORDS] & PG_dirty) !== 0) return true
  let dirty = false
  eachMapping(k, pfn, (_mm, vpn, table) => {
    if ((entryFlags(k, table, pteIndex(vpn)) & PTE_DIRTY) !== 0) dirty = true
  })
  return dirty
}

/** Visits each entry that maps a single page. */
function eachMapping(k: Kernel, pfn: Pfn, visit: (mm: Mm, vpn: number, table: number) => void): void {
  const index = pageIndex(k, pfn)
  for (const { mm: id, delta } of [...rmapEntries(k, pfn)]) {
    const mm = k.spaces.mms.get(id)
    const table = mm === undefined ? 0 : tableMapping(k, mm, index + delta, pfn)
    if (mm !== undefined && table !== 0) visit(mm, index + delta, table)
  }
}

/** Takes the page out of all address spaces; where it was their entry says that it is broken, unless it can be read again. */
function unmapPoisoned(k: Kernel, pfn: Pfn, keepEntry: boolean): void {
  const swapped = (k.page[pfn * PAGE_WORDS] & PG_swapcache) !== 0
  eachMapping(k, pfn, (mm, vpn, table) => {
    const i = pteIndex(vpn)
    if ((entryFlags(k, table, i) & PTE_DIRTY) !== 0) k.page[pfn * PAGE_WORDS] |= PG_dirty
    if (keepEntry && !swapped) {
      earlyKill(k, mm, pfn)
      setEntry(k, table, i, pfn, PTE_HWPOISON)
    } else clearEntry(k, table, i)
    countRss(k, mm, pfn, -1)
    pageRemoveRmap(k, pfn, mustVma(mm, vpn), false)
  })
}

/** Who has lost data is told at once, if that is asked for; programs that do not expect the signal die of it. */
function earlyKill(k: Kernel, mm: Mm, pfn: Pfn): void {
  if (k.sysctl.memory_failure_early_kill === 0) return
  for (const task of k.tasks.values()) {
    if (task.mm !== mm || task.killed !== 0) continue
    tell(k, KERN_ERR, pfn, `Sending SIGBUS to ${task.comm}:${task.pid} due to hardware memory corruption`)
    task.killed = SIGBUS
  }
}

// --- huge TLB pages

function hugetlbFailure(k: Kernel, head: Pfn, pfn: Pfn): number {
  if (isPoisoned(k, head)) return knownAlready(k, pfn)
  const inFile = inHugeCache(k, head)
  if (compoundMapcount(k, head) > 0) unmapHugePoisoned(k, head)
  if (!inFile) freeHugePage(k, head)
  const kept = inFile || keepFromPool(k, head, pfn)
  if (inFile || !kept) markPoisoned(k, head)
  recovery(k, pfn, 'huge page', kept ? 'Recovered' : 'Failed')
  return kept ? 0 : -EBUSY
}

function unmapHugePoisoned(k: Kernel, head: Pfn): void {
  const h = hstateOfPage(k, head)
  const index = pageIndex(k, head)
  for (const { mm: id, delta } of [...rmapEntries(k, head)]) {
    const mm = k.spaces.mms.get(id)
    const table = mm === undefined ? 0 : walkTo(k, mm, index + delta, hugeLevel(h))
    if (mm === undefined || table === 0) continue
    const i = levelIndex(index + delta, hugeLevel(h))
    if ((entryFlags(k, table, i) & PTE_PRESENT) === 0 || entryValue(k, table, i) !== head) continue
    earlyKill(k, mm, head)
    setEntry(k, table, i, head, PTE_HUGE | PTE_HWPOISON)
    mm.hugetlbPages -= hugePages(h)
    compoundMapcountAdd(k, head, -1)
  }
}

/** Dissolves a free huge page, of which the broken page is kept and the rest becomes ordinary free memory (__page_handle_poison). */
function keepFromPool(k: Kernel, head: Pfn, pfn: Pfn): boolean {
  if ((k.page[head * PAGE_WORDS] & PG_hugetlb) !== 0) {
    const h = hstateOfPage(k, head)
    if (availableHugePages(h) <= 0 || !vmemmapRestore(k, h, head)) return false
    removeFreeHugePage(k, h, head)
    releaseHugePage(k, h, head)
  }
  const zone = pageZone(k, pfn)
  drainAllPages(k, zone)
  if (!takePageOffBuddy(k, zone, pfn)) return false
  markPoisoned(k, pfn)
  return true
}

// --- about to break

/**
 * Takes a page out of use while its contents can still be read.
 * @returns 0, -EBUSY when they cannot be moved, -EIO for a page of none of the lists
 */
function softOfflinePage(k: Kernel, pfn: Pfn): number {
  const head = compoundHead(k, pfn)
  if (isPoisoned(k, pfn)) {
    printk(k, KERN_INFO, `soft_offline_page: ${hex(pfn)} page already poisoned`)
    return 0
  }
  if (takeIfFree(k, pfn)) {
    markPoisoned(k, pfn)
    return 0
  }
  drainAllPages(k, pageZone(k, pfn))
  if ((k.page[head * PAGE_WORDS] & PG_hugetlb) !== 0) {
    if (migrateHugePageAway(k, head, pageNode(k, head), ALL_NODES) !== 0) return -EBUSY
    return keepFromPool(k, head, pfn) ? 0 : -EBUSY
  }
  lruAddDrainAll(k)
  if ((k.page[head * PAGE_WORDS] & PG_lru) === 0) {
    tell(k, KERN_ERR, pfn, 'unhandlable page.')
    return -EIO
  }
  if (isThp(k, head) && splitHugePage(k, head) !== 0) return -EBUSY
  lruAddDrainAll(k)
  return dropUnused(k, pfn) || moveAway(k, pfn) ? 0 : -EBUSY
}

/** A clean page of a file that nobody maps is simply dropped. */
function dropUnused(k: Kernel, pfn: Pfn): boolean {
  const mapping = mappingOfPage(k, pfn)
  if (mapping === undefined || isShmem(mapping.inode.sb) || pageMapped(k, pfn) || pageCount(k, pfn) > 1) return false
  if ((k.page[pfn * PAGE_WORDS] & PG_dirty) !== 0) return false
  markPoisoned(k, pfn)
  truncatePage(k, mapping, pfn)
  putPage(k, pfn)
  return true
}

function moveAway(k: Kernel, pfn: Pfn): boolean {
  if (!isolateLru(k, pfn)) return false
  const pages = [pfn]
  markPoisoned(k, pfn)
  const target = migrationTarget(k, pageNode(k, pfn), GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL)
  if (migratePages(k, pages, target, 'sync') === 0) return true
  k.page[pfn * PAGE_WORDS] &= ~PG_hwpoison
  k.poisonedPages--
  for (const page of pages) if (page !== NO_PAGE) putbackLru(k, page)
  return false
}
