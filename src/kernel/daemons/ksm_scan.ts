/**
 * KSM's scan: from page to page of all memory that asked for it, address space by address space.
 *
 *     slots   mm ── mm ── mm        in the order of registering; new ones join behind the scan
 *                    ^ address      the next page to look at there, and the record before it
 *
 * An address space's records lie in address order, so the scan passes pages and records side by side; records of pages that are no longer
 * there are dropped as it passes. An address space without any mergeable area, or that has ended, is struck off when
 * the scan comes to it. The end of the list is one full scan.
 *
 * Pages that wait in CPUs' batches cannot be merged, so every scan begins by working those off; and by forgetting the trees of candidates.
 *
 * Source: mm/ksm.c (scan_get_next_rmap_item, get_next_rmap_item, ksm_next_page_pmd_entry).
 */

import { kmemAlloc } from '../alloc/kmem.ts'
import { COST, COSTS, spend } from '../base/cost.ts'
import { __GFP_NORETRY, __GFP_NOWARN, GFP_KERNEL, PG_anon, PTE_PRESENT, PTE_SPECIAL, VM_MERGEABLE } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { KsmSlot } from '../base/state_ksm.ts'
import type { Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE, type Pfn } from '../base/units.ts'
import { kmemFree } from '../caches/slab.ts'
import { compoundHead } from '../frames/page.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import { K_LEFT, K_NEXT, K_SLOT, KSM_WORDS, setVpn, takeRecord, vpnOf } from '../spaces/ksm_records.ts'
import {
  chunkOf,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PAGES,
  LEVEL_PMD,
  LEVEL_PUD,
  levelIndex,
  mmRelease,
  pteTableOf,
  walkTo,
} from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PTE } from '../spaces/pt_lock.ts'
import { findVma } from '../spaces/vma.ts'
import { dropItem, dropItems, ksmPage } from './ksm_nodes.ts'

/**
 * The record of the next page to look at, which is then k.ksm.page; 0 at the end of a scan, and when there is no memory for a record
 * (scan_get_next_rmap_item).
 */
export function nextItem(k: Kernel): number {
  const { ksm } = k
  if (ksm.slots.length === 0) return 0
  if (ksm.at < 0) beginScan(k)
  while (ksm.at >= 0) {
    const slot = ksm.slots[ksm.at]
    const page = slot.mm.users === 0 ? NO_PAGE : nextPage(k, slot)
    if (page !== NO_PAGE) {
      spend(k, COST.ksm_page, 1)
      ksm.page = page
      const item = itemAt(k, slot)
      if (item === 0) return 0
      ksm.cursor = item
      ksm.address[0]++
      return item
    }
    leaveSlot(k, slot)
  }
  ksm.fullScans++
  return 0
}

function beginScan(k: Kernel): void {
  const { ksm } = k
  lruAddDrainAll(k)
  if (!ksm.mergeAcrossNodes) {
    for (let node = ksm.migrated; node !== 0; ) {
      const next = ksm.records.words[node * KSM_WORDS + K_LEFT]
      ksmPage(k, node)
      node = next
    }
  }
  for (const tree of ksm.unstableTrees) tree.root = 0
  ksm.at = 0
  ksm.address[0] = 0
  ksm.cursor = 0
}

/** The next anonymous page of a mergeable area from the scan's address on, to which the scan then moves; NO_PAGE for none. */
function nextPage(k: Kernel, { mm }: KsmSlot): Pfn {
  const { address } = k.ksm
  for (let vma = findVma(mm, address[0]); vma !== undefined; vma = findVma(mm, vma.end)) {
    if ((vma.flags & VM_MERGEABLE) === 0) continue
    if (address[0] < vma.start) address[0] = vma.start
    if (vma.anonVma === 0) address[0] = vma.end
    const page = nextPageOf(k, vma)
    if (page !== NO_PAGE) return page
  }
  return NO_PAGE
}

function nextPageOf(k: Kernel, vma: Vma): Pfn {
  const { address } = k.ksm
  while (address[0] < vma.end) {
    const key = Math.floor(address[0] / HPAGE_PMD_NR) | 0
    const table = pteTableOf(k, vma.mm, key)
    const page = table === 0 ? hugeAt(k, vma) : pageInTable(k, vma, table, key)
    if (page !== NO_PAGE) return page
  }
  return NO_PAGE
}

