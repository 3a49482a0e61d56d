/**
 * Accesses of programs to their memory: what the processor does before there is any fault.
 *
 * An access whose entry allows it only marks the entry accessed (and dirty); any other faults and is tried again. A run
 * of accesses is plain data that can stop after any of them: when its slice of time is over, when the task dies or is
 * sent a signal, or when a fault has to wait.
 *
 * Source: the processor's manual; mm/memory.c for what follows a fault.
 */

import { patchContent, ZERO_CONTENT } from '../base/content.ts'
import { CACHE_PAGES, COST, spend, spendLineMiss } from '../base/cost.ts'
import {
  PG_head,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HUGE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_RW,
  VM_FAULT_ERROR,
  VM_FAULT_RETRY,
} from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import { contentByte } from '../base/page_bytes.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm } from '../base/state_mm.ts'
import { asPfn, NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { compoundHead, markTailsTouched, pageContent, pageContentIndex, pageSetContent } from '../frames/page.ts'
import { tablesAccessed } from '../reclaim/lru_gen_walk.ts'
import { moveUnderWay } from '../reclaim/migrate_window.ts'
import { chunkOf, entryAt, LEVEL_PMD, LEVEL_PUD, levelIndex, pteIndex, pteTableOf, walkTo } from '../spaces/pagetable.ts'
import { vmaAt } from '../spaces/vma.ts'
import { migrationFault, userFault } from './fault.ts'
import { noteExactAddress } from './userfaultfd.ts'

const COST_ACCESS = COST.access
/** Faults of one access before it is our bug that it never succeeds. */
const MAX_TRIES = 1000

/** The page an access reached, and what became of it when it reached none. */
export interface Access {
  pfn: Pfn
  /** VM_FAULT_* of the fault that ended it: an error, or RETRY for one that has to wait. */
  fault: number
}

/** One access to page k.vmf.vpn of the mm, faults included. On success `to.fault` is 0 and `to.pfn` the page. */
export function accessPage(k: Kernel, mm: Mm, write: boolean, to: Access): void {
  let pfn = hardwareWalk(k, mm, write)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (pfn !== NO_PAGE) {
      spend(k, COST_ACCESS, 1)
      if (k.inCache[pfn & (CACHE_PAGES - 1)] !== pfn) spendLineMiss(k, pfn)
      to.pfn = pfn
      to.fault = 0
      return
    }
    const ret = userFault(k, mm, write)
    if ((ret & (VM_FAULT_ERROR | VM_FAULT_RETRY)) !== 0) {
      to.pfn = NO_PAGE
      to.fault = ret
      return
    }
    // A fault on a small page has been at the very entry.
    pfn = k.vmf.table === 0 ? hardwareWalk(k, mm, write) : accessEntry(k, k.vmf.table, k.vmf.i, write, 0)
  }
  to.pfn = NO_PAGE
  to.fault = VM_FAULT_ERROR
}

/** What the processor's table walk finds: the page, with its entry marked, or NO_PAGE for a fault. */
function hardwareWalk(k: Kernel, mm: Mm, write: boolean): Pfn {
  const vpn = k.vmf.vpn[0]
  const key = Math.floor(vpn / 512) | 0
  const table = pteTableOf(k, mm, key)
  if (table !== 0) return accessEntry(k, table, (vpn - key * 512) | 0, write, 0)
  const pmd = walkTo(k, mm, vpn, LEVEL_PMD)
  if (pmd !== 0) return accessEntry(k, pmd, levelIndex(vpn, LEVEL_PMD), write, pteIndex(vpn))
  const pud = walkTo(k, mm, vpn, LEVEL_PUD)
  return pud === 0 ? NO_PAGE : accessEntry(k, pud, levelIndex(vpn, LEVEL_PUD), write, vpn - Math.floor(vpn / 262144) * 262144)
}

