/**
 * Pages as /proc/PID/pagemap, /proc/kpageflags and /proc/kpagecount show them: 64-bit words, here as pairs of 32-bit ones, the low first.
 *
 *     pagemap word   63 present   62 swapped   61 file or shared   57 uffd-wp   56 mapped once   55 soft-dirty
 *                    54..0 page frame, or for a swapped page its place in swap: area (5 bits) and offset above
 *
 * A virtual page without anything still reports bit 55 in an area that is soft-dirty as a whole. The pages of a huge entry all
 * say what its first page says. kpageflags copies a page's own flags, so the tails of a compound page show few; who is
 * asked is the head only where Linux asks it: anonymous, mapped, huge. Exclusive anonymous pages show MAPPEDTODISK, because
 * Linux keeps both in one bit.
 *
 * Memory that was never given to the allocator is RESERVED, as are holes in a section (128 MiB) that holds some memory; frames of other
 * sections are NOPAGE. OFFLINE is for balloons, of which this machine has none.
 *
 * Source: fs/proc/task_mmu.c (pte_to_pagemap_entry, pagemap_pmd_range, pagemap_hugetlb_range, pagemap_pte_hole), fs/proc/page.c
 * (stable_page_flags, kpagecount_read), include/linux/swapops.h.
 */
import {
  PG_active,
  PG_anon,
  PG_anon_exclusive,
  PG_dirty,
  PG_head,
  PG_hugetlb,
  PG_hwpoison,
  PG_idle,
  PG_ksm,
  PG_locked,
  PG_lru,
  PG_mappedtodisk,
  PG_mlocked,
  PG_private,
  PG_reclaim,
  PG_referenced,
  PG_reserved,
  PG_slab,
  PG_swapbacked,
  PG_swapcache,
  PG_table,
  PG_unevictable,
  PG_uptodate,
  PG_writeback,
  PTE_HUGE,
  PTE_MARKER,
  PTE_PRESENT,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_SWAP,
  PTE_SWAP_TYPE_SHIFT,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_SOFTDIRTY,
} from '../kernel/base/flags.ts'
import { PAGE_WORDS } from '../kernel/base/list.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Hstate } from '../kernel/base/state_huge.ts'
import type { Mm, Vma } from '../kernel/base/state_mm.ts'
import { asPfn, NO_PAGE, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, type Pfn } from '../kernel/base/units.ts'
import { freeBlockOf } from '../kernel/frames/buddy.ts'
import { compoundHead, pageMapcount, pageMapped, pageZone, pfnValid } from '../kernel/frames/page.ts'
import { moveUnderWay } from '../kernel/reclaim/migrate_window.ts'
import { entryFlags, entryValue, LEVEL_PMD, LEVEL_PUD, levelIndex, pteIndex, walkTo } from '../kernel/spaces/pagetable.ts'
import { findVma } from '../kernel/spaces/vma.ts'
import { walkPmds } from '../kernel/spaces/walk.ts'
import { hstateOfVma } from './pid/living.ts'

/** Bits of a pagemap word, as bits of its upper half. */
export const PM_PRESENT = 1 << 31
export const PM_SWAP = 1 << 30
export const PM_FILE = 1 << 29
export const PM_UFFD_WP = 1 << 25
export const PM_MMAP_EXCLUSIVE = 1 << 24
export const PM_SOFT_DIRTY = 1 << 23
/** The page frame's share of the upper half. */
const FRAME_HIGH = PM_SOFT_DIRTY - 1
const HALF = 2 ** 32

/** Bits of an area number in a swapped page's word; areas from 23 on stand for other things than swap. */
const SWAP_TYPE_BITS = 5
const SWP_MIGRATION_READ = 24
const SWP_MIGRATION_WRITE = 26
const SWP_PTE_MARKER = 31
const PTE_MARKER_UFFD_WP = 1

/** The page frame of a pagemap word. */
export const pagemapFrame = (low: number, high: number): number => (high & FRAME_HIGH) * HALF + (low >>> 0)

/** Where words go: pairs in `out`, the one of virtual page `first` at its start. */
interface Window {
  readonly out: Uint32Array
  readonly first: number
  readonly showFrames: boolean
}

