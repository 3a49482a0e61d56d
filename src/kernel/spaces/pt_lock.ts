/**
 * Page-table locks: who changes a table keeps others from it, and the finer the locks, the seldomer two meet.
 *
 *     PTE table     a lock in the page of each                    512 pages: faults of single pages, reclaim, migration, scans
 *     PMD table     a lock in the page of each (for huge TLB      512 tables or huge pages: new tables, faults of huge pages, collapse
 *                   pages of 2 MiB too)
 *     above         one for the address space                     new PMD tables, huge TLB pages of 1 GiB
 *
 * CPUs here do not run at once but one after the other, each in its own time, so two never meet in fact. Instead each CPU's share of time
 * in which it holds locks of a level is noted, a millisecond after the other, and who wants one finds it taken as often as
 * the others hold locks of the level, divided by how many there are of them; he then waits for half of what they hold one for. What is
 * counted is therefore what is to be expected, in fractions.
 *
 * Noted are: faults; reclaim and migration unmapping pages; khugepaged's looks and collapses; KSM's looks and merges; NUMA balancing's
 * marks; clearing of referenced and soft-dirty marks. What was met and waited for by level is in /mmtop/locks and on the balancing and
 * cost screens.
 *
 * Locks are noted only in address spaces that somebody else than their own process has worked on lately; a process alone never waits.
 *
 * Source: Documentation/mm/split_page_table_lock.rst, include/linux/mm.h (pte_lockptr, pmd_lock).
 */
import { COST, spendNs } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, MmLocks } from '../base/state_mm.ts'
import { PAGE_SIZE } from '../base/units.ts'

export const LOCK_PTE = 0
export const LOCK_PMD = 1
export const LOCK_MM = 2
export const LOCK_LEVELS = ['pte', 'pmd', 'mm'] as const

const LEVELS = LOCK_LEVELS.length
/** Holding times are noted so long at a stretch, and are old news after that. */
const WINDOW_NS = 1e6
const FORGET_NS = 100e6
const TABLES_PER_TABLE = 512

const locksOf = (k: Kernel): MmLocks => ({
  heldNs: new Float64Array(k.cpus.length * LEVELS),
  holds: new Float64Array(k.cpus.length * LEVELS),
  share: new Float64Array(k.cpus.length * LEVELS),
  lengthNs: new Float64Array(k.cpus.length * LEVELS),
  startNs: new Float64Array(k.cpus.length),
})

/** The CPU that runs now holds a lock of the address space for so long, which may be in the way of others. */
export function holdPtLock(k: Kernel, mm: Mm, level: number, ns: number): void {
  if (mm.locks === undefined) {
    if (mm.users === 1 && k.current?.mm === mm) return
    mm.locks = locksOf(k)
  }
  waitForPtLock(k, mm, mm.locks, level)
  noteHold(k, mm.locks, level, ns)
}

/** A fault of the process itself, in an address space where others work too. */
export function faultPtLock(k: Kernel, mm: Mm, level: number, ns: number): void {
  const { locks } = mm
  if (locks === undefined) return
  if (waitForPtLock(k, mm, locks, level)) noteHold(k, locks, level, ns)
  else mm.locks = undefined
}

function noteHold(k: Kernel, locks: MmLocks, level: number, ns: number): void {
  const at = k.cpu * LEVELS + level
  locks.heldNs[at] += ns
  locks.holds[at]++
  const tookNs = k.clock[0] - locks.startNs[k.cpu]
  if (tookNs < WINDOW_NS) return
  for (let i = k.cpu * LEVELS; i < (k.cpu + 1) * LEVELS; i++) {
    locks.share[i] = Math.min(1, locks.heldNs[i] / Math.min(tookNs, FORGET_NS))
    locks.lengthNs[i] = locks.holds[i] === 0 ? 0 : locks.heldNs[i] / locks.holds[i]
    locks.heldNs[i] = 0
    locks.holds[i] = 0
  }
  locks.startNs[k.cpu] = k.clock[0]
}

/** Waits as long as is to be expected. @returns whether any other CPU has held a lock lately. */
function waitForPtLock(k: Kernel, mm: Mm, locks: MmLocks, level: number): boolean {
  let busy = false
  const tables = tablesOf(mm, level)
  for (let cpu = 0; cpu < k.cpus.length; cpu++) {
    if (cpu === k.cpu || locks.startNs[cpu] === 0 || Math.abs(k.clock[0] - locks.startNs[cpu]) > FORGET_NS) continue
    busy = true
    const met = locks.share[cpu * LEVELS + level] / tables
    if (met === 0) continue
    const waitNs = (met * locks.lengthNs[cpu * LEVELS + level]) / 2
    k.ptLocks.contended[level] += met
    k.ptLocks.waitedNs[level] += waitNs
    spendNs(k, COST.pt_lock, waitNs)
  }
  return busy
}

/** Locks of a level that the address space has, about. */
function tablesOf({ pgtablesBytes }: Mm, level: number): number {
  const tables = Math.max(1, pgtablesBytes / PAGE_SIZE)
  return level === LOCK_PTE ? tables : level === LOCK_PMD ? Math.max(1, tables / TABLES_PER_TABLE) : 1
}
