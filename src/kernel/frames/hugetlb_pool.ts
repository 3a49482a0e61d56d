/**
 * The pools of huge TLB pages: pages of 2 MiB and 1 GiB set aside by node, which nothing else may use.
 *
 *     buddy allocator ──allocated──> |  free list of node 0   |  ──fault──> in use: mapped, or in a file's cache
 *                     <──released──  |  free list of node 1   |  <──free──
 *
 *     nr        all pages of the size, free or not       persistent = nr - surplus, what nr_hugepages sets
 *     free      on the free lists
 *     resv      free pages that have been promised       a page without a promise comes from free - resv
 *     surplus   above the persistent number: released as soon as one of its node is free
 *
 * A mount's quota (subpool) promises on top: at most `maxPages` used or promised by its files, and at least `minPages`,
 * which are promised from the pool when it is mounted, whoever uses them.
 *
 * Pages are taken and released over the allowed nodes in turn, each pool remembering where it stood.
 *
 * A free page is linked by its record's list words. Of a page in use these two words hold HPG_* flags and the quota it counts in.
 *
 * This room takes no memory: growing a pool is fault/hugetlb_alloc.ts.
 *
 * Invariants: 0 <= resv <= free <= nr; 0 <= surplus <= nr, for each node too; free is the length of the free lists.
 *
 * Source: mm/hugetlb.c (enqueue_huge_page, dequeue_huge_page_node_exact, remove_hugetlb_page, __update_and_free_page, free_huge_page,
 * prep_new_huge_page, remove_pool_huge_page, return_unused_surplus_pages, adjust_pool_surplus, hugepage_subpool_get_pages,
 * hugepage_subpool_put_pages).
 */
import { assert, must } from '../base/assert.ts'
import { now } from '../base/cost.ts'
import { ENOMEM } from '../base/errno.ts'
import { PG_anon, PG_anon_exclusive, PG_dirty, PG_hugetlb, PG_hwpoison, PG_referenced } from '../base/flags.ts'
import { listAdd, listDelete, listFirst, PAGE_WORDS, W_NEXT, W_PREV } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { HugetlbSubpool } from '../base/state_fs.ts'
import type { Hstate } from '../base/state_huge.ts'
import { asNode, asPfn, NO_PAGE, type NodeId, type Pfn } from '../base/units.ts'
import { hasNode, memoryNodes, nextNodeIn, nodesIn } from './mempolicy.ts'
import {
  compoundMapcount,
  compoundOrder,
  destroyCompound,
  markTailsTouched,
  pageNode,
  prepCompound,
  tailsTouched,
  W_INDEX,
  W_OWNER,
} from './page.ts'
import { freePages } from './rmqueue.ts'

/** Taken on a promise that is given back if the page is freed before it is used (HPageRestoreReserve). */
export const HPG_RESTORE_RESERVE = 1
/** Made for a moment only, for a migration: goes back to the buddy allocator (HPageTemporary). */
export const HPG_TEMPORARY = 2

/** Base pages of one huge page. */
export const hugePages = (h: Hstate): number => 2 ** h.order

export const persistentHugePages = (h: Hstate): number => h.nrHugePages - h.surplusHugePages

/** Pages that are free and promised to nobody. */
export const availableHugePages = (h: Hstate): number => h.freeHugePages - h.resvHugePages

/** The size that a huge page has. */
export function hstateOfPage(k: Kernel, head: Pfn): Hstate {
  const order = compoundOrder(k, head)
  return must(
    k.hugetlb.hstates.find(h => h.order === order),
    `page ${head} of order ${order} is no huge TLB page`,
  )
}

export const setHugeFlag = (k: Kernel, head: Pfn, flag: number): void => {
  k.page[head * PAGE_WORDS + W_NEXT] |= flag
}

/** Clears the flag and says whether it was set. */
export function testClearHugeFlag(k: Kernel, head: Pfn, flag: number): boolean {
  const at = head * PAGE_WORDS + W_NEXT
  const was = (k.page[at] & flag) !== 0
  k.page[at] &= ~flag
  return was
}

/** The quota that a page in use counts in. */
export const pageSubpool = (k: Kernel, head: Pfn): HugetlbSubpool | undefined => k.hugetlb.subpools.get(k.page[head * PAGE_WORDS + W_PREV])

export function setPageSubpool(k: Kernel, head: Pfn, subpool: HugetlbSubpool | undefined): void {
  k.page[head * PAGE_WORDS + W_PREV] = subpool?.id ?? 0
}

// --- the nodes' turns

const allowedNode = (node: number, mask: number): NodeId => (hasNode(mask, node) ? asNode(node) : nextNodeIn(mask, node))

/** The node whose turn it is to give a page to the pool, of those in the mask. */
export function nextNodeToAlloc(h: Hstate, mask: number): NodeId {
  const node = allowedNode(h.nextNidToAlloc, mask)
  h.nextNidToAlloc = nextNodeIn(mask, node)
  return node
}

