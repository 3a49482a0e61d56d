/**
 * Names and inodes of disk files that are in memory although nobody uses them: where reclaim finds them.
 *
 *     open, or looked up ──last user──> names that nobody uses ──dropped──> inodes without a name in memory ──dropped──> gone
 *                        <──used again──  (least used first; used since: one round more)
 *
 * An inode that still has pages, or shadows of pages, in the cache is on no list: it goes there with the last of them. The list is of the
 * node whose memory was near when the name was let go. Names are kept by inode number, those that are known not to be there by path.
 *
 * Source: fs/dcache.c (retain_dentry, d_lru_add, d_delete), fs/inode.c (iput_final, __inode_add_lru), mm/list_lru.c.
 */

import type { Kernel } from '../base/state.ts'
import type { Inode, Mapping } from '../base/state_fs.ts'
import { fileObjectsFree } from './charged_objects.ts'
import { kmemFreeNamed } from './rcu.ts'

/** The objects of a file that are in memory (Inode.cached). */
export const INODE_CACHED = 1
export const DENTRY_CACHED = 2

/** A name: the inode it leads to, or a path where there is nothing. */
export type NameKey = number | string

/** Nobody uses the name any more (dput). */
export function nameUnused(k: Kernel, key: NameKey): void {
  const known = k.fs.unused.find(({ names }) => names.has(key))
  if (known === undefined) k.fs.unused[k.cpus[k.cpu].node].names.set(key, false)
  else known.names.set(key, true)
}

/** The same for a file's name, if it has one that memory may forget: of a file on a disk that nobody has open. */
export function fileNameUnused(k: Kernel, inode: Inode): void {
  if (inode.sb.disk !== undefined && !inode.directory && inode.openCount === 0 && (inode.cached & DENTRY_CACHED) !== 0)
    nameUnused(k, inode.id)
}

/** The name is in use, or gone. */
export function nameForget(k: Kernel, key: NameKey): void {
  for (const { names } of k.fs.unused) names.delete(key)
}

/** Puts the inode on the list if nothing holds it in memory any more (inode_add_lru). */
export function inodeUnused(k: Kernel, inode: Inode): void {
  const { mapping } = inode
  if (inode.cached !== INODE_CACHED || inode.sb.disk === undefined || inode.directory || inode.openCount > 0) return
  if (mapping.nrPages + mapping.nrShadows > 0 || k.fs.unused.some(({ inodes }) => inodes.has(inode.id))) return
  k.fs.unused[mapping.charged.nid].inodes.set(inode.id, false)
}

/** To be called when a file's last page, or shadow of one, left the cache. */
export const mappingEmptied = (k: Kernel, mapping: Mapping): void => inodeUnused(k, mapping.inode)

const CACHE_OF: Readonly<Record<Inode['sb']['type'], string>> = {
  ext4: 'ext4_inode_cache',
  tmpfs: 'shmem_inode_cache',
  shmem: 'shmem_inode_cache',
  hugetlbfs: 'hugetlbfs_inode_cache',
  ramfs: 'inode_cache',
  secretmem: 'inode_cache',
  bdev: 'inode_cache',
}

/** The cache that the inode's object comes from. */
export const inodeCacheOf = (inode: Inode): string => CACHE_OF[inode.sb.type]

/** Gives the objects of a file back: both, or one. */
export function inodeFreeObjects(k: Kernel, inode: Inode, what: number = INODE_CACHED | DENTRY_CACHED): void {
  const freed = inode.cached & what
  if ((freed & INODE_CACHED) !== 0) {
    fileObjectsFree(k, inode.mapping.charged, inodeCacheOf(inode), 'inodes', 1)
    kmemFreeNamed(k, 'lsm_inode_cache', 1)
    for (const { inodes } of k.fs.unused) inodes.delete(inode.id)
  }
  if ((freed & DENTRY_CACHED) !== 0) {
    fileObjectsFree(k, inode.mapping.charged, 'dentry', 'dentries', 1)
    nameForget(k, inode.id)
  }
  inode.cached &= ~freed
}
