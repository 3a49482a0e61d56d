/** A process whose files are read: the machine, the task, and its memory while it has one. */

import { VM_HUGETLB } from '../../kernel/base/flags.ts'
import type { Kernel } from '../../kernel/base/state.ts'
import type { Hstate } from '../../kernel/base/state_huge.ts'
import type { Mm, Task, Vma } from '../../kernel/base/state_mm.ts'

export interface Living {
  readonly k: Kernel
  readonly task: Task
  readonly mm: Mm | undefined
}

/** The size of huge TLB pages of an area, or undefined for ordinary memory. */
export const hstateOfVma = (k: Kernel, vma: Vma): Hstate | undefined =>
  (vma.flags & VM_HUGETLB) === 0 ? undefined : k.hugetlb.hstates[vma.mapping?.inode.sb.hstate ?? k.hugetlb.defaultHstate]
