/**
 * Recounts the pools of huge TLB pages: every page of a pool is on its node's free list or in use, and every promise is
 * somebody's.
 *
 *     promised = what files were promised and have no page for
 *              + what private areas were promised and have not used
 *              + what mounts keep as their minimum
 */
import { PG_anon, PG_head, PG_hugetlb, PG_hwpoison } from './base/flags.ts'
import { listFirst, listLength, listNext, PAGE_WORDS } from './base/list.ts'
import { regionCount } from './base/regions.ts'
import type { Kernel } from './base/state.ts'
import type { SuperBlock } from './base/state_fs.ts'
import type { Hstate } from './base/state_huge.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, type Pfn } from './base/units.ts'
import { hugePages, pageSubpool } from './frames/hugetlb_pool.ts'
import { compoundMapcount, compoundOrder, pageNode, W_OWNER } from './frames/page.ts'
import { hugeIndex, privatePromises } from './spaces/hugetlb.ts'
import { eachVma } from './spaces/vma.ts'

/** What the pools get wrong, in words. */
export function verifyHugetlb(k: Kernel): string[] {
  const wrong: string[] = []
  const heads = allHeads(k)
  k.hugetlb.hstates.forEach((h, hstate) => {
    const mine = heads.filter(head => compoundOrder(k, head) === h.order)
    verifyPool(k, h, mine, wrong)
    verifyPromises(k, h, hstate, wrong)
  })
  verifySubpools(k, heads, wrong)
  verifyFiles(k, wrong)
  return wrong
}

/** First pages of all huge TLB pages. */
function allHeads(k: Kernel): Pfn[] {
  const heads: Pfn[] = []
  const wanted = PG_head | PG_hugetlb
  for (let pfn = HPAGE_PMD_NR; pfn < k.maxPfn; pfn += HPAGE_PMD_NR)
    if ((k.page[pfn * PAGE_WORDS] & wanted) === wanted) heads.push(asPfn(pfn))
  return heads
}

function verifyPool(k: Kernel, h: Hstate, heads: readonly Pfn[], wrong: string[]): void {
  const name = `${h.sizeKb} kB`
  const sum = (counts: Int32Array) => counts.reduce((total, n) => total + n, 0)
  if (heads.length !== h.nrHugePages || sum(h.nrByNode) !== h.nrHugePages)
    wrong.push(`${name}: ${heads.length} pages, ${h.nrHugePages} counted`)
  if (sum(h.freeByNode) !== h.freeHugePages || sum(h.surplusByNode) !== h.surplusHugePages)
    wrong.push(`${name}: the nodes' counts are not the pool's`)
  if (h.surplusHugePages > h.nrHugePages) wrong.push(`${name}: ${h.surplusHugePages} surplus pages of ${h.nrHugePages}`)
  if (h.resvHugePages < 0 || h.resvHugePages > h.freeHugePages)
    wrong.push(`${name}: ${h.resvHugePages} pages promised, ${h.freeHugePages} free`)
  for (const node of k.nodes) {
    const here = heads.filter(head => pageNode(k, head) === node.id)
    const used = here.filter(head => inUse(k, head) || (k.page[head * PAGE_WORDS] & PG_hwpoison) !== 0).length
    if (here.length !== h.nrByNode[node.id]) wrong.push(`${name} node ${node.id}: ${here.length} pages, ${h.nrByNode[node.id]} counted`)
    if (here.length - used !== h.freeByNode[node.id])
      wrong.push(`${name} node ${node.id}: ${here.length - used} unused pages, ${h.freeByNode[node.id]} counted`)
    // A node may have more surplus than pages: a pool that shrinks takes any node's page, surplus or not.
    if (h.surplusByNode[node.id] < 0) wrong.push(`${name} node ${node.id}: surplus ${h.surplusByNode[node.id]}`)
    verifyFreeList(k, h, node.id, wrong)
  }
}

