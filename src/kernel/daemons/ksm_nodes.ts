/**
 * KSM's merged pages and who uses them: records that come and go with them, and the chains of those that hold the same bytes.
 *
 *     tree of merged pages        ┌── node ── user ── user ── user
 *       node ─┬─ node             │
 *             └─ chain ── dup ── dup ── dup        at most max_page_sharing users each; the first is asked first
 *
 * Nobody tells KSM when a merged page is freed or written to. It finds out when it meets the record the next time: the page frame no
 * longer names the record, so the record goes and its users with it. The same for users: an entry that was written to or unmapped is counted
 * as sharing until the scan comes by. So the counters lag, as the kernel's do.
 *
 * Source: mm/ksm.c (get_ksm_page, remove_node_from_stable_tree, remove_rmap_item_from_tree, stable_node_dup).
 */
import { kmemAlloc } from '../alloc/kmem.ts'
import { fail } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { __GFP_HIGH, GFP_KERNEL, PG_ksm } from '../base/flags.ts'
import { jiffies, millisecsToJiffies } from '../base/jiffies.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { kmemFree } from '../caches/slab.ts'
import { pageNode, pageOwner } from '../frames/page.ts'
import {
  CHAIN,
  giveRecord,
  IN_CHAIN,
  IN_MIGRATED,
  IN_TREE,
  K_ANON_VMA,
  K_CHAIN,
  K_FIRST,
  K_LEFT,
  K_NEXT,
  K_PARENT,
  K_PFN,
  K_RIGHT,
  K_SLOT,
  K_STATE,
  K_USERS,
  KSM_WORDS,
  NODE,
  SEQNR_MASK,
  STABLE,
  setState,
  standsIn,
  takeRecord,
  treeOf,
  UNSTABLE,
} from '../spaces/ksm_records.ts'
import { treeErase, treeReplace } from '../spaces/ksm_tree.ts'

const word = (k: Kernel, record: number, w: number): number => k.ksm.records.words[record * KSM_WORDS + w]
function setWord(k: Kernel, record: number, w: number, value: number): void {
  k.ksm.records.words[record * KSM_WORDS + w] = value
}

/** Which tree a page belongs in: its node's, or the one for all (get_kpfn_nid). */
export const treeNumber = (k: Kernel, page: Pfn): number => (k.ksm.mergeAcrossNodes ? 0 : pageNode(k, page))

/** Whether the record of a merged page still stands in the tree its page belongs in. */
export const inRightTree = (k: Kernel, node: number): boolean =>
  treeNumber(k, asPfn(word(k, node, K_PFN))) === treeOf(k.ksm.records.words, node)

export const isChain = (k: Kernel, node: number): boolean => word(k, node, K_USERS) === CHAIN
export const isMigrated = (k: Kernel, node: number): boolean => standsIn(k.ksm.records.words, node) === IN_MIGRATED

/** The record of a merged page; 0 for any other, and for one that was merged and has no record (page_stable_node). */
export const stableNodeOf = (k: Kernel, page: Pfn): number => ((k.page[page * PAGE_WORDS] & PG_ksm) !== 0 ? pageOwner(k, page) : 0)

/** Whether the merged page may have one more user, or `more` beyond that (is_page_sharing_candidate). */
export function hasRoom(k: Kernel, node: number, more = 0): boolean {
  const users = word(k, node, K_USERS)
  return users > 0 && users + more < k.ksm.maxPageSharing
}

/** A record for a merged page or a chain, 0 when there is no memory (alloc_stable_node). */
export function takeNode(k: Kernel): number {
  if (!kmemAlloc(k, 'ksm_stable_node', 1, GFP_KERNEL | __GFP_HIGH)) return 0
  const node = takeRecord(k.ksm.records)
  setWord(k, node, K_STATE, NODE)
  return node
}

export function giveNode(k: Kernel, node: number): void {
  giveRecord(k.ksm.records, node)
  kmemFree(k, 'ksm_stable_node', 1)
}

// --- users

/** One more user of a merged page (stable_tree_append). */
export function appendUser(k: Kernel, item: number, node: number): void {
  const { ksm } = k
  const first = word(k, node, K_FIRST)
  setState(ksm.records.words, item, STABLE, 0)
  setWord(k, item, K_LEFT, first)
  setWord(k, item, K_RIGHT, 0)
  setWord(k, item, K_PARENT, node)
  if (first !== 0) setWord(k, first, K_RIGHT, item)
  setWord(k, node, K_FIRST, item)
  setWord(k, node, K_USERS, word(k, node, K_USERS) + 1)
  if (first !== 0) ksm.pagesSharing++
  else ksm.pagesShared++
  slotMm(k, item).ksmMergingPages++
}