/** The next page of one table, or none and the scan behind the table. */
function pageInTable(k: Kernel, vma: Vma, table: number, key: number): Pfn {
  const { address } = k.ksm
  const first = (address[0] - key * HPAGE_PMD_NR) | 0
  const end = Math.min(HPAGE_PMD_NR, vma.end - key * HPAGE_PMD_NR) | 0
  const chunk = chunkOf(k, table)
  for (let i = first, at = entryAt(table, first); i < end; i++, at += 2) {
    if ((chunk[at + 1] & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT || !isAnon(k, chunk[at])) continue
    visited(k, vma, i - first + 1)
    address[0] = key * HPAGE_PMD_NR + i
    return asPfn(chunk[at])
  }
  visited(k, vma, end - first)
  address[0] = key * HPAGE_PMD_NR + end
  return NO_PAGE
}

function visited(k: Kernel, { mm }: Vma, entries: number): void {
  spend(k, COST.pte_visit, entries)
  holdPtLock(k, mm, LOCK_PTE, entries * COSTS.pte_visit)
}

const isAnon = (k: Kernel, pfn: number): boolean => (k.page[compoundHead(k, asPfn(pfn)) * PAGE_WORDS] & PG_anon) !== 0

/** The page that a huge entry maps at the scan's address, or none and the scan behind the entry or the hole. */
function hugeAt(k: Kernel, vma: Vma): Pfn {
  const { address } = k.ksm
  const at = address[0]
  const pmd = walkTo(k, vma.mm, at, LEVEL_PMD)
  if (pmd !== 0) {
    const i = levelIndex(at, LEVEL_PMD)
    const flags = entryFlags(k, pmd, i)
    const head = asPfn(entryValue(k, pmd, i))
    if (isHuge(flags) && (flags & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT && isAnon(k, head)) return asPfn(head + (at % HPAGE_PMD_NR))
  }
  const span = pmd !== 0 ? HPAGE_PMD_NR : LEVEL_PAGES[walkTo(k, vma.mm, at, LEVEL_PUD) === 0 ? 0 : 1]
  address[0] = Math.min(vma.end, at - (at % span) + span)
  return NO_PAGE
}

/** The record of the page that the scan is at: the one there, or a fresh one; those passed on the way are dropped (get_next_rmap_item). */
function itemAt(k: Kernel, slot: KsmSlot): number {
  const { ksm } = k
  const vpn = ksm.address[0]
  let item = following(k, slot)
  while (item !== 0) {
    const at = vpnOf(ksm.records.words, item)
    if (at === vpn) return item
    if (at > vpn) break
    const next = ksm.records.words[item * KSM_WORDS + K_NEXT]
    dropItem(k, item)
    link(k, slot, next)
    item = next
  }
  if (!kmemAlloc(k, 'ksm_rmap_item', 1, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)) return 0
  const fresh = takeRecord(ksm.records)
  const { words } = ksm.records
  words[fresh * KSM_WORDS + K_SLOT] = slot.id
  setVpn(words, fresh, vpn)
  words[fresh * KSM_WORDS + K_NEXT] = item
  link(k, slot, fresh)
  ksm.rmapItems++
  slot.mm.ksmRmapItems++
  return fresh
}

/** The record behind the scan's; and making one that. */
const following = (k: Kernel, slot: KsmSlot): number =>
  k.ksm.cursor === 0 ? slot.first : k.ksm.records.words[k.ksm.cursor * KSM_WORDS + K_NEXT]

function link(k: Kernel, slot: KsmSlot, item: number): void {
  if (k.ksm.cursor === 0) slot.first = item
  else k.ksm.records.words[k.ksm.cursor * KSM_WORDS + K_NEXT] = item
}

/** Goes on to the next address space; one that has ended, or has no mergeable area, is struck off. */
function leaveSlot(k: Kernel, slot: KsmSlot): void {
  const { ksm } = k
  if (slot.mm.users === 0) {
    ksm.address[0] = 0
    ksm.cursor = 0
  }
  dropItems(k, slot.id, ksm.cursor)
  if (ksm.address[0] === 0) {
    strikeOff(k, ksm.at)
    mmRelease(k, slot.mm)
  } else ksm.at++
  if (ksm.at >= ksm.slots.length) ksm.at = -1
  ksm.address[0] = 0
  ksm.cursor = 0
}

/** Takes the i-th address space, which has no records, off the list. */
export function strikeOff(k: Kernel, i: number): void {
  const { ksm } = k
  const [slot] = ksm.slots.splice(i, 1)
  ksm.slotById[slot.id] = undefined
  if (ksm.at > i) ksm.at--
  kmemFree(k, 'ksm_mm_slot', 1)
  slot.mm.mergeable = false
}
