/**
 * /proc/PID/smaps and smaps_rollup: what each area, or all of them, have in memory.
 *
 * A page that n processes map counts in full towards Rss and as 1/n towards Pss, which is kept in 4096ths of a byte so
 * that the fractions add up. Whether a page is shared, it says itself by its mapcount; whether dirty, its entry or the page.
 * A huge entry is looked at once for its 512 pages, unless some of them are mapped singly too and so are shared unevenly.
 *
 * A page in swap counts as 1/n where n entries name its slot; of memory files, pages in swap count without that.
 *
 * Source: fs/proc/task_mmu.c (smaps_account, smaps_page_accumulate, smaps_pte_range, smaps_hugetlb_range, show_smap,
 * show_smaps_rollup, show_smap_vma_flags).
 */
import {
  PG_anon,
  PG_dirty,
  PG_referenced,
  PG_swapbacked,
  PG_young,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_HWPOISON,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_SWAP,
  PTE_TABLE,
  VM_LOCKED,
  VM_SHARED,
  VM_UFFD_MINOR,
  VM_WRITE,
} from '../../kernel/base/flags.ts'
import { PAGE_WORDS } from '../../kernel/base/list.ts'
import type { Kernel } from '../../kernel/base/state.ts'
import type { Mapping } from '../../kernel/base/state_fs.ts'
import type { Hstate } from '../../kernel/base/state_huge.ts'
import type { Vma } from '../../kernel/base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, PAGE_KB, type Pfn } from '../../kernel/base/units.ts'
import { isShmem } from '../../kernel/caches/filemap.ts'
import { shmemEntry } from '../../kernel/caches/shmem_entries.ts'
import { pteToSwap, swapCount } from '../../kernel/caches/swap_map.ts'
import { hugepageVmaCheck } from '../../kernel/fault/huge_memory_check.ts'
import { compoundHead, compoundMapcount, pageMapcount, tailPtes } from '../../kernel/frames/page.ts'
import { moveUnderWay } from '../../kernel/reclaim/migrate_window.ts'
import { isSharedTable } from '../../kernel/spaces/hugetlb.ts'
import {
  chunkOf,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PMD,
  LEVEL_PUD,
  levelIndex,
  pteIndex,
  pteTable,
  walkTo,
} from '../../kernel/spaces/pagetable.ts'
import { eachVma, protectionKey } from '../../kernel/spaces/vma.ts'
import { walkPmds } from '../../kernel/spaces/walk.ts'
import { column } from '../format.ts'
import { hstateOfVma, type Living } from './living.ts'
import { headerPrefix, mapLine, named } from './maps.ts'

/** Pages, but for the proportional figures: those in 4096ths of a byte. */
interface MemSizeStats {
  resident: number
  sharedClean: number
  sharedDirty: number
  privateClean: number
  privateDirty: number
  referenced: number
  anonymous: number
  lazyfree: number
  anonymousThp: number
  shmemThp: number
  fileThp: number
  sharedHugetlb: number
  privateHugetlb: number
  pss: number
  pssAnon: number
  pssFile: number
  pssShmem: number
  pssDirty: number
  pssLocked: number
  swap: number
  pssSwap: number
}

/** One page in 4096ths of a byte. */
const PSS_PAGE = 2 ** 24
/** 4096ths of a byte in a kilobyte. */
const PSS_KB = 2 ** 22

const emptyStats = (): MemSizeStats => ({
  resident: 0,
  sharedClean: 0,
  sharedDirty: 0,
  privateClean: 0,
  privateDirty: 0,
  referenced: 0,
  anonymous: 0,
  lazyfree: 0,
  anonymousThp: 0,
  shmemThp: 0,
  fileThp: 0,
  sharedHugetlb: 0,
  privateHugetlb: 0,
  pss: 0,
  pssAnon: 0,
  pssFile: 0,
  pssShmem: 0,
  pssDirty: 0,
  pssLocked: 0,
  swap: 0,
  pssSwap: 0,
})

/** `n` pages of one kind that `mapcount` entries map each. */
function accumulate(stats: MemSizeStats, n: number, mapcount: number, headFlags: number, dirty: boolean, locked: boolean): void {
  const pss = n * (mapcount >= 2 ? Math.floor(PSS_PAGE / mapcount) : PSS_PAGE)
  stats.pss += pss
  if ((headFlags & PG_anon) !== 0) stats.pssAnon += pss
  else if ((headFlags & PG_swapbacked) !== 0) stats.pssShmem += pss
  else stats.pssFile += pss
  if (locked) stats.pssLocked += pss
  if (dirty || (headFlags & PG_dirty) !== 0) {
    stats.pssDirty += pss
    if (mapcount < 2) stats.privateDirty += n
    else stats.sharedDirty += n
  } else if (mapcount < 2) stats.privateClean += n
  else stats.sharedClean += n
}