function put(window: Window, vpn: number, flags: number, frame: number): void {
  const at = 2 * (vpn - window.first)
  const shown = window.showFrames ? frame : 0
  window.out[at] = shown % HALF
  window.out[at + 1] = (flags & ~FRAME_HIGH) | (Math.floor(shown / HALF) & FRAME_HIGH)
}

/**
 * The pagemap words of virtual pages [first, first + out.length / 2).
 * @param showFrames whether the reader may see page frames (CAP_SYS_ADMIN); otherwise they read 0.
 */
export function pagemapRead(k: Kernel, mm: Mm, first: number, out: Uint32Array, showFrames: boolean): void {
  const end = first + out.length / 2
  const window = { out, first, showFrames }
  out.fill(0)
  for (let vma = findVma(mm, first); vma !== undefined && vma.start < end; vma = findVma(mm, vma.end))
    readVma(k, vma, Math.max(first, vma.start), Math.min(end, vma.end), window)
}

function readVma(k: Kernel, vma: Vma, start: number, end: number, window: Window): void {
  const soft = (vma.flags & VM_SOFTDIRTY) !== 0 ? PM_SOFT_DIRTY : 0
  if (soft !== 0) for (let at = start; at < end; at++) put(window, at, soft, 0)
  const h = hstateOfVma(k, vma)
  if (h !== undefined) {
    readHugetlb(k, vma, h, start, end, soft, window)
    return
  }
  walkPmds(k, vma.mm, start, end, (pmd, i, from, to) => {
    const entry = entryFlags(k, pmd, i)
    if ((entry & PTE_TABLE) !== 0) readTable(k, entryValue(k, pmd, i), from, to, soft, window)
    else if ((entry & PTE_HUGE) !== 0) readHuge(k, asPfn(entryValue(k, pmd, i)), entry, from, to, soft, window)
  })
}

/** Bits that depend on the page: not anonymous, and mapped by one entry only. */
const pageBits = (k: Kernel, pfn: Pfn): number =>
  ((k.page[compoundHead(k, pfn) * PAGE_WORDS] & PG_anon) === 0 ? PM_FILE : 0) | (pageMapcount(k, pfn) === 1 ? PM_MMAP_EXCLUSIVE : 0)

const entryBits = (entry: number): number =>
  ((entry & PTE_SOFT_DIRTY) !== 0 ? PM_SOFT_DIRTY : 0) | ((entry & PTE_UFFD_WP) !== 0 ? PM_UFFD_WP : 0)

function readTable(k: Kernel, table: number, start: number, end: number, soft: number, window: Window): void {
  const moving = k.moves.byPage.size > 0
  for (let at = start, i = pteIndex(start); at < end; at++, i++) {
    const entry = entryFlags(k, table, i)
    const value = entryValue(k, table, i)
    const bits = soft | entryBits(entry)
    const move = moving && (entry & PTE_PRESENT) !== 0 ? moveUnderWay(k, asPfn(value)) : undefined
    if (move !== undefined) put(window, at, bits | PM_SWAP | (pageBits(k, asPfn(value)) & PM_FILE), migrationFrame(entry, move.from))
    else if ((entry & PTE_PRESENT) !== 0)
      put(window, at, bits | PM_PRESENT | ((entry & PTE_SPECIAL) !== 0 ? 0 : pageBits(k, asPfn(value))), value)
    else if ((entry & PTE_SWAP) !== 0) put(window, at, bits | PM_SWAP, swapFrame(entry >>> PTE_SWAP_TYPE_SHIFT, value >>> 0))
    else if ((entry & PTE_MARKER) !== 0) put(window, at, bits | PM_SWAP | PM_UFFD_WP, swapFrame(SWP_PTE_MARKER, PTE_MARKER_UFFD_WP))
  }
}

const swapFrame = (type: number, offset: number): number => type + offset * 2 ** SWAP_TYPE_BITS
const migrationFrame = (entry: number, pfn: number): number =>
  swapFrame((entry & PTE_RW) !== 0 ? SWP_MIGRATION_WRITE : SWP_MIGRATION_READ, pfn)

function readHuge(k: Kernel, head: Pfn, entry: number, start: number, end: number, soft: number, window: Window): void {
  const move = moveUnderWay(k, head)
  const page = move === undefined ? pageBits(k, head) : pageBits(k, head) & PM_FILE
  const bits = soft | entryBits(entry) | page | (move === undefined ? PM_PRESENT : PM_SWAP)
  for (let at = start, i = pteIndex(start); at < end; at++, i++)
    put(window, at, bits, move === undefined ? head + i : migrationFrame(entry, move.from + i))
}

