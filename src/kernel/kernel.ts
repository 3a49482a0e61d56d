/**
 * The kernel's own threads on the machine's clock. Each is a record that says when it wants to run next; whoever moves
 * the clock asks for the earliest and lets it run on a CPU of its node that is free first.
 */
import { COST, spend } from './base/cost.ts'
import { psiAverage } from './base/psi.ts'
import type { Kernel } from './base/state.ts'
import type { Daemon } from './base/state_shared.ts'
import { freeCpu, type KernelThread, readyNs, runThread } from './base/thread.ts'
import { runBlockDone } from './caches/block.ts'
import { runRcu } from './caches/rcu.ts'
import { runFlusher } from './daemons/flusher.ts'
import { runKcompactd } from './daemons/kcompactd.ts'
import { runKhugepaged } from './daemons/khugepaged.ts'
import { runKsmd } from './daemons/ksmd.ts'
import { runKswapd } from './daemons/kswapd.ts'
import { runOomReaper } from './daemons/oom_reaper.ts'
import { runVmstat } from './daemons/vmstat.ts'
import { runWorkingSet } from './daemons/working_set.ts'
import { runZswapShrink } from './daemons/zswap_shrink.ts'
import { runFreeHugePages } from './fault/hugetlb_vmemmap.ts'

const NEVER = Number.POSITIVE_INFINITY
/** How long a kernel thread keeps a CPU that others want too. */
const SLICE_NS = 1e6

/** The threads of each machine: they are the same from its boot on, and looked through at every step. */
const threads = new WeakMap<Kernel, readonly KernelThread[]>()

function daemons(k: Kernel): readonly KernelThread[] {
  const known = threads.get(k)
  if (known !== undefined) return known
  const made = threadsOf(k)
  threads.set(k, made)
  return made
}

/** All kernel threads, in the order in which equals run. */
function threadsOf(k: Kernel): readonly KernelThread[] {
  return [
    { daemon: k.fs.blockDone, run: runBlockDone },
    { daemon: k.rcu.daemon, run: runRcu },
    { daemon: k.oomReaper.daemon, run: runOomReaper },
    { daemon: k.hugetlb.vmemmap.worker, run: runFreeHugePages },
    { daemon: k.fs.writeback.flusher, run: runFlusher },
    { daemon: k.zswap.shrinker, run: runZswapShrink },
    { daemon: k.vmstat, run: runVmstat },
    { daemon: k.psi.averager, run: psiAverage, nice: true },
    { daemon: k.khugepaged.daemon, run: runKhugepaged, nice: true },
    { daemon: k.ksm.daemon, run: runKsmd, nice: true },
    { daemon: k.workingSet.daemon, run: runWorkingSet, nice: true },
    ...k.nodes.map(node => ({ daemon: node.kswapd, run: (machine: Kernel) => runKswapd(machine, node) })),
    ...k.nodes.map(node => ({ daemon: node.kcompactd, run: (machine: Kernel) => runKcompactd(machine, node) })),
  ]
}

/** The kernel threads, for who looks at them. */
export const daemonsOf = (k: Kernel): Daemon[] => daemons(k).map(({ daemon }) => daemon)

/** A process that wants a CPU: since when, and until when it would keep it. */
export interface Claim {
  readonly cpu: number
  readonly sinceNs: number
  readonly untilNs: number
}

/**
 * When a kernel thread may run. One that was woken runs at once; one that has kept its CPU for a while leaves it to a process that has waited
 * for it longer.
 */
function turnNs(k: Kernel, { daemon, nice }: KernelThread, claim: Claim | undefined): number {
  const ready = readyNs(daemon)
  const goesOn = nice !== true && daemon.wakeNs <= daemon.endNs && daemon.keptNs >= SLICE_NS
  const waits = claim !== undefined && goesOn && claim.sinceNs < ready && freeCpu(k, daemon) === claim.cpu
  return waits ? Math.max(ready, claim.untilNs) : ready
}

/** When the next kernel thread wants to run, beside a process that wants a CPU; Infinity when none does. */
export function nextDaemonNs(k: Kernel, claim?: Claim): number {
  let earliest = Number.POSITIVE_INFINITY
  for (const work of daemons(k)) earliest = Math.min(earliest, turnNs(k, work, claim))
  return earliest
}

/** Runs kernel threads that are due up to the given time, the earliest first; leaves k.cpu, k.current and the clock as they were. */
export function runDaemons(k: Kernel, untilNs: number, claim?: Claim): void {
  const { cpu, current } = k
  const ns = k.clock[0]
  for (let work = due(k, untilNs, claim); work !== undefined; work = due(k, untilNs, claim)) runThread(k, work)
  k.cpu = cpu
  k.current = current
  k.clock[0] = ns
}

/** Within a long system call: lets kernel threads run whose time has come, and waits for one that takes this CPU (cond_resched). */
export function condResched(k: Kernel): void {
  k.needResched = false
  runDaemons(k, k.clock[0])
  const waitNs = k.cpus[k.cpu].nowNs - k.clock[0]
  if (waitNs > 0) spend(k, COST.idle, waitNs)
}

function due(k: Kernel, untilNs: number, claim: Claim | undefined): KernelThread | undefined {
  let first: KernelThread | undefined
  let firstNs = NEVER
  for (const work of daemons(k)) {
    const ns = turnNs(k, work, claim)
    if (ns > untilNs || ns >= firstNs) continue
    first = work
    firstNs = ns
  }
  return first
}