/** What depends only on the size and the kind of page: `n` pages of the compound page whose head has these flags. */
function countKind(stats: MemSizeStats, n: number, headFlags: number, entry: number): void {
  stats.resident += n
  if ((headFlags & PG_anon) !== 0) {
    stats.anonymous += n
    if ((headFlags & (PG_swapbacked | PG_dirty)) === 0 && (entry & PTE_DIRTY) === 0) stats.lazyfree += n
  }
  if ((entry & PTE_ACCESSED) !== 0 || (headFlags & (PG_young | PG_referenced)) !== 0) stats.referenced += n
}

function smapsTable(k: Kernel, vma: Vma, table: number, first: number, n: number, stats: MemSizeStats): void {
  const locked = (vma.flags & VM_LOCKED) !== 0
  const moving = k.moves.byPage.size > 0
  const chunk = chunkOf(k, table)
  const base = entryAt(table, first)
  for (let at = base; at < base + 2 * n; at += 2) {
    const entry = chunk[at + 1]
    if ((entry & PTE_SWAP) !== 0) countSwapped(k, pteToSwap(chunk[at], entry), stats)
    if ((entry & (PTE_PRESENT | PTE_HWPOISON)) === 0 || (entry & PTE_SPECIAL) !== 0) continue
    const pfn = asPfn(chunk[at])
    const present = (entry & PTE_PRESENT) !== 0 && (!moving || moveUnderWay(k, pfn) === undefined)
    const headFlags = k.page[compoundHead(k, pfn) * PAGE_WORDS]
    countKind(stats, 1, headFlags, present ? entry : 0)
    accumulate(stats, 1, present ? pageMapcount(k, pfn) : 1, headFlags, present && (entry & PTE_DIRTY) !== 0, locked)
  }
}

/** A page in swap, shared by all who name its slot. */
function countSwapped(k: Kernel, entry: number, stats: MemSizeStats): void {
  stats.swap++
  stats.pssSwap += Math.floor(PSS_PAGE / Math.max(1, swapCount(k, entry)))
}

/**
 * Pages of a memory file that are in swap: all of the file's or its part's, and for a private mapping only where this process has
 * nothing of its own.
 */
function shmemSwapped(k: Kernel, vma: Vma, mapping: Mapping): number {
  if (mapping.inode.swapped === 0) return 0
  const own = (vma.flags & (VM_SHARED | VM_WRITE)) === VM_WRITE
  let swapped = 0
  for (let vpn = vma.start; vpn < vma.end; vpn++) {
    if (shmemEntry(mapping, vma.pgoff + vpn - vma.start) === 0) continue
    const table = own ? pteTable(k, vma.mm, vpn) : 0
    if (table === 0 || entryFlags(k, table, pteIndex(vpn)) === 0) swapped++
  }
  return swapped
}

function smapsHuge(k: Kernel, vma: Vma, head: Pfn, entry: number, stats: MemSizeStats): void {
  const locked = (vma.flags & VM_LOCKED) !== 0
  if ((entry & PTE_SPECIAL) !== 0) return
  const headFlags = k.page[head * PAGE_WORDS]
  const dirty = (entry & PTE_DIRTY) !== 0
  if ((headFlags & PG_anon) !== 0) stats.anonymousThp += HPAGE_PMD_NR
  else if ((headFlags & PG_swapbacked) !== 0) stats.shmemThp += HPAGE_PMD_NR
  else stats.fileThp += HPAGE_PMD_NR
  countKind(stats, HPAGE_PMD_NR, headFlags, entry)
  if (moveUnderWay(k, head) !== undefined) accumulate(stats, HPAGE_PMD_NR, 1, headFlags, dirty, locked)
  else if (tailPtes(k, head) === 0) accumulate(stats, HPAGE_PMD_NR, compoundMapcount(k, head), headFlags, dirty, locked)
  else for (let i = 0; i < HPAGE_PMD_NR; i++) accumulate(stats, 1, pageMapcount(k, asPfn(head + i)), headFlags, dirty, locked)
}

function smapsHugetlb(k: Kernel, vma: Vma, h: Hstate, stats: MemSizeStats): void {
  const pages = 2 ** h.order
  const level = h.gigantic ? LEVEL_PUD : LEVEL_PMD
  for (let at = vma.start; at < vma.end; at += pages) {
    const table = walkTo(k, vma.mm, at, level)
    const i = levelIndex(at, level)
    if (table === 0 || (entryFlags(k, table, i) & (PTE_PRESENT | PTE_HWPOISON)) === 0) continue
    if ((entryFlags(k, table, i) & PTE_HWPOISON) !== 0) stats.privateHugetlb += pages
    else if (compoundMapcount(k, asPfn(entryValue(k, table, i))) >= 2 || isSharedTable(k, table)) stats.sharedHugetlb += pages
    else stats.privateHugetlb += pages
  }
}

