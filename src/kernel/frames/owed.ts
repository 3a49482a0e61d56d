/**
 * Kernel objects of address spaces, processes and open files that memory cgroups are charged for: each is on the bill of the group of the task
 * that made it, wherever that task or the object goes later.
 *
 * They are made in the middle of other work. Here they are only noted; who settles the caches after each slice of a process' time
 * charges what came and went (calls/objects.ts).
 *
 *     mmap, fork, split ──> +1 area, +2 links        noted by group
 *     munmap, exit      ──> -1 area, -1 link         off the group that was charged
 *                                   └── at the end of the slice: bytes of all that, and a pointer to the group for each
 *
 * Source: mm/slab.h (memcg_slab_pre_alloc_hook, memcg_slab_free_hook), kernel/fork.c (caches with SLAB_ACCOUNT).
 */
import type { Kernel } from '../base/state.ts'
import { ROOT_MEMCG } from './memcg.ts'

/** What is noted: areas, anon_vmas, links between the two, processes, address spaces, open files. */
export const OWED = { area: 0, anonVma: 1, link: 2, process: 3, space: 4, file: 5 } as const
const KINDS = Object.keys(OWED).length

/** The group that pays for what is made now. */
export const payer = (k: Kernel): number => k.current?.memcg ?? ROOT_MEMCG

/** Notes that a group has to pay for so many objects more or, with a negative number, less. */
export function owe(k: Kernel, memcg: number, what: (typeof OWED)[keyof typeof OWED], by: number): void {
  if (memcg === ROOT_MEMCG) return
  let row = k.spaces.owed.get(memcg)
  if (row === undefined) {
    row = new Float64Array(KINDS)
    k.spaces.owed.set(memcg, row)
  }
  row[what] += by
}
