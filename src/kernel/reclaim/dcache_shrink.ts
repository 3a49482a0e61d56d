/**
 * What a disk's file system gives back when memory runs short: names that nobody uses, then inodes that have no name in memory.
 *
 * As many are looked at as asked for, each list's share by its length and one more. One that was used since the last look stays, at
 * the end of its list; a name whose file was opened meanwhile leaves the list.
 *
 * How many there are to give is told by vfs_cache_pressure in percent: 0 none, 200 twice as many.
 *
 * Source: fs/super.c (super_cache_count, super_cache_scan), fs/dcache.c (prune_dcache_sb, dentry_lru_isolate), fs/inode.c
 * (prune_icache_sb, inode_lru_isolate).
 */

import { COST, spend } from '../base/cost.ts'
import { __GFP_FS } from '../base/flags.ts'
import type { Kernel, Node } from '../base/state.ts'
import { INODE_CACHED, inodeFreeObjects, inodeUnused, type NameKey } from '../caches/dcache.ts'
import { kmemFreeNamed } from '../caches/rcu.ts'
import { memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'
import { SHRINK_STOP } from './thp_split.ts'

/** Objects asked for at once (s_shrink.batch). */
export const SUPER_BATCH = 1024

/** Objects of a node that a memory cgroup is charged for, or nobody, for the root. */
export function superCacheCount(k: Kernel, node: Node, memcg: number): number {
  const { names, inodes } = k.fs.unused[node.id]
  const all = names.size + inodes.size
  const others = memcg === ROOT_MEMCG && k.memcg.groups.length > 1 ? groupObjects(k) : 0
  const own = memcg === ROOT_MEMCG ? Math.max(0, all - others) : Math.min(all, memcgOf(k, memcg).fileObjects)
  return Math.floor((own * k.sysctl.vfs_cache_pressure) / 100)
}

const groupObjects = (k: Kernel) => k.memcg.groups.reduce((sum, group) => sum + (group?.fileObjects ?? 0), 0)

/** @returns the objects freed, or SHRINK_STOP for one who must not enter the file system. */
export function superCacheScan(k: Kernel, node: Node, memcg: number, max: number, gfp: number): number {
  if ((gfp & __GFP_FS) === 0) return SHRINK_STOP
  const { names, inodes } = k.fs.unused[node.id]
  const total = names.size + inodes.size + 1
  const share = (n: number) => Math.floor((max * n) / total) + 1
  const [ofNames, ofInodes] = [share(names.size), share(inodes.size)]
  return pruneNames(k, node, memcg, ofNames) + pruneInodes(k, node, memcg, ofInodes)
}

function pruneNames(k: Kernel, node: Node, memcg: number, max: number): number {
  const { names } = k.fs.unused[node.id]
  let freed = 0
  for (const [key, referenced] of firstOf(k, memcg, names, max)) {
    names.delete(key)
    spend(k, referenced ? COST.lru_move : COST.prune_dentry, 1)
    if (referenced) names.set(key, false)
    else if (freeName(k, key)) freed++
  }
  return freed
}

/** Frees the name's dentry; false when its file is in use again. */
function freeName(k: Kernel, key: NameKey): boolean {
  if (typeof key === 'string') {
    k.fs.negative.delete(key)
    kmemFreeNamed(k, 'dentry', 1)
    return true
  }
  const inode = k.fs.inodes.get(key)
  if (inode === undefined || inode.openCount > 0) return false
  inodeFreeObjects(k, inode, ~INODE_CACHED)
  inodeUnused(k, inode)
  return true
}

function pruneInodes(k: Kernel, node: Node, memcg: number, max: number): number {
  const { inodes } = k.fs.unused[node.id]
  let freed = 0
  for (const [id] of firstOf(k, memcg, inodes, max)) {
    inodes.delete(id)
    const inode = k.fs.inodes.get(id)
    if (inode === undefined || inode.cached !== INODE_CACHED || inode.mapping.nrPages + inode.mapping.nrShadows > 0) continue
    spend(k, COST.evict_inode, 1)
    inodeFreeObjects(k, inode)
    freed++
  }
  return freed
}

/** Who is charged for a file's objects; nobody for a name that is not there. */
const ownerOf = (k: Kernel, key: NameKey): number =>
  typeof key === 'string' ? ROOT_MEMCG : (k.fs.inodes.get(key)?.mapping.charged.memcg ?? ROOT_MEMCG)

/** The first entries of a list that a group is charged for; the list may be changed while they are looked at. */
function firstOf<K extends NameKey>(k: Kernel, memcg: number, list: ReadonlyMap<K, boolean>, max: number): [K, boolean][] {
  const first: [K, boolean][] = []
  const one = k.memcg.groups.length === 1
  for (const entry of list) {
    if (first.length >= max) break
    if (one || ownerOf(k, entry[0]) === memcg) first.push(entry)
  }
  return first
}