function gather(k: Kernel, vma: Vma, stats: MemSizeStats): void {
  const h = hstateOfVma(k, vma)
  if (h !== undefined) {
    smapsHugetlb(k, vma, h, stats)
    return
  }
  if (vma.mapping !== undefined && isShmem(vma.mapping.inode.sb)) stats.swap += shmemSwapped(k, vma, vma.mapping)
  walkPmds(k, vma.mm, vma.start, vma.end, (pmd, i, start, end) => {
    const entry = entryFlags(k, pmd, i)
    if ((entry & PTE_TABLE) !== 0) smapsTable(k, vma, entryValue(k, pmd, i), pteIndex(start), end - start, stats)
    // A huge page whose access is switched off is not followed, so it is counted nowhere.
    else if ((entry & (PTE_HUGE | PTE_PROTNONE)) === PTE_HUGE) smapsHuge(k, vma, asPfn(entryValue(k, pmd, i)), entry, stats)
  })
}

const line = (label: string, kb: number, width = 8) => `${label}${column(kb, width)} kB\n`
const pages = (label: string, n: number, width = 8) => line(label, n * PAGE_KB, width)
const pss = (label: string, n: number) => line(label, Math.floor(n / PSS_KB))

/** The lines that smaps and smaps_rollup share (__show_smap). */
function showStats(stats: MemSizeStats, rollup: boolean): string {
  return [
    pages('Rss:            ', stats.resident),
    pss('Pss:            ', stats.pss),
    pss('Pss_Dirty:      ', stats.pssDirty),
    ...(rollup
      ? [pss('Pss_Anon:       ', stats.pssAnon), pss('Pss_File:       ', stats.pssFile), pss('Pss_Shmem:      ', stats.pssShmem)]
      : []),
    pages('Shared_Clean:   ', stats.sharedClean),
    pages('Shared_Dirty:   ', stats.sharedDirty),
    pages('Private_Clean:  ', stats.privateClean),
    pages('Private_Dirty:  ', stats.privateDirty),
    pages('Referenced:     ', stats.referenced),
    pages('Anonymous:      ', stats.anonymous),
    pages('LazyFree:       ', stats.lazyfree),
    pages('AnonHugePages:  ', stats.anonymousThp),
    pages('ShmemPmdMapped: ', stats.shmemThp),
    pages('FilePmdMapped:  ', stats.fileThp),
    pages('Shared_Hugetlb: ', stats.sharedHugetlb),
    pages('Private_Hugetlb: ', stats.privateHugetlb, 7),
    pages('Swap:           ', stats.swap),
    pss('SwapPss:        ', stats.pssSwap),
    pss('Locked:         ', stats.pssLocked),
  ].join('')
}

/** Two letters for each flag, by bit; two question marks where Linux has no letters for it. */
const MNEMONICS: readonly string[] = [
  ...['rd', 'wr', 'ex', 'sh', 'mr', 'mw', 'me', 'ms', 'gd', 'um', 'pf', '', 'uw', 'lo', 'io', 'sr', 'rr', 'dc', 'de', '??'],
  ...['ac', 'nr', 'ht', 'sf', 'ar', 'wf', 'dd', 'sd', 'mm', 'hg', 'nh', 'mg'],
]

function vmFlags(flags: number): string {
  const letters = MNEMONICS.filter((name, bit) => name !== '' && (flags & (1 << bit)) !== 0)
  // Minor faults are bit 37 in Linux, after all the others.
  const all = (flags & VM_UFFD_MINOR) !== 0 ? [...letters, 'ui'] : letters
  return `VmFlags: ${all.map(name => `${name} `).join('')}\n`
}

export function smaps({ k, mm }: Living): string {
  if (mm === undefined) return ''
  return [...eachVma(mm)].map(vma => smapsOf(k, vma)).join('')
}

function smapsOf(k: Kernel, vma: Vma): string {
  const stats = emptyStats()
  gather(k, vma, stats)
  const pageKb = hstateOfVma(k, vma)?.sizeKb ?? PAGE_KB
  return [
    mapLine(vma),
    pages('Size:           ', vma.end - vma.start),
    line('KernelPageSize: ', pageKb),
    line('MMUPageSize:    ', pageKb),
    showStats(stats, false),
    `THPeligible:    ${Number(hugepageVmaCheck(k, vma, vma.flags, 'smaps'))}\n`,
    `ProtectionKey:  ${column(protectionKey(vma), 8)}\n`,
    vmFlags(vma.flags),
  ].join('')
}

export function smapsRollup({ k, mm }: Living): string {
  const vmas = mm === undefined ? [] : [...eachVma(mm)]
  const stats = emptyStats()
  for (const vma of vmas) gather(k, vma, stats)
  const header = headerPrefix(vmas.at(0)?.start ?? 0, vmas.at(-1)?.end ?? 0, 0, 0, '00:00', 0)
  return named(header, '[rollup]') + showStats(stats, true)
}
