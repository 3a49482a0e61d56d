/**
 * fork: a copy of an address space that costs page tables, not pages.
 *
 * Every area is copied but those marked DONTFORK; those marked WIPEONFORK come out empty. Private pages become shared: their
 * entries lose the right to write on both sides, so that whoever writes first gets a copy. Pages of shared mappings,
 * and of private file mappings nobody wrote to, are not copied at all: the child faults them in again.
 * Locks are not inherited.
 *
 * The copy takes turns: it may stop behind a page table, and the call is made again and goes on there (Task.restart). Meanwhile reclaim
 * sees the child's areas, and takes pages from them as from any other.
 *
 * Source: kernel/fork.c dup_mmap, mm/memory.c (copy_page_range, copy_present_pte), mm/huge_memory.c copy_huge_pmd.
 */

import { allocPages } from '../alloc/page_alloc.ts'
import { COST, spend, turnOver } from '../base/cost.ts'
import { ENOMEM, ERESTARTNOINTR } from '../base/errno.ts'
import {
  __GFP_ZERO,
  GFP_KERNEL_ACCOUNT,
  PG_anon,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HWPOISON,
  PTE_MARKER,
  PTE_PRESENT,
  PTE_RW,
  PTE_SPECIAL,
  PTE_SWAP,
  PTE_SWP_EXCLUSIVE,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_DONTCOPY,
  VM_HUGETLB,
  VM_LOCKED_MASK,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_SHARED,
  VM_UFFD_WP,
  VM_WIPEONFORK,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { ForkRest, Mm, Task, Vma } from '../base/state_mm.ts'
import { asPfn, HPAGE_PMD_NR, NO_PAGE } from '../base/units.ts'
import { fget } from '../caches/files.ts'
import { pteToSwap, swapDuplicate } from '../caches/swap_map.ts'
import { ksmFork } from '../daemons/ksmd.ts'
import { mmGetHugeZeroPage } from '../fault/huge_memory.ts'
import { khugepagedFork } from '../fault/huge_memory_check.ts'
import { copyHugeRange } from '../fault/hugetlb.ts'
import { makeTables } from '../fault/tables.ts'
import { compoundHead } from '../frames/page.ts'
import { countRss, depositFresh, isHuge } from '../spaces/huge_pmd.ts'
import {
  chunkOf,
  entryAt,
  entryFlags,
  entryValue,
  LEVEL_PMD,
  LEVEL_PTE,
  levelIndex,
  pteIndex,
  setEntry,
  tableAllocate,
  walkTo,
} from '../spaces/pagetable.ts'
import { pageDupAnonRmap, pageDupFileRmap } from '../spaces/rmap.ts'
import { anonVmaFork } from '../spaces/rmap_link.ts'
import { eachVma, insertVma, mustVma, vmaPages } from '../spaces/vma.ts'
import { isAccounted, vmEnoughMemory, vmStatAccount } from './account.ts'
import { dupUserfaultfd, forkAborts, forkReports, type UffdForks } from './userfaultfd_events.ts'

/** Makes `to` ready for a copy of `from`. @returns 0 or -ENOMEM */
export function dupMmapBegin(k: Kernel, from: Mm, to: Mm): number {
  if (ksmFork(k, to, from) < 0) return -ENOMEM
  khugepagedFork(k, to, from)
  return 0
}

/**
 * Copies all of the task's address space into `to`, from where it stopped if it did (Task.restart).
 * @param pauses whether it may stop when its turn is over. @returns 0, -ERESTARTNOINTR, or -ENOMEM: the caller then tears `to` down
 */
export function dupMmap(k: Kernel, task: Task, from: Mm, fork: ForkRest, pauses: boolean): number {
  const ret = copyAreas(k, task, from, fork, pauses)
  if (ret === 0) forkReports(task, fork.forks)
  if (ret === -ENOMEM) forkAborts(k, fork.forks)
  spend(k, COST.tlb_flush, 1)
  return ret
}

function copyAreas(k: Kernel, task: Task, from: Mm, fork: ForkRest, pauses: boolean): number {
  const { mm } = fork
  const start = task.restart?.rest === fork ? task.restart.at : 0
  for (const vma of [...eachVma(from)]) {
    if (vma.end <= start || (vma.flags & VM_DONTCOPY) !== 0) continue
    const copy = vma.start < start ? mustVma(mm, vma.start) : copyArea(k, task, vma, fork)
    if (copy === undefined) return -ENOMEM
    const wiped = (vma.flags & VM_WIPEONFORK) !== 0
    const at = wiped ? vma.end : copyPageRange(k, vma, copy, Math.max(vma.start, start), pauses)
    if (at < 0) return -ENOMEM
    if (at === vma.end && !(pauses && turnOver(k))) continue
    task.restart = { at, told: false, rest: fork }
    return -ERESTARTNOINTR
  }
  return 0
}

/** The child's copy of an area, empty; undefined where there is no memory to promise. */
function copyArea(k: Kernel, task: Task, vma: Vma, { mm, forks }: ForkRest): Vma | undefined {
  const pages = vmaPages(vma)
  if (isAccounted(vma.flags) && vmEnoughMemory(k, task, vma.mm, pages) < 0) return undefined
  const copy = dupVma(k, vma, mm, forks)
  vmStatAccount(mm, copy.flags, pages)
  return copy
}

function dupVma(k: Kernel, vma: Vma, mm: Mm, forks: UffdForks): Vma {
  const copy: Vma = { ...vma, mm, flags: vma.flags & ~VM_LOCKED_MASK, anonVma: 0, chain: [], resv: undefined }
  if (copy.uffd !== 0) dupUserfaultfd(k, vma, copy, forks)
  if (copy.file !== undefined) fget(copy.file)
  insertVma(k, copy)
  if ((vma.flags & VM_WIPEONFORK) === 0) anonVmaFork(k, copy, vma)
  return copy
}

/** Pages that can be found again need no copying (vma_needs_copy). */
const needsCopy = (vma: Vma, copy: Vma) =>
  vma.anonVma !== 0 || (copy.flags & VM_UFFD_WP) !== 0 || (vma.flags & (VM_PFNMAP | VM_MIXEDMAP)) !== 0

/** Copies the entries of `from` from page `start` on, a table at a time. @returns the page where it stopped, or -ENOMEM */
function copyPageRange(k: Kernel, from: Vma, to: Vma, start: number, pauses: boolean): number {
  if (!needsCopy(from, to)) return from.end
  if ((from.flags & VM_HUGETLB) !== 0) return copyHugeRange(k, from, to) ? from.end : -ENOMEM
  let at = start
  while (at < from.end) {
    const next = Math.min(from.end, at - (at % HPAGE_PMD_NR) + HPAGE_PMD_NR)
    const pmd = walkTo(k, from.mm, at, LEVEL_PMD)
    const flags = pmd === 0 ? 0 : entryFlags(k, pmd, levelIndex(at, LEVEL_PMD))
    if (isHuge(flags) && copyHugePmd(k, from, to, pmd, at) < 0) return -ENOMEM
    if ((flags & PTE_TABLE) !== 0 && copyPteRange(k, from, to, entryValue(k, pmd, levelIndex(at, LEVEL_PMD)), at, next) < 0) return -ENOMEM
    at = next
    if (pauses && turnOver(k)) break
  }
  return at
}

/** What the entry says in both processes from now on: no writing to private pages, and the child has not used it yet. */
const parentFlags = (vma: Vma, flags: number) => ((vma.flags & VM_SHARED) === 0 ? flags & ~PTE_RW : flags)
const childFlags = (vma: Vma, flags: number) => ((vma.flags & VM_SHARED) === 0 ? flags & ~PTE_RW : flags & ~PTE_DIRTY) & ~PTE_ACCESSED
/** A write protection is handed on only where the child's area has a userfaultfd that watches for it. */
const lostInChild = (to: Vma) => ((to.flags & VM_UFFD_WP) === 0 ? PTE_UFFD_WP : 0)

function copyHugePmd(k: Kernel, from: Vma, to: Vma, pmd: number, vpn: number): number {
  if (from.mapping !== undefined) return 0
  if (!makeTables(k, to.mm, vpn, LEVEL_PMD)) return -ENOMEM
  const spare = allocPages(k, GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0)
  if (spare === NO_PAGE) return -ENOMEM
  const i = levelIndex(vpn, LEVEL_PMD)
  const flags = entryFlags(k, pmd, i)
  const head = asPfn(entryValue(k, pmd, i))
  if ((flags & PTE_SPECIAL) === 0) {
    pageDupAnonRmap(k, head, true)
    to.mm.rssAnon += HPAGE_PMD_NR
  } else mmGetHugeZeroPage(k, to.mm)
  const target = walkTo(k, to.mm, vpn, LEVEL_PMD)
  depositFresh(k, to.mm, target, tableAllocate(k, spare))
  setEntry(k, pmd, i, head, flags & ~PTE_RW)
  setEntry(k, target, i, head, flags & ~(PTE_RW | PTE_ACCESSED | lostInChild(to)))
  spend(k, COST.pte_change, 1)
  return 0
}

function copyPteRange(k: Kernel, from: Vma, to: Vma, source: number, start: number, end: number): number {
  const first = pteIndex(start)
  const chunk = chunkOf(k, source)
  let target = 0
  for (let i = first; i < first + end - start; i++) {
    const at = entryAt(source, i)
    if (chunk[at + 1] === 0) continue
    if (target === 0) {
      if (!makeTables(k, to.mm, start, LEVEL_PTE)) return -ENOMEM
      target = walkTo(k, to.mm, start, LEVEL_PTE)
    }
    // Making a table may have reclaimed the page that the entry mapped.
    const flags = chunk[at + 1]
    if ((flags & PTE_HWPOISON) !== 0) setEntry(k, target, i, chunk[at], flags)
    if ((flags & PTE_MARKER) !== 0 && (to.flags & VM_UFFD_WP) !== 0) setEntry(k, target, i, 0, PTE_MARKER)
    if ((flags & PTE_SWAP) !== 0) copySwapped(k, to, target, i, chunk, at)
    if ((flags & PTE_PRESENT) !== 0) copyPresent(k, from, to, target, i, chunk, at)
  }
  return 0
}

/** Both name the slot from now on. */
function copySwapped(k: Kernel, to: Vma, target: number, i: number, chunk: Int32Array, at: number): void {
  chunk[at + 1] &= ~PTE_SWP_EXCLUSIVE
  swapDuplicate(k, pteToSwap(chunk[at], chunk[at + 1]))
  to.mm.swapEnts++
  setEntry(k, target, i, chunk[at], chunk[at + 1] & ~lostInChild(to))
  spend(k, COST.pte_change, 1)
}

function copyPresent(k: Kernel, from: Vma, to: Vma, target: number, i: number, chunk: Int32Array, at: number): void {
  const flags = chunk[at + 1]
  const pfn = asPfn(chunk[at])
  if ((flags & PTE_SPECIAL) === 0) {
    const head = compoundHead(k, pfn)
    if ((k.page[head * PAGE_WORDS] & PG_anon) !== 0) pageDupAnonRmap(k, pfn, false)
    else pageDupFileRmap(k, pfn, false)
    countRss(k, to.mm, head, 1)
  }
  chunk[at + 1] = parentFlags(from, flags)
  setEntry(k, target, i, pfn, childFlags(from, flags) & ~lostInChild(to))
  spend(k, COST.pte_change, 1)
}
