/**
 * The executor's own memory: every process of a workload is a fork of the first one, and touches a few of its pages when it
 * begins, at its first op, when it forks. The lists of pages are boot's (kernel/boot/memory_process.ts); here they are
 * touched when the executor would, as ordinary accesses that fault, copy and count.
 */
import { internContent } from '../kernel/base/content.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { Task } from '../kernel/base/state_mm.ts'
import { NO_PAGE } from '../kernel/base/units.ts'
import { BASE_PROCESS, type BasePart, EXECUTOR_CONTENT, type Touch } from '../kernel/boot/memory_process.ts'
import { type Access, accessPage, writeContent } from '../kernel/fault/touch.ts'
import { lruAddDrain } from '../kernel/reclaim/zap.ts'

export const TOUCHES = BASE_PROCESS.touches

const STARTS = new Map(BASE_PROCESS.vmas.map(({ name, start }) => [name, start]))

/** Has the task access pages of its executor. Its text it asks for with MADV_POPULATE_READ, at whose end the CPU's batches are worked off. */
export function touchOwn(k: Kernel, task: Task, touches: readonly Touch[]): void {
  const { mm } = task
  if (mm === undefined) return
  const access: Access = { pfn: NO_PAGE, fault: 0 }
  const content = internContent(k.contents, EXECUTOR_CONTENT)
  touches.forEach(([part, page, how], i) => {
    k.vmf.vpn[0] = addressOf(part, page)
    accessPage(k, mm, how === 'write', access)
    if (how === 'write' && access.pfn !== NO_PAGE) writeContent(k, access.pfn, content, page)
    if (part === 'text' && touches[i + 1]?.[0] !== 'text') lruAddDrain(k)
  })
}

/** The virtual page of a page of the executor's memory. */
export const addressOf = (part: BasePart, page: number): number => (STARTS.get(part) ?? 0) + page

/** What a process touches before it has settled where it runs and with which policy, and after. */
export function splitStart(touches: readonly Touch[]): readonly [early: readonly Touch[], late: readonly Touch[]] {
  const settled = touches.findIndex(([part]) => part === 'control')
  return [touches.slice(0, settled), touches.slice(settled)]
}
