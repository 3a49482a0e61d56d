/**
 * NUMA balancing's scan: from time to time a running task makes a part of its memory inaccessible, so that its next touches say
 * which CPU uses which page (fault/numa_fault.ts).
 *
 *     |--- 256 MB ---|--- 256 MB ---|-- ...    one part a period of the task's CPU time, round and round
 *           ^ mm.numa.scanOffset               a whole round: mm.numa.scanSeq goes up
 *
 * Marked are entries of accessible, migratable areas under a policy that lets pages follow their users. Left alone are: huge TLB pages,
 * read-only file mappings, pages of zeros, KSM pages, pages that others share by copy-on-write, dirty file pages, and, of a process with
 * one thread, pages that are where it runs. Of shared memory only what has a policy of its own that says so is marked.
 *
 * A part without an entry to mark costs little, so up to eight times as much is passed over in search of some. There is no thread
 * that does this: whoever runs tasks calls taskTickNuma when a task goes on.
 *
 * Source: kernel/sched/fair.c (task_tick_numa, task_numa_work, reset_ptenuma_scan), mm/mempolicy.c (change_prot_numa,
 * vma_policy_mof), mm/mprotect.c change_pte_range, mm/huge_memory.c change_huge_pmd.
 */
import { COST, COSTS, now, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  PG_dirty,
  PG_ksm,
  PG_swapbacked,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_TABLE,
  VM_ACCESS_FLAGS,
  VM_HUGETLB,
  VM_IO,
  VM_MAYWRITE,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../base/flags.ts'
import { JIFFY_NS } from '../base/jiffies.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { alignUp, asPfn, HPAGE_PMD_NR } from '../base/units.ts'
import { isMigrateOnFault } from '../fault/numa_fault.ts'
import { taskScanMax, taskScanStart, tickNs, updateScanPeriod } from '../fault/numa_stats.ts'
import { hasSharedPolicy, localNode, sharedPolicy, taskPolicy } from '../frames/mempolicy.ts'
import { compoundHead, pageCount, pageNode } from '../frames/page.ts'
import { isHuge, splitHugePmd } from '../spaces/huge_pmd.ts'
import { chunkOf, entryAt, entryFlags, entryValue, pteIndex, setEntry } from '../spaces/pagetable.ts'
import { holdPtLock, LOCK_PTE } from '../spaces/pt_lock.ts'
import { findVma } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'

const MS = 1e6
/** Pages of a MB; and how much more address space than pages a scan passes over. */
const PAGES_PER_MB = 256
const VIRTUAL_FACTOR = 8
/** Bit 1 of the mode: between equal nodes, of which alone machines have any here. */
const NUMA_BALANCING_NORMAL = 1
/** A task is to run at least so much longer than it scanned. */
const RUN_PER_SCAN = 32

/** When the task could scan next if it ran from now on; Infinity while balancing is off. */
export function nextNumaTickNs(k: Kernel, task: Task): number {
  const { mm, numa } = task
  if (k.sysctl.numa_balancing === 0 || mm === undefined) return Number.POSITIVE_INFINITY
  const dueNs = now(k) + numa.nodeStampNs + numa.scanPeriodMs * MS - task.ranNs
  return Math.max(dueNs, now(k)) + JIFFY_NS
}

/** The task goes on: if it has run for a scan period, a part of its memory is scanned now (task_tick_numa, task_numa_work). */
export function taskTickNuma(k: Kernel, task: Task): void {
  const { mm, numa } = task
  if (k.sysctl.numa_balancing === 0 || mm === undefined) return
  if (numa.cpu !== task.cpu) updateScanPeriod(k, task, mm)
  const periodNs = numa.scanPeriodMs * MS
  if (task.ranNs <= numa.nodeStampNs + periodNs) return
  if (numa.nodeStampNs === 0) numa.scanPeriodMs = taskScanStart(k, task, mm)
  numa.nodeStampNs += periodNs
  if (tickNs(k) >= mm.numa.nextScanNs) taskNumaWork(k, task, mm)
}

function taskNumaWork(k: Kernel, task: Task, mm: Mm): void {
  const { numa } = task
  if (numa.scanPeriodMs === 0) {
    numa.scanPeriodMaxMs = taskScanMax(k, task, mm)
    numa.scanPeriodMs = taskScanStart(k, task, mm)
  }
  mm.numa.nextScanNs = tickNs(k) + numa.scanPeriodMs * MS
  numa.nodeStampNs += 2 * JIFFY_NS
  const pages = k.numa.scanSizeMb * PAGES_PER_MB
  if (pages === 0) return
  const startNs = now(k)
  const end = scanPart(k, mm, pages)
  if (end === undefined) resetScan(mm)
  else mm.numa.scanOffset = end
  numa.nodeStampNs += RUN_PER_SCAN * (now(k) - startNs)
}

function resetScan(mm: Mm): void {
  mm.numa.scanSeq++
  mm.numa.scanOffset = 0
}

/** Marks up to `pages` pages from where the scan stands. @returns where it stands then; undefined at the end of the address space. */
function scanPart(k: Kernel, mm: Mm, pages: number): number | undefined {
  let left = pages
  let virtual = pages * VIRTUAL_FACTOR
  let start = mm.numa.scanOffset
  let vma = findVma(mm, start)
  if (vma === undefined) {
    resetScan(mm)
    start = 0
    vma = findVma(mm, 0)
  }
  for (; vma !== undefined; vma = findVma(mm, vma.end)) {
    if (!isScanned(k, vma)) continue
    for (let end = 0; end !== vma.end; start = end) {
      start = Math.max(start, vma.start)
      end = Math.min(alignUp(start + left, HPAGE_PMD_NR), vma.end)
      if (changeProtNuma(k, vma, start, end) > 0) left -= end - start
      virtual -= end - start
      if (left <= 0 || virtual <= 0) return end
    }
  }
  return undefined
}

function isScanned(k: Kernel, vma: Vma): boolean {
  const { flags } = vma
  if ((flags & (VM_IO | VM_PFNMAP | VM_HUGETLB | VM_MIXEDMAP)) !== 0 || (flags & VM_ACCESS_FLAGS) === 0) return false
  if (vma.mapping !== undefined && (flags & (VM_READ | VM_WRITE)) === VM_READ) return false
  return policyMof(k, vma)
}

/** Whether pages of the area may follow their users (vma_policy_mof). */
function policyMof(k: Kernel, vma: Vma): boolean {
  if (!hasSharedPolicy(vma)) return isMigrateOnFault(k, vma.policy ?? taskPolicy(k))
  const policy = sharedPolicy(vma, 0)
  return policy !== undefined && isMigrateOnFault(k, policy)
}

/** Marks the entries of [start, end). @returns how many pages they cover (change_prot_numa). */
function changeProtNuma(k: Kernel, vma: Vma, start: number, end: number): number {
  if ((k.sysctl.numa_balancing & NUMA_BALANCING_NORMAL) === 0) return 0
  const home = (vma.flags & VM_SHARED) === 0 && vma.mm.users === 1 ? localNode(k) : -1
  let updates = 0
  walkPmds(k, vma.mm, start, end, (pmd, i, from, to) => {
    if (isHuge(entryFlags(k, pmd, i))) {
      if (to - from === HPAGE_PMD_NR) {
        updates += markHuge(k, pmd, i)
        return
      }
      splitHugePmd(k, vma, pmd, i)
    }
    if ((entryFlags(k, pmd, i) & PTE_TABLE) !== 0) updates += markTable(k, vma, entryValue(k, pmd, i), pteIndex(from), to - from, home)
  })
  if (updates > 0) spend(k, COST.tlb_flush, 1)
  k.event[EV.numa_pte_updates] += updates
  return updates
}

function markHuge(k: Kernel, pmd: number, i: number): number {
  const flags = entryFlags(k, pmd, i)
  spend(k, COST.pte_visit, 1)
  if ((flags & PTE_PRESENT) === 0 || (flags & (PTE_SPECIAL | PTE_PROTNONE)) !== 0) return 0
  setEntry(k, pmd, i, entryValue(k, pmd, i), flags | PTE_PROTNONE)
  spend(k, COST.pte_change, 1)
  k.event[EV.numa_huge_pte_updates]++
  return HPAGE_PMD_NR
}

function markTable(k: Kernel, vma: Vma, table: number, first: number, n: number, home: number): number {
  const chunk = chunkOf(k, table)
  const cow = (vma.flags & (VM_SHARED | VM_MAYWRITE)) === VM_MAYWRITE
  let updates = 0
  for (let i = first; i < first + n; i++) {
    const at = entryAt(table, i)
    const flags = chunk[at + 1]
    if ((flags & (PTE_PRESENT | PTE_PROTNONE | PTE_SPECIAL)) !== PTE_PRESENT || !isMarked(k, chunk[at], cow, home)) continue
    chunk[at + 1] = flags | PTE_PROTNONE
    updates++
  }
  spend(k, COST.pte_visit, n)
  spend(k, COST.pte_change, updates)
  holdPtLock(k, vma.mm, LOCK_PTE, n * COSTS.pte_visit + updates * COSTS.pte_change)
  return updates
}

function isMarked(k: Kernel, entry: number, cow: boolean, home: number): boolean {
  const pfn = asPfn(entry)
  const head = compoundHead(k, pfn)
  const flags = k.page[head * PAGE_WORDS]
  if ((flags & PG_ksm) !== 0 || (cow && pageCount(k, head) !== 1)) return false
  if ((flags & (PG_swapbacked | PG_dirty)) === PG_dirty) return false
  return pageNode(k, pfn) !== home
}
