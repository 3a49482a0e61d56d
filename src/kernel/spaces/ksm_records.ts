/**
 * KSM's records: of every page it looks at, and of every page it merged.
 *
 *     word        a page looked at (struct ksm_rmap_item)     a merged page, or chain of them (struct ksm_stable_node)
 *     0 next      the next one up in its address space        first page record that uses it; of a chain its first dup
 *     1 owner     its address space's slot                    how many use it; CHAIN for a chain
 *     2 vpn       virtual page, low 32 bits                   page frame; of a chain when it was last pruned, in jiffies
 *     3 state     UNSTABLE with scan and tree, or STABLE;     NODE, where it stands, and in which tree
 *                 bits 32..35 of the virtual page on top
 *     4 checksum  of the bytes at the last look
 *     5 anon_vma  of the area, when merged                    of a dup its chain
 *     6 left      links in the unstable tree; once merged     links in the stable tree; of a dup or a migrated page
 *     7 right     next and previous user of the merged page,  next and previous in that list
 *     8 parent    and the merged page
 *
 * The records of one address space lie in one list in address order, as the scan passes them. A merged page (PG_ksm) names its record
 * as its owner; the record names the page frame. Neither holds the other: a record whose page no longer names it is stale.
 *
 * The mappings of a merged page are found through the records that use it: first at their own places, then at the same addresses in
 * address spaces forked from theirs since the scan was there.
 *
 * Source: mm/ksm.c (struct ksm_rmap_item, struct ksm_stable_node, rmap_walk_ksm, folio_migrate_ksm).
 */
import type { Kernel } from '../base/state.ts'
import type { KsmRecords } from '../base/state_ksm.ts'
import type { RmapEntry } from '../base/state_shared.ts'
import type { Pfn } from '../base/units.ts'
import { pageIndex, pageOwner } from '../frames/page.ts'

export const KSM_WORDS = 9
export const K_NEXT = 0
export const K_SLOT = 1
const K_VPN = 2
export const K_STATE = 3
export const K_CHECKSUM = 4
export const K_ANON_VMA = 5
export const K_LEFT = 6
export const K_RIGHT = 7
export const K_PARENT = 8

/** The same words of a merged page. */
export const K_FIRST = 0
export const K_USERS = 1
export const K_PFN = 2
export const K_CHAIN = 5

/** Bits of a page record's state: the scan that put it into the unstable tree, which tree, and what it is in. */
export const SEQNR_MASK = 0xff
export const UNSTABLE = 0x100
export const STABLE = 0x200
const TREE_SHIFT = 12
const TREE_MASK = 0x3f << TREE_SHIFT
const VPN_SHIFT = 28

/** Where a merged page's record stands, in its state's low bits: in a tree, in a chain, or in the list of migrated ones. */
export const IN_TREE = 0
export const IN_CHAIN = 1
export const IN_MIGRATED = 2
/** Marks a merged page's record; and what a chain says instead of its users (STABLE_NODE_CHAIN). */
export const NODE = 0x800
export const CHAIN = -1024

const FIRST_RECORDS = 256

export const ksmRecords = (): KsmRecords => ({ words: new Int32Array(FIRST_RECORDS * KSM_WORDS), count: 0, free: 0 })

/** A fresh record, all words 0. @returns its number. */
export function takeRecord(records: KsmRecords): number {
  const { free } = records
  if (free !== 0) {
    records.free = records.words[free * KSM_WORDS]
    records.words[free * KSM_WORDS] = 0
    return free
  }
  const record = ++records.count
  if ((record + 1) * KSM_WORDS > records.words.length) {
    const words = new Int32Array(records.words.length * 2)
    words.set(records.words)
    records.words = words
  }
  return record
}

export function giveRecord(records: KsmRecords, record: number): void {
  const at = record * KSM_WORDS
  records.words.fill(0, at, at + KSM_WORDS)
  records.words[at] = records.free
  records.free = record
}

/** Virtual page of a page's record. */
export const vpnOf = (words: Int32Array, item: number): number =>
  (words[item * KSM_WORDS + K_STATE] >>> VPN_SHIFT) * 4294967296 + (words[item * KSM_WORDS + K_VPN] >>> 0)

export function setVpn(words: Int32Array, item: number, vpn: number): void {
  words[item * KSM_WORDS + K_VPN] = vpn | 0
  words[item * KSM_WORDS + K_STATE] |= Math.floor(vpn / 4294967296) << VPN_SHIFT
}

/** What a record's state says beside its tree and address; and which tree that is. */
export const treeOf = (words: Int32Array, record: number): number => (words[record * KSM_WORDS + K_STATE] & TREE_MASK) >>> TREE_SHIFT
export function setState(words: Int32Array, record: number, state: number, tree: number): void {
  const at = record * KSM_WORDS + K_STATE
  words[at] = (words[at] & (0xf << VPN_SHIFT)) | state | (tree << TREE_SHIFT)
}

/** Where a merged page's record stands: IN_TREE, IN_CHAIN or IN_MIGRATED. */
export const standsIn = (words: Int32Array, node: number): number => words[node * KSM_WORDS + K_STATE] & 3

/** The address spaces and places where the merged page may be mapped, those with records first. */
export function ksmRmapEntries(k: Kernel, page: Pfn): RmapEntry[] {
  const { records, slotById } = k.ksm
  const { words } = records
  const node = pageOwner(k, page)
  const index = pageIndex(k, page)
  const own: RmapEntry[] = []
  const forked = new Map<string, RmapEntry>()
  if (node === 0) return own
  for (let item = words[node * KSM_WORDS + K_FIRST]; item !== 0; item = words[item * KSM_WORDS + K_LEFT]) {
    const id = slotById[words[item * KSM_WORDS + K_SLOT]]?.mm.id ?? 0
    const delta = vpnOf(words, item) - index
    own.push({ mm: id, delta, vmas: 1 })
    for (const { mm } of k.spaces.anonVmas.get(words[item * KSM_WORDS + K_ANON_VMA])?.rmap ?? [])
      if (mm !== id) forked.set(`${mm} ${delta}`, { mm, delta, vmas: 1 })
  }
  const known = new Set(own.map(({ mm, delta }) => `${mm} ${delta}`))
  return [...own, ...[...forked].filter(([key]) => !known.has(key)).map(([, entry]) => entry)]
}

/** A merged page has moved to the frame `to`, whose owner is copied already (folio_migrate_ksm). */
export function ksmPageMoved(k: Kernel, to: Pfn): void {
  const node = pageOwner(k, to)
  if (node !== 0) k.ksm.records.words[node * KSM_WORDS + K_PFN] = to
}
