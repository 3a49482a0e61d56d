/**
 * Recounts userfaultfd: areas and contexts know each other, descriptors are counted, whoever waits does so at one place.
 */
import { VM_UFFD_FLAGS } from './base/flags.ts'
import type { Kernel } from './base/state.ts'
import type { UffdContext } from './base/state_uffd.ts'
import { eachVma } from './spaces/vma.ts'

/** Everything about it that does not add up, in words. */
export function verifyUffd(k: Kernel): string[] {
  const wrong: string[] = []
  verifyAreas(k, wrong)
  for (const context of k.uffd.contexts.values()) verifyContext(k, context, wrong)
  for (const task of k.tasks.values()) {
    for (const id of task.uffds) if (!k.uffd.contexts.has(id)) wrong.push(`task ${task.pid} holds context ${id}, which is gone`)
    if (task.wait !== undefined && !task.wait.woken && waits(k, task.pid) !== 1)
      wrong.push(`task ${task.pid} sleeps at ${waits(k, task.pid)} places`)
  }
  return wrong
}

function verifyAreas(k: Kernel, wrong: string[]): void {
  for (const mm of k.spaces.mms.values()) {
    for (const vma of eachVma(mm)) {
      const context = k.uffd.contexts.get(vma.uffd)
      if ((vma.uffd !== 0) !== ((vma.flags & VM_UFFD_FLAGS) !== 0)) wrong.push(`area ${vma.start}: marks without a context, or the reverse`)
      if (vma.uffd !== 0 && context?.mm !== mm.id) wrong.push(`area ${vma.start}: context ${vma.uffd} is not of its address space`)
    }
  }
}

function verifyContext(k: Kernel, { id, fds, changing, events, pending, read }: UffdContext, wrong: string[]): void {
  const tasks = [...k.tasks.values()]
  const held = tasks.filter(task => task.uffds.has(id)).length
  if (held !== fds) wrong.push(`context ${id}: ${held} descriptors, ${fds} counted`)
  const untold = tasks.reduce((sum, task) => sum + task.untold.filter(event => event.uffd === id).length, 0)
  if (changing !== events.length + untold) wrong.push(`context ${id}: ${events.length + untold} events to read, ${changing} counted`)
  for (const { pid } of [...pending, ...read])
    if (k.tasks.get(pid)?.wait === undefined) wrong.push(`context ${id}: task ${pid} waits for a fault and does not sleep`)
}

/** At how many places a task waits. */
function waits(k: Kernel, pid: number): number {
  let places = 0
  for (const { pending, read, events } of k.uffd.contexts.values())
    places += [...pending, ...read, ...events].filter(each => each.pid === pid).length
  for (const { waiting } of k.uffd.proposed.values()) places += waiting.filter(each => each.pid === pid).length
  return places
}
