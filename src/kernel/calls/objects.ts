/**
 * The kernel objects of processes and address spaces: a process has a task_struct, its signals, its files' table and so on; an address
 * space its mm_struct and an object for each area; an open file a filp. They are counted where they are, and their caches follow
 * after each slice of a process' time: what it made and took apart within the slice never had a slab of its own.
 *
 * How full the nodes of the tree of areas are is not modelled: those of a large tree are taken to be half full.
 *
 * Source: kernel/fork.c (proc_caches_init, copy_process), fs/file_table.c alloc_empty_file, mm/rmap.c, lib/maple_tree.c (mas_split).
 */
import { kmemAlloc } from '../alloc/kmem.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'
import { kmemCache, kmemFree } from '../caches/slab.ts'

export interface InUse {
  readonly objects: number
  /** Threads of the kernel have one, too. */
  readonly ofThreads: boolean
}

/** Objects of processes and address spaces that there are now, by cache. */
export function objectsInUse(k: Kernel): Readonly<Record<string, InUse>> {
  const of = (objects: number, ofThreads = false): InUse => ({ objects, ofThreads })
  const { mms, anonVmas, anonVmaChains } = k.spaces
  let [areas, nodes] = [0, 0]
  for (const mm of mms.values()) {
    areas += mm.vmas.count
    nodes += mapleNodes(mm.vmas.count)
  }
  const files = openFiles(k)
  const tasks = k.tasks.size
  return {
    vm_area_struct: of(areas),
    maple_node: of(nodes),
    anon_vma: of(anonVmas.size),
    anon_vma_chain: of(anonVmaChains),
    mm_struct: of(mms.size),
    files_cache: of(tasks),
    task_struct: of(tasks, true),
    signal_cache: of(tasks, true),
    sighand_cache: of(tasks, true),
    cred_jar: of(tasks, true),
    pid: of(tasks, true),
    filp: of(files),
    lsm_file_cache: of(files),
  }
}

/** Entries of a node of the tree of areas, and of one of many: those that were split when they were full are half full. */
const NODE_ENTRIES = 16
const ENTRIES_OF_MANY = 8

/** Nodes of the tree of so many areas, upper levels included. */
function mapleNodes(areas: number): number {
  let nodes = areas < NODE_ENTRIES ? 1 : Math.ceil(areas / ENTRIES_OF_MANY)
  for (let level = nodes; level > 1; nodes += level) level = Math.ceil(level / ENTRIES_OF_MANY)
  return nodes
}

/** Files that some process has open; a fork's are its parent's. */
function openFiles(k: Kernel): number {
  const seen = new Set<OpenFile>()
  for (const task of k.tasks.values()) for (const file of task.files) seen.add(file)
  return seen.size
}

/** Lets the caches follow what there is now. What there is no memory for now is taken another time. */
export function settleObjects(k: Kernel): void {
  for (const [name, { objects }] of Object.entries(objectsInUse(k))) {
    const cache = kmemCache(k, name)
    const more = objects - cache.settled
    if (more === 0) continue
    if (more < 0) kmemFree(k, name, -more)
    else if (!kmemAlloc(k, name, more)) continue
    cache.settled = objects
  }
}
