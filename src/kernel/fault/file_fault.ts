/**
 * Faults on pages of files: disk files, tmpfs, memory files, ramfs.
 *
 *     read     first map what is cached of the 16 pages around, if the page is among them that is all (fault around)
 *     write, private area     a copy of the page for this process
 *     write, shared area      the page itself; a disk file's page is made dirty first (page_mkwrite), which is also what
 *                             happens at the first write after it was written to disk
 *
 * A page of a disk file that is not cached, or marked to start the next readahead, or still being read, costs two rounds: the
 * first reads (and waits, without the address space locked), then the fault is tried again and finds the page. The second
 * round makes it a major fault. A mapping that misses too often stops reading around.
 *
 * Beyond the end of the file is a bus error. Huge pages of memory files are mapped by one entry where the area allows.
 *
 * Source: mm/memory.c (do_fault, do_fault_around, do_cow_fault, do_shared_fault, wp_page_shared, finish_fault), mm/filemap.c
 * (filemap_fault, filemap_map_pages), mm/shmem.c shmem_fault.
 */

import { memcgCharge } from '../alloc/charge.ts'
import { allocPagesVma } from '../alloc/page_alloc.ts'
import { must } from '../base/assert.ts'
import { COST, spend, spendOnPages } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { ENOMEM } from '../base/errno.ts'
import {
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  PG_head,
  PG_hwpoison,
  PG_locked,
  PG_readahead,
  PG_uptodate,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_MARKER,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_UFFD_WP,
  VM_FAULT_ERROR,
  VM_FAULT_FALLBACK,
  VM_FAULT_HWPOISON,
  VM_FAULT_MAJOR,
  VM_FAULT_NOPAGE,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
  VM_RAND_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_UFFD_FLAGS,
  VM_UFFD_MINOR,
  VM_UFFD_MISSING,
  VM_UFFD_WP,
  VM_WRITE,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping, OpenFile } from '../base/state_fs.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { blockAdvance, waitOnPage } from '../caches/block.ts'
import { diskHasBlock } from '../caches/disk_blocks.ts'
import { canWriteback, filemapGet, filePages, isShmem } from '../caches/filemap.ts'
import { attachBuffers } from '../caches/filemap_add.ts'
import { readOnePage } from '../caches/filemap_read.ts'
import { secretmemFault } from '../caches/secretmem.ts'
import { shmemGetPage } from '../caches/shmem_page.ts'
import { xaPage } from '../caches/xarray.ts'
import { countMemcgEvent } from '../frames/memcg.ts'
import { compoundHead, pageContent, pageContentIndex, pageIndex, pageSetContent } from '../frames/page.ts'
import { freeCharged } from '../frames/rmqueue.ts'
import { balanceDirtyPages, markDirty } from '../reclaim/writeback.ts'
import { lruAddDrain } from '../reclaim/zap.ts'
import { entryFlags, entryValue, LEVEL_PTE, pteTable, setEntry } from '../spaces/pagetable.ts'
import { lruAddVma, pageAddFileRmap, pageAddNewAnonRmap } from '../spaces/rmap.ts'
import { countFaulted, countFaultedAnon, noteRetry } from '../spaces/rss.ts'
import { prepareAnon, vmPageProt } from '../spaces/vma.ts'
import { mkPte } from './anon.ts'
import { doSetPmd } from './huge_memory.ts'
import { pageCacheAsyncRa, pageCacheSyncRa, readAround } from './readahead.ts'
import { makeTables } from './tables.ts'
import { handleUserfault } from './userfaultfd.ts'

/** Pages mapped around a fault (fault_around_bytes is 64 KiB). */
const FAULT_AROUND_PAGES = 16
/** Misses, less hits, from which on a mapping no longer reads around; the count stops at ten times as many. */
const MMAP_LOTSAMISS = 100
const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY
const { fault_pte: COST_PTE, copy_page: COST_COPY, page_find: COST_FIND, file_map: COST_MAP, follow_page: COST_VISIT } = COST

const fileOf = (vma: Vma): OpenFile => must(vma.file, 'an area maps a file that nobody has open')

/**
 * A fault on a page of the area's file; the entry of k.vmf is empty, or its table missing (do_fault). One that had to wait
 * is tried again, unless the process was killed meanwhile (fault_signal_pending): by the processor, or by who populates, who finds its
 * area anew and works off this CPU's batches each time a fault made it stop.
 */
