/**
 * Recounts KSM: its counters against its records, the trees' shape and the order of the tree of merged pages, and that each record stands in one
 * place only.
 */
import { PG_ksm } from './base/flags.ts'
import { PAGE_WORDS } from './base/list.ts'
import type { Kernel } from './base/state.ts'
import type { KsmSlot } from './base/state_ksm.ts'
import { asPfn } from './base/units.ts'
import { pageContent, pageContentIndex, pageOwner } from './frames/page.ts'
import {
  CHAIN,
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
  SEQNR_MASK,
  STABLE,
  treeOf,
  UNSTABLE,
  vpnOf,
} from './spaces/ksm_records.ts'
import { treeRecords, verifyTree } from './spaces/ksm_tree.ts'

interface Found {
  readonly wrong: string[]
  shared: number
  sharing: number
  chains: number
  dups: number
  /** Users by record, as the merged pages list them. */
  readonly users: Set<number>
}

/** What does not add up in KSM's books, in words. */
export function verifyKsm(k: Kernel): string[] {
  const found: Found = { wrong: [], shared: 0, sharing: 0, chains: 0, dups: 0, users: new Set() }
  verifyStable(k, found)
  verifyItems(k, found)
  verifyUnstable(k, found.wrong)
  const { ksm } = k
  compare(found.wrong, 'pages_shared', ksm.pagesShared, found.shared)
  compare(found.wrong, 'pages_sharing', ksm.pagesSharing, found.sharing)
  compare(found.wrong, 'stable_node_chains', ksm.stableNodeChains, found.chains)
  compare(found.wrong, 'stable_node_dups', ksm.stableNodeDups, found.dups)
  return found.wrong
}

function compare(wrong: string[], name: string, says: number, is: number): void {
  if (says !== is) wrong.push(`KSM's ${name} says ${says}, ${is} are there`)
}

const word = (k: Kernel, record: number, w: number): number => k.ksm.records.words[record * KSM_WORDS + w]

function verifyStable(k: Kernel, found: Found): void {
  for (const tree of k.ksm.stableTrees) {
    found.wrong.push(...verifyTree(tree))
    let last = 0
    for (const node of treeRecords(tree)) {
      const page = verifyTreeNode(k, node, found)
      if (page !== 0 && last !== 0 && order(k, last, page) >= 0) found.wrong.push(`merged pages ${last} and ${page} are out of order`)
      if (page !== 0) last = page
    }
  }
  for (let node = k.ksm.migrated; node !== 0; node = word(k, node, K_LEFT)) verifyNode(k, node, found)
}

/** Counts a node of the tree, or a chain with its dups; returns a page of it that is merged still, or 0. */
function verifyTreeNode(k: Kernel, node: number, found: Found): number {
  if (word(k, node, K_USERS) !== CHAIN) return verifyNode(k, node, found)
  found.chains++
  let page = 0
  let before = 0
  for (let dup = word(k, node, K_FIRST); dup !== 0; dup = word(k, dup, K_LEFT)) {
    found.dups++
    if (word(k, dup, K_CHAIN) !== node || word(k, dup, K_RIGHT) !== before) found.wrong.push(`KSM record ${dup} is not in its chain`)
    const its = verifyNode(k, dup, found)
    if (its !== 0 && page !== 0 && order(k, its, page) !== 0) found.wrong.push(`merged pages ${page} and ${its} of one chain differ`)
    if (its !== 0) page = its
    before = dup
  }
  return page
}

function order(k: Kernel, a: number, b: number): number {
  const byClass = pageContent(k, asPfn(a)) - pageContent(k, asPfn(b))
  return byClass !== 0 ? byClass : pageContentIndex(k, asPfn(a)) - pageContentIndex(k, asPfn(b))
}

/** Counts a merged page and its users; returns the page if it still names the record, else 0. */
function verifyNode(k: Kernel, node: number, found: Found): number {
  let users = 0
  for (let item = word(k, node, K_FIRST); item !== 0; item = word(k, item, K_LEFT)) {
    users++
    found.users.add(item)
    if (word(k, item, K_PARENT) !== node || (word(k, item, K_STATE) & STABLE) === 0)
      found.wrong.push(`KSM record ${item} is listed by ${node} but does not use it`)
  }
  if (users !== word(k, node, K_USERS)) found.wrong.push(`KSM record ${node} has ${users} users, says ${word(k, node, K_USERS)}`)
  if (users > 0) found.shared++
  found.sharing += Math.max(0, users - 1)
  const page = asPfn(word(k, node, K_PFN))
  return (k.page[page * PAGE_WORDS] & PG_ksm) !== 0 && pageOwner(k, page) === node ? page : 0
}

/** Every address space's records: their order, and that what they say of themselves is so. */
function verifyItems(k: Kernel, found: Found): void {
  let items = 0
  let unshared = 0
  for (const slot of k.ksm.slots) {
    const seen = verifySlot(k, slot, found)
    items += seen.items
    unshared += seen.unshared
    if (slot.mm.ksmRmapItems !== seen.items)
      found.wrong.push(`mm ${slot.mm.id} has ${seen.items} KSM records, says ${slot.mm.ksmRmapItems}`)
    if (slot.mm.ksmMergingPages !== seen.stable)
      found.wrong.push(`mm ${slot.mm.id} uses ${seen.stable} merged pages, says ${slot.mm.ksmMergingPages}`)
    if (!slot.mm.mergeable) found.wrong.push(`mm ${slot.mm.id} is registered with KSM and does not say so`)
  }
  compare(found.wrong, 'records of pages', k.ksm.rmapItems, items)
  compare(found.wrong, 'pages_unshared', k.ksm.pagesUnshared, unshared)
}

function verifySlot(k: Kernel, slot: KsmSlot, found: Found): { items: number; unshared: number; stable: number } {
  const seen = { items: 0, unshared: 0, stable: 0 }
  let last = -1
  for (let item = slot.first; item !== 0; item = word(k, item, K_NEXT)) {
    const vpn = vpnOf(k.ksm.records.words, item)
    const state = word(k, item, K_STATE)
    seen.items++
    if ((state & UNSTABLE) !== 0) seen.unshared++
    if ((state & STABLE) !== 0) seen.stable++
    if (vpn <= last) found.wrong.push(`KSM record ${item} of page ${vpn} comes after that of ${last}`)
    if (word(k, item, K_SLOT) !== slot.id) found.wrong.push(`KSM record ${item} is in another address space's list`)
    if (((state & STABLE) !== 0) !== found.users.has(item)) found.wrong.push(`KSM record ${item} and its merged page disagree`)
    last = vpn
  }
  return seen
}

/** The trees of candidates, which mean something only during a scan. */
function verifyUnstable(k: Kernel, wrong: string[]): void {
  const { ksm } = k
  if (ksm.at < 0) return
  ksm.unstableTrees.forEach((tree, number) => {
    wrong.push(...verifyTree(tree))
    for (const item of treeRecords(tree)) {
      const state = word(k, item, K_STATE)
      const wanted = UNSTABLE | (ksm.fullScans & SEQNR_MASK)
      if ((state & (UNSTABLE | STABLE | SEQNR_MASK)) !== wanted || treeOf(ksm.records.words, item) !== number)
        wrong.push(`KSM record ${item} is in an unstable tree and does not say so`)
    }
  })
}
