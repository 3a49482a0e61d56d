/**
 * Four levels of page tables, as x86-64 has them.
 *
 *     virtual page number   | pgd 9 bits | pud 9 | pmd 9 | pte 9 |
 *     mm.pgd ──> table ──> table ──> table ──> entries for 512 pages (2 MiB)
 *                                      └─ or one huge entry for them
 *
 * A table is 512 entries of two words in a pool; each occupies a page of the simulated machine, which whoever adds a
 * table hands in. nr_page_table_pages counts the two lower levels, as the kernel does.
 *
 * A huge entry keeps a spare table for the time it is split (the deposited table), like Linux: the spare is
 * allocated and counted, so a process with huge pages has no fewer page-table pages than one without.
 *
 * Invariants: an empty entry is two zero words; `used` counts the others; a table is freed only when empty.
 *
 * Source: mm/memory.c (__pte_alloc, free_pgd_range), arch/x86/mm/pgtable.c.
 */

import { assert, must } from '../base/assert.ts'
import { COST, spendOnPages } from '../base/cost.ts'
import { NS } from '../base/counters.ts'
import { PG_table, PTE_TABLE } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, PageTables } from '../base/state_mm.ts'
import { asPfn, PAGE_SIZE, type Pfn, PTRS_PER_TABLE } from '../base/units.ts'
import { gatherTable } from '../caches/gather.ts'
import { modLruvecState } from '../frames/memcg.ts'
import { OWED, owe } from '../frames/owed.ts'
import { pageSet } from '../frames/page.ts'
import { freePages } from '../frames/rmqueue.ts'

const TABLES_SHIFT = 6
const TABLES_MASK = (1 << TABLES_SHIFT) - 1
const TABLE_WORDS = PTRS_PER_TABLE * 2
const NR_PAGE_TABLE_PAGES = NS.nr_page_table_pages

/** Levels from the top: the pgd's entries point to puds, a pmd's to ptes. */
export const LEVEL_PGD = 0
export const LEVEL_PUD = 1
export const LEVEL_PMD = 2
export const LEVEL_PTE = 3

/** Pages that one entry of a level covers. */
export const LEVEL_PAGES = [2 ** 27, 2 ** 18, 512, 1] as const

export const pageTables = (): PageTables => ({ chunks: [], pfn: new Int32Array(64), used: new Int32Array(64), free: [], count: 1 })

/** Chunk of words that holds a table, and the position of entry `i` in it. */
export const chunkOf = (k: Kernel, table: number): Int32Array => k.spaces.tables.chunks[table >>> TABLES_SHIFT]
export const entryAt = (table: number, i: number): number => ((table & TABLES_MASK) << 10) + (i << 1)

export const entryValue = (k: Kernel, table: number, i: number): number => chunkOf(k, table)[entryAt(table, i)]
export const entryFlags = (k: Kernel, table: number, i: number): number => chunkOf(k, table)[entryAt(table, i) + 1]

/** Writes an entry, keeping count of the table's entries in use. */
export function setEntry(k: Kernel, table: number, i: number, value: number, flags: number): void {
  const chunk = chunkOf(k, table)
  const at = entryAt(table, i)
  if (chunk[at + 1] === 0) {
    if (flags !== 0) k.spaces.tables.used[table]++
  } else if (flags === 0) k.spaces.tables.used[table]--
  chunk[at] = value
  chunk[at + 1] = flags
}

export const clearEntry = (k: Kernel, table: number, i: number) => setEntry(k, table, i, 0, 0)

/** A fresh table in the page `pfn`, not yet linked anywhere. */
export function tableAllocate(k: Kernel, pfn: Pfn): number {
  const tables = k.spaces.tables
  const table = tables.free.pop() ?? tables.count++
  if (table >= tables.pfn.length) {
    tables.pfn = grown(tables.pfn)
    tables.used = grown(tables.used)
  }
  const chunk = table >>> TABLES_SHIFT
  if (chunk >= tables.chunks.length) tables.chunks.push(new Int32Array(TABLE_WORDS << TABLES_SHIFT))
  tables.pfn[table] = pfn
  tables.used[table] = 0
  pageSet(k, pfn, PG_table)
  spendOnPages(k, COST.clear_page, pfn, 1)
  return table
}

function grown(from: Int32Array): Int32Array {
  const to = new Int32Array(from.length * 2)
  to.set(from)
  return to
}

/** Gives a table's number and its 2^order pages back; it must be empty. */
export const tableFree = (k: Kernel, table: number, order = 0): void => freePages(k, tableForget(k, table), order)

/** Gives a table's number back. @returns its page, which is to be freed. */
function tableForget(k: Kernel, table: number): Pfn {
  const tables = k.spaces.tables
  assert(tables.used[table] === 0, `page table ${table} is freed with ${tables.used[table]} entries in use`)
  const pfn = asPfn(tables.pfn[table])
  tables.pfn[table] = 0
  tables.free.push(table)
  return pfn
}

/** A top table has a twin for page-table isolation, whether that is used or not (PGD_ALLOCATION_ORDER). */
export const PGD_ORDER = 1

/** The last who held the emptied address space lets it go, its top table with it (__mmdrop). */
function mmDrop(k: Kernel, mm: Mm): void {
  tableFree(k, mm.pgd, PGD_ORDER)
  k.spaces.mms.delete(mm.id)
  owe(k, mm.payer, OWED.space, -1)
}

