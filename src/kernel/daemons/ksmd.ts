/**
 * ksmd, and who registers with it: KSM looks at memory that asked for it by MADV_MERGEABLE, a batch at a time.
 *
 *     batch   pages_to_scan pages, or what is left of the scan     sleep   sleep_millisecs, or until that is set to something else
 *
 * The thread sleeps for good while `run` is not 1 or nobody is registered. Whoever changes what it works on waits for its batch to end.
 *
 * An address space registers with its first mergeable area, and a fork of one at once, though it has no records yet: the scan
 * makes them when it comes by. One that ends leaves its records behind for the scan to drop.
 *
 * Taking an area apart (MADV_UNMERGEABLE, moving it, run 2) gives every user of a merged page its own copy. That can
 * fail for want of memory, and then leaves the area mergeable; with run 2 the writer is the first whom the OOM killer takes.
 *
 * Source: mm/ksm.c (ksm_scan_thread, ksm_do_scan, ksm_madvise, __ksm_enter, __ksm_exit, unmerge_and_remove_all_rmap_items,
 * remove_all_stable_nodes, run_store).
 */
import { kmemAlloc } from '../alloc/kmem.ts'
import { COST, now, spend } from '../base/cost.ts'
import { EBUSY, ENOMEM } from '../base/errno.ts'
import {
  KSM_RUN_MERGE,
  KSM_RUN_STOP,
  KSM_RUN_UNMERGE,
  MADV_UNMERGEABLE,
  VM_DONTEXPAND,
  VM_HUGETLB,
  VM_IO,
  VM_MAYSHARE,
  VM_MERGEABLE,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_SHARED,
} from '../base/flags.ts'
import { timeoutNs } from '../base/jiffies.ts'
import type { Kernel } from '../base/state.ts'
import type { KsmSlot, KsmTree } from '../base/state_ksm.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { NO_PAGE } from '../base/units.ts'
import { pageIndex, pageMapped, pageSetOwner } from '../frames/page.ts'
import { K_FIRST, K_LEFT, KSM_WORDS } from '../spaces/ksm_records.ts'
import { mmRelease } from '../spaces/pagetable.ts'
import { eachVma } from '../spaces/vma.ts'
import { compareAndMerge } from './ksm_compare.ts'
import { unmergePages } from './ksm_merge.ts'
import { dropChain, dropItems, isChain, ksmPage, removeNode } from './ksm_nodes.ts'
import { nextItem, strikeOff } from './ksm_scan.ts'

const NEVER = Number.POSITIVE_INFINITY
/** Processes on other CPUs go on while it works: it gives them a turn when it worked for this long. */
const TURN_NS = 1e5

// --- the thread

const shouldRun = (k: Kernel): boolean => k.ksm.run === KSM_RUN_MERGE && k.ksm.slots.length > 0

/** Does what the thread does until it sleeps, or gives others a turn; to be called when its wakeNs has come. */
export function runKsmd(k: Kernel): void {
  const { ksm } = k
  if (ksm.waits !== 'turn') ksm.left = shouldRun(k) ? ksm.pagesToScan : 0
  if (!scanUntil(k, now(k) + TURN_NS)) sleep(k, 'turn', now(k))
  else if (shouldRun(k)) sleep(k, 'sleep', timeoutNs(k, ksm.sleepMillisecs))
  else sleep(k, 'work', NEVER)
}

/** Going to sleep takes time, so that who is told not to sleep and finds nothing does not run for ever at one moment. */
function sleep(k: Kernel, waits: Kernel['ksm']['waits'], wakeNs: number): void {
  spend(k, COST.context_switch, 1)
  k.ksm.waits = waits
  k.ksm.daemon.wakeNs = wakeNs
}

