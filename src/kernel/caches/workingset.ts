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
 * With memory cgroups the distance is that of the group for whose sake the page was evicted: the root, unless it was a group's
 * limit. A group ages with all groups below it.
 *
 * Anonymous pages join in with swap. Source: mm/workingset.c (workingset_eviction, workingset_refault, pack_shadow).
 */
import { NS } from '../base/counters.ts'
import { PG_active, PG_workingset } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'
import { hasId, lruvecState, modLruvecState } from '../frames/memcg.ts'
import { compoundPages, pageNode } from '../frames/page.ts'
import { ageNonresident, lruNoteCost, lruvecOf } from './lru.ts'

const { workingset_refault_file: REFAULT, workingset_activate_file: ACTIVATE, workingset_restore_file: RESTORE } = NS
const WORKINGSET_BIT = 1
const NODE_SHIFT = 1
const MEMCG_SHIFT = 4

/**
 * What the page's slot is to hold once it is evicted: workingset mark, node and memory cgroup, made negative.
 * @param memcg the group for whose sake it is evicted.
 */
export function shadowOf(k: Kernel, head: Pfn, memcg: number): number {
  const workingset = (k.page[head * PAGE_WORDS] & PG_workingset) !== 0 ? WORKINGSET_BIT : 0
  return -1 - (workingset | (pageNode(k, head) << NODE_SHIFT) | (memcg << MEMCG_SHIFT))
}

/** Counts an eviction for a group's sake; returns the age to keep with the shadow (workingset_eviction). */
export function workingsetEviction(k: Kernel, head: Pfn, memcg: number): number {
  const { lruvecs } = k.nodes[pageNode(k, head)]
  const age = lruvecs[memcg].nonresidentAge
  ageNonresident(k, lruvecs[memcg], pageNode(k, head), compoundPages(k, head))
  return age
}

const evictionNode = (bits: number): number => (bits >> NODE_SHIFT) & 7

/** The lists the page was evicted from, if that memory cgroup is still there. */
function evictionLruvec(k: Kernel, bits: number): Lruvec | undefined {
  const memcg = k.memcg.groups[bits >> MEMCG_SHIFT]
  return memcg === undefined || !hasId(memcg) ? undefined : k.nodes[evictionNode(bits)].lruvecs[memcg.id]
}

/** Counts the return of a page and decides whether it starts on the active list (workingset_refault). */
export function workingsetRefault(k: Kernel, head: Pfn, shadow: number, age: number): void {
  const bits = -1 - shadow
  const evicted = evictionLruvec(k, bits)
  if (evicted === undefined) return
  const lruvec = lruvecOf(k, head)
  const nid = pageNode(k, head)
  modLruvecState(k, head, REFAULT, 1)
  if (evicted.nonresidentAge - age > lruvecState(k, evicted, evictionNode(bits), NS.nr_active_file)) return
  k.page[head * PAGE_WORDS] |= PG_active
  ageNonresident(k, lruvec, nid, 1)
  modLruvecState(k, head, ACTIVATE, 1)
  if ((bits & WORKINGSET_BIT) === 0) return
  k.page[head * PAGE_WORDS] |= PG_workingset
  lruNoteCost(k, lruvec, nid, true, 1)
  modLruvecState(k, head, RESTORE, 1)
}
