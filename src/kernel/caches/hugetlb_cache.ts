/**
 * The page cache of hugetlbfs files: whole huge pages, in memory only, counted in no statistics but the pools'.
 *
 * A file keeps, beside its pages, which of its pages have been promised: by a shared mapping, for as long as the file has them, or by
 * fallocate. A fault of a promised page uses the promise up, yet the file goes on counting it, so what is promised and not
 * used is the difference of the two:
 *
 *     index      0 1 2 3 4 5 6 7
 *     pages      # #       #              three of the pool's pages in use
 *     reserved   x x x x   x              five promises, two of them still to be met: resv_hugepages counts 2
 *
 * Truncation unmaps and frees the pages and gives all promises behind the new end back. A hole takes the promises of just those
 * pages that were there: what was only promised stays promised.
 *
 * Source: fs/hugetlbfs/inode.c (remove_inode_hugepages, hugetlb_vmtruncate, hugetlbfs_punch_hole, hugetlbfs_evict_inode,
 * hugetlbfs_read_iter), mm/hugetlb.c (hugetlb_add_to_page_cache, hugetlb_unreserve_pages).
 */
import { must } from '../base/assert.ts'
import { ZERO_CONTENT } from '../base/content.ts'
import { COST, spend, spendOnMemory, spendOnPages } from '../base/cost.ts'
import { PG_dirty } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { regionDelete } from '../base/regions.ts'
import type { Kernel } from '../base/state.ts'
import type { HugetlbInode, Inode, Mapping } from '../base/state_fs.ts'
import type { Hstate } from '../base/state_huge.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { HPG_RESTORE_RESERVE, hugePages, putHugePage, returnPromises, subpoolPut, testClearHugeFlag } from '../frames/hugetlb_pool.ts'
import { compoundMapcount, pageSetContent, pageSetOwner, tailsTouched, W_INDEX, W_OWNER } from '../frames/page.ts'
import { unmapHugeRange } from '../spaces/hugetlb.ts'
import { vmasIn } from '../spaces/vma.ts'

const hugeOf = (inode: Inode): HugetlbInode => must(inode.hugetlb, `${inode.path} is no hugetlbfs file`)

const hstateOfInode = (k: Kernel, inode: Inode): Hstate => k.hugetlb.hstates[hugeOf(inode).hstate]

const bytesOf = (h: Hstate): number => hugePages(h) * PAGE_SIZE

/** Fills a fresh huge page with zeros, as far as it holds anything else. */
export function clearHugePage(k: Kernel, h: Hstate, head: Pfn): void {
  spendOnPages(k, COST.clear_page, head, hugePages(h))
  zero(k, head, 0, tailsTouched(k, head) ? hugePages(h) : 1)
}

/** Base pages [first, end) of the huge page become zeros. */
function zero(k: Kernel, head: Pfn, first: number, end: number): void {
  for (let i = first; i < end; i++) pageSetContent(k, asPfn(head + i), ZERO_CONTENT, 0)
}

/** Puts a page into the file at an index (hugetlb_add_to_page_cache). */
export function hugeCacheAdd(k: Kernel, mapping: Mapping, index: number, head: Pfn): void {
  const huge = hugeOf(mapping.inode)
  testClearHugeFlag(k, head, HPG_RESTORE_RESERVE)
  pageSetOwner(k, head, mapping.id, index * hugePages(k.hugetlb.hstates[huge.hstate]))
  k.page[head * PAGE_WORDS] |= PG_dirty
  huge.pages.set(index, head)
  mapping.nrPages++
  spend(k, COST.page_cache, 1)
}

function hugeCacheDelete(k: Kernel, mapping: Mapping, index: number, head: Pfn): void {
  const at = head * PAGE_WORDS
  hugeOf(mapping.inode).pages.delete(index)
  mapping.nrPages--
  k.page[at] &= ~PG_dirty
  k.page[at + W_OWNER] = 0
  k.page[at + W_INDEX] = 0
}

/** Areas that map base pages [first, end) of the file, in every address space. */
export function areasOf(k: Kernel, mapping: Mapping, first: number, end: number): Vma[] {
  return mapping.rmap.flatMap(({ mm: id, delta }) => {
    const mm = must(k.spaces.mms.get(id), 'a mapping is mapped by an address space that is gone')
    return vmasIn(mm, first + delta, end + delta).filter(vma => vma.mapping === mapping && vma.start - vma.pgoff === delta)
  })
}