export function doFault(k: Kernel, vma: Vma, mapping: Mapping): number {
  const first = attempt(k, vma, mapping, false)
  if ((first & VM_FAULT_RETRY) === 0 || (vma.flags & VM_UFFD_FLAGS) !== 0) return first
  noteRetry(k, vma.mm)
  if (k.current !== undefined && k.current.killed !== 0) return VM_FAULT_OOM
  if (!k.vmf.user) {
    lruAddDrain(k)
    spend(k, COST_PTE, 1)
  }
  const second = attempt(k, vma, mapping, true)
  return k.vmf.user ? second | VM_FAULT_MAJOR : second
}

function attempt(k: Kernel, vma: Vma, mapping: Mapping, tried: boolean): number {
  k.vmf.major = false
  const ret = attemptAs(k, vma, mapping, tried)
  return k.vmf.major ? ret | VM_FAULT_MAJOR : ret
}

function attemptAs(k: Kernel, vma: Vma, mapping: Mapping, tried: boolean): number {
  if (!k.vmf.write) return doReadFault(k, vma, mapping, tried)
  return (vma.flags & VM_SHARED) !== 0 ? doSharedFault(k, vma, mapping, tried) : doCowFault(k, vma, mapping, tried)
}

/** The file's page at the fault, ready to be mapped; or minus the VM_FAULT_* bits that say why not. */
function faultPage(k: Kernel, vma: Vma, mapping: Mapping, tried: boolean): number {
  spend(k, COST_PTE, 1)
  spend(k, COST_FIND, 1)
  const index = vma.pgoff + k.vmf.offset
  if (mapping.inode.sb.type === 'secretmem') return secretmemFault(k, mapping, index)
  if (!isShmem(mapping.inode.sb)) return filemapFault(k, vma, mapping, index, tried)
  const handled = (vma.flags & VM_UFFD_FLAGS) === 0 ? 0 : shmemUserfault(k, vma, mapping, index)
  if (handled !== 0) return -handled
  const page = shmemGetPage(k, mapping.inode, index, 'cache', vma)
  if (page >= 0) return (k.page[page * PAGE_WORDS] & PG_hwpoison) === 0 ? page : -VM_FAULT_HWPOISON
  return page === -ENOMEM ? -VM_FAULT_OOM : -VM_FAULT_SIGBUS
}

/** What a registered area's userfaultfd says to a fault on a memory file: 0 where the fault is not its. */
function shmemUserfault(k: Kernel, vma: Vma, mapping: Mapping, index: number): number {
  if (index >= filePages(mapping.inode)) return 0
  const there = xaPage(mapping.pages, index) !== NO_PAGE
  if (there) return (vma.flags & VM_UFFD_MINOR) === 0 ? 0 : handleUserfault(k, vma, VM_UFFD_MINOR)
  return (vma.flags & VM_UFFD_MISSING) === 0 ? 0 : handleUserfault(k, vma, VM_UFFD_MISSING)
}

function filemapFault(k: Kernel, vma: Vma, mapping: Mapping, index: number, tried: boolean): number {
  if (index >= filePages(mapping.inode)) return -VM_FAULT_SIGBUS
  blockAdvance(k)
  const there = filemapGet(mapping, index)
  const dropped = there === NO_PAGE ? syncMmapReadahead(k, vma, index) : !tried && asyncMmapReadahead(k, vma, there, index)
  const page = filemapGet(mapping, index)
  if (page === NO_PAGE) {
    if (readOnePage(k, mapping, index) === NO_PAGE) return dropped && !tried ? -VM_FAULT_RETRY : -VM_FAULT_OOM
    return tried ? filemapGet(mapping, index) : -VM_FAULT_RETRY
  }
  const waited = (k.page[page * PAGE_WORDS] & PG_locked) !== 0
  if (waited) waitOnPage(k, mapping, index, page)
  return (dropped || waited) && !tried ? -VM_FAULT_RETRY : page
}

/** Reads around a page that is not cached, as the area advises; whether that let go of the address space (do_sync_mmap_readahead). */
function syncMmapReadahead(k: Kernel, vma: Vma, index: number): boolean {
  k.event[EV.pgmajfault]++
  countMemcgEvent(k, vma.mm.memcg, EV.pgmajfault, 1)
  const file = fileOf(vma)
  const ra = file.readahead
  if ((vma.flags & VM_RAND_READ) !== 0 || ra.raPages === 0) return false
  if ((vma.flags & VM_SEQ_READ) !== 0) {
    pageCacheSyncRa(k, file, index, ra.raPages)
    return true
  }
  if (ra.mmapMiss < MMAP_LOTSAMISS * 10) ra.mmapMiss++
  if (ra.mmapMiss > MMAP_LOTSAMISS) return false
  readAround(k, file, index)
  return true
}

