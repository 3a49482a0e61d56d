/**
 * Index nodes of files that others may still be looking at without a lock: they are freed only when every CPU has been seen at rest
 * once (RCU), some milliseconds later.
 *
 *     let go     a b c | d e    f | g            what comes while a grace period is under way
 *     periods    wait  |----------|-------       waits for the one after it
 *     free                        a b c          and d e f at the end of the next
 *
 * Their slabs go back on the CPU that let them go. Dentries and inodes that drop_caches lets go are freed the same way; those that go
 * one by one, or because memory is short, are free at once here, for who reclaims does not wait for a grace period.
 *
 * Source: lib/radix-tree.c (radix_tree_node_rcu_free), kernel/rcu/tree.c (rcu_gp_kthread, rcu_do_batch).
 */
import { now } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import { kmemFree } from './slab.ts'

/**
 * How long what is let go waits for a grace period to begin for it, and how long a period takes. Together that was 60 to 90 ms on recorded
 * machines, during which they drop some 3000 names, and are some 20 times slower than this one.
 */
const WAIT_NS = 1.5e6
const GRACE_NS = 2e6

/** Frees objects when nobody can be looking at them any more. */
export function kmemFreeRcu(k: Kernel, name: string, objects: number): void {
  const { rcu } = k
  if (rcu.waiting.length + rcu.next.length === 0) rcu.daemon.wakeNs = now(k) + WAIT_NS
  const last = rcu.next[rcu.next.length - 1]
  if (last !== undefined && last.name === name && last.cpu === k.cpu) last.objects += objects
  else rcu.next.push({ name, objects, cpu: k.cpu })
}

/** A grace period is over, if there was one; the next begins for what was let go meanwhile. */
export function runRcu(k: Kernel): void {
  const { rcu } = k
  for (const { name, objects, cpu } of rcu.waiting) {
    if (k.cpus[cpu].online) k.cpu = cpu
    kmemFree(k, name, objects)
  }
  rcu.waiting = rcu.next
  rcu.next = []
  if (rcu.waiting.length > 0) rcu.daemon.wakeNs = now(k) + GRACE_NS
}

/** Frees objects of names and inodes. */
export function kmemFreeNamed(k: Kernel, name: string, objects: number): void {
  if (k.rcu.dropping) kmemFreeRcu(k, name, objects)
  else kmemFree(k, name, objects)
}
