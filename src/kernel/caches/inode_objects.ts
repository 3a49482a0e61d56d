/**
 * The kernel objects that a file costs while it is known: its inode, the security module's note on it, and the dentry that
 * holds its name. On a disk file system they come and go (drop_caches, memory pressure), in memory they stay.
 *
 * A name that was looked up and is not there costs a dentry too.
 *
 * Source: fs/dcache.c (d_alloc, prune_dcache_sb), fs/inode.c (alloc_inode, prune_icache_sb), security/security.c lsm_inode_alloc.
 */

import { kmemAlloc } from '../alloc/kmem.ts'
import { EV } from '../base/counters.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode, SuperBlock } from '../base/state_fs.ts'
import { kmemFree } from './slab.ts'

/** The objects of a file that are in memory (Inode.cached). */
export const INODE_CACHED = 1
export const DENTRY_CACHED = 2

const CACHE_OF: Readonly<Record<SuperBlock['type'], string>> = {
  ext4: 'ext4_inode_cache',
  tmpfs: 'shmem_inode_cache',
  shmem: 'shmem_inode_cache',
  hugetlbfs: 'hugetlbfs_inode_cache',
  ramfs: 'inode_cache',
  secretmem: 'inode_cache',
  bdev: 'inode_cache',
}

/** Takes the objects of a file that are not in memory yet; as far as there is memory for them. */
export function inodeTakeObjects(k: Kernel, inode: Inode): void {
  if ((inode.cached & INODE_CACHED) === 0 && kmemAlloc(k, CACHE_OF[inode.sb.type], 1)) {
    if (kmemAlloc(k, 'lsm_inode_cache', 1)) inode.cached |= INODE_CACHED
    else kmemFree(k, CACHE_OF[inode.sb.type], 1)
  }
  if ((inode.cached & DENTRY_CACHED) === 0 && kmemAlloc(k, 'dentry', 1)) inode.cached |= DENTRY_CACHED
}

/** Gives the objects of a file back. */
export function inodeFreeObjects(k: Kernel, inode: Inode): void {
  if ((inode.cached & INODE_CACHED) !== 0) {
    kmemFree(k, CACHE_OF[inode.sb.type], 1)
    kmemFree(k, 'lsm_inode_cache', 1)
  }
  if ((inode.cached & DENTRY_CACHED) !== 0) kmemFree(k, 'dentry', 1)
  inode.cached = 0
}

/** Remembers that the name is not there. */
export function addNegative(k: Kernel, path: string): void {
  if (!k.fs.negative.has(path) && kmemAlloc(k, 'dentry', 1)) k.fs.negative.add(path)
}

/** The dentry of a removed file stays, for a name that is not there. */
export function dentryTurnsNegative(k: Kernel, inode: Inode, path: string): void {
  if ((inode.cached & DENTRY_CACHED) === 0 || k.fs.negative.has(path)) return
  inode.cached &= ~DENTRY_CACHED
  k.fs.negative.add(path)
}

/** The name is there again. */
export function dropNegative(k: Kernel, path: string): void {
  if (k.fs.negative.delete(path)) kmemFree(k, 'dentry', 1)
}

/**
 * Lets all objects go that nothing needs: every negative dentry, and the objects of disk files that are neither open nor have
 * pages in the cache (drop_slab). A dentry used since the last look is passed over once, so each is looked at twice.
 */
export function dropUnusedObjects(k: Kernel): void {
  let dentries = k.fs.negative.size
  let inodes = 0
  kmemFree(k, 'dentry', k.fs.negative.size)
  k.fs.negative.clear()
  for (const inode of k.fs.inodes.values()) {
    if (inode.sb.disk === undefined || inode.cached === 0 || inode.openCount > 0 || inode.directory) continue
    if ((inode.cached & DENTRY_CACHED) !== 0) {
      dentries++
      kmemFree(k, 'dentry', 1)
      inode.cached &= ~DENTRY_CACHED
    }
    if (inode.mapping.nrPages > 0) continue
    inodes++
    inodeFreeObjects(k, inode)
  }
  k.event[EV.slabs_scanned] += 2 * dentries + inodes
}
