/**
 * Balanced trees of KSM's records: red-black, linked by record numbers, ordered by whoever walks them down.
 *
 * The colours hang on the shape alone and not on what is compared. So a tree whose order is no longer true, because pages were written to
 * after they were put in, stays as flat as one in order, and records can be taken out without looking for them.
 *
 * A record's parent word holds its parent twice over, plus 1 when the record is red. Roots are black and have no parent.
 *
 * Source: lib/rbtree.c (rb_insert_color, rb_erase, rb_replace_node).
 */
import type { KsmTree } from '../base/state_ksm.ts'
import { K_LEFT, K_PARENT, K_RIGHT, KSM_WORDS } from './ksm_records.ts'

const parentOf = (words: Int32Array, n: number): number => words[n * KSM_WORDS + K_PARENT] >> 1
const isRed = (words: Int32Array, n: number): boolean => n !== 0 && (words[n * KSM_WORDS + K_PARENT] & 1) !== 0
const other = (side: number): number => K_LEFT + K_RIGHT - side

function setParent(words: Int32Array, n: number, parent: number): void {
  const at = n * KSM_WORDS + K_PARENT
  words[at] = (parent << 1) | (words[at] & 1)
}

function setRed(words: Int32Array, n: number, red: boolean): void {
  const at = n * KSM_WORDS + K_PARENT
  words[at] = (words[at] & ~1) | Number(red)
}

/** Hangs `fresh` (0: nothing) where `old` hangs now. */
function putInPlace(tree: KsmTree, old: number, fresh: number): void {
  const { words } = tree.records
  const parent = parentOf(words, old)
  if (parent === 0) tree.root = fresh
  else words[parent * KSM_WORDS + (words[parent * KSM_WORDS + K_LEFT] === old ? K_LEFT : K_RIGHT)] = fresh
  if (fresh !== 0) setParent(words, fresh, parent)
}

/** Lets a record sink to its `side`; the child on the other side comes up in its place. */
function rotate(tree: KsmTree, n: number, side: number): void {
  const { words } = tree.records
  const up = words[n * KSM_WORDS + other(side)]
  const inner = words[up * KSM_WORDS + side]
  putInPlace(tree, n, up)
  words[up * KSM_WORDS + side] = n
  setParent(words, n, up)
  words[n * KSM_WORDS + other(side)] = inner
  if (inner !== 0) setParent(words, inner, n)
}

/** Hangs a record below `parent` on its `side` (K_LEFT or K_RIGHT), or as the root of an empty tree when parent is 0. */
export function treeInsert(tree: KsmTree, record: number, parent: number, side: number): void {
  const { words } = tree.records
  words[record * KSM_WORDS + K_LEFT] = 0
  words[record * KSM_WORDS + K_RIGHT] = 0
  words[record * KSM_WORDS + K_PARENT] = (parent << 1) | 1
  if (parent === 0) tree.root = record
  else words[parent * KSM_WORDS + side] = record
  let n = record
  for (let p = parent; isRed(words, p); p = parentOf(words, n)) {
    const grand = parentOf(words, p)
    const near = words[grand * KSM_WORDS + K_LEFT] === p ? K_LEFT : K_RIGHT
    const uncle = words[grand * KSM_WORDS + other(near)]
    setRed(words, grand, true)
    if (isRed(words, uncle)) {
      setRed(words, uncle, false)
      setRed(words, p, false)
      n = grand
      continue
    }
    if (words[p * KSM_WORDS + other(near)] === n) {
      rotate(tree, p, near)
      n = p
    }
    setRed(words, parentOf(words, n), false)
    rotate(tree, grand, other(near))
    break
  }
  setRed(words, tree.root, false)
}

/** Takes a record out of its tree. */
export function treeErase(tree: KsmTree, record: number): void {
  const { words } = tree.records
  const left = words[record * KSM_WORDS + K_LEFT]
  const right = words[record * KSM_WORDS + K_RIGHT]
  if (left === 0 || right === 0) {
    const child = left === 0 ? right : left
    const parent = parentOf(words, record)
    const black = !isRed(words, record)
    putInPlace(tree, record, child)
    if (black) lengthen(tree, child, parent)
    return
  }
  let heir = right
  while (words[heir * KSM_WORDS + K_LEFT] !== 0) heir = words[heir * KSM_WORDS + K_LEFT]
  const child = words[heir * KSM_WORDS + K_RIGHT]
  const black = !isRed(words, heir)
  let parent = parentOf(words, heir)
  if (parent === record) parent = heir
  else {
    putInPlace(tree, heir, child)
    words[heir * KSM_WORDS + K_RIGHT] = right
    setParent(words, right, heir)
  }
  putInPlace(tree, record, heir)
  words[heir * KSM_WORDS + K_LEFT] = left
  setParent(words, left, heir)
  setRed(words, heir, isRed(words, record))
  if (black) lengthen(tree, child, parent)
}

