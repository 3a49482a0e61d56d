/**
 * The page fault: what happens when a program touches a page that its tables do not let it touch.
 *
 *     no area there, or not allowed         SIGSEGV
 *     area of huge TLB pages                hugetlb.ts
 *     2 MiB of nothing, huge pages wanted   huge_memory.ts, which may fall back to what follows
 *     no entry                              anonymous: anon.ts      file or shmem: file_fault.ts
 *     left to a userfaultfd                 userfaultfd.ts: the task sleeps
 *     swapped out                           swapin.ts
 *     marked for NUMA hinting               numa_fault.ts
 *     write to a read-only entry            copy or reuse: anon.ts, shared file: file_fault.ts
 *
 * Missing tables on the way are allocated first. Every call counts as a pgfault; the task's minor or major count goes
 * up unless the fault has to be tried again.
 *
 * Source: mm/memory.c handle_mm_fault, __handle_mm_fault, handle_pte_fault; arch/x86/mm/fault.c.
 */

import { memcgHandleOverHigh } from '../alloc/charge.ts'
import { COST, COSTS, now, spend, spendNs } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import {
  FAULT_FLAG_ALLOW_RETRY,
  FAULT_FLAG_WRITE,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_HWPOISON,
  PTE_MARKER,
  PTE_PROTNONE,
  PTE_RW,
  PTE_SOFT_DIRTY,
  PTE_SWAP,
  PTE_UFFD_WP,
  VM_FAULT_ERROR,
  VM_FAULT_FALLBACK,
  VM_FAULT_HWPOISON,
  VM_FAULT_MAJOR,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_SIGSEGV,
  VM_HUGETLB,
  VM_RAND_READ,
  VM_READ,
  VM_SEQ_READ,
  VM_SHARED,
  VM_UFFD_WP,
  VM_WRITE,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mapping } from '../base/state_fs.ts'
import type { Mm, Vma } from '../base/state_mm.ts'
import { countMemcgEvent, ROOT_MEMCG } from '../frames/memcg.ts'
import { entryFlags, entryValue, LEVEL_PTE, pteTableOf, setEntry } from '../spaces/pagetable.ts'
import { faultPtLock, LOCK_PMD, LOCK_PTE } from '../spaces/pt_lock.ts'
import { noteFault } from '../spaces/rss.ts'
import { vmaAt } from '../spaces/vma.ts'
import { doAnonymousPage, doWpPage } from './anon.ts'
import { doFault, wpPageShared } from './file_fault.ts'
import { handleHugeFault } from './huge_memory.ts'
import { hugetlbFault } from './hugetlb.ts'
import { doNumaPage } from './numa_fault.ts'
import { doSwapPage } from './swapin.ts'
import { makeTables } from './tables.ts'
import { handleUserfault } from './userfaultfd.ts'

const PGFAULT = EV.pgfault
const { fault_entry: COST_ENTRY } = COST
const WRITTEN = PTE_DIRTY | PTE_SOFT_DIRTY
/** A fault holds its table's lock while it writes the entry and its counters. */
const FAULT_HOLD_NS = COSTS.fault_pte

/** A user access to page k.vmf.vpn that the tables refused: finds the area, checks that it allows it, handles the fault. */
export function userFault(k: Kernel, mm: Mm, write: boolean): number {
  spend(k, COST_ENTRY, 1)
  const vpn = k.vmf.vpn[0]
  const last = mm.lastVma
  const vma = last !== undefined && last.start <= vpn && vpn < last.end ? last : vmaAt(mm, vpn)
  if (vma === undefined || !allows(vma, write)) return VM_FAULT_SIGSEGV
  k.vmf.offset = (vpn - vma.start) | 0
  k.vmf.write = write
  k.vmf.user = true
  return account(k, vma)
}

/**
 * The fault for which the running task slept, once more (do_user_addr_fault's retry). It is a major fault, whatever it finds.
 * @returns VM_FAULT_*; with RETRY the task sleeps again.
 */
export function retryFault(k: Kernel, mm: Mm, vpn: number, write: boolean): number {
  const vma = vmaAt(mm, vpn)
  if (vma === undefined || !allows(vma, write)) return VM_FAULT_SIGSEGV
  k.vmf.vpn[0] = vpn
  k.vmf.offset = (vpn - vma.start) | 0
  k.vmf.write = write
  k.vmf.user = true
  const task = k.current
  const minflt = task?.minflt ?? 0
  const ret = account(k, vma)
  if (task !== undefined && task.minflt > minflt) {
    task.minflt--
    task.majflt++
  }
  return ret
}

/** A user access to a page that is being moved until `endNs`: the task waits for it (do_swap_page, migration_entry_wait). */
export function migrationFault(k: Kernel, mm: Mm, endNs: number): void {
  spend(k, COST_ENTRY, 1)
  spendNs(k, COST.migration_wait, Math.max(0, endNs - now(k)))
  k.event[PGFAULT]++
  noteFault(mm)
  if (mm.memcg !== ROOT_MEMCG) countMemcgEvent(k, mm.memcg, PGFAULT, 1)
  if (k.current !== undefined) k.current.minflt++
}

