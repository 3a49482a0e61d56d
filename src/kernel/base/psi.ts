/**
 * Pressure stall information: the share of time in which some, and in which all, tasks that have work to do wait for something.
 *
 *     memory   reclaiming or compacting for a page of one's own; waiting for a page that was evicted not long ago; kswapd at work
 *     io       waiting for a disk
 *     cpu      ready to run while the CPU is somebody else's; for the whole machine there is always somebody running, so never full
 *
 * Stretches of waiting are bracketed by psiMemstallEnter and psiMemstallLeave; who lets tasks and kernel threads run tells at the
 * end of each turn how long it was (psiTurn). Time counts where it was spent, CPU by CPU; each CPU weighs as much as it was not idle. Every two
 * seconds averages over 10, 60 and 300 seconds are brought up to date, in the kernel's fixed-point arithmetic.
 *
 * A turn's stalls count as full when no other task is ready on its CPU.
 *
 * Invariants: the sections of a turn are closed when it ends; a total never falls.
 *
 * Source: kernel/sched/psi.c (collect_percpu_times, update_averages, calc_avgs, psi_show), kernel/sched/loadavg.c (calc_load, calc_load_n).
 */
import { assert } from './assert.ts'
import { now } from './cost.ts'
import { JIFFY_NS } from './jiffies.ts'
import type { Kernel } from './state.ts'
import type { PsiGroup, PsiState } from './state_psi.ts'
import type { Daemon } from './state_shared.ts'

/** States, in the order of the files' lines. */
const IO_SOME = 0
const IO_FULL = 1
const MEM_SOME = 2
const MEM_FULL = 3
const CPU_SOME = 4
const CPU_FULL = 5
const NONIDLE = 6
const STATES = 7

export type PsiResource = 'io' | 'memory' | 'cpu'
const FIRST_STATE: Readonly<Record<PsiResource, number>> = { io: IO_SOME, memory: MEM_SOME, cpu: CPU_SOME }

/** The whole machine, among groups. */
export const PSI_SYSTEM = 0
const ROOT_CGROUP = 1

const NS_PER_US = 1000
/** Ticks between two updates (PSI_FREQ). */
const PERIOD_NS = 501 * JIFFY_NS
/** What an average keeps of itself in two seconds, in 2048ths: exp(-2/10), exp(-2/60), exp(-2/300). */
const KEEP = [1677, 1981, 2034] as const
const WINDOWS = [10, 60, 300] as const
const FIXED_BITS = 11
const FIXED_1 = 1 << FIXED_BITS

export const psiState = (averager: Daemon): PsiState => ({
  groups: new Map(),
  depth: 0,
  sinceNs: 0,
  stalledNs: 0,
  averager: { ...averager, wakeNs: PERIOD_NS },
})

function groupOf(k: Kernel, id: number): PsiGroup {
  const known = k.psi.groups.get(id)
  if (known !== undefined) return known
  const sinceNs = id === PSI_SYSTEM ? 0 : now(k)
  const group: PsiGroup = {
    times: new Float64Array(k.cpus.length * STATES),
    collected: new Float64Array(k.cpus.length * STATES),
    total: new Float64Array(NONIDLE),
    averaged: new Float64Array(NONIDLE),
    averages: new Int32Array(NONIDLE * WINDOWS.length),
    lastUpdateNs: sinceNs,
    nextUpdateNs: sinceNs + PERIOD_NS,
  }
  k.psi.groups.set(id, group)
  return group
}

// --- what happens

/** Who runs waits for memory from now on; sections may lie in one another. */
export function psiMemstallEnter(k: Kernel): void {
  const { psi } = k
  if (psi.depth++ === 0) psi.sinceNs = now(k)
}

export function psiMemstallLeave(k: Kernel): void {
  const { psi } = k
  assert(psi.depth > 0, 'a stall ends that did not begin')
  if (--psi.depth === 0) psi.stalledNs += now(k) - psi.sinceNs
}

/** What of a turn is not over: kept aside while a kernel thread runs in the middle of it. */
export type PsiTurn = Pick<PsiState, 'depth' | 'sinceNs' | 'stalledNs'>

/** Somebody else's turn begins on top of the one under way. @returns what psiResume wants back. */
export function psiSuspend({ psi }: Kernel): PsiTurn {
  const { depth, sinceNs, stalledNs } = psi
  psi.depth = 0
  psi.stalledNs = 0
  return { depth, sinceNs, stalledNs }
}

export function psiResume({ psi }: Kernel, { depth, sinceNs, stalledNs }: PsiTurn): void {
  psi.depth = depth
  psi.sinceNs = sinceNs
  psi.stalledNs = stalledNs
}

/** How a turn on a CPU went, in nanoseconds. */
export interface PsiSpent {
  /** It was ready, but somebody else ran; on the CPU; waiting for a disk. */
  readonly ready: number
  readonly busy: number
  readonly io: number
}