/** Huge TLB pages have no soft-dirty mark of their own. */
function readHugetlb(k: Kernel, vma: Vma, h: Hstate, start: number, end: number, soft: number, window: Window): void {
  const pages = 2 ** h.order
  const level = h.gigantic ? LEVEL_PUD : LEVEL_PMD
  for (let at = start; at < end; ) {
    const base = at - ((at - vma.start) % pages)
    const next = Math.min(end, base + pages)
    const table = walkTo(k, vma.mm, base, level)
    const i = levelIndex(base, level)
    if (table !== 0 && (entryFlags(k, table, i) & PTE_PRESENT) !== 0) {
      const head = asPfn(entryValue(k, table, i))
      const bits = soft | PM_PRESENT | pageBits(k, head) | (entryBits(entryFlags(k, table, i)) & PM_UFFD_WP)
      for (let vpn = at; vpn < next; vpn++) put(window, vpn, bits, head + vpn - base)
    } else if (table !== 0 && (entryFlags(k, table, i) & PTE_MARKER) !== 0) {
      for (let vpn = at; vpn < next; vpn++) put(window, vpn, soft | PM_UFFD_WP, 0)
    }
    at = next
  }
}

// --- flags and counts of page frames

/** Names of kpageflags' bits; those from 32 on are shown to people who debug kernels. */
export const KPF_NAMES: readonly string[] = [
  ...[
    'LOCKED',
    'ERROR',
    'REFERENCED',
    'UPTODATE',
    'DIRTY',
    'LRU',
    'ACTIVE',
    'SLAB',
    'WRITEBACK',
    'RECLAIM',
    'BUDDY',
    'MMAP',
    'ANON',
    'SWAPCACHE',
  ],
  ...[
    'SWAPBACKED',
    'COMPOUND_HEAD',
    'COMPOUND_TAIL',
    'HUGE',
    'UNEVICTABLE',
    'HWPOISON',
    'NOPAGE',
    'KSM',
    'THP',
    'OFFLINE',
    'ZERO_PAGE',
    'IDLE',
  ],
  ...[
    'PGTABLE',
    '27',
    '28',
    '29',
    '30',
    '31',
    'RESERVED',
    'MLOCKED',
    'MAPPEDTODISK',
    'PRIVATE',
    'PRIVATE_2',
    'OWNER_PRIVATE',
    'ARCH',
    'UNCACHED',
  ],
  ...['SOFTDIRTY', 'ARCH_2'],
]

const bit = (name: string): number => 1 << (KPF_NAMES.indexOf(name) % 32)

/** Flags that are copied from the page itself: to the lower word and to the upper one. */
const COPIED_LOW: readonly (readonly [ours: number, theirs: number])[] = [
  [PG_locked, bit('LOCKED')],
  [PG_referenced, bit('REFERENCED')],
  [PG_uptodate, bit('UPTODATE')],
  [PG_dirty, bit('DIRTY')],
  [PG_lru, bit('LRU')],
  [PG_active, bit('ACTIVE')],
  [PG_writeback, bit('WRITEBACK')],
  [PG_reclaim, bit('RECLAIM')],
  [PG_swapbacked, bit('SWAPBACKED')],
  [PG_unevictable, bit('UNEVICTABLE')],
  [PG_hwpoison, bit('HWPOISON')],
]
const COPIED_HIGH: readonly (readonly [ours: number, theirs: number])[] = [
  [PG_reserved, bit('RESERVED')],
  [PG_mlocked, bit('MLOCKED')],
  [PG_mappedtodisk | PG_anon_exclusive, bit('MAPPEDTODISK')],
  [PG_private, bit('PRIVATE')],
  [PG_swapcache, bit('OWNER_PRIVATE')],
]

const copied = (flags: number, table: readonly (readonly [number, number])[]): number => {
  let all = 0
  for (const [ours, theirs] of table) if ((flags & ours) !== 0) all |= theirs
  return all
}