/** Goes on with the batch until `untilNs`; true when it is done (ksm_do_scan). */
function scanUntil(k: Kernel, untilNs: number): boolean {
  const { ksm } = k
  while (ksm.left > 0) {
    const item = nextItem(k)
    ksm.left = item === 0 ? 0 : ksm.left - 1
    if (item !== 0) compareAndMerge(k, ksm.page, item)
    if (now(k) >= untilNs) return ksm.left === 0
  }
  return true
}

/** Waits for the batch that is under way (ksm_thread_mutex). */
function ksmLock(k: Kernel): void {
  const { ksm } = k
  if (ksm.waits !== 'turn') return
  scanUntil(k, NEVER)
  if (shouldRun(k)) sleep(k, 'sleep', timeoutNs(k, ksm.sleepMillisecs))
  else sleep(k, 'work', NEVER)
}

/** Wakes the thread if it sleeps because there was nothing to do. */
function ksmWake(k: Kernel): void {
  if (k.ksm.waits === 'work' && shouldRun(k)) k.ksm.daemon.wakeNs = Math.min(k.ksm.daemon.wakeNs, now(k))
}

/** Ends the thread's sleep between batches, because it was told to sleep for another time. */
export function ksmEndSleep(k: Kernel): void {
  if (k.ksm.waits === 'sleep') k.ksm.daemon.wakeNs = Math.min(k.ksm.daemon.wakeNs, now(k))
}

// --- who is registered

/** Registers the address space; -ENOMEM when there is no memory for that (__ksm_enter). */
function ksmEnter(k: Kernel, mm: Mm): number {
  const { ksm } = k
  if (!kmemAlloc(k, 'ksm_mm_slot', 1)) return -ENOMEM
  const free = ksm.slotById.indexOf(undefined)
  const slot: KsmSlot = { id: free < 0 ? ksm.slotById.length : free, mm, first: 0 }
  ksm.slotById[slot.id] = slot
  if (ksm.run === KSM_RUN_UNMERGE || ksm.at < 0) ksm.slots.push(slot)
  else ksm.slots.splice(ksm.at++, 0, slot)
  mm.mergeable = true
  if (ksm.slots.length === 1) ksmWake(k)
  return 0
}

/** A fork of a registered address space is registered too; 0 or -ENOMEM (ksm_fork). */
export const ksmFork = (k: Kernel, mm: Mm, from: Mm): number => (from.mergeable ? ksmEnter(k, mm) : 0)

/**
 * The address space is about to be torn down (__ksm_exit). With records, or under the scan, it stays for the scan to strike off, which
 * comes to it next.
 */
export function ksmExit(k: Kernel, mm: Mm): void {
  const { ksm } = k
  const i = mm.mergeable ? ksm.slots.findIndex(slot => slot.mm === mm) : -1
  if (i < 0 || i === ksm.at) return
  if (ksm.slots[i].first === 0) {
    strikeOff(k, i)
    return
  }
  const [slot] = ksm.slots.splice(i, 1)
  if (ksm.at > i) ksm.at--
  ksm.slots.splice(ksm.at + 1, 0, slot)
}

// --- advice

/** Areas that have no pages of their own to merge, or are merged already. */
const NOT_MERGEABLE = VM_MERGEABLE | VM_SHARED | VM_MAYSHARE | VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_HUGETLB | VM_MIXEDMAP

/** What the advice makes of an area's flags; where it makes no sense it is ignored. */
export function ksmFlags(flags: number, advice: number): number {
  if (advice === MADV_UNMERGEABLE) return flags & ~VM_MERGEABLE
  return (flags & NOT_MERGEABLE) !== 0 ? flags : flags | VM_MERGEABLE
}

/** Does what the advice takes before the flags of [start, end) of the area change; 0, -ENOMEM or -EINTR (ksm_madvise). */
export function ksmMadvise(k: Kernel, vma: Vma, start: number, end: number, advice: number): number {
  if (ksmFlags(vma.flags, advice) === vma.flags) return 0
  if (advice === MADV_UNMERGEABLE) return vma.anonVma === 0 ? 0 : unmergePages(k, vma, start, end)
  return vma.mm.mergeable ? 0 : ksmEnter(k, vma.mm)
}

