/**
 * Did that page have to go? An evicted file page leaves a shadow: how far its node's lists had aged by then. When the
 * page comes back, the distance aged since tells how much longer it would have had to stay.
 *
 *     age:   every eviction and every activation counts one page
 *     refault distance = age now - age in the shadow
 *     distance <= active file pages (what the inactive list would have had to grow by): straight to the active list
 *
 * A page that was on the active list before it was deactivated and evicted carries PG_workingset; its return is counted
 * as a restore, and as a cost of reclaiming file pages.
 *
 * Anonymous pages join in with swap. Source: mm/workingset.c (workingset_eviction, workingset_refault, pack_shadow).
 */
import { NS } from '../base/counters.ts'
import { PG_active, PG_workingset } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'
import { compoundPages, pageMemcg, pageNode } from '../frames/page.ts'
import { LRU_ACTIVE_FILE, lruNoteCost, lruvecOf } from './lru.ts'

const { workingset_refault_file: REFAULT, workingset_activate_file: ACTIVATE, workingset_restore_file: RESTORE } = NS
const WORKINGSET_BIT = 1
const NODE_SHIFT = 1
const MEMCG_SHIFT = 4

/** What the page's slot is to hold once it is evicted: workingset mark, node and memory cgroup, made negative. */
export function shadowOf(k: Kernel, head: Pfn): number {
  const workingset = (k.page[head * PAGE_WORDS] & PG_workingset) !== 0 ? WORKINGSET_BIT : 0
  return -1 - (workingset | (pageNode(k, head) << NODE_SHIFT) | (pageMemcg(k, head) << MEMCG_SHIFT))
}

/** Counts an eviction; returns the age to keep with the shadow (workingset_eviction). */
export function workingsetEviction(k: Kernel, head: Pfn): number {
  const lruvec = lruvecOf(k, head)
  const age = lruvec.nonresidentAge
  lruvec.nonresidentAge += compoundPages(k, head)
  return age
}

/** The lists the evicted page was on, if its memory cgroup is still there. */
const evictionLruvec = (k: Kernel, bits: number): Lruvec | undefined => k.nodes[(bits >> NODE_SHIFT) & 7].lruvecs[bits >> MEMCG_SHIFT]

/** Counts the return of a page and decides whether it starts on the active list (workingset_refault). */
export function workingsetRefault(k: Kernel, head: Pfn, shadow: number, age: number): void {
  const bits = -1 - shadow
  const evicted = evictionLruvec(k, bits)
  if (evicted === undefined) return
  const lruvec = lruvecOf(k, head)
  const node = k.nodes[pageNode(k, head)]
  node.stat[REFAULT]++
  if (evicted.nonresidentAge - age > evicted.size[LRU_ACTIVE_FILE]) return
  k.page[head * PAGE_WORDS] |= PG_active
  lruvec.nonresidentAge++
  node.stat[ACTIVATE]++
  if ((bits & WORKINGSET_BIT) === 0) return
  k.page[head * PAGE_WORDS] |= PG_workingset
  lruNoteCost(lruvec, true, 1)
  node.stat[RESTORE]++
}
