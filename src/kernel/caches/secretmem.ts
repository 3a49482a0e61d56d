/**
 * Secret memory: pages that the kernel itself can no longer read.
 *
 *     direct map, 2 MiB entry   |────────────────────────|
 *     one secret page in it     |┊┊┊┊┊┊┊┊┊┊┊┊ ┊┊┊┊┊┊┊┊┊┊┊┊|      split into 512 entries of 4 KiB, one of them taken out
 *
 * A page comes with the first touch, zeroed, from memory that is not movable; it never moves, is never written anywhere, and stays
 * unevictable in its file until nobody has that any more. Its entry in the direct map is taken out, for which larger entries are
 * split; what was split stays so when the page is free again. Pages count against RLIMIT_MEMLOCK of the user who made the
 * file, root's too; beyond it the touch is a bus error.
 *
 * Which 2 MiB entries boot has split for itself is not known here: they hold the kernel and little else.
 *
 * Source: mm/secretmem.c (secretmem_fault, secretmem_account_folio, secretmem_free_folio, secretmem_release),
 * arch/x86/mm/pat/set_memory.c (set_direct_map_invalid_noflush, split_large_page).
 */
import { allocPages } from '../alloc/page_alloc.ts'
import { COST, spend, spendOnMemory, spendOnPages } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { __GFP_ZERO, GFP_HIGHUSER, GFP_KERNEL, PG_uptodate, VM_FAULT_OOM, VM_FAULT_SIGBUS } from '../base/flags.ts'
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, Mapping } from '../base/state_fs.ts'
import type { Vma } from '../base/state_mm.ts'
import { HPAGE_PMD_NR, HPAGE_PUD_NR, NO_PAGE, PAGE_KB, PAGE_SIZE, type Pfn } from '../base/units.ts'
import { freePages } from '../frames/rmqueue.ts'
import { filePages } from './filemap.ts'
import { filemapAdd } from './filemap_add.ts'
import { xaPage } from './xarray.ts'

/** Whether the area maps secret memory (vma_is_secretmem). */
export const vmaIsSecretmem = (vma: Vma): boolean => vma.mapping?.inode.sb.type === 'secretmem'

/** The page of the file at a fault; or minus the VM_FAULT_* bit that says why not. */
export function secretmemFault(k: Kernel, mapping: Mapping, index: number): Pfn | number {
  if (index >= filePages(mapping.inode)) return -VM_FAULT_SIGBUS
  const there = xaPage(mapping.pages, index)
  if (there !== NO_PAGE) return there
  const pfn = allocPages(k, GFP_HIGHUSER | __GFP_ZERO, 0)
  if (pfn === NO_PAGE) return -VM_FAULT_OOM
  spendOnPages(k, COST.clear_page, pfn, 1)
  if (!account(k, mapping.inode)) {
    freePages(k, pfn, 0)
    return -VM_FAULT_SIGBUS
  }
  if (!hideFromKernel(k, pfn)) {
    unaccount(k, mapping.inode, 1)
    freePages(k, pfn, 0)
    return -VM_FAULT_OOM
  }
  k.page[pfn * PAGE_WORDS] |= PG_uptodate
  if (filemapAdd(k, mapping, pfn, index, GFP_HIGHUSER)) return pfn
  unaccount(k, mapping.inode, 1)
  return -VM_FAULT_OOM
}

/** Counts one page more as locked by the file's user, if the running task's limit allows. */
function account(k: Kernel, { uid }: Inode): boolean {
  const locked = k.secretmem.locked.get(uid) ?? 0
  if ((locked + 1) * PAGE_SIZE > (k.current?.rlimits.memlock ?? 0)) return false
  k.secretmem.locked.set(uid, locked + 1)
  return true
}

function unaccount(k: Kernel, { uid }: Inode, pages: number): void {
  k.secretmem.locked.set(uid, (k.secretmem.locked.get(uid) ?? 0) - pages)
}

/** Nobody has the file open any more: its pages, about to be freed, are the kernel's again and are wiped. */
export function secretmemRelease(k: Kernel, inode: Inode): void {
  unaccount(k, inode, inode.mapping.nrPages)
  spendOnMemory(k, COST.clear_page, inode.mapping.nrPages)
}

// --- the direct map

const HUGE_KB = HPAGE_PMD_NR * PAGE_KB
const GIB_KB = HPAGE_PUD_NR * PAGE_KB

/** Takes the page out of the direct map; false when there is no memory for a table that this takes. */
function hideFromKernel(k: Kernel, pfn: Pfn): boolean {
  const { boot } = k
  const gib = Math.floor(pfn / HPAGE_PUD_NR)
  if (boot.directMapGibs.has(gib)) {
    if (allocPages(k, GFP_KERNEL, 0) === NO_PAGE) return false
    boot.directMapGibs.delete(gib)
    boot.directMap1gKb -= GIB_KB
    boot.directMap2mKb += GIB_KB
    k.event[EV.direct_map_level3_splits]++
  }
  const huge = Math.floor(pfn / HPAGE_PMD_NR)
  if (!k.secretmem.split.has(huge)) {
    if (allocPages(k, GFP_KERNEL, 0) === NO_PAGE) return false
    k.secretmem.split.add(huge)
    boot.directMap2mKb -= HUGE_KB
    boot.directMap4kKb += HUGE_KB
    k.event[EV.direct_map_level2_splits]++
  }
  spend(k, COST.pte_change, 1)
  spend(k, COST.tlb_flush, 1)
  return true
}
