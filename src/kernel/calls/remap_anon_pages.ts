/**
 * remap_anon_pages: the system call of the 2014 proposal that gives a faulting address its page; never merged.
 *
 *     source      |a|b| |d|          the pages move, nothing is copied
 *     destination |a|b| |d|          both areas stay as they are: only entries change places
 *
 *     something is at the destination already     EEXIST      (mremap would silently drop it)
 *     a hole in the source                        ENOENT, or with RAP_ALLOW_SRC_HOLES nothing is done for it
 *     a source page that others map too           EBUSY       so a source should be marked MADV_DONTFORK
 *     not page-aligned, overlapping, unknown flags, or not private anonymous areas   EINVAL
 *
 * What was moved before something went wrong stays moved. A huge page at naturally aligned 2 MiB on both sides moves whole;
 * any other one is split first.
 *
 * Source: the proposal's text.
 */
import { COST, spend } from '../base/cost.ts'
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM } from '../base/errno.ts'
import { PG_anon, PG_ksm, PTE_PRESENT, PTE_SPECIAL, PTE_SWAP, PTE_TABLE, VM_SHARED } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { moveHugePmd } from '../fault/huge_memory.ts'
import { faultinPage } from '../fault/populate.ts'
import { makeTables } from '../fault/tables.ts'
import { compoundHead, pageMapcount } from '../frames/page.ts'
import { splitHugePage } from '../reclaim/thp_split.ts'
import { isHuge } from '../spaces/huge_pmd.ts'
import {
  clearEntry,
  entryFlags,
  entryValue,
  forgetWalk,
  LEVEL_PMD,
  LEVEL_PTE,
  levelIndex,
  pteIndex,
  setEntry,
  walkTo,
} from '../spaces/pagetable.ts'
import { pageMoveAnonRmap } from '../spaces/rmap.ts'
import { prepareAnon, vmaAt } from '../spaces/vma.ts'

export const RAP_ALLOW_SRC_HOLES = 1

/** A call in virtual pages, between two areas. */
interface Move {
  readonly from: Vma
  readonly to: Vma
  readonly holes: boolean
}

/** Moves `bytes` bytes of anonymous pages. @returns bytes done, of which some may have been allowed holes, if any; else a negative errno */
export function sysRemapAnonPages(k: Kernel, task: Task, to: number, from: number, bytes: number, flags: number): number {
  const { mm } = task
  spend(k, COST.syscall, 1)
  if (mm === undefined || (flags & ~RAP_ALLOW_SRC_HOLES) !== 0 || bytes <= 0) return -EINVAL
  if ([to, from, bytes].some(n => n % PAGE_SIZE !== 0) || (to < from + bytes && from < to + bytes)) return -EINVAL
  const move = { from: anonArea(mm, from, bytes), to: anonArea(mm, to, bytes), holes: (flags & RAP_ALLOW_SRC_HOLES) !== 0 }
  if (move.from === undefined || move.to === undefined) return -EINVAL
  prepareAnon(k, move.to)
  const pages = moveAll(k, { ...move, from: move.from, to: move.to }, from / PAGE_SIZE, to / PAGE_SIZE, bytes / PAGE_SIZE)
  forgetWalk(mm)
  spend(k, COST.tlb_flush, 1)
  return pages < 0 ? pages : pages * PAGE_SIZE
}

/** The private anonymous area that holds the whole range. */
function anonArea(mm: Mm, start: number, bytes: number): Vma | undefined {
  const vma = vmaAt(mm, start / PAGE_SIZE)
  const whole = vma !== undefined && (start + bytes) / PAGE_SIZE <= vma.end
  return whole && vma.mapping === undefined && (vma.flags & VM_SHARED) === 0 ? vma : undefined
}

function moveAll(k: Kernel, move: Move, from: number, to: number, pages: number): number {
  for (let done = 0; done < pages; ) {
    const step = moveStep(k, move, from + done, to + done, pages - done)
    if (step < 0) return done > 0 ? done : step
    done += step
  }
  return pages
}

/** Moves one page, or one huge page. @returns pages done, or a negative errno */
function moveStep(k: Kernel, move: Move, from: number, to: number, left: number): number {
  const { mm } = move.from
  const source = walkTo(k, mm, from, LEVEL_PMD)
  if (source !== 0 && isHuge(entryFlags(k, source, levelIndex(from, LEVEL_PMD)))) {
    if (left >= HPAGE_PMD_NR && pteIndex(from) === 0 && pteIndex(to) === 0) return moveHuge(k, move, from, to, source)
    const split = splitHugePage(k, asPfn(entryValue(k, source, levelIndex(from, LEVEL_PMD))))
    if (split !== 0) return -EBUSY
  }
  return movePage(k, move, from, to)
}

function moveHuge(k: Kernel, { from: area, to: target }: Move, from: number, to: number, source: number): number {
  const head = asPfn(entryValue(k, source, levelIndex(from, LEVEL_PMD)))
  if (pageMapcount(k, head) !== 1) return -EBUSY
  if (!makeTables(k, area.mm, to, LEVEL_PMD)) return -ENOMEM
  const place = walkTo(k, area.mm, to, LEVEL_PMD)
  if (entryFlags(k, place, levelIndex(to, LEVEL_PMD)) !== 0) return -EEXIST
  moveHugePmd(k, area, source, levelIndex(from, LEVEL_PMD), place, levelIndex(to, LEVEL_PMD))
  pageMoveAnonRmap(k, head, target, to - target.start)
  return HPAGE_PMD_NR
}

function movePage(k: Kernel, { from: area, to: target, holes }: Move, from: number, to: number): number {
  const { mm } = area
  if (occupied(k, mm, to)) return -EEXIST
  const source = walkTo(k, mm, from, LEVEL_PTE)
  const i = pteIndex(from)
  if (source === 0 || entryFlags(k, source, i) === 0) return holes ? 1 : -ENOENT
  if ((entryFlags(k, source, i) & PTE_SWAP) !== 0) {
    const ret = faultinPage(k, area, from, true)
    if (ret < 0) return ret
  }
  const flags = entryFlags(k, source, i)
  const pfn = asPfn(entryValue(k, source, i))
  if ((flags & PTE_PRESENT) === 0) return -EBUSY
  if ((flags & PTE_SPECIAL) === 0 && !isOwn(k, pfn)) return -EBUSY
  if (!makeTables(k, mm, to, LEVEL_PTE)) return -ENOMEM
  setEntry(k, walkTo(k, mm, to, LEVEL_PTE), pteIndex(to), pfn, flags)
  clearEntry(k, source, i)
  if ((flags & PTE_SPECIAL) === 0) pageMoveAnonRmap(k, pfn, target, to - target.start)
  spend(k, COST.pte_change, 2)
  return 1
}

/** Whether the page is a single one that this process alone maps. */
function isOwn(k: Kernel, pfn: Pfn): boolean {
  const flags = k.page[pfn * PAGE_WORDS]
  return compoundHead(k, pfn) === pfn && (flags & (PG_anon | PG_ksm)) === PG_anon && pageMapcount(k, pfn) === 1
}

function occupied(k: Kernel, mm: Mm, vpn: number): boolean {
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  const flags = pmd === 0 ? 0 : entryFlags(k, pmd, levelIndex(vpn, LEVEL_PMD))
  if ((flags & PTE_TABLE) === 0) return flags !== 0
  return entryFlags(k, walkTo(k, mm, vpn, LEVEL_PTE), pteIndex(vpn)) !== 0
}
