/**
 * What KSM does with one page: look for its double among the merged pages, then among the others of this scan.
 *
 *     merged already and in its place                     nothing to do
 *     same bytes as a merged page with room               replaced by it
 *     other bytes than at the last look (checksum)        left alone: it changes too often
 *     zeros, and use_zero_pages                           replaced by the page of zeros, of which KSM keeps no account
 *     same bytes as another page of the unstable tree     the two become a merged page
 *     none of these                                       goes into the unstable tree
 *
 * The unstable tree is forgotten when a scan begins. Its pages may be written to while they are in it, so its order may be
 * wrong: a double is missed then, until the next scan.
 *
 * Source: mm/ksm.c (cmp_and_merge_page, unstable_tree_search_insert).
 */
import { COST, spend } from '../base/cost.ts'
import { PG_head } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import { NO_PAGE, type Pfn } from '../base/units.ts'
import { compoundHead, pageContent, pageContentIndex, pageNode, pageTest } from '../frames/page.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { K_CHECKSUM, K_LEFT, K_RIGHT, KSM_WORDS, SEQNR_MASK, setState, UNSTABLE, vpnOf } from '../spaces/ksm_records.ts'
import { treeInsert } from '../spaces/ksm_tree.ts'
import { areaOf, breakCow, mergeablePage, mergeOne, mergeTwo, mergeWith } from './ksm_merge.ts'
import { appendUser, isMigrated, leaveTree, stableNodeOf, treeNumber, usedNode } from './ksm_nodes.ts'
import { comparePages, noticeMoved, stableInsert, stableSearch } from './ksm_stable.ts'

/** A number that all pages with the same bytes share, and few others (calc_checksum); never 0, which a fresh record has. */
function checksum(content: number, index: number): number {
  let h = Math.imul(content + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca77)
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae3d)
  h ^= h >>> 13
  return h === 0 ? 1 : h
}

const ZERO_CHECKSUM = checksum(0, 0)

/** Looks at a page and its record (cmp_and_merge_page). */
export function compareAndMerge(k: Kernel, page: Pfn, item: number): void {
  const node = stableNodeOf(k, page)
  if (node !== 0) {
    noticeMoved(k, node)
    if (!isMigrated(k, node) && usedNode(k, item) === node) return
  }
  const found = stableSearch(k, page)
  if (found === page && usedNode(k, item) === node) return
  leaveTree(k, item)
  if (found !== NO_PAGE) {
    if (mergeWith(k, item, page, found)) appendUser(k, item, stableNodeOf(k, found))
    return
  }
  spend(k, COST.ksm_checksum, 1)
  const sum = checksum(pageContent(k, page), pageContentIndex(k, page))
  const at = item * KSM_WORDS + K_CHECKSUM
  if (k.ksm.records.words[at] !== sum) {
    k.ksm.records.words[at] = sum
    return
  }
  if (k.ksm.useZeroPages && sum === ZERO_CHECKSUM && becameZero(k, page, item)) return
  const other = findOrInsert(k, item, page)
  if (other !== 0) mergePair(k, item, page, other)
}

/** Whether the page was replaced by the page of zeros, or is no longer there to be. */
function becameZero(k: Kernel, page: Pfn, item: number): boolean {
  const vma = areaOf(k, item)
  return vma === undefined || mergeOne(k, vma, vpnOf(k.ksm.records.words, item), page, k.zeroPage)
}

/** The record of a page of this scan with the same bytes; 0 for none, the page's own record is in the tree then (unstable_tree_search_insert). */
function findOrInsert(k: Kernel, item: number, page: Pfn): number {
  const { ksm } = k
  const tree = treeNumber(k, page)
  const { words } = ksm.records
  let parent = 0
  let side = K_LEFT
  for (let at = ksm.unstableTrees[tree].root; at !== 0; at = words[at * KSM_WORDS + side]) {
    const treePage = mergeablePage(k, at)
    if (treePage === NO_PAGE || treePage === page) return 0
    const order = comparePages(k, page, treePage)
    if (order === 0) {
      spend(k, COST.ksm_compare_whole, 1)
      return !ksm.mergeAcrossNodes && pageNode(k, treePage) !== tree ? 0 : at
    }
    parent = at
    side = order < 0 ? K_LEFT : K_RIGHT
  }
  setState(words, item, UNSTABLE | (ksm.fullScans & SEQNR_MASK), tree)
  treeInsert(ksm.unstableTrees[tree], item, parent, side)
  ksm.pagesUnshared++
  return 0
}

/** Makes a merged page of two pages with the same bytes, and puts it into the tree. */
function mergePair(k: Kernel, item: number, page: Pfn, other: number): void {
  const otherPage = mergeablePage(k, other)
  if (mergeTwo(k, item, page, other, otherPage)) {
    const node = stableInsert(k, page)
    if (node === 0) {
      breakCow(k, other)
      breakCow(k, item)
      return
    }
    appendUser(k, other, node)
    appendUser(k, item, node)
    return
  }
  const head = compoundHead(k, page)
  if (pageTest(k, head, PG_head) && head === compoundHead(k, otherPage)) splitHugePage(k, head)
}
