/**
 * Recounts what transparent huge pages keep beside the pages themselves:
 *
 *     page of zeros   held by each address space that mapped it, and once for itself
 *     split queues    huge anonymous pages of their node, each marked as queued, no other marked so
 *     files           nr_shmem_hugepages is the number of huge pages in memory files
 *     khugepaged      its list of address spaces, and where it stands in it
 */
import { NS } from './base/counters.ts'
import { PG_anon, PG_buddy, PG_head, PG_hugetlb, PG_swapbacked } from './base/flags.ts'
import { listFirst, listNext, PAGE_WORDS } from './base/list.ts'
import type { Kernel, Node } from './base/state.ts'
import { asPfn, HPAGE_PMD_NR, HPAGE_PMD_ORDER, NO_PAGE, type Pfn } from './base/units.ts'
import { compoundOrder, pageMemcg, pageNode, pageOwner, W_OWNER } from './frames/page.ts'

/** Everything that does not add up, in words; empty for a sound machine. */
export function verifyThp(k: Kernel): string[] {
  const wrong: string[] = []
  verifyZeroPage(k, wrong)
  verifyHugePages(k, wrong)
  verifyKhugepaged(k, wrong)
  return wrong
}

function verifyZeroPage(k: Kernel, wrong: string[]): void {
  const { hugeZeroPage, hugeZeroUsers } = k.thp
  const mms = [...k.spaces.mms.values()].filter(mm => mm.hugeZeroPage).length
  const users = hugeZeroPage === NO_PAGE ? 0 : mms + 1
  if (mms > 0 && hugeZeroPage === NO_PAGE) wrong.push(`${mms} address spaces hold a huge page of zeros that is not there`)
  if (users !== hugeZeroUsers) wrong.push(`the huge page of zeros has ${users} users, counts ${hugeZeroUsers}`)
}

function verifyHugePages(k: Kernel, wrong: string[]): void {
  const queued = k.nodes.map(node => verifyQueue(k, node, wrong))
  const marked = k.nodes.map(() => 0)
  const shmem = k.nodes.map(() => 0)
  for (let pfn = 0; pfn < k.maxPfn; pfn += HPAGE_PMD_NR) {
    const head = asPfn(pfn)
    if (!isHugePage(k, head) || head === k.thp.hugeZeroPage) continue
    const flags = k.page[pfn * PAGE_WORDS]
    if ((flags & (PG_anon | PG_swapbacked)) === PG_swapbacked && pageOwner(k, head) !== 0) shmem[pageNode(k, head)]++
    if (k.page[(pfn + 2) * PAGE_WORDS + W_OWNER] === 1) marked[pageNode(k, head)]++
  }
  for (const { id, stat } of k.nodes) {
    if (queued[id] !== marked[id]) wrong.push(`node ${id}: ${queued[id]} huge pages wait to be split, ${marked[id]} say so`)
    if (shmem[id] * HPAGE_PMD_NR !== stat[NS.nr_shmem_hugepages])
      wrong.push(`node ${id}: ${shmem[id]} huge pages in memory files, ${stat[NS.nr_shmem_hugepages]} small ones counted`)
  }
}

function isHugePage(k: Kernel, head: Pfn): boolean {
  return (k.page[head * PAGE_WORDS] & (PG_head | PG_hugetlb | PG_buddy)) === PG_head && compoundOrder(k, head) === HPAGE_PMD_ORDER
}

/** @returns the pages that wait to be split. */
function verifyQueue(k: Kernel, node: Node, wrong: string[]): number {
  let n = 0
  for (const { memcg, deferredSplit } of node.lruvecs)
    for (let at = listFirst(k.heads, deferredSplit); at !== 0; at = listNext(k.page, at)) {
      const head = asPfn(at - 2)
      n++
      const sound = isHugePage(k, head) && (k.page[head * PAGE_WORDS] & PG_anon) !== 0
      if (!sound || pageNode(k, head) !== node.id || pageMemcg(k, head) !== memcg)
        wrong.push(`node ${node.id}: page ${head} waits to be split and is no huge anonymous page of the node`)
    }
  return n
}

function verifyKhugepaged(k: Kernel, wrong: string[]): void {
  const { mms, at, pteMapped } = k.khugepaged
  if (new Set(mms).size !== mms.length) wrong.push('khugepaged has an address space twice')
  if (at < -1 || at >= mms.length) wrong.push(`khugepaged stands in address space ${at} of ${mms.length}`)
  for (const mm of k.spaces.mms.values())
    if (mm.khugepaged !== mms.includes(mm)) wrong.push(`mm ${mm.id} and khugepaged do not agree on whether it is registered`)
  for (const mm of mms) if (!k.spaces.mms.has(mm.id)) wrong.push(`khugepaged has mm ${mm.id}, which is gone`)
  for (const id of pteMapped.keys())
    if (!mms.some(mm => mm.id === id)) wrong.push(`khugepaged has ranges of mm ${id}, which it does not have`)
}
