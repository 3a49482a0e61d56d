/**
 * Dirty pages of disk files, and how they get to the disk.
 *
 *     written to ──> dirty ──(flusher, fsync, sync, msync)──> under writeback ──(request ends)──> clean
 *                      ^                                            │
 *                      └──────────── written to again ──────────────┘
 *
 * Before a page is written its mappings lose the right to write, so that the next write to it faults and makes it dirty
 * again. Memory files (tmpfs, memfd, ramfs) have a dirty mark too, but it is not counted and nobody writes them.
 *
 * Two limits, in pages, of what could be dirty (free and file pages): above dirty_background_* the flusher is woken, and
 * half way between it and dirty_* whoever dirties pages waits for the disk. Linux makes them pause at a measured rate;
 * here they wait for requests to end, which comes to the same total. A memory cgroup has limits of its own (dirty_limits.ts).
 *
 * Invariants: nr_dirty and nr_writeback count the marked pages of disk files; a page is not in two requests.
 *
 * Source: mm/page-writeback.c (domain_dirty_limits, folio_account_dirtied, folio_clear_dirty_for_io, write_cache_pages,
 * balance_dirty_pages), mm/rmap.c folio_mkclean, fs/fs-writeback.c.
 */

import { must } from '../base/assert.ts'
import { COST, now, spend } from '../base/cost.ts'
import { NS, ZS } from '../base/counters.ts'
import { PG_dirty, PG_locked, PG_writeback, PTE_DIRTY, PTE_RW } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Disk, Inode, Mapping } from '../base/state_fs.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { blockAdvance, blockSubmit, REQUEST_PAGES, waitOnPage, waitOnRange, waitUntil } from '../caches/block.ts'
import { diskStore } from '../caches/disk_blocks.ts'
import { canWriteback, mappingOf } from '../caches/filemap.ts'
import { leafKey, leafStart, xaKeys, xaLeaf } from '../caches/xarray.ts'
import { modLruvecState } from '../frames/memcg.ts'
import { pageContent, pageContentIndex, pageIndex, pageMemcg, pageNode, pageZone } from '../frames/page.ts'
import { entryFlags, entryValue, pteIndex, setEntry } from '../spaces/pagetable.ts'
import { rmapEntries, tableMapping } from '../spaces/rmap.ts'
import { type DirtyLimits, type DirtyState, dirtyLimits, isBeyondFreerun, memcgDirtyState } from './dirty_limits.ts'

const { nr_dirty: NR_DIRTY, nr_writeback: NR_WRITEBACK, nr_dirtied: NR_DIRTIED } = NS
const NR_WRITE_PENDING = ZS.nr_zone_write_pending

/** Pages a writer dirties before it looks at the limits (128 KiB). */
const RATELIMIT_PAGES = 32
/** Pages of one file that the flusher writes at least before it looks at the limits again (MIN_WRITEBACK_PAGES). */
const MIN_WRITEBACK_PAGES = 1024

const nodeSum = (k: Kernel, stat: number) => k.nodes.reduce((sum, node) => sum + node.stat[stat], 0)

/** Marks a file page dirty; returns whether it was clean (folio_mark_dirty). */
export function markDirty(k: Kernel, head: Pfn): boolean {
  const at = head * PAGE_WORDS
  if ((k.page[at] & PG_dirty) !== 0) return false
  k.page[at] |= PG_dirty
  const mapping = mappingOf(k, head)
  if (canWriteback(mapping.inode.sb)) accountDirtied(k, mapping, head)
  return true
}

function accountDirtied(k: Kernel, mapping: Mapping, pfn: Pfn): void {
  const stat = k.nodes[pageNode(k, pfn)].stat
  modLruvecState(k, pfn, NR_DIRTY, 1)
  stat[NR_DIRTIED]++
  pageZone(k, pfn).stat[NR_WRITE_PENDING]++
  if (mapping.nrDirty === 0 && mapping.nrWriteback === 0) mapping.dirtier = pageMemcg(k, pfn)
  mapping.nrDirty++
  must(xaLeaf(mapping.pages, leafKey(pageIndex(k, pfn))), 'a dirty page is in no leaf').dirty++
  k.fs.writeback.dirtied++
  markInodeDirty(k, mapping.inode)
}

function markInodeDirty(k: Kernel, inode: Inode): void {
  const { dirty, flusher } = k.fs.writeback
  if (dirty.has(inode.id)) return
  inode.dirtiedNs = now(k)
  dirty.set(inode.id, inode)
  if (k.sysctl.dirty_writeback_centisecs > 0) flusher.wakeNs = Math.min(flusher.wakeNs, now(k) + k.sysctl.dirty_writeback_centisecs * 1e7)
}