const slotMm = (k: Kernel, item: number) => {
  const slot = k.ksm.slotById[word(k, item, K_SLOT)]
  return slot === undefined ? fail(`KSM record ${item} belongs to no address space`) : slot.mm
}

/** The merged page that the record uses, or 0. */
export const usedNode = (k: Kernel, item: number): number => ((word(k, item, K_STATE) & STABLE) !== 0 ? word(k, item, K_PARENT) : 0)

/** Takes a page's record out of the tree, or off the merged page, that it is in (remove_rmap_item_from_tree). */
export function leaveTree(k: Kernel, item: number): void {
  const state = word(k, item, K_STATE)
  if ((state & STABLE) !== 0) {
    const node = word(k, item, K_PARENT)
    if (ksmPage(k, node) !== NO_PAGE) leaveNode(k, item, node)
  } else if ((state & UNSTABLE) !== 0) {
    const { ksm } = k
    if (((ksm.fullScans - state) & SEQNR_MASK) === 0) treeErase(ksm.unstableTrees[treeOf(ksm.records.words, item)], item)
    ksm.pagesUnshared--
    setState(ksm.records.words, item, 0, 0)
  }
}

function leaveNode(k: Kernel, item: number, node: number): void {
  const { ksm } = k
  const next = word(k, item, K_LEFT)
  const prev = word(k, item, K_RIGHT)
  if (prev === 0) setWord(k, node, K_FIRST, next)
  else setWord(k, prev, K_LEFT, next)
  if (next !== 0) setWord(k, next, K_RIGHT, prev)
  if (word(k, node, K_FIRST) !== 0) ksm.pagesSharing--
  else ksm.pagesShared--
  setWord(k, node, K_USERS, word(k, node, K_USERS) - 1)
  forgetUser(k, item)
}

function forgetUser(k: Kernel, item: number): void {
  slotMm(k, item).ksmMergingPages--
  setWord(k, item, K_ANON_VMA, 0)
  setWord(k, item, K_PARENT, 0)
  setState(k.ksm.records.words, item, 0, 0)
}

/** Drops the records that follow `cursor` (0: all) in an address space (remove_trailing_rmap_items). */
export function dropItems(k: Kernel, slotId: number, cursor: number): void {
  const slot = k.ksm.slotById[slotId]
  if (slot === undefined) return
  for (let item = cursor === 0 ? slot.first : word(k, cursor, K_NEXT); item !== 0; ) {
    const next = word(k, item, K_NEXT)
    dropItem(k, item)
    item = next
  }
  if (cursor === 0) slot.first = 0
  else setWord(k, cursor, K_NEXT, 0)
}

/** Frees one record; the caller takes it out of its address space's list (free_rmap_item). */
export function dropItem(k: Kernel, item: number): void {
  leaveTree(k, item)
  slotMm(k, item).ksmRmapItems--
  k.ksm.rmapItems--
  giveRecord(k.ksm.records, item)
  kmemFree(k, 'ksm_rmap_item', 1)
}

// --- merged pages

/** The page of a record, which still names it; else the record is stale, goes, and the answer is NO_PAGE (get_ksm_page). */
export function ksmPage(k: Kernel, node: number): Pfn {
  const page = asPfn(word(k, node, K_PFN))
  if (stableNodeOf(k, page) === node) return page
  removeNode(k, node)
  return NO_PAGE
}

/** Drops the record of a merged page that is gone, with all its users (remove_node_from_stable_tree). */
export function removeNode(k: Kernel, node: number): void {
  const { ksm } = k
  for (let item = word(k, node, K_FIRST); item !== 0; ) {
    const next = word(k, item, K_LEFT)
    if (next !== 0) ksm.pagesSharing--
    else ksm.pagesShared--
    forgetUser(k, item)
    item = next
  }
  unlinkNode(k, node)
  giveNode(k, node)
}

/** Takes a merged page's record out of where it stands. */
export function unlinkNode(k: Kernel, node: number): void {
  const { ksm } = k
  const stands = standsIn(ksm.records.words, node)
  if (stands === IN_TREE) treeErase(ksm.stableTrees[treeOf(ksm.records.words, node)], node)
  else unlinkListed(k, node, stands === IN_CHAIN ? word(k, node, K_CHAIN) : 0)
  if (stands === IN_CHAIN) ksm.stableNodeDups--
}

/** Takes a record out of a chain, or of the list of migrated pages (chain 0). */
function unlinkListed(k: Kernel, node: number, chain: number): void {
  const next = word(k, node, K_LEFT)
  const prev = word(k, node, K_RIGHT)
  if (next !== 0) setWord(k, next, K_RIGHT, prev)
  if (prev !== 0) setWord(k, prev, K_LEFT, next)
  else if (chain !== 0) setWord(k, chain, K_FIRST, next)
  else k.ksm.migrated = next
}

