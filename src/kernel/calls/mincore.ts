/**
 * mincore(2): which pages are in memory. A page that is mapped is; one that is not mapped when its file's cache has it, and only
 * who may write to the file is told: to others all of it looks resident. A page in swap is when the swap cache has it.
 *
 * Source: mm/mincore.c.
 */
import { COST, spend } from '../base/cost.ts'
import { EINVAL, ENOMEM } from '../base/errno.ts'
import { PG_uptodate, PTE_HUGE, PTE_PRESENT } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task, Vma } from '../base/state_mm.ts'
import { NO_PAGE, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { filemapGet, isShmem } from '../caches/filemap.ts'
import { shmemEntry } from '../caches/shmem_entries.ts'
import { swapCacheGet } from '../caches/swap_cache.ts'
import { pteToSwap } from '../caches/swap_map.ts'
import { compoundHead } from '../frames/page.ts'
import { entryFlags, entryValue, LEVEL_PMD, LEVEL_PUD, levelIndex, pteIndex, pteTable, walkTo } from '../spaces/pagetable.ts'
import { vmaAt } from '../spaces/vma.ts'
import { TASK_SIZE } from './unmapped_area.ts'

/** @returns how many pages of the range are resident; -EINVAL for an unaligned address, -ENOMEM where nothing is mapped. */
export function sysMincore(k: Kernel, task: Task, address: number, bytes: number): number {
  spend(k, COST.syscall, 1)
  const { mm } = task
  if (address % PAGE_SIZE !== 0) return -EINVAL
  if (mm === undefined || address + bytes > TASK_SIZE) return -ENOMEM
  const end = address / PAGE_SIZE + Math.ceil(bytes / PAGE_SIZE)
  let resident = 0
  for (let vpn = address / PAGE_SIZE; vpn < end; vpn++) {
    const vma = vmaAt(mm, vpn)
    if (vma === undefined) return -ENOMEM
    if (isResident(k, task, vma, vpn)) resident++
  }
  spend(k, COST.pte_visit, end - address / PAGE_SIZE)
  return resident
}

function isResident(k: Kernel, task: Task, vma: Vma, vpn: number): boolean {
  const { mapping } = vma
  if (mapping !== undefined && task.uid !== 0 && task.uid !== mapping.inode.uid && (mapping.inode.mode & 2) === 0) return true
  if (isMapped(k, vma.mm, vpn)) return true
  const table = pteTable(k, vma.mm, vpn)
  const own = table === 0 ? 0 : pteToSwap(entryValue(k, table, pteIndex(vpn)), entryFlags(k, table, pteIndex(vpn)))
  if (own !== 0) return isReady(k, swapCacheGet(k, own))
  if (mapping === undefined) return false
  const index = vma.pgoff + vpn - vma.start
  const entry = isShmem(mapping.inode.sb) ? shmemEntry(mapping, index) : 0
  return isReady(k, entry === 0 ? filemapGet(mapping, index) : swapCacheGet(k, entry))
}

const isReady = (k: Kernel, page: Pfn) => page !== NO_PAGE && (k.page[compoundHead(k, page) * PAGE_WORDS] & PG_uptodate) !== 0

/** Whether an entry of any level maps the page. */
function isMapped(k: Kernel, mm: Mm, vpn: number): boolean {
  const table = pteTable(k, mm, vpn)
  if (table !== 0) return (entryFlags(k, table, pteIndex(vpn)) & PTE_PRESENT) !== 0
  for (const level of [LEVEL_PMD, LEVEL_PUD]) {
    const upper = walkTo(k, mm, vpn, level)
    if (upper !== 0) return (entryFlags(k, upper, levelIndex(vpn, level)) & (PTE_HUGE | PTE_PRESENT)) === (PTE_HUGE | PTE_PRESENT)
  }
  return false
}