/** The node whose turn it is to get a page back. */
export function nextNodeToFree(h: Hstate, mask: number): NodeId {
  const node = allowedNode(h.nextNidToFree, mask)
  h.nextNidToFree = nextNodeIn(mask, node)
  return node
}

// --- pages into and out of a pool

/** Counts a fresh compound page as one of the pool's; it is on no list yet. */
export function prepNewHugePage(k: Kernel, h: Hstate, head: Pfn): void {
  const at = head * PAGE_WORDS
  k.page[at] |= PG_hugetlb
  k.page[at + W_NEXT] = 0
  k.page[at + W_PREV] = 0
  h.nrHugePages++
  h.nrByNode[pageNode(k, head)]++
}

/** Puts a page on its node's free list, to be taken next. */
export function enqueueHugePage(k: Kernel, h: Hstate, head: Pfn): void {
  const node = pageNode(k, head)
  listAdd(k.heads, k.page, h.freeLists[node], head)
  h.freeHugePages++
  h.freeByNode[node]++
}

/** Takes the node's page that was freed last; NO_PAGE when it has none. */
export function dequeueHugePage(k: Kernel, h: Hstate, node: NodeId): Pfn {
  const head = listFirst(k.heads, h.freeLists[node])
  if (head !== NO_PAGE) takeOffFreeList(k, h, head)
  return head
}

function takeOffFreeList(k: Kernel, h: Hstate, head: Pfn): void {
  const node = pageNode(k, head)
  listDelete(k.heads, k.page, h.freeLists[node], head)
  h.freeHugePages--
  h.freeByNode[node]--
}

/** Takes a page, which is on no list, out of the pool's account. */
function removeHugePage(k: Kernel, h: Hstate, head: Pfn, surplus: boolean): void {
  const node = pageNode(k, head)
  h.nrHugePages--
  h.nrByNode[node]--
  if (!surplus) return
  h.surplusHugePages--
  h.surplusByNode[node]--
}

/** Takes a free page out of the pool, to become smaller huge pages. */
export function removeFreeHugePage(k: Kernel, h: Hstate, head: Pfn): void {
  takeOffFreeList(k, h, head)
  removeHugePage(k, h, head, false)
}

/**
 * Gives the memory of a page that left its pool back to the buddy allocator: 1 GiB page by page, as Linux does. One that lacks page records
 * waits for the worker that gets them back (fault/hugetlb_vmemmap.ts).
 */
export function releaseHugePage(k: Kernel, h: Hstate, head: Pfn): void {
  k.page[head * PAGE_WORDS + W_NEXT] = 0
  k.page[head * PAGE_WORDS + W_PREV] = 0
  const { vmemmap } = k.hugetlb
  if (vmemmap.optimized.has(head)) {
    k.page[head * PAGE_WORDS] &= ~PG_hugetlb
    if (vmemmap.leaving.length === 0) vmemmap.cpu = k.cpu
    vmemmap.leaving.push(head)
    vmemmap.worker.wakeNs = Math.min(vmemmap.worker.wakeNs, now(k))
    return
  }
  if (h.gigantic) {
    destroyCompound(k, head, h.order)
    for (let i = 0; i < hugePages(h); i++) freePages(k, asPfn(head + i), 0)
  } else freePages(k, head, h.order)
}

/** Cuts a page that left its pool into compound pages of another size; returns their number. */
export function cutHugePage(k: Kernel, h: Hstate, head: Pfn, order: number): number {
  const touched = tailsTouched(k, head)
  destroyCompound(k, head, h.order)
  k.page[head * PAGE_WORDS] &= ~PG_hugetlb
  const parts = 2 ** (h.order - order)
  for (let i = 0; i < parts; i++) {
    const part = asPfn(head + i * 2 ** order)
    prepCompound(k, part, order)
    if (touched) markTailsTouched(k, part)
  }
  return parts
}

/** Whether the page stands in a file's page cache. */
export const inHugeCache = (k: Kernel, head: Pfn): boolean =>
  (k.page[head * PAGE_WORDS] & PG_anon) === 0 && k.page[head * PAGE_WORDS + W_OWNER] !== 0

/** To be called after a holder let go: frees the page when nobody maps it, no file holds it, and it is not broken. */
export function putHugePage(k: Kernel, head: Pfn): void {
  if (compoundMapcount(k, head) === 0 && !inHugeCache(k, head) && (k.page[head * PAGE_WORDS] & PG_hwpoison) === 0) freeHugePage(k, head)
}

