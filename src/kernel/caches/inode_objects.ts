/**
 * The kernel objects that a file costs while it is known: its inode, the security module's note on it, and the dentry that
 * holds its name. On a disk file system they come and go (drop_caches, memory pressure), in memory they stay.
 *
 * A name that was looked up and is not there costs a dentry too.
 *
 * Source: fs/dcache.c d_alloc, fs/inode.c alloc_inode, security/security.c lsm_inode_alloc.
 */

import { fileObjectsAlloc, kmemAlloc } from '../alloc/kmem.ts'
import type { Kernel } from '../base/state.ts'
import type { Inode } from '../base/state_fs.ts'
import { fileObjectsFree, nameUncharge } from './charged_objects.ts'
import { DENTRY_CACHED, INODE_CACHED, inodeCacheOf, nameForget, nameUnused } from './dcache.ts'
import { kmemFree } from './slab.ts'

/** Takes the objects of a file that are not in memory yet; as far as there is memory for them. */
export function inodeTakeObjects(k: Kernel, inode: Inode): void {
  const { charged } = inode.mapping
  if ((inode.cached & INODE_CACHED) === 0 && fileObjectsAlloc(k, charged, inodeCacheOf(inode), 'inodes', 1)) {
    if (kmemAlloc(k, 'lsm_inode_cache', 1)) inode.cached |= INODE_CACHED
    else fileObjectsFree(k, charged, inodeCacheOf(inode), 'inodes', 1)
  }
  if ((inode.cached & DENTRY_CACHED) === 0 && fileObjectsAlloc(k, charged, 'dentry', 'dentries', 1)) inode.cached |= DENTRY_CACHED
}

/** Remembers that the name is not there. */
export function addNegative(k: Kernel, path: string): void {
  if (!k.fs.negative.has(path)) {
    if (!kmemAlloc(k, 'dentry', 1)) return
    k.fs.negative.add(path)
  }
  nameUnused(k, path)
}

/** The dentry of a removed file stays, for a name that is not there. */
export function dentryTurnsNegative(k: Kernel, inode: Inode, path: string): void {
  if ((inode.cached & DENTRY_CACHED) === 0 || k.fs.negative.has(path)) return
  inode.cached &= ~DENTRY_CACHED
  nameUncharge(k, inode.mapping.charged)
  nameForget(k, inode.id)
  k.fs.negative.add(path)
  nameUnused(k, path)
}

/** The name is there again. */
export function dropNegative(k: Kernel, path: string): void {
  if (!k.fs.negative.delete(path)) return
  nameForget(k, path)
  kmemFree(k, 'dentry', 1)
}
