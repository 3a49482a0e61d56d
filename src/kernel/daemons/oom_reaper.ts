/**
 * oom_reaper: unmaps the memory of processes that were killed for it and did not get far enough by themselves in two seconds, because
 * others kept their CPU, or there is much of it.
 *
 *     killed ── 2 s ──> its memory is gone by now: nothing to do
 *                       else: what it does not share is unmapped, locked pages too; the log says what is left
 *
 * Of several whose time has come the last one is first. Linux tries again for a second where the address space is locked for a change; here
 * nobody pauses with it locked.
 *
 * Source: mm/oom_kill.c (wake_oom_reaper, oom_reaper, oom_reap_task).
 */
import { now } from '../base/cost.ts'
import type { Kernel } from '../base/state.ts'
import { reap } from '../reclaim/oom.ts'
import { reportReaped } from '../reclaim/oom_report.ts'

export function runOomReaper(k: Kernel): void {
  const { oomReaper } = k
  const due = oomReaper.queue.filter(({ atNs }) => atNs <= now(k))
  oomReaper.queue = oomReaper.queue.filter(victim => !due.includes(victim))
  for (const { mm, pid, comm } of due.reverse()) {
    if (mm.oomSkip) continue
    reap(k, mm)
    reportReaped(k, pid, comm, mm)
  }
  oomReaper.daemon.wakeNs = Math.min(...oomReaper.queue.map(({ atNs }) => atNs))
}
