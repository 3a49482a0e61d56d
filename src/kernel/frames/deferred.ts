/**
 * The queue of huge pages of which some part is no longer mapped. Their unmapped pages stay allocated until the queue
 * is shrunk under memory pressure (thp_split.ts), for the owner may be about to unmap the rest anyway.
 *
 * Each node and memory cgroup has a queue. It threads through the second tails; that tail's owner word is 1 while the page is queued.
 *
 * Source: mm/huge_memory.c deferred_split_huge_page, free_transhuge_page.
 */
import { EV } from '../base/counters.ts'
import { PG_swapcache } from '../base/flags.ts'
import { listAddTail, listDelete, PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { asPfn, type Pfn } from '../base/units.ts'
import { markTailsTouched, pageMemcg, pageNode, W_OWNER } from './page.ts'

const queued = (k: Kernel, head: Pfn) => k.page[(head + 2) * PAGE_WORDS + W_OWNER] === 1

/** The queue of the page's node and memory cgroup. */
const queueOf = (k: Kernel, head: Pfn): number => k.nodes[pageNode(k, head)].lruvecs[pageMemcg(k, head)].deferredSplit

/** Queues a partly unmapped huge page; one that is queued already stays where it is. */
export function deferredSplitHugePage(k: Kernel, head: Pfn): void {
  if ((k.page[head * PAGE_WORDS] & PG_swapcache) !== 0 || queued(k, head)) return
  k.event[EV.thp_deferred_split_page]++
  markTailsTouched(k, head)
  k.page[(head + 2) * PAGE_WORDS + W_OWNER] = 1
  listAddTail(k.heads, k.page, queueOf(k, head), asPfn(head + 2))
}

/** Takes a huge page off the queue, if it is on it: it is split, freed or mapped whole again. */
export function deferredSplitRemove(k: Kernel, head: Pfn): void {
  if (!queued(k, head)) return
  k.page[(head + 2) * PAGE_WORDS + W_OWNER] = 0
  listDelete(k.heads, k.page, queueOf(k, head), asPfn(head + 2))
}
