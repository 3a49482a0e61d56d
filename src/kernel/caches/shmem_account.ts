/**
 * What pages of memory files (tmpfs, memfd, shared anonymous memory) are charged to: the mount's size, and the promises of
 * memory that overcommit watches.
 *
 *     object with promised size      its pages were promised with its size, whether they are there or not
 *     object without (NORESERVE, every tmpfs file)      each page is promised when it is allocated
 *
 * The mount counts what it gave out. Reclaim may take a clean page without telling (drop_caches of a page of
 * zeros), so before a count matters it is set right by how many pages there are (recalc).
 *
 * Source: mm/shmem.c (shmem_acct_size, shmem_inode_acct_block, shmem_recalc_inode).
 */
import { ENOSPC } from '../base/errno.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode } from '../base/state_fs.ts'
import type { Task } from '../base/state_mm.ts'
import { pagesFor } from '../base/units.ts'
import { vmEnoughMemory, vmUnacctMemory } from '../calls/account.ts'

/** Promises memory for a file that grows from `oldBytes` to `newBytes`, or takes the promise back; 0 or -ENOMEM (shmem_reacct_size). */
export function shmemReacctSize(k: Kernel, task: Task | undefined, inode: Inode, oldBytes: number, newBytes: number): number {
  if (inode.noreserve) return 0
  const more = pagesFor(newBytes) - pagesFor(oldBytes)
  if (more > 0) return vmEnoughMemory(k, task, task?.mm, more)
  if (more < 0) vmUnacctMemory(k, -more)
  return 0
}

/** Charges pages about to be allocated; 0 or -ENOSPC (shmem_inode_acct_block). */
export function shmemAcctBlocks(k: Kernel, inode: Inode, pages: number): number {
  const { sb } = inode
  if (inode.noreserve && vmEnoughMemory(k, k.current, k.current?.mm, pages) < 0) return -ENOSPC
  if (sb.maxBlocks > 0 && sb.usedBlocks + pages > sb.maxBlocks) {
    if (inode.noreserve) vmUnacctMemory(k, pages)
    return -ENOSPC
  }
  if (sb.maxBlocks > 0) sb.usedBlocks += pages
  return 0
}

export function shmemUnacctBlocks(k: Kernel, inode: Inode, pages: number): void {
  if (inode.sb.maxBlocks > 0) inode.sb.usedBlocks -= pages
  if (inode.noreserve) vmUnacctMemory(k, pages)
}

/** Gives back the charge of pages that are gone (shmem_recalc_inode). */
export function shmemRecalc(k: Kernel, inode: Inode): void {
  const freed = inode.alloced - inode.swapped - inode.mapping.nrPages
  if (freed <= 0) return
  inode.alloced -= freed
  shmemUnacctBlocks(k, inode, freed)
}