// --- taking everything apart

/** What writing 0, 1 or 2 to `run` does; 0 or a negative errno (run_store). */
export function setRun(k: Kernel, run: number, writer: Task | undefined): number {
  const { ksm } = k
  ksmLock(k)
  if (ksm.run !== run) {
    ksm.run = run
    const error = run === KSM_RUN_UNMERGE ? unmergeAll(k, writer) : 0
    if (error < 0) {
      ksm.run = KSM_RUN_STOP
      return error
    }
  }
  if (run === KSM_RUN_MERGE) ksmWake(k)
  return 0
}

/** Gives everybody their own pages and drops all records (unmerge_and_remove_all_rmap_items). */
function unmergeAll(k: Kernel, writer: Task | undefined): number {
  const { ksm } = k
  if (writer !== undefined) writer.oomOrigin = true
  const error = unmergeSlots(k)
  if (writer !== undefined) writer.oomOrigin = false
  ksm.at = -1
  if (error < 0) return error
  dropAllNodes(k)
  ksm.fullScans = 0
  return 0
}

function unmergeSlots(k: Kernel): number {
  const { ksm } = k
  for (ksm.at = 0; ksm.at < ksm.slots.length; ) {
    const slot = ksm.slots[ksm.at]
    const error = slot.mm.users === 0 ? 0 : unmergeMm(k, slot.mm)
    if (error < 0) return error
    dropItems(k, slot.id, 0)
    if (slot.mm.users > 0) {
      ksm.at++
      continue
    }
    strikeOff(k, ksm.at)
    mmRelease(k, slot.mm)
  }
  return 0
}

function unmergeMm(k: Kernel, mm: Mm): number {
  for (const vma of eachVma(mm)) {
    if ((vma.flags & VM_MERGEABLE) === 0 || vma.anonVma === 0) continue
    const error = unmergePages(k, vma, vma.start, vma.end)
    if (error < 0) return error
  }
  return 0
}

/** Drops the records of merged pages that nobody maps any more; -EBUSY when somebody does (remove_all_stable_nodes). */
function dropAllNodes(k: Kernel): number {
  const { ksm } = k
  const trees = ksm.mergeAcrossNodes ? 1 : k.nodes.length
  let error = 0
  for (const tree of ksm.stableTrees.slice(0, trees)) if (!dropTree(k, tree)) error = -EBUSY
  for (let node = ksm.migrated; node !== 0; ) {
    const next = ksm.records.words[node * KSM_WORDS + K_LEFT]
    if (!dropNode(k, node)) error = -EBUSY
    node = next
  }
  return error
}

function dropTree(k: Kernel, tree: KsmTree): boolean {
  while (tree.root !== 0) if (!dropChainOrNode(k, tree.root)) return false
  return true
}

function dropChainOrNode(k: Kernel, node: number): boolean {
  if (!isChain(k, node)) return dropNode(k, node)
  const { records } = k.ksm
  for (let dup = records.words[node * KSM_WORDS + K_FIRST]; dup !== 0; dup = records.words[node * KSM_WORDS + K_FIRST])
    if (!dropNode(k, dup)) return false
  dropChain(k, node)
  return true
}

function dropNode(k: Kernel, node: number): boolean {
  const page = ksmPage(k, node)
  if (page === NO_PAGE) return true
  if (pageMapped(k, page)) return false
  pageSetOwner(k, page, 0, pageIndex(k, page))
  removeNode(k, node)
  return true
}

/**
 * Changes what the trees are built by, which can only be done while nothing is merged: 0 or -EBUSY.
 * @param change sets the knob.
 */
export function whileNothingMerged(k: Kernel, change: () => void): number {
  ksmLock(k)
  if (k.ksm.pagesShared > 0 || dropAllNodes(k) < 0) return -EBUSY
  change()
  return 0
}