/** Takes the dirty mark off a page that is thrown away or about to be written (folio_account_cleaned). */
export function cancelDirty(k: Kernel, mapping: Mapping, head: Pfn): void {
  const at = head * PAGE_WORDS
  if ((k.page[at] & PG_dirty) === 0) return
  k.page[at] &= ~PG_dirty
  if (!canWriteback(mapping.inode.sb)) return
  modLruvecState(k, head, NR_DIRTY, -1)
  pageZone(k, head).stat[NR_WRITE_PENDING]--
  mapping.nrDirty--
  must(xaLeaf(mapping.pages, leafKey(pageIndex(k, head))), 'a dirty page is in no leaf').dirty--
  if (mapping.nrDirty === 0) k.fs.writeback.dirty.delete(mapping.inode.id)
}

/** Takes the right to write from all mappings of the page, so that the next write is noticed (folio_mkclean). */
function mkclean(k: Kernel, pfn: Pfn): void {
  const index = pageIndex(k, pfn)
  for (const { mm: id, delta } of rmapEntries(k, pfn)) {
    const mm = must(k.spaces.mms.get(id), 'a file is mapped by a process that is gone')
    const table = tableMapping(k, mm, index + delta, pfn)
    if (table === 0) continue
    const i = pteIndex(index + delta)
    const flags = entryFlags(k, table, i)
    if ((flags & (PTE_RW | PTE_DIRTY)) !== 0) setEntry(k, table, i, entryValue(k, table, i), flags & ~(PTE_RW | PTE_DIRTY))
    spend(k, COST.pte_change, 1)
  }
}

function startWriteback(k: Kernel, mapping: Mapping, index: number, pfn: Pfn): void {
  mkclean(k, pfn)
  cancelDirty(k, mapping, pfn)
  k.page[pfn * PAGE_WORDS] |= PG_writeback
  modLruvecState(k, pfn, NR_WRITEBACK, 1)
  pageZone(k, pfn).stat[NR_WRITE_PENDING]++
  mapping.nrWriteback++
  must(xaLeaf(mapping.pages, leafKey(index)), 'a page to write is in no leaf').writeback++
  if (mapping.inode.blocks !== undefined) diskStore(mapping.inode.blocks, index, pageContent(k, pfn), pageContentIndex(k, pfn))
}

/** Starts to write up to `limit` dirty pages of [first, last]; returns how many it was. `wait`: pages under writeback are waited for. */
export function writeRange(k: Kernel, mapping: Mapping, first: number, last: number, limit: number, wait: boolean): number {
  const disk = mapping.inode.sb.disk
  if (disk === undefined || mapping.nrDirty === 0) return 0
  let run = 0
  let runStart = 0
  let written = 0
  for (const key of xaKeys(mapping.pages, first, last)) {
    const node = xaLeaf(mapping.pages, key)
    if (node === undefined || node.dirty === 0) continue
    const start = leafStart(key)
    for (let slot = 0; slot < node.slots.length && written < limit; slot++) {
      const pfn = asPfn(node.slots[slot])
      const index = start + slot
      if (pfn <= NO_PAGE || index < first || index > last || !mayWrite(k, mapping, index, pfn, wait)) continue
      if (run > 0 && (index !== runStart + run || run === REQUEST_PAGES)) {
        blockSubmit(k, disk, true, mapping, runStart, run)
        run = 0
      }
      if (run === 0) runStart = index
      run++
      written++
      startWriteback(k, mapping, index, pfn)
    }
  }
  if (run > 0) blockSubmit(k, disk, true, mapping, runStart, run)
  return written
}

function mayWrite(k: Kernel, mapping: Mapping, index: number, pfn: Pfn, wait: boolean): boolean {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_dirty) === 0) return false
  if ((k.page[at] & (PG_writeback | PG_locked)) === 0) return true
  if (!wait) return false
  waitOnPage(k, mapping, index, pfn)
  return (k.page[at] & PG_dirty) !== 0
}

/** Writes the dirty pages of [first, last] and waits until they are on disk (filemap_write_and_wait_range). */
export function writeAndWait(k: Kernel, mapping: Mapping, first: number, last: number): void {
  writeRange(k, mapping, first, last, Number.POSITIVE_INFINITY, true)
  waitOnRange(k, mapping, first, last)
}

/** Starts to write the page, if nobody holds it: for reclaim (pageout). */
export function writeOne(k: Kernel, disk: Disk, pfn: Pfn): void {
  const mapping = mappingOf(k, pfn)
  const index = pageIndex(k, pfn)
  startWriteback(k, mapping, index, pfn)
  blockSubmit(k, disk, true, mapping, index, 1)
}

// --- limits

/**
 * To be called by whoever dirtied pages of the file: wakes the flusher and, when far too much is dirty, waits
 * (balance_dirty_pages_ratelimited).
 */
export function balanceDirtyPages(k: Kernel, { dirtier }: Mapping): void {
  const { writeback } = k.fs
  if (writeback.dirtied < RATELIMIT_PAGES) return
  writeback.dirtied = 0
  blockAdvance(k)
  for (;;) {
    const all: DirtyState = { ...dirtyLimits(k), nrDirty: nodeSum(k, NR_DIRTY), nrWriteback: nodeSum(k, NR_WRITEBACK) }
    const group = memcgDirtyState(k, dirtier)
    if (all.nrDirty > all.background && k.sysctl.laptop_mode === 0) wakeFlusher(k)
    const groupWaits = group !== undefined && isBeyondFreerun(group)
    if (!isBeyondFreerun(all) && !groupWaits) return
    writeBackground(k)
    if (groupWaits) writeGroup(k, dirtier)
    const first = earliestDone(k)
    if (first === Number.POSITIVE_INFINITY) return
    waitUntil(k, first)
  }
}

