/** Recounts what NUMA keeps: groups against their tasks, policies, marks in page tables. */
import { MPOL_LOCAL, PTE_MIGRATION, PTE_PRESENT, PTE_PROTNONE, PTE_SPECIAL, VM_ACCESS_FLAGS, VM_HUGETLB } from './base/flags.ts'
import type { Kernel } from './base/state.ts'
import type { Vma } from './base/state_mm.ts'
import type { NumaGroup } from './base/state_numa.ts'
import type { Mempolicy } from './base/state_shared.ts'
import { isHuge } from './spaces/huge_pmd.ts'
import { entryFlags, entryValue, pteIndex } from './spaces/pagetable.ts'
import { eachVma } from './spaces/vma.ts'
import { walkPmds } from './spaces/walk.ts'

/** Everything about NUMA that does not add up, in words; empty when all is sound. */
export const verifyNuma = (k: Kernel): string[] => [...verifyGroups(k), ...verifyPolicies(k), ...verifyMarks(k)]

function verifyGroups(k: Kernel): string[] {
  const wrong: string[] = []
  const members = new Map<NumaGroup, number>()
  for (const { numa } of k.tasks.values()) if (numa.group !== undefined) members.set(numa.group, (members.get(numa.group) ?? 0) + 1)
  for (const [group, tasks] of members) {
    if (tasks !== group.nrTasks) wrong.push(`NUMA group ${group.gid} has ${tasks} tasks, counted ${group.nrTasks}`)
    const total = [...k.tasks.values()].reduce((sum, { numa }) => (numa.group === group ? sum + numa.totalFaults : sum), 0)
    if (total !== group.totalFaults) wrong.push(`NUMA group ${group.gid}: its tasks have ${total} faults, counted ${group.totalFaults}`)
  }
  return wrong
}

function verifyPolicies(k: Kernel): string[] {
  const wrong: string[] = []
  const check = (policy: Mempolicy | undefined, whose: string) => {
    if (policy !== undefined && policy.mode !== MPOL_LOCAL && policy.nodes === 0) wrong.push(`the policy of ${whose} has no nodes`)
  }
  for (const task of k.tasks.values()) check(task.policy, `task ${task.pid}`)
  for (const mm of k.spaces.mms.values()) for (const vma of eachVma(mm)) check(vma.policy, `an area of mm ${mm.id}`)
  for (const inode of k.fs.inodes.values()) {
    let end = 0
    for (const range of inode.policies) {
      check(range.policy, inode.path)
      if (range.start < end || range.end <= range.start) wrong.push(`policies of ${inode.path} overlap at page ${range.start}`)
      end = range.end
    }
  }
  return wrong
}

/** No entry is being moved between two operations, and the page of zeros is never marked. */
function verifyMarks(k: Kernel): string[] {
  const wrong: string[] = []
  for (const mm of k.spaces.mms.values()) {
    for (const vma of eachVma(mm)) {
      if ((vma.flags & VM_HUGETLB) !== 0) continue
      walkPmds(k, mm, vma.start, vma.end, (pmd, i, start, end) => {
        if (isHuge(entryFlags(k, pmd, i))) verifyMark(vma, entryFlags(k, pmd, i), start, wrong)
        else for (let vpn = start; vpn < end; vpn++) verifyMark(vma, entryFlags(k, entryValue(k, pmd, i), pteIndex(vpn)), vpn, wrong)
      })
    }
  }
  return wrong
}

function verifyMark(vma: Vma, flags: number, vpn: number, wrong: string[]): void {
  if ((flags & PTE_MIGRATION) !== 0) wrong.push(`an entry near page ${vpn} says that its page is being moved`)
  const marked = PTE_PRESENT | PTE_PROTNONE | PTE_SPECIAL
  if ((flags & marked) === marked && (vma.flags & VM_ACCESS_FLAGS) !== 0) wrong.push(`the page of zeros near page ${vpn} is marked`)
}
