/**
 * Locked pages on their way to and from the unevictable list.
 *
 * mlock and munlock of a page go through a per-CPU batch of their own. The page counts as locked (PG_mlocked, nr_mlock) at
 * once; it moves to the unevictable list, where its link word counts the VMAs that lock it, when the batch is worked off.
 *
 * Source: mm/mlock.c (mlock_folio, mlock_new_page, munlock_page and their batch).
 */
import { EV, ZS } from '../base/counters.ts'
import { PG_active, PG_BATCH_ONE, PG_BATCH_SHIFT, PG_lru, PG_mlocked, PG_unevictable } from '../base/flags.ts'
import { PAGE_WORDS, W_NEXT } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import { asPfn, NO_PAGE, type Pfn } from '../base/units.ts'
import { compoundOrder, compoundPages, pageZone } from '../frames/page.ts'
import { BATCH_PAGES, isEvictable, lruPutDirect, lruTakeDirect, putPage } from './lru.ts'

const NR_MLOCK = ZS.nr_mlock
/** What a batch entry wants: the low bits under its page number. */
const MUNLOCK = 0
const MLOCK = 1
const MLOCK_NEW = 2

/** Locks a page that is on an LRU list or soon will be. */
export function mlockFolio(k: Kernel, head: Pfn): void {
  if ((k.page[head * PAGE_WORDS] & PG_mlocked) === 0) countMlocked(k, head)
  batchAdd(k, head, MLOCK)
}

/** Locks a page that was just allocated for a locked VMA: it goes straight to the unevictable list. */
export function mlockNewPage(k: Kernel, head: Pfn): void {
  countMlocked(k, head)
  batchAdd(k, head, MLOCK_NEW)
}

/** Takes one VMA's lock off a page. */
export const munlockPage = (k: Kernel, head: Pfn) => batchAdd(k, head, MUNLOCK)

function countMlocked(k: Kernel, head: Pfn): void {
  const pages = compoundPages(k, head)
  k.page[head * PAGE_WORDS] |= PG_mlocked
  pageZone(k, head).stat[NR_MLOCK] += pages
  k.event[EV.unevictable_pgs_mlocked] += pages
}

/** Gives the page to this CPU's batch; one that other batches hold as often as can be counted is worked off at once. */
function batchAdd(k: Kernel, head: Pfn, what: number): void {
  const batch = k.cpus[k.cpu].mlock
  if (k.page[head * PAGE_WORDS] >>> PG_BATCH_SHIFT === 3) mlockDrainCpu(k, k.cpu, head)
  if (k.page[head * PAGE_WORDS] >>> PG_BATCH_SHIFT === 3) {
    workOff(k, head, what)
    return
  }
  k.page[head * PAGE_WORDS] = (k.page[head * PAGE_WORDS] + PG_BATCH_ONE) | 0
  batch.pages[batch.n++] = head * 4 + what
  if (batch.n === BATCH_PAGES || compoundOrder(k, head) > 0) mlockDrainCpu(k, k.cpu, head)
}

/**
 * Works off a CPU's batch of locks and unlocks (mlock_page_drain_local).
 * @param held a page that the caller still holds, though nothing else may: who takes a mapping off a page lets it go later.
 */
export function mlockDrainCpu(k: Kernel, cpu: number, held: Pfn = NO_PAGE): void {
  const batch = k.cpus[cpu].mlock
  const n = batch.n
  batch.n = 0
  for (let i = 0; i < n; i++) {
    workOff(k, asPfn(batch.pages[i] >>> 2), batch.pages[i] & 3)
  }
  for (let i = 0; i < n; i++) {
    const head = asPfn(batch.pages[i] >>> 2)
    k.page[head * PAGE_WORDS] = (k.page[head * PAGE_WORDS] - PG_BATCH_ONE) | 0
    if (head !== held) putPage(k, head)
  }
}

function workOff(k: Kernel, head: Pfn, what: number): void {
  if (what === MLOCK) mlockOne(k, head)
  else if (what === MLOCK_NEW) mlockNewOne(k, head)
  else munlockOne(k, head)
}

/** Back to the list that its other flags name. */
function rescue(k: Kernel, head: Pfn): void {
  lruTakeDirect(k, head)
  k.page[head * PAGE_WORDS] &= ~PG_unevictable
  lruPutDirect(k, head)
  k.event[EV.unevictable_pgs_rescued] += compoundPages(k, head)
}

/** Marks a page unevictable; `count` VMAs lock it. */
function cull(k: Kernel, head: Pfn): void {
  const at = head * PAGE_WORDS
  k.page[at] = (k.page[at] & ~PG_active) | PG_unevictable
  lruPutDirect(k, head)
  k.page[at + W_NEXT] = (k.page[at] & PG_mlocked) !== 0 ? 1 : 0
  k.event[EV.unevictable_pgs_culled] += compoundPages(k, head)
}

function mlockOne(k: Kernel, head: Pfn): void {
  const at = head * PAGE_WORDS
  const flags = k.page[at]
  if ((flags & PG_lru) === 0) return
  if (isEvictable(k, head)) {
    if ((flags & PG_unevictable) !== 0) rescue(k, head)
  } else if ((flags & PG_unevictable) !== 0) {
    if ((flags & PG_mlocked) !== 0) k.page[at + W_NEXT]++
  } else {
    lruTakeDirect(k, head)
    cull(k, head)
  }
}

function mlockNewOne(k: Kernel, head: Pfn): void {
  if (isEvictable(k, head)) lruPutDirect(k, head)
  else cull(k, head)
}

function munlockOne(k: Kernel, head: Pfn): void {
  const at = head * PAGE_WORDS
  const isolated = (k.page[at] & PG_lru) !== 0
  const unevictable = (k.page[at] & PG_unevictable) !== 0
  if (isolated && unevictable) {
    if (k.page[at + W_NEXT] > 0) k.page[at + W_NEXT]--
    if (k.page[at + W_NEXT] > 0) return
  }
  if ((k.page[at] & PG_mlocked) !== 0) {
    const pages = compoundPages(k, head)
    k.page[at] &= ~PG_mlocked
    pageZone(k, head).stat[NR_MLOCK] -= pages
    if (isolated || !unevictable) k.event[EV.unevictable_pgs_munlocked] += pages
    else k.event[EV.unevictable_pgs_stranded] += pages
  }
  if (isolated && unevictable && isEvictable(k, head)) rescue(k, head)
}