/** A cached page: a hit, and if it is marked the next window is read (do_async_mmap_readahead). */
function asyncMmapReadahead(k: Kernel, vma: Vma, page: Pfn, index: number): boolean {
  const file = fileOf(vma)
  const ra = file.readahead
  if ((vma.flags & VM_RAND_READ) !== 0 || ra.raPages === 0) return false
  if (ra.mmapMiss > 0) ra.mmapMiss--
  if ((k.page[page * PAGE_WORDS] & PG_readahead) === 0) return false
  pageCacheAsyncRa(k, file, page, index, ra.raPages)
  return true
}

/** Whether pages around the fault are mapped with it (should_fault_around). */
const mapsAround = (vma: Vma, { inode }: Mapping): boolean =>
  (vma.flags & (VM_UFFD_WP | VM_UFFD_MINOR)) === 0 && inode.sb.type !== 'secretmem'

function doReadFault(k: Kernel, vma: Vma, mapping: Mapping, tried: boolean): number {
  const around = mapsAround(vma, mapping) ? faultAround(k, vma, mapping) : 0
  if (around !== 0) return around === VM_FAULT_NOPAGE ? 0 : around
  const page = faultPage(k, vma, mapping, tried)
  return page < 0 ? -page : finishFault(k, vma, asPfn(page), false)
}

/**
 * Maps those of the 16 pages around the fault that are cached and ready, within the area and one page table.
 * @returns VM_FAULT_NOPAGE when the page asked for is among them, 0 when not, VM_FAULT_OOM without memory for a table.
 */
function faultAround(k: Kernel, vma: Vma, mapping: Mapping): number {
  const vpn = k.vmf.vpn[0]
  spend(k, COST_PTE, 1)
  spend(k, COST_FIND, 1)
  const start = Math.max(vma.start, vpn - (vpn % FAULT_AROUND_PAGES))
  const end = Math.min(vma.end, start + FAULT_AROUND_PAGES, start - (start % 512) + 512, vma.start + filePages(mapping.inode) - vma.pgoff)
  const ra = fileOf(vma).readahead
  let found = 0
  for (let at = start; at < end; at++) {
    const page = readyPage(k, mapping, vma.pgoff + at - vma.start)
    if (page === NO_PAGE) continue
    if (k.vmf.table === 0) {
      const huge = mapHuge(k, vma, page)
      if (huge !== VM_FAULT_FALLBACK) return huge
    }
    if (ra.mmapMiss > 0) ra.mmapMiss--
    const i = k.vmf.i + at - vpn
    if (entryFlags(k, k.vmf.table, i) !== 0) continue
    if (at === vpn) found = VM_FAULT_NOPAGE
    setFileEntry(k, vma, i, page, false)
  }
  return found
}

/** The cached page at an index, if it can be mapped as it is. */
function readyPage(k: Kernel, mapping: Mapping, index: number): Pfn {
  const page = xaPage(mapping.pages, index)
  if (page === NO_PAGE) return NO_PAGE
  spend(k, COST_VISIT, 1)
  const flags = k.page[compoundHead(k, page) * PAGE_WORDS]
  return (flags & (PG_locked | PG_uptodate | PG_readahead)) === PG_uptodate && (k.page[page * PAGE_WORDS] & PG_hwpoison) === 0
    ? page
    : NO_PAGE
}

/**
 * Where there is no table yet: maps the huge page whole if it is one and fits, else makes the table.
 * @returns VM_FAULT_NOPAGE when mapped, VM_FAULT_FALLBACK with the table made, VM_FAULT_OOM.
 */
function mapHuge(k: Kernel, vma: Vma, page: Pfn): number {
  const head = compoundHead(k, page)
  if ((k.page[head * PAGE_WORDS] & PG_head) !== 0 && doSetPmd(k, vma, k.vmf.vpn[0], head, k.vmf.write) === 0) return VM_FAULT_NOPAGE
  return needTable(k, vma) ? VM_FAULT_FALLBACK : VM_FAULT_OOM
}

/** Makes the table of the entry, unless there is one. */
function needTable(k: Kernel, vma: Vma): boolean {
  const { vmf } = k
  if (vmf.table !== 0) return true
  if (!makeTables(k, vma.mm, vmf.vpn[0], LEVEL_PTE)) return false
  vmf.table = pteTable(k, vma.mm, vmf.vpn[0])
  return true
}