const [MMAP, ANON, KSM, SWAPCACHE, SLAB, BUDDY, PGTABLE, IDLE] = [
  'MMAP',
  'ANON',
  'KSM',
  'SWAPCACHE',
  'SLAB',
  'BUDDY',
  'PGTABLE',
  'IDLE',
].map(bit)
const [COMPOUND_HEAD, COMPOUND_TAIL, HUGE, THP, ZERO_PAGE] = ['COMPOUND_HEAD', 'COMPOUND_TAIL', 'HUGE', 'THP', 'ZERO_PAGE'].map(bit)
const NOPAGE = bit('NOPAGE')
const RESERVED = bit('RESERVED')
/** Pages of a section of memory. */
export const SECTION_PAGES = 2 ** 15

/** Page records in a page: those of a huge TLB page that lacks all but its first page of them repeat it. */
const RECORDS = 64

/** The word of kpageflags for a page frame, into out[at] (bits 0..31) and out[at + 1] (stable_page_flags). */
export function kpageflags(k: Kernel, pfn: number, out: Uint32Array, at = 0): void {
  const there = pfnValid(k, pfn) ? k.page[pfn * PAGE_WORDS] : 0
  if (there === 0 && (!isOnline(k, pfn) || !pfnValid(k, pfn))) {
    const online = isOnline(k, pfn)
    out[at] = online ? 0 : NOPAGE
    out[at + 1] = online ? RESERVED : 0
    return
  }
  const page = asPfn(pfn)
  const head = compoundHead(k, page)
  const own = k.hugetlb.vmemmap.optimized.has(head) ? k.page[(head + ((pfn - head) % RECORDS)) * PAGE_WORDS] : there
  const whole = k.page[head * PAGE_WORDS]
  const swapCached = (whole & (PG_swapcache | PG_swapbacked)) === (PG_swapcache | PG_swapbacked)
  out[at] =
    copied(own, COPIED_LOW) |
    mappedAs(k, head, whole) |
    compoundAs(k, page, head, whole) |
    (swapCached ? SWAPCACHE : 0) |
    ((whole & PG_slab) !== 0 ? SLAB : 0) |
    ((own & PG_table) !== 0 ? PGTABLE : 0) |
    ((whole & PG_idle) !== 0 ? IDLE : 0) |
    (freeBlockOf(k, pageZone(k, page), pfn) !== NO_PAGE ? BUDDY : 0)
  out[at + 1] = copied(own, COPIED_HIGH) | (own === 0 && isReserved(k, pfn) ? RESERVED : 0)
}

/** Whether the kernel keeps a record of the frame: its section holds memory, and is not offline (pfn_to_online_page). */
export const isOnline = (k: Kernel, pfn: number): boolean => k.memory.blocks.get(Math.floor(pfn / k.memory.blockPages))?.online === true

/** Whether boot kept the page, and has it still. */
function isReserved(k: Kernel, pfn: number): boolean {
  const { reserved } = k.boot
  if (k.hugetlb.vmemmap.released.get(pfn >>> PAGEBLOCK_ORDER)?.[pfn % PAGEBLOCK_PAGES] === 1) return false
  let low = 0
  let high = reserved.length
  while (low < high) {
    const mid = (low + high) >>> 1
    if (reserved[mid].end > pfn) high = mid
    else low = mid + 1
  }
  return low < reserved.length && reserved[low].start <= pfn
}

const mappedAs = (k: Kernel, head: Pfn, whole: number): number =>
  ((whole & (PG_slab | PG_table)) === 0 && pageMapped(k, head) ? MMAP : 0) |
  ((whole & PG_anon) !== 0 ? ANON : 0) |
  ((whole & PG_ksm) !== 0 ? KSM : 0)

function compoundAs(k: Kernel, page: Pfn, head: Pfn, whole: number): number {
  if ((whole & PG_head) === 0) return page === k.zeroPage ? ZERO_PAGE : 0
  const part = head === page ? COMPOUND_HEAD : COMPOUND_TAIL
  if ((whole & PG_hugetlb) !== 0) return part | HUGE
  if ((whole & (PG_lru | PG_anon)) !== 0) return part | THP
  return head === k.thp.hugeZeroPage ? part | THP | ZERO_PAGE : part
}

/** How often a page frame is mapped; kernel objects and page tables use the place of the count for other things and read 0. */
export function kpagecount(k: Kernel, pfn: number): number {
  if (!pfnValid(k, pfn)) return 0
  const page = asPfn(pfn)
  return (k.page[compoundHead(k, page) * PAGE_WORDS] & (PG_slab | PG_table)) !== 0 ? 0 : pageMapcount(k, page)
}