/** Lets the flusher run now. */
export function wakeFlusher(k: Kernel): void {
  const { flusher } = k.fs.writeback
  if (flusher.wakeNs <= now(k)) return
  flusher.wakeNs = now(k)
  k.needResched = true
}

/** When the next request of any disk ends. */
export function earliestDone(k: Kernel): number {
  let first = Number.POSITIVE_INFINITY
  for (const disk of k.fs.disks) if (disk.queue.length > 0) first = Math.min(first, disk.queue[0].doneNs)
  return first
}

/** Pages the flusher writes of one file at a time (writeback_chunk_size). */
const chunkPages = (limits: DirtyLimits) => MIN_WRITEBACK_PAGES + Math.floor(limits.dirty / 8 / MIN_WRITEBACK_PAGES) * MIN_WRITEBACK_PAGES

/** Writes files, the longest dirty first, until no more is dirty than the background limit. */
export function writeBackground(k: Kernel): void {
  for (;;) {
    const limits = dirtyLimits(k)
    if (nodeSum(k, NR_DIRTY) <= limits.background) return
    k.fs.writeback.queuedNs = now(k)
    const inode = k.fs.writeback.dirty.values().next().value
    if (inode === undefined || writeChunk(k, inode, chunkPages(limits)) === 0) return
  }
}

/** The same for the files that count for a memory cgroup, by its limit. */
function writeGroup(k: Kernel, memcg: number): void {
  for (const inode of [...k.fs.writeback.dirty.values()]) {
    const group = memcgDirtyState(k, memcg)
    if (group === undefined || group.nrDirty <= group.background) return
    if (inode.mapping.dirtier === memcg) writeChunk(k, inode, chunkPages(dirtyLimits(k)))
  }
}

/** Writes some of a file's dirty pages, going on where the last time ended; a file that is still dirty then has to queue again. */
function writeChunk(k: Kernel, inode: Inode, pages: number): number {
  const { mapping } = inode
  const { dirty } = k.fs.writeback
  let written = writeRange(k, mapping, mapping.writebackIndex, Number.POSITIVE_INFINITY, pages, false)
  if (written < pages) written += writeRange(k, mapping, 0, mapping.writebackIndex - 1, pages - written, false)
  mapping.writebackIndex = mapping.nrDirty === 0 ? 0 : mapping.writebackIndex + written
  if (dirty.delete(inode.id) && mapping.nrDirty > 0) dirty.set(inode.id, inode)
  return written
}

/** Starts to write all files that were dirty at `sinceNs` and have not been written since. */
export function writeDirtyInodes(k: Kernel, sinceNs: number): void {
  for (const inode of [...k.fs.writeback.dirty.values()]) {
    if (inode.dirtiedNs > sinceNs) continue
    writeRange(k, inode.mapping, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, false)
  }
}

/** Writes all that is dirty on any disk and waits for it (sync). */
export function syncAll(k: Kernel): void {
  writeDirtyInodes(k, now(k))
  for (const disk of k.fs.disks) if (disk.queue.length > 0) waitUntil(k, disk.busyUntilNs)
}

/** What does not add up in the counts of dirty pages, in words. */
export function verifyWriteback(k: Kernel): string[] {
  const wrong: string[] = []
  let dirty = 0
  let writeback = 0
  for (const { inode, nrDirty, nrWriteback } of k.fs.mappings.values()) {
    dirty += nrDirty
    writeback += nrWriteback
    if (nrDirty > 0 && canWriteback(inode.sb) && !k.fs.writeback.dirty.has(inode.id))
      wrong.push(`${inode.path} has dirty pages and no place in the flusher's queue`)
  }
  for (const { queue } of k.fs.disks) for (const { swap, write, pages } of queue) if (swap >= 0 && write) writeback += pages
  for (const { kswapd } of k.nodes) for (const { pages } of kswapd.run?.sc.pause?.plug ?? []) writeback += pages
  if (dirty !== nodeSum(k, NR_DIRTY)) wrong.push(`${dirty} pages are dirty, nr_dirty ${nodeSum(k, NR_DIRTY)}`)
  if (writeback !== nodeSum(k, NR_WRITEBACK)) wrong.push(`${writeback} pages are under writeback, nr_writeback ${nodeSum(k, NR_WRITEBACK)}`)
  const pending = k.zones.reduce((sum, zone) => sum + zone.stat[NR_WRITE_PENDING], 0)
  if (pending !== dirty + writeback) wrong.push(`${dirty} dirty and ${writeback} under writeback, nr_zone_write_pending ${pending}`)
  return wrong
}
