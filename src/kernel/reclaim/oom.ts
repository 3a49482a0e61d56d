/**
 * The out-of-memory killer: kills the process whose end frees most.
 *
 *     candidates   all processes but the first one and those with an adjustment of -1000; where the request may use some nodes
 *                  only, those bound to any of them, or whose cpuset has any of them; where a memory cgroup is at its limit, its
 *                  processes and those of groups below it
 *     choice       the highest badness (oom_badness.ts), of equals the youngest
 *     victim       is killed (Task.killed; whoever runs processes ends it)
 *
 *     killed ── leaves by itself: its memory goes when it has had its time on a CPU ──> Mm.oomSkip: others may be killed now
 *        └──── two seconds ── still there: the reaper unmaps what it does not share ──────^
 *
 * While a victim is on its way out nobody else is killed, and who needs memory tries again and again. A program's own access fails
 * meanwhile and is made again a little later. A system call cannot be made again: what the victim does not share is taken to be gone at once
 * then, and what it does share later; if the rest is not enough the next one is killed.
 *
 * A group with memory.oom.group dies whole, but for processes that are not to be killed: the highest such group between the victim and
 * the group that is out of memory.
 *
 * Each time the log gets a report (oom_report.ts), ten in five seconds at most. With panic_on_oom Linux stops after it, and without anybody to
 * kill; here the panic is an event, and it goes on, so that what comes after can be seen as well.
 *
 * A request that may not enter file systems pretends that something was killed and tries again.
 *
 * Source: mm/oom_kill.c (out_of_memory, oom_evaluate_task, oom_kill_process, __oom_kill_process, queue_oom_reaper, __oom_reap_task_mm).
 */
import { now } from '../base/cost.ts'
import { EV, ME } from '../base/counters.ts'
import { __GFP_FS, __GFP_THISNODE, MPOL_BIND, VM_HUGETLB, VM_PFNMAP, VM_SHARED } from '../base/flags.ts'
import { HZ, JIFFY_NS, jiffies } from '../base/jiffies.ts'
import { KERN_WARNING, panic, printk, ratelimit } from '../base/log.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import { finishGather } from '../caches/gather.ts'
import { memcgIsBelow, memcgMemoryEvent, memcgOf, ROOT_MEMCG } from '../frames/memcg.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { eachVma } from '../spaces/vma.ts'
import { INIT_PID, OOM_SCORE_ADJ_MIN, oomBadness } from './oom_badness.ts'
import { dumpHeader, type OomReport, reportGroup, reportKilled } from './oom_report.ts'
import { lruAddDrain, unmapPageRange } from './zap.ts'

const SIGKILL = 9
/** How long a victim is given to leave by itself, in ticks (OOM_REAPER_DELAY). */
const REAPER_DELAY = 2 * HZ
/** How many reports there may be in how long (DEFAULT_RATELIMIT_*). */
const REPORTS = 10
const REPORTS_NS = 5e9

/** What is out of memory, and for what request (struct oom_control). */
export interface OomControl {
  readonly gfp: number
  readonly order: number
  /** Bit per node that the request's policy allows; ALL_NODES for any. */
  readonly nodemask: number
  /** The memory cgroup at its limit; ROOT_MEMCG: the machine. */
  readonly memcg: number
}

/** What came of it: it is worth to try again now, or when a victim has left, or there is nobody to kill. */
export type OomOutcome = 'again' | 'later' | 'nobody'

/** Kills a process so that a request can be met, unless one that was killed has yet to leave. */
export function outOfMemory(k: Kernel, wanted: OomControl): OomOutcome {
  const { current } = k
  if (current !== undefined && willFreeMem(current)) {
    markVictim(k, current)
    return 'again'
  }
  if ((wanted.gfp & __GFP_FS) === 0 && wanted.memcg === ROOT_MEMCG) return 'again'
  const constraint = oomConstraint(k, wanted)
  const oc = { ...wanted, constraint, nodemask: constraint === 'memory_policy' ? wanted.nodemask : ALL_NODES }
  if (victimLeaves(k, oc)) return awaitVictims(k, oc)
  checkPanicOnOom(k, oc)
  const allocating = oc.memcg === ROOT_MEMCG && k.sysctl.oom_kill_allocating_task !== 0
  const own = allocating && current !== undefined && badness(k, current, oc) !== undefined
  const victim = own ? current : choose(k, oc)
  if (victim === undefined) {
    reportDeadlock(k, oc)
    return 'nobody'
  }
  const group = oc.memcg === ROOT_MEMCG ? 'Out of memory' : 'Memory cgroup out of memory'
  if (willFreeMem(victim)) markVictim(k, victim)
  else killVictim(k, victim, oc, own ? `${group} (oom_kill_allocating_task)` : group)
  return victim === current ? 'again' : awaitVictims(k, oc)
}