/** Maps a page of the file by entry `i` of the fault's table (do_set_pte). */
function setFileEntry(k: Kernel, vma: Vma, i: number, page: Pfn, write: boolean): void {
  const written = (vma.flags & VM_WRITE) !== 0 ? PTE_RW : 0
  spend(k, COST_MAP, 1)
  countFaulted(k, vma.mm, compoundHead(k, page))
  pageAddFileRmap(k, page, vma, false)
  const protect = (vma.flags & VM_UFFD_WP) !== 0 && (entryFlags(k, k.vmf.table, i) & PTE_MARKER) !== 0
  const rights = protect ? PTE_UFFD_WP : write ? written : vmPageProt(vma)
  setEntry(k, k.vmf.table, i, page, PTE_PRESENT | PTE_ACCESSED | rights | (write ? WRITTEN : 0))
}

/** Maps the page at the fault, a huge one whole if that fits (finish_fault). */
function finishFault(k: Kernel, vma: Vma, page: Pfn, write: boolean): number {
  const { vmf } = k
  if (vmf.table === 0) {
    const huge = mapHuge(k, vma, page)
    if (huge !== VM_FAULT_FALLBACK) return huge === VM_FAULT_NOPAGE ? 0 : huge
  }
  setFileEntry(k, vma, vmf.i, page, write)
  return 0
}

/** A write to a private area: the process gets a copy. */
function doCowFault(k: Kernel, vma: Vma, mapping: Mapping, tried: boolean): number {
  prepareAnon(k, vma)
  const copy = allocPagesVma(k, GFP_HIGHUSER_MOVABLE, 0, vma, k.vmf.offset)
  if (copy === NO_PAGE) return VM_FAULT_OOM
  const charged = memcgCharge(k, copy, vma.mm, GFP_KERNEL)
  const page = charged ? faultPage(k, vma, mapping, tried) : -VM_FAULT_OOM
  if (page < 0 || !needTable(k, vma)) {
    freeCharged(k, copy, 0)
    return page < 0 ? -page : VM_FAULT_OOM
  }
  spendOnPages(k, COST_COPY, copy, 1)
  k.page[copy * PAGE_WORDS] |= PG_uptodate
  pageSetContent(k, copy, pageContent(k, asPfn(page)), pageContentIndex(k, asPfn(page)))
  countFaultedAnon(vma.mm)
  pageAddNewAnonRmap(k, copy, vma, k.vmf.offset, false)
  lruAddVma(k, copy, vma)
  setEntry(k, k.vmf.table, k.vmf.i, copy, mkPte(vma, true))
  return 0
}

/** A write to a shared area where nothing is mapped yet. */
function doSharedFault(k: Kernel, vma: Vma, mapping: Mapping, tried: boolean): number {
  const page = faultPage(k, vma, mapping, tried)
  if (page < 0) return -page
  pageMkwrite(k, mapping, asPfn(page))
  const ret = finishFault(k, vma, asPfn(page), true)
  if ((ret & VM_FAULT_ERROR) !== 0) return ret
  dirtyShared(k, mapping, asPfn(page))
  return ret
}

/**
 * The page of a disk file is about to become writable: it gets buffers, a promise of a block noted in the file's index if it has none, and
 * is dirty from now on (ext4_page_mkwrite).
 */
function pageMkwrite(k: Kernel, mapping: Mapping, page: Pfn): void {
  if (!canWriteback(mapping.inode.sb)) return
  attachBuffers(k, page)
  spend(k, COST.block_write_begin, 1)
  const { blocks } = mapping.inode
  if (blocks !== undefined && !diskHasBlock(blocks, pageIndex(k, compoundHead(k, page)))) spend(k, COST.page_cache, 1)
  markDirty(k, page)
}

function dirtyShared(k: Kernel, mapping: Mapping, page: Pfn): void {
  markDirty(k, compoundHead(k, page))
  if (canWriteback(mapping.inode.sb)) balanceDirtyPages(k, mapping)
}

/** A write to a present, read-only entry of a shared writable area (wp_page_shared). */
export function wpPageShared(k: Kernel, mapping: Mapping): number {
  const { table, i } = k.vmf
  spend(k, COST_PTE, 1)
  const page = asPfn(entryValue(k, table, i))
  pageMkwrite(k, mapping, page)
  setEntry(k, table, i, page, entryFlags(k, table, i) | PTE_ACCESSED | PTE_RW | WRITTEN)
  k.event[EV.pgreuse]++
  dirtyShared(k, mapping, page)
  return 0
}
