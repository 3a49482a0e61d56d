/**
 * swapoff(2): reads back everything that an area holds, then forgets it.
 *
 *     memory files      each page that is there is brought back into its file
 *     address spaces    each entry that names a slot there is made to map the page again, as if it had not been used
 *     swap cache        pages that are left give up their slots
 *
 * Memory must hold what comes back: promises are asked for it first, and when it runs out the area is on again. So it is when a process was
 * killed to make room: the signal of its death interrupts.
 *
 * Source: mm/swapfile.c (sys_swapoff, try_to_unuse, unuse_pte), mm/shmem.c shmem_unuse.
 */

import { assert } from '../base/assert.ts'
import { COST, spend } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { EINTR, EINVAL, ENOMEM, EPERM } from '../base/errno.ts'
import {
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SOFT_DIRTY,
  PTE_SWP_EXCLUSIVE,
  PTE_TABLE,
  PTE_UFFD_WP,
  VM_ACCESS_FLAGS,
  VM_HUGETLB,
} from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import type { SwapArea } from '../base/state_swap.ts'
import { NO_PAGE, type Pfn } from '../base/units.ts'
import { isShmem } from '../caches/filemap.ts'
import { normalizePath } from '../caches/inode.ts'
import { putPage } from '../caches/lru.ts'
import { shmemEntry } from '../caches/shmem_entries.ts'
import { shmemSwapin } from '../caches/shmem_page.ts'
import { forgetSwapArea, reinsertSwapArea, withdrawSwapArea } from '../caches/swap_area.ts'
import { folioFreeSwap, swapCacheGet } from '../caches/swap_cache.ts'
import { waitOnSwapCache } from '../caches/swap_io.ts'
import { drainSwapSlots, pteToSwap, swapFree, swpEntry, swpType } from '../caches/swap_map.ts'
import { swapCacheLookup, swapinReadahead } from '../caches/swap_read.ts'
import { leafStart } from '../caches/xarray.ts'
import { ksmMightNeedToCopy } from '../fault/ksm_copy.ts'
import { copySwapped } from '../fault/swapin.ts'
import { compoundHead } from '../frames/page.ts'
import { freeCharged } from '../frames/rmqueue.ts'
import { entryFlags, entryValue, pteIndex, setEntry } from '../spaces/pagetable.ts'
import { lruAddVma, pageAddAnonRmap, pageAddNewAnonRmap } from '../spaces/rmap.ts'
import { eachVma } from '../spaces/vma.ts'
import { walkPmds } from '../spaces/walk.ts'
import { capable, vmEnoughMemory, vmUnacctMemory } from './account.ts'
import { closeDevice, swapDeviceAt } from './swapon.ts'

/** @returns 0, -EPERM, -ENOENT, -EISDIR, -EINVAL for what is no area, -ENOMEM, -EINTR. */
export function sysSwapoff(k: Kernel, task: Task, name: string): number {
  spend(k, COST.syscall, 1)
  if (!capable(task)) return -EPERM
  const path = normalizePath(name)
  const area = k.swap.areas.find(other => other?.path === path)
  if (area === undefined) {
    const found = swapDeviceAt(k, path)
    return typeof found === 'number' ? found : -EINVAL
  }
  if (vmEnoughMemory(k, task, task.mm, area.pages) < 0) return -ENOMEM
  vmUnacctMemory(k, area.pages)
  withdrawSwapArea(k, area)
  k.swap.slotsEnabled = false
  drainSwapSlots(k)
  task.oomOrigin = true
  const error = tryToUnuse(k, area)
  task.oomOrigin = false
  if (error < 0) reinsertSwapArea(k, area)
  else {
    forgetSwapArea(k, area)
    closeDevice(k, area.device)
  }
  k.swap.slotsEnabled = k.swap.active.length > 0
  return error
}

/** Brings everything back; 0, -ENOMEM, or -EINTR. */
function tryToUnuse(k: Kernel, area: SwapArea): number {
  const killed = k.event[EV.oom_kill]
  // All processes are children of the first, which makes the call: it is sent a signal when one dies to make room.
  const interrupted = () => k.event[EV.oom_kill] !== killed
  const goesOn = () => area.inusePages > 0 && !interrupted()
  if (!unuseFiles(k, area.type)) return -ENOMEM
  for (const mm of [...k.spaces.mms.values()]) if (goesOn() && !unuseMm(k, mm, area.type)) return -ENOMEM
  for (let offset = 1; offset < area.max && goesOn(); offset++) {
    if (area.map[offset] === 0) continue
    const page = swapCacheGet(k, swpEntry(area.type, offset))
    if (page !== NO_PAGE) giveUpSlot(k, compoundHead(k, page))
  }
  // Of a disk some pages are on their way then, next to the one there was no memory for: nobody who lets them go can free them.
  if (interrupted() && (area.inusePages > 0 || area.device.kind !== 'zram')) return -EINTR
  assert(area.inusePages === 0, `${area.path} is left with ${area.inusePages} slots in use`)
  return 0
}