/** The paths through `from`, a child of `above` or nothing, have one black record too few: makes it up. */
function lengthen(tree: KsmTree, from: number, above: number): void {
  const { words } = tree.records
  let n = from
  let parent = above
  while (parent !== 0 && !isRed(words, n)) {
    const side = words[parent * KSM_WORDS + K_LEFT] === n ? K_LEFT : K_RIGHT
    let sibling = words[parent * KSM_WORDS + other(side)]
    if (isRed(words, sibling)) {
      setRed(words, sibling, false)
      setRed(words, parent, true)
      rotate(tree, parent, side)
      sibling = words[parent * KSM_WORDS + other(side)]
    }
    const near = words[sibling * KSM_WORDS + side]
    const far = words[sibling * KSM_WORDS + other(side)]
    if (!isRed(words, near) && !isRed(words, far)) {
      setRed(words, sibling, true)
      n = parent
      parent = parentOf(words, n)
      continue
    }
    if (!isRed(words, far)) {
      setRed(words, near, false)
      setRed(words, sibling, true)
      rotate(tree, sibling, other(side))
      sibling = near
    }
    setRed(words, sibling, isRed(words, parent))
    setRed(words, parent, false)
    setRed(words, words[sibling * KSM_WORDS + other(side)], false)
    rotate(tree, parent, side)
    return
  }
  if (n !== 0) setRed(words, n, false)
}

/** Puts `fresh` exactly where `old` stands. */
export function treeReplace(tree: KsmTree, old: number, fresh: number): void {
  const { words } = tree.records
  const red = isRed(words, old)
  putInPlace(tree, old, fresh)
  setRed(words, fresh, red)
  if (parentOf(words, old) === 0) setParent(words, fresh, 0)
  for (const side of [K_LEFT, K_RIGHT]) {
    const child = words[old * KSM_WORDS + side]
    words[fresh * KSM_WORDS + side] = child
    if (child !== 0) setParent(words, child, fresh)
  }
}

/** Records of the tree, in order. */
export function* treeRecords(tree: KsmTree): Generator<number> {
  const { words } = tree.records
  let n = tree.root
  while (n !== 0 && words[n * KSM_WORDS + K_LEFT] !== 0) n = words[n * KSM_WORDS + K_LEFT]
  while (n !== 0) {
    yield n
    let up = words[n * KSM_WORDS + K_RIGHT]
    if (up !== 0) {
      while (words[up * KSM_WORDS + K_LEFT] !== 0) up = words[up * KSM_WORDS + K_LEFT]
      n = up
      continue
    }
    up = parentOf(words, n)
    while (up !== 0 && words[up * KSM_WORDS + K_RIGHT] === n) {
      n = up
      up = parentOf(words, n)
    }
    n = up
  }
}

/** What is not as a red-black tree should be, in words; for verify. */
export function verifyTree(tree: KsmTree): string[] {
  const wrong: string[] = []
  const depth = (n: number, parent: number): number => {
    if (n === 0) return 1
    const { words } = tree.records
    if (parentOf(words, n) !== parent) wrong.push(`KSM record ${n} hangs below ${parent}, says ${parentOf(words, n)}`)
    if (isRed(words, n) && isRed(words, parent)) wrong.push(`KSM record ${n} and its parent are red`)
    const left = depth(words[n * KSM_WORDS + K_LEFT], n)
    const right = depth(words[n * KSM_WORDS + K_RIGHT], n)
    if (left !== right) wrong.push(`KSM record ${n} has ${left} black records on its left and ${right} on its right`)
    return left + (isRed(words, n) ? 0 : 1)
  }
  const { root } = tree
  if (isRed(tree.records.words, root)) wrong.push('the root of a KSM tree is red')
  depth(root, 0)
  return wrong
}