/** Puts a record that stands nowhere at the head of the list of those whose page moved to another node. */
export function addMigrated(k: Kernel, node: number): void {
  const { ksm } = k
  setState(ksm.records.words, node, NODE | IN_MIGRATED, 0)
  linkFirst(k, node, ksm.migrated)
  ksm.migrated = node
}

function linkFirst(k: Kernel, node: number, first: number): void {
  setWord(k, node, K_LEFT, first)
  setWord(k, node, K_RIGHT, 0)
  if (first !== 0) setWord(k, first, K_RIGHT, node)
}

// --- chains

/** Puts a merged page that stands nowhere at the head of a chain (stable_node_chain_add_dup). */
export function addDup(k: Kernel, node: number, chain: number, tree: number): void {
  const { ksm } = k
  setState(ksm.records.words, node, NODE | IN_CHAIN, tree)
  setWord(k, node, K_CHAIN, chain)
  linkFirst(k, node, word(k, chain, K_FIRST))
  setWord(k, chain, K_FIRST, node)
  ksm.stableNodeDups++
}

/** Makes a chain in the place of a merged page, which becomes its first dup; 0 when there is no memory (alloc_stable_node_chain). */
export function makeChain(k: Kernel, node: number): number {
  const { ksm } = k
  const chain = takeNode(k)
  if (chain === 0) return 0
  const tree = treeOf(ksm.records.words, node)
  setState(ksm.records.words, chain, NODE | IN_TREE, tree)
  setWord(k, chain, K_USERS, CHAIN)
  setWord(k, chain, K_PFN, jiffies(k) | 0)
  ksm.stableNodeChains++
  treeReplace(ksm.stableTrees[tree], node, chain)
  addDup(k, node, chain, tree)
  return chain
}

/** Takes a chain that has become empty out of its tree (free_stable_node_chain). */
export function dropChain(k: Kernel, chain: number): void {
  const { ksm } = k
  treeErase(ksm.stableTrees[treeOf(ksm.records.words, chain)], chain)
  giveNode(k, chain)
  ksm.stableNodeChains--
}

/** Any merged page of a record in the tree: itself, or a chain's first; an empty chain goes, and the answer is 0 (stable_node_dup_any). */
export function anyDup(k: Kernel, node: number): number {
  if (!isChain(k, node)) return node
  const first = word(k, node, K_FIRST)
  if (first === 0) dropChain(k, node)
  return first
}

/**
 * The merged page of a record in the tree that has room for one more user, 0 when none has (stable_node_dup). A walk with `prune` looks through
 * chains that are due from end to end: stale members go, the fullest with room is taken, and a chain of one is none.
 * The found page then is the record in the tree.
 */
export function dupWithRoom(k: Kernel, node: number, prune: boolean): number {
  if (!isChain(k, node)) return hasRoom(k, node) ? node : 0
  const due = prune && isDue(k, node)
  let found = 0
  let live = 0
  for (let dup = word(k, node, K_FIRST); dup !== 0; ) {
    const next = word(k, dup, K_LEFT)
    spend(k, COST.ksm_page, 1)
    if (ksmPage(k, dup) !== NO_PAGE) {
      live++
      if (hasRoom(k, dup) && (found === 0 || word(k, dup, K_USERS) > word(k, found, K_USERS))) found = dup
      if (found !== 0 && !due) break
    }
    dup = next
  }
  if (found === 0) return 0
  if (due && live === 1) dissolveChain(k, node, found)
  else if (word(k, node, K_FIRST) !== found && hasRoom(k, found, 1)) moveToHead(k, found, node)
  return found
}

/** Whether the chain has not been looked through for long enough; if so it counts as looked through now. */
function isDue(k: Kernel, chain: number): boolean {
  const ticks = (jiffies(k) - word(k, chain, K_PFN)) | 0
  if (ticks < millisecsToJiffies(k.ksm.stableNodeChainsPruneMillisecs)) return false
  setWord(k, chain, K_PFN, jiffies(k) | 0)
  return true
}

function dissolveChain(k: Kernel, chain: number, last: number): void {
  const { ksm } = k
  const tree = treeOf(ksm.records.words, chain)
  treeReplace(ksm.stableTrees[tree], chain, last)
  setState(ksm.records.words, last, NODE | IN_TREE, tree)
  setWord(k, last, K_CHAIN, 0)
  giveNode(k, chain)
  ksm.stableNodeChains--
  ksm.stableNodeDups--
}

function moveToHead(k: Kernel, dup: number, chain: number): void {
  unlinkListed(k, dup, chain)
  linkFirst(k, dup, word(k, chain, K_FIRST))
  setWord(k, chain, K_FIRST, dup)
}
