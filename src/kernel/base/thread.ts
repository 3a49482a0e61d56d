/**
 * How a kernel thread gets a CPU, and its time there.
 *
 * It runs on a CPU of its node that is free first, from the moment when both are ready, and until it has had enough: then its record says when
 * it wants to run again. Nobody else's time passes meanwhile: whoever let it run goes on where he was.
 */
import { COST, costAccount, switchAccount } from './cost.ts'
import { psiResume, psiSuspend, psiTurn } from './psi.ts'
import type { Kernel } from './state.ts'
import type { Daemon } from './state_shared.ts'
import { asNode } from './units.ts'

export interface KernelThread {
  readonly daemon: Daemon
  readonly run: (k: Kernel) => void
  /** Runs at the lowest priority: in what the others leave of the CPUs, so it keeps nobody waiting. */
  readonly nice?: boolean
}

/** A kernel thread that sleeps until somebody wakes it. @param node where it runs, NO_NODE for anywhere */
export const daemon = (name: string, node: number): Daemon => ({
  name,
  node: asNode(node),
  wakeNs: Number.POSITIVE_INFINITY,
  endNs: 0,
  cpu: 0,
  keptNs: 0,
  ranNs: 0,
  costNs: costAccount(),
})

/** When a kernel thread wants to run. */
export const readyNs = (daemon: Daemon): number => Math.max(daemon.wakeNs, daemon.endNs)

/** Gives a kernel thread its turn. The CPU, the current task and the clock are its own afterwards: the caller's are his to restore. */
export function runThread(k: Kernel, { daemon, run, nice }: KernelThread): void {
  const cpu = freeCpu(k, daemon)
  const start = Math.max(readyNs(daemon), k.cpus[cpu].nowNs)
  if (start > daemon.endNs) daemon.keptNs = 0
  k.cpu = cpu
  k.current = undefined
  k.clock[0] = start
  daemon.cpu = cpu
  daemon.wakeNs = Number.POSITIVE_INFINITY
  const interrupted = psiSuspend(k)
  const waited = k.costNs[COST.io_wait]
  const owner = switchAccount(k, daemon.costNs)
  run(k)
  switchAccount(k, owner)
  daemon.endNs = k.clock[0]
  daemon.keptNs += k.clock[0] - start
  daemon.ranNs += k.clock[0] - start
  const io = k.costNs[COST.io_wait] - waited
  if (nice !== true) psiTurn(k, cpu, 0, { ready: 0, busy: k.clock[0] - start - io, io }, true)
  psiResume(k, interrupted)
  if (nice !== true) k.cpus[cpu].nowNs = k.clock[0]
}

/**
 * The online CPU of the thread's node (of any, when it has none) where it can begin earliest: of equals the one it ran on last,
 * else the one that has been idle longest.
 */
export function freeCpu(k: Kernel, daemon: Daemon): number {
  const online = k.cpus.filter(cpu => cpu.online)
  const local = online.filter(cpu => cpu.node === daemon.node)
  const candidates = local.length > 0 ? local : online
  const ready = readyNs(daemon)
  const startNs = candidates.reduce((earliest, cpu) => Math.min(earliest, Math.max(cpu.nowNs, ready)), Number.POSITIVE_INFINITY)
  const free = candidates.filter(cpu => Math.max(cpu.nowNs, ready) === startNs)
  return (free.find(cpu => cpu.id === daemon.cpu && daemon.ranNs > 0) ?? free.reduce((best, cpu) => (cpu.nowNs < best.nowNs ? cpu : best)))
    .id
}
