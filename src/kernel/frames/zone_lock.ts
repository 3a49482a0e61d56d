/**
 * The lock of a zone's free lists. Per-CPU lists exist to avoid it: a page from them needs no lock, a refill takes the lock once for a batch.
 *
 *     CPU 0   ──faults──|held|──faults──────|held|──        a batch: ENTER_NS and BLOCK_NS for each block taken or given back
 *     CPU 1   ──────faults──|.wait.|held|──faults──         and the longer the batch, the longer the others wait
 *     CPU 2   ──faults───────|....wait....|held|──          together no more than one at a time
 *
 * CPUs here do not run at once but one after the other, each in its own time, so two never meet in fact. Instead each CPU's share of its
 * time in which it wants the lock is noted, a millisecond after the other. Who takes the lock finds it held as often as the others
 * hold it, and then waits for half of such a hold. Where all together want more time than there is (that share comes to more
 * than one), everybody's turns grow longer in proportion, so that together they hold it no more than all the time. What is counted is what is
 * to be expected, in fractions. A CPU that is alone with a zone never waits.
 *
 * What holding takes is part of the cost of getting and freeing pages (base/cost.ts); only the waits come to it.
 *
 * Source: mm/page_alloc.c (zone->lock in rmqueue_bulk, rmqueue_buddy, free_pcppages_bulk, free_one_page), mm/compaction.c
 * isolate_freepages_block, "mm/page_alloc: allow high-order pages to be stored on the per-cpu lists".
 */
import { COST, spendNs } from '../base/cost.ts'
import type { Kernel, Zone, ZoneLock } from '../base/state.ts'

/** Getting the lock's cache line from the CPU that had it, and giving it back; and moving one block from or to a free list. */
const ENTER_NS = 40
const BLOCK_NS = 30
/** A CPU's share is worked out so often, and old news after that. */
const WINDOW_NS = 1e6
const FORGET_NS = 100e6

/** The lock of a zone of a machine with so many CPUs; one CPU alone has nobody to wait for. */
export const zoneLock = (cpus: number): ZoneLock | undefined =>
  cpus < 2
    ? undefined
    : {
        heldNs: new Float64Array(cpus),
        holds: new Float64Array(cpus),
        waitedNs: new Float64Array(cpus),
        startNs: new Float64Array(cpus),
        share: new Float64Array(cpus),
        lengthNs: new Float64Array(cpus),
        met: new Float64Array(cpus),
        waitNs: new Float64Array(cpus),
        total: { taken: 0, contended: 0, heldNs: 0, waitedNs: 0 },
      }

/** The CPU that runs now takes the lock of the zone, and moves so many blocks from or to its free lists. */
export function holdZoneLock(k: Kernel, zone: Zone, blocks: number): void {
  const { lock } = zone
  if (lock === undefined) return
  const { cpu } = k
  if (k.clock[0] - lock.startNs[cpu] >= WINDOW_NS) endWindow(k, lock, cpu)
  const ns = ENTER_NS + blocks * BLOCK_NS
  lock.heldNs[cpu] += ns
  lock.holds[cpu]++
  lock.total.taken++
  lock.total.heldNs += ns
  const waitNs = lock.waitNs[cpu]
  if (waitNs === 0) return
  lock.waitedNs[cpu] += waitNs
  lock.total.contended += lock.met[cpu]
  lock.total.waitedNs += waitNs
  spendNs(k, COST.zone_lock, waitNs)
}

/** Works out how much of its time the CPU wanted the lock, and what it has to expect of the others from now on. */
function endWindow(k: Kernel, lock: ZoneLock, cpu: number): void {
  const holds = lock.holds[cpu]
  const busyNs = Math.max(1, k.clock[0] - lock.startNs[cpu] - lock.waitedNs[cpu])
  lock.share[cpu] = Math.min(1, lock.heldNs[cpu] / busyNs)
  lock.lengthNs[cpu] = holds === 0 ? 0 : lock.heldNs[cpu] / holds
  let [others, restNs] = [0, 0]
  for (let other = 0; other < lock.share.length; other++) {
    if (other === cpu || lock.startNs[other] === 0 || Math.abs(lock.startNs[other] - k.clock[0]) > FORGET_NS) continue
    others += lock.share[other]
    restNs += (lock.share[other] * lock.lengthNs[other]) / 2
  }
  const turnNs = holds === 0 ? 0 : busyNs / holds
  lock.met[cpu] = Math.min(1, others)
  lock.waitNs[cpu] = restNs + Math.max(0, others + lock.share[cpu] - 1) * turnNs
  lock.startNs[cpu] = k.clock[0]
  lock.heldNs[cpu] = 0
  lock.holds[cpu] = 0
  lock.waitedNs[cpu] = 0
}
