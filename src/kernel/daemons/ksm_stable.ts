/**
 * KSM's tree of merged pages: looking for one with the same bytes, and putting a new one in.
 *
 * A walk asks each record on its way for a page to compare with. A stale record goes when it is met, and the walk begins again at the
 * root, as the tree may have been turned: every new beginning costs a record, so walks end.
 *
 *     found with room for one more       that page
 *     found, but all full                none: the page waits for a partner in the unstable tree; the two then make a further dup
 *     not found                          none
 *
 * With a tree for each node, a merged page that was moved to another node leaves its tree for a list of its own when the scan meets one of
 * its users, and is put into the right tree, or joined with what is there, by this same search.
 *
 * Source: mm/ksm.c (stable_tree_search, stable_tree_insert, chain_prune, chain).
 */
import { COST, spend } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { pageContent, pageContentIndex, pageIndex, pageMapcount, pageSetOwner } from '../frames/page.ts'
import { IN_TREE, K_LEFT, K_PFN, K_RIGHT, KSM_WORDS, NODE, setState } from '../spaces/ksm_records.ts'
import { treeErase, treeInsert, treeReplace } from '../spaces/ksm_tree.ts'
import {
  addDup,
  addMigrated,
  anyDup,
  dupWithRoom,
  giveNode,
  hasRoom,
  inRightTree,
  isChain,
  isMigrated,
  ksmPage,
  makeChain,
  stableNodeOf,
  takeNode,
  treeNumber,
  unlinkNode,
} from './ksm_nodes.ts'

/** The order of pages by what they hold: below 0, 0 for the same bytes, above 0. */
export function comparePages(k: Kernel, a: Pfn, b: Pfn): number {
  spend(k, COST.ksm_compare, 1)
  const byClass = pageContent(k, a) - pageContent(k, b)
  return byClass !== 0 ? byClass : pageContentIndex(k, a) - pageContentIndex(k, b)
}

/** Walks a tree of merged pages down to the page's bytes; what it came to is in k.ksm.walk. */
function walkDown(k: Kernel, page: Pfn, tree: number, prune: boolean): void {
  while (!walkOnce(k, page, tree, prune)) {
    // A stale record went.
  }
}

/** Walks down once; false when a stale record was met. */
function walkOnce(k: Kernel, page: Pfn, tree: number, prune: boolean): boolean {
  const { walk, stableTrees, records } = k.ksm
  walk.parent = 0
  walk.side = K_LEFT
  walk.node = 0
  for (let at = stableTrees[tree].root; at !== 0; ) {
    const dup = dupWithRoom(k, at, prune)
    const chained = isChain(k, at)
    const some = dup === 0 ? anyDup(k, at) : dup
    if (some === 0) return false
    const treePage = ksmPage(k, some)
    if (treePage === NO_PAGE) return false
    walk.parent = chained ? at : some
    walk.dup = dup
    walk.some = some
    const order = comparePages(k, page, treePage)
    if (order === 0) {
      spend(k, COST.ksm_compare_whole, 1)
      walk.node = walk.parent
      return true
    }
    walk.side = order < 0 ? K_LEFT : K_RIGHT
    at = records.words[walk.parent * KSM_WORDS + walk.side]
  }
  return true
}

/**
 * The merged page that a page can be replaced by, the page itself when it is merged and stands well; NO_PAGE when there is none
 * (stable_tree_search).
 */
export function stableSearch(k: Kernel, page: Pfn): Pfn {
  const own = stableNodeOf(k, page)
  if (own !== 0 && !isMigrated(k, own)) return page
  const tree = treeNumber(k, page)
  walkDown(k, page, tree, true)
  const { node, dup, some, parent, side } = k.ksm.walk
  if (node === 0) return own === 0 ? NO_PAGE : placeMigrated(k, page, own, tree, parent, side)
  if (own !== 0 && pageMapcount(k, page) > 1) return appendMigrated(k, page, own, tree, node, dup === 0 ? some : dup)
  if (dup === 0) return NO_PAGE
  if (!inRightTree(k, dup)) return replaceMoved(k, page, own, tree, node, dup)
  return asPfn(k.ksm.records.words[dup * KSM_WORDS + K_PFN])
}

const ifRoom = (k: Kernel, page: Pfn, node: number): Pfn => (hasRoom(k, node) ? page : NO_PAGE)

/** Puts a merged page that was moved to this node into its tree. */
function placeMigrated(k: Kernel, page: Pfn, node: number, tree: number, parent: number, side: number): Pfn {
  const { ksm } = k
  unlinkNode(k, node)
  setState(ksm.records.words, node, NODE | IN_TREE, tree)
  treeInsert(ksm.stableTrees[tree], node, parent, side)
  return ifRoom(k, page, node)
}

/** Puts a merged page with several users that was moved to this node into the chain of those with the same bytes. */
function appendMigrated(k: Kernel, page: Pfn, own: number, tree: number, node: number, dup: number): Pfn {
  const chain = node === dup ? makeChain(k, dup) : node
  if (chain === 0) return NO_PAGE
  unlinkNode(k, own)
  addDup(k, own, chain, tree)
  return ifRoom(k, page, own)
}

/** The page found was moved to another node itself: it leaves the tree, and the page, if it is a merged one, takes its place. */
function replaceMoved(k: Kernel, page: Pfn, own: number, tree: number, node: number, moved: number): Pfn {
  const { ksm } = k
  const alone = node === moved
  if (own !== 0) unlinkNode(k, own)
  if (!alone) unlinkNode(k, moved)
  else if (own === 0) treeErase(ksm.stableTrees[tree], moved)
  else {
    treeReplace(ksm.stableTrees[tree], moved, own)
    setState(ksm.records.words, own, NODE | IN_TREE, tree)
  }
  if (!alone && own !== 0) addDup(k, own, node, tree)
  addMigrated(k, moved)
  return own === 0 ? NO_PAGE : ifRoom(k, page, own)
}

/** Makes a record of a page that has just become a merged one and puts it into the tree; 0 when there is no memory (stable_tree_insert). */
export function stableInsert(k: Kernel, page: Pfn): number {
  const { ksm } = k
  const tree = treeNumber(k, page)
  walkDown(k, page, tree, false)
  const { node, parent, side } = ksm.walk
  const fresh = takeNode(k)
  if (fresh === 0) return 0
  ksm.records.words[fresh * KSM_WORDS + K_PFN] = page
  pageSetOwner(k, page, fresh, pageIndex(k, page))
  if (node === 0) {
    setState(ksm.records.words, fresh, NODE | IN_TREE, tree)
    treeInsert(ksm.stableTrees[tree], fresh, parent, side)
    return fresh
  }
  const chain = isChain(k, node) ? node : makeChain(k, node)
  if (chain === 0) {
    pageSetOwner(k, page, 0, pageIndex(k, page))
    giveNode(k, fresh)
    return 0
  }
  addDup(k, fresh, chain, tree)
  return fresh
}

/** A merged page met by the scan that stands in another node's tree than its own: it leaves it for the list of moved ones. */
export function noticeMoved(k: Kernel, node: number): void {
  if (isMigrated(k, node) || inRightTree(k, node)) return
  unlinkNode(k, node)
  addMigrated(k, node)
}
