/**
 * Disks: one queue each, requests end one after the other.
 *
 *     submit ──> queue ── doneNs of the first reached ──> its pages are unlocked (read) or no longer under writeback
 *
 * A request starts to transfer when it has waited for the device's latency and for those before it; so what is queued
 * together pays the latency once. Whoever reclaims holds its writes to swap back until it is through with its pages, so that neighbours go
 * in one request (a plug). Nothing happens at the end of a request by itself: whoever looks at pages in flight, and
 * the machine's clock, call blockAdvance, which ends what is due.
 *
 * The figures are those of the data sheet of Intel's Optane SSD P5800X (7.2 GB/s read, 6.1 GB/s written, about 10 us to
 * the first byte of a request as software sees it): the fastest disk on the market leaves memory management
 * rather than the disk to decide what a workload does, as the disk of the recorded machine did.
 *
 * Invariant: a page under read is locked, one under writeback has PG_writeback, and exactly one request holds it.
 *
 * Source: block/bio.c, mm/filemap.c (folio_end_writeback, folio_end_read), fs/mpage.c mpage_end_io.
 */

import { fail, must } from '../base/assert.ts'
import { COST, now, spend } from '../base/cost.ts'
import { EV, NS, ZS } from '../base/counters.ts'
import { PG_locked, PG_reclaim, PG_uptodate, PG_workingset, PG_writeback } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { psiMemstallEnter, psiMemstallLeave } from '../base/psi.ts'
import type { Kernel } from '../base/state.ts'
import type { Disk, DiskRequest, Mapping } from '../base/state_fs.ts'
import type { SwapWrite } from '../base/state_swap.ts'
import { NO_PAGE, PAGE_KB, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { modLruvecState } from '../frames/memcg.ts'
import { compoundPages, pageNode, pageZone } from '../frames/page.ts'
import { putPage, rotateReclaimable } from './lru.ts'
import { leafKey, xaLeaf, xaPage } from './xarray.ts'

const LATENCY_NS = 10_000
/** Nanoseconds to move a page. */
const READ_PAGE_NS = PAGE_SIZE / 7.2
const WRITE_PAGE_NS = PAGE_SIZE / 6.1

/** Pages of one request at most (BIO_MAX_VECS). */
export const REQUEST_PAGES = 256
/** Pages of neighbouring slots of swap that are read or written together: what the queue of a virtio disk has places for. */
const MERGED_PAGES = 254
/** What a plug holds: requests, the last one up to so many pages before it is one too many (BLK_MAX_REQUEST_COUNT, BLK_PLUG_FLUSH_SIZE). */
const PLUG_REQUESTS = 32
const PLUG_FLUSH_PAGES = 32
/** Slots of one index of the swap cache, as a power of two. */
const SWAP_CACHE_SHIFT = 14
/** Pages that a single read may ask for at once (bdi->io_pages: 1280 KiB). */
export const IO_PAGES = 320

export function diskCreate(name: string, bytes: number, blockBytes: number): Disk {
  return { name, bytes, blockBytes, busyUntilNs: 0, readPages: 0, writtenPages: 0, queue: [] }
}

/**
 * Queues a request for pages [first, first + pages) of a mapping; `mapping` undefined is I/O that no page waits for.
 * @returns when it will be done.
 */
export function blockSubmit(k: Kernel, disk: Disk, write: boolean, mapping: Mapping | undefined, first: number, pages: number): number {
  spend(k, COST.block_request, 1)
  const start = Math.max(now(k) + LATENCY_NS, disk.busyUntilNs)
  const doneNs = start + pages * (write ? WRITE_PAGE_NS : READ_PAGE_NS)
  disk.busyUntilNs = doneNs
  if (write) disk.writtenPages += pages
  else disk.readPages += pages
  k.event[write ? EV.pgpgout : EV.pgpgin] += pages * PAGE_KB
  if (mapping === undefined) return doneNs
  enqueue(k, disk, { doneNs, write, mapping, swap: -1, first, pages })
  return doneNs
}

function enqueue(k: Kernel, disk: Disk, request: DiskRequest): void {
  disk.queue.push(request)
  k.fs.blockDone.wakeNs = Math.min(k.fs.blockDone.wakeNs, request.doneNs)
}

/**
 * Holds writes to swap back from now on (blk_start_plug).
 * @param held what was held back before a pause. @returns whether nobody did so before: who began it ends it.
 */
export function startPlug(k: Kernel, held: SwapWrite[] = []): boolean {
  if (k.swap.plug !== undefined) return false
  k.swap.plug = held
  return true
}

/** Who holds writes back pauses. @returns the writes, for him to keep */
export function pausePlug(k: Kernel): SwapWrite[] {
  const held = k.swap.plug ?? []
  k.swap.plug = undefined
  return held
}

/** What was held back is queued, and no more is held back (blk_finish_plug). */
export function finishPlug(k: Kernel): void {
  flushPlug(k)
  k.swap.plug = undefined
}

function flushPlug(k: Kernel): void {
  if (k.swap.plug !== undefined) submitAll(k, k.swap.plug)
}

function submitAll(k: Kernel, plug: SwapWrite[]): void {
  for (const { disk, swap, first, pages } of plug) submitSwap(k, disk, true, swap, first, pages)
  plug.length = 0
}

/** Queues a request for slots [first, first + pages) of a swap area, whose pages are in the swap cache; a write waits in the plug. */
export function blockSubmitSwap(k: Kernel, disk: Disk, write: boolean, type: number, first: number, pages: number): void {
  if (!write) blockAdvance(k)
  if (write) disk.writtenPages += pages
  else disk.readPages += pages
  k.event[write ? EV.pgpgout : EV.pgpgin] += pages * PAGE_KB
  if (write && k.swap.plug !== undefined) plugWrite(k, k.swap.plug, { disk, swap: type, first, pages })
  else submitSwap(k, disk, write, type, first, pages)
}

/** A write joins the one before it, or becomes one of its own (blk_add_rq_to_plug). */
function plugWrite(k: Kernel, plug: SwapWrite[], write: SwapWrite): void {
  const last = plug[plug.length - 1]
  if (
    last !== undefined &&
    last.swap === write.swap &&
    last.first + last.pages === write.first &&
    last.pages + write.pages <= MERGED_PAGES
  ) {
    last.pages += write.pages
    return
  }
  if (plug.length >= PLUG_REQUESTS || (last !== undefined && last.pages >= PLUG_FLUSH_PAGES)) flushPlug(k)
  plug.push(write)
}

/** Queues a request; one that has not begun yet takes in what follows its slots. */
function submitSwap(k: Kernel, disk: Disk, write: boolean, type: number, first: number, pages: number): void {
  const pageNs = write ? WRITE_PAGE_NS : READ_PAGE_NS
  const last = disk.queue[disk.queue.length - 1]
  const follows = last !== undefined && last.swap === type && last.write === write && last.first + last.pages === first
  if (follows && last.pages + pages <= MERGED_PAGES && last.doneNs - last.pages * pageNs > now(k)) {
    last.pages += pages
    last.doneNs += pages * pageNs
    disk.busyUntilNs = last.doneNs
    return
  }
  spend(k, COST.block_request, 1)
  disk.busyUntilNs = Math.max(now(k) + LATENCY_NS, disk.busyUntilNs) + pages * pageNs
  enqueue(k, disk, { doneNs: disk.busyUntilNs, write, mapping: undefined, swap: type, first, pages })
}

/** Ends all requests that are done by now. */
export function blockAdvance(k: Kernel): void {
  for (const disk of k.fs.disks) {
    while (disk.queue.length > 0 && disk.queue[0].doneNs <= now(k)) endRequest(k, must(disk.queue.shift(), 'a disk queue lost a request'))
  }
}

/** The thread that ends requests nobody waits for. */
export function runBlockDone(k: Kernel): void {
  blockAdvance(k)
  for (const disk of k.fs.disks) if (disk.queue.length > 0) k.fs.blockDone.wakeNs = Math.min(k.fs.blockDone.wakeNs, disk.queue[0].doneNs)
}

function endRequest(k: Kernel, request: DiskRequest): void {
  const { mapping, swap, first, pages, write } = request
  if (swap >= 0) endSwapRequest(k, request)
  if (mapping === undefined) return
  for (let index = first; index < first + pages; index++) {
    const pfn = xaPage(mapping.pages, index)
    if (pfn === NO_PAGE) continue
    if (write) endWriteback(k, mapping, index, pfn)
    else endRead(k, pfn)
  }
}

function endRead(k: Kernel, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  k.page[at] = (k.page[at] & ~PG_locked) | PG_uptodate
}

/** Pages of the swap cache have been read or written (end_swap_bio_read, end_swap_bio_write). */
function endSwapRequest(k: Kernel, { swap, first, pages, write }: DiskRequest): void {
  const cache = must(k.swap.areas[swap], 'a swap area is gone with requests under way').cache
  for (let offset = first; offset < first + pages; ) {
    const pfn = xaPage(cache[offset >>> SWAP_CACHE_SHIFT], offset)
    if (pfn === NO_PAGE) fail(`slot ${offset} is under way without a page`)
    offset += compoundPages(k, pfn)
    if (write) endSwapWriteback(k, pfn)
    else endRead(k, pfn)
  }
}

/** Marks a page of the swap cache, which keeps no account of its own, as under writeback (folio_start_writeback). */
export function startSwapWriteback(k: Kernel, head: Pfn): void {
  const pages = compoundPages(k, head)
  k.page[head * PAGE_WORDS] |= PG_writeback
  modLruvecState(k, head, NS.nr_writeback, pages)
  pageZone(k, head).stat[ZS.nr_zone_write_pending] += pages
}

/** The page's bytes are in swap. */
export function endSwapWriteback(k: Kernel, head: Pfn): void {
  const at = head * PAGE_WORDS
  const pages = compoundPages(k, head)
  const { stat } = k.nodes[pageNode(k, head)]
  rotateWritten(k, head)
  k.page[at] &= ~PG_writeback
  modLruvecState(k, head, NS.nr_writeback, -pages)
  stat[NS.nr_written] += pages
  pageZone(k, head).stat[ZS.nr_zone_write_pending] -= pages
  putPage(k, head)
}

/** Reclaim waits for the page: it goes to where it finds it next. */
function rotateWritten(k: Kernel, head: Pfn): void {
  const at = head * PAGE_WORDS
  if ((k.page[at] & PG_reclaim) === 0) return
  k.page[at] &= ~PG_reclaim
  rotateReclaimable(k, head)
}

/** The page's bytes are on disk (folio_end_writeback). */
function endWriteback(k: Kernel, mapping: Mapping, index: number, pfn: Pfn): void {
  const at = pfn * PAGE_WORDS
  if ((k.page[at] & PG_writeback) === 0) return
  rotateWritten(k, pfn)
  k.page[at] &= ~PG_writeback
  mapping.nrWriteback--
  must(xaLeaf(mapping.pages, leafKey(index)), 'a page under writeback is in no leaf').writeback--
  const node = k.nodes[pageNode(k, pfn)]
  modLruvecState(k, pfn, NS.nr_writeback, -1)
  node.stat[NS.nr_written]++
  pageZone(k, pfn).stat[ZS.nr_zone_write_pending]--
  putPage(k, pfn)
}

/** Waits, on the clock of the CPU that runs, until virtual time `doneNs`, and ends what is done by then. */
export function waitUntil(k: Kernel, doneNs: number): void {
  if (doneNs > now(k)) spend(k, COST.io_wait, doneNs - now(k))
  blockAdvance(k)
}

/** Waits until the page of the mapping is neither being read nor written. */
export function waitOnPage(k: Kernel, mapping: Mapping, index: number, pfn: Pfn): void {
  if ((k.page[pfn * PAGE_WORDS] & (PG_locked | PG_writeback)) === 0) return
  const thrashing = (k.page[pfn * PAGE_WORDS] & (PG_locked | PG_workingset)) === (PG_locked | PG_workingset)
  if (thrashing) psiMemstallEnter(k)
  for (const disk of k.fs.disks) {
    const request = disk.queue.find(r => r.mapping === mapping && r.first <= index && index < r.first + r.pages)
    if (request !== undefined) waitUntil(k, request.doneNs)
  }
  if (thrashing) psiMemstallLeave(k)
}

/** Waits until the page that is in the swap cache at the slot is neither being read nor written. */
export function waitOnSwapPage(k: Kernel, disk: Disk, type: number, offset: number): void {
  // Whoever holds the write back while he pauses would let it go by and by.
  for (const { kswapd } of k.nodes) submitAll(k, kswapd.run?.sc.pause?.plug ?? [])
  const request = disk.queue.find(r => r.swap === type && r.first <= offset && offset < r.first + r.pages)
  if (request !== undefined) waitUntil(k, request.doneNs)
}

/** Waits for all requests of the mapping that overlap pages [first, last]. */
export function waitOnRange(k: Kernel, mapping: Mapping, first: number, last: number): void {
  let doneNs = 0
  for (const disk of k.fs.disks)
    for (const r of disk.queue)
      if (r.mapping === mapping && r.first <= last && r.first + r.pages > first) doneNs = Math.max(doneNs, r.doneNs)
  if (doneNs > 0) waitUntil(k, doneNs)
}

/** Requests under way that hold pages they should not, or pages that say they are in flight without one. */
export function verifyBlock(k: Kernel): string[] {
  const wrong: string[] = []
  for (const mapping of k.fs.mappings.values()) {
    const inFlight = new Set<number>()
    for (const disk of k.fs.disks)
      for (const r of disk.queue) if (r.mapping === mapping) for (let i = 0; i < r.pages; i++) inFlight.add(r.first + i)
    for (const [key, node] of mapping.pages.nodes) {
      for (let slot = 0; slot < node.slots.length; slot++) {
        const pfn = node.slots[slot]
        if (pfn <= 0) continue
        const busy = (k.page[pfn * PAGE_WORDS] & (PG_locked | PG_writeback)) !== 0
        if (busy && !inFlight.has(key * 64 + slot)) wrong.push(`page ${pfn} of file ${mapping.inode.path} waits for no request`)
      }
    }
  }
  return wrong
}
