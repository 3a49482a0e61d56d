/**
 * Did that page have to go? An evicted page leaves a shadow, in its file or in the swap cache: how far its node's lists had aged by
 * then. When the page comes back, the distance aged since tells how much longer it would have had to stay.
 *
 *     age:   every eviction and every activation counts one page
 *     refault distance = age now - age in the shadow
 *     distance <= what its inactive list could have grown by: straight to the active list
 *         file page    active file pages, and while there is swap all anonymous ones
 *         anonymous    all file pages, and while there is swap the active anonymous ones
 *
 * A page that was on the active list before it was deactivated and evicted carries PG_workingset; its return is counted
 * as a restore, and as a cost of reclaiming pages of its kind.
 *
 * With memory cgroups the distance is that of the group for whose sake the page was evicted: the root, unless it was a group's
 * limit. A group ages with all groups below it.
 *
 * While generations are on (lru_gen.ts) a shadow bears instead the oldest generation of the page's own group at that time, and how
 * often the page had been accessed through files. If that generation is still the oldest when the page comes back, the eviction
 * was a mistake of the page's tier, which counts against the tier; a page that a fault brings back, or that had been accessed
 * as often as can be counted, starts as one accessed often.
 *
 * Source: mm/workingset.c (workingset_eviction, workingset_refault, pack_shadow, lru_gen_eviction, lru_gen_refault).
 */

import { NS } from '../base/counters.ts'
import { PG_active, PG_swapbacked, PG_workingset } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel, Lruvec } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'
import { MAX_NR_TIERS } from '../frames/generations.ts'
import { hasId, lruvecPageState, modLruvecState } from '../frames/memcg.ts'
import { memcgSwapPages } from '../frames/memcg_charge.ts'
import { compoundPages, pageMemcg, pageNode } from '../frames/page.ts'
import { ageNonresident, lruNoteCost, lruvecOf } from './lru.ts'
import { folioLruRefs, REFS_MAX, setRefsFull, tierOf, typeOf } from './lru_gen.ts'

const { workingset_refault_anon: REFAULT, workingset_activate_anon: ACTIVATE, workingset_restore_anon: RESTORE } = NS
const WORKINGSET_BIT = 1
const NODE_SHIFT = 1
const MEMCG_SHIFT = 4
/** Ages wrap here (EVICTION_MASK). */
const AGES = 2 ** 36
/** What a shadow's generation is multiplied with, to have room for accesses (LRU_REFS_WIDTH). */
const TOKEN_REFS = 4

/**
 * What the page's slot is to hold once it is evicted: workingset mark, node and memory cgroup, made negative.
 * @param memcg the group for whose sake it is evicted.
 */
export function shadowOf(k: Kernel, head: Pfn, memcg: number): number {
  if (k.lruGen.enabled) return pack(k, head, pageMemcg(k, head), folioLruRefs(k, head) > 0)
  return pack(k, head, memcg, (k.page[head * PAGE_WORDS] & PG_workingset) !== 0)
}

const pack = (k: Kernel, head: Pfn, memcg: number, workingset: boolean): number =>
  -1 - ((workingset ? WORKINGSET_BIT : 0) | (pageNode(k, head) << NODE_SHIFT) | (memcg << MEMCG_SHIFT))

/** Counts an eviction for a group's sake; returns the age to keep with the shadow (workingset_eviction). */
export function workingsetEviction(k: Kernel, head: Pfn, memcg: number): number {
  if (k.lruGen.enabled) return lruGenEviction(k, head)
  const { lruvecs } = k.nodes[pageNode(k, head)]
  const age = lruvecs[memcg].nonresidentAge
  ageNonresident(k, lruvecs[memcg], pageNode(k, head), compoundPages(k, head))
  return age
}

/** Counts an eviction from the page's tier; returns the oldest generation and the tier's accesses as one number. */
function lruGenEviction(k: Kernel, head: Pfn): number {
  const { gen } = lruvecOf(k, head)
  const type = typeOf(k, head)
  const refs = folioLruRefs(k, head)
  gen.evicted[type * MAX_NR_TIERS + tierOf(refs)] += compoundPages(k, head)
  return gen.minSeq[type] * TOKEN_REFS + Math.max(refs - 1, 0)
}

/** Counts the return of a page that should have stayed, if its generation is still the oldest (lru_gen_refault). */
function lruGenRefault(k: Kernel, head: Pfn, bits: number, token: number): void {
  if (evictionNode(bits) !== pageNode(k, head) || bits >> MEMCG_SHIFT !== pageMemcg(k, head)) return
  const { gen } = lruvecOf(k, head)
  const type = typeOf(k, head)
  if (Math.floor(token / TOKEN_REFS) !== gen.minSeq[type]) return
  const refs = (token % TOKEN_REFS) + (bits & WORKINGSET_BIT)
  const pages = compoundPages(k, head)
  gen.refaulted[type * MAX_NR_TIERS + tierOf(refs)] += pages
  modLruvecState(k, head, REFAULT + type, pages)
  if (!k.lruGen.inFault && refs < REFS_MAX) return
  setRefsFull(k, head)
  modLruvecState(k, head, RESTORE + type, pages)
}

const evictionNode = (bits: number): number => (bits >> NODE_SHIFT) & 7

/** The lists the page was evicted from, if that memory cgroup is still there. */
function evictionLruvec(k: Kernel, bits: number): Lruvec | undefined {
  const memcg = k.memcg.groups[bits >> MEMCG_SHIFT]
  return memcg === undefined || !hasId(memcg) ? undefined : k.nodes[evictionNode(bits)].lruvecs[memcg.id]
}

/** Pages by which the page's inactive list could have been longer. */
function workingsetSize(k: Kernel, evicted: Lruvec, memcg: number, file: boolean): number {
  let size = lruvecPageState(k, evicted, NS.nr_active_file)
  if (!file) size += lruvecPageState(k, evicted, NS.nr_inactive_file)
  if (memcgSwapPages(k, memcg, k.swap.freePages) <= 0) return size
  size += lruvecPageState(k, evicted, NS.nr_active_anon)
  return file ? size + lruvecPageState(k, evicted, NS.nr_inactive_anon) : size
}

/** Counts the return of a page and decides whether it starts on the active list (workingset_refault). */
export function workingsetRefault(k: Kernel, head: Pfn, shadow: number, age: number): void {
  const bits = -1 - shadow
  if (k.lruGen.enabled) return lruGenRefault(k, head, bits, age)
  const evicted = evictionLruvec(k, bits)
  if (evicted === undefined) return
  const lruvec = lruvecOf(k, head)
  const nid = pageNode(k, head)
  const file = (k.page[head * PAGE_WORDS] & PG_swapbacked) === 0
  const kind = file ? 1 : 0
  modLruvecState(k, head, REFAULT + kind, 1)
  const distance = evicted.nonresidentAge - age
  if ((distance < 0 ? distance + AGES : distance) > workingsetSize(k, evicted, lruvec.memcg, file)) return
  k.page[head * PAGE_WORDS] |= PG_active
  ageNonresident(k, lruvec, nid, 1)
  modLruvecState(k, head, ACTIVATE + kind, 1)
  if ((bits & WORKINGSET_BIT) === 0) return
  k.page[head * PAGE_WORDS] |= PG_workingset
  lruNoteCost(k, lruvec, nid, file, 1)
  modLruvecState(k, head, RESTORE + kind, 1)
}