function giveUpSlot(k: Kernel, head: Pfn): void {
  waitOnSwapCache(k, head)
  if (folioFreeSwap(k, head)) putPage(k, head)
}

/** Pages of memory files; false when there is no memory for one. */
function unuseFiles(k: Kernel, type: number): boolean {
  for (const mapping of k.fs.mappings.values()) {
    if (!isShmem(mapping.inode.sb) || mapping.inode.swapped === 0) continue
    for (const key of [...mapping.pages.nodes.keys()].sort((a, b) => a - b))
      for (let index = leafStart(key); index < leafStart(key + 1); index++) {
        const entry = shmemEntry(mapping, index)
        if (entry !== 0 && swpType(entry) === type && shmemSwapin(k, mapping, index, entry, 'cache', undefined) < 0) return false
      }
  }
  return true
}

function unuseMm(k: Kernel, mm: Mm, type: number): boolean {
  let enough = true
  for (const vma of eachVma(mm)) {
    if (vma.anonVma === 0 || (vma.flags & VM_HUGETLB) !== 0) continue
    walkPmds(k, mm, vma.start, vma.end, (pmd, i, start, end) => {
      if (enough && (entryFlags(k, pmd, i) & PTE_TABLE) !== 0) enough = unusePtes(k, vma, entryValue(k, pmd, i), start, end, type)
    })
  }
  return enough
}

function unusePtes(k: Kernel, vma: Vma, table: number, start: number, end: number, type: number): boolean {
  const first = pteIndex(start)
  spend(k, COST.pte_visit, end - start)
  for (let at = 0; at < end - start; at++) {
    const entry = pteToSwap(entryValue(k, table, first + at), entryFlags(k, table, first + at))
    if (entry === 0 || swpType(entry) !== type) continue
    const offset = start + at - vma.start
    const cached = swapCacheLookup(k, entry, vma, offset)
    const page = cached === NO_PAGE ? swapinReadahead(k, entry, vma, offset) : cached
    // Whoever had it may have been killed to make room.
    const gone = pteToSwap(entryValue(k, table, first + at), entryFlags(k, table, first + at)) !== entry
    if (gone) continue
    if (page === NO_PAGE) return false
    waitOnSwapCache(k, compoundHead(k, page))
    if (!unusePte(k, vma, table, first + at, offset, page, entry)) return false
    folioFreeSwap(k, compoundHead(k, page))
  }
  return true
}

/**
 * Maps the page where its entry was, as one that has not been used since and may not be written to; or a copy, where KSM had merged it for
 * processes that have nothing else in common. False when there is no memory for the copy.
 */
function unusePte(k: Kernel, vma: Vma, table: number, i: number, offset: number, cached: Pfn, entry: number): boolean {
  const flags = entryFlags(k, table, i)
  const head = compoundHead(k, cached)
  const copied = ksmMightNeedToCopy(k, vma, offset, head, cached - head)
  const page = copied ? copySwapped(k, vma, offset, cached) : cached
  if (page === NO_PAGE) return false
  if (copied && entryFlags(k, table, i) !== flags) {
    freeCharged(k, page, 0)
    return true
  }
  vma.mm.swapEnts--
  vma.mm.rssAnon++
  if (copied) {
    pageAddNewAnonRmap(k, page, vma, offset, false)
    lruAddVma(k, page, vma)
  } else pageAddAnonRmap(k, page, vma, offset, false, (flags & PTE_SWP_EXCLUSIVE) !== 0)
  const closed = (vma.flags & VM_ACCESS_FLAGS) === 0 ? PTE_PROTNONE : 0
  setEntry(k, table, i, page, PTE_PRESENT | closed | (flags & (PTE_SOFT_DIRTY | PTE_UFFD_WP)))
  spend(k, COST.pte_change, 1)
  swapFree(k, entry)
  return true
}
