/**
 * What pages hold. Pages have no bytes here: a page's content is a class (what kind of bytes, of whom) and the index
 * of the page within it, in the content words of its record. Two pages hold the same bytes exactly when both are
 * equal, which is what KSM, zswap, zram and the `check` op need to know.
 *
 *     zero            all zeros: class 0, so fresh records need no writing
 *     const:N perproc one 64-bit word repeated
 *     page            pseudo-random, a function of the index alone
 *     unique comp:P   pseudo-random in whole or in P % of the page, a function of process, region, seed and index
 *     file            what is on disk in a file
 *     swap_header     the first page of a swap area
 *     patched         another class with single bytes of value 1 written over it
 *
 * Indices that do not matter (zero, const, perproc) are kept as 0, so equality needs no special case.
 */
import { assert } from './assert.ts'
import type { ContentClass, ContentTable } from './state.ts'

/** Content class 0. */
export const ZERO_CONTENT = 0
/** Classes that fit into a page record. */
const MAX_CLASSES = 1 << 20

export function contentTable(): ContentTable {
  const zero: ContentClass = { kind: 'zero', key: 'zero', incompressible: 0, sameFilled: true }
  return { classes: [zero], byKey: new Map([['zero', 0]]), patches: new Map(), lastPatch: -1, lastPatched: 0, compressed: new Map() }
}

/** The number of a class, made on first use. */
export function internContent(table: ContentTable, content: ContentClass): number {
  const key = content.key
  const known = table.byKey.get(key)
  if (known !== undefined) return known
  const id = table.classes.length
  assert(id < MAX_CLASSES, 'more kinds of page content than a page record can name')
  table.classes.push(content)
  table.byKey.set(key, id)
  return id
}

/**
 * The class of a page of class `before` after byte `offset` (0..4095) was set to 1. Writing a byte twice changes
 * nothing the second time.
 */
export function patchContent(table: ContentTable, before: number, offset: number): number {
  const memo = before * 4096 + offset
  if (memo === table.lastPatch) return table.lastPatched
  const known = table.patches.get(memo)
  const after = known ?? patched(table, before, offset)
  if (known === undefined) table.patches.set(memo, after)
  table.lastPatch = memo
  table.lastPatched = after
  return after
}

function patched(table: ContentTable, before: number, offset: number): number {
  const base = table.classes[before]
  const [stem, bytes] = base.kind === 'patched' ? splitPatch(base.key) : [base.key, []]
  if (bytes.includes(offset)) return before
  const all = [...bytes, offset].sort((a, b) => a - b)
  return internContent(table, { kind: 'patched', key: `${stem}+${all.join(',')}`, incompressible: base.incompressible, sameFilled: false })
}

/** The class that a patched one was made from, by key, and the bytes that were written. */
export function splitPatch(key: string): [string, number[]] {
  const plus = key.lastIndexOf('+')
  return [
    key.slice(0, plus),
    key
      .slice(plus + 1)
      .split(',')
      .map(Number),
  ]
}

/** Whether the index of a page tells its bytes from those of others of its class. */
export function isIndexed(content: ContentClass): boolean {
  return content.kind !== 'zero' && content.kind !== 'const' && content.kind !== 'perproc' && !/^(zero|const|perproc)/.test(content.key)
}
