/** What only a simulation knows of userfaultfd: what came to pass at each descriptor, and which threads wait there, since when. */
import { UFFD_PAGEFAULT_FLAG_MINOR, UFFD_PAGEFAULT_FLAG_WP, UFFD_PAGEFAULT_FLAG_WRITE } from '../kernel/base/flags.ts'
import type { Kernel } from '../kernel/base/state.ts'
import type { UffdFault } from '../kernel/base/state_uffd.ts'
import { UFFD_FIRST_CLASS } from '../kernel/fault/userfaultfd.ts'
import { FIRST_FD } from '../procfs/pid/fdinfo.ts'

/** Lines of /mmtop/userfaultfd: "PID/FD KEY=NUMBER ...". */
export const uffdLines = (k: Kernel): string[] =>
  descriptorsOf(k).map(({ name, context: { figures } }) => {
    const { histogram, waitedNs, longestNs, ...counts } = figures
    const waits = histogram.map((count, i) => [`below_${2 ** (UFFD_FIRST_CLASS + i)}`, count] as const)
    const all = [
      ...Object.entries(counts),
      ['waited_ns', Math.round(waitedNs)] as const,
      ['longest_ns', Math.round(longestNs)] as const,
      ...waits,
    ]
    return `${name} ${all.map(([key, value]) => `${key}=${value}`).join(' ')}`
  })

/** Lines of /mmtop/waiting: "PID WHERE ADDRESS WHAT NS", WHERE a descriptor as above or "2014" for one of the proposal, NS how long by now. */
export function waitingLines(k: Kernel): string[] {
  const line = (where: string, { pid, address, flags, sinceNs }: UffdFault) =>
    `${pid} ${where} 0x${address.toString(16)} ${kindOf(flags)} ${Math.max(0, Math.round(k.clock[0] - sinceNs))}`
  return [
    ...descriptorsOf(k).flatMap(({ name, context }) => [...context.read, ...context.pending].map(fault => line(name, fault))),
    ...[...k.uffd.proposed.values()].flatMap(({ waiting }) => waiting.map(fault => line('2014', fault))),
  ]
}

const kindOf = (flags: number): string =>
  (flags & UFFD_PAGEFAULT_FLAG_WP) !== 0
    ? 'write-protected'
    : (flags & UFFD_PAGEFAULT_FLAG_MINOR) !== 0
      ? 'minor'
      : (flags & UFFD_PAGEFAULT_FLAG_WRITE) !== 0
        ? 'write'
        : 'read'

const descriptorsOf = (k: Kernel) =>
  [...k.tasks.values()].flatMap(({ pid, uffds }) =>
    [...uffds].flatMap((id, i) => {
      const context = k.uffd.contexts.get(id)
      return context === undefined ? [] : [{ name: `${pid}/${FIRST_FD + i}`, context }]
    }),
  )
