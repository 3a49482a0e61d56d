/**
 * The caches of kernel objects that stand when the first line of a workload runs, in the order of /proc/slabinfo, with the objects that boot
 * made: those of processes and address spaces are known, and the room of their slabs beyond those is free.
 *
 * Source: mm/slub.c kmem_cache_init; kernel/fork.c proc_caches_init.
 */
import { NS } from '../base/counters.ts'
import type { Kernel } from '../base/state.ts'
import { kmemCache } from '../caches/slab.ts'
import { machineHasKind, SLAB_KINDS } from '../caches/slab_caches.ts'
import { objectsInUse } from '../calls/objects.ts'

/** Stack of a kernel thread, in kB. */
const STACK_KB = 16

export function initSlab(k: Kernel): void {
  for (const kind of SLAB_KINDS) if (machineHasKind(k.machine, kind)) kmemCache(k, kind.name)
}

/** Settles how much of boot's slabs of processes' objects is used: by the first process and by the threads of the kernel. */
export function settleBootObjects(k: Kernel): void {
  const threads = Math.round(k.nodes.reduce((sum, node) => sum + node.stat[NS.nr_kernel_stack], 0) / STACK_KB)
  for (const [name, { objects, ofThreads }] of Object.entries(objectsInUse(k))) {
    const cache = kmemCache(k, name)
    cache.settled = objects
    cache.bootFree = Math.max(0, cache.bootSlabs * cache.objectsPerSlab - objects - (ofThreads ? threads : 0))
  }
}