/** A page that nobody uses any more: back to the pool, or to the buddy allocator while its node has surplus (free_huge_page). */
export function freeHugePage(k: Kernel, head: Pfn): void {
  const h = hstateOfPage(k, head)
  const at = head * PAGE_WORDS
  assert(compoundMapcount(k, head) === 0, `huge page ${head} is freed while mapped`)
  const subpool = pageSubpool(k, head)
  setPageSubpool(k, head, undefined)
  k.page[at] &= ~(PG_anon | PG_anon_exclusive | PG_dirty | PG_referenced)
  k.page[at + W_OWNER] = 0
  k.page[at + W_INDEX] = 0
  const promised = testClearHugeFlag(k, head, HPG_RESTORE_RESERVE) || subpoolPut(k, subpool, 1) === 0
  if (promised) h.resvHugePages++
  const temporary = testClearHugeFlag(k, head, HPG_TEMPORARY)
  const surplus = !temporary && h.surplusByNode[pageNode(k, head)] > 0
  if (temporary || surplus) {
    removeHugePage(k, h, head, surplus)
    releaseHugePage(k, h, head)
  } else enqueueHugePage(k, h, head)
}

/**
 * Takes a free page out of the pool, from the node whose turn it is.
 * @param surplus only from nodes that have surplus, and as one of those.
 * @returns the page, still to be released, or NO_PAGE.
 */
export function removePoolHugePage(k: Kernel, h: Hstate, mask: number, surplus: boolean): Pfn {
  for (let n = nodesIn(mask); n > 0; n--) {
    const node = nextNodeToFree(h, mask)
    if (surplus && h.surplusByNode[node] === 0) continue
    const head = dequeueHugePage(k, h, node)
    if (head === NO_PAGE) continue
    removeHugePage(k, h, head, surplus)
    return head
  }
  return NO_PAGE
}

/** Releases pages that left the pool, the last one first. */
export function releaseHugePages(k: Kernel, h: Hstate, heads: readonly Pfn[]): void {
  for (let i = heads.length - 1; i >= 0; i--) releaseHugePage(k, h, heads[i])
}

/** Takes back promises of `n` pages, and surplus pages that were made for such promises and are free (return_unused_surplus_pages). */
export function returnPromises(k: Kernel, h: Hstate, n: number): void {
  if (n === 0) return
  h.resvHugePages -= n
  const heads: Pfn[] = []
  const nodes = memoryNodes(k)
  for (let left = Math.min(n, h.surplusHugePages); left > 0; left--) {
    const head = removePoolHugePage(k, h, nodes, true)
    if (head === NO_PAGE) break
    heads.push(head)
  }
  releaseHugePages(k, h, heads)
}

/** Turns a surplus page into a persistent one (-1) or the other way round (+1), on the node whose turn it is; false when none can. */
export function adjustPoolSurplus(h: Hstate, mask: number, by: 1 | -1): boolean {
  for (let n = nodesIn(mask); n > 0; n--) {
    const node = by < 0 ? nextNodeToAlloc(h, mask) : nextNodeToFree(h, mask)
    if (by < 0 ? h.surplusByNode[node] === 0 : h.surplusByNode[node] >= h.nrByNode[node]) continue
    h.surplusHugePages += by
    h.surplusByNode[node] += by
    return true
  }
  return false
}

// --- quotas of mounts

/**
 * Counts `n` more pages, or promises, of a mount's files (hugepage_subpool_get_pages).
 * @returns how many must be promised from the pool itself, or -ENOMEM beyond the quota.
 */
export function subpoolGet(subpool: HugetlbSubpool | undefined, n: number): number {
  if (subpool === undefined) return n
  if (subpool.maxPages >= 0) {
    if (subpool.usedPages + n > subpool.maxPages) return -ENOMEM
    subpool.usedPages += n
  }
  if (subpool.minPages < 0) return n
  const covered = Math.min(n, subpool.rsvPages)
  subpool.rsvPages -= covered
  return n - covered
}

/**
 * Counts `n` pages or promises less (hugepage_subpool_put_pages).
 * @returns how many promises of the pool itself that sets free; the others keep up the mount's minimum.
 */
export function subpoolPut(k: Kernel, subpool: HugetlbSubpool | undefined, n: number): number {
  if (subpool === undefined) return n
  let free = n
  if (subpool.maxPages >= 0) subpool.usedPages -= n
  if (subpool.minPages >= 0 && subpool.usedPages < subpool.minPages) {
    free = Math.max(0, subpool.rsvPages + n - subpool.minPages)
    subpool.rsvPages = Math.min(subpool.rsvPages + n, subpool.minPages)
  }
  dropSubpool(k, subpool)
  return free
}

/** The mount is gone: its quota goes as soon as no page counts in it (hugepage_put_subpool). */
export function subpoolUnmount(k: Kernel, subpool: HugetlbSubpool): void {
  subpool.mounted = false
  dropSubpool(k, subpool)
}

function dropSubpool(k: Kernel, subpool: HugetlbSubpool): void {
  if (subpool.mounted) return
  if (subpool.maxPages >= 0 ? subpool.usedPages > 0 : subpool.minPages >= 0 && subpool.rsvPages !== subpool.minPages) return
  if (!k.hugetlb.subpools.delete(subpool.id)) return
  if (subpool.minPages >= 0) returnPromises(k, k.hugetlb.hstates[subpool.hstate], subpool.minPages)
}