const inUse = (k: Kernel, head: Pfn) =>
  compoundMapcount(k, head) > 0 || (k.page[head * PAGE_WORDS] & PG_anon) !== 0 || k.page[head * PAGE_WORDS + W_OWNER] !== 0

function verifyFreeList(k: Kernel, h: Hstate, node: number, wrong: string[]): void {
  const list = h.freeLists[node]
  let n = 0
  for (let head = listFirst(k.heads, list); head !== NO_PAGE; head = listNext(k.page, head)) {
    n++
    if (inUse(k, head) || pageNode(k, head) !== node || compoundOrder(k, head) !== h.order)
      wrong.push(`huge page ${head} does not belong on its free list`)
  }
  if (n !== listLength(k.heads, list) || n !== h.freeByNode[node])
    wrong.push(`${h.sizeKb} kB node ${node}: ${n} pages on the free list, ${h.freeByNode[node]} counted`)
}

/** Promises to a mount's files and their private mappings that are still to be met; every mount's, when `sb` is undefined. */
function promisesOpen(k: Kernel, hstate: number, sb: SuperBlock | undefined): number {
  let open = 0
  for (const inode of k.fs.inodes.values())
    if (inode.hugetlb?.hstate === hstate && (sb === undefined || inode.sb === sb))
      open += regionCount(inode.hugetlb.reserved, 0, Number.POSITIVE_INFINITY) - inode.hugetlb.pages.size
  const h = k.hugetlb.hstates[hstate]
  for (const mm of k.spaces.mms.values())
    for (const vma of eachVma(mm)) {
      const resv = privatePromises(vma)
      if (resv === undefined || vma.mapping?.inode.hugetlb?.hstate !== hstate || (sb !== undefined && vma.mapping.inode.sb !== sb)) continue
      const first = hugeIndex(h, vma, 0)
      const end = hugeIndex(h, vma, vma.end - vma.start)
      open += end - first - regionCount(resv.consumed, first, end)
    }
  return open
}

function verifyPromises(k: Kernel, h: Hstate, hstate: number, wrong: string[]): void {
  const minimums = [...k.hugetlb.subpools.values()]
    .filter(pool => pool.hstate === hstate && pool.minPages >= 0)
    .reduce((sum, pool) => sum + pool.rsvPages, 0)
  const promised = promisesOpen(k, hstate, undefined) + minimums
  if (promised !== h.resvHugePages) wrong.push(`${h.sizeKb} kB: ${promised} promises, ${h.resvHugePages} counted`)
}

function verifySubpools(k: Kernel, heads: readonly Pfn[], wrong: string[]): void {
  for (const sb of k.fs.superBlocks) {
    const pool = sb.hugetlb
    if (pool === undefined) continue
    const used = heads.filter(head => inUse(k, head) && pageSubpool(k, head) === pool).length + promisesOpen(k, pool.hstate, sb)
    if (pool.maxPages >= 0 && used !== pool.usedPages)
      wrong.push(`mount ${sb.mountPoint}: ${used} pages used or promised, ${pool.usedPages} counted`)
    if (pool.minPages >= 0 && (pool.rsvPages < 0 || pool.rsvPages > pool.minPages))
      wrong.push(`mount ${sb.mountPoint}: ${pool.rsvPages} of at least ${pool.minPages} pages kept`)
  }
}

function verifyFiles(k: Kernel, wrong: string[]): void {
  for (const { hugetlb, mapping, path } of k.fs.inodes.values()) {
    if (hugetlb === undefined) continue
    const pages = hugePages(k.hugetlb.hstates[hugetlb.hstate])
    for (const [index, head] of hugetlb.pages) {
      if (k.page[head * PAGE_WORDS + W_OWNER] !== mapping.id) wrong.push(`page ${index} of ${path} does not know its file`)
      if (regionCount(hugetlb.reserved, index, index + 1) !== 1) wrong.push(`page ${index} of ${path} was never promised`)
      if (compoundOrder(k, head) !== Math.log2(pages)) wrong.push(`page ${index} of ${path} has another size`)
    }
  }
}