/** Nobody can be killed: where Linux would stop, unless it is a group that is out of memory. Who tries again is not reported each time. */
function reportDeadlock(k: Kernel, oc: OomReport): void {
  if (!ratelimit(k, k.log.oomReports, REPORTS_NS, REPORTS, 'oom_kill_process')) return
  dumpHeader(k, oc, undefined, candidates(k, oc))
  printk(k, KERN_WARNING, 'Out of memory and no killable processes...')
  if (oc.memcg === ROOT_MEMCG) panic(k, 'System is deadlocked on memory')
}

/** Whether the process leaves anyhow, and has not given all its memory back (task_will_free_mem). */
const willFreeMem = ({ killed, mm }: Task): boolean => killed !== 0 && mm !== undefined && !mm.oomSkip

/** Others than who asks leave: see the header. */
function awaitVictims(k: Kernel, oc: OomControl): OomOutcome {
  if (k.vmf.user) return 'later'
  for (const { mm } of leaving(k, oc)) if (mm !== undefined) reap(k, mm)
  return 'again'
}

/** Where Linux would stop for good: the report, and a panic (check_panic_on_oom). */
function checkPanicOnOom(k: Kernel, oc: OomReport): void {
  const { panic_on_oom } = k.sysctl
  if (panic_on_oom === 0 || (panic_on_oom !== 2 && oc.constraint !== 'none')) return
  dumpHeader(k, oc, undefined, candidates(k, oc))
  panic(k, `Out of memory: ${panic_on_oom === 2 ? 'compulsory' : 'system-wide'} panic_on_oom is enabled`)
}

/** Processes that the report lists: those whose end could help, the first one apart. */
const candidates = (k: Kernel, oc: OomControl): Task[] =>
  [...k.tasks.values()].filter(task => task.pid !== INIT_PID && eligible(k, task, oc))

function oomConstraint(k: Kernel, { gfp, nodemask, memcg }: OomControl): OomReport['constraint'] {
  if (memcg !== ROOT_MEMCG) return 'memcg'
  if ((gfp & __GFP_THISNODE) !== 0) return 'none'
  if (nodemask !== ALL_NODES) return 'memory_policy'
  return cpusetNodes(k) === ALL_NODES ? 'none' : 'cpuset'
}

/** Nodes of the asking task's cpuset, when it has not all that there are. */
function cpusetNodes(k: Kernel): number {
  const all = 2 ** k.nodes.length - 1
  const allowed = (k.current?.memsAllowed ?? all) & all
  return allowed === all ? ALL_NODES : allowed
}

/** Pages that the processes compete for: all memory and swap, or what the group may have, or that of the nodes the request is bound to. */
function oomTotalPages(k: Kernel, oc: OomControl): number {
  if (oc.memcg !== ROOT_MEMCG) return memcgMax(k, oc.memcg)
  const constraint = oomConstraint(k, oc)
  if (constraint === 'none') return k.totalramPages + k.swapPages
  const nodes = constraint === 'cpuset' ? cpusetNodes(k) : oc.nodemask
  const present = k.zones.reduce((sum, zone) => sum + (((nodes >> zone.node) & 1) !== 0 ? zone.presentPages : 0), 0)
  return present + k.swapPages
}

/** Pages the group may have, with swap (mem_cgroup_get_max). */
function memcgMax(k: Kernel, id: number): number {
  const { memory, swap } = memcgOf(k, id)
  return Math.max(1, memory.max + (k.sysctl.swappiness === 0 ? 0 : Math.min(swap.max, k.swapPages)))
}

/** Badness of a process for this request; undefined when it is no candidate. */
function badness(k: Kernel, task: Task, oc: OomControl): number | undefined {
  if (task.oomVictim || !eligible(k, task, oc)) return undefined
  if (task.oomOrigin && task.pid !== INIT_PID) return Number.POSITIVE_INFINITY
  return oomBadness(task, oomTotalPages(k, oc))
}