/**
 * Whether a program may access the area. What can be written can be read; what can only be executed cannot: it has a protection key that
 * nothing but instruction fetches gets past (access_error, execute_only_pkey).
 */
const allows = (vma: Vma, write: boolean) => (vma.flags & (write ? VM_WRITE : VM_READ | VM_WRITE)) !== 0

/**
 * Handles a fault in an area that allows the access, on behalf of the kernel (populate, get_user_pages); huge TLB pages that
 * are faulted in that way count as no faults (follow_hugetlb_page).
 * @param flags FAULT_FLAG_*
 */
export function handleMmFault(k: Kernel, vma: Vma, vpn: number, flags: number): number {
  k.vmf.vpn[0] = vpn
  k.vmf.offset = vpn - vma.start
  k.vmf.write = (flags & FAULT_FLAG_WRITE) !== 0
  k.vmf.user = false
  k.vmf.atOnce = (flags & FAULT_FLAG_ALLOW_RETRY) === 0
  const ret = (vma.flags & VM_HUGETLB) !== 0 ? hugetlbFault(k, vma) : account(k, vma)
  k.vmf.atOnce = false
  return ret
}

function account(k: Kernel, vma: Vma): number {
  k.event[PGFAULT]++
  k.vmf.table = 0
  noteFault(vma.mm)
  const ret = k.lruGen.enabled ? faultInGenerations(k, vma) : handleFault(k, vma)
  const { user } = k.vmf
  k.vmf.user = false
  if (vma.mm.locks !== undefined) faultPtLock(k, vma.mm, k.vmf.table === 0 ? LOCK_PMD : LOCK_PTE, FAULT_HOLD_NS)
  if (vma.mm.memcg !== ROOT_MEMCG) chargedFault(k, vma.mm.memcg, user)
  const task = k.current
  if (task !== undefined && (ret & (VM_FAULT_ERROR | VM_FAULT_RETRY)) === 0) {
    if ((ret & VM_FAULT_MAJOR) !== 0) task.majflt++
    else task.minflt++
  }
  return ret
}

/** The fault counts for the memory cgroup; before the program goes on it makes up for what it was charged beyond memory.high. */
function chargedFault(k: Kernel, memcg: number, user: boolean): void {
  countMemcgEvent(k, memcg, PGFAULT, 1)
  if (k.memcg.overHigh && user) memcgHandleOverHigh(k)
}

/** Pages that the fault brings in are hot, unless the area is read in order or at random (lru_gen_enter_fault). */
function faultInGenerations(k: Kernel, vma: Vma): number {
  k.lruGen.inFault = (vma.flags & (VM_SEQ_READ | VM_RAND_READ)) === 0
  const ret = handleFault(k, vma)
  k.lruGen.inFault = false
  return ret
}

function handleFault(k: Kernel, vma: Vma): number {
  if ((vma.flags & VM_HUGETLB) !== 0) return hugetlbFault(k, vma)
  const vmf = k.vmf
  const vpn = vmf.vpn[0]
  const key = Math.floor(vpn / 512) | 0
  let table = pteTableOf(k, vma.mm, key)
  if (table === 0) {
    const ret = handleHugeFault(k, vma)
    if ((ret & VM_FAULT_FALLBACK) === 0) return ret
    if (vma.mapping !== undefined) return fileFaultWithoutTable(k, vma, vma.mapping, (vpn - key * 512) | 0)
    if (!makeTables(k, vma.mm, vpn, LEVEL_PTE)) return VM_FAULT_OOM
    table = pteTableOf(k, vma.mm, key)
  }
  vmf.table = table
  vmf.i = (vpn - key * 512) | 0
  return handlePteFault(k, vma)
}

/** A fault on a file where not even a table is: a huge page needs none, so none is made yet. */
function fileFaultWithoutTable(k: Kernel, vma: Vma, mapping: Mapping, i: number): number {
  k.vmf.table = 0
  k.vmf.i = i
  return doFault(k, vma, mapping)
}

function handlePteFault(k: Kernel, vma: Vma): number {
  const { table, i, write } = k.vmf
  const entry = entryFlags(k, table, i)
  if (entry === 0 || (entry & PTE_MARKER) !== 0) return vma.mapping === undefined ? doAnonymousPage(k, vma) : doFault(k, vma, vma.mapping)
  if ((entry & PTE_SWAP) !== 0) return doSwapPage(k, vma)
  if ((entry & PTE_PROTNONE) !== 0) return doNumaPage(k, vma, table, i, false)
  if ((entry & PTE_HWPOISON) !== 0) return VM_FAULT_HWPOISON
  if (write && (entry & PTE_RW) === 0) {
    if ((entry & PTE_UFFD_WP) !== 0 && (vma.flags & VM_UFFD_WP) !== 0) return handleUserfault(k, vma, VM_UFFD_WP)
    return vma.mapping === undefined || (vma.flags & VM_SHARED) === 0 ? doWpPage(k, vma) : wpPageShared(k, vma.mapping)
  }
  setEntry(k, table, i, entryValue(k, table, i), entry | PTE_ACCESSED | (write ? WRITTEN : 0))
  return 0
}
