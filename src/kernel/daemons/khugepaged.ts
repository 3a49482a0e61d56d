/**
 * khugepaged: the thread that makes huge pages of memory that was faulted in page by page.
 *
 *     registered address spaces    mm ── mm ── mm ── (new ones)
 *                                        ^ the scan: address space and address; goes on there in the next round
 *
 * A round looks at pages_to_scan pages' worth: 512 a range of 2 MiB, 1 an entry into an address space, 1 an area that is not
 * for it. Work on a range gives up the address space's lock, so the next range enters again. The end of the list is one
 * full scan; a round goes on at the beginning, but not a second time. Then it sleeps: scan_sleep_millisecs, or until the first address
 * space registers. The first failure to get a huge page in a round is slept over for alloc_sleep_millisecs, the second ends the round.
 *
 * The thread exists while huge pages are on for anybody.
 *
 * Source: mm/khugepaged.c (khugepaged_do_scan, khugepaged_scan_mm_slot, khugepaged_wait_work).
 */
import { COST, now, spend } from '../base/cost.ts'
import { timeoutNs } from '../base/jiffies.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { alignDown, alignUp, HPAGE_PMD_NR } from '../base/units.ts'
import { hugepageFlagsEnabled, hugepageVmaCheck, khugepagedForget } from '../fault/huge_memory_check.ts'
import { lruAddDrainAll } from '../reclaim/zap.ts'
import { findVma, linearPageIndex } from '../spaces/vma.ts'
import { collapseHugePage } from './khugepaged_collapse.ts'
import { collapsePteMappedThps, khugepagedAddPteMapped, scanFile } from './khugepaged_file.ts'
import { findPmd, type ScanResult, scanPmd } from './khugepaged_scan.ts'

const NEVER = Number.POSITIVE_INFINITY
/** Processes on other CPUs go on while it works: it gives them a turn after each range that took longer than this. */
const TURN_NS = 1e5

/** What scanning one address space came to. */
interface Step {
  /** Pages' worth of work. */
  progress: number
  result: ScanResult
}

/** Does what the thread does until it sleeps the next time, or its turn is over; to be called when its wakeNs has come. */
export function runKhugepaged(k: Kernel): void {
  const scan = k.khugepaged
  if (!scan.running) return
  if (scan.waits !== 'memory' && scan.waits !== 'turn') {
    scan.progress = 0
    scan.passes = 0
    scan.slept = false
    lruAddDrainAll(k)
  }
  const end = doScan(k)
  if (end === 'turn') sleep(k, 'turn', now(k))
  else if (end === 'memory') sleep(k, 'memory', timeoutNs(k, scan.allocSleepMillisecs))
  else if (scan.mms.length > 0) sleep(k, 'round', timeoutNs(k, scan.scanSleepMillisecs))
  else sleep(k, 'work', NEVER)
}

function sleep(k: Kernel, waits: Kernel['khugepaged']['waits'], wakeNs: number): void {
  k.khugepaged.waits = waits
  k.khugepaged.daemon.wakeNs = wakeNs
}

/** Goes on with the round (khugepaged_do_scan). @returns whether it is over, is to sleep because there was no huge page, or gives others a turn. */
function doScan(k: Kernel): 'over' | 'memory' | 'turn' {
  const scan = k.khugepaged
  const pages = scan.pagesToScan
  const turnEndNs = now(k) + TURN_NS
  for (;;) {
    if (scan.at < 0) scan.passes++
    if (scan.mms.length === 0 || !hugepageFlagsEnabled(k) || scan.passes >= 2) return 'over'
    const step = scanMmSlot(k, pages - scan.progress)
    scan.progress += step.progress
    if (scan.progress >= pages) return 'over'
    if (step.result === 'alloc_huge_page_fail') {
      if (scan.slept) return 'over'
      scan.slept = true
      return 'memory'
    }
    if (now(k) >= turnEndNs) return 'turn'
  }
}

/** Scans the current address space until `pages` are done or a range was worked on (khugepaged_scan_mm_slot). */
function scanMmSlot(k: Kernel, pages: number): Step {
  const scan = k.khugepaged
  if (scan.at < 0) {
    scan.at = 0
    scan.address = 0
  }
  const mm = scan.mms[scan.at]
  collapsePteMappedThps(k, mm)
  const step: Step = { progress: 1, result: 'fail' }
  spend(k, COST.khugepaged_pte, 1)
  const finished = mm.users === 0 || scanAreas(k, mm, pages, step)
  if (finished) nextMm(k, mm)
  return step
}

/** Scans areas from the cursor on; returns true when the last one is done. */
function scanAreas(k: Kernel, mm: Mm, pages: number, step: Step): boolean {
  const scan = k.khugepaged
  for (let vma = findVma(mm, scan.address); vma !== undefined; vma = findVma(mm, vma.end)) {
    const start = alignUp(vma.start, HPAGE_PMD_NR)
    const end = alignDown(vma.end, HPAGE_PMD_NR)
    if (!hugepageVmaCheck(k, vma, vma.flags, 'khugepaged') || scan.address > end) {
      step.progress++
      continue
    }
    scan.address = Math.max(scan.address, start)
    while (scan.address < end) {
      const released = scanRange(k, vma, step)
      scan.address += HPAGE_PMD_NR
      step.progress += HPAGE_PMD_NR
      if (released || step.progress >= pages) return false
    }
  }
  return true
}

/** Looks at the range at the cursor and collapses it if that is right; returns whether the address space was let go meanwhile. */
function scanRange(k: Kernel, vma: Vma, step: Step): boolean {
  const scan = k.khugepaged
  const vpn = scan.address
  const anonymous = vma.mapping === undefined
  step.result = anonymous ? scanPmd(k, vma, vpn, true) : scanFile(k, vma, vpn, linearPageIndex(vma, vpn), true)
  const released = !anonymous || step.result === 'succeed'
  if (anonymous && step.result === 'succeed') step.result = collapseHugePage(k, vma, vpn, true)
  if (step.result === 'pte_mapped_hugepage') {
    step.result = findPmd(k, vma.mm, vpn)
    if (step.result === 'succeed' && !khugepagedAddPteMapped(k, vma.mm, vpn)) return released
  }
  if (step.result === 'succeed') scan.pagesCollapsed++
  return released
}

/** Leaves an address space that is done or gone; the end of the list is a full scan. */
function nextMm(k: Kernel, mm: Mm): void {
  const scan = k.khugepaged
  const left = scan.at
  if (left + 1 < scan.mms.length) {
    scan.at++
    scan.address = 0
  } else {
    scan.at = -1
    scan.fullScans++
  }
  if (mm.users === 0) khugepagedForget(k, left)
}
