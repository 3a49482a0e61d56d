/**
 * Changing the size of a pool of huge TLB pages.
 *
 *     grow      surplus pages become persistent ones first; then fresh pages, from the allowed nodes in turn
 *     shrink    free pages that nobody was promised are released, from the nodes in turn; what is still too much becomes surplus,
 *               to be released when its user is done
 *     demote    a free page of 1 GiB becomes 512 of 2 MiB
 *
 * A node that has no page is passed over, so others make up the difference, until none of them has one.
 *
 * Source: mm/hugetlb.c (set_max_huge_pages, demote_pool_huge_page, demote_store).
 */
import { must } from '../base/assert.ts'
import { EBUSY, ENOMEM } from '../base/errno.ts'
import { listFirst } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Hstate } from '../base/state_huge.ts'
import { asPfn, NO_NODE, NO_PAGE, type NodeId, type Pfn } from '../base/units.ts'
import {
  adjustPoolSurplus,
  availableHugePages,
  cutHugePage,
  freeHugePage,
  nextNodeToFree,
  persistentHugePages,
  prepNewHugePage,
  releaseHugePages,
  removeFreeHugePage,
  removePoolHugePage,
} from '../frames/hugetlb_pool.ts'
import { memoryNodes, nodesIn } from '../frames/mempolicy.ts'
import type { GiveWay } from '../reclaim/migrate.ts'
import { allocPoolHugePage, type NoRetry } from './hugetlb_alloc.ts'
import { freeHugePagesLeft, vmemmapOptimize, vmemmapRestore } from './hugetlb_vmemmap.ts'

/** For who has no other threads to wait for. */
const alone: GiveWay = () => undefined

/**
 * Makes the pool's persistent pages as many as `count`, as far as that is possible.
 * @param node count the pages of this node alone; NO_NODE for all. @param mask nodes whose pages may come and go.
 * @param giveWay lets others run, before each fresh page (cond_resched).
 */
export function setMaxHugePages(k: Kernel, h: Hstate, count: number, node: NodeId, mask: number, giveWay = alone): void {
  const wanted = node === NO_NODE ? count : count + h.nrHugePages - h.nrByNode[node]
  while (h.surplusHugePages > 0 && wanted > persistentHugePages(h)) if (!adjustPoolSurplus(h, mask, -1)) break
  const noRetry: NoRetry = { nodes: 0 }
  const grown = wanted > persistentHugePages(h)
  while (wanted > persistentHugePages(h)) {
    giveWay(k)
    if (!allocPoolHugePage(k, h, mask, noRetry)) break
  }
  if (!grown || wanted <= persistentHugePages(h)) shrink(k, h, wanted, mask)
  h.maxHugePages = persistentHugePages(h)
}

function shrink(k: Kernel, h: Hstate, wanted: number, mask: number): void {
  const least = Math.max(wanted, h.resvHugePages + h.nrHugePages - h.freeHugePages)
  const heads: Pfn[] = []
  while (least < persistentHugePages(h)) {
    const head = removePoolHugePage(k, h, mask, false)
    if (head === NO_PAGE) break
    heads.push(head)
  }
  releaseHugePages(k, h, heads)
  freeHugePagesLeft(k)
  while (wanted < persistentHugePages(h)) if (!adjustPoolSurplus(h, mask, 1)) break
}

/** Turns up to `count` free pages, of one node or of any, into smaller ones. @returns 0, -EBUSY, or -ENOMEM for want of page records. */
export function demoteHugePages(k: Kernel, h: Hstate, count: number, node: NodeId): number {
  const mask = node === NO_NODE ? memoryNodes(k) : 1 << node
  for (let left = count; left > 0; left--) {
    const free = node === NO_NODE ? availableHugePages(h) : h.freeByNode[node] - h.resvHugePages
    if (free === 0) break
    const ret = demoteOne(k, h, mask)
    if (ret < 0) return ret
  }
  return 0
}

function demoteOne(k: Kernel, h: Hstate, mask: number): number {
  for (let n = nodesIn(mask); n > 0; n--) {
    const head = listFirst(k.heads, h.freeLists[nextNodeToFree(h, mask)])
    if (head === NO_PAGE) continue
    if (!vmemmapRestore(k, h, head)) return -ENOMEM
    demotePage(k, h, head)
    return 0
  }
  return -EBUSY
}

function demotePage(k: Kernel, h: Hstate, head: Pfn): void {
  const target = must(
    k.hugetlb.hstates.find(other => other.order === h.demoteOrder),
    'no smaller huge pages to make of a page',
  )
  removeFreeHugePage(k, h, head)
  const parts = cutHugePage(k, h, head, target.order)
  for (let i = 0; i < parts; i++) {
    const part = asPfn(head + i * 2 ** target.order)
    vmemmapOptimize(k, target, part)
    prepNewHugePage(k, target, part)
    freeHugePage(k, part)
  }
  h.maxHugePages--
  target.maxHugePages += parts
}