/** Unmaps huge pages [first, end) of the file wherever they are mapped, private copies too. */
function unmapEverywhere(k: Kernel, inode: Inode, h: Hstate, first: number, end: number): void {
  for (const vma of areasOf(k, inode.mapping, first * hugePages(h), end * hugePages(h))) {
    const start = Math.max(vma.start, vma.start + first * hugePages(h) - vma.pgoff)
    unmapHugeRange(k, vma, start, Math.min(vma.end, vma.start + end * hugePages(h) - vma.pgoff))
  }
}

/** Indices in [first, end) that have a page, ascending. */
function cachedIn(huge: HugetlbInode, first: number, end: number): number[] {
  if (end - first < huge.pages.size) return Array.from({ length: end - first }, (_, i) => first + i).filter(index => huge.pages.has(index))
  return [...huge.pages.keys()].filter(index => index >= first && index < end).sort((a, b) => a - b)
}

/**
 * Takes the pages of huge indices [first, end) out of the file.
 * @param hole each page takes its promise with it; otherwise (truncation) all promises from `first` on go.
 */
function removePages(k: Kernel, inode: Inode, first: number, end: number, hole: boolean): void {
  const huge = hugeOf(inode)
  const h = hstateOfInode(k, inode)
  let freed = 0
  for (const index of cachedIn(huge, first, end)) {
    const head = must(huge.pages.get(index), 'a page of the file is not in it')
    if (compoundMapcount(k, head) > 0) unmapEverywhere(k, inode, h, index, index + 1)
    hugeCacheDelete(k, inode.mapping, index, head)
    if (hole) unreserve(k, inode, index, index + 1, 1)
    else freed++
    putHugePage(k, head)
  }
  if (!hole) unreserve(k, inode, first, Number.POSITIVE_INFINITY, freed)
}

/** Forgets the file's promises in [first, end), of which `used` were used by pages that have just been freed (hugetlb_unreserve_pages). */
function unreserve(k: Kernel, inode: Inode, first: number, end: number, used: number): void {
  const promised = regionDelete(hugeOf(inode).reserved, first, end)
  returnPromises(k, hstateOfInode(k, inode), subpoolPut(k, inode.sb.hugetlb, promised - used))
}

/** Sets the file's length, a multiple of the page size, and drops what lies behind (hugetlb_vmtruncate). */
export function hugetlbfsTruncateTo(k: Kernel, inode: Inode, bytes: number): void {
  const h = hstateOfInode(k, inode)
  const first = bytes / bytesOf(h)
  inode.sizeBytes = bytes
  unmapEverywhere(k, inode, h, first, Number.POSITIVE_INFINITY)
  removePages(k, inode, first, Number.POSITIVE_INFINITY, false)
}

/** Makes a hole: whole pages go, parts of pages become zeros (hugetlbfs_punch_hole). */
export function hugetlbfsPunch(k: Kernel, inode: Inode, offset: number, bytes: number): void {
  const h = hstateOfInode(k, inode)
  const size = bytesOf(h)
  const end = offset + bytes
  const first = Math.ceil(offset / size)
  const last = Math.floor(end / size)
  if (offset < first * size) zeroPart(k, inode, h, offset, Math.min(end, first * size))
  if (last > first) unmapEverywhere(k, inode, h, first, last)
  if (end > last * size && end > first * size) zeroPart(k, inode, h, last * size, end)
  if (last > first) removePages(k, inode, first, last, true)
}

/** Zeros bytes [start, end), which lie in one huge page; base pages of which only a part is zeroed keep their content. */
function zeroPart(k: Kernel, inode: Inode, h: Hstate, start: number, end: number): void {
  const head = hugeOf(inode).pages.get(Math.floor(start / bytesOf(h)))
  if (head === undefined) return
  const base = Math.floor(start / bytesOf(h)) * hugePages(h)
  const first = Math.ceil(start / PAGE_SIZE) - base
  const last = Math.floor(end / PAGE_SIZE) - base
  spendOnMemory(k, COST.clear_page, Math.max(0, last - first))
  if (tailsTouched(k, head)) zero(k, head, first, last)
  else if (first === 0 && last > 0) zero(k, head, 0, 1)
}

/** The file is deleted and nobody has it open: its pages and promises go (hugetlbfs_evict_inode). */
export function hugetlbfsEvict(k: Kernel, inode: Inode): void {
  if (inode.hugetlb !== undefined) removePages(k, inode, 0, Number.POSITIVE_INFINITY, false)
}

/** read(2): bytes that can be had from `offset`; holes read as zeros. */
export function hugetlbfsRead(k: Kernel, inode: Inode, offset: number, bytes: number): number {
  const got = Math.max(0, Math.min(bytes, inode.sizeBytes - offset))
  spend(k, COST.copy_user, Math.ceil(got / PAGE_SIZE))
  return got
}