/** Whether the end of the process could help (oom_cpuset_eligible). */
function eligible(k: Kernel, task: Task, { memcg, nodemask }: OomControl): boolean {
  if (memcg !== ROOT_MEMCG) return memcgIsBelow(k, task.memcg, memcg)
  if (nodemask === ALL_NODES) return (task.memsAllowed & (k.current?.memsAllowed ?? ALL_NODES)) !== 0
  return task.policy?.mode !== MPOL_BIND || (task.policy.nodes & nodemask) !== 0
}

/** Processes that could have been chosen, were killed for memory, and still have their own. */
const leaving = (k: Kernel, oc: OomControl): Task[] =>
  [...k.tasks.values()].filter(task => task.oomVictim && task !== k.current && willFreeMem(task) && eligible(k, task, oc))

const victimLeaves = (k: Kernel, oc: OomControl): boolean => leaving(k, oc).length > 0

function choose(k: Kernel, oc: OomControl): Task | undefined {
  let victim: Task | undefined
  let worst = Number.NEGATIVE_INFINITY
  for (const task of k.tasks.values()) {
    const points = badness(k, task, oc)
    if (points === undefined || points < worst) continue
    victim = task
    worst = points
  }
  return victim
}

/** Kills the chosen process, and all of its memory cgroup if that is to die as one (oom_kill_process). */
function killVictim(k: Kernel, victim: Task, oc: OomReport, why: string): void {
  if (ratelimit(k, k.log.oomReports, REPORTS_NS, REPORTS, 'oom_kill_process')) dumpHeader(k, oc, victim, candidates(k, oc))
  const group = oomGroup(k, victim, oc.memcg)
  kill(k, victim, why)
  if (group === ROOT_MEMCG) return
  memcgMemoryEvent(k, group, ME.oom_group_kill)
  reportGroup(k, group)
  for (const task of [...k.tasks.values()])
    if (task.mm !== undefined && task.oomScoreAdj !== OOM_SCORE_ADJ_MIN && memcgIsBelow(k, task.memcg, group)) kill(k, task, why)
}

/** The highest group with memory.oom.group from the victim's up to the one that is out of memory; ROOT_MEMCG: none. */
function oomGroup(k: Kernel, victim: Task, domain: number): number {
  let group = ROOT_MEMCG
  if (!memcgIsBelow(k, victim.memcg, domain)) return group
  for (let at = victim.memcg; at > ROOT_MEMCG; at = memcgOf(k, at).parent) {
    if (memcgOf(k, at).oomGroup) group = at
    if (at === domain) break
  }
  return group
}

/** Kills the process and all that share its memory. */
function kill(k: Kernel, victim: Task, why: string): void {
  reportKilled(k, victim, why)
  k.event[EV.oom_kill]++
  if (victim.memcg !== ROOT_MEMCG) memcgMemoryEvent(k, victim.memcg, ME.oom_kill)
  k.events.push({ ns: now(k), kind: 'oom', text: `killed ${victim.comm} (${victim.pid})` })
  for (const task of k.tasks.values()) {
    if (task !== victim && (victim.mm === undefined || task.mm !== victim.mm)) continue
    task.killed = SIGKILL
    markVictim(k, task)
  }
}

/** The process may use what is kept for such cases, and the reaper will look after it (mark_oom_victim, queue_oom_reaper). */
function markVictim(k: Kernel, task: Task): void {
  task.oomVictim = true
  const { mm, pid, comm } = task
  if (mm === undefined || mm.oomReapQueued) return
  mm.oomReapQueued = true
  const atNs = (jiffies(k) + REAPER_DELAY) * JIFFY_NS
  k.oomReaper.queue.push({ mm, pid, comm, atNs })
  k.oomReaper.daemon.wakeNs = Math.min(k.oomReaper.daemon.wakeNs, atNs)
}

/** Unmaps the private memory of a killed process, locked or not (__oom_reap_task_mm). */
export function reap(k: Kernel, mm: Mm): void {
  mm.oomSkip = true
  lruAddDrain(k)
  for (const vma of eachVma(mm)) {
    const shared = vma.mapping !== undefined && (vma.flags & VM_SHARED) !== 0
    if (shared || (vma.flags & (VM_HUGETLB | VM_PFNMAP)) !== 0) continue
    unmapPageRange(k, vma, vma.start, vma.end, 'all')
    finishGather(k)
  }
}
