/**
 * /proc/PID/fdinfo/FD of userfaultfd descriptors: how many threads wait, and for how many of them nobody has read the message. Other
 * descriptors are not shown. A process' first descriptor is number 3.
 *
 * Source: fs/userfaultfd.c userfaultfd_show_fdinfo.
 */
import { UFFD_API } from '../../kernel/base/flags.ts'
import type { Kernel } from '../../kernel/base/state.ts'
import type { UffdContext } from '../../kernel/base/state_uffd.ts'

export const FIRST_FD = 3
/** UFFD_API_IOCTLS | UFFD_API_RANGE_IOCTLS */
const IOCTLS = '80000000000000df'

const textOf = ({ pending, read, features }: UffdContext): string =>
  `pending:\t${pending.length}\ntotal:\t${pending.length + read.length}\nAPI:\t${UFFD_API.toString(16)}:${(features >>> 0).toString(16)}:${IOCTLS}\n`

/** Path and text of each of the machine's userfaultfd descriptors. */
export function uffdFiles(k: Kernel): [path: string, text: string][] {
  return [...k.tasks.values()].flatMap(({ pid, uffds }) =>
    [...uffds].flatMap((id, i): [string, string][] => {
      const context = k.uffd.contexts.get(id)
      return context === undefined ? [] : [[`/proc/${pid}/fdinfo/${FIRST_FD + i}`, textOf(context)]]
    }),
  )
}