/** The same once nobody uses the address space and no daemon stands in it. */
export function mmRelease(k: Kernel, mm: Mm): void {
  if (mm.users === 0 && !mm.khugepaged && !mm.mergeable) mmDrop(k, mm)
}

/** Counts a page-table page of a level for its mm and node, or takes it off the count. */
export function countTable(k: Kernel, mm: Mm, level: number, table: number, by: 1 | -1): void {
  mm.pgtablesBytes += by * PAGE_SIZE
  if (level >= LEVEL_PMD) modLruvecState(k, asPfn(k.spaces.tables.pfn[table]), NR_PAGE_TABLE_PAGES, by)
}

/** Index into the table of a level for a virtual page. */
export function levelIndex(vpn: number, level: number): number {
  const entry = Math.floor(vpn / LEVEL_PAGES[level])
  return entry - Math.floor(entry / 512) * 512
}

/** Index in the PTE table. Written without `%`, which is a slow call for numbers beyond 32 bits. */
export const pteIndex = (vpn: number): number => vpn - Math.floor(vpn / 512) * 512

/**
 * The table of the given level that covers the page, or 0 when it, or one above it, is missing (or a huge entry
 * stands in its place).
 */
export function walkTo(k: Kernel, mm: Mm, vpn: number, level: number): number {
  let table = mm.pgd
  for (let l = 0; l < level; l++) {
    const i = levelIndex(vpn, l)
    if ((entryFlags(k, table, i) & PTE_TABLE) === 0) return 0
    table = entryValue(k, table, i)
  }
  return table
}

/** The PTE table that covers the page, or 0. Neighbouring pages are found without walking. */
export const pteTable = (k: Kernel, mm: Mm, vpn: number): number => pteTableOf(k, mm, Math.floor(vpn / 512) | 0)

/** The same by the number of the 2 MiB range, a small integer; callers on hot paths compare mm.walkKey themselves. */
export function pteTableOf(k: Kernel, mm: Mm, key: number): number {
  if (mm.walkKey === key) return mm.walkTable
  const table = walkTo(k, mm, key * 512, LEVEL_PTE)
  if (table !== 0) {
    mm.walkKey = key
    mm.walkTable = table
  }
  return table
}

/** Forgets the last walk: to be called when a table is unlinked or replaced. */
export function forgetWalk(mm: Mm): void {
  mm.walkKey = -1
  mm.walkTable = 0
}

/** Sets a table aside for the day the huge entry in `pmd` is split (pgtable_trans_huge_deposit). */
export function depositTable(k: Kernel, pmd: number, table: number): void {
  const spare = k.spaces.deposits.get(pmd)
  if (spare === undefined) k.spaces.deposits.set(pmd, [table])
  else spare.push(table)
}

/** Takes a spare table of `pmd` back. */
export function withdrawTable(k: Kernel, pmd: number): number {
  const spare = must(k.spaces.deposits.get(pmd), 'a huge entry has no spare table')
  const table = must(spare.pop(), 'a huge entry has no spare table')
  if (spare.length === 0) k.spaces.deposits.delete(pmd)
  return table
}

/** The highest level whose table is missing on the way to `level`, or -1 when nothing is missing. */
export function missingLevel(k: Kernel, mm: Mm, vpn: number, level: number): number {
  let table = mm.pgd
  for (let l = 0; l < level; l++) {
    const i = levelIndex(vpn, l)
    if ((entryFlags(k, table, i) & PTE_TABLE) === 0) return l + 1
    table = entryValue(k, table, i)
  }
  return -1
}

/** Links a new table, in page `pfn`, as the one of `level` that covers the page; the entry above must be empty. */
export function linkTable(k: Kernel, mm: Mm, vpn: number, level: number, pfn: Pfn): number {
  const parent = walkTo(k, mm, vpn, level - 1)
  const i = levelIndex(vpn, level - 1)
  assert(parent !== 0 && entryFlags(k, parent, i) === 0, 'a page table is linked where something stands')
  const table = tableAllocate(k, pfn)
  setEntry(k, parent, i, table, PTE_TABLE)
  countTable(k, mm, level, table, 1)
  return table
}

/**
 * Gathers the tables that cover only pages in [floor, ceiling) on behalf of a removed area [start, end) (free_pgd_range).
 * floor is the end of the area below, ceiling the start of the one above: a table that also covers those stays.
 */
export function freePgtables(k: Kernel, mm: Mm, start: number, end: number, floor: number, ceiling: number): void {
  freeBelow(k, mm, mm.pgd, LEVEL_PGD, start, end, floor, ceiling)
  forgetWalk(mm)
}

function freeBelow(k: Kernel, mm: Mm, table: number, level: number, start: number, end: number, floor: number, ceiling: number): void {
  const span = LEVEL_PAGES[level]
  for (let at = start - (start % span); at < end; at += span) {
    const i = levelIndex(at, level)
    const flags = entryFlags(k, table, i)
    if ((flags & PTE_TABLE) === 0) continue
    const lower = entryValue(k, table, i)
    if (level + 1 < LEVEL_PTE) freeBelow(k, mm, lower, level + 1, Math.max(start, at), Math.min(end, at + span), floor, ceiling)
    if (at < floor || at + span > ceiling) continue
    clearEntry(k, table, i)
    countTable(k, mm, level + 1, lower, -1)
    gatherTable(k, tableForget(k, lower))
  }
}