function accessEntry(k: Kernel, table: number, i: number, write: boolean, offset: number): Pfn {
  const chunk = chunkOf(k, table)
  const at = entryAt(table, i)
  const flags = chunk[at + 1]
  if ((flags & (PTE_PRESENT | PTE_PROTNONE)) !== PTE_PRESENT || (write && (flags & PTE_RW) === 0)) return NO_PAGE
  if (offset > 0 && (flags & PTE_HUGE) === 0) return NO_PAGE
  chunk[at + 1] = flags | PTE_ACCESSED | (write ? PTE_DIRTY : 0)
  return asPfn(chunk[at] + offset)
}

/** Sets one byte of the page to 1. */
function patchPage(k: Kernel, pfn: Pfn, offset: number): void {
  const before = pageContent(k, pfn)
  const after = patchContent(k.contents, before, offset)
  if (after === before) return
  const index = pageContentIndex(k, pfn)
  if (before !== ZERO_CONTENT && contentByte(k.contents, k.contents.classes[before], index, offset) === 1) return
  writeContent(k, pfn, after, index)
}

/** Fills the page with a content class. */
export function writeContent(k: Kernel, pfn: Pfn, content: number, index: number): void {
  if (content === ZERO_CONTENT && pageContent(k, pfn) === ZERO_CONTENT) return
  if ((k.page[pfn * PAGE_WORDS] & PG_head) === 0) {
    const head = compoundHead(k, pfn)
    if (head !== pfn) markTailsTouched(k, head)
  }
  pageSetContent(k, pfn, content, index)
}

/** A run of accesses: `done` of them so far, the next one at byte `at`. */
export interface TouchRun {
  readonly write: boolean
  readonly startByte: number
  readonly endByte: number
  readonly strideBytes: number
  at: number
  done: number
  /** Content class to fill pages with, -1 to set single bytes; and what to add to a page's index in the class. */
  readonly content: number
  readonly contentIndexed: boolean
  /** Virtual page that content indices count from. */
  readonly contentBase: number
  readonly result: Access
}

/** Before an access to page k.vmf.vpn: if somebody on another CPU is moving it, it has to arrive first. */
function waitForMove(k: Kernel, mm: Mm): void {
  const pfn = hardwareWalk(k, mm, false)
  const move = pfn === NO_PAGE ? undefined : moveUnderWay(k, pfn)
  if (move !== undefined) migrationFault(k, mm, move.endNs)
}

/**
 * Goes on with a run until the virtual time `untilNs` (before it when a kernel thread is woken), the end of the range, or a fault that ends
 * or suspends it (run.result.fault is then not 0). Returns true when the range is done.
 */
export function touchRun(k: Kernel, mm: Mm, run: TouchRun, untilNs: number): boolean {
  const { write, strideBytes, endByte, result } = run
  let at = run.at
  let done = run.done
  const moving = k.moves.byPage.size > 0
  result.fault = 0
  while (at < endByte) {
    const vpn = Math.floor(at / PAGE_SIZE)
    k.vmf.vpn[0] = vpn
    if (moving) waitForMove(k, mm)
    accessPage(k, mm, write, result)
    if (result.fault !== 0) {
      if ((result.fault & VM_FAULT_RETRY) !== 0) noteExactAddress(k, vmaAt(mm, vpn), at)
      break
    }
    if (write) touchContent(k, run, (at - vpn * PAGE_SIZE) | 0, run.contentIndexed ? (vpn - run.contentBase) | 0 : 0)
    at += strideBytes
    done++
    if (k.clock[0] >= untilNs || (k.needResched && untilNs < Number.POSITIVE_INFINITY)) break
  }
  if (k.lruGen.oldTables) tablesAccessed(k, mm, Math.floor(run.at / PAGE_SIZE), Math.ceil(at / PAGE_SIZE))
  run.at = at
  run.done = done
  return at >= endByte
}

function touchContent(k: Kernel, run: TouchRun, offset: number, index: number): void {
  if (run.content < 0) patchPage(k, run.result.pfn, offset)
  else writeContent(k, run.result.pfn, run.content, index)
}