/**
 * The end of a turn on a CPU.
 * @param cgroup of the task; the root's for kernel threads.
 * @param alone no other task is ready there.
 */
export function psiTurn(k: Kernel, cpu: number, cgroup: number, spent: PsiSpent, alone: boolean): void {
  const memory = k.psi.stalledNs
  k.psi.stalledNs = 0
  charge(groupOf(k, PSI_SYSTEM), cpu, spent, memory, alone)
  for (let id = cgroup; id > ROOT_CGROUP; id = k.cgroup.groups.get(id)?.parent ?? ROOT_CGROUP) {
    if (k.cgroup.groups.get(id)?.pressure !== true) continue
    const group = groupOf(k, id)
    charge(group, cpu, spent, memory, alone)
    group.times[cpu * STATES + CPU_FULL] += spent.ready
  }
}

function charge({ times }: PsiGroup, cpu: number, { ready, busy, io }: PsiSpent, memory: number, alone: boolean): void {
  const at = cpu * STATES
  times[at + IO_SOME] += io
  times[at + MEM_SOME] += memory
  if (alone) {
    times[at + IO_FULL] += io
    times[at + MEM_FULL] += memory
  }
  times[at + CPU_SOME] += ready
  times[at + NONIDLE] += ready + busy + io
}

// --- what is made of it

/** Brings the averages of all groups up to date; groups whose cgroup is gone go. */
export function psiAverage(k: Kernel): void {
  for (const [id, group] of k.psi.groups) {
    if (id !== PSI_SYSTEM && !k.cgroup.groups.has(id)) k.psi.groups.delete(id)
    else update(k, group)
  }
  k.psi.averager.wakeNs = now(k) + PERIOD_NS
}

function update(k: Kernel, group: PsiGroup): void {
  collect(k, group)
  if (now(k) >= group.nextUpdateNs) updateAverages(group, now(k))
}

/** Adds what was not collected yet to the totals: of each CPU by the time it was not idle, in ticks (collect_percpu_times). */
function collect(k: Kernel, { times, collected, total }: PsiGroup): void {
  const deltas = new Float64Array(NONIDLE)
  let weights = 0
  for (let at = 0; at < k.cpus.length * STATES; at += STATES) {
    const weight = Math.floor((times[at + NONIDLE] - collected[at + NONIDLE]) / JIFFY_NS)
    weights += weight
    for (let state = 0; state < NONIDLE; state++) deltas[state] += (times[at + state] - collected[at + state]) * weight
  }
  collected.set(times)
  for (let state = 0; state < NONIDLE; state++) total[state] += Math.floor(deltas[state] / Math.max(weights, 1))
}

function updateAverages(group: PsiGroup, ns: number): void {
  const missed = Math.floor((ns - group.nextUpdateNs) / PERIOD_NS)
  const period = ns - (group.lastUpdateNs + missed * PERIOD_NS)
  group.nextUpdateNs += (1 + missed) * PERIOD_NS
  group.lastUpdateNs = ns
  for (let state = 0; state < NONIDLE; state++) {
    // What is more than the period holds is left for the next one.
    const sample = Math.min(group.total[state] - group.averaged[state], period)
    group.averaged[state] += sample
    const percent = Math.floor((sample * 100) / period) * FIXED_1
    KEEP.forEach((keep, i) => {
      const at = state * KEEP.length + i
      const idle = missed > 0 ? decay(group.averages[at], power(keep, missed), 0) : group.averages[at]
      group.averages[at] = decay(idle, keep, percent)
    })
  }
}

/** An average after one period of `active` (calc_load); rounded up while it rises. */
function decay(load: number, keep: number, active: number): number {
  const next = load * keep + active * (FIXED_1 - keep) + (active >= load ? FIXED_1 - 1 : 0)
  return Math.floor(next / FIXED_1)
}

/** x^n in 2048ths (fixed_power_int). */
function power(x: number, n: number): number {
  const rounded = (product: number) => Math.floor((product + FIXED_1 / 2) / FIXED_1)
  let result = FIXED_1
  for (let base = x, left = n; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = rounded(result * base)
    base = rounded(base * base)
  }
  return result
}

/** The text of a pressure file, brought up to date: of the whole machine (PSI_SYSTEM) or a cgroup. */
export function psiText(k: Kernel, id: number, resource: PsiResource): string {
  const group = groupOf(k, id)
  update(k, group)
  const line = (name: string, state: number): string => {
    const averages = WINDOWS.map((seconds, i) => `avg${seconds}=${percentText(group.averages[state * WINDOWS.length + i])}`)
    return `${name} ${averages.join(' ')} total=${Math.floor(group.total[state] / NS_PER_US)}\n`
  }
  return line('some', FIRST_STATE[resource]) + line('full', FIRST_STATE[resource] + 1)
}

const percentText = (average: number): string =>
  `${average >> FIXED_BITS}.${String(((average & (FIXED_1 - 1)) * 100) >> FIXED_BITS).padStart(2, '0')}`
