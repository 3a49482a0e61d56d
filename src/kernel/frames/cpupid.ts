/**
 * Who used a page last, as hinting faults tell: CPU and the low bits of the pid, in one number (LAST_CPUPID).
 *
 *     | CPU 13 bits | pid 8 bits |      all ones: nobody
 *
 * Linux keeps it among the page's flags and clears it when the page is freed. Here it lies beside the page records, in an array
 * that exists once there has been a hinting fault, together with the owner and index that the page had: a page that
 * is somebody else's by now has no last user.
 *
 * Source: include/linux/mm.h (cpu_pid_to_cpupid, cpupid_pid_unset), mm/mmzone.c page_cpupid_xchg_last.
 */
import { PAGE_WORDS } from '../base/list.ts'
import type { Kernel } from '../base/state.ts'
import type { Pfn } from '../base/units.ts'
import { W_INDEX, W_OWNER } from './page.ts'

const PID_BITS = 8
const PID_MASK = (1 << PID_BITS) - 1
/** No last user. */
export const CPUPID_UNSET = (1 << (13 + PID_BITS)) - 1

const WORDS = 2

export const cpuPidToCpupid = (cpu: number, pid: number): number => (cpu << PID_BITS) | (pid & PID_MASK)
export const cpupidToCpu = (cpupid: number): number => cpupid >>> PID_BITS
export const cpupidPidUnset = (cpupid: number): boolean => (cpupid & PID_MASK) === PID_MASK
export const cpupidMatchPid = (cpupid: number, pid: number): boolean => (cpupid & PID_MASK) === (pid & PID_MASK)

const identity = (k: Kernel, pfn: Pfn): number => k.page[pfn * PAGE_WORDS + W_OWNER] ^ Math.imul(k.page[pfn * PAGE_WORDS + W_INDEX], 31)

export function pageCpupidLast(k: Kernel, pfn: Pfn): number {
  const last = k.numa.lastCpupid
  if (last.length === 0 || last[pfn * WORDS] === 0 || last[pfn * WORDS + 1] !== identity(k, pfn)) return CPUPID_UNSET
  return last[pfn * WORDS] - 1
}

/** Notes another last user. @returns the one before. */
export function pageCpupidXchgLast(k: Kernel, pfn: Pfn, cpupid: number): number {
  const before = pageCpupidLast(k, pfn)
  if (k.numa.lastCpupid.length === 0) k.numa.lastCpupid = new Int32Array(k.maxPfn * WORDS)
  k.numa.lastCpupid[pfn * WORDS] = cpupid === CPUPID_UNSET ? 0 : cpupid + 1
  k.numa.lastCpupid[pfn * WORDS + 1] = identity(k, pfn)
  return before
}

/** A page that was moved keeps its last user (folio_migrate_flags). */
export function moveCpupid(k: Kernel, from: Pfn, to: Pfn): void {
  if (k.numa.lastCpupid.length === 0) return
  pageCpupidXchgLast(k, to, pageCpupidXchgLast(k, from, CPUPID_UNSET))
}
