/**
 * Kernel objects that memory cgroups are charged for: index nodes, inodes and dentries of files, and buffer heads. Each costs its bytes
 * and a pointer to who is charged.
 *
 * All objects of one file are charged to one group, that of the task that made the first of them; Linux charges each to the
 * task that makes it. Buffer heads are charged to the group of the page they describe, as there.
 *
 * Source: mm/slab.h (memcg_slab_post_alloc_hook, memcg_slab_free_hook), fs/buffer.c alloc_page_buffers.
 */
import type { Kernel } from '../base/state.ts'
import type { ChargedObjects } from '../base/state_fs.ts'
import { PAGE_SIZE, type Pfn } from '../base/units.ts'
import { memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'
import { objUncharge } from '../frames/memcg_charge.ts'
import { pageMemcg, pageNode, pageOwner } from '../frames/page.ts'
import { kmemFreeNamed, kmemFreeRcu } from './rcu.ts'
import { kmemCache, kmemFree } from './slab.ts'

export type FileObjects = 'nodes' | 'inodes' | 'dentries'

/** What an object costs beside its own bytes: a pointer to its group (struct obj_cgroup *). */
const OWNER_BYTES = 8

/** Bytes that `objects` of a cache are charged for. */
export const chargedBytes = (k: Kernel, cache: string, objects: number): number => (kmemCache(k, cache).objectBytes + OWNER_BYTES) * objects

/** Counts names and inodes that reclaim for a group may ask for. */
export function noteFileObjects(k: Kernel, { memcg }: ChargedObjects, kind: FileObjects, by: number): void {
  if (kind !== 'nodes') memcgOf(k, memcg).fileObjects += by
}

/** Frees objects of a file; those that a group is charged for first. */
export function fileObjectsFree(k: Kernel, charged: ChargedObjects, cache: string, kind: FileObjects, objects: number): void {
  if (kind === 'nodes') kmemFreeRcu(k, cache, objects)
  else kmemFreeNamed(k, cache, objects)
  const paid = Math.min(objects, charged[kind])
  if (paid === 0) return
  charged[kind] -= paid
  noteFileObjects(k, charged, kind, -paid)
  objUncharge(k, charged.memcg, charged.nid, kmemCache(k, cache).reclaimable, chargedBytes(k, cache, paid))
  if (charged.nodes + charged.inodes + charged.dentries === 0) charged.memcg = ROOT_MEMCG
}

/** The dentry of a removed file stays for a name that is not there; nobody is charged for it. */
export function nameUncharge(k: Kernel, charged: ChargedObjects): void {
  if (charged.dentries === 0) return
  charged.dentries--
  noteFileObjects(k, charged, 'dentries', -1)
  objUncharge(k, charged.memcg, charged.nid, true, chargedBytes(k, 'dentry', 1))
}

/** Buffer heads that a page of a file or disk has while it has any: one for each block. */
export const buffersOf = (k: Kernel, page: Pfn): number =>
  PAGE_SIZE / (k.fs.mappings.get(pageOwner(k, page))?.inode.sb.disk?.blockBytes ?? PAGE_SIZE)

/** Frees the buffer heads of a page. */
export function bufferFree(k: Kernel, page: Pfn): void {
  const heads = buffersOf(k, page)
  kmemFree(k, 'buffer_head', heads)
  objUncharge(k, pageMemcg(k, page), pageNode(k, page), true, chargedBytes(k, 'buffer_head', heads))
}
