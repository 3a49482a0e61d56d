/**
 * The kernel objects of processes and address spaces: a process has a task_struct, its signals, its files' table and so on; an address
 * space its mm_struct and an object for each area; an open file a filp. They are counted where they are, and their caches follow
 * after each slice of a process' time: what it made and took apart within the slice never had a slab of its own.
 *
 * Groups are charged for what their tasks made at the same time, a page at a time; what is over a limit that nothing helps against is
 * charged all the same, for it is there.
 *
 * How full the nodes of the tree of areas are is not modelled: those of a large tree are taken to be half full.
 *
 * Source: kernel/fork.c (proc_caches_init, copy_process), fs/file_table.c alloc_empty_file, mm/rmap.c, lib/maple_tree.c (mas_split).
 */
import { objCharge } from '../alloc/charge.ts'
import { kmemAlloc } from '../alloc/kmem.ts'
import { __GFP_NOFAIL, GFP_KERNEL } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { OpenFile } from '../base/state_fs.ts'
import { PAGE_SIZE } from '../base/units.ts'
import { chargedBytes } from '../caches/charged_objects.ts'
import { kmemCache, kmemFree } from '../caches/slab.ts'
import { objUncharge } from '../frames/memcg_charge.ts'
import { OWED } from '../frames/owed.ts'

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

/** Caches that have one object each of what is noted for groups. */
const PAID: Readonly<Record<keyof typeof OWED, readonly string[]>> = {
  area: ['vm_area_struct'],
  anonVma: ['anon_vma'],
  link: ['anon_vma_chain'],
  process: ['task_struct', 'signal_cache', 'sighand_cache', 'files_cache', 'fs_cache', 'cred_jar', 'pid'],
  space: ['mm_struct'],
  file: ['filp'],
}
const KINDS = Object.entries(OWED).map(([kind, at]) => ({ at, caches: Object.entries(PAID).find(([name]) => name === kind)?.[1] ?? [] }))

/** Charges groups for the objects that their tasks have made since, and gives back what went. */
function settleCharges(k: Kernel): void {
  const { owed } = k.spaces
  if (owed.size === 0) return
  const bills = [...owed]
  owed.clear()
  for (const [memcg, row] of bills) {
    let bytes = 0
    for (const { at, caches } of KINDS) for (const cache of caches) bytes += chargedBytes(k, cache, row[at])
    for (let left = -bytes; left > 0; left -= PAGE_SIZE) objUncharge(k, memcg, k.cpus[k.cpu].node, false, Math.min(left, PAGE_SIZE))
    chargeAll(k, memcg, bytes)
  }
}

/** Who was killed meanwhile had the objects before it came to that: nothing is reclaimed for them any more. */
function chargeAll(k: Kernel, memcg: number, bytes: number): void {
  const nid = k.cpus[k.cpu].node
  let gfp = k.current?.killed === 0 ? GFP_KERNEL : __GFP_NOFAIL
  for (let left = bytes; left > 0; left -= PAGE_SIZE) {
    const now = Math.min(left, PAGE_SIZE)
    if (objCharge(k, memcg, nid, false, now, gfp)) continue
    gfp = __GFP_NOFAIL
    objCharge(k, memcg, nid, false, now, gfp)
  }
}

/** Lets the caches follow what there is now. What there is no memory for now is taken another time. */
export function settleObjects(k: Kernel): void {
  settleCharges(k)
  for (const [name, { objects }] of Object.entries(objectsInUse(k))) {
    const cache = kmemCache(k, name)
    const more = objects - cache.settled
    if (more === 0) continue
    if (more < 0) kmemFree(k, name, -more)
    else if (!kmemAlloc(k, name, more)) continue
    cache.settled = objects
  }
}
