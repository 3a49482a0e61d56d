/**
 * The out-of-memory killer: kills the process whose end frees most, and takes its private memory at once.
 *
 *     candidates   all processes but the first one and those with an adjustment of -1000; where the request may use some nodes
 *                  only, those bound to any of them
 *     choice       the highest badness (oom_badness.ts), of equals the youngest
 *     victim       is killed (Task.killed; whoever runs processes ends it), and the reaper unmaps what it does not share,
 *                  unless it is the one that is asking: that one is about to leave by itself
 *
 * A request that may not enter file systems pretends that something was killed and tries again.
 *
 * Source: mm/oom_kill.c (out_of_memory, oom_evaluate_task, __oom_kill_process, __oom_reap_task_mm).
 */
import { now } from '../base/cost.ts'
import { EV } from '../base/counters.ts'
import { __GFP_FS, MPOL_BIND, VM_HUGETLB, VM_PFNMAP, VM_SHARED } from '../base/flags.ts'
import type { Kernel } from '../base/state.ts'
import type { Mm, Task } from '../base/state_mm.ts'
import { finishGather } from '../caches/gather.ts'
import { ALL_NODES } from '../frames/rmqueue.ts'
import { eachVma } from '../spaces/vma.ts'
import { oomBadness } from './oom_badness.ts'
import { lruAddDrain, unmapPageRange } from './zap.ts'

const SIGKILL = 9

/** Kills a process so that a request can be met; false when there is none to kill. */
export function outOfMemory(k: Kernel, gfp: number, nodemask: number): boolean {
  const { current } = k
  if (current !== undefined && current.killed !== 0) {
    current.oomVictim = true
    return true
  }
  if ((gfp & __GFP_FS) === 0) return true
  const victim =
    k.sysctl.oom_kill_allocating_task !== 0 && current !== undefined && badness(k, current, nodemask) !== undefined
      ? current
      : choose(k, nodemask)
  if (victim === undefined) return false
  kill(k, victim)
  return true
}

/** Pages that the processes compete for: all memory and swap, or that of the nodes the request is bound to. */
function totalPages(k: Kernel, nodemask: number): number {
  if (nodemask === ALL_NODES) return k.totalramPages + k.swapPages
  const present = k.zones.reduce((sum, zone) => sum + (((nodemask >> zone.node) & 1) !== 0 ? zone.presentPages : 0), 0)
  return present + k.swapPages
}

/** Badness of a process for this request; undefined when it is no candidate. */
function badness(k: Kernel, task: Task, nodemask: number): number | undefined {
  if (task.oomVictim || task.killed !== 0) return undefined
  if (nodemask !== ALL_NODES && task.policy?.mode === MPOL_BIND && (task.policy.nodes & nodemask) === 0) return undefined
  return oomBadness(task, totalPages(k, nodemask))
}

function choose(k: Kernel, nodemask: number): Task | undefined {
  let victim: Task | undefined
  let worst = Number.NEGATIVE_INFINITY
  for (const task of k.tasks.values()) {
    const points = badness(k, task, nodemask)
    if (points === undefined || points < worst) continue
    victim = task
    worst = points
  }
  return victim
}

/** Kills the process and all that share its memory. */
function kill(k: Kernel, victim: Task): void {
  k.event[EV.oom_kill]++
  k.events.push({ ns: now(k), kind: 'oom', text: `killed ${victim.comm} (${victim.pid})` })
  for (const task of k.tasks.values()) {
    if (task !== victim && (victim.mm === undefined || task.mm !== victim.mm)) continue
    task.killed = SIGKILL
    task.oomVictim = true
  }
  if (victim.mm !== undefined && victim.mm !== k.current?.mm) reap(k, victim.mm)
}

/** Unmaps the private memory of a killed process (oom_reaper). */
function reap(k: Kernel, mm: Mm): void {
  lruAddDrain(k)
  for (const vma of eachVma(mm)) {
    const shared = vma.mapping !== undefined && (vma.flags & VM_SHARED) !== 0
    if (shared || (vma.flags & (VM_HUGETLB | VM_PFNMAP)) !== 0) continue
    unmapPageRange(k, vma, vma.start, vma.end, 'all')
    finishGather(k)
  }
}
